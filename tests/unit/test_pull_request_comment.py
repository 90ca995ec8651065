import os
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from pytest_llmops.acceptance import Accepted
from pytest_llmops.records import Measurement, RunRecord, TestRecord
from pytest_llmops.reports.pull_request import BaselineSource, View, annotations, comment, marker, summary
from tests.unit.made_up import NOW, run_of
from tests.unit.pull_requests import (
    LOWER,
    TONE,
    WHERE,
    Page,
    compared,
    deterministic,
    findings,
    regression,
    unrecorded,
    unsafe,
)

SNAPSHOTS = Path(__file__).parent / "snapshots"


def matches(name, text):
    """Whether a text is the stored one; `UPDATE_SNAPSHOTS=1 pytest …` stores it."""
    file = SNAPSHOTS / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return text == file.read_text(encoding="utf-8")


def passing():
    return compared(run_of({"tone": TONE, "pass": [1.0] * 12}), run_of({"tone": TONE, "pass": [1.0] * 12}))


def accepted():
    entry = Accepted(metric="tone", reason="shorter on purpose", expires=date(2026, 4, 1), by="Ana")
    return compared(run_of({"tone": TONE}), run_of({"tone": LOWER}), accept=(entry,), conclusion="success")


def failing():
    run = run_of({"pass": [1.0, 0.0, 1.0]})
    run.tests[1].outcome, run.tests[1].error, run.tests[1].output = "failed", "AssertionError: no greeting", "Bye."
    return View(run, "failure", **{**WHERE, "baseline": None})


def broken_off():
    return View(None, "error", **WHERE, notes=("pytest ended with 3 (internal error).",))


VARIANTS = {
    "success": lambda: replace(passing(), conclusion="success"),
    "regression": regression,
    "findings": findings,
    "deterministic": deterministic,
    "accepted": accepted,
    "needs-recording": unrecorded,
    "failure": failing,
    "safety": unsafe,
    "error": broken_off,
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_of_the_comment(name):
    text = comment(VARIANTS[name]())
    page = Page(text)
    assert matches(f"comment-{name}.md", text)
    assert not page.open
    assert page.links == [link for link in page.links if link.startswith("https://github.com/acme/shop/")]
    assert text.endswith("\n<!-- pytest-llmops:default -->\n")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_summary_says_the_same_without_the_marker(name):
    said = Page(summary(VARIANTS[name]()))
    assert not said.open
    assert not said.comments
    assert said.text.splitlines()[0] == Page(comment(VARIANTS[name]())).text.splitlines()[0]


def title(view):
    return comment(view).splitlines()[0]


def test_the_title_says_what_happened():
    assert title(regression()) == "### ❌ LLM tests: tone regressed (0.767 → 0.692)"
    assert title(findings()) == "### ❌ LLM tests: 1 case broken, 1 errored, 1 missing, 1 failed"
    assert title(deterministic()) == "### ❌ LLM tests: pass regressed (100.0% → 66.7%), 1 case broken"
    assert title(unrecorded()) == "### ⚪ LLM tests: 40 cases to be recorded by a maintainer"
    assert title(accepted()) == "### ✅ LLM tests: no regression, 1 change accepted"
    assert title(broken_off()) == "### ⚠️ LLM tests: the run left no record"


def test_what_needs_recording_is_told_once():
    text = comment(unrecorded(50))
    assert text.count("--llm-record=refresh") == 1
    assert "- <code>test_app.py::test_answers</code>: prompt <code>refund@v2</code> changed\n\n<pre>" in text
    assert "    + You are an agent." in text
    assert "❌" not in text
    assert len(text.splitlines()) < 40


def test_a_regression_is_red_beside_what_needs_recording():
    view = regression()
    text = comment(replace(view, needs_recording=unrecorded(2).needs_recording))
    assert "tone regressed" in text
    assert "--llm-record=refresh" in text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("tests/cassettes/test_app/x.json", "recordings: <code>tests/cassettes/test_app/x.json</code>"),
        ("app/baseline.json", "baseline: "),
        ("app/baseline.answers.jsonl.gz", "baseline: "),
        ("app/llm-accept.toml", "accepted changes: "),
        ("app/judge-calibration.json", "judge's calibration: "),
        ("app/prompts/refund.yaml", "prompts: "),
        ("app/pyproject.toml", "settings: "),
        ("app/tests/data/cases.csv", "datasets: "),
    ],
)
def test_a_warning_names_changed_files_that_the_numbers_hang_on(path, said):
    view = regression()
    view.run.tests[0].dataset = "tests/data/cases.csv"
    assert said in comment(replace(view, directory="app", changed=("src/app.py", path, "package.json")))


