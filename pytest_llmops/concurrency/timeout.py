"""``--llm-timeout`` for an evaluation that runs on its own; `window` keeps it for those that overlap."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from types import FrameType
from typing import Any

import pytest

from pytest_llmops.options import MARKER


class Timeout:
    """The plugin that interrupts a body in the main thread, where the system has interval timers.

    Args:
        seconds: a body may take.
    """

    def __init__(self, config: pytest.Config, seconds: float) -> None:
        self._config = config
        self._seconds = seconds

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Time the body."""
        if not self._applies(item):
            return (yield)

        def expired(_signal: int, _frame: FrameType | None) -> None:
            pytest.fail(message(self._seconds))

        before = signal.signal(signal.SIGALRM, expired)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _applies(self, item: pytest.Item) -> bool:
        window = self._config.pluginmanager.get_plugin("llmops-window")
        return (
            hasattr(signal, "setitimer")
            and threading.current_thread() is threading.main_thread()
            and item.get_closest_marker(MARKER) is not None
            and item.get_closest_marker("timeout") is None  # pytest-timeout's: it has the timer
            and (window is None or window.reason(item) is not None)
        )


def message(seconds: float) -> str:
    """What a test that took too long fails with."""
    return f"Timeout: the test took longer than {seconds:g} s (--llm-timeout)"
