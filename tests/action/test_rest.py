"""The REST client and what it writes, against the fake."""

from __future__ import annotations

import dataclasses
import io
import json
import time
import zipfile

import pytest

from pytest_llmops.errors import ArtifactError, GitHubError
from pytest_llmops.github import artifacts, baselines, rest, talking
from pytest_llmops.github.context import Context, PullRequest
from tests.action.hub import APP, OWN, READ_ONLY, REPOSITORY, Hub

HERE = Context(event="pull_request", repository=REPOSITORY, run_id=1, workflow="llm.yml", branch="main")
MARKER = "<!-- pytest-llmops:default -->"
PATH = f"/repos/{REPOSITORY}"


@pytest.fixture
def client(hub: Hub) -> rest.Client:
    return rest.Client(hub.url, OWN)


def test_one_comment_among_150_others_with_forged_markers(hub: Hub, client: rest.Client) -> None:
    for number in range(150):
        hub.comment(7, "mallory" if number % 3 else "github-actions[bot]", f"comment {number}")
    hub.comments[7][20] |= {"user": {"login": "mallory"}, "body": f"forged\n{MARKER}"}
    hub.comments[7][30] |= {"user": {"login": "github-actions"}, "body": f"forged\n{MARKER}"}
    hub.comments[7][40] |= {"user": {"login": "other-app[bot]"}, "body": f"forged\n{MARKER}"}
    hub.comments[7][50] |= {"user": {"login": "github-actions[bot]"}, "body": "<!-- pytest-llmops:other -->"}
    first = talking.put_comment(client, HERE, 7, f"one\n{MARKER}\n", MARKER, create=True)
    second = talking.put_comment(client, HERE, 7, f"two\n{MARKER}\n", MARKER, create=True)
    assert first == second
    assert len(hub.comments[7]) == 151
    assert hub.comments[7][-1]["body"] == f"two\n{MARKER}\n"
    assert [hub.comments[7][n]["body"] for n in (20, 30, 40)] == [f"forged\n{MARKER}"] * 3
    asked = len(hub.requests)
    talking.put_comment(client, HERE, 7, f"two\n{MARKER}\n", MARKER, create=True)
    assert {request.method for request in hub.requests[asked:]} <= {"GET", "POST"}
    assert not any(request.method == "PATCH" for request in hub.requests[asked:]), "nothing changed"


def test_an_apps_and_a_users_comments_are_their_own(hub: Hub) -> None:
    hub.tokens["ghp_ana"] = hub.tokens[APP].__class__("ana", {"pull-requests"}, is_user=True)
    for token in (OWN, APP, "ghp_ana"):
        for text in ("one", "two"):
            talking.put_comment(rest.Client(hub.url, token), HERE, 7, f"{text}{MARKER}", MARKER, create=True)
    assert [(c["user"]["login"], c["body"]) for c in hub.comments[7]] == [
        ("github-actions[bot]", f"two{MARKER}"),
        ("octo-recorder[bot]", f"two{MARKER}"),
        ("ana", f"two{MARKER}"),
    ]


def test_no_comment_where_none_is_to_be_made(hub: Hub, client: rest.Client) -> None:
    assert talking.put_comment(client, HERE, 7, f"one{MARKER}", MARKER, create=False) is None
    assert not hub.comments


def test_a_comment_that_was_deleted_since_it_was_listed_is_written_anew(hub: Hub, client: rest.Client) -> None:
    gone = talking.put_comment(client, HERE, 7, f"one{MARKER}", MARKER, create=True)
    hub.refuse("PATCH", r"/issues/comments/\d+", 404, "Not Found")
    assert talking.put_comment(client, HERE, 7, f"two{MARKER}", MARKER, create=False) is None
    assert talking.put_comment(client, HERE, 7, f"two{MARKER}", MARKER, create=True) not in (None, gone)
    assert [comment["body"] for comment in hub.comments[7]] == [f"one{MARKER}", f"two{MARKER}"]


def test_all_pages(hub: Hub, client: rest.Client) -> None:
    hub.files[7] = [f"file{n}" for n in range(250)]
    entries = list(client.pages(f"{PATH}/pulls/7/files"))
    assert [entry["filename"] for entry in entries] == hub.files[7]
    assert len(hub.requests) == 3


def test_a_next_page_elsewhere_is_not_asked_for_with_the_token(hub: Hub, client: rest.Client) -> None:
    hub.refuse("GET", "/files$", 200, link='<https://evil.example/page2>; rel="next"')
    with pytest.raises(GitHubError, match="another host"):
        list(client.pages(f"{PATH}/pulls/7/files"))


