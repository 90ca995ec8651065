"""aiohttp, and LiteLLM's and others' httpx transports on top of it: ``ClientSession._request``."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, cast

from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.clients.played import kind_of
from pytest_llmops.cassettes.transfer import Playback, Transfer


def patches(module: ModuleType) -> list[tuple[Any, str, Any]]:
    """What replaces a session's request method."""
    session = module.ClientSession
    return [(session, "_request", _request(module, session._request))]


def _request(module: ModuleType, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def request(self: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
        tape = scope.current()
        if tape is None:
            return await original(self, method, str_or_url, **kwargs)
        url = self._build_url(str_or_url)
        if kwargs.get("params"):
            url = url.extend_query(kwargs["params"])
        headers = _headers(module, self, kwargs.get("headers"))
        body = await _body(module, self, kwargs, headers)
        transfer = tape.begin(
            method.upper(),
            str(url),
            body=body,
            content_type=headers.get("content-type", ""),
            user_agent=headers.get("user-agent", ""),
            capture=scope.current_capture(tape),
            key=scope.key.get(),
        )
        if transfer is None:
            return await original(self, method, str_or_url, **kwargs)
        if not transfer.live:
            return await _play(module, self, transfer, method.upper(), url, headers, kwargs)
        kwargs["headers"] = {**dict(kwargs.get("headers") or {}), "Accept-Encoding": "identity"}
        try:
            await transfer.ahold()
            response = await original(self, method, str_or_url, **kwargs)
        except module.ClientResponseError as error:  # raise_for_status: the provider did answer
            transfer.head(error.status, dict(error.headers or {}))
            transfer.end(complete=False)
            raise
        except BaseException as error:  # noted and raised again: also a cancellation, or Ctrl-C
            transfer.fail(error)
            raise
        transfer.head(response.status, response.headers.items())
        auto = kwargs.get("auto_decompress")
        if self.auto_decompress if auto is None else auto:
            transfer.decoded()
        _tee(module, response, transfer)
        return response

    return request


def _headers(module: ModuleType, session: Any, given: Any) -> dict[str, str]:
    merged = {**dict(session.headers), **dict(given or {})}
    return {str(k).lower(): str(v) for k, v in merged.items()}


async def _body(module: ModuleType, session: Any, kwargs: dict[str, Any], headers: dict[str, str]) -> bytes:
    """The request's body as bytes; what can be read only once is put back as bytes."""
    if kwargs.get("json") is not None:
        headers.setdefault("content-type", "application/json")
        text = session._json_serialize(kwargs["json"])
        return text.encode() if isinstance(text, str) else bytes(text)
    data = kwargs.get("data")
    if data is None:
        return b""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    if isinstance(data, (Mapping, list, tuple)):
        data = module.FormData(data)  # of fields and files, as aiohttp takes it
    payload = data() if isinstance(data, module.FormData) else data
    if isinstance(payload, module.Payload):
        if "content-type" not in headers:
            headers["content-type"] = payload.content_type
            kwargs["headers"] = {**dict(kwargs.get("headers") or {}), "Content-Type": payload.content_type}
        body = await payload.as_bytes()
    elif hasattr(data, "read"):
        body = data.read()
        body = await body if inspect.isawaitable(body) else body
    elif hasattr(data, "__aiter__"):
        body = b"".join([part async for part in data])
    else:
        body = b"".join(data)
    kwargs["data"] = body = body.encode() if isinstance(body, str) else bytes(body)
    return body


class _Connection:
    """The protocol a StreamReader asks to pause: nothing is behind this one."""

    _reading_paused = False
    connected = True

    def pause_reading(self) -> None: ...

    def resume_reading(self, *_args: object, **_kwargs: object) -> None: ...


@functools.cache
def _reader_class(module: ModuleType) -> Any:
    class Reader(module.StreamReader):  # type: ignore[name-defined,misc]
        """A body fed by us. aiohttp's own forgets what has come, unread, when it is told of a failure."""

        __slots__ = ("_beyond", "_cancelled", "_failure", "_given_up")

        def __init__(self, cancelled: Callable[[BaseException], None] | None = None) -> None:
            super().__init__(_Connection(), 2**26, loop=asyncio.get_running_loop())
            self._failure: BaseException | None = None
            self._cancelled = cancelled
            self._beyond: Callable[[], BaseException] | None = None
            self._given_up: Playback | None = None

        def end(self, beyond: Callable[[], BaseException]) -> None:
            """Raise what `beyond` makes to whoever reads on after what has come."""
            self._beyond = beyond

        def give_up(self, playback: Playback) -> None:
            """Whoever reads on after what has come waits, as the recording's caller did until it gave up."""
            self._given_up = playback

        def fail(self, error: BaseException) -> None:
            """Raise `error` to whoever reads on after what has come."""
            if self._buffer:
                self._failure = error
            else:
                self.set_exception(error)

        def _read_nowait(self, n: int) -> Any:
            # "All that has come" is a chunk a time, as it was when they came one by one.
            return self._read_nowait_chunk(n) if n == -1 and self._buffer else super()._read_nowait(n)

        def _read_nowait_chunk(self, n: int) -> Any:
            data = super()._read_nowait_chunk(n)
            if self._failure is not None and not self._buffer:
                self.set_exception(self._failure)
            return data

        async def _wait(self, func_name: str) -> None:
            if self._exception is not None:
                raise self._exception
            if self._beyond is not None:
                raise self._beyond()
            if self._given_up is not None:
                await self._given_up.outlast()
            try:
                await super()._wait(func_name)
            except asyncio.CancelledError as error:
                if self._cancelled is not None:
                    self._cancelled(error)
                raise

    return Reader


def _tee(module: ModuleType, response: Any, transfer: Transfer) -> None:
    """Pump the live body into a reader of our own, noting each chunk as it comes."""
    live, relay = response.content, _reader_class(module)(transfer.fail)

    async def pump() -> None:
        try:
            async for part in live.iter_any():
                transfer.chunk(part)
                relay.feed_data(part)
        except asyncio.CancelledError:
            transfer.end(complete=False)
            raise
        except Exception as error:  # whatever the connection raises belongs to whoever reads the body
            if response.closed:
                transfer.end(complete=False)
            else:
                transfer.fail(error)
            relay.fail(error)
        else:
            transfer.end()
            relay.feed_eof()

    response.content = relay
    response._llmops_pump = asyncio.get_running_loop().create_task(pump())  # the loop holds tasks only weakly


async def _play(
    module: ModuleType,
    session: Any,
    transfer: Transfer,
    method: str,
    url: Any,
    headers: dict[str, str],
    kwargs: dict[str, Any],
) -> Any:
    playback = transfer.playback()
    if playback.delay_s:
        await asyncio.sleep(playback.delay_s)
    if playback.failure is not None and not playback.status:
        if playback.given_up:
            await playback.outlast()
        raise _exception(module, playback, url)
    response = _response(module, session, method, url, headers, playback)
    if kwargs.get("raise_for_status") or (kwargs.get("raise_for_status") is None and session._raise_for_status is True):
        response.raise_for_status()
    return response


def _exception(module: ModuleType, playback: Playback, url: Any) -> Exception:
    assert playback.failure is not None
    name, message = playback.failure.type, playback.failure.message
    if name == "TimeoutError":
        return TimeoutError(message)
    kind = kind_of(name, module.ClientError, module)
    if kind is not None and issubclass(kind, module.ClientConnectorError):
        where = SimpleNamespace(host=url.host, port=url.port, ssl=True, is_ssl=url.scheme == "https")
        return cast("Exception", kind(where, OSError(0, message)))
    if kind is None or not issubclass(kind, (module.ClientConnectionError, module.ClientPayloadError)):
        kind = module.ClientConnectionError
    return cast("Exception", kind(message))


def _response(
    module: ModuleType, session: Any, method: str, url: Any, headers: dict[str, str], playback: Playback
) -> Any:
    from http import HTTPStatus

    from multidict import CIMultiDict, CIMultiDictProxy

    kind = module.ClientResponse
    extra: dict[str, Any] = {}
    if "stream_writer" in inspect.signature(kind.__init__).parameters:  # required since aiohttp 3.14
        extra["stream_writer"] = type("_Sent", (), {"output_size": 0})()
    response = kind(
        method,
        url,
        writer=None,
        continue100=None,
        timer=None,
        request_info=module.RequestInfo(url, method, CIMultiDictProxy(CIMultiDict(headers)), url),
        traces=[],
        loop=asyncio.get_running_loop(),
        session=session,
        **extra,
    )
    response.status = playback.status
    response.reason = HTTPStatus(playback.status).phrase if playback.status in HTTPStatus._value2member_map_ else ""
    response.version = module.HttpVersion11
    response._headers = CIMultiDictProxy(CIMultiDict(playback.headers))
    response._raw_headers = tuple((k.encode(), v.encode()) for k, v in playback.headers.items())
    response.content = _reader_class(module)()
    if any(wait for _, wait in playback.chunks):
        response._llmops_feed = asyncio.get_running_loop().create_task(_feed(module, response.content, playback, url))
    else:
        for part, _ in playback.chunks:
            response.content.feed_data(part)
        _finish(module, response.content, playback, url)
    return response


async def _feed(module: ModuleType, reader: Any, playback: Playback, url: Any) -> None:
    for part, wait in playback.chunks:
        await asyncio.sleep(wait)
        reader.feed_data(part)
    _finish(module, reader, playback, url)


def _finish(module: ModuleType, reader: Any, playback: Playback, url: Any) -> None:
    if playback.given_up:
        reader.give_up(playback)
    elif playback.failure is not None:
        reader.fail(_exception(module, playback, url))
    elif playback.beyond is not None:
        reader.end(playback.beyond)
    else:
        reader.feed_eof()
