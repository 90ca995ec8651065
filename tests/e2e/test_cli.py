"""The command's own words: exit statuses and mistakes."""

from __future__ import annotations

import json

import pytest

from pytest_llmops import baseline
from tests.e2e.user import assert_no_traceback
from tests.unit.made_up import run_of

MISTAKES = {
    (
        "compare",
        "baselin.json",
        "run.json",
    ): "baselin.json: there is no baseline here. Did you mean 'baseline.json'? Make",
    ("compare", "xyz.json", "run.json"): "xyz.json: there is no baseline here. There is baseline.json. Make one: ",
    ("compare", "no/base.json", "run.json"): "there is no baseline here. There is no folder no, either. Make one: ",
    ("report", "xyz.json"): "xyz.json: there is no run record here. There is kept-run.json. Make one: ",
    (
        "compare",
        "kept-run.json",
        "baseline.json",
    ): "the other way round: pytest-llmops compare baseline.json kept-run.json",
    (
        "compare",
        "kept-run.json",
        "kept-run.json",
    ): "kept-run.json: this is a run record, not a baseline. Make one of it: ",
    (
        "compare",
        "baseline.json",
        "baseline.json",
    ): "baseline.json: this is a baseline, not a run record. Compare with: ",
    ("report", "baseline.json"): "baseline.json: this is a baseline, not a run record. Compare with: ",
    ("merge", "baseline.json", "-o", "all.json"): "baseline.json: this is a baseline, not a run record. Compare with: ",
    (
        "baseline",
        "update",
        "kept-run.json",
        "-o",
        "kept-run.json",
    ): "kept-run.json: this is a run record, not a baseline.",
    (
        "compare",
        "base.json",
        "run.json",
    ): "base.json: there is no baseline here. Did you mean 'baseline.json'? Make one",
    ("compare", "taken.json", "run.json"): "taken.json: not a baseline of pytest-llmops: expected a 'schema' number",
    ("baseline", "update", "run.json", "-o", "base.json"): "run.json: there is no run record here. Did you",
    ("baseline", "update", "taken.json", "-o", "base.json"): "taken.json: not a run record",
    ("cassettes", "show", "absent.json"): "absent.json",
    ("cassettes", "audit", "absent.json"): "absent.json",
    ("comapre",): "invalid choice: 'comapre'",
    ("compare", "base.json"): "the following arguments are required: RUN",
    ("compare", "a", "b", "--alpha=much"): "argument --alpha: ",
    ("compare", "a", "b", "--alpha=7"): "argument --alpha: ",
    (): "the following arguments are required: COMMAND",
}


@pytest.mark.parametrize("arguments", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_line_and_exit_status_2(project, arguments):
    project.file("taken.json", '{"x": 1}')
    made = run_of({"m": [0.5] * 2})
    baseline.save_run(project.path / "kept-run.json", made)
    baseline.save(project.path / "baseline.json", baseline.update(None, made))
    run = project.command(*arguments)
    assert run.returncode == 2, run.out
    assert MISTAKES[arguments] in run.out
    assert_no_traceback(run)
    said = [line for line in run.out.splitlines() if not line.startswith(("usage:", " "))]
    assert len(said) == 1, run.out
    assert not (project.path / "base.json").exists()


def test_a_run_becomes_a_baseline_that_it_equals(project):
    project.file(
        "test_it.py",
        """
        import pytest

        @pytest.mark.llm_eval(trials=3)
        def test_it(llm_eval):
            llm_eval.record("m", 0.5)
        """,
    )
    assert project.run("--llm-json=run.json").returncode == 0
    made = project.command("baseline", "update", "run.json", "-o", "base.json")
    assert (made.returncode, made.out) == (
        0,
        "wrote base.json, 1 case\n"
        "1 case: changes are told from noise from 10 cases on (min_cases);\n"
        "        fewer are compared on unchanged recordings, and where a case breaks.\n"
        "1 of 1 case has fewer than 5 trials, so a single case that breaks cannot be told from bad luck;\n"
        "        record them with --llm-trials=5.\n",
    )
    compared = project.command("compare", "base.json", "run.json", "--json")
    assert compared.returncode == 0
    comparison = json.loads(compared.out)
    assert {row["metric"]: row["delta"] for row in comparison["metrics"]} == {"m": 0, "pass": 0}
    assert comparison["deterministic"] is False  # no call was made: statistics, not recordings
    page = project.command("report", "run.json")
    assert page.returncode == 0
    assert page.out.startswith("wrote run.html, ")
    assert (project.path / "run.html").exists()
    project.file("pyproject.toml", "[tool.pytest-llmops]\nmincases = 2\n")
    refused = project.command("compare", "base.json", "run.json")
    assert refused.returncode == 2
    assert "unknown key 'mincases'. Did you mean 'min_cases'?" in refused.out


def test_a_mistyped_command_is_told_with_the_closest(project):
    for given, meant in ((["cassets"], "cassettes"), (["cassettes", "shwo", "x"], "show")):
        run = project.command(*given)
        assert run.returncode == 2
        run.match(f"*invalid choice: '{given[-1] if len(given) == 1 else given[1]}'*Did you mean '{meant}'?")
