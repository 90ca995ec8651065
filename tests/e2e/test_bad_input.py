"""Files that cannot be used: one clear message, the right exit status, and everything else still written."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pytest_llmops import baseline
from tests.e2e.user import assert_no_traceback
from tests.unit.made_up import run_of, stored

TEST = """
    import pytest

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("n", range(12))
    def test_it(llm_eval, n):
        llm_eval.record("tone", 0.5)
"""


def replaced(old: str, new: str):
    def damage(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return damage


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(600 * 2**20)  # a hole: it takes no room on the disk


DAMAGES = {
    "another schema": (
        replaced('"schema": 1', '"schema": 9'),
        "schema 9, the installed pytest-llmops reads up to 1. Upg",
    ),
    "a duplicate case": (replaced("[c1]", "[c0]"), "is there twice (a merge of two branches?); keep one of its lines"),
    "NaN": (replaced(":0.5", ":NaN"), "NaN is no number that can be compared"),
    "a git conflict": (
        replaced('"created"', '<<<<<<< HEAD\n"created"'),
        "line 3 is a merge conflict marker; keep one side's line where both changed it",
    ),
    "cut in half": (cut, "the file ends in the middle"),
    "600 MB": (huge, "600 MB is more than a baseline can be"),
}


@pytest.fixture
def suite(project):
    """A project with a baseline and a run record of it."""
    project.file("test_it.py", TEST)
    record = run_of({"tone": [0.5] * 12, "pass": [1.0] * 12})
    baseline.save(project.path / "base.json", stored(record))
    baseline.save_run(project.path / "run.json", record)
    return project


def test_json_of_a_text_that_is_none(suite):
    path = suite.path / "base.json"
    path.write_text(path.read_text(encoding="utf-8").replace("[c1]", r"[\ud800]"), encoding="utf-8")
    command = suite.command("compare", "base.json", "run.json", "--json")
    assert command.returncode == 1, command.out
    assert json.loads(command.out)["missing_cases"] == ["test_app.py::test_answers[?]"]


@pytest.mark.parametrize("name", DAMAGES)
def test_a_baseline_that_cannot_be_used(suite, name):
    damage, said = DAMAGES[name]
    damage(suite.path / "base.json")
    before = (suite.path / "base.json").stat()
    run = suite.run("--llm-baseline=base.json", "--llm-json=now.json")
    assert run.returncode == 4
    assert "passed" not in run.out, "no test has cost anything"
    for command in (
        ("compare", "base.json", "run.json"),
        ("report", "run.json", "--baseline", "base.json"),
        ("baseline", "update", "run.json", "-o", "base.json"),
    ):
        done = suite.command(*command)
        assert done.returncode == 2, done.out
        assert said in done.out
        assert_no_traceback(done)
    assert said in run.out
    assert "base.json" in run.out
    assert_no_traceback(run)
    after = (suite.path / "base.json").stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns), (
        "what is damaged is left as it is"
    )


@pytest.mark.parametrize("damage", [cut, replaced('"schema":1', '"schema":9'), replaced(":0.5", ":NaN"), Path.unlink])
def test_a_run_record_that_cannot_be_used(suite, damage):
    damage(suite.path / "run.json")
    for command in (
        ("compare", "base.json", "run.json"),
        ("report", "run.json", "-o", "report.html"),
        ("merge", "run.json", "-o", "whole.json"),
        ("baseline", "update", "run.json", "-o", "new.json"),
    ):
        done = suite.command(*command)
        assert done.returncode == 2, done.out
        assert done.out.startswith("pytest-llmops: run.json: ")
        assert_no_traceback(done)
    assert {path.name for path in suite.path.iterdir()} - {"run.json"} == {"test_it.py", "base.json"}


def test_the_record_of_a_run_whose_worker_crashed(suite):
    suite.file(
        "test_it.py",
        TEST.replace("        llm_eval.record", "        import os; n == 3 and os._exit(1)\n        llm_eval.record"),
    )
    suite.run("--llm-baseline=base.json", "--llm-update-baseline", "-k", "not 3")
    run = suite.run(
        *("--llm-baseline=base.json", "--llm-json=run.json", "--llm-html=report.html", "--llm-ctrf=ctrf.json"),
        *("--junitxml=junit.xml",),
        n=2,
    )
    assert run.returncode == 1
    assert_no_traceback(run)
    compared = suite.command("compare", "base.json", "run.json", "--json")
    assert [row["metric"] for row in json.loads(compared.out)["metrics"]] == ["pass", "tone"]
    assert compared.returncode == 0, "the case is new, and its failure is pytest's"
    assert suite.command("report", "run.json").returncode == 0
    tests = {test["id"]: test for test in run.record["tests"]}
    assert tests["test_it.py::test_it[3]"]["outcome"] == "error"
    assert "12 trials" in suite.read("report.html")
    for file in ("ctrf.json", "junit.xml"):
        assert "test_it[3]" in suite.read(file)


def test_a_pipe_is_written_into_and_stays_one(suite):
    pipe, home = suite.path / "pipe", suite.path / "home"
    os.mkfifo(pipe)
    with (suite.path / "read.json").open("wb") as copy:
        reader = subprocess.Popen(["cat", pipe], stdout=copy)
        run = suite.run("--llm-html=~/report.html", env={"HOME": str(home), "PYTEST_LLM_JSON": "pipe"})
        assert reader.wait(10) == 0
    assert run.returncode == 0, run.out
    assert pipe.is_fifo(), "as a device is: --llm-json=/dev/null must not put a file in its place"
    assert len(json.loads(suite.read("read.json"))["tests"]) == 12
    assert (home / "report.html").exists()
    # compare <(git show main:base.json) run.json
    writer = subprocess.Popen(["sh", "-c", "cat base.json > pipe"], cwd=suite.path)
    compared = suite.command("compare", "pipe", "run.json")
    assert compared.returncode == 0, compared.out
    assert writer.wait(10) == 0


def test_every_report_that_cannot_be_written_has_its_line(suite):
    suite.file("taken", "a file where a folder is wanted")
    wanted = {option: f"taken/{option}" for option in ("llm-json", "llm-html", "llm-ctrf")}
    run = suite.run(*(f"--{option}={file}" for option, file in wanted.items()), "--llm-baseline=base.json")
    assert run.returncode == 1
    assert run.outcomes == {"passed": 12}
    for option, file in wanted.items():
        assert f"FAILED {option} - " in run.out
        assert file in run.out
    assert_no_traceback(run)
    for broken, kept in (("llm-html", "llm-json"), ("llm-json", "llm-ctrf"), ("llm-ctrf", "llm-html")):
        done = suite.run(f"--{broken}=taken/x", f"--{kept}=kept/{kept}")
        assert done.returncode == 1
        assert (suite.path / "kept" / kept).stat().st_size > 100
        done.match(f"llmops: wrote kept/{kept}")
