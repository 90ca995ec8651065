"""What a baseline holds, and how a run is merged into it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from pytest_llmops.errors import BaselineError
from pytest_llmops.records import Fingerprint, Measurement, MeasurementSource, RunRecord, TestRecord
from pytest_llmops.registry import Direction, MetricKind
from pytest_llmops.settings import MetricSettings
from pytest_llmops.stats import significant

GUARD_TRIALS = 5
"""Trials a case needs in the baseline for the broken-case guard to see it."""


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """What a stored metric measured; where it differs from the run's, the numbers cannot be compared.

    Args:
        definition: hash of judge model and rubric; None where the name says it all.
        scale: lowest and highest value, where the settings give them.
    """

    direction: Direction = "higher"
    kind: MetricKind = "score"
    source: MeasurementSource = "recorded"
    unit: str | None = None
    definition: str | None = None
    scale: tuple[float, float] | None = None


@dataclass(slots=True)
class CaseBaseline:
    """A case's stored trials.

    Args:
        samples: metric to one value a trial, None where that trial has none.
        digests: 8 hex digits of each trial's recording, None where it made no call; empty where none made any.
        dataset_fingerprint: hash of the dataset case; a differing one makes it another case.
    """

    samples: dict[str, list[float | None]]
    digests: list[str | None] = field(default_factory=list)
    group: str | None = None
    dataset_fingerprint: str | None = None
    threshold: float | None = 1.0
    gate: list[str] | Literal[False] | None = None


@dataclass(slots=True)
class Baseline:
    """A baseline file in memory."""

    created: datetime
    metrics: dict[str, MetricDefinition] = field(default_factory=dict)
    cases: dict[str, CaseBaseline] = field(default_factory=dict)
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    path: str | None = None


def short_digest(digest: str | None) -> str | None:
    """A recording's digest as baselines keep it."""
    return digest[:8] if digest else None


def trials_by_case(tests: Iterable[TestRecord]) -> dict[str, list[TestRecord]]:
    """A run's trials by case, in the order of their numbers; reruns of suspects are left out.

    Of several records of one trial (pytest-rerunfailures) the last counts.
    """
    cases: dict[str, dict[int, TestRecord]] = {}
    for test in tests:
        if not test.rerun:
            cases.setdefault(test.case, {})[test.trial] = test
    return {case: [trials[number] for number in sorted(trials)] for case, trials in cases.items()}


def partial(trials: Iterable[TestRecord]) -> bool:
    """Whether trials of a case were left out of the run: the others are no fair sample of it (``--lf``: the failed)."""
    found = list(trials)
    return len(found) < max(trial.trials for trial in found)


def definition_of(name: str, measured: Measurement, settings: Mapping[str, MetricSettings]) -> MetricDefinition:
    """What a measurement means once the project's settings have had their say."""
    chosen = metric_settings(name, settings)
    return MetricDefinition(
        direction=chosen.direction or measured.direction,
        kind=chosen.kind or measured.kind,
        source=measured.source,
        unit=measured.unit,
        definition=measured.definition,
        scale=chosen.scale,
    )


def metric_settings(name: str, settings: Mapping[str, MetricSettings]) -> MetricSettings:
    """The settings of a metric; ``latency_ms#2`` takes those of ``latency_ms`` where it has none of its own."""
    return settings.get(name) or settings.get(name.partition("#")[0]) or MetricSettings()


def update(old: Baseline | None, run: RunRecord, *, settings: Mapping[str, MetricSettings] | None = None) -> Baseline:
    """The baseline after this run: cases that ran are replaced, the others kept.

    Skipped cases, and cases with a trial that was left out or broke down outside its body, keep what was stored.
    Where a metric's definition or a price changed, stored values (costs) of the old one are dropped: one table of
    prices goes with a baseline, and they compare with nothing any more.

    Args:
        old: the stored baseline; None makes a new one.
        run: the run to take over.
        settings: ``[tool.pytest-llmops.metrics]``.

    Raises:
        BaselineError: two tests record one metric with different definitions.
    """
    fresh: dict[str, CaseBaseline] = {}
    metrics: dict[str, MetricDefinition] = {}
    first: dict[str, str] = {}
    for case, trials in trials_by_case(run.tests).items():
        if partial(trials) or any(trial.outcome in ("error", "skipped") for trial in trials):
            continue
        fresh[case] = case_baseline(trials)
        for trial in trials:
            for name, measured in trial.measurements.items():
                if measured.value is None:
                    continue
                here = definition_of(name, measured, settings or {})
                if metrics.setdefault(name, here) != here:
                    raise BaselineError(two_definitions(name, first[name], trial.id))
                first.setdefault(name, trial.id)
    if old is None:
        return Baseline(run.created, metrics, fresh, run.fingerprint)
    changed = {
        name for name, here in metrics.items() if name in old.metrics and not comparable(old.metrics[name], here)
    }
    if changed_prices(old.fingerprint, run.fingerprint):
        changed |= {name for name, here in old.metrics.items() if here.kind == "cost"}
    kept = {case: _without(stored, changed) for case, stored in old.cases.items() if case not in fresh}
    cases = kept | fresh
    recorded = {name for stored in cases.values() for name in stored.samples}
    definitions = {name: here for name, here in (old.metrics | metrics).items() if name in recorded}
    fingerprint = _merged(old.fingerprint, run.fingerprint) if kept else run.fingerprint
    return Baseline(run.created, definitions, cases, fingerprint, old.path)


