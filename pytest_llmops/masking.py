"""Personal data is masked in the records of tests that are about safety, and so in every report. docs/safety.md."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pytest_llmops.records import TestRecord
from pytest_llmops.safety_record import JUDGED


def masked(test: TestRecord, *, looked: bool = False) -> TestRecord:
    """The record as reports may show it: ``[EMAIL]`` for an address, where a guardrail or a safety judge looked.

    Args:
        test: changed in place.
        looked: a text was scanned that nothing in the record tells of.
    """
    if not looked and not _concerned(test):
        return test
    test.input, test.output, test.error = _mask(test.input), _mask(test.output), _mask(test.error)
    for measured in test.measurements.values():
        measured.reason = _mask(measured.reason)
    for fired in test.guardrails:
        fired.reason = _mask(fired.reason)
    for call in test.calls:
        call.text, call.error, call.request = _mask(call.text), _mask(call.error), _mask(call.request)
        for tool in call.tool_calls:
            tool.arguments = _mask(tool.arguments)
    return test


def _concerned(test: TestRecord) -> bool:
    return bool(test.guardrails) or any(
        measured.source == "guardrail" or name.startswith(JUDGED) for name, measured in test.measurements.items()
    )


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return _masked(value)
    if isinstance(value, dict):
        return {key: _mask(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask(item) for item in value]
    return value


@lru_cache(maxsize=512)  # prompts recur from test to test, and a question from the record to its request
def _masked(text: str) -> str:
    from pytest_llmops.checks.guardrails import pii

    return pii.mask(text)
