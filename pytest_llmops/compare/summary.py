"""Each metric of a run by itself, without a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_llmops import pricing, stats
from pytest_llmops.baseline.stored import definition_of, trials_by_case
from pytest_llmops.records import Call, Fingerprint, Measurement, MetricSummary, TestRecord
from pytest_llmops.settings import MetricSettings, Price


def summarize(
    tests: Iterable[TestRecord], *, settings: Mapping[str, MetricSettings] | None = None
) -> dict[str, MetricSummary]:
    """Every metric of these tests: mean and quantiles over cases (each the mean of its trials).

    Args:
        tests: the run's tests; reruns of suspects are left out.
        settings: ``[tool.pytest-llmops.metrics]``.
    """
    found: dict[str, _Collected] = {}
    for trials in trials_by_case(tests).values():
        of_case: dict[str, list[float]] = {}
        for trial in trials:
            for name, measured in trial.measurements.items():
                collected = found.get(name)
                if collected is None:
                    collected = found[name] = _Collected(measured)
                if measured.value is not None:
                    of_case.setdefault(name, []).append(measured.value)
                    if collected.example.value is None:
                        collected.example = measured
                elif measured.status == "error":
                    collected.errors += 1
                else:
                    collected.unscored += 1
        for name, values in of_case.items():
            found[name].means.append(sum(values) / len(values))
    return {name: _summary(name, found[name], settings or {}) for name in sorted(found)}


def fingerprint(tests: Iterable[TestRecord], *, prices: Mapping[str, Price] | None = None) -> Fingerprint:
    """Which prompts, judges (metric to hash of model and rubric) and models these tests were measured with.

    Args:
        tests: the run's.
        prices: ``[tool.pytest-llmops.prices]``.
    """
    asked: dict[str, Call] = {}
    prompts: dict[str, str] = {}
    judged: dict[str, str] = {}
    models: set[str] = set()
    judging: set[str] = set()
    for test in tests:
        for name, measured in test.measurements.items():
            if measured.source == "judge" and measured.definition:
                judged[name] = measured.definition
        prompts.update(test.prompts)
        models.update(call.model for call in test.calls if call.role == "app" and call.model)
        judging.update(call.model for call in test.calls if call.role == "judge" and call.model)
        for call in test.calls:
            if call.cost_usd is not None and call.model and call.role == "app":
                asked.setdefault(f"{call.provider}:{call.model}", call)
    rates = {name: rate for name, call in sorted(asked.items()) if (rate := _rate(call, prices))}
    return Fingerprint(
        prompts=dict(sorted(prompts.items())),
        judge=dict(sorted(judged.items())),
        judge_models=sorted(judging),
        models=sorted(models),
        prices=rates,
    )


def cost_by_tag(tests: Iterable[TestRecord]) -> dict[str, float]:
    """USD of the calls of all tests with a tag, the dearest tag first."""
    costs: dict[str, float] = {}
    for test in tests:
        spent = sum(call.cost_usd or 0.0 for call in test.calls)
        for tag in dict.fromkeys(test.tags):
            costs[tag] = costs.get(tag, 0.0) + spent
    return {tag: stats.significant(cost) for tag, cost in sorted(costs.items(), key=lambda one: (-one[1], one[0]))}


def _rate(call: Call, prices: Mapping[str, Price] | None) -> str | None:
    """What a million tokens cost on the day of the call, in and out."""
    found = [
        pricing.cost(call.provider, call.model, usage, at=call.started_at, prices=prices)
        for usage in (pricing.Usage(1_000_000, 0), pricing.Usage(0, 1_000_000))
    ]
    return None if None in found else "/".join(f"{rate:g}" for rate in found)


@dataclass(slots=True)
class _Collected:
    example: Measurement
    means: list[float] = field(default_factory=list)
    unscored: int = 0
    errors: int = 0


def _summary(name: str, collected: _Collected, settings: Mapping[str, MetricSettings]) -> MetricSummary:
    definition = definition_of(name, collected.example, settings)
    means = sorted(collected.means)
    summary = MetricSummary(
        direction=definition.direction,
        kind=definition.kind,
        source=definition.source,
        unit=definition.unit,
        definition=definition.definition,
        cases=len(means),
        unscored=collected.unscored,
        errors=collected.errors,
    )
    if means:
        summary.mean = stats.significant(sum(means) / len(means))
        summary.p50, summary.p95, summary.p99 = (stats.significant(stats.quantile(means, q)) for q in (0.5, 0.95, 0.99))
    return summary
