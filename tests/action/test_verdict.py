"""What a run amounts to, and when the job is red for it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_llmops import baseline, compare
from pytest_llmops.github import verdict
from pytest_llmops.github.maintaining import Command
from pytest_llmops.github.testing import JUnit, junit_id, parse_junit
from pytest_llmops.github.verdict import Verdict
from pytest_llmops.records import Call, Measurement, RunRecord, TestRecord

MISS = "'cassettes/test_x/a.json' has no recording for call 1"


def record(case: str, outcome: str = "passed", *, score: float = 1.0, error: str | None = None, **more) -> TestRecord:
    passed = Measurement(value=float(outcome == "passed"), source="builtin", kind="pass")
    if error and "no recording" in error:
        passed = Measurement(status="error", reason=error, source="builtin", kind="pass")
    scored = {} if error else {"facts": Measurement(value=score)}
    return TestRecord(
        id=f"test_x.py::test_y[{case}]",
        case=f"test_x.py::test_y[{case}]",
        outcome=outcome,
        error=error,
        gate=["pass", "facts"],
        measurements={"pass": passed, **scored},
        **more,
    )


def run_of(*tests: TestRecord) -> RunRecord:
    return RunRecord(created=datetime(2026, 11, 20, tzinfo=UTC), tests=list(tests))


FINE = run_of(*(record(f"c{n}") for n in range(12)))


def conclude(
    run: RunRecord | None, code: int = 1, junit: JUnit | None = None, before: RunRecord = FINE, **how
) -> Verdict:
    stored = baseline.update(None, before)
    if run is not None:
        run.comparison = compare.compare(stored, run)
    how = {"fail_on": "regression", "can_record": True, "command": Command()} | how
    return verdict.conclude(run, code, junit or JUnit(), stored=stored, **how)


def reds(run: RunRecord | None, code: int = 1, **how) -> dict[str, bool]:
    return {word: conclude(run, code, fail_on=word, **how).red for word in ("regression", "failure", "any", "never")}


def test_all_is_well() -> None:
    found = conclude(FINE.model_copy(deep=True), 0)
    assert (found.conclusion, found.red, found.total, found.passed, found.failed) == ("success", False, 12, 12, 0)


def test_a_regression_without_a_failed_test() -> None:
    worse = [record(f"c{n}", score=0.2 + n / 100) for n in range(12)]
    assert conclude(run_of(*worse)).conclusion == "regression"
    assert reds(run_of(*worse)) == {"regression": True, "failure": False, "any": True, "never": False}


def test_a_test_that_fails_and_did_not_before() -> None:
    run = run_of(record("c0", "failed"), *(record(f"c{n}") for n in range(1, 12)))
    found = conclude(run)
    assert (found.conclusion, found.failed, found.passed) == ("failure", 1, 11)
    assert reds(run) == {"regression": True, "failure": True, "any": True, "never": False}


def test_a_test_that_failed_in_the_baseline_too_is_no_regression() -> None:
    run = run_of(record("c0", "failed"), *(record(f"c{n}") for n in range(1, 12)))
    found = conclude(run, before=run.model_copy(deep=True))
    assert found.conclusion == "failure"
    assert "failed in the baseline, too" in found.why
    assert reds(run, before=run.model_copy(deep=True)) == {
        "regression": False, "failure": True, "any": True, "never": False,
    }  # fmt: skip


def test_other_tests_of_the_same_run_count() -> None:
    junit = JUnit(others=("tests.test_plain::test_it",))
    found = conclude(FINE.model_copy(deep=True), junit=junit)
    assert (found.conclusion, found.red) == ("failure", True)
    assert "test_plain" in found.why


@pytest.mark.parametrize(
    ("code", "why"), [(2, "collect"), (3, "internal"), (4, "called"), (5, "no test"), (139, "139")]
)
def test_a_crash(code: int, why: str) -> None:
    found = conclude(None, code)
    assert (found.conclusion, found.red) == ("error", True)
    assert why in found.why
    assert not conclude(None, code, fail_on="never").red


def test_a_failure_that_nothing_explains_is_not_green() -> None:
    assert (conclude(FINE.model_copy(deep=True), 1).conclusion, reds(FINE.model_copy(deep=True))["regression"]) == (
        "error", True,
    )  # fmt: skip


def test_misses_of_who_cannot_record_are_one_entry_a_test() -> None:
    run = run_of(*(record(f"c{n}", "failed", error=MISS, prompt="support") for n in range(12)))
    said = f"{MISS}\n  closest: interaction 1; differs in system\n    - old\n    + new\n  re-record: pytest x"
    junit = JUnit(gate=("errored-cases",), messages={junit_id("test_x.py::test_y[c0]"): said})
    found = conclude(run, junit=junit, can_record=False, command=Command(7))
    assert (found.conclusion, found.red, found.failed) == ("needs-recording", False, 12)
    (need,) = found.needs_recording
    assert (need.test, need.prompt) == ("test_x.py::test_y", "support")
    assert need.command == "gh pr checkout 7 && pytest test_x.py::test_y --llm-record=refresh"
    assert "+ new" in need.changed
    assert "re-record" not in need.changed
    assert conclude(run, junit=junit).red, "who can record, has to"


def test_misses_beside_a_failure_are_a_failure_and_still_named() -> None:
    run = run_of(record("c0", "failed", error=MISS), record("c1", "failed"), *(record(f"c{n}") for n in range(2, 12)))
    found = conclude(run, can_record=False)
    assert (found.conclusion, found.red) == ("failure", True)
    assert len(found.needs_recording) == 1


def test_a_share_of_trials_may_fail() -> None:
    trials = [record("c0", outcome, trial=n, threshold=0.6) for n, outcome in enumerate(("passed", "passed", "failed"))]
    rest = [record(f"c{n}") for n in range(1, 12)]
    assert conclude(run_of(*trials, *rest), 0).conclusion == "success"
    trials[1].outcome = "failed"
    trials[1].measurements["pass"].value = 0.0
    assert conclude(run_of(*trials, *rest)).failed == 1


def test_what_was_spent_is_live_calls_only_and_unknown_where_one_is() -> None:
    paid = [
        Call(provider="openai", api="chat", cost_usd=0.5),
        Call(provider="openai", api="chat", cost_usd=1, replayed=True),
    ]
    assert verdict.spent(run_of(record("c0", calls=paid))) == 0.5
    assert verdict.spent(run_of(record("c0", calls=[*paid, Call(provider="x", api="chat")]))) is None
    refused = Call(provider="x", api="chat", error="429")
    assert verdict.spent(run_of(record("c0", calls=[refused]))) == 0


def test_junit_tells_evaluations_gate_and_others_apart() -> None:
    content = b"""<testsuites><testsuite>
      <testcase classname="test_x" name="test_y[c0]"><failure message="m">said</failure></testcase>
      <testcase classname="tests.test_plain.TestA" name="test_b"><error>boom</error></testcase>
      <testcase classname="llm-baseline" name="facts"><failure>worse</failure></testcase>
      <testcase classname="test_x" name="test_y[c1]"/>
    </testsuite></testsuites>"""
    found = parse_junit(content, run_of(record("c0"), record("c1")))
    assert found.gate == ("facts",)
    assert found.others == ("tests.test_plain.TestA::test_b",)
    assert found.messages == {("test_x", "test_y[c0]"): "said"}
    assert parse_junit(b"<cut", None) == JUnit()
    assert junit_id("tests/test_x.py::TestA::test_y[a::b/c.py]") == ("tests.test_x.TestA", "test_y[a::b/c.py]")
