import random
import re
from dataclasses import replace
from datetime import date

import pytest

from pytest_llmops.acceptance import Accepted
from pytest_llmops.records import BrokenCase, CaseFinding, Comparison, MetricComparison, PromptChange, RunRecord
from pytest_llmops.reports.pull_request import BaselineSource, NeedsRecording, View, annotations, comment, summary
from pytest_llmops.reports.pull_request.fitting import utf8_bytes, utf16_units
from pytest_llmops.reports.pull_request.neutral import code, inline, preformatted
from pytest_llmops.safety_record import RiskyTest, SafetyCheck, SafetyLimit, SafetySummary, ThreatCoverage
from tests.patience import least_cpu_s
from tests.unit.made_up import NOW, measurement, trial
from tests.unit.pull_requests import WHERE, Page, by_another, by_github, regression

OURS = {
    *("h3", "p", "code", "a", "table", "thead", "tbody", "tr", "th", "td", "strong", "ul", "li", "details", "summary"),
    *("b", "sub", "span", "pre", "del", "ins", "blockquote"),
}
FRAGMENTS = [
    *("<script>alert(1)</script>", "<img src=x onerror=y>", "</details>", "</summary>", "</pre>", "</code>"),
    *("<!-- pytest-llmops:default -->", "<!--", "-->", "]]>", "<?php", "<![CDATA[", "&lt;b&gt;", "&#60;i&#62;", "&"),
    *("|", "\\|", "\\", "`", "```", "~~~", "~~", "**", "__", "_", "*", "$", "$$x$$", "$a$ and $b$", "^", "[^1]"),
    *("[x](http://evil.example)", "![x](http://evil.example/p.png)", "[x]: http://evil.example", "[x]"),
    *("](", "][", "]:", "</td></tr>", "<http://evil.example>", "http://evil.example/a?b=c", "HTTPS://EVIL.example"),
    *("ftp://evil.example", "www.evil.example", "a@evil.example", "mailto:a@evil.example", "xmpp:a@evil.example"),
    *("javascript:alert(1)", "//evil.example", "@octocat", "@acme/team", "#123", "GH-123", "acme/shop#123"),
    *("octocat@0123abcdef01", "0123abcdef0123", ":tada:", "===", "---"),
    *("\n", "\r\n", "\n\n", "\u2028", "\x85", "\t", "    ", "\n# ", "# ", "- ", "1. ", "1) ", "> ", "+ "),
    *("\n| a | b |\n|---|---|\n", "- [ ] task", "> [!NOTE]", "\n```mermaid\n", "\n***\n"),
    *("\x00", "\x1b[2J", "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\U000e0041", "\ud800", "\ufffd"),
    *("😀", "👨‍👩‍👧", "é", "e\u0301\u0301\u0301\u0301\u0301\u0301", "中文", "ไทย", "שלום", "مرحبا", "Tiếng Việt"),
    *("word", "two words", ".", ",", "(", ")", "!", '"', "'", "=", "{", "}", "${{ github.token }}", "::error::x"),
]
MENTION = re.compile(r"(?<![\w/])@\w")
REFERENCE = re.compile(r"#\d|\bGH-\d|\bgh-\d")
LINK = re.compile(r"(?:https?|ftp)://|www\.\w|[\w.+-]@[\w-]+\.\w", re.IGNORECASE)
HASH = re.compile(r"\b(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,40}\b", re.IGNORECASE)
HIDING = re.compile("[\u202a-\u202e\u2066\u2067\ufeff\U000e0000-\U000e0fff\x00-\x08\x1b]")


