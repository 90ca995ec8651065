"""What of a run its reviewer has to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_llmops.baseline.stored import trials_by_case
from pytest_llmops.compare import Policy, case_fails, fails
from pytest_llmops.compare.cases import is_miss
from pytest_llmops.records import BrokenCase, CaseDelta, CaseFinding, Comparison, MetricComparison, TestRecord
from pytest_llmops.reports.pull_request.view import View


@dataclass
class Case:
    """A case that got worse, with everything known about how.

    Args:
        falls: by metric, its part in that metric's regression.
    """

    name: str
    trials: Sequence[TestRecord] = ()
    broken: BrokenCase | None = None
    finding: CaseFinding | None = None
    falls: list[tuple[MetricComparison, CaseDelta]] = field(default_factory=list)


@dataclass
class Findings:
    """What is red, and what stands beside it.

    Args:
        metrics: red rows.
        worse: broken and errored cases, and those that metrics fell most in.
        failed: cases that miss their threshold now, and are in none of the other lists; `failed_before` those that
            missed it in the baseline, too.
        missing: cases that are gone and gate; `gone` those that do not.
    """

    metrics: list[MetricComparison] = field(default_factory=list)
    worse: list[Case] = field(default_factory=list)
    failed: list[Case] = field(default_factory=list)
    failed_before: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    suspects: list[CaseFinding] = field(default_factory=list)
    broken: int = 0
    errored: int = 0
    unrecorded: set[str] = field(default_factory=set)


def find(view: View) -> Findings:
    """Look through a run and its comparison."""
    if view.run is None:
        return Findings()
    trials = trials_by_case(view.run.tests)
    found = Findings(unrecorded=_unrecorded(view, trials))
    cases: dict[str, Case] = {}
    if view.run.comparison is not None:
        _compared(found, cases, view, view.run.comparison)
    for name, case in cases.items():
        case.trials = trials.get(name, ())
    found.worse = list(cases.values())
    known = cases.keys() | found.unrecorded | _accepted(view) | {*view.refuted}
    failed = [Case(name, of_case) for name, of_case in trials.items() if name not in known and case_fails(of_case)]
    before = set(view.failed_before)
    found.failed = [case for case in failed if case.name not in before]
    found.failed_before = [case.name for case in failed if case.name in before]
    return found


def _unrecorded(view: View, trials: Mapping[str, Sequence[TestRecord]]) -> set[str]:
    """Cases that fail for want of a recording alone, where only a maintainer can record."""
    asked = {one.test for one in view.needs_recording}
    found = set()
    for case, of_case in trials.items():
        failed = [trial for trial in of_case if trial.outcome in ("failed", "error")]
        named = asked & {case, case.partition("[")[0], *(trial.id for trial in failed)}
        if named and failed and all(map(is_miss, failed)):
            found.add(case)
    return found


def _compared(found: Findings, cases: dict[str, Case], view: View, comparison: Comparison) -> None:
    policy = Policy(inconclusive="fail" if view.fail_on_inconclusive else "pass")
    found.metrics = [
        row
        for row in comparison.metrics
        if fails(row, policy)
        and not row.accepted
        # Without a value because recordings are missing: that is told once, with what to do.
        and not (view.needs_recording and not row.cases and (row.reason or "").startswith("no value in"))
    ]
    for broken in comparison.broken_cases:
        if not broken.accepted:
            cases.setdefault(broken.case, Case(broken.case)).broken = broken
            found.broken += 1
    for finding in comparison.findings:
        if finding.accepted or finding.case in found.unrecorded:
            continue
        if finding.finding == "errored" and finding.fails:
            cases.setdefault(finding.case, Case(finding.case)).finding = finding
            found.errored += 1
        elif finding.finding == "missing":
            (found.missing if finding.fails else found.gone).append(finding.case)
        elif finding.finding == "suspect":
            found.suspects.append(finding)
    for row in found.metrics:
        for fall in row.worst_cases:
            cases.setdefault(fall.case, Case(fall.case)).falls.append((row, fall))
    found.edited = list(comparison.changed_cases)
    edited = set(found.edited)
    found.new = [case for case in comparison.new_cases if case not in edited]


def _accepted(view: View) -> set[str]:
    comparison = view.run.comparison if view.run else None
    if comparison is None:
        return set()
    broken = {one.case for one in comparison.broken_cases if one.accepted}
    return broken | {one.case for one in comparison.findings if one.accepted}
