"""lm15, DSPy's own client (on bare sockets; DSPy brings a copy): the transports' streams."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any, cast

from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.clients.played import kind_of
from pytest_llmops.cassettes.transfer import Playback, Transfer


def patches(module: ModuleType) -> list[tuple[Any, str, Any]]:
    """What replaces the opening of a stream, which every request is."""
    plain, asynchronous = module.StdlibTransport, module.StdlibAsyncTransport
    return [
        (plain, "stream", _stream(module, plain.stream)),
        (asynchronous, "_do_stream", _do_stream(module, asynchronous._do_stream)),
    ]


def _begin(request: Any) -> Transfer | None:
    tape = scope.current()
    if tape is None:
        return None
    headers = {str(name).lower(): str(value) for name, value in request.headers}
    return tape.begin(
        request.method,
        request.url,
        body=bytes(request.body or b""),
        content_type=headers.get("content-type", ""),
        user_agent=headers.get("user-agent", ""),
        capture=scope.current_capture(tape),
        key=scope.key.get(),
    )


def _stream(module: ModuleType, original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def stream(self: Any, request: Any) -> Any:
        transfer = _begin(request)
        if transfer is None:
            return original(self, request)
        if not transfer.live:
            playback = _played(module, transfer)
            if playback.delay_s:
                time.sleep(playback.delay_s)
            return _response(module.TransportResponse, playback, _chunks(module, playback), lambda _consumed: None)
        try:
            transfer.hold()
            response = original(self, request)
        except BaseException as error:  # noted and raised again: also Ctrl-C
            transfer.fail(error)
            raise
        transfer.head(response.status, response.headers)
        transfer.decoded()

        def release(_consumed: bool) -> None:
            response.close()
            transfer.end(complete=False)

        return _response(module.TransportResponse, response, _tee(module, response, transfer), release)

    return stream


def _do_stream(
    module: ModuleType, original: Callable[[Any, Any], Awaitable[Any]]
) -> Callable[[Any, Any], Awaitable[Any]]:
    async def do_stream(self: Any, request: Any) -> Any:
        transfer = _begin(request)
        if transfer is None:
            return await original(self, request)
        if not transfer.live:
            playback = transfer.playback()
            if playback.given_up and not playback.status:
                await playback.outlast()
            _raise_failure(module, playback)
            if playback.delay_s:
                await asyncio.sleep(playback.delay_s)

            async def nothing(_consumed: bool) -> None: ...

            return _response(module.AsyncTransportResponse, playback, _achunks(module, playback), nothing)
        try:
            await transfer.ahold()
            response = await original(self, request)
        except BaseException as error:  # noted and raised again: also a cancellation, or Ctrl-C
            transfer.fail(error)
            raise
        transfer.head(response.status, response.headers)
        transfer.decoded()

        async def release(_consumed: bool) -> None:
            await response.aclose()
            transfer.end(complete=False)

        return _response(module.AsyncTransportResponse, response, _atee(module, response, transfer), release)

    return do_stream


def _response(kind: Any, answered: Any, chunks: Any, release: Callable[[bool], Any]) -> Any:
    """A response of the client's own kind: a live one's, or a recorded one's."""
    headers = answered.headers
    return kind(
        status=answered.status,
        reason=getattr(answered, "reason", http.client.responses.get(answered.status, "")),
        headers=list(headers.items()) if isinstance(headers, dict) else headers,
        http_version=getattr(answered, "http_version", "HTTP/1.1"),
        chunks=chunks,
        release=release,
    )


def _tee(module: ModuleType, response: Any, transfer: Transfer) -> Iterator[bytes]:
    try:
        for part in response:
            transfer.chunk(part)
            yield part
    except module.TransportError as error:
        transfer.fail(error)
        raise
    transfer.end()


async def _atee(module: ModuleType, response: Any, transfer: Transfer) -> AsyncIterator[bytes]:
    try:
        async for part in response:
            transfer.chunk(part)
            yield part
    except (module.TransportError, asyncio.CancelledError) as error:
        transfer.fail(error)
        raise
    transfer.end()


def _played(module: ModuleType, transfer: Transfer) -> Playback:
    playback = transfer.playback()
    _raise_failure(module, playback)
    return playback


def _raise_failure(module: ModuleType, playback: Playback) -> None:
    if playback.failure is not None and not playback.status:
        raise _failure(module, playback)


def _chunks(module: ModuleType, playback: Playback) -> Iterator[bytes]:
    for part, wait in playback.chunks:
        if wait:
            time.sleep(wait)
        yield part
    _broken(module, playback)


async def _achunks(module: ModuleType, playback: Playback) -> AsyncIterator[bytes]:
    for part, wait in playback.chunks:
        if wait:
            await asyncio.sleep(wait)
        yield part
    if playback.given_up:
        await playback.outlast()
    _broken(module, playback)


def _broken(module: ModuleType, playback: Playback) -> None:
    if playback.failure is not None:
        raise _failure(module, playback)
    if playback.beyond is not None:
        raise playback.beyond()


def _failure(module: ModuleType, playback: Playback) -> Exception:
    assert playback.failure is not None
    kind = kind_of(playback.failure.type, module.TransportError, module) or module.ReadError
    return cast("Exception", kind(playback.failure.message))
