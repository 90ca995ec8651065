"""The parts of a matrix, put together by its last job."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llmops import baseline, compare
from pytest_llmops.errors import GitHubError
from pytest_llmops.github import artifacts, comparing, recordings, rest
from pytest_llmops.github.context import Context
from pytest_llmops.github.handing import State
from pytest_llmops.github.testing import JUnit, children, parse_junit
from pytest_llmops.records import RunRecord
from pytest_llmops.rerunning import Terms, spent
from pytest_llmops.settings import ProjectSettings

STATUS = "shard.json"
JUNIT = "junit.xml"
RECORD = "run.json"
INTERRUPTED = 2
"""Pytest's exit status of a run that was broken off."""


@dataclass(slots=True)
class Parts:
    """What the parts of a run left behind."""

    records: list[tuple[str, RunRecord]] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    messages: dict[tuple[str, str], str] = field(default_factory=dict)


def merge(
    client: rest.Client,
    context: Context,
    state: State,
    report: Path,
    project: ProjectSettings,
    *,
    former: RunRecord | None = None,
    key: bool = False,
) -> tuple[int, JUnit]:
    """Fetch the parts of this run, merge and compare them, and write the whole's files.

    What a live run asks once more is asked here, since no part knows the baseline.

    Args:
        client: GitHub's.
        context: the run of the workflow.
        state: of this job.
        report: the folder for the files.
        project: its settings.
        former: what this job left in its former attempt; its fresh trials were paid for, and are not bought again.
        key: whether a provider could be asked from here.

    Returns:
        The exit status pytest would have had, and what JUnit's files said.

    Raises:
        GitHubError: a part is missing or cannot be read.
        BaselineError: the parts are not one run's.
    """
    parts = _fetch(client, context, state, report.parent / "shards")
    run = compare.merge(parts.records, settings=project.metrics)
    run.tests += comparing.reruns_of(former, run) if former is not None else []
    again = _again(run, context, state)
    failures = comparing.compare_with(run, state, again if key else None)
    if failures and not key and again is not None and run.comparison and any(test.cassette.live for test in run.tests):
        run.comparison.notes.append("nothing was run once more: this job has no provider's key, as the parts have")
    gate = [] if state.inputs.update_baseline else [failure.name for failure in failures]
    baseline.save_run(report / RECORD, run)
    comparing.write_html(report / "report.html", run, state.baseline, state.root)
    if state.inputs.update_baseline and state.baseline is not None:
        comparing.update(state.baseline, run, project)
    crashed = [code for code in parts.exits if code not in (0, 1, 5)]
    failed = 1 in parts.exits or bool(gate)
    return (crashed[0] if crashed else int(failed)), JUnit(tuple(gate), tuple(parts.others), parts.messages)


def _again(run: RunRecord, context: Context, state: State) -> comparing.Again | None:
    if state.inputs.update_baseline:
        return None
    rootdir = (state.root / (run.environment.rootdir or ".")).resolve()
    scheduled, most = context.event == "schedule", state.inputs.max_cost_usd
    terms = Terms(
        state.record,
        # This job's own, as each part had one for itself.
        None if most is None else most + spent(run.tests),
        confirm=scheduled,
        failures=scheduled,
    )
    return comparing.Again(children(state.inputs, state.root, rootdir), terms)


def _fetch(client: rest.Client, context: Context, state: State, folder: Path) -> Parts:
    prefix = f"{state.inputs.report_name}-shard-"
    found = artifacts.named(client, context, context.run_id, prefix)
    if not found:
        raise GitHubError(
            f"this run has no artifact {prefix}…: the jobs with `shard: 1/N` come first (`needs:`), under the same "
            "report-name"
        )
    folder.mkdir(exist_ok=True)
    parts = Parts()
    for name, number in found.items():
        read = artifacts.members(client, context, number, RECORD, STATUS, JUNIT, recordings.MEMBER)
        if RECORD not in read or STATUS not in read:
            raise GitHubError(f"{name} holds no run record: pytest crashed in that shard; see its log")
        file = folder / f"{name}.json"
        file.write_bytes(read[RECORD])
        record = baseline.load_run(file)
        junit = parse_junit(read.get(JUNIT, b""), record)
        parts.records.append((name, record))
        parts.exits.append(int(json.loads(read[STATUS])["exit_code"]))
        parts.others += junit.others
        parts.messages.update(junit.messages)
        if recordings.MEMBER in read:
            recordings.apply(state.recordings_root, recordings.load(read[recordings.MEMBER]))
    return parts


def write_status(report: Path, exit_code: int | None) -> None:
    """What the last job must know of a part, beside its record."""
    ended = INTERRUPTED if exit_code is None else exit_code
    (report / STATUS).write_text(json.dumps({"exit_code": ended}), encoding="utf-8")
