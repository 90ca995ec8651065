"""Statistics of the gate: numbers in, numbers out. The rule and its reasons are in docs/gate.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = Sequence[float] | NDArray[np.float64]

POWER_Z = NormalDist().inv_cdf(0.8)
"""z of the power (.8) at which minimum detectable effects are stated."""


@dataclass(frozen=True, slots=True)
class PairedT:
    """A one-sided paired t-test; the sign is such that lower is worse.

    Args:
        sd: standard deviation of the differences (n - 1).
        p_worse: p of "the mean is below -margin"; `p_better` of "above +margin".
        low: lower one-sided confidence bound of the mean; `high` the upper one.
    """

    n: int
    mean: float
    sd: float
    p_worse: float
    p_better: float
    low: float
    high: float


def paired_t(differences: Floats, *, margin: float = 0.0, confidence: float = 0.95) -> PairedT:
    """Test the mean of paired differences, one-sided both ways.

    Without any spread p is 0 where the mean lies beyond the margin, else 1.

    Args:
        differences: one number a case (at least two); lower is worse.
        margin: how far beyond 0 the mean must lie.
        confidence: of each one-sided bound.

    Raises:
        ValueError: fewer than two differences.
    """
    import numpy as np

    d = np.asarray(differences, dtype=np.float64)
    n = int(d.size)
    if n < 2:
        raise ValueError(f"a paired t-test needs two differences, got {n}")
    mean, sd = float(d.mean()), float(d.std(ddof=1))
    error = sd / math.sqrt(n)
    if sd <= 1e-12 * float(np.abs(d).max()):  # equal but for the last bits
        return PairedT(n, mean, sd, float(not mean < -margin), float(not mean > margin), mean, mean)
    from scipy.special import stdtr

    half = t_quantile(confidence, n - 1) * error
    return PairedT(
        n,
        mean,
        sd,
        p_worse=float(stdtr(n - 1, (mean + margin) / error)),
        p_better=float(stdtr(n - 1, (margin - mean) / error)),
        low=mean - half,
        high=mean + half,
    )


def t_quantile(probability: float, df: int) -> float:
    """Quantile of Student's t with `df` degrees of freedom."""
    from scipy.special import stdtrit  # a third of the import time of scipy.stats

    return float(stdtrit(df, probability))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for testing them all at once (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, p_values[index] * (len(order) - rank)))
        adjusted[index] = running
    return adjusted


def fisher_worse(passed_before: int, before: int, passed_now: int, now: int) -> float:
    """One-sided p of Fisher's exact test that the share of passes fell.

    With all of `before` passed and none of `now` it is ``1 / C(before + now, now)``.
    """
    passed = passed_before + passed_now
    total = math.comb(before + now, now)
    lowest = max(0, passed - before)
    ways = sum(math.comb(passed, k) * math.comb(before + now - passed, now - k) for k in range(lowest, passed_now + 1))
    return ways / total


def two_shares(before: int, now: int, n: int, *, confidence: float = 0.95) -> PairedT:
    """Whether a share fell, of n texts before and now: Fisher's exact p, Newcombe's bounds of the difference.

    Args:
        before: successes then.
        now: successes now.
        n: at least one.
        confidence: of the one-sided bounds.
    """
    shares = before / n, now / n
    difference = shares[1] - shares[0]
    (low_before, high_before), (low_now, high_now) = (
        wilson(k, n, confidence=2 * confidence - 1) for k in (before, now)
    )
    pooled = sum(shares) / 2
    return PairedT(
        n=n,
        mean=difference,
        sd=math.sqrt(2 * pooled * (1 - pooled)),
        p_worse=fisher_worse(before, n, now, n),
        p_better=fisher_worse(now, n, before, n),
        low=difference - math.hypot(shares[1] - low_now, high_before - shares[0]),
        high=difference + math.hypot(high_now - shares[1], shares[0] - low_before),
    )


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided Wilson interval of a share; (0, 1) where n is 0."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = (centre - half) / scale, (centre + half) / scale
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def mcnemar(only_before: int, only_now: int) -> tuple[float, float]:
    """McNemar's χ² (no continuity correction) and exact two-sided p, from the discordant pairs."""
    n = only_before + only_now
    if n == 0:
        return 0.0, 1.0
    tail = sum(math.comb(n, k) for k in range(min(only_before, only_now) + 1))
    return (only_before - only_now) ** 2 / n, min(1.0, 2 * tail / 2**n)


