"""Changes a team accepted in writing: ``llm-accept.toml`` beside the baseline."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pytest_llmops.errors import BaselineError, did_you_mean

DEFAULT_NAME = "llm-accept.toml"
KEYS = ("metric", "case", "reason", "expires", "by")
EXAMPLE = (
    '[[accept]] metric = "helpfulness" (or case = "tests/test_x.py::test_y[*]"), reason = "…", expires = 2026-12-31'
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted change: of a metric, or of the cases a glob names (``*`` and ``?``; brackets stand for themselves).

    Args:
        expires: the last day on which it holds.
        where: file and number of the entry, for messages.
    """

    reason: str
    expires: date
    metric: str | None = None
    case: str | None = None
    by: str | None = None
    where: str = DEFAULT_NAME

    def __str__(self) -> str:
        by = f" by {self.by}" if self.by else ""
        return f"accepted{by} until {self.expires}: {self.reason}"


def load(path: Path) -> tuple[Accepted, ...]:
    """Read accepted changes.

    Raises:
        BaselineError: the file is missing, no TOML, or an entry lacks what it needs.
    """
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BaselineError(f"{path}: there is no file of accepted changes here. An entry: {EXAMPLE}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BaselineError(f"{path}: cannot be read: {error}") from None
    for key in document:
        if key != "accept":
            raise BaselineError(f"{path}: unknown key {key!r}.{did_you_mean(key, ['accept'])} An entry: {EXAMPLE}")
    entries = document.get("accept", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BaselineError(f"{path}: 'accept' is a list of tables. An entry: {EXAMPLE}")
    return tuple(_entry(entry, f"{path} [[accept]] {number}") for number, entry in enumerate(entries, 1))


def find(entries: Iterable[Accepted], today: date, *, metric: str | None = None, case: str | None = None) -> str | None:
    """The entry that accepts this metric or case today, in words; None where there is none."""
    for entry in entries:
        if entry.expires < today:
            continue
        if (metric and entry.metric and _matches(entry.metric, metric)) or (
            case and entry.case and _matches(entry.case, case)
        ):
            return str(entry)
    return None


def remarks(entries: Iterable[Accepted], today: date, metrics: Iterable[str], cases: Iterable[str]) -> list[str]:
    """What is wrong with entries that can be read: expired, or about nothing this suite knows."""
    known_metrics, known_cases = list(metrics), list(cases)
    found = []
    for entry in entries:
        pattern = entry.metric or entry.case or ""
        if entry.expires < today:
            found.append(f"{entry.where}: the acceptance of {pattern!r} expired on {entry.expires}; renew or remove it")
        elif not any(_matches(pattern, name) for name in (known_metrics if entry.metric else known_cases)):
            what = "metric" if entry.metric else "case"
            hint = did_you_mean(pattern, known_metrics) if entry.metric else ""
            found.append(f"{entry.where}: no {what} is named {pattern!r}.{hint}")
    return found


def _matches(pattern: str, name: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, name, re.DOTALL) is not None


def _entry(entry: dict[str, Any], where: str) -> Accepted:
    for key in entry:
        if key not in KEYS:
            raise BaselineError(f"{where}: unknown key {key!r}.{did_you_mean(key, KEYS)}")
    for key in ("metric", "case", "reason", "by"):
        if key in entry and not (isinstance(entry[key], str) and entry[key].strip()):
            raise BaselineError(f"{where}: {key}: expected a text, found {entry[key]!r}.")
    if ("metric" in entry) == ("case" in entry):
        raise BaselineError(f"{where}: name either a metric or a case. An entry: {EXAMPLE}")
    missing = [key for key in ("reason", "expires") if key not in entry]
    if missing:
        raise BaselineError(f"{where}: {' and '.join(missing)} missing. An entry: {EXAMPLE}")
    expires = entry["expires"]
    if isinstance(expires, datetime):
        expires = expires.date()
    if not isinstance(expires, date):
        raise BaselineError(f"{where}: expires: expected a date without quotes (2026-12-31), found {expires!r}.")
    return Accepted(**{**entry, "expires": expires}, where=where)
