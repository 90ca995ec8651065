"""All that a pull request's comment, job summary and annotations are made from."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pytest_llmops.acceptance import Accepted
from pytest_llmops.baseline.stored import trials_by_case
from pytest_llmops.records import RunRecord

if TYPE_CHECKING:
    from pytest_llmops.baseline import Baseline

Conclusion = Literal["success", "regression", "failure", "needs-recording", "error"]
Level = Literal["error", "warning", "notice"]


@dataclass(frozen=True)
class BaselineSource:
    """Where the baseline came from.

    Args:
        ref: the branch whose run made it; None where it is a committed file.
        sha: the commit whose run made it.
        created: the moment at which it was made.
        path: the committed file; None where it is an artifact.
    """

    ref: str | None = None
    sha: str | None = None
    created: datetime | None = None
    path: str | None = None


@dataclass(frozen=True)
class NeedsRecording:
    """A test that asks what no recording answers, where this pull request cannot record.

    Args:
        test: the test's node id.
        changed: what changed, in words (the miss says what differs).
        command: what a maintainer runs.
        prompt: the registry prompt that changed, where it is known.
        whole: the command runs every test: this one's name could be something else than a name there.
    """

    test: str
    changed: str = ""
    command: str = ""
    prompt: str | None = None
    whole: bool = False


@dataclass(frozen=True)
class View:
    """A run as its pull request shows it. Every text in it may be hostile; links are made of checked parts only.

    Args:
        run: the run with its comparison; None where it left no record.
        conclusion: what the gate concluded.
        title: begins the comment, and tells several of one pull request apart for people.
        comment_id: tells them apart for the program.
        baseline: where the baseline came from.
        repository: ``owner/name``.
        server_url: GitHub's.
        head_sha: the pull request's newest commit.
        run_url: the workflow run; `report_url` the HTML report's artifact.
        directory: the working directory, below the repository.
        changed: paths that this pull request changes.
        accepted: entries of ``llm-accept.toml``.
        needs_recording: what only a maintainer can record.
        cancelled: the run was broken off from outside; no comment tells of it.
        foreign: a fork's own code measured this and chose its words.
        storing: the command that makes a run the baseline.
        notes: remarks for the reader, a sentence each.
        answers: the baseline's answers by case, one a trial.
        fixed: cases that failed in the baseline and pass now; `failed_before` all that failed there.
        cost_before: USD that the baseline's trials of the cases compared cost; `cost_now` what these cost now.
        refuted: cases that failed at first and not when they were run once more.
        updated: the baseline is written from this run; what it compared badly in is shown and fails nothing.
        fail_on_inconclusive: whether an inconclusive gated metric is red.
    """

    run: RunRecord | None
    conclusion: Conclusion
    title: str = "LLM tests"
    comment_id: str = "default"
    baseline: BaselineSource | None = None
    repository: str = ""
    server_url: str = "https://github.com"
    pull_request: int | None = None
    head_sha: str | None = None
    run_url: str | None = None
    report_url: str | None = None
    directory: str = ""
    changed: tuple[str, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    needs_recording: tuple[NeedsRecording, ...] = ()
    cancelled: bool = False
    foreign: bool = False
    storing: str = "pytest --llm-baseline=baseline.json --llm-update-baseline"
    notes: tuple[str, ...] = ()
    answers: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    failed_before: tuple[str, ...] = ()
    cost_before: float | None = None
    cost_now: float | None = None
    refuted: tuple[str, ...] = ()
    updated: bool = False
    fail_on_inconclusive: bool = False


@dataclass(frozen=True)
class Annotation:
    """A remark in the list of changed files; plain text.

    Args:
        file: path in the repository; None where it belongs to no file.
        line: from 1; None where it is not known.
    """

    message: str
    title: str
    level: Level = "error"
    file: str | None = None
    line: int | None = None


def root(directory: str, run: RunRecord | None) -> str:
    """The folder, below the repository, that a run's test ids begin in; `directory` is where pytest was started."""
    begins = run.environment.rootdir if run is not None else None
    return posixpath.normpath(posixpath.join(directory, begins or "."))


def fixed_cases(stored: Baseline, run: RunRecord) -> tuple[str, ...]:
    """Cases that missed their threshold in the baseline and pass now, every trial of them."""
    trials = trials_by_case(run.tests)
    return tuple(case for case in failed_before(stored, run) if all(one.outcome == "passed" for one in trials[case]))


def failed_before(stored: Baseline, run: RunRecord) -> tuple[str, ...]:
    """Cases of this run that missed their threshold in the baseline."""
    found = []
    for case in trials_by_case(run.tests):
        before = stored.cases.get(case)
        known = [value for value in before.samples.get("pass", ()) if value is not None] if before else []
        threshold = 1.0 if before is None or before.threshold is None else before.threshold
        if known and sum(value == 1 for value in known) < threshold * len(known) - 1e-9:
            found.append(case)
    return tuple(found)


def costs(stored: Baseline, run: RunRecord) -> tuple[float | None, float | None]:
    """USD of the cases compared, a trial of each: in the baseline, and now; None where no cost is known on both sides.

    The application's alone (``cost_usd``): what judges cost is no property of the application.
    """
    before = now = 0.0
    known = False
    for case, trials in trials_by_case(run.tests).items():
        old = stored.cases[case].samples.get("cost_usd", ()) if case in stored.cases else ()
        new = [trial.measurements["cost_usd"].value for trial in trials if "cost_usd" in trial.measurements]
        one, other = _mean(old), _mean(new)
        if one is not None and other is not None:
            before, now, known = before + one, now + other, True
    return (before, now) if known else (None, None)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def marker(comment_id: str) -> str:
    """The line by which a comment is found again: ``<!-- pytest-llmops:ID -->``.

    An id that cannot stand there as it is (it is long, or not ASCII) is told apart by a hash.
    """
    name = re.sub(r"[^A-Za-z0-9._]+", "-", comment_id)[:64].strip("-.")
    if name != comment_id:
        digest = hashlib.sha256(comment_id.encode("utf-8", "replace")).hexdigest()[:8]
        name = f"{name[:55]}-{digest}".lstrip("-")
    return f"<!-- pytest-llmops:{name} -->"
