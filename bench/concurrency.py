"""Live items that wait for their provider: overlapped in one process, and under xdist."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.measure import Row, pytest_cost, python_cost
from tests.standin import StandIn

ITEMS = 1000
LATENCY_S = 0.2
SLOTS = 32
LIMIT_S = LATENCY_S * ITEMS / SLOTS
TESTS = f"""
import os

import httpx
import pytest

client = httpx.Client(limits=httpx.Limits(max_connections={SLOTS}, max_keepalive_connections={SLOTS}))


def ask(n):
    body = {{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": f"Question {{n}}: how are you?"}}]}}
    answer = client.post(os.environ["STANDIN_URL"] + "/v1/chat/completions", json=body)
    return answer.json()["choices"][0]["message"]["content"]


@pytest.mark.llm_eval
@pytest.mark.parametrize("n", range({ITEMS}))
def test_ask(llm_eval, n):
    assert "Question" in llm_eval.run(ask, n).text
"""
THREADS = f"""
from concurrent.futures import ThreadPoolExecutor

from test_ask import ask

with ThreadPoolExecutor({SLOTS}) as pool:
    assert all("Question" in text for text in pool.map(ask, range({ITEMS})))
"""
LLMOPS = ("-p", "pytest_llmops.plugin", "--llm-record=live")
XDIST = ("-p", "xdist.plugin")
RUNS = {
    f"--llm-concurrency={SLOTS}": ((*LLMOPS, f"--llm-concurrency={SLOTS}"), SLOTS, 3),
    "-n 8": ((*LLMOPS, *XDIST, "-n", "8"), 8, 1),
    f"-n {SLOTS}": ((*LLMOPS, *XDIST, "-n", str(SLOTS)), SLOTS, 1),
    "-n 2 --llm-concurrency=16": ((*LLMOPS, *XDIST, "-n", "2", "--llm-concurrency=16"), SLOTS, 1),
}


def rows() -> Iterator[Row]:
    """Seconds beside what the waiting alone takes (the ratio), and the memory of all processes together."""
    with tempfile.TemporaryDirectory() as root, StandIn(latency_s=LATENCY_S) as standin:
        folder = Path(root)
        (folder / "test_ask.py").write_text(TESTS, encoding="utf-8")
        env = {"STANDIN_URL": standin.url}
        bare = [python_cost(folder, "-c", THREADS, env=env).wall / 1000 for _ in range(3)]
        yield Row(f"the {ITEMS} calls alone, from {SLOTS} threads, no pytest", median(bare), "s", LIMIT_S)
        for label, (args, slots, rounds) in RUNS.items():
            seconds, megabytes = [], []
            for _ in range(rounds):
                standin.reset()
                with _Memory() as memory:
                    cost = pytest_cost(folder, *args, env=env)
                if len(standin.requests) != ITEMS:
                    raise RuntimeError(f"{label} asked the provider {len(standin.requests)} times for {ITEMS} items")
                seconds.append(cost.wall / 1000)
                megabytes.append(memory.peak_mb)
            name = f"{ITEMS} items × {LATENCY_S * 1000:g} ms, {label}"
            yield Row(name, median(seconds), "s", LATENCY_S * ITEMS / slots)
            yield Row(f"  memory, {label}", median(megabytes), "MB")


class _Memory:
    """The peak of what this process's descendants use together, sampled."""

    def __enter__(self) -> _Memory:
        self.peak_mb = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(0.5):  # `ps` takes a core for 30 ms
            self.peak_mb = max(self.peak_mb, _descendants_mb())


def _descendants_mb() -> float:
    table = subprocess.run(["ps", "-axo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = defaultdict(list)
    used: dict[int, int] = {}
    for line in table.splitlines():
        pid, parent, kilobytes = map(int, line.split())
        children[parent].append(pid)
        used[pid] = kilobytes
    found, waiting = 0, list(children[os.getpid()])
    while waiting:
        pid = waiting.pop()
        found += used[pid]
        waiting += children[pid]
    return found / 1024
