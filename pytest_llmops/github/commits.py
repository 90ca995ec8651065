"""Recordings as a commit on the pull request's branch, made through the API: no checkout, no git credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pytest_llmops.github import rest
from pytest_llmops.github.context import Context, PullRequest
from pytest_llmops.github.recordings import Pack

NEEDS = "contents: write"


def commit(client: rest.Client, context: Context, pull: PullRequest, recordings: Pack, directory: str) -> str:
    """Commit recordings to the pull request's branch; they are relative to a directory of the repository.

    Returns:
        The new commit's hash.

    Raises:
        GitHubError: refused; the branch moved on meanwhile (422), or the token may not write.
    """
    repository = f"/repos/{context.repository}"
    base = client.get(f"{repository}/git/commits/{pull.head_sha}")["tree"]["sha"]
    tree = [_entry(client, repository, _path(directory, path), one.content) for path, one in sorted(recordings.items())]
    made = _post(client, f"{repository}/git/trees", {"base_tree": base, "tree": tree})
    count = len(recordings)
    body = {
        "message": f"Recordings of pull request #{pull.number}: {count} cassette{'s' * (count != 1)}",
        "tree": made["sha"],
        "parents": [pull.head_sha],
    }
    sha = str(_post(client, f"{repository}/git/commits", body)["sha"])
    branch = quote(pull.head_ref, safe="/")
    client.send("PATCH", f"{repository}/git/refs/heads/{branch}", {"sha": sha, "force": False}, needs=NEEDS)
    return sha


def _entry(client: rest.Client, repository: str, path: str, content: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": path, "mode": "100644", "type": "blob", "sha": None}  # None removes it
    if content is not None:
        blob = _post(client, f"{repository}/git/blobs", {"content": content, "encoding": "utf-8"})
        entry["sha"] = blob["sha"]
    return entry


def _post(client: rest.Client, path: str, body: Mapping[str, Any]) -> Any:
    return client.send("POST", path, body, needs=NEEDS)


def _path(directory: str, path: str) -> str:
    return f"{directory}/{path}" if directory else path
