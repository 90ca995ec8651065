"""Which trials of a run are compared with which stored ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_llmops.baseline import Baseline, CaseBaseline
from pytest_llmops.baseline.stored import short_digest, trials_by_case
from pytest_llmops.compare.policy import GateArgument
from pytest_llmops.records import RunRecord, TestRecord
from pytest_llmops.stats import significant


@dataclass(slots=True)
class Pair:
    """A case that is in the run and in the baseline.

    Args:
        positions: the stored trials to compare with, where the run replays only some of them; None: all.
        exact: every trial replayed a recording the baseline was made from, so that any difference is the code's.
        replayed: the same, but some trial came to use only a part of its recording.
    """

    case: str
    trials: list[TestRecord]
    stored: CaseBaseline
    exact: bool = False
    replayed: bool = False
    positions: list[int] | None = None

    @property
    def gate(self) -> GateArgument:
        """The test's own ``gate``."""
        return self.trials[-1].gate

    def samples(self) -> Mapping[str, Sequence[float | None]]:
        """The stored values to compare with, by metric."""
        if self.positions is None:
            return self.stored.samples
        return {name: [values[at] for at in self.positions] for name, values in self.stored.samples.items()}


@dataclass(slots=True)
class Pairing:
    """All cases of a run and a baseline, by what became of them."""

    pairs: list[Pair] = field(default_factory=list)
    trials: list[TestRecord] = field(default_factory=list)
    """All trials of the run that count, paired or not."""
    reruns: dict[str, list[TestRecord]] = field(default_factory=dict)
    fresh: dict[str, list[TestRecord]] = field(default_factory=dict)
    """Trials that are to confirm a regression."""
    fresh_before: dict[str, list[TestRecord]] = field(default_factory=dict)
    """The same of the baseline's code."""
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    """Stored cases whose test function did not run: a part was asked for, or the test is gone."""
    deselected: list[str] = field(default_factory=list)
    """Stored cases that were left out on purpose."""
    skipped: list[str] = field(default_factory=list)


def test_function(case: str) -> str:
    """A case's test function: its node id without parameters (a folder's name may hold a bracket, too)."""
    file, separator, rest = case.partition("::")
    return file + separator + rest.partition("[")[0]


def pair(baseline: Baseline, run: RunRecord, selected: Iterable[str] | None) -> Pairing:
    """Pair a run's cases with the stored ones by their key.

    Args:
        baseline: the stored side.
        run: the run; cases in its ``deselected`` are not missing.
        selected: if given, only these cases can be missing.
    """
    found = Pairing()
    by_case = trials_by_case(run.tests)
    for case in sorted(by_case):
        trials = [trial for trial in by_case[case] if trial.outcome != "skipped"]
        stored = baseline.cases.get(case)
        found.trials += trials
        if not trials:
            found.skipped.append(case)
        elif stored is None:
            found.new.append(case)
        elif stored.dataset_fingerprint != trials[-1].dataset_fingerprint:
            found.changed.append(case)
        else:
            found.pairs.append(_matched(Pair(case, trials, stored)))
    left_out = {*run.deselected}
    found.deselected = sorted(baseline.cases.keys() & left_out - by_case.keys())
    found.missing, found.idle = _missing(baseline.cases, by_case, left_out, selected)
    for test in run.tests:
        if test.rerun:
            kind = found.fresh_before if test.of_baseline else found.fresh if test.confirms else found.reruns
            kind.setdefault(test.case, []).append(test)
    return found


def _missing(
    stored: Iterable[str], ran: Collection[str], deselected: set[str], selected: Iterable[str] | None
) -> tuple[list[str], list[str]]:
    """Stored cases that a test which ran no longer has, and those of tests that did not run."""
    absent = {case for case in stored if case not in ran} - deselected
    if selected is not None:
        absent &= {*selected}
    if not absent:
        return [], []
    functions = {test_function(case) for case in ran}
    missing = {case for case in absent if test_function(case) in functions}
    return sorted(missing), sorted(absent - missing)


def _matched(found: Pair) -> Pair:
    """Find the stored trial of every replayed one; the pair is exact where each has its own, wholly replayed."""
    free = {position: digest for position, digest in enumerate(found.stored.digests) if digest}
    if not free:
        return found
    positions, exact = [], True
    for trial in found.trials:
        match = _match(trial, trial.cassette.digest, found.stored, free)
        if match is None:
            # Code that breaks between two calls uses a part of its recording: chance is in that no more than else.
            exact, match = False, _match(trial, trial.cassette.recording, found.stored, free)
        if match is None:
            return found
        del free[match]
        positions.append(match)
    found.exact, found.replayed = exact, True
    if positions != list(range(len(found.stored.digests))):
        found.positions = positions
    return found


def _match(trial: TestRecord, digest: str | None, stored: CaseBaseline, free: Mapping[int, str]) -> int | None:
    """The position of the stored trial with this recording, the one of the same number where several have it."""
    same = [position for position in free if free[position] == short_digest(digest)]
    same.sort(key=lambda position: position != trial.trial)
    return next((position for position in same if _is_replay(trial, stored, position)), None)


def _is_replay(trial: TestRecord, stored: CaseBaseline, position: int) -> bool:
    """Whether the trial replays this stored one.

    A live trial counts where all its numbers are the stored ones: it is the recording run itself. A provider that
    gave the same answers once more would have other times. One without calls that has a digest all the same measured
    a guardrail on the same labelled texts.
    """
    if not trial.cassette.live:
        return True
    return all(
        measured.value is None
        or significant(measured.value) == (stored.samples.get(name) or {position: None})[position]
        for name, measured in trial.measurements.items()
    )
