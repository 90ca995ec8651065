"""Hand-made exchanges: how tests write down what a provider said."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from pytest_llmops.exchange import Exchange
from pytest_llmops.providers import read
from pytest_llmops.records import Call

Json = dict[str, Any]

OPENAI = "https://api.openai.com/v1/chat/completions"
RESPONSES = "https://api.openai.com/v1/responses"
ANTHROPIC = "https://api.anthropic.com/v1/messages"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash"
BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model"


def exchange(
    url: str,
    request: Json | bytes | None = None,
    response: Json | list[Any] | str | bytes = b"",
    *,
    content_type: str | None = None,
    status: int = 200,
    **fields: Any,
) -> Exchange:
    """A POST; a `response` that is an object is JSON, one that is text or bytes stands as it is."""
    body = request if isinstance(request, bytes) else json.dumps(request or {}).encode()
    if isinstance(response, dict | list):
        answer, kind = json.dumps(response).encode(), "application/json"
    else:
        answer = response.encode() if isinstance(response, str) else response
        kind = "text/event-stream; charset=utf-8" if answer.startswith((b"data", b"event", b":")) else "text/html"
    headers = {"content-type": content_type or kind, **fields.pop("headers", {})}
    return Exchange("POST", url, body, "application/json", status, headers, answer, **fields)


def call_of(*args: Any, **kwargs: Any) -> Call:
    """The Call of an exchange that is one."""
    call = read(exchange(*args, **kwargs))
    assert call is not None, f"not recognised: {args[0]}"
    return call


def sse(*events: Json | str, done: bool = False, named: bool = False) -> str:
    """Server-sent events, with ``event:`` lines from the objects' types where `named`."""
    blocks = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        name = f"event: {event['type']}\n" if named and isinstance(event, dict) else ""
        blocks.append(f"{name}data: {data}\n\n")
    return "".join(blocks) + ("data: [DONE]\n\n" if done else "")


def ndjson(*lines: Json) -> str:
    """One object a line."""
    return "".join(json.dumps(line) + "\n" for line in lines)


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of Amazon's event stream."""
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2) + value.encode()
        for name, value in headers.items()
    )
    prelude = (16 + len(head) + len(payload)).to_bytes(4) + len(head).to_bytes(4)
    message = prelude + zlib.crc32(prelude).to_bytes(4) + head + payload
    return message + zlib.crc32(message).to_bytes(4)


def aws_event(name: str, body: Json) -> bytes:
    """An event of ConverseStream."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(body).encode())


def aws_chunk(body: Json) -> bytes:
    """A chunk of InvokeModelWithResponseStream: the maker's event in base64."""
    return aws_event("chunk", {"bytes": base64.b64encode(json.dumps(body).encode()).decode(), "p": "abc"})


def aws_exception(kind: str, message: str) -> bytes:
    """An error in the midst of a stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps({"message": message}).encode())


AWS_STREAM = "application/vnd.amazon.eventstream"


def chunk(content: str | None = None, *, finish: str | None = None, index: int = 0, **delta: Any) -> Json:
    """A chunk of chat completions."""
    if content is not None:
        delta["content"] = content
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "gpt-4o-mini-2024-07-18", "choices": [choice]}
