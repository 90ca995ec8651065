"""Sums, spans and reasons of a Result; what tests do with it is held by tests/e2e/test_results.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.cassettes.tape_options import TapeOptions
from pytest_llmops.errors import SettingsError
from pytest_llmops.evaluation import Evaluation
from pytest_llmops.exchange import Exchange
from pytest_llmops.records import Call
from pytest_llmops.settings import ProjectSettings


def evaluation(*pairs: tuple[Exchange, Call]) -> Evaluation:
    """An evaluation whose calls are given, as if they had been read from the wire."""

    class Given(Evaluation):
        def answered(self, result: Any = None) -> list[tuple[Exchange, Call]]:
            return list(pairs)

    def no_judge() -> Any:
        raise AssertionError("nothing here is judged")

    return Given(Tape(None, "live", TapeOptions()), ProjectSettings(), no_judge)


def call(at_ms: float | None = None, elapsed_ms: float | None = None, **fields: Any) -> tuple[Exchange, Call]:
    usage = {"input_tokens": 10, "output_tokens": 5, "cost_usd": 0.5, "status": 200, "text": "hi", "model": "m"}
    exchange = Exchange("POST", "https://example.test", at_ms=at_ms, elapsed_ms=elapsed_ms)
    return exchange, Call(provider="p", api="a", **(usage | fields))


REFUSED = {"status": 429, "error": "slow down", "input_tokens": None, "output_tokens": None, "cost_usd": None}
CUT = {**REFUSED, "status": 200, "truncated": True}


@pytest.mark.parametrize(
    ("times", "latency"),
    [
        ([], None),
        ([(None, None)], None),
        ([(0, 100)], 100),
        ([(0, 100), (100, 50)], 150),
        ([(0, 100), (500, 50)], 150),  # what the application did in between is not the provider's time
        ([(0, 100), (50, 100)], 150),
        ([(0, 300), (50, 100), (100, 100)], 300),
        ([(50, 100), (0, 100)], 150),
        ([(None, 100), (0, 50)], 150),  # a recording without starting times
    ],
)
def test_latency_is_the_sum_or_the_span_of_calls_that_overlap(times, latency):
    one = evaluation(*(call(at, elapsed) for at, elapsed in times))
    with one.capture() as result:
        pass
    assert result.latency_ms == latency


@pytest.mark.parametrize(
    ("calls", "tokens", "cost"),
    [
        ([], 0, 0),
        ([call(), call()], 20, 1.0),
        ([call(**REFUSED), call()], 10, 0.5),
        ([call(cost_usd=None), call()], 20, None),
        ([call(**REFUSED)], None, None),
        ([call(**CUT), call()], None, None),
        ([call(status=500, error="late", cost_usd=0.1), call()], 20, 0.6),
    ],
)
def test_tokens_and_cost_are_sums_or_unknown(calls, tokens, cost):
    one = evaluation(*calls)
    with one.capture() as result:
        pass
    assert result.input_tokens == tokens
    assert result.cost_usd == cost


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ([call(cost_usd=None)], 'unknown; add it to pyproject.toml:\n    [tool.pytest-llmops.prices."p:m"]'),
        ([call(cost_usd=None, input_tokens=None)], "the provider did not count tokens"),
        ([call(**CUT)], "the provider did not count tokens"),
        ([call(**REFUSED)], "no call was answered"),
    ],
)  # fmt: skip
def test_an_unknown_cost_has_a_reason(calls, why):
    one = evaluation(*calls)
    with one.capture():
        pass
    measured = one.built_in_measurements(one.fired())["cost_usd"]
    assert (measured.status, measured.value) == ("unscored", None)
    assert why in (measured.reason or "")


def test_a_generator_is_run_to_its_end_inside_the_run():
    one = evaluation()

    def words():
        yield "a"
        yield "b"

    assert one.run(words).output == "ab"
    assert one.run(lambda: (n for n in (1, 2))).output == [1, 2]


def test_runs_and_measurements_of_one_name_are_told_apart():
    one = evaluation()
    one.record("m", 1)
    one.record("m", 2)
    one.record("m", 3)
    assert {name: measured.value for name, measured in one.measurements.items()} == {"m": 1, "m#2": 2, "m#3": 3}
    one.run(Path, name="x")
    with pytest.raises(SettingsError, match="has a run of that name already"):
        one.run(Path, name="x")


@pytest.mark.parametrize("value", [True, 1, 0.5, None])
def test_what_may_be_recorded(value):
    one = evaluation()
    one.record("m", value, unit="words", tags={"lang": "pt"})
    assert one.measurements["m"].value == value
    assert one.measurements["m"].status == ("unscored" if value is None else "ok")


@pytest.mark.parametrize("name", ["pass", "cost_usd", "latency_ms#2", "", "  ", None])
def test_names_that_are_taken(name):
    with pytest.raises(SettingsError, match=r"llm_eval\.record\("):
        evaluation().record(name, 1)
