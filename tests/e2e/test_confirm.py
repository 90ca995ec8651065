"""``--llm-confirm``: a live regression is asked about once more before it is red."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Project
from tests.e2e.user import assert_no_traceback, speaking_to, write_app

TEST = """
    import pytest
    from app import ask

    @pytest.mark.llm_eval(dataset="cases.jsonl", trials=2)
    def test_it(llm_eval, llm_case):
        result = llm_eval.run(ask, llm_case.input)
        llm_eval.record("brevity", 1 / len(result.text.split()))

    @pytest.mark.llm_eval(gate=False)
    def test_aside(llm_eval):
        llm_eval.record("brevity", 1 / len(llm_eval.run(ask, "aside").text.split()))
"""
SETTINGS = """
    [tool.pytest-llmops.metrics.brevity]
    gate = true
"""
CALLS = 2 * 12 + 1
LIVE = ("--llm-baseline=base.json", "--llm-record=live", "--llm-json=run.json")


def short(body):
    return "so it is" if "7" in body["messages"][-1]["content"] else "it is"


@pytest.fixture
def suite(tmp_path, standin):
    project = Project(tmp_path / "now")
    write_app(project)
    project.file("test_it.py", TEST)
    project.file("pyproject.toml", SETTINGS)
    project.file("cases.jsonl", "".join(f'{{"id": "c{i}", "input": "question {i}"}}\n' for i in range(12)))
    standin.script(short)
    made = project.run(*LIVE, "--llm-update-baseline", env=speaking_to(standin))
    assert made.outcomes == {"passed": CALLS}, made.out
    standin.reset()
    return project


def long_first(standin, calls):
    """Long answers to the first calls, then those the baseline has."""
    standin.script(lambda body: "it is as it is, and so it will be" if len(standin.requests) <= calls else short(body))


def brevity(run):
    return next(row for row in run.record["comparison"]["metrics"] if row["metric"] == "brevity")


@pytest.mark.parametrize("more", [(), ("-n", "2"), ("--llm-concurrency=4",)], ids=["alone", "workers", "overlapping"])
def test_a_regression_that_fresh_trials_do_not_show_is_not_red(suite, standin, more):
    long_first(standin, CALLS)
    run = suite.run(*LIVE, "--llm-confirm", *more, env=speaking_to(standin, COLUMNS="100"))
    assert_no_traceback(run)
    assert run.returncode == 0, run.out
    run.match(
        "llmops: brevity regressed; running 24 fresh trials of 12 cases to confirm it",
        "brevity *inconclusive",
        "*brevity: regressed at first (p = *), but 2 fresh trials of 12 cases did not (+0, p = 1)*",
        "gate: passed (* not settled: brevity)",
    )
    assert run.outcomes == {"passed": CALLS}
    assert len(standin.requests) == CALLS + 24  # the test that does not gate is not asked again
    row = brevity(run)
    assert row["verdict"] == "inconclusive"
    assert row["delta"] < -0.2
    assert row["p_adjusted"] < 0.05
    assert row["confirmation"] == {
        "confirmed": False,
        "of_baseline": False,
        "cases": 12,
        "trials": 2,
        "current": pytest.approx(0.48611, abs=1e-4),
        "delta": 0,
        "ci_low": 0,
        "ci_high": 0,
        "p": 1,
    }
    fresh = [test for test in run.record["tests"] if test["confirms"]]
    assert len(fresh) == 24
    assert all(test["rerun"] for test in fresh)
    assert run.record["metrics"]["brevity"]["mean"] < 0.15, "the run's own numbers are its own trials'"
    compared = suite.command("compare", "base.json", "run.json", "--json")
    assert compared.returncode == 0
    assert json.loads(compared.out)["metrics"] == run.record["comparison"]["metrics"]
    assert suite.command("compare", "base.json", "run.json", "--inconclusive=fail").returncode == 1
    stored = suite.command("baseline", "update", "run.json", "-o", "new.json")
    assert stored.returncode == 0
    assert '"brevity":0.5' not in suite.read("new.json"), "fresh trials are no baseline's"


def test_a_regression_that_fresh_trials_show_as_well_is_red(suite, standin):
    long_first(standin, 10**6)
    run = suite.run(*LIVE, "--llm-confirm", "--llm-html=report.html", env=speaking_to(standin))
    assert run.returncode == 1
    run.match("*confirmed by 2 fresh trials of 12 cases (-0.*, p = *)*", "FAILED llm-baseline::brevity - *")
    row = brevity(run)
    assert (row["verdict"], row["confirmation"]["confirmed"]) == ("regressed", True)
    assert row["confirmation"]["delta"] == row["delta"]
    assert "confirmed by 2 fresh trials of 12 cases" in suite.read("report.html")
    assert suite.command("compare", "base.json", "run.json").returncode == 1


def test_nothing_is_asked_again_without_need(suite, standin):
    env = speaking_to(standin)
    standin.script(short)
    fine = suite.run(*LIVE, "--llm-confirm", env=env)
    assert (fine.returncode, len(standin.requests)) == (0, CALLS), fine.out
    standin.reset()
    long_first(standin, 10**6)
    once = suite.run(*LIVE, env=env)
    assert (once.returncode, len(standin.requests)) == (1, CALLS), "only where it is asked for"
    suite.file("llm-accept.toml", '[[accept]]\nmetric = "brevity"\nreason = "meant"\nexpires = 2999-12-31\n')
    accepted = suite.run(*LIVE, "--llm-confirm", env=env)
    assert (accepted.returncode, len(standin.requests)) == (0, 2 * CALLS), accepted.out


def test_a_replay_has_nothing_to_confirm(suite, standin):
    env = speaking_to(standin)
    standin.script(short)
    stored = ("--llm-baseline=replayed.json", "--llm-json=run.json")
    suite.run(*stored, "--llm-update-baseline", env=env)
    suite.file("test_it.py", TEST.replace("1 / len", "0.5 / len"))
    asked = len(standin.requests)
    run = suite.run(*stored, "--llm-record=none", "--llm-confirm", env=env)
    assert (run.returncode, len(standin.requests)) == (1, asked)
    assert brevity(run)["verdict"] == "regressed"
    assert brevity(run)["confirmation"] is None


SEPARATE = ("--llm-confirm", "--llm-confirm-baseline=../before")


@pytest.fixture
def checkout(suite):
    """What the baseline was made from, in a folder of its own."""
    for name in ("conftest.py", "app.py", "test_it.py", "pyproject.toml", "cases.jsonl"):
        suite.file(f"../before/{name}", suite.read(name))
    return suite


def test_a_baseline_that_was_lucky_is_told_by_running_its_code_again(checkout, standin):
    """The provider answers at greater length than when the baseline was made, whichever code asks."""
    long_first(standin, 10**6)
    env = speaking_to(standin, COLUMNS="200")
    run = checkout.run(*LIVE, *SEPARATE, env=env)
    assert_no_traceback(run)
    assert run.returncode == 0, run.out
    run.match(
        "llmops: * running 24 fresh trials of 12 cases, and as many of the baseline's code, to confirm it",
        "*regressed at first (p = *), but 2 fresh trials of 12 cases, beside as many of the baseline's code did not*",
    )
    assert len(standin.requests) == CALLS + 24 + 24
    assert brevity(run)["confirmation"]["of_baseline"] is True
    assert sum(test["of_baseline"] for test in run.record["tests"]) == 24
    assert checkout.command("compare", "base.json", "run.json").returncode == 0


def test_code_that_is_worse_than_the_baselines_is_red(checkout, standin):
    app = checkout.read("app.py")
    checkout.file("app.py", app.replace('"content": question', '"content": "At length: " + question'))
    at_length = "it is as it is, and so it will be"
    standin.script(lambda body: at_length if "At length" in body["messages"][-1]["content"] else short(body))
    run = checkout.run(*LIVE, *SEPARATE, env=speaking_to(standin))
    assert run.returncode == 1
    run.match("*confirmed by 2 fresh trials of 12 cases, beside as many of the baseline's code (-0.*, p = *)*")


def test_a_checkout_that_runs_the_same_code_confirms_nothing(checkout, standin):
    (checkout.path / "../before/app.py").unlink()
    long_first(standin, 10**6)
    env = speaking_to(standin, COLUMNS="250")
    run = checkout.run(*LIVE, *SEPARATE, env=env | {"MORE": str(checkout.path)})
    assert run.returncode == 1, "app cannot be imported there"
    run.match("*brevity could not be confirmed by fresh trials: *")
    checkout.file("../before/conftest.py", "import os, sys\nsys.path.append(os.environ['MORE'])\n")
    run = checkout.run(*LIVE, *SEPARATE, env=env | {"MORE": str(checkout.path)})
    assert run.returncode == 1
    run.match("*brevity could not be confirmed by fresh trials: the checkout ran this one's code: app (*app.py)*")


def test_the_checkouts_option(suite):
    lone = suite.run("--llm-confirm-baseline=../before")
    assert lone.returncode == 4
    lone.match("ERROR: --llm-confirm-baseline goes with --llm-confirm.")
    absent = suite.run(*SEPARATE)
    assert absent.returncode == 4
    absent.match("ERROR: --llm-confirm-baseline: there is no folder *before. Make one: git worktree add *before COMMIT")


def test_what_cannot_be_confirmed_stays_red(suite, standin):
    long_first(standin, 10**6)
    env = speaking_to(standin)
    whole = suite.run(*LIVE, env=env)
    spent = sum(call["cost_usd"] for test in whole.record["tests"] for call in test["calls"])
    standin.reset()
    long_first(standin, CALLS)
    tight = suite.run(*LIVE, "--llm-confirm", f"--llm-budget={spent * 1.1}", env=env)
    assert tight.returncode == 1
    tight.match("*neither confirmed nor refuted: * cases with fresh trials, too few to test*")
    assert len(standin.requests) < CALLS + 12, "the budget is the whole run's"
    standin.reset()
    long_first(standin, CALLS)
    suite.file(
        "conftest.py",
        """
        import os, pytest
        def pytest_configure(config):
            if "PYTEST_LLMOPS_RERUN" in os.environ:
                raise pytest.UsageError("only once a day")
        """,
    )
    failed = suite.run(*LIVE, "--llm-confirm", env=env)
    assert failed.returncode == 1
    failed.match("*note: brevity could not be confirmed by fresh trials: pytest ended with 4: *only once a day*")
