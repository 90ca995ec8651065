import re
from datetime import date
from textwrap import dedent

import pytest

from pytest_llmops.acceptance import Accepted
from pytest_llmops.compare import Policy, compare, summarize
from pytest_llmops.records import Call
from pytest_llmops.reports import text
from pytest_llmops.reports.terminal import render
from tests.unit.made_up import measurement, run, run_of, stored, trial

TODAY = Policy(today=date(2026, 3, 1))
ANSI = re.compile(r"\x1b\[[\d;]*m")
TONE = [0.9, 0.8, 0.7, 0.9, 0.6, 0.8, 0.7, 0.9, 0.8, 0.6, 0.7, 0.8]
LOWER = [0.8, 0.7, 0.7, 0.8, 0.6, 0.6, 0.7, 0.8, 0.8, 0.5, 0.6, 0.7]


def shown(before, now, policy=TODAY, *, width=80, color=False, accept=(), path="baseline.json"):
    now.metrics = summarize(now.tests, settings=policy.metrics)
    comparison = compare(stored(before, path), now, policy, accept=accept)
    return "\n".join(render(comparison, now, width=width, color=color, policy=policy))


def block(words):
    return dedent(words).strip()


def test_a_passing_replay():
    record = run_of({"tone": TONE[:3], "pass": [1.0] * 3, "latency_ms": [812.0] * 3}, replayed=True)
    for test in record.tests:
        test.calls = [Call(provider="openai", api="openai.chat", cost_usd=0.00012, replayed=True)]
    assert shown(record, record) == block("""
        3 cases, 3 trials; 3 calls (3 replayed), $0.00036
        deterministic: every trial replayed the recording the baseline was made from, so
          that any difference comes from the code, not from chance
        metric  baseline → now   change  verdict
        pass    100.0% → 100.0%  =       no regression
        tone    0.800 → 0.800    =       no regression
        gate: passed (2 gated metrics)
    """)


def test_a_regression():
    latency = [812.0, 1250.0] * 6
    before = run_of({"tone": TONE, "pass": [1.0] * 12, "latency_ms": latency, "cost_usd": [1.2e-5] * 12})
    now = run_of({"tone": LOWER, "pass": [1.0] * 12, "latency_ms": latency[::-1], "cost_usd": [2.5e-5] * 12})
    assert shown(before, now) == block("""
        12 cases, 12 trials
        metric      baseline → now        change (95 % bounds)    MDE     verdict
        pass        100.0% → 100.0%       =                       58.0pp  no regression
        tone        0.767 → 0.692         -0.075 (-0.107…-0.043)  0.047   REGRESSED
        shown only, not gating:
        cost_usd    $0.000012 → 0.000025  +108%                   0.0%    regressed
        latency_ms  1.01 s → 1.01 s       = (-20.8…+26.3)         69.1%   inconclusive
          tone changed for the worse most in:
            test_app.py::test_answers[c5]  0.800 → 0.600
            test_app.py::test_answers[c0]  0.900 → 0.800
            test_app.py::test_answers[c10]  0.700 → 0.600
          cost_usd: total +108.3%, 95 % bounds +108.3% … +108.3%
        gate: FAILED (tone)
    """)


def test_a_narrow_terminal_has_a_narrower_table():
    before, now = run_of({"tone": TONE, "cost_usd": [1.2e-5] * 12}), run_of({"tone": LOWER, "cost_usd": [2.5e-5] * 12})
    tables = {width: shown(before, now, width=width).split("\n")[1:5] for width in (70, 62, 50, 40)}
    assert tables[62] == [
        "metric   baseline → now       change (95 % bounds)   verdict",
        "tone     0.767 → 0.692        -0.075 (-0.107…-0.043) REGRESSED",
        "shown only, not gating:",
        "cost_usd $0.000012 → 0.000025 +108%                  regressed",
    ]
    assert tables[50] == [
        "metric    baseline → now        change  verdict",
        "tone      0.767 → 0.692         -0.075  REGRESSED",
        "shown only, not gating:",
        "cost_usd  $0.000012 → 0.000025  +108%   regressed",
    ]
    assert tables[40] == [
        "metric    change  verdict",
        "tone      -0.075  REGRESSED",
        "shown only, not gating:",
        "cost_usd  +108%   regressed",
    ]
    assert "MDE" in tables[70][0]


