"""The steps of ``action.yml``, in its order; each is ``pytest-llmops action STEP``."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import github_action_utils as runner

from pytest_llmops import acceptance, baseline
from pytest_llmops.errors import GitHubError, LlmopsError, SettingsError, did_you_mean
from pytest_llmops.github import (
    artifacts,
    baselines,
    commits,
    comparing,
    context,
    handing,
    inputs,
    recordings,
    reporting,
    rest,
    restoring,
    sharding,
    talking,
    testing,
)
from pytest_llmops.github.context import Context
from pytest_llmops.github.handing import State
from pytest_llmops.github.inputs import Inputs
from pytest_llmops.options import RecordMode, find_pyproject
from pytest_llmops.records import RunRecord
from pytest_llmops.settings import ProjectSettings, load_project

FOLDER = "LLMOPS_FOLDER"
FORMER = "former.json"
JOB_STATUS = "LLMOPS_JOB_STATUS"


def run(step: str, environ: Mapping[str, str] = os.environ) -> int:
    """Run a step; what it cannot do becomes an error in the job's log.

    Returns:
        The exit status of the step.
    """
    try:
        if step not in STEPS:
            raise SettingsError(f"action: unknown step {step!r}.{did_you_mean(step, STEPS)}")
        return STEPS[step](environ) or 0
    except LlmopsError as error:
        runner.error(str(error), title="pytest-llmops")
        if step == "restore" and "GITHUB_OUTPUT" in environ:  # no report follows, which would tell it
            runner.set_output("conclusion", "error")
        _remember(str(error), environ)
        return 1


def _remember(problem: str, environ: Mapping[str, str]) -> None:
    """What keeps pytest from running is what the report tells."""
    try:
        folder, state, _ = _opened(environ)
    except SettingsError:  # it went wrong before there was anything to report
        return
    state.problem = state.problem or problem
    handing.save(folder, state)


def _say(text: str) -> None:
    """Print a line of our own; it begins with words of ours, so that nothing in it becomes a workflow command."""
    runner.echo(" ".join(text.split()))


def artifact_name(given: Inputs, kind: str = "") -> str:
    """The name of an artifact of this use of the action; a part of a matrix has its own."""
    part = f"-shard-{given.shard[0]}-of-{given.shard[1]}" if isinstance(given.shard, tuple) else ""
    return f"{given.report_name}{kind}{part}"


def _recordings_name(given: Inputs) -> str:
    return "-live" if given.mode == "live" else "-cassettes"


def _client(here: Context, environ: Mapping[str, str]) -> rest.Client:
    return rest.Client(here.api_url, environ.get("LLMOPS_GITHUB_TOKEN", ""))


def _opened(environ: Mapping[str, str]) -> tuple[Path, State, Context]:
    folder = Path(environ.get(FOLDER) or "")
    return folder, handing.load(folder), context.read(environ)


def _project(root: Path) -> ProjectSettings:
    return load_project(find_pyproject(root))


# -- before the tests -----------------------------------------------------------------------------------------------


def restore(environ: Mapping[str, str]) -> None:
    """Read the inputs, decide the record mode, and put the newest recordings in place."""
    here = context.read(environ)
    folder = Path(tempfile.mkdtemp(prefix="pytest-llmops-", dir=environ.get("RUNNER_TEMP")))
    (folder / "report").mkdir()
    # Whatever is wrong below is told by the report, which follows all the same.
    state = State(inputs.readable(environ), here.workspace, here.workspace, complete=False)
    state.checked_out = recordings.snapshot(state.recordings_root)
    handing.save(folder, state)
    runner.set_output("folder", folder)
    try:
        _restore(folder, here, environ)
    except LlmopsError as error:
        _remember(str(error), {**environ, FOLDER: str(folder)})
        raise


def _restore(folder: Path, here: Context, environ: Mapping[str, str]) -> None:
    given = inputs.read(environ)
    root = (here.workspace / given.working_directory).resolve()
    if not root.is_dir():
        raise SettingsError(f"input working-directory: there is no folder {given.working_directory!r} in the checkout")
    state = State(given, root, root)
    _decide(state, here, testing.has_key(environ))
    state.checked_out = recordings.snapshot(state.recordings_root)
    with runner.group("Recordings"):
        client = _client(here, environ)
        name = artifact_name(given, _recordings_name(given))
        restored = restoring.Restored()
        if state.cassette_dir is None:
            restored = restoring.restore(client, here, root, given.report_name + "-cassettes")
        state.complete = restored.complete
        if here.attempt > 1:
            restoring.restore_attempt(client, here, state.recordings_root, name, restored)
        state.notes += [*restored.notes, *restored.problems]
        _fetch_former(client, here, given, folder)
        auto = " (mode auto records on pull requests)" * (given.mode == "auto" and here.pull_request is None)
        for line in [f"record mode: {state.record}{auto}", *restored.done, *state.notes]:
            _say(line)
    for problem in restored.problems:
        (runner.notice if here.foreign else runner.warning)(problem, title="pytest-llmops")
    handing.save(folder, state)


def _decide(state: State, here: Context, key: bool) -> None:
    """The record mode, and whether a miss could be cured by who opened the pull request."""
    given = state.inputs
    # A push replays what its pull requests had recorded: main buys nothing, and what it compares with was reviewed.
    records = given.mode == "live" or (given.mode == "auto" and key and here.pull_request is not None)
    asked: RecordMode = "refresh" if records else "none"
    state.record = "none" if here.foreign else asked
    if here.pull_request is not None:
        state.can_record = not here.foreign and (given.mode != "auto" or key)
    if given.mode == "live" and here.foreign:
        state.notes.append("Replayed, not live: code from elsewhere is not run with this repository's keys.")
    elif given.mode == "live":
        # Recorded apart from the tests' own cassettes, so that a rerun of the job replays what this attempt asked.
        state.cassette_dir = state.recordings_root = state.root / ".llmops-live"
        shutil.rmtree(state.cassette_dir, ignore_errors=True)  # a runner of one's own keeps its folders
        state.cassette_dir.mkdir()
        (state.cassette_dir / ".gitignore").write_text("*\n", encoding="utf-8")


def _fetch_former(client: rest.Client, here: Context, given: Inputs, folder: Path) -> None:
    """On a rerun of the job: the record of the attempt before."""
    if here.attempt < 2:
        return
    try:
        read = artifacts.read(client, here, here.run_id, artifact_name(given), baselines.RECORD)
    except GitHubError as error:
        runner.warning(f"The former attempt's record could not be fetched: {error}")
        return
    if read and baselines.RECORD in read:
        (folder / FORMER).write_bytes(read[baselines.RECORD])


def choose_baseline(environ: Mapping[str, str]) -> None:
    """Find what to compare with."""
    folder, state, here = _opened(environ)
    client = _client(here, environ)
    changed = baselines.changed_paths(here, client)
    state.changed = changed.paths
    if isinstance(state.inputs.shard, tuple):  # compared once all are together
        handing.save(folder, state)
        return
    if changed.unknown is not None:
        state.notes.append(f"The list of changed recordings, datasets and settings may lack some: {changed.unknown}")
    found = baselines.choose(
        state.inputs,
        here,
        client,
        root=state.root,
        folder=folder / "baseline",
        changed=changed,
        project=_project(state.root),
    )
    state.baseline, state.accept = found.file, baselines.accept_file(state.inputs, state.root)
    if state.inputs.update_baseline and found.file is not None:
        state.before = comparing.copied(found.file, folder / "before")
    state.notes += [*found.notes, *found.warnings]
    state.problem = state.problem or found.problem
    # Read here, not by pytest alone: what is wrong with them is then the run's problem, in the comment, too.
    stored = comparing.load(found.file)
    if stored is not None and state.accept is not None:
        acceptance.load(state.accept)
    state.source = reporting.source(found, stored, state)
    handing.save(folder, state)
    words = f"{found.ref}@{found.sha[:10]}" if found.ref and found.sha else found.file
    _say(f"baseline: {words or 'none'}")
    for note in found.notes:
        runner.notice(note, title="pytest-llmops")
    for warning in found.warnings:
        runner.warning(warning, title="pytest-llmops")
    runner.set_output("baseline-sha", found.sha or "")


# -- the tests ------------------------------------------------------------------------------------------------------


def test(environ: Mapping[str, str]) -> None:
    """Run pytest; its exit status is the gate's business, after everything was reported and uploaded."""
    folder, state, here = _opened(environ)
    report = folder / "report"
    former, trials = _former(folder), state.inputs.trials
    if former is not None and trials == "auto":
        # The trials it added are recorded; the rerun is the whole of it, not its first trial.
        trials = str(1 + max((one.trial for one in former.tests if not one.rerun), default=0))
    args = testing.arguments(
        state.inputs,
        here,
        record=state.record,
        report=report,
        baseline=state.baseline,
        accept=state.accept,
        cassettes=state.cassette_dir,
        trials=trials,
    )
    _say("pytest " + " ".join(args))
    # What a model answers ends up in pytest's output; `::error::` and its like must stay text there.
    with runner.stop_commands():
        state.exit_code = testing.run(args, state.root, state.stored_in)
        runner.echo("")  # output may end within a line, and the end of the stop would be part of it
    if former is not None:
        _take_over(former, state, report)
    handing.save(folder, state)


