"""Overlapped evaluations (``--llm-concurrency``), beside the same ones run one by one."""

from __future__ import annotations

import json
import re
import time
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.conftest import Project, Run
from tests.standin import Reply, StandIn
from tests.standin_judge import GullibleJudge

SUITE = Path(__file__).parent / "equivalence"
MODULES = sorted(path.stem.removeprefix("suite_") for path in SUITE.glob("suite_*.py") if path.stem != "suite_conftest")
# Plugins of the environment that the suite is about; those that merely happen to be installed stay out.
PLUGINS = ("-p", "pytest_llmops.plugin", "-p", "pytest_asyncio.plugin")
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def equivalence(project: Project, module: str) -> None:
    if module == "subtests" and pytest.version_tuple < (9, 0):
        pytest.skip("subtests came with pytest 9")
    (project.path / "conftest.py").write_text((SUITE / "suite_conftest.py").read_text())
    (project.path / f"test_{module}.py").write_text((SUITE / f"suite_{module}.py").read_text())
    project.file(
        "pytest.ini", "[pytest]\naddopts = -o junit_logging=all\nasyncio_default_fixture_loop_scope = function\n"
    )


def outcomes(project: Project, name: str) -> list[tuple[str, ...]]:
    """The JUnit file's cases, in order, with everything in them but times and addresses."""
    cases = []
    for case in ElementTree.parse(project.path / name).getroot().iter("testcase"):
        parts = [f"{case.get('classname')}::{case.get('name')}"]
        for element in case.iter():
            if element is not case:
                name = element.get("name")
                value = "some" if name and name.endswith("_ms") else element.get("value")
                parts.append(f"{element.tag} {name} {value} {element.get('message')}")
                parts.append(own_frames(element.text or ""))
        cases.append(tuple(re.sub(r"0x[0-9a-f]+|/pytest-\d+/", "0x", part) for part in parts))
    return cases


def own_frames(text: str) -> str:
    """Without the frames of pytest, which its older versions show of exception groups."""
    return text.rpartition("test_outcomes.py")[2] if "Exception Group Traceback" in text else text


def run(project: Project, standin: StandIn, name: str, *args: str, n: int | None = None) -> Run:
    xdist = ("-p", "xdist.plugin") if n is not None else ()
    return project.run(
        *PLUGINS,
        *xdist,
        "--llm-record=live",
        f"--junitxml={name}",
        *args,
        env={**ALONE, "STANDIN_URL": standin.url},
        n=n,
    )


@pytest.mark.parametrize("module", MODULES)
def test_overlapped_run_has_the_outcomes_of_a_serial_one(project: Project, standin: StandIn, module: str) -> None:
    equivalence(project, module)
    serial = run(project, standin, "serial.xml")
    overlapped = run(project, standin, "overlapped.xml", "--llm-concurrency=8")
    assert outcomes(project, "overlapped.xml") == outcomes(project, "serial.xml")
    assert overlapped.returncode == serial.returncode


@pytest.mark.parametrize(
    "options",
    [
        ("-s",),
        ("--capture=sys",),
        ("--capture=tee-sys",),
        ("-p", "no:logging"),
        ("--log-level=INFO", "--log-cli-level=WARNING"),
        ("-W", "error::UserWarning"),
        ("--runxfail", "--strict-markers"),
        ("--import-mode=importlib",),
    ],
    ids=" ".join,
)
def test_overlapped_run_agrees_whatever_else_is_asked_for(
    project: Project, standin: StandIn, options: tuple[str, ...]
) -> None:
    equivalence(project, "output")
    if options[0] == "--import-mode=importlib":
        options = (*options, "-o", "pythonpath=.")
    serial = run(project, standin, "serial.xml", *options)
    overlapped = run(project, standin, "overlapped.xml", "--llm-concurrency=8", *options)
    assert outcomes(project, "overlapped.xml") == outcomes(project, "serial.xml")
    assert overlapped.returncode == serial.returncode


def test_overlapped_run_under_xdist_has_the_same_outcomes(project: Project, standin: StandIn) -> None:
    for module in MODULES:
        if module != "subtests":
            equivalence(project, module)
    serial = run(project, standin, "serial.xml")
    overlapped = run(project, standin, "overlapped.xml", "--llm-concurrency=4", "--llm-concurrency-report", n=2)
    assert without_session_fixtures(outcomes(project, "overlapped.xml")) == without_session_fixtures(
        outcomes(project, "serial.xml")
    )
    assert overlapped.returncode == serial.returncode
    overlapped.match("* overlapped, up to [234] at once in a process; * ran on their own")