def dropped(old: Baseline | None, updated: Baseline) -> list[str]:
    """What an update dropped of cases that did not run, because a metric means something else now; a line each."""
    if old is None:
        return []
    lines = []
    for name in sorted(old.metrics.keys() & updated.metrics.keys()):
        changes = differences(old.metrics[name], updated.metrics[name])
        if old.metrics[name].kind == "cost":
            changes += [f"price of {said}" for said in changed_prices(old.fingerprint, updated.fingerprint).values()]
        gone = [case for case, kept in updated.cases.items() if changes and name not in kept.samples]
        cases = [case for case in gone if case in old.cases and name in old.cases[case].samples]
        if cases:
            count, some = len(cases), ", ".join(cases[:3]) + (" …" if len(cases) > 3 else "")
            lines.append(
                f"{name} changed ({', '.join(changes)}): its stored values of {count} case{'s' * (count != 1)} that "
                f"did not run are dropped, since they mean something else: {some}"
            )
    return lines


def prune(stored: Baseline, run: RunRecord) -> list[str]:
    """Drop the cases that a run no longer has, of those it was asked for: what its command line left out is kept.

    Returns:
        The dropped cases.
    """
    known = {test.case for test in run.tests} | set(run.deselected)
    gone = sorted(case for case in stored.cases.keys() - known if _asked_for(case, run.asked))
    for case in gone:
        del stored.cases[case]
    recorded = {name for case in stored.cases.values() for name in case.samples}
    stored.metrics = {name: here for name, here in stored.metrics.items() if name in recorded}
    return gone


def _asked_for(case: str, asked: Collection[str]) -> bool:
    return not asked or any(case == one or case.startswith((f"{one}/", f"{one}::", f"{one}[")) for one in asked)


def two_definitions(name: str, one: str, other: str) -> str:
    """The message for a name that two tests record with different meanings."""
    return (
        f"metric {name!r} is recorded with two definitions (direction, kind, unit, judge model or rubric):\n"
        f"  {one}\n  {other}\nGive one of them another name."
    )


def differences(stored: MetricDefinition, now: MetricDefinition) -> list[str]:
    """What differs between two definitions such that their numbers cannot be compared; a unit not given is any."""
    found = [
        f"{what} {getattr(stored, what)} → {getattr(now, what)}"
        for what in ("direction", "kind", "unit")
        if getattr(stored, what) and getattr(now, what) and getattr(stored, what) != getattr(now, what)
    ]
    if stored.definition != now.definition:
        what = "judge model or rubric" if "judge" in (stored.source, now.source) else "definition"
        found.append(f"{what} ({stored.definition or 'none'} → {now.definition or 'none'})")
    if stored.scale and now.scale and stored.scale != now.scale:
        found.append(f"scale {list(stored.scale)} → {list(now.scale)}")
    return found


def changed_prices(before: Fingerprint, now: Fingerprint) -> dict[str, str]:
    """Models that cost something else than when the baseline was made, and the change in words."""
    return {
        name: f"{name} {before.prices[name]} → {now.prices[name]}"
        for name in sorted(before.prices.keys() & now.prices.keys())
        if before.prices[name] != now.prices[name]
    }


def comparable(stored: MetricDefinition, now: MetricDefinition) -> bool:
    """Whether numbers of the two definitions mean the same."""
    return not differences(stored, now)


def cases_below_guard(baseline: Baseline) -> list[str]:
    """Cases with too few pass/fail trials for the broken-case guard to see them."""
    return [
        case
        for case, stored in baseline.cases.items()
        if sum(v is not None for v in stored.samples.get("pass", ())) < GUARD_TRIALS
    ]


def case_baseline(trials: list[TestRecord]) -> CaseBaseline:
    """What a baseline holds of a case's trials."""
    names = sorted({name for trial in trials for name in trial.measurements})
    samples: dict[str, list[float | None]] = {}
    for name in names:
        values = [measured.value if (measured := trial.measurements.get(name)) else None for trial in trials]
        if any(value is not None for value in values):
            samples[name] = [None if value is None else significant(value) for value in values]
    last = trials[-1]
    digests = [short_digest(trial.cassette.digest) for trial in trials]
    return CaseBaseline(
        samples,
        digests if any(digests) else [],
        last.group,
        last.dataset_fingerprint,
        last.threshold,
        last.gate,
    )


def _without(stored: CaseBaseline, names: set[str]) -> CaseBaseline:
    if names.isdisjoint(stored.samples):
        return stored
    return replace(stored, samples={name: values for name, values in stored.samples.items() if name not in names})


def _merged(old: Fingerprint, new: Fingerprint) -> Fingerprint:
    prompts = old.prompts | new.prompts
    texts = old.prompt_texts | new.prompt_texts
    return Fingerprint(
        dataset=old.dataset | new.dataset,
        prompts=prompts,
        prompt_texts={digest: text for digest, text in texts.items() if digest in prompts.values()},
        judge=old.judge | new.judge,
        judge_models=sorted({*old.judge_models, *new.judge_models}),
        models=sorted({*old.models, *new.models}),
        prices=old.prices | new.prices,
    )
