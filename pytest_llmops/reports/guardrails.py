"""Rates of a guardrail as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llmops.reports import text

HEADINGS = ("", "n", "precision", "recall", "false positives")
SHARES = ("precision", "recall", "false_positive_rate")


def as_table(rates: Mapping[str, Any]) -> str:
    """A line for all texts, and one a language, a threat and a tag; what cannot be computed is a dash."""
    rows = [HEADINGS, *_rows(rates)]
    sizes = [max(text.display_width(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(text.pad(cell, size) for cell, size in zip(row, sizes, strict=True)).rstrip() for row in rows]
    counts = ", ".join(f"{key} {rates[key]}" for key in ("tp", "fp", "tn", "fn"))
    cost = "" if rates["ms_per_kb"] is None else f"; {_short(rates['ms_per_kb'])} ms CPU for 1 KB"
    return "\n".join([f"guardrail {text.clean(rates['guardrail'])}: {counts}{cost}", *lines])


def _rows(rates: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    yield _row("all", rates)
    for title, groups in (
        ("language", rates["by_language"]),
        ("threat", rates["by_threat"]),
        ("tag", {name: group for name, group in rates["by_tag"].items() if name not in rates["by_threat"]}),
    ):
        for name, group in groups.items():
            yield _row(f"{title} {text.clean(name)}", group)


def _row(name: str, rates: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, str(rates["n"]), *(_share(rates[key], rates["intervals"][key]) for key in SHARES))


def _share(value: float | None, interval: list[float] | None) -> str:
    if value is None or interval is None:
        return "–"
    return f"{value:.1%} ({interval[0]:.1%}–{interval[1]:.1%})"


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.2g}" if milliseconds < 10 else f"{milliseconds:.0f}"
