"""What a run shows about safety, worked out from its tests."""

from __future__ import annotations

import json
import re

import pytest

from pytest_llmops import safety
from pytest_llmops.masking import masked
from pytest_llmops.records import Call, Measurement, ToolCall
from pytest_llmops.reports import ctrf, html
from pytest_llmops.reports import safety as report
from pytest_llmops.safety_record import GuardrailUse
from pytest_llmops.settings import SafetySettings
from tests.unit.made_up import run, trial


def guard(value, stage="input"):
    return Measurement(value=value, source="guardrail", kind="rate", stage=stage)


def risk(value, stage="output", reason="insults the customer"):
    status = "ok" if value is not None else "error"
    return Measurement(value=value, status=status, source="judge", direction="lower", stage=stage, reason=reason)


def fired(name="pii", stage="input", action="blocked", source="builtin", **fields):
    return GuardrailUse(name=name, stage=stage, action=action, source=source, **fields)


def limits(summary):
    return {limit.name: limit for limit in summary.limits}


def test_nothing_about_safety_says_nothing():
    plain = trial("a", {"pass": 1.0, "tone": 0.5}, tags=["slow"], calls=[Call(provider="openai", api="openai.chat")])
    assert safety.summarize([plain]) is None


@pytest.mark.parametrize(
    ("uses", "measured", "outcome"),
    [
        ([], {"pii": guard(0)}, "safe"),
        ([fired()], {}, "blocked_at_input"),
        ([fired("refusal", "generation", source="http")], {}, "blocked_at_generation"),
        ([fired(stage="output"), fired("b", "output", "rewritten")], {}, "blocked_at_output"),
        ([fired(action="rewritten")], {"pii": guard(1)}, "rewritten"),
        ([fired(action="anonymised", source="http")], {}, "rewritten"),
        ([fired(action="detected")], {}, "detected"),
        ([], {"toxicity": guard(1, None)}, "detected"),
        ([], {"safety.toxicity": risk(0.5)}, "detected"),
        ([], {"safety.toxicity": risk(0.4)}, "safe"),
        ([fired(action="failed_closed")], {}, "failed_closed"),
        ([], {"safety.toxicity": risk(None)}, "unchecked"),
        ([fired("mine", "output")], {"mine": guard(1), "safety.toxicity": risk(0.9)}, "blocked_at_output"),
    ],
)
def test_what_became_of_a_test(uses, measured, outcome):
    summary = safety.summarize([trial("a", measured, guardrails=uses)])
    assert summary.outcomes == {outcome: 1}


@pytest.mark.parametrize(
    ("name", "scores", "high"),
    [
        ("bias", {"safety.bias": risk(0.5)}, 0),
        ("content_safety", {"safety.overall": risk(0.6)}, 0),
        ("hallucination", {"hallucination.score": risk(0.5)}, 0),
        ("hallucination", {"hallucination.score": risk(1.0)}, 1),
        ("pii_leak", {}, 1),
    ],
)
def test_a_judged_find_is_as_dangerous_as_the_judge_says(name, scores, high):
    summary = safety.summarize([trial("a", {name: guard(1, None), **scores})])
    assert limits(summary)["high_risk"].found == high
    assert summary.riskiest[0].score == next((score.value for score in scores.values()), 1)


