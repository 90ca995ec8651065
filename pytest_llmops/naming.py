"""From a pytest item to its case, its trial and its cassette file."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.cassettes import storage
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.errors import CassetteError
from pytest_llmops.marker import Trial
from pytest_llmops.options import MARKER

_TRIAL = re.compile(r"(?:-trial\d+(?=\])|\[trial\d+\])")
_KNOWN = pytest.StashKey[dict[str, set[str]]]()


def trial_of(item: pytest.Item) -> Trial:
    """The trial a parametrised item stands for."""
    callspec = getattr(item, "callspec", None)
    trial = callspec.params.get("_llm_trial") if callspec is not None else None
    return trial if isinstance(trial, Trial) else Trial(None, 0, 1)


def tags_of(item: pytest.Item) -> list[str]:
    """The tags of an item's marker and of its case; none where the marker's cannot be used (said when it is run)."""
    marker = item.get_closest_marker(MARKER)
    given = marker.kwargs.get("tags", ()) if marker is not None else ()
    listed = [tag for tag in given if isinstance(tag, str)] if isinstance(given, (list, tuple, set)) else []
    case = trial_of(item).case
    return [*listed, *(case.tags if case else ())]


def case_key(item: pytest.Item) -> str:
    """The key of an item's case everywhere: its node id without the trial."""
    return without_trial(item.nodeid) if trial_of(item).count > 1 else item.nodeid


def without_trial(nodeid: str) -> str:
    """A node id without ``-trialN``."""
    head, bracket, tail = nodeid.partition("[")
    return head + _TRIAL.sub("", bracket + tail)


def trial_number(nodeid: str) -> int:
    """The trial a node id names; 0 where it names none."""
    found = re.findall(r"trial(\d+)\]", nodeid)
    return int(found[-1]) if found else 0


def cassette_path(item: pytest.Item, folder: Path | None, suffix: str = "") -> Path:
    """``cassettes/<test module>/<item>.json`` beside the test; trial 0 goes by the name without suffix.

    Args:
        item: the test.
        folder: another place for all cassettes (``--llm-cassette-dir``); test paths are kept below it.
        suffix: tells a second cassette of the test from its own.
    """
    name = item.nodeid.partition("::")[2]
    if trial_of(item).index == 0:
        name = without_trial(name)
    beside = cassette_folder(item.config.rootpath, item.path, folder)
    return beside / storage.file_name(name.replace("::", "-") + suffix)


def live_folder(config: pytest.Config) -> Path:
    """Where a ``live`` run keeps its exchanges until it has ended, for ``--llm-resume``."""
    known = config.pluginmanager.has_plugin("cacheprovider")  # -p no:cacheprovider takes its ini line away
    return config.rootpath / (str(config.getini("cache_dir")) if known else ".pytest_cache") / "llmops-live"


def dataset_file(item: pytest.Item, dataset: str | None) -> str | None:
    """The file of a marker's dataset, from the rootdir on as node ids are."""
    if dataset is None:
        return None
    file, root = (item.path.parent / dataset).resolve(), item.config.rootpath.resolve()
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


def fixture_cassette_path(
    config: pytest.Config, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, folder: Path | None
) -> Path:
    """The cassette of a fixture of wider scope, beside the file that defines it."""
    parameter = getattr(request, "param_index", 0)
    name = f"fixture-{fixturedef.argname}" + (f"-{parameter}" if parameter else "")
    return cassette_folder(config.rootpath, fixture_file(fixturedef), folder) / storage.file_name(name)


def fixture_file(fixturedef: pytest.FixtureDef[Any]) -> Path:
    """The file that defines a fixture."""
    function = inspect.unwrap(fixturedef.func)  # a decorator's own file, or a plugin's, is not where it belongs
    while isinstance(function, partial):
        function = inspect.unwrap(function.func)
    return Path(inspect.getfile(function if hasattr(function, "__code__") else type(function)))


@lru_cache
def cassette_folder(root: Path, file: Path, folder: Path | None) -> Path:
    """Where the recordings of a file's tests and fixtures are.

    Args:
        root: what paths below `folder` are relative to.
        file: that defines them.
        folder: another place for all cassettes.
    """
    if folder is None:
        return file.parent / "cassettes" / file.stem
    try:
        return folder / file.relative_to(root).with_suffix("")
    except ValueError:
        return folder / file.stem


def record_command(item: pytest.Item) -> str:
    """The command that records an item's test anew, from where pytest was started."""
    name = item.nodeid.partition("::")[2].partition("[")[0]
    return _record_command(item.path, item.config.invocation_params.dir, name)


@lru_cache  # all cases of a test share it
def _record_command(path: Path, start: Path, name: str) -> str:
    import os
    import shlex

    return f"pytest {shlex.quote(f'{os.path.relpath(path, start)}::{name}')} --llm-record=refresh"


def remember_cases(metafunc: pytest.Metafunc, cases: list[str]) -> None:
    """Note which cases a marked test has, so that the recordings of removed and renamed ones can be told."""
    known = metafunc.config.stash.setdefault(_KNOWN, {})
    known[metafunc.definition.nodeid] = set(cases)


class Orphans:
    """Recordings whose test or case is gone: a renamed one finds its recordings there, by request."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._loaded: dict[Path, list[Interaction]] = {}
        self._of_folder: dict[Path, list[Path]] = {}

    def find(self, cassette: Path) -> Iterator[list[Interaction]]:
        """The orphaned recordings near a cassette that does not exist itself."""
        folders = [cassette.parent]
        root = cassette.parent.parent
        if root.is_dir():
            folders += [
                f for f in sorted(root.iterdir()) if f.is_dir() and f != cassette.parent and not self._module_exists(f)
            ]
        orphans = [path for folder in folders for path in self._orphans_of(folder)]
        # A renamed module keeps the names of its tests: each finds its own first, though others may ask the same.
        for path in sorted(orphans, key=lambda path: path.name != cassette.name):
            yield self._interactions(path)

    def _orphans_of(self, folder: Path) -> list[Path]:
        """Looked up once: what this session records belongs to its tests."""
        known = self._of_folder.get(folder)
        if known is None:
            paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
            known = self._of_folder[folder] = [path for path in paths if self._is_orphan(path)]
        return known

    def _interactions(self, path: Path) -> list[Interaction]:
        if path not in self._loaded:
            try:
                self._loaded[path] = storage.load(path)
            except CassetteError:  # a damaged file of a test that is gone is nobody's error here
                self._loaded[path] = []
        return self._loaded[path]

    def _module_exists(self, folder: Path) -> bool:
        first = next(iter(sorted(folder.glob("*.json"))), None)
        test = storage.header(first) if first is not None else None
        return test is None or (self._config.rootpath / test.partition("::")[0]).exists()

    def _is_orphan(self, path: Path) -> bool:
        test = storage.header(path)
        if test is None or "::" not in test:
            return False
        file, _, name = test.partition("::")
        source = self._config.rootpath / file
        if not source.exists():
            return True
        function, _, bracket = name.partition("[")
        cases = self._config.stash.get(_KNOWN, {}).get(f"{file}::{function}")
        if cases is not None:
            case = bracket.rstrip("]")
            return bool(case) and not any(case == known or case.endswith(f"-{known}") for known in cases)
        plain = function.rpartition("::")[2]
        return re.search(rf"\bdef {re.escape(plain)}\b", source.read_text(encoding="utf-8", errors="replace")) is None
