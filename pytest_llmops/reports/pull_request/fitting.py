"""Sections of a document within a limit: the weightiest get their rows first, and none is left open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


def utf16_units(text: str) -> int:
    """Length as JavaScript counts; at least that of any other count of characters."""
    return len(text) + sum(c > "\uffff" for c in text)


def utf8_bytes(text: str) -> int:
    """Length in bytes."""
    return len(text.encode("utf-8", "replace"))


@dataclass(frozen=True)
class Section:
    """A part of the document: what opens it, its rows, what closes it. Each is Markdown ending with its newline.

    Args:
        rows: made only as far as there is room for them.
        count: the number of rows.
        weight: sections of a lower one get their rows first, and are the last to be left out.
        most: rows at most, whatever the room.
        more: says how many rows are left out.
    """

    opening: str
    rows: Iterable[str] = ()
    count: int = 0
    closing: str = ""
    weight: int = 0
    most: int = 10_000
    more: Callable[[int], str] = lambda left: f"- … and {left:,} more\n"


def fitted(sections: Sequence[Section], limit: int, measure: Callable[[str], int]) -> str:
    """The sections in their order, within the limit.

    Args:
        sections: what is to be shown.
        limit: of the whole, as `measure` counts.
        measure: counts a text; of a concatenation it must be the sum of its parts'.
    """
    frames = {index: measure(_frame(section)) for index, section in enumerate(sections)}
    order = sorted(frames, key=lambda index: sections[index].weight)
    while order and sum(frames[index] for index in order) > limit:
        order.pop()
    left = limit - sum(frames[index] for index in order)
    bodies: dict[int, str] = {}
    for index in order:
        rows, used = _rows(sections[index], left, measure)
        omitted = sections[index].count - len(rows)
        bodies[index] = "".join(rows) + (sections[index].more(omitted) if omitted else "")
        left -= used
    return "".join(
        f"{section.opening}{bodies[index]}{section.closing}"
        for index, section in enumerate(sections)
        if index in bodies
    )


def _frame(section: Section) -> str:
    return section.opening + (section.more(section.count) if section.count else "") + section.closing


def _rows(section: Section, left: int, measure: Callable[[str], int]) -> tuple[list[str], int]:
    rows: list[str] = []
    used = 0
    for row in section.rows:
        size = measure(row)
        if len(rows) == section.most or used + size > left:
            break
        rows.append(row)
        used += size
    return rows, used
