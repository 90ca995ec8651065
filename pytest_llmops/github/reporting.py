"""The report step: outputs, summary, comment, annotations, the schedule's issue; and the comment of a finished run."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import github_action_utils as runner

from pytest_llmops import acceptance, baseline
from pytest_llmops.errors import BaselineError, GitHubError, SettingsError
from pytest_llmops.github import artifacts, baselines, comparing, handing, rest, talking, testing, verdict
from pytest_llmops.github.context import Context, PullRequest
from pytest_llmops.github.handing import State
from pytest_llmops.github.inputs import Inputs
from pytest_llmops.github.maintaining import Command
from pytest_llmops.github.verdict import Verdict
from pytest_llmops.records import RunRecord
from pytest_llmops.reports import pull_request
from pytest_llmops.reports.pull_request import BaselineSource, View

CANCELLED = "the run was cancelled, or ran out of time, before its tests were done"
OTHER_KEY = (
    "The run's environment has no provider's key by a name that the action knows (…_API_KEY and some others, "
    "docs/action.md). With one by another name, pytest-args: --llm-record=refresh records what misses."
)
FILES = (handing.VIEW, baselines.RECORD)
NOTHING = "No LLM evaluation ran: nothing was measured, nothing compared."


def directory(state: State, here: Context) -> str:
    """The working directory below the repository, with slashes; empty where it is the repository itself."""
    return os.path.relpath(state.root, here.workspace.resolve()).replace(os.sep, "/").removeprefix(".").lstrip("/")


def source(found: baselines.Chosen, stored: baseline.Baseline | None, state: State) -> BaselineSource | None:
    """Where the baseline came from, for people."""
    if found.file is None:
        return None
    if found.sha is not None:
        return BaselineSource(ref=found.ref, sha=found.sha, created=found.created)
    return BaselineSource(created=stored.created if stored else None, path=state.inputs.baseline_path)


def report(folder: Path, state: State, here: Context, client: rest.Client, *, cancelled: bool = False) -> None:
    """Write everything that tells of the run, but the upload and the gate's verdict.

    One whose job was `cancelled` in the midst of it says nothing of the code: no comment tells of it.
    """
    cancelled = cancelled and state.exit_code in (None, 2)
    if cancelled:
        state.problem = CANCELLED
    files = folder / "report"
    run = _record(files / baselines.RECORD)
    junit = testing.load_junit(folder) or testing.read_junit(files / "junit.xml", run)
    stored = _stored(state)
    found = _concluded(run, junit, stored, state, here)
    state.conclusion, state.red, state.why = found.conclusion, found.red, found.why
    if run is None and state.exit_code == 0:
        state.notes.append(NOTHING)
        runner.warning(NOTHING, title="LLM tests")
    _outputs(found, state, files)
    if isinstance(state.inputs.shard, tuple):
        if state.exit_code in (0, 1, 5) and state.problem is None:  # the whole's verdict is the last job's
            index, count = state.inputs.shard
            state.red, state.why = False, f"shard {index} of {count}; the job with `shard: merge` decides"
        return
    view = dataclasses.replace(_view(run, found, state, here, stored, junit), cancelled=cancelled)
    handing.save_view(files / handing.VIEW, view)
    runner.append_job_summary(pull_request.summary(view, limit_bytes=2**20 - 1))  # it adds a line's end
    if state.inputs.annotate and not (run is None and state.problem):  # the step that met the problem has told it
        for one in pull_request.annotations(view):
            say = {"error": runner.error, "warning": runner.warning}.get(one.level, runner.notice)
            say(one.message, title=one.title, file=one.file, line=one.line)
    runner.set_output("comment-url", _tell(view, state.inputs, here, client) or "")


def _concluded(
    run: RunRecord | None, junit: testing.JUnit, stored: baseline.Baseline | None, state: State, here: Context
) -> Verdict:
    inside = directory(state, here)
    number = here.pull_request.number if here.pull_request else None
    found = verdict.conclude(
        run,
        state.exit_code,
        junit,
        stored=stored,
        fail_on=state.inputs.fail_on,
        can_record=state.can_record,
        command=Command(number, inside, pull_request.root(inside, run)),
        updates=state.inputs.update_baseline,
        confirms=here.event == "schedule",
    )
    if state.problem is None:
        return found
    return dataclasses.replace(found, conclusion="error", red=state.inputs.fail_on != "never", why=state.problem)


def _record(path: Path) -> RunRecord | None:
    try:
        return baseline.load_run(path) if path.is_file() else None
    except BaselineError as error:
        runner.warning(str(error), title="pytest-llmops")
        return None


def _stored(state: State) -> baseline.Baseline | None:
    try:
        return comparing.load(state.compared)
    except BaselineError:
        return None


def _outputs(found: Verdict, state: State, files: Path) -> None:
    record = files / baselines.RECORD
    for name, value in {
        "conclusion": found.conclusion,
        "exit-code": "" if state.exit_code is None else state.exit_code,
        "regressed": found.regressed,
        "total": found.total,
        "passed": found.passed,
        "failed": found.failed,
        "new": found.new,
        "removed": found.removed,
        "cost-usd": "" if found.cost_usd is None else f"{found.cost_usd:.6f}",
        "report-json": record if record.is_file() else "",
    }.items():
        runner.set_output(name, value)


def _view(
    run: RunRecord | None,
    found: Verdict,
    state: State,
    here: Context,
    stored: baseline.Baseline | None,
    junit: testing.JUnit,
) -> View:
    pull, rows = here.pull_request, run.comparison.metrics if run and run.comparison else []
    compared = run is not None and stored is not None
    before, now = pull_request.costs(stored, run) if run is not None and stored is not None else (None, None)
    return View(
        run=run,
        conclusion=found.conclusion,
        title=title(state.inputs),
        comment_id=state.inputs.comment_id,
        baseline=state.source,
        repository=here.repository,
        server_url=here.server_url,
        pull_request=pull.number if pull else None,
        head_sha=pull.head_sha if pull else here.sha,
        run_url=here.run_url,
        report_url=f"{here.run_url}#artifacts",  # uploaded after this
        directory=directory(state, here),
        changed=state.changed,
        accepted=_accepted(state),
        needs_recording=found.needs_recording,
        notes=tuple(_notes(found, state, here, junit)),
        answers=comparing.answers(state.compared) if compared else {},
        fixed=pull_request.fixed_cases(stored, run) if run is not None and stored is not None else (),
        failed_before=pull_request.failed_before(stored, run) if run is not None and stored is not None else (),
        cost_before=before,
        cost_now=now,
        storing=Command(directory=directory(state, here)).storing(state.inputs.baseline_path),
        updated=state.inputs.update_baseline,
        refuted=found.refuted,
        fail_on_inconclusive=any(row.metric in junit.gate and row.verdict == "inconclusive" for row in rows),
    )


def _notes(found: Verdict, state: State, here: Context, junit: testing.JUnit) -> list[str]:
    notes = list(state.notes)
    if found.needs_recording and not here.foreign:
        notes.append(OTHER_KEY)
    if found.refuted:
        notes.append(f"Failed at first, and not when run once more: {_some(found.refuted)}.")
    if found.conclusion == "error":
        notes.append(f"{found.why[:1].upper()}{found.why[1:].rstrip('.')}. The job's log says more.")
    if junit.others:
        notes.append(f"Other tests failed: {_some(junit.others)}.")
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def title(given: Inputs) -> str:
    """The comment's title; several of one pull request are told apart by their ids."""
    return "LLM tests" if given.comment_id == "default" else f"LLM tests ({given.comment_id})"


