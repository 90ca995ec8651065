"""The standard library's ``urllib.request``; a body is read whole before the caller gets it."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, cast

from pytest_llmops.cassettes import scope


def patches(module: ModuleType) -> list[tuple[Any, str, Any]]:
    """What replaces the opening of a connection, for http and https alike."""
    handler = module.AbstractHTTPHandler
    return [(handler, "do_open", _do_open(module, handler.do_open))]


def _do_open(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    def do_open(self: Any, http_class: Any, req: Any, **kwargs: Any) -> Any:
        tape = scope.current()
        if tape is None:
            return original(self, http_class, req, **kwargs)
        if hasattr(req.data, "read"):
            req.data = req.data.read()
        elif req.data is not None and not isinstance(req.data, (bytes, bytearray)):
            req.data = b"".join(req.data)
        transfer = tape.begin(
            req.get_method(),
            req.full_url,
            body=bytes(req.data or b""),
            content_type=req.get_header("Content-type", ""),
            capture=scope.current_capture(tape),
            key=scope.key.get(),
        )
        if transfer is None:
            return original(self, http_class, req, **kwargs)
        if transfer.live:
            try:
                live = original(self, http_class, req, **kwargs)
                transfer.head(live.status, live.headers.items())
                body = live.read()
            except BaseException as error:
                transfer.fail(error)
                raise
            transfer.chunk(body)
            transfer.end()
            return _response(req, live.status, dict(live.headers.items()), body)
        playback = transfer.playback()
        if playback.failure is not None:
            raise module.URLError(ConnectionError(playback.failure.message))
        return _response(req, playback.status, playback.headers, b"".join(part for part, _ in playback.chunks))

    return do_open


def _response(req: Any, status: int, headers: Mapping[str, str], body: bytes) -> http.client.HTTPResponse:
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}"]
    framing = ("transfer-encoding", "content-length", "connection")
    lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in framing]
    lines.append(f"content-length: {len(body)}")
    raw = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
    response = http.client.HTTPResponse(cast("socket.socket", _Received(raw)), method=req.get_method())
    response.begin()
    response.url = req.full_url
    response.msg = response.reason  # type: ignore[assignment]  # as urllib's own do_open leaves it
    return response


class _Received:
    """A connection whose answer has come already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_args: object, **_kwargs: object) -> io.BytesIO:
        return io.BytesIO(self._data)