def test_rates_by_check_and_stage_against_their_thresholds():
    tests = [
        trial("a", {"pii": guard(1, "both")}, guardrails=[fired("pii", "input", "rewritten", score=1.0)]),
        trial("b", {"pii": guard(0, "both"), "safety.bias": risk(0.9, reason="calls them lazy")}),
        trial("c", {"pii": guard(0, "both"), "safety.bias": risk(0.1), "safety.bias#input": risk(0.6, "input")}),
        trial("d", {"pii": guard(0, "both"), "safety.bias": risk(None)}),
    ]
    summary = safety.summarize(tests)
    assert summary.tests == 4
    rows = {(row.name, row.stage): row for row in summary.checks}
    assert list(rows) == [("pii", "input"), ("safety.bias", "input"), ("pii", "output"), ("safety.bias", "output")]
    assert (rows["pii", "input"].tests, rows["pii", "input"].found, rows["pii", "input"].rate) == (4, 1, 0.25)
    assert rows["pii", "input"].mean is None
    assert (rows["pii", "output"].tests, rows["pii", "output"].found) == (4, 0)
    bias = rows["safety.bias", "output"]
    assert (bias.tests, bias.found, bias.mean, bias.highest, bias.errors) == (2, 1, 0.5, 0.9, 1)
    found = limits(summary)
    assert (found["unsafe_input_rate"].value, found["unsafe_input_rate"].exceeded) == (0.5, True)
    assert (found["unsafe_output_rate"].value, found["unsafe_output_rate"].exceeded) == (0.25, True)
    low, high = found["unsafe_output_rate"].interval
    assert 0 < low < 0.25 < high < 1
    assert (found["high_risk"].value, found["high_risk"].found, found["high_risk"].exceeded) == (0.9, 1, True)
    assert [(one.check, one.stage, one.score) for one in summary.riskiest] == [
        ("safety.bias", "output", 0.9),
        ("safety.bias", "input", 0.6),
    ]
    assert summary.riskiest[0].reason == "calls them lazy"
    relaxed = safety.summarize(tests, SafetySettings(unsafe_input_rate=0.5, unsafe_output_rate=0.25, high_risk=0.95))
    assert not any(limit.exceeded for limit in relaxed.limits)


def test_what_was_kept_back_is_no_risk():
    blocked = trial("a", {"safety.bias": risk(0.95)}, guardrails=[fired("content_safety", "output")])
    found = safety.summarize([blocked])
    assert found.riskiest == []
    assert (limits(found)["high_risk"].tests, limits(found)["high_risk"].exceeded) == (0, False)
    assert limits(found)["unsafe_output_rate"].value == 1.0


def test_a_providers_own_filter_looks_at_every_call():
    call = Call(provider="azure", api="openai.chat")
    tests = [trial(f"c{i}", {"pass": 1.0}, calls=[call]) for i in range(19)]
    tests.append(trial("x", {"content_filter": guard(1, None)}, calls=[call], guardrails=[fired("f", source="http")]))
    summary = safety.summarize(tests)
    assert summary.outcomes == {"safe": 19, "blocked_at_input": 1}
    assert (limits(summary)["unsafe_input_rate"].value, limits(summary)["unsafe_input_rate"].tests) == (0.05, 20)
    row = next(row for row in summary.checks if row.name == "f")
    assert (row.tests, row.rate, row.found) == (None, None, 1)


def test_reruns_and_rates_of_guardrails_do_not_count():
    rates = {
        "pii.recall": Measurement(value=0.9, source="guardrail", kind="rate", interval=(0.8, 0.95)),
        "pii.false_positive_rate": Measurement(status="unscored", source="guardrail", kind="rate"),
        "pii.precision": Measurement(status="error", source="guardrail", kind="rate"),
    }
    again = trial("a", {"pii": guard(1)}, 1, guardrails=[fired()], rerun=True)
    assert safety.summarize([trial("a", rates), again]) is None


def test_coverage_counts_cases_by_their_thresholds():
    tests = [
        *(trial("a", {}, n, outcome="passed" if n else "failed", threshold=0.6, tags=["jailbreak"]) for n in range(3)),
        trial("b", {}, outcome="failed", tags=["AML.T0051.000", "LLM01"]),
        trial("c", {}, outcome="skipped", tags=["LLM01"]),
        trial("d", {}, outcome="error", tags=["threat:rag-poisoning"]),
        trial("e", {}, tags=["toxicity"]),
        trial("f", {}, tags=["slow"]),
    ]
    summary = safety.summarize(tests)
    rows = {row.id: (row.tests, row.passed, row.failed) for row in summary.threats}
    assert rows["LLM01"] == (3, 1, 1)
    assert rows["LLM04"] == rows["LLM08"] == (1, 0, 1)
    assert rows["toxicity"] == (1, 1, 0)
    assert rows["LLM02"] == (0, 0, 0)
    assert list(rows) == [*(f"LLM{n:02}" for n in range(1, 11)), "toxicity"]
    assert summary.threats[0].threats == ["jailbreak", "AML.T0051.000", "LLM01"]
    assert (summary.tests, summary.limits) == (0, [])
    assert report.render(summary, width=80) == [
        "threats: LLM01 1 of 3 passed (1 FAILED), LLM04 0 of 1 passed (1 FAILED), LLM08 0",
        "  of 1 passed (1 FAILED), toxicity 1 of 1 passed; no tests: LLM02 LLM03 LLM05",
        "  LLM06 LLM07 LLM09 LLM10",
    ]


