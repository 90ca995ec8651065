"""A metric's verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmops import stats
from pytest_llmops.baseline import MetricDefinition
from pytest_llmops.compare import columns
from pytest_llmops.compare.pairing import Pair
from pytest_llmops.compare.policy import Policy, Rule
from pytest_llmops.records import CaseDelta, MetricComparison, VerdictWord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""Means of decimal fractions miss a tolerance they should meet by a few last bits."""
WORST_CASES = 5


@dataclass(slots=True)
class Tested:
    """A metric's numbers on the way to its verdict.

    Args:
        pairs: those with a value on both sides.
        before: baseline means, one a unit (a case, or a group of cases); logs where relative.
        drops: paired differences of units, signed so that lower is worse; logs where relative.
        result: None where deterministic or with fewer than two units.
    """

    name: str
    rule: Rule
    definition: MetricDefinition
    pairs: list[Pair]
    case_before: Floats
    case_now: Floats
    before: Floats
    drops: Floats
    trials: float
    within: tuple[float | None, float | None]
    baseline_trials: float
    skipped: int
    exact: bool
    result: stats.PairedT | None = None

    @property
    def test_margin(self) -> float:
        """How far beyond no change the test looks: latency drifts between machines, and that is no regression."""
        return self.log_margin if self.definition.kind == "latency" else 0.0

    @property
    def log_margin(self) -> float:
        """The margin on the scale of `drops`."""
        if not self.rule.relative:
            return self.rule.margin
        if self.rule.higher_is_better:
            return -math.log(max(1e-9, 1 - self.rule.margin))
        return math.log(1 + self.rule.margin)

    def natural(self, drop: float) -> float:
        """A difference as people read it: a share where relative; still lower is worse."""
        if not self.rule.relative:
            return drop
        return math.expm1(drop) if self.rule.higher_is_better else -math.expm1(-drop)


def measure(name: str, definition: MetricDefinition, rule: Rule, pairs: Sequence[Pair]) -> Tested:
    """Pair up a metric's numbers and test them."""
    import numpy as np

    before, now = columns.sides(name, pairs, rule.relative)
    both = ~(np.isnan(before.means) | np.isnan(now.means))
    kept = [pair for pair, keep in zip(pairs, both, strict=True) if keep]
    case_before, case_now = before.means[both], now.means[both]
    unit_before, unit_now = case_before, case_now
    if any(pair.trials[-1].group for pair in kept):
        labels = [f"group {group}" if (group := pair.trials[-1].group) else f"case {pair.case}" for pair in kept]
        unit_before, unit_now = columns.by_group(case_before, labels), columns.by_group(case_now, labels)
    drops = columns.differences(unit_now, unit_before)
    if not rule.higher_is_better:
        drops = -drops
    tested = Tested(
        name,
        rule,
        definition,
        kept,
        case_before,
        case_now,
        unit_before,
        drops,
        now.trials,
        (before.variance_within(), now.variance_within()),
        before.trials,
        before.skipped + now.skipped,
        exact=bool(kept) and all(pair.exact for pair in kept),
    )
    if not tested.exact and drops.size >= 2:
        tested.result = stats.paired_t(drops, margin=tested.test_margin)
    return tested


def verdict_of(tested: Tested, policy: Policy, p_worse: float | None, p_better: float | None) -> VerdictWord:
    """One of the six words, from p-values that are already adjusted where the metric gates."""
    rule, result = tested.rule, tested.result
    if tested.exact:
        delta = tested.natural(float(tested.drops.mean()))
        if delta < -rule.tolerance - ROUNDING:
            return "regressed"
        return "improved" if delta > rule.tolerance + ROUNDING else "no_regression"
    if result is None or p_worse is None or p_better is None or tested.drops.size < policy.min_cases:
        return "too_few_cases"
    delta = tested.natural(result.mean)
    if p_worse <= policy.alpha and delta <= -rule.tolerance + ROUNDING:
        return "regressed"
    if p_better <= policy.alpha and delta >= rule.tolerance - ROUNDING:
        return "improved"
    return "no_regression" if tested.natural(result.low) > -rule.margin else "inconclusive"


def judge(tested: Sequence[Tested], policy: Policy) -> list[MetricComparison]:
    """The verdicts of metrics that are tested together: Holm over those that gate."""
    family = [one for one in tested if one.rule.gate and one.result and one.drops.size >= policy.min_cases]
    worse = _adjusted(family, "p_worse")
    better = _adjusted(family, "p_better")
    compared = []
    for one in tested:
        p_worse = worse.get(one.name, one.result.p_worse if one.result else None)
        p_better = better.get(one.name, one.result.p_better if one.result else None)
        word = verdict_of(one, policy, p_worse, p_better)
        compared.append(_comparison(one, word, worse.get(one.name), policy))
    return compared


def _adjusted(family: Sequence[Tested], side: str) -> dict[str, float]:
    adjusted = stats.holm([getattr(one.result, side) for one in family])
    return {one.name: p for one, p in zip(family, adjusted, strict=True)}


