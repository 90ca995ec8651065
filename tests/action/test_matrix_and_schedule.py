"""Shards of a matrix, and the nightly run."""

from __future__ import annotations

import json

from tests.action.conftest import KEY, SHA, TESTS, Shop, reply
from tests.action.hub import OWN
from tests.action.runner import Job

MERGE = {"shard": "merge"}


def shard(shop: Shop, index: int, count: int, run: int, only: str, **how):
    args = {"shard": f"{index}/{count}", "pytest-args": f"-k '{only}'", **how.pop("inputs", {})}
    return shop.pull_request(run=run, inputs=args, **how)


def test_shards_are_merged_before_the_gate(shop: Shop, main: Shop) -> None:
    shop.forget_recordings()
    shop.file("prompt.txt", "In short: ")
    shop.cases(11)  # one is taken out
    for index, only in ((1, "c0 or c1"), (2, "not (c0 or c1)")):
        part = shard(shop, index, 2, 300, only)
        assert part.conclusion == "success", part.log
        assert not part.summary
        shop.forget_recordings()
    assert not shop.hub.comments
    job = shop.pull_request(run=300, inputs=MERGE)
    assert job.outputs["conclusion"] == "regression", job.log
    assert [step.name for step in job.steps if step.outcome == "failure"] == ["Gate"]
    assert (job.outputs["total"], job.outputs["regressed"], job.outputs["removed"]) == ("11", "1", "1")
    assert "missing" not in job.step("Gate").log
    (comment,) = shop.hub.comments[7]
    assert "taken out of <code>cases.jsonl</code>" in comment["body"]
    assert {"run.json", "report.html", "view.json"} <= set(shop.hub.members(300, "llm-report"))
    pack = json.loads(shop.hub.members(300, "llm-report-cassettes")["recordings.json"])
    assert len(pack["files"]) == 11


def test_a_shard_that_is_missing_is_an_error_with_its_number(shop: Shop) -> None:
    shard(shop, 1, 2, 300, "c0")
    job = shop.pull_request(run=300, inputs=MERGE)
    assert (job.conclusion, job.outputs["conclusion"]) == ("failure", "error"), job.log
    assert "shard 2 of 2 missing" in job.step("Gate").log
    assert "Shard 2 of 2 missing" in shop.hub.comments[7][0]["body"]


def test_parts_leave_commit_and_status_to_the_job_that_decides(shop: Shop, main: Shop) -> None:
    shop.hub.tokens[OWN].write |= {"contents", "statuses"}
    shop.file("prompt.txt", "In short: ")
    for index, only in ((1, "c0 or c1"), (2, "not (c0 or c1)")):
        part = shard(shop, index, 2, 300, only, inputs={"commit-cassettes": "true"})
        assert part.conclusion == "success", part.log
        assert "left to the job with `shard: merge`" in part.step("Commit new recordings").log
        shop.forget_recordings()
    assert not shop.hub.branches
    assert not shop.hub.statuses
    job = shop.pull_request(run=300, inputs={**MERGE, "commit-cassettes": "true"})
    assert job.outputs["conclusion"] == "regression", job.log
    made = shop.hub.trees[shop.hub.branches["shorter"]]
    assert (made["commit"]["parents"], len(made["tree"])) == ([SHA], 12), "what all parts recorded, once"
    (status,) = shop.hub.statuses[shop.hub.branches["shorter"]]
    assert status["state"] == "failure"


def test_a_matrix_updates_the_baseline_and_fails_nothing(shop: Shop, main: Shop) -> None:
    update = {"update-baseline": "true"}
    assert shop.use("workflow_dispatch", {}, env=KEY, inputs=update).conclusion == "success"
    shop.file("app.py", (shop.folder / "app.py").read_text().replace('["content"]', '["content"][:3]'))
    for index, only in ((1, "c0 or c1"), (2, "not (c0 or c1)")):
        assert shard(shop, index, 2, 300, only, inputs=update).conclusion == "success"
    job = shop.pull_request(run=300, inputs={**MERGE, **update})
    assert (job.conclusion, job.outputs["conclusion"], job.outputs["exit-code"]) == ("success", "success", "0"), job.log
    again = shop.pull_request(inputs={"baseline": "file"})
    assert again.outputs["conclusion"] == "success", "compared with what the matrix stored"


