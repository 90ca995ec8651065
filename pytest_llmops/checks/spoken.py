"""Which language a text is in, asked of a judge: for texts too short or too regional to be told offline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pytest_llmops.checks import judge_prompt
from pytest_llmops.checks.judge_prompt import PROMPT_VERSION, Prompt
from pytest_llmops.checks.judge_verdict import validated
from pytest_llmops.checks.language import UNDETERMINED, LanguageResult
from pytest_llmops.checks.question import Question

_TAG = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|\d{3}))?")
_FORM = f"""\
First give the reason, then the language, then the confidence.
- reason: one sentence, in English, that names the words or spellings that decide.
- language: its BCP 47 code, with a region only where the text shows it (pt-BR, pt-PT, zh-TW); {UNDETERMINED} where it \
is in no language, or could as well be in another.
- confidence: 0 to 1."""


class _Verdict(BaseModel):
    model_config = ConfigDict(extra="ignore")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    language: Annotated[str, StringConstraints(strip_whitespace=True, pattern=f"^(?:{_TAG.pattern})$")]
    confidence: Annotated[float, Field(ge=0, le=1)]


class WhichLanguage(Question[LanguageResult]):
    """Asks for a text's language.

    Args:
        model: the judge.
        text: what was written.
        languages: what the project's texts are mostly in; others are possible.
    """

    def __init__(self, model: str, text: str, *, languages: Sequence[str] = ()) -> None:
        self.text, self.languages = text, sorted(set(languages))
        super().__init__(model, "language", ["language", PROMPT_VERSION, model, self.languages, _FORM, text])

    def prompt(self) -> Prompt:
        """The texts that are sent."""
        criterion = "Criterion: Which language is the answer written in? Its subject and the names in it say nothing."
        if self.languages:
            criterion += f" Most texts here are in one of: {', '.join(self.languages)}."
        properties: dict[str, Any] = {
            "reason": {"type": "string"},
            "language": {"type": "string", "description": "BCP 47, such as pt-BR."},
            "confidence": {"type": "number"},
        }
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        return judge_prompt.compose(criterion, _FORM, schema, key=self.key, text=self.text)

    def understood(self, answer: object) -> LanguageResult:
        """What the judge says."""
        verdict = validated(answer, _Verdict)
        return LanguageResult(verdict.language, "judge", verdict.confidence)
