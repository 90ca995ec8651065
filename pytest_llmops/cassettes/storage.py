"""Cassette files: one JSON document an item, written whole or not at all."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pytest_llmops.cassettes import bodies, shape
from pytest_llmops.collector import paused
from pytest_llmops.errors import CassetteError

SCHEMA = 1
Interaction = dict[str, Any]
"""One stored exchange: key, role, recorded_at, request, response (or error inside it), timing."""


def file_name(name: str) -> str:
    """A test's cassette name: its item name, sanitised, with a short hash of the whole.

    Example:
        ``test_polite[c1]`` → ``test_polite-c1-3fa29c.json``
    """
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80]
    return f"{safe or 'test'}-{hashlib.blake2b(name.encode(), digest_size=3).hexdigest()}.json"


def load(path: Path, *, hint: str = "") -> list[Interaction]:
    """The interactions of a cassette file.

    Args:
        path: the file.
        hint: the command that records it anew, for messages.

    Raises:
        CassetteError: unreadable, cut, with conflict markers, of a newer format, or no cassette at all.
    """
    again = f"\n  record it again: {hint}" if hint else ""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CassetteError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        with paused():
            document = _DECODER.decode(data.decode("utf-8-sig"))
        if b"\\u" in data and _HALF.search(data):  # looked for first: other files pay nothing for it
            _WHOLE.encode(document).encode()
    except UnicodeEncodeError:
        raise CassetteError(
            f"{path}: holds half a character (\\ud800 to \\udfff), which no client can be given{again}"
        ) from None
    except RecursionError:
        raise CassetteError(f"{path}: nested too deeply to be a cassette{again}") from None
    except ValueError as error:
        if b"<<<<<<<" in data and b">>>>>>>" in data:
            raise CassetteError(
                f"{path}: holds git conflict markers; merge it (`pytest-llmops init` installs a merge driver)"
                f" or take one side{again}"
            ) from None
        raise CassetteError(f"{path}: is not whole JSON ({error}); restore it from git{again}") from None
    return _checked(document, path, again)


def _finite(number: str) -> float:
    """A float that can be written again: 1e999 would be found out where the test's record is made."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:20]} is no number a cassette can hold")
    return value


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=bodies.no_constant)
_WHOLE = json.JSONEncoder(ensure_ascii=False)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def _checked(document: Any, path: Path, again: str) -> list[Interaction]:
    if not isinstance(document, dict) or "interactions" not in document:
        raise CassetteError(f"{path}: is no cassette of pytest-llmops (no 'interactions'){again}")
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        raise CassetteError(f"{path}: 'schema' is {schema!r}, expected {SCHEMA}{again}")
    if schema > SCHEMA:
        raise CassetteError(
            f"{path}: written by a newer pytest-llmops (format {schema}, this one reads {SCHEMA});"
            " pip install -U pytest-llmops"
        )
    interactions = document["interactions"]
    if not isinstance(interactions, list):
        raise CassetteError(f"{path}: 'interactions' is no list{again}")
    for index, entry in enumerate(interactions):
        wrong = shape.fault(entry)
        if wrong is not None:
            raise CassetteError(f"{path}: interaction {index + 1}: {wrong}{again}")
    return interactions


def header(path: Path) -> str | None:
    """The test a cassette was recorded by, from its first lines; None where it does not say."""
    try:
        with path.open("rb") as file:
            match = re.search(rb'"test":\s*("(?:[^"\\]|\\.)*")', file.read(4096))
        return str(json.loads(match.group(1))) if match else None
    except (OSError, ValueError):
        return None


def dump(interactions: list[Interaction], test: str) -> bytes:
    """The file's bytes: two spaces of indent, text as it is, so that a review shows the prompts."""
    from pydantic_core import to_json

    return to_json({"schema": SCHEMA, "test": test, "interactions": interactions}, indent=2) + b"\n"


def save(path: Path, interactions: list[Interaction], *, test: str) -> None:
    """Write a cassette through a temporary file beside it.

    Raises:
        CassetteError: the folder or disk does not take it; the old file is untouched then.
    """
    blob = dump(interactions, test)
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise CassetteError(f"{path}: cannot be written: {error.strerror or error}") from None


@functools.cache  # asked for by setting it, for the whole process: not while tests run in threads
def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def occurrences(interactions: Iterable[Interaction]) -> Iterator[tuple[tuple[str, int], Interaction]]:
    """Each interaction with its identity: key, and how many of that key came before it."""
    seen: Counter[str] = Counter()
    for entry in interactions:
        yield (entry["key"], seen[entry["key"]]), entry
        seen[entry["key"]] += 1


def digest(interactions: Iterable[Interaction]) -> str | None:
    """A hash of what was used, whatever the order; None of nothing."""
    parts = sorted(hashlib.blake2b(_SORTED.encode(entry).encode(), digest_size=8).hexdigest() for entry in interactions)
    return hashlib.blake2b("".join(parts).encode(), digest_size=8).hexdigest() if parts else None


_SORTED = json.JSONEncoder(sort_keys=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the folder's lock while a cassette in it is read, merged and written."""
    try:
        import fcntl
    except ImportError:  # Windows: os.replace alone; two processes recording one file are told apart by the journal
        yield
        return
    name = hashlib.blake2b(str(path.parent.resolve()).encode(), digest_size=8).hexdigest()
    try:
        handle = (Path(tempfile.gettempdir()) / f"pytest-llmops-{os.getuid()}-{name}.lock").open("a")
    except OSError:  # a full or read-only temporary folder: the cassette itself is replaced as a whole all the same
        yield
        return
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)
