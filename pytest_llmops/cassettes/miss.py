"""A request that no recording answers, and the words for it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_llmops.cassettes.keys import Request
from pytest_llmops.cassettes.storage import Interaction

_MAX_CANDIDATES = 200
_MAX_PATHS = 3
_CLIP = 160


class CassetteMiss(pytest.fail.Exception):  # type: ignore[misc,name-defined]
    """No recording for a request on replay.

    Derives from pytest's own failure, a BaseException, so that no SDK retries it and no ``except Exception`` of the
    application swallows it.

    Args:
        unrecorded: a recording would cure it; else the request may not be made at all.
    """

    def __init__(self, message: str, *, unrecorded: bool = False) -> None:
        super().__init__(message, pytrace=False)
        self.unrecorded = unrecorded


CassetteMiss.__module__ = "builtins"  # as pytest's own outcomes do: the summary names the class without its path


def describe(
    request: Request, *, cassette: str, call: int, recorded: Sequence[Interaction], used: int, command: str
) -> str:
    """The miss in the reader's words: what was asked, the closest recording as a diff, the command that records it.

    Args:
        request: what was asked.
        cassette: the file, as the reader knows it.
        call: the number of this request in the test, from 1.
        recorded: what the cassette holds.
        used: how many recordings of exactly this request were replayed already.
        command: records it anew.
    """
    parts = urlsplit(request.url)
    model = f", model {request.model!r}" if request.model else ""
    lines = [
        f"{cassette!r} has no recording for call {call}" if recorded else f"{cassette!r} does not exist (call {call})",
        f"  {request.method} {parts.netloc}{parts.path}{model}",
    ]
    if used:
        lines.append(f"  this very request is recorded {used} time{'s'[: used != 1]}, and was made once more")
    elif request.role == "judge":
        models = sorted({str(e["request"].get("model")) for e in recorded if e.get("role") == "judge"})
        lines.append(
            "  a judge's call: the judged answer, the rubric or the judge is another than when it was recorded"
            if models
            else "  a judge's call: no judge has been asked on this cassette yet"
        )
        if models and str(request.model) not in models:
            lines.append(f"  recorded with {', '.join(models)}")
    else:
        lines += _closest(request, recorded)
    lines.append(f"  re-record: {command}")
    return "\n".join(lines)


def not_ours(method: str, url: str, host: str) -> str:
    """What is said of a request on replay that speaks no LLM dialect."""
    parts = urlsplit(url)
    return (
        f"{method} {parts.netloc}{parts.path} is no LLM call, and nothing leaves the machine on replay\n"
        f"  record it with the rest: llm_record_hosts = {host}\n"
        f"  or let it through: llm_allowed_hosts = {host}"
    )


def _closest(request: Request, recorded: Sequence[Interaction]) -> list[str]:
    pool = [(i, e) for i, e in enumerate(recorded, 1) if e["request"].get("model") == request.model] or list(
        enumerate(recorded, 1)
    )
    if not pool:
        return []
    asked = _leaves(request.body)
    index, best = min(
        pool[:_MAX_CANDIDATES], key=lambda pair: _distance(_leaves(pair[1]["request"].get("body")), asked)
    )
    before = _leaves(best["request"].get("body"))
    changed = [path for path in {**before, **asked} if before.get(path) != asked.get(path)]
    if not changed:
        where = f"{best['request'].get('method')} {best['request'].get('url')}"
        return [f"  closest: interaction {index}, the same body sent to {where}"]
    more = f" and {len(changed) - _MAX_PATHS} more" if len(changed) > _MAX_PATHS else ""
    lines = [f"  closest: interaction {index}; differs in {', '.join(changed[:_MAX_PATHS])}{more}"]
    for path in changed[:_MAX_PATHS]:
        lines += [f"    {line}" for line in _changes(before.get(path), asked.get(path))]
    return lines


def _distance(before: dict[str, str], asked: dict[str, str]) -> float:
    total = 0.0
    for path in before.keys() | asked.keys():
        one, other = before.get(path, ""), asked.get(path, "")
        if one != other:
            # quick_ratio is an upper bound by character counts: cheap, and enough to rank near-identical prompts
            total += 1.1 - difflib.SequenceMatcher(None, one[-2000:], other[-2000:]).quick_ratio()
    return total


def _leaves(body: dict[str, Any] | None) -> dict[str, str]:
    """Paths and values of a stored body, as text: ``messages[0].content`` → ``Hello``."""
    found: dict[str, str] = {}
    for kind, value in (body or {}).items():
        for path, leaf in _walk(value, "" if kind == "json" else kind):
            found[path.lstrip(".")] = leaf if isinstance(leaf, str) else json.dumps(leaf, ensure_ascii=False)
    return found


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{index}]")
    else:
        yield path, value


def _changes(before: str | None, after: str | None) -> list[str]:
    old, new = ([] if text is None else text.splitlines() or [""] for text in (before, after))
    if len(old) == len(new) == 1:
        return [f"- {_clip(old[0], new[0])}", f"+ {_clip(new[0], old[0])}"]
    if len(old) > 200 or len(new) > 200:
        old, new = old[:3], new[:3]
    lines = [line for line in difflib.ndiff(old, new) if line[0] in "+-"]
    return [_clip(line) for line in lines[:12]]


def _clip(line: str, other: str = "") -> str:
    """A long line cut to the part where it begins to differ from `other`."""
    if len(line) <= _CLIP:
        return line
    start = next((i for i, (a, b) in enumerate(zip(line, other, strict=False)) if a != b), min(len(line), len(other)))
    start = max(0, min(start - _CLIP // 3, len(line) - _CLIP))
    return ("…" if start else "") + line[start : start + _CLIP] + ("…" if start + _CLIP < len(line) else "")
