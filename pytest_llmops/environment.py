"""Where a run took place: Python, pytest, this plugin, and the commit of the checkout."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from pytest_llmops.records import Environment

_KNOWN = pytest.StashKey[Environment]()


def describe(config: pytest.Config) -> Environment:
    """What is known of this process and of the checkout that pytest's rootdir lies in, looked up once a run.

    Outside of a checkout, and without git, commit and ``dirty`` are None.
    """
    if _KNOWN not in config.stash:
        config.stash[_KNOWN] = _found(config.rootpath, config.invocation_params.dir)
    return config.stash[_KNOWN]


def _found(root: Path, started_in: Path) -> Environment:
    status = _git(root, "status", "--porcelain", "--untracked-files=no")
    return Environment(
        python=platform.python_version(),
        pytest=pytest.__version__,
        plugin=version("pytest-llmops"),
        platform=sys.platform,
        commit=_git(root, "rev-parse", "HEAD"),
        dirty=None if status is None else bool(status),
        rootdir=_seen_from(started_in, root),
    )


def _seen_from(folder: Path, root: Path) -> str | None:
    try:
        return os.path.relpath(root, folder).replace(os.sep, "/")
    except ValueError:  # another drive of Windows
        return None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
