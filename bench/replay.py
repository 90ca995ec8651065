"""How replaying scales with a cassette's size, beside vcrpy; clients, judges and streams."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.measure import Row
from pytest_llmops.cassettes import keys, scope, storage
from pytest_llmops.cassettes.clients import Interception
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.cassettes.tape_options import TapeOptions
from pytest_llmops.providers import detect
from tests.standin import Reply, StandIn

URL = "http://127.0.0.1:9/v1/chat/completions"
SIZES = (100, 1_000, 5_000)
PEER = int(os.environ.get("BENCH_VCRPY", "1000"))
"""Exchanges for vcrpy, whose time grows with their square: 1,000 take about a minute, CI plays fewer."""


def rows() -> Iterator[Row]:
    """Each size of ours; vcrpy at one size, and ours at the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = {}
        for size in (*SIZES, PEER):
            path = folder / f"{size}.json"
            storage.save(path, [_interaction(n) for n in range(size)], test="bench")
            ours[size] = min(_ours(path, size) for _ in range(3))
        for size in SIZES:
            yield Row(f"{size:,} exchanges, load and replay, each", ours[size] / size, "ms CPU")
        peer = _vcrpy(folder / f"{PEER}.yaml")
        yield Row(f"vcrpy: {PEER:,} exchanges", peer, "ms CPU")
        yield Row(f"pytest-llmops: {PEER:,} exchanges", ours[PEER], "ms CPU", peer)
        yield Row("one httpx client a test, replay (floor: 4 ms)", _clients(folder / "100.json"), "ms CPU")
        yield Row("judged replays, one process (wanted: 200)", _judged(folder / "judged.json"), "per second")
    yield from _streams()


def _body(number: int) -> dict[str, Any]:
    system = {"role": "system", "content": "Be careful and polite. " * 10}
    return {"model": "gpt-4o-mini", "messages": [system, {"role": "user", "content": f"Question {number}"}]}


def _answer(text: str) -> dict[str, Any]:
    message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100}
    return {"id": "x", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [message], "usage": usage}


def _interaction(number: int) -> storage.Interaction:
    body = {"json": _body(number)}
    return {
        "key": keys.key_of(keys.address("POST", URL, detect("POST", URL)), body),
        "role": "app",
        "recorded_at": None,
        "request": {"method": "POST", "url": URL, "content_type": "application/json", "body": body},
        "response": {
            "status": 200,
            "headers": {"content-type": "application/json"},
            "body": {"json": _answer("An answer of some length. " * 8)},
        },
        "timing": {"elapsed_ms": 500.0},
    }


@contextmanager
def _intercepted() -> Iterator[None]:
    """The clients patched, as they are for a whole session."""
    interception = Interception()
    interception.install()
    try:
        yield
    finally:
        interception.uninstall()


@contextmanager
def _playing(path: Path) -> Iterator[Tape]:
    tape = Tape(path, "none", TapeOptions())
    scope.activate(tape)
    try:
        yield tape
    finally:
        scope.deactivate(tape)
        tape.close(passed=True)


def _ours(path: Path, size: int) -> float:
    begin = time.process_time()
    with _intercepted(), _playing(path), httpx.Client() as client:
        for number in range(size):
            client.post(URL, json=_body(number)).raise_for_status()
    return (time.process_time() - begin) * 1000


def _vcrpy(path: Path) -> float:
    import vcr
    import yaml

    entries = []
    for number in range(PEER):
        stored = _interaction(number)
        text = json.dumps(_body(number), separators=(",", ":"))
        headers = {"content-type": ["application/json"]}
        entries.append(
            {
                "request": {"method": "POST", "uri": URL, "body": text, "headers": headers},
                "response": {
                    "status": {"code": 200, "message": "OK"},
                    "headers": headers,
                    "body": {"string": json.dumps(stored["response"]["body"]["json"])},
                },
            }
        )
    path.write_text(yaml.dump({"version": 1, "interactions": entries}, Dumper=yaml.CDumper), encoding="utf-8")
    begin = time.process_time()
    # By body, too: vcrpy's default would give every question the first answer of its URL.
    with (
        vcr.use_cassette(str(path), record_mode="none", match_on=["method", "uri", "body"]),
        httpx.Client() as client,
    ):
        for number in range(PEER):
            client.post(URL, json=_body(number)).raise_for_status()
    return (time.process_time() - begin) * 1000


def _clients(path: Path) -> float:
    taken = []
    with _intercepted():
        for _ in range(50):
            begin = time.process_time()
            with _playing(path):
                httpx.Client().post(URL, json=_body(0)).raise_for_status()
            taken.append((time.process_time() - begin) * 1000)
    return statistics.median(taken)


def _judged(path: Path) -> float:
    from pytest_llmops.checks import Judge

    def reply(request: dict[str, Any]) -> str:
        return json.dumps({"reason": "It answers the question.", "evidence": [], "level": 4})

    texts = [f"A helpful answer, number {number}." for number in range(300)]
    interception = Interception()
    interception.install()
    try:
        with StandIn() as standin:
            standin.script(reply)
            judge = Judge("openai_compatible:gpt-4o-mini", base_url=f"{standin.url}/v1")
            tape = Tape(path, "all", TapeOptions())
            scope.activate(tape)
            for text in texts:
                judge.score("helpfulness", text=text)
            scope.deactivate(tape)
            tape.close(passed=True)
        tape = Tape(path, "none", TapeOptions())
        scope.activate(tape)
        begin = time.perf_counter()
        for text in texts:
            judge.score("helpfulness", text=text)
        took = time.perf_counter() - begin
        scope.deactivate(tape)
    finally:
        interception.uninstall()
    return len(texts) / took


def _streams() -> Iterator[Row]:
    """The time to a stream's first line, live and while it is recorded."""
    with StandIn() as standin, tempfile.TemporaryDirectory() as name:
        standin.script(Reply(pieces=["word "] * 5, latency_s=0.05, chunk_delay_s=0.05))
        body = {**_body(0), "stream": True}

        def first() -> float:
            begin = time.perf_counter()
            with httpx.stream("POST", f"{standin.url}/v1/chat/completions", json=body) as response:
                lines = response.iter_lines()
                next(lines)
                took = time.perf_counter() - begin
                list(lines)
            return took * 1000

        live = [first() for _ in range(5)]
        interception = Interception()
        interception.install()
        recorded = []
        for number in range(5):
            tape = Tape(Path(name) / f"{number}.json", "all", TapeOptions())
            scope.activate(tape)
            recorded.append(first())
            scope.deactivate(tape)
            tape.close(passed=True)
        interception.uninstall()
    before, now = statistics.median(live), statistics.median(recorded)
    yield Row("a stream's first line, live", before, "ms")
    yield Row("a stream's first line, while recording", now, "ms", before)
