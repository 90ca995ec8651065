"""What a run leaves for people and machines to read, as a user meets it."""

from __future__ import annotations

import json

import pytest

from tests.e2e.user import speaking_to, write_app

TEST = """
    import os
    import pytest
    from app import ask

    @pytest.mark.llm_eval(dataset="cases.jsonl", trials=2)
    def test_it(llm_eval, llm_case):
        result = llm_eval.run(ask, os.environ.get("PROMPT", "Well: ") + llm_case.input)
        llm_eval.record("brevity", 1 / len(result.text.split()))
        assert "fail" not in result.text
"""
SETTINGS = """
    [tool.pytest-llmops.metrics.brevity]
    gate = true
"""
NAMES = [f"c{i}" for i in range(12)]
BASELINE = "--llm-baseline=base.json"


@pytest.fixture
def suite(project, standin):
    """A recorded suite of 12 cases, two trials each, with its baseline."""
    write_app(project)
    project.file("test_it.py", TEST)
    project.file("pyproject.toml", SETTINGS)
    project.file("cases.jsonl", "".join(f'{{"id": "{name}", "input": "{name} and {name}"}}\n' for name in NAMES))
    made = project.run("--llm-update-baseline", BASELINE, "--llm-json=made.json", env=speaking_to(standin))
    assert made.outcomes == {"passed": 24}, made.out
    return project


def verdicts(comparison):
    return {key: value for key, value in comparison.items() if key != "baseline"}


def test_the_same_verdicts_from_pytest_workers_merged_shards_and_compare(suite, standin):
    env = speaking_to(standin, PROMPT="Do tell me at length, please: ")
    mode = "--llm-record=live"
    whole = suite.run(BASELINE, mode, "--llm-json=whole.json", env=env)
    workers = suite.run(BASELINE, mode, "--llm-json=workers.json", env=env, n=2)
    for number, picked in ((1, "c0 or c2 or c4"), (2, "not (c0 or c2 or c4)")):
        part = suite.run(mode, f"--llm-json=part{number}.json", f"-k={picked}", f"--llm-shard={number}/2", env=env)
        assert part.returncode == 0, part.out
    merged = suite.command("merge", "part1.json", "part2.json", "-o", "merged.json")
    assert merged.returncode == 0, merged.out
    assert "12 cases, 24 tests of 2 records" in merged.out
    compared = [suite.command("compare", "base.json", f"{name}.json", "--json") for name in ("whole", "merged")]
    assert [run.returncode for run in (whole, workers, *compared)] == [1, 1, 1, 1]
    expected = verdicts(whole.record["comparison"])
    assert {row["metric"]: row["verdict"] for row in expected["metrics"]}["brevity"] == "regressed"

    def steady(comparison):
        rows = [row for row in comparison["metrics"] if row["metric"] != "latency_ms"]
        return {**verdicts(comparison), "metrics": rows}

    for other in (workers.record["comparison"], *(json.loads(run.out) for run in compared)):
        assert steady(other) == steady(expected)

    lone = suite.command("merge", "part2.json", "-o", "merged.json")
    assert (lone.returncode, lone.out) == (2, "pytest-llmops: shard 1 of 2 missing.\n")
    twice = suite.command("merge", "part1.json", "whole.json", "-o", "merged.json")
    assert twice.returncode == 2
    assert "part1.json and whole.json overlap: both ran test_it.py::test_it[c0]" in twice.out
