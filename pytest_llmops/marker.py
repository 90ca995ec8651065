"""The arguments of ``@pytest.mark.llm_eval``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from pytest_llmops.errors import SettingsError, did_you_mean
from pytest_llmops.options import MARKER

if TYPE_CHECKING:
    from pytest_llmops.datasets import Case


@dataclass(frozen=True, slots=True)
class MarkerSpec:
    """What a marked test asks for; see docs/reference.md."""

    dataset: str | None = None
    trials: int = 1
    threshold: float | None = 1.0
    measure: tuple[str, ...] = ()
    prompt: str | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()
    gate: tuple[str, ...] | Literal[False] | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of one case: what a parametrised item stands for."""

    case: Case | None
    index: int
    count: int

    @property
    def id(self) -> str:
        """The item's id: ``CASE``, ``CASE-trial2``, or ``trial2`` without a dataset."""
        words = [self.case.id] if self.case else []
        if self.count > 1:
            words.append(f"trial{self.index}")
        return "-".join(words)


def parse(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> MarkerSpec:
    """Check a marker's arguments.

    Raises:
        SettingsError: an unknown argument, or a value that cannot be used.
    """
    known = [f.name for f in fields(MarkerSpec)]
    if args:
        raise SettingsError(f"@pytest.mark.{MARKER} takes named arguments only, for example dataset={args[0]!r}.")
    for name in kwargs:
        if name not in known:
            raise SettingsError(f"@pytest.mark.{MARKER}: unknown argument {name!r}.{did_you_mean(name, known)}")
    values = dict(kwargs)
    for name, check in _CHECKS.items():
        if name in values:
            values[name] = check(values[name], f"@pytest.mark.{MARKER}({name}={values[name]!r})")
    return MarkerSpec(**values)


def _text_or_none(value: Any, where: str) -> str | None:
    if value is not None and not (isinstance(value, str) and value):
        raise SettingsError(f"{where}: expected a text.")
    return value


def _path(value: Any, where: str) -> str | None:
    import os

    return _text_or_none(os.fspath(value) if isinstance(value, os.PathLike) else value, where)


def _trials(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise SettingsError(f"{where}: expected a whole number from 1 to 1000.")
    return value


def _threshold(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise SettingsError(f"{where}: expected a share above 0 and up to 1, or None (recorded for the baseline only).")
    return float(value)


def _words(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        raise SettingsError(f"{where}: expected a list of texts: [{value!r}].")
    try:
        words = tuple(value)
    except TypeError:
        raise SettingsError(f"{where}: expected a list of texts.") from None
    if not all(isinstance(word, str) and word for word in words):
        raise SettingsError(f"{where}: expected a list of texts.")
    return words


def _tags(value: Any, where: str) -> tuple[str, ...]:
    tags = _words(value, where)
    if tags:
        from pytest_llmops import threats

        try:
            threats.of_tags(tags)
        except SettingsError as error:
            raise SettingsError(f"{where}: {error}") from None
    return tags


def _gate(value: Any, where: str) -> tuple[str, ...] | Literal[False] | None:
    if value is None or value is False:
        return value
    if value is True:
        raise SettingsError(f"{where}: expected a list of metrics, False (none gates) or None (as the settings say).")
    return _words(value, where)


_CHECKS = {
    "dataset": _path,
    "trials": _trials,
    "threshold": _threshold,
    "measure": _words,
    "prompt": _text_or_none,
    "group": _text_or_none,
    "tags": _tags,
    "gate": _gate,
}
