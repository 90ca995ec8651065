"""Arms beside each other, as text."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.arms_record import ArmMetric, ArmsComparison
from pytest_llmops.reports import text


def render(found: Sequence[ArmsComparison]) -> list[str]:
    """A table for each pair of arms."""
    return [line for one in found for line in _table(one)]


def _table(one: ArmsComparison) -> list[str]:
    a, b = text.clean(one.a), text.clean(one.b)
    headings = ("metric", a, b, f"{b} - {a} (95 % interval)", "p", "")
    rows = [headings, *(_row(metric) for metric in one.metrics)]
    sizes = [max(text.display_width(row[column]) for row in rows) for column in range(len(headings))]
    lines = [f"llmops: A/B of {text.clean(one.test)}, {a} and {b}"]
    lines += [
        "  " + "  ".join(text.pad(cell, size) for cell, size in zip(row, sizes, strict=True)).rstrip() for row in rows
    ]
    for rubric, bias in one.position_bias.items():
        first = "first" if bias > 0 else "second"
        why = f": by its place alone, whichever stood {first} was taken more often" if bias else ""
        lines.append(f"  {text.clean(rubric)}: both orders asked, position bias {bias:+.2f}{why}")
    if one.unpaired:
        lines.append(f"  {one.unpaired} cases have a value in one arm only and were left out")
    return lines


def _row(row: ArmMetric) -> tuple[str, ...]:
    def amount(value: float | None) -> str:
        return "–" if value is None else text.amount(value, row.kind, row.unit)

    change = "–"
    if row.delta is not None and row.ci_low is not None and row.ci_high is not None:
        delta, low, high = (
            text.change(value, row.kind, row.relative) for value in (row.delta, row.ci_low, row.ci_high)
        )
        change = f"{delta} ({low} … {high})"
    p = "–" if row.p_adjusted is None else f"{row.p_adjusted:.2g}"
    verdict = f"{text.clean(row.winner)} is better" if row.winner else row.advice or ""
    return text.clean(row.metric), amount(row.a), amount(row.b), change, p, verdict
