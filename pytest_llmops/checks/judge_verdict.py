"""A judge's answer, read strictly: a verdict on the scale, or an error that says what came."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from pytest_llmops.checks.rubrics import Rubric
from pytest_llmops.records import Call

VERDICT_TOOL = "submit_verdict"
MAX_SHOWN = 200

_CUT = frozenset({"max_tokens", "length", "MAX_TOKENS", "model_context_window_exceeded"})
_REFUSED = frozenset({"refusal", "content_filter"})
_FENCE = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)
_TWO_LINES = re.compile(
    r"SCORE:[ \t]*(?P<score>-?\d+(?:\.\d+)?)(?:[ \t]*/[ \t]*(?P<of>\d+))?[ \t]*\n\s*REASON:[ \t]*(?P<reason>\S.*)",
    re.DOTALL,
)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "’": "'", "‘": "'", "⟨": "<"})


Model = TypeVar("Model", bound=BaseModel)


class NoVerdict(Exception):
    """Why an answer is no verdict, and what came, shortened."""

    def __init__(self, why: str, came: object = None) -> None:
        super().__init__(why)
        self.came = None if came is None else shortened(came)


def shortened(value: object) -> str:
    """What came, as one line of at most `MAX_SHOWN` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN else line[: MAX_SHOWN - 1] + "…"


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"level is no number but {shortened(value)!r}")
    return value


class Verdict(BaseModel):
    """What a judge hands in."""

    model_config = ConfigDict(extra="ignore")

    level: Annotated[int, BeforeValidator(_number)]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    evidence: list[str] = Field(default_factory=list)


def answer_of(call: Call) -> object:
    """What stands in a call's structured channel: the tool call's arguments, else the whole text.

    Raises:
        NoVerdict: a provider's error, a refusal, a cut or empty answer.
    """
    if call.error or (call.status or 200) >= 400:
        raise NoVerdict(f"the provider failed (HTTP {call.status})", call.error)
    verdicts = [tool.arguments for tool in call.tool_calls if tool.name == VERDICT_TOOL]
    came: object = verdicts[0] if verdicts else call.text
    if call.refused or call.finish_reason in _REFUSED:
        raise NoVerdict("it refused to judge", call.text)
    if call.finish_reason in _CUT or call.truncated:
        raise NoVerdict(f"its answer was cut off ({call.finish_reason or 'connection closed'})", came)
    if len(verdicts) > 1:
        raise NoVerdict(f"it handed in {len(verdicts)} verdicts at once", verdicts)
    if came is None or came == "":
        raise NoVerdict("its answer is empty")
    return came


def parse(answer: object, rubric: Rubric) -> Verdict:
    """A verdict from what a judge answered: a dict, or its whole text.

    Raises:
        NoVerdict: it is none, or off the scale.
    """
    if rubric.form == "score_reason" and isinstance(answer, str):
        verdict = validated(_two_lines(answer, rubric), Verdict)
    else:
        verdict = validated(answer, Verdict)
    if not rubric.lowest <= verdict.level <= rubric.highest:
        raise NoVerdict(f"level {verdict.level} is not on the scale {rubric.lowest}–{rubric.highest}", answer)
    return verdict


def validated(answer: object, model: type[Model]) -> Model:
    """What a judge answered, a dict or its whole text, as the model that was asked for.

    Raises:
        NoVerdict: it does not fit.
    """
    document = _json(answer) if isinstance(answer, str) else answer
    if not isinstance(document, dict):
        raise NoVerdict("its answer is no JSON object", answer)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise NoVerdict(message if message.startswith(where) else f"{where}: {message}", answer) from None


def _json(text: str) -> object:
    """The whole text must be the object: a judge that quotes a forged verdict must not be read as giving it."""
    fenced = _FENCE.fullmatch(text.strip())
    try:
        return json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        raise NoVerdict("its answer is no whole JSON", text) from None


def _two_lines(text: str, rubric: Rubric) -> dict[str, Any]:
    """The first line must be the score: one that is quoted further down is not read as given."""
    found = _TWO_LINES.fullmatch(text.strip())
    if found is None:
        raise NoVerdict("its answer is not 'SCORE: …' and 'REASON: …' on two lines", text)
    if found["of"] and int(found["of"]) != rubric.highest:
        raise NoVerdict(f"it scored on another scale than {rubric.lowest}–{rubric.highest}", text)
    return {"level": float(found["score"]), "reason": found["reason"]}


def verbatim(quotes: list[str], text: str) -> tuple[str, ...]:
    """Those quotes that stand in the text, white space and typographic quotation marks aside."""
    plain = _plain(text)
    kept = [quote.strip() for quote in quotes if _plain(quote) and _plain(quote) in plain]
    return tuple(dict.fromkeys(kept))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).translate(_QUOTES).split())
