"""pytest plugin and CI regression harness for applications built on LLMs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_llmops.ab import assign_arm
    from pytest_llmops.checks import Judge, Jury, Rubric, Score
    from pytest_llmops.checks.adapters.deepeval import deepeval_model
    from pytest_llmops.checks.tone import EvaluationMetrics
    from pytest_llmops.suite import PromptTestSuite

__all__ = ["EvaluationMetrics", "Judge", "Jury", "PromptTestSuite", "Rubric", "Score", "assign_arm", "deepeval_model"]

# Loaded when asked for: every pytest run of a project imports this package.
_WHERE = {
    "EvaluationMetrics": "pytest_llmops.checks.tone",
    "Judge": "pytest_llmops.checks",
    "Jury": "pytest_llmops.checks",
    "PromptTestSuite": "pytest_llmops.suite",
    "Rubric": "pytest_llmops.checks",
    "Score": "pytest_llmops.checks",
    "assign_arm": "pytest_llmops.ab",
    "deepeval_model": "pytest_llmops.checks.adapters.deepeval",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
