"""What of the suite a run was told to run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmops.naming import without_trial

if TYPE_CHECKING:
    from pytest_llmops.baseline import Baseline


def named_apart(config: pytest.Config, stored: Baseline | None, ran: set[str]) -> set[str]:
    """Cases of the baseline left out because the command line named single cases of their test: ``test_x[c1]``.

    ``--lf`` names the failed ones, and drops the rest without telling any hook.
    """
    cases = stored.cases if stored is not None else {}
    if config.getoption("lf", False):
        return set(cases) - ran
    functions = {case.partition("[")[0] for case in ran}
    partial = {f for f in functions for arg in config.args if "[" in arg and f.endswith(_name_of(arg))}
    return {case for case in cases if case.partition("[")[0] in partial} - ran


def _name_of(argument: str) -> str:
    return "::" + argument.partition("[")[0].rpartition("::")[2]


def asked(config: pytest.Config, ran: set[str]) -> list[str]:
    """Folders, files and tests that a run was told to run, from the rootdir on; empty where that is all there are.

    Args:
        config: pytest's.
        ran: the cases that ran.
    """
    if config.getoption("lf", False):
        return sorted(ran)
    if config.args_source is not pytest.Config.ArgsSource.ARGS or config.getoption("pyargs", False):
        return []
    found = []
    for argument in config.args:
        path, *names = argument.split("::")
        whole = Path(config.invocation_params.dir, path).resolve()
        root = config.rootpath.resolve()
        if root.is_relative_to(whole):
            return []
        if whole.is_relative_to(root):
            nodeid = "::".join([whole.relative_to(root).as_posix(), *names])
            found.append(without_trial(nodeid) if "[" in nodeid else nodeid)
    return sorted(found)