def test_refusals_say_what_to_do(hub: Hub) -> None:
    fork = rest.Client(hub.url, READ_ONLY)
    with pytest.raises(GitHubError, match="permissions need `pull-requests: write`") as refused:
        talking.put_comment(fork, HERE, 7, MARKER, MARKER, create=True)
    assert refused.value.status == 403
    with pytest.raises(GitHubError, match="not found, or the token may not see it"):
        fork.get(f"{PATH}/pulls/999")
    with pytest.raises(GitHubError, match="token is not valid"):
        rest.Client(hub.url, "expired").get(f"{PATH}/pulls/999")
    with pytest.raises(GitHubError, match="body is too long") as refused:
        talking.put_comment(rest.Client(hub.url, OWN), HERE, 7, "x" * 70_000, MARKER, create=True)
    assert refused.value.status == 422


def test_the_rate_limit_is_named(hub: Hub, client: rest.Client) -> None:
    hub.refuse("GET", "/pulls", 403, "API rate limit exceeded", retry_after="3600")
    with pytest.raises(GitHubError, match="rate limit is used up; try again in 3600 s"):
        client.get(f"{PATH}/pulls")
    assert len(hub.requests) == 1, "nobody waits an hour for it"


def test_a_limit_that_passes_is_waited_for_as_long_as_github_says(hub: Hub) -> None:
    waited: list[float] = []
    client = rest.Client(hub.url, OWN, sleep=waited.append)
    hub.refuse("GET", "/pulls", 403, "You have exceeded a secondary rate limit", times=1, retry_after="7")
    assert client.get(f"{PATH}/pulls") == []
    now = time.time()
    soon = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(int(now) + 20)}
    hub.refuse("GET", "/pulls", 403, "API rate limit exceeded", times=1, **soon)
    assert client.get(f"{PATH}/pulls") == []
    assert waited[0] == 7
    assert 19 - (time.time() - now) <= waited[1] <= 21
    # All in all a minute, then it is told.
    hub.refuse("GET", "/pulls", 429, "Too many", retry_after="20")
    with pytest.raises(GitHubError, match="rate limit"):
        client.get(f"{PATH}/pulls")
    assert sum(waited) <= rest.PATIENCE


def test_a_comment_over_the_limit_was_not_written_and_is_tried_again(hub: Hub, client: rest.Client) -> None:
    hub.refuse("POST", "/comments$", 403, "You have exceeded a secondary rate limit", times=1, retry_after="0")
    assert talking.put_comment(client, HERE, 7, MARKER, MARKER, create=True)
    assert len(hub.comments[7]) == 1


def test_a_passing_fault_is_tried_again_and_a_comment_is_not_written_twice(hub: Hub) -> None:
    waited: list[float] = []
    client = rest.Client(hub.url, OWN, sleep=waited.append)
    hub.refuse("GET", "/pulls$", 502, times=3)
    hub.refuse("POST", "/comments$", 502, times=1)
    assert client.get(f"{PATH}/pulls") == []
    assert 0 < sum(waited) < 5
    with pytest.raises(GitHubError, match="answered 502"):
        talking.put_comment(client, HERE, 7, MARKER, MARKER, create=True)
    assert sum(request.method == "POST" and "comments" in request.path for request in hub.requests) == 1


def test_nobody_listens() -> None:
    with pytest.raises(GitHubError, match="cannot be reached"):
        rest.Client("http://127.0.0.1:9", OWN).get("/user")


def test_the_host_that_keeps_artifacts_does_not_see_the_token(hub: Hub, client: rest.Client) -> None:
    hub.artifact(5, "llm-report", {"run.json": "{}", "other.txt": "x"})
    assert artifacts.read(client, HERE, 5, "llm-report", "run.json", "view.json") == {"run.json": b"{}"}
    (seen,) = hub.at_storage
    assert "authorization" not in seen
    assert OWN not in str(seen)


def test_a_renamed_repository_is_followed_on_its_own_host_only(hub: Hub, client: rest.Client) -> None:
    hub.files[7] = [f"file{n}" for n in range(150)]
    hub.refuse("GET", "^/repos/octo/old/", 301, "Moved Permanently", location=f"{hub.url}{PATH}/pulls/7/files")
    assert len(list(client.pages("/repos/octo/old/pulls/7/files"))) == 150
    number = hub.artifact(5, "llm-report", {"run.json": "{}"})
    zipped = f"{PATH}/actions/artifacts/{number}/zip"
    hub.refuse("GET", "^/repos/octo/older/", 301, "Moved Permanently", location=f"{hub.url}{zipped}")
    assert client.download("/repos/octo/older/zip") == hub.raw(5, "llm-report")
    elsewhere = hub.url.replace("127.0.0.1", "localhost")
    hub.refuse("GET", "^/repos/octo/away/", 301, "Moved Permanently", location=f"{elsewhere}{PATH}/pulls")
    asked = len(hub.requests)
    with pytest.raises(GitHubError, match="Was the repository renamed"):
        client.get("/repos/octo/away/pulls")
    assert len(hub.requests) == asked + 1, "no other host gets the token"
    hub.refuse("POST", "/comments$", 307, "Temporary Redirect", location=f"{hub.url}{PATH}/issues/8/comments")
    with pytest.raises(GitHubError, match="Was the repository renamed"):
        talking.put_comment(client, HERE, 7, MARKER, MARKER, create=True)
    assert not hub.comments


