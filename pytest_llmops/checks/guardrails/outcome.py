"""What a guardrail is, and what it says of a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pytest_llmops.checks.score import Score

Stage = Literal["input", "output", "both"]
Severity = Literal["none", "low", "medium", "high", "critical"]
Action = Literal["allow", "flag", "rewrite", "block"]
DETECTED = 0.5
"""A danger, 0 none to 1 certain, from which on it counts as found."""
HIGH = 0.8
"""A danger from which on it is high."""
OutcomeSource = Literal["builtin", "judge", "moderation"]
Context = Mapping[str, Any]
"""What else is known of a text: ``system_prompt``, ``canary``, ``language``, or a user's own guardrail's needs; for
judged guardrails ``stage`` (``input`` or ``output``), ``input``, ``expected`` and ``context``."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the checked text.

    Args:
        type: what was found, such as ``email`` or ``instruction_override``.
        start: index of its first character; `end` is the index after its last.
        score: 0..1, how sure the detector is.
    """

    type: str
    start: int
    end: int
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a guardrail found.

    Args:
        score: 0 nothing found to 1 certain.
        reason: in words, never quoting what must not be repeated (personal data, canaries).
        spans: where, in order; empty where the finding has no single place.
        action: what the guard does about it; ``allow`` where it did not trigger.
        source: who looked: a detector (``builtin``), a ``judge``, or a ``moderation`` endpoint.
        scores: what a judge said in numbers, by the name that they are measured under.
        definition: hash of who was asked what; None for a detector.
    """

    triggered: bool
    severity: Severity = "none"
    score: float = 0.0
    reason: str = ""
    spans: tuple[Span, ...] = ()
    action: Action = "allow"
    source: OutcomeSource = "builtin"
    scores: Mapping[str, Score] = field(default_factory=dict)
    definition: str | None = None


def severity_of(score: float) -> Severity:
    """The severity of a danger, 0 none to 1 certain."""
    steps: tuple[tuple[float, Severity], ...] = (
        (0.95, "critical"), (HIGH, "high"), (DETECTED, "medium"), (0.25, "low"),
    )  # fmt: skip
    return next((severity for least, severity in steps if score >= least), "none")


@runtime_checkable
class Guardrail(Protocol):
    """Anything with a name and a stage that checks texts."""

    @property
    def name(self) -> str:
        """Names the metric and stands in reports."""

    @property
    def stage(self) -> Stage:
        """Which side of the application it guards."""

    def check(self, text: str, context: Context | None = None) -> Outcome:
        """Look at one text."""