def hostile_view(text):
    """A View with hostile text wherever text can come from a model, a test, a branch, a file or a file's name."""

    def row(name, verdict, gate):
        return MetricComparison(
            metric=f"{text()}{name}", verdict=verdict, gate=gate, cases=3, baseline=0.5, current=0.1, delta=-0.4,
            ci_low=-0.5, ci_high=-0.3, p=0.01, reason=text(), advice=text(), unit=text(),
            worst_cases=[{"case": case, "baseline": 0.9, "current": 0.1} for case in cases[:2]],
        )  # fmt: skip

    cases = [f"test_app.py::test_a[{text()}{number}]" for number in range(6)]
    rows = [row("a", "regressed", True), row("b", "inconclusive", True), row("c", "no_regression", False)]
    tests = [
        trial(
            case,
            {rows[0].metric: measurement("tone", 0.1, reason=text()), "pass": 0.0},
            outcome="failed",
            error=text(),
            output=text() + "same" + text(),
        )
        for case in cases
    ]
    comparison = Comparison(
        baseline=text(),
        metrics=rows,
        broken_cases=[BrokenCase(case=cases[0], baseline_passed=5, baseline_trials=5, trials=5, reason=text())],
        findings=[
            CaseFinding(case=cases[3], finding="errored", reason=text(), fails=True),
            CaseFinding(case=text(), finding="suspect", reason=text()),
            CaseFinding(case=text(), finding="missing", fails=True),
        ],
        new_cases=[text(), text()],
        changed_cases=[text()],
        accepted=[text()],
        notes=[text(), text()],
        prompt_changes=[PromptChange(before=text(), after=text(), diff=[text() for _ in range(5)])],
    )
    run = RunRecord(created=NOW, tests=tests, comparison=comparison)
    run.fingerprint.models = [text() for _ in range(7)]
    risk = RiskyTest(id=text(), case=text(), check=text(), stage=text(), score=0.9, outcome=text(), reason=text())
    run.safety = SafetySummary(
        tests=3,
        outcomes={text(): 1},
        checks=[SafetyCheck(name=text(), stage=text(), tests=1)] * 2,
        limits=[SafetyLimit(name="high_risk", limit=0.8, value=0.9, tests=3, found=1, exceeded=True)],
        riskiest=[risk, risk],
        threats=[ThreatCoverage(id=text(), tests=1, passed=1), ThreatCoverage(id=text())],
    )
    return View(
        run,
        "regression",
        title=text(),
        comment_id=text(),
        baseline=BaselineSource(text(), text(), NOW, text()),
        repository=text(),
        server_url=text(),
        head_sha=text(),
        run_url=text(),
        report_url=text(),
        directory=text().replace("\x00", ""),
        changed=(f"cassettes/{text()}.json", f"prompts/{text()}", "baseline.json"),
        accepted=(Accepted(reason=text() or "x", expires=date(2026, 5, 1), metric=text(), by=text()),),
        needs_recording=(NeedsRecording(text(), text(), text(), text()), NeedsRecording(text(), text(), text())),
        notes=(text(),),
        answers={case: [text() + "same" + text()] for case in cases},
        fixed=(text(),),
    )


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("render", [comment, summary])
@pytest.mark.parametrize("renderer", [by_github, by_another])
def test_hostile_text_is_text(seed, render, renderer):
    dice = random.Random(seed)
    view = hostile_view(lambda: "".join(dice.choices(FRAGMENTS, k=dice.choice((1, 2, 3, 6, 12)))))
    text = render(view)
    page = Page(text, renderer)
    assert not page.open, page.open
    assert page.tags <= OURS, page.tags - OURS
    assert page.links == []
    assert [len(set(table)) for table in page.rows] == [1] * len(page.rows), page.rows
    for words in page.searched:
        for pattern in (MENTION, REFERENCE, LINK, HASH):
            assert not pattern.search(words), (pattern.pattern, words)
    assert not HIDING.search(page.text)
    assert "\n" not in page.text.splitlines()[0]
    assert len(page.comments) == (render is comment)
    assert text.count("<!--") == (render is comment)
    annotations(view)


def test_links_of_ours_need_an_address_that_is_one():
    view = replace(regression(), run_url="javascript:alert(1)", report_url="https://x.example/a) [b](c", server_url="x")
    assert Page(comment(view)).links == []