def _comparison(tested: Tested, word: VerdictWord, p_adjusted: float | None, policy: Policy) -> MetricComparison:
    rule, result = tested.rule, tested.result
    row = MetricComparison(
        metric=tested.name,
        verdict=word,
        cases=len(tested.pairs),
        gate=rule.gate,
        relative=rule.relative,
        direction=tested.definition.direction,
        unit=tested.definition.unit,
        skipped=tested.skipped,
    )
    row.reason = "; ".join(_remarks(tested)) or None
    if not tested.pairs:
        return row
    sign = 1 if rule.higher_is_better else -1
    drop = float(tested.drops.mean())
    back: Callable[[float], float] = math.exp if rule.relative else float
    row.baseline = stats.significant(back(float(tested.before.mean())))
    row.current = stats.significant(back(float(tested.before.mean()) + sign * drop))
    row.delta = stats.significant(sign * tested.natural(drop))
    row.worse = drop < 0
    if result:
        bounds = sorted(sign * tested.natural(bound) for bound in (result.low, result.high))
        row.ci_low, row.ci_high = map(stats.significant, bounds)
        row.p = stats.significant(result.p_worse)
        row.p_adjusted = None if p_adjusted is None else stats.significant(p_adjusted)
        row.mde = stats.significant(_detectable(tested, result))
    if word in ("regressed", "inconclusive"):
        row.worst_cases = _worst(tested, back)
    row.advice = _advice(tested, word, policy)
    return row


def _remarks(tested: Tested) -> list[str]:
    found = [] if tested.pairs else ["no case of the baseline was compared"]
    if tested.pairs and tested.drops.size < len(tested.pairs):
        found.append(f"{len(tested.pairs)} cases in {tested.drops.size} groups")
    if tested.skipped:
        found.append(f"{tested.skipped} values ≤ 0 left out")
    if tested.definition.kind == "cost" and tested.result and tested.drops.any():
        import numpy as np

        ratio, low, high = stats.ratio_of_means(np.exp(tested.case_now), np.exp(tested.case_before))
        found.append(f"total {ratio - 1:+.1%}, 95 % bounds {low - 1:+.1%} … {high - 1:+.1%}")
    return found


def _detectable(tested: Tested, result: stats.PairedT) -> float:
    level: float | None = None
    if tested.definition.kind in ("pass", "rate"):
        mean = float(tested.before.mean())
        level = mean if tested.rule.higher_is_better else 1 - mean
    effect = stats.minimum_detectable_effect(result.sd, result.n, pass_rate=level, trials=tested.trials)
    return abs(tested.natural(-(effect + tested.test_margin)))


def _worst(tested: Tested, back: Callable[[float], float]) -> list[CaseDelta]:
    import numpy as np

    change = columns.differences(tested.case_now, tested.case_before)
    drops = change if tested.rule.higher_is_better else -change
    order = [int(i) for i in np.argsort(drops, kind="stable")[:WORST_CASES] if drops[i] < 0]
    return [
        CaseDelta(
            case=tested.pairs[i].case,
            baseline=stats.significant(back(float(tested.case_before[i]))),
            current=stats.significant(back(float(tested.case_now[i]))),
        )
        for i in order
    ]


def _advice(tested: Tested, word: VerdictWord, policy: Policy) -> str | None:
    n = int(tested.drops.size)
    units = "groups" if n < len(tested.pairs) else "cases"
    if word == "too_few_cases":
        return f"{max(policy.min_cases, 2) - n} more {units} needed"
    margin, result = tested.log_margin, tested.result
    if word != "inconclusive" or result is None or margin <= 0:
        return None
    cases = stats.cases_needed(result.sd, margin, n)
    if cases > n:
        ways = [f"{cases - n} more {units}"]
        trials = _trials(tested, result, margin)
        if trials:
            ways.append(f"{trials} trials of each")
        return f"about {' or '.join(ways)} would settle it"
    # The spread is small enough: the change itself lies at the margin, and only its own size can be told apart.
    gap = max(margin - abs(result.mean), abs(result.mean))
    more = max(1, stats.cases_needed(result.sd, gap, n) - n)
    return f"the change lies near the margin; about {more} more {units} would settle it"


def _trials(tested: Tested, result: stats.PairedT, margin: float) -> int | None:
    before, now = tested.within
    within = now if now is not None else before
    if within is None or tested.drops.size < len(tested.pairs):
        return None  # one trial says nothing of the spread within cases, and trials mend no correlation between them
    within_before = before if before is not None else within
    noise = within / tested.trials + within_before / tested.baseline_trials
    trials = stats.trials_needed(
        result.n,
        margin,
        within=within,
        within_baseline=within_before,
        baseline_trials=tested.baseline_trials,
        excess=max(0.0, result.sd**2 - noise),
    )
    return trials if trials and trials > tested.trials else None


def not_comparable(name: str, gate: bool, reason: str, definition: MetricDefinition | None) -> MetricComparison:
    """The verdict on a metric whose numbers mean something else than the stored ones, or that has none."""
    return MetricComparison(
        metric=name,
        verdict="not_comparable",
        gate=gate,
        reason=reason,
        direction=definition.direction if definition else "higher",
        unit=definition.unit if definition else None,
    )
