"""The loopback HTTP/1.1 server: an event loop in a daemon thread."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.standin.dialects import Answer, answer, echo
from tests.standin.reply import Reply

Script = Callable[[Any], "str | Reply | None"]
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Received:
    """A request as the stand-in saw it; header names in lower case, `json` None where the body is none."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    json: Any
    connection: int
    """Requests with the same number came over one kept-alive connection."""
    at: float = field(default_factory=time.monotonic)


class StandIn:
    """A provider on 127.0.0.1, as a context manager.

    Args:
        latency_s: wait before each answer's head.
        encoding: compress for clients that accept it.
        port: 0 for any free one.
    """

    def __init__(
        self, latency_s: float = 0.0, *, encoding: Literal["gzip", "deflate"] | None = None, port: int = 0
    ) -> None:
        self.latency_s = latency_s
        self.encoding = encoding
        self.port = port
        self.requests: list[Received] = []
        self.in_flight = 0
        self.peak_in_flight = 0
        self.connections = 0
        self._script: list[str | Reply | Script] = []
        self._script_error: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="stand-in", daemon=True)
        self._ready = threading.Event()
        self._failure: OSError | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *replies: str | Reply | Script) -> None:
        """Answer the next requests with `replies`, one each; the last one stays.

        A function gets the request's JSON and may return None for the unscripted answer; what it raises is raised
        again when the stand-in is closed.
        """
        self._script = list(replies)

    def reset(self) -> None:
        """Forget script and requests."""
        self._script = []
        self.requests.clear()
        self.peak_in_flight = 0

    def __enter__(self) -> StandIn:
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        if self._script_error is not None and error is None:
            raise self._script_error

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(asyncio.start_server(self._connection, "127.0.0.1", self.port))
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while (received := await _receive(reader, writer, number)) is not None:
                self.requests.append(received)
                self.in_flight += 1
                self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
                try:
                    keep = await self._respond(received, writer)
                finally:
                    self.in_flight -= 1
                if not keep or received.headers.get("connection", "").lower() == "close":
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the stand-in is closing
        finally:
            writer.close()

    async def _respond(self, received: Received, writer: asyncio.StreamWriter) -> bool:
        """Send the answer; False where the connection ends with it."""
        reply = self._reply(received.json)
        delay = self.latency_s if reply.latency_s is None else reply.latency_s
        if delay:
            await asyncio.sleep(delay)
        if reply.hang_up:
            return False
        ready = _answer(received, reply)
        headers = {"content-type": ready.content_type, "x-request-id": f"req_{len(self.requests)}"}
        chunks: Iterator[bytes] = iter(ready.chunks)
        if self.encoding and self.encoding in received.headers.get("accept-encoding", ""):
            headers["content-encoding"] = self.encoding
            chunks = _compressed(ready.chunks, self.encoding)
        if reply.chunk_size:
            whole = b"".join(chunks)
            chunks = (whole[i : i + reply.chunk_size] for i in range(0, len(whole), reply.chunk_size))
        sending = list(chunks)
        chunked = ready.streamed or reply.chunk_size is not None or reply.chunks is not None
        if chunked:
            headers["transfer-encoding"] = "chunked"
        else:
            headers["content-length"] = str(sum(map(len, sending)))
        headers.update({name.lower(): value for name, value in reply.headers.items()})
        status = ready.status or reply.status
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        return await _send(sending, reply, writer, chunked=chunked)

    def _reply(self, request: Any) -> Reply:
        step: str | Reply | Script | None = None
        if self._script:
            step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if callable(step):
            try:
                step = step(request)
            except Exception as error:  # the test's own script: whatever it raises is shown to the test
                self._script_error = self._script_error or error
                return Reply(f"the stand-in's script raised {error!r}", status=500)
        if step is None:
            return Reply(echo(request if isinstance(request, dict) else {}))
        return Reply(step) if isinstance(step, str) else step


def _answer(received: Received, reply: Reply) -> Answer:
    raw = [reply.body] if reply.body is not None else reply.chunks
    request = received.json if isinstance(received.json, dict) else {}
    if raw is None:
        spoken = answer(received.path, request, reply)
        if spoken is not None:
            return spoken
        text = f"stand-in: no dialect has the path {received.path}"
        return Answer("text/plain; charset=utf-8", [text.encode()], status=404)
    content_type = reply.headers.get("content-type", "text/event-stream" if reply.chunks else "application/json")
    return Answer(content_type, raw)


async def _send(sending: list[bytes], reply: Reply, writer: asyncio.StreamWriter, *, chunked: bool) -> bool:
    limits = [n for n in (reply.reset_after_bytes, reply.close_after_bytes) if n is not None]
    left = min(limits) if limits else None
    for index, chunk in enumerate(sending):
        if left is not None:
            chunk = chunk[:left]
            left -= len(chunk)
        if chunk:
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" if chunked else chunk)
            await writer.drain()
        if left == 0:
            break
        pause = reply.chunk_delay_s + (reply.stall_s if index == 0 else 0.0)
        if pause and index < len(sending) - 1:
            await asyncio.sleep(pause)
    if limits:
        if reply.reset_after_bytes is not None:
            # Linger of zero seconds: closing sends RST. The pause lets the client read what was sent before it.
            await asyncio.sleep(0.02)
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return False
    if chunked:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _compressed(chunks: list[bytes], encoding: str) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    for chunk in chunks:
        yield packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


async def _receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> Received | None:
    """The next request; None where the client closed the connection between two."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _receive_body(reader, headers)
    plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
    try:
        document = json.loads(plain) if plain else None
    except ValueError:
        document = None
    url = urlsplit(target)
    return Received(method, url.path, url.query, headers, body, document, connection)


async def _receive_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while (await reader.readline()).strip():
        pass  # trailers
    return body
