"""A metric's verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_llmops import stats
from pytest_llmops.baseline import MetricDefinition
from pytest_llmops.compare import columns, labelled
from pytest_llmops.compare.columns import Sheet
from pytest_llmops.compare.pairing import Pair
from pytest_llmops.compare.policy import Policy, Rule, rule_for
from pytest_llmops.records import CaseDelta, MetricComparison, VerdictWord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indexes = NDArray[np.intp]
    Mask = NDArray[np.bool_]

ROUNDING = 1e-9
"""Means of decimal fractions miss a tolerance they should meet by a few last bits."""
WORST_CASES = 5


@dataclass(slots=True)
class Tested:
    """A metric's numbers on the way to its verdict.

    Args:
        pairs: all pairs of the run; `kept` are the indexes of those with a value on both sides.
        lost: those with a stored value and none now.
        case_before: baseline means of the pairs; logs where relative. `case_now` likewise.
        before: baseline means, one a unit (a case, or a group of cases).
        drops: paired differences of units, signed so that lower is worse.
        trials: of each case now, on average; `baseline_trials` in the baseline.
        within: variance between trials of one case: baseline, now; None where there is one trial.
        crossed: cases that came to 0 or left it for the worse, which no ratio can tell; `crossed_units` are units that
            the comparison lacks for it.
        result: None where deterministic or with fewer than two units.
    """

    name: str
    rule: Rule
    definition: MetricDefinition
    pairs: Sequence[Pair]
    kept: Indexes
    lost: list[Pair]
    case_before: Floats
    case_now: Floats
    before: Floats
    drops: Floats
    trials: float
    baseline_trials: float
    within: tuple[float | None, float | None]
    skipped: int
    left_out: int
    crossed: int
    crossed_units: int
    exact: bool
    result: stats.PairedT | None = None

    @property
    def cases(self) -> int:
        """Number of cases compared."""
        return int(self.kept.size)

    @property
    def units(self) -> int:
        """What the test is of: cases, groups of cases, or the labelled texts of a single case."""
        return self.result.n if self.result else int(self.drops.size)

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


def measure(name: str, definition: MetricDefinition, policy: Policy, sheet: Sheet, gating: Mask) -> Tested:
    """Pair up a metric's numbers and test them.

    Args:
        name: the metric.
        definition: what it means.
        policy: the gate's settings.
        sheet: all pairs.
        gating: pairs in whose tests it gates; where there are any, the others are left out.
    """
    import numpy as np

    rule = rule_for(name, definition, policy)
    before, now = sheet.sides(name, rule.relative)
    gates = bool((before.given & gating).any())
    wanted = before.given & gating if gates else before.given
    both = wanted & (before.counts > 0) & (now.counts > 0)
    above, below = (before, now) if rule.higher_is_better else (now, before)
    crossed = wanted & now.given & (above.counts > 0) & (below.counts == 0)
    case_before, case_now = before.means[both], now.means[both]
    unit_before, unit_now = case_before, case_now
    if sheet.groups is not None:
        unit_before, unit_now = (columns.by_group(side, sheet.groups[both]) for side in (case_before, case_now))
    drops = columns.differences(unit_now, unit_before)
    if not rule.higher_is_better:
        drops = -drops
    tested = Tested(
        name,
        replace(rule, gate=gates),
        definition,
        pairs=sheet.pairs,
        kept=np.flatnonzero(both),
        lost=[sheet.pairs[index] for index in np.flatnonzero(wanted & ~now.given).tolist()],
        case_before=case_before,
        case_now=case_now,
        before=unit_before,
        drops=drops,
        trials=float(now.counts[both].mean()) if both.any() else 0.0,
        baseline_trials=float(before.counts[both].mean()) if both.any() else 0.0,
        within=(before.variance_within(both), now.variance_within(both)),
        skipped=before.skipped(wanted) + now.skipped(wanted),
        left_out=int(before.given.sum() - wanted.sum()),
        crossed=int(crossed.sum()),
        crossed_units=columns.units_without(crossed, both, sheet.groups),
        exact=bool(both.any()) and bool(sheet.exact[both].all()),
    )
    tested.result = _result(tested)
    return tested


def _result(tested: Tested) -> stats.PairedT | None:
    if tested.exact:
        return None
    if tested.drops.size >= 2:
        return stats.paired_t(tested.drops, margin=tested.test_margin)
    if tested.case_before.size == 1 and tested.definition.kind == "rate":
        shares = float(tested.case_before[0]), float(tested.case_now[0])
        pair = tested.pairs[int(tested.kept[0])]
        return labelled.tested(tested.name, pair, *shares, higher_is_better=tested.rule.higher_is_better)
    return None


def verdict_of(tested: Tested, policy: Policy, p_worse: float | None, p_better: float | None) -> VerdictWord:
    """One of the six words, from p-values that are already adjusted where the metric gates."""
    rule, result = tested.rule, tested.result
    if rule.gate and _lost_to_zero(tested, policy):
        return "not_comparable"
    if tested.exact:
        delta = tested.natural(float(tested.drops.mean()))
        if delta < -rule.tolerance - ROUNDING:
            return "regressed"
        return "improved" if delta > rule.tolerance + ROUNDING else "no_regression"
    if result is None or p_worse is None or p_better is None or tested.units < policy.min_cases:
        return "too_few_cases"
    delta = tested.natural(result.mean)
    if p_worse <= policy.alpha and delta <= -rule.tolerance + ROUNDING:
        return "regressed"
    if p_better <= policy.alpha and delta >= rule.tolerance - ROUNDING:
        return "improved"
    return "no_regression" if tested.natural(result.low) > -rule.margin else "inconclusive"


def _lost_to_zero(tested: Tested, policy: Policy) -> bool:
    """Whether what became 0, or was it, for the worse leaves too little to compare: never a silent pass."""
    if not tested.crossed or tested.exact:
        return False
    return not tested.cases or tested.units < policy.min_cases <= tested.units + tested.crossed_units


def judge(tested: Sequence[Tested], policy: Policy) -> list[MetricComparison]:
    """The verdicts of metrics that are tested together: Holm over those that gate."""
    family = [one for one in tested if one.rule.gate and one.result and one.units >= policy.min_cases]
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
        cases=tested.cases,
        gate=rule.gate,
        relative=rule.relative,
        direction=tested.definition.direction,
        unit=tested.definition.unit,
        skipped=tested.skipped,
    )
    row.reason = "; ".join(_remarks(tested)) or None
    if not tested.cases:
        return row
    sign = 1 if rule.higher_is_better else -1
    drop = float(tested.drops.mean())
    back: Callable[[float], float] = math.exp if rule.relative else float
    row.baseline = stats.significant(back(float(tested.before.mean())))
    row.current = stats.significant(back(float(tested.before.mean()) + sign * drop))
    row.delta = stats.significant(sign * tested.natural(drop)) + 0.0  # no -0.0
    row.worse = drop < 0
    if result:
        bounds = sorted(sign * tested.natural(bound) for bound in (result.low, result.high))
        row.ci_low, row.ci_high = (stats.significant(bound) + 0.0 for bound in bounds)
        row.p = stats.significant(result.p_worse)
        row.p_adjusted = None if p_adjusted is None else stats.significant(p_adjusted)
        row.mde = stats.significant(_detectable(tested, result))
    if word in ("regressed", "inconclusive"):
        row.worst_cases = _worst(tested, back)
    row.advice = _advice(tested, word, policy)
    return row


def _remarks(tested: Tested) -> list[str]:
    found = [] if tested.cases else ["no case of the baseline was compared"]
    if tested.drops.size < tested.cases:
        found.append(f"{tested.cases} cases in {tested.drops.size} group{'s' * (tested.drops.size != 1)}")
    if tested.units > tested.cases:
        found.append(f"{tested.units} labelled texts")
    if tested.left_out:
        plural = "s" * (tested.left_out != 1)
        found.append(f"{tested.left_out} case{plural} whose test does not gate it left out")
    if tested.skipped:
        found.append(f"{tested.skipped} value{'s' * (tested.skipped != 1)} ≤ 0 left out")
    if tested.crossed:
        was, now = ("above 0", "at 0") if tested.rule.higher_is_better else ("at 0", "above 0")
        cases = f"{tested.crossed} case{'s' * (tested.crossed != 1)}"
        found.append(f'{cases} {was} before and {now} now, which no ratio tells: kind = "score" compares differences')
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
    order = [int(i) for i in np.argsort(drops.round(9), kind="stable")[:WORST_CASES] if drops[i] < 0]
    return [
        CaseDelta(
            case=tested.pairs[int(tested.kept[i])].case,
            baseline=stats.significant(back(float(tested.case_before[i]))),
            current=stats.significant(back(float(tested.case_now[i]))),
        )
        for i in order
    ]


def _advice(tested: Tested, word: VerdictWord, policy: Policy) -> str | None:
    n = tested.units
    units = "groups" if n < tested.cases else "labelled texts" if n > tested.cases else "cases"
    if word == "too_few_cases":
        missing = max(policy.min_cases, 2) - n
        return f"{missing} more {units if missing > 1 else units[:-1]} needed"
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
    if within is None or tested.units != tested.cases:
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


def at_other_prices(tested: Tested, changed: str) -> MetricComparison:
    """The verdict on costs at other prices than the stored ones: no regression of the application's, nor is it none."""
    return MetricComparison(
        metric=tested.name,
        verdict="inconclusive",
        gate=tested.rule.gate,
        reason=f"prices changed since the baseline ({changed}); the next baseline compares costs again",
        direction=tested.definition.direction,
        unit=tested.definition.unit,
        relative=True,
    )


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
