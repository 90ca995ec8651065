"""Cases that fail by themselves, baseline or not: what pytest's exit says of them, read from the record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_llmops.baseline.stored import trials_by_case
from pytest_llmops.records import TestRecord


def failing_cases(tests: Iterable[TestRecord]) -> dict[str, list[TestRecord]]:
    """The cases that failed, with their trials; reruns do not count."""
    return {case: trials for case, trials in trials_by_case(tests).items() if case_fails(trials)}


def case_fails(trials: Sequence[TestRecord]) -> bool:
    """Whether a case fails: by its threshold, or by a trial that broke down or could not be measured."""
    if any(trial.outcome == "error" or _unmeasured(trial) for trial in trials):
        return True
    ran = [trial for trial in trials if trial.outcome in ("passed", "failed")]
    threshold = trials[-1].threshold
    if not ran or threshold is None:
        return False
    return sum(trial.outcome == "passed" for trial in ran) / len(ran) < threshold - 1e-9


def _unmeasured(trial: TestRecord) -> bool:
    """A recording that is missing, or a judge that failed: no threshold tolerates that."""
    measured = trial.measurements.get("pass")
    return measured is not None and measured.status == "error"
