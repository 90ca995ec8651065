"""Baselines and run records on disk. A baseline is one sorted line a case, so that its changes read well in git."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NoReturn, cast, get_args

from pydantic import ValidationError

from pytest_llmops.baseline.stored import Baseline, CaseBaseline, MetricDefinition
from pytest_llmops.errors import BaselineError, did_you_mean
from pytest_llmops.records import SCHEMA_VERSION as RUN_SCHEMA_VERSION
from pytest_llmops.records import Fingerprint, MeasurementSource, RunRecord, to_json
from pytest_llmops.registry import BUILTIN_METRICS, Direction, MetricKind

SCHEMA_VERSION = 1
LARGEST_NUMBER = 1e300
LARGEST_FILE = 512 * 2**20
"""Bytes; more would need several GB of memory to read."""

LISTED = 5
MOST_TRIALS = 100_000

METRIC_WORDS: dict[str, tuple[str, ...]] = {
    "direction": get_args(Direction),
    "kind": get_args(MetricKind),
    "source": get_args(MeasurementSource),
}


def load(path: Path) -> Baseline:
    """Read a baseline file.

    Raises:
        BaselineError: it is missing, damaged, or not a baseline of this schema; the message names the way out.
    """
    make = f"pytest --llm-baseline={shlex.quote(str(path))} --llm-update-baseline"
    mend = f"Restore it from git, or delete it and make it anew: {make}"
    document = _document(path, "baseline", f"Make one: {make}", mend)
    if "tests" in document and "cases" not in document:
        raise BaselineError(
            f"{path}: this is a run record, not a baseline. Make one of it: "
            f"pytest-llmops baseline update {shlex.quote(str(path))} -o BASELINE"
        )
    _check_schema(document, path, "baseline", SCHEMA_VERSION)
    try:
        return Baseline(
            created=_created(document.get("created")),
            metrics={name: _metric(name, entry) for name, entry in _object(document, "metrics").items()},
            cases=dict(_cases(document)),
            fingerprint=Fingerprint.model_validate(document.get("fingerprint", {})),
            path=str(path),
        )
    except ValidationError as error:
        raise BaselineError(f"{path}: fingerprint: {_first_problem(error)}. Make it anew: {make}") from None
    except ValueError as error:
        raise BaselineError(f"{path}: {error}.\nRestore it from git, or delete it and make it anew: {make}") from None


def save(path: Path, baseline: Baseline) -> None:
    """Write a baseline file, whole or not at all.

    Raises:
        BaselineError: it cannot be written there.
    """
    write(path, "".join(_lines(baseline)), "baseline")


def load_run(path: Path) -> RunRecord:
    """Read a run record (``--llm-json``).

    Raises:
        BaselineError: it is missing, damaged, or not a run record of this schema.
    """
    make = f"pytest --llm-json={path}"
    document = _document(path, "run record", f"Make one: {make}", f"Run again: {make}")
    if "cases" in document and "tests" not in document:
        raise BaselineError(f"{path}: this is a baseline, not a run record. Compare with: pytest --llm-baseline={path}")
    _check_schema(document, path, "run record", RUN_SCHEMA_VERSION)
    try:
        run = RunRecord.model_validate(document)
    except ValidationError as error:
        raise BaselineError(f"{path}: {_first_problem(error)}. Run again: {make}") from None
    _define(run)
    return run


def save_run(path: Path, run: RunRecord) -> None:
    """Write a run record, whole or not at all; what JSON cannot hold (a lone surrogate, an object) is replaced.

    Raises:
        BaselineError: it cannot be written there.
    """
    write(path, to_json(run) + "\n", "run record")


# Reading


def _document(path: Path, what: str, make: str, mend: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BaselineError(f"{path}: {path.stat().st_size / 2**20:.0f} MB is more than a {what} can be. {mend}")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BaselineError(f"{path}: there is no {what} here.{_beside(path, what)} {make}") from None
    except UnicodeDecodeError as error:
        raise BaselineError(f"{path}: not a {what}: byte {error.start} is no UTF-8. {mend}") from None
    except OSError as error:
        raise BaselineError(f"{path}: the {what} cannot be read: {error.strerror or error}.") from None
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise BaselineError(f"{path}: not a {what}: nested too deeply. {mend}") from None
    except ValueError as error:
        raise BaselineError(f"{path}: {_why_no_json(text, error)}.\n{mend}") from None
    if not isinstance(document, dict):
        raise BaselineError(f"{path}: not a {what}: expected a JSON object. {mend}")
    return cast("dict[str, Any]", document)


def _beside(path: Path, what: str) -> str:
    """Which files of this kind lie where one was looked for."""
    try:
        names = sorted(one.name for one in path.parent.glob("*.json") if kind_of(one) == what)
    except OSError:
        return ""
    if not names:
        return "" if path.parent.is_dir() else f" There is no folder {path.parent}, either."
    close = did_you_mean(path.name, names)
    return close if "mean" in close else f" There is {', '.join(names[:LISTED])}{' …' if len(names) > LISTED else ''}."


def kind_of(path: Path) -> Literal["baseline", "run record"] | None:
    """What a file is, by how it begins; None of a pipe, which can be read only once."""
    if is_special(path):
        return None
    try:
        with path.open("rb") as file:
            head = file.read(400)
    except OSError:
        return None
    if not re.match(rb'\s*\{\s*"schema"', head):
        return None
    return "run record" if b'"environment"' in head else "baseline"


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number that can be compared")


def _why_no_json(text: str, error: ValueError) -> str:
    conflict = re.search(r"^(<{7}|>{7}) ", text, re.MULTILINE)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        # Often "created" alone is in conflict: one side's whole file would lack the cases that the other added.
        return f"line {line} is a merge conflict marker; keep one side's line where both changed it"
    if not text.strip():
        return "the file is empty"
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    # What is left may be a number or a word that was cut.
    cut = error.pos > 0 and re.fullmatch(r"[\w.+-]*", text[error.pos :].rstrip())
    if cut or error.msg.startswith("Unterminated string"):
        return f"the file ends in the middle (line {error.lineno})"
    return f"no JSON: line {error.lineno}, column {error.colno}: {error.msg}"


def _define(run: RunRecord) -> None:
    """Complete measurements that only have a value: what they mean stands under ``metrics``, or in their name."""
    for test in run.tests:
        for name, measured in test.measurements.items():
            for key in METRIC_WORDS.keys() - measured.model_fields_set:
                summary, builtin = run.metrics.get(name), BUILTIN_METRICS.get(name.partition("#")[0])
                if summary is not None and key in summary.model_fields_set:
                    setattr(measured, key, getattr(summary, key))
                elif builtin is not None:
                    setattr(measured, key, "builtin" if key == "source" else getattr(builtin, key))


def _check_schema(document: Mapping[str, Any], path: Path, what: str, mine: int) -> None:
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        raise BaselineError(f"{path}: not a {what} of pytest-llmops: expected a 'schema' number, found {schema!r}.")
    if schema > mine:
        raise BaselineError(
            f"{path}: this {what} has schema {schema}, the installed pytest-llmops reads up to {mine}. "
            "Upgrade: pip install -U pytest-llmops"
        )


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}, found {str(first['input'])[:60]!r}{more}"


def _created(value: object) -> datetime:
    try:
        created = datetime.fromisoformat(cast("str", value))
    except (TypeError, ValueError):
        raise ValueError(f"created: expected a date and time, found {value!r}") from None
    return created if created.tzinfo else created.replace(tzinfo=UTC)


def _object(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{key}: expected an object, found {type(value).__name__}")
    return value


def _metric(name: str, entry: Any) -> MetricDefinition:
    if not isinstance(entry, dict):
        raise ValueError(f"metric {name!r}: expected an object, found {type(entry).__name__}")
    words: dict[str, Any] = {}
    for key, allowed in METRIC_WORDS.items():
        if entry.get(key) not in allowed:
            raise ValueError(f"metric {name!r}: {key} {entry.get(key)!r} is none of {', '.join(allowed)}")
        words[key] = entry[key]
    scale = entry.get("scale")
    if scale is not None:
        if not isinstance(scale, list) or len(scale) != 2:
            raise ValueError(f"metric {name!r}: scale: expected two numbers, found {scale!r}")
        scale = tuple(_numbers(scale, f"metric {name!r}: scale"))
    return MetricDefinition(
        **words,
        unit=_text(entry, "unit", f"metric {name!r}"),
        definition=_text(entry, "definition", f"metric {name!r}"),
        scale=scale,
    )


def _text(entry: Mapping[str, Any], key: str, where: str) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{where}: {key}: expected a text, found {value!r}")
    return value


def _cases(document: Mapping[str, Any]) -> Iterator[tuple[str, CaseBaseline]]:
    entries = document.get("cases")
    if not isinstance(entries, list):
        raise ValueError(f"cases: expected a list, found {type(entries).__name__}")
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        name = entry.get("case") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise ValueError(f"cases: entry {number} has no 'case' name")
        if name in seen:
            raise ValueError(f"case {name!r} is there twice (a merge of two branches?); keep one of its lines")
        seen.add(name)
        yield name, _case(entry, f"case {name!r}")


def _case(entry: dict[str, Any], where: str) -> CaseBaseline:
    samples = entry.get("samples")
    if not isinstance(samples, dict):
        raise ValueError(f"{where}: expected 'samples'")
    digests = entry.get("cassettes", [])
    if not isinstance(digests, list) or not all(digest is None or isinstance(digest, str) for digest in digests):
        raise ValueError(f"{where}: cassettes: expected a list of texts")
    values = _samples(samples, entry.get("trials"), len(digests), where)
    gate = entry.get("gate")
    if not (gate is None or gate is False or (isinstance(gate, list) and all(isinstance(name, str) for name in gate))):
        raise ValueError(f"{where}: gate: expected a list of metrics or false, found {gate!r}")
    return CaseBaseline(
        values,
        digests,
        _text(entry, "group", where),
        _text(entry, "dataset", where),
        _numbers([entry.get("threshold", 1.0)], f"{where}: threshold")[0],
        gate,
    )


def _samples(samples: dict[str, Any], trials: Any, digests: int, where: str) -> dict[str, list[float | None]]:
    """Each metric's values, one a trial; a single number is that of every trial."""
    if trials is not None and (type(trials) is not int or not 1 <= trials <= MOST_TRIALS):
        raise ValueError(f"{where}: trials: expected a whole number from 1 to {MOST_TRIALS}, found {trials!r}")
    counts = {len(listed) for listed in samples.values() if isinstance(listed, list)}
    counts |= ({digests} if digests else set()) | ({trials} if trials is not None else set())
    if len(counts) > 1:
        raise ValueError(f"{where}: its metrics and cassettes differ in their number of trials")
    count = counts.pop() if counts else 1
    return {
        metric: _numbers(given if isinstance(given, list) else [given] * count, f"{where}: {metric}")
        for metric, given in samples.items()
    }


