"""``pytest-llmops init``: what a project needs beside the package."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from pytest_llmops.cassettes.merging import ATTRIBUTES
from pytest_llmops.errors import SettingsError

# By the interpreter's own path: git runs the drivers where no virtual environment may be active.
_COMMAND = f"{shlex.quote(sys.executable)} -m pytest_llmops"
GIT = {
    "merge.llmops-cassette.name": "cassettes of pytest-llmops, merged by request",
    "merge.llmops-cassette.driver": f"{_COMMAND} cassettes merge %O %A %B",
    "diff.llmops-cassette.textconv": f"{_COMMAND} cassettes textconv",
    "diff.llmops-cassette.cachetextconv": "true",
}


def initialise(folder: Path) -> list[str]:
    """Teach a git checkout to show and merge cassettes. Does nothing twice.

    Returns:
        What was done, a line each.

    Raises:
        SettingsError: the folder is no git checkout.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        raise SettingsError(f"{folder}: is no git checkout; run it inside your project (git init)")
    done = []
    attributes = Path(top) / ".gitattributes"
    text = attributes.read_text(encoding="utf-8") if attributes.exists() else ""
    missing = [line for line in ATTRIBUTES if line not in text.splitlines()]
    if missing:
        with attributes.open("a", encoding="utf-8") as file:
            file.write(("" if not text or text.endswith("\n") else "\n") + "\n".join(missing) + "\n")
        done.append(f"added {len(missing)} lines to {attributes}: commit it")
    for key, value in GIT.items():
        if _git(folder, "config", "--local", "--get", key) != value:
            _git(folder, "config", "--local", key, value)
            done.append(f"git config {key} = {value}")
    return done or ["nothing to do: this checkout is set up"]


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise SettingsError(f"git cannot be run: {error}") from None
    return done.stdout.strip() if done.returncode == 0 else None