def cohen_kappa(table: Sequence[Sequence[float]]) -> float:
    """Cohen's κ of a square table of counts (rows: one rater, columns: the other).

    Raises:
        ValueError: the table is empty, or not square.
    """
    total = sum(map(sum, table))
    if total == 0 or any(len(row) != len(table) for row in table):
        raise ValueError("Cohen's kappa needs a square table with at least one count")
    observed = sum(row[i] for i, row in enumerate(table)) / total
    chance = sum(sum(row) * sum(column) for row, column in zip(table, zip(*table, strict=True), strict=True)) / total**2
    return 1.0 if chance == 1 else (observed - chance) / (1 - chance)


def effect_factor(n: int) -> float:
    """Standard errors between no effect and one found with power .8 at one-sided 5 %: t(.95, n-1) + z(.8)."""
    return t_quantile(0.95, n - 1) + POWER_Z


def minimum_detectable_effect(sd: float, n: int, *, pass_rate: float | None = None, trials: float = 1) -> float:
    """The smallest mean drop that n differences of this spread reveal with power .8.

    Args:
        sd: standard deviation of the paired differences.
        n: number of pairs, at least two.
        pass_rate: for pass/fail metrics, the present share of passes; a share near 1 shows less spread now than it
            will after a drop, which is corrected for.
        trials: of each case, for that correction.
    """
    c = effect_factor(n)
    optimism = 0.0 if pass_rate is None else c * c * max(0.0, 2 * pass_rate - 1) / (trials * n)
    return (optimism + math.sqrt(optimism**2 + 4 * c * c * sd * sd / n)) / 2


def cases_needed(sd: float, margin: float, n: int) -> int:
    """Cases at which a mean that did not change is shown to lie within `margin` with power .8; c as at n cases."""
    return math.ceil((effect_factor(n) * sd / margin) ** 2)


def trials_needed(
    n: int, margin: float, *, within: float, within_baseline: float, baseline_trials: float, excess: float
) -> int | None:
    """Trials of each of n cases that settle a metric at `margin`; None where only more cases can.

    Args:
        n: number of cases.
        margin: as for `cases_needed`.
        within: variance between trials of one case, now.
        within_baseline: the same in the baseline.
        baseline_trials: trials of each case in the baseline.
        excess: variance of the differences that the variance between trials does not explain.
    """
    room = n * margin**2 / effect_factor(n) ** 2 - excess - within_baseline / baseline_trials
    if room <= 0:
        return None
    return max(1, math.ceil(within / room))


def ratio_of_means(now: Floats, before: Floats, *, confidence: float = 0.95) -> tuple[float, float, float]:
    """Ratio of two paired means (a total cost over another) with one-sided bounds by the delta method.

    Returns:
        (ratio, lower bound, upper bound); the bounds are on the log scale, hence positive.

    Raises:
        ValueError: fewer than two pairs, or a mean that is not positive.
    """
    import numpy as np

    x, y = np.asarray(now, dtype=np.float64), np.asarray(before, dtype=np.float64)
    if x.size < 2 or x.mean() <= 0 or y.mean() <= 0:
        raise ValueError("a ratio of means needs two pairs and positive means")
    ratio = float(x.mean() / y.mean())
    residual = x / x.mean() - y / y.mean()
    error = float(residual.std(ddof=1)) / math.sqrt(x.size)
    if error == 0:
        return ratio, ratio, ratio
    half = t_quantile(confidence, int(x.size) - 1) * error
    return ratio, ratio * math.exp(-half), ratio * math.exp(half)


def quantile(values: Sequence[float], q: float) -> float:
    """Quantile by linear interpolation between order statistics.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    position = q * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def significant(value: float) -> float:
    """Round to the 6 significant digits that baselines keep."""
    return float(f"{value:.6g}")


def plain(value: float, digits: int) -> str:
    """Significant digits without an exponent: 0.0000364."""
    text = f"{value:.{digits}g}"
    if "e-" not in text:
        return text
    places = int(text.partition("e-")[2]) + digits - 1
    return f"{value:.{places}f}".rstrip("0")


def significant_array(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`significant` of many numbers at once; NaN stays NaN."""
    import numpy as np

    magnitude = np.abs(values)
    exponent = np.floor(np.log10(np.where((magnitude > 0) & np.isfinite(magnitude), magnitude, 1.0)))
    shift = 5 - exponent
    # Powers of ten up to 1e22 are exact, so that dividing by one gives the float nearest to the decimal number.
    scale = 10.0 ** np.minimum(np.abs(shift), 300)
    rounded = np.where(shift >= 0, np.rint(values * scale) / scale, np.rint(values / scale) * scale)
    return np.where(np.abs(shift) <= 22, rounded, values)
