"""Numbers that know why: a judge's score, and what is measured without a judge."""

from __future__ import annotations

import textwrap
from typing import Any, Self

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
    ) -> Self:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"a score lies in 0..1, got {value!r}")
        score = super().__new__(cls, value)
        score.criterion, score.reason, score.evidence = criterion, reason, tuple(evidence)
        score.model, score.definition, score.text, score.direction = model, definition, text, direction
        score.votes, score.disagreement = tuple(votes), disagreement
        return score

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), float(self), dict(vars(self)))


def explain(op: str, left: object, right: object) -> list[str] | None:
    """The lines of a failed comparison with a score or a metric; None where neither side is one."""
    number = left if isinstance(left, Score | Measured) else right
    if isinstance(number, Score):
        about = f"{number.criterion}, judged by {number.model}"
        quotes = [f"  quoted: {quote}" for quote in number.evidence]
    elif isinstance(number, Measured):
        about, quotes = number.name, []
    else:
        return None
    first, *more = number.reason.splitlines() or [""]
    lines = [f"{left!r} {op} {right!r}", f"{about}: {first}", *(f"  {line}" for line in more), *quotes]
    if not number.text:
        return lines
    return [*lines, "the judged text:", *textwrap.indent(textwrap.shorten(number.text, 1500), "  ").splitlines()]


class Measured(float):
    """A float, measured without a judge.

    Args:
        value: the number.
        name: what was measured.
        reason: what led to it.
        text: what was measured on.
    """

    name: str
    reason: str
    text: str

    def __new__(cls, value: float, *, name: str = "", reason: str = "", text: str = "") -> Self:  # noqa: D102
        measured = super().__new__(cls, value)
        measured.name, measured.reason, measured.text = name, reason, text
        return measured

    def __reduce__(self) -> tuple[Any, ...]:
        return _measured, (type(self), float(self), dict(vars(self)))


def _measured(kind: type[Measured], value: float, fields: dict[str, Any]) -> Measured:
    measured = kind(value)
    vars(measured).update(fields)
    return measured


def _restored(kind: type[Score], value: float, fields: dict[str, Any]) -> Score:
    score = float.__new__(kind, value)
    vars(score).update(fields)
    return score
