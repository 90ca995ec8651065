"""What a run leaves for people and machines to read, as a user meets it."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from tests.e2e.user import assert_no_traceback, speaking_to, write_app

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


def properties(file):
    cases = ElementTree.parse(file).getroot().iter("testcase")
    return {case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")} for case in cases}


@pytest.mark.parametrize("n", [None, 2])
def test_junit_has_what_was_measured(suite, standin, n):
    env = speaking_to(standin)
    suite.run("--junitxml=junit.xml", "--llm-record=none", env=env, n=n)
    found = properties(suite.path / "junit.xml")
    assert len(found) == 24
    one = found["test_it[c3-trial1]"]
    assert one["llmops.case"] == "test_it.py::test_it[c3]"
    assert (one["llmops.trial"], one["llmops.metric.pass"], one["llmops.models"]) == ("1", "1", "gpt-4o-mini")
    assert float(one["llmops.metric.brevity"]) > 0
    suite.run("--junitxml=junit.xml", "--llm-record=none", "--llm-junit-properties=false", env=env, n=n)
    assert set(map(len, properties(suite.path / "junit.xml").values())) == {0}


@pytest.mark.parametrize("n", [None, 2])
def test_the_gates_verdicts_are_test_cases_in_junit(suite, standin, n):
    env = speaking_to(standin, PROMPT="Do tell me at length, please: ")
    run = suite.run(BASELINE, "--llm-record=live", "--junitxml=junit.xml", env=env, n=n)
    assert run.outcomes == {"passed": 24}
    suites = ElementTree.parse(suite.path / "junit.xml").getroot().find("testsuite")
    assert (suites.get("tests"), suites.get("failures")) == ("26", "1")
    verdicts = {case.get("name"): case for case in suites if case.get("classname") == "llm-baseline"}
    assert {name: len(case.findall("failure")) for name, case in verdicts.items()} == {"brevity": 1, "pass": 0}
    found = properties(suite.path / "junit.xml")
    assert found["brevity"]["llmops.verdict"] == "regressed"
    assert float(found["brevity"]["llmops.delta"]) < 0
    assert float(found["brevity"]["llmops.p"]) < 0.05
    assert (found["pass"]["llmops.verdict"], found["pass"]["llmops.cases"]) == ("no_regression", "12")
    off = ("--junitxml=off.xml", "--llm-junit-properties=false")
    suite.run(BASELINE, "--llm-record=live", *off, env=env, n=n)
    assert set(map(len, properties(suite.path / "off.xml").values())) == {0}
    missing = suite.run(BASELINE, "--llm-record=none", "--llm-cassette-dir=no", "--junitxml=none.xml", env=env, n=n)
    assert missing.returncode == 1
    assert "pass" not in properties(suite.path / "none.xml"), "what has no verdict did not pass"


def test_a_report_that_cannot_be_written_keeps_no_other_from_it(suite, standin):
    env = speaking_to(standin)
    suite.file("taken", "a file where a folder is wanted")
    run = suite.run(
        *(BASELINE, "--llm-record=none", "--llm-json=taken/run.json"),
        *("--llm-html=report.html", "--llm-ctrf=out/ctrf.json"),
        env=env,
    )
    assert run.returncode == 1
    assert run.outcomes == {"passed": 24}  # a made-up failure is no test
    run.match("*/taken/run.json: the run record cannot be written: *", "FAILED llm-json - *")
    assert_no_traceback(run)
    assert "24 trials" in suite.read("report.html")
    results = json.loads(suite.read("out/ctrf.json"))["results"]
    assert results["summary"]["passed"] == 24 + 2  # the gated metrics, too


def test_a_page_of_a_merged_run_is_compared_on_request(suite, standin):
    for number, picked in ((1, "c0 or c2"), (2, "not (c0 or c2)")):
        suite.run(
            *("--llm-record=live", f"--llm-json={number}.json", f"-k={picked}", f"--llm-shard={number}/2"),
            env=speaking_to(standin),
        )
    suite.command("merge", "1.json", "2.json", "-o", "whole.json")
    made = suite.command("report", "whole.json", "-o", "plain.html")
    assert made.out.startswith("wrote plain.html, ")
    assert "not compared with a baseline" in suite.read("plain.html")
    suite.command("report", "whole.json", "-o", "compared.html", "--baseline", "base.json")
    assert "Against base.json" in suite.read("compared.html")


def test_a_shard_without_any_evaluation_has_its_record(suite, standin):
    suite.file("test_other.py", "def test_other(): pass")
    arguments = ("test_other.py", "--llm-json=run.json")
    none = suite.run(*arguments, env=speaking_to(standin))
    assert none.record is None
    empty = suite.run(*arguments, "--llm-shard=2/2", env=speaking_to(standin))
    assert empty.returncode == 0
    assert (empty.record["shard"], empty.record["tests"]) == ([2, 2], [])


def test_answers_that_cannot_be_read_are_said_and_stop_nothing(suite, standin):
    (suite.path / "base.answers.jsonl.gz").write_bytes(b"cut")
    run = suite.run(BASELINE, "--llm-record=none", "--llm-html=report.html", env=speaking_to(standin))
    assert run.returncode == 0, run.out
    run.match("llmops: *base.answers.jsonl.gz: the baseline's answers cannot be read: *")
    assert "Gate passed" in suite.read("report.html")


def test_a_baseline_that_cannot_be_written_keeps_no_report_from_it(suite, standin):
    suite.file("taken", "a file where a folder is wanted")
    run = suite.run(
        *("--llm-baseline=taken/base.json", "--llm-update-baseline", "--llm-record=none"),
        *("--llm-json=run.json", "--llm-html=report.html"),
        env=speaking_to(standin),
    )
    assert run.returncode == 1
    run.match("*/taken/base.json: the baseline cannot be written: *", "FAILED llm-baseline::error - *")
    assert_no_traceback(run)
    assert len(run.record["tests"]) == 24
    assert "24 trials" in suite.read("report.html")


def test_a_baseline_is_pruned_only_on_request(suite, standin):
    suite.file("cases.jsonl", "".join(f'{{"id": "{name}", "input": "{name} and {name}"}}\n' for name in NAMES[:-1]))
    suite.run("--llm-record=none", "--llm-json=run.json", "-k", "not c3", env=speaking_to(standin))
    kept = suite.command("baseline", "update", "run.json", "-o", "base.json")
    assert kept.out.startswith("wrote base.json, 12 cases\n")
    pruned = suite.command("baseline", "update", "run.json", "-o", "base.json", "--prune")
    assert pruned.out.startswith("dropped test_it.py::test_it[c11]\nwrote base.json, 11 cases\n")
    assert "test_it[c11]" not in suite.read("base.json")
    assert "test_it[c3]" in suite.read("base.json")


def test_what_the_command_line_did_not_ask_for_is_not_pruned(suite, standin):
    other = "import pytest\n\n@pytest.mark.llm_eval\ndef test_{0}(llm_eval):\n    llm_eval.record('q', 1)\n"
    suite.file("more/test_other.py", other.format("one") + other.format("two"))
    stored = ("--llm-record=none", "--llm-baseline=base.json", "--llm-update-baseline")
    suite.run(*stored, env=speaking_to(standin))
    for args in (
        ["more/test_other.py::test_one"],
        ["more"],
        ["test_it.py::test_it[c3]"],
        ["test_it.py", "more/test_other.py::test_two"],
        ["--lf", "more"],
    ):
        suite.run("--llm-record=none", "--llm-json=run.json", *args, env=speaking_to(standin))
        pruned = suite.command("baseline", "update", "run.json", "-o", "base.json", "--prune")
        assert "dropped" not in pruned.out, args
    suite.file("more/test_other.py", other.format("one"))
    suite.run("--llm-record=none", "--llm-json=run.json", str(suite.path / "more"), env=speaking_to(standin))
    pruned = suite.command("baseline", "update", "run.json", "-o", "base.json", "--prune")
    assert pruned.out.startswith("dropped more/test_other.py::test_two\nwrote base.json, ")
    assert "test_it[c3]" in suite.read("base.json")


def test_a_shard_prunes_nothing(suite, standin):
    before = suite.read("base.json")
    suite.run("--llm-record=none", "--llm-json=1.json", "-k=c1", "--llm-shard=1/2", env=speaking_to(standin))
    refused = suite.command("baseline", "update", "1.json", "-o", "base.json", "--prune")
    assert refused.returncode == 2
    refused.match("pytest-llmops: 1.json: this is part 1 of 2 of a run*pytest-llmops merge")
    assert suite.read("base.json") == before
    assert suite.command("baseline", "update", "1.json", "-o", "base.json").returncode == 0


FLAKY = """
    import pytest

    @pytest.mark.llm_eval(trials=4, threshold=0.5)
    @pytest.mark.parametrize("failing", [0, 2, 4])
    def test_it(request, llm_eval, failing):
        assert int(request.node.name[-2]) >= failing, "not this time"
"""


def test_ctrf_counts_a_case_below_its_threshold_as_failed(project):
    project.file("test_it.py", FLAKY)
    run = project.run("--llm-ctrf=ctrf.json")
    assert run.returncode == 1, run.out
    results = json.loads(project.read("ctrf.json"))["results"]
    by_status = {}
    for test in results["tests"]:
        by_status.setdefault(test["status"], set()).add(test["extra"]["case"])
    assert by_status["failed"] == {"test_it.py::test_it[4]"}
    assert by_status["other"] == {"test_it.py::test_it[2]"}
    assert (results["summary"]["failed"], results["summary"]["other"]) == (4, 2)
