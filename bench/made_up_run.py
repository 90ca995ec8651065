"""A made-up run with texts like those of a real one, and its baseline."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pydoc_data.topics import topics
from typing import Any

from pytest_llmops import baseline
from pytest_llmops.baseline import Baseline
from pytest_llmops.baseline.answers import Answers
from pytest_llmops.compare import compare, fingerprint, summarize
from pytest_llmops.records import Call, CassetteUse, Measurement, RunRecord, TestRecord

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@cache
def _sentences() -> list[str]:
    """Those of Python's own documentation: texts of a language, which compress as such."""
    words = re.sub(r"\s+", " ", " ".join(topics.values()))
    return [one for one in re.split(r"(?<=[a-z]\.) (?=[A-Z])", words) if 40 <= len(one) <= 200]


class Writer:
    """Writes texts that nobody wrote before: halves of sentences, put together."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def text(self, characters: int) -> str:
        written = ""
        while len(written) < characters:
            one, other = (self.draw.choice(_sentences()).split() for _ in range(2))
            written += " ".join(one[: len(one) // 2] + other[len(other) // 2 :]) + " "
        return written[:characters].strip()


SYSTEM, RUBRIC = Writer(2).text(500), Writer(3).text(1500)


def run_of(cases: int, *, seed: int, drop: float = 0.0) -> RunRecord:
    """A run of one trial a case: prompt, answer, a judge's score with its reason, two calls."""
    writer = Writer(seed)
    asked = Writer(9)
    tests = []
    for number in range(cases):
        prompt, answer = asked.text(150), writer.text(350)
        reason = writer.text(100)
        tone = min(1.0, max(0.0, writer.draw.gauss(0.85 - drop, 0.08)))
        latency = writer.draw.lognormvariate(7, 0.3)
        key = f"tests/test_support.py::test_support[case-{number}]"
        failed = writer.draw.random() < 0.03
        tests.append(
            TestRecord(
                id=key,
                case=key,
                outcome="failed" if failed else "passed",
                error="AssertionError: " + writer.text(60) if failed else None,
                duration_s=0.01,
                input=prompt,
                output=answer,
                measurements=_measured(tone, latency, not failed, reason),
                calls=_calls(number, prompt, answer, latency, reason),
                cassette=CassetteUse(digest=f"{seed:08x}{number:08x}", live=2),
            )
        )
    return RunRecord(created=START, tests=tests, fingerprint=fingerprint(tests), metrics=summarize(tests))


def _measured(tone: float, latency: float, passed: bool, reason: str) -> dict[str, Measurement]:
    builtin: dict[str, Any] = {"source": "builtin", "direction": "lower"}
    return {
        "pass": Measurement(value=float(passed), source="builtin", kind="pass"),
        "latency_ms": Measurement(value=latency, kind="latency", unit="ms", **builtin),
        "cost_usd": Measurement(value=0.0001 + latency * 1e-8, kind="cost", unit="USD", **builtin),
        "output_tokens": Measurement(value=len(reason) % 80 + 60, kind="count", **builtin),
        "tone": Measurement(value=tone, source="judge", definition="0123456789ab", reason=reason),
    }


def _calls(number: int, prompt: str, answer: str, latency: float, reason: str) -> list[Call]:
    shared: dict[str, Any] = {
        "provider": "anthropic",
        "api": "anthropic.messages",
        "model": "claude-haiku-4-5",
        "status": 200,
        "finish_reason": "end_turn",
        "started_at": START + timedelta(seconds=number),
        "input_tokens": 180,
    }
    request: dict[str, Any] = {"parameters": {"max_tokens": 500}}
    question = {"messages": [{"role": "user", "content": prompt}], "system": SYSTEM}
    judged = {"messages": [{"role": "user", "content": f"{prompt}\n\n{answer}"}], "system": RUBRIC}
    verdict = f'{{"score": 4, "reason": "{reason}"}}'
    return [
        Call(text=answer, output_tokens=100, cost_usd=2e-4, latency_ms=latency, request=request | question, **shared),
        Call(
            text=verdict,
            role="judge",
            output_tokens=40,
            cost_usd=4e-4,
            latency_ms=900,
            request=request | judged,
            **shared,
        ),
    ]


def compared(cases: int) -> tuple[RunRecord, Baseline, Answers]:
    """A run that got worse, compared with its baseline, and the baseline's answers (half of them are the run's)."""
    before, now = run_of(cases, seed=4), run_of(cases, seed=5, drop=0.1)
    for old, new in zip(before.tests[::2], now.tests[::2], strict=True):
        new.output, new.calls, new.measurements = old.output, old.calls, old.measurements
    stored = baseline.update(None, before)
    now.comparison = compare(stored, now)
    return now, stored, baseline.answers.update({}, before)
