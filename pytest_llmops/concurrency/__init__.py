"""Overlapping live evaluations in one process (``--llm-concurrency``); see docs/concurrency.md."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_llmops.configuration import Configuration


def configure(config: pytest.Config, settings: Configuration) -> None:
    """Register what the settings ask for, in the process that runs items."""
    from pytest_llmops.concurrency.loop import EventLoop

    config.pluginmanager.register(EventLoop(), "llmops-loop")
    if settings.concurrency > 1:
        why = _obstacle(config, settings)
        if why is None:
            from pytest_llmops.concurrency.window import Window

            window = Window(config, settings.concurrency, settings.timeout)
            config.pluginmanager.register(window, "llmops-window")


def _obstacle(config: pytest.Config, settings: Configuration) -> str | None:
    """Why nothing overlaps in this run."""
    option = config.option
    if settings.record == "none":
        return "record mode none: a replay has nothing to wait for"
    for name, flag in (("usepdb", "--pdb"), ("trace", "--trace"), ("setupshow", "--setup-show")):
        if getattr(option, name, False):
            return flag
    if getattr(option, "reruns", None):
        return "--reruns"
    try:
        from pytest_llmops.concurrency import compat

        problem = compat.problem()
    except ImportError as error:
        problem = str(error)
    if problem is None:
        return None
    warnings.warn(
        pytest.PytestWarning(
            f"--llm-concurrency: pytest {pytest.__version__} is not as this version of pytest-llmops knows it "
            f"({problem}); evaluations run one by one"
        ),
        stacklevel=1,
    )
    return f"pytest {pytest.__version__} is not supported ({problem})"
