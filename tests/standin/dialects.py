"""Requests understood and answers put in each provider's words."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.standin.reply import Reply, digest

Json = dict[str, Any]
CREATED = 1_750_000_000  # fixed: equal requests get equal answers, byte for byte


@dataclass(frozen=True)
class Answer:
    """A response ready to be sent: head and pieces of body."""

    content_type: str
    chunks: list[bytes]
    streamed: bool = False
    status: int | None = None


def answer(path: str, request: Json, reply: Reply) -> Answer | None:
    """The answer in the dialect of `path`; None where no dialect has that path."""
    dialect = next((dialect for suffix, dialect in DIALECTS.items() if path.endswith(suffix)), None)
    if dialect is None:
        return None
    if reply.status >= 400:
        return _whole(dialect.error(reply))
    return dialect.respond(request, reply)


def echo(request: Json) -> str:
    """The unscripted answer: the last user message, repeated."""
    return f"Echo: {_last_user_text(request)}"


def _last_user_text(request: Json) -> str:
    messages: Any = request.get("messages", request.get("input", request.get("prompt", "")))
    if isinstance(messages, str):
        return messages
    users = [m for m in messages if isinstance(m, dict) and m.get("role", "user") == "user"]
    return _content_text(users[-1].get("content", "")) if users else ""


def _content_text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict) and part.get("text"))


def count_tokens(value: object) -> int:
    """Tokens as the stand-in counts them: words of every text in `value`."""
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, dict):
        return sum(count_tokens(v) for k, v in value.items() if k in ("content", "text", "system", "messages", "input"))
    return sum(map(count_tokens, value)) if isinstance(value, list) else 0


def _prompt_tokens(request: Json) -> int:
    return count_tokens({k: request.get(k) for k in ("messages", "input", "system")})


def _completion_tokens(reply: Reply) -> int:
    if reply.pieces is not None:
        return len(reply.pieces)
    return count_tokens(reply.text or "") + sum(count_tokens(call.arguments_text) for call in reply.tool_calls)


def _whole(document: object) -> Answer:
    return Answer("application/json", [_dump(document)])


def _dump(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _sse(events: Iterator[Json], *, named: bool, last: str | None = None) -> Answer:
    chunks = []
    for event in events:
        head = f"event: {event['type']}\n".encode() if named else b""
        chunks.append(head + b"data: " + _dump(event) + b"\n\n")
    if last:
        chunks.append(f"data: {last}\n\n".encode())
    return Answer("text/event-stream; charset=utf-8", chunks, streamed=True)


# OpenAI chat completions


def _chat_usage(request: Json, reply: Reply) -> Json:
    if reply.usage is not None:
        return reply.usage
    sent, made = _prompt_tokens(request), _completion_tokens(reply)
    return {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made}


def _chat_tools(reply: Reply) -> list[Json]:
    return [
        {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_text}}
        for call in reply.tool_calls
    ]


def _chat(request: Json, reply: Reply) -> Answer:
    model = reply.model or request.get("model", "stand-in")
    head = {"id": f"chatcmpl-{digest(request, reply.whole_text)}", "created": CREATED, "model": model}
    finish = reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")
    if request.get("stream"):
        return _sse(_chat_chunks(request, reply, head, finish), named=False, last="[DONE]")
    message: Json = {"role": "assistant", "content": reply.whole_text}
    if reply.tool_calls:
        message["tool_calls"] = _chat_tools(reply)
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    usage = _chat_usage(request, reply)
    return _whole({**head, "object": "chat.completion", "choices": [choice], "usage": usage})


def _chat_chunks(request: Json, reply: Reply, head: Json, finish: str) -> Iterator[Json]:
    head = {**head, "object": "chat.completion.chunk"}
    with_usage = bool((request.get("stream_options") or {}).get("include_usage"))

    def chunk(delta: Json, finish_reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return {**head, "choices": [choice], **({"usage": None} if with_usage else {})}

    yield chunk({"role": "assistant", "content": "" if reply.deltas else None})
    for delta in reply.deltas:
        yield chunk({"content": delta})
    for index, call in enumerate(_chat_tools(reply)):
        arguments = call["function"]["arguments"]
        middle = len(arguments) // 2
        first = {"name": call["function"]["name"], "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": first}]})
        for part in (arguments[:middle], arguments[middle:]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    yield chunk({}, finish)
    if with_usage:
        yield {**head, "choices": [], "usage": _chat_usage(request, reply)}


# OpenAI responses


def _responses(request: Json, reply: Reply) -> Answer:
    identity = digest(request, reply.whole_text)
    output: list[Json] = []
    if reply.whole_text is not None or not reply.tool_calls:
        part = {"type": "output_text", "text": reply.whole_text or "", "annotations": []}
        message: Json = {"type": "message", "id": f"msg_{identity}", "status": "completed", "role": "assistant"}
        output.append({**message, "content": [part]})
    for call in reply.tool_calls:
        item = {"type": "function_call", "id": f"fc_{call.call_id}", "call_id": call.call_id, "status": "completed"}
        output.append({**item, "name": call.name, "arguments": call.arguments_text})
    sent, made = _prompt_tokens(request), _completion_tokens(reply)
    counted = {"input_tokens": sent, "output_tokens": made, "total_tokens": sent + made}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    response = {
        "id": f"resp_{identity}",
        "object": "response",
        "created_at": CREATED,
        "status": reply.finish_reason or "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "model": reply.model or request.get("model", "stand-in"),
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": request.get("tools", []),
        "usage": reply.usage if reply.usage is not None else {**counted, **details},
    }
    if request.get("stream"):
        return _sse(_numbered(_response_events(response, reply)), named=True)
    return _whole(response)


def _numbered(events: Iterator[Json]) -> Iterator[Json]:
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def _response_events(response: Json, reply: Reply) -> Iterator[Json]:
    started = {**response, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    for index, item in enumerate(response["output"]):
        at = {"item_id": item["id"], "output_index": index}
        empty: Json = {"content": []} if item["type"] == "message" else {"arguments": ""}
        begun = {**item, "status": "in_progress", **empty}
        yield {"type": "response.output_item.added", "output_index": index, "item": begun}
        if item["type"] == "message":
            at["content_index"] = 0
            part = item["content"][0]
            yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
            for delta in reply.deltas:
                yield {"type": "response.output_text.delta", **at, "delta": delta, "logprobs": []}
            yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
            yield {"type": "response.content_part.done", **at, "part": part}
        else:
            yield {"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]}
            yield {"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}


# OpenAI embeddings


def _embeddings(request: Json, reply: Reply) -> Answer:
    texts = request.get("input", [])
    texts = [texts] if isinstance(texts, str) else texts
    packed = request.get("encoding_format") == "base64"  # what OpenAI's SDK asks for by itself
    data = []
    for index, text in enumerate(texts):
        vector = embedding(text, request.get("dimensions") or 8)
        encoded = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if packed else vector
        data.append({"object": "embedding", "index": index, "embedding": encoded})
    tokens = count_tokens(texts)
    usage = reply.usage if reply.usage is not None else {"prompt_tokens": tokens, "total_tokens": tokens}
    model = reply.model or request.get("model", "stand-in")
    return _whole({"object": "list", "data": data, "model": model, "usage": usage})


def embedding(text: object, dimensions: int = 8) -> list[float]:
    """A vector in -1..1 that is always the same for one text."""
    seed = json.dumps(text).encode()
    numbers = (hashlib.sha256(seed + struct.pack("<I", i)).digest()[0] for i in range(dimensions))
    return [round(number / 127.5 - 1, 6) for number in numbers]


def _openai_error(reply: Reply) -> Json:
    kinds = {401: "invalid_request_error", 429: "rate_limit_exceeded", 400: "invalid_request_error"}
    kind = kinds.get(reply.status, "server_error")
    return {"error": {"message": reply.text or f"stand-in error {reply.status}", "type": kind, "code": None}}


# Anthropic messages


def _anthropic(request: Json, reply: Reply) -> Answer:
    content: list[Json] = []
    if reply.whole_text is not None:
        content.append({"type": "text", "text": reply.whole_text})
    for call in reply.tool_calls:
        arguments = call.arguments if isinstance(call.arguments, dict) else {}
        content.append({"type": "tool_use", "id": f"toolu_{call.call_id}", "name": call.name, "input": arguments})
    usage = {"input_tokens": _prompt_tokens(request), "output_tokens": _completion_tokens(reply)}
    cache = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    message = {
        "id": f"msg_{digest(request, reply.whole_text)}",
        "type": "message",
        "role": "assistant",
        "model": reply.model or request.get("model", "stand-in"),
        "content": content,
        "stop_reason": reply.finish_reason or ("tool_use" if reply.tool_calls else "end_turn"),
        "stop_sequence": None,
        "usage": reply.usage if reply.usage is not None else {**usage, **cache},
    }
    if request.get("stream"):
        return _sse(_anthropic_events(message, reply), named=True)
    return _whole(message)


def _anthropic_events(message: Json, reply: Reply) -> Iterator[Json]:
    begun = {**message["usage"], "output_tokens": 1}
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": begun}}
    tool_calls = iter(reply.tool_calls)
    for index, block in enumerate(message["content"]):
        empty = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        if index == 0:
            yield {"type": "ping"}
        if block["type"] == "text":
            deltas = [{"type": "text_delta", "text": delta} for delta in reply.deltas]
        else:
            text = next(tool_calls).arguments_text
            parts = ("", text[: len(text) // 2], text[len(text) // 2 :])
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    usage = {"output_tokens": message["usage"].get("output_tokens", 0)}
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": usage}
    yield {"type": "message_stop"}


def _anthropic_count(request: Json, reply: Reply) -> Answer:
    return _whole({"input_tokens": _prompt_tokens(request)})


def _anthropic_error(reply: Reply) -> Json:
    kinds = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}
    kind = {**kinds, 529: "overloaded_error"}.get(reply.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": reply.text or f"stand-in error {reply.status}"}}


# Ollama chat


def _ollama(request: Json, reply: Reply) -> Answer:
    head = {"model": reply.model or request.get("model", "stand-in"), "created_at": "2025-06-15T15:06:40.000000Z"}
    counted = {"prompt_eval_count": _prompt_tokens(request), "eval_count": _completion_tokens(reply)}
    durations = {"total_duration": 5_000_000, "load_duration": 1_000_000, "eval_duration": 3_000_000}
    usage = reply.usage if reply.usage is not None else counted
    end = {"done_reason": reply.finish_reason or "stop", "done": True, **durations, **usage}
    message: Json = {"role": "assistant", "content": reply.whole_text or ""}
    if reply.tool_calls:
        message["tool_calls"] = [{"function": {"name": c.name, "arguments": c.arguments}} for c in reply.tool_calls]
    if not request.get("stream", True):
        return _whole({**head, "message": message, **end})
    lines = [{**head, "message": {"role": "assistant", "content": delta}, "done": False} for delta in reply.deltas]
    if reply.tool_calls:
        lines.append({**head, "message": {**message, "content": ""}, "done": False})
    lines.append({**head, "message": {"role": "assistant", "content": ""}, **end})
    return Answer("application/x-ndjson", [_dump(line) + b"\n" for line in lines], streamed=True)


def _ollama_error(reply: Reply) -> Json:
    return {"error": reply.text or f"stand-in error {reply.status}"}


@dataclass(frozen=True)
class Dialect:
    """How requests to one path are answered."""

    respond: Callable[[Json, Reply], Answer]
    error: Callable[[Reply], Json]


DIALECTS = {
    "/chat/completions": Dialect(_chat, _openai_error),
    "/responses": Dialect(_responses, _openai_error),
    "/embeddings": Dialect(_embeddings, _openai_error),
    "/messages": Dialect(_anthropic, _anthropic_error),
    "/messages/count_tokens": Dialect(_anthropic_count, _anthropic_error),
    "/api/chat": Dialect(_ollama, _ollama_error),
}
