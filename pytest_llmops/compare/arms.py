"""Two variants beside each other: the paired difference of every metric, and whether there is evidence for one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean

from pytest_llmops import stats
from pytest_llmops.arms_record import ArmMetric, ArmsComparison
from pytest_llmops.baseline import MetricDefinition
from pytest_llmops.baseline.stored import definition_of
from pytest_llmops.records import TestRecord
from pytest_llmops.registry import PREFERRED_TO, RELATIVE_KINDS
from pytest_llmops.settings import MetricSettings

ALPHA = 0.05
_BIAS = ".position_bias"
MOST_CASES = 100_000
"""Where more cases would be needed, the arms are as good as alike."""


_Values = dict[str, dict[str, list[float]]]


def _no_values() -> _Values:
    return defaultdict(lambda: defaultdict(list))


@dataclass
class _Arm:
    """Values of one arm, metric to case to trials, and where it was held against another, by that one's name."""

    values: _Values = field(default_factory=_no_values)
    against: dict[str, _Values] = field(default_factory=lambda: defaultdict(_no_values))


def compare_arms(
    tests: Sequence[TestRecord], *, settings: Mapping[str, MetricSettings] | None = None, min_cases: int = 10
) -> list[ArmsComparison]:
    """Compare the arms of each test that has any; the first arm with each of the others.

    Args:
        tests: the run's records.
        settings: ``[tool.pytest-llmops.metrics]``.
        min_cases: pairs below which nothing is said.
    """
    by_test: dict[str, list[TestRecord]] = defaultdict(list)
    for test in tests:
        if test.arm is not None and test.arm_pair is not None and not test.rerun:
            by_test[test.arm_pair.partition("[")[0]].append(test)
    found = []
    for name, records in sorted(by_test.items()):
        arms: dict[str, _Arm] = {}
        definitions: dict[str, MetricDefinition] = {}
        groups = {test.arm_pair or "": test.group or test.arm_pair or "" for test in records}
        for test in records:
            arm = arms.setdefault(test.arm or "", _Arm())
            for metric, measured in test.measurements.items():
                if measured.value is not None:
                    definitions.setdefault(metric, definition_of(metric, measured, settings or {}))
                    other = (measured.tags or {}).get(PREFERRED_TO)
                    values = arm.values if other is None else arm.against[other]
                    values[metric][test.arm_pair or ""].append(measured.value)
        order = sorted(arms, key=lambda arm: min(t.arm_index for t in records if t.arm == arm))
        found += [_compared(name, (order[0], b), arms, definitions, groups, min_cases) for b in order[1:]]
    return found


def _compared(
    test: str,
    names: tuple[str, str],
    arms: Mapping[str, _Arm],
    definitions: Mapping[str, MetricDefinition],
    groups: Mapping[str, str],
    min_cases: int,
) -> ArmsComparison:
    a, b = names
    rows, lost = [], 0
    for metric, definition in sorted(definitions.items()):
        one, other = arms[a].values.get(metric, {}), arms[b].values.get(metric, {})
        both = sorted(one.keys() & other.keys())
        lost = max(lost, len(one.keys() ^ other.keys()))
        if both:
            pairs = [(fmean(one[case]), fmean(other[case])) for case in both]
            rows.append(_Row(metric, definition, pairs, [groups[case] for case in both]))
    bias: dict[str, float] = {}
    for metric, values in sorted(arms[b].against[a].items()):
        means = {case: fmean(trials) for case, trials in sorted(values.items())}
        if metric.endswith(_BIAS):
            bias[metric.removesuffix(_BIAS)] = stats.significant(fmean(means.values())) + 0.0
        else:  # what one is preferred in, the other is not
            pairs = [(1 - preferred, preferred) for preferred in means.values()]
            rows.append(_Row(metric, definitions[metric], pairs, [groups[case] for case in means]))
    tested = [row for row in rows if row.result is not None and row.units >= max(2, min_cases)]
    adjusted = dict(zip((row.metric for row in tested), stats.holm([row.two_sided for row in tested]), strict=True))
    metrics = [row.record(names, adjusted.get(row.metric), min_cases) for row in rows]
    return ArmsComparison(test=test, a=a, b=b, unpaired=lost, position_bias=bias, metrics=metrics)


class _Row:
    """A metric's pairs and their test."""

    def __init__(
        self, metric: str, definition: MetricDefinition, pairs: Sequence[tuple[float, float]], groups: Sequence[str]
    ) -> None:
        self.metric, self.definition = metric, definition
        self.relative = definition.kind in RELATIVE_KINDS
        kept = [(pair, group) for pair, group in zip(pairs, groups, strict=True) if not self.relative or min(pair) > 0]
        self.pairs = [pair for pair, _ in kept]
        by_group: dict[str, list[float]] = defaultdict(list)
        for (before, after), group in kept:
            by_group[group].append(math.log(after / before) if self.relative else after - before)
        differences = [fmean(values) for values in by_group.values()]
        self.units = len(differences)
        # One-sided bounds at 97.5 % are a two-sided 95 % interval.
        self.result = stats.paired_t(differences, confidence=0.975) if self.units > 1 else None

    @property
    def two_sided(self) -> float:
        assert self.result is not None
        return min(1.0, 2 * min(self.result.p_worse, self.result.p_better))

    def record(self, names: tuple[str, str], adjusted: float | None, min_cases: int) -> ArmMetric:
        row = ArmMetric(
            metric=self.metric,
            cases=len(self.pairs),
            relative=self.relative,
            direction=self.definition.direction,
            kind=self.definition.kind,
            unit=self.definition.unit,
        )
        if not self.pairs:
            row.advice = "no value above 0"
            return row
        row.a, row.b = (stats.significant(self._mean([pair[i] for pair in self.pairs])) for i in (0, 1))
        if self.result is None or adjusted is None:
            row.advice = f"too few cases: about {max(min_cases, 2) - self.units} more needed"
        if self.result is None:
            return row
        row.delta, row.ci_low, row.ci_high = (
            stats.significant(self._natural(value)) + 0.0
            for value in (self.result.mean, self.result.low, self.result.high)
        )
        if adjusted is None:
            return row
        row.p, row.p_adjusted = stats.significant(self.two_sided), stats.significant(adjusted)
        if adjusted <= ALPHA:
            better = (self.result.mean > 0) == (self.definition.direction == "higher")
            row.winner = names[1] if better else names[0]
        else:
            row.advice = self._needed()
        return row

    def _mean(self, values: Sequence[float]) -> float:
        return math.exp(fmean(map(math.log, values))) if self.relative else fmean(values)

    def _natural(self, value: float) -> float:
        return math.expm1(value) if self.relative else value

    def _needed(self) -> str:
        """Cases at which a difference of the size seen is found four times in five."""
        assert self.result is not None
        mean, sd, n = abs(self.result.mean), self.result.sd, self.result.n
        if mean == 0:
            return "no evidence: equal on average"
        factor = NormalDist().inv_cdf(1 - ALPHA / 2) + stats.POWER_Z
        more = math.ceil((factor * sd / mean) ** 2) - n
        if more > MOST_CASES:
            return "no evidence: the arms are as good as alike"
        return f"no evidence, needs about {max(1, more)} more cases"
