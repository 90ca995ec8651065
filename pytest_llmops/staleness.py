"""Recordings that are too old (``--llm-stale-after``): models change behind their names."""

from __future__ import annotations

import pytest

from pytest_llmops import clock
from pytest_llmops.cassettes import transfer
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.options import Age


class StaleRecordingWarning(pytest.PytestWarning):
    """A test or fixture replays recordings older than ``--llm-stale-after``."""


def check_age(node: pytest.Item | pytest.Collector, tape: Tape, limit: Age | None) -> None:
    """Warn of what a tape has replayed, or fail, where it is older than the limit.

    Args:
        node: the warning is its.
        tape: of a test or fixture.
        limit: None where any age will do.

    Raises:
        pytest.fail.Exception: the limit says so.
    """
    oldest = transfer.oldest(tape.transfers)
    if limit is None or oldest is None:
        return
    days = (clock.now() - oldest).total_seconds() / 86_400
    if days <= limit.days:
        return
    message = (
        f"{tape.name}: recorded {days:.0f} days ago ({oldest:%Y-%m-%d}), more than {limit.days:g}\n"
        f"  record it again: {tape.command.replace('refresh', 'all')}"
    )
    if limit.fail:
        pytest.fail(f"stale recording: {message}", pytrace=False)
    node.warn(StaleRecordingWarning(message))
