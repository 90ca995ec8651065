"""Where GitHub cannot be asked: that there is nothing to compare with is not known, and green would be a guess."""

from __future__ import annotations

import shutil

from tests.action.conftest import KEY, Shop
from tests.action.hub import READ_ONLY

RUNS = r"/actions/workflows/llm\.yml/runs$"
FORBIDDEN = "Resource not accessible by integration"


def worse(shop: Shop) -> None:
    """The application cuts its answers off."""
    shop.file("app.py", (shop.folder / "app.py").read_text().replace('["content"]', '["content"][:3]'))


def commit_baseline(shop: Shop) -> None:
    made = shop.use("workflow_dispatch", {}, env=KEY, inputs={"update-baseline": "true"})
    assert made.conclusion == "success", made.log


def test_a_baseline_that_cannot_be_asked_for_is_an_error(shop: Shop, main: Shop) -> None:
    worse(shop)
    shop.hub.refuse("GET", RUNS, 403, FORBIDDEN)
    job = shop.pull_request()
    assert (job.conclusion, job.outputs["conclusion"]) == ("failure", "error"), job.log
    assert [step.name for step in job.steps if step.outcome == "failure"] == ["Gate"], "everything was reported"
    assert (job.outputs["total"], job.outputs["passed"]) == ("12", "12")
    assert "run.json" in shop.hub.members(shop.runs, "llm-report")
    for text in (job.step("Gate").log, shop.hub.comments[7][0]["body"]):
        assert "baseline of main could not be asked for" in text
        assert FORBIDDEN in text
        assert "actions: read" in text
        assert "no baseline yet" not in text
    assert "nothing could be compared" in shop.hub.comments[7][0]["body"].splitlines()[0]
    never = shop.pull_request(inputs={"fail-on": "never"})
    assert (never.conclusion, never.outputs["conclusion"]) == ("success", "error")


def test_a_committed_baseline_stands_in_unless_artifacts_are_asked_for(shop: Shop, main: Shop) -> None:
    commit_baseline(shop)
    worse(shop)
    shop.hub.refuse("GET", RUNS, 502, "Bad Gateway")
    job = shop.pull_request()
    assert (job.conclusion, job.outputs["conclusion"]) == ("failure", "regression"), job.log
    (warning,) = [one.message for one in job.annotations("warning") if "baseline" in one.message]
    assert "the committed baseline.json was compared with instead" in warning
    assert "answered 502" in warning
    assert "compared with instead" in shop.hub.comments[7][0]["body"]
    only = shop.pull_request(inputs={"baseline": "artifact"})
    assert (only.conclusion, only.outputs["conclusion"]) == ("failure", "error"), only.log


def test_a_fault_that_passes_costs_no_baseline(shop: Shop, main: Shop) -> None:
    worse(shop)
    shop.hub.refuse("GET", RUNS, 403, "You have exceeded a secondary rate limit", times=3, retry_after="0")
    job = shop.pull_request()
    assert (job.conclusion, job.outputs["conclusion"]) == ("failure", "regression"), job.log


def test_a_fork_is_told_and_not_failed(shop: Shop, main: Shop) -> None:
    shop.hub.refuse("GET", RUNS, 403, FORBIDDEN)
    job = shop.pull_request(head="mallory/shop", key=False, token=READ_ONLY)
    assert (job.conclusion, job.outputs["conclusion"]) == ("success", "success"), job.log
    told = " ".join(one.message for one in job.annotations("notice"))
    assert "Nothing was compared. The baseline of main could not be asked for" in told
    assert "no baseline yet" not in told
    assert not job.annotations("warning")


def test_changed_files_that_are_not_known_are_told(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "In short: ")
    shop.record()
    commit_baseline(shop)
    shop.hub.files[7] = ["baseline.json", "prompt.txt"]
    shop.hub.refuse("GET", "/pulls/7/files$", 403, FORBIDDEN)
    job = shop.pull_request()
    assert job.outputs["baseline-sha"] == "a" * 40, job.log
    body = shop.hub.comments[7][0]["body"]
    assert "Whether baseline.json is edited here is not known" in body
    assert "baseline: file" in body
    assert "may lack some" in body
    assert "pull-requests: read" in body


def test_the_baseline_of_another_folder_is_not_the_projects_own(shop: Shop) -> None:
    (shop.folder / "app").mkdir()
    for name in ("app.py", "conftest.py", "prompt.txt", "test_shop.py", "cases.jsonl"):
        shutil.move(shop.folder / name, shop.folder / "app" / name)
    there = {"working-directory": "app"}
    shop.record()
    made = shop.use("workflow_dispatch", {}, inputs={**there, "update-baseline": "true"})
    assert made.conclusion == "success", made.log
    assert shop.push(inputs=there).conclusion == "success"
    shop.hub.files[7] = ["baseline.json"]
    job = shop.pull_request(inputs=there)
    assert job.outputs["baseline-sha"] == "a" * 40, job.log
    shop.hub.files[7] = ["app/baseline.json"]
    edited = shop.pull_request(inputs=there)
    assert edited.outputs["baseline-sha"] == "", edited.log
    assert "baseline.json is changed here" in shop.hub.comments[7][0]["body"]
