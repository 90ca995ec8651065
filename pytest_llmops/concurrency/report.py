"""What overlapped and what did not, for ``--llm-concurrency-report``; gathered from xdist's workers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from pytest_llmops.options import MARKER

_OUTPUT = "llmops_concurrency"
_SHOWN = 5


class Report:
    """The plugin that counts, in each process, and says it in the one that reports.

    Args:
        concurrency: bodies that may run at once in each process.
        obstacle: why nothing overlaps in this run; None where something may.
    """

    def __init__(self, config: pytest.Config, concurrency: int, obstacle: str | None) -> None:
        self._config = config
        self._concurrency = concurrency
        self._obstacle = obstacle
        self._overlapped = 0
        self._peak = 0
        self._serial: dict[str, list[str]] = defaultdict(list)

    def overlapped(self) -> None:
        """An item was overlapped."""
        self._overlapped += 1

    def running(self, bodies: int) -> None:
        """So many bodies run at once."""
        self._peak = max(self._peak, bodies)

    def serial(self, item: pytest.Item, reason: str) -> None:
        """An item was left to run on its own."""
        if item.get_closest_marker(MARKER) is not None:
            self._serial[reason].append(item.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """A worker hands its counts to the reporting process."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_OUTPUT] = [self._overlapped, self._peak, dict(self._serial)]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add a worker's counts."""
        overlapped, peak, serial = getattr(node, "workeroutput", {}).get(_OUTPUT, (0, 0, {}))
        self._overlapped += overlapped
        self._peak = max(self._peak, peak)
        for reason, ids in serial.items():
            self._serial[reason] += ids

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """One line, and one for each reason."""
        terminalreporter.write_sep("-", f"evaluations overlapped (--llm-concurrency={self._concurrency})")
        for line in self.lines():
            terminalreporter.write_line(line)

    def lines(self) -> list[str]:
        """What is shown."""
        if self._obstacle is not None:
            return [f"none: {self._obstacle}"]
        alone = sum(map(len, self._serial.values()))
        found = [f"{self._overlapped} overlapped, up to {self._peak} at once in a process; {alone} ran on their own"]
        for reason, ids in sorted(self._serial.items(), key=lambda entry: -len(entry[1])):
            more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
            found.append(f"  {len(ids)} × {reason}: {', '.join(ids[:_SHOWN])}{more}")
        return found
