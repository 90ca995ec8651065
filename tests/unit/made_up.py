"""Runs and baselines made up of plain numbers, for tests of the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
