"""httpx and httpx2 (the SDKs of OpenAI, Anthropic and most others): their network transports."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.clients.played import kind_of
from pytest_llmops.cassettes.transfer import Playback, Transfer


def patches(module: ModuleType) -> list[tuple[Any, str, Any]]:
    """What replaces the transports' handlers, and builds each TLS context once."""
    found: list[tuple[Any, str, Any]] = [
        (module.HTTPTransport, "handle_request", _sync_handler(module)),
        (module.AsyncHTTPTransport, "handle_async_request", _async_handler(module)),
    ]
    for owner in (getattr(module, "_config", None), getattr(getattr(module, "_transports", None), "default", None)):
        original = getattr(owner, "create_ssl_context", None)
        if original is not None:
            found.append((owner, "create_ssl_context", _memoised(original)))
    return found


def _memoised(original: Callable[..., Any]) -> Callable[..., Any]:
    """A TLS context costs 20 ms and more to build, and an application often builds a client a call."""
    contexts: dict[Any, Any] = {}

    def create_ssl_context(*args: Any, **kwargs: Any) -> Any:
        if scope.current() is None:
            return original(*args, **kwargs)
        files = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        key = (args, tuple(sorted(kwargs.items())), files)
        try:
            if key not in contexts:
                contexts[key] = original(*args, **kwargs)
            return contexts[key]
        except TypeError:  # unhashable arguments
            return original(*args, **kwargs)

    return create_ssl_context


def _begin(request: Any, body: bytes, *, mocked: bool) -> Transfer | None:
    tape = scope.current()
    if tape is None:
        return None
    if mocked and not tape.options.record(request.method, str(request.url), body):
        return None  # the test's own answer; where it has none after all, connections are refused on replay
    return tape.begin(
        request.method,
        str(request.url),
        body=body,
        content_type=request.headers.get("content-type", ""),
        user_agent=request.headers.get("user-agent", ""),
        capture=scope.current_capture(tape),
        key=scope.key.get(),
    )


def _mocked(transport: Any, method: str) -> bool:
    """Whether a test has replaced what is below the transport (respx): nothing has left the machine then."""
    pool = type(getattr(transport, "_pool", None))
    package = (getattr(getattr(pool, method, None), "__module__", None) or "").partition(".")[0]
    return package not in ("", pool.__module__.partition(".")[0])


def _sync_handler(module: ModuleType) -> Callable[[Any, Any], Any]:
    original = module.HTTPTransport.handle_request
    streams = _Streams(module)

    def handle_request(self: Any, request: Any) -> Any:
        if scope.current() is None:
            return original(self, request)
        body = b"".join(request.stream)
        request.stream = module.ByteStream(body)
        transfer = _begin(request, body, mocked=_mocked(self, "handle_request"))
        if transfer is None:
            return original(self, request)
        if not transfer.live:
            playback = transfer.playback()
            if playback.delay_s:
                time.sleep(playback.delay_s)
            return streams.response(playback, request)
        request.headers["accept-encoding"] = "identity"  # or the chunks' marks would point into compressed bytes
        try:
            transfer.hold()
            response = original(self, request)
        except BaseException as error:  # noted and raised again: also a cancellation, or Ctrl-C
            transfer.fail(error)
            raise
        transfer.head(response.status_code, response.headers.multi_items())
        response.stream = streams.tee(response.stream, transfer)
        return response

    return handle_request


def _async_handler(module: ModuleType) -> Callable[[Any, Any], Any]:
    original = module.AsyncHTTPTransport.handle_async_request
    streams = _Streams(module)

    async def handle_async_request(self: Any, request: Any) -> Any:
        if scope.current() is None:
            return await original(self, request)
        body = b"".join([part async for part in request.stream])
        request.stream = module.ByteStream(body)
        transfer = _begin(request, body, mocked=_mocked(self, "handle_async_request"))
        if transfer is None:
            return await original(self, request)
        if not transfer.live:
            playback = transfer.playback()
            if playback.given_up and not playback.status:
                await playback.outlast()
            if playback.delay_s:
                await asyncio.sleep(playback.delay_s)
            return streams.response(playback, request)
        request.headers["accept-encoding"] = "identity"
        try:
            await transfer.ahold()
            response = await original(self, request)
        except BaseException as error:  # noted and raised again: also a cancellation, or Ctrl-C
            transfer.fail(error)
            raise
        transfer.head(response.status_code, response.headers.multi_items())
        response.stream = streams.tee(response.stream, transfer)
        return response

    return handle_async_request


class _Streams:
    """The byte streams of one library: `tee` passes a live body through, `response` plays one back."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

        class Tee(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[name-defined,misc]
            def __init__(self, inner: Any, transfer: Transfer) -> None:
                self._inner, self._transfer = inner, transfer

            def __iter__(self) -> Iterator[bytes]:
                try:
                    for part in self._inner:
                        self._transfer.chunk(part)
                        yield part
                except module.TransportError as error:
                    self._transfer.fail(error)
                    raise
                self._transfer.end()

            async def __aiter__(self) -> AsyncIterator[bytes]:
                try:
                    async for part in self._inner:
                        self._transfer.chunk(part)
                        yield part
                except (module.TransportError, asyncio.CancelledError) as error:
                    self._transfer.fail(error)
                    raise
                self._transfer.end()

            def close(self) -> None:
                self._inner.close()
                self._transfer.end(complete=False)

            async def aclose(self) -> None:
                await self._inner.aclose()
                self._transfer.end(complete=False)

        class Played(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[name-defined,misc]
            def __init__(self, playback: Playback, request: Any) -> None:
                self._playback, self._request = playback, request

            def __iter__(self) -> Iterator[bytes]:
                for part, wait in self._playback.chunks:
                    if wait:
                        time.sleep(wait)
                    yield part
                self._broken()

            async def __aiter__(self) -> AsyncIterator[bytes]:
                for part, wait in self._playback.chunks:
                    if wait:
                        await asyncio.sleep(wait)
                    yield part
                if self._playback.given_up:
                    await self._playback.outlast()
                self._broken()

            def _broken(self) -> None:
                if self._playback.failure is not None:
                    raise _failure(module, self._playback, self._request)
                if self._playback.beyond is not None:
                    raise self._playback.beyond()

        self.tee = Tee
        self._played = Played

    def response(self, playback: Playback, request: Any) -> Any:
        """A recorded response; raises the recorded failure where there was none."""
        if playback.failure is not None and not playback.status:
            raise _failure(self._module, playback, request)
        return self._module.Response(
            playback.status,
            headers=playback.headers,
            stream=self._played(playback, request),
            extensions={"http_version": b"HTTP/1.1"},
        )


def _failure(module: ModuleType, playback: Playback, request: Any) -> Exception:
    assert playback.failure is not None
    kind = kind_of(playback.failure.type, module.TransportError, module) or module.TransportError
    error: Exception = kind(playback.failure.message, request=request)
    return error
