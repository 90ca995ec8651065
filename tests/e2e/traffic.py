"""Traffic of an application: every HTTP client by every kind of exchange, as a table. Imported by inner test runs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import importlib.util
import json
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.standin import Reply, ToolCall

Outcome = dict[str, Any]
"""What the application saw: status, body and headers that matter, or the exception's class and what came before it."""

SHOWN_HEADERS = ("content-type", "retry-after", "location")


@dataclass(frozen=True)
class Ask:
    """A request and how it is read.

    Args:
        asks: the user's message, by which the stand-in tells what to answer; None: `body` stands as it is.
        stop_after: bytes after which the caller stops reading a stream.
    """

    asks: str | None = None
    path: str = "/v1/chat/completions"
    fields: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = "application/json"
    method: str = "POST"
    stream: bool = False
    timeout: float = 10.0
    stop_after: int | None = None

    @property
    def payload(self) -> bytes:
        if self.asks is None:
            return self.body
        message = {"role": "user", "content": self.asks}
        return json.dumps({"model": "gpt-4o-mini", "messages": [message], **self.fields}).encode()

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": self.content_type, "authorization": "Bearer test-key"} if self.payload else {}


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package
        return False


TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
ANSWER = json.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "packed é"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    },
    ensure_ascii=False,
).encode()
FORM = b"".join(
    line + b"\r\n"
    for line in (
        b"--b",
        b'Content-Disposition: form-data; name="purpose"',
        b"",
        b"evals",
        b"--b",
        b'Content-Disposition: form-data; name="file"; filename="a.bin"',
        b"",
        b"\x00\xff",
        b"--b--",
    )
)

SCENARIOS: dict[str, Ask] = {
    "json": Ask("json"),
    "anthropic": Ask("anthropic", "/v1/messages", {"max_tokens": 9}),
    "unicode": Ask("Grüße aus 東京 🗼"),
    "sse": Ask("sse", fields=STREAM, stream=True),
    "ndjson": Ask("ndjson", "/api/chat", {"stream": True}, stream=True),
    "tools": Ask("tools", fields={"tools": TOOLS}),
    "tools stream": Ask("tools", fields={"tools": TOOLS, **STREAM}, stream=True),
    "stopped": Ask("stopped", fields=STREAM, stream=True, stop_after=400),
    "gzip": Ask("packed gzip"),
    "deflate": Ask("packed deflate"),
    "br": Ask("packed br"),
    "zstd": Ask("packed zstd"),
    "gzip stream": Ask("packed gzip", fields={"stream": True}, stream=True),
    "unknown encoding": Ask("packed unknown"),
    "broken gzip": Ask("packed broken"),
    "binary": Ask("binary", "/v1/audio/speech"),
    "multipart": Ask(path="/v1/files", body=FORM, content_type="multipart/form-data; boundary=b"),
    "form": Ask(path="/store", body=b"a=1&b=%C3%A9", content_type="application/x-www-form-urlencoded"),
    "get": Ask(path="/things?page=2&key=planted-in-query", method="GET"),
    "400": Ask("status 400"),
    "429": Ask("status 429"),
    "500": Ask("status 500"),
    "529": Ask("status 529", "/v1/messages", {"max_tokens": 9}),
    "invalid utf-8": Ask("raw invalid"),
    "half event": Ask("half", fields=STREAM, stream=True),
    "tiny chunks": Ask("tiny", fields=STREAM, stream=True),
    "hang up": Ask("hang up"),
    "reset": Ask("reset", fields=STREAM, stream=True),
    "cut": Ask("cut", fields=STREAM, stream=True),
    "timeout": Ask("slow", timeout=0.2),
    "timeout in stream": Ask("stalls", fields=STREAM, stream=True, timeout=0.5),  # what comes before takes a while
}

NEEDS = {"br": ("brotli",), "zstd": ("zstandard", "backports.zstd")}
"""What clients decode these with: httpx with one, urllib3, httpx2 and aiohttp with the other."""

MISSING = {name: [m for m in modules if not _installed(m)] for name, modules in NEEDS.items()}
SCENARIOS = {name: ask for name, ask in SCENARIOS.items() if not MISSING.get(name)}

_PACKED = {"gzip": gzip.compress(ANSWER, mtime=0), "deflate": zlib.compress(ANSWER), "unknown": b"\x01\x02" + ANSWER}


def _pack(kind: str) -> bytes:
    if kind == "br":
        import brotli

        return bytes(brotli.compress(ANSWER))
    if kind == "zstd":
        import zstandard

        return zstandard.compress(ANSWER)
    if kind == "broken":
        return _PACKED["gzip"][:-20]
    return _PACKED[kind]


