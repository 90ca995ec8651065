"""Exchange to Call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from pytest_llmops.exchange import Exchange
from pytest_llmops.pricing import cost
from pytest_llmops.providers import anthropic, bedrock, cohere, google, ollama, openai_chat, openai_responses
from pytest_llmops.providers.answer import Answer, Dialect, described
from pytest_llmops.providers.framing import Framing, events, framing_of
from pytest_llmops.providers.loose import Fields, fields, mended, parse, storable, string
from pytest_llmops.providers.routes import Route, detect
from pytest_llmops.records import Call
from pytest_llmops.settings import Price

DIALECTS: dict[str, Dialect] = {
    "openai.chat": openai_chat.CHAT,
    "openai.completions": openai_chat.COMPLETIONS,
    "openai.embeddings": openai_chat.EMBEDDINGS,
    "openai.moderations": openai_chat.MODERATIONS,
    "openai.images": openai_chat.IMAGES,
    "openai.audio": openai_chat.AUDIO,
    "openai.responses": openai_responses.RESPONSES,
    "anthropic.messages": anthropic.MESSAGES,
    "anthropic.complete": anthropic.COMPLETE,
    "cohere.v1.chat": cohere.CHAT_V1,
    "cohere.v2.chat": cohere.CHAT_V2,
    "cohere.v1.generate": cohere.GENERATE,
    "cohere.v1.embed": cohere.EMBED,
    "cohere.v2.embed": cohere.EMBED,
    "cohere.v1.rerank": cohere.RERANK,
    "cohere.v2.rerank": cohere.RERANK,
    "ollama": ollama.CHAT,
    "ollama.embed": ollama.EMBED,
    "google.generate_content": google.GENERATE_CONTENT,
    "google.embed_content": google.EMBED_CONTENT,
    "google.predict": google.EMBED_CONTENT,
    "bedrock.converse": bedrock.CONVERSE,
    "bedrock.invoke": bedrock.INVOKE,
}

_FORM_MODEL = re.compile(rb'name="model"[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n([^\r\n]{1,200})')
_FIRST_TEXT = 300


def read(
    exchange: Exchange,
    *,
    hosts: Mapping[str, str] | None = None,
    prices: Mapping[str, Price] | None = None,
    store_text: bool = True,
    route: Route | None = None,
) -> Call | None:
    """Read what one model call was asked, answered and cost.

    Args:
        exchange: as it went over the wire.
        hosts: ``[tool.pytest-llmops.hosts]``.
        prices: ``[tool.pytest-llmops.prices]``.
        store_text: False leaves `Call.request` out.
        route: as `detect` found it, where it is known.

    Returns:
        None for what is no model call. Bytes nobody can read give a Call whose `error` says so; none raise.
    """
    route = route or detect(exchange.method, exchange.url, exchange.request_body, hosts=hosts)
    if route is None:
        return None
    dialect = DIALECTS.get(route.api)
    if dialect is None:
        return None
    asked = _request(exchange)
    answer = Answer()
    framing, first = _response(exchange, route, dialect, answer)
    return _call(exchange, route, dialect, asked, answer, framing, first, prices, store_text)


def _request(exchange: Exchange) -> Fields:
    body = exchange.request_body
    try:
        asked = parse(body)
    except ValueError:
        asked = None
    if isinstance(asked, dict):
        return asked
    form = _FORM_MODEL.search(body[:65536]) if body.startswith(b"--") else None
    return {"model": form.group(1).decode("utf-8", "replace").strip()} if form else {}


def _response(exchange: Exchange, route: Route, dialect: Dialect, answer: Answer) -> tuple[Framing, int | None]:
    """Read the response into `answer`; how it was framed, and the offset of the first event that carried content."""
    body = exchange.response_body
    if exchange.failure is not None:
        answer.error = mended(f"{exchange.failure.type}: {exchange.failure.message}")
    if not body:
        if answer.error is None:
            answer.error = f"HTTP {exchange.status}: empty body" if exchange.status else "no response"
        return "json", None
    framing = framing_of(exchange.content_type, body, array_stream=route.api == "google.generate_content")
    if framing == "json" or _failed(exchange):
        framing = _whole(exchange, route, dialect, answer)
    if framing == "json":
        return framing, None
    return framing, _stream(framing, body, dialect, answer)


def _whole(exchange: Exchange, route: Route, dialect: Dialect, answer: Answer) -> Framing:
    """Read a body that is one JSON document; ``ndjson`` where it turns out to be several."""
    body, failed = exchange.response_body, _failed(exchange)
    try:
        document = parse(body)
    except ValueError:
        if not failed and body.lstrip()[:1] == b"{" and b"\n{" in body:
            return "ndjson"
        _unreadable(exchange, route, dialect, answer)
        return "json"
    if isinstance(document, list) and document and isinstance(document[0], dict):
        document = document[0]  # Google wraps the errors of streams
    if failed:
        answer.fail(_error_of(document, exchange), fallback=f"HTTP {exchange.status}")
        answer.refused = _blocked(document)
    elif isinstance(document, dict):
        dialect.answer(document, answer)
        if not answer.content and not answer.ended and document.get("error"):
            answer.fail(document["error"])
    else:
        answer.fail(f"unreadable answer: expected a JSON object, got {type(document).__name__}")
    return "json"


def _unreadable(exchange: Exchange, route: Route, dialect: Dialect, answer: Answer) -> None:
    """A body that is no JSON: an error page, a sound file, a transcript, or half of an answer."""
    status = exchange.status or 0
    kind = exchange.content_type
    if status < 400 and route.api == "openai.audio":
        answer.ended = True
        if kind.startswith("text/"):
            answer.add_text(exchange.response_body.decode("utf-8", "replace"))
        else:
            answer.plain = False
        return
    start = " ".join(exchange.response_body[:_FIRST_TEXT].decode("utf-8", "replace").split())
    cut = " (cut off)" if exchange.truncated else ""
    answer.fail(f"HTTP {status}: {start}" if status >= 400 else f"unreadable answer{cut}: {start}")


def _failed(exchange: Exchange) -> bool:
    return exchange.status is not None and exchange.status >= 400


_BLOCKED = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})


def _blocked(document: object) -> bool:
    """Whether an error says that a filter refused the prompt (Azure; images)."""
    return string(fields(document, "error").get("code")) in _BLOCKED


def _error_of(document: object, exchange: Exchange) -> str:
    """The error of a response whose status says that there is one."""
    if not isinstance(document, dict):
        return described(document)
    inner = document.get("error")
    if isinstance(inner, dict) or (isinstance(inner, str) and "message" not in document):
        kind = string(document.get("code")) if isinstance(inner, str) else None  # xAI
        return f"{kind}: {inner}" if kind else described(inner)
    # Amazon names the error in a header: "ValidationException:http://internal…"
    named = exchange.response_headers.get("x-amzn-errortype", "").partition(":")[0]
    text = described(document)
    return f"{named}: {text}" if named and not text.startswith(named) else text


def _stream(framing: Framing, body: bytes, dialect: Dialect, answer: Answer) -> int | None:
    first: int | None = None
    for event in events(framing, body):
        if isinstance(event.data, dict):
            dialect.event(event.name, event.data, answer)
        elif event.data == "[DONE]":
            answer.ended = True
        elif event.name == "error":
            answer.fail(event.data)
        if first is None and answer.content:
            first = event.last
    return first


def _call(
    exchange: Exchange,
    route: Route,
    dialect: Dialect,
    asked: Fields,
    answer: Answer,
    framing: Framing,
    first: int | None,
    prices: Mapping[str, Price] | None,
    store_text: bool,
) -> Call:
    streamed = framing != "json"
    usage = answer.usage
    void = not exchange.response_body or _failed(exchange) or (answer.error is not None and not answer.content)
    wanted = string(asked.get("model"))
    model = answer.model or route.model or wanted
    return Call(
        provider=route.provider,
        api=route.api,
        model=model and mended(model),
        role=exchange.role,
        status=exchange.status,
        error=answer.error,
        finish_reason=answer.finish_reason and mended(answer.finish_reason),
        text=answer.text if dialect.generates and not void else None,
        tool_calls=[draft.finished() for draft in answer.tools.values() if draft.name or draft.pieces],
        refused=answer.refused,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cost_usd=_cost(exchange, route, wanted, answer, prices),
        latency_ms=exchange.elapsed_ms,
        ttft_ms=exchange.time_at(first) if first is not None else None,
        streamed=streamed,
        truncated=exchange.truncated or (streamed and not answer.ended and answer.error is None),
        replayed=exchange.replayed,
        started_at=exchange.recorded_at,
        request=storable(dialect.request(asked)) if store_text else None,
    )


def _cost(
    exchange: Exchange, route: Route, wanted: str | None, answer: Answer, prices: Mapping[str, Price] | None
) -> float | None:
    # Bedrock prices by region, and only the URL's name carries it.
    first, second = (route.model, answer.model) if route.provider == "bedrock" else (answer.model, route.model)
    price = cost(
        route.provider,
        first,
        answer.billed or answer.usage,
        at=exchange.recorded_at,
        prices=prices,
        aliases=(second, wanted),
        host=urlsplit(exchange.url).hostname,
    )
    return answer.billed_usd if price is None else price
