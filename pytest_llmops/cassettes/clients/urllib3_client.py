"""urllib3, and requests and botocore on top of it: the connection pool's ``urlopen``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any, cast

from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.clients.played import answer, kind_of
from pytest_llmops.cassettes.transfer import Playback, Transfer
from pytest_llmops.exchange import TransportFailure

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
            return _play(module, self, transfer.playback(), method, url, preload=kwargs.get("preload_content", True))
        plain = {k: v for k, v in dict(headers or self.headers).items() if str(k).lower() != "accept-encoding"}
        token = _inside.set(True)
        try:
            transfer.hold()
            response = original(self, method, url, body, {**plain, "Accept-Encoding": "identity"}, *args, **kwargs)
        except BaseException as error:  # noted and raised again: also a cancellation, or Ctrl-C
            transfer.fail(error, reason=error.reason if isinstance(error, module.exceptions.MaxRetryError) else None)
            raise
        finally:
            _inside.reset(token)
        transfer.head(response.status, response.headers.items())
        if kwargs.get("preload_content", True):
            if kwargs.get("decode_content", True):
                transfer.decoded()
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

    def watched(step: Callable[[], Any], decode: bool | None) -> Any:
        nonlocal depth
        if depth == 0 and (response.decode_content if decode is None else decode):
            transfer.decoded()
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
        def read(amt: int | None = None, decode_content: bool | None = None, *args: Any, **kwargs: Any) -> bytes:
            data: bytes = watched(lambda: method(amt, decode_content, *args, **kwargs), decode_content)
            if depth == 0 and (amt is None or (not data and amt != 0)):
                transfer.end()
            return data

        return read

    def iterator(method: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
        def stream(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            parts = method(*args, **kwargs)
            decode = kwargs.get("decode_content", args[1] if len(args) > 1 else None)
            while (part := watched(lambda: next(parts, None), decode)) is not None:
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


def _play(module: ModuleType, pool: Any, playback: Playback, method: str, url: str, *, preload: bool) -> Any:
    failure = _exception(module, pool, playback.failure, url) if playback.failure is not None else None
    if failure is not None and not playback.status:
        raise failure
    if playback.delay_s:
        time.sleep(playback.delay_s)
    received = answer(playback, failure, method)
    return module.HTTPResponse(
        body=received,
        headers=list(received.headers.items()),
        status=playback.status,
        reason=received.reason,
        preload_content=preload,
        decode_content=False,
        request_method=method,
        request_url=url,
    )


def _exception(module: ModuleType, pool: Any, failure: TransportFailure, url: str) -> Exception:
    names, message = module.exceptions, failure.message
    outer, _, reason = failure.type.partition("/")
    if outer == "MaxRetryError":
        cause = _exception(module, pool, TransportFailure(reason, message), url)
        return cast("Exception", names.MaxRetryError(pool, url, cause))
    if outer == "ReadTimeoutError":
        return cast("Exception", names.ReadTimeoutError(pool, url, message))
    if outer in ("NewConnectionError", "NameResolutionError"):
        return cast("Exception", names.NewConnectionError(pool, message))
    kind = kind_of(outer, names.HTTPError, names) if outer in _PLAIN else None
    return cast("Exception", (kind or names.ProtocolError)(message))


_PLAIN = frozenset({"ConnectTimeoutError", "DecodeError", "SSLError", "ResponseError", "LocationValueError"})
"""Exceptions made from a message alone."""
