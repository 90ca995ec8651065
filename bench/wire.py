"""How fast exchanges are read from the wire."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.measure import REPOSITORY, Row, rate
from pytest_llmops.exchange import Exchange
from pytest_llmops.providers import detect, read
from tests.standin import Reply, ToolCall
from tests.standin.dialects import answer

QUESTION = {"role": "user", "content": "How long do refunds take, and who pays for the return? " * 5}
REPLY = Reply("Refunds take fourteen days, and we pay for the return of what was broken. " * 8)
TOOL_REPLY = Reply(tool_calls=[ToolCall("look_up", {"order": 4711, "fields": ["state", "paid", "sent"]})])
DIALECTS = {
    "openai.chat": ("https://api.openai.com/v1/chat/completions", "gpt-4o-mini"),
    "openai.responses": ("https://api.openai.com/v1/responses", "gpt-4o-mini"),
    "anthropic.messages": ("https://api.anthropic.com/v1/messages", "claude-sonnet-4-5"),
    "ollama": ("http://localhost:11434/api/chat", "llama3.2"),
}


def rows() -> Iterator[Row]:
    """Exchanges a CPU second by dialect: whole, streamed, tools; then real ones where the corpus is present."""
    for dialect in DIALECTS:
        for kind, reply, stream in (("whole", REPLY, False), ("streamed", REPLY, True), ("tools", TOOL_REPLY, False)):
            yield Row(f"read {dialect}, {kind}", _rate([_exchange(dialect, reply, stream=stream)]), "exchanges/s")
    exchanges = [_exchange(dialect, REPLY, stream=True) for dialect in DIALECTS]
    yield Row("detect", rate(lambda: sum(_detected(e) for e in exchanges)), "requests/s")
    path = Path(os.environ.get("LLMOPS_CORPUS", REPOSITORY.parent / "shared" / "corpus")) / "wire-dev.jsonl.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            corpus = [_recorded(json.loads(line)) for line in lines]
        yield Row(f"read {len(corpus)} real exchanges", _rate(corpus), "exchanges/s")


def _rate(exchanges: list[Exchange]) -> float:
    unread = [exchange.url for exchange in exchanges if read(exchange) is None]
    if unread:
        raise RuntimeError(f"not read as LLM calls: {sorted(set(unread))[:3]}")
    return rate(lambda: sum(read(exchange) is not None for exchange in exchanges))


def _detected(exchange: Exchange) -> bool:
    return detect(exchange.method, exchange.url, exchange.request_body) is not None


def _exchange(dialect: str, reply: Reply, *, stream: bool) -> Exchange:
    url, model = DIALECTS[dialect]
    request = {"model": model, "messages": [QUESTION], "input": [QUESTION], "stream": stream}
    path = url.partition("://")[2].partition("/")[2]
    spoken = answer(f"/{path}", request, reply)
    assert spoken is not None
    return Exchange(
        "POST",
        url,
        request_body=json.dumps(request).encode(),
        request_content_type="application/json",
        status=200,
        response_headers={"content-type": spoken.content_type},
        response_body=b"".join(spoken.chunks),
        elapsed_ms=500.0,
        chunks=[(len(chunk), 100.0 + n) for n, chunk in enumerate(spoken.chunks)] if spoken.streamed else [],
    )


def _recorded(line: dict[str, Any]) -> Exchange:
    return Exchange(
        line["method"],
        line["uri"],
        request_body=(line["request"] or "").encode(),
        request_content_type="application/json",
        status=line["status"],
        response_headers={"content-type": line["content_type"].strip("[]'")},
        response_body=(line["response"] or "").encode(),
    )