def test_no_warning_where_nothing_of_that_kind_changed():
    text = comment(replace(regression(), changed=("src/app.py", "README.md", "docs/data.json")))
    assert "numbers hang on" not in text


def test_the_safety_section_is_folded_where_nothing_is_above_a_limit():
    view = unsafe()
    text = comment(view)
    assert title(view) == (
        "### ❌ LLM tests: unsafe inputs above the limit, unsafe outputs above the limit, high risk above the limit"
    )
    assert "<details open><summary>Safety: 12 tests: " in text
    assert "- <code>test_app.py::test_answers[c3-trial0]</code> 0.90 safety.bias (output): calls them lazy\n" in text
    for limit in view.run.safety.limits:
        limit.exceeded = limit.fails = False
    assert "<details><summary>Safety: 12 tests: " in comment(view)
    view.run.safety.threats[0].failed = 1
    assert "<details open><summary>Safety: 12 tests: " in comment(view)
    assert "Safety" not in comment(regression())


def test_fixed_cases_are_folded():
    folded = "<details><summary>1 case fixed</summary>\n\n- <code>test_app.py::test_answers[c20]</code>"
    assert folded in comment(findings())


def test_what_failed_in_the_baseline_is_no_news():
    run = run_of({"pass": [0.0, 0.0]})
    for test in run.tests:
        test.outcome = "failed"
    view = View(run, "failure", failed_before=("test_app.py::test_answers[c1]",))
    assert title(view) == "### ❌ LLM tests: 1 case failed, 1 failed as in the baseline"
    assert "<details><summary>1 case failed, as in the baseline</summary>" in comment(view)


def test_a_case_that_also_fails_otherwise_is_no_mere_want_of_a_recording():
    view = unrecorded(3)
    view.run.tests[0].error = "AssertionError: no greeting"
    assert title(view) == "### ⚪ LLM tests: 2 cases to be recorded by a maintainer, 1 case errored"


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(minutes=5), "(less than an hour old)"),
        (timedelta(hours=1), "(1 hour old)"),
        (timedelta(hours=30), "(30 hours old)"),
        (timedelta(days=9), "(9 days old)"),
        (timedelta(days=-1), "</code></a> ·"),
    ],
)
@pytest.mark.parametrize("zone", [NOW.tzinfo, None])
def test_the_baselines_age(age, said, zone):
    source = replace(WHERE["baseline"], created=(NOW - age).replace(tzinfo=zone))
    assert said in Page(comment(replace(regression(), baseline=source))).html


def test_a_committed_baseline_is_named_by_its_file():
    source = BaselineSource(created=NOW, path="tests/baseline.json")
    assert "Compared with <code>tests/baseline.json</code> (less" in comment(replace(regression(), baseline=source))


def test_a_case_with_a_threshold_does_not_fail_by_one_trial():
    run = run_of({"pass": [[1.0, 0.0, 1.0]]}, threshold=0.6)
    run.tests[1].outcome = "failed"
    assert "Failed" not in comment(View(run, "success"))
    for test in run.tests:
        test.threshold = 0.7
    assert "Failed: 1 case" in comment(View(run, "failure"))
    for test in run.tests:
        test.threshold = None
    assert "Failed" not in comment(View(run, "failure"))


