"""More trials after a live run: of suspects, of regressions, of failures, and where one is not enough.

They are run in a pytest of their own, and reruns use no cassettes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.child_runs import ChildFailed, Children
from pytest_llmops.configuration import MOST_TRIALS

if TYPE_CHECKING:
    from pytest_llmops.compare import Policy
    from pytest_llmops.records import Comparison, RunRecord, TestRecord

MOST_SUSPECTS = 25
"""More broken cases than that show in the metrics; running them all again would cost as much as the run."""


@dataclass
class Rerun:
    """What came of it: records to add to the run, and what the report is to say."""

    tests: list[TestRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms more trials are run.

    Args:
        record: the run's record mode; on replay none are.
        budget: USD that all live calls may cost, those of the run so far among them; None: no limit.
        confirm: whether a regression needs fresh trials that show it as well.
        baseline_root: a checkout of the baseline's code, whose fresh trials a regression is confirmed against.
        failures: whether a live failure is looked at once more, too.
    """

    record: str
    budget: float | None = None
    confirm: bool = False
    baseline_root: Path | None = None
    failures: bool = False


def settle(
    children: Children, terms: Terms, run: RunRecord, compared: Callable[[], Comparison], policy: Policy
) -> Comparison:
    """Compare a run, with fresh trials of suspects, of what regressed and of what failed where it was live.

    Args:
        children: run them.
        terms: say which.
        run: the run; they are added to it.
        compared: compares it as it is by then.
        policy: the gate's.
    """
    from pytest_llmops import compare

    found = compared()
    notes: list[str] = []

    def again(more: Rerun) -> Comparison:
        notes.extend(more.notes)
        if not more.tests:
            return found
        add(run, more.tests)
        return compared()

    if found.suspect_cases:
        found = again(suspects(children, terms, run, found))
    if terms.confirm:
        found = again(confirmation(children, terms, run, compare.unconfirmed(found, policy)))
    if terms.failures:
        found = again(failed(children, terms, run, found.suspect_cases))
    found.notes += notes
    return found


def add(run: RunRecord, tests: Sequence[TestRecord]) -> None:
    """Put more trials into a run's record."""
    from pytest_llmops.compare import cost_by_tag

    run.tests = sorted([*run.tests, *tests], key=lambda test: (test.case, test.trial))
    run.cost_by_tag = cost_by_tag(run.tests)


def suspects(children: Children, terms: Terms, run: RunRecord, comparison: Comparison) -> Rerun:
    """Run the suspects of a live or recording run five times more; nothing where there are none, or on replay."""
    live = {test.case for test in run.tests if test.cassette.live}
    cases = [case for case in comparison.suspect_cases if case in live]
    if terms.record == "none" or not cases:
        return Rerun()
    budget = _left(terms, run)
    if budget is not None and budget <= 0:
        return Rerun(notes=["the suspects were not run again: the budget is spent"])
    found = Rerun()
    if len(cases) > MOST_SUSPECTS:
        found.notes.append(f"{MOST_SUSPECTS} of {len(cases)} suspects were run again")
        cases = cases[:MOST_SUSPECTS]
    children.announce(f"llmops: running {len(cases)} suspect case{'s' * (len(cases) != 1)} {MOST_TRIALS} times more")
    took = sum(test.duration_s for test in run.tests if test.case in cases)
    try:
        ids = [nodeid for case in cases for nodeid in children.ids(case, range(MOST_TRIALS))]
        orders = {"record": "live", "budget": budget, "trials": MOST_TRIALS}
        tests = children.run(ids, orders, timeout=120 + 50 * took)
    except ChildFailed as error:
        found.notes.append(f"the suspects could not be run again: {error}")
        return found
    for test in tests:
        if test.case in cases:
            test.rerun = True
            found.tests.append(test)
    return found


def trials(children: Children, terms: Terms, run: RunRecord, unsettled: Sequence[str]) -> Rerun:
    """Run the other trials of every case that ran live; they count like those of the run.

    Args:
        children: run them.
        terms: the run's.
        run: the run, of one trial a case.
        unsettled: the gated metrics that one trial did not settle.
    """
    cases = sorted({test.case for test in run.tests if test.cassette.live})
    if terms.record == "none" or not cases:
        return Rerun()
    budget = _left(terms, run)
    if budget is not None and budget <= 0:
        return Rerun(notes=["no more trials were run: the budget is spent"])
    more = range(1, MOST_TRIALS)
    children.announce(f"llmops: one trial did not settle {', '.join(unsettled)}; running {len(more)} more of each case")
    took = sum(test.duration_s for test in run.tests)
    ids = [nodeid for case in cases for nodeid in children.ids(case, more)]
    orders = {"record": terms.record, "budget": budget, "trials": MOST_TRIALS}
    try:
        tests = children.run(ids, orders, timeout=600 + 50 * took, parallel=True)
    except ChildFailed as error:
        return Rerun(notes=[f"more trials could not be run: {error}"])
    return Rerun([test for test in tests if test.case in cases and test.trial in more])


