"""How each official SDK is made to send a recorded request, and what it returns. Imported by inner test runs."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

Line = dict[str, Any]
Seen = dict[str, Any]
"""text, finish, input_tokens, output_tokens, tools as the SDK returns them; a missing key is not compared."""


@dataclass(frozen=True)
class Sdk:
    """An SDK's sync and async ways of sending a request.

    Args:
        takes: whether a recorded exchange is one of its own.
        ask: sends an exchange's request and returns what came back; `aask` likewise.
    """

    module: str
    takes: Callable[[str, Line], bool]
    ask: Callable[[Line], Seen]
    aask: Callable[[Line], Any]


def content_type(line: Line) -> str:
    """The response's; the corpus holds lists, written as Python does."""
    kind = line["content_type"]
    return (kind[0] if isinstance(kind, list) else str(kind or "")).strip("[]'\"")


def streamed(line: Line) -> bool:
    kind = content_type(line).partition(";")[0]
    return kind in ("text/event-stream", "application/x-ndjson", "application/stream+json")


def body_of(line: Line) -> dict[str, Any]:
    return dict(json.loads(line["request"]))


def _arguments(method: Callable[..., Any], body: dict[str, Any]) -> dict[str, Any]:
    """The body as keyword arguments; what this SDK has no name for goes as ``extra_body``."""
    known = inspect.signature(method).parameters
    extra = {name: value for name, value in body.items() if name not in known}
    given = {name: value for name, value in body.items() if name in known}
    return {**given, "extra_body": extra} if extra else given


def _tools(calls: Any) -> list[str]:
    return [call.function.name for call in calls or []]


def _function(message: Any) -> list[str]:
    """The one function of chat completions before there were tools."""
    function = getattr(message, "function_call", None)
    return [function.name] if function else []


# OpenAI and what speaks like it


def _chat(answer: Any) -> Seen:
    choice = answer.choices[0] if answer.choices else None
    message = choice.message if choice else None
    usage = answer.usage
    return {
        "text": message.content if message else None,
        "finish": choice.finish_reason if choice else None,
        "tools": [*_tools(message.tool_calls), *_function(message)] if message else [],
        "input_tokens": usage.prompt_tokens if usage else None,
        "output_tokens": usage.completion_tokens if usage else None,
    }


class _Chunks:
    def __init__(self) -> None:
        self.seen: Seen = {"text": None, "finish": None, "tools": [], "input_tokens": None, "output_tokens": None}

    def add(self, chunk: Any) -> None:
        seen = self.seen
        for choice in chunk.choices or []:
            if getattr(choice, "index", 0):
                continue
            seen["text"] = (seen["text"] or "") + choice.delta.content if choice.delta.content else seen["text"]
            seen["finish"] = choice.finish_reason or seen["finish"]
            seen["tools"] += [call.function.name for call in choice.delta.tool_calls or [] if call.function.name]
            seen["tools"] += [name for name in _function(choice.delta) if name]
        if getattr(chunk, "usage", None):
            seen["input_tokens"], seen["output_tokens"] = chunk.usage.prompt_tokens, chunk.usage.completion_tokens


def _openai_client(line: Line, kind: str) -> Any:
    import openai

    url = urlsplit(line["uri"])
    if "azure" in url.netloc:
        path = url.path.partition("/openai/")[0]
        version = parse_qs(url.query)["api-version"][0]
        name = "AsyncAzureOpenAI" if kind == "async" else "AzureOpenAI"
        return getattr(openai, name)(
            azure_endpoint=f"{url.scheme}://{url.netloc}{path}", api_version=version, api_key="test-key", max_retries=0
        )
    base = f"{url.scheme}://{url.netloc}{url.path.rpartition('/chat/completions')[0] or url.path.rpartition('/')[0]}"
    name = "AsyncOpenAI" if kind == "async" else "OpenAI"
    return getattr(openai, name)(base_url=base, api_key="test-key", max_retries=0)


def _openai_chat(line: Line) -> Seen:
    with _openai_client(line, "sync") as client:
        create = client.chat.completions.create
        answer = create(**_arguments(create, _deployed(line)))
        if not streamed(line):
            return _chat(answer)
        chunks = _Chunks()
        for chunk in answer:
            chunks.add(chunk)
        return chunks.seen


async def _openai_achat(line: Line) -> Seen:
    async with _openai_client(line, "async") as client:
        create = client.chat.completions.create
        answer = await create(**_arguments(create, _deployed(line)))
        if not streamed(line):
            return _chat(answer)
        chunks = _Chunks()
        async for chunk in answer:
            chunks.add(chunk)
        return chunks.seen


