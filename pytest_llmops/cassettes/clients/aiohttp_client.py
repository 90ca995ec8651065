"""aiohttp, and LiteLLM's and others' httpx transports on top of it: ``ClientSession._request``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

from pytest_llmops.cassettes import scope
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
            response = await original(self, method, str_or_url, **kwargs)
        except module.ClientResponseError as error:  # raise_for_status: the provider did answer
            transfer.head(error.status, dict(error.headers or {}))
            transfer.end(complete=False)
            raise
        except BaseException as error:
            transfer.fail(error)
            raise
        transfer.head(response.status, response.headers.items())
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
    if isinstance(data, dict):
        headers.setdefault("content-type", "application/x-www-form-urlencoded")
        return urlencode(data, doseq=True).encode()
    if isinstance(data, module.FormData):
        payload = data()
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
    connected = False

    def pause_reading(self) -> None: ...

    def resume_reading(self, *_args: object, **_kwargs: object) -> None: ...


def _reader(module: ModuleType) -> Any:
    return module.StreamReader(_Connection(), 2**26, loop=asyncio.get_running_loop())


def _tee(module: ModuleType, response: Any, transfer: Transfer) -> None:
    """Pump the live body into a reader of our own, noting each chunk as it comes."""
    live, relay = response.content, _reader(module)

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
            relay.set_exception(error)
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
        if playback.failure.type == "CancelledError":
            await asyncio.Event().wait()  # its caller gave up on it, and will again
        raise _exception(module, playback)
    response = _response(module, session, method, url, headers, playback)
    if kwargs.get("raise_for_status") or (kwargs.get("raise_for_status") is None and session._raise_for_status is True):
        response.raise_for_status()
    return response


def _exception(module: ModuleType, playback: Playback) -> Exception:
    assert playback.failure is not None
    name, message = playback.failure.type, playback.failure.message
    if "Timeout" in name:
        return module.ServerTimeoutError(message)  # type: ignore[no-any-return]
    if name == "ServerDisconnectedError":
        return module.ServerDisconnectedError(message)  # type: ignore[no-any-return]
    return module.ClientConnectionError(message)  # type: ignore[no-any-return]


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
    response.content = _reader(module)
    if any(wait for _, wait in playback.chunks):
        response._llmops_feed = asyncio.get_running_loop().create_task(_feed(module, response.content, playback))
    else:
        for part, _ in playback.chunks:
            response.content.feed_data(part)
        _finish(module, response.content, playback)
    return response


async def _feed(module: ModuleType, reader: Any, playback: Playback) -> None:
    for part, wait in playback.chunks:
        await asyncio.sleep(wait)
        reader.feed_data(part)
    _finish(module, reader, playback)


def _finish(module: ModuleType, reader: Any, playback: Playback) -> None:
    if playback.failure is not None:
        reader.set_exception(module.ClientPayloadError(playback.failure.message))
    reader.feed_eof()
