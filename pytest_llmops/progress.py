"""Progress of long live runs on a terminal: a few words after pytest's own dots, gone before pytest writes again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops import carrying
from pytest_llmops.cassettes.watcher import watch
from pytest_llmops.flying import Counts
from pytest_llmops.options import MARKER
from pytest_llmops.reports import progress

if TYPE_CHECKING:
    from pytest_llmops.cassettes.transfer import Transfer

PATIENCE_S = 2.0
"""Shorter runs show nothing."""
INTERVAL_S = 0.5
ROOM = 9
"""Columns left to pytest's percentage."""


def configure(config: pytest.Config) -> None:
    """Show progress where somebody watches: on a terminal, and with captured output."""
    if config.getoption("capture", "no") != "no" and os.environ.get("TERM", "dumb") != "dumb":
        config.pluginmanager.register(_Start(), "llmops-progress-start")


class _Start:
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Once the terminal's reporter is there."""
        config = session.config
        if not config.pluginmanager.hasplugin("terminalreporter"):
            return
        writer = config.get_terminal_writer()
        file = getattr(writer, "_file", None)  # what tests print is captured by its number; this keeps the terminal's
        if writer.hasmarkup and file is not None and file.isatty():
            shown = Progress(config, os.dup(file.fileno()))
            watch(config, shown)
            config.pluginmanager.register(shown, "llmops-progress")
            if getattr(config.option, "dist", "no") != "no":
                shown.workers = Counts()
                config.pluginmanager.register(shown.workers, "llmops-flying")


class Progress:
    """The plugin; its thread writes, and is kept quiet while pytest does."""

    def __init__(self, config: pytest.Config, terminal: int) -> None:
        self.workers: Counts | None = None
        """Of xdist, whose calls are made elsewhere."""
        self._writer = config.get_terminal_writer()
        self._terminal = terminal
        self._standing = progress.Standing()
        self._began: float | None = None
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._dirty = False
        self._thread = threading.Thread(target=self._tick, name="llmops-progress", daemon=True)

    # -- what is counted --------------------------------------------------------------------------------------------

    def begins(self, transfer: Transfer) -> float:
        """A live call of this process goes out."""
        if transfer.request.route is not None:
            with self._lock:
                self._standing.flying += 1
        return 0.0

    def resumes(self, transfer: Transfer) -> float:
        """One that was held back was counted as it began."""
        return 0.0

    def completed(self, transfer: Transfer) -> None:
        """And is answered."""
        if transfer.request.route is not None:
            with self._lock:
                self._standing.flying = max(0, self._standing.flying - 1)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """How many evaluations there are."""
        self._standing.total = sum(item.get_closest_marker(MARKER) is not None for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Under xdist only the number of all tests is known."""
        self._standing.total = len(ids)

    def _count(self, report: pytest.TestReport) -> None:
        record = carrying.taken(report)
        if record is None:
            if report.when == "teardown" and hasattr(report, "node"):  # xdist's count is of all tests
                self._standing.tests += 1
            return
        self._standing.tests += 1
        for call in record.calls:
            if not call.replayed:
                self._standing.calls += 1
                self._standing.cost_usd += call.cost_usd or 0.0
                self._standing.unpriced += call.cost_usd is None

    # -- when pytest writes -----------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, Any, Any]:
        """From the first test to the last."""
        self._thread.start()
        try:
            return (yield)
        finally:
            self._ended.set()
            self._thread.join()
            self._erase()
            os.close(self._terminal)
            if self.workers is not None:
                self.workers.close()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, Any, Any]:
        """A name, with -v."""
        with self._lock:
            self._began = self._began or time.monotonic()
            self._erase()
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, Any, Any]:
        """A letter."""
        with self._lock:
            self._erase()
            self._count(report)
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Generator[None, Any, Any]:
        """The percentage."""
        with self._lock:
            self._erase()
            return (yield)

    # -- what is shown ----------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            with self._lock:
                self._show()

    def _show(self) -> None:
        now = self._standing
        if self.workers is not None:
            now.flying = self.workers.total()
        if self._began is None or not (now.calls or now.flying):
            return
        now.seconds = time.monotonic() - self._began
        if now.seconds < PATIENCE_S:
            return
        said = progress.line(now, self._width() - self._writer.width_of_current_line - ROOM)
        if said:  # saved cursor, dim text, the rest of the line cleared, cursor back
            self._write(f"\x1b7  \x1b[2m{said}\x1b[0m\x1b[K\x1b8")
            self._dirty = True

    def _width(self) -> int:
        """The terminal's own width: while a test runs, pytest asks the file that captures its output, in vain."""
        try:
            return os.get_terminal_size(self._terminal).columns or self._writer.fullwidth
        except OSError:
            return self._writer.fullwidth

    def _erase(self) -> None:
        if self._dirty:
            self._write("\x1b[K")
            self._dirty = False

    def _write(self, text: str) -> None:
        try:
            os.write(self._terminal, text.encode())
        except OSError:  # the terminal is gone
            self._ended.set()
