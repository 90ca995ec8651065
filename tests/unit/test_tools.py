"""Matchers of tool calls: what passes, and what a failed assertion shows."""

from __future__ import annotations

import re

import pytest

from pytest_llmops.errors import SettingsError
from pytest_llmops.records import ToolCall
from pytest_llmops.tools import ToolCalls, containing, one_of


def made(*calls: tuple[str, object]) -> ToolCalls:
    return ToolCalls(ToolCall(name=name, arguments=arguments) for name, arguments in calls)


TRIP = made(("find", {"city": "Rio", "nights": 2}), ("book", {"id": 7}), ("find", {"city": "Natal", "nights": 1}))


def test_called_finds_by_name_and_some_arguments():
    assert TRIP.called("book")
    assert TRIP.called("find", city="Natal")
    assert len(TRIP.called("find")) == 2
    assert TRIP.called("find", city=re.compile("^R"), nights=lambda n: n < 3)
    assert not TRIP.called("find", city="Rio", nights=1)
    assert not TRIP.called("book", city="Rio")
    assert not TRIP.called("cancel")
    assert not made().called("find")


def test_arguments_may_have_any_name():
    calls = made(("save", {"name": "Ana", "self": 1}))
    assert calls.called("save", name="Ana", self=1)


def test_what_was_not_called_is_told_with_what_was():
    assert repr(TRIP.called("book", id=8)) == "<no call book(id=8); there are [book(id=7)]>"
    assert "find(city='Rio', nights=2)" in repr(TRIP.called("cancel"))
    assert repr(made().called("x")) == "<no call x(); no tool at all>"
    assert repr(TRIP.called("find", city=re.compile("^x"))).startswith("<no call find(city=/^x/);")


@pytest.mark.parametrize(
    ("mode", "expected", "ok"),
    [
        ("exact", ["find", "book", "find"], True),
        ("exact", ["find", "find", "book"], False),
        ("exact", ["find", "book"], False),
        ("exact", [("find", {"city": "Rio", "nights": 2}), ("book", {"id": 7}), "find"], True),
        ("exact", [("find", {"city": "Rio"}), "book", "find"], False),
        ("unordered", ["book", "find", "find"], True),
        ("unordered", ["book", "find"], False),
        ("unordered", ["find", ("find", {"city": "Rio", "nights": 2}), "book"], True),
        ("superset", ["book"], True),
        ("superset", ["book", "book"], False),
        ("superset", [("book", {"id": containing(7)})], False),
        ("superset", [("book", {"id": one_of(6, 7)})], True),
        ("superset", [], True),
        ("subset", ["find", "find", "book", "cancel"], True),
        ("subset", ["find", "book"], False),
        ("in_order", ["find", "find"], True),
        ("in_order", ["book", "find"], True),
        ("in_order", ["book", "book"], False),
    ],
)
def test_trajectories(mode, expected, ok):
    assert bool(getattr(TRIP, mode)(expected)) is ok


def test_how_strictly_arguments_count():
    assert TRIP.exact([("find", {"city": "Rio"}), "book", "find"], arguments="subset")
    assert TRIP.exact([("find", {"x": 1}), "book", "find"], arguments="ignore")
    assert not made(("f", {"flag": True})).exact([("f", {"flag": 1})])
    assert made(("f", "{broken")).exact([("f", "{broken")])
    assert not made(("f", "{broken")).called("f", x=1)


def test_expected_calls_in_other_words():
    assert made(("f", {"a": 1})).exact([{"name": "f", "arguments": {"a": 1}}])
    assert made(("f", {"a": 1})).exact([ToolCall(name="f", arguments={"a": 1})])
    for wrong in ("f", [1], [("f", {}, 2)]):
        with pytest.raises(SettingsError, match="expected tool call"):
            made().exact(wrong)


def test_differences_are_named():
    assert repr(TRIP.unordered(["find", "cancel"])) == (
        "<missing cancel(…); unexpected book(id=7); unexpected find(city='Natal', nights=1)>"
    )
    assert repr(TRIP.exact(["find", ("book", {"id": 8}), "find"])) == "<call 2: expected book(id=8), got book(id=7)>"


def test_nested_arguments():
    calls = made(("send", {"to": {"mail": "a@x.test", "cc": []}, "tags": ["vip", "new"], "text": "Dear Ana"}))
    assert calls.called("send", to=containing({"mail": re.compile("@x")}), tags=containing("vip"))
    assert calls.called("send", text=containing("Ana"))
    assert not calls.called("send", to=containing({"bcc": 1}))
    assert not calls.called("send", text=containing("Bob"))
