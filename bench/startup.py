"""What loading the plugin costs a run that does not use it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Cost, Row, cpu_median, cpu_quietest, interleaved, pytest_cost

NO_TESTS_COLLECTED = 5


def rows() -> Iterator[Row]:
    """CPU ms of ``pytest --collect-only`` in an empty folder, medians of 9."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def collect(*plugins: str) -> Cost:
            args = [part for plugin in plugins for part in ("-p", plugin)]
            return pytest_cost(folder, "--collect-only", *args, env={}, expect=NO_TESTS_COLLECTED)

        collect("pytest_llmops.plugin")  # compiles the .pyc files
        costs = interleaved(
            9,
            {
                "pytest alone": collect,
                "with pytest-llmops": lambda: collect("pytest_llmops.plugin"),
                "with pytest-recording": lambda: collect("pytest_recording.plugin"),
            },
        )
    base = cpu_median(costs["pytest alone"])
    for name, runs in costs.items():
        yield Row(name, cpu_median(runs), "ms CPU", base)
    own = cpu_quietest(costs["with pytest-llmops"]) - cpu_quietest(costs["pytest alone"])
    yield Row("pytest-llmops' own share (quietest runs)", own, "ms CPU")
