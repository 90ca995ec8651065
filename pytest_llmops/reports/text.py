"""Numbers and names as people read them in a terminal."""

from __future__ import annotations

import unicodedata

from pytest_llmops.stats import plain

JOINERS = "\u200c\u200d"
"""They take no room and steer nothing, and Persian, Hindi and emoji are misspelt without them."""
STYLES = {"red": 31, "green": 32, "yellow": 33, "bold": 1, "dim": 2}


def style(text: str, *names: str, color: bool) -> str:
    """Text in ANSI colours, or as it is."""
    if not color or not names:
        return text
    return f"\x1b[{';'.join(str(STYLES[name]) for name in names)}m{text}\x1b[0m"


def clean(text: str) -> str:
    """Text in one line, without control characters: what models write must not steer the terminal."""
    return "".join(c if c.isprintable() or c in JOINERS else "\ufffd" for c in " ".join(text.split()))


def display_width(text: str) -> int:
    """Columns a text takes: East Asian wide letters two, combining marks and joiners none."""
    return sum(map(_columns, text))


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """Cut a name in the middle, since its ends tell most."""
    if display_width(text) <= width:
        return text
    columns = [_columns(letter) for letter in text]
    end = begin = len(text) // 2  # of what is left of the head and of the tail
    head, tail = sum(columns[:end]), sum(columns[begin:])
    while head + tail > width - 1:
        if head > tail:
            end -= 1
            head -= columns[end]
        else:
            tail -= columns[begin]
            begin += 1
    return f"{text[:end]}…{text[begin:]}"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill a cell with blanks."""
    blanks = " " * (width - display_width(text))
    return blanks + text if right else text + blanks


def indented(text: str, width: int, indent: str = "  ") -> list[str]:
    """A text in lines of at most this width; all but the first stand two columns further in."""
    lines = [indent]
    for word in text.split():
        room = width - display_width(lines[-1])
        first = not lines[-1].strip()
        if display_width(word) + (not first) <= room:
            lines[-1] += word if first else f" {word}"
            continue
        if not first:
            lines.append(f"{indent}  ")
        while (fits := _fitting(word, width - len(lines[-1]))) < len(word):
            lines[-1] += word[:fits]
            word = word[fits:]
            lines.append(f"{indent}  ")
        lines[-1] += word
    return [line for line in lines if line.strip()]


def _fitting(word: str, room: int) -> int:
    """How many letters of a word fit, one at least."""
    taken = 0
    for number, letter in enumerate(word):
        taken += _columns(letter)
        if taken > room:
            return max(1, number)
    return len(word)


def count(number: int, noun: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def amount(value: float, kind: str, unit: str | None = None) -> str:
    """A value in its unit: 94.0%, 812 ms, 1.12 s, $0.00012, 1,234, 0.812; times are ms and costs USD by default."""
    if kind in ("pass", "rate"):
        return f"{value:.1%}"
    if kind in ("latency", "cost") and unit not in (None, "ms", "USD"):
        return f"{value:.4g} {unit}"
    if kind == "latency":
        return f"{value / 1000:.3g} s" if abs(value) >= 1000 else f"{value:.3g} ms"
    if kind == "cost":
        return f"${value:,.2f}" if abs(value) >= 1 else f"${plain(value, 3)}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    fixed = kind == "score" and (value == 0 or 0.001 <= abs(value) < 10)
    return f"{value:.3f}" if fixed else f"{value:.4g}"


def change(value: float, kind: str, relative: bool, *, sign: bool = True) -> str:
    """A difference: -2.6% where relative, -4.3pp of a share, else -0.081."""
    plus = "+" if sign else ""
    value += 0.0  # no "-0.0"
    if relative:
        return f"{value:{plus}.1%}" if abs(value) < 0.995 else f"{value:{plus},.0%}"
    if kind in ("pass", "rate"):
        return f"{100 * value:{plus}.1f}pp"
    return f"{value:{plus}.3f}" if abs(value) < 10 else f"{value:{plus}.4g}"
