"""The gate's error rates as users run it: made-up builds through the command and through pytest."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops import baseline
from pytest_llmops.cli import main
from pytest_llmops.records import RunRecord
from tests.unit.made_up import Suite, at_most, measurement, trial
from tests.unit.made_up import run as made_up_run

CLEAN, DROPS, BREAKS = 200, 100, 100


@pytest.fixture
def compared(tmp_path, monkeypatch, capsys):
    """A made-up build through ``pytest-llmops compare``: exit status and comparison."""
    monkeypatch.chdir(tmp_path)

    def run(before: RunRecord, now: RunRecord):
        baseline.save(Path("baseline.json"), baseline.update(None, before))
        baseline.save_run(Path("run.json"), now)
        status = main(["compare", "baseline.json", "run.json", "--json"])
        return status, json.loads(capsys.readouterr().out)

    return run


def number(case: str) -> int:
    return int(case.rpartition("[c")[2][:-1])


def test_clean_builds_of_ten_metrics_are_red_one_time_in_twenty(compared):
    draw, statuses = random.Random(40), Counter()
    for _ in range(CLEAN):
        suite = Suite(draw, 20)
        status, comparison = compared(suite.build(draw, 2, scores=9), suite.build(draw, 2, scores=9))
        assert sum(row["gate"] for row in comparison["metrics"]) == 10
        statuses[status] += 1
    assert statuses[1] <= at_most(0.05, CLEAN)
    assert statuses[0] + statuses[1] == CLEAN


def test_a_drop_of_a_tenth_is_found_four_times_in_five(compared):
    draw, found = random.Random(41), 0
    for _ in range(DROPS):
        suite = Suite(draw, 50)
        found += compared(suite.build(draw, 3, scores=2), suite.build(draw, 3, scores=2, drop=0.1))[0]
    assert found >= DROPS - at_most(0.2, DROPS)


def test_one_broken_case_of_fifty_is_found_nine_times_in_ten(compared):
    draw, found, wrong = random.Random(42), 0, 0
    for _ in range(BREAKS):
        suite = Suite(draw, 50)
        suite.pass_rates[7] = 1.0 - 0.02 * draw.random()
        before = suite.build(draw, 5)
        _, first = compared(before, suite.build(draw, 1, broken=[7]))
        suspects = {number(case) for case in first["suspect_cases"]}
        status, settled = compared(before, suite.build(draw, 1, broken=[7], reruns=suspects))
        broken = {number(case["case"]) for case in settled["broken_cases"]}
        assert status == 1 or not broken
        found += 7 in broken
        wrong += bool(broken - {7})
    assert found >= BREAKS - at_most(0.1, BREAKS)
    assert wrong <= at_most(0.02, BREAKS)


DRAWN = """
import random

def drawn(suite, build, drop, case, name):
    levels = random.Random(f"{suite} {case}")
    draw = random.Random(f"{suite} {build} {name}")
    scores = {
        metric: sum(draw.random() < max(0.0, levels.betavariate(6, 2) - drop) for _ in range(4)) / 4
        for metric in ("tone", "truth")
    }
    return scores, draw.random() < 0.97 - drop
"""
TEST = """
    import os
    import pytest
    from drawn import drawn

    @pytest.mark.llm_eval(trials=2, threshold=None)
    @pytest.mark.parametrize("case", range(40))
    def test_it(llm_eval, case, request):
        scores, passed = drawn(os.environ["SUITE"], "now", float(os.environ["DROP"]), case, request.node.name)
        for name, value in scores.items():
            llm_eval.record(name, value)
        assert passed
"""
SETTINGS = "".join(f"[tool.pytest-llmops.metrics.{name}]\ngate = true\n" for name in ("tone", "truth"))
BUILDS = 10


@pytest.mark.parametrize(
    ("drop", "fewest", "most"), [(0.0, 0, at_most(0.05, BUILDS)), (0.1, BUILDS - at_most(0.2, BUILDS), 10)]
)
def test_builds_through_pytest(project, monkeypatch, drop, fewest, most):
    monkeypatch.chdir(project.path)  # compare reads the settings of the project it is in
    project.file("conftest.py", "")
    project.file("drawn.py", DRAWN)
    project.file("test_it.py", TEST)
    project.file("pyproject.toml", SETTINGS)
    red = 0
    for suite in range(BUILDS):
        baseline.save(Path("base.json"), baseline.update(None, before(suite)))
        env = {"SUITE": str(suite), "DROP": str(drop)}
        run = project.run("--llm-baseline=base.json", "--llm-json=run.json", "-q", env=env)
        assert [row["cases"] for row in run.record["comparison"]["metrics"]] == [40] * 3
        assert run.returncode == ("FAILED llm-baseline::" in run.out), run.out
        red += run.returncode
        assert main(["compare", "base.json", "run.json"]) == run.returncode
    assert fewest <= red <= most


def before(suite: int) -> RunRecord:
    """What a run of the same tests would have measured before."""
    scope: dict[str, Any] = {}
    exec(DRAWN, scope)
    tests = []
    for case in range(40):
        for number in range(2):
            name = f"test_it[{case}-trial{number}]"
            scores, passed = scope["drawn"](suite, "before", 0.0, case, name)
            measured = {metric: measurement(metric, value, source="recorded") for metric, value in scores.items()}
            tests.append(trial(f"test_it.py::test_it[{case}]", measured | {"pass": float(passed)}, number))
    return made_up_run(tests)