def test_the_nightly_run_compares_with_a_fixed_anchor_and_keeps_one_issue(shop: Shop) -> None:
    live = {"mode": "live", "update-baseline": "true"}
    anchored = shop.use("workflow_dispatch", {}, env=KEY, inputs=live)
    assert anchored.conclusion == "success", anchored.log
    shop.record()
    shop.push()
    fine = shop.use("schedule", {}, env=KEY, inputs={"mode": "live"})
    assert (fine.conclusion, fine.outputs["baseline-sha"]) == ("success", ""), fine.log
    assert not shop.hub.issues
    shop.provider.script("Yes.")  # the model behind the name is another one tonight
    asked = len(shop.provider.requests)
    bad = shop.use("schedule", {}, env=KEY, inputs={"mode": "live", "max-cost-usd": "none"})
    assert (bad.conclusion, bad.outputs["conclusion"]) == ("failure", "regression"), bad.log
    assert len(shop.provider.requests) > asked + 12, "confirmed by fresh trials before it is red"
    assert "facts" in shop.hub.issues[0]["body"]
    told = shop.hub.issues[0]["body"]
    shop.use("schedule", {}, env=KEY, inputs={"mode": "live", "comment": "never", "baseline": "none"})
    assert (shop.hub.issues[0]["state"], shop.hub.issues[0]["body"]) == ("open", told), "never writes nothing"
    shop.use("schedule", {}, env=KEY, inputs={"mode": "live"})
    assert len(shop.hub.issues) == 1
    shop.provider.reset()
    shop.provider.script(reply)
    shop.use("schedule", {}, env=KEY, inputs={"mode": "live"})
    assert (len(shop.hub.issues), shop.hub.issues[0]["state"]) == (1, "closed")


def night(shop: Shop, run: int, last: dict[str, str]) -> Job:
    """A nightly matrix of two parts, and its last job with the environment `last`."""
    live = {"mode": "live"}
    for index, only in ((1, "c0 or c1"), (2, "not (c0 or c1)")):
        inputs = {**live, "shard": f"{index}/2", "pytest-args": f"-k '{only}'"}
        part = shop.use("schedule", {}, run=run, env=KEY, inputs=inputs)
        assert part.conclusion == "success", part.log
    return shop.use("schedule", {}, run=run, env=last, inputs={**live, **MERGE})


def anchored(shop: Shop) -> None:
    made = shop.use("workflow_dispatch", {}, env=KEY, inputs={"mode": "live", "update-baseline": "true"})
    assert made.conclusion == "success", made.log
    shop.provider.reset()


def test_a_nightly_matrix_confirms_in_its_last_job(shop: Shop) -> None:
    anchored(shop)
    shop.provider.script("Yes.")
    bad = night(shop, 500, KEY)
    assert (bad.conclusion, bad.outputs["conclusion"]) == ("failure", "regression"), bad.log
    assert len(shop.provider.requests) == 24, "12 by the parts, and 12 to confirm"
    assert "facts regressed; running 12 fresh trials of 12 cases to confirm it" in bad.log
    assert shop.hub.issues[0]["state"] == "open"
    again = shop.use("schedule", {}, run=500, attempt=2, env=KEY, inputs={"mode": "live", **MERGE})
    assert again.outputs["conclusion"] == "regression", again.log
    assert len(shop.provider.requests) == 24, "a rerun of the last job buys nothing again"

    shop.provider.reset()
    answers = iter(range(12))
    shop.provider.script(lambda body: "Yes." if next(answers, None) is not None else reply(body))
    luck = night(shop, 501, KEY)
    assert luck.outputs["conclusion"] == "success", luck.log
    assert len(shop.provider.requests) == 24
    assert shop.hub.issues[0]["state"] == "closed"


