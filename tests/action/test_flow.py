"""The action from its first step to its gate, as a pull request's job runs it."""

from __future__ import annotations

import json

from tests.action.conftest import Shop


def test_a_regression_against_mains_newest_run_is_red_and_told(shop: Shop) -> None:
    pushed = shop.push()
    assert pushed.conclusion == "success", pushed.log
    asked = len(shop.provider.requests)
    shop.forget_recordings()
    shop.file("prompt.txt", "In short: ")
    job = shop.pull_request()
    assert job.conclusion == "failure", job.log
    assert [step.name for step in job.steps if step.outcome == "failure"] == ["Gate"], job.log
    assert job.outputs["conclusion"] == "regression"
    assert job.outputs["baseline-sha"] == "a" * 40
    assert job.outputs["exit-code"] == "1"
    assert (job.outputs["total"], job.outputs["passed"], job.outputs["regressed"]) == ("12", "12", "1")
    assert float(job.outputs["cost-usd"]) > 0
    assert len(shop.provider.requests) == 2 * asked
    (comment,) = shop.hub.comments[7]
    assert job.outputs["comment-url"] == comment["html_url"]
    assert "regressed" in comment["body"]
    assert f"https://github.com/octo/shop/commit/{'a' * 40}" in comment["body"]
    assert "facts" in job.summary
    assert json.loads((shop.hub.members(shop.runs, "llm-report"))["run.json"])["schema"] == 1
    assert job.outputs["report-url"].endswith(str(shop.hub.artifacts[shop.runs][0]["id"]))
