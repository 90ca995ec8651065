"""A run in the words its pull request gets, as a user makes them of a record."""

from __future__ import annotations

import json

import pytest

from tests.e2e.user import speaking_to, write_app
from tests.unit.pull_requests import Page

TEST = """
    import os
    import pytest
    from app import ask

    @pytest.mark.llm_eval(dataset="data/cases.jsonl")
    def test_it(llm_eval, llm_case):
        result = llm_eval.run(ask, os.environ.get("PROMPT", "Well: ") + llm_case.input)
        llm_eval.record("brevity", 1 / len(result.text.split()))
        assert os.environ.get("BAN", "nothing of that") not in result.text
"""
SETTINGS = """
    [tool.pytest-llmops.metrics.brevity]
    gate = true
"""
NAMES = [f"c{i}" for i in range(12)]
BASELINE = "--llm-baseline=base.json"


@pytest.fixture
def suite(project, standin):
    """A recorded suite of 12 cases with its baseline."""
    write_app(project)
    project.file("tests/test_it.py", TEST)
    project.file("pyproject.toml", SETTINGS)
    cases = "".join(f'{{"id": "{name}", "input": "{name} <b>@you</b>"}}\n' for name in NAMES)
    project.file("tests/data/cases.jsonl", cases)
    made = project.run("--llm-update-baseline", BASELINE, "--llm-json=run.json", env=speaking_to(standin))
    assert made.outcomes == {"passed": 12}, made.out
    return project


def written(project, *arguments):
    done = project.command("report", "run.json", "-o", "run.md", *arguments)
    assert done.returncode == 0, done.out
    assert "wrote run.md" in done.out
    return (project.path / "run.md").read_text(encoding="utf-8")


def test_records_name_the_dataset_and_the_line(suite):
    tests = json.loads((suite.path / "run.json").read_text(encoding="utf-8"))["tests"]
    (test,) = [test for test in tests if test["case"].endswith("[c3]")]
    assert test["dataset"] == "tests/data/cases.jsonl"
    lines = (suite.path / "tests/test_it.py").read_text(encoding="utf-8").splitlines()
    assert lines[test["line"] - 1].startswith(("@pytest.mark.llm_eval", "def test_it"))


def test_a_regression_as_markdown_with_former_answers(suite, standin):
    env = speaking_to(standin, PROMPT="Do tell me at length, please: ")
    assert suite.run(BASELINE, "--llm-record=live", "--llm-json=run.json", env=env).returncode == 1
    text = written(suite)
    page = Page(text)
    assert text.startswith("### ❌ LLM tests: brevity regressed (")
    assert "Got worse most: 5 cases" in page.text
    assert "before" in page.text or "del" in page.tags
    assert "<b>@\u200byou</b>" in page.text
    assert page.links == []
    assert page.tags.isdisjoint({"script", "img"})


def test_a_failed_assertion_on_the_same_recordings(suite, standin):
    run = suite.run(BASELINE, "--llm-json=run.json", env=speaking_to(standin, BAN="c3"))
    assert run.outcomes["passed"] == 11, run.out
    text = written(suite)
    assert text.splitlines()[0] == "### ❌ LLM tests: pass regressed (100.0% → 91.7%), 1 case broken"
    assert "what differs comes from the code, not from chance" in text
    assert "<code>tests/test_it.py::test_it[c3]</code>: passed 1 of 1 before, fails now" in text
    assert "answer, as before" in text


def test_a_passing_run_with_and_without_a_baseline(suite, standin):
    suite.run("--llm-json=run.json", env=speaking_to(standin))
    assert written(suite).startswith("### ✅ LLM tests: 12 cases, compared with no baseline\n")
    assert written(suite, "--baseline=base.json").startswith("### ✅ LLM tests: no regression\n")
