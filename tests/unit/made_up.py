"""Runs and baselines made up of plain numbers, for tests of the gate."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pytest_llmops import baseline
from pytest_llmops.baseline import Baseline
from pytest_llmops.records import CassetteUse, Measurement, RunRecord, TestRecord

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS: dict[str, dict[str, Any]] = {
    "pass": {"source": "builtin", "kind": "pass"},
    "latency_ms": {"source": "builtin", "kind": "latency", "direction": "lower", "unit": "ms"},
    "cost_usd": {"source": "builtin", "kind": "cost", "direction": "lower", "unit": "USD"},
    "output_tokens": {"source": "builtin", "kind": "count", "direction": "lower"},
    "pii": {"source": "guardrail", "kind": "rate", "direction": "lower"},
    "overlap": {"source": "recorded"},
}
"""Other names are judge scores."""


def measurement(name: str, value: float | None, **fields: Any) -> Measurement:
    status = "ok" if value is not None else "error"
    return Measurement(value=value, **({"status": status, "source": "judge"} | KINDS.get(name, {}) | fields))


def trial(
    case: str,
    measured: Mapping[str, float | Measurement | None],
    number: int = 0,
    digest: str | None = None,
    **fields: Any,
) -> TestRecord:
    """One trial of ``test_app.py::test_answers[CASE]`` (a name with ``::`` is taken as it is)."""
    key = case if "::" in case else f"test_app.py::test_answers[{case}]"
    use = CassetteUse(digest=digest, replayed=1) if digest else CassetteUse()
    return TestRecord(
        **(
            {
                "id": f"{key.removesuffix(']')}-trial{number}]",
                "case": key,
                "trial": number,
                "cassette": use,
                "measurements": {
                    name: value if isinstance(value, Measurement) else measurement(name, value)
                    for name, value in measured.items()
                },
            }
            | fields
        )
    )


def run(tests: Sequence[TestRecord], **fields: Any) -> RunRecord:
    return RunRecord(created=NOW, tests=list(tests), **fields)


def run_of(
    metrics: Mapping[str, Sequence[float | Sequence[float]]], *, replayed: bool = False, **fields: Any
) -> RunRecord:
    """A run of cases ``c0``, ``c1``, …: for each metric a value, or one value a trial, for each case."""
    tests = []
    for index in range(len(next(iter(metrics.values())))):
        trials = {name: (v if isinstance(v := values[index], Sequence) else [v]) for name, values in metrics.items()}
        for number in range(len(next(iter(trials.values())))):
            digest = f"{index:04x}{number:04x}ffff" if replayed else None
            measured = {name: values[number] for name, values in trials.items()}
            tests.append(trial(f"c{index}", measured, number, digest, **fields))
    return run(tests)


def stored(record: RunRecord, path: str | None = "baseline.json") -> Baseline:
    made = baseline.update(None, record)
    made.path = path
    return made


def at_most(rate: float, builds: int) -> int:
    """The largest count that a true rate would exceed once in a thousand times."""
    total, count = 0.0, -1
    while total < 0.999:
        count += 1
        total += math.comb(builds, count) * rate**count * (1 - rate) ** (builds - count)
    return count


class Suite:
    """Cases as suites have them: most nearly always pass, some are flaky, few mostly fail; scores on five levels."""

    def __init__(self, draw: random.Random, cases: int) -> None:
        self.pass_rates = [
            0.98 if share < 0.7 else draw.uniform(0.5, 0.9) if share < 0.9 else draw.uniform(0.05, 0.3)
            for share in (draw.random() for _ in range(cases))
        ]
        self.levels = [draw.betavariate(6, 2) for _ in range(cases)]

    def build(
        self,
        draw: random.Random,
        trials: int,
        *,
        scores: int = 0,
        drop: float = 0.0,
        broken: Collection[int] = (),
        reruns: Collection[int] = (),
        fresh: int = 0,
    ) -> RunRecord:
        """A build; `reruns` of suspects, or `fresh` trials of every case (``--llm-confirm``), beyond its own trials."""
        tests = []
        for index, (rate, level) in enumerate(zip(self.pass_rates, self.levels, strict=True)):
            for number in range(trials + fresh + (5 if index in reruns else 0)):
                passed = float(index not in broken and draw.random() < max(0.0, rate - drop))
                measured = {"pass": Measurement(value=passed, source="builtin", kind="pass")}
                for score in range(scores):
                    value = sum(draw.random() < max(0.0, level - drop) for _ in range(4)) / 4
                    measured[f"score{score}"] = Measurement(value=value, source="judge")
                case = f"test_app.py::test_answers[c{index}]"
                more = number >= trials
                confirms = more and fresh > 0
                tests.append(
                    TestRecord(id=case, case=case, trial=number, rerun=more, confirms=confirms, measurements=measured)
                )
        return RunRecord(created=NOW, tests=tests)
