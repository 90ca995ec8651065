"""Guardrails: detectors, and what is asked of a judge. docs/guardrails.md says what each finds and misses."""

from pytest_llmops.checks.guardrails.catalogue import BUILTIN, ENTRY_POINTS, JUDGED, OFFLINE, build, known, names
from pytest_llmops.checks.guardrails.judged import OVERALL
from pytest_llmops.checks.guardrails.outcome import (
    DETECTED,
    Action,
    Context,
    Guardrail,
    Outcome,
    Severity,
    Span,
    Stage,
)

__all__ = [
    "BUILTIN",
    "DETECTED",
    "ENTRY_POINTS",
    "JUDGED",
    "OFFLINE",
    "OVERALL",
    "Action",
    "Context",
    "Guardrail",
    "Outcome",
    "Severity",
    "Span",
    "Stage",
    "build",
    "known",
    "names",
]
