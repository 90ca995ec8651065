"""Real provider traffic, read as its own parser's authors read it."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.exchange import Exchange
from pytest_llmops.providers import read
from tests.patience import least_cpu_s

REPOSITORY = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("LLMOPS_CORPUS", REPOSITORY.parent / "shared" / "corpus")) / "wire-dev.jsonl.gz"

FIELDS = {
    "flavour": "api",
    "model": "model",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "finish": "finish_reason",
    "text": "text",
}


def exchange_of(line: dict[str, Any]) -> Exchange:
    kind = line["content_type"]
    return Exchange(
        method=line["method"],
        url=line["uri"],
        request_body=line["request"].encode(),
        status=line["status"],
        response_headers={"content-type": kind[0] if isinstance(kind, list) else kind or ""},
        response_body=line["response"].encode(),
    )


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    if not CORPUS.is_file():
        pytest.skip(f"no corpus at {CORPUS}; set LLMOPS_CORPUS to the folder of wire-dev.jsonl.gz")
    with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_every_exchange_is_read_as_expected(lines: list[dict[str, Any]]) -> None:
    differences = []
    for line in lines:
        call = read(exchange_of(line))
        if call is None:
            differences.append(f"{line['id']} {line['uri']}: not recognised")
            continue
        for expected, name in FIELDS.items():
            want, got = line["expected"][expected], getattr(call, name)
            if want != got:
                differences.append(f"{line['id']} {name}: expected {want!r:.200}, read {got!r:.200}")
    assert not differences, f"{len(differences)} differences in {len(lines)} exchanges:\n" + "\n".join(differences)


def test_answers_of_the_corpus_are_whole(lines: list[dict[str, Any]]) -> None:
    unusual = []
    for line in lines:
        call = read(exchange_of(line))
        assert call is not None
        if call.error or call.truncated:
            unusual.append((line["id"], call.error, call.truncated))
    assert unusual == []


def test_reading_speed(lines: list[dict[str, Any]], record_property: Any) -> None:
    exchanges = [exchange_of(line) for line in lines]
    best = least_cpu_s(lambda: [read(exchange) for exchange in exchanges], enough=len(exchanges) / 2000)
    speed = len(exchanges) / best
    record_property("exchanges_per_second", round(speed))
    print(f"\nwire reader: {speed:,.0f} exchanges/s ({len(exchanges)} exchanges, the best, one core, cost included)")
    assert speed > 500, "ten times below what a slow laptop does: something became quadratic"
