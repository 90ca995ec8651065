"""Recordings follow the pull request: paid for once, replayed ever after, taken over by main."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_llmops.errors import GitHubError
from pytest_llmops.github import comparing, recordings
from pytest_llmops.records import CassetteUse
from tests.action.conftest import KEY, SHA, Shop
from tests.action.hub import APP, OWN, REPOSITORY
from tests.action.test_verdict import record, run_of
from tests.conftest import REPOSITORY as ROOT


def test_a_push_re_buys_nothing_and_main_takes_over_after_the_merge(shop: Shop) -> None:
    shop.file("prompt.txt", "Tell me: ")
    first = shop.pull_request()
    assert first.outputs["conclusion"] == "success", first.log
    asked = len(shop.provider.requests)
    assert asked == 12
    shop.forget_recordings()
    second = shop.pull_request(sha="d" * 40)
    assert second.outputs["conclusion"] == "success", second.log
    assert len(shop.provider.requests) == asked
    assert second.outputs["cost-usd"] == "0.000000"
    # Merged: main has neither the recordings nor, here, a key.
    shop.forget_recordings()
    shop.hub.merge(7, "10:00")
    merged = shop.push(key=False, sha="9" * 40)
    assert merged.outputs["conclusion"] == "success", merged.log
    assert len(shop.provider.requests) == asked
    # And the next pull request has them from main.
    shop.forget_recordings()
    third = shop.pull_request(8, "another", key=False)
    assert third.outputs["conclusion"] == "success", third.log
    assert third.outputs["baseline-sha"] == "9" * 40


def test_only_pull_requests_record_in_mode_auto(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "Tell me: ")
    pushed = shop.push(sha="9" * 40)
    assert (pushed.conclusion, pushed.outputs["conclusion"]) == ("failure", "failure"), pushed.log
    assert "record mode: none (mode auto records on pull requests)" in pushed.log
    assert "--llm-record=refresh" in pushed.log
    for event in ("schedule", "workflow_dispatch"):
        assert shop.use(event, {}, env=KEY, inputs={"baseline": "none"}).outputs["conclusion"] == "failure"
    assert not shop.provider.requests
    asked = shop.push(sha="9" * 40, inputs={"pytest-args": "--llm-record=refresh"})
    assert asked.outputs["conclusion"] == "success", asked.log
    assert len(shop.provider.requests) == 12


def test_a_rerun_replays_and_cannot_become_green(shop: Shop, main: Shop) -> None:
    shop.forget_recordings()
    shop.file("prompt.txt", "In short: ")
    red = shop.pull_request()
    assert red.outputs["conclusion"] == "regression"
    asked = len(shop.provider.requests)
    shop.forget_recordings()
    again = shop.pull_request(run=shop.runs, attempt=2)
    assert again.outputs["conclusion"] == "regression", again.log
    assert again.step("Upload the report").outcome == "success", "a run's artifacts have their names once"
    assert len(shop.provider.requests) == asked


def test_a_rerun_of_a_live_run_replays_it(shop: Shop, main: Shop) -> None:
    live = shop.pull_request(inputs={"mode": "live"})
    asked = len(shop.provider.requests)
    assert asked == 12, live.log
    again = shop.pull_request(run=shop.runs, attempt=2, inputs={"mode": "live"})
    assert again.outputs["conclusion"] == live.outputs["conclusion"] == "success", again.log
    assert len(shop.provider.requests) == asked


def test_a_rerun_replays_the_trials_that_the_former_attempt_added(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "In short: ")
    auto = {"trials": "auto"}
    red = shop.pull_request(inputs=auto)
    asked = len(shop.provider.requests)
    assert asked == 60, red.log
    shop.forget_recordings()
    again = shop.pull_request(run=shop.runs, attempt=2, inputs=auto)
    assert again.outputs["conclusion"] == red.outputs["conclusion"] == "regression", again.log
    assert len(shop.provider.requests) == asked


def test_a_rerun_takes_over_the_fresh_trials_of_the_former_attempt() -> None:
    former = run_of(*(record(f"c{n}") for n in range(12)))
    former.tests += [record("c0", "failed", trial=n, rerun=True) for n in range(5)]
    now = run_of(*(record(f"c{n}") for n in range(12)))
    assert comparing.with_former_reruns(now, former)
    assert sum(test.rerun for test in now.tests) == 5
    asked = run_of(*(record(f"c{n}", cassette=CassetteUse(live=1)) for n in range(12)))
    assert not comparing.with_former_reruns(asked, former)


def test_what_was_committed_meanwhile_is_kept(shop: Shop) -> None:
    shop.pull_request()
    committed = {path: path.read_text() for path in shop.cassettes}
    for path in committed:
        document = json.loads(path.read_text())
        for entry in document["interactions"]:
            entry["recorded_at"] = "2030-01-01T00:00:00+00:00"
        path.write_text(json.dumps(document, indent=2).replace('{\n  "schema"', '{\n  "schema"'))
    newer = {path: json.loads(path.read_text()) for path in shop.cassettes}
    job = shop.pull_request(sha="d" * 40)
    assert job.outputs["conclusion"] == "success", job.log
    assert len(shop.provider.requests) == 12
    for path, document in newer.items():
        assert json.loads(path.read_text())["interactions"] == document["interactions"]


def test_an_artifact_cannot_write_outside_of_the_working_directory(shop: Shop) -> None:
    content = '{"schema": 1, "test": "x", "interactions": []}'
    (shop.folder / "link").symlink_to(shop.folder.parent)
    for path in ("link/pwned.json", "link/new/pwned.json"):
        with pytest.raises(GitHubError, match="outside of the working directory"):
            recordings.apply(shop.folder, {path: recordings.Recording(None, content)})
    shop.hub.run(500, event="pull_request", branch="shorter", sha=SHA)
    pack = {"version": 1, "files": {"../pwned.json": {"base": None, "content": content}}}
    shop.hub.artifact(500, "llm-report-cassettes", {"recordings.json": json.dumps(pack)})
    job = shop.pull_request(inputs={"paths": "nothing_there.py"})
    assert "could not be restored" in job.step("Restore recordings").log
    assert not list(shop.folder.parent.rglob("pwned.json"))


def test_new_recordings_are_committed(shop: Shop) -> None:
    shop.hub.tokens[OWN].write |= {"contents", "statuses"}
    job = shop.pull_request(inputs={"commit-cassettes": "true"})
    assert job.outputs["conclusion"] == "success", job.log
    made = shop.hub.trees[shop.hub.branches["shorter"]]
    assert made["commit"]["parents"] == [SHA]
    assert sorted(entry["path"] for entry in made["tree"]) == [
        path.relative_to(shop.folder).as_posix() for path in shop.cassettes
    ]
    assert shop.hub.blobs[made["tree"][0]["sha"]] == shop.cassettes[0].read_text()
    # The workflow's own token starts no checks on it: without a status, the pull request could not be merged.
    (status,) = shop.hub.statuses[shop.hub.branches["shorter"]]
    assert (status["state"], status["context"]) == ("success", "LLM tests")


def test_a_commit_by_an_app_starts_its_own_checks(shop: Shop) -> None:
    job = shop.pull_request(inputs={"commit-cassettes": "true", "github-token": APP})
    assert job.outputs["conclusion"] == "success", job.log
    assert "shorter" in shop.hub.branches
    assert not shop.hub.statuses


def test_a_commit_that_is_refused_loses_nothing(shop: Shop) -> None:
    job = shop.pull_request(inputs={"commit-cassettes": "true"})
    assert job.conclusion == "success", job.log
    (warning,) = [one for one in job.annotations("warning") if "commit-cassettes" in one.message]
    assert "contents: write" in warning.message
    assert shop.hub.members(shop.runs, "llm-report-cassettes")


def test_pull_fetches_them_for_a_commit_by_hand(shop: Shop) -> None:
    shop.pull_request()
    recorded = {path.name: path.read_text() for path in shop.cassettes}
    shop.forget_recordings()
    pulled = pull(shop, "--pr", "7")
    assert pulled.returncode == 0, pulled.stdout
    assert "12 cassettes of #7" in pulled.stdout
    assert {path.name: path.read_text() for path in shop.cassettes} == recorded
    assert "here already" in pull(shop, "--pr", "7").stdout
    shop.hub.pull(9, "patch-1", head="mallory/shop", sha=SHA)
    refused = pull(shop, "--pr", "9")
    assert refused.returncode == 2
    assert "gh pr checkout 9 && pytest --llm-record=refresh" in refused.stdout
    shop.hub.refuse("GET", "/pulls/78$", 301, "Moved", location="https://github.example/repositories/1/pulls/78")
    moved = pull(shop, "--pr", "78")
    assert moved.returncode == 2
    assert "Was the repository renamed?" in moved.stdout
    assert "Traceback" not in moved.stdout
    missing = pull(shop, "--pr", "77")
    assert missing.returncode == 2
    assert "not found" in missing.stdout
    assert "Traceback" not in missing.stdout


def pull(shop: Shop, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest_llmops", "cassettes", "pull", "--repository", REPOSITORY, *args],
        cwd=shop.folder,
        env={"PATH": "/usr/bin:/bin", "GITHUB_API_URL": shop.hub.url, "GITHUB_TOKEN": OWN, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
