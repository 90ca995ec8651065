"""Cohere's chat v1 and v2, generate, embed and rerank."""

from __future__ import annotations

from pytest_llmops.pricing import Usage
from pytest_llmops.providers.answer import Answer, Dialect, as_messages, request_of
from pytest_llmops.providers.loose import Fields, count, fields, items, string


def _usage(usage: Fields, answer: Answer) -> None:
    """``meta`` (v1) or ``usage`` (v2): tokens as counted, and units as billed."""
    tokens, units = fields(usage, "tokens"), fields(usage, "billed_units")
    if tokens or units:
        seen = answer.usage
        counted = tokens or units
        seen.input_tokens = count(counted.get("input_tokens"))
        seen.output_tokens = count(counted.get("output_tokens"))
        seen.cache_read_tokens = count(usage.get("cached_tokens"))
        if units:
            answer.billed = Usage(count(units.get("input_tokens")), count(units.get("output_tokens")))


def _finish(body: Fields, answer: Answer) -> None:
    reason = string(body.get("finish_reason"))
    if reason is not None:
        answer.finish_reason = reason
        answer.ended = True
        answer.refused |= reason == "ERROR_TOXIC"
        if reason.startswith("ERROR"):
            answer.fail(body.get("error") or body.get("message"), fallback=reason)


def _v1_tools(calls: object, answer: Answer) -> None:
    for position, call in enumerate(items(calls)):
        answer.tool(position, name=call.get("name"), id=call.get("id"), arguments=call.get("parameters"))


def _v1_chat(body: Fields, answer: Answer) -> None:
    answer.model = string(body.get("model"))
    answer.add_text(body.get("text"))
    _v1_tools(body.get("tool_calls"), answer)
    _usage(fields(body, "meta"), answer)
    _finish(body, answer)


def _v1_event(name: str, body: Fields, answer: Answer) -> None:
    kind = body.get("event_type") or name
    if kind == "text-generation":
        answer.add_text(body.get("text"))
    elif kind == "tool-calls-chunk":
        delta = fields(body, "tool_call_delta")
        piece = delta.get("parameters")
        if string(delta.get("name")) or string(piece):
            answer.tool(count(delta.get("index")) or 0, name=delta.get("name"), arguments=piece)
    elif kind == "tool-calls-generation":
        answer.tools.clear()
        _v1_tools(body.get("tool_calls"), answer)
    elif kind == "stream-end":
        response = fields(body, "response")
        answer.model = string(response.get("model"))
        if not answer.pieces:
            answer.add_text(response.get("text"))
        if response.get("tool_calls"):
            answer.tools.clear()
            _v1_tools(response["tool_calls"], answer)
        _usage(fields(response, "meta"), answer)
        _finish({**response, **body}, answer)
        answer.ended = True


def _v1_request(body: Fields) -> Fields:
    history = body.get("chat_history")
    messages = list(history) if isinstance(history, list) else []
    if body.get("message"):
        messages.append({"role": "USER", "message": body["message"]})
    return request_of(
        body,
        messages=messages,
        system=body.get("preamble"),
        tools=body.get("tools"),
        leave_out=("chat_history", "message", "preamble"),
    )


def _v2_tool(key: object, call: Fields, answer: Answer) -> None:
    function = fields(call, "function")
    answer.tool(key, name=function.get("name"), id=call.get("id"), arguments=function.get("arguments"))


def _v2_content(part: Fields, answer: Answer) -> None:
    answer.add_text(part.get("text"))
    answer.add_reasoning(part.get("thinking"))


def _v2_chat(body: Fields, answer: Answer) -> None:
    answer.model = string(body.get("model"))
    message = fields(body, "message")
    for part in items(message.get("content")):
        _v2_content(part, answer)
    for position, call in enumerate(items(message.get("tool_calls"))):
        _v2_tool(position, call, answer)
    _usage(fields(body, "usage"), answer)
    _finish(body, answer)


def _v2_event(name: str, body: Fields, answer: Answer) -> None:
    kind = body.get("type") or name
    delta = fields(body, "delta")
    message = fields(delta, "message")
    if kind in ("content-start", "content-delta"):
        _v2_content(fields(message, "content"), answer)
    elif kind == "tool-plan-delta":
        answer.add_reasoning(message.get("tool_plan"))
    elif kind in ("tool-call-start", "tool-call-delta"):
        _v2_tool(count(body.get("index")) or 0, fields(message, "tool_calls"), answer)
    elif kind == "message-end":
        _usage(fields(delta, "usage"), answer)
        _finish(delta, answer)
        answer.ended = True
        if delta.get("error"):
            answer.fail(delta["error"])


def _v2_request(body: Fields) -> Fields:
    return request_of(body, messages=body.get("messages", []), tools=body.get("tools"))


def _generation(body: Fields, answer: Answer) -> None:
    first = next(iter(items(body.get("generations"))), {})
    answer.add_text(first.get("text"))
    _usage(fields(body, "meta"), answer)
    _finish(first, answer)
    answer.ended = True


def _generation_event(_name: str, body: Fields, answer: Answer) -> None:
    if body.get("is_finished"):
        response = fields(body, "response")
        if not answer.pieces:
            answer.add_text(next(iter(items(response.get("generations"))), {}).get("text"))
        _usage(fields(response, "meta"), answer)
        _finish(body, answer)
        answer.ended = True
    else:
        answer.add_text(body.get("text"))


def _generate_request(body: Fields) -> Fields:
    return request_of(body, messages=as_messages(body.get("prompt")), leave_out=("prompt",))


def _no_text(body: Fields, answer: Answer) -> None:
    """Embed and rerank: counts only. Other servers' rerank says ``usage`` and ``model``."""
    answer.model = string(body.get("model"))
    _usage(fields(body, "meta"), answer)
    seen = answer.usage
    if seen.input_tokens is None:
        seen.input_tokens = count(fields(body, "usage").get("total_tokens"))
    if seen.input_tokens is not None and seen.output_tokens is None:
        seen.output_tokens = 0
    if answer.billed is not None and answer.billed.output_tokens is None:
        answer.billed.output_tokens = 0


def _no_text_event(_name: str, body: Fields, answer: Answer) -> None:
    _no_text(body, answer)


def _embed_request(body: Fields) -> Fields:
    return request_of(
        body, messages=as_messages(body.get("texts") or body.get("inputs")), leave_out=("texts", "inputs")
    )


def _rerank_request(body: Fields) -> Fields:
    return request_of(body, messages=as_messages(body.get("query")), leave_out=("query",))


CHAT_V1 = Dialect(_v1_chat, _v1_event, _v1_request)
CHAT_V2 = Dialect(_v2_chat, _v2_event, _v2_request)
GENERATE = Dialect(_generation, _generation_event, _generate_request)
EMBED = Dialect(_no_text, _no_text_event, _embed_request, generates=False)
RERANK = Dialect(_no_text, _no_text_event, _rerank_request, generates=False)