def confirmation(children: Children, terms: Terms, run: RunRecord, regressed: Sequence[str]) -> Rerun:
    """Run the cases of metrics that regressed once more, with as many trials as they had; nothing on replay.

    The baseline's code comes first, where there is a checkout of it: if it cannot be run, nothing else is paid for.

    Args:
        children: run them.
        terms: the run's.
        run: the run.
        regressed: the metrics in question.
    """
    had: dict[str, int] = {}
    for test in run.tests:
        if not test.rerun and test.cassette.live and any(_gates(test, metric) for metric in regressed):
            had[test.case] = had.get(test.case, 0) + 1
    if terms.record == "none" or not had:
        return Rerun()
    names = ", ".join(regressed)
    budget = _left(terms, run)
    if budget is not None and budget <= 0:
        return Rerun(notes=[f"{names} could not be confirmed by fresh trials: the budget is spent"])
    fresh = f"{sum(had.values())} fresh trials of {len(had)} cases"
    fresh += ", and as many of the baseline's code," if terms.baseline_root else ""
    children.announce(f"llmops: {names} regressed; running {fresh} to confirm it")
    took = sum(test.duration_s for test in run.tests if test.case in had)
    orders = {"record": "live", "budget": budget, "trials": max(MOST_TRIALS, *had.values())}
    found = Rerun()
    try:
        for root in (terms.baseline_root, None) if terms.baseline_root else (None,):
            ids = [nodeid for case, trials in had.items() for nodeid in children.ids(case, range(trials), root)]
            tests = children.run(ids, orders, timeout=600 + 10 * took, parallel=True, root=root)
            for test in tests:
                test.rerun = test.confirms = True
                test.of_baseline = root is not None
            found.tests += [test for test in tests if test.case in had]
            orders["budget"] = _left(terms, run, found.tests)
    except ChildFailed as error:
        found.notes.append(f"{names} could not be confirmed by fresh trials: {error}")
    return found


def failed(children: Children, terms: Terms, run: RunRecord, suspects: Collection[str]) -> Rerun:
    """Run live cases that failed once more, with as many trials as they had, where nothing else ran them again.

    For who asks whether a failure lasts (the action, on a schedule); pytest itself has failed by then. Trials that
    broke down are not chance's doing, and are left alone.
    """
    from pytest_llmops.compare import failing_cases

    settled = {test.case for test in run.tests if test.rerun} | {*suspects}
    live = {test.case for test in run.tests if test.cassette.live} - settled
    had = {
        case: len(trials)
        for case, trials in failing_cases(run.tests).items()
        if case in live and all(trial.outcome in ("passed", "failed") for trial in trials)
    }
    budget = _left(terms, run)
    # More of them than that are no chance either.
    if terms.record == "none" or not 0 < len(had) <= MOST_SUSPECTS or (budget is not None and budget <= 0):
        return Rerun()
    children.announce(f"llmops: running {len(had)} failed case{'s' * (len(had) != 1)} once more")
    took = sum(test.duration_s for test in run.tests if test.case in had)
    orders = {"record": "live", "budget": budget, "trials": max(MOST_TRIALS, *had.values())}
    ids = [nodeid for case, trials in had.items() for nodeid in children.ids(case, range(trials))]
    try:
        tests = children.run(ids, orders, timeout=600 + 10 * took, parallel=True)
    except ChildFailed as error:
        return Rerun(notes=[f"what failed could not be run once more: {error}"])
    for test in tests:
        test.rerun = True
    return Rerun([test for test in tests if test.case in had])


def _gates(test: TestRecord, metric: str) -> bool:
    """Whether a test can have a part in a gated metric's change."""
    if metric not in test.measurements or test.gate is False:
        return False
    return test.gate is None or metric in test.gate or metric.partition("#")[0] in test.gate


def _left(terms: Terms, run: RunRecord, more: Sequence[TestRecord] = ()) -> float | None:
    return None if terms.budget is None else terms.budget - spent([*run.tests, *more])


def spent(tests: Iterable[TestRecord]) -> float:
    """USD of the live calls of some tests, judges' included, as far as their prices are known."""
    return sum(call.cost_usd or 0.0 for test in tests for call in test.calls if not call.replayed)