def _deployed(line: Line) -> dict[str, Any]:
    body = body_of(line)
    if "/openai/deployments/" in line["uri"]:  # the SDK builds the deployment's path from the model
        body.setdefault("model", line["uri"].partition("/deployments/")[2].partition("/")[0])
    return body


def _response(answer: Any) -> Seen:
    calls = [getattr(item, "name", item.type[:-5]) for item in answer.output if item.type.endswith("_call")]
    usage = answer.usage
    return {
        "text": answer.output_text or None,
        "tools": calls,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
    }


def _openai_responses(line: Line) -> Seen:
    with _openai_client(line, "sync") as client:
        create = client.responses.create
        answer = create(**_arguments(create, body_of(line)))
        if not streamed(line):
            return _response(answer)
        last = [event for event in answer if event.type in ("response.completed", "response.incomplete")]
        return _response(last[-1].response)


async def _openai_aresponses(line: Line) -> Seen:
    async with _openai_client(line, "async") as client:
        create = client.responses.create
        answer = await create(**_arguments(create, body_of(line)))
        if not streamed(line):
            return _response(answer)
        last = [event async for event in answer if event.type in ("response.completed", "response.incomplete")]
        return _response(last[-1].response)


def _groq(line: Line) -> Seen:
    import groq

    with groq.Groq(api_key="test-key", max_retries=0) as client:
        create = client.chat.completions.create
        answer = create(**_arguments(create, body_of(line)))
        if not streamed(line):
            return _chat(answer)
        chunks = _Chunks()
        for chunk in answer:
            chunks.add(chunk)
        return _without_usage(chunks.seen)


async def _agroq(line: Line) -> Seen:
    import groq

    async with groq.AsyncGroq(api_key="test-key", max_retries=0) as client:
        create = client.chat.completions.create
        answer = await create(**_arguments(create, body_of(line)))
        if not streamed(line):
            return _chat(answer)
        chunks = _Chunks()
        async for chunk in answer:
            chunks.add(chunk)
        return _without_usage(chunks.seen)


def _without_usage(seen: Seen) -> Seen:
    """Groq's SDK leaves a stream's usage in ``x_groq``."""
    return {name: value for name, value in seen.items() if not name.endswith("_tokens")}


def _mistral(line: Line) -> Seen:
    from mistralai.client import Mistral

    with Mistral(api_key="test-key") as client:
        body = {name: value for name, value in body_of(line).items() if name != "stream"}
        if not streamed(line):
            return _chat(client.chat.complete(**body))
        chunks = _Chunks()
        with client.chat.stream(**body) as events:
            for event in events:
                chunks.add(event.data)
        return chunks.seen


async def _amistral(line: Line) -> Seen:
    from mistralai.client import Mistral

    async with Mistral(api_key="test-key") as client:
        body = {name: value for name, value in body_of(line).items() if name != "stream"}
        if not streamed(line):
            return _chat(await client.chat.complete_async(**body))
        chunks = _Chunks()
        async with await client.chat.stream_async(**body) as events:
            async for event in events:
                chunks.add(event.data)
        return chunks.seen


# Anthropic


def _message(message: Any) -> Seen:
    usage = message.usage
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return {
        "text": "".join(block.text for block in message.content if block.type == "text") or None,
        "finish": message.stop_reason,
        "tools": [block.name for block in message.content if block.type == "tool_use"],
        "input_tokens": usage.input_tokens + cached,
        "output_tokens": usage.output_tokens,
    }


def _anthropic(line: Line) -> Seen:
    import anthropic

    with anthropic.Anthropic(api_key="test-key", max_retries=0) as client:
        body = {name: value for name, value in body_of(line).items() if name != "stream"}
        if not streamed(line):
            return _message(client.messages.create(**_arguments(client.messages.create, body_of(line))))
        with client.messages.stream(**_arguments(client.messages.stream, body)) as events:
            return _message(events.get_final_message())


async def _aanthropic(line: Line) -> Seen:
    import anthropic

    async with anthropic.AsyncAnthropic(api_key="test-key", max_retries=0) as client:
        body = {name: value for name, value in body_of(line).items() if name != "stream"}
        if not streamed(line):
            return _message(await client.messages.create(**_arguments(client.messages.create, body_of(line))))
        async with client.messages.stream(**_arguments(client.messages.stream, body)) as events:
            return _message(await events.get_final_message())


# Cohere


