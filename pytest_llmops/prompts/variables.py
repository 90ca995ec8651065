"""Variables of a prompt: which values they take."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("a text", lambda v: isinstance(v, str)),
    "integer": ("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
    "number": ("a number", lambda v: isinstance(v, int | float) and not isinstance(v, bool)),
    "boolean": ("True or False", lambda v: isinstance(v, bool)),
    "list": ("a list", lambda v: isinstance(v, list | tuple)),
    "object": ("a mapping", lambda v: isinstance(v, dict)),
}
ALIASES = {
    "str": "string", "text": "string", "int": "integer", "float": "number", "bool": "boolean", "array": "list",
    "dict": "object",
}  # fmt: skip
_LIMIT = re.compile(r"(max|min)(?:imum)?\s+(-?\d+(?:\.\d+)?)\s*(chars?|characters?|words?|items?|)", re.IGNORECASE)
_UNITS = {"char": "characters", "word": "words", "item": "items"}


@dataclass(frozen=True)
class Variable:
    """A variable of a prompt.

    Args:
        type: one of `TYPES`.
        min: smallest number, or length in `unit`; `max` the largest.
        unit: ``characters``, ``words`` or ``items``; "" where numbers are compared.
        pattern: regular expression that the whole text matches.
        choices: the only values taken.
        default: taken where none is given.
        sanitization: names of `sanitising.SANITISERS`, in order.
    """

    name: str
    required: bool = True
    type: str = "string"
    min: float | None = None
    max: float | None = None
    unit: str = ""
    pattern: str | None = None
    choices: tuple[Any, ...] = ()
    default: Any = None
    sanitization: tuple[str, ...] = ()
    description: str = ""

    def problem(self, value: Any) -> str | None:
        """Why a value cannot be taken, as the end of a sentence that begins with the variable; None where it can."""
        expected, fits = TYPES[self.type]
        if not fits(value):
            return f"takes {expected}, got {type(value).__name__} {_short(value)}"
        if self.choices and value not in self.choices:
            return f"takes one of {', '.join(map(repr, self.choices))}, got {_short(value)}"
        size = value if self.type in ("integer", "number") else self._length(value)
        unit = "" if self.type in ("integer", "number") else f" {self.unit or 'characters'}"
        if self.max is not None and size > self.max:
            return f"is too {'long' if unit else 'large'}: {size:g}{unit}, at most {self.max:g}"
        if self.min is not None and size < self.min:
            return f"is too {'short' if unit else 'small'}: {size:g}{unit}, at least {self.min:g}"
        if self.pattern is not None and isinstance(value, str) and not re.fullmatch(self.pattern, value):
            return f"does not match {self.pattern!r}: {_short(value)}"
        return None

    def _length(self, value: Any) -> float:
        if isinstance(value, bool):
            return 0
        return len(value.split()) if self.unit == "words" and isinstance(value, str) else len(value)


def parse_validation(text: str) -> dict[str, Any]:
    """Fields of a `Variable` from words such as ``string, max 2000 chars`` or ``one of low|high``.

    Raises:
        ValueError: words that mean nothing here.
    """
    found: dict[str, Any] = {}
    for part in filter(None, map(str.strip, re.split(r",(?![^(\[{]*[)\]}])", text))):
        word = part.lower()
        if word in ALIASES or word in TYPES:
            found["type"] = ALIASES.get(word, word)
        elif limit := _LIMIT.fullmatch(part):
            bound, number, unit = limit.groups()
            found[bound.lower()] = float(number)
            if unit:
                found["unit"] = next(plain for start, plain in _UNITS.items() if unit.lower().startswith(start))
        elif word in ("non-empty", "not empty", "nonempty"):
            found["min"] = 1.0
        elif word.startswith(("one of ", "enum ", "one of:", "enum:")):
            words = re.sub(r"^(?:one of|enum)[:\s]\s*", "", part, flags=re.IGNORECASE)
            found["choices"] = tuple(choice.strip() for choice in re.split(r"[|/]", words.strip("()[] ")))
        elif match := re.fullmatch(r"(?:pattern|matches|regex)[:\s]\s*(.+)", part, re.IGNORECASE):
            found["pattern"] = _pattern(match[1])
        else:
            raise ValueError(
                f"{part!r} is not understood; for example 'string, max 2000 chars', 'integer, min 0, max 10', "
                "'one of low|high', 'pattern [A-Z]{3}'"
            )
    return found


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