def test_at_80_columns_in_colour():
    before = run_of({"tone": [[value] * 5 for value in TONE], "pass": [[1.0] * 5] * 12})
    now = run_of({"tone": LOWER, "pass": [0.0, *[1.0] * 11]})
    assert shown(before, now, color=True).replace("\x1b[", "^") == block("""
        ^2m12 cases, 12 trials^0m
        ^1mmetric  baseline → now  change (95 % bounds)    MDE     verdict^0m
        pass    100.0% → 91.7%  -8.3pp (-23.3…+6.6)     65.4pp  ^33minconclusive^0m
        tone    0.767 → 0.692   -0.075 (-0.107…-0.043)  0.047   ^31mREGRESSED^0m
          pass: about 220 more cases would settle it
          tone changed for the worse most in:
            test_app.py::test_answers[c5]  0.800 → 0.600
            test_app.py::test_answers[c0]  0.900 → 0.800
            test_app.py::test_answers[c10]  0.700 → 0.600
        ^33m1 case suspect^0m
          test_app.py::test_answers[c0]
            passed 5 of 5 in the baseline, 0 of 1 now; 5 reruns would tell
        ^1;31mgate: FAILED (tone)^0m
    """)


def test_missing_recordings_are_told_once_with_the_command():
    before = run_of({"tone": TONE, "pass": [1.0] * 12, "latency_ms": [800.0] * 12})
    now = run_of({"pass": [1.0] * 12}, outcome="failed")
    for number, test in enumerate(now.tests):
        reason = f"'cassettes/test_app/c{number}.json' does not exist (call 1)"
        test.measurements["pass"] = measurement("pass", None, reason=reason)
    assert shown(before, now) == block("""
        12 cases, 12 trials
        12 cases without a recording: nothing was measured in them
          test_app.py::test_answers[c0]
          test_app.py::test_answers[c10]
          test_app.py::test_answers[c11]
          test_app.py::test_answers[c1]
          test_app.py::test_answers[c2]
          test_app.py::test_answers[c3]
          test_app.py::test_answers[c4]
          test_app.py::test_answers[c5]
          test_app.py::test_answers[c6]
          test_app.py::test_answers[c7]
          … and 2 more
          Record what is missing: pytest --llm-record=refresh
        gate: FAILED (errored-cases)
    """)


def everything():
    """A run in which each kind of finding occurs."""
    before = run_of({"tone": [[v] * 5 for v in TONE], "pass": [[1.0] * 5] * 12})
    now = run_of({"tone": TONE, "pass": [0.0, *[1.0] * 11]})
    now.tests[
        0
    ].error = "AssertionError: assert 'refund' in 'I cannot help with that, please write to the billing team.'"
    now.tests[1].measurements["tone"] = measurement("tone", None, reason="529 overloaded")
    now.tests[2].dataset_fingerprint = "other"
    del now.tests[3]
    now.tests += [trial("c0", {"pass": 0.0}, 1 + n, rerun=True) for n in range(5)]
    now.tests.append(
        trial("tests/a/rather/deep/folder/test_customer_support.py::test_escalation[a new case]", {"tone": 1.0})
    )
    return before, now


def test_every_finding_is_named_with_its_reason():
    before, now = everything()
    accept = [
        Accepted(case="*[c1]", reason="judge is moving", expires=date(2026, 4, 1), by="Ana"),
        Accepted(metric="tone", reason="old", expires=date(2026, 1, 1)),
    ]
    assert shown(before, now, accept=accept) == block("""
        12 cases, 12 trials
        metric  baseline → now  change (95 % bounds)  MDE     verdict
        pass    100.0% → 88.9%  -11.1pp (-31.8…+9.6)  91.0pp  too few cases
        tone    0.756 → 0.756   =                     0.000   too few cases
          pass: 1 more case needed
          tone: 1 more case needed
        1 case broken
          test_app.py::test_answers[c0]
            passed 5 of 5 in the baseline, 0 of 5 reruns now: AssertionError: assert
              'refund' in 'I cannot help with that, please write to the billing team.'
        1 case missing (its test ran without it)
          test_app.py::test_answers[c3]
        1 case changed (its dataset case changed; compared once it is stored anew)
          test_app.py::test_answers[c2]
        1 case new
          tests/a/rather/deep/folder/test_custome…upport.py::test_escalation[a new case]
        accepted: test_app.py::test_answers[c1] (left out): accepted by Ana until
          2026-04-01: judge is moving
        note: llm-accept.toml: the acceptance of 'tone' expired on 2026-01-01; renew or
          remove it
        gate: FAILED (broken-cases, missing-cases)
    """)


