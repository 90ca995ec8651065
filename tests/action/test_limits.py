"""Thousands of regressions, and what GitHub takes of them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_llmops import baseline
from pytest_llmops.github import comparing, handing, steps
from pytest_llmops.github.handing import State
from pytest_llmops.github.inputs import Inputs
from pytest_llmops.records import Measurement, RunRecord, TestRecord
from pytest_llmops.reports.pull_request import BaselineSource
from tests.action.conftest import SHA
from tests.action.hub import OWN, REPOSITORY, Hub

CASES = 3_000
HOSTILE = "<img src=x> | `code` [link](https://evil.example) @everyone #1 <!-- pytest-llmops:default --> 🦆" * 20


def run_of(*, outcome: str) -> RunRecord:
    """Each of thousands of cases passed, or failed and said something long."""
    good = outcome == "passed"
    tests = [
        TestRecord(
            id=f"test_shop.py::test_shop[{n}-{HOSTILE[:80]}]",
            case=f"test_shop.py::test_shop[{n}-{HOSTILE[:80]}]",
            outcome=outcome,
            error=None if good else f"assert {HOSTILE}",
            output=HOSTILE,
            gate=["pass", "facts"],
            measurements={
                "pass": Measurement(value=float(good), source="builtin", kind="pass"),
                "facts": Measurement(value=0.9 if good else 0.1 + n % 7 / 100, reason=HOSTILE),
            },
        )
        for n in range(CASES)
    ]
    return RunRecord(created=datetime(2026, 11, 20, tzinfo=UTC), tests=tests)


def test_3000_regressions(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    hub.pull(7, "shorter", sha=SHA)
    folder, stored = tmp_path / "folder", tmp_path / "baseline.json"
    (folder / "report").mkdir(parents=True)
    baseline.save(stored, baseline.update(None, run_of(outcome="passed")))
    run = run_of(outcome="failed")
    source = BaselineSource("main", "a" * 40, run.created)
    state = State(Inputs(), tmp_path, tmp_path, baseline=stored, source=source, exit_code=1)
    comparing.compare_with(run, state)
    baseline.save_run(folder / "report/run.json", run)
    handing.save(folder, state)
    event = tmp_path / "event.json"
    event.write_text(f'{{"pull_request": {json.dumps(hub.pulls[7])}}}')
    for name in ("OUTPUT", "STEP_SUMMARY"):
        monkeypatch.setenv(f"GITHUB_{name}", str(tmp_path / name))
    environ = {
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_RUN_ID": "5",
        "GITHUB_API_URL": hub.url,
        "GITHUB_WORKSPACE": str(tmp_path),
        "LLMOPS_FOLDER": str(folder),
        "LLMOPS_GITHUB_TOKEN": OWN,
    }
    started = time.monotonic()
    assert steps.run("report", environ) == 0
    assert time.monotonic() - started < 60
    assert steps.run("gate", environ) == 1
    (comment,) = hub.comments[7]  # the fake refuses what is longer than GitHub takes, as GitHub does
    body = comment["body"]
    assert 20_000 < len(body) <= 65_536
    assert body.count("<details") == body.count("</details>") > 0
    assert body.count("<!-- pytest-llmops:default -->") == 1
    assert "<img" not in body
    summary = (tmp_path / "STEP_SUMMARY").read_bytes()
    assert 65_536 < len(summary) <= 2**20
    printed = capfd.readouterr().out
    assert 1 <= sum(line.startswith("::error") and "gate failed" not in line for line in printed.splitlines()) <= 10
    assert "pytest --llm-baseline=baseline.json --llm-update-baseline" in printed, "the project's own path"
    assert "conclusion" in (tmp_path / "OUTPUT").read_text()
