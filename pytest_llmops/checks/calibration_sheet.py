"""The sheet that people label answers in: made from a run, filled in with any spreadsheet program, read back.

People must not see the judge's score while they label, so the scores lie in a second file beside the sheet.
"""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_llmops.errors import LlmopsError, did_you_mean
from pytest_llmops.records import RunRecord, TestRecord

COLUMNS = ("id", "criterion", "question", "input", "answer", "label", "comment")
GOOD = frozenset({"good", "yes", "y", "pass", "true", "1", "1.0"})
BAD = frozenset({"bad", "no", "n", "fail", "false", "0", "0.0"})
SCHEMA = 1

# A cell that begins so is a formula to a spreadsheet program.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_LONGEST_CELL = 32_000


class LabelsError(LlmopsError):
    """A sheet of labels that cannot be made or read; the message names the line."""


@dataclass
class Labels:
    """What people and the judge say by one criterion.

    Args:
        definition: hash of judge model and rubric; None where the sheet gives the scores itself.
        direction: ``lower`` where a high score is a bad one.
        pairs: (judge's score, whether people call the answer good) of each labelled answer.
        unlabelled: the judge's scores of all other answers of the run.
    """

    definition: str | None = None
    direction: str = "higher"
    pairs: list[tuple[float, bool]] = field(default_factory=list)
    unlabelled: list[float] = field(default_factory=list)


def scores_file(labels: Path) -> Path:
    """Where the judge's scores of a sheet lie: ``labels.judge.json`` beside ``labels.csv``."""
    return labels.with_name(f"{labels.stem}.judge.json")


def make(run: RunRecord, target: Path, *, sample: int, criterion: str | None = None, seed: int = 0) -> dict[str, int]:
    """Write a sheet with a random sample of the judged answers of a run, and the judge's scores beside it.

    Args:
        run: with prompts and answers (``llm_store_text``).
        target: a CSV file; an existing one is not replaced, people may have worked on it.
        sample: answers of each criterion.
        criterion: only this one.
        seed: of the sample.

    Returns:
        rows by criterion.

    Raises:
        LabelsError: nothing was judged, no text was kept, or the file is there already.
    """
    scores = scores_file(target)
    for path in (target, scores):
        if path.exists():
            raise LabelsError(f"{path} is there already, and may hold labels; give another name with -o.")
    judged = _judged(run, criterion)
    rows, kept = [], {}
    for name, tests in judged.items():
        chosen = random.Random(f"{seed}:{name}").sample(tests, min(sample, len(tests)))
        rows += [_row(test, name) for test in chosen]
        first = tests[0].measurements[name]
        kept[name] = {
            "definition": first.definition,
            "direction": first.direction,
            "scores": {test.id: test.measurements[name].value for test in tests},
        }
    random.Random(seed).shuffle(rows)  # answers of one criterion in a row make people lenient
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    write(target, "\ufeff" + buffer.getvalue())  # without the mark Excel does not take it for UTF-8
    write(scores, json.dumps({"schema": SCHEMA, "criteria": kept}, ensure_ascii=False, indent=1) + "\n")
    return {name: min(sample, len(tests)) for name, tests in judged.items()}


def _judged(run: RunRecord, criterion: str | None) -> dict[str, list[TestRecord]]:
    """By criterion, the tests whose stored answer is the judged text."""
    found: dict[str, list[TestRecord]] = {}
    scored: set[str] = set()
    for test in run.tests:
        # Only the last run's text is kept, so of several runs it is unclear which one was judged.
        several = any("#" in name for name in test.measurements)
        for name, measured in test.measurements.items():
            if measured.source != "judge" or measured.value is None or test.rerun:
                continue
            scored.add(name.partition("#")[0])
            if not several and test.output is not None:
                found.setdefault(name, []).append(test)
    if criterion is not None and criterion not in scored:
        raise LabelsError(f"no answer of this run was judged by {criterion!r}.{did_you_mean(criterion, scored)}")
    if not scored:
        raise LabelsError("no answer of this run was judged: score some with result.judge(…) or measure=[…].")
    found = {name: tests for name, tests in found.items() if criterion in (None, name)}
    if not found:
        raise LabelsError("the run keeps no answers to label (llm_store_text = false, or several runs in each test).")
    for name, tests in found.items():
        if len({test.measurements[name].definition for test in tests}) > 1:
            raise LabelsError(f"{name!r} was judged with two definitions in this run; calibrate one judge at a time.")
    return found


