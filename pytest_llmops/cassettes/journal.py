"""Completed exchanges of a running recording, so that a killed run keeps what it paid for."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import IO

from pytest_llmops.cassettes.shape import fault
from pytest_llmops.cassettes.storage import Interaction

FOLDER = ".journal"


def _try_lock(file: IO[str]) -> bool:
    """Take the file's lock; False where a living recording holds it. The system frees it when its process ends."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Journal:
    """The journal of one cassette being recorded by this process; a file from the first exchange to `discard`."""

    def __init__(self, cassette: Path) -> None:
        self._cassette = cassette
        self._file: IO[str] | None = None
        self.broken = False

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
        try:
            with path.open("r+", encoding="utf-8", errors="replace") as file:
                if not _try_lock(file):
                    return
                for line in file:
                    with contextlib.suppress(ValueError, RecursionError):  # a killed process may leave a line cut
                        entry = json.loads(line)
                        if fault(entry) is None:
                            self.interactions.append(entry)
        except OSError:  # taken up by another process meanwhile
            return
        self._paths.append(path)

    def discard(self) -> None:
        """They are in the cassette now."""
        for path in self._paths:
            _remove(path)
