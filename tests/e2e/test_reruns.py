"""Suspects of the broken-case guard, run again after a live run."""

from __future__ import annotations

import pytest

from tests.e2e.user import assert_no_traceback, speaking_to, write_app

TEST = """
    import os
    import pytest
    from app import ask

    @pytest.mark.llm_eval(dataset="cases.jsonl", threshold=None)
    def test_it(llm_eval, llm_case, request):
        result = llm_eval.run(ask, os.environ.get("ASK", "please ") + llm_case.input)
        assert request.config.getoption("--polite")
        assert "fail" not in result.text

    @pytest.mark.llm_eval(threshold=None)
    def test_alone(llm_eval):
        assert "fail" not in llm_eval.run(ask, os.environ.get("ASK", "please ") + "alone").text
"""
CONFTEST = """
    def pytest_addoption(parser):
        parser.addoption("--polite", action="store_true")
"""
NAMES = [f"c{i}" for i in range(12)]
ARGUMENTS = ("--polite", "--llm-baseline=base.json", "--llm-json=run.json")


@pytest.fixture
def suite(project, standin):
    write_app(project)
    project.file("tests/test_it.py", TEST)
    project.file("tests/conftest.py", CONFTEST)
    project.file("tests/cases.jsonl", "".join(f'{{"id": "{n}", "input": "{n}"}}\n' for n in NAMES))
    made = project.run(
        *("tests", *ARGUMENTS, "--llm-record=live", "--llm-trials=5", "--llm-update-baseline"),
        env=speaking_to(standin, PYTHONPATH=".:" + str(project.path)),
    )
    assert made.outcomes == {"passed": 65}, made.out
    standin.reset()
    return project


def reruns(run):
    return [test for test in run.record["tests"] if test["rerun"]]


@pytest.mark.parametrize("n", [None, 2])
def test_a_broken_case_is_told_from_bad_luck(suite, standin, n):
    luck = {"left": 1}

    def answer(body):
        asked = body["messages"][-1]["content"]
        if asked.endswith((" c7", "alone")):
            return "I fail"
        if asked.endswith(" c3") and luck["left"]:
            luck["left"] -= 1
            return "I fail once"
        return asked

    standin.script(answer)
    run = suite.run("tests", *ARGUMENTS, "-x", "--llm-record=live", env=speaking_to(standin), n=n)
    assert_no_traceback(run)
    run.match("llmops: running 3 suspect cases 5 times more")
    assert run.returncode == 1
    comparison = run.record["comparison"]
    broken = {case["case"]: case for case in comparison["broken_cases"]}
    assert set(broken) == {"tests/test_it.py::test_it[c7]", "tests/test_it.py::test_alone"}
    assert broken["tests/test_it.py::test_alone"]["reruns"] == 5
    assert comparison["suspect_cases"] == []
    assert [(one["case"], "not broken" in one["reason"]) for one in comparison["findings"]] == [
        ("tests/test_it.py::test_it[c3]", True)
    ]
    assert len(reruns(run)) == 15
    assert len(standin.requests) == 13 + 15
    assert run.record["metrics"]["pass"]["cases"] == 13
    run.match("FAILED llm-baseline::broken-cases - 2 cases broken")
    assert not list(suite.path.rglob("cassettes/*"))
    compared = suite.command("compare", "base.json", "run.json")
    assert compared.returncode == 1
    assert "2 cases broken" in compared.out
    assert len(standin.requests) == 13 + 15  # compare only reads


def test_a_recording_run_reruns_without_touching_its_cassettes_and_a_replay_never(suite, standin):
    standin.script(lambda body: "I fail" if body["messages"][-1]["content"].endswith(" c7") else "fine")
    env = speaking_to(standin)
    recorded = suite.run("tests", *ARGUMENTS, "--llm-record=once", env=env)
    assert len(reruns(recorded)) == 5
    files = sorted(path.name for path in suite.path.rglob("cassettes/*/*.json"))
    assert len(files) == 13
    assert not any("trial" in name for name in files)
    asked = len(standin.requests)
    replayed = suite.run("tests", *ARGUMENTS, "--llm-record=none", env=env)
    assert len(standin.requests) == asked
    assert reruns(replayed) == []
    assert "tests/test_it.py::test_it[c7]" in replayed.record["comparison"]["suspect_cases"]