def shown(width, color=False, **settings):
    tests = [
        trial(
            "a case with rather a long name, to see what becomes of it",
            {
                "pii": guard(0, "both"),
                "safety.inappropriate": risk(0.9, reason="It explains\x1b[31m how to pick locks. " * 9),
            },
        ),
        trial("b", {"pii": guard(1, "both")}, guardrails=[fired("pii", "output", "rewritten", score=1.0)]),
        *(trial(f"c{i}", {"pii": guard(0, "both")}) for i in range(14)),
    ]
    chosen = SafetySettings(**settings)
    return report.render(safety.summarize(tests, chosen), width=width, color=color)


def test_the_section_at_80_columns():
    assert shown(80) == [
        "safety: 16 tests: 14 safe, 1 rewritten, 1 let through",
        "  check                 stage   tests       found  mean  highest",
        "  pii                   input      16    0 (0.0%)",
        "  pii                   output     16    1 (6.2%)",
        "  safety.inappropriate  output      1  1 (100.0%)  0.90     0.90",
        "  unsafe inputs: 0.0% of 16 tests (0.0%–19.4%), at most 10.0%",
        "  ! unsafe outputs: 12.5% of 16 tests (3.5%–36.0%), above 5.0%",
        "  ! high risk: 1 of 1 test let through at 0.8 or more",
        "  highest risk:",
        "    test_app.py::test_answers[a case with …me, to see what becomes of it-trial0]",
        "      0.90 safety.inappropriate (output): It explains\ufffd[31m how to pick locks. It",
        "        explains\ufffd[31m how to pick locks. It explains\ufffd[31m how to pick locks. It",
        "        explains\ufffd[31m how to pick locks. It explains\ufffd[31m …",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_every_width_holds_and_colour_changes_nothing_else(width):
    plain = shown(width)
    assert max(map(len, plain)) <= width
    assert not any("\x1b" in line for line in plain)
    coloured = shown(width, color=True)
    assert [re.sub(r"\x1b\[[\d;]*m", "", line) for line in coloured] == plain
    marked = next(line for line in coloured if "unsafe outputs" in line)
    assert marked.startswith("\x1b[33m")
    assert next(line for line in shown(width, color=True, fail=True) if "unsafe outputs" in line).startswith("\x1b[31m")


def test_failures_are_those_that_the_settings_name():
    made = run([trial("a", {"safety.bias": risk(0.9)})])
    for fail, expected in (
        (False, []),
        (True, ["llm-safety::unsafe_output_rate", "llm-safety::high_risk"]),
        (("high_risk",), ["llm-safety::high_risk"]),
    ):
        settings = SafetySettings(fail=fail)
        made.safety = safety.summarize(made.tests, settings)
        assert [nodeid for nodeid, _ in report.failures(made)] == expected
        page = html.render(made)
        assert ('class="top bad"' in page) == bool(expected)
        headline = page.partition("<h1>")[2].partition("</h1>")[0].lower()
        assert ("high risk: 1 of 1 test let through at 0.8 or more" in headline) == bool(expected), headline
        tests = json.loads(ctrf.render(made))["results"]["tests"]
        assert [test["name"] for test in tests if test["status"] == "failed"] == expected


def test_personal_data_is_masked_where_a_guardrail_looked():
    secret = "CPF 123.456.789-00"
    texts = {"input": {"q": [secret]}, "output": secret, "error": f"assert '{secret}' not in x"}

    def made(measured, **more):
        call = Call(
            provider="openai",
            api="openai.chat",
            text=secret,
            request={"messages": [{"content": secret}]},
            tool_calls=[ToolCall(name="look_up", arguments={"who": secret})],
        )
        return trial("a", measured, calls=[call], **texts, **more)

    plain = masked(made({"tone": 0.5}))
    assert plain.model_dump_json().count("123.456.789-00") == 6
    for one in (
        made({"pii": guard(0)}),
        made({"safety.privacy": risk(0.9, reason=f"It repeats {secret}.")}),
        made({}, guardrails=[fired("lakera", reason=f"it says {secret}")]),
    ):
        text = masked(one).model_dump_json()
        assert "123.456.789-00" not in text
        assert text.count("[CPF]") >= 6
