"""What a test's record does not keep, and so no report shows: personal data where it is about safety, or all texts."""

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


def without_text(test: TestRecord) -> TestRecord:
    """A copy in which nothing stands that a person or a model wrote: ``llm_store_text = false``.

    Numbers stay, and so does why a built-in one is unknown; a failed assertion's words may quote the answer.
    """
    kept = test.model_copy(deep=True)
    kept.input = kept.output = None
    if kept.error is not None:
        kept.error = "failed; its words are not kept (llm_store_text)"
    for call in kept.calls:
        call.text = call.request = None
        for tool in call.tool_calls:
            tool.arguments = None
    for name, measured in kept.measurements.items():
        if measured.source != "builtin" or name == "pass":
            measured.reason = None
    for guardrail in kept.guardrails:
        guardrail.reason = None
    return kept


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
