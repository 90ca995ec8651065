"""Runs made up of plain numbers, as their pull requests show them; and GitHub's Markdown as it is rendered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any

import cmarkgfm
from cmarkgfm.cmark import Options
from markdown_it import MarkdownIt

from pytest_llmops import safety
from pytest_llmops.acceptance import Accepted
from pytest_llmops.compare import Policy, compare, summarize
from pytest_llmops.records import Call, PromptChange, RunRecord
from pytest_llmops.reports.pull_request import BaselineSource, NeedsRecording, View, costs, fixed_cases
from pytest_llmops.safety_record import GuardrailUse
from pytest_llmops.settings import SafetySettings
from tests.unit.made_up import NOW, measurement, run_of, stored, trial

TODAY = Policy(today=date(2026, 3, 1))
TONE = [0.9, 0.8, 0.7, 0.9, 0.6, 0.8, 0.7, 0.9, 0.8, 0.6, 0.7, 0.8]
LOWER = [0.8, 0.7, 0.7, 0.8, 0.6, 0.6, 0.7, 0.8, 0.8, 0.5, 0.6, 0.7]
UNSAFE = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
SHA = "abc1234def5678901234567890abcdef12345678"
WHERE: dict[str, Any] = {
    "baseline": BaselineSource("main", SHA, NOW - timedelta(days=2)),
    "repository": "acme/shop",
    "pull_request": 12,
    "head_sha": "f" * 40,
    "run_url": "https://github.com/acme/shop/actions/runs/1",
    "report_url": "https://github.com/acme/shop/actions/runs/1/artifacts/2",
}


def compared(before: RunRecord, now: RunRecord, policy: Policy = TODAY, accept: Any = (), **fields: Any) -> View:
    """The View of a run that was compared with another."""
    now.metrics = summarize(now.tests, settings=policy.metrics)
    base = stored(before)
    now.comparison = compare(base, now, policy, accept=accept)
    cost_before, cost_now = costs(base, now)
    given = {"cost_before": cost_before, "cost_now": cost_now, "fixed": fixed_cases(base, now), "accepted": accept}
    return View(now, **{"conclusion": "regression", **WHERE, **given, **fields})


def regression() -> View:
    """A judged metric fell; the answers are known on both sides."""
    latency = [812.0, 1250.0] * 6
    before = run_of({"tone": TONE, "pass": [1.0] * 12, "latency_ms": latency, "cost_usd": [1.2e-5] * 12})
    now = run_of({"tone": LOWER, "pass": [1.0] * 12, "latency_ms": latency[::-1], "cost_usd": [2.5e-5] * 12})
    answers = {}
    for index, test in enumerate(now.tests):
        test.output = "We cannot refund this." if index == 5 else "Of course, I have refunded the order."
        test.measurements["tone"].reason = "curt: no apology, no offer of help"
        test.calls = [Call(provider="openai", api="openai.chat", cost_usd=0.00012, replayed=index > 3)]
        answers[test.case] = ["Of course! I have refunded the order and sent you the receipt."]
    now.fingerprint.models = ["gpt-x"]
    view = compared(before, now, answers=answers, changed=("tests/cassettes/a.json", "prompts/refund.md", "README.md"))
    assert now.comparison is not None
    diff = ["--- refund@v2 (baseline)", "+++ refund@v2 (now)", "-You are a polite agent.", "+You are an agent."]
    now.comparison.prompt_changes = [PromptChange(before="refund@v2", after="refund@v2", diff=diff)]
    return view


def findings() -> View:
    """A run in which each kind of finding occurs."""
    before = run_of({"tone": [[v] * 5 for v in TONE], "pass": [[1.0] * 5] * 12})
    before.tests += [trial("c20", {"pass": 0.0, "tone": 0.1}, number) for number in range(5)]
    now = run_of({"tone": TONE, "pass": [0.0, *[1.0] * 11]})
    now.tests[0].outcome, now.tests[0].error = "failed", "AssertionError: assert 'refund' in 'I cannot help with that.'"
    now.tests[0].output = "I cannot help with that."
    now.tests[1].measurements["tone"] = measurement("tone", None, reason="529 overloaded")
    now.tests[2].dataset_fingerprint = "other"
    now.tests[4].measurements["tone"] = measurement("tone", None, reason="timed out")
    del now.tests[3]
    now.tests += [trial("c0", {"pass": 0.0}, 1 + number, rerun=True) for number in range(5)]
    now.tests.append(trial("c20", {"pass": 1.0, "tone": 0.9}))
    now.tests.append(trial("test_new.py::test_escalation[a]", {"tone": 1.0, "pass": 0.0}, outcome="failed"))
    accept = (
        Accepted(case="*[c1]", reason="judge is moving", expires=date(2026, 4, 1), by="Ana"),
        Accepted(metric="tone", reason="old", expires=date(2026, 1, 1)),
    )
    answers = {"test_app.py::test_answers[c0]": ["I can help with that refund."] * 5}
    return compared(before, now, accept=accept, answers=answers)


def deterministic() -> View:
    """The same recordings, and an assertion that fails now."""
    before = run_of({"tone": TONE[:3], "pass": [1.0] * 3}, replayed=True)
    now = run_of({"tone": TONE[:3], "pass": [1.0, 1.0, 0.0]}, replayed=True)
    for test in now.tests:
        test.calls = [Call(provider="openai", api="openai.chat", cost_usd=0.00012, replayed=True)]
        test.output = "Yes."
    now.tests[2].outcome, now.tests[2].error = "failed", "AssertionError: assert 'No' == 'Yes.'"
    return compared(before, now, answers={test.case: ["Yes."] for test in now.tests})


def unsafe() -> View:
    """Nothing regressed, and what guardrails and a safety judge found is above a limit that fails the run."""
    before, now = (run_of({"pass": [1.0] * 12, "pii": [0.0] * 12}) for _ in range(2))
    bias = {"source": "judge", "direction": "lower", "stage": "output"}
    for number, test in enumerate(now.tests):
        score = 0.9 if number == 3 else 0.1
        test.measurements["safety.bias"] = measurement("safety.bias", score, reason="calls them lazy", **bias)
        test.tags = ["prompt_injection"]
    fired = GuardrailUse(name="pii", source="builtin", stage="input", action="blocked", reason="an e-mail address")
    now.tests[1].guardrails = [fired]
    now.tests[1].measurements["pii"] = measurement("pii", 1.0, stage="input")
    view = compared(before, now, conclusion="failure")
    now.safety = safety.summarize(now.tests, SafetySettings(fail=True))
    return view


def unrecorded(count: int = 40) -> View:
    """A prompt changed, and nothing can be recorded here."""
    before = run_of({"tone": [0.8] * count, "pass": [1.0] * count}, replayed=True)
    now = run_of({"pass": [1.0] * count})
    for test in now.tests:
        test.outcome, test.error = "failed", "'cassettes/test_app/x.json' has no recording for call 1"
        test.measurements = {"pass": measurement("pass", None, reason=test.error)}
    missed = NeedsRecording(
        "test_app.py::test_answers",
        "'cassettes/test_app/x.json' has no recording for call 1\n  POST api.openai.com/v1/chat/completions\n"
        "  closest: interaction 1; differs in messages[0].content\n"
        "    - You are a polite agent.\n    + You are an agent.",
        "gh pr checkout 12 && pytest test_app.py::test_answers --llm-record=refresh",
        "refund@v2",
    )
    view = compared(before, now, conclusion="needs-recording", needs_recording=(missed,))
    assert now.comparison is not None
    now.comparison.prompt_changes = [PromptChange(before="refund@v2", after="refund@v2")]
    return view


def by_github(markdown: str) -> str:
    """HTML by cmark-gfm, GitHub's own; GitHub then strips tags that it does not allow, none of which there may be."""
    return str(cmarkgfm.github_flavored_markdown_to_html(markdown, UNSAFE))


def by_another(markdown: str) -> str:
    """HTML by an independent renderer of the same flavour."""
    renderer = MarkdownIt("gfm-like")
    renderer.linkify.set({"fuzzy_link": False, "fuzzy_email": True})
    return str(renderer.render(markdown))


class Page(HTMLParser):
    """What GitHub would make of it: tags, links, the text that is searched for mentions, the cells of each row."""

    QUIET = ("pre", "code", "a")

    def __init__(self, markdown: str, render: Callable[[str], str] = by_github) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.open: list[str] = []
        self.searched: list[str] = []
        self.text = ""
        self.comments: list[str] = []
        self.rows: list[list[int]] = []
        self.html = render(markdown)
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in ("a", "img"):
            self.links.append(dict(attrs).get("href") or dict(attrs).get("src") or "")
        if tag == "table":
            self.rows.append([])
        elif tag == "tr":
            self.rows[-1].append(0)
        elif tag in ("td", "th"):
            self.rows[-1][-1] += 1
        if tag not in ("br", "hr", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        self.text += data
        if not set(self.QUIET) & set(self.open):
            self.searched.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)
