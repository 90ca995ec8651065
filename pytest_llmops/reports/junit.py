"""``llmops.*`` properties of JUnit's test cases: evaluations, and the gate's verdicts."""

from __future__ import annotations

from pytest_llmops.records import MetricComparison, TestRecord

DIGITS = "{:.6g}"


def properties(test: TestRecord) -> list[tuple[str, str]]:
    """(name, value) pairs: the case and trial, what was measured, the models asked, and the recording used."""
    found = [("llmops.case", test.case), ("llmops.trial", str(test.trial))]
    for name, measured in test.measurements.items():
        value = DIGITS.format(measured.value) if measured.value is not None else measured.status
        found.append((f"llmops.metric.{name}", value))
        if measured.reason and measured.source == "judge":
            found.append((f"llmops.reason.{name}", measured.reason))
    if test.calls:
        costs = [call.cost_usd for call in test.calls]
        known = [cost for cost in costs if cost is not None]
        judged = sum(call.role == "judge" for call in test.calls)
        found.append(("llmops.calls", str(len(test.calls))))
        found.append(("llmops.judge_calls", str(judged)))
        if len(known) == len(costs):  # a part of the sum would read like the whole
            found.append(("llmops.total_cost_usd", DIGITS.format(sum(known))))
        found.append(("llmops.models", ", ".join(sorted({call.model for call in test.calls if call.model}))))
    if test.cassette.file:
        found.append(("llmops.cassette", test.cassette.file))
    return found


def verdict(row: MetricComparison) -> list[tuple[str, object]]:
    """The same of a metric's verdict: its numbers, those that there are."""
    found: list[tuple[str, object]] = [("llmops.verdict", row.verdict), ("llmops.cases", str(row.cases))]
    p = row.p if row.p_adjusted is None else row.p_adjusted
    for name, value in (("baseline", row.baseline), ("current", row.current), ("delta", row.delta), ("p", p)):
        if value is not None:
            found.append((f"llmops.{name}", DIGITS.format(value)))
    if row.accepted:
        found.append(("llmops.accepted", row.accepted))
    return found
