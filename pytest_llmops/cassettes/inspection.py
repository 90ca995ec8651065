"""Looking into cassettes without running tests: which calls they hold, and whether a secret is among them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmops import providers
from pytest_llmops.cassettes import foreign, keeping, keys, redaction, storage
from pytest_llmops.cassettes.journal import FOLDER
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.cassettes.transfer import to_exchange
from pytest_llmops.errors import CassetteError
from pytest_llmops.records import Call
from pytest_llmops.settings import ProjectSettings


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call in a cassette.

    Args:
        index: the interaction's number in the file, from 0.
        call: None for an exchange that is no LLM's.
        request: method and URL.
    """

    file: Path
    index: int
    call: Call | None
    request: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that looks like a secret: where it is and of which kind, never the secret."""

    file: Path
    line: int
    kind: str

    def __str__(self) -> str:
        found = redaction.find_in_name(self.file.stem)
        name = self.file.name if found is None else self.file.stem[: found[0]] + redaction.MASKED + self.file.suffix
        return f"{self.file.with_name(name)}:{self.line}: looks like a secret ({self.kind})"


def files(paths: Iterable[Path]) -> list[Path]:
    """The cassette files at and below `paths`.

    Raises:
        CassetteError: a path does not exist, or there is no cassette in any of them.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += [p for p in sorted(path.rglob("*")) if p.suffix in foreign.SUFFIXES and FOLDER not in p.parts]
        elif path.exists():
            found.append(path)
        else:
            raise CassetteError(f"{path}: there is no such file or folder")
    if not found:
        raise CassetteError(f"no cassette (*.json, *.yaml) below {', '.join(str(p) for p in paths)}")
    return found


def interactions(path: Path) -> list[Interaction]:
    """The interactions of a cassette, ours or vcrpy's.

    Raises:
        CassetteError: it is neither, or damaged.
    """
    if path.suffix == ".json" and not is_foreign_json(path):
        return storage.load(path)
    return foreign.load(path, _key_of)


def is_foreign_json(path: Path) -> bool:
    """Whether a JSON file is a cassette of vcrpy's."""
    try:
        return foreign.is_foreign(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):  # ours says better what is wrong
        return False


def _key_of(method: str, url: str, body: Any) -> str:
    return keys.key_of(keys.address_of(method, url, body, {}), body)


def calls(
    paths: Sequence[Path], project: ProjectSettings, *, everything: bool = False
) -> tuple[list[RecordedCall], list[CassetteError]]:
    """The calls in cassettes, in file order; and what is wrong with the files of a folder that could not be read.

    Args:
        paths: files or folders.
        project: for gateway hosts and prices.
        everything: also exchanges that are no LLM's.
    """
    single = [path for path in paths if not path.is_dir()]
    found: list[RecordedCall] = []
    unread: list[CassetteError] = []
    for path in files(paths):
        try:
            entries = interactions(path)
        except CassetteError as error:
            if path in single:
                raise
            unread.append(error)  # a folder may hold other JSON and YAML as well
            continue
        for index, entry in enumerate(entries):
            call = providers.read(to_exchange(entry), hosts=project.hosts, prices=project.prices)
            if call is not None or everything:
                request = f"{entry['request'].get('method', '')} {entry['request'].get('url', '')}"
                found.append(RecordedCall(path, index, call, request))
    return found, unread


def audit(paths: Sequence[Path], project: ProjectSettings) -> tuple[list[Finding], int]:
    """What looks like a secret in cassette files, or should have been masked, and how many files were read."""
    chosen = files(paths)
    patterns = [re.compile(pattern) for pattern in project.secrets]
    scrub = redaction.Scrubber(project.scrub, project.scrub_fields)
    return [finding for path in chosen for finding in _secrets(path, patterns, scrub)], len(chosen)


def _secrets(path: Path, patterns: Sequence[re.Pattern[str]], scrub: redaction.Scrubber) -> Iterator[Finding]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CassetteError(f"{path}: cannot be read: {error.strerror or error}") from None
    if (named := redaction.find_in_name(path.stem, patterns)) is not None:
        yield Finding(path, 1, f"{named[1]}, in the file's name")
    lines = text.splitlines()
    told: set[int] = set()
    for number, line in enumerate(lines, 1):
        kind = redaction.find_in_any_form(line, patterns=patterns)
        if kind is not None:
            told.add(number)
            yield Finding(path, number, kind)
    try:
        entries = interactions(path)
    except CassetteError:  # any text can be looked through, line by line
        return
    if path.suffix != ".json" or is_foreign_json(path):
        yield from _credentials(path, lines, told)
    for entry in entries:
        begins = next((number for number, line in enumerate(lines, 1) if f'"key": "{entry["key"]}"' in line), 1)
        # What another recorder packed or folded no line shows, either.
        look = keeping.hidden_secret if told or path.suffix == ".json" else keeping.secret_in
        if (found := look(entry, patterns)) is not None:
            how = "over several events of a stream" if found[0] == "the streamed answer" else f"in {found[0]}"
            yield Finding(path, begins, f"{found[1]}, {how}")
        elif not keeping.is_scrubbed(entry, scrub):
            yield Finding(path, begins, "what scrub or scrub_fields masks")


def _credentials(path: Path, lines: Sequence[str], told: set[int]) -> Iterator[Finding]:
    """What another recorder kept of headers and queries; `told` are the lines that were found already."""
    for name, value in foreign.credentials(path):
        word = value.rpartition(" ")[2]
        where = [number for number, line in enumerate(lines, 1) if word in line] or [1]
        for number in where:
            if number not in told:
                told.add(number)
                yield Finding(path, number, f"the value of {name}")