def test_an_archive_that_is_corrupt_or_packed_otherwise_is_told() -> None:
    whole = zipped("run.json", zipfile.ZIP_DEFLATED)
    corrupt = whole[:38] + b"\xff" * 50 + whole[88:]
    for content in (corrupt, whole[:200], zipped("run.json", zipfile.ZIP_LZMA)):
        with pytest.raises(ArtifactError, match="no zip archive that can be read"):
            rest.member(content, "run.json")


def zipped(name: str, method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, json.dumps([n * n for n in range(500)]))
    return buffer.getvalue()


def test_expired_and_missing_artifacts(hub: Hub, client: rest.Client) -> None:
    hub.artifact(5, "llm-report", {"run.json": "old"}, expired=True)
    assert artifacts.read(client, HERE, 5, "llm-report", "run.json") is None
    assert artifacts.read(client, HERE, 6, "llm-report", "run.json") is None


def test_sizes_are_capped(hub: Hub, client: rest.Client) -> None:
    number = hub.raw_artifact(5, "llm-report", b"x" * 3_000_000)
    with pytest.raises(GitHubError, match="larger than 1 MiB"):
        client.download(f"{PATH}/actions/artifacts/{number}/zip", limit=2**20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run.json", b"\0" * 50_000_000)
    assert len(buffer.getvalue()) < 100_000
    with pytest.raises(GitHubError, match="larger than 1 MiB"):
        rest.member(buffer.getvalue(), "run.json", limit=2**20)


def test_a_run_of_a_fork_or_of_another_event_is_no_run_of_ours(hub: Hub, client: rest.Client) -> None:
    hub.run(1, event="push", branch="main", sha="a" * 40)
    hub.run(2, event="push", branch="main", sha="b" * 40, head="mallory/shop")
    hub.run(3, event="pull_request", branch="main", sha="c" * 40)
    hub.run(4, event="push", branch="main", sha="d" * 40, conclusion="failure")
    hub.run(5, event="push", branch="topic", sha="e" * 40)
    found = artifacts.own_runs(client, HERE, branch="main", event="push", status="success")
    assert [run.id for run in found] == [1]


def test_one_issue_is_opened_brought_up_to_date_and_closed(hub: Hub, client: rest.Client) -> None:
    for number in range(120):
        hub.issues.append({"number": number, "state": "open", "user": {"login": "ana"}, "body": MARKER, "html_url": ""})
    assert talking.put_issue(client, HERE, "fine", MARKER, MARKER, bad=False) is None
    opened = talking.put_issue(client, HERE, "bad", f"1{MARKER}", MARKER, bad=True)
    assert talking.put_issue(client, HERE, "bad", f"2{MARKER}", MARKER, bad=True) == opened
    assert len(hub.issues) == 121
    assert hub.issues[-1]["body"] == f"2{MARKER}"
    assert talking.put_issue(client, HERE, "fine", f"3{MARKER}", MARKER, bad=False) == opened
    assert hub.issues[-1]["state"] == "closed"
    assert talking.put_issue(client, HERE, "bad", f"4{MARKER}", MARKER, bad=True) != opened


def test_what_a_pull_request_and_a_push_change(hub: Hub, client: rest.Client) -> None:
    hub.files = {7: [f"file{n}" for n in range(130)], 0: ["baseline.json"]}
    pull = PullRequest(7, "c" * 40, "topic", "main", REPOSITORY)
    assert len(baselines.changed_paths(dataclasses.replace(HERE, pull_request=pull), client).paths) == 130
    push = dataclasses.replace(HERE, event="push", before="a" * 40, sha="b" * 40)
    assert baselines.changed_paths(push, client) == (("baseline.json",), None)
    assert baselines.changed_paths(dataclasses.replace(push, before="0" * 40), client) == ((), None)
    hub.files[0] = [f"file{n}" for n in range(301)]
    many = baselines.changed_paths(push, client)
    assert (len(many.paths), many.unknown) == (300, "GitHub names no more than 300 changed files")
    hub.refuse("GET", "/compare", 404)
    assert "not found" in (baselines.changed_paths(push, client).unknown or "")
