"""The reports for machines: JUnit properties, CTRF, and the baseline's answers."""

import gzip
import json

import pytest

from pytest_llmops import compare
from pytest_llmops.baseline import answers
from pytest_llmops.errors import BaselineError
from pytest_llmops.records import Call, CassetteUse, Measurement
from pytest_llmops.reports import ctrf, junit
from tests.unit.made_up import run, run_of, stored, trial


def call(**fields):
    return Call(**({"provider": "openai", "api": "openai.chat", "model": "m"} | fields))


def test_properties_of_a_test_case():
    test = trial(
        "a",
        {
            "latency_ms": 812.34567,
            "tone": Measurement(value=0.75, source="judge", reason="polite"),
            "facts": Measurement(status="error", reason="no answer"),
        },
        2,
        calls=[call(cost_usd=0.001), call(cost_usd=0.0005, role="judge", model="j")],
        cassette=CassetteUse(file="cassettes/a.json"),
    )
    assert junit.properties(test) == [
        ("llmops.case", "test_app.py::test_answers[a]"),
        ("llmops.trial", "2"),
        ("llmops.metric.latency_ms", "812.346"),
        ("llmops.metric.tone", "0.75"),
        ("llmops.reason.tone", "polite"),
        ("llmops.metric.facts", "error"),
        ("llmops.calls", "2"),
        ("llmops.judge_calls", "1"),
        ("llmops.total_cost_usd", "0.0015"),
        ("llmops.models", "j, m"),
        ("llmops.cassette", "cassettes/a.json"),
    ]


def test_a_cost_that_is_not_known_whole_is_not_told():
    assert "llmops.total_cost_usd" not in dict(junit.properties(trial("a", {}, calls=[call(cost_usd=1.0), call()])))


def ctrf_of(record):
    results = json.loads(ctrf.render(record))["results"]
    counts = {word: results["summary"][word] for word in ("passed", "failed", "skipped", "other", "pending")}
    assert sum(counts.values()) == results["summary"]["tests"] == len(results["tests"])
    return counts, {test["name"]: test for test in results["tests"]}


def test_ctrf_counts_tests_and_the_gate():
    before = run_of({"pass": [1] * 20, "tone": [0.9 + i / 300 for i in range(20)]})
    now = run_of({"pass": [1] * 20, "tone": [0.5 + i / 200 for i in range(20)]})
    now.comparison = compare.compare(stored(before), now)
    now.tests[0].outcome = "error"
    now.tests[0].error = "broke down"
    now.tests[1].outcome = "failed"
    now.tests[1].threshold = None
    now.tests[2].outcome = "xfailed"
    counts, tests = ctrf_of(now)
    assert counts == {"passed": 18, "failed": 2, "skipped": 1, "other": 1, "pending": 0}
    assert tests["llm-baseline::tone"]["status"] == "failed"
    assert tests["llm-baseline::tone"]["rawStatus"] == "regressed"
    assert "tone regressed" in tests["llm-baseline::tone"]["message"]
    assert tests["llm-baseline::pass"]["status"] == "passed"
    assert tests["test_answers[c0-trial0]"]["message"] == "broke down"
    assert tests["test_answers[c1-trial0]"]["status"] == "other"


@pytest.mark.parametrize(("threshold", "failing", "failed", "other"), [(0.5, 2, 0, 2), (0.5, 3, 3, 0), (None, 4, 0, 4)])
def test_ctrf_tolerates_failed_trials_only_where_their_case_did_not_fail(threshold, failing, failed, other):
    trials = [
        trial("a", {"pass": i >= failing}, i, outcome="passed" if i >= failing else "failed", threshold=threshold)
        for i in range(4)
    ]
    counts, _ = ctrf_of(run(trials))
    assert counts == {"passed": 4 - failing, "failed": failed, "skipped": 0, "other": other, "pending": 0}


def test_ctrf_counts_whatever_else_failed_the_run():
    counts, tests = ctrf_of(run([trial("a", {"pass": 1})], also_failed=["llm-baseline::node-ids", "t.py::test_x"]))
    assert (counts["passed"], counts["failed"]) == (1, 2)
    assert {tests[name]["status"] for name in ("node-ids", "test_x")} == {"failed"}


def test_ctrf_of_nothing():
    assert ctrf_of(run([]))[1] == {}


def test_answers_are_kept_by_case_and_trial(tmp_path):
    file = answers.path_beside(tmp_path / "baseline.json")
    assert file.name == "baseline.answers.jsonl.gz"
    assert answers.load(file) == {}
    first = answers.update({}, run([trial("a", {}, 0, output="one"), trial("a", {}, 2, output="three \ud800é")]))
    answers.save(file, first)
    kept = answers.load(file)
    assert kept == {"test_app.py::test_answers[a]": ["one", None, "three \ud800é"]}
    again = file.read_bytes()
    answers.save(file, kept)
    assert file.read_bytes() == again


def test_an_update_keeps_the_answers_of_what_did_not_run():
    old = {"test_app.py::test_answers[a]": ["old"], "gone": ["old"], "test_app.py::test_answers[b]": ["old"]}
    broken = trial("b", {}, outcome="error", output="half")
    rerun = trial("c", {}, rerun=True, output="again")
    new = answers.update(old, run([trial("a", {}, output="new"), broken, rerun]))
    assert new == {"gone": ["old"], "test_app.py::test_answers[a]": ["new"], "test_app.py::test_answers[b]": ["old"]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no gzip", "cannot be read"),
        (gzip.compress(b'{"case": "a", "answers": ["x"]}\n' * 50)[:-12], "cannot be read"),
        (gzip.compress(b'{"case": "a", "answers": ["x"]}\n{"case": "b"}'), "line 2 is no case"),
        (gzip.compress(b'{"case": "a", "answers": [1]}'), "line 1 is no case"),
        (gzip.compress(b"[]"), "line 1 is no case"),
    ],
    ids=["no gzip", "cut", "no answers", "numbers", "a list"],  # gzip's header holds the time: no id for xdist
)
def test_damaged_answers_are_told(tmp_path, data, words):
    file = tmp_path / "b.answers.jsonl.gz"
    file.write_bytes(data)
    with pytest.raises(BaselineError, match=words):
        answers.load(file)
