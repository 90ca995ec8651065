"""Prompts that changed between the baseline and a run."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from pytest_llmops.records import Fingerprint, PromptChange

LISTED = 40


def diff(before: str, after: str, *, names: tuple[str, str] = ("before", "after")) -> list[str]:
    """Lines of a unified diff of two prompts' texts; none where they are equal."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="", n=2)
    return list(lines)


def changes(before: Fingerprint, now: Fingerprint) -> list[PromptChange]:
    """Prompts used in both whose text differs, and those that another version took the place of."""
    pairs = [(name, name) for name in now.prompts if before.prompts.get(name, now.prompts[name]) != now.prompts[name]]
    left = [name for name in before.prompts if name not in now.prompts]
    came = [name for name in now.prompts if name not in before.prompts]
    for old, new in ((old, new) for new in came for old in left):
        if _family(old) == _family(new):
            pairs.append((old, new))
    return [PromptChange(before=old, after=new, diff=_diff(old, new, before, now)) for old, new in sorted(pairs)]


def note(change: PromptChange) -> str:
    """A change in one line."""
    if change.before == change.after:
        return f"prompt {change.before!r} changed since the baseline"
    return f"prompt {change.after!r} took the place of {change.before!r} since the baseline"


def explained(found: Sequence[PromptChange]) -> list[str]:
    """The lines that name and show the changes in a failure's message."""
    lines = []
    for change in found:
        shown = change.diff[:LISTED]
        more = [f"    … and {len(change.diff) - LISTED} lines more"] if len(change.diff) > LISTED else []
        lines += [f"  {note(change)}" + (":" if shown else ""), *(f"    {line}" for line in shown), *more]
    return lines


def _diff(old: str, new: str, before: Fingerprint, now: Fingerprint) -> list[str]:
    texts = _text(old, before), _text(new, now)
    if None in texts:
        return []
    one, other = (f"{old} (baseline)", f"{new} (now)")
    return diff(texts[0] or "", texts[1] or "", names=(one, other))


def _text(name: str, fingerprint: Fingerprint) -> str | None:
    texts: Mapping[str, str] = fingerprint.prompt_texts
    return texts.get(fingerprint.prompts[name])


def _family(identity: str) -> str:
    head, sep, _ = identity.rpartition("-v")
    return head if sep else identity.partition("@")[0]
