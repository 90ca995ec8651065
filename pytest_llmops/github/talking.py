"""What the action writes on GitHub: the sticky comment, the nightly issue, a commit's status."""

from __future__ import annotations

from typing import Any

from pytest_llmops.errors import GitHubError
from pytest_llmops.github import rest
from pytest_llmops.github.context import Context

WORKFLOWS_OWN = "github-actions[bot]"
"""Who speaks with a workflow's own token."""
COMMENTING = "pull-requests: write"
ISSUES = "issues: write"


def speaker(client: rest.Client) -> str:
    """The login that a token writes as."""
    try:
        return str(client.get("/user")["login"])
    except GitHubError:
        pass
    # A user is something an app's token is not; GraphQL knows it all the same.
    try:
        found = client.graphql("query { viewer { login } }")
        login = str(found["data"]["viewer"]["login"])
    except (GitHubError, KeyError, TypeError):
        return WORKFLOWS_OWN
    return login if login.endswith("[bot]") else f"{login}[bot]"


def find_comment(client: rest.Client, context: Context, number: int, marker: str) -> dict[str, Any] | None:
    """Our comment on a pull request, over all pages: by marker and by author, since anybody can write a marker."""
    own = None
    for comment in client.pages(f"/repos/{context.repository}/issues/{number}/comments", needs=COMMENTING):
        if marker in (comment.get("body") or ""):
            own = own or speaker(client)
            if (comment.get("user") or {}).get("login") == own:
                return dict(comment)
    return None


def put_comment(
    client: rest.Client, context: Context, number: int, body: str, marker: str, *, create: bool
) -> str | None:
    """Bring the comment up to date; where there is none, write it if `create` says so.

    Returns:
        Its address; None where there is none, and none was to be made.
    """
    known = find_comment(client, context, number, marker)
    if known is not None:
        if known.get("body") == body:
            return str(known["html_url"])
        path = f"/repos/{context.repository}/issues/comments/{known['id']}"
        try:
            return str(client.send("PATCH", path, {"body": body}, needs=COMMENTING)["html_url"])
        except GitHubError as error:
            if error.status not in (404, 410):
                raise
        # Somebody deleted it since it was listed: as if it had not been there.
    if not create:
        return None
    path = f"/repos/{context.repository}/issues/{number}/comments"
    return str(client.send("POST", path, {"body": body}, needs=COMMENTING)["html_url"])


def put_issue(client: rest.Client, context: Context, title: str, body: str, marker: str, *, bad: bool) -> str | None:
    """Open the one issue of a schedule, bring it up to date, or close it when all is well again.

    Returns:
        Its address; None where there is none and nothing is bad.
    """
    path, own = f"/repos/{context.repository}/issues", speaker(client)
    for issue in client.pages(path, needs=ISSUES, state="open", creator=own):
        mine = (issue.get("user") or {}).get("login") == own and "pull_request" not in issue
        if mine and marker in (issue.get("body") or ""):
            now = {"title": title, "body": body, "state": "open" if bad else "closed"}
            return str(client.send("PATCH", f"{path}/{issue['number']}", now, needs=ISSUES)["html_url"])
    if not bad:
        return None
    return str(client.send("POST", path, {"title": title, "body": body}, needs=ISSUES)["html_url"])


def set_status(client: rest.Client, context: Context, sha: str, *, red: bool, name: str, text: str) -> None:
    """Set a commit's status."""
    state = "failure" if red else "success"
    body = {"state": state, "context": name, "description": text[:140], "target_url": context.run_url}
    client.send("POST", f"/repos/{context.repository}/statuses/{sha}", body, needs="statuses: write")


def pull_requests_of(
    client: rest.Client, context: Context, branch: str, head_repository: str | None, sha: str
) -> list[int]:
    """The open pull requests whose newest commit a finished run tested; several where one branch goes to several.

    A ``workflow_run`` event names none for a fork, and what a fork's artifact says is not to be trusted.
    """
    if head_repository is None:
        return []
    owner = head_repository.partition("/")[0]
    path = f"/repos/{context.repository}/pulls"
    found = []
    for pull in client.pages(path, needs="pull-requests: read", state="open", head=f"{owner}:{branch}"):
        head = pull.get("head") or {}
        same = head.get("sha") == sha and head.get("ref") == branch
        if same and (head.get("repo") or {}).get("full_name") == head_repository:
            found.append(int(pull["number"]))
    return found
