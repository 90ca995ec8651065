"""A merge queue's groups, branches without runs of their own yet, and one branch of two pull requests."""

from __future__ import annotations

import json
from typing import Any

from tests.action.conftest import KEY, SHA, Shop
from tests.action.hub import READ_ONLY
from tests.action.runner import Job

DEFAULT = {"repository": {"default_branch": "main"}}


def recorded(shop: Shop, number: int, branch: str, prompt: str, **how: Any) -> None:
    shop.file("prompt.txt", prompt)
    job = shop.pull_request(number, branch, **how)
    assert job.outputs["conclusion"] == "success", job.log
    shop.forget_recordings()


def queued(shop: Shop, number: int) -> Job:
    head = f"gh-readonly-queue/main/pr-{number}-{'a' * 40}"
    group = {"base_ref": "refs/heads/main", "base_sha": "a" * 40, "head_ref": f"refs/heads/{head}", "head_sha": SHA}
    return shop.use("merge_group", {"merge_group": group, **DEFAULT}, env=KEY, ref=head)


def test_a_merge_queues_group_replays_what_its_pull_requests_recorded(shop: Shop, main: Shop) -> None:
    recorded(shop, 7, "tell", "Tell me: ")
    paid = len(shop.provider.requests)
    job = queued(shop, 7)
    assert (job.conclusion, job.outputs["conclusion"]) == ("success", "success"), job.log
    assert job.outputs["baseline-sha"] == "a" * 40
    assert "record mode: none" in job.log
    assert len(shop.provider.requests) == paid


def test_a_group_has_the_recordings_of_those_ahead_in_the_queue(shop: Shop, main: Shop) -> None:
    recorded(shop, 7, "tell", "Tell me: ")
    shop.hub.pull(8, "other", sha="d" * 40)
    shop.hub.pull(9, "fork", head="mallory/shop", sha="f" * 40)
    told = [("Merge pull request #7 from octo/tell", "1" * 40)], [("Shorter (#7)", "2" * 40)], [("Shorter", "3" * 40)]
    shop.hub.merged["3" * 40] = [7, 9]
    for commits in told:
        shop.hub.commits = [{"sha": sha, "commit": {"message": f"{title}\n\nbody"}} for title, sha in commits]
        job = queued(shop, 8)
        assert (job.conclusion, job.outputs["conclusion"]) == ("success", "success"), job.log
        shop.forget_recordings()
    assert any("/compare/main..." in request.path for request in shop.hub.requests)
    assert not [request for request in shop.hub.requests if request.query.get("branch") == "fork"]


def test_a_miss_in_the_merge_queue_is_red(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "Tell me: ")
    shop.hub.pull(7, "tell", sha=SHA)
    job = queued(shop, 7)
    assert (job.conclusion, job.outputs["conclusion"]) == ("failure", "failure"), job.log
    assert not shop.provider.requests


def test_a_baseline_that_the_group_edits_counts(shop: Shop, main: Shop) -> None:
    made = shop.use("workflow_dispatch", {}, env=KEY, inputs={"update-baseline": "true"})
    assert made.conclusion == "success", made.log
    shop.hub.pull(7, "tell", sha=SHA)
    shop.hub.files[0] = ["baseline.json"]
    job = queued(shop, 7)
    assert (job.conclusion, job.outputs["baseline-sha"]) == ("success", ""), job.log


def test_a_new_branch_goes_on_from_the_default_branch(shop: Shop, main: Shop) -> None:
    recorded(shop, 7, "tell", "Tell me: ")
    shop.hub.merge(7, "10:01")
    merged = shop.push(at="10:02", sha="9" * 40)
    assert merged.conclusion == "success", merged.log
    shop.forget_recordings()
    for job in (shop.push(branch="release"), shop.use("workflow_dispatch", DEFAULT, env=KEY, ref="other")):
        assert (job.conclusion, job.outputs["conclusion"]) == ("success", "success"), job.log
        assert job.outputs["baseline-sha"] == "9" * 40
        assert "has no recordings of its own yet: it replays those of main" in job.log
        assert "has no baseline of its own yet: compared with main's" in job.log
        shop.forget_recordings()
    again = shop.push(branch="release", sha="8" * 40)
    assert again.conclusion == "success", again.log
    assert "compared with main" not in again.log


def test_two_pull_requests_of_one_branch_have_a_comment_each(shop: Shop, main: Shop) -> None:
    fork = {"head": "mallory/shop", "sha": SHA}
    for number in (8, 7):
        shop.hub.pull(number, "patch-1", **fork)
    shop.hub.pulls[8]["base"]["ref"] = "release"
    shop.hub.pull(9, "patch-2", **fork)  # not this branch's, whatever the artifact says
    for number, expected in ((8, [8]), (7, [7, 8])):
        job = shop.pull_request(number, "patch-1", key=False, token=READ_ONLY, **fork)
        assert job.outputs["conclusion"] == "success", job.log
        commented = shop.comment_job(shop.runs)
        assert commented.conclusion == "success", commented.log
        assert sorted(shop.hub.comments) == expected
        assert f"/pull/{number}#" in commented.outputs["comment-url"]
    run = shop.runs
    members = shop.hub.members(run - 1, "llm-report")
    view = json.loads(members["view.json"]) | {"pull_request": 9}
    shop.hub.artifact(run - 1, "llm-report", {**members, "view.json": json.dumps(view)})
    shop.comment_job(run - 1)
    assert 9 not in shop.hub.comments
