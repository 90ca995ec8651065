"""A pull request's recordings: one JSON file in an artifact, from run to run, until they are committed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pytest_llmops.errors import GitHubError, LlmopsError
from pytest_llmops.github import artifacts, rest
from pytest_llmops.github.context import Context

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


def dump(recordings: Pack) -> str:
    """The artifact's file."""
    files = {path: {"base": one.base, "content": one.content} for path, one in sorted(recordings.items())}
    return json.dumps({"version": VERSION, "files": files}, ensure_ascii=False)


def load(content: bytes) -> Pack:
    """Read an artifact's file.

    Raises:
        GitHubError: it is none, or names files outside of the working directory.
    """
    try:
        document = json.loads(content)
        if document["version"] != VERSION:
            raise GitHubError(f"{MEMBER} is of version {document['version']!r}, this one reads {VERSION}")
        found = {_inside(path): Recording(one["base"], one["content"]) for path, one in document["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GitHubError(f"{MEMBER} in the artifact cannot be read: {error}") from None
    if not all(isinstance(one.content, str | None) and isinstance(one.base, str | None) for one in found.values()):
        raise GitHubError(f"{MEMBER} in the artifact cannot be read: a cassette that is no text")
    return found


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path.endswith(".json") or path.startswith("/") or {"..", ".git", ".github"} & set(parts) or "\\" in path:
        raise GitHubError(f"{MEMBER} names {path!r}, which is no cassette of the working directory; nothing restored")
    return path


def apply(root: Path, recordings: Pack, checked_out: Mapping[str, str]) -> int:
    """Put recordings into the working directory.

    Where the checkout has another file now (committed since), both are merged, and the newer answer counts.

    Returns:
        How many files changed.

    Raises:
        GitHubError: a path leaves the working directory by a symbolic link.
        CassetteError: one of them is no cassette.
    """
    changed = 0
    for path, one in recordings.items():
        target = root / path
        if not target.resolve().is_relative_to(root.resolve()):
            raise GitHubError(f"{path} lies outside of the working directory; nothing restored there")
        here = _digest(target.read_bytes()) if target.is_file() else None
        if one.content is None:
            if here is not None and here == one.base:
                target.unlink()
                changed += 1
        elif _digest(one.content.encode()) != here:
            changed += _put(target, one, here, checked_out.get(path))
    return changed


def _put(target: Path, one: Recording, here: str | None, checked_out: str | None) -> int:
    from pytest_llmops.cassettes import merging, storage

    assert one.content is not None
    if here is None and one.base is not None:
        return 0  # removed by a commit since
    with tempfile.TemporaryDirectory() as folder:
        theirs = Path(folder, target.name)
        theirs.write_text(one.content, encoding="utf-8")
        entries = storage.load(theirs)
        if here is None or here == one.base == checked_out:
            storage.save(target, entries, test=storage.header(theirs) or "")
            # Byte for byte: what is not changed is not packed again.
            target.write_text(one.content, encoding="utf-8")
            return 1
        nothing = Path(folder, "base.json")
        nothing.touch()
        merging.merge(nothing, target, theirs)
    return 1


# -- whose recordings -----------------------------------------------------------------------------------------------


class Restored(NamedTuple):
    """What was put in place, for the log, and what could not be had, for the reader too; a sentence each."""

    done: list[str]
    problems: list[str]


def restore(client: rest.Client, context: Context, root: Path, name: str, checked_out: Snapshot) -> Restored:
    """Fetch the recordings that this run goes on from: the base branch's, then the pull request's own.

    On a push: the branch's own, then those of the pull requests it merged. What cannot be had is told, and missed by
    no replay that does without.
    """
    restored = Restored([], [])
    _restore_from(_sources(client, context, name), root, checked_out, restored)
    return restored


def restore_attempt(
    client: rest.Client, context: Context, root: Path, name: str, checked_out: Snapshot, restored: Restored
) -> None:
    """Fetch what the former attempt of this very run recorded, too."""
    former = _Fetch(client, context, name, run=context.run_id)
    _restore_from([("this run's former attempt", former)], root, checked_out, restored)


def _restore_from(
    sources: Iterable[tuple[str, _Fetch]], root: Path, checked_out: Mapping[str, str], restored: Restored
) -> None:
    for source, fetch in sources:
        try:
            content = fetch()
            changed = apply(root, load(content), checked_out) if content is not None else 0
        except LlmopsError as error:
            restored.problems.append(f"The recordings of {source} could not be restored: {error}")
            continue
        if changed:
            restored.done.append(f"{changed} recording{'s' * (changed != 1)} restored from {source}.")


def _sources(client: rest.Client, context: Context, name: str) -> Iterator[tuple[str, _Fetch]]:
    yield f"branch {context.branch}", _Fetch(client, context, name, branch=context.branch, event="push")
    pull = context.pull_request
    if pull is not None and pull.head_repository == context.repository:
        yield f"pull request #{pull.number}", _Fetch(client, context, name, branch=pull.head_ref, event="pull_request")
    if context.event == "push":
        for number, head in _merged(client, context):
            yield f"pull request #{number}", _Fetch(client, context, name, branch=head, event="pull_request")


@dataclass(frozen=True, slots=True)
class _Fetch:
    client: rest.Client
    context: Context
    name: str
    branch: str = ""
    event: str = ""
    run: int | None = None

    def __call__(self) -> bytes | None:
        if self.run is not None:
            runs = [self.run]
        else:
            found = artifacts.own_runs(self.client, self.context, branch=self.branch, event=self.event)
            runs = [run.id for run in found]
        for run in runs:
            read = artifacts.read(self.client, self.context, run, self.name, MEMBER)
            if read is not None:
                return read.get(MEMBER)
        return None


def _merged(client: rest.Client, context: Context) -> list[tuple[int, str]]:
    """Number and branch of the pull requests from this repository that a push merged."""
    path = f"/repos/{context.repository}/commits/{context.sha}/pulls"
    try:
        return [
            (int(pull["number"]), str(pull["head"]["ref"]))
            for pull in client.pages(path, needs="pull-requests: read")
            if pull.get("merged_at") and (pull["head"].get("repo") or {}).get("full_name") == context.repository
        ]
    except GitHubError:  # without the permission, the recordings of what was merged are missed, no more
        return []


def of_pull_request(client: rest.Client, context: Context, name: str) -> bytes:
    """The newest recordings of a pull request, for ``cassettes pull``.

    Raises:
        GitHubError: it has none, or is a fork's.
    """
    pull = context.pull_request
    assert pull is not None
    if pull.head_repository != context.repository:
        raise GitHubError(
            f"#{pull.number} comes from {pull.head_repository or 'a deleted fork'}, whose runs record nothing. "
            f"Record it here: gh pr checkout {pull.number} && pytest --llm-record=refresh"
        )
    found = _Fetch(client, context, name, branch=pull.head_ref, event="pull_request")()
    if found is None:
        raise GitHubError(
            f"no run of {context.workflow} for #{pull.number} has recordings ({name}): nothing new was recorded, or "
            "they expired (input retention-days)"
        )
    return found
