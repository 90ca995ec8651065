"""What changed between two answers, word by word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from pytest_llmops.reports.pull_request.neutral import clip, inline, within

CONTEXT = 60
WINDOW = 1_500
ALIKE = 0.5
"""Share of common words below which two texts are shown one after the other."""
_BLANKS = re.compile(r"\s+")
# Chinese, Japanese and Thai write no blanks between words: there it is characters.
_WORDS = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]|[^\W_]+(?:[\u0300-\u036f]+\w*)*|."
)


def changed(before: str | None, now: str | None, most: int) -> list[str]:
    """Lines that show an answer, and what it was before where that is known; Markdown.

    Args:
        before: the baseline's answer.
        now: this run's.
        most: characters of each line, roughly.
    """
    if now is None:
        return []
    if before is None:
        return [f"answer: {_whole(now, most)}"]
    if before == now or (len(before) + len(now) < 2 * WINDOW and before.split() == now.split()):
        return [f"answer, as before: {_whole(now, most)}"]
    start = max(0, _common(before, now) - CONTEXT)
    windows = (_BLANKS.sub(" ", text[start : start + WINDOW]) for text in (before, now))
    old, new = map(_WORDS.findall, windows)
    from rapidfuzz.distance import Indel

    if Indel.normalized_similarity(old, new) < ALIKE:
        mark = "…" if start else ""
        return [f"before: {mark}{_whole(before[start:], most)}", f"now: {mark}{_whole(now[start:], most)}"]
    pieces = [
        (block.tag, "".join(old[block.src_start : block.src_end]), "".join(new[block.dest_start : block.dest_end]))
        for block in Indel.opcodes(old, new)
    ]
    cut = len(before) > start + WINDOW or len(now) > start + WINDOW
    return [f"answer: {'…' if start else ''}{_shown(pieces, most)}{'…' if cut else ''}"]


def _whole(answer: str, most: int) -> str:
    return inline(answer, most) or "(empty)"


def _common(one: str, other: str) -> int:
    """Length of the common beginning; by halving, since answers may be long."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _shown(pieces: Sequence[tuple[str, str, str]], most: int) -> str:
    shown, left = [], most
    changes = [list(group) for _, group in groupby(pieces, key=_stays)]
    for position, group in enumerate(changes):
        if left <= 0:
            shown.append("…")
            break
        if _stays(group[0]):
            words = _middle(group[0][2], first=position == 0, last=position == len(changes) - 1)
            shown.append(within(words))
            left -= len(words)
            continue
        for mark, words in (("del", "".join(old for _, old, _ in group)), ("ins", "".join(new for *_, new in group))):
            if words:
                words = clip(words, max(left, 20))
                shown.append(f"<{mark}>{within(words)}</{mark}>")
                left -= len(words)
    return "".join(shown)


def _stays(piece: tuple[str, str, str]) -> bool:
    """Whether it is the same in both; a blank between two changes counts as changed, that these be read as one."""
    return piece[0] == "equal" and not piece[1].isspace()


def _middle(words: str, *, first: bool, last: bool) -> str:
    """What did not change, cut to what stands beside a change."""
    head, tail = (0 if first else CONTEXT), (0 if last else CONTEXT)
    if len(words) <= head + tail + 1:
        return words
    return (
        words[:head] + " … " + words[len(words) - tail :]
        if head and tail
        else (f"… {words[len(words) - tail :]}" if tail else f"{words[:head]} …")
    )
