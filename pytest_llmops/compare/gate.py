"""compare(): a run and a baseline in, a Comparison out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from pytest_llmops import acceptance
from pytest_llmops.acceptance import Accepted
from pytest_llmops.baseline import Baseline, MetricDefinition
from pytest_llmops.baseline.stored import definition_of, differences, two_definitions
from pytest_llmops.compare import cases, metrics
from pytest_llmops.compare.failures import fails
from pytest_llmops.compare.pairing import Pair, Pairing, pair
from pytest_llmops.compare.policy import Policy, Rule, gates, rule_for
from pytest_llmops.records import Comparison, Fingerprint, MetricComparison, RunRecord, TestRecord


@dataclass(slots=True)
class _State:
    """What is known half-way: metrics with numbers to test, and those that have a verdict without any."""

    tested: list[metrics.Tested] = field(default_factory=list)
    settled: list[MetricComparison] = field(default_factory=list)
    gated: dict[str, list[Pair]] = field(default_factory=dict)
    lost: dict[str, set[str]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


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
    accepted = {
        case: words
        for case in {*baseline.cases, *pairing.changed}
        if accept and (words := acceptance.find(accept, policy.today, case=case))
    }
    state = _measured(baseline, pairing, definitions, conflicts, policy, accepted)
    result = Comparison(
        baseline=baseline.path,
        metrics=sorted(metrics.judge(state.tested, policy) + state.settled, key=lambda row: (not row.gate, row.metric)),
        missing_cases=pairing.missing,
        new_cases=sorted(pairing.new + pairing.changed),
        changed_cases=pairing.changed,
        deterministic=bool(pairing.pairs) and all(one.exact for one in pairing.pairs),
    )
    _add_cases(result, baseline, pairing, state, definitions, policy)
    _accept(result, accept, accepted, policy)
    known = {*baseline.metrics, *definitions}
    result.notes = _notes(baseline, run, pairing, state, definitions)
    result.notes += acceptance.remarks(accept, policy.today, known, {*baseline.cases, *pairing.new})
    return result


def _definitions(
    trials: Sequence[TestRecord], policy: Policy
) -> tuple[dict[str, MetricDefinition], dict[str, tuple[str, str]]]:
    """What each metric of the run means, and the names that two tests use with different meanings."""
    found: dict[str, MetricDefinition] = {}
    conflicts: dict[str, tuple[str, str]] = {}
    for name in sorted(set(chain.from_iterable(trial.measurements for trial in trials))):
        owners = [trial for trial in trials if name in trial.measurements]
        scored = [m for trial in owners if (m := trial.measurements[name]).value is not None]
        if not scored:
            continue
        found[name] = definition_of(name, scored[0], policy.metrics)
        kinds = {(m.direction, m.kind, m.source, m.unit, m.definition) for m in scored}
        if len(kinds) > 1:
            first, other = _two_owners(name, owners, found[name], policy)
            if other:
                conflicts[name] = first, other
    return found, conflicts


def _two_owners(
    name: str, owners: Sequence[TestRecord], definition: MetricDefinition, policy: Policy
) -> tuple[str, str | None]:
    scored = [trial for trial in owners if trial.measurements[name].value is not None]
    differing = (t.id for t in scored if definition_of(name, t.measurements[name], policy.metrics) != definition)
    return scored[0].id, next(differing, None)


def _measured(
    baseline: Baseline,
    pairing: Pairing,
    definitions: dict[str, MetricDefinition],
    conflicts: dict[str, tuple[str, str]],
    policy: Policy,
    accepted: Collection[str],
) -> _State:
    state = _State()
    pairs = [one for one in pairing.pairs if one.case not in accepted]
    for name, stored in baseline.metrics.items():
        its_pairs = [one for one in pairs if name in one.stored.samples]
        now = definitions.get(name)
        rule = rule_for(name, now or stored, policy)
        in_gate = [one for one in its_pairs if gates(name, one.gate, rule)]
        if in_gate and (now is None or name not in conflicts):
            state.gated[name], its_pairs = in_gate, in_gate
        if name in conflicts:
            reason = two_definitions(name, *conflicts[name])  # an error of the suite, whether or not it gates
            state.settled.append(metrics.not_comparable(name, True, reason, now))
            continue
        if now and (changes := differences(stored, now)) and its_pairs:
            reason = f"changed since the baseline: {', '.join(changes)}"
            state.settled.append(metrics.not_comparable(name, bool(in_gate), reason, now))
            state.gated.pop(name, None)
            continue
        if not its_pairs:
            if now:
                state.tested.append(metrics.measure(name, now, rule, []))
            continue
        _measure(state, name, now or stored, its_pairs, replace(rule, gate=bool(in_gate)))
    return state


def _measure(state: _State, name: str, definition: MetricDefinition, its_pairs: list[Pair], rule: Rule) -> None:
    tested = metrics.measure(name, definition, rule, its_pairs)
    with_value = {one.case for one in tested.pairs}
    if rule.gate:
        state.lost[name] = {one.case for one in its_pairs if one.case not in with_value}
    if tested.pairs or tested.skipped:
        state.tested.append(tested)
    elif rule.gate:
        example = _example(name, its_pairs)
        if not example:
            state.gated.pop(name)  # said once here, not once a case
        reason = f"no value in any of its {len(its_pairs)} cases now{example}"
        state.settled.append(metrics.not_comparable(name, True, reason, definition))
    else:
        state.gone.append(name)


def _example(name: str, pairs: Iterable[Pair]) -> str:
    for trial in chain.from_iterable(one.trials for one in pairs):
        measured = trial.measurements.get(name)
        if measured is not None and measured.reason:
            return f" ({measured.status}: {measured.reason})"
    return ""


def _add_cases(
    result: Comparison,
    baseline: Baseline,
    pairing: Pairing,
    state: _State,
    definitions: dict[str, MetricDefinition],
    policy: Policy,
) -> None:
    rules = {name: rule_for(name, definitions.get(name, stored), policy) for name, stored in baseline.metrics.items()}
    guarded = [one for one in pairing.pairs if "pass" in rules and gates("pass", one.gate, rules["pass"])]
    broken, suspects = cases.broken_cases(guarded, pairing.reruns, policy.alpha)
    gating = {
        case
        for case in pairing.missing
        if (stored := baseline.cases[case]) and any(gates(name, stored.gate, rules[name]) for name in stored.samples)
    }
    errored = cases.errored_cases(pairing.pairs, state.gated, state.lost)
    result.broken_cases = broken
    result.suspect_cases = [one.case for one in suspects if one.reason and "not broken" not in one.reason]
    result.errored_cases = [one.case for one in errored]
    result.findings = errored + cases.listed(pairing, gating) + suspects


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
        finding.accepted = accepted.get(finding.case)
        if finding.accepted:
            result.accepted.append(f"{finding.case} ({finding.finding}): {finding.accepted}")


def _notes(
    baseline: Baseline, run: RunRecord, pairing: Pairing, state: _State, definitions: dict[str, MetricDefinition]
) -> list[str]:
    notes = _fingerprint_notes(baseline.fingerprint, run.fingerprint)
    if not pairing.pairs and baseline.cases and pairing.trials:
        notes.append(
            "no case of this run is in the baseline, so nothing was compared; a case's key is its node id, which "
            "changes with the folder pytest takes as its root"
        )
    recorded = sorted(name for name in definitions if name not in baseline.metrics)
    for what, names in (
        ("not in the baseline yet", recorded),
        ("in the baseline, but no longer recorded", state.gone),
        ("skipped, not compared", pairing.skipped),
    ):
        if names:
            notes.append(f"{what}: {', '.join(names)}")
    return notes


def _fingerprint_notes(before: Fingerprint, now: Fingerprint) -> list[str]:
    notes = [
        f"{what} {name!r} changed since the baseline"
        for what, old, new in (
            ("prompt", before.prompts, now.prompts),
            ("judge", before.judge, now.judge),
            ("dataset", before.dataset, now.dataset),
        )
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name]
    ]
    if before.models and now.models and set(before.models) != set(now.models):
        notes.append(f"models: {', '.join(before.models)} → {', '.join(now.models)}")
    return notes
