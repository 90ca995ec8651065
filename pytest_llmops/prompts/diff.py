"""What changed from one prompt to another."""

from __future__ import annotations

import difflib


def diff(before: str, after: str, *, names: tuple[str, str] = ("before", "after"), context: int = 2) -> list[str]:
    """Lines of a unified diff of two prompts' texts; none where they are equal."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), names[0], names[1], lineterm="", n=context)
    return list(lines)