ANSWERS = [
    "Não é possível devolver o pagamento: já passou o prazo — «30 dias».",
    "¿Cómo está? Ya lo he devuelto; ¡gracias!",
    "Chúng tôi rất tiếc, đơn hàng của bạn đã được hoàn tiền.",
    "我们已经为您退款，请查收邮件。",
    "ขอบคุณค่ะ 👨‍👩‍👧 👍🏽 ❤️",
    "نمی‌توانم پاسخ دهم",
    'Price: 12.50 EUR (20% off), snake_case_name, 3 + 4 = 7; it\'s "fine" & <ok>?',
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_in_many_languages_stay_as_they_are(answer):
    isolates = dict.fromkeys(map(ord, "\u2068\u2069"))
    for text in (inline(answer), f"see {code(answer)}", preformatted(answer)):
        assert Page(text).text.translate(isolates).strip().removeprefix("see ") == answer


def test_what_github_would_turn_into_something_else_is_parted():
    assert inline("$a$") == "<span>$</span>a<span>$</span>"
    assert inline("[x] approved") == "&#91;x] approved", "in a list's item it would be a ticked task"
    assert inline(":tada:") == ":&#8203;tada:"
    assert inline("at 12:30, 1.5 @ home, a / b, #") == "at 12:30, 1.5 @ home, a / b, #"


@pytest.mark.parametrize("name", ["tests/test_a.py::test_b[pt-BR/c_1.2]", "gpt-x", "refund@v2", "a/b#c", "snake_case"])
def test_names_can_be_copied_and_read_in_the_source(name):
    assert code(name) == f"<code>{name}</code>"


def test_many_regressions_stay_within_the_limits_and_are_quick():
    names = [f"test_app.py::test_answers[{'x' * 60}-{number}]" for number in range(3_000)]
    broken = [
        BrokenCase(case=name, baseline_passed=5, baseline_trials=5, trials=5, reason="AssertionError: <no> " * 9)
        for name in names
    ]
    long = "😀 Of course & <b>sorry</b>, we @refund. " * 2_500  # 100 KB
    tests = [
        trial(name, {"pass": 0.0}, outcome="failed", output=f"{long}no{number}") for number, name in enumerate(names)
    ]
    run = RunRecord(created=NOW, tests=tests, comparison=Comparison(broken_cases=broken))
    view = View(run, "regression", **WHERE, answers={name: [f"{long}yes"] for name in names}, changed=tuple(names))
    written: list[tuple[str, str]] = []
    took = least_cpu_s(lambda: written.append((comment(view), summary(view))), enough=1)
    text, long_text = written[0]
    assert utf16_units(text) <= 65_536
    assert utf8_bytes(long_text) <= 2**20
    for page in (Page(text), Page(long_text)):
        assert not page.open
        assert "3,000 cases" in page.text
    assert "… and 2,780 more" in text
    assert text.endswith("<!-- pytest-llmops:default -->\n")
    assert took < 1


@pytest.mark.parametrize("limit", [300, 1_000, 4_000, 12_000, 30_000])
def test_any_limit_is_kept_and_nothing_left_open(limit):
    dice = random.Random(limit)
    view = hostile_view(lambda: "".join(dice.choices(FRAGMENTS, k=400)))
    text, other = comment(view, limit=limit), summary(view, limit_bytes=limit)
    assert utf16_units(text) <= limit
    assert utf8_bytes(other) <= limit
    for one in (text, other):
        page = Page(one)
        assert not page.open
        assert page.tags <= OURS
        assert [len(set(table)) for table in page.rows] == [1] * len(page.rows)
    assert "<!-- pytest-llmops:" in text


def test_characters_beyond_the_first_plane_count_twice():
    view = regression()
    for test in view.run.tests:
        test.output = "😀" * 10_000
    assert utf16_units(comment(view, limit=3_000)) <= 3_000
    assert utf16_units("😀a") == 3
