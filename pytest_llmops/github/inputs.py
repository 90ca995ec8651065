"""The action's inputs, as ``action.yml`` hands them on: one environment variable each."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pytest_llmops.errors import SettingsError, did_you_mean
from pytest_llmops.options import BY_NAME

Mode = Literal["auto", "replay", "live"]
BaselineFrom = Literal["auto", "artifact", "file", "none"]
FailOn = Literal["regression", "failure", "any", "never"]
Comment = Literal["auto", "always", "on-change", "never"]
PREFIX = "LLMOPS_"


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs, checked.

    Args:
        paths: what pytest is given; empty: what its own settings say.
        max_cost_usd: USD that live calls may cost; None: any amount.
        trials: ``--llm-trials``; None: as the tests say.
        junit_path: None: among the report's files only.
        shard: (2, 4), ``"merge"`` for the job that puts the shards together, or None.
    """

    paths: tuple[str, ...] = ()
    pytest_args: tuple[str, ...] = ()
    working_directory: str = "."
    mode: Mode = "auto"
    baseline: BaselineFrom = "auto"
    baseline_path: str = "baseline.json"
    update_baseline: bool = False
    fail_on: FailOn = "regression"
    comment: Comment = "auto"
    comment_id: str = "default"
    max_cost_usd: float | None = 1.0
    trials: str | None = None
    report_name: str = "llm-report"
    retention_days: int | None = None
    junit_path: str | None = None
    annotate: bool = True
    shard: tuple[int, int] | Literal["merge"] | None = None
    commit_cassettes: bool = False


def read(environ: Mapping[str, str]) -> Inputs:
    """The inputs from ``LLMOPS_PATHS`` and its like; an empty one is as good as none.

    Raises:
        SettingsError: a value cannot be used; the message names the input as users write it.
    """
    values: dict[str, Any] = {}
    for name, text in _given(environ):
        try:
            values[name] = _PARSERS[name](text)
        except ValueError as error:
            raise SettingsError(f"input {name.replace('_', '-')}: {error}") from None
    return Inputs(**values)


def readable(environ: Mapping[str, str]) -> Inputs:
    """Those of the inputs that can be used, for telling what is wrong with another; a wrong `comment` is ``never``."""
    values: dict[str, Any] = {}
    for name, text in _given(environ):
        try:
            values[name] = _PARSERS[name](text)
        except ValueError:
            if name == "comment":
                values[name] = "never"
    return Inputs(**values)


def _given(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in _PARSERS:
        text = environ.get(PREFIX + name.upper(), "").strip()
        if text:
            yield name, text


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is not one of: {', '.join(words)}.{_close(text, words)}")
        return text

    return parse


def _close(text: str, words: tuple[str, ...]) -> str:
    hint = did_you_mean(text, words)
    return hint if "mean" in hint else ""


def _words(text: str) -> tuple[str, ...]:
    """Split as a shell would, without one: nothing in it is expanded or run."""
    try:
        return tuple(shlex.split(text, comments=False))
    except ValueError as error:
        raise ValueError(f"{text!r} cannot be split into words: {error}") from None


def _paths(text: str) -> tuple[str, ...]:
    paths = _words(text)
    for path in paths:
        if path.startswith("-"):
            raise ValueError(f"{path!r} is an option; options belong in pytest-args")
    return paths


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _money(text: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        value = float(text.removeprefix("$"))
    except ValueError:
        raise ValueError(f"{text!r} is no amount of USD, such as 1.00; none: no limit") from None
    if not 0 <= value < math.inf:
        raise ValueError(f"{text!r} is not an amount of at least 0")
    return value


def _setting(name: str) -> Callable[[str], Any]:
    """As the option of pytest's command line is checked, kept as text."""

    def parse(text: str) -> str:
        BY_NAME[name].parse(text)
        return text

    return parse


def _shard(text: str) -> tuple[int, int] | str:
    if text == "merge":
        return text
    try:
        index, count = BY_NAME["shard"].parse(text)
    except ValueError as error:
        raise ValueError(f"{error}; the job that puts all of them together says: merge") from None
    return int(index), int(count)


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 400:
        raise ValueError(f"{text!r} is no number of days from 0 (the repository's own) to 400")
    return int(text)


def _artifact_name(text: str) -> str:
    # What upload-artifact refuses, and what would make two words of it.
    if not re.fullmatch(r"[\w.-]{1,100}", text):
        raise ValueError(f"{text!r} is no name for an artifact: letters, digits, '.', '_' and '-', up to 100")
    return text


_PARSERS: dict[str, Callable[[str], Any]] = {
    "paths": _paths,
    "pytest_args": _words,
    "working_directory": str,
    "mode": _one_of(get_args(Mode)),
    "baseline": _one_of(get_args(BaselineFrom)),
    "baseline_path": str,
    "update_baseline": _flag,
    "fail_on": _one_of(get_args(FailOn)),
    "comment": _one_of(get_args(Comment)),
    "comment_id": _artifact_name,
    "max_cost_usd": _money,
    "trials": _setting("trials"),
    "report_name": _artifact_name,
    "retention_days": _days,
    "junit_path": str,
    "annotate": _flag,
    "shard": _shard,
    "commit_cassettes": _flag,
}
