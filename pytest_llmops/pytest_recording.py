"""Where pytest-recording keeps a test's cassettes: fixtures, markers and vcrpy's settings have a say in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.cassettes.foreign import Source

_RECORDER = "vcr"
"""The fixture that puts a cassette around a test; it is there for every test, and looks for the marker."""
_FIXTURES = ("vcr_cassette_dir", "default_cassette_name", "vcr_config")
_FORBIDDEN = "<>?%*:|\"'/\\"
_LONGEST = 255
"""Bytes of a file name, on every file system in use."""


def request_fixtures(items: Iterable[pytest.Item], wanting: Callable[[pytest.Item], bool]) -> None:
    """Have the fixtures set up first by which a project tells pytest-recording its places, for tests that see one.

    pytest-recording need not be installed any more: what is left in ``conftest.py`` says where its cassettes are.

    Args:
        items: the tests.
        wanting: whether a test has use for another recorder's cassettes; else its fixtures stay as they are.
    """
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        told = {}
        for name in _FIXTURES:
            definitions = item.session._fixturemanager.getfixturedefs(name, item)
            if definitions and definitions[-1].func.__module__.partition(".")[0] != "pytest_recording":
                told[name] = definitions
        if told and wanting(item):
            item._fixtureinfo.name2fixturedefs.update(told)
            item.fixturenames = [*told, *(name for name in item.fixturenames if name not in told)]


def stand_in(items: Iterable[pytest.Item]) -> None:
    """Keep pytest-recording from putting its cassettes around evaluations: it would answer before calls are seen.

    Its cassettes replay here all the same (`cassettes_of`). A test that asks for its fixture by name keeps it.
    """
    for item in items:
        if isinstance(item, pytest.Function) and _RECORDER in item.fixturenames:
            definitions = item._fixtureinfo.name2fixturedefs.get(_RECORDER, ())
            own = all(definition.func.__module__.partition(".")[0] == "pytest_recording" for definition in definitions)
            if own and _RECORDER not in item._fixtureinfo.argnames and item.get_closest_marker("vcr") is not None:
                item.fixturenames = [name for name in item.fixturenames if name != _RECORDER]


def cassettes_of(item: pytest.Item) -> Source | None:
    """What pytest-recording would replay for a test; None where there is nothing.

    Args:
        item: the test, with the fixtures of `request_fixtures` set up; one that is not yet counts as unset.

    Returns:
        ``cassettes/<module>/<test>.yaml``, unless the project says otherwise: the fixtures ``vcr_cassette_dir``,
        ``default_cassette_name`` and ``vcr_config`` (or the marker ``vcr``) with ``cassette_library_dir``,
        ``serializer`` and ``path_transformer``, the marker ``default_cassette``; with the files that ``vcr`` names.
    """
    given: dict[str, Any] = getattr(item, "funcargs", {})
    markers = list(item.iter_markers("vcr"))
    settings = dict(given.get("vcr_config") or {})
    for marker in reversed(markers):  # the nearest one last
        settings.update(marker.kwargs)
    default = given.get("vcr_cassette_dir") or item.path.parent / "cassettes" / item.path.stem
    folder = item.config.invocation_params.dir / default
    name = str(given.get("default_cassette_name") or _default_name(item))
    paths = [
        _path(item.config.invocation_params.dir / (settings.get("cassette_library_dir") or folder), name, settings)
    ]
    paths += [folder / str(extra) for marker in markers for extra in marker.args]
    found = [path for path in dict.fromkeys(paths) if path.is_file()]
    return Source(found, settings) if found else None


def _default_name(item: pytest.Item) -> str:
    marker = item.get_closest_marker("default_cassette")
    if marker is not None and marker.args and isinstance(marker.args[0], str):
        return marker.args[0]
    cls = getattr(item, "cls", None)
    name = f"{cls.__name__}.{item.name}" if cls is not None else item.name
    return name.translate({ord(character): "-" for character in _FORBIDDEN})


def _path(folder: Path, name: str, settings: dict[str, Any]) -> Path:
    serializer = settings.get("serializer")
    if len(name) + len(serializer or ".yaml") > _LONGEST:  # as pytest-recording shortens it
        digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        name = f"{name[: _LONGEST - len(serializer or '.yaml') - len(digest) - 3]}...{digest}"
    transform = settings.get("path_transformer")
    if callable(transform):
        return folder / str(transform(name))
    suffix = f".{serializer or 'yaml'}"
    path = folder / (name if name.endswith(suffix) else name + suffix)
    other = path.with_suffix(".yml")
    return other if serializer is None and not path.is_file() and other.is_file() else path