def provider(request: Any) -> Reply | str | None:
    """The stand-in's script."""
    try:
        asked = request["messages"][-1]["content"]
    except (TypeError, KeyError):
        return Reply(body=b"\x00\x01binary\xff", headers={"content-type": "application/octet-stream"})
    kind, _, detail = asked.partition(" ")
    match kind:
        case "packed":
            encoding = {"broken": "gzip", "unknown": "x-own"}.get(detail, detail)
            return Reply(body=_pack(detail), headers={"content-type": "application/json", "content-encoding": encoding})
        case "tools":
            return Reply(None, [ToolCall("look_up", {"order": 7}), ToolCall("look_up", '{"order": ')])
        case "status":
            after = {"retry-after": "7"} if detail == "429" else {}
            return Reply(f"the provider says {detail}", status=int(detail), headers=after)
        case "binary":
            return Reply(body=bytes(range(256)) * 40, headers={"content-type": "audio/mpeg"})
        case "raw":
            return Reply(body=b'{"text": "\xff\xfe"}')
        case "half":
            return Reply("one two three four five six", close_after_bytes=700)
        case "tiny":
            return Reply("word " * 60, chunk_size=7)
        case "hang":
            return Reply(hang_up=True)
        case "reset":
            return Reply("one two three four five six", reset_after_bytes=700)
        case "cut":
            return Reply("one two three four five six", close_after_bytes=300)
        case "slow":
            return Reply("late", latency_s=3)
        case "stalls":
            return Reply("one two three", stall_s=3)
    return None


def shown(status: int, headers: Any, body: bytes) -> Outcome:
    kept = {name: headers[name] for name in SHOWN_HEADERS if headers.get(name) is not None}
    try:  # JSON is kept as an object: its white space is the recording's
        return {"status": status, "headers": kept, "json": json.loads(body)}
    except ValueError:
        return {"status": status, "headers": kept, "body": base64.b64encode(body).decode()}


def _failed(error: BaseException, came: bytes) -> Outcome:
    kind = type(error)
    reason = getattr(error, "reason", None)
    return {
        "error": f"{kind.__module__.partition('.')[0]}.{kind.__name__}",
        "reason": type(reason).__name__ if isinstance(reason, Exception) else None,
        "timeout": isinstance(error, TimeoutError),
        "came": base64.b64encode(came).decode(),
    }


class _Reading:
    """Pieces of a stream, until the caller has enough."""

    def __init__(self, limit: int | None) -> None:
        self.limit, self.whole = limit, b""

    def add(self, part: bytes) -> bool:
        self.whole += part
        if self.limit is not None and len(self.whole) >= self.limit:
            self.whole = self.whole[: self.limit]
            return True
        return False


def _httpx(name: str) -> Callable[[str, Ask], Outcome]:
    def call(url: str, ask: Ask) -> Outcome:
        library = __import__(name)
        reading = _Reading(ask.stop_after)
        try:
            with library.Client(timeout=ask.timeout) as client:
                if not ask.stream:
                    got = client.request(ask.method, url + ask.path, content=ask.payload, headers=ask.headers)
                    return shown(got.status_code, got.headers, got.content)
                with client.stream(ask.method, url + ask.path, content=ask.payload, headers=ask.headers) as got:
                    for part in got.iter_bytes():
                        if reading.add(part):
                            break
                    return shown(got.status_code, got.headers, reading.whole)
        except Exception as error:
            return _failed(error, reading.whole)

    return call


def _httpx_async(name: str) -> Callable[[str, Ask], Awaitable[Outcome]]:
    async def call(url: str, ask: Ask) -> Outcome:
        library = __import__(name)
        reading = _Reading(ask.stop_after)
        try:
            async with library.AsyncClient(timeout=ask.timeout) as client:
                if not ask.stream:
                    got = await client.request(ask.method, url + ask.path, content=ask.payload, headers=ask.headers)
                    return shown(got.status_code, got.headers, got.content)
                async with client.stream(ask.method, url + ask.path, content=ask.payload, headers=ask.headers) as got:
                    async for part in got.aiter_bytes():
                        if reading.add(part):
                            break
                    return shown(got.status_code, got.headers, reading.whole)
        except Exception as error:
            return _failed(error, reading.whole)

    return call


async def _aiohttp(url: str, ask: Ask) -> Outcome:
    import aiohttp

    reading = _Reading(ask.stop_after)
    limit = aiohttp.ClientTimeout(sock_read=ask.timeout)
    body = ask.payload or None
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.request(ask.method, url + ask.path, data=body, headers=ask.headers) as got,
        ):
            if not ask.stream:
                return shown(got.status, got.headers, await got.read())
            async for part in got.content.iter_any():
                if reading.add(part):
                    break
            return shown(got.status, got.headers, reading.whole)
    except Exception as error:
        return _failed(error, reading.whole)


