"""What a run record says about the arms of ``llm_ab``. docs/ab.md."""

from __future__ import annotations

from pydantic import Field

from pytest_llmops.record_base import Finite, Record
from pytest_llmops.registry import Direction, MetricKind


class ArmMetric(Record):
    """A metric of two arms over the same cases.

    Args:
        a: mean of the first arm (geometric where relative); `b` of the second.
        delta: b - a (ratio - 1 where relative), with its two-sided 95 % interval.
        p: two-sided, of the paired t-test; `p_adjusted` after Holm over the test's metrics.
        winner: the better arm's name, where `p_adjusted` is at most .05.
        advice: how many more cases would tell, where there is no winner.
    """

    metric: str
    cases: int = 0
    a: Finite | None = None
    b: Finite | None = None
    delta: Finite | None = None
    ci_low: Finite | None = None
    ci_high: Finite | None = None
    p: Finite | None = None
    p_adjusted: Finite | None = None
    winner: str | None = None
    advice: str | None = None
    relative: bool = False
    direction: Direction = "higher"
    kind: MetricKind = "score"
    unit: str | None = None


class ArmsComparison(Record):
    """Two arms of one test (``@pytest.mark.llm_ab``).

    Args:
        unpaired: cases that have values in one of them only.
        position_bias: by rubric, how far whichever stood first (1) or second (-1) was preferred in both orders.
    """

    test: str
    a: str
    b: str
    unpaired: int = 0
    position_bias: dict[str, Finite] = Field(default_factory=dict)
    metrics: list[ArmMetric] = Field(default_factory=list)
