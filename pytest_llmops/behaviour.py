"""What an application did and how sure it was: read from its structured output, a tool call, or asked of a judge."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pytest_llmops.checks import judge_prompt
from pytest_llmops.checks.judge_prompt import PROMPT_VERSION, Prompt
from pytest_llmops.checks.judge_verdict import validated
from pytest_llmops.checks.question import Question, short_hash
from pytest_llmops.records import ToolCall

BehaviourSource = Literal["structured", "tool_call", "judge", "guardrail"]
ACTIONS: dict[str, str] = {
    "escalate": "hands the matter to a person or another team",
    "answer": "deals with the matter itself",
    "clarify": "asks for what it needs to know first",
    "refuse": "declines to help",
}
"""What is told apart where the application does not say it in words of its own."""

_TO_A_PERSON = r"(?:transfer|hand_?off|hand_?over|forward)(?:_to_(?:a_)?(?:human|agent|person))?"
_SAME = {
    "escalate": re.compile(rf"escalat\w*|{_TO_A_PERSON}|human_(?:handoff|escalation)"),
    "refuse": re.compile(r"refus\w*|declin\w*|reject"),
    "clarify": re.compile(r"clarif\w*|ask_(?:for_)?(?:clarification|details|more)\w*"),
    "answer": re.compile(r"answer\w*|respond|reply"),
}
_TEXTS = ("response", "message", "answer", "reply", "text", "output", "content", "resposta", "respuesta")
_FENCED = re.compile(r"```(?:json)?\s*(\{.*?\})\s*```", re.DOTALL)


class Action(str):
    """What the application did, in one word; ``said`` is the word it used itself.

    Args:
        source: where it was read.
        reason: the judge's, where it was asked.
    """

    source: BehaviourSource
    said: str
    reason: str

    def __new__(cls, word: str, source: BehaviourSource, reason: str = "") -> Action:  # noqa: D102
        action = super().__new__(cls, normalised(word))
        action.source, action.said, action.reason = source, word, reason
        return action


class Confidence(float):
    """How sure the application was, 0..1, and where that was read."""

    source: BehaviourSource

    def __new__(cls, value: float, source: BehaviourSource) -> Confidence:  # noqa: D102
        confidence = super().__new__(cls, value)
        confidence.source = source
        return confidence


def normalised(word: str) -> str:
    """``escalate_to_human``, ``transfer_to_agent`` and the like are ``escalate``; other words stay as they are."""
    plain = re.sub(r"[\s-]+", "_", word.strip().lower())
    return next((action for action, same in _SAME.items() if same.fullmatch(plain)), plain)


def structured(output: Any) -> Mapping[str, Any] | None:
    """The mapping that an output is or holds: a dict, a model, a dataclass, JSON in a text; else None."""
    if isinstance(output, Mapping):
        return output
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return dataclasses.asdict(output)
    dump = getattr(output, "model_dump", None)
    if callable(dump) and not isinstance(output, type):
        dumped = dump()
        return dumped if isinstance(dumped, Mapping) else None
    if not isinstance(output, str):
        return None
    fenced = _FENCED.search(output)
    text = fenced[1] if fenced else output[output.find("{") : output.rfind("}") + 1]
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def visible(output: Any, fields: Mapping[str, Any] | None, text: str | None) -> str:
    """What the user reads: the text field of a structured output, the text itself, or the model's."""
    if fields is not None:
        said = next((fields[key] for key in _TEXTS if isinstance(fields.get(key), str)), None)
        if said is not None:
            return str(said)
    if isinstance(output, str):
        return output
    return text or ("" if output is None or fields is not None else str(output))


def read(fields: Mapping[str, Any] | None, tools: Sequence[ToolCall]) -> tuple[Action | None, Confidence | None]:
    """Action and confidence where the application says them."""
    action, confidence = _stated(fields, "structured")
    if action is None and tools:
        last = tools[-1]
        arguments = last.arguments if isinstance(last.arguments, Mapping) else {}
        stated, sure = _stated(arguments, "tool_call")
        action, confidence = stated or Action(last.name, "tool_call"), confidence or sure
    return action, confidence


def _stated(
    fields: Mapping[str, Any] | None, source: Literal["structured", "tool_call"]
) -> tuple[Action | None, Confidence | None]:
    said, sure = (fields or {}).get("action"), (fields or {}).get("confidence")
    action = Action(said, source) if isinstance(said, str) and said.strip() else None
    known = isinstance(sure, int | float) and not isinstance(sure, bool) and 0 <= sure <= 1
    return action, Confidence(float(sure), source) if known and sure is not None else None


class _Verdict(BaseModel):
    model_config = ConfigDict(extra="ignore")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    action: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    confidence: Annotated[float, Field(ge=0, le=1)]


class WhatItDid(Question[tuple[Action, Confidence]]):
    """Asks a judge what an answer does.

    Args:
        model: the judge.
        text: the answer.
        input: what it answers.
        expected: an action of the project's own that is to be told apart, too.
    """

    def __init__(self, model: str, text: str, *, input: object, expected: str | None) -> None:
        self.text, self.input = text, input
        self.actions = dict(ACTIONS)
        if expected is not None and normalised(expected) not in self.actions:
            self.actions[normalised(expected)] = f"does what its name says: {expected}"
        parts = [
            PROMPT_VERSION,
            model,
            "action",
            self.actions,
            text,
            None if input is None else judge_prompt.as_text(input),
        ]
        self.definition = short_hash(parts[:4], 6)
        super().__init__(model, "action", parts)

    def prompt(self) -> Prompt:
        """The texts that are sent."""
        lines = ["Criterion: What does the answer do with the matter it was asked about?"]
        lines += [f"  {action}: it {meaning}" for action, meaning in self.actions.items()]
        form = (
            "First give the reason, then the action, then the confidence.\n"
            "- reason: one or two sentences, in English.\n"
            f"- action: the one word that fits best: {', '.join(self.actions)}.\n"
            "- confidence: 0 to 1, how clearly the answer does that."
        )
        schema = {
            "type": "object",
            "properties": {
                "reason": {"type": "string"},
                "action": {"type": "string", "enum": list(self.actions)},
                "confidence": {"type": "number"},
            },
            "required": ["reason", "action", "confidence"],
            "additionalProperties": False,
        }
        return judge_prompt.compose("\n".join(lines), form, schema, key=self.key, text=self.text, input=self.input)

    def understood(self, answer: object) -> tuple[Action, Confidence]:
        """What the judge says it did."""
        verdict = validated(answer, _Verdict)
        return Action(verdict.action, "judge", verdict.reason), Confidence(verdict.confidence, "judge")
