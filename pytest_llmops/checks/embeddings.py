"""Texts as vectors, for similarity of meaning: by an endpoint on the cassette, a local model, or a function."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import operator
import os
import struct
from collections.abc import Callable, Sequence
from typing import Any

from pytest_llmops.cassettes import scope
from pytest_llmops.checks.judge_client import CallFailed, Client
from pytest_llmops.checks.judge_models import parse_model
from pytest_llmops.checks.judge_verdict import shortened
from pytest_llmops.checks.question import as_judge, short_hash
from pytest_llmops.errors import JudgeError, SettingsError
from pytest_llmops.exchange import Exchange

Vector = tuple[float, ...]
LOCAL = "model2vec"


class Embedder:
    """What turns a text into a vector.

    Args:
        model: ``provider:model`` behind an OpenAI-compatible ``/embeddings``; ``model2vec:PATH`` for a local model
            (extra ``[semantic]``); or a function of a text.
        base_url: where the provider listens, over its own address.
        timeout_s: seconds an attempt may take.

    Raises:
        SettingsError: no such provider, or one without embeddings of this kind.
    """

    def __init__(
        self,
        model: str | Callable[[str], Sequence[float]],
        *,
        base_url: str | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        self._client: Client | None = None
        self._function: Callable[[str], Any] | None = None
        if not isinstance(model, str):
            self.model = f"function:{model.__module__}.{getattr(model, '__qualname__', type(model).__qualname__)}"
            self._function = model
            return
        self.model = model
        provider, _, path = model.partition(":")
        if provider == LOCAL and path:
            self._function = _local(path)
            return
        provider, self._name = parse_model(model)
        if provider in ("anthropic", "litellm"):
            raise SettingsError(
                f"embeddings {model!r}: {provider} has no OpenAI-compatible /embeddings; take openai:, ollama:, "
                f"openai_compatible: with a base_url, or {LOCAL}:PATH."
            )
        self._client = Client(provider, self._name, timeout_s, base_url)

    def __repr__(self) -> str:
        return f"Embedder({self.model!r})"

    def embed(self, text: str) -> Vector:
        """The vector of a text; an endpoint's lies on the cassette, and one text is paid for once.

        Raises:
            JudgeError: the endpoint failed, or what came is no vector.
            CassetteMiss: there is no recording, and the record mode forbids a call.
        """
        __tracebackhide__ = True
        if self._client is None:
            assert self._function is not None
            return self._checked(self._function(text))
        key = "judge:" + short_hash(["embedding", self.model, text], 16)
        tape = scope.current()
        with as_judge(key):
            recorded = tape.recall(key, capture=scope.current_capture(tape)) if tape is not None else None
            if tape is not None and recorded is not None:
                try:
                    return self._read(recorded)
                except JudgeError:
                    if not recorded.replayed or not tape.forget(key):
                        raise
            try:
                exchange = self._asked(self._client, text)
            except CallFailed as error:
                raise self._error(error.why) from None
        return self._read(exchange)

    def _asked(self, client: Client, text: str) -> Exchange:
        taped = scope.current() is not None
        body = {"model": self._name, "input": text}
        try:  # a quarter of the size on the cassette
            return client.post("/embeddings", {**body, "encoding_format": "base64"}, taped=taped)
        except CallFailed as error:
            if error.status not in (400, 422) or "encoding_format" not in error.why:
                raise
        return client.post("/embeddings", body, taped=taped)

    def _read(self, exchange: Exchange) -> Vector:
        found: Any = None
        with contextlib.suppress(ValueError, LookupError, TypeError, struct.error):
            found = json.loads(exchange.response_body)["data"][0]["embedding"]
            if isinstance(found, str):
                packed = base64.b64decode(found, validate=True)
                found = struct.unpack(f"<{len(packed) // 4}f", packed)
        if found is None:
            came = shortened(exchange.response_body[:1000].decode("utf-8", "replace"))
            raise self._error(f"what came is no embedding: {came}")
        return self._checked(found)

    def _checked(self, numbers: Any) -> Vector:
        try:
            vector = tuple(float(number) for number in numbers)
        except (TypeError, ValueError):
            raise self._error(f"what came is no vector: {shortened(str(numbers))}") from None
        if not vector or not all(map(math.isfinite, vector)):
            raise self._error("what came is no vector of finite numbers")
        return vector

    def _error(self, why: str) -> JudgeError:
        return JudgeError(f"embeddings {self.model}: {why}")


def cosine(one: Vector, other: Vector) -> float:
    """Cosine of two vectors, -1..1; 0 where one of them has no direction.

    Raises:
        JudgeError: they are of different lengths.
    """
    if len(one) != len(other):
        raise JudgeError(f"embeddings of {len(one)} and of {len(other)} numbers do not compare")
    lengths = math.hypot(*one) * math.hypot(*other)
    return max(-1.0, min(1.0, sum(map(operator.mul, one, other)) / lengths)) if lengths else 0.0


def _local(path: str) -> Callable[[str], Any]:
    """A model of model2vec's, loaded at the first text; nothing is downloaded unless HF_HUB_OFFLINE allows it."""
    loaded: list[Any] = []

    def embed(text: str) -> Any:
        if not loaded:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
            try:
                from model2vec import StaticModel
            except ImportError as error:
                raise SettingsError(f"{LOCAL} is missing ({error}): pip install 'pytest-llmops[semantic]'") from None
            try:
                loaded.append(StaticModel.from_pretrained(path))
            except Exception as error:  # of many kinds, from its hub's client
                raise SettingsError(
                    f"embeddings {LOCAL}:{path}: no such folder, and no such model in the cache of Hugging Face's hub "
                    f"(HF_HUB_OFFLINE=0 lets it be downloaded): {shortened(str(error))}"
                ) from None
        return loaded[0].encode(text)

    return embed
