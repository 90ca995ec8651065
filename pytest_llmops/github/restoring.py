"""Whose recordings a run goes on from: its branch's, those merged into it since, its own pull request's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from pytest_llmops.errors import ArtifactError, GitHubError, LlmopsError
from pytest_llmops.github import artifacts, recordings, rest
from pytest_llmops.github.context import Context

PULLS = "pull-requests: read"
MOST_MERGED = 20
"""Pull requests that a run takes over; the next run's list begins where this one's was complete."""
CLOSED_LOOKED_AT = 200
"""Closed pull requests of a branch, the last updated first, among which those merged since are looked for."""
RUNS_OF_A_MERGED = 5
"""The newest run of a pull request has all of its recordings; one that was cancelled has none."""
COMMITS_OF_A_GROUP = 30


@dataclass(slots=True)
class Restored:
    """What became of a restore, a sentence each.

    Args:
        done: what was put in place, for the log.
        notes: what a reader should know.
        problems: what could not be had, and may be missed.
        complete: everything that was merged is in; what this run hands on need not be looked for again.
    """

    done: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    complete: bool = True


class _Merged(NamedTuple):
    """A pull request of this repository; `at` None where it is not merged yet."""

    number: int
    branch: str
    at: datetime | None


def restore(client: rest.Client, context: Context, root: Path, name: str) -> Restored:
    """Fetch the recordings that this run goes on from, and merge them into the working directory.

    Those of the branch (a pull request's base) come first: its newest artifact, and the pull requests merged since its
    run began, whose own push run may never have come. Then the pull request's own, or those of a merge queue's group.
    What cannot be had is told, and missed by no replay that does without.
    """
    restoring = _Restoring(client, context, root, name)
    new = bool(context.branch) and not restoring.branch(context.branch)
    if new and context.fallback and restoring.branch(context.fallback):
        restoring.restored.notes.append(
            f"{context.branch} has no recordings of its own yet: it replays those of {context.fallback}."
        )
    restoring.group()
    pull = context.pull_request
    if pull is not None and pull.head_repository == context.repository:
        restoring.pull(_Merged(pull.number, pull.head_ref, None), artifacts.RUNS_LOOKED_AT)
    return restoring.restored


def restore_attempt(client: rest.Client, context: Context, root: Path, name: str, restored: Restored) -> None:
    """Fetch what the former attempt of this very run recorded, too."""
    restoring = _Restoring(client, context, root, name, restored)
    restoring.put(
        "this run's former attempt",
        lambda: _member(artifacts.read(client, context, context.run_id, name, recordings.MEMBER)),
    )


@dataclass(slots=True)
class _Restoring:
    client: rest.Client
    context: Context
    root: Path
    name: str
    restored: Restored = field(default_factory=Restored)
    answers: bool = True
    """Whether GitHub does; where it does not, it is not asked for twenty pull requests more."""

    def put(self, source: str, fetch: Callable[[], bytes | None]) -> bool:
        """Fetch and apply; whether there was something."""
        try:
            content = fetch()
            changed = recordings.apply(self.root, recordings.load(content)) if content is not None else 0
        except LlmopsError as error:
            self.restored.problems.append(f"The recordings of {source} could not be restored: {error}")
            self.restored.complete = False
            self.answers = self.answers and (not isinstance(error, GitHubError) or isinstance(error, ArtifactError))
            return False
        if changed:
            self.restored.done.append(f"{changed} recording{'s' * (changed != 1)} restored from {source}.")
        return content is not None

    def branch(self, branch: str) -> bool:
        """What a branch's runs have, and what was merged into it since; whether there was anything."""
        found: list[tuple[artifacts.Run, bytes]] = []

        def newest() -> bytes | None:
            for run, content in self._of_branch(branch):
                found.append((run, content))
                if recordings.complete(content):  # one that missed a pull request leaves it to the next
                    break
            return found[0][1] if found else None

        known = self.put(f"branch {branch}", newest)
        since = next((run.created for run, content in found if recordings.complete(content)), None)
        return self._merged(branch, since) or known

    def _of_branch(self, branch: str) -> Iterator[tuple[artifacts.Run, bytes]]:
        for run in artifacts.own_runs(self.client, self.context, branch=branch, event="push"):
            content = _member(artifacts.read(self.client, self.context, run.id, self.name, recordings.MEMBER))
            if content is not None:
                yield run, content

    def _merged(self, branch: str, since: datetime | None) -> bool:
        """Take over what was merged into a branch since; whether anything was."""
        try:
            found = list(_merged_into(self.client, self.context, branch, since)) if self.answers else []
        except GitHubError as error:
            self._not_asked(f"which pull requests were merged into {branch}", error)
            return False
        if len(found) > MOST_MERGED and since is not None:
            self.restored.problems.append(
                f"{len(found)} pull requests were merged into {branch} since its newest recordings; those of the "
                f"newest {MOST_MERGED} were restored."
            )
        newest = sorted(found, key=lambda one: str(one.at))[-MOST_MERGED:]
        had = [self.pull(one, RUNS_OF_A_MERGED) for one in newest if self.answers]
        return any(had)

    def pull(self, pull: _Merged, runs: int) -> bool:
        """What the newest so many runs of a pull request have; whether there was anything."""
        return self.put(
            f"pull request #{pull.number}", lambda: of_runs(self.client, self.context, self.name, pull, runs)
        )

    def group(self) -> None:
        """What the pull requests of a merge queue's group have recorded."""
        if self.context.group is None:
            return
        numbers = [*self.context.group]
        try:
            numbers += _in_group(self.client, self.context)
        except GitHubError as error:
            self._not_asked("which pull requests are in this group of the merge queue", error)
        for number in dict.fromkeys(numbers):
            try:
                entry = self.client.get(f"/repos/{self.context.repository}/pulls/{number}", needs=PULLS)
            except GitHubError as error:
                self._not_asked(f"whose branch pull request #{number} is", error)
                continue
            if _own(entry, self.context):
                self.pull(_Merged(number, str(entry["head"]["ref"]), None), RUNS_OF_A_MERGED)

    def _not_asked(self, what: str, error: GitHubError) -> None:
        self.restored.complete = False
        self.restored.problems.append(
            f"It could not be asked {what}; what they recorded is not replayed here. {error} (permission `{PULLS}`)"
        )


def _member(read: dict[str, bytes] | None) -> bytes | None:
    return read.get(recordings.MEMBER) if read is not None else None


def _own(entry: Any, context: Context) -> bool:
    """Whether an entry of the API's is a pull request from this repository: only those record."""
    return bool(((entry.get("head") or {}).get("repo") or {}).get("full_name") == context.repository)


def _merged_into(client: rest.Client, context: Context, branch: str, since: datetime | None) -> Iterator[_Merged]:
    path = f"/repos/{context.repository}/pulls"
    query = {"state": "closed", "base": branch, "sort": "updated", "direction": "desc"}
    for entry in islice(client.pages(path, needs=PULLS, **query), CLOSED_LOOKED_AT):
        updated, merged = _time(entry.get("updated_at")), _time(entry.get("merged_at"))
        if since is not None and updated is not None and updated < since:
            return  # nor was any of those that follow
        base = (entry.get("base") or {}).get("ref")
        if merged is not None and (since is None or merged >= since) and base == branch and _own(entry, context):
            yield _Merged(int(entry["number"]), str(entry["head"]["ref"]), merged)


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None


def _in_group(client: rest.Client, context: Context) -> Iterator[int]:
    """Numbers of the pull requests whose commits the group adds to the branch, those ahead in the queue included."""
    path = f"/repos/{context.repository}/compare/{quote(context.branch)}...{context.sha}"
    for commit in client.get(path).get("commits", ())[-COMMITS_OF_A_GROUP:]:
        title = str((commit.get("commit") or {}).get("message", "")).partition("\n")[0]
        # What the queue itself wrote: a squashed commit is no pull request's to GitHub until it is merged.
        written = re.search(r"^Merge pull request #(\d+) from |\(#(\d+)\)$", title)
        if written:
            yield int(written[1] or written[2])
            continue
        of_commit = f"/repos/{context.repository}/commits/{commit['sha']}/pulls"
        yield from (int(entry["number"]) for entry in client.pages(of_commit, needs=PULLS))


def of_runs(client: rest.Client, context: Context, name: str, pull: _Merged, limit: int) -> bytes | None:
    """The newest recordings of a pull request's runs, of those up to its merge."""
    runs = artifacts.own_runs(client, context, branch=pull.branch, event="pull_request")
    own = (run for run in runs if pull.at is None or run.created is None or run.created <= pull.at)
    for run in islice(own, limit):
        content = _member(artifacts.read(client, context, run.id, name, recordings.MEMBER))
        if content is not None:
            return content
    return None


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
    found = of_runs(client, context, name, _Merged(pull.number, pull.head_ref, None), artifacts.RUNS_LOOKED_AT)
    if found is None:
        which = f" of {context.workflow}" if context.workflow else ""
        raise GitHubError(
            f"no run{which} for #{pull.number} has recordings ({name}): nothing new was recorded, or "
            "they expired (input retention-days)"
        )
    return found
