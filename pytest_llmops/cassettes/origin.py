"""Where what runs here comes from: which test's context it is in, and which test started its thread."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmops.cassettes.tape import Tape

current: ContextVar[Tape | None] = ContextVar("pytest_llmops_tape", default=None)
"""The tape of the test whose context this is."""


class _Started(threading.local):
    """Which test this thread was started by, or the work of a pool that it is doing."""

    tape: Tape | None = None
    pooled: bool = False


started = _Started()


def in_background(tape: Tape) -> bool:
    """Whether this is a thread that `tape`'s test has not started, or has left behind.

    Such a thread is in nobody's context: a library's that sends its statistics now and then, a server's of a fixture.
    """
    if threading.current_thread() is threading.main_thread() or started.pooled or current.get() is not None:
        return False
    return tape.closed or started.tape is not tape
