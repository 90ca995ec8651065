"""Datasets: JSONL, JSON, YAML and CSV files of cases. docs/datasets.md is the format's description."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from pytest_llmops import threats, yaml_files
from pytest_llmops.errors import DatasetError, SettingsError, did_you_mean

FIELDS = ("id", "input", "expected", "context", "metadata", "tags", "group", "turns")
_HOLDING_JSON = ("metadata", "turns")
_SPLIT_BY_PIPE = ("context", "tags")

# Brackets and "::" divide pytest's node ids, control characters break terminals and file names.
_UNFIT_FOR_ID = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\[\]]|::")
_TRIAL_SUFFIX = re.compile(r"(?:\A|-)trial\d+\Z")


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a dataset; what else its line holds (``metadata``) reads as attributes, too.

    Args:
        id: unique in its dataset, part of the test's name.
        input: any JSON value; None only where the case has `turns`.
        line: where the case begins in its file, 1-based.
    """

    id: str
    input: Any = None
    expected: Any = None
    context: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    group: str | None = None
    turns: list[Any] | None = None
    line: int | None = field(default=None, compare=False)

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that are no field. Dunder names are asked for by copy and pickle, before any slot is
        # filled.
        if not name.startswith("__"):
            if name in self.metadata:
                return self.metadata[name]
            raise AttributeError(f"case {self.id!r} has no {name!r}.{did_you_mean(name, (*FIELDS, *self.metadata))}")
        raise AttributeError(name)

    @property
    def fingerprint(self) -> str:
        """12 hex digits over input, expected, context and turns: what makes two runs of a case comparable."""
        content = [self.input, self.expected, self.context, self.turns]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def load(path: Path, *, group: str | None = None) -> list[Case]:
    """Read a dataset.

    Args:
        path: a .jsonl (.ndjson), .json, .yaml (.yml) or .csv file.
        group: name of the field whose value groups correlated cases; without it their own ``group`` counts.

    Raises:
        DatasetError: the file or a case cannot be used; the message begins with ``path:line``.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DatasetError(f"{path}: unknown kind of dataset {path.suffix!r}. Known: {', '.join(_READERS)}.")
    text = _text(path)
    cases: list[Case] = []
    first_lines: dict[str, int] = {}
    for number, line, fields in read(path, text):
        case = _case(fields, f"{path}:{line}", default_id=f"case-{number}", line=line)
        if case.id in first_lines:
            raise DatasetError(f"{path}:{line}: id {case.id!r} is taken by the case in line {first_lines[case.id]}.")
        first_lines[case.id] = line
        cases.append(case)
    if not cases:
        raise DatasetError(f"{path}: no cases in it. Each needs at least an input: {_EXAMPLES[path.suffix.lower()]}")
    return cases if group is None else _grouped(cases, group, path)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file.{_closest_file(path)}") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        kind = "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else f"byte 0x{data[error.start]:02x}"
        raise DatasetError(f"{path}:{line}: not UTF-8 ({kind}). Save the file as UTF-8.") from None


def _closest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either. A dataset's path is relative to its test file."
    names = [entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in _READERS]
    return did_you_mean(path.name, names) or f" There is no dataset at all in {path.parent}."


# Each reader yields (number for the default id, line, fields) of one case after the other.
Row = tuple[int, int, object]


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON value")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _decode(text: str, path: Path, line: int, hint: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"{path}:{line + error.lineno - 1}"
        raise DatasetError(f"{where}: broken JSON: {error.msg} at column {error.colno}. {hint}") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}:{line}: JSON that cannot be used: {error}. {hint}") from None


def _read_jsonl(path: Path, text: str) -> Iterator[Row]:
    # Not splitlines(): U+2028 and its like may stand inside a JSON string.
    for line, source in enumerate(text.split("\n"), start=1):
        if source and not source.isspace():
            yield line, line, _decode(source, path, line, "Each line is one whole JSON object; a list goes in a .json.")


def _read_json(path: Path, text: str) -> Iterator[Row]:
    if text.strip():
        _require_list(_decode(text, path, 1, "Check it with: python -m json.tool FILE"), path)
        for number, (line, fields) in enumerate(_elements(text), start=1):
            yield number, line, fields


def _require_list(document: object, path: Path) -> None:
    if isinstance(document, list) or (isinstance(document, dict) and isinstance(document.get("cases"), list)):
        return
    if not isinstance(document, dict):
        raise DatasetError(f"{path}:1: expected a list of cases, got {_shown(document)}.")
    keys = ", ".join(map(repr, document)) or "nothing"
    raise DatasetError(f'{path}:1: expected a list of cases, or an object with a list "cases"; it has {keys}.')


_SPACE = re.compile(r"[ \t\r\n]*")


def _elements(text: str) -> Iterator[tuple[int, object]]:
    """Line and value of each element of a well-formed document's list (or of its ``"cases"``)."""

    def skip(position: int) -> int:
        match = _SPACE.match(text, position)
        return match.end() if match else position

    start = skip(0)
    if text[start] == "{":
        end = start
        while True:
            key, end = _DECODER.raw_decode(text, skip(end + 1))
            start = skip(skip(end) + 1)
            if key == "cases" and text[start] == "[":
                break
            end = skip(_DECODER.raw_decode(text, start)[1])
    line, counted, position = 1, 0, skip(start + 1)
    while text[position] != "]":
        line += text.count("\n", counted, position)
        counted = position
        value, end = _DECODER.raw_decode(text, position)
        yield line, value
        position = skip(end)
        if text[position] == ",":
            position = skip(position + 1)


