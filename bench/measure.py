"""Runs measured, and rows of a table."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Row:
    """A measured median; `base` is what it is set in relation to."""

    name: str
    value: float
    unit: str
    base: float | None = None

    def __str__(self) -> str:
        ratio = f"{self.value / self.base:8.2f} ×" if self.base else ""
        value = f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.2f}"
        return f"  {self.name:<50} {value:>9} {self.unit:<12}{ratio}".rstrip()


@dataclass(frozen=True)
class Cost:
    """What a process took, in ms; `cpu` is user and system time with its children's."""

    wall: float
    cpu: float


def pytest_cost(folder: Path, *args: str, env: Mapping[str, str], expect: int = 0) -> Cost:
    """Run pytest in `folder` without any autoloaded plugin.

    Raises:
        RuntimeError: it ended with another exit status than `expect`: there is nothing to measure then.
    """
    return python_cost(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args, env=env, expect=expect)


def python_cost(folder: Path, *args: str, env: Mapping[str, str], expect: int = 0) -> Cost:
    """`pytest_cost`, for Python alone."""
    clean = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_")}
    environ = {**clean, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(REPOSITORY), **env}
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *args],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begin
    if process.returncode != expect:
        raise RuntimeError(f"python {' '.join(args)} ended with {process.returncode}:\n{output[-3000:]}")
    return Cost(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000)


def interleaved(rounds: int, runs: Mapping[str, Callable[[], Cost]]) -> dict[str, list[Cost]]:
    """The costs of `rounds` rounds, each run once a round, so that a busy minute hits all alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            costs[name].append(run())
    return costs


def cpu_median(costs: Sequence[Cost]) -> float:
    """CPU ms."""
    return statistics.median(cost.cpu for cost in costs)


def cpu_quietest(costs: Sequence[Cost]) -> float:
    """CPU ms of the run that was disturbed least: for differences smaller than what a busy machine adds."""
    return min(cost.cpu for cost in costs)


def rate(work: Callable[[], int], *, seconds: float = 0.5, repeats: int = 5) -> float:
    """Median of how many units a CPU second `work` gets done; it returns how many one call of it is."""
    work()
    rates = []
    for _ in range(repeats):
        done, begin = 0, time.process_time()
        while (took := time.process_time() - begin) < seconds:
            done += work()
        rates.append(done / took)
    return statistics.median(rates)
