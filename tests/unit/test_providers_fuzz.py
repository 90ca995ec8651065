"""Whatever comes over the wire, reading it gives a Call that can be stored: no exception, no NaN."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_llmops.exchange import Exchange, TransportFailure
from pytest_llmops.providers import detect, read
from pytest_llmops.records import Call
from tests.unit import test_providers_anthropic as anthropic
from tests.unit import test_providers_openai as openai
from tests.unit import test_providers_others as others
from tests.wire.exchanges import (
    ANTHROPIC,
    AWS_STREAM,
    BEDROCK,
    GEMINI,
    OPENAI,
    RESPONSES,
    Json,
    aws_chunk,
    aws_event,
    chunk,
    exchange,
    ndjson,
    sse,
)

HOSTILE: list[Any] = [
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "text",
    "12",
    "\ud83d",
    "data:image/png;base64,",
    [],
    {},
    [[]],
    [None, 1, "x", {}],
    {"message": {"message": {}}},
    {"type": "text", "text": 5},
    {"index": "0", "id": 7, "function": [], "type": []},
]

REQUEST: Json = {
    "model": "m",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    "message": "hi",
    "chat_history": [{"role": "USER", "message": "x"}],
    "system": "s",
    "tools": [{"name": "f"}],
    "input": "x",
    "prompt": "x",
    "contents": [{"parts": [{"text": "x"}]}],
    "toolConfig": {"tools": []},
}

WHOLE: list[tuple[str, Json]] = [
    (OPENAI, openai.answer({"content": "x", "tool_calls": [openai.tool(0, id="a", name="f", arguments="{}")]})),
    (RESPONSES, openai.response(openai.message("x"), openai.FUNCTION)),
    ("https://api.openai.com/v1/completions", {"choices": [{"text": "x", "index": 0}], "usage": openai.USAGE}),
    ("https://api.openai.com/v1/embeddings", {"model": "e", "usage": {"prompt_tokens": 1, "total_tokens": 1}}),
    (
        "https://api.openai.com/v1/images/edits",
        {"usage": {"input_tokens": 1, "input_tokens_details": {"image_tokens": 1}}},
    ),
    ("https://api.openai.com/v1/audio/transcriptions", {"text": "x", "usage": {"input_tokens": 1}}),
    (ANTHROPIC, anthropic.message(anthropic.text("x"), {"type": "tool_use", "id": "t", "name": "f", "input": {}})),
    (others.COHERE_V1, {"text": "x", "tool_calls": [{"name": "f", "parameters": {}}], "meta": others.UNITS}),
    (
        others.COHERE_V2,
        {"message": {"content": [{"text": "x"}], "tool_calls": [{"function": {}}]}, "usage": others.UNITS},
    ),
    ("https://api.cohere.com/v1/generate", {"generations": [{"text": "x"}], "meta": others.UNITS}),
    ("https://api.cohere.com/v2/rerank", {"results": [], "meta": others.UNITS}),
    (others.OLLAMA, {"model": "m", "message": {"content": "x", "tool_calls": [{"function": {}}]}, **others.DONE}),
    (f"{GEMINI}:generateContent", others.candidate({"text": "x"}, {"functionCall": {"name": "f", "args": {}}})),
    (
        "https://aiplatform.googleapis.com/v1/publishers/google/models/e:predict",
        {"predictions": [{"embeddings": {"statistics": {"token_count": 1}}}]},
    ),
    (f"{others.NOVA}/converse", {"output": {"message": {"content": [{"text": "x"}]}}, "usage": others.TOKENS}),
    *[(f"{BEDROCK}/{model}/invoke", body) for model, body, _ in others.MAKERS],
]

STREAMED: list[tuple[str, str, list[Json]]] = [
    (
        OPENAI,
        "sse",
        [chunk("x"), chunk(tool_calls=[openai.tool(0, id="a", name="f", arguments="{}")]), chunk(finish="stop")],
    ),
    (RESPONSES, "sse", [*openai.EVENTS, {"type": "response.completed", "response": openai.response(openai.FUNCTION)}]),
    ("https://api.openai.com/v1/completions", "sse", [{"choices": [{"text": "x", "index": 0}]}]),
    ("https://api.openai.com/v1/audio/transcriptions", "sse", [{"type": "transcript.text.delta", "delta": "x"}]),
    (ANTHROPIC, "sse", [*anthropic.STREAM, anthropic.delta(1, type="input_json_delta", partial_json="{")]),
    (others.COHERE_V1, "ndjson", [{"event_type": "stream-end", "response": {"meta": others.UNITS}}]),
    (others.COHERE_V2, "sse", [{"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": others.UNITS}}]),
    (others.OLLAMA, "ndjson", [{"message": {"content": "x"}}, {"model": "m", **others.DONE}]),
    (f"{GEMINI}:streamGenerateContent", "sse", others.EVENTS),
    (f"{GEMINI}:streamGenerateContent", "array", others.EVENTS),
    (
        f"{others.NOVA}/converse-stream",
        "converse",
        [
            {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}},
            {"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{}"}}},
            {"usage": others.TOKENS},
        ],
    ),
    *[(f"{BEDROCK}/{model}/invoke-with-response-stream", "invoke", events) for model, events, _ in others.STREAMS],
]


def encoded(kind: str, events: list[Any]) -> tuple[bytes, str]:
    if kind == "sse":
        return sse(*events).encode(), "text/event-stream"
    if kind == "ndjson":
        return ndjson(*events).encode(), "application/x-ndjson"
    if kind == "array":
        return json.dumps(events).encode(), "application/json"
    if kind == "invoke":
        return b"".join(map(aws_chunk, events)), AWS_STREAM
    names = ("contentBlockStart", "contentBlockDelta", "metadata")
    return b"".join(aws_event(name, event) for name, event in zip(names, events, strict=False)), AWS_STREAM


def spoiled(value: Any, rng: random.Random, share: float) -> Any:
    """A copy with hostile values in place of some, and some fields gone."""
    if rng.random() < share:
        return rng.choice(HOSTILE)
    if isinstance(value, dict):
        return {k: spoiled(v, rng, share) for k, v in value.items() if rng.random() > share / 2}
    if isinstance(value, list):
        return [spoiled(v, rng, share) for v in value]
    return value


def chewed(body: bytes, rng: random.Random) -> bytes:
    """Bytes cut, flipped or doubled."""
    kind = rng.randrange(4)
    if kind == 0 or not body:
        return body[: rng.randrange(len(body) + 1)]
    at = rng.randrange(len(body))
    if kind == 1:
        return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]
    if kind == 2:
        return body[:at] + rng.randbytes(8) + body[at:]
    return body[at:] + body


def assert_storable(call: Call | None) -> None:
    assert call is not None
    assert Call.model_validate_json(call.model_dump_json()).api == call.api
    json.dumps(call.model_dump(mode="json"), allow_nan=False).encode()
    for tokens in (call.input_tokens, call.output_tokens, call.cache_read_tokens, call.cache_write_tokens):
        assert tokens is None or 0 <= tokens < 2**56
    assert call.cost_usd is None or call.cost_usd >= 0


def samples(rng: random.Random, share: float) -> Iterator[Exchange]:
    for url, body in WHOLE:
        yield exchange(
            url,
            spoiled(REQUEST, rng, share) or {},
            json.dumps(spoiled(body, rng, share)),
            content_type="application/json",
        )
    for url, kind, events in STREAMED:
        if kind in ("sse", "ndjson", "array"):
            broken = [spoiled(event, rng, share) for event in events]
        else:  # their frames hold objects only
            broken = [{k: spoiled(v, rng, share) for k, v in event.items()} for event in events]
        stream, content_type = encoded(kind, [json.dumps(b) if kind == "sse" else b for b in broken])
        yield exchange(url, {}, stream, content_type=content_type)


@pytest.mark.parametrize("seed", range(60))
def test_any_shape(seed: int) -> None:
    rng = random.Random(seed)
    for found in samples(rng, share=rng.choice((0.02, 0.1, 0.4))):
        assert_storable(read(found))


@pytest.mark.parametrize("seed", range(40))
def test_any_bytes(seed: int) -> None:
    rng = random.Random(seed)
    for found in samples(rng, share=0.0):
        found.response_body = chewed(found.response_body, rng)
        found.request_body = chewed(found.request_body, rng)
        found.status = rng.choice((200, 200, 400, 500, None))
        assert_storable(read(found))


@pytest.mark.parametrize("seed", range(5))
def test_noise(seed: int) -> None:
    rng = random.Random(seed)
    for url in {url for url, _ in WHOLE} | {url for url, _, _ in STREAMED}:
        for kind in ("application/json", "text/event-stream", "application/x-ndjson", AWS_STREAM, ""):
            body = rng.choice((b"", b"[", b"{", b"data: ", b"\x00\x00\x00\x20\x00\x00\x00\x08")) + rng.randbytes(64)
            assert_storable(read(exchange(url, rng.randbytes(32), body, content_type=kind)))


@pytest.mark.parametrize("url", sorted({url for url, _ in WHOLE}))
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"error":' * 500 + b'"x"' + b"}" * 500,
        b'{"content":' * 500 + b"[]" + b"}" * 500,
        b'{"usage": {"prompt_tokens": 1' + b"0" * 5000 + b"}}",
    ],
    ids=["open", "deep", "errors", "contents", "digits"],
)
def test_bottomless_nesting(url: str, body: bytes) -> None:
    for status in (200, 500):
        assert_storable(read(exchange(url, body, body, content_type="application/json", status=status)))


def test_the_users_own_broken_requests_are_kept_as_far_as_they_go() -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    call = read(
        exchange(OPENAI, {"messages": [{"role": "user", "content": deep}], "seed": float("nan"), "n": 10**30}, {})
    )
    assert_storable(call)


def test_failed_requests() -> None:
    failure = TransportFailure("ConnectError", "[Errno 111] Connection refused")
    call = read(Exchange("POST", OPENAI, b'{"model": "gpt-4o"}', failure=failure))
    assert call is not None
    assert (call.error, call.status, call.model, call.text) == (
        "ConnectError: [Errno 111] Connection refused",
        None,
        "gpt-4o",
        None,
    )
    broken = exchange(OPENAI, {}, sse(chunk("Once")), failure=TransportFailure("ReadError", "reset"), truncated=True)
    call = read(broken)
    assert call is not None
    assert (call.error, call.text, call.truncated) == ("ReadError: reset", "Once", True)
    assert read(Exchange("POST", OPENAI)) is not None


@pytest.mark.parametrize("seed", range(20))
def test_any_url(seed: int) -> None:
    rng = random.Random(seed)
    urls = [url for url, _ in WHOLE]
    for _ in range(200):
        url = chewed(rng.choice(urls).encode(), rng).decode("utf-8", "replace")
        detect("POST", url, rng.randbytes(16))
        read(Exchange("POST", url, b"{}", status=200, response_body=b"{}"))


def test_other_traffic_is_no_call() -> None:
    assert read(exchange("https://api.anthropic.com/v1/messages/count_tokens", {}, {"input_tokens": 5})) is None
    assert read(exchange("https://shop.example/v1/messages", {"to": "x"}, {})) is None
    assert read(Exchange("GET", "https://api.openai.com/v1/models", status=200, response_body=b"{}")) is None
