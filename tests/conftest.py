"""Fixtures of the whole suite: a stand-in provider, and a project folder to run pytest in."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.standin import StandIn
from tests.warm_python import WarmPython, can_run

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background: what tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).parents[1]
_WARM = WarmPython()

# What would make a run inside a test depend on where the suite itself runs.
_FOREIGN = re.compile(
    r"^(CI|PYTHON[A-Z0-9]+|GITHUB_.*|GITLAB_.*|PYTEST_.*|.*_API_KEY|.*_BASE_URL|.*_proxy|COLUMNS)$", re.IGNORECASE
)


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """A provider on loopback; ``standin.url``, ``standin.script(...)``, ``standin.requests``."""
    with StandIn() as provider:
        yield provider


@dataclass(frozen=True)
class Run:
    """What a command left behind; `record` is the run record where ``--llm-json`` was given."""

    returncode: int
    out: str
    record: dict[str, Any] | None = None

    def match(self, *patterns: str) -> None:
        """Assert that lines matching the fnmatch `patterns` stand in the output in this order."""
        pytest.LineMatcher(self.out.splitlines()).fnmatch_lines(patterns)

    def no_match(self, pattern: str) -> None:
        """Assert that no line of the output matches."""
        pytest.LineMatcher(self.out.splitlines()).no_fnmatch_line(pattern)

    @property
    def outcomes(self) -> dict[str, int]:
        """pytest's closing counts, ``{"passed": 3, "failed": 1}``."""
        return pytest.RunResult.parse_summary_nouns(self.out.splitlines())


class Project:
    """A folder with a user's tests; commands run in it as a user runs them, in their own process (see `warm_python`).

    Their environment is this one's without ``CI``, keys, proxies and pytest's own variables.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, name: str, text: str) -> Path:
        """Write a file, its text dedented."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def run(self, *args: str, env: Mapping[str, str] | None = None, n: int | None = None) -> Run:
        """Run pytest, under xdist with `n` workers."""
        # The package's entry point loads the plugin; from a bare source tree it is named by hand.
        plugin = () if entry_points(group="pytest11", name="llmops") else ("-p", "pytest_llmops.plugin")
        workers = () if n is None else ("-n", str(n))
        quiet = ("-o", "asyncio_default_fixture_loop_scope=function")  # pytest-asyncio warns where it is unset
        run = self.python("-m", "pytest", *plugin, *quiet, *workers, *args, env=env)
        return Run(run.returncode, run.out, self._record(args))

    def command(self, *args: str, env: Mapping[str, str] | None = None) -> Run:
        """Run ``pytest-llmops``."""
        return self.python("-m", "pytest_llmops", *args, env=env)

    def python(self, *args: str, env: Mapping[str, str] | None = None) -> Run:
        """Run Python in the project."""
        environ = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
        environ |= {"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8", "COLUMNS": "120", **(env or {})}
        if can_run(args, environ):
            status, output = _WARM.run(args, cwd=str(self.path), env=environ, timeout=120)
            return Run(status, output.decode("utf-8").replace("\r\n", "\n"))
        done = subprocess.run(
            [sys.executable, *args],
            cwd=self.path,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def _record(self, args: tuple[str, ...]) -> dict[str, Any] | None:
        given = re.search(r"(?:^|\0)--llm-json[=\0]([^\0]+)", "\0".join(args))
        path = self.path / given[1] if given else None
        return json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else None


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty folder to write tests into and to run pytest in, always in a process of its own.

    Recording patches HTTP libraries for the whole process, so no run of the plugin may share ours.
    """
    return Project(tmp_path)
