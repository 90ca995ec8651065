"""What is said about an answer: judges and their scores."""

from pytest_llmops.checks.judge import Judge
from pytest_llmops.checks.judge_models import DEFAULT_JUDGE
from pytest_llmops.checks.jury import Jury
from pytest_llmops.checks.rubrics import Rubric
from pytest_llmops.checks.score import Score

__all__ = ["DEFAULT_JUDGE", "Judge", "Jury", "Rubric", "Score"]
