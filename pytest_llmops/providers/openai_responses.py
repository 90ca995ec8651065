"""OpenAI's responses API: one JSON object, or typed server-sent events of which the last carries that object."""

from __future__ import annotations

from pytest_llmops.providers.answer import Answer, Dialect, as_messages, request_of
from pytest_llmops.providers.loose import Fields, fields, items, string
from pytest_llmops.providers.openai_chat import read_tier, read_usage

_CALL_ARGUMENTS = ("arguments", "input", "action", "queries", "code", "operation")


def _response(body: Fields, answer: Answer) -> None:
    _head(body, answer)
    output = items(body.get("output"))
    if output:  # some servers close a stream with an empty one: what the deltas said stands
        answer.pieces.clear()
        answer.tools.clear()
    for position, item in enumerate(output):
        _item(position, item, answer)


def _head(body: Fields, answer: Answer) -> None:
    if answer.model is None:
        answer.model = string(body.get("model"))
    status = string(body.get("status"))
    if status not in (None, "in_progress", "queued"):
        answer.finish_reason = status
        answer.ended = True
    if body.get("error"):
        answer.fail(body["error"])
    if fields(body, "incomplete_details").get("reason") == "content_filter":
        answer.refused = True
    read_usage(fields(body, "usage"), answer)
    read_tier(body, answer)


def _item(position: int, item: Fields, answer: Answer) -> None:
    kind = item.get("type")
    if kind == "message":
        for part in items(item.get("content")):
            if part.get("type") == "refusal":
                answer.refused = True
            elif isinstance(part.get("text"), str):
                answer.add_text(part["text"])
            else:
                answer.plain = False
    elif isinstance(kind, str) and kind.endswith("_call"):
        arguments = next((item[name] for name in _CALL_ARGUMENTS if item.get(name) is not None), None)
        answer.tool(
            position,
            name=item.get("name") or kind.removesuffix("_call"),
            id=item.get("call_id") or item.get("id"),
            arguments=arguments,
        )


def _event(name: str, body: Fields, answer: Answer) -> None:
    kind = str(body.get("type") or name)
    if kind in ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"):
        response = fields(body, "response")
        answer.ended = True
        _response(response, answer)
        if body.get("error"):  # Perplexity puts it beside the response
            answer.fail(body["error"])
    elif kind == "error":
        answer.fail(body.get("error") or {**body, "type": body.get("code")})
    elif kind.endswith(".delta"):
        _delta(kind, body, answer)
    elif kind == "response.output_item.added":
        item = fields(body, "item")
        if str(item.get("type")).endswith("_call"):
            _item_started(body, item, answer)
    elif kind in ("response.created", "response.in_progress"):
        _head(fields(body, "response"), answer)


def _item_started(body: Fields, item: Fields, answer: Answer) -> None:
    key = body.get("output_index")
    name = item.get("name") or str(item["type"]).removesuffix("_call")
    answer.tool(key if isinstance(key, int) else 0, name=name, id=item.get("call_id") or item.get("id"))


def _delta(kind: str, body: Fields, answer: Answer) -> None:
    delta = body.get("delta")
    if kind == "response.output_text.delta":
        answer.add_text(delta)
    elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
        key = body.get("output_index")
        answer.tool(key if isinstance(key, int) else 0, arguments=delta if isinstance(delta, str) else None)
    elif kind == "response.refusal.delta":
        answer.refused = True
        answer.content = True
    else:  # reasoning, audio, code
        answer.add_reasoning(delta)


def _request(body: Fields) -> Fields:
    return request_of(
        body,
        messages=as_messages(body.get("input")),
        system=body.get("instructions"),
        tools=body.get("tools"),
        leave_out=("input", "instructions"),
    )


RESPONSES = Dialect(_response, _event, _request)
