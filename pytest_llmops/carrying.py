"""How a test's record reaches the end of the run: as it is within a process, as JSON from an xdist worker."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import pytest

if TYPE_CHECKING:  # every run comes through here, most have no record
    from pytest_llmops.records import TestRecord

_records: WeakKeyDictionary[pytest.TestReport, TestRecord] = WeakKeyDictionary()
_ATTRIBUTE = "llmops"  # xdist sends a report's attributes; anything but JSON's types would break it


def put(report: pytest.TestReport, record: TestRecord, *, remote: bool) -> None:
    """Put a record on a report, without anything that looks like a secret.

    Args:
        report: the item's last.
        record: what is kept of its attempt.
        remote: whether another process reads it.
    """
    from pytest_llmops.cassettes.redaction import mask
    from pytest_llmops.records import TestRecord, to_json

    text = None
    if record.cassette.live:  # what was replayed was looked through when it was written
        text = to_json(record, exclude_defaults=True)
        clean = mask(text)
        if clean != text:
            text, record = clean, TestRecord.model_validate_json(clean)
    if remote:
        vars(report)[_ATTRIBUTE] = text or to_json(record, exclude_defaults=True)
    else:
        _records[report] = record


def taken(report: pytest.TestReport) -> TestRecord | None:
    """The record that a report carries; None where it is not the last one of a marked item."""
    if not isinstance(report, Hashable):  # pytest's SubtestReport: never an item's last
        return None
    record = _records.get(report)
    if record is None and (text := getattr(report, _ATTRIBUTE, None)) is not None:
        from pytest_llmops.records import TestRecord

        record = _records[report] = TestRecord.model_validate_json(text)
    return record


def forget() -> None:
    """Let go of all records: the run has ended."""
    _records.clear()


class Answers:
    """The plugin that gathers what the arms of ``llm_ab`` answered, in the reporting process; `pairs` has it judged."""

    def __init__(self) -> None:
        self.given: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the last attempt's, and from everybody else: reports may be written to files."""
        given = vars(report).pop("llmops_pair", None)
        if given is not None:
            self.given[report.nodeid] = given