def _numbers(values: Any, where: str) -> list[float | None]:
    if not isinstance(values, list):
        raise ValueError(f"{where}: expected a list of numbers, found {values!r:.60}")
    for value in values:
        # One comparison finds 1e999, which JSON reads as infinite, and whole numbers no float can hold.
        if (type(value) is float or type(value) is int) and -LARGEST_NUMBER < value < LARGEST_NUMBER:
            continue
        if value is not None:
            raise ValueError(f"{where}: expected a number, found {str(value)[:60]!r}")
    return values


# Writing


def _lines(baseline: Baseline) -> Iterator[str]:
    fingerprint = baseline.fingerprint.model_dump()
    for key in ("prompt_texts", "judge_models"):
        if not fingerprint[key]:
            del fingerprint[key]
    yield f'{{\n"schema": {SCHEMA_VERSION},\n"created": {_json(baseline.created.isoformat(timespec="seconds"))},\n'
    yield '"fingerprint": {\n'
    yield ",\n".join(f"{_json(key)}: {_json(fingerprint[key])}" for key in sorted(fingerprint))
    yield '\n},\n"metrics": {\n'
    yield ",\n".join(f"{_json(name)}: {_json(_entry(baseline.metrics[name]))}" for name in sorted(baseline.metrics))
    yield '\n},\n"cases": [\n'
    yield ",\n".join(_case_line(name, baseline.cases[name]) for name in sorted(baseline.cases))
    yield "\n]\n}\n"


