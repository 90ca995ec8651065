"""The tools a model asked for, and what a test expects of them. docs/conversations.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from pytest_llmops.errors import SettingsError
from pytest_llmops.records import ToolCall

ArgumentMode = Literal["exact", "subset", "ignore"]


class Matched(list[ToolCall]):
    """The calls that matched; false where there are none, and then its repr says what came closest."""

    def __init__(self, calls: Iterable[ToolCall] = (), *, why_not: str = "") -> None:
        super().__init__(calls)
        self.why_not = why_not

    def __repr__(self) -> str:
        return f"<{self.why_not}>" if not self else _listed(self)


class Comparison:
    """Whether calls are as expected; its repr says what differs."""

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)

    def __bool__(self) -> bool:
        return not self.differences

    def __repr__(self) -> str:
        return "<as expected>" if self else f"<{'; '.join(self.differences)}>"


class ToolCalls(list[ToolCall]):
    """Calls of tools in the order the model asked for them.

    Expected values of arguments are compared by ``==``, except: a compiled regular expression is searched in the text,
    and a function is asked.
    """

    def __repr__(self) -> str:
        return _listed(self)

    @property
    def names(self) -> list[str]:
        """The tools' names, in order."""
        return [call.name for call in self]

    def called(self, name: str, /, **arguments: Any) -> Matched:
        """The calls of a tool that had these arguments, whatever others they had."""
        of_name = [call for call in self if call.name == name]
        found = [call for call in of_name if _fits(call, (name, arguments), "subset")]
        wanted = _shown(name, arguments)
        why = f"no call {wanted}; there are {_listed(of_name or self)}" if self else f"no call {wanted}; no tool at all"
        return Matched(found, why_not=why)

    def exact(self, expected: Iterable[Any], *, arguments: ArgumentMode = "exact") -> Comparison:
        """The expected calls in this order and no others."""
        wanted = _expected(expected)
        differences = [
            f"call {number}: expected {_shown(*want)}, got {_shown(call.name, call.arguments)}"
            for number, (call, want) in enumerate(zip(self, wanted, strict=False), 1)
            if not _fits(call, want, arguments)
        ]
        differences += [f"missing {_shown(*want)}" for want in wanted[len(self) :]]
        differences += [f"unexpected {_shown(call.name, call.arguments)}" for call in self[len(wanted) :]]
        return Comparison(differences)

    def unordered(self, expected: Iterable[Any], *, arguments: ArgumentMode = "exact") -> Comparison:
        """The expected calls in any order and no others."""
        missing, unexpected = self._unpaired(expected, arguments)
        return Comparison(missing + unexpected)

    def superset(self, expected: Iterable[Any], *, arguments: ArgumentMode = "exact") -> Comparison:
        """At least the expected calls, in any order."""
        return Comparison(self._unpaired(expected, arguments)[0])

    def subset(self, expected: Iterable[Any], *, arguments: ArgumentMode = "exact") -> Comparison:
        """No calls but the expected ones, in any order, none more often than it is listed."""
        return Comparison(self._unpaired(expected, arguments)[1])

    def in_order(self, expected: Iterable[Any], *, arguments: ArgumentMode = "exact") -> Comparison:
        """The expected calls in this order, with any others between them."""
        rest = iter(self)
        for want in _expected(expected):
            if not any(_fits(call, want, arguments) for call in rest):
                return Comparison([f"no {_shown(*want)} at its place in {_listed(self)}"])
        return Comparison([])

    def _unpaired(self, expected: Iterable[Any], mode: ArgumentMode) -> tuple[list[str], list[str]]:
        wanted = _expected(expected)
        pairs = _pairs(list(self), wanted, mode)
        missing = [f"missing {_shown(*want)}" for index, want in enumerate(wanted) if index not in pairs]
        taken = set(pairs.values())
        unexpected = [
            f"unexpected {_shown(call.name, call.arguments)}" for index, call in enumerate(self) if index not in taken
        ]
        return missing, unexpected


def containing(value: Any) -> Callable[[Any], bool]:
    """An argument that holds this: a text inside a text, an item of a list, keys and values of a mapping."""

    def check(given: Any) -> bool:
        if isinstance(value, Mapping):
            return isinstance(given, Mapping) and all(
                key in given and _equal(given[key], want) for key, want in value.items()
            )
        if isinstance(given, str):
            return isinstance(value, str) and value in given
        return isinstance(given, Sequence | Mapping) and value in given

    check.__qualname__ = f"containing({value!r})"
    return check


def one_of(*values: Any) -> Callable[[Any], bool]:
    """An argument that is any of these."""

    def check(given: Any) -> bool:
        return any(_equal(given, value) for value in values)

    check.__qualname__ = f"one_of({', '.join(map(repr, values))})"
    return check


def _pairs(calls: list[ToolCall], wanted: list[tuple[str, Any]], mode: ArgumentMode) -> dict[int, int]:
    """The largest pairing of expected calls (keys) with made ones.

    A call that fits a loose expectation is left to a strict one that nothing else fits.
    """
    owner: dict[int, int] = {}

    def place(want: int, tried: set[int]) -> bool:
        for index, call in enumerate(calls):
            if index not in tried and _fits(call, wanted[want], mode):
                tried.add(index)
                if index not in owner or place(owner[index], tried):
                    owner[index] = want
                    return True
        return False

    for want in range(len(wanted)):
        place(want, set())
    return {want: index for index, want in owner.items()}


def _expected(expected: Iterable[Any]) -> list[tuple[str, Any]]:
    if isinstance(expected, str | Mapping | ToolCall):
        raise SettingsError(f"expected tool calls: a list is needed, [{expected!r}].")
    return [_one_expected(one) for one in expected]


def _one_expected(one: Any) -> tuple[str, Any]:
    if isinstance(one, str):
        return one, None
    if isinstance(one, ToolCall):
        return one.name, one.arguments
    if isinstance(one, Mapping) and isinstance(one.get("name"), str):
        return one["name"], one.get("arguments", one.get("args"))
    if isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str):
        return one
    raise SettingsError(f"expected tool call {one!r}: write 'name', ('name', {{arguments}}) or {{'name': …}}.")


def _fits(call: ToolCall, want: tuple[str, Any], mode: ArgumentMode) -> bool:
    name, arguments = want
    if call.name != name:
        return False
    if arguments is None or mode == "ignore" or (mode == "subset" and not arguments):
        return True
    if not isinstance(arguments, Mapping) or not isinstance(call.arguments, Mapping):
        return _equal(call.arguments, arguments)
    if mode == "exact" and call.arguments.keys() != arguments.keys():
        return False
    return all(key in call.arguments and _equal(call.arguments[key], value) for key, value in arguments.items())


def _equal(given: Any, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return isinstance(given, str) and wanted.search(given) is not None
    if callable(wanted) and not isinstance(wanted, type):
        return bool(wanted(given))
    return bool(given == wanted) and isinstance(given, bool) == isinstance(wanted, bool)


def _listed(calls: Iterable[ToolCall]) -> str:
    return "[" + ", ".join(_shown(call.name, call.arguments) for call in calls) + "]"


def _shown(name: str, arguments: Any) -> str:
    if arguments is None:
        return f"{name}(…)"
    if not isinstance(arguments, Mapping):
        return f"{name}({arguments!r})"
    return f"{name}({', '.join(f'{key}={_value(value)}' for key, value in arguments.items())})"


def _value(value: Any) -> str:
    if isinstance(value, re.Pattern):
        return f"/{value.pattern}/"
    return getattr(value, "__qualname__", repr(value)) if callable(value) else repr(value)
