"""``pytest-llmops cassettes pull``: a pull request's recordings, into a checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from pytest_llmops.errors import GitHubError
from pytest_llmops.github import recordings, rest, restoring
from pytest_llmops.github.context import Context, PullRequest


def pull(number: int, root: Path, repository: str | None, workflow: str | None, report_name: str) -> str:
    """Fetch a pull request's newest recordings into `root`, the folder that ``working-directory`` names.

    The repository (``owner/name``) is the git remote's by default; the workflow any that has run for the pull request.

    Returns:
        What was done, for people.

    Raises:
        GitHubError: no such pull request, no recordings, no token that may read them.
    """
    repository = repository or _remote(root)
    api = os.environ.get("GITHUB_API_URL") or "https://api.github.com"
    client = rest.Client(api, _token())
    found = client.get(f"/repos/{repository}/pulls/{number}", needs="pull-requests: read")
    head = found["head"]
    target = PullRequest(
        number, head["sha"], head["ref"], found["base"]["ref"], (head.get("repo") or {}).get("full_name")
    )
    here = Context(event="pull_request", repository=repository, run_id=0, workflow=workflow or "", pull_request=target)
    content = restoring.of_pull_request(client, here, f"{report_name}-cassettes")
    before = recordings.snapshot(root)
    changed = recordings.apply(root, recordings.load(content), keep=False)
    after = recordings.snapshot(root)
    files = sorted({path for path in before.keys() | after.keys() if before.get(path) != after.get(path)})
    lines = [f"{'removed' if path not in after else 'wrote'} {path}" for path in files]
    if not changed:
        return f"Everything that #{number} recorded is here already."
    lines.append(f"{changed} cassette{'s' * (changed != 1)} of #{number}; look at them (git diff) and commit them.")
    return "\n".join(lines)


def _remote(root: Path) -> str:
    done = _run("git", "-C", str(root), "remote", "get-url", "origin")
    match = re.search(r"[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", done)
    if not match:
        raise GitHubError("the git remote 'origin' names no repository of GitHub: add --repository OWNER/NAME")
    return match[1]


def _token() -> str:
    """Artifacts are only given to who logs in, also those of a public repository."""
    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN") or _run("gh", "auth", "token")
    if not token:
        raise GitHubError("artifacts need a token: log in with `gh auth login`, or set GITHUB_TOKEN")
    return token


def _run(*command: str) -> str:
    program = shutil.which(command[0])
    if program is None:
        return ""
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