def _row(test: TestRecord, name: str) -> list[str]:
    from pytest_llmops.checks.builtin_rubrics import BUILTIN
    from pytest_llmops.checks.tone import RUBRICS

    asked = "" if test.input is None else test.input if isinstance(test.input, str) else _as_json(test.input)
    rubric = RUBRICS.get(name.removeprefix("tone_"), name) if name.startswith("tone_") else name
    question = BUILTIN[rubric].question if rubric in BUILTIN else name
    return [_harmless(cell) for cell in (test.id, name, question, asked, test.output or "", "", "")]


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet program computes; longer ones than they take are cut in the middle."""
    if len(cell) > _LONGEST_CELL:
        half = _LONGEST_CELL // 2
        cell = f"{cell[:half]} […] {cell[-half:]}"
    cell = cell.replace("\0", "\ufffd")
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell


def _original(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].lstrip(" ").startswith(_FORMULA) else cell


def read(path: Path) -> dict[str, Labels]:
    """What a filled-in sheet says, by criterion; the judge's scores from beside it, or its own column ``judge``.

    Raises:
        LabelsError: missing, damaged, or with a label, an id or a score that cannot be used.
    """
    rows = _rows(path)
    columns = set(rows[0][1]) if rows else set()
    own = "judge" in columns
    scores = {} if own else _scores(path)
    found: dict[str, Labels] = {}
    seen: dict[tuple[str, str], int] = {}
    for line, row in rows:
        where = f"{path}:{line}"
        name = _original(row.get("criterion") or "") or "judge"
        if own:
            labels, score = found.setdefault(name, Labels()), _number(row.get("judge"), where)
        else:
            labels, score = _from_run(found, scores, name, _original(row.get("id") or ""), where)
        if not own or row.get("id"):
            first = seen.setdefault((name, row["id"]), line)
            if first != line:
                raise LabelsError(f"{where}: {row['id']} was labelled by {name!r} in line {first} already.")
        label = _label(row.get("label"), where)
        if label is None and own:
            labels.unlabelled.append(score)
        elif label is not None:
            labels.pairs.append((score, label))
            if not own:
                labels.unlabelled.remove(score)  # equal ones are as good as each other
    if not any(labels.pairs for labels in found.values()):
        raise LabelsError(f"{path}: no row has a label; write good or bad into the column 'label'.")
    return {name: labels for name, labels in found.items() if labels.pairs}


def _from_run(found: dict[str, Labels], scores: dict[str, Any], name: str, id: str, where: str) -> tuple[Labels, float]:
    if name not in scores:
        raise LabelsError(f"{where}: the judge's scores have no criterion {name!r}.{did_you_mean(name, scores)}")
    if name not in found:
        entry = scores[name]
        found[name] = Labels(entry["definition"], entry["direction"], unlabelled=list(entry["scores"].values()))
    if id not in scores[name]["scores"]:
        raise LabelsError(f"{where}: the judge's scores have no {id!r}; the id must stay as it was written.")
    return found[name], scores[name]["scores"][id]


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelsError(f"{path}: cannot be read: {error}\nMake a sheet: judge label RUN -o {path}") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # where the comma is a decimal sign, programs save with semicolons
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [name.strip().lower() for name in reader.fieldnames or ()]
    for needed in ("label",) if "judge" in names else ("id", "criterion", "label"):
        if needed not in names:
            raise LabelsError(f"{path}: there is no column {needed!r}.{did_you_mean(needed, names)}")
    reader.fieldnames = names
    try:
        return [(reader.line_num, row) for row in reader if any(row.values())]
    except csv.Error as error:
        raise LabelsError(f"{path}:{reader.line_num}: is no CSV: {error}") from None


def _scores(path: Path) -> dict[str, Any]:
    file = scores_file(path)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise LabelsError(f"{file}: has schema {document['schema']}, this version reads {SCHEMA}.")
        criteria: dict[str, Any] = document["criteria"]
        for entry in criteria.values():
            if entry["direction"] not in ("higher", "lower"):
                raise KeyError("direction")
            entry["scores"] = {id: float(score) for id, score in entry["scores"].items()}
    except OSError as error:
        raise LabelsError(
            f"{file}: cannot be read: {error.strerror}\n"
            "It holds the judge's scores and was written with the sheet; or give the sheet a column 'judge' of scores."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelsError(f"{file}: is damaged ({error!r}); make the sheet again.") from None
    return criteria


def _label(cell: str | None, where: str) -> bool | None:
    word = (cell or "").strip().lower()
    if not word:
        return None
    if word in GOOD or word in BAD:
        return word in GOOD
    raise LabelsError(f"{where}: the label {cell!r} is neither good nor bad.")


def _number(cell: str | None, where: str) -> float:
    word = (cell or "").strip().lower().replace(",", ".")
    if word in GOOD | BAD:
        return float(word in GOOD)
    try:
        value = float(word)
    except ValueError:
        raise LabelsError(f"{where}: the judge's score {cell!r} is no number.") from None
    if not 0 <= value <= 1:
        raise LabelsError(f"{where}: the judge's score {cell} is not between 0 and 1.")
    return value


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        LabelsError: it cannot be written there.
    """
    from pytest_llmops.baseline import write as write_file
    from pytest_llmops.errors import BaselineError

    try:
        write_file(path, text, "sheet")
    except BaselineError as error:
        raise LabelsError(str(error)) from None
