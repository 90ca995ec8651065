"""Overlapping live evaluations in one process (``--llm-concurrency``); see docs/concurrency.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_llmops.cassettes.watcher import watch

if TYPE_CHECKING:
    from pytest_llmops.configuration import Configuration

ONE_BY_ONE = {
    "usepdb": "--pdb",
    "trace": "--trace",
    "setupshow": "--setup-show",
    "reruns": "--reruns",
    "force_reruns": "--force-reruns",
    "force_flaky": "--force-flaky",
    "forked": "--forked",
    "testmon": "--testmon",
    "block_network": "--block-network",
}
"""Options, pytest's and other plugins', that need one test at a time."""


def configure(config: pytest.Config, settings: Configuration) -> None:
    """Register what ``--llm-concurrency`` asks for, where it asks for more than one."""
    if settings.concurrency <= 1:
        return
    from pytest_llmops.concurrency.report import Report

    obstacle = _obstacle(config, settings)
    report = Report(config, settings.concurrency, obstacle)
    if settings.concurrency_report or hasattr(config, "workerinput"):
        config.pluginmanager.register(report, "llmops-concurrency-report")
    if _distributes(config):
        # A window needs to see what comes; under `load` a worker is told of two items at the end of the run.
        if config.option.dist == "load":
            config.option.dist = "worksteal"
    elif obstacle is None:
        from pytest_llmops.concurrency.window import Window

        window = Window(config, settings, report)
        config.pluginmanager.register(window, "llmops-window")
        watch(config, window.slots)


def support(config: pytest.Config, settings: Configuration) -> None:
    """Register what marked items need whether they overlap or not: their event loop, and their timeout."""
    from pytest_llmops.concurrency.loop import EventLoop

    config.pluginmanager.register(EventLoop(), "llmops-loop")
    if settings.timeout is not None:
        from pytest_llmops.concurrency.timeout import Timeout

        config.pluginmanager.register(Timeout(config, settings.timeout), "llmops-timeout")


def _distributes(config: pytest.Config) -> bool:
    return getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput")


def _ini(config: pytest.Config, name: str) -> object:
    """The value of another plugin's line in the ini file; None where that plugin is not there."""
    try:
        return config.getini(name)
    except (KeyError, ValueError):
        return None


def _obstacle(config: pytest.Config, settings: Configuration) -> str | None:
    """Why nothing overlaps in this run."""
    if settings.record == "none":
        return "record mode none: a replay has nothing to wait for"
    for name, flag in ONE_BY_ONE.items():
        if getattr(config.option, name, None):
            return f"{flag} was given"
    if _ini(config, "reruns"):
        return "reruns is set"
    if config.getini("enable_assertion_pass_hook"):
        return "enable_assertion_pass_hook is set"
    try:
        from pytest_llmops.concurrency import compat

        problem = compat.problem()
    except ImportError as error:
        problem = str(error)
    if problem is None:
        return None
    if not hasattr(config, "workerinput"):
        text = (
            f"--llm-concurrency: pytest {pytest.__version__} is not as this version of pytest-llmops knows it "
            f"({problem}); evaluations run one by one"
        )
        config.issue_config_time_warning(pytest.PytestWarning(text), stacklevel=2)
    return f"pytest {pytest.__version__} is not supported ({problem})"
