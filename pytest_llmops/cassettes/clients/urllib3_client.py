"""urllib3, and requests and botocore on top of it: the connection pool's ``urlopen``."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.transfer import Playback, Transfer

_inside: ContextVar[bool] = ContextVar("pytest_llmops_urllib3", default=False)
"""urlopen calls itself for retries and redirects; only the outermost call is the caller's."""


def patches(module: ModuleType) -> list[tuple[Any, str, Any]]:
    """What replaces the pool's ``urlopen``."""
    pool = module.HTTPConnectionPool
    return [(pool, "urlopen", _urlopen(module, pool.urlopen))]


def _urlopen(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    def urlopen(
        self: Any, method: str, url: str, body: Any = None, headers: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        tape = scope.current()
        if tape is None or _inside.get():
            return original(self, method, url, body, headers, *args, **kwargs)
        if hasattr(body, "read"):
            body = body.read()
        elif body is not None and not isinstance(body, (str, bytes, bytearray)):
            body = b"".join(part.encode() if isinstance(part, str) else part for part in body)
        sent = {**_text(self.headers), **_text(headers)}
        transfer = tape.begin(
            method,
            url if "://" in url else f"{self.scheme}://{self.host}:{self.port}{url}",
            body=body.encode() if isinstance(body, str) else bytes(body or b""),
            content_type=sent.get("content-type", ""),
            user_agent=sent.get("user-agent", ""),
            capture=scope.current_capture(tape),
            key=scope.key.get(),
        )
        if transfer is None:
            return original(self, method, url, body, headers, *args, **kwargs)
        if not transfer.live:
            return _play(module, transfer.playback(), method, url, preload=kwargs.get("preload_content", True))
        plain = {k: v for k, v in dict(headers or self.headers).items() if str(k).lower() != "accept-encoding"}
        token = _inside.set(True)
        try:
            response = original(self, method, url, body, {**plain, "Accept-Encoding": "identity"}, *args, **kwargs)
        except BaseException as error:
            transfer.fail(error)
            raise
        finally:
            _inside.reset(token)
        transfer.head(response.status, response.headers.items())
        if kwargs.get("preload_content", True):
            transfer.chunk(response.data)
            transfer.end()
        else:
            _tee(module, response, transfer)
        return response

    return urlopen


def _text(headers: Any) -> dict[str, str]:
    """Header names in lower case; botocore's values are bytes."""
    return {
        str(k).lower(): v.decode("latin-1") if isinstance(v, bytes) else str(v) for k, v in dict(headers or {}).items()
    }


def _tee(module: ModuleType, response: Any, transfer: Transfer) -> None:
    """Watch what is read from a live response, by whichever of its methods; they call one another."""
    depth = 0

    def watched(step: Callable[[], Any]) -> Any:
        nonlocal depth
        depth += 1
        try:
            data = step()
        except module.exceptions.HTTPError as error:
            transfer.fail(error)
            raise
        finally:
            depth -= 1
        if depth == 0 and isinstance(data, bytes):
            transfer.chunk(data)
        return data

    def reader(method: Callable[..., bytes]) -> Callable[..., bytes]:
        def read(amt: int | None = None, *args: Any, **kwargs: Any) -> bytes:
            data: bytes = watched(lambda: method(amt, *args, **kwargs))
            if depth == 0 and (amt is None or (not data and amt != 0)):
                transfer.end()
            return data

        return read

    def iterator(method: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
        def stream(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            parts = method(*args, **kwargs)
            while (part := watched(lambda: next(parts, None))) is not None:
                yield part
            if depth == 0:
                transfer.end()

        return stream

    def closer(method: Callable[[], None]) -> Callable[[], None]:
        def close() -> None:
            method()
            if depth == 0:
                transfer.end(complete=False)

        return close

    for name in ("read", "read1"):
        if hasattr(response, name):
            setattr(response, name, reader(getattr(response, name)))
    for name in ("stream", "read_chunked"):
        setattr(response, name, iterator(getattr(response, name)))
    for name in ("close", "release_conn"):
        setattr(response, name, closer(getattr(response, name)))


class _Played(io.RawIOBase):
    """A recorded body as a file: one chunk a read, at the recorded pace."""

    def __init__(self, module: ModuleType, playback: Playback) -> None:
        self._module, self._playback = module, playback
        self._chunks = iter(playback.chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        if wanted < 0:
            return self._rest + b"".join(iter(self._next, b""))
        while len(self._rest) < wanted and (part := self._next()):
            self._rest += part
        data, self._rest = self._rest[:wanted], self._rest[wanted:]
        return data

    def _next(self) -> bytes:
        for part, wait in self._chunks:
            if wait:
                time.sleep(wait)
            return part
        failure = self._playback.failure
        if failure is not None:
            raise self._module.exceptions.ProtocolError(failure.message)
        return b""


def _play(module: ModuleType, playback: Playback, method: str, url: str, *, preload: bool) -> Any:
    failure = playback.failure
    if failure is not None and not playback.status:
        raise _exception(module, failure.type, failure.message, url)
    if playback.delay_s:
        time.sleep(playback.delay_s)
    return module.HTTPResponse(
        body=_Played(module, playback),
        headers=playback.headers,
        status=playback.status,
        preload_content=preload,
        decode_content=False,
        request_method=method,
        request_url=url,
    )


def _exception(module: ModuleType, name: str, message: str, url: str) -> Exception:
    if name in ("ConnectTimeoutError", "ReadTimeoutError"):
        kind = getattr(module.exceptions, name)
        error: Exception = kind(None, url, message) if name == "ReadTimeoutError" else kind(None, message)
        return error
    return module.exceptions.ProtocolError(message)  # type: ignore[no-any-return]
