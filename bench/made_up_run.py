"""A made-up run with texts like those of a real one, and its baseline."""

from __future__ import annotations

import random
import re
import sysconfig
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
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
    """Those of Python's own documentation, each once: 1.3 MB that compress as what people write does."""
    found = dict.fromkeys(_of(" ".join(topics.values())))
    library = Path(sysconfig.get_path("stdlib"))
    for file in sorted(library.rglob("*.py")):
        if not {"site-packages", "test", "tests", "idle_test", "lib2to3"}.intersection(file.parts):
            for docstring in re.findall(r'"""(.*?)"""', file.read_text(encoding="utf-8", errors="replace"), re.DOTALL):
                found.update(dict.fromkeys(_of(docstring)))
    sentences = list(found)
    random.Random(1).shuffle(sentences)
    return sentences


def _of(text: str) -> list[str]:
    parts = (re.sub(r"\s+", " ", part).strip() for part in re.split(r"(?<=[a-z]\.)\s+(?=[A-Z])|\n\s*\n", text))
    return [part for part in parts if 40 <= len(part) <= 250 and part.count(" ") > 5]


class Writer:
    """Writes texts one after the other, no sentence twice until there is none left; then with their words mixed."""

    def __init__(self, seed: int, first: int = 0) -> None:
        self.draw = random.Random(seed)
        self._next = first

    def text(self, characters: int) -> str:
        written, known = "", _sentences()
        while len(written) < characters:
            sentence = known[self._next % len(known)]
            if self._next >= len(known):
                words = sentence.split()
                self.draw.shuffle(words)
                sentence = " ".join(words)
            self._next += 1
            written += sentence + " "
        return written[:characters].strip()


def run_of(cases: int, *, seed: int, drop: float = 0.0, answers: int = 350, first: int = 0) -> RunRecord:
    """A run of one trial a case: prompt, answer, a judge's score with its reason, two calls.

    Args:
        answers: characters of each answer.
        first: the sentence with which its answers begin.
    """
    asked = Writer(9)
    fixed = asked.text(500), asked.text(1500)
    writer = Writer(seed, first or int(cases * 1.6))
    tests = []
    for number in range(cases):
        prompt, answer = asked.text(150), writer.text(answers)
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
                calls=_calls(number, prompt, answer, latency, reason, fixed),
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


def _calls(number: int, prompt: str, answer: str, latency: float, reason: str, fixed: tuple[str, str]) -> list[Call]:
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
    question = {"messages": [{"role": "user", "content": prompt}], "system": fixed[0]}
    judged = {"messages": [{"role": "user", "content": f"{prompt}\n\n{answer}"}], "system": fixed[1]}
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


def compared(cases: int, *, answers: int = 350) -> tuple[RunRecord, Baseline, Answers]:
    """A run that got worse, compared with its baseline, and the baseline's answers (half of them are the run's)."""
    before = run_of(cases, seed=4, answers=answers)
    now = run_of(cases, seed=5, drop=0.1, answers=answers, first=len(_sentences()) // 2)
    for old, new in zip(before.tests[::2], now.tests[::2], strict=True):
        new.output, new.calls, new.measurements = old.output, old.calls, old.measurements
    stored = baseline.update(None, before)
    now.comparison = compare(stored, now)
    return now, stored, baseline.answers.update({}, before)
