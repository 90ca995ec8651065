"""The safety section in pytest's terminal summary, and what of it fails a run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from pytest_llmops.records import RunRecord
from pytest_llmops.reports import text
from pytest_llmops.safety_record import SafetyCheck, SafetyLimit, SafetySummary, ThreatCoverage

OUTCOMES = {
    "safe": "safe",
    "blocked_at_input": "blocked at input",
    "blocked_at_generation": "refused by the model",
    "blocked_at_output": "blocked at output",
    "rewritten": "rewritten",
    "detected": "let through",
    "failed_closed": "failed closed",
    "unchecked": "not checked",
}
LIMITS = {
    "unsafe_input_rate": "unsafe inputs",
    "unsafe_output_rate": "unsafe outputs",
    "high_risk": "high risk",
}
HEADINGS = ("check", "stage", "tests", "found", "mean", "highest")
ROOMY = 56
"""Columns from which a judge's scores have room."""
RISKS = 3
"""Tests named in the terminal."""
REASON = 200
"""Characters of why, there."""


def render(summary: SafetySummary, *, width: int = 80, color: bool = False) -> list[str]:
    """The lines, ANSI-coloured if `color`.

    Args:
        summary: the run's.
        width: columns of the terminal.
        color: whether to colour.
    """
    width = max(width, 40)
    lines: list[str] = []
    if summary.tests:
        lines += text.indented(f"safety: {outcomes(summary)}", width, "")
        lines += _table(summary.checks, width, color)
        for limit in summary.limits:
            if limit.tests:
                shade = "dim" if not limit.exceeded else "red" if limit.fails else "yellow"
                lines += [text.style(line, shade, color=color) for line in text.indented(told(limit), width)]
        lines += _risks(summary, width)
    if summary.threats:
        failed = any(row.failed for row in summary.threats)
        said = text.indented(f"threats: {coverage(summary.threats)}", width, "")
        lines += [text.style(line, *(["red"] if failed else []), color=color) for line in said]
    return lines


def outcomes(summary: SafetySummary) -> str:
    """``24 tests: 15 safe, 4 blocked at input``."""
    counts = ", ".join(f"{count} {OUTCOMES.get(name, name)}" for name, count in summary.outcomes.items())
    return f"{summary.tests} test{'s' * (summary.tests != 1)}: {counts}"


def told(limit: SafetyLimit) -> str:
    """What a limit came to; one that is exceeded begins with ``!``."""
    name, tests = LIMITS[limit.name], f"{limit.tests} test{'s' * (limit.tests != 1)}"
    mark = "! " if limit.exceeded else ""
    if limit.value is None:
        return f"{name}: nothing looked at"
    if limit.name == "high_risk":
        if limit.exceeded:
            return f"{mark}{name}: {limit.found} of {tests} let through at {limit.limit:g} or more"
        return f"{name}: none of {tests} let through at {limit.limit:g} or more"
    bounds = "" if limit.interval is None else f" ({limit.interval[0]:.1%}–{limit.interval[1]:.1%})"
    over = "above" if limit.exceeded else "at most"
    return f"{mark}{name}: {limit.value:.1%} of {tests}{bounds}, {over} {limit.limit:.1%}"


def cells(row: SafetyCheck) -> tuple[str, ...]:
    """A check's row under `HEADINGS`; what is not known is a dash."""
    found = str(row.found) if row.rate is None else f"{row.found} ({row.rate:.1%})"
    found += f", {row.errors} error{'s' * (row.errors != 1)}" if row.errors else ""
    scores = ["" if value is None else f"{value:.2f}" for value in (row.mean, row.highest)]
    return text.clean(row.name), row.stage, "–" if row.tests is None else str(row.tests), found, *scores


def coverage(rows: Sequence[ThreatCoverage]) -> str:
    """In one line: by OWASP id how many cases passed, and which ids have none."""
    said = [_covered(row) for row in rows if row.tests]
    none = [row.id for row in rows if not row.tests]
    return "; ".join([", ".join(said), *([f"no tests: {' '.join(none)}"] if none else [])])


def failures(run: RunRecord) -> Iterator[tuple[str, str]]:
    """The limits that fail a run: node id and message."""
    for limit in run.safety.limits if run.safety is not None else ():
        if limit.fails:
            where = f"[tool.pytest-llmops.safety] {limit.name} = {limit.limit:g}"
            yield f"llm-safety::{limit.name}", f"{told(limit).removeprefix('! ')}\n  {where}"


def _covered(row: ThreatCoverage) -> str:
    told = f"{text.clean(row.id)} {row.passed} of {row.tests} passed"
    return f"{told} ({row.failed} FAILED)" if row.failed else told


def _table(checks: Sequence[SafetyCheck], width: int, color: bool) -> list[str]:
    if not checks:
        return []
    rows = [HEADINGS, *map(cells, checks)]
    if width < ROOMY or not any(row[4] for row in rows[1:]):  # no room, or no judge gave a score
        rows = [row[:4] for row in rows]
    sizes = [max(text.display_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    sizes[0] = min(sizes[0], max(8, width - 2 - sum(sizes[1:]) - 2 * (len(sizes) - 1)))
    lines = []
    for row in rows:
        first = text.pad(text.shorten(row[0], sizes[0]), sizes[0])
        rest = [
            text.pad(cell, size, right=column > 0)
            for column, (cell, size) in enumerate(zip(row[1:], sizes[1:], strict=True))
        ]
        lines.append("  " + "  ".join([first, *rest]).rstrip())
    return [text.style(lines[0], "bold", color=color), *lines[1:]]


def _risks(summary: SafetySummary, width: int) -> list[str]:
    if not summary.riskiest:
        return []
    lines = ["  highest risk:"]
    for one in summary.riskiest[:RISKS]:
        lines.append("    " + text.shorten(text.clean(one.id), width - 4))
        said = f"{one.score:.2f} {one.check} ({one.stage})" + (f": {one.reason}" if one.reason else "")
        lines += text.indented(textwrap.shorten(text.clean(said), REASON, placeholder=" …"), width, "      ")
    more = len(summary.riskiest) - RISKS
    return [*lines, f"    … and {more} more in the report"] if more > 0 else lines