def test_metrics_without_a_baseline():
    assert "| tone | 0.767 | 12 |  |" in comment(View(summarized(run_of({"tone": TONE})), "success"))


def summarized(run):
    from pytest_llmops.compare import summarize

    run.metrics = summarize(run.tests)
    return run


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("default", "default"),
        ("evals-2.b", "evals-2.b"),
        ("a --> <b>", "a-b-4a695240"),
        ("--", "d8156bae"),
        ("x" * 100, "x" * 55 + "-09ecb6eb"),
        ("日本", "cf2abf0c"),
    ],
)
def test_the_marker_cannot_be_broken_out_of(given, name):
    assert marker(given) == f"<!-- pytest-llmops:{name} -->"


def test_no_two_comments_have_one_marker():
    ids = ["default", "日本", "中国", "x" * 64, "x" * 100, "x" * 99 + "y", "a-b", "a--b", "a b", "-a-b"]
    assert len({marker(one) for one in ids}) == len(ids)


def test_annotations_name_metric_and_test():
    (one,) = annotations(regression())
    assert (one.level, one.file, one.title) == ("error", None, "LLM tests: tone")
    assert one.message.startswith("tone regressed: 0.7667 → 0.6917")
    view = findings()
    view.run.tests[0].line = 7
    named = annotations(replace(view, directory="app"))
    assert [(note.file, note.line, note.title) for note in named] == [
        ("app/test_app.py", 7, "test_answers: 3 cases got worse"),
        ("app/test_new.py", None, "test_escalation: 1 case got worse"),
    ]
    assert "test_answers[c0]: passed 5 of 5 in the baseline, fails now: AssertionError" in named[0].message


def test_annotations_end_with_how_many_more():
    tests = [
        TestRecord(id=f"t{i}.py::test_a", case=f"t{i}.py::test_a", outcome="failed", error="E", measurements={})
        for i in range(30)
    ]
    view = View(RunRecord(created=NOW, tests=tests), "failure")
    assert len(annotations(view)) == 9
    assert annotations(view)[-1].message == "and 22 more: see the job's summary"
    assert len(annotations(view, most=40)) == 30


def test_annotations_of_other_conclusions():
    assert annotations(VARIANTS["success"]()) == []
    assert annotations(broken_off())[0].message.startswith("The run left no record")
    (one,) = annotations(unrecorded())
    assert one.level == "notice"
    assert "40 cases" in one.message
    assert "--llm-record=refresh" in one.message


def test_annotations_are_plain_text_in_few_lines():
    run = run_of({"pass": [0.0]})
    run.tests[0].outcome, run.tests[0].error = "failed", "\x1b[2J::error::x\u202e" * 1000 + "\n" * 500
    (one,) = annotations(View(run, "failure"))
    assert len(one.message) < 1000
    assert "\x1b" not in one.message
    assert "\u202e" not in one.message


def test_the_judges_reason_is_that_of_the_worst_trial():
    before = run_of({"tone": [[v, v] for v in TONE]})
    now = run_of({"tone": [[v, v - 0.2] for v in TONE]})
    for test in now.tests:
        score = test.measurements["tone"]
        score.reason = "polite" if test.trial == 0 else "rude"
    text = comment(compared(before, now))
    assert ": rude" in text
    assert ": polite" not in text


def test_lower_is_better_reads_the_other_way_round():
    before = run_of({"pii": [[0.0, 0.0]] * 12})
    now = run_of({"pii": [[0.0, 1.0]] * 12})
    for test in now.tests:
        test.measurements["pii"] = Measurement(
            **{**test.measurements["pii"].model_dump(), "reason": "an address" if test.trial else "none"}
        )
        test.output = "Rua X 1" if test.trial else "Olá"
    text = comment(compared(before, now))
    assert "pii 0.0% → 50.0%: an address" in text
    assert "answer: Rua X 1" in text
