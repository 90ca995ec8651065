"""What a provider that is down leaves behind; and what a team is told that would else pass in silence."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.standin import Reply, StandIn

TEST = """
    import os

    import httpx
    import pytest


    @pytest.mark.llm_eval
    @pytest.mark.parametrize("n", range(2))
    def test_ask(llm_eval, n):
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"Question {n}"}]}
        answer = llm_eval.run(httpx.post, os.environ["LLM_BASE"] + "/v1/chat/completions", json=body).output
        answer.raise_for_status()
"""
DOWN = {"LLM_BASE": "http://127.0.0.1:9"}


@pytest.fixture
def suite(project: Project) -> Project:
    project.file("tests/test_app.py", TEST)
    project.file("pytest.ini", "[pytest]\n")
    return project


def test_an_outage_neither_replaces_recordings_nor_is_one(suite: Project, standin: StandIn) -> None:
    up = {"LLM_BASE": standin.url}
    # A first recording while the provider is down, or answers 500: nothing is kept, the next run asks again.
    assert suite.run("-q", env=DOWN).returncode == 1
    standin.script(Reply(status=500, text="down"))
    down = suite.run("-q", env=up)
    assert down.returncode == 1
    down.match("*of this failed test ended in an error of the provider or the connection: not recorded*")
    assert not list(suite.path.rglob("cassettes/**/*.json"))
    assert not list(suite.path.rglob(".journal"))
    standin.script("All is well.")
    assert suite.run("-q", env=up).returncode == 0
    # Recording all anew while it is down: the recordings stay.
    kept = {path: path.read_text() for path in suite.path.rglob("cassettes/**/*.json")}
    assert suite.run("-q", "--llm-record=all", env=DOWN).returncode == 1
    assert {path: path.read_text() for path in suite.path.rglob("cassettes/**/*.json")} == kept
    assert suite.run("-q", "--llm-record=none", env=DOWN).returncode == 0


def test_a_baseline_of_failures_says_so(suite: Project) -> None:
    run = suite.run("-q", "--llm-baseline=base.json", "--llm-update-baseline", env=DOWN)
    assert run.returncode == 1
    run.match("*2 of 2 cases failed all their trials, and the baseline holds that now: *test_ask*")


def test_a_moved_root_is_no_silent_pass(suite: Project, standin: StandIn) -> None:
    up = {"LLM_BASE": standin.url}
    assert suite.run("-q", "--llm-baseline=base.json", "--llm-update-baseline", env=up).returncode == 0
    suite.file("tests/pytest.ini", "[pytest]\n")
    moved = suite.run("-q", "tests", "--llm-baseline=base.json", "--llm-record=none", env=up)
    assert moved.returncode == 1
    moved.match("*nothing was compared: the baseline knows 'tests/test_app.py::test_ask*, this run 'test_app.py::*")


def test_a_run_of_new_tests_alone_passes_and_says_that_nothing_was_compared(suite: Project, standin: StandIn) -> None:
    up = {"LLM_BASE": standin.url}
    assert suite.run("-q", "--llm-baseline=base.json", "--llm-update-baseline", env=up).returncode == 0
    suite.file("tests/test_new.py", TEST.replace("test_ask", "test_new"))
    run = suite.run("-q", "tests/test_new.py", "--llm-baseline=base.json", env=up)
    assert run.returncode == 0
    run.match("gate: nothing was compared")


def test_names_that_nearly_are_settings(suite: Project, standin: StandIn) -> None:
    up = {"LLM_BASE": standin.url}
    suite.file("pyproject.toml", "[tool.pytest-llmops.metrics.overlapp]\ngate = true\n")
    run = suite.run("-q", "--llm-baseline=base.json", "--llm-update-baseline", env=up)
    run.match("*[[]tool.pytest-llmops.metrics.overlapp]: 'overlapp' is to gate, but no test records a metric*")
    suite.file("pyproject.toml", "[tool.pytest_llmops]\nmin_cases = 3\n")
    wrong = suite.run("-q", "--llm-record=none", env=up)
    assert wrong.returncode == 4
    wrong.match("*[[]tool.pytest_llmops]: Did you mean [[]tool.pytest-llmops]?")


def test_a_run_without_calls_has_no_times_and_says_why(suite: Project) -> None:
    suite.file(
        "tests/test_app.py",
        """
        import pytest

        @pytest.mark.llm_eval
        def test_nothing(llm_eval):
            assert llm_eval.run(lambda: "hello").latency_ms < 10_000
        """,
    )
    run = suite.run("-q")
    assert run.returncode == 1
    run.match("*no provider call was seen in this test, so it has no times*")


def test_commands_in_messages_work_where_pytest_was_started(suite: Project) -> None:
    run = suite.python("-m", "pytest", "-q", "--llm-record=none", "--rootdir=..", env=DOWN)
    run.match("*re-record: pytest tests/test_app.py::test_ask --llm-record=refresh*")


# -- cancelled ---------------------------------------------------------------------------------------------------------

TASK_GROUP = """
    import asyncio, os
    import httpx
    import pytest

    async def ask(client):
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "one"}]}
        return await client.post(os.environ["LLM_BASE"] + "/v1/chat/completions", json=body, timeout=20)

    async def bug():
        while not os.path.exists("asked"):
            await asyncio.sleep(0.01)
        if "BUG" in os.environ:
            raise KeyError("a bug in my application")

    @pytest.mark.llm_eval
    async def test_group():
        async with httpx.AsyncClient() as client, asyncio.TaskGroup() as group:
            group.create_task(ask(client))
            group.create_task(bug())
"""


@pytest.mark.parametrize("args", [(), ("--llm-timeout=2",)], ids=["a bug", "a timeout"])
def test_a_call_that_a_failure_cancelled_is_asked_anew(
    project: Project, standin: StandIn, args: tuple[str, ...]
) -> None:
    project.file("test_group.py", TASK_GROUP)
    standin.script(lambda _: (project.path / "asked").touch())  # the others wait until the call is under way
    standin.latency_s = 10
    env = {"LLM_BASE": standin.url}
    broken = project.run(*args, env=env if args else env | {"BUG": "1"})
    assert broken.returncode == 1, broken.out
    assert not list(project.path.rglob("*.json*"))
    standin.latency_s = 0.0
    mended = project.run(env=env)
    assert mended.returncode == 0, mended.out
    assert len(standin.requests) == 2
    assert project.run("--llm-record=none", env=env).returncode == 0