def _former(folder: Path) -> RunRecord | None:
    try:
        return baseline.load_run(folder / FORMER) if (folder / FORMER).is_file() else None
    except LlmopsError as error:
        runner.warning(f"The former attempt's record is not used: {error}")
        return None


def _take_over(former: RunRecord, state: State, report: Path) -> None:
    file = report / baselines.RECORD
    if not file.is_file():
        return
    now = baseline.load_run(file)
    if comparing.with_former_reruns(now, former):
        comparing.compare_with(now, state)
        baseline.save_run(file, now)
        comparing.write_html(report / "report.html", now, state.compared, state.root)


def merge(environ: Mapping[str, str]) -> None:
    """Put the parts of a matrix together, in place of pytest."""
    folder, state, here = _opened(environ)
    report = folder / "report"
    state.exit_code, junit = sharding.merge(
        _client(here, environ),
        here,
        state,
        report,
        _project(state.root),
        former=_former(folder),
        key=testing.has_key(environ),
    )
    testing.save_junit(folder, junit)
    handing.save(folder, state)


# -- after them -----------------------------------------------------------------------------------------------------


def report(environ: Mapping[str, str]) -> None:
    """Sum up: outputs, summary, comment, annotations; and what is to be uploaded."""
    folder, state, here = _opened(environ)
    files = folder / "report"
    pack = recordings.pack(state.recordings_root, state.checked_out)
    # A push hands on an empty one, too: it says that nothing merged until then need be looked for again.
    kept = bool(pack) or (here.event == "push" and state.cassette_dir is None)
    if kept:
        (folder / "recordings").mkdir(exist_ok=True)
        (folder / "recordings" / recordings.MEMBER).write_text(
            recordings.dump(pack, complete=state.complete), encoding="utf-8"
        )
    if isinstance(state.inputs.shard, tuple):
        sharding.write_status(files, state.exit_code)
        if kept:
            shutil.copy(folder / "recordings" / recordings.MEMBER, files)
    given = state.inputs
    _copy_junit(files / "junit.xml", state)
    runner.set_output("artifact", artifact_name(given))
    runner.set_output("recordings", artifact_name(given, _recordings_name(given)) if kept else "")
    cancelled = environ.get(JOB_STATUS) == "cancelled"
    reporting.report(folder, state, here, _client(here, environ), cancelled=cancelled)
    handing.save(folder, state)


