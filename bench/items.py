"""What one marked test with one replayed call costs, beside the same test without the plugin."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Cost, Row, interleaved, pytest_cost
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


def rows() -> Iterator[Row]:
    """Wall and CPU ms an item, medians of 3, with what an empty item of pytest's own costs taken off."""
    with tempfile.TemporaryDirectory() as name, StandIn() as standin:
        root = Path(name)
        for kind, tests in TESTS.items():
            (root / kind).mkdir()
            (root / kind / "test_ask.py").write_text(CALL + "\n" + tests, encoding="utf-8")

        def run(kind: str, *args: str) -> Cost:
            return pytest_cost(root / kind, *args, env={"STANDIN_URL": standin.url})

        run("llmops", *LLMOPS, "--llm-record=once")
        run("recording", *RECORDING, "--record-mode=once")
        asked = len(standin.requests)
        if asked != 2 * ITEMS:
            raise RuntimeError(f"recording {ITEMS} items twice asked the provider {asked} times")
        costs = interleaved(
            3,
            {
                "empty item": lambda: run("empty"),
                "live call over loopback, no plugin": lambda: run("live"),
                "replayed by pytest-llmops": lambda: run("llmops", *LLMOPS, "--llm-record=none"),
                "replayed by pytest-recording": lambda: run("recording", *RECORDING, "--record-mode=none"),
            },
        )
        if len(standin.requests) != asked + 3 * ITEMS:
            raise RuntimeError("a replay asked the provider")
    empty = costs.pop("empty item")
    yield Row(f"whole run of {ITEMS} empty items", empty.wall, "ms")
    per_item = {n: Cost((c.wall - empty.wall) / ITEMS, (c.cpu - empty.cpu) / ITEMS) for n, c in costs.items()}
    live = per_item["live call over loopback, no plugin"]
    for name, cost in per_item.items():
        yield Row(name, cost.wall, "ms/item", live.wall)
        yield Row(f"{name}, CPU", cost.cpu, "ms CPU/item", live.cpu)
