"""Which LLM tests and cases a project has, asked of pytest itself."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_llmops.errors import SettingsError
from pytest_llmops.naming import case_key
from pytest_llmops.options import MARKER


@dataclass
class Collected:
    """The marked tests that pytest found.

    Args:
        cases: their keys: node ids without trial.
        root: what node ids are relative to.
    """

    cases: set[str] = field(default_factory=set)
    root: Path = field(default_factory=Path)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take note of every marked item."""
        self.root = session.config.rootpath
        self.cases = {case_key(item) for item in session.items if item.get_closest_marker(MARKER)}


def collect(paths: Sequence[Path]) -> Collected:
    """Collect the tests at `paths` without running them.

    Raises:
        SettingsError: pytest could not collect them all, so that nothing can be said about what is missing.
    """
    found = Collected()
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main(
            ["--collect-only", "-q", "-p", "no:cacheprovider", "-W", "ignore", *(str(path) for path in paths)],
            plugins=[found],
        )
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SettingsError(f"pytest could not collect the tests, so nothing is removed:\n{output.getvalue().strip()}")
    return found
