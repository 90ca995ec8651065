"""Recorded calls as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_llmops.reports import text

if TYPE_CHECKING:
    from pytest_llmops.cassettes.inspection import RecordedCall

HEADINGS = ("model", "api", "status", "in", "out", "cost", "ms", "finish")


def as_json(calls: Sequence[RecordedCall]) -> str:
    """A list of objects: a Call's fields (null for an exchange that is no LLM's), `file` and `index`."""
    rows = []
    for one in calls:
        fields = one.call.model_dump(mode="json") if one.call is not None else {"api": None, "request": one.request}
        rows.append({"file": str(one.file), "index": one.index, **fields})
    return json.dumps(rows, indent=2, ensure_ascii=False)


def as_table(calls: Sequence[RecordedCall], *, width: int = 80) -> str:
    """A line for each call under its file's name, its answer below; and a closing line of sums."""
    rows = [_row(one) for one in calls]
    sizes = [max(len(heading), *(len(row[i]) for row in rows), 0) for i, heading in enumerate(HEADINGS)]
    lines: list[str] = []
    last = None
    for one, row in zip(calls, rows, strict=True):
        if one.file != last:
            lines += [str(one.file)] if last is None else ["", str(one.file)]
            lines.append(_line(HEADINGS, sizes, width))
            last = one.file
        lines.append(_line(row, sizes, width))
        said = _said(one)
        if said:
            lines.append(f"    {said}" if len(said) <= width - 4 else f"    {said[: width - 5]}…")
    found = [one.call for one in calls if one.call is not None]
    costs = [call.cost_usd for call in found]
    known = [cost for cost in costs if cost is not None]
    unknown = f" + {len(costs) - len(known)} of unknown price" if len(known) < len(costs) else ""
    tokens = sum(c.input_tokens or 0 for c in found), sum(c.output_tokens or 0 for c in found)
    spent = text.amount(sum(known), "cost")
    lines.append(f"{text.count(len(found), 'call')}, {tokens[0]} tokens in, {tokens[1]} out, {spent}{unknown}")
    return "\n".join(lines)


def _row(one: RecordedCall) -> tuple[str, ...]:
    call = one.call
    if call is None:
        return (one.request, *[""] * (len(HEADINGS) - 1))
    return (
        f"{call.model or '?'}{' (judge)' if call.role == 'judge' else ''}",
        call.api,
        str(call.status or "-"),
        _number(call.input_tokens),
        _number(call.output_tokens),
        "?" if call.cost_usd is None else text.amount(call.cost_usd, "cost"),
        "-" if call.latency_ms is None else f"{call.latency_ms:.0f}",
        call.finish_reason or "-",
    )


def _said(one: RecordedCall) -> str:
    call = one.call
    if call is None:
        return ""
    said = call.error or call.text or ", ".join(f"{tool.name}()" for tool in call.tool_calls)
    return text.clean(said or "")


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


def _line(cells: Sequence[str], sizes: Sequence[int], width: int) -> str:
    limits = [min(size, limit) for size, limit in zip(sizes, (24, 22, 6, 6, 6, 12, 6, 14), strict=True)]
    padded = [text.pad(text.shorten(cell, limit), limit) for cell, limit in zip(cells, limits, strict=True)]
    line = "  " + " ".join(padded).rstrip()
    return line if len(line) <= width else line[: width - 1] + "…"
