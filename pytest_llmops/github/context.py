"""What GitHub says of the run: whose pull request, which branch, which workflow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmops.errors import SettingsError

DEPENDABOT = "dependabot[bot]"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """The pull request that a run is about.

    Args:
        head_repository: None where it was deleted.
        author: its login.
    """

    number: int
    head_sha: str
    head_ref: str
    base_ref: str
    head_repository: str | None
    author: str = ""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The run that a ``workflow_run`` event tells of."""

    id: int
    event: str
    head_sha: str
    head_branch: str
    head_repository: str | None


@dataclass(frozen=True, slots=True)
class Context:
    """The run, from the runner's variables and the event's payload.

    Args:
        workflow: file name of the workflow, as the API takes it.
        branch: whose recordings and baseline count: the pull request's or merge group's base, else the branch itself.
        before: what a push, or a merge queue's group, is added to: a commit, or the branch.
        group: on a merge queue's run, the numbers that its branch names; None on any other.
    """

    event: str
    repository: str
    run_id: int
    attempt: int = 1
    workflow: str = ""
    sha: str = ""
    branch: str = ""
    before: str | None = None
    default_branch: str = ""
    group: tuple[int, ...] | None = None
    server_url: str = "https://github.com"
    api_url: str = "https://api.github.com"
    workspace: Path = Path()
    pull_request: PullRequest | None = None
    finished: FinishedRun | None = None

    @property
    def run_url(self) -> str:
        """The page of this run."""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"

    @property
    def fallback(self) -> str:
        """The branch that counts where a new one has nothing of its own yet; empty: none does."""
        new = self.event in ("push", "workflow_dispatch") and self.default_branch != self.branch
        return self.default_branch if new else ""

    @property
    def foreign(self) -> bool:
        """Whether the code is not this repository's own: a fork's, or Dependabot's, which gets no secrets either."""
        pull = self.pull_request
        return pull is not None and (pull.head_repository != self.repository or pull.author == DEPENDABOT)


def read(environ: Mapping[str, str]) -> Context:
    """The context of this run.

    Raises:
        SettingsError: not a runner's environment.
    """
    try:
        repository, event = environ["GITHUB_REPOSITORY"], environ["GITHUB_EVENT_NAME"]
        payload = _payload(Path(environ["GITHUB_EVENT_PATH"]))
        run_id = int(environ["GITHUB_RUN_ID"])
    except KeyError as error:
        raise SettingsError(
            f"{error.args[0]} is not set: this command is for the steps of the GitHub Action."
        ) from None
    pull = _pull_request(payload.get("pull_request"))
    branch = _branch(event, payload, pull, environ)
    return Context(
        event=event,
        repository=repository,
        run_id=run_id,
        attempt=int(environ.get("GITHUB_RUN_ATTEMPT") or 1),
        # octo/app/.github/workflows/llm.yml@refs/pull/7/merge
        workflow=environ.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].rpartition("/")[2],
        sha=environ.get("GITHUB_SHA", ""),
        branch=branch,
        # A group's own base may be the group ahead of it in the queue, which is not merged either.
        before={"push": payload.get("before"), "merge_group": branch}.get(event),
        default_branch=str((payload.get("repository") or {}).get("default_branch") or ""),
        group=_group(payload.get("merge_group") or {}, branch) if event == "merge_group" else None,
        server_url=environ.get("GITHUB_SERVER_URL") or "https://github.com",
        api_url=environ.get("GITHUB_API_URL") or "https://api.github.com",
        workspace=Path(environ.get("GITHUB_WORKSPACE") or "."),
        pull_request=pull,
        finished=_finished(payload.get("workflow_run")) if event == "workflow_run" else None,
    )


def _payload(path: Path) -> dict[str, Any]:
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: the event cannot be read: {error}") from None
    return payload if isinstance(payload, dict) else {}


def _branch(event: str, payload: Mapping[str, Any], pull: PullRequest | None, environ: Mapping[str, str]) -> str:
    if pull is not None:
        return pull.base_ref
    if event == "merge_group":
        return str((payload.get("merge_group") or {}).get("base_ref", "")).removeprefix("refs/heads/")
    return environ.get("GITHUB_REF_NAME", "")


def _group(found: Mapping[str, Any], branch: str) -> tuple[int, ...]:
    """What the queue's branch (``gh-readonly-queue/main/pr-7-…``) tells of its pull requests: the last one's number."""
    head = str(found.get("head_ref", "")).removeprefix("refs/heads/")
    match = re.fullmatch(rf"gh-readonly-queue/{re.escape(branch)}/pr-(\d+)-[0-9a-f]+", head)
    return (int(match[1]),) if match else ()


def _pull_request(found: Mapping[str, Any] | None) -> PullRequest | None:
    if not found:
        return None
    head, base = found["head"], found["base"]
    return PullRequest(
        number=int(found["number"]),
        head_sha=head["sha"],
        head_ref=head["ref"],
        base_ref=base["ref"],
        head_repository=_full_name(head.get("repo")),
        author=str((found.get("user") or {}).get("login", "")),
    )


def _finished(found: Mapping[str, Any] | None) -> FinishedRun | None:
    if not found:
        return None
    return FinishedRun(
        id=int(found["id"]),
        event=str(found.get("event", "")),
        head_sha=str(found.get("head_sha", "")),
        head_branch=str(found.get("head_branch") or ""),
        head_repository=_full_name(found.get("head_repository")),
    )


def _full_name(repository: Mapping[str, Any] | None) -> str | None:
    return str(repository["full_name"]) if repository else None
