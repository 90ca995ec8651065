"""Cassettes in git: a readable text for ``git diff``, a three-way merge for branches that both recorded."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Any

from pytest_llmops.cassettes import storage
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.errors import CassetteError

ATTRIBUTES = (
    "**/cassettes/**/*.json merge=llmops-cassette diff=llmops-cassette",
    "**/cassettes/.journal/** -diff",
)
"""What ``pytest-llmops init`` adds to .gitattributes."""

Identified = dict[tuple[str, int], Interaction]


def merge(base: Path, ours: Path, theirs: Path) -> list[str]:
    """Merge `theirs` into `ours` by request and occurrence, as git's merge driver (%O %A %B).

    Where both recorded one request anew the newer recording is taken: both are true answers to it.

    Returns:
        The requests that one side changed and the other removed, or a message for each; empty where all went well.

    Raises:
        CassetteError: one of the three is no cassette.
    """
    old, mine, other = (_identified(path) for path in (base, ours, theirs))
    merged: list[Interaction] = []
    conflicts: list[str] = []
    for identity in [*mine, *(identity for identity in other if identity not in mine)]:
        before, here, there = (side.get(identity) for side in (old, mine, other))
        if here == there or there == before:
            chosen = here
        elif here == before:
            chosen = there
        elif here is not None and there is not None:
            chosen = max(here, there, key=lambda entry: str(entry.get("recorded_at") or ""))
        else:
            chosen = here or there
            assert chosen is not None
            conflicts.append(f"{chosen['request'].get('url')}: changed on one side, removed on the other; kept")
        if chosen is not None:
            merged.append(chosen)
    storage.save(ours, merged, test=storage.header(ours) or storage.header(theirs) or "")
    return conflicts


def merge_as_text(base: Path, ours: Path, theirs: Path) -> int:
    """Merge what is no cassette as git does without a driver: conflict markers where both changed a line.

    Returns:
        0 where it went well, as git wants it of a driver.
    """
    sides = ("ours", "base", "theirs")
    labels = [word for side in sides for word in ("-L", side)]
    done = subprocess.run(["git", "merge-file", "-q", *labels, str(ours), str(base), str(theirs)], check=False)
    return min(done.returncode, 127)  # more would mean to git that the driver failed


def as_it_is(path: Path, error: CassetteError) -> str:
    """The text of a file that is no cassette.

    Raises:
        CassetteError: `error`, where there is no text.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise error from None


def _identified(path: Path) -> Identified:
    if not path.exists() or not path.read_bytes().strip():  # both sides added the file: there is no base
        return {}
    return dict(storage.occurrences(storage.load(path)))


def as_text(entries: Sequence[Interaction]) -> str:
    """Interactions as prose: who was asked what, and what came back; without keys, times and encodings."""
    blocks = []
    for number, entry in enumerate(entries, 1):
        request, response = entry["request"], entry["response"]
        error = response.get("error")
        lines = [
            f"--- {number}. {request.get('method')} {request.get('url')}"
            + (f", model {request['model']}" if request.get("model") else "")
            + (" (judge)" if entry.get("role") == "judge" else ""),
            *_body(request.get("body")),
            f"--- answer {number}: "
            + (f"{error['type']}: {error['message']}" if error else str(response.get("status"))),
            *_body(response.get("body")),
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _body(body: dict[str, Any] | None) -> list[str]:
    if body is None:
        return ["(no body)"]
    if "json" in body:
        # Long strings in lines of their own, so that a diff shows the sentence and not the whole prompt.
        return json.dumps(body["json"], indent=2, ensure_ascii=False).replace("\\n", "\n").splitlines()
    kind, value = next(iter(body.items()))
    if isinstance(value, list):
        return [line for part in value for line in str(part).splitlines() or [""]]
    return [f"({kind}, {len(str(value))} characters)"]


def differences(before: Sequence[Interaction], after: Sequence[Interaction]) -> list[list[str]]:
    """What a cassette has gained and lost, and what is asked or answered differently, each as lines to print.

    A request that is new is shown beside one that is gone where both went to the same model and address.
    """
    old, new = dict(storage.occurrences(before)), dict(storage.occurrences(after))
    gone = [entry for identity, entry in old.items() if identity not in new]
    found = []
    for identity, entry in new.items():
        if identity in old:
            if old[identity]["response"] != entry["response"]:
                found.append(["answered differently:", *_unified(old[identity], entry)])
            continue
        same = next((other for other in gone if _addressed(other) == _addressed(entry)), None)
        if same is None:
            found.append(["new:", *_marked("+", entry)])
        else:
            gone.remove(same)
            found.append(["asked differently:", *_unified(same, entry)])
    return found + [["gone:", *_marked("-", entry)] for entry in gone]


def _addressed(entry: Interaction) -> tuple[Any, ...]:
    return entry["request"].get("url"), entry["request"].get("model"), entry.get("role")


def _marked(sign: str, entry: Interaction) -> list[str]:
    return [f"  {sign} {line}" for line in as_text([entry]).splitlines()]


def _unified(old: Interaction, new: Interaction) -> list[str]:
    lines = list(unified_diff(as_text([old]).splitlines(), as_text([new]).splitlines(), lineterm="", n=2))[2:]
    head = as_text([new]).partition("\n")[0]
    shown = [f"    {line[1:]}" if line.startswith(" ") else f"  {line[0]} {line[1:]}" for line in lines]
    return [f"  {head}", *("    …" if line.startswith("  @ @") else line for line in shown)]


def checked(path: Path) -> list[Interaction]:
    """The interactions of one of our cassettes; an empty list for the empty file git names for a missing side."""
    if str(path) == "/dev/null" or (path.exists() and path.stat().st_size == 0):
        return []
    if not path.exists():
        raise CassetteError(f"{path}: there is no such file")
    return storage.load(path)
