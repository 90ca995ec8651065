"""How long the gate takes on a large suite: ``python -m bench.gate [METRICS] [CASES] [TRIALS]``."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import Row
from pytest_llmops import baseline
from pytest_llmops.compare import compare, summarize
from pytest_llmops.records import CassetteUse, Measurement, RunRecord, TestRecord


def build(metrics: int, cases: int, trials: int, seed: int, *, replayed: bool) -> RunRecord:
    """A made-up run; two of one seed are equal."""
    draw = random.Random(seed)
    tests = []
    for case in range(cases):
        key = f"tests/test_app.py::test_answers[case-{case}]"
        for trial in range(trials):
            measurements = {
                f"metric{number}": Measurement.model_construct(value=draw.random(), source="judge")
                for number in range(metrics - 2)
            }
            measurements["pass"] = Measurement.model_construct(value=1.0, source="builtin", kind="pass")
            measurements["latency_ms"] = Measurement.model_construct(
                value=draw.lognormvariate(7, 0.3), source="builtin", kind="latency", direction="lower", unit="ms"
            )
            use = CassetteUse(digest=f"{case:06d}{trial:02d}", replayed=1) if replayed else CassetteUse()
            tests.append(
                TestRecord(
                    id=f"{key[:-1]}-trial{trial}]", case=key, trial=trial, measurements=measurements, cassette=use
                )
            )
    return RunRecord(created=datetime.now(UTC), tests=tests)


def rows(metrics: int = 50, cases: int = 10_000, trials: int = 1) -> Iterator[Row]:
    """The steps of a large gate."""
    stored = now = None
    for word, replayed in (("live", False), ("replayed", True)):
        before = build(metrics, cases, trials, 1, replayed=replayed)
        now = before if replayed else build(metrics, cases, trials, 2, replayed=False)
        stored = baseline.update(None, before)
        compare(stored, RunRecord(created=now.created, tests=now.tests[: 20 * trials]))  # the imports
        took = min(_seconds(lambda stored=stored, now=now: compare(stored, now)) for _ in range(5))
        yield Row(f"compare {metrics} metrics x {cases:,} cases, {word}", took, "s CPU")
    assert now is not None
    yield Row("summarize", _seconds(lambda: summarize(now.tests)), "s CPU")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "baseline.json"
        yield Row("save the baseline", _seconds(lambda: baseline.save(path, stored)), "s CPU")
        yield Row("load the baseline", _seconds(lambda: baseline.load(path)), "s CPU")
        yield Row("its size", path.stat().st_size / 1e6, "MB")


def _seconds(step: Callable[[], object]) -> float:
    begin = time.process_time()
    step()
    return time.process_time() - begin


if __name__ == "__main__":
    for row in rows(*map(int, sys.argv[1:])):
        print(row)
