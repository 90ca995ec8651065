"""Anthropic's messages (also on Bedrock and Vertex), and its legacy text completions."""

from __future__ import annotations

from pytest_llmops.providers.answer import Answer, Dialect, as_messages, request_of
from pytest_llmops.providers.loose import Fields, count, fields, items, string

_TOOLS = ("tool_use", "server_tool_use", "mcp_tool_use")


def _usage(usage: Fields, answer: Answer) -> None:
    """Counts; ``input_tokens`` on the wire leaves the cache out. Those of ``message_delta`` are cumulative."""
    if not usage:
        return
    seen = answer.usage
    read, written = count(usage.get("cache_read_input_tokens")), count(usage.get("cache_creation_input_tokens"))
    fresh = count(usage.get("input_tokens"))
    if fresh is None and seen.input_tokens is not None:
        fresh = seen.input_tokens - (seen.cache_read_tokens or 0) - (seen.cache_write_tokens or 0)
    seen.cache_read_tokens = read if read is not None else seen.cache_read_tokens
    seen.cache_write_tokens = written if written is not None else seen.cache_write_tokens
    if fresh is not None:
        seen.input_tokens = fresh + (seen.cache_read_tokens or 0) + (seen.cache_write_tokens or 0)
    output = count(usage.get("output_tokens"))
    seen.output_tokens = output if output is not None else seen.output_tokens
    for name, value in (
        ("cache_write_5m_tokens", fields(usage, "cache_creation").get("ephemeral_5m_input_tokens")),
        ("cache_write_1h_tokens", fields(usage, "cache_creation").get("ephemeral_1h_input_tokens")),
        ("web_searches", fields(usage, "server_tool_use").get("web_search_requests")),
    ):
        if counted := count(value):
            seen.details[name] = counted
    for name in ("service_tier", "speed"):
        if word := string(usage.get(name)):
            seen.context[name] = word


def _stop(body: Fields, answer: Answer) -> None:
    reason = string(body.get("stop_reason"))
    if reason is not None:
        answer.finish_reason = reason
        answer.ended = True
        answer.refused |= reason == "refusal"


def _block(key: object, block: Fields, answer: Answer) -> None:
    kind = block.get("type")
    if kind == "text":
        answer.add_text(block.get("text"))
    elif kind in _TOOLS:
        answer.tool(key, name=block.get("name"), id=block.get("id"), arguments=block.get("input"))
    elif kind in ("thinking", "redacted_thinking"):
        answer.add_reasoning(block.get("thinking") or block.get("data"))


def read_message(body: Fields, answer: Answer) -> None:
    """``{"type": "message", "content": […]}``, or an error in its place."""
    if answer.model is None:
        answer.model = string(body.get("model"))
    if body.get("type") == "error" or body.get("error"):
        answer.fail(body.get("error") or body)
    for position, block in enumerate(items(body.get("content"))):
        _block(position, block, answer)
    _usage(fields(body, "usage"), answer)
    _stop(body, answer)
    # Bedrock's own guardrail says so beside the message.
    answer.refused |= body.get("amazon-bedrock-guardrailAction") == "INTERVENED"


def read_event(name: str, body: Fields, answer: Answer) -> None:
    """One event of a stream."""
    kind = body.get("type") or name
    if kind == "content_block_delta":
        _delta(body.get("index"), fields(body, "delta"), answer)
    elif kind == "content_block_start":
        block = fields(body, "content_block")
        if block.get("type") in _TOOLS and block.get("input") in ({}, None):
            block = {**block, "input": None}  # it comes in pieces
        _block(_key(body.get("index")), block, answer)
    elif kind == "message_start":
        read_message(fields(body, "message"), answer)
        answer.usage.output_tokens = None  # a first guess, 1 or so; message_delta has the count
    elif kind == "message_delta":
        _stop(fields(body, "delta"), answer)
        _usage(fields(body, "usage"), answer)
    elif kind == "message_stop":
        answer.ended = True
    elif kind == "error" or body.get("error"):
        answer.fail(body.get("error") or body)
    answer.refused |= body.get("amazon-bedrock-guardrailAction") == "INTERVENED"


def _key(index: object) -> int:
    return index if isinstance(index, int) else 0


def _delta(index: object, delta: Fields, answer: Answer) -> None:
    kind = delta.get("type")
    if kind == "text_delta":
        answer.add_text(delta.get("text"))
    elif kind == "input_json_delta":
        piece = delta.get("partial_json")
        answer.tool(_key(index), arguments=piece if isinstance(piece, str) else None)
    elif kind == "thinking_delta":
        answer.add_reasoning(delta.get("thinking"))


def _request(body: Fields) -> Fields:
    return request_of(body, messages=body.get("messages", []), system=body.get("system"), tools=body.get("tools"))


def _completion(body: Fields, answer: Answer) -> None:
    read_message(body, answer)
    answer.add_text(body.get("completion"))


def _completion_event(_name: str, body: Fields, answer: Answer) -> None:
    _completion(body, answer)


def _completion_request(body: Fields) -> Fields:
    return request_of(body, messages=as_messages(body.get("prompt")), leave_out=("prompt",))


MESSAGES = Dialect(read_message, read_event, _request)
COMPLETE = Dialect(_completion, _completion_event, _completion_request)
