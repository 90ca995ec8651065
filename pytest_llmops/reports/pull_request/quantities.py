"""Numbers in their units, neutral in Markdown."""

from __future__ import annotations

from pytest_llmops.records import MetricComparison, RunRecord
from pytest_llmops.reports import text
from pytest_llmops.reports.pull_request.neutral import clip, within

UNIT = 20


def plural(count: int, word: str) -> str:
    """A number with its noun: 1 case, 1,200 cases."""
    return f"{count:,} {word}{'s' * (count != 1)}"


def usd(value: float) -> str:
    """A cost."""
    return within(text.amount(value, "cost"))


def amount(value: float, kind: str, unit: str | None) -> str:
    """A value in its unit."""
    return within(text.amount(value, kind, clip(unit, UNIT) if unit else None))


def kind_of(row: MetricComparison, run: RunRecord) -> str:
    """A metric's kind, for its unit."""
    return run.metrics[row.metric].kind if row.metric in run.metrics else "score"


def valued(value: float | None, row: MetricComparison, run: RunRecord) -> str:
    """A value of a compared metric; empty where there is none."""
    return "" if value is None else amount(value, kind_of(row, run), row.unit)


def change(row: MetricComparison, run: RunRecord) -> str:
    """How much a metric changed, with the interval where there is one."""
    if row.delta is None:
        return ""
    kind = kind_of(row, run)
    delta = text.change(row.delta, kind, row.relative) if row.delta else "="
    if row.ci_low is None or row.ci_high is None or row.ci_low >= row.ci_high:
        return within(delta)
    low, high = (text.change(bound, kind, row.relative).rstrip("%p") for bound in (row.ci_low, row.ci_high))
    return f"{within(delta)} [{low}, {high}]"
