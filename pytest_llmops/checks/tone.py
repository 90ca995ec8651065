"""How an answer sounds: one judged call gives a label and three scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pytest_llmops.checks import judge_prompt
from pytest_llmops.checks.builtin_rubrics import BUILTIN
from pytest_llmops.checks.judge import Judge
from pytest_llmops.checks.judge_models import DEFAULT_JUDGE
from pytest_llmops.checks.judge_prompt import PROMPT_VERSION, Prompt
from pytest_llmops.checks.judge_verdict import shortened, validated
from pytest_llmops.checks.jury import Judging, Jury, combined, disagreement
from pytest_llmops.checks.question import Question, short_hash
from pytest_llmops.checks.style import Style, style
from pytest_llmops.errors import SettingsError
from pytest_llmops.registry import Direction, session_judge

Label = Literal[
    "professional", "friendly", "empathetic", "neutral", "casual", "apologetic", "defensive", "dismissive", "hostile"
]
LABELS: tuple[Label, ...] = get_args(Label)

SCALES: dict[str, Direction] = {"professional": "higher", "empathy": "higher", "defensive": "lower"}
"""What is scored, and which way is better."""

RUBRICS = {"professional": "tone", "empathy": "empathy", "defensive": "defensiveness"}
_FORM = """\
First give the reason, then the levels, then the label.
- reason: one to three sentences, in English, that name what in the answer sounds so.
- professional, empathy, defensive: for each scale the whole number whose description fits best.
- label: the one word that names the tone as a whole: {labels}."""


class Tone(str):
    """The label of a tone, with its scores.

    Args:
        label: one of `LABELS`.
        professional: 0..1.
        empathy: 0..1.
        defensive: 0..1; high is bad.
        reason: the judge's words, in English.
        model: the judge.
        definition: hash of judge model and scales.
        votes: what each member of a jury heard; empty for a single judge's.
        disagreement: mean distance between two votes, by scale; empty for a single judge's.
    """

    professional: float
    empathy: float
    defensive: float
    reason: str
    model: str
    definition: str
    votes: tuple[Tone, ...] = ()
    disagreement: Mapping[str, float] = MappingProxyType({})

    def __new__(cls, label: str, **fields: Any) -> Tone:  # noqa: D102 - the class says it
        tone = super().__new__(cls, label)
        vars(tone).update(fields)
        return tone

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (str(self),), dict(vars(self))

    @property
    def label(self) -> str:
        """The label as a plain str."""
        return str(self)


_Level = Annotated[int, Field(strict=True, ge=1, le=5)]


class _Verdict(BaseModel):
    model_config = ConfigDict(extra="ignore")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    professional: _Level
    empathy: _Level
    defensive: _Level
    label: Label


class HowItSounds(Question[Tone]):
    """Asks for the tone of a text.

    Args:
        model: the judge.
        text: what is judged.
        input: what it answers, for the empathy.
        repeat: the number of the sample.
    """

    def __init__(self, model: str, text: str, *, input: object = None, repeat: int = 0) -> None:
        if not isinstance(text, str):
            raise SettingsError(f"the tone is that of a str, got {shortened(text)} ({type(text).__name__}).")
        self.text, self.input = text, input
        self.definition = short_hash([PROMPT_VERSION, model, _criterion(), _FORM, LABELS], 6)
        asked = None if input is None else judge_prompt.as_text(input)
        super().__init__(model, "tone", [self.definition, text, asked, *([repeat] if repeat else [])])

    def prompt(self) -> Prompt:
        """The texts that are sent."""
        form = _FORM.format(labels=", ".join(LABELS))
        return judge_prompt.compose(_criterion(), form, _schema(), key=self.key, text=self.text, input=self.input)

    def understood(self, answer: object) -> Tone:
        """The tone that the judge hears."""
        verdict = validated(answer, _Verdict)
        return Tone(
            verdict.label,
            **{name: (getattr(verdict, name) - 1) / 4 for name in SCALES},
            reason=verdict.reason,
            model=self.model,
            definition=self.definition,
        )


def together(judge: Judge | Jury, votes: Sequence[Tone]) -> Tone:
    """One tone out of what each member of a jury heard: scales by its method, the label that most gave.

    Args:
        judge: who was asked.
        votes: at least one; of equally frequent labels the first counts.
    """
    if isinstance(judge, Judge):
        return votes[0]
    scales = {name: [float(getattr(vote, name)) for vote in votes] for name in SCALES}
    return Tone(
        Counter(str(vote) for vote in votes).most_common(1)[0][0],
        **{
            name: combined(values, judge.method, worse=max if SCALES[name] == "lower" else min)
            for name, values in scales.items()
        },
        reason="\n".join(f"{vote.model} {vote}: {vote.reason}" for vote in votes),
        model=judge.model,
        definition=judge.together([vote.definition for vote in votes]),
        votes=tuple(votes),
        disagreement={name: disagreement(values) for name, values in scales.items()},
    )


def _criterion() -> str:
    lines = ["Criterion: How does the answer sound to the person addressed? Judge it on three scales."]
    for name, rubric in RUBRICS.items():
        lines += [f"Scale {name}, whole numbers from 1 to 5. {BUILTIN[rubric].question}"]
        lines += [f"  {level}: {text}" for level, text in sorted(BUILTIN[rubric].levels.items())]
    return "\n".join(lines)


def _schema() -> dict[str, Any]:
    level = {"type": "integer", "enum": [1, 2, 3, 4, 5]}
    properties = {
        "reason": {"type": "string", "description": "Why, in English, one to three sentences."},
        **dict.fromkeys(SCALES, level),
        "label": {"type": "string", "enum": list(LABELS)},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True)
class EvaluationMetrics:
    """Tone and style of a text.

    Args:
        tone: the label, with its reason.
        professional_score: 0..1.
        empathy_score: 0..1.
        defensive_score: 0..1; high is bad.
        style: length, readability and the like.
    """

    tone: Tone
    professional_score: float
    empathy_score: float
    defensive_score: float
    style: Style

    @classmethod
    def analyze(cls, text: str, *, input: object = None, judge: Judging | None = None) -> EvaluationMetrics:
        """Analyze a text; inside a marked test its judged call lies on the test's cassette.

        Args:
            text: what is judged.
            input: what it answers.
            judge: default the session's, or outside of pytest ``PYTEST_LLM_JUDGE``.

        Raises:
            JudgeError: the judge failed.
        """
        __tracebackhide__ = True
        one = (judge or _judge()).named("tone")
        return cls._of(text, together(one, one.poll(asking(text, input))))

    @classmethod
    async def aanalyze(cls, text: str, *, input: object = None, judge: Judging | None = None) -> EvaluationMetrics:
        """`analyze` without blocking the running loop."""
        __tracebackhide__ = True
        one = (judge or _judge()).named("tone")
        return cls._of(text, together(one, await one.apoll(asking(text, input))))

    @classmethod
    def _of(cls, text: str, tone: Tone) -> EvaluationMetrics:
        return cls(tone, tone.professional, tone.empathy, tone.defensive, style(text))


def asking(text: str, input: object) -> Callable[[Judge, int], HowItSounds]:
    """What each judge is asked about the tone of a text, for `Judge.poll`."""
    return lambda judge, repeat: HowItSounds(judge.model, text, input=input, repeat=repeat)


def _judge() -> Judging:
    import os

    if session_judge:
        judge: Judging = session_judge[-1]()
        return judge
    return Judge(os.environ.get("PYTEST_LLM_JUDGE") or DEFAULT_JUDGE)