@pytest.mark.parametrize("width", [40, 50, 60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width):
    before, now = everything()
    long = "a criterion whose whole text serves as its name: the answer must be polite, short and right"
    for test in (*before.tests, *now.tests):
        test.measurements[long] = measurement(long, 0.5)
        wide = "准确率指标很长的名字" * 4
        test.measurements[wide] = measurement(wide, 0.5 if test in now.tests else 0.9)
        test.measurements["cost_usd"] = measurement("cost_usd", 1.234e-5 * (1 + len(test.case) / 100 + test.trial))
    now.tests[0].error = "错误：回答必须有礼貌而且正确" * 20
    for line in shown(before, now, width=width, path="x" * 100).splitlines():
        assert text.display_width(line) <= width, line


def test_colour_changes_no_letter():
    before, now = everything()
    coloured = shown(before, now, color=True)
    assert ANSI.sub("", coloured) == shown(before, now)
    assert "\x1b[1;31mgate: FAILED" in coloured
    assert "\x1b" not in shown(before, now)


def test_what_models_write_cannot_steer_the_terminal():
    before = run_of({"pass": [1.0]}, replayed=True)
    now = run_of({"pass": [0.0]}, replayed=True, error="\x1b[2J\x07 evil\rline \u202e reversed")
    assert "evil" in shown(before, now)
    assert not [c for c in shown(before, now) if c != "\n" and not c.isprintable()]
    spelt = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 👩\u200d👧"
    now = run_of({"pass": [0.0]}, replayed=True, error=spelt)
    assert spelt in shown(before, now), "joiners are part of the spelling"


def test_accepted_changes_are_shown_and_pass():
    accept = [Accepted(metric="tone", reason="shorter on purpose", expires=date(2026, 4, 1), by="Ana")]
    lines = shown(run_of({"tone": TONE}), run_of({"tone": LOWER}), accept=accept).splitlines()
    assert lines[2].endswith("accepted")
    assert lines[-2:] == [
        "accepted: tone (regressed): accepted by Ana until 2026-04-01: shorter on purpose",
        "gate: passed (1 gated metric; 1 accepted)",
    ]


def test_inconclusive_passes_with_its_advice_or_fails_if_asked():
    before, now = run_of({"tone": TONE}), run_of({"tone": TONE[::-1]})
    lines = shown(before, now).splitlines()
    assert any("would settle it" in line for line in lines)
    assert lines[-1] == "gate: passed (1 gated metric; not settled: tone)"
    assert shown(before, now, Policy(inconclusive="fail")).splitlines()[-1] == "gate: FAILED (tone)"


def test_not_comparable_says_why():
    before = run([trial(f"c{i}", {"tone": measurement("tone", 0.5, definition="aa")}) for i in range(12)])
    now = run([trial(f"c{i}", {"tone": measurement("tone", 0.5, definition="bb")}) for i in range(12)])
    assert "tone: changed since the baseline: judge model or rubric (aa → bb)" in shown(before, now)


def test_many_advisory_metrics_do_not_flood():
    names = [f"own{i}" for i in range(40)]
    values = {name: measurement(name, 0.5, source="recorded") for name in names}
    record = run([trial(f"c{i}", values) for i in range(12)])
    lines = shown(record, record).splitlines()
    assert len(lines) < 16
    assert "and 32 more, not gating" in lines


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (0.94, "pass", "94.0%"),
        (812.4, "latency", "812 ms"),
        (1250.0, "latency", "1.25 s"),
        (1.2e-5, "cost", "$0.000012"),
        (0.0123, "cost", "$0.0123"),
        (1234.5, "cost", "$1,234.50"),
        (0.0, "cost", "$0"),
        (123456.0, "count", "123,456"),
        (12.5, "count", "12.5"),
        (0.8123, "score", "0.812"),
        (72.5, "score", "72.5"),
        (1e-6, "score", "1e-06"),
        (-0.5, "score", "-0.500"),
    ],
)
def test_amounts_in_their_usual_units(value, kind, expected):
    assert text.amount(value, kind) == expected


@pytest.mark.parametrize(
    ("value", "kind", "relative", "expected"),
    [
        (0.026, "cost", True, "+2.6%"),
        (12.5, "cost", True, "+1,250%"),
        (-0.043, "pass", False, "-4.3pp"),
        (-0.081, "score", False, "-0.081"),
        (-0.0, "score", False, "+0.000"),
        (25.0, "score", False, "+25"),
    ],
)
def test_changes_in_their_units(value, kind, relative, expected):
    assert text.change(value, kind, relative) == expected


def test_amounts_in_other_units():
    assert text.amount(2.5, "latency", "s") == "2.5 s"
    assert text.amount(2.5, "cost", "EUR") == "2.5 EUR"


def test_names_are_cut_in_the_middle():
    assert text.shorten("test_answers[case-17]", 12) == "test_a…e-17]"
    assert text.display_width(text.shorten("测试用例名称很长很长很长", 11)) <= 11
    assert text.display_width("❤\ufe0f \u0645\u06cc\u200c\u062e") == 5, "joiners and variation selectors have no width"
    assert text.shorten("short", 10) == "short"


def test_long_names_and_words_are_cut_in_linear_time():
    name, word = "测a" * 200_000, "测a" * 20_000
    assert text.display_width(text.shorten(name, 40)) == 40
    lines = text.indented(f"error: {word}", 80)
    assert max(map(text.display_width, lines)) <= 80
    assert "".join(line.strip() for line in lines) == f"error:{word}"
