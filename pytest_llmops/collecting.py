"""Which LLM tests and cases a project has, asked of pytest itself."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_llmops.configuration import configuration
from pytest_llmops.errors import SettingsError
from pytest_llmops.naming import case_key, cassette_folder
from pytest_llmops.options import MARKER


@dataclass(eq=False)
class Collected:
    """The marked tests that pytest found, also those that the project's options deselect.

    Args:
        paths: what was looked through.
        cases: keys of the tests: node ids without trial.
        recorded: where each has its recordings: the folder, and its name there.
        read: the modules that were collected.
        root: what node ids are relative to.
        folder: where the project's options put all cassettes, if not beside the tests.
    """

    paths: Sequence[Path] = ()
    cases: set[str] = field(default_factory=set)
    recorded: set[tuple[Path, str]] = field(default_factory=set)
    read: set[Path] = field(default_factory=set)
    root: Path = field(default_factory=Path)
    folder: Path | None = None

    def pytest_collection(self, session: pytest.Session) -> None:
        """Take note of where things are."""
        self.root = session.config.rootpath
        self.folder = configuration(session.config).cassette_dir

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Take note of a marked test. It may be deselected afterwards (``addopts = -m "not slow"``)."""
        if item.get_closest_marker(MARKER):
            key = case_key(item)
            self.cases.add(key)
            for place in {None, self.folder}:  # those beside the tests may be another set
                folder = cassette_folder(self.root, item.path, place).resolve()
                self.recorded.add((folder, key.partition("::")[2]))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take note of a module that was imported; one that skips itself has its tests all the same."""
        if report.passed and report.nodeid.endswith(".py"):
            self.read.add((self.root / report.nodeid).resolve())

    def module(self, folder: Path) -> Path | None:
        """The module whose recordings a folder holds; None where it is none of those that were looked through."""
        below = self.folder.resolve() if self.folder is not None else None
        if below is not None and folder.is_relative_to(below):
            stem = self.root / folder.relative_to(below)
        else:
            stem = folder.parent.parent / folder.name
        module = stem.with_name(f"{stem.name}.py").resolve()
        return module if any(module.is_relative_to(path.resolve()) for path in self.paths) else None

    def knows(self, module: Path) -> bool:
        """Whether all tests of a module were found: it is gone, or was collected.

        One that is ignored, or that skips itself here, has its tests all the same.
        """
        return module in self.read or not module.exists()


def collect(paths: Sequence[Path]) -> Collected:
    """Collect the tests at `paths` without running them.

    Raises:
        SettingsError: pytest could not collect them all, so that nothing can be said about what is missing.
    """
    found = Collected(paths)
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main(
            ["--collect-only", "-q", "-p", "no:cacheprovider", "-W", "ignore", *(str(path) for path in paths)],
            plugins=[found],
        )
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SettingsError(f"pytest could not collect the tests, so nothing is removed:\n{output.getvalue().strip()}")
    return found
