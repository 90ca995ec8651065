"""Async tests and fixtures that no other plugin runs: on one event loop in a thread of its own.

One loop for the session, so that a client made in a fixture of any scope serves every test, and overlapped tests are
tasks beside each other.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from pytest_llmops.concurrency.attempt import in_body
from pytest_llmops.options import MARKER

_OTHERS = ("asyncio", "anyio", "trio")
"""Markers of plugins that run async tests."""


def runs_here(item: pytest.Item) -> bool:
    """Whether an item, if it is async, is run by no other plugin."""
    return (
        type(item) is pytest.Function
        and item.get_closest_marker(MARKER) is not None
        and not any(item.get_closest_marker(name) for name in _OTHERS)
        and "anyio_backend" not in item.fixturenames
    )


class EventLoop:
    """The plugin with the loop; the thread is started by the first coroutine."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Run an async fixture of a test that runs here; pytest-asyncio has replaced its own by sync ones by now."""
        function: Any = fixturedef.func
        if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
            return (yield)
        from pytest_llmops.concurrency import compat

        if not runs_here(compat.request_item(request)):
            return (yield)
        bound = compat.resolve_fixture_function(fixturedef, request)
        fixturedef.func = functools.wraps(function)(self._synchronous(bound, request))  # type: ignore[misc]
        del fixturedef.func.__wrapped__  # or it still counts as async
        try:
            return (yield)
        finally:
            fixturedef.func = function  # type: ignore[misc]

    def _synchronous(self, function: Callable[..., Any], request: pytest.FixtureRequest) -> Callable[..., Any]:
        def value(**kwargs: Any) -> Any:
            if not inspect.isasyncgenfunction(function):
                return self.run(function(**kwargs))
            generator = function(**kwargs)

            def finish() -> None:
                if self.run(_advanced(generator)) is not _END:
                    raise ValueError(f"the async fixture {request.fixturename} yields more than once")

            first = self.run(_advanced(generator))
            request.addfinalizer(finish)
            if first is _END:
                raise ValueError(f"the async fixture {request.fixturename} does not yield a value")
            return first

        return value

    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Run an async test."""
        if not runs_here(pyfuncitem) or not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        names = inspect.signature(pyfuncitem.obj).parameters
        self.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names if name in pyfuncitem.funcargs}))
        return True

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end, from any thread but the loop's own.

        Raises:
            RuntimeError: called from the loop's own thread, by a test that asks for an async fixture as it runs.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("an async fixture cannot be asked for inside of an async test: name it as an argument")
        pending = asyncio.run_coroutine_threadsafe(_contained(coroutine), self._started())
        attempt = in_body.get()
        if attempt is not None:
            attempt.pending = pending
        try:
            error, value = pending.result()
        except BaseException:  # Ctrl-C or a timeout, here and not in the coroutine
            pending.cancel()
            raise
        if error is not None:
            raise error
        return value

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="llmops-loop", daemon=True)
            self._thread.start()
        return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    def pytest_unconfigure(self) -> None:
        """End the loop with what is left on it."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        ended = asyncio.run_coroutine_threadsafe(_end(), loop)
        ended.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
        thread.join(timeout=5)
        if not thread.is_alive():
            loop.close()


_END = object()


async def _advanced(generator: Any) -> Any:
    try:
        return await generator.__anext__()
    except StopAsyncIteration:
        return _END


async def _contained(coroutine: Coroutine[Any, Any, Any]) -> tuple[BaseException | None, Any]:
    """A coroutine's exception as a value: SystemExit would end the loop, CancelledError loses its traceback."""
    try:
        return None, await coroutine
    except BaseException as error:  # handed over to be raised in the main thread, at the item's own turn
        return error, None


async def _end() -> None:
    loop = asyncio.get_running_loop()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=2) if tasks else None
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