def _requests(url: str, ask: Ask) -> Outcome:
    import requests

    reading = _Reading(ask.stop_after)
    try:
        with (
            requests.Session() as session,
            session.request(
                ask.method,
                url + ask.path,
                data=ask.payload or None,
                headers=ask.headers,
                stream=ask.stream,
                timeout=ask.timeout,
            ) as got,
        ):
            if not ask.stream:
                return shown(got.status_code, got.headers, got.content)
            for part in got.iter_content(64):
                if reading.add(part):
                    break
            return shown(got.status_code, got.headers, reading.whole)
    except Exception as error:
        return _failed(error, reading.whole)


def _urllib3(url: str, ask: Ask) -> Outcome:
    import urllib3

    reading = _Reading(ask.stop_after)
    try:
        with urllib3.PoolManager(timeout=ask.timeout, retries=False) as pool:
            got = pool.request(
                ask.method,
                url + ask.path,
                body=ask.payload or None,
                headers=ask.headers,
                preload_content=not ask.stream,
            )
            if not ask.stream:
                return shown(got.status, got.headers, got.data)
            for part in got.stream(64):
                if reading.add(part):
                    break
            got.release_conn()
            return shown(got.status, got.headers, reading.whole)
    except Exception as error:
        return _failed(error, reading.whole)


def _urllib(url: str, ask: Ask) -> Outcome:
    import urllib.error
    import urllib.request

    reading = _Reading(ask.stop_after)
    request = urllib.request.Request(url + ask.path, ask.payload or None, ask.headers, method=ask.method)
    try:
        with urllib.request.urlopen(request, timeout=ask.timeout) as got:
            while part := got.read(64):
                if reading.add(part):
                    break
            return shown(got.status, got.headers, reading.whole)
    except urllib.error.HTTPError as error:
        with error:
            return shown(error.code, error.headers, error.read())
    except Exception as error:
        return _failed(error, reading.whole)


def _lm15_request(url: str, ask: Ask) -> Any:
    from lm15.transports import TransportRequest

    headers = list(ask.headers.items())
    return TransportRequest(ask.method, url + ask.path, headers, ask.payload, read_timeout=ask.timeout)


def _lm15_shown(status: int, headers: list[tuple[str, str]], body: bytes) -> Outcome:
    return shown(status, {name.lower(): value for name, value in headers}, body)


def _lm15(url: str, ask: Ask) -> Outcome:
    from lm15.transports import StdlibTransport

    reading = _Reading(ask.stop_after)
    try:
        with StdlibTransport() as transport, transport.stream(_lm15_request(url, ask)) as got:
            for part in got:
                if reading.add(part):
                    break
            return _lm15_shown(got.status, got.headers, reading.whole)
    except Exception as error:
        return _failed(error, reading.whole)


async def _lm15_async(url: str, ask: Ask) -> Outcome:
    from lm15.transports import StdlibAsyncTransport

    reading = _Reading(ask.stop_after)
    try:
        async with StdlibAsyncTransport() as transport, transport.stream(_lm15_request(url, ask)) as got:
            async for part in got:
                if reading.add(part):
                    break
            return _lm15_shown(got.status, got.headers, reading.whole)
    except Exception as error:
        return _failed(error, reading.whole)


SYNC: dict[str, Callable[[str, Ask], Outcome]] = {
    "httpx": _httpx("httpx"),
    "httpx2": _httpx("httpx2"),
    "requests": _requests,
    "urllib3": _urllib3,
    "urllib": _urllib,
    "lm15": _lm15,
}
ASYNC: dict[str, Callable[[str, Ask], Awaitable[Outcome]]] = {
    "httpx async": _httpx_async("httpx"),
    "httpx2 async": _httpx_async("httpx2"),
    "aiohttp": _aiohttp,
    "lm15 async": _lm15_async,
}
CLIENTS = [*SYNC, *ASYNC]


def perform(url: str, client: str, ask: Ask) -> Outcome:
    """One exchange as the application would make it."""
    if client in SYNC:
        return SYNC[client](url, ask)

    async def alone() -> Outcome:
        return await ASYNC[client](url, ask)

    return asyncio.run(alone())


def keep(path: str, name: str, what: Any) -> None:
    """Add a line to a file of the outer test's."""
    with contextlib.suppress(FileNotFoundError), open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write(json.dumps([name, what]) + "\n")
