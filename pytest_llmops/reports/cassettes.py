"""Recorded calls as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_llmops.reports import text

if TYPE_CHECKING:
    from pytest_llmops.cassettes.inspection import RecordedCall

HEADINGS = ("model", "api", "status", "in", "out", "cost", "ms", "finish", "text")


def as_json(calls: Sequence[RecordedCall]) -> str:
    """A list of objects: a Call's fields (null for an exchange that is no LLM's), `file` and `index`."""
    rows = []
    for one in calls:
        fields = one.call.model_dump(mode="json") if one.call is not None else {"api": None, "request": one.request}
        rows.append({"file": str(one.file), "index": one.index, **fields})
    return json.dumps(rows, indent=2, ensure_ascii=False)


def as_table(calls: Sequence[RecordedCall], *, width: int = 80) -> str:
    """One line a call under its file's name, and a closing line of sums."""
    rows = [_row(one) for one in calls]
    sizes = [max(len(heading), *(len(r[i]) for r in rows), 0) if rows else 0 for i, heading in enumerate(HEADINGS)]
    lines: list[str] = []
    last = None
    for one, row in zip(calls, rows, strict=True):
        if one.file != last:
            lines += ["" if lines else None, str(one.file), _line(HEADINGS, sizes, width)]  # type: ignore[list-item]
            last = one.file
        lines.append(_line(row, sizes, width))
    found = [one.call for one in calls if one.call is not None]
    costs = [call.cost_usd for call in found]
    known = [cost for cost in costs if cost is not None]
    unknown = f" + {len(costs) - len(known)} of unknown price" if len(known) < len(costs) else ""
    tokens = sum(c.input_tokens or 0 for c in found), sum(c.output_tokens or 0 for c in found)
    lines.append(f"{len(found)} calls, {tokens[0]} tokens in, {tokens[1]} out, ${sum(known):.6g}{unknown}")
    return "\n".join(line for line in lines if line is not None)


def _row(one: RecordedCall) -> tuple[str, ...]:
    call = one.call
    if call is None:
        return (one.request, "", "", "", "", "", "", "", "")
    said = call.error or call.text or ", ".join(f"{tool.name}()" for tool in call.tool_calls)
    return (
        f"{call.model or '?'}{' (judge)' if call.role == 'judge' else ''}",
        call.api,
        str(call.status or "-"),
        _number(call.input_tokens),
        _number(call.output_tokens),
        "?" if call.cost_usd is None else f"${call.cost_usd:.6f}",
        "-" if call.latency_ms is None else f"{call.latency_ms:.0f}",
        call.finish_reason or "-",
        text.clean(" ".join((said or "").split())),
    )


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


def _line(cells: Sequence[str], sizes: Sequence[int], width: int) -> str:
    limits = [min(size, limit) for size, limit in zip(sizes, (28, 18, 6, 7, 6, 10, 7, 14, 10_000), strict=True)]
    padded = [text.pad(text.shorten(cell, limit), limit) for cell, limit in zip(cells[:-1], limits[:-1], strict=True)]
    line = "  " + " ".join(padded) + " " + cells[-1]
    return line if len(line) <= width else line[: width - 1] + "…"