def _accepted(state: State) -> tuple[acceptance.Accepted, ...]:
    if state.accept is None:
        return ()
    try:
        entries = acceptance.load(state.accept)
    except BaselineError:  # told as the run's problem
        return ()
    return tuple(dataclasses.replace(entry, where=acceptance.DEFAULT_NAME) for entry in entries)


# -- on GitHub ------------------------------------------------------------------------------------------------------


def _tell(view: View, given: Inputs, here: Context, client: rest.Client) -> str | None:
    """Comment on the pull request, or keep the schedule's issue; the address of what was written."""
    if view.cancelled or given.comment == "never":
        return None
    try:
        if here.event == "schedule":
            bad = view.conclusion not in ("success", "needs-recording")
            name = f"{view.title}: {view.conclusion}"
            marker = pull_request.marker(view.comment_id)
            return talking.put_issue(client, here, name, pull_request.comment(view), marker, bad=bad)
        if here.pull_request is None:
            return None
        head = _head(client, here, here.pull_request)
        if head != here.pull_request.head_sha:
            left = f"The pull request is at {head[:10]} by now: its comment is left to that commit's run."
            runner.notice(left, title=view.title)
            return None
        return _comment(view, given, here, client, here.pull_request.number)
    except GitHubError as error:
        if here.foreign and error.status in (401, 403, 404):
            runner.echo("The comment is left to the workflow_run job: this run's token may not write.")
        else:
            runner.warning(f"Nothing could be written to GitHub: {error}", title="pytest-llmops")
        return None


def _head(client: rest.Client, here: Context, pull: PullRequest) -> str:
    """The newest commit of a pull request; the run's own where GitHub does not say.

    Runs need not end in the order of their commits: an older one must not replace what a newer one said.
    """
    try:
        return str(client.get(f"/repos/{here.repository}/pulls/{pull.number}")["head"]["sha"])
    except (GitHubError, KeyError, TypeError):
        return pull.head_sha


