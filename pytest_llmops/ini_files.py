"""pytest's ini settings, for the commands that run without pytest."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pytest_llmops.errors import SettingsError

# Those of the name pytest itself takes even where they have no section, so that the search ends with them.
_OWN = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
_SHARED = ("pyproject.toml", "tox.ini", "setup.cfg")


def ini_settings(start: Path) -> dict[str, str]:
    """The texts of the ini file that pytest takes in a folder: the first one with its section, at or above it.

    Raises:
        SettingsError: the file cannot be read.
    """
    for folder in (start, *start.parents):
        for name in (*_OWN, *_SHARED):
            file = folder / name
            if not file.is_file():
                continue
            try:
                found = _read(file)
            except (OSError, ValueError) as error:
                raise SettingsError(f"{file}: cannot be read: {error}") from None
            if found is not None or name in _OWN:
                return {key: _text(value) for key, value in (found or {}).items()}
    return {}


def flag_in(addopts: str, flag: str) -> str | None:
    """What ``addopts`` gives an option; None where nothing."""
    given = None
    words = shlex.split(addopts)
    for word, after in zip_longest(words, words[1:]):
        name, equals, value = word.partition("=")
        if name == flag:
            given = value if equals else after
    return given


def _read(file: Path) -> Mapping[str, Any] | None:
    if file.suffix == ".toml":
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        if file.name in _OWN:
            return _table(document, "pytest")
        tool = _table(document, "tool") or {}
        pytest = _table(tool, "pytest") or {}
        return _table(pytest, "ini_options") or pytest or None
    from iniconfig import IniConfig

    section = "tool:pytest" if file.name == "setup.cfg" else "pytest"
    sections = IniConfig(str(file)).sections
    return sections.get(section)


def _table(parent: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    value = parent.get(key)
    return value if isinstance(value, dict) else None


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
