"""Under xdist: the same record and verdicts, also where a worker dies."""

from __future__ import annotations

from tests.e2e.user import assert_no_traceback, speaking_to, write_app

TEST = """
    import os
    import pytest
    from app import ask

    @pytest.fixture(scope="session")
    def index():
        return ask("build the index")

    @pytest.mark.llm_eval(dataset="cases.jsonl")
    def test_it(llm_eval, llm_case, index):
        assert index == "Echo: build the index"
        if os.environ.get("CRASH") == llm_case.id:
            os._exit(1)
        assert llm_eval.run(ask, llm_case.input).text
"""


def test_a_worker_that_dies_costs_its_own_case_only(project, standin):
    write_app(project)
    project.file("test_it.py", TEST)
    project.file("cases.jsonl", "".join(f'{{"id": "c{i}", "input": "number {i}"}}\n' for i in range(6)))
    env = speaking_to(standin)
    made = project.run("--llm-baseline=base.json", "--llm-update-baseline", "--llm-json=made.json", env=env, n=2)
    assert made.outcomes == {"passed": 6}, made.out
    calls = [call for test in made.record["tests"] for call in test["calls"]]
    assert len(calls) == 6  # the fixture's call is the session's, and no test's
    asked = len(standin.requests)

    whole = project.run("--llm-baseline=base.json", "--llm-record=none", "--dist=loadscope", env=env, n=2)
    assert whole.returncode == 0, whole.out
    crashed = project.run(
        "--llm-baseline=base.json", "--llm-record=none", "--llm-json=run.json", env={**env, "CRASH": "c3"}, n=2
    )
    assert crashed.returncode == 1
    assert crashed.outcomes == {"passed": 5, "failed": 1}, crashed.out
    assert_no_traceback(crashed)
    assert len(standin.requests) == asked
    crashed.match("*worker 'gw?' crashed while running 'test_it.py::test_it?c3?'*")
    tests = {test["id"].partition("[")[2]: test for test in crashed.record["tests"]}
    assert tests.keys() == {f"c{i}]" for i in range(6)}
    assert tests["c3]"]["outcome"] == "error"
    assert tests["c3]"]["measurements"]["pass"]["status"] == "error"
    assert crashed.record["comparison"]["missing_cases"] == []
    assert crashed.record["comparison"]["errored_cases"] == ["test_it.py::test_it[c3]"]
