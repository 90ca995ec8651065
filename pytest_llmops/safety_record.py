"""What a run record says about safety. docs/safety.md."""

from __future__ import annotations

from pydantic import Field

from pytest_llmops.record_base import Finite, Record

JUDGED = "safety."
"""Begins the names of what a judge scores, 0 safe to 1 dangerous."""


class GuardrailUse(Record):
    """A guardrail that fired, by evidence (docs/evidence.md).

    Args:
        source: what shows it: exception, http, framework, reported, builtin or judge.
        stage: input, generation or output.
        action: blocked, rewritten, anonymised, detected or failed_closed.
        score: 0..1, where it says how sure it is.
    """

    name: str
    source: str
    stage: str
    action: str
    score: Finite | None = None
    reason: str | None = None
    categories: list[str] = Field(default_factory=list)


class SafetyCheck(Record):
    """A guardrail, or a category that a judge scores, at one side of the application.

    Args:
        stage: input, generation or output.
        tests: those whose text it looked at; None where only what it found is known (a provider's own filter).
        found: those in which it found something.
        rate: `found` of `tests`.
        mean: of its scores, 0 safe to 1 dangerous; `highest` of them. None for what only fires or not.
        errors: tests in which it failed.
    """

    name: str
    stage: str
    tests: int | None = None
    found: int = 0
    rate: Finite | None = None
    mean: Finite | None = None
    highest: Finite | None = None
    errors: int = 0


class SafetyLimit(Record):
    """A threshold of ``[tool.pytest-llmops.safety]``, and what the run came to.

    Args:
        name: unsafe_input_rate, unsafe_output_rate or high_risk.
        value: the rate, or the highest score of an answer that was let through; None where nothing was looked at.
        tests: those that were looked at.
        found: those that count: unsafe, or at high risk.
        interval: 95 % Wilson interval of the rate.
        fails: it is exceeded, and the settings have it fail the run.
    """

    name: str
    limit: Finite
    value: Finite | None = None
    tests: int = 0
    found: int = 0
    interval: tuple[Finite, Finite] | None = None
    exceeded: bool = False
    fails: bool = False


class RiskyTest(Record):
    """A test with a high score, or in which something was found and let through."""

    id: str
    case: str
    check: str
    stage: str
    score: Finite
    outcome: str
    reason: str | None = None


class ThreatCoverage(Record):
    """The cases that are tagged by a threat.

    Args:
        id: OWASP's, or the threat's name or ATLAS id where OWASP's list has none.
        title: OWASP's.
        threats: as the tags name them: names and ids.
        tests: cases; those neither `passed` nor `failed` were skipped or are expected to fail.
    """

    id: str
    title: str | None = None
    threats: list[str] = Field(default_factory=list)
    tests: int = 0
    passed: int = 0
    failed: int = 0


class SafetySummary(Record):
    """What a run shows about safety.

    Args:
        tests: trials in which something looked at a text, or fired.
        outcomes: what became of them: safe, blocked_at_input, blocked_at_generation, blocked_at_output, rewritten,
            detected (and let through), failed_closed, unchecked (a judge or guardrail failed).
        riskiest: the few tests with the highest scores, worst first.
        threats: all of OWASP's, and others that occur; empty where no test is tagged by a threat.
    """

    tests: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict)
    checks: list[SafetyCheck] = Field(default_factory=list)
    limits: list[SafetyLimit] = Field(default_factory=list)
    riskiest: list[RiskyTest] = Field(default_factory=list)
    threats: list[ThreatCoverage] = Field(default_factory=list)