def _copy_junit(file: Path, state: State) -> None:
    path = state.inputs.junit_path
    if path is None or not file.is_file():
        return
    target = state.root / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    except OSError as error:  # the rest is told all the same
        problem = f"input junit-path: {path} could not be written: {error.strerror}"
        runner.error(problem, title="pytest-llmops")
        state.problem = state.problem or problem


def commit(environ: Mapping[str, str]) -> None:
    """Commit new recordings to the pull request's branch (``commit-cassettes``)."""
    folder, state, here = _opened(environ)
    if isinstance(state.inputs.shard, tuple):
        # Several parts would race for the branch, and none of them knows the verdict that a status would tell.
        _say("commit-cassettes: left to the job with `shard: merge`, which has the recordings of all parts")
        return
    file, pull = folder / "recordings" / recordings.MEMBER, here.pull_request
    if pull is None or here.foreign or not file.is_file() or state.cassette_dir is not None:
        runner.echo("nothing to commit")
        return
    client = _client(here, environ)
    try:
        pack = recordings.load(file.read_bytes())
        sha = commits.commit(client, here, pull, pack, reporting.directory(state, here))
        runner.notice(f"Committed {len(pack)} cassettes to {pull.head_ref} as {sha[:10]}.", title="pytest-llmops")
        if talking.speaker(client) == talking.WORKFLOWS_OWN:
            # A push with the workflow's own token starts no checks: the commit would have none at all.
            talking.set_status(client, here, sha, red=state.red, name=reporting.title(state.inputs), text=state.why)
    except LlmopsError as error:
        runner.warning(f"commit-cassettes: {error}", title="pytest-llmops")


def gate(environ: Mapping[str, str]) -> int:
    """The verdict, last of all, so that nothing is lost by it."""
    _, state, _ = _opened(environ)
    line = f"{state.conclusion}: {state.why}"
    if state.red:
        runner.error(line, title="LLM tests")
        return 1
    if state.conclusion == "success" or isinstance(state.inputs.shard, tuple):
        _say(line)
    else:
        runner.notice(line, title="LLM tests")
    return 0


def comment(environ: Mapping[str, str]) -> None:
    """The comment of a finished run, in a job of its own (``on: workflow_run``) that may write."""
    given, here = inputs.read(environ), context.read(environ)
    reporting.comment_on_finished(given, here, _client(here, environ))


STEPS: dict[str, Callable[[Mapping[str, str]], int | None]] = {
    "restore": restore,
    "baseline": choose_baseline,
    "test": test,
    "merge": merge,
    "report": report,
    "commit": commit,
    "gate": gate,
    "comment": comment,
}