def test_reruns_that_cannot_be_run_are_said(suite, standin):
    standin.script(lambda body: "I fail" if body["messages"][-1]["content"].endswith(" c7") else "fine")
    suite.file(
        "tests/conftest.py",
        """
        import os, pytest
        def pytest_addoption(parser):
            parser.addoption("--polite", action="store_true")
        def pytest_configure(config):
            if "PYTEST_LLMOPS_RERUN" in os.environ:
                raise pytest.UsageError("only once a day")
        """,
    )
    run = suite.run("tests", *ARGUMENTS, "--llm-record=live", env=speaking_to(standin))
    assert run.returncode == 0
    assert run.record["comparison"]["suspect_cases"] == ["tests/test_it.py::test_it[c7]"]
    run.match("*the suspects could not be run again: pytest ended with 4: *only once a day*")


def test_reruns_keep_to_the_budget(suite, standin):
    standin.script(lambda body: "I fail" if body["messages"][-1]["content"].endswith(" c7") else "fine")
    run = suite.run("tests", *ARGUMENTS, "--llm-record=live", "--llm-budget=1", env=speaking_to(standin))
    assert len(reruns(run)) == 5
    spent = sum(call["cost_usd"] for test in run.record["tests"] if not test["rerun"] for call in test["calls"])
    tight = suite.run(
        "tests", *ARGUMENTS, "--llm-record=live", f"--llm-budget={spent * 1.0001}", env=speaking_to(standin)
    )
    assert sum(test["outcome"] == "passed" for test in reruns(tight)) == 0
    assert tight.record["comparison"]["broken_cases"] == []


AUTO = ("tests", *ARGUMENTS, "--llm-record=live", "--llm-trials=auto")


def asked(standin):
    return len(standin.requests)


def test_one_trial_is_enough_where_it_rules_out_a_regression(suite, standin):
    run = suite.run(*AUTO, env=speaking_to(standin))
    assert run.returncode == 0, run.out
    assert asked(standin) == 13
    run.no_match("*did not settle*")


@pytest.mark.parametrize("n", [None, 2])
def test_where_one_trial_does_not_settle_it_five_are_tested_once(suite, standin, n):
    standin.script(lambda body: "I fail" if body["messages"][-1]["content"].endswith((" c7", " c8")) else "fine")
    run = suite.run(*AUTO, env=speaking_to(standin), n=n)
    run.match("llmops: one trial did not settle pass; running 4 more of each case")
    assert asked(standin) == 13 * 5  # their own five failures tell broken cases; nothing is run a third time
    assert sorted(test["trial"] for test in run.record["tests"]) == sorted([0, 1, 2, 3, 4] * 13)
    assert reruns(run) == []
    broken = [case["case"] for case in run.record["comparison"]["broken_cases"]]
    assert broken == ["tests/test_it.py::test_it[c7]", "tests/test_it.py::test_it[c8]"]
    assert run.record["metrics"]["pass"]["mean"] == pytest.approx(11 / 13, rel=1e-5)
    assert run.returncode == 1
    assert_no_traceback(run)


def test_more_trials_of_a_recording_run_are_recorded(suite, standin):
    standin.script(lambda body: "I fail" if body["messages"][-1]["content"].endswith((" c7", " c8")) else "fine")
    env = speaking_to(standin)
    suite.run("tests", *ARGUMENTS, "--llm-record=once", "--llm-trials=auto", env=env)
    assert len(list(suite.path.rglob("cassettes/*/*.json"))) == 13 * 5
    replayed = suite.run("tests", *ARGUMENTS, "--llm-record=none", "--llm-trials=5", env=env)
    assert len(replayed.record["tests"]) == 13 * 5
    assert asked(standin) == 13 * 5


def test_a_failed_trial_among_the_additional_ones_fails_its_test(suite, standin):
    suite.file("tests/test_it.py", TEST.replace('"cases.jsonl", threshold=None', '"cases.jsonl"'))
    turns = {}

    def answer(body):
        question = body["messages"][-1]["content"]
        turns[question] = turns.get(question, 0) + 1
        if question.endswith(" c3"):
            return "I fail" if turns[question] == 3 else "fine"
        return "I fail" if question.endswith(("alone", " c7", " c8")) else "fine"

    standin.script(answer)
    run = suite.run(*AUTO, env=speaking_to(standin))
    assert run.returncode == 1
    run.match("FAILED tests/test_it.py::test_it[[]c3-trial2[]] - *")


def test_auto_needs_something_to_compare_with(suite, standin):
    run = suite.run("tests", "--polite", "--llm-trials=auto", env=speaking_to(standin))
    assert run.returncode == 4
    run.match("ERROR: --llm-trials=auto needs a baseline to compare with: --llm-baseline=baseline.json")


def test_a_baseline_is_made_with_five(suite, standin):
    suite.run(*AUTO, "--llm-update-baseline", env=speaking_to(standin))
    assert asked(standin) == 13 * 5
