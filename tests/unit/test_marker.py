"""The marker's arguments, as values. What a mistake says is held by tests/e2e/test_marker.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops.datasets import Case
from pytest_llmops.errors import SettingsError
from pytest_llmops.marker import MarkerSpec, Trial, parse


def test_nothing_given_is_the_documented_default():
    assert parse((), {}) == MarkerSpec(
        dataset=None, trials=1, threshold=1.0, measure=(), group=None, tags=(), gate=None
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("dataset", Path("data") / "cases.jsonl", str(Path("data") / "cases.jsonl")),
        ("trials", 1000, 1000),
        ("threshold", 1, 1.0),
        ("threshold", 1e-9, 1e-9),
        ("threshold", None, None),
        ("measure", ["a", "b"], ("a", "b")),
        ("measure", {"a": 1}.keys(), ("a",)),
        ("tags", (), ()),
        ("gate", [], ()),
        ("gate", False, False),
        ("gate", None, None),
    ],
)
def test_what_is_given_is_taken(name, given, taken):
    assert getattr(parse((), {name: given}), name) == taken


@pytest.mark.parametrize(
    ("name", "given"),
    [("trials", 1.0), ("trials", 1001), ("threshold", float("inf")), ("threshold", True), ("tags", [""]), ("gate", 1)],
)
def test_what_cannot_be_meant_is_refused_by_name(name, given):
    with pytest.raises(SettingsError, match=rf"@pytest\.mark\.llm_eval\({name}="):
        parse((), {name: given})


@pytest.mark.parametrize(
    ("of_case", "index", "count", "name"),
    [("c1", 0, 1, "c1"), ("c1", 2, 3, "c1-trial2"), (None, 1, 2, "trial1")],
)
def test_the_name_of_an_item(of_case, index, count, name):
    assert Trial(Case(of_case) if of_case else None, index, count).id == name
