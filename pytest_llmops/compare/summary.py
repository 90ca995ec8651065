"""Each metric of a run by itself, without a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_llmops import stats
from pytest_llmops.baseline.stored import definition_of, trials_by_case
from pytest_llmops.records import Measurement, MetricSummary, TestRecord
from pytest_llmops.settings import MetricSettings


def summarize(
    tests: Iterable[TestRecord], *, settings: Mapping[str, MetricSettings] | None = None
) -> dict[str, MetricSummary]:
    """Every metric of these tests: mean and quantiles over cases (each the mean of its trials).

    Args:
        tests: the run's tests; reruns of suspects are left out.
        settings: ``[tool.pytest-llmops.metrics]``.
    """
    by_metric: dict[str, list[list[Measurement]]] = {}
    for trials in trials_by_case(tests).values():
        of_case: dict[str, list[Measurement]] = {}
        for trial in trials:
            for name, measured in trial.measurements.items():
                of_case.setdefault(name, []).append(measured)
        for name, listed in of_case.items():
            by_metric.setdefault(name, []).append(listed)
    return {name: _summary(name, by_metric[name], settings or {}) for name in sorted(by_metric)}


def _summary(name: str, cases: list[list[Measurement]], settings: Mapping[str, MetricSettings]) -> MetricSummary:
    listed = [measured for case in cases for measured in case]
    definition = definition_of(name, next((m for m in listed if m.value is not None), listed[0]), settings)
    scored = [[m.value for m in case if m.value is not None] for case in cases]
    means = sorted(sum(values) / len(values) for values in scored if values)
    summary = MetricSummary(
        direction=definition.direction,
        kind=definition.kind,
        source=definition.source,
        unit=definition.unit,
        definition=definition.definition,
        cases=len(means),
        unscored=sum(m.status == "unscored" for m in listed),
        errors=sum(m.status == "error" for m in listed),
    )
    if means:
        summary.mean = stats.significant(sum(means) / len(means))
        summary.p50, summary.p95, summary.p99 = (stats.significant(stats.quantile(means, q)) for q in (0.5, 0.95, 0.99))
    return summary
