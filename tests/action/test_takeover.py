"""What was merged: its recordings are taken over, whatever became of its push run, and none is dropped."""

from __future__ import annotations

import json

from tests.action.conftest import SHA, Shop

FORK = "mallory/shop"
OTHER = """
    import pytest
    from app import ask

    @pytest.mark.llm_eval
    def test_other(llm_eval):
        assert llm_eval.run(ask, "Name fact99").text
"""


def recorded(shop: Shop, number: int, branch: str, prompt: str) -> None:
    """A pull request that changes the prompt, and pays for its answers."""
    shop.file("prompt.txt", prompt)
    job = shop.pull_request(number, branch)
    assert job.outputs["conclusion"] == "success", job.log
    shop.forget_recordings()


def test_a_push_run_that_never_came_loses_no_recordings(shop: Shop, main: Shop) -> None:
    recorded(shop, 7, "tell", "Tell me: ")
    shop.file("test_other.py", OTHER)
    recorded(shop, 8, "other", "Answer: ")
    paid = len(shop.provider.requests)
    shop.file("prompt.txt", "Tell me: ")
    # Merged in one minute: the run of the first waited (concurrency), and the second's took its place.
    shop.hub.merge(7, "10:01")
    shop.hub.merge(8, "10:02")
    pushed = shop.push(key=False, at="10:03")
    assert pushed.outputs["conclusion"] == "success", pushed.log
    assert "restored from pull request #7" in pushed.log
    assert "restored from pull request #8" in pushed.log
    # Both are handed on, also to a pull request; what was taken over is not looked for again.
    shop.forget_recordings()
    shop.hub.pulls[7]["updated_at"] = "2026-11-20T12:00:00Z"  # somebody wrote a comment
    asked = len(shop.hub.requests)
    later = shop.pull_request(9, "next", key=False)
    assert later.outputs["conclusion"] == "success", later.log
    assert len(shop.provider.requests) == paid
    assert not [r for r in shop.hub.requests[asked:] if r.query.get("branch") in ("tell", "other")]


def test_a_pull_request_has_what_was_merged_before_mains_run_has_ended(shop: Shop, main: Shop) -> None:
    shop.push(at="10:00")
    recorded(shop, 7, "tell", "Tell me: ")
    paid = len(shop.provider.requests)
    shop.hub.merge(7, "10:01")
    job = shop.pull_request(8, "next", key=False)
    assert job.outputs["conclusion"] == "success", job.log
    assert len(shop.provider.requests) == paid


def test_what_could_not_be_taken_over_is_looked_for_by_the_next_push(shop: Shop, main: Shop) -> None:
    shop.push(at="10:00")
    recorded(shop, 7, "tell", "Tell me: ")
    shop.hub.merge(7, "10:01")
    shop.hub.refuse("GET", "/pulls$", 403, "Resource not accessible by integration", times=1)
    missed = shop.push(key=False, at="10:02")
    assert missed.conclusion == "failure", missed.log
    (warning,) = missed.annotations("warning")
    assert "which pull requests were merged into main" in warning.message
    assert "`pull-requests: read`" in warning.message
    shop.forget_recordings()
    healed = shop.push(key=False, at="10:03")
    assert healed.outputs["conclusion"] == "success", healed.log


def test_a_forks_merged_branch_of_the_same_name_is_no_source(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "Tell me: ")
    shop.hub.pull(7, "tell", head=FORK, sha=SHA)
    shop.hub.run(900, event="pull_request", branch="tell", sha=SHA, head=FORK)
    content = json.dumps({"schema": 1, "test": "x", "interactions": []})
    poisoned = {"version": 1, "files": {"cassettes/x.json": {"base": None, "content": content}}}
    shop.hub.artifact(900, "llm-report-cassettes", {"recordings.json": json.dumps(poisoned)})
    shop.hub.merge(7, "10:01")
    shop.push(key=False, at="10:02")
    assert not (shop.folder / "cassettes/x.json").exists()
    assert not [request for request in shop.hub.requests if request.query.get("branch") == "tell"]


