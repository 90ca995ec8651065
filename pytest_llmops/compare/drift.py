"""Whether the judge moved: what it says of stored answers now, beside what it said when they were stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pytest_llmops import stats
from pytest_llmops.records import TestRecord

ALPHA = 0.05
NOTICED = 0.02
"""A mean change of scores below this is no drift, however sure."""


def notes(trials: Iterable[TestRecord]) -> list[str]:
    """A line for each judged metric whose stored answers were judged again in this run."""
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for trial in trials:
        for name, pair in trial.rejudged.items():
            scores[name].append(pair)
    return [_note(name, pairs) for name, pairs in sorted(scores.items()) if len(pairs) > 1]


def _note(name: str, pairs: Sequence[tuple[float, float]]) -> str:
    result = stats.paired_t([now - then for then, now in pairs])
    before, now = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    p = min(1.0, 2 * min(result.p_worse, result.p_better))
    numbers = f"{before:.3f} → {now:.3f} on the same {len(pairs)} stored answers (p = {p:.2g})"
    if p <= ALPHA and abs(result.mean) >= NOTICED:
        return (
            f"judge drift: {name} moved by {result.mean:+.3f}, {numbers}; the judge changed, and that much of the "
            "metric's change is not the application's. Store this run as the baseline once the judge is settled."
        )
    return f"the judge of {name} is steady: {numbers}"
