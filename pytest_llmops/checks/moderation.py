"""A moderation endpoint (``/moderations`` as OpenAI has it), asked by a guardrail; its calls lie on the cassette."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pytest_llmops.cassettes import scope
from pytest_llmops.checks.judge_client import CallFailed, Client
from pytest_llmops.checks.judge_models import parse_model
from pytest_llmops.checks.judge_verdict import shortened
from pytest_llmops.checks.question import as_judge, short_hash
from pytest_llmops.errors import JudgeError, SettingsError
from pytest_llmops.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Moderation:
    """What a moderation endpoint says of a text.

    Args:
        flagged: the categories that hit, in the endpoint's words.
        scores: 0..1, by category.
        model: who said it, ``provider:model``.
        definition: hash of who was asked.
    """

    flagged: tuple[str, ...]
    scores: Mapping[str, float]
    model: str
    definition: str


class Moderator:
    """The client of a moderation endpoint.

    Args:
        model: ``provider:model``, such as ``openai:omni-moderation-latest``.
        base_url: where it listens, over the provider's own address.
        timeout_s: seconds an attempt may take.

    Raises:
        SettingsError: no such provider, or one without a moderation endpoint of this kind.
    """

    def __init__(self, model: str, *, base_url: str | None = None, timeout_s: float = 60.0) -> None:
        provider, name = parse_model(model)
        if provider in ("anthropic", "litellm"):
            raise SettingsError(
                f"moderation model {model!r}: {provider} has no moderation endpoint; take openai:, mistral: or "
                "openai_compatible: with a base_url, or have toxicity judged."
            )
        self.model = model
        self._client, self._name = Client(provider, name, timeout_s, base_url), name

    def check(self, text: str) -> Moderation:
        """Ask about one text.

        Raises:
            JudgeError: the endpoint failed, or answered anything but categories.
            CassetteMiss: there is no recording, and the record mode forbids a call.
        """
        __tracebackhide__ = True
        with self._asking(text) as (recorded, body, taped):
            exchange = recorded or self._client.post("/moderations", body, taped=taped)
        return self._understood(exchange)

    async def acheck(self, text: str) -> Moderation:
        """`check` without blocking the running loop."""
        __tracebackhide__ = True
        with self._asking(text) as (recorded, body, taped):
            exchange = recorded or await self._client.apost("/moderations", body, taped=taped)
        return self._understood(exchange)

    @contextlib.contextmanager
    def _asking(self, text: str) -> Iterator[tuple[Exchange | None, dict[str, Any], bool]]:
        """What was recorded, what is sent, and whether a cassette is in force."""
        __tracebackhide__ = True
        key = "judge:" + short_hash(["moderation", self.model, text], 16)
        tape = scope.current()
        with as_judge(key):
            recorded = tape.recall(key, capture=scope.current_capture(tape)) if tape is not None else None
            try:
                yield recorded, {"model": self._name, "input": text}, tape is not None
            except CallFailed as error:
                raise self._error(error.why) from None

    def _understood(self, exchange: Exchange) -> Moderation:
        try:
            answer = _Answer.model_validate(json.loads(exchange.response_body))
        except (ValueError, RecursionError, ValidationError):
            came = shortened(exchange.response_body[:1000].decode("utf-8", "replace"))
            raise self._error(f"its answer holds no results with categories: {came}") from None
        (result,) = answer.results
        flagged = tuple(name for name, hit in result.categories.items() if hit)
        return Moderation(flagged, result.category_scores, self.model, short_hash(["moderation", self.model], 6))

    def _error(self, why: str) -> JudgeError:
        return JudgeError(
            f"moderation endpoint {self.model} gave no answer: {why}\n"
            '  ask again with --llm-record=refresh, or have toxicity looked for otherwise: toxicity = "words"'
        )


def _some(categories: object) -> object:
    if not categories:
        raise ValueError("no categories")
    return categories


def _numbers(scores: object) -> object:
    """Some hosts answer null for a category that they did not look at."""
    return {k: v for k, v in scores.items() if v is not None} if isinstance(scores, dict) else scores


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore")

    categories: Annotated[dict[str, bool], BeforeValidator(_numbers), BeforeValidator(_some)]
    category_scores: Annotated[dict[str, float], BeforeValidator(_numbers)] = Field(default_factory=dict)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    results: Annotated[list[_Result], Field(min_length=1, max_length=1)]