def without_session_fixtures(cases: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Sorted, and without the texts: each worker has a last test, at which its session's fixtures are torn down."""
    return sorted(tuple(part.partition("\n")[0] for part in case if "None None None" not in part) for case in cases)


def test_warnings_are_told_for_each_test(project: Project, standin: StandIn) -> None:
    equivalence(project, "output")
    serial = run(project, standin, "serial.xml", "-k", "warns")
    overlapped = run(project, standin, "overlapped.xml", "-k", "warns", "--llm-concurrency=8")
    summary = [done.out.partition("warnings summary")[2].partition("Docs:")[0] for done in (serial, overlapped)]
    assert summary[0] == summary[1] != ""


# -- what overlaps, and how long that takes ----------------------------------------------------------------------------

# As many as may run at once wait for each other, however long a busy machine takes to begin them; then it would show if
# there were more.
SLEEPERS = """
    import os
    import threading
    import time
    import pytest

    PEAK = int(os.environ["PEAK"])
    running, met = [], threading.Event()

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("n", range(16))
    def test_sleeps(n):
        running.append(n)
        if len(running) == PEAK:
            met.set()
        met.wait(20)
        time.sleep(0.1)
        peak = len(running)
        running.remove(n)
        assert peak <= PEAK
"""


def concurrent(project: Project, *args: str, n: int | None = None, **env: str) -> Run:
    xdist = ("-p", "xdist.plugin") if n is not None else ()
    return project.run(*PLUGINS, *xdist, "--llm-record=live", "--llm-concurrency-report", *args, env=ALONE | env, n=n)


def test_no_more_bodies_run_at_once_than_asked_for(project: Project) -> None:
    project.file("test_sleepers.py", SLEEPERS)
    run = concurrent(project, "--llm-concurrency=8", PEAK="8")
    run.match("16 overlapped, up to 8 at once in a process; 0 ran on their own", "* 16 passed in *")


def test_plugins_that_are_merely_installed_stop_nothing_from_overlapping(project: Project) -> None:
    """pytest-recording gives every test a fixture that would patch HTTP if a marker said so."""
    project.file(
        "test_kinds.py",
        """
        import pytest

        @pytest.mark.llm_eval
        def test_plain(): pass

        @pytest.mark.llm_eval
        @pytest.mark.block_network
        def test_blocked(): pass
        """,
    )
    run = project.run("--llm-record=live", "--llm-concurrency=2", "--llm-concurrency-report")
    run.match(
        "1 overlapped, up to 1 at once in a process; 1 ran on their own",
        "  1 × marker block_network: pytest-recording blocks the network for the process: *",
    )


def test_without_the_option_nothing_overlaps(project: Project) -> None:
    project.file("test_sleepers.py", SLEEPERS.replace("16", "3"))
    run = concurrent(project, PEAK="1")
    run.match("* 3 passed in *")
    run.no_match("*evaluations overlapped*")


def test_replay_runs_one_by_one(project: Project) -> None:
    project.file("test_sleepers.py", SLEEPERS.replace("16", "3"))
    run = concurrent(project, "--llm-concurrency=8", "--llm-record=none", PEAK="1")
    run.match("none: record mode none: a replay has nothing to wait for", "* 3 passed in *")


def test_two_workers_overlap_apart(project: Project) -> None:
    project.file("test_sleepers.py", SLEEPERS)
    run = concurrent(project, "--llm-concurrency=4", n=2, PEAK="4")
    run.match("16 overlapped, up to 4 at once in a process; 0 ran on their own", "* 16 passed in *")


@pytest.mark.parametrize("text", ["0", "-3", "many", "2.5"])
def test_a_number_that_is_none_is_a_usage_error(project: Project, text: str) -> None:
    run = concurrent(project, f"--llm-concurrency={text}")
    assert run.returncode == 4
    run.match(f"*--llm-concurrency: '{text}' is not *")


# -- items that cannot overlap -----------------------------------------------------------------------------------------


def test_report_says_why_items_ran_on_their_own(project: Project) -> None:
    project.file(
        "test_kinds.py",
        """
        import unittest.mock
        import warnings
        import pytest

        pytestmark = pytest.mark.llm_eval

        @pytest.mark.llm_serial
        def test_marked(): pass

        def test_monkeypatch(monkeypatch): pass

        @pytest.fixture
        def patched(monkeypatch): pass

        def test_by_a_fixture(patched): pass

        @unittest.mock.patch("os.getcwd")
        def test_mocked(getcwd): pass

        def test_warns():
            with pytest.warns(UserWarning):
                warnings.warn("x")

        class TestCase(unittest.TestCase):
            def test_in_unittest(self): pass

        def test_overlaps(): pass
        """,
    )
    run = concurrent(project, "--llm-concurrency=2")
    run.match("1 overlapped, up to 1 at once in a process; 6 ran on their own")
    for line in (
        "  2 × fixture monkeypatch: test_kinds.py::test_monkeypatch, test_kinds.py::test_by_a_fixture",
        "  1 × marker llm_serial: test_kinds.py::test_marked",
        "  1 × patched by mock.patch: test_kinds.py::test_mocked",
        "  1 × calls warns: test_kinds.py::test_warns",
        "  1 × a test of type TestCaseFunction: test_kinds.py::TestCase::test_in_unittest",
    ):
        run.match(line)


def test_serial_item_runs_alone(project: Project) -> None:
    project.file(
        "test_alone.py",
        """
        import threading
        import time
        import pytest

        running, eight = [], threading.Event()

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(9))
        def test_any(n):
            running.append(n)
            if len(running) == 8:
                eight.set()
            eight.wait(20)
            time.sleep(0.05)
            running.remove(n)

        @pytest.mark.llm_eval
        @pytest.mark.llm_serial
        def test_alone():
            assert running == []
            time.sleep(0.05)
            assert running == []

        def test_unmarked():
            assert running == []

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(9))
        def test_more(n):
            test_any.__wrapped__(n) if hasattr(test_any, "__wrapped__") else test_any(n)
        """,
    )
    run = concurrent(project, "--llm-concurrency=8")
    run.match("18 overlapped, up to 8 at once in a process; 1 ran on their own", "* 20 passed in *")


def test_unknown_pytest_runs_serially_and_says_so_once(project: Project) -> None:
    project.file("test_sleepers.py", SLEEPERS.replace("16", "3"))
    project.file(
        "conftest.py",
        """
        from _pytest.fixtures import FixtureDef

        original = FixtureDef.__init__

        def rewritten(self, *args, **kwargs):
            original(self, *args, **kwargs)

        FixtureDef.__init__ = rewritten
        """,
    )
    run = concurrent(project, "--llm-concurrency=8", PEAK="1")
    assert run.out.count("is not as this version of pytest-llmops knows it (FixtureDef)") == 1
    run.match("none: pytest * is not supported (FixtureDef)", "* 3 passed, 1 warning in *")


# -- a run that is stopped ---------------------------------------------------------------------------------------------

STOPPING = """
    import os
    import time
    import pytest

    @pytest.fixture
    def resource(request):
        yield
        with open("torn_down.txt", "a") as file:
            file.write(request.node.name + "\\n")

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("n", range(30))
    def test_one(resource, n):
        with open("begun.txt", "a") as file:
            file.write(f"test_one[{n}]\\n")
        time.sleep(float(os.environ.get("LATER", 0.1)) if n > 5 else 0.1)
        assert n not in (5, 9)
"""


def lines(project: Project, name: str) -> set[str]:
    return set(project.read(name).split())


def test_x_stops_at_the_first_failure_in_order(project: Project) -> None:
    project.file("test_stopping.py", STOPPING)
    run = concurrent(project, "--llm-concurrency=4", "-x", LATER="1")  # time to see that one has failed
    assert run.returncode == 1
    run.match("FAILED test_stopping.py::test_one?5? - *", "* 1 failed, 5 passed in *")
    begun = lines(project, "begun.txt")
    assert len(begun) < 20, "what was ahead when it failed has begun, but no more"
    assert lines(project, "torn_down.txt") >= begun


def test_x_stops_all_workers(project: Project) -> None:
    project.file("test_stopping.py", STOPPING)
    run = concurrent(project, "--llm-concurrency=4", "-x", n=2)
    assert run.returncode == 2
    run.match("*stopping after 1 failures*")


def test_maxfail_counts_in_order(project: Project) -> None:
    project.file("test_stopping.py", STOPPING)
    run = concurrent(project, "--llm-concurrency=4", "--maxfail=2")
    run.match("* 2 failed, 8 passed in *")


def test_lf_and_sw_go_on_from_there(project: Project) -> None:
    project.file("test_stopping.py", STOPPING)
    concurrent(project, "--llm-concurrency=4")
    concurrent(project, "--llm-concurrency=4", "--lf").match("* 2 failed in *")
    concurrent(project, "--llm-concurrency=4", "--sw").match("* 1 failed, 5 passed in *")
    concurrent(project, "--llm-concurrency=4", "--sw").match("* 1 failed, 5 deselected in *")


def test_k_selects(project: Project) -> None:
    project.file("test_stopping.py", STOPPING)
    run = concurrent(project, "--llm-concurrency=4", "-k", "test_one[3] or test_one[5]")
    run.match("* 1 failed, 1 passed, 28 deselected in *")


def test_pytest_exit_ends_the_run_at_its_test(project: Project) -> None:
    project.file(
        "test_exit.py",
        """
        import time
        import pytest

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(12))
        def test_one(n):
            time.sleep(0.05)
            if n == 4:
                pytest.exit("enough", returncode=7)
        """,
    )
    run = concurrent(project, "--llm-concurrency=4")
    assert run.returncode == 7
    run.match("* 4 passed in *", "*Exit: enough*")


def test_ctrl_c_ends_the_run_and_keeps_what_was_recorded(project: Project, standin: StandIn) -> None:
    project.file(
        "test_interrupted.py",
        """
        import os
        import threading
        import time
        import httpx
        import pytest
        from conftest import told

        answered = threading.Event()

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(8))
        def test_one(n):
            url = os.environ["STANDIN_URL"] + "/v1/chat/completions"
            httpx.post(url, json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"question {n}"}]})
            if n == 3:
                answered.set()
            if n == 2 and "INTERRUPT" in os.environ:
                assert told.wait(60) and answered.wait(60)  # those before it, and the one beside it
                os.kill(os.getpid(), 2)  # SIGINT
                time.sleep(100)
        """,
    )
    project.file(
        "conftest.py",
        """
        import threading

        told = threading.Event()

        def pytest_runtest_logreport(report):
            if report.when == "teardown" and report.nodeid.endswith("[1]"):
                told.set()
        """,
    )
    begun = time.monotonic()
    run = project.run(*PLUGINS, "--llm-concurrency=4", env={**ALONE, "STANDIN_URL": standin.url, "INTERRUPT": "1"})
    assert run.returncode == 2, run.out
    assert time.monotonic() - begun < 90, "nobody waits for a body that sleeps"
    run.match("*KeyboardInterrupt*", "* 2 passed in *")
    asked = len(standin.requests)
    again = project.run(*PLUGINS, "--llm-concurrency=4", "-k", "not 2", env={**ALONE, "STANDIN_URL": standin.url})
    again.match("* 7 passed, 1 deselected in *")
    assert {request.json["messages"][0]["content"] for request in standin.requests[asked:]}.isdisjoint(
        {"question 0", "question 1", "question 3"}
    )


# -- time limits -------------------------------------------------------------------------------------------------------

SLOW = """
    import asyncio
    import time
    import pytest

    pytestmark = pytest.mark.llm_eval

    def test_quick(): pass

    def test_slow():
        time.sleep(100)

    async def test_slow_async():
        try:
            await asyncio.sleep(100)
        finally:
            print("cancelled")

    @pytest.mark.llm_serial
    def test_slow_alone():
        time.sleep(100)

    @pytest.mark.llm_serial
    async def test_slow_async_alone():
        await asyncio.sleep(100)

    def test_quick_as_well(): pass
"""


@pytest.mark.parametrize("concurrency", ["1", "4"])
def test_timeout_fails_a_test_that_takes_too_long(project: Project, concurrency: str) -> None:
    project.file("test_slow.py", SLOW)
    begun = time.monotonic()
    run = concurrent(project, f"--llm-concurrency={concurrency}", "--llm-timeout=0.8")
    assert time.monotonic() - begun < 90
    run.match("* 4 failed, 2 passed in *")
    for name in ("slow", "slow_async", "slow_alone", "slow_async_alone"):
        run.match(f"FAILED test_slow.py::test_{name} - Failed: Timeout: the test took longer than 0.8 s*")


def test_the_limit_that_pytest_timeout_has_for_all_tests_is_kept(project: Project) -> None:
    """It cannot time bodies that overlap itself. What it leaves on the config stands here in its place."""
    project.file(
        "conftest.py",
        """
        def pytest_configure(config):
            config._env_timeout = 0.5
        """,
    )
    project.file(
        "test_slow.py",
        """
        import time, pytest

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("seconds", [30, 0])
        def test_one(seconds): time.sleep(seconds)
        """,
    )
    for limit in ((), ("--llm-timeout=20",)):
        run = concurrent(project, "--llm-concurrency=2", *limit)
        run.match(
            "FAILED test_slow.py::test_one?30? - *took longer than 0.5 s (pytest-timeout)*", "* 1 failed, 1 passed in *"
        )


def test_bodies_given_up_leave_their_slots_to_others(project: Project) -> None:
    project.file(
        "test_stuck.py",
        """
        import time
        import pytest

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(12))
        def test_one(n):
            time.sleep(100 if n % 3 == 0 else 0.01)
        """,
    )
    begun = time.monotonic()
    concurrent(project, "--llm-concurrency=2", "--llm-timeout=0.8").match("* 4 failed, 8 passed in *")
    assert time.monotonic() - begun < 90


def test_a_test_given_up_makes_no_more_calls(project: Project, standin: StandIn) -> None:
    project.file(
        "test_late.py",
        """
        import os
        import threading
        import time
        import httpx
        import pytest

        tried = threading.Event()

        @pytest.fixture(scope="session", autouse=True)
        def until_it_was_tried():
            yield
            assert tried.wait(60)

        def ask(text):
            url = os.environ["STANDIN_URL"] + "/v1/chat/completions"
            httpx.post(url, json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]})

        @pytest.mark.llm_eval
        def test_late():
            time.sleep(1.6)
            try:
                ask("too late")
            finally:
                tried.set()

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(6))
        def test_others(n):
            ask("in time")
        """,
    )
    run = concurrent(project, "--llm-concurrency=2", "--llm-timeout=1.2", STANDIN_URL=standin.url)
    run.match("* 1 failed, 6 passed in *")
    assert [request.json["messages"][0]["content"] for request in standin.requests] == ["in time"] * 6


# -- providers that object ---------------------------------------------------------------------------------------------

ASKING = """
    import os
    import httpx
    import pytest

    client = httpx.Client()

    def ask(text):
        url = os.environ["STANDIN_URL"] + "/v1/chat/completions"
        body = {"model": os.environ.get("MODEL", "gpt-4o-mini"), "messages": [{"role": "user", "content": text}]}
        answer = client.post(url, json=body)
        answer.raise_for_status()
        return answer.json()["choices"][0]["message"]["content"]

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("n", range(8))
    def test_asks(llm_eval, n):
        assert f"question {n}" in llm_eval.run(ask, f"question {n}").text
"""


def test_429_is_no_failure_of_the_test(project: Project, standin: StandIn) -> None:
    project.file("test_asking.py", ASKING)
    busy = Reply("slow down", status=429, headers={"retry-after": "2"})
    standin.script(lambda _: None, busy, busy, lambda _: None)
    run = project.run(*PLUGINS, "--llm-concurrency=4", "--llm-json=run.json", env={**ALONE, "STANDIN_URL": standin.url})
    run.match("* 8 passed in *")
    refused = standin.requests[1:3]
    last = max(request.at for request in refused)
    later = [request for request in standin.requests if request.at > last + 1]  # by then all under way have arrived
    assert {request.body for request in refused} <= {request.body for request in later}
    assert min(request.at for request in later) >= last + 2, "Retry-After is honoured"
    assert run.record is not None
    assert {call["status"] for test in run.record["tests"] for call in test["calls"]} == {200}
    replayed = project.run(*PLUGINS, "--llm-record=none", env={**ALONE, "STANDIN_URL": standin.url})
    replayed.match("* 8 passed in *")


def test_a_call_held_back_waits_on_where_its_provider_asks_for_longer(project: Project, standin: StandIn) -> None:
    project.file(
        "test_asking.py",
        """
        import os
        import threading
        import time
        from pathlib import Path
        import httpx
        import pytest

        refused = threading.Event()

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("which", ["first", "slow", "held"])
        def test_asks(which):
            if which == "held":
                assert refused.wait(60)
            while which == "first" and not Path("under-way").exists():
                time.sleep(0.01)
            url = os.environ["STANDIN_URL"] + "/v1/chat/completions"
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": which}]}
            answer = httpx.post(url, json=body)
            refused.set()
            answer.raise_for_status()
        """,
    )
    busy = {
        "first": [Reply("slow down", status=429, headers={"retry-after": "2"})],
        "slow": [Reply("slow down", status=429, headers={"retry-after": "4"}, latency_s=0.6)],
        "held": [],
    }

    def answer(request: Any) -> Reply | None:
        which = request["messages"][0]["content"]
        if which == "slow":
            project.file("under-way", "")
        return busy[which].pop() if busy[which] else None

    standin.script(answer)
    run = project.run(*PLUGINS, "--llm-concurrency=3", env={**ALONE, "STANDIN_URL": standin.url})
    run.match("* 3 passed in *")
    asked = {request.json["messages"][0]["content"]: request.at for request in reversed(standin.requests)}
    assert asked["held"] >= asked["slow"] + 4


QUESTIONS = " ".join(f"question {n}" for n in range(8))


def million() -> Reply:
    """A million tokens of gpt-4o-mini: $0.15."""
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    return Reply(QUESTIONS, usage=usage)


def test_budget_stops_live_calls(project: Project, standin: StandIn) -> None:
    project.file("test_asking.py", ASKING)
    standin.script(million())
    run = project.run(*PLUGINS, "--llm-budget=0.4", "--llm-json=run.json", env={**ALONE, "STANDIN_URL": standin.url})
    run.match("FAILED test_asking.py::test_asks?3? - BudgetExceeded: not sent: this run's live calls have cost $0.45*")
    run.match("* 5 failed, 3 passed in *")
    assert len(standin.requests) == 3
    assert run.record is not None
    unmeasured = [test["measurements"]["pass"]["status"] for test in run.record["tests"]]
    assert unmeasured == ["ok"] * 3 + ["error"] * 5, "what was not asked says nothing about quality"


def test_budget_is_one_for_all_workers(project: Project, standin: StandIn) -> None:
    project.file("test_asking.py", ASKING)
    standin.latency_s = 0.3
    standin.script(million())
    run = project.run(
        *PLUGINS, "-p", "xdist.plugin", "--llm-budget=0.4", env={**ALONE, "STANDIN_URL": standin.url}, n=2
    )
    assert run.returncode == 1
    assert 3 <= len(standin.requests) <= 4, "three cost what may be spent; the fourth may be under way"
    assert "BudgetExceeded" in run.out


def test_replayed_calls_cost_nothing(project: Project, standin: StandIn) -> None:
    project.file("test_asking.py", ASKING)
    env = {**ALONE, "STANDIN_URL": standin.url}
    project.run(*PLUGINS, env=env).match("* 8 passed in *")
    project.run(*PLUGINS, "--llm-budget=0", env=env).match("* 8 passed in *")


def test_under_a_budget_every_live_call_needs_a_price(project: Project, standin: StandIn) -> None:
    project.file("test_asking.py", ASKING)
    env = {**ALONE, "STANDIN_URL": standin.url, "MODEL": "in-house-7b"}
    run = project.run(*PLUGINS, "--llm-budget=5", "-k", "asks[0]", env=env)
    run.match(
        "under --llm-budget every live call needs a price:",
        "*price of openai_compatible:in-house-7b is unknown*",
        '*prices."openai_compatible:in-house-7b"*',
        "FAILED test_asking.py::test_asks?0? - BudgetExceeded: under --llm-budget every live call needs a price:",
    )
    run.match("* 1 failed, 7 deselected in *")
    standin.script(Reply("Uncounted.", usage={}))
    uncounted = project.run(*PLUGINS, "--llm-budget=5", "-k", "asks[1]", env={**env, "MODEL": "gpt-4o-mini"})
    uncounted.match("*cost of * is unknown: the provider did not count tokens (streams: ask for usage*")
    uncounted.no_match("*add it to pyproject.toml*")


@pytest.mark.parametrize(("args", "n"), [(("--llm-concurrency=8",), None), ((), 2), ((), None)])
def test_requests_keep_their_pace(project: Project, standin: StandIn, args: tuple[str, ...], n: int | None) -> None:
    project.file("test_asking.py", ASKING)
    xdist = ("-p", "xdist.plugin") if n is not None else ()
    env = {**ALONE, "STANDIN_URL": standin.url}
    run = project.run(*PLUGINS, *xdist, "--llm-max-rpm=240", "--llm-json=run.json", *args, env=env, n=n)
    run.match("* 8 passed in *")
    times = sorted(request.at for request in standin.requests)
    assert times[-1] - times[0] >= 5 * 0.25, "seven pauses, however late the first was seen"
    assert run.record is not None
    latencies = [call["latency_ms"] for test in run.record["tests"] for call in test["calls"]]
    assert median(latencies) < 200, "of the call itself"


def test_tokens_keep_their_pace(project: Project, standin: StandIn) -> None:
    project.file("test_asking.py", ASKING)
    standin.script(Reply(QUESTIONS, usage={"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000}))
    env = {**ALONE, "STANDIN_URL": standin.url}
    project.run(*PLUGINS, "--llm-max-tpm=240000", "--llm-concurrency=2", env=env).match("* 8 passed in *")
    times = [request.at for request in standin.requests]
    # Six pauses, however late the first was seen; two were under way before the first count was known.
    assert times[-1] - times[0] >= 4 * 0.25


# -- cassettes ---------------------------------------------------------------------------------------------------------


def test_overlapped_recordings_are_those_of_a_serial_run(project: Project, standin: StandIn) -> None:
    project.file("test_asking.py", ASKING)
    env = {**ALONE, "STANDIN_URL": standin.url}
    kept = {}
    for name, args in (("serial", ()), ("overlapped", ("--llm-concurrency=8",))):
        project.run(*PLUGINS, f"--llm-cassette-dir={name}", *args, env=env).match("* 8 passed in *")
        files = sorted((project.path / name).rglob("*.json"))
        kept[name] = [(file.name, [e["key"] for e in json.loads(file.read_text())["interactions"]]) for file in files]
    assert kept["overlapped"] == kept["serial"]
    assert len(kept["serial"]) == 8
    asked = len(standin.requests)
    again = project.run(*PLUGINS, "--llm-cassette-dir=serial", "--llm-concurrency=8", "--llm-json=run.json", env=env)
    again.match("* 8 passed in *")
    assert len(standin.requests) == asked
    assert again.record is not None
    assert all(call["replayed"] for test in again.record["tests"] for call in test["calls"])


def test_a_thread_from_outside_of_the_tests_cannot_call_for_one(project: Project, standin: StandIn) -> None:
    project.file(
        "test_outside.py",
        """
        import os
        import queue
        import threading
        import httpx
        import pytest

        @pytest.fixture(scope="module")
        def service():
            asked, answered = queue.Queue(), queue.Queue()

            def serve():
                url = os.environ["STANDIN_URL"] + "/v1/chat/completions"
                while (text := asked.get()) is not None:
                    try:
                        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
                        answered.put(httpx.post(url, json=body).status_code)
                    except BaseException as error:
                        answered.put(error)

            thread = threading.Thread(target=serve)
            thread.start()
            yield lambda text: asked.put(text) or answered.get()
            asked.put(None)
            thread.join()

        running, met = [], threading.Event()

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(3))
        def test_asks(service, n):
            running.append(n)
            if len(running) == int(os.environ["TOGETHER"]):
                met.set()
            met.wait(20)
            answer = service(f"question {n}")
            if isinstance(answer, BaseException):
                raise answer
        """,
    )
    run = concurrent(project, "--llm-concurrency=3", STANDIN_URL=standin.url, TOGETHER="3")
    assert run.returncode == 1
    run.match("*several tests overlap (--llm-concurrency), and this call comes from a thread that was started outside*")
    run.match("*@pytest.mark.llm_serial*")
    concurrent(project, STANDIN_URL=standin.url, TOGETHER="1").match("* 3 passed in *")


def test_what_the_application_holds_is_finalised_at_the_end_of_the_process(project: Project, standin: StandIn) -> None:
    # Items that overlap are put out of the collector's way, and must come back: a cycle that a module holds is only
    # found by the interpreter's last collection, and this one has a file with something in its buffer.
    project.file(
        "app.py",
        """
        class App:
            def __init__(self):
                self.log = open("app.log", "w")
                self.answer = self.said  # a cycle
            def said(self, n):
                self.log.write(f"{n} ")
                return str(n)
        app = App()
        """,
    )
    project.file(
        "test_app.py",
        """
        import pytest
        from app import app

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(4))
        def test_app(llm_eval, n):
            assert llm_eval.run(app.answer, n).output == str(n)
        """,
    )
    assert project.run("--llm-record=live", "--llm-concurrency=2").returncode == 0
    assert sorted((project.path / "app.log").read_text().split()) == ["0", "1", "2", "3"]


def test_judges_run_beside_each_other(project: Project) -> None:
    """A body's ``measure`` belongs to it: a judge's latency is waited for in the threads, too."""
    project.file("test_asking.py", ASKING.replace("llm_eval\n", 'llm_eval(measure=["helpfulness"])\n'))
    judge = GullibleJudge()
    with StandIn(latency_s=0.6) as slow:
        slow.script(lambda request: judge(request) if len(request["messages"]) > 1 else None)
        env = {"STANDIN_URL": slow.url, "OPENAI_BASE_URL": slow.url + "/v1", "OPENAI_API_KEY": "placeholder"}
        run = project.run(
            *PLUGINS, "--llm-record=live", "--llm-concurrency=8", "--llm-judge=openai:gpt-4o-mini", env=ALONE | env
        )
        run.match("* 8 passed in *")
        assert len(slow.requests) == 16
        judged = [request.at for request in slow.requests if len(request.json["messages"]) > 1]
        beside = [after - before < 0.6 for before, after in pairwise(judged)]
        assert (len(judged), sum(beside) >= 4) == (8, True), "one after the other, each waited for the one before"


# -- held back, given up, patched --------------------------------------------------------------------------------------


def test_budget_stops_calls_that_wait_for_their_turn(project: Project, standin: StandIn) -> None:
    project.file("test_asking.py", ASKING)
    standin.script(million())
    env = {**ALONE, "STANDIN_URL": standin.url}
    args = ("--llm-record=live", "--llm-max-rpm=120", "--llm-budget=0.2", "--llm-concurrency=8")
    run = project.run(*PLUGINS, *args, env=env)
    assert len(standin.requests) <= 3, "the others' turn came after the budget was spent"
    assert "BudgetExceeded: not sent" in run.out


@pytest.mark.parametrize("args", [(), ("--llm-concurrency=8",)], ids=["serial", "overlapped"])
def test_what_a_quota_holds_back_is_not_a_tests_own_time(
    project: Project, standin: StandIn, args: tuple[str, ...]
) -> None:
    project.file("test_asking.py", ASKING.replace("range(8)", "range(3)"))
    env = {**ALONE, "STANDIN_URL": standin.url}
    paced = ("--llm-record=live", "--llm-max-rpm=40", "--llm-timeout=1")  # 1.5 s between two
    project.run(*PLUGINS, *paced, *args, env=env).match("* 3 passed in *")
    standin.latency_s = 2
    slow = project.run(*PLUGINS, "--llm-record=live", "--llm-max-rpm=6000", "--llm-timeout=1", *args, env=env)
    slow.match("* 3 failed in *")


TORN_DOWN = """
    import time
    import pytest

    pytestmark = pytest.mark.llm_eval

    def note(text):
        print(text, file=open("torn.log", "a"), flush=True)

    @pytest.fixture(scope="session")
    def server():
        note("server up"); yield; note("server down")

    @pytest.fixture
    def resource(server):
        note("open"); yield; note("close")

    def test_ends(resource):
        BODY
"""


@pytest.mark.parametrize(
    "body",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGINT); time.sleep(20)",
        "pytest.exit('enough')",
    ],
    ids=["Ctrl-C", "pytest.exit"],
)
@pytest.mark.parametrize("args", [(), ("--llm-concurrency=4",)], ids=["serial", "overlapped"])
def test_a_run_that_is_stopped_tears_its_fixtures_down(project: Project, body: str, args: tuple[str, ...]) -> None:
    project.file("test_torn.py", TORN_DOWN.replace("BODY", body))
    run = project.run(*PLUGINS, "--llm-record=live", *args, env=ALONE)
    assert run.returncode == 2, run.out
    assert project.read("torn.log").split("\n")[:-1] == ["server up", "open", "close", "server down"]


PATCHING = """
    import os, time
    from unittest import mock
    import pytest
    import app

    pytestmark = pytest.mark.llm_eval

    @pytest.fixture
    def eu():
        with mock.patch("app.region", return_value="eu"):
            yield

    @pytest.fixture
    def stage():
        os.environ["STAGE"] = "test"
        yield
        del os.environ["STAGE"]

    def test_eu(eu):
        time.sleep(0.1)
        assert app.region() == "eu"

    def test_plain():
        time.sleep(0.1)
        assert app.region() == "real" and "STAGE" not in os.environ

    @pytest.mark.parametrize("n", range(3))
    def test_again(eu, n):
        time.sleep(0.1)
        assert app.region() == "eu"

    def test_stage(stage):
        time.sleep(0.1)
        assert os.environ["STAGE"] == "test"

    class TestPatched:
        def setup_method(self):
            self.patched = mock.patch("app.region", return_value="us")
            self.patched.start()

        def teardown_method(self):
            self.patched.stop()

        def test_us(self):
            time.sleep(0.1)
            assert app.region() == "us"

    @pytest.mark.parametrize("n", range(2))
    def test_others(n):
        time.sleep(0.1)
        assert app.region() == "real" and "STAGE" not in os.environ
"""


def test_what_is_patched_for_one_test_reaches_no_other(project: Project) -> None:
    project.file("app.py", "def region(): return 'real'\n")
    project.file("test_patching.py", PATCHING)
    report = ("--llm-concurrency=8", "--llm-concurrency-report")
    run = project.run(*PLUGINS, "--llm-record=live", *report, env=ALONE)
    run.match("*4 × fixture eu calls patch: *")
    run.match("*1 × fixture stage calls os.environ to change it: *")
    run.match("*1 × setup_method calls patch: *")
    run.match("* 9 passed in *")


FAILING_THREAD = """
    import threading, time
    import pytest

    pytestmark = pytest.mark.llm_eval

    def fails():
        raise ValueError("in a thread")

    def test_first():
        time.sleep(0.5)

    def test_thread():
        thread = threading.Thread(target=fails)
        thread.start()
        thread.join()

    def test_last():
        time.sleep(0.1)
"""


@pytest.mark.parametrize("args", [(), ("--llm-concurrency=4",)], ids=["serial", "overlapped"])
def test_a_threads_exception_is_its_own_tests(project: Project, args: tuple[str, ...]) -> None:
    project.file("test_thread.py", FAILING_THREAD)
    run = project.run(*PLUGINS, "-W", "error", "--llm-record=live", *args, env=ALONE)
    run.match("FAILED test_thread.py::test_thread - *Unhandled*")
    run.match("* 1 failed, 2 passed in *")


def test_one_question_is_put_to_the_judge_once(project: Project) -> None:
    project.file(
        "test_asking.py",
        ASKING.replace("range(8)", "range(3)").replace("llm_eval\n", 'llm_eval(measure=["helpfulness"], trials=5)\n'),
    )
    judge = GullibleJudge()
    with StandIn(latency_s=0.3) as slow:
        slow.script(lambda request: judge(request) if len(request["messages"]) > 1 else None)
        env = {"STANDIN_URL": slow.url, "OPENAI_BASE_URL": slow.url + "/v1", "OPENAI_API_KEY": "placeholder"}
        run = project.run(
            *PLUGINS, "--llm-record=live", "--llm-concurrency=15", "--llm-judge=openai:gpt-4o-mini", env=ALONE | env
        )
        run.match("* 15 passed in *")
        judged = [request for request in slow.requests if len(request.json["messages"]) > 1]
    assert (len(judged), len(slow.requests)) == (3, 18), "five trials got one answer, and wait for its verdict"
