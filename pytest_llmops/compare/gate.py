"""compare(): a run and a baseline in, a Comparison out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Any

from pytest_llmops import acceptance
from pytest_llmops.acceptance import Accepted
from pytest_llmops.baseline import Baseline, MetricDefinition
from pytest_llmops.baseline.stored import definition_of, differences, two_definitions
from pytest_llmops.collector import paused
from pytest_llmops.compare import cases, columns, confirming, drift, metrics, problems, prompts, repricing
from pytest_llmops.compare.failures import fails
from pytest_llmops.compare.pairing import Pair, Pairing, pair
from pytest_llmops.compare.policy import Policy, gates, rule_for, uncalibrated
from pytest_llmops.records import Comparison, Fingerprint, MetricComparison, RunRecord, TestRecord

DEFINED_BY = attrgetter("direction", "kind", "source", "unit", "definition")


@dataclass(slots=True)
class _State:
    """What is known half-way: metrics with numbers to test, and those that have a verdict without any.

    Args:
        lost: by gated metric, cases without a value now.
        gone: metrics that do not gate and have no value any more.
    """

    tested: list[metrics.Tested] = field(default_factory=list)
    settled: list[MetricComparison] = field(default_factory=list)
    lost: dict[str, list[Pair]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


@paused()
def compare(
    baseline: Baseline,
    run: RunRecord,
    policy: Policy | None = None,
    *,
    selected: Collection[str] | None = None,
    accept: Sequence[Accepted] = (),
) -> Comparison:
    """Compare a run with its baseline.

    Args:
        baseline: the stored side.
        run: the run, with the reruns of its suspects if there were any.
        policy: the gate's settings.
        selected: if given, only these cases can be missing; else those whose test function ran.
        accept: accepted changes; accepted cases are left out of the metrics' means.
    """
    policy = policy or Policy()
    pairing = pair(baseline, run, selected)
    definitions, conflicts = _definitions(pairing.trials, policy)
    accepted = _accepted_cases({*baseline.cases, *pairing.changed}, accept, policy)
    pairs = [one for one in pairing.pairs if one.case not in accepted]
    state = _measured(baseline, pairs, definitions, conflicts, policy, run.fingerprint)
    judged = metrics.judge(state.tested, policy)
    confirming.settle(judged, pairs, pairing, definitions, policy, (baseline.fingerprint, run.fingerprint))
    if prices := ", ".join(repricing.changed(pairs, baseline.fingerprint, run.fingerprint).values()):
        _tell_prices(judged, prices)
    result = Comparison(
        baseline=baseline.path,
        metrics=sorted(judged + state.settled, key=lambda row: (not row.gate, row.metric)),
        missing_cases=pairing.missing,
        new_cases=sorted(pairing.new + pairing.changed),
        changed_cases=pairing.changed,
        deterministic=bool(pairing.pairs) and all(one.exact for one in pairing.pairs),
    )
    _add_cases(result, baseline, pairing, state, definitions, policy, run.taken_out)
    _accept(result, accept, accepted, policy)
    result.accepted += _left_out(result, pairing, accepted)
    result.problems = problems.found(baseline, run, policy)
    known = {*baseline.metrics, *definitions}
    result.notes = _notes(baseline, run, pairing, state, definitions)
    result.notes += cases.without_value(state.lost, result.errored_cases)
    result.prompt_changes = prompts.changes(baseline.fingerprint, run.fingerprint)
    result.notes += acceptance.remarks(accept, policy.today, known, {*baseline.cases, *pairing.new})
    return result


def _accepted_cases(cases: Collection[str], accept: Sequence[Accepted], policy: Policy) -> dict[str, str]:
    """Cases to what accepts them, in words."""
    if not accept:
        return {}
    return {case: words for case in cases if (words := acceptance.find(accept, policy.today, case=case))}


def _left_out(result: Comparison, pairing: Pairing, accepted: dict[str, str]) -> list[str]:
    """Accepted cases that nothing else is said of."""
    shown = {one.case for one in result.broken_cases} | {one.case for one in result.findings}
    cases = (one.case for one in pairing.pairs if one.case in accepted and one.case not in shown)
    return [f"{case} (left out): {accepted[case]}" for case in cases]


def _definitions(
    trials: Sequence[TestRecord], policy: Policy
) -> tuple[dict[str, MetricDefinition], dict[str, tuple[str, str]]]:
    """What each metric of the run means, and the names that two tests use with different meanings."""
    found: dict[str, MetricDefinition] = {}
    owners: dict[str, str] = {}
    conflicts: dict[str, tuple[str, str]] = {}
    last: list[Any] = []
    for trial in trials:
        # Most trials measure what the one before did; only the others are looked at one by one.
        row: list[Any] = [*trial.measurements, *map(DEFINED_BY, trial.measurements.values())]
        if row == last:
            continue
        scored = {name: measured for name, measured in trial.measurements.items() if measured.value is not None}
        for name, measured in scored.items():
            here = definition_of(name, measured, policy.metrics)
            if found.setdefault(name, here) != here:
                conflicts.setdefault(name, (owners[name], trial.id))
            owners.setdefault(name, trial.id)
        last = row if len(scored) == len(trial.measurements) else []
    return found, conflicts


def _measured(
    baseline: Baseline,
    pairs: Sequence[Pair],
    definitions: dict[str, MetricDefinition],
    conflicts: dict[str, tuple[str, str]],
    policy: Policy,
    fingerprint: Fingerprint,
) -> _State:
    state = _State()
    prices = ", ".join(repricing.changed(pairs, baseline.fingerprint, fingerprint).values())
    costs = repricing.at_stored_prices(pairs, baseline.fingerprint, fingerprint)
    sheet = columns.sheet(pairs, costs)
    gating = columns.Gating(pairs)
    for name, stored in baseline.metrics.items():
        now = definitions.get(name)
        if name in conflicts:
            reason = two_definitions(name, *conflicts[name])  # an error of the suite, whether or not it gates
            state.settled.append(metrics.not_comparable(name, True, reason, now))
            continue
        tested = metrics.measure(name, now or stored, policy, sheet, gating.mask(name, now or stored, policy))
        compared = bool(tested.cases or tested.skipped)
        if not compared and not tested.lost:
            if now:
                state.tested.append(tested)
        elif now and (changes := differences(stored, now)):
            reason = f"changed since the baseline: {', '.join(changes)}"
            if now.source == "judge" and stored.definition != now.definition:
                reason += _judges(baseline.fingerprint, fingerprint)
            state.settled.append(metrics.not_comparable(name, tested.rule.gate, reason, now))
        elif now and tested.rule.gate and (why := uncalibrated(name, now, policy)):
            state.settled.append(metrics.not_comparable(name, True, why, now))
        elif compared:
            if now and now.kind == "cost" and prices and (costs is None or name != repricing.METRIC):
                state.settled.append(metrics.at_other_prices(tested, prices))
            else:
                state.tested.append(tested)
            if tested.rule.gate:
                state.lost[name] = tested.lost
        elif tested.rule.gate:
            _add_lost(state, tested)
        elif not all(map(cases.unrecorded, tested.lost)):
            state.gone.append(name)
    return state


def _add_lost(state: _State, tested: metrics.Tested) -> None:
    """A gated metric without any value fails, whatever the reason."""
    example = ""
    if all(map(cases.unrecorded, tested.lost)):
        example = f": {cases.NO_RECORDING}"
        state.lost[tested.name] = tested.lost
    for trial in () if example else chain.from_iterable(one.trials for one in tested.lost):
        measured = trial.measurements.get(tested.name)
        if measured is not None:
            example = f" ({measured.status}: {cases.first_line(measured.reason or 'no reason given')})"
            state.lost[tested.name] = tested.lost
            break
    reason = f"no value in any of its {len(tested.lost)} cases now{example}"
    state.settled.append(metrics.not_comparable(tested.name, True, reason, tested.definition))


def _add_cases(
    result: Comparison,
    baseline: Baseline,
    pairing: Pairing,
    state: _State,
    definitions: dict[str, MetricDefinition],
    policy: Policy,
    taken_out: Mapping[str, str],
) -> None:
    rules = {name: rule_for(name, definitions.get(name, stored), policy) for name, stored in baseline.metrics.items()}
    guarded = [one for one in pairing.pairs if "pass" in rules and gates("pass", one.gate, rules["pass"])]
    broken, suspects = cases.broken_cases(guarded, pairing.reruns, policy.alpha)
    gating = {
        case
        for case in pairing.missing
        if (stored := baseline.cases[case]) and any(gates(name, stored.gate, rules[name]) for name in stored.samples)
    }
    errored = cases.errored_cases(state.lost, {one.case for one in guarded})
    result.broken_cases = broken
    result.suspect_cases = [one.case for one in suspects if one.reason and "not broken" not in one.reason]
    result.errored_cases = [one.case for one in errored]
    result.findings = errored + cases.listed(pairing, gating, taken_out) + suspects


def _accept(result: Comparison, accept: Sequence[Accepted], accepted: dict[str, str], policy: Policy) -> None:
    for row in result.metrics:
        if fails(row, policy):
            row.accepted = acceptance.find(accept, policy.today, metric=row.metric)
            if row.accepted:
                result.accepted.append(f"{row.metric} ({row.verdict}): {row.accepted}")
    for broken in result.broken_cases:
        broken.accepted = accepted.get(broken.case)
        if broken.accepted:
            result.accepted.append(f"{broken.case} (broken): {broken.accepted}")
    for finding in result.findings:
        finding.accepted = accepted.get(finding.case) or finding.accepted
        if finding.accepted:
            result.accepted.append(f"{finding.case} ({finding.finding}): {finding.accepted}")


def _notes(
    baseline: Baseline, run: RunRecord, pairing: Pairing, state: _State, definitions: dict[str, MetricDefinition]
) -> list[str]:
    notes = _fingerprint_notes(baseline.fingerprint, run.fingerprint)
    if not pairing.pairs and baseline.cases and pairing.trials:
        notes.append("no case of this run is in the baseline, so nothing was compared")
    recorded = sorted(name for name in definitions if name not in baseline.metrics)
    notes += cases.left_out(pairing)
    for what, names in (
        ("not in the baseline yet", recorded),
        ("in the baseline, but no longer recorded", state.gone),
        ("skipped, not compared", pairing.skipped),
    ):
        if names:
            notes.append(f"{what}: {', '.join(names)}")
    return notes + drift.notes(pairing.trials)


def _tell_prices(rows: Sequence[MetricComparison], prices: str) -> None:
    for row in rows:
        if row.metric == repricing.METRIC:
            said = f"at the baseline's prices, which changed since ({prices})"
            row.reason = f"{said}; {row.reason}" if row.reason else said


def _judges(before: Fingerprint, now: Fingerprint) -> str:
    """Whether a judge's model or its rubric changed, where both sides know which models judged."""
    one, other = (", ".join(side.judge_models) for side in (before, now))
    if not one or not other:
        return ""
    if one == other:
        return f"; not the model ({other}), so the rubric, the jury or the judging prompt"
    return f"; the judge's model: {one} → {other}"


def _fingerprint_notes(before: Fingerprint, now: Fingerprint) -> list[str]:
    notes = [
        f"{what} {name!r} changed since the baseline"
        for what, old, new in (
            ("judge", before.judge, now.judge),
            ("dataset", before.dataset, now.dataset),
        )
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name]
    ]
    notes = [prompts.note(change) for change in prompts.changes(before, now)] + notes
    if before.models and now.models and set(before.models) != set(now.models):
        notes.append(f"models: {', '.join(before.models)} → {', '.join(now.models)}")
    return notes
