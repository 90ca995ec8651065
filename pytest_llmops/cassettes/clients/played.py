"""Recordings as HTTP clients know them: failures by their class, answers as they come over a connection."""

from __future__ import annotations

import http.client
import io
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from pytest_llmops.cassettes.transfer import Playback

if TYPE_CHECKING:
    import socket


def kind_of(name: str, base: type[BaseException], *modules: ModuleType) -> type[Any] | None:
    """The exception class of that name in the first of `modules` that has it; None where it is no `base`."""
    for module in modules:
        found = getattr(module, name, None)
        if isinstance(found, type):
            return found if issubclass(found, base) else None
    return None


def answer(playback: Playback, failure: Exception | None, method: str) -> http.client.HTTPResponse:
    """A recorded response for the clients that are built on http.client.

    Args:
        playback: the recording.
        failure: raised to whoever reads on after what was recorded.
        method: the request's.
    """
    lines = [f"HTTP/1.1 {playback.status} {http.client.responses.get(playback.status, '')}"]
    lines += [f"{name}: {value}" for name, value in playback.headers.items()]
    # Several chunks keep their bounds: a client hands them on one by one, and loses none when the next one fails.
    chunked = len(playback.chunks) > 1 or failure is not None or playback.beyond is not None
    if chunked:
        lines.append("transfer-encoding: chunked")
    else:
        lines.append(f"content-length: {sum(len(part) for part, _ in playback.chunks)}")
    head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
    connection = _Connection(_Wire(head, playback, failure, chunked=chunked))
    response = http.client.HTTPResponse(cast("socket.socket", connection), method=method)
    response.begin()
    return response


class _Connection:
    def __init__(self, wire: io.RawIOBase) -> None:
        self._wire = wire

    def makefile(self, *_args: object, **_kwargs: object) -> io.BufferedReader:
        return io.BufferedReader(self._wire)


class _Wire(io.RawIOBase):
    """The bytes of an answer: a chunk a read, at the recorded pace, then the recorded failure."""

    def __init__(self, head: bytes, playback: Playback, failure: Exception | None, *, chunked: bool) -> None:
        self._chunks = iter(playback.chunks)
        self._chunked = chunked
        self._rest = memoryview(head)
        self._beyond, self._failure = playback.beyond, failure

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest and not self._over:
            self._rest = memoryview(self._next())
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    _over = False

    def _next(self) -> bytes:
        for part, wait in self._chunks:
            if wait:
                time.sleep(wait)
            if part:
                return b"%x\r\n%b\r\n" % (len(part), part) if self._chunked else part
        if self._failure is not None:
            raise self._failure
        if self._beyond is not None:
            raise self._beyond()
        self._over = True
        return b"0\r\n\r\n" if self._chunked else b""
