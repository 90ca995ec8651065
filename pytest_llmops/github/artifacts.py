"""Which run's artifact counts: never a fork's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from pytest_llmops.errors import GitHubError
from pytest_llmops.github import rest
from pytest_llmops.github.context import Context

NEEDS = "actions: read"
RUNS_LOOKED_AT = 30
"""A run without the artifact is passed over; further back than this its artifacts have long expired."""
RUNS_LISTED = 1000
"""Among which our own are looked for: a fork's branch may have our branch's name, and any number of runs."""
GONE = (404, 410)
"""What GitHub, or the host that keeps the file, answers for an artifact that was listed and is no more."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished or running workflow run of this repository's own code."""

    id: int
    sha: str
    branch: str
    created: datetime | None

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Run:
        """From the API's entry."""
        created = entry.get("created_at")
        return cls(
            id=int(entry["id"]),
            sha=str(entry.get("head_sha", "")),
            branch=str(entry.get("head_branch") or ""),
            created=datetime.fromisoformat(created) if created else None,
        )


def own_runs(client: rest.Client, context: Context, *, branch: str, event: str, status: str = "") -> Iterator[Run]:
    """This workflow's newest runs on a branch of this repository, the newest first.

    A fork may name its branch like ours; whose code a run ran tells its `head_repository`.
    """
    query: dict[str, str | int] = {"branch": branch, "event": event}
    if status:
        query["status"] = status
    which = f"workflows/{context.workflow}/runs" if context.workflow else "runs"
    path = f"/repos/{context.repository}/actions/{which}"
    listed = islice(client.pages(path, "workflow_runs", needs=NEEDS, **query), RUNS_LISTED)
    # Asked for already; an answer that does not heed the query must not let a fork's run in.
    own = (
        entry
        for entry in listed
        if entry.get("event") == event
        and entry.get("head_branch") == branch
        and (not status or entry.get("conclusion") == status)
        and (entry.get("head_repository") or {}).get("full_name") == context.repository
    )
    yield from (Run.of(entry) for entry in islice(own, RUNS_LOOKED_AT))


def read(
    client: rest.Client, context: Context, run: int, artifact: str, *names: str, limit: int = rest.LARGEST_MEMBER
) -> dict[str, bytes] | None:
    """Named files of a run's artifact, in memory; None where the run has no such artifact (any more)."""
    path = f"/repos/{context.repository}/actions/runs/{run}/artifacts"
    found = [
        entry
        for entry in client.pages(path, "artifacts", needs=NEEDS, name=artifact)
        if entry.get("name") == artifact and not entry.get("expired")
    ]
    if not found:
        return None
    newest = max(found, key=lambda entry: int(entry["id"]))  # of several attempts the last one's
    try:
        return members(client, context, int(newest["id"]), *names, limit=limit)
    except GitHubError as error:
        if error.status not in GONE:
            raise
        return None  # it expired, or was deleted, since; the list itself could be read


def members(
    client: rest.Client, context: Context, artifact: int, *names: str, limit: int = rest.LARGEST_MEMBER
) -> dict[str, bytes]:
    """Named files of an artifact, in memory; those it lacks are left out."""
    archive = client.download(f"/repos/{context.repository}/actions/artifacts/{artifact}/zip")
    read = {name: rest.member(archive, name, limit=limit) for name in names}
    return {name: content for name, content in read.items() if content is not None}


def named(client: rest.Client, context: Context, run: int, prefix: str) -> dict[str, int]:
    """The ids of a run's artifacts whose names begin so, by name."""
    path = f"/repos/{context.repository}/actions/runs/{run}/artifacts"
    found = {
        str(entry["name"]): int(entry["id"])
        for entry in sorted(client.pages(path, "artifacts", needs=NEEDS), key=lambda entry: int(entry["id"]))
        if str(entry.get("name", "")).startswith(prefix) and not entry.get("expired")
    }
    return dict(sorted(found.items()))
