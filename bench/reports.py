"""Reports of large runs: seconds of CPU to write, and their size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import made_up_run
from bench.measure import Row
from pytest_llmops import baseline
from pytest_llmops.reports import ctrf, html


def rows() -> Iterator[Row]:
    """For 1,000 and 10,000 cases."""
    html.render(made_up_run.compared(12)[0])  # the imports
    for cases in (1_000, 10_000):
        yield from _written(cases)
    run, stored, answers = made_up_run.compared(1_000, answers=700)
    page = html.render(run, baseline=stored, answers=answers)
    yield Row("HTML of 1,000 cases with answers twice as long, its size", len(page.encode()) / 1024, "KiB")


def _written(cases: int) -> Iterator[Row]:
    run, stored, answers = made_up_run.compared(cases)
    with TemporaryDirectory() as folder:
        target = Path(folder) / "report"
        writers: tuple[tuple[str, Callable[[], object]], ...] = (
            ("HTML", lambda: baseline.write(target, html.render(run, baseline=stored, answers=answers), "report")),
            ("CTRF", lambda: baseline.write(target, ctrf.render(run), "report")),
            ("run record", lambda: baseline.save_run(target, run)),
        )
        for what, writer in writers:
            begin = time.process_time()
            writer()
            yield Row(f"{what} of {cases:,} cases, written in", time.process_time() - begin, "s CPU")
            yield Row(f"{what} of {cases:,} cases, its size", target.stat().st_size / 1024, "KiB")
        begin = time.process_time()
        baseline.load_run(target)
        yield Row(f"run record of {cases:,} cases, read in", time.process_time() - begin, "s CPU")
