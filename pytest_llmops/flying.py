"""Calls under way in xdist's workers: each keeps its count in a file, which the terminal's process looks into."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.cassettes.watcher import watch

if TYPE_CHECKING:
    from pytest_llmops.cassettes.transfer import Transfer

WORKER_INPUT = "llmops_flying"
_BYTES = 4


def tell(config: pytest.Config, file: str) -> None:
    """In a worker: keep the count; a worker on another machine has no such folder, and tells nothing."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError:
        return
    watch(config, _Count(descriptor))


class _Count:
    """The watcher of one worker."""

    def __init__(self, descriptor: int) -> None:
        self._file = descriptor
        self._calls = 0
        self._lock = threading.Lock()

    def begins(self, transfer: Transfer) -> float:
        """A live call of this process goes out."""
        self._add(transfer, 1)
        return 0.0

    def resumes(self, transfer: Transfer) -> float:
        """One that was held back was counted as it began."""
        return 0.0

    def completed(self, transfer: Transfer) -> None:
        """And is answered."""
        self._add(transfer, -1)

    def _add(self, transfer: Transfer, calls: int) -> None:
        if transfer.request.route is None:
            return
        with self._lock:
            self._calls = max(0, self._calls + calls)
            try:
                os.lseek(self._file, 0, os.SEEK_SET)
                os.write(self._file, self._calls.to_bytes(_BYTES, "little"))
            except OSError:  # a full disk: it is only a number on a terminal
                return


class Counts:
    """The plugin of the terminal's process: hands each worker its file, and adds up what they hold."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pytest-llmops-"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Before a worker starts."""
        node.workerinput[WORKER_INPUT] = str(self._folder / node.gateway.id)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What a worker that died had under way is under way no more."""
        (self._folder / node.gateway.id).unlink(missing_ok=True)

    def total(self) -> int:
        """Calls under way in all workers."""
        found = 0
        for file in self._folder.iterdir():
            try:
                found += int.from_bytes(file.read_bytes()[:_BYTES], "little")
            except OSError:  # its worker has just ended
                continue
        return found

    def close(self) -> None:
        """Take the files away."""
        shutil.rmtree(self._folder, ignore_errors=True)
