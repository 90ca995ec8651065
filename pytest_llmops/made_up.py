"""Reports of failures that no test of pytest's stands for: a case's missed threshold, the gate."""

from __future__ import annotations

from typing import Any

import pytest
from _pytest._code.code import ReprFileLocation, TerminalRepr  # what a report's longrepr is made of
from _pytest.junitxml import xml_key

Location = tuple[str, int | None, str]
Properties = list[tuple[str, object]]


class Report(pytest.TestReport):
    """A made-up report.

    Args:
        logged: every plugin has seen it; from now on the terminal only lists it.
    """

    logged = False

    @property
    def count_towards_summary(self) -> bool:
        """It stands for no test: pytest's closing counts add up to the tests that ran."""
        return False


class _Explanation(TerminalRepr):
    """A made-up failure's text, with what the FAILED line and JUnit take from a report."""

    def __init__(self, message: str, location: Location) -> None:
        self._message = message
        self.reprcrash = ReprFileLocation(location[0], (location[1] or 0) + 1, message.split("\n")[0])

    def toterminal(self, tw: Any) -> None:
        for line in self._message.splitlines():
            tw.line(line, red=True)

    def __str__(self) -> str:
        return self._message


def note(config: pytest.Config, nodeid: str, location: Location, properties: Properties) -> None:
    """Put a passed test case into JUnit's file, and nowhere else."""
    report = Report(nodeid, location, {}, "passed", None, "call")
    xml = config.stash.get(xml_key, None)
    if xml is not None:
        xml.pytest_runtest_logreport(report)
    _describe(config, report, properties)


def _describe(config: pytest.Config, report: Report, properties: Properties) -> None:
    """Give a test case of JUnit's file its properties, which it takes from tests at their teardown only."""
    xml = config.stash.get(xml_key, None)
    if xml is not None:
        for name, value in properties:
            xml.node_reporter(report).add_property(name, value)


def fail(
    config: pytest.Config, nodeid: str, message: str, location: Location, properties: Properties | None = None
) -> None:
    """Report a failure: red bar, FAILED line, JUnit, exit 1.

    The cache's and stepwise's plugins do not see it, or they would look for a test of that name; nor does the session,
    which would count it towards ``--maxfail``.
    """
    manager = config.pluginmanager
    session = manager.get_plugin("session")
    assert isinstance(session, pytest.Session)
    session.testsfailed += 1
    explained = _Explanation(message, location)
    report = Report(nodeid, location, {}, "failed", explained, "call")
    others = [p for name in ("lfplugin", "stepwiseplugin") if (p := manager.get_plugin(name)) is not None]
    manager.subset_hook_caller("pytest_runtest_logreport", [session, *others])(report=report)
    report.logged = True
    _describe(config, report, properties or [])
    called_in = config.invocation_params.dir
    if called_in != config.rootpath and not (config.rootpath / nodeid.partition("::")[0]).exists():
        # The FAILED line takes node ids for files below the rootdir: called elsewhere, "../llm-baseline::pass".
        report.nodeid = str(called_in / nodeid)
