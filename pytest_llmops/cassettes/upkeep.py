"""Keeping a project's cassettes in order: taking over vcrpy's, removing those no test uses."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_llmops.cassettes import bodies, foreign, inspection, keeping, keys, redaction, storage
from pytest_llmops.errors import CassetteError
from pytest_llmops.settings import ProjectSettings


@dataclass(frozen=True, slots=True)
class Converted:
    """A foreign cassette and what became of it."""

    source: Path
    target: Path
    interactions: int


def convert(
    paths: Sequence[Path], project: ProjectSettings, output: Path | None = None, *, overwrite: bool = False
) -> list[Converted]:
    """Write vcrpy's cassettes as ours, beside them or below `output`; the originals stay.

    Args:
        paths: files or folders of YAML or JSON cassettes.
        project: for gateway hosts, ignored fields, and what is masked and refused, as when a test is recorded.
        output: another folder.
        overwrite: replace cassettes of ours that are there already.

    Raises:
        CassetteError: one is no cassette, holds a secret, or would overwrite one.
    """
    done = []
    scrub = redaction.Scrubber(project.scrub, project.scrub_fields)
    secrets = [re.compile(pattern) for pattern in project.secrets]
    ignored = keys.IGNORED_FIELDS | frozenset(project.ignore_fields)

    def key_of(method: str, url: str, body: bodies.Body | None) -> str:
        return keys.key_of(keys.address_of(method, url, body, project.hosts), body)

    for source in inspection.files(paths):
        if source.suffix == ".json" and not inspection.is_foreign_json(source):
            continue
        name = re.sub(r"^(Test\w*)\.", r"\1-", source.stem)  # pytest-recording: TestClass.test_name
        target = (output / source.parent.name if output else source.parent) / storage.file_name(name)
        if target.exists() and not overwrite:
            raise CassetteError(f"{target} exists already; --overwrite replaces it")
        entries = foreign.load(source, key_of, scrub, ignored)
        keeping.checked_name(name, secrets)
        for entry in entries:
            if (found := keeping.secret_in(entry, secrets, scrub)) is not None:
                raise CassetteError(keeping.refusal(str(target), found))
        module = source.parent.parent.parent / f"{source.parent.name}.py"
        storage.save(
            target, entries, test=f"{module.as_posix()}::{name.replace('-', '::', 1) if '-' in name else name}"
        )
        done.append(Converted(source, target, len(entries)))
    if not done:
        raise CassetteError(f"no cassette of vcrpy (*.yaml, *.json) below {', '.join(str(p) for p in paths)}")
    return done


class Tests(Protocol):
    """Which tests there are, and where they have their recordings."""

    @property
    def recorded(self) -> Collection[tuple[Path, str]]:
        """The folder of each one's recordings, and its name there."""

    @property
    def root(self) -> Path:
        """What node ids are relative to."""

    def module(self, folder: Path) -> Path | None:
        """The module whose recordings a folder holds; None where nothing is known of it."""

    def knows(self, module: Path) -> bool:
        """Whether all tests of a module are known."""


def unused(folders: Sequence[Path], tests: Tests) -> list[Path]:
    """The cassettes below `folders` whose test, case or fixture is gone; only files that say what recorded them."""
    found = []
    for path in inspection.files(folders):
        test = storage.header(path) if path.suffix == ".json" else None
        if not test or "::" not in test:
            continue
        folder = path.parent.resolve()
        module = tests.module(folder)
        if module is None:
            continue
        if path.name.startswith("fixture-"):
            gone = _fixture_is_gone(test, module, tests.root)
        else:
            gone = (folder, test.partition("::")[2]) not in tests.recorded and tests.knows(module)
        if gone:
            found.append(path)
    return found


def _fixture_is_gone(test: str, module: Path, root: Path) -> bool:
    file, _, name = test.partition("::")
    quoted = re.escape(name)
    known = re.compile(rf"\bdef {quoted}\b|\bname\s*=\s*[\"']{quoted}[\"']|^{quoted}\b.*=", re.MULTILINE)
    source = root / file
    candidates = (module, source) if source.is_file() else (module, source / "conftest.py", root / "conftest.py")
    return not any(c.is_file() and known.search(c.read_text(encoding="utf-8", errors="replace")) for c in candidates)
