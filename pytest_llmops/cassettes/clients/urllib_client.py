"""The standard library's ``urllib.request``: the opening of a connection."""

from __future__ import annotations

import builtins
import http.client
import socket
import ssl
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.clients.played import answer, kind_of
from pytest_llmops.cassettes.transfer import Playback, Transfer
from pytest_llmops.exchange import TransportFailure


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
        if not transfer.live:
            return _play(module, req, transfer.playback())
        try:
            transfer.hold()
            response = original(self, http_class, req, **kwargs)
        except BaseException as error:  # noted and raised again: also a cancellation, or Ctrl-C
            reason = error.reason if isinstance(error, module.URLError) else None
            transfer.fail(error, reason=reason if isinstance(reason, Exception) else None)
            raise
        transfer.head(response.status, response.headers.items())
        _tee(response, transfer)
        return response

    return do_open


def _tee(response: http.client.HTTPResponse, transfer: Transfer) -> None:
    """Watch what is read from a live response, by whichever of its methods; they call one another."""
    depth = 0

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def read(*args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            depth += 1
            try:
                data = method(*args, **kwargs)
            except (OSError, http.client.HTTPException) as error:
                transfer.fail(error)
                raise
            finally:
                depth -= 1
            if depth == 0:
                transfer.chunk(bytes(args[0][:data]) if isinstance(data, int) else data)
                if response.isclosed():
                    transfer.end(complete=not response.length)
            return data

        return read

    def close(method: Callable[[], None] = response.close) -> None:
        method()
        transfer.end(complete=False)

    for name in ("read", "read1", "readinto", "readline"):
        setattr(response, name, watched(getattr(response, name)))
    response.close = close  # type: ignore[method-assign]


def _play(module: ModuleType, req: Any, playback: Playback) -> http.client.HTTPResponse:
    failure = _exception(module, playback.failure) if playback.failure is not None else None
    if failure is not None and not playback.status:
        raise failure
    if playback.delay_s:
        time.sleep(playback.delay_s)
    response = answer(playback, failure, req.get_method())
    response.url = req.full_url
    response.msg = response.reason  # type: ignore[assignment]  # as urllib's own do_open leaves it
    return response


def _exception(module: ModuleType, failure: TransportFailure) -> Exception:
    outer, _, reason = failure.type.partition("/")
    if outer == "URLError":
        return cast("Exception", module.URLError(_exception(module, TransportFailure(reason, failure.message))))
    if outer == "IncompleteRead":
        return http.client.IncompleteRead(b"")
    kind = kind_of(outer, OSError, builtins, socket, ssl) or kind_of(outer, http.client.HTTPException, http.client)
    return cast("Exception", (kind or ConnectionError)(failure.message))
