"""What is said about an answer: judges and their scores."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_llmops.checks.judge import Judge
    from pytest_llmops.checks.judge_models import DEFAULT_JUDGE
    from pytest_llmops.checks.jury import Jury
    from pytest_llmops.checks.rubrics import Rubric
    from pytest_llmops.checks.score import Score

__all__ = ["DEFAULT_JUDGE", "Judge", "Jury", "Rubric", "Score"]

# Loaded when asked for: a judge's name is checked in every run that has one, judged or not.
_WHERE = {"DEFAULT_JUDGE": "judge_models", "Judge": "judge", "Jury": "jury", "Rubric": "rubrics", "Score": "score"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
