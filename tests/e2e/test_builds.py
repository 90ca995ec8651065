"""The gate's error rates as users run it: made-up builds through the command and through pytest."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from pytest_llmops import baseline
from pytest_llmops.cli import main
from pytest_llmops.records import RunRecord
from tests.unit.made_up import Suite, at_most

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


TEST = """
    import os, random
    import pytest

    SUITE = random.Random(os.environ["SUITE"])
    DROP = float(os.environ["DROP"])
    LEVELS = [(SUITE.betavariate(6, 2), SUITE.betavariate(6, 2)) for _ in range(40)]

    @pytest.mark.llm_eval(trials=2, threshold=None)
    @pytest.mark.parametrize("case", range(40))
    def test_it(llm_eval, case, request):
        draw = random.Random(os.environ["BUILD"] + request.node.name)
        for name, level in zip(("tone", "truth"), LEVELS[case]):
            llm_eval.record(name, sum(draw.random() < max(0.0, level - DROP) for _ in range(4)) / 4)
        assert draw.random() < 0.97 - DROP
"""
SETTINGS = "".join(f"[tool.pytest-llmops.metrics.{name}]\ngate = true\n" for name in ("tone", "truth"))
BUILDS = 10


@pytest.mark.parametrize(
    ("drop", "fewest", "most"), [(0.0, 0, at_most(0.05, BUILDS)), (0.1, BUILDS - at_most(0.2, BUILDS), 10)]
)
def test_builds_through_pytest(project, monkeypatch, drop, fewest, most):
    monkeypatch.chdir(project.path)  # compare reads the settings of the project it is in
    project.file("test_it.py", TEST)
    project.file("pyproject.toml", SETTINGS)
    red = 0
    for build in range(BUILDS):
        env = {"SUITE": str(build), "DROP": "0", "BUILD": "before"}
        made = project.run("--llm-baseline=base.json", "--llm-update-baseline", "-q", env=env)
        assert made.returncode == 0, made.out
        env |= {"DROP": str(drop), "BUILD": "now"}
        run = project.run("--llm-baseline=base.json", "--llm-json=run.json", "-q", env=env)
        assert len(run.record["comparison"]["metrics"]) == 3
        assert run.returncode == ("FAILED llm-baseline::" in run.out), run.out
        red += run.returncode
        assert main(["compare", "base.json", "run.json"]) == run.returncode
    assert fewest <= red <= most
