"""What an update of the baseline should have its user know."""

from __future__ import annotations

from pytest_llmops import baseline
from pytest_llmops.baseline import Baseline
from pytest_llmops.records import RunRecord
from pytest_llmops.reports import text

NAMED = 3


def lines(old: Baseline | None, updated: Baseline, run: RunRecord, min_cases: int) -> list[str]:
    """Values that were dropped, failures that are stored now, too few cases, and cases with few trials; a line each.

    Args:
        old: the baseline before.
        updated: the same after it.
        run: what it was updated from.
        min_cases: fewer are not compared by statistics.
    """
    few = _few_cases(updated, min_cases)
    return [*baseline.dropped(old, updated), *_failing(run), *few, *_few_trials(updated, run)]


def _failing(run: RunRecord) -> list[str]:
    """A baseline made of failures lets them pass from then on."""
    passed: dict[str, bool] = {}
    for case, trials in baseline.trials_by_case(run.tests).items():
        measured = [one for trial in trials if (one := trial.measurements.get("pass")) is not None]
        if measured and not baseline.partial(trials):
            passed[case] = any(one.value == 1 for one in measured)
    failing = [case for case, ever in passed.items() if not ever]
    if not failing:
        return []
    some = ", ".join(failing[:NAMED]) + (" …" if len(failing) > NAMED else "")
    count = f"{len(failing)} of {text.count(len(passed), 'case')}"
    return [f"{count} failed all their trials, and the baseline holds that now: {some}"]


def _few_cases(updated: Baseline, min_cases: int) -> list[str]:
    """New answers of a handful of cases settle nothing: a team should know before it trusts a green gate."""
    count = len(updated.cases)
    if not 0 < count < min_cases:
        return []
    return [
        f"{text.count(count, 'case')}: changes are told from noise from {min_cases} cases on (min_cases);\n        "
        "fewer are compared on unchanged recordings, and where a case breaks."
    ]


def _few_trials(updated: Baseline, run: RunRecord) -> list[str]:
    few = baseline.cases_below_guard(updated)
    if not few:
        return []
    tests = [test for test in run.tests if not test.rerun]
    known = [call.cost_usd for test in tests for call in test.calls if call.cost_usd is not None]
    trials = baseline.GUARD_TRIALS
    # Cases that did not run are taken to cost as much as those that did.
    price = f", about {text.amount(sum(known) / len(tests) * trials * len(few), 'cost')}" if known else ""
    have = "has" if len(few) == 1 else "have"
    return [
        f"{len(few)} of {text.count(len(updated.cases), 'case')} {have} fewer than {trials} trials, so a single case "
        f"that breaks cannot be told from bad luck;\n        record them with --llm-trials={trials}{price}."
    ]
