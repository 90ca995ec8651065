"""Ollama's own chat, generate and embed; its ``/v1`` speaks OpenAI."""

from __future__ import annotations

from pytest_llmops.providers.answer import Answer, Dialect, as_messages, request_of
from pytest_llmops.providers.loose import Fields, count, fields, items, string


def _chunk(body: Fields, answer: Answer) -> None:
    """An answer, whole or one line of a stream: both have one shape."""
    answer.model = string(body.get("model")) or answer.model
    message = fields(body, "message")
    answer.add_text(message.get("content"))
    answer.add_text(body.get("response"))
    answer.add_reasoning(message.get("thinking") or body.get("thinking"))
    for call in items(message.get("tool_calls")):
        function = fields(call, "function")
        answer.tool(
            len(answer.tools), name=function.get("name"), id=call.get("id"), arguments=function.get("arguments")
        )
    if body.get("error"):
        answer.fail(body["error"])
    if body.get("done") is True:
        answer.ended = True
        answer.finish_reason = string(body.get("done_reason"))
        answer.usage.input_tokens = count(body.get("prompt_eval_count"))  # left out where the prompt was cached
        answer.usage.output_tokens = count(body.get("eval_count"))


def _event(_name: str, body: Fields, answer: Answer) -> None:
    _chunk(body, answer)


def _request(body: Fields) -> Fields:
    messages = body["messages"] if isinstance(body.get("messages"), list) else as_messages(body.get("prompt"))
    return request_of(
        body, messages=messages, system=body.get("system"), tools=body.get("tools"), leave_out=("prompt",)
    )


def _embedding(body: Fields, answer: Answer) -> None:
    answer.model = string(body.get("model"))
    answer.usage.input_tokens = count(body.get("prompt_eval_count"))
    answer.usage.output_tokens = 0


def _embed_request(body: Fields) -> Fields:
    return request_of(
        body, messages=as_messages(body.get("input") or body.get("prompt")), leave_out=("input", "prompt")
    )


CHAT = Dialect(_chunk, _event, _request)
EMBED = Dialect(_embedding, _event, _embed_request, generates=False)
