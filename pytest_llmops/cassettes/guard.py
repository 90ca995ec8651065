"""On replay nothing leaves the machine, HTTP or not: sockets, name look-ups and gRPC channels of a test are refused.

What the HTTP clients send is answered by the tape before it comes to a socket; what comes here speaks something else,
or is a client nobody intercepts. Threads know their test, so that they call nobody when it has ended, either.
"""

from __future__ import annotations

import errno
import http.client
import ipaddress
import socket
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.origin import in_background
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.cassettes.tape_options import LOOPBACK, host_matches
from pytest_llmops.providers import detect

_resolved: set[str] = set()
"""Addresses that look-ups of allowed names gave."""


_LOOKUPS = ("gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getfqdn", "getnameinfo")


def patches() -> list[tuple[Any, str, Any]]:
    """What replaces connecting and looking up names."""
    return [
        (socket.socket, "connect", _connect("connect", socket.socket.connect)),
        (socket.socket, "connect_ex", _connect("connect_ex", socket.socket.connect_ex)),
        (socket.socket, "sendto", _send("sendto", socket.socket.sendto)),
        (socket.socket, "sendmsg", _send("sendmsg", socket.socket.sendmsg)),
        (socket, "getaddrinfo", _getaddrinfo(socket.getaddrinfo)),
        *((socket, name, _lookup(getattr(socket, name))) for name in _LOOKUPS),
        (http.client.HTTPConnection, "putrequest", _putrequest(http.client.HTTPConnection.putrequest)),
        (threading.Thread, "start", _start(threading.Thread.start)),
    ]


def pool_patches(module: ModuleType) -> list[tuple[Any, str, Any]]:
    """What replaces the handing of work to a pool: its threads do many tests' work."""
    return [(module.ThreadPoolExecutor, "submit", _submit(module.ThreadPoolExecutor.submit))]


def grpc_patches(module: ModuleType) -> list[tuple[Any, str, Any]]:
    """What replaces the making of channels: gRPC's sockets are not Python's."""
    found: list[tuple[Any, str, Any]] = []
    for owner in (module, getattr(module, "aio", None)):
        for name in ("insecure_channel", "secure_channel"):
            if hasattr(owner, name):
                found.append((owner, name, _channel(getattr(owner, name))))
    return found


def _tape() -> Tape | None:
    tape = scope.current()
    return tape if tape is not None and tape.mode == "none" else None


def _refuse_unless_allowed(tape: Tape, host: str, what: str, port: int | None = None) -> None:
    if host in _resolved or host_matches(host, tape.options.allowed_hosts, port):
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    why = f"{what} to {host}: nothing leaves the machine on replay, and only HTTP can be recorded"
    if in_background(tape):
        raise ConnectionRefusedError(errno.ECONNREFUSED, why)
    raise tape.missed(f"{why}\n  let it through: llm_allowed_hosts = {host}")


_handing_over: ContextVar[bool] = ContextVar("pytest_llmops_handing_over", default=False)


def _start(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    def start(self: threading.Thread) -> None:
        tape = None if _handing_over.get() else scope.starter()
        if tape is None:
            return original(self)
        run = scope.belonging(tape, self.run)

        def whole() -> None:
            try:
                run()
            finally:
                scope.ended(self)

        self.run = whole  # type: ignore[method-assign]
        scope.outlives(self)
        try:
            return original(self)
        except RuntimeError:
            scope.ended(self)
            raise

    return start


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        tape = scope.starter()
        token = _handing_over.set(True)  # the pool's threads are started here, and are nobody's
        try:
            future = original(self, scope.belonging(tape, fn, pooled=True), *args, **kwargs)
        finally:
            _handing_over.reset(token)
        if tape is not None:
            scope.outlives(future)
            future.add_done_callback(scope.ended)
        return future

    return submit


def _connect(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            tape = _tape()
            if tape is not None:
                _refuse_unless_allowed(tape, str(address[0]), f"a connection (port {address[1]})", address[1])
        return original(self, address)

    connect.__name__ = name
    return connect


def _send(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Datagrams name their address in the call: last in ``sendto``, fourth in ``sendmsg``."""

    def send(self: socket.socket, *args: Any) -> Any:
        address = args[-1] if name == "sendto" else (args[3] if len(args) > 3 else None)
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            tape = _tape()
            if tape is not None:
                _refuse_unless_allowed(tape, str(address[0]), f"a datagram (port {address[1]})", address[1])
        return original(self, *args)

    send.__name__ = name
    return send


def _lookup(original: Callable[..., Any]) -> Callable[..., Any]:
    def lookup(*args: Any, **kwargs: Any) -> Any:
        tape = _tape()
        if tape is not None:  # getnameinfo has an address and its port; without a name it is this machine's own
            host = next(iter((*args, *kwargs.values())), "")
            name = str(host[0] if isinstance(host, tuple) else host)
            if name not in ("", socket.gethostname()):
                _refuse_unless_allowed(tape, name, "a name look-up")
        return original(*args, **kwargs)

    return lookup


def _putrequest(original: Callable[..., Any]) -> Callable[..., Any]:
    """A model called by bare ``http.client``, which nobody intercepts: refused, on this machine as anywhere."""

    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        tape = _tape()
        if tape is not None:
            whole = url if "://" in url else f"http://{self.host}:{self.port}{url}"
            if detect(method, whole, hosts=tape.options.hosts) is not None:
                raise tape.missed(
                    f"{method} {whole}: http.client's calls are not recorded, and no model is called on replay\n"
                    "  use urllib.request, requests, httpx or aiohttp"
                )
        return original(self, method, url, *args, **kwargs)

    return putrequest


def _getaddrinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        tape = _tape()
        if tape is None or host is None:
            return original(host, port, *args, **kwargs)
        name = host.decode() if isinstance(host, bytes) else str(host)
        _refuse_unless_allowed(tape, name, "a connection")
        found = original(host, port, *args, **kwargs)
        if not host_matches(name, LOOPBACK):
            _resolved.update(str(entry[4][0]) for entry in found)
        return found

    return getaddrinfo


def _channel(original: Callable[..., Any]) -> Callable[..., Any]:
    def channel(target: str, *args: Any, **kwargs: Any) -> Any:
        tape = _tape()
        if tape is not None and not target.startswith(("unix:", "unix-abstract:")):
            host = target.rpartition("/")[2].rpartition(":")[0].strip("[]") or target
            _refuse_unless_allowed(tape, host, "a gRPC channel")
        return original(target, *args, **kwargs)

    return channel
