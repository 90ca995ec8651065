"""Completed exchanges of a running recording, so that a killed run keeps what it paid for."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import IO, Any, Protocol

from pytest_llmops.cassettes.shape import fault
from pytest_llmops.cassettes.storage import Interaction

FOLDER = ".journal"


def _try_lock(file: IO[str], *, shared: bool = False) -> bool:
    """Take the file's lock; False where a living recording holds it. The system frees it when its process ends."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class KeepsExchanges(Protocol):
    """Where a tape puts what it paid for until that is safe elsewhere."""

    @property
    def broken(self) -> bool:
        """Whether the disk takes no more."""

    @property
    def keeps(self) -> bool:
        """Whether all that was appended is on the disk."""

    def append(self, entry: Interaction) -> None:
        """Add an exchange."""

    def close(self) -> None:
        """Leave what is there for the next run."""

    def discard(self) -> None:
        """Forget what was appended."""


class Journal:
    """The journal of one cassette being recorded by this process; a file from the first exchange to `discard`."""

    def __init__(self, cassette: Path) -> None:
        self._cassette = cassette
        self._file: IO[str] | None = None
        self.broken = False
        """Whether the disk takes no more."""

    def append(self, entry: Interaction) -> None:
        """Add an exchange as one line.

        Where the folder or disk does not take it the journal is `broken`: the test goes on, and writing its cassette
        says what is wrong. An exception here would run through the application's HTTP client.
        """
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
        except OSError:
            self.broken = True
            self.close()

    @property
    def keeps(self) -> bool:
        """Whether all that was appended is on the disk."""
        return self._file is not None and not self.broken

    def _open(self) -> IO[str]:
        try:
            return self._made()
        except FileNotFoundError:  # another process removed the folder just now, its own journal being the last
            return self._made()

    def _made(self) -> IO[str]:
        folder = self._cassette.parent / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        file = (folder / f"{self._cassette.stem}.{os.getpid()}.jsonl").open("a", encoding="utf-8")
        _try_lock(file)
        return file

    def close(self) -> None:
        """Leave the journal for the next run."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what a full disk did not take is tried once more
                self._file.close()
            self._file = None

    def discard(self) -> None:
        """The cassette is written: remove the journal, and its folder when it was the last."""
        if self._file is not None:
            path = Path(self._file.name)
            self.close()
            _remove(path)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
        if os.listdir(path.parent) == [".gitignore"]:  # noqa: PTH208 (once an item, among all those under way)
            (path.parent / ".gitignore").unlink()
            path.parent.rmdir()


def _lines(path: Path, *, shared: bool) -> list[Any] | None:
    """The documents of a journal, without those that are cut; None where its process lives, or took it away."""
    found = []
    try:
        with path.open("r+", encoding="utf-8", errors="replace") as file:
            if not _try_lock(file, shared=shared):
                return None
            for line in file:
                with contextlib.suppress(ValueError, RecursionError):  # a killed process may leave a line cut
                    found.append(json.loads(line))
    except OSError:
        return None
    return found


class Leftovers:
    """What killed recordings of one cassette left behind."""

    def __init__(self, cassette: Path) -> None:
        self.interactions: list[Interaction] = []
        self._paths: list[Path] = []
        folder = cassette.parent / FOLDER
        try:
            names = os.listdir(folder)  # noqa: PTH208 (once an item, among all those under way)
        except OSError:
            return
        stem = cassette.stem
        for name in sorted(name for name in names if name.startswith(stem) and name.endswith(".jsonl")):
            if name.rsplit(".", 2)[0] == stem:
                self._take(folder / name)

    def _take(self, path: Path) -> None:
        entries = _lines(path, shared=False)
        if entries is not None:
            self.interactions += (entry for entry in entries if fault(entry) is None)
            self._paths.append(path)

    def discard(self) -> None:
        """They are in the cassette now."""
        for path in self._paths:
            _remove(path)


class RunJournal:
    """One file for all that a process's ``live`` run pays for: making a file for each of its items would cost more.

    A run keeps it to its end, and the next one, where it is to go on, finds what every test had got.

    Args:
        folder: where it lies, with those of the run's other processes.
        resumed: read what a broken-off run left there.
    """

    def __init__(self, folder: Path, *, resumed: bool) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        self.broken = False
        self._left: defaultdict[str, list[Interaction]] = defaultdict(list)
        for path in sorted(folder.glob("*.jsonl")) if resumed else ():
            for line in _lines(path, shared=True) or ():  # the run's other workers read it, too
                self._take(line)

    def _take(self, line: object) -> None:
        if not isinstance(line, dict) or not isinstance(name := line.get("tape"), str):
            return
        if (entry := line.get("exchange")) is None:
            self._left.pop(name, None)
        elif fault(entry) is None:
            self._left[name].append(entry)

    def left(self, tape: Path) -> list[Interaction]:
        """What a broken-off run had paid for under this tape's name."""
        return self._left.get(self._name(tape), [])

    def part(self, tape: Path) -> RunJournalPart:
        """A tape's share of it."""
        return RunJournalPart(self, self._name(tape))

    def _name(self, tape: Path) -> str:
        return tape.relative_to(self._folder).as_posix()

    def write(self, tape: str, exchange: Interaction | None) -> None:
        """Add a line; None takes back what the tape has so far."""
        line = json.dumps({"tape": tape, "exchange": exchange}) + "\n"
        with self._lock:
            if self.broken:
                return
            try:
                if self._file is None:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    name = (
                        f"{os.getpid()}-{time.time_ns():x}.jsonl"  # the broken-off run may have had this process's id
                    )
                    self._file = (self._folder / name).open("x", encoding="utf-8")
                    _try_lock(self._file)
                self._file.write(line)
                self._file.flush()
            except OSError:  # as in `Journal.append`
                self.broken = True

    def close(self) -> None:
        """End it; the file stays until the run has come to its end."""
        with self._lock:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._file.close()
                self._file = None


class RunJournalPart:
    """What one tape puts into the run's journal."""

    def __init__(self, journal: RunJournal, tape: str) -> None:
        self._journal, self._tape = journal, tape
        self._written = False

    @property
    def broken(self) -> bool:
        """Whether the disk does not take it any more."""
        return self._journal.broken

    @property
    def keeps(self) -> bool:
        """Whether all that was appended is on the disk."""
        return self._written and not self.broken

    def append(self, entry: Interaction) -> None:
        """Add an exchange."""
        self._written = True
        self._journal.write(self._tape, entry)

    def close(self) -> None:
        """Nothing is to be done: the journal is the run's."""

    def discard(self) -> None:
        """Take back what was appended."""
        if self._written:
            self._journal.write(self._tape, None)
