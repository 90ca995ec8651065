"""Names and defaults of metrics, and whose call is being made (the application's or a judge's)."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from pytest_llmops.exchange import Role

Direction = Literal["higher", "lower"]
MetricKind = Literal["score", "pass", "rate", "latency", "cost", "count"]

current_role: ContextVar[Role] = ContextVar("pytest_llmops_role", default="app")
"""Set to ``judge`` around a judge's own calls, so that its cost and tokens never count as the application's."""

PREFERRED_TO = "preferred_to"
"""Tag of a preference between two arms: the arm that it is measured against."""

session_judge: list[Callable[[], Any]] = []
"""Makes the judge of the running pytest session (the innermost's last), for what is called without a fixture."""

session_guardrails: list[Callable[[], Any]] = []
"""Gives what the running session adds to guardrails (the innermost's last): checks.guardrails.surroundings."""

current_steps: ContextVar[tuple[object, ...]] = ContextVar("pytest_llmops_steps", default=())
"""The steps that a request is made in, outermost first."""

RELATIVE_KINDS: frozenset[MetricKind] = frozenset({"latency", "cost", "count"})
"""Kinds compared as ratios of geometric means."""


@dataclass(frozen=True, slots=True)
class MetricDefault:
    """How a metric is compared where the project's settings say nothing.

    Args:
        tolerance: smallest change that counts as worse (absolute; a share for relative kinds).
        margin: largest change that still counts as "no regression".
        gate: whether a regression fails the run; the rest are shown only.
    """

    direction: Direction
    kind: MetricKind
    tolerance: float = 0.02
    margin: float = 0.05
    gate: bool = False


BUILTIN_METRICS: dict[str, MetricDefault] = {
    "pass": MetricDefault("higher", "pass", gate=True),
    "latency_ms": MetricDefault("lower", "latency", tolerance=0.05, margin=0.20),
    "ttft_ms": MetricDefault("lower", "latency", tolerance=0.05, margin=0.20),
    "cost_usd": MetricDefault("lower", "cost", tolerance=0.05, margin=0.20),
    "input_tokens": MetricDefault("lower", "count", tolerance=0.05, margin=0.20),
    "output_tokens": MetricDefault("lower", "count", tolerance=0.05, margin=0.20),
}


def metric_default(name: str, *, source: str, direction: Direction, kind: MetricKind) -> MetricDefault:
    """The defaults of a metric by its name (``latency_ms#2`` is ``latency_ms``), its source and its kind.

    Judge scores and guardrail outcomes gate by default; a user's own recorded metrics gate where the settings or
    the marker say so (docs/gate.md).
    """
    known = BUILTIN_METRICS.get(name.partition("#")[0])
    if known is not None and source == "builtin":
        return known
    if kind in RELATIVE_KINDS:
        return MetricDefault(direction, kind, tolerance=0.05, margin=0.20)
    return MetricDefault(direction, kind, gate=source in ("judge", "guardrail"))
