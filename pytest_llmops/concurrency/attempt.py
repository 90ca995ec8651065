"""One attempt at an overlapped item: what its body did, kept until it is reported."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Thread
from types import TracebackType
from typing import Any

import pytest


@dataclass(slots=True)
class Output:
    """Text written to ``stdout`` or ``stderr``."""

    stream: str
    text: str


@dataclass(slots=True)
class Subtest:
    """A subtest's block: its message, values, what happened in it, and the exception that ended it."""

    message: str | None
    values: Mapping[str, Any]
    events: list[Event] = field(default_factory=list)
    error: BaseException | None = None


@dataclass(slots=True)
class ThreadFailure:
    """What `threading.excepthook` was told of a thread that the body had started."""

    arguments: Any


Event = Output | logging.LogRecord | Subtest | ThreadFailure


@dataclass(slots=True, eq=False)
class Attempt:
    """An item set up ahead of its turn.

    Args:
        timeout: seconds its body may take; None: no limit.
        sink: where the body's events go now: to `events`, or to the open subtest's.
        setup: the report of its setup phase; None where that ended the run.
        started: of the body, as `time.time` and `time.perf_counter`.
        replayed: its events have been emitted; what comes later is nobody's.
        pending: its coroutine's future while it runs on the shared event loop.
    """

    item: pytest.Function
    timeout: float | None
    setup: pytest.TestReport | None = None
    events: list[Event] = field(default_factory=list)
    sink: list[Event] = field(default_factory=list)
    warnings: list[warnings.WarningMessage] = field(default_factory=list)
    error: BaseException | None = None
    traceback: TracebackType | None = None
    started: tuple[float, float] | None = None
    ended: tuple[float, float] | None = None
    thread: Thread | None = None
    pending: Future[Any] | None = None
    done: bool = False
    replayed: bool = False
    subtests: Any = None

    def __post_init__(self) -> None:
        self.sink = self.events

    @property
    def running(self) -> bool:
        """Whether its body is under way."""
        return self.started is not None and not self.done

    @property
    def failed(self) -> bool:
        """Whether its body ended as a failure: not passed, skipped or expected to fail."""
        return isinstance(self.error, (Exception, pytest.fail.Exception))


in_body: ContextVar[Attempt | None] = ContextVar("pytest_llmops_in_body", default=None)
"""The attempt whose body runs in this context."""

owner: ContextVar[Attempt | None] = ContextVar("pytest_llmops_owner", default=None)
"""The attempt whose setup or body runs in this context."""