def _read_yaml(path: Path, text: str) -> Iterator[Row]:
    import yaml

    with yaml_files.opened(text, path, DatasetError) as (loader, node):
        cases = node
        if isinstance(node, yaml.MappingNode):
            cases = next((value for key, value in node.value if key.value == "cases"), node)
        if isinstance(cases, yaml.SequenceNode):
            for number, item in enumerate(cases.value, start=1):
                yield number, item.start_mark.line + 1, _as_json(loader.construct_object(item, deep=True), path, item)
        elif node is not None:
            _require_list(loader.construct_object(node, deep=True), path)


def _as_json(value: object, path: Path, node: Any) -> object:
    try:
        return json.loads(json.dumps(value, default=str, allow_nan=False))
    except (ValueError, TypeError, RecursionError) as error:
        raise DatasetError(f"{path}:{node.start_mark.line + 1}: a value that JSON cannot hold: {error}.") from None


def _read_csv(path: Path, text: str) -> Iterator[Row]:
    limit = csv.field_size_limit(max(len(text), 131_072))  # a context is easily longer than csv's 128 KiB
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = _header(next(reader, []), path)
        line = reader.line_num + 1
        number = 0
        for row in reader:
            if row:
                number += 1
                yield number, line, _csv_fields(header, row, path, line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(f"{path}:{reader.line_num}: broken CSV: {error}. Is a quote left open?") from None
    finally:
        csv.field_size_limit(limit)


def _header(names: list[str], path: Path) -> list[str]:
    names = [name.strip() for name in names]
    if not names:
        return names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DatasetError(f"{path}:1: column {twice!r} stands twice in the header.")
    if "" in names:
        raise DatasetError(f"{path}:1: column {names.index('') + 1} has no name in the header.")
    if "input" not in names and "turns" not in names:
        divided = next((f" Columns are divided by commas, not by {c!r}." for c in ";\t|" if c in names[0]), None)
        raise DatasetError(f"{path}:1: no column 'input' in the header.{divided or did_you_mean('input', names)}")
    return names


def _csv_fields(header: list[str], row: list[str], path: Path, line: int) -> dict[str, object]:
    if len(row) != len(header):
        raise DatasetError(
            f"{path}:{line}: {len(row)} cells under {len(header)} columns. Put a text with commas in double quotes."
        )
    fields: dict[str, object] = {}
    for name, cell in zip(header, row, strict=True):
        if not cell:
            continue
        if name in _SPLIT_BY_PIPE:
            fields[name] = [part for part in (piece.strip() for piece in cell.split("|")) if part]
        elif name in _HOLDING_JSON:
            fields[name] = _decode(cell, path, line, f"Column {name!r} holds JSON; name another column for plain text.")
        else:
            fields[name] = cell
    return fields


_READERS: dict[str, Callable[[Path, str], Iterator[Row]]] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".csv": _read_csv,
}
_EXAMPLES = dict.fromkeys(_READERS, '{"input": "…", "expected": "…"}') | {
    ".yaml": "- input: …",
    ".yml": "- input: …",
    ".csv": "a header line with a column input, then a line a case.",
}


