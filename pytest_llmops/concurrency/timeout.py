"""``--llm-timeout`` for an evaluation that runs on its own; `window` keeps it for those that overlap."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops import clock
from pytest_llmops.options import MARKER

if TYPE_CHECKING:
    from pytest_llmops.session import ItemSession


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

        begun = clock.counter()

        def expired(_signal: int, _frame: FrameType | None) -> None:
            left = begun + self._seconds + self._held_s(item) - clock.counter()
            if left <= 0:
                pytest.fail(message(self._seconds))
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))

        before = signal.signal(signal.SIGALRM, expired)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _held_s(self, item: pytest.Item) -> float:
        """What a quota or a provider held it back is not its own time."""
        session: ItemSession | None = self._config.pluginmanager.get_plugin("llmops-items")
        evaluation = session.evaluation_of(item) if session is not None else None
        return evaluation.tape.holding.seconds if evaluation is not None else 0.0

    def _applies(self, item: pytest.Item) -> bool:
        window = self._config.pluginmanager.get_plugin("llmops-window")
        other = of_pytest_timeout(self._config)
        return (
            hasattr(signal, "setitimer")
            and threading.current_thread() is threading.main_thread()
            and item.get_closest_marker(MARKER) is not None
            and item.get_closest_marker("timeout") is None  # pytest-timeout's: it has the timer
            and (other is None or other > self._seconds)
            and (window is None or window.reason(item) is not None)
        )


def of_pytest_timeout(config: pytest.Config) -> float | None:
    """The limit that pytest-timeout was given for all tests, by option, ini file or environment; None: none."""
    limit = getattr(config, "_env_timeout", None)  # where it keeps it, in all its versions
    return float(limit) if isinstance(limit, (int, float)) and limit > 0 else None


def message(seconds: float, option: str = "--llm-timeout") -> str:
    """What a test that took too long fails with."""
    return f"Timeout: the test took longer than {seconds:g} s ({option})"
