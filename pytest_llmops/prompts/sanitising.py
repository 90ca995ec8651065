"""What is taken out of a variable's value before it becomes part of a prompt."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

REMOVED = "[removed]"
_INVISIBLE = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f\x00-\x08\x0b-\x1f\x7f]"
)
# What chat templates of models set turns apart with, and turns that are forged in plain text.
_TURNS = re.compile(
    r"<\|[\w ]{1,40}\|>|<｜[^｜\n]{1,40}｜>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|"
    r"^[ \t#*]*(?:system|assistant|developer|human)[ \t*]*:",
    re.IGNORECASE | re.MULTILINE,
)
_AMPERSAND = "\ue000"
_JOINERS = {"\u200c", "\u200d"}  # written in Persian, Indic scripts and emoji


class _Text(HTMLParser):
    """Collects what is no markup; the content of scripts and styles is none either."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.removed = 0
        self._silent = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.removed += 1
        if tag in ("script", "style"):
            self._silent = tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.removed += 1

    def handle_endtag(self, tag: str) -> None:
        self.removed += 1
        if tag == self._silent:
            self._silent = ""

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)

    def handle_comment(self, data: str) -> None:
        self.removed += 1

    def handle_decl(self, decl: str) -> None:
        self.removed += 1

    def unknown_decl(self, data: str) -> None:
        self.removed += 1

    def handle_pi(self, data: str) -> None:
        self.removed += 1


def strip_html(text: str) -> tuple[str, tuple[str, ...]]:
    """Take out tags, comments, scripts and styles; ``a < b`` and ``&amp;`` stay."""
    total = 0
    while "<" in text:  # "<<b>script>" makes a new tag of what is left
        parser = _Text()
        parser.feed(text.replace("&", _AMPERSAND))  # references stay as they stand
        parser.close()
        text = "".join(parser.parts).replace(_AMPERSAND, "&")
        total += parser.removed
        if not parser.removed:
            break
    return text, ((f"{total} HTML tag{'s' * (total != 1)}",) if total else ())


def prevent_injection(text: str) -> tuple[str, tuple[str, ...]]:
    """Take out invisible characters, marks of chat turns, and what reads like a known attack.

    A heuristic, as good as the signatures of the guardrail ``prompt_injection``.
    """
    removed = []
    visible = _INVISIBLE.sub(lambda m: m[0] if m[0] in _JOINERS else "", text)
    if visible != text:
        removed.append("invisible characters")
    plain, turns = _TURNS.subn(REMOVED, visible)
    if turns:
        removed.append("marks of chat turns")
    attack = _attack(text) or _attack(visible)
    if attack is not None:
        removed.append(f"reads like an attack: {attack}")
        plain = _without_attack(plain)
    return plain, tuple(removed)


def _attack(text: str) -> str | None:
    from pytest_llmops.checks.guardrails.signatures import SignatureGuardrail

    outcome = SignatureGuardrail().check(text)
    return outcome.reason if outcome.triggered else None


def _without_attack(text: str) -> str:
    from pytest_llmops.checks.guardrails.signatures import SignatureGuardrail

    guard = SignatureGuardrail()
    outcome = guard.check(text)
    kept, position = [], 0
    for span in outcome.spans:
        if span.end > position:
            kept += [text[position : span.start], REMOVED] if span.start >= position else []
            position = span.end
    text = "".join(kept) + text[position:]
    # Disguised or encoded attacks have no place that could be cut out, and some overlap what was cut.
    return REMOVED if guard.check(text).triggered or (outcome.triggered and not outcome.spans) else text


SANITISERS: dict[str, Callable[[str], tuple[str, tuple[str, ...]]]] = {
    "strip_html": strip_html,
    "prevent_injection": prevent_injection,
    "strip": lambda text: (text.strip(), ()),
}


def apply(value: Any, names: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    """Sanitise a value, texts inside lists and mappings included.

    Returns:
        The value, and what was taken out.
    """
    if isinstance(value, str):
        removed: list[str] = []
        for name in names:
            value, what = SANITISERS[name](value)
            removed += what
        return value, tuple(removed)
    if isinstance(value, list | tuple):
        pairs = [apply(item, names) for item in value]
        return [item for item, _ in pairs], tuple(what for _, removed_ in pairs for what in removed_)
    if isinstance(value, dict):
        pairs = [apply(item, names) for item in value.values()]
        return dict(zip(value, (item for item, _ in pairs), strict=True)), tuple(w for _, r in pairs for w in r)
    return value, ()
