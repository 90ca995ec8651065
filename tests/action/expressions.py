"""GitHub's expressions, as far as action.yml uses them; test_toolchain.py compares it with GitHub's own evaluator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>==|!=|&&|\|\||[!().,]))"
)
STATUS = {"always", "success", "failure", "cancelled"}


def evaluate(text: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """An expression's value; `functions` are those of the job's status."""
    parser = _Parser(text, contexts, functions or {})
    value = parser.either()
    if parser.rest():
        raise SyntaxError(f"{text!r}: cannot go on at {parser.rest()!r}")
    return value


def interpolate(text: str, contexts: Mapping[str, Any]) -> str:
    """A text with its ``${{ }}`` replaced."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda match: as_text(evaluate(match[1], contexts)), text, flags=re.DOTALL)


def holds(condition: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> bool:
    """An ``if:``; without a function of the job's status it means success, too."""
    inner = condition.strip()
    if inner.startswith("${{"):
        inner = inner[3:-2]
    if not any(re.search(rf"\b{name}\s*\(", inner) for name in STATUS):
        inner = f"success() && ({inner})"
    return truthy(evaluate(inner, contexts, functions))


def truthy(value: Any) -> bool:
    return value not in (None, False, 0, "")


def as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


class _Parser:
    def __init__(self, text: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> None:
        self._text, self._at = text, 0
        self._contexts = contexts
        self._functions = {"startswith": _starts_with, "contains": _contains} | {
            name.lower(): function for name, function in functions.items()
        }

    def rest(self) -> str:
        return self._text[self._at :].strip()

    def _peek(self) -> tuple[str, str]:
        match = _TOKEN.match(self._text, self._at)
        return ("", "") if match is None else (str(match.lastgroup), match[match.lastgroup or 0])

    def _take(self, sign: str | None = None) -> tuple[str, str]:
        match = _TOKEN.match(self._text, self._at)
        if match is None or (sign is not None and match[match.lastgroup or 0] != sign):
            raise SyntaxError(f"{self._text!r}: expected {sign or 'something'} at {self.rest()!r}")
        self._at = match.end()
        return str(match.lastgroup), match[match.lastgroup or 0]

    def either(self) -> Any:
        value = self.both()
        while self._peek()[1] == "||":
            self._take()
            other = self.both()
            value = value if truthy(value) else other
        return value

    def both(self) -> Any:
        value = self.equal()
        while self._peek()[1] == "&&":
            self._take()
            other = self.equal()
            value = other if truthy(value) else value
        return value

    def equal(self) -> Any:
        value = self.unary()
        while self._peek()[1] in ("==", "!="):
            sign = self._take()[1]
            same = _same(value, self.unary())
            value = same if sign == "==" else not same
        return value

    def unary(self) -> Any:
        if self._peek()[1] == "!":
            self._take()
            return not truthy(self.unary())
        return self.atom()

    def atom(self) -> Any:
        kind, word = self._take()
        if kind == "string":
            return word[1:-1].replace("''", "'")
        if kind == "number":
            return float(word) if "." in word else int(word)
        if word == "(":
            value = self.either()
            self._take(")")
            return value
        if kind != "name":
            raise SyntaxError(f"{self._text!r}: unexpected {word!r}")
        if self._peek()[1] == "(":
            return self._call(word)
        if word in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[word]
        value = self._contexts[word]
        while self._peek()[1] == ".":
            self._take()
            name = self._take()[1]
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def _call(self, name: str) -> Any:
        self._take("(")
        given = []
        while self._peek()[1] != ")":
            given.append(self.either())
            if self._peek()[1] == ",":
                self._take()
        self._take(")")
        return self._functions[name.lower()](*given)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    if type(one) is type(other):
        return bool(one == other)
    return _number(one) == _number(other)


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _starts_with(text: Any, start: Any) -> bool:
    return as_text(text).lower().startswith(as_text(start).lower())


def _contains(where: Any, what: Any) -> bool:
    if isinstance(where, list):
        return any(_same(one, what) for one in where)
    return as_text(what).lower() in as_text(where).lower()