def test_a_nightly_matrix_whose_last_job_cannot_ask_is_red_and_says_why(shop: Shop) -> None:
    anchored(shop)
    shop.provider.script("Yes.")
    bad = night(shop, 500, {})
    assert (bad.conclusion, bad.outputs["conclusion"]) == ("failure", "regression"), bad.log
    assert len(shop.provider.requests) == 12
    assert "nothing was run once more: this job has no provider" in bad.summary
    shop.file("test_shop.py", "import not_installed_here\n")
    bare = shop.use("schedule", {}, run=500, env=KEY, inputs={"mode": "live", **MERGE})
    assert (bare.conclusion, bare.outputs["conclusion"]) == ("failure", "regression"), bare.log
    assert "could not be confirmed by fresh trials: pytest ended with" in bare.summary


def test_a_test_that_fails_once_in_a_night_of_a_matrix_wakes_nobody(shop: Shop) -> None:
    shop.file("test_shop.py", TESTS.replace("assert result.text", "assert llm_case.expected in result.text"))
    anchored(shop)
    left = iter(range(1))
    shop.provider.script(lambda body: "No." if "fact3" in str(body) and next(left, -1) >= 0 else reply(body))
    fine = night(shop, 500, KEY)
    assert fine.outputs["conclusion"] == "success", fine.log
    assert len(shop.provider.requests) == 13
    assert "Failed at first, and not when run once more" in fine.summary


def test_a_case_that_broke_in_a_live_matrix_is_run_again_by_its_last_job(shop: Shop) -> None:
    shop.file("test_shop.py", TESTS.replace("assert result.text", "assert llm_case.expected in result.text"))
    live = {"mode": "live"}
    stored = {**live, "update-baseline": "true", "trials": "5"}
    assert shop.use("workflow_dispatch", {}, env=KEY, inputs=stored).conclusion == "success"
    shop.provider.reset()
    shop.provider.script(lambda body: "No." if "fact3" in str(body) else reply(body))
    for index, only in ((1, "c0 or c1"), (2, "not (c0 or c1)")):
        part = shard(shop, index, 2, 500, only, inputs={**live, "pytest-args": f"-k '{only}'"})
        assert part.conclusion == "success", part.log
    job = shop.pull_request(run=500, inputs={**live, **MERGE, "baseline": "file"})
    assert job.outputs["conclusion"] == "regression", job.log
    assert len(shop.provider.requests) == 12 + 5
    assert "0 of 5" in shop.hub.comments[7][0]["body"]


def test_a_test_that_fails_once_in_a_night_wakes_nobody(shop: Shop) -> None:
    shop.file("test_shop.py", TESTS.replace("assert result.text", "assert llm_case.expected in result.text"))
    live = {"mode": "live"}
    assert (
        shop.use("workflow_dispatch", {}, env=KEY, inputs={**live, "update-baseline": "true"}).conclusion == "success"
    )
    for refused, verdict in ((1, "success"), (100, "failure")):
        left = iter(range(refused))
        shop.provider.reset()
        shop.provider.script(
            lambda body, left=left: "No." if "fact3" in str(body) and next(left, -1) >= 0 else reply(body)
        )
        night = shop.use("schedule", {}, env=KEY, inputs=live)
        assert night.outputs["conclusion"] == verdict, night.log
        assert "running 1 failed case once more" in night.log
        assert len(shop.provider.requests) == 13
        assert bool(shop.hub.issues) == (night.conclusion == "failure") == (verdict == "failure")
        assert ("Failed at first, and not when run once more" in night.summary) == (verdict == "success")
        assert len(night.annotations()) == (0 if verdict == "success" else 2)
