"""Hostile text in GitHub's Markdown: shown as it is, and never markup, a link, a mention or a reference.

Character references alone do not do it: GitHub looks for mentions, references and links in the text of the rendered
page, where they are characters again. Those are parted by a zero-width space, which copies along but is not seen.
"""

from __future__ import annotations

import re
from html import escape

ZERO_WIDTH = "&#8203;"
_ESCAPED = re.compile(
    r"[\\`*~|&<>$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # within a word it is no emphasis
    r"|\](?=[(\[:])"  # the bracket that makes a link, a footnote or a definition
)
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_AS_DOCUMENTED = {"$": "<span>$</span>"}  # GitHub's own advice; else "$a$" is a formula
# Controls, marks that turn the direction, and characters without a width, in which a text can hide.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
    # Joiners shape Persian, Indic scripts and emoji; beside a Latin letter they only hide.
    r"|(?<![^\x00-\u02ff])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\u02ff])"
)
_MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_LINKS = re.compile(r"(?<=/)(?=/)|(?<=www)(?=\.)|(?<=@)(?=[\w-]+\.)", re.IGNORECASE)
_REFERENCES = re.compile(
    r"(?<=@)(?=\w)|(?<=#)(?=\w)|(?<=\bGH-)(?=\d)|(?<=:)(?=[\w+-]+:)"
    r"|\b(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,64}\b",  # a commit's hash
    re.IGNORECASE,
)
_BLANKS = re.compile(r"\s+")
_BLOCK_START = re.compile(r"[#+=[-]|\d+(?=[.)])")


def visible(text: str) -> str:
    """Text without what cannot be seen; a replacement character stands where something was hidden."""
    return _MARKS.sub(r"\1", _HIDDEN.sub("\ufffd", text))


def inline(text: str, most: int = 300) -> str:
    """Text within a line, a list's item or a table's cell, of at most this many characters."""
    shown = within(clip(" ".join(text[: 4 * most].split()), most))
    start = _BLOCK_START.match(shown)
    if start is None:
        return shown
    # It could begin a heading, a list or a task there.
    return "".join(f"&#{ord(c)};" for c in start[0]) + shown[start.end() :]


def within(text: str) -> str:
    """Text after other text in its line; blanks at its ends are kept."""
    words = visible(_BLANKS.sub(" ", text))
    shown = _escaped(words, _LINKS, _REFERENCES)
    if shown.endswith("]"):  # what comes next could make a link of it
        shown = f"{shown[:-1]}&#93;"
    return _isolated(words, shown)


def code(text: str, most: int = 300) -> str:
    """A name to copy, within a line or a table's cell; empty where the text is."""
    words = visible(" ".join(shorten(text, most).split()))
    return f"<code>{_isolated(words, _escaped(words, _LINKS))}</code>" if words else ""


def preformatted(text: str, most: int = 2_000, *, language: str = "") -> str:
    """Lines as they are, as a block of its own; nothing in it is Markdown, and GitHub links nothing in it."""
    kept = visible(clip(text, most).replace("\r\n", "\n").replace("\r", "\n").strip("\n"))
    opening = f'<pre lang="{language}">' if language else "<pre>"
    return f"{opening}{escape(kept, quote=False)}</pre>"


def link(label: str, url: str | None) -> str:
    """A link of our own; the label alone where the address is none that can be trusted in Markdown.

    Args:
        label: Markdown that is neutral already.
        url: of a page.
    """
    if url is None or not re.fullmatch(r"https?://[\w.-]+(:\d+)?(/[\w./%+=~?&#-]*)?", url, re.ASCII):
        return label
    return f"[{label}]({url})"


def clip(text: str, most: int) -> str:
    """A text's beginning, with an ellipsis where it was longer."""
    return text if len(text) <= most else text[: most - 1] + "…"


def shorten(text: str, most: int) -> str:
    """A name cut in the middle, since its ends tell most."""
    head = (most - 1) // 2
    return text if len(text) <= most else f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def _escaped(text: str, *parted: re.Pattern[str]) -> str:
    for pattern in parted:
        text = pattern.sub(_part, text)
    return _ESCAPED.sub(_escape, text).replace("\u200b", ZERO_WIDTH)


def _escape(match: re.Match[str]) -> str:
    found = match[0]
    return _ENTITIES.get(found) or _AS_DOCUMENTED.get(found) or f"&#{ord(found)};"


def _part(match: re.Match[str]) -> str:
    found = match[0]
    return "\u200b".join(found[i : i + 6] for i in range(0, len(found), 6)) if found else "\u200b"


def _isolated(words: str, shown: str) -> str:
    """Right-to-left words must not reorder what stands beside them."""
    return f"&#8296;{shown}&#8297;" if _RIGHT_TO_LEFT.search(words) else shown
