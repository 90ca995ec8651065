"""The project's settings: ``[tool.pytest-llmops]`` of pyproject.toml."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from pytest_llmops.errors import SettingsError, did_you_mean

DIRECTIONS = ("higher", "lower")
KINDS = ("score", "pass", "rate", "latency", "cost", "count")


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """``[tool.pytest-llmops.metrics.NAME]``: overrides of a metric's defaults."""

    direction: Literal["higher", "lower"] | None = None
    kind: Literal["score", "pass", "rate", "latency", "cost", "count"] | None = None
    tolerance: float | None = None
    margin: float | None = None
    gate: bool | None = None
    scale: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """``[tool.pytest-llmops.prices."provider:model"]``: USD a million tokens."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """``[tool.pytest-llmops]`` of pyproject.toml.

    Args:
        hosts: host (or ``host:port``) to provider, for gateways and local servers.
        prices: ``provider:model`` to price.
        scrub: regular expressions whose matches are masked in cassettes before matching and storing.
        scrub_fields: names of JSON fields whose values are masked likewise.
        ignore_fields: names of JSON request fields left out of matching, besides the built-in ones.
        min_cases: cases below which a metric is ``too_few_cases``.
    """

    hosts: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    metrics: Mapping[str, MetricSettings] = field(default_factory=dict)
    scrub: tuple[str, ...] = ()
    scrub_fields: tuple[str, ...] = ()
    ignore_fields: tuple[str, ...] = ()
    min_cases: int = 10


def load_project(path: Path | None) -> ProjectSettings:
    """Read ``[tool.pytest-llmops]``.

    Raises:
        SettingsError: the file is no TOML, or a key or value in the table cannot be used.
    """
    if path is None:
        return ProjectSettings()
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    table = document.get("tool", {}).get("pytest-llmops", {})
    return _project(table, f"{path} [tool.pytest-llmops]")


def _project(table: object, where: str) -> ProjectSettings:
    entries = _table(table, where, allowed=ProjectSettings)
    values: dict[str, Any] = {}
    for key, value in entries.items():
        inner = f"{where[:-1]}.{key}]"
        if key == "hosts":
            values[key] = {str(k): _typed(v, str, f"{inner} {k!r}") for k, v in _mapping(value, inner).items()}
        elif key == "prices":
            values[key] = {k: _price(k, v, f"{inner[:-1]}.{k!r}]") for k, v in _mapping(value, inner).items()}
        elif key == "metrics":
            values[key] = {k: _metric(v, f"{inner[:-1]}.{k}]") for k, v in _mapping(value, inner).items()}
        elif key == "min_cases":
            values[key] = _typed(value, int, f"{where} min_cases")
            if value < 2:
                raise SettingsError(f"{where} min_cases: {value} is not at least 2.")
        else:
            values[key] = tuple(_typed(v, str, f"{where} {key}") for v in _typed(value, list, f"{where} {key}"))
    for pattern in values.get("scrub", ()):
        try:
            re.compile(pattern)
        except re.error as error:
            raise SettingsError(f"{where} scrub: {pattern!r} is no regular expression: {error}.") from None
    return ProjectSettings(**values)


def _metric(value: object, where: str) -> MetricSettings:
    entries = dict(_table(value, where, allowed=MetricSettings))
    for key, words in (
        ("direction", ("higher", "lower")),
        ("kind", ("score", "pass", "rate", "latency", "cost", "count")),
    ):
        if key in entries and entries[key] not in words:
            raise SettingsError(f"{where} {key}: {entries[key]!r} is none of {', '.join(words)}.")
    for key in ("tolerance", "margin"):
        if key in entries:
            entries[key] = _not_negative(entries[key], f"{where} {key}")
    if "gate" in entries:
        _typed(entries["gate"], bool, f"{where} gate")
    if "scale" in entries:
        scale = [
            float(_typed(v, (int, float), f"{where} scale")) for v in _typed(entries["scale"], list, f"{where} scale")
        ]
        if len(scale) != 2 or not -math.inf < scale[0] < scale[1] < math.inf:
            raise SettingsError(f"{where} scale: expected [lowest, highest], for example [1, 10].")
        entries["scale"] = (scale[0], scale[1])
    return MetricSettings(**entries)


def _price(name: str, value: object, where: str) -> Price:
    if not all(name.partition(":")):
        raise SettingsError(f'{where}: expected provider:model, for example "openai_compatible:{name.strip(":")}".')
    entries = _table(value, where, allowed=Price)
    missing = [key for key in ("input", "output") if key not in entries]
    if missing:
        raise SettingsError(f"{where}: {' and '.join(missing)} missing (USD a million tokens).")
    return Price(**{k: _not_negative(v, f"{where} {k}") for k, v in entries.items()})


def _not_negative(value: object, where: str) -> float:
    number = float(_typed(value, (int, float), where))
    if not 0 <= number < math.inf:
        raise SettingsError(f"{where}: {value} is not a number ≥ 0.")
    return number


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where}: expected a table, got {value!r}.")
    return cast("Mapping[str, Any]", value)


def _table(value: object, where: str, *, allowed: type) -> Mapping[str, Any]:
    entries = _mapping(value, where)
    known = set(allowed.__dataclass_fields__)  # type: ignore[attr-defined]
    for key in entries:
        if key not in known:
            raise SettingsError(f"{where}: unknown key {key!r}.{did_you_mean(key, known)}")
    return entries


def _typed(value: Any, kind: type | tuple[type, ...], where: str) -> Any:
    wrong_bool = isinstance(value, bool) and kind is not bool
    if wrong_bool or not isinstance(value, kind):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise SettingsError(f"{where}: expected {names}, got {value!r}.")
    return value
