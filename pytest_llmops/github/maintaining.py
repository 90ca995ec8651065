"""The commands that people paste into a shell: to record what a pull request needs, to store a baseline."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from pytest_llmops.reports.pull_request import NeedsRecording

LONGEST_NAME = 300
"""Characters of a test's name in a command; a longer one would be cut where it is shown, within its quotes."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command whose parts may be a stranger's text.

    Args:
        number: of the pull request; None where the run is about none.
        directory: the working directory, below the repository; empty where it is the repository itself.
        root: the folder, below the repository, that node ids begin in.
    """

    number: int | None = None
    directory: str = ""
    root: str = ""

    def of(self, need: NeedsRecording) -> NeedsRecording:
        """With its command.

        A quoted word can still be an option, a file of options (``@file``) or lie outside of the checkout; where it is
        no test's plain name, the command does without it.
        """
        name = self._argument(need.test)
        words = [f"gh pr checkout {self.number}"] if self.number is not None else []
        words += [f"cd {shlex.quote(self.directory)}"] if _is_below(self.directory) else []
        pytest = f"pytest {shlex.quote(name)}" if name is not None else "pytest"
        command = " && ".join([*words, f"{pytest} --llm-record=refresh"])
        return replace(need, command=command, whole=name is None)

    def storing(self, baseline_path: str) -> str:
        """Makes a run the baseline."""
        words = [f"cd {shlex.quote(self.directory)}"] if _is_below(self.directory) else []
        return " && ".join([*words, f"pytest --llm-baseline={shlex.quote(baseline_path)} --llm-update-baseline"])

    def _argument(self, test: str) -> str | None:
        """A node id as seen from the working directory; None where it is none."""
        file, *rest = test.split("::", 1)
        if not (file.endswith(".py") and _is_below(file) and test.isprintable()):
            return None
        here = posixpath.relpath(posixpath.join(self.root, file), self.directory or ".")
        name = "::".join([here, *rest])
        return name if _is_below(here) and len(name) <= LONGEST_NAME else None


def _is_below(path: str) -> bool:
    """Whether a path leads nowhere but below the folder it is seen from, and is no option of a command."""
    plain = path.isprintable() and not set(path) & {"\\", ":"} and re.match(r"[\w.]", path) is not None
    return plain and ".." not in PurePosixPath(path).parts