def _entry(metric: MetricDefinition) -> dict[str, Any]:
    fields = ("direction", "kind", "source", "unit", "definition", "scale")
    return {key: value for key in fields if (value := getattr(metric, key)) is not None}


def _case_line(name: str, case: CaseBaseline) -> str:
    head: dict[str, Any] = {"case": name}
    for key, value, default in (
        ("group", case.group, None),
        ("dataset", case.dataset_fingerprint, None),
        ("threshold", case.threshold, 1.0),
        ("gate", case.gate, None),
    ):
        if value != default:
            head[key] = value
    if any(case.digests):
        head["cassettes"] = case.digests
    listed = {metric: list(map(_digits, case.samples[metric])) for metric in sorted(case.samples)}
    trials = max(map(len, listed.values()), default=1)
    if trials > 1 and "cassettes" not in head and all(len(set(values)) == 1 for values in listed.values()):
        head["trials"] = trials
    samples = ",".join(f"{_json(metric)}:{_listed(values)}" for metric, values in listed.items())
    return f'{_json(head)[:-1]},"samples":{{{samples}}}}}'


def _listed(values: list[str]) -> str:
    """One number where all trials have the same; most have, and the file is a third smaller for it."""
    return values[0] if len(set(values)) == 1 else f"[{','.join(values)}]"


def _digits(value: float | None) -> str:
    if value is None:
        return "null"
    plain = f"{value:.6g}"
    short = f"{value:.5e}".replace("e-0", "e-")  # 0.000123457 is longer than 1.23457e-4
    return short if plain.startswith("0.000") and len(short) < len(plain) else plain.replace("e-0", "e-")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def is_special(path: Path) -> bool:
    """Whether it is a device or a pipe, in which nothing is kept."""
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except OSError:  # writing says why
        return False


def write(path: Path, content: str | bytes, what: str) -> None:
    """Write a file, whole or not at all.

    Args:
        path: where; missing folders are made. A device or pipe (``/dev/null``, ``/dev/stdout``) is written into: a file
            in its place would take it from everybody on the machine.
        content: a lone surrogate in a text is replaced.
        what: the file's kind, for the message.

    Raises:
        BaselineError: it cannot be written there.
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    if is_special(path):
        try:
            with path.open("wb") as file:
                file.write(data)
        except OSError as error:
            raise BaselineError(f"{path}: the {what} cannot be written: {error.strerror or error}.") from None
        return
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise BaselineError(f"{path}: the {what} cannot be written: {error.strerror or error}.") from None
