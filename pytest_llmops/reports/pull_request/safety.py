"""What was kept back, found and let through, for the reviewer."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmops.records import RunRecord
from pytest_llmops.reports import safety, text
from pytest_llmops.reports.pull_request.fitting import Section
from pytest_llmops.reports.pull_request.neutral import code, inline, within
from pytest_llmops.safety_record import SafetySummary

CHECKS = 20
RISKS = 5
HEADING = f"| {' | '.join(safety.HEADINGS)} |\n|---|---|--:|--:|--:|--:|\n"


def section(run: RunRecord | None) -> list[Section]:
    """The safety section; open where a limit is exceeded, or a test of a threat failed."""
    found = run.safety if run is not None else None
    if found is None or not (found.tests or found.threats):
        return []
    bad = any(limit.exceeded for limit in found.limits) or any(row.failed for row in found.threats)
    title = f"Safety: {inline(safety.outcomes(found), 300)}" if found.tests else "Safety"
    opening = f"\n<details{' open' * bad}><summary>{title}</summary>\n\n{_table(found)}"
    rows = list(_lines(found))
    return [Section(opening, rows, len(rows), "\n</details>\n", weight=2)]


def _table(found: SafetySummary) -> str:
    if not found.checks:
        return ""
    rows = [
        f"| {' | '.join(within(text.shorten(cell, 80)) for cell in safety.cells(check))} |\n"
        for check in found.checks[:CHECKS]
    ]
    more = len(found.checks) - CHECKS
    if more > 0:
        rows.append(f"| … and {more:,} more | | | | | |\n")
    return f"{HEADING}{''.join(rows)}\n"


def _lines(found: SafetySummary) -> Iterator[str]:
    for limit in found.limits:
        if limit.tests:
            said = inline(safety.told(limit).removeprefix("! "), 200)
            yield f"- {'❌' if limit.fails else '⚠️'} **{said}**\n" if limit.exceeded else f"- {said}\n"
    for one in found.riskiest[:RISKS]:
        why = f": {inline(one.reason, 200)}" if one.reason else ""
        yield f"- {code(one.id)} {one.score:.2f} {inline(one.check, 80)} ({inline(one.stage, 20)}){why}\n"
    if found.threats:
        yield f"- threats: {inline(safety.coverage(found.threats), 600)}\n"
