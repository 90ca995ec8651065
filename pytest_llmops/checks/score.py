"""A judge's score: a number that knows why."""

from __future__ import annotations

from typing import Any

from pytest_llmops.registry import Direction


class Score(float):
    """A float in 0..1 with the judge's reason.

    Args:
        value: 0..1; ValueError outside of it.
        criterion: the rubric's name, or the sentence that was judged by.
        reason: the judge's words, in English.
        evidence: verbatim quotes of the judged text.
        model: the judge, ``provider:model``.
        definition: hash of judge model, rubric, scale and prompt; scores with different ones are not comparable.
        text: what was judged, whole.
        direction: ``lower`` where a high score is a bad one (defensiveness).
        votes: the scores of a jury's members and repeats; empty for a single judge's score.
        disagreement: mean distance between two votes, 0..1; None for a single judge's score.
    """

    criterion: str
    reason: str
    evidence: tuple[str, ...]
    model: str
    definition: str
    text: str
    direction: Direction
    votes: tuple[Score, ...]
    disagreement: float | None

    def __new__(  # noqa: D102 - the class says it
        cls,
        value: float,
        *,
        criterion: str = "",
        reason: str = "",
        evidence: tuple[str, ...] = (),
        model: str = "",
        definition: str = "",
        text: str = "",
        direction: Direction = "higher",
        votes: tuple[Score, ...] = (),
        disagreement: float | None = None,
    ) -> Score:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"a score lies in 0..1, got {value!r}")
        score = super().__new__(cls, value)
        score.criterion, score.reason, score.evidence = criterion, reason, tuple(evidence)
        score.model, score.definition, score.text, score.direction = model, definition, text, direction
        score.votes, score.disagreement = tuple(votes), disagreement
        return score

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (float(self), dict(vars(self)))


def _restored(value: float, fields: dict[str, Any]) -> Score:
    return Score(value, **fields)