def test_a_branch_that_is_used_again_hands_on_only_what_was_merged(shop: Shop, main: Shop) -> None:
    recorded(shop, 7, "topic", "Tell me: ")
    shop.hub.merge(7, "10:01")
    shop.hub.run(900, event="pull_request", branch="topic", sha=SHA, at="11:00")  # of a later pull request
    shop.hub.artifact(900, "llm-report-cassettes", {"recordings.json": "{}"})
    pushed = shop.push(key=False, at="10:02")
    assert pushed.outputs["conclusion"] == "success", pushed.log


def test_a_revert_finds_the_committed_answers(shop: Shop, main: Shop) -> None:
    recorded(shop, 7, "tell", "Tell me: ")
    paid = len(shop.provider.requests)
    shop.hub.merge(7, "10:01")
    assert shop.push(key=False, at="10:02").outputs["conclusion"] == "success"
    shop.forget_recordings()
    shop.file("prompt.txt", "Answer: ")
    reverted = shop.push(key=False, at="10:03")
    assert reverted.outputs["conclusion"] == "success", reverted.log
    # And there again: neither was bought twice.
    shop.forget_recordings()
    shop.file("prompt.txt", "Tell me: ")
    again = shop.pull_request(8, "again")
    assert again.outputs["conclusion"] == "success", again.log
    assert len(shop.provider.requests) == paid


def test_back_and_forth_within_a_pull_request_buys_nothing_twice(shop: Shop, main: Shop) -> None:
    recorded(shop, 7, "tell", "Tell me: ")
    paid = len(shop.provider.requests)
    recorded(shop, 7, "tell", "Answer: ")
    recorded(shop, 7, "tell", "Tell me: ")
    assert len(shop.provider.requests) == paid


def test_a_forks_runs_of_a_branch_of_the_same_name_hide_no_recordings(shop: Shop, main: Shop) -> None:
    recorded(shop, 7, "shorter", "Tell me: ")
    paid = len(shop.provider.requests)
    for number in range(150):
        shop.hub.run(2000 + number, event="pull_request", branch="shorter", sha="f" * 40, head=FORK)
    recorded(shop, 7, "shorter", "Tell me: ")
    assert len(shop.provider.requests) == paid


def test_a_push_without_recordings_says_that_none_are_missing(shop: Shop, main: Shop) -> None:
    """Or each run would ask for the newest twenty pull requests anew, for ever."""
    shop.hub.pull(7, "tell", sha=SHA)
    shop.hub.merge(7, "10:01")
    assert shop.push(at="10:02").conclusion == "success"
    asked = len(shop.hub.requests)
    assert shop.push(at="10:03").conclusion == "success"
    assert not [request for request in shop.hub.requests[asked:] if request.query.get("branch") == "tell"]


def test_a_rerun_of_a_push_looks_again_for_what_it_could_not_get(shop: Shop, main: Shop) -> None:
    shop.push(at="10:00")
    recorded(shop, 7, "tell", "Tell me: ")
    shop.hub.merge(7, "10:01")
    shop.hub.refuse("GET", "/pulls$", 403, "Resource not accessible by integration", times=1)
    assert shop.push(key=False, at="10:02").conclusion == "failure"
    shop.forget_recordings()
    payload = {"before": "0" * 40, "repository": {"default_branch": "main"}}
    again = shop.use("push", payload, run=shop.runs, attempt=2)
    assert again.outputs["conclusion"] == "success", again.log


def test_a_refusal_is_told_once_and_not_for_each_pull_request(shop: Shop, main: Shop) -> None:
    for number in (7, 8, 9):
        shop.hub.pull(number, f"topic-{number}", sha=SHA)
        shop.hub.merge(number, "10:01")
    shop.hub.refuse("GET", "/runs$", 403, "Resource not accessible by integration")
    job = shop.push(at="10:02", inputs={"baseline": "none"})
    (warning,) = job.annotations("warning")
    assert "The recordings of branch main could not be restored" in warning.message
    assert "`actions: read`" in warning.message