def _cohere_answer(answer: Any) -> Seen:
    if hasattr(answer, "message"):
        text = "".join(part.text for part in answer.message.content or [] if getattr(part, "text", None)) or None
        return {"text": text, "finish": answer.finish_reason, "tools": _tools(answer.message.tool_calls)}
    return {
        "text": answer.text,
        "finish": answer.finish_reason,
        "tools": [call.name for call in answer.tool_calls or []],
    }


class _CohereEvents:
    def __init__(self) -> None:
        self.seen: Seen = {"text": "", "finish": None, "tools": []}

    def add(self, event: Any) -> None:
        kind = getattr(event, "type", None) or getattr(event, "event_type", None)
        if kind == "content-delta" and event.delta.message.content.text:
            self.seen["text"] += event.delta.message.content.text
        elif kind == "text-generation":
            self.seen["text"] += event.text
        elif kind == "tool-call-start":
            self.seen["tools"].append(event.delta.message.tool_calls.function.name)
        elif kind == "message-end":
            self.seen["finish"] = event.delta.finish_reason
        elif kind == "stream-end":
            self.seen["finish"] = event.finish_reason


def _cohere_body(line: Line) -> dict[str, Any]:
    return {name: value for name, value in body_of(line).items() if name != "stream"}


def _cohere(line: Line) -> Seen:
    import cohere

    kind = cohere.ClientV2 if "/v2/" in line["uri"] else cohere.Client
    client = kind(api_key="test-key")
    if not streamed(line):
        return _cohere_answer(client.chat(**_cohere_body(line)))
    events = _CohereEvents()
    for event in client.chat_stream(**_cohere_body(line)):
        events.add(event)
    return {**events.seen, "text": events.seen["text"] or None}


async def _acohere(line: Line) -> Seen:
    import cohere

    kind = cohere.AsyncClientV2 if "/v2/" in line["uri"] else cohere.AsyncClient
    client = kind(api_key="test-key")
    if not streamed(line):
        return _cohere_answer(await client.chat(**_cohere_body(line)))
    events = _CohereEvents()
    async for event in client.chat_stream(**_cohere_body(line)):
        events.add(event)
    return {**events.seen, "text": events.seen["text"] or None}


# Ollama


def _ollama_seen(parts: list[Any], *, chat: bool) -> Seen:
    last = parts[-1]
    text = "".join((part.message.content if chat else part.response) or "" for part in parts)
    tools = [call for part in parts for call in (part.message.tool_calls if chat else None) or []]
    return {
        "text": text or None,
        "finish": last.done_reason,
        "tools": _tools(tools),
        "input_tokens": last.prompt_eval_count,
        "output_tokens": last.eval_count,
    }


def _ollama(line: Line) -> Seen:
    import ollama

    client, chat = ollama.Client(host="http://127.0.0.1:11434"), line["uri"].endswith("/chat")
    answer = (client.chat if chat else client.generate)(**body_of(line))
    return _ollama_seen(list(answer) if streamed(line) else [answer], chat=chat)


async def _aollama(line: Line) -> Seen:
    import ollama

    client, chat = ollama.AsyncClient(host="http://127.0.0.1:11434"), line["uri"].endswith("/chat")
    answer = await (client.chat if chat else client.generate)(**body_of(line))
    return _ollama_seen([part async for part in answer] if streamed(line) else [answer], chat=chat)


def _at(*hosts: str) -> Callable[[str, Line], bool]:
    return lambda host, line: host in hosts


SDKS: dict[str, Sdk] = {
    "openai chat": Sdk(
        "openai",
        lambda host, line: (
            line["expected"]["flavour"] == "openai.chat" and not host.startswith(("api.groq", "api.mis"))
        ),
        _openai_chat,
        _openai_achat,
    ),
    "openai responses": Sdk(
        "openai",
        lambda host, line: line["expected"]["flavour"] == "openai.responses",
        _openai_responses,
        _openai_aresponses,
    ),
    "anthropic": Sdk(
        "anthropic",
        lambda host, line: host == "api.anthropic.com" and "beta=" not in line["uri"],
        _anthropic,
        _aanthropic,
    ),
    "cohere": Sdk("cohere", _at("api.cohere.com"), _cohere, _acohere),
    "groq": Sdk("groq", _at("api.groq.com"), _groq, _agroq),
    "mistral": Sdk("mistralai", _at("api.mistral.ai"), _mistral, _amistral),
    "ollama": Sdk("ollama", _at("127.0.0.1:11434"), _ollama, _aollama),
}


def sdk_of(line: Line) -> str | None:
    host = urlsplit(line["uri"]).netloc
    return next((name for name, sdk in SDKS.items() if sdk.takes(host, line)), None)
