"""How often the gate's rule is wrong, over many kept baselines; worked out apart from the product's own code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import stdtr

from bench.measure import Row

CASES, TRIALS, STORED = 50, 3, 5
BASELINES, BUILDS = 200, 200
ALPHA, TOLERANCE = 0.05, 0.02
Floats = np.ndarray[Any, np.dtype[np.float64]]


def rows() -> Iterator[Row]:
    """Share of red builds with three gated metrics: whether each passes, and two judges' scores."""
    for drop in (0.0, 0.05, 0.1):
        plain, confirmed, separate = _red(np.random.default_rng(1), drop)
        what = f"a drop of {drop:g}" if drop else "clean builds"
        yield Row(f"{what}: red", 100 * plain.mean(), "%")
        yield Row(f"{what}: red and confirmed by fresh trials", 100 * confirmed.mean(), "%")
        yield Row(f"{what}: red and confirmed beside the baseline's code", 100 * separate.mean(), "%")
        if not drop:
            yield Row(f"{what}, of the unluckiest baseline: red", 100 * plain.max(), "%")
            yield Row(f"{what}, of the unluckiest baseline: confirmed", 100 * confirmed.max(), "%")
            yield Row(f"{what}, of the unluckiest baseline: beside its code", 100 * separate.max(), "%")


def _red(draw: np.random.Generator, drop: float) -> tuple[Floats, Floats, Floats]:
    """Share of red builds of each baseline: at once, confirmed, and confirmed by fresh trials of its code, too."""
    plain, confirmed, separate = [], [], []
    for _ in range(BASELINES):
        share = draw.random(CASES)
        passing = np.where(
            share < 0.7, 0.98, np.where(share < 0.9, *draw.uniform([[0.5], [0.05]], [[0.9], [0.3]], (2, CASES)))
        )
        levels = draw.beta(6, 2, (2, CASES))
        before = _means(draw, passing, levels, STORED, 1)
        first = _tested(_means(draw, passing - drop, levels - drop, TRIALS, BUILDS) - before, adjust=True)
        fresh = _means(draw, passing - drop, levels - drop, TRIALS, BUILDS)
        again = _tested(fresh - before, adjust=False)
        apart = _tested(fresh - _means(draw, passing, levels, TRIALS, BUILDS), adjust=False)
        plain.append(first.any(axis=1).mean())
        confirmed.append((first & again).any(axis=1).mean())
        separate.append((first & apart).any(axis=1).mean())
    return np.array(plain), np.array(confirmed), np.array(separate)


def _means(draw: np.random.Generator, passing: Floats, levels: Floats, trials: int, builds: int) -> Floats:
    """Means over trials: builds × metrics × cases; scores have five levels."""
    passed = draw.binomial(trials, passing.clip(0, 1), (builds, CASES)) / trials
    scores = [draw.binomial(4 * trials, level.clip(0, 1), (builds, CASES)) / (4 * trials) for level in levels]
    return np.stack([passed, *scores], axis=1)


def _tested(change: Floats, *, adjust: bool) -> Floats:
    """Which metrics of which builds regressed."""
    mean, spread = change.mean(axis=-1), change.std(axis=-1, ddof=1)
    p = stdtr(CASES - 1, mean / (np.maximum(spread, 1e-12) / np.sqrt(CASES)))
    if adjust:  # Holm
        order = np.argsort(p, axis=1)
        ranked = np.take_along_axis(p, order, axis=1) * np.arange(p.shape[1], 0, -1)
        np.put_along_axis(p, order, np.maximum.accumulate(ranked, axis=1), axis=1)
    return (p <= ALPHA) & (mean <= -TOLERANCE)
