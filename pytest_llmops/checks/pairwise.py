"""Which of two answers is better: asked in both orders, since judges prefer a place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from pytest_llmops.checks import judge_prompt
from pytest_llmops.checks.judge import Judge
from pytest_llmops.checks.judge_prompt import PROMPT_VERSION, Prompt
from pytest_llmops.checks.judge_verdict import validated
from pytest_llmops.checks.jury import Jury, combined, disagreement
from pytest_llmops.checks.question import Question, short_hash
from pytest_llmops.checks.rubrics import Rubric
from pytest_llmops.checks.score import Measured

_LONGEST = judge_prompt.LIMITS["answer"] // 3
"""Characters of each answer; the JSON around and in them needs some, too."""
Choice = Literal["first", "second", "tie"]

_ASK = """\
The answer below holds two answers to the same input, as a JSON object with the keys "first" and "second". Compare the \
two by this criterion; the scale says what is better. Which stands first means nothing. Say "tie" only where neither \
is better.

"""
_FORM = """\
First give the reason, then the choice.
- reason: one to three sentences, in English, that name what makes the difference.
- choice: "first", "second" or "tie"."""
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "description": "Why, in English, one to three sentences."},
        "choice": {"type": "string", "enum": ["first", "second", "tie"]},
    },
    "required": ["reason", "choice"],
    "additionalProperties": False,
}


class _Verdict(BaseModel):
    model_config = ConfigDict(extra="ignore")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    choice: Choice


class Preference(Measured):
    """1 where the second answer was preferred in both orders, 0 for the first, .5 for a tie or no clear choice.

    Args:
        position_bias: 1 where whichever stood first was taken both times, -1 whichever stood second, else 0.
        definition: hash of judge model and rubric.
        votes: the preference of each member of a jury; empty for a single judge's.
        disagreement: mean distance between two votes, 0..1; None for a single judge's.
    """

    position_bias: float
    definition: str
    votes: tuple[Preference, ...] = ()
    disagreement: float | None = None


class Comparing(Question[_Verdict]):
    """Asks which of two answers is better, in one order."""

    def __init__(
        self, judge: Judge, rubric: Rubric, texts: Sequence[str], given: Mapping[str, Any], repeat: int = 0
    ) -> None:
        self.rubric, self.given = rubric, given
        # Each is cut by itself: of both together the end of one and the start of the other would go.
        first, second = (judge_prompt.cut(text, _LONGEST) for text in texts)
        self.text = judge_prompt.as_text({"first": first, "second": second})
        self.definition = definition(judge, rubric)
        shown = [None if value is None else judge_prompt.as_text(value) for value in given.values()]
        parts = [self.definition, self.text, shown, *([repeat] if repeat else [])]
        super().__init__(judge.model, rubric.name, parts)

    def prompt(self) -> Prompt:
        """The texts that are sent."""
        criterion = _ASK + self.rubric.text()
        if self.rubric.direction == "lower":
            criterion += "\nA lower level is better."
        return judge_prompt.compose(criterion, _FORM, _SCHEMA, key=self.key, text=self.text, **self.given)

    def understood(self, answer: object) -> _Verdict:
        """The judge's choice."""
        return validated(answer, _Verdict)


def definition(judge: Judge, rubric: Rubric) -> str:
    """Hash of what a preference means."""
    return short_hash([PROMPT_VERSION, judge.model, _ASK, _FORM, rubric.direction, rubric.text()], 6)


def prefer(judge: Judge | Jury, rubric: Rubric, first: str, second: str, **given: Any) -> Preference:
    """Which of two answers is better by a rubric.

    Args:
        judge: each member of it is asked twice, once in each order.
        rubric: what better means.
        first: an answer; the preference is 0 where it is better.
        second: another one; 1 where it is better.
        given: ``input``, ``expected``, ``context`` of both.

    Raises:
        JudgeError: a judge failed in one of the orders.
    """
    __tracebackhide__ = True
    asked = [_asking(rubric, texts, given) for texts in ((first, second), (second, first))]
    forth, back = (judge.poll(one) for one in asked)
    return _together(judge, rubric, second, forth, back)


async def aprefer(judge: Judge | Jury, rubric: Rubric, first: str, second: str, **given: Any) -> Preference:
    """`prefer` without blocking the running loop."""
    __tracebackhide__ = True
    asked = [_asking(rubric, texts, given) for texts in ((first, second), (second, first))]
    forth, back = [await judge.apoll(one) for one in asked]
    return _together(judge, rubric, second, forth, back)


def _asking(rubric: Rubric, texts: Sequence[str], given: Mapping[str, Any]) -> Callable[[Judge, int], Comparing]:
    return lambda judge, repeat: Comparing(judge, rubric, texts, given, repeat)


def _together(
    judge: Judge | Jury, rubric: Rubric, text: str, forth: Sequence[_Verdict], back: Sequence[_Verdict]
) -> Preference:
    pairs = zip(judge.seats, forth, back, strict=True)
    votes = [_preference(one, rubric, text, there, here) for (one, _), there, here in pairs]
    if isinstance(judge, Judge):
        return votes[0]
    found = Preference(
        combined(votes, judge.method),
        name=votes[0].name,
        reason="\n".join(
            f"{one.model} {vote:g}: {vote.reason}" for (one, _), vote in zip(judge.seats, votes, strict=True)
        ),
        text=text,
    )
    found.position_bias = fmean(vote.position_bias for vote in votes)
    found.definition = judge.together([vote.definition for vote in votes])
    found.votes, found.disagreement = tuple(votes), disagreement(votes)
    return found


def _preference(judge: Judge, rubric: Rubric, text: str, forth: _Verdict, back: _Verdict) -> Preference:
    # As points of the second answer.
    points = {"first": 0.0, "second": 1.0, "tie": 0.5}
    preference = Preference(
        (points[forth.choice] + 1 - points[back.choice]) / 2,
        name=f"{rubric.name}.prefers",
        reason=f"{forth.choice}: {forth.reason}\nin the other order {back.choice}: {back.reason}",
        text=text,
    )
    same_place = forth.choice == back.choice != "tie"
    preference.position_bias = {"first": 1.0, "second": -1.0}[forth.choice] if same_place else 0.0
    preference.definition = definition(judge, rubric)
    return preference
