"""Output, logs, warnings and subtests of overlapped bodies: kept with their attempt, and given out at its turn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import Context, copy_context
from functools import partial
from typing import Any

import pytest

from pytest_llmops.concurrency import compat, parsing
from pytest_llmops.concurrency.attempt import Attempt, Event, Output, Subtest, ThreadFailure, in_body, owner


class Routing:
    """Keeps what bodies emit; `replay` emits it where pytest looks for it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._handlers = compat.log_handlers(config)
        self._recorders: tuple[Any, ...] = ()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Route while the session's items run."""
        with ExitStack() as stack:
            for name, stream in compat.captured_streams(self._config):
                stack.enter_context(_routed(stream, name))
            stack.enter_context(self._logs())
            stack.enter_context(self._warnings())
            stack.enter_context(_inherited_contexts())
            stack.enter_context(parsing.one_at_a_time())
            yield

    @contextmanager
    def _logs(self) -> Iterator[None]:
        if not self._handlers:  # -p no:logging: Python's own handler of last resort writes to stderr
            yield
            return
        root, keeper = logging.getLogger(), _LogKeeper()
        level, wanted = root.level, compat.log_level(self._config)
        for handler in self._handlers:
            handler.addFilter(_outside)
        root.addHandler(keeper)
        if wanted is not None:
            root.setLevel(min(level, wanted))
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(keeper)
            for handler in self._handlers:
                handler.removeFilter(_outside)

    @contextmanager
    def _warnings(self) -> Iterator[None]:
        """``_showwarnmsg`` is the one step that recorders such as `warnings.catch_warnings` do not replace."""
        original = warnings._showwarnmsg  # type: ignore[attr-defined]
        self.protocol_begins()

        def show(message: warnings.WarningMessage) -> None:
            attempt = owner.get()
            if attempt is None or warnings._showwarnmsg_impl not in self._recorders:  # type: ignore[attr-defined]
                original(message)  # as ever; or a block inside of the test records for itself
            elif not any(_same(message, known) for known in attempt.warnings):
                attempt.warnings.append(message)

        with warnings.catch_warnings():
            warnings._showwarnmsg = show  # type: ignore[attr-defined]
            try:
                yield
            finally:
                warnings._showwarnmsg = original  # type: ignore[attr-defined]

    def protocol_begins(self) -> None:
        """Pytest records warnings for the item whose turn it is: its recorder is not one of a test's own."""
        between = self._recorders[:1]
        self._recorders = (*between, warnings._showwarnmsg_impl)  # type: ignore[attr-defined]

    def replay(self, attempt: Attempt) -> None:
        """Emit what the attempt's body did, and end as it ended."""
        __tracebackhide__ = True
        attempt.replayed = True
        self._emit(attempt, attempt.events)
        if attempt.error is not None:
            raise attempt.error.with_traceback(attempt.traceback)

    def _emit(self, attempt: Attempt, events: list[Event]) -> None:
        __tracebackhide__ = True
        for event in events:
            if isinstance(event, Output):
                getattr(sys, event.stream).write(event.text)
            elif isinstance(event, logging.LogRecord):
                for handler in self._handlers:
                    if event.levelno >= handler.level:
                        handler.handle(event)
            elif isinstance(event, ThreadFailure):
                threading.excepthook(event.arguments)  # pytest's, at the item's own turn
            else:
                with attempt.subtests.test(event.message, **event.values):
                    self._emit(attempt, event.events)
                    if event.error is not None:
                        raise event.error


@contextmanager
def _routed(stream: Any, name: str) -> Iterator[None]:
    """Shadow the stream's ``write``: the object itself may be held by anyone."""
    original = stream.write

    def write(text: str) -> Any:
        attempt = in_body.get()
        if attempt is None:
            return original(text)
        attempt.sink.append(Output(name, text))
        return len(text)

    stream.write = write
    try:
        yield
    finally:
        with contextlib.suppress(AttributeError):  # a stream may be in here twice
            del stream.write


class _LogKeeper(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        attempt = in_body.get()
        if attempt is not None:
            attempt.sink.append(record)


def _outside(_record: logging.LogRecord) -> bool:
    return in_body.get() is None


def _same(a: warnings.WarningMessage, b: warnings.WarningMessage) -> bool:
    return (a.lineno, a.filename, a.category, str(a.message)) == (b.lineno, b.filename, b.category, str(b.message))


def _run(attempt: Attempt, context: Context, thread: threading.Thread, run: Callable[[], None]) -> None:
    """A body's thread; pytest charges what it raises to the item whose turn it is, so it is told at its own item's."""
    try:
        context.run(run)
    except Exception as error:  # whatever the test's own thread raises is its test's
        if attempt.replayed:
            raise
        attempt.sink.append(ThreadFailure(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread))))


@contextmanager
def _inherited_contexts() -> Iterator[None]:
    """Let threads that a body starts belong to its test: their calls, output and logs."""
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def start_inheriting(thread: threading.Thread) -> None:
        if (attempt := in_body.get()) is not None:
            thread.run = partial(_run, attempt, copy_context(), thread, thread.run)  # type: ignore[method-assign]
        start(thread)

    def submit_inheriting(pool: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if in_body.get() is None:
            return submit(pool, fn, *args, **kwargs)
        return submit(pool, copy_context().run, fn, *args, **kwargs)

    threading.Thread.start = start_inheriting  # type: ignore[method-assign,assignment]
    ThreadPoolExecutor.submit = submit_inheriting  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]


class KeptSubtests:
    """Stands for the ``subtests`` fixture while a body runs: its blocks are reported at the item's turn."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def __repr__(self) -> str:
        return repr(self._attempt.subtests)

    @contextmanager
    def test(self, msg: str | None = None, **kwargs: Any) -> Iterator[None]:
        """As the fixture's own."""
        attempt, block = self._attempt, Subtest(msg, kwargs)
        outer, attempt.sink = attempt.sink, block.events
        try:
            yield
        except (KeyboardInterrupt, asyncio.CancelledError, pytest.exit.Exception) as error:
            block.error = error
            raise
        except BaseException as error:  # pytest's outcomes derive from it; the block alone ends with them
            block.error = error
        finally:
            attempt.sink = outer
            outer.append(block)
