"""The worked example of docs/gate.md is what the gate computes."""

import re
import statistics
from pathlib import Path

from pytest_llmops import acceptance, settings
from pytest_llmops.compare import compare
from tests.unit.made_up import run_of, stored

PAGE = (Path(__file__).parents[2] / "docs" / "gate.md").read_text(encoding="utf-8")


def table_row(name):
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {name} |"))
    return [float(cell) for cell in line.strip("| ").split("|")[1:]]


def test_the_worked_example():
    before, after = table_row("before"), table_row("after")
    comparison = compare(
        stored(run_of({"tone": before, "pass": [1.0] * 12})), run_of({"tone": after, "pass": [1.0] * 12})
    )
    row = next(row for row in comparison.metrics if row.metric == "tone")
    differences = [now - then for now, then in zip(after, before, strict=True)]
    spread = statistics.stdev(differences)
    example = PAGE[PAGE.index("### A worked example") : PAGE.index("## Replay is exact")]
    for number in (
        f"The mean difference is {row.delta:.4f}",
        f"standard deviation {spread:.4f}",
        f"= {statistics.mean(differences) / (spread / 12**0.5):.2f} with 11 degrees",
        f"p = {row.p:.5f}",
        f"doubles the smallest p: {row.p_adjusted:.4f}",
        f"are {row.ci_low:.3f} and {row.ci_high:.3f}",
        f"The verdict is `{row.verdict}`",
        f"a drop of {row.mde:.3f} four times in five",
    ):
        assert number in example, number


def test_the_pages_toml_is_read(tmp_path):
    metrics, accepted = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(metrics)
    project = settings.load_project(tmp_path / "pyproject.toml")
    assert project.min_cases == 10
    assert project.metrics["overlap"].gate is True
    (tmp_path / "llm-accept.toml").write_text(accepted)
    assert [entry.metric for entry in acceptance.load(tmp_path / "llm-accept.toml")] == ["tone", None]
