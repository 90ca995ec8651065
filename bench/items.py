"""What one marked test with one replayed call costs, beside the same test without the plugin."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.measure import Cost, Row, cpu_quietest, interleaved, pytest_cost
from tests.standin import StandIn

ITEMS = 200
CALL = """
import os

import httpx
import pytest

client = httpx.Client()


def ask(n):
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"Question {n}: how are you?"}]}
    answer = client.post(os.environ["STANDIN_URL"] + "/v1/chat/completions", json=body)
    return answer.json()["choices"][0]["message"]["content"]
"""
TESTS = {
    "empty": f"""
@pytest.mark.parametrize("n", range({ITEMS}))
def test_ask(n):
    assert n >= 0
""",
    "live": f"""
@pytest.mark.parametrize("n", range({ITEMS}))
def test_ask(n):
    assert "Question" in ask(n)
""",
    "llmops": f"""
@pytest.mark.llm_eval
@pytest.mark.parametrize("n", range({ITEMS}))
def test_ask(llm_eval, n):
    assert "Question" in llm_eval.run(ask, n).text
""",
    "recording": f"""
@pytest.mark.vcr
@pytest.mark.parametrize("n", range({ITEMS}))
def test_ask(n):
    assert "Question" in ask(n)
""",
}
LLMOPS = ("-p", "pytest_llmops.plugin")
RECORDING = ("-p", "pytest_recording.plugin")


RUNS = {
    "empty": ("an empty test", ()),
    "live": ("live call over loopback, no plugin", ()),
    "llmops": ("replayed by pytest-llmops", (*LLMOPS, "--llm-record=none")),
    "recording": ("replayed by pytest-recording", (*RECORDING, "--record-mode=none")),
}
ROUNDS = 5
FLOOR = 0.25
"""What the overhead may be of pytest-recording's."""


def rows() -> Iterator[Row]:
    """What the first item costs a run (imports), and each further one beside the same test without the plugin."""
    with tempfile.TemporaryDirectory() as name, StandIn() as standin:
        root = Path(name)
        for kind, tests in TESTS.items():
            (root / kind).mkdir()
            (root / kind / "test_ask.py").write_text(CALL + "\n" + tests, encoding="utf-8")
        times = root / "times"

        def run(kind: str, *args: str, items: str = "test_ask.py") -> Cost:
            env = {"STANDIN_URL": standin.url, "ITEM_TIMES": str(times)}
            return pytest_cost(root / kind, "-p", "bench.item_times", *args, items, env=env)

        def each(kind: str, *args: str) -> Cost:
            run(kind, *args)
            return Cost(0.0, float(times.read_text(encoding="utf-8")))

        run("llmops", *LLMOPS, "--llm-record=once")
        run("recording", *RECORDING, "--record-mode=once")
        asked = len(standin.requests)
        if asked != 2 * ITEMS:
            raise RuntimeError(f"recording {ITEMS} items twice asked the provider {asked} times")
        one = "test_ask.py::test_ask[0]"
        runs = {kind: partial(each, kind, *args) for kind, (_, args) in RUNS.items()}
        runs |= {f"{kind} once": partial(run, kind, *args, items=one) for kind, (_, args) in RUNS.items()}
        costs = {name: cpu_quietest(taken) for name, taken in interleaved(ROUNDS, runs).items()}
        if len(standin.requests) != asked + ROUNDS * (ITEMS + 1):
            raise RuntimeError("a replay asked the provider")
    shown = [(kind, label) for kind, (label, _) in RUNS.items() if kind != "empty"]
    for kind, label in shown:
        yield Row(f"first item, {label}", costs[f"{kind} once"] - costs["empty once"], "ms CPU")
    for kind, label in RUNS.items():
        yield Row(f"each further, {label[0]}", costs[kind], "ms CPU")
    overhead = {kind: costs[kind] - costs["live"] for kind in ("llmops", "recording")}
    yield Row("overhead of pytest-recording over the live test", overhead["recording"], "ms CPU")
    yield Row(f"overhead of pytest-llmops (floor: {FLOOR} ×)", overhead["llmops"], "ms CPU", overhead["recording"])
