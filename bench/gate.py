"""How long the gate takes on a large suite: ``python -m bench.gate [METRICS] [CASES] [TRIALS]``."""

from __future__ import annotations

import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

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


def main() -> None:
    """Print the seconds each step takes."""
    metrics, cases, trials = (int(argument) for argument in [*sys.argv[1:], *("50", "10000", "1")[len(sys.argv) - 1 :]])
    print(f"{metrics} metrics x {cases} cases x {trials} trials, CPU seconds (best of 5)")
    for word, replayed in (("live", False), ("replayed", True)):
        before = build(metrics, cases, trials, 1, replayed=replayed)
        now = before if replayed else build(metrics, cases, trials, 2, replayed=False)
        stored = baseline.update(None, before)
        compare(stored, RunRecord(created=now.created, tests=now.tests[: 20 * trials]))  # the imports
        times = []
        for _ in range(5):
            start = time.process_time()
            compare(stored, now)
            times.append(time.process_time() - start)
        print(f"  compare, {word:9} {min(times):.2f}")
    start = time.process_time()
    summarize(now.tests)
    print(f"  summarize          {time.process_time() - start:.2f}")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "baseline.json"
        for word, step in (("save", lambda: baseline.save(path, stored)), ("load", lambda: baseline.load(path))):
            start = time.process_time()
            step()
            print(f"  {word} baseline      {time.process_time() - start:.2f}")
        print(f"  its size, MB       {path.stat().st_size / 1e6:.1f}")


if __name__ == "__main__":
    main()