def _comment(view: View, given: Inputs, here: Context, client: rest.Client, number: int) -> str | None:
    marker = pull_request.marker(view.comment_id)
    create = given.comment == "always" or _worth(view, given)
    return talking.put_comment(client, here, number, pull_request.comment(view), marker, create=create)


def _worth(view: View, given: Inputs) -> bool:
    """Whether a first comment is worth a reader's time; one that is there is always kept true."""
    if view.conclusion != "success":
        return True
    if given.comment == "auto":
        return view.run is not None and bool(view.run.tests)
    comparison = view.run.comparison if view.run else None
    if comparison is None:
        return False
    moved = any(row.verdict in ("regressed", "improved") and row.gate for row in comparison.metrics)
    return bool(moved or comparison.new_cases or comparison.missing_cases or comparison.changed_cases or view.fixed)


def comment_on_finished(given: Inputs, here: Context, client: rest.Client) -> None:
    """Comment on the pull request of a finished run (a fork's, whose own token may not write).

    The artifact is a stranger's: its numbers and texts are rendered again here, and everything that says whose pull
    request, which commit and which pages comes from GitHub.

    Raises:
        SettingsError: not the event this is for, or the artifact holds no view of a run.
    """
    finished = here.finished
    if finished is None:
        raise SettingsError("the comment step is for `on: workflow_run` (docs/action.md)")
    if finished.event != "pull_request" or given.comment == "never":
        runner.echo("nothing to comment on")
        return
    try:
        numbers = talking.pull_requests_of(
            client, here, finished.head_branch, finished.head_repository, finished.head_sha
        )
        if not numbers:
            runner.notice("No open pull request has this commit as its newest one any more.", title="pytest-llmops")
            return
        read = artifacts.read(client, here, finished.id, given.report_name, *FILES, limit=handing.LARGEST_VIEW)
        if not read or handing.VIEW not in read:
            runner.notice(f"The run left no artifact {given.report_name} to comment on.", title="pytest-llmops")
            return
        number = _whose(read, numbers)
        view = trusted(read, given, here, number, client)
        if view.cancelled:
            runner.notice("The run was cancelled; there is nothing to comment on.", title="pytest-llmops")
            return
        runner.set_output("comment-url", _comment(view, given, here, client, number) or "")
        runner.set_output("conclusion", view.conclusion)
    except GitHubError as error:
        raise SettingsError(f"the comment could not be written: {error}") from None


def _whose(read: dict[str, bytes], numbers: list[int]) -> int:
    """Of the pull requests that GitHub confirms the one that the artifact says it is of."""
    claimed = handing.load_view(read[handing.VIEW]).pull_request
    return claimed if claimed in numbers else numbers[0]


def trusted(read: dict[str, bytes], given: Inputs, here: Context, number: int, client: rest.Client) -> View:
    """A view of an artifact's data, with everything that could lead a reader astray replaced by GitHub's word."""
    assert here.finished is not None
    view = handing.load_view(read[handing.VIEW])
    run = None
    if baselines.RECORD in read:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, baselines.RECORD)
            file.write_bytes(read[baselines.RECORD])
            run = baseline.load_run(file)
    source = view.baseline
    if source is not None and source.sha is not None and not re.fullmatch(r"[0-9a-f]{7,64}", source.sha):
        source = dataclasses.replace(source, sha=None)
    changed = _changed(client, here, number)
    command = Command(number, view.directory, pull_request.root(view.directory, run))
    # What a maintainer is told to run is never the artifact's word.
    needs = [
        command.of(dataclasses.replace(one, changed=verdict.what_changed(one.changed))) for one in view.needs_recording
    ]
    run_url = f"{here.server_url}/{here.repository}/actions/runs/{here.finished.id}"
    return dataclasses.replace(
        view,
        run=run,
        needs_recording=tuple(needs),
        storing=command.storing(given.baseline_path),
        foreign=here.finished.head_repository != here.repository,
        baseline=source,
        title=title(given),
        comment_id=given.comment_id,
        repository=here.repository,
        server_url=here.server_url,
        pull_request=number,
        head_sha=here.finished.head_sha,
        run_url=run_url,
        report_url=f"{run_url}#artifacts",
        changed=changed,
    )


def _changed(client: rest.Client, here: Context, number: int) -> tuple[str, ...]:
    path = f"/repos/{here.repository}/pulls/{number}/files"
    try:
        return tuple(str(file["filename"]) for file in client.pages(path, needs="pull-requests: read"))
    except GitHubError:
        return ()
