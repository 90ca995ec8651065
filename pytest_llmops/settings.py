"""Every setting in one table, and the project's ``[tool.pytest-llmops]``.

A scalar setting has a flag (``--llm-record``), an ini twin (``llm_record``) and an environment variable
(``PYTEST_LLM_RECORD``); the first given wins: flag, environment, ini. Structured settings stand in pyproject.toml.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pytest_llmops.errors import SettingsError, did_you_mean

RecordMode = Literal["none", "once", "new_episodes", "refresh", "all", "live"]
RECORD_MODES: tuple[RecordMode, ...] = get_args(RecordMode)
DIRECTIONS = ("higher", "lower")
KINDS = ("score", "pass", "rate", "latency", "cost", "count")


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is none of {', '.join(words)}.{did_you_mean(text, words)}")
        return text

    return parse


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not 0 < value < 1:
        raise ValueError(f"{text!r} is not between 0 and 1")
    return value


def _trials(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None
    if not 1 <= value <= 1000:
        raise ValueError(f"{text!r} is not between 1 and 1000")
    return value


def _above_zero(kind: type[int] | type[float], noun: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a {noun}") from None
        if not 0 < value < math.inf:
            raise ValueError(f"{text!r} is not above 0")
        return value

    return parse


_count = _above_zero(int, "whole number")
_amount = _above_zero(float, "number")


@dataclass(frozen=True, slots=True)
class Age:
    """How old recordings may be, and whether older ones fail the test or only warn."""

    days: float
    fail: bool


def _age(text: str) -> Age:
    days, _, action = text.partition(":")
    if action not in ("", "warn", "fail"):
        raise ValueError(f"{text!r}: after the colon comes warn or fail")
    return Age(_amount(days), action == "fail")


def _speed(text: str) -> float:
    return 0.0 if text.strip() == "0" else _amount(text)


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _flag(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off", ""):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


@dataclass(frozen=True, slots=True)
class Setting:
    """A scalar setting.

    Args:
        parse: turns the text of a flag, ini line or environment variable into the value; ValueError says why not.
        switch: the flag takes no value.
    """

    name: str
    parse: Callable[[str], Any]
    help: str
    metavar: str | None = None
    switch: bool = False

    @property
    def flag(self) -> str:
        """The command line's name, ``--llm-record``."""
        return "--llm-" + self.name.replace("_", "-")

    @property
    def ini(self) -> str:
        """The ini twin, ``llm_record``."""
        return "llm_" + self.name

    @property
    def environment(self) -> str:
        """The environment variable, ``PYTEST_LLM_RECORD``."""
        return "PYTEST_LLM_" + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "record",
        _choice(*RECORD_MODES),
        "cassettes: none (replay only; default where CI is set), once (record where there is no cassette; default "
        "elsewhere), new_episodes, refresh (replay what matches, record what misses, drop what is no longer used), "
        "all (record anew), live (no cassettes)",
        metavar="MODE",
    ),
    Setting(
        "cassette_dir",
        str,
        "another set of cassettes (default: cassettes/ beside each test file)",
        metavar="DIR",
    ),
    Setting("baseline", str, "compare the run with FILE and fail on regression", metavar="FILE"),
    Setting(
        "accept",
        str,
        "accepted changes (default: llm-accept.toml beside the baseline)",
        metavar="FILE",
    ),
    Setting("update_baseline", _flag, "write the baseline FILE from this run (only the cases that ran)", switch=True),
    Setting("force", _flag, "allow --llm-update-baseline where CI is set", switch=True),
    Setting(
        "inconclusive",
        _choice("pass", "fail"),
        "whether an inconclusive gated metric passes (default) or fails",
        metavar="pass|fail",
    ),
    Setting("alpha", _share, "family-wise error rate of the gate (default .05)", metavar="F"),
    Setting("trials", _trials, "trials of every case, over the marker's", metavar="N"),
    Setting(
        "concurrency",
        _count,
        "overlap up to N LLM evaluations in each process while they wait for their provider (default 1)",
        metavar="N",
    ),
    Setting(
        "concurrency_report",
        _flag,
        "say which evaluations ran on their own under --llm-concurrency, and why",
        switch=True,
    ),
    Setting("timeout", _amount, "fail an evaluation whose body takes longer than SECONDS", metavar="SECONDS"),
    Setting(
        "stale_after",
        _age,
        "warn where a test replays recordings older than DAYS; DAYS:fail fails it",
        metavar="DAYS",
    ),
    Setting(
        "replay_speed",
        _speed,
        "play streams at their recorded pace times F (default 0: at once)",
        metavar="F",
    ),
    Setting(
        "resume",
        _flag,
        "with --llm-record=live: go on after Ctrl-C or a crash without paying twice",
        switch=True,
    ),
    Setting("json", str, "write the run record to FILE", metavar="FILE"),
    Setting("judge", str, "judge model, as provider:model", metavar="MODEL"),
    Setting(
        "store_text",
        _flag,
        "keep prompts and answers in run records and reports (default true)",
        metavar="BOOL",
    ),
    Setting(
        "record_hosts",
        _hosts,
        "other hosts (names, patterns, or all) that are recorded with the LLM traffic, such as a vector store",
        metavar="HOSTS",
    ),
    Setting(
        "allowed_hosts",
        _hosts,
        "hosts that traffic other than LLM calls may go to on replay, besides this machine",
        metavar="HOSTS",
    ),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


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


def find_pyproject(start: Path) -> Path | None:
    """The nearest pyproject.toml at or above `start`."""
    for folder in (start, *start.parents):
        candidate = folder / "pyproject.toml"
        if candidate.is_file():
            return candidate
    return None


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


def under_ci(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether ``CI`` is set to anything but an explicit no."""
    return environ.get("CI", "").strip().lower() not in ("", "0", "false", "no")


def resolve(name: str, *, option: Any, ini: str, environ: Mapping[str, str] = os.environ) -> Any:
    """A scalar setting's value: flag, then environment, then ini; None where none of them is given.

    Args:
        name: one of `SETTINGS`.
        option: what the command line gave (None where nothing).
        ini: what the ini file gave ("" where nothing).
        environ: the environment.

    Raises:
        SettingsError: a given value cannot be parsed.
    """
    setting = BY_NAME[name]
    for text, where in (
        (option, setting.flag),
        (environ.get(setting.environment), f"environment variable {setting.environment}"),
        (ini, f"ini setting {setting.ini}"),
    ):
        if text is None or text == "" or text is False:
            continue
        if text is True:
            return True
        try:
            return setting.parse(str(text))
        except ValueError as error:
            raise SettingsError(f"{where}: {error}") from None
    return None
