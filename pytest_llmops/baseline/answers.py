"""The baseline's answers, kept beside it so that reports can show what changed: ``baseline.answers.jsonl.gz``.

No verdict is made of them; a report without them only lacks its word diff.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_llmops.baseline.files import write
from pytest_llmops.baseline.stored import partial, trials_by_case
from pytest_llmops.errors import BaselineError
from pytest_llmops.records import RunRecord

Answers = dict[str, list[str | None]]
"""Case to its answers, one a trial; None where a trial has none."""

LARGEST = 2**30
"""Bytes of text; a file made to unpack to more is not read."""


def path_beside(baseline: Path) -> Path:
    """Where a baseline's answers are kept."""
    return baseline.with_name(baseline.name.removesuffix(".json") + ".answers.jsonl.gz")


def beside(baseline: Path) -> Answers:
    """The answers of a baseline; none where it is not there, since a file left behind is of another one.

    Raises:
        BaselineError: they cannot be read.
    """
    return load(path_beside(baseline)) if baseline.is_file() else {}


def load(path: Path) -> Answers:
    """Read stored answers; none where there is no such file.

    Raises:
        BaselineError: it cannot be read.
    """
    try:
        with gzip.open(path) as file:
            data = file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, EOFError) as error:
        raise BaselineError(f"{path}: the baseline's answers cannot be read: {error}") from None
    if len(data) > LARGEST:
        raise BaselineError(f"{path}: more than {LARGEST // 2**20} MB of answers")
    answers: Answers = {}
    for number, line in enumerate(data.splitlines(), 1):
        try:
            entry = json.loads(line)
            answers[entry["case"]] = [_text(text) for text in entry["answers"]]
        except (ValueError, TypeError, KeyError):
            raise BaselineError(f"{path}: line {number} is no case with its answers") from None
    return answers


def update(old: Mapping[str, list[str | None]], run: RunRecord) -> Answers:
    """The answers after this run, by the rule of `baseline.update`: cases that ran are replaced, the others kept."""
    fresh = {}
    for case, trials in trials_by_case(run.tests).items():
        if not partial(trials) and not any(trial.outcome in ("error", "skipped") for trial in trials):
            outputs = {trial.trial: trial.output for trial in trials}
            fresh[case] = [outputs.get(number) for number in range(max(outputs) + 1)]
    merged = {**old, **fresh}
    return {case: merged[case] for case in sorted(merged) if any(text is not None for text in merged[case])}


def save(path: Path, answers: Mapping[str, list[str | None]]) -> None:
    """Write answers, whole or not at all; equal answers make equal files. No file is made for none.

    Raises:
        BaselineError: it cannot be written there.
    """
    lines = [
        json.dumps({"case": case, "answers": answers[case]}, separators=(",", ":")).encode() for case in sorted(answers)
    ]
    if not lines and not path.exists():
        return
    write(path, gzip.compress(b"\n".join(lines) + b"\n", mtime=0), "file of the baseline's answers")


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value
