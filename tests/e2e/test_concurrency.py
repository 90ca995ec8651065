"""Overlapped evaluations (``--llm-concurrency``), beside the same ones run one by one."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.conftest import Project, Run
from tests.standin import StandIn

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
                parts.append(f"{element.tag} {element.get('name')} {element.get('value')} {element.get('message')}")
                parts.append(element.text or "")
        cases.append(tuple(re.sub(r"0x[0-9a-f]+|/pytest-\d+/", "0x", part) for part in parts))
    return cases


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

SLEEPERS = """
    import os
    import time
    import pytest

    running = []

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("n", range(16))
    def test_sleeps(n):
        running.append(n)
        peak = len(running)
        time.sleep(0.2)
        peak = max(peak, len(running))
        running.remove(n)
        assert peak <= int(os.environ["PEAK"])
"""


def concurrent(project: Project, *args: str, n: int | None = None, **env: str) -> Run:
    xdist = ("-p", "xdist.plugin") if n is not None else ()
    return project.run(*PLUGINS, *xdist, "--llm-record=live", "--llm-concurrency-report", *args, env=ALONE | env, n=n)


def test_no_more_bodies_run_at_once_than_asked_for(project: Project) -> None:
    project.file("test_sleepers.py", SLEEPERS)
    run = concurrent(project, "--llm-concurrency=8", PEAK="8")
    run.match("16 overlapped, up to 8 at once in a process; 0 ran on their own", "* 16 passed in *")
    took = re.search(r"16 passed in ([\d.]+)s", run.out)
    assert took is not None
    assert float(took[1]) < 16 * 0.2 / 2


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
        import time
        import pytest

        running = []

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(9))
        def test_any(n):
            running.append(n)
            time.sleep(0.02)
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
