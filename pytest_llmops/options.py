"""Every option in one table; loaded with the plugin into every run of pytest, so kept light.

Each has a flag (``--llm-record``), an ini twin (``llm_record``) and an environment variable (``PYTEST_LLM_RECORD``);
the first given wins: flag, environment, ini.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pytest_llmops.errors import SettingsError, did_you_mean

RecordMode = Literal["none", "once", "new_episodes", "refresh", "all", "live"]
RECORD_MODES: tuple[RecordMode, ...] = get_args(RecordMode)
MARKER = "llm_eval"
USAGE = (
    f"{MARKER}(dataset=None, trials=1, threshold=1.0, measure=(), prompt=None, group=None, tags=(), gate=None): "
    "an LLM evaluation: calls are recorded on cassettes and measured, the run is compared with the baseline"
)


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            close = did_you_mean(text, words)
            raise ValueError(f"{text!r} is not one of: {', '.join(words)}.{close if 'mean' in close else ''}")
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


def _trials(text: str) -> int | Literal["auto"]:
    if text.strip() == "auto":
        return "auto"
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number, nor auto") from None
    if not 1 <= value <= 1000:
        raise ValueError(f"{text!r} is not between 1 and 1000")
    return value


def _above_zero(kind: type[int] | type[float], noun: str, *, or_zero: bool = False) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a {noun}") from None
        if not 0 <= value < math.inf or (value == 0 and not or_zero):
            raise ValueError(f"{text!r} is not {'at least' if or_zero else 'above'} 0")
        return value

    return parse


_count = _above_zero(int, "whole number")
_amount = _above_zero(float, "number")


class Age(NamedTuple):
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
    """Names and patterns of hosts, with a port or without, in lower case; of a URL its host and port."""
    words = text.lower().replace(",", " ").split()
    return tuple((word.partition("://")[2] or word).partition("/")[0] for word in words)


def _shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not slash or not index.strip().isdecimal() or not count.strip().isdecimal():
        raise ValueError(f"{text!r} is not of the form 1/4")
    if not 1 <= int(index) <= int(count):
        raise ValueError(f"{text!r}: shards are counted from 1 to {count.strip()}")
    return int(index), int(count)


def _flag(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off", ""):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


class Setting(NamedTuple):
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
    Setting(
        "confirm",
        _flag,
        "on a live or recording run, run what regressed once more with fresh trials; red only if they regress, too",
        switch=True,
    ),
    Setting(
        "confirm_baseline",
        str,
        "with --llm-confirm: a checkout of what the baseline was made from, which is run once more as well",
        metavar="DIR",
    ),
    Setting(
        "trials",
        _trials,
        "trials of every case, over the marker's; auto: one, and on a live run four more where one cannot rule out a "
        "regression",
        metavar="N",
    ),
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
    Setting(
        "budget",
        _above_zero(float, "number", or_zero=True),
        "make no more live calls once those of this run, the judges' among them, have cost USD",
        metavar="USD",
    ),
    Setting("max_rpm", _amount, "live calls a minute, over all processes of the run", metavar="N"),
    Setting("max_tpm", _amount, "tokens of live calls a minute, over all processes of the run", metavar="N"),
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
    Setting("html", str, "write a report of the run to FILE, one HTML page without any network access", metavar="FILE"),
    Setting("ctrf", str, "write the run to FILE in the Common Test Report Format (JSON)", metavar="FILE"),
    Setting(
        "junit_properties",
        _flag,
        "put llmops.* properties on the test cases of --junitxml (default true)",
        metavar="BOOL",
    ),
    Setting(
        "shard",
        _shard,
        "say that this run is part I of N of a whole (a CI matrix), for pytest-llmops merge; it splits nothing itself: "
        "choose what each part runs with pytest-split, -k or paths",
        metavar="I/N",
    ),
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


def find_pyproject(start: Path) -> Path | None:
    """The nearest pyproject.toml at or above `start`."""
    for folder in (start, *start.parents):
        candidate = folder / "pyproject.toml"
        if candidate.is_file():
            return candidate
    return None


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