def _case(fields: object, where: str, *, default_id: str, line: int) -> Case:
    if not isinstance(fields, dict):
        raise DatasetError(f'{where}: a case is an object such as {{"input": "…"}}, got {_shown(fields)}.')
    values: dict[str, Any] = {key: value for key, value in fields.items() if key in FIELDS and value is not None}
    extra = {key: value for key, value in fields.items() if key not in FIELDS}
    for key in extra:
        _refuse_misspelled(key, where)
    if "input" not in values and "turns" not in values:
        keys = ", ".join(map(repr, fields)) or "nothing"
        raise DatasetError(f"{where}: no 'input' (nor 'turns'); the case has {keys}.")
    metadata = values.get("metadata", {})
    if not isinstance(metadata, dict):
        raise DatasetError(f"{where}: metadata: expected an object, got {_shown(metadata)}.")
    twice = next((key for key in extra if key in metadata), None)
    if twice is not None:
        raise DatasetError(f"{where}: {twice!r} stands both beside and inside metadata.")
    turns = values.get("turns")
    if turns is not None and (not isinstance(turns, list) or not turns):
        raise DatasetError(f"{where}: turns: expected a list with at least one turn, got {_shown(turns)}.")
    return Case(
        id=_id(values.get("id", default_id), where),
        input=values.get("input"),
        expected=values.get("expected"),
        context=_texts(values.get("context", []), f"{where}: context"),
        metadata={**metadata, **extra},
        tags=_tags(values.get("tags", []), f"{where}: tags"),
        group=_group(values.get("group"), f"{where}: group"),
        turns=turns,
        line=line,
    )


def _refuse_misspelled(key: str, where: str) -> None:
    # Stricter than did_you_mean's .6, at which "target" would be a misspelled "tags".
    close = difflib.get_close_matches(key.lower(), FIELDS, n=1, cutoff=0.8)
    if close:
        raise DatasetError(
            f"{where}: unknown field {key!r}. Did you mean {close[0]!r}? If {key!r} is your own, put it in metadata."
        )


def _id(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise DatasetError(f"{where}: id: expected a text, got {_shown(value)}.")
    # NFC, so that an id typed in a shell finds the case that an editor saved decomposed.
    text = unicodedata.normalize("NFC", str(value)).strip()
    if not text:
        raise DatasetError(f"{where}: id is empty. Leave it out for case-1, case-2, … by line.")
    unfit = _UNFIT_FOR_ID.search(text)
    if unfit:
        raise DatasetError(f"{where}: id {text!r}: {unfit[0]!r} cannot be part of a test's name.")
    if _TRIAL_SUFFIX.search(text):
        raise DatasetError(f"{where}: id {text!r} is named like a trial (trial0). Choose another ending.")
    return text


def _texts(value: object, where: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DatasetError(f"{where}: expected a list of texts, got {_shown(value)}.")
    return tuple(texts)


def _tags(value: object, where: str) -> tuple[str, ...]:
    tags = _texts(value, where)
    try:
        threats.of_tags(tags)
    except SettingsError as error:
        raise DatasetError(f"{where}: {error}") from None
    return tags


def _group(value: object, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, (int, float)):
        return json.dumps(value)
    raise DatasetError(f"{where}: expected a text or a number, got {_shown(value)}.")


def _grouped(cases: list[Case], name: str, path: Path) -> list[Case]:
    def value(case: Case) -> object:
        return case.metadata.get(name) if name not in FIELDS else getattr(case, name)

    grouped = [replace(case, group=_group(value(case), f"{path}:{case.line}: {name}")) for case in cases]
    if all(case.group is None for case in grouped):
        fields = {"group", *(key for case in cases for key in case.metadata)}
        raise DatasetError(f"{path}: no case has a field {name!r} (group={name!r}).{did_you_mean(name, fields)}")
    return grouped


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
