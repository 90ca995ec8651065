"""``python -m bench [NAME …]``: run the benchmarks (all, or those named) and print medians and ratios."""

from __future__ import annotations

import argparse
import importlib
import platform

import pytest

BENCHMARKS = {
    "startup": "Start-up: pytest --collect-only in an empty folder, no other plugin",
    "items": "Per item: 200 tests of one httpx call each, medians of the quietest of 5 runs",
    "replay": "Replay: one cassette played in order, and what surrounds it",
    "concurrency": "Live items that wait: beside what the waiting alone takes, and the memory of all processes",
    "gate": "Gate: a run against its baseline, after imports, best of 5",
    "error_rates": "Gate: errors of its rule, 50 cases x 3 trials, 5 in the baseline, 200 baselines x 200 builds",
    "reports": "Reports of runs of one judged trial a case, of answers of 350 characters that nobody wrote before",
    "wire": "Wire: exchanges read a CPU second, one core",
}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    print(f"Python {platform.python_version()}, pytest {pytest.__version__}, {platform.machine()}")
    for name in names:
        print(f"\n{BENCHMARKS[name]}")
        for row in importlib.import_module(f"bench.{name}").rows():
            print(row, flush=True)


if __name__ == "__main__":
    main()
