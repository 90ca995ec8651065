"""A share over labelled texts that one case measured (``llm_guardrails.rates``): the texts are its sample."""

from __future__ import annotations

from pytest_llmops import stats
from pytest_llmops.compare.pairing import Pair


def tested(name: str, pair: Pair, before: float, now: float, *, higher_is_better: bool) -> stats.PairedT | None:
    """The test that a share got worse; None where it is none of labelled texts.

    The pair's texts are the stored ones, or its dataset's hash would be another. Which of them changed is not stored:
    the two shares are compared as if of different texts, which errs on the careful side.

    Args:
        name: the metric.
        pair: the only case that measures it.
        before: the stored share, the mean of its trials.
        now: the run's, likewise.
        higher_is_better: whether a fall is worse.
    """
    counts = {one.texts for trial in pair.trials if (one := trial.measurements.get(name)) is not None}
    texts = counts.pop() if len(counts) == 1 else None
    if not texts:
        return None
    if not higher_is_better:
        before, now = 1 - before, 1 - now
    return stats.two_shares(round(before * texts), round(now * texts), texts)
