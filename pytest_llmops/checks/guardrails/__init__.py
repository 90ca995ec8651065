"""Guardrails: detectors that need no network. docs/guardrails.md says what each finds and misses."""

from pytest_llmops.checks.guardrails.catalogue import BUILTIN, ENTRY_POINTS, build
from pytest_llmops.checks.guardrails.outcome import Action, Context, Guardrail, Outcome, Severity, Span, Stage

__all__ = [
    "BUILTIN",
    "ENTRY_POINTS",
    "Action",
    "Context",
    "Guardrail",
    "Outcome",
    "Severity",
    "Span",
    "Stage",
    "build",
]
