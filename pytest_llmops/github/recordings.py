"""Recordings that are not committed yet: one JSON file in an artifact, from run to run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_llmops.errors import ArtifactError

MEMBER = "recordings.json"
VERSION = 1
_PASSED_OVER = {".git", ".venv", "venv", "node_modules", "site-packages", ".journal", "__pycache__", ".tox", ".nox"}
_CASSETTE = re.compile(rb'\s*\{\s*"schema":\s*\d+,\s*"test":')
Snapshot = dict[str, str]
"""Path below the working directory, with slashes, to a hash of the cassette there."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A cassette that is not as it was checked out.

    Args:
        base: hash of the file as checked out; None where there was none.
        content: None where it was removed.
    """

    base: str | None
    content: str | None


Pack = dict[str, Recording]


def snapshot(root: Path) -> Snapshot:
    """Every cassette of ours below a folder, wherever the settings put it."""
    return {path.relative_to(root).as_posix(): _digest(path.read_bytes()) for path in _cassettes(root)}


def _cassettes(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER)
        for name in sorted(files):
            path = Path(folder, name)
            if name.endswith(".json") and not path.is_symlink():
                with path.open("rb") as file:
                    if _CASSETTE.match(file.read(200)):
                        yield path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pack(root: Path, checked_out: Snapshot) -> Pack:
    """All cassettes that are not as they were checked out."""
    now = snapshot(root)
    changed = {
        path: Recording(checked_out.get(path), (root / path).read_text(encoding="utf-8"))
        for path, digest in now.items()
        if checked_out.get(path) != digest
    }
    return changed | {path: Recording(base, None) for path, base in checked_out.items() if path not in now}


def dump(recordings: Pack, *, complete: bool = True) -> str:
    """The artifact's file; `complete`: it has what everything merged until then had recorded."""
    files = {path: {"base": one.base, "content": one.content} for path, one in sorted(recordings.items())}
    return json.dumps({"version": VERSION, "complete": complete, "files": files}, ensure_ascii=False)


def complete(content: bytes) -> bool:
    """Whether an artifact's file has what everything merged until then had recorded."""
    try:
        return bool(json.loads(content).get("complete", True))
    except (ValueError, AttributeError):
        return False


def load(content: bytes) -> Pack:
    """Read an artifact's file.

    Raises:
        ArtifactError: it is none, or names files outside of the working directory.
    """
    try:
        document = json.loads(content)
        if document["version"] != VERSION:
            raise ArtifactError(f"{MEMBER} is of version {document['version']!r}, this one reads {VERSION}")
        found = {_inside(path): Recording(one["base"], one["content"]) for path, one in document["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{MEMBER} in the artifact cannot be read: {error}") from None
    if not all(isinstance(one.content, str | None) and isinstance(one.base, str | None) for one in found.values()):
        raise ArtifactError(f"{MEMBER} in the artifact cannot be read: a cassette that is no text")
    return found


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path.endswith(".json") or path.startswith("/") or {"..", ".git", ".github"} & set(parts) or "\\" in path:
        raise ArtifactError(f"{MEMBER} names {path!r}, which is no cassette of the working directory; nothing restored")
    return path


def apply(root: Path, recordings: Pack, *, keep: bool = True) -> int:
    """Put recordings into the working directory.

    Where there is a file already, both are merged: of two answers to one request the newer counts, all others stay.
    Without `keep`, a file that is still what was recorded from becomes what the run left of it.

    Returns:
        How many files changed.

    Raises:
        ArtifactError: a path leaves the working directory by a symbolic link.
        CassetteError: one of them is no cassette.
    """
    changed = 0
    for path, one in recordings.items():
        target = root / path
        if not target.resolve().is_relative_to(root.resolve()):
            raise ArtifactError(f"{path} lies outside of the working directory; nothing restored there")
        here = _digest(target.read_bytes()) if target.is_file() else None
        same = here == one.base
        if here is None and not same:
            continue  # removed by a commit since
        if one.content is not None and _digest(one.content.encode()) != here:
            _put(target, one.content, new=here is None or (same and not keep))
            changed += here is None or _digest(target.read_bytes()) != here
        elif one.content is None and same and here is not None and not keep:
            target.unlink()
            changed += 1
    return changed


def _put(target: Path, content: str, *, new: bool) -> None:
    from pytest_llmops.cassettes import merging, storage

    with tempfile.TemporaryDirectory() as folder:
        theirs = Path(folder, target.name)
        theirs.write_text(content, encoding="utf-8")
        if new:
            storage.save(target, storage.load(theirs), test=storage.header(theirs) or "")
            # Byte for byte: what is not changed is not packed again.
            target.write_text(content, encoding="utf-8")
            return
        # No base for the merge: what is committed would be dropped for what was recorded from it, and a revert miss.
        nothing = Path(folder, "base.json")
        nothing.touch()
        merging.merge(nothing, target, theirs)
