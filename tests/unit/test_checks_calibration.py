"""A judge beside people: reference values, coverage of the corrected level, sheets that spreadsheets mistreat."""

from __future__ import annotations

import csv
import json
import random
from datetime import UTC, datetime

import pytest

from pytest_llmops.checks import calibration
from pytest_llmops.checks.calibration import calibrate, corrected_level
from pytest_llmops.checks.calibration_sheet import Labels, LabelsError, make, read, scores_file
from pytest_llmops.errors import SettingsError
from pytest_llmops.records import Measurement, RunRecord, TestRecord
from pytest_llmops.settings import JudgeSettings


def labels(both, people_only, judge_only, neither, **more):
    pairs = [(1.0, True)] * both + [(0.0, True)] * people_only + [(1.0, False)] * judge_only + [(0.0, False)] * neither
    return Labels("abc", pairs=pairs, **more)


def test_the_reference_values():
    found = calibrate("helpfulness", labels(20, 5, 10, 15))
    assert found.kappa == pytest.approx(0.4)
    assert found.table == ((20, 5), (10, 15))
    assert found.tpr[0] == 0.8
    assert found.tnr[0] == 0.6
    assert found.j == pytest.approx(0.4)
    assert any("J = 0.40 is below 0.6" in warning for warning in found.warnings)
    assert calibrate("x", labels(9, 1, 0, 5)).tpr == (
        0.9,
        pytest.approx(0.59585, abs=5e-6),
        pytest.approx(0.98212, abs=5e-6),
    )


def test_a_good_judge_with_enough_labels_has_no_warning():
    assert calibrate("x", labels(45, 5, 5, 45)).warnings == []


def test_one_class_of_labels_leaves_j_unknown():
    found = calibrate("x", labels(10, 1, 0, 0))
    assert (found.tnr, found.j) == (None, None)
    assert any("no answer is labelled bad" in warning for warning in found.warnings)


def test_where_high_is_bad_a_low_score_is_good():
    low = Labels("abc", "lower", pairs=[(0.1, True), (0.3, True), (0.9, False), (0.5, False)])
    assert calibrate("defensiveness", low).table == ((2, 0), (0, 2))


@pytest.mark.parametrize("judge", ["noisy", "useless", "biased"])
def test_the_corrected_level_covers_the_truth_where_the_judge_s_own_does_not(judge):
    """400 made-up studies: 100 labels of 1,000 answers, 80 % of them good."""
    rates = {"noisy": (0.9, 0.85), "useless": (0.5, 0.5), "biased": (0.98, 0.4)}[judge]
    rng = random.Random(7)
    covered, naive, widths = 0, 0, []
    studies = 400
    for _ in range(studies):
        truth = [rng.random() < 0.8 for _ in range(1000)]
        said = [rng.random() < (rates[0] if good else 1 - rates[1]) for good in truth]
        level, low, high = corrected_level(truth[:100], said[:100], said[100:])
        assert low <= level <= high
        covered += low <= 0.8 <= high
        mean = sum(said) / 1000
        naive += abs(mean - 0.8) <= 1.96 * (mean * (1 - mean) / 1000) ** 0.5
        widths.append(high - low)
    assert 0.91 <= covered / studies <= 0.98
    assert naive / studies < 0.5
    if judge == "noisy":  # narrower than without the judge: 2 × 1.96 × √(.8 × .2 / 100) = .157
        assert sum(widths) / studies < 0.14


def test_labels_of_everything_are_their_own_mean():
    assert corrected_level([1, 1, 0, 1], [0, 0, 0, 0], [])[0] == 0.75
    level, low, high = corrected_level([1, 1, 1], [1, 1, 1], [1] * 20)
    assert (level, high) == (1.0, 1.0)
    assert 0.4 < low < 0.5  # Wilson's, for a normal interval would have no width


def judged_run(n=30, *, output="An answer.", name="helpfulness", definition="abc", **more):
    tests = [
        TestRecord(
            id=f"test_a.py::test[c{i}]",
            case=f"test_a.py::test[c{i}]",
            input=f"Question {i}",
            output=output,
            measurements={
                name: Measurement(value=(i % 5) / 4, source="judge", definition=definition),
                "latency_ms": Measurement(value=1.0, source="builtin"),
            },
            **more,
        )
        for i in range(n)
    ]
    return RunRecord(created=datetime(2026, 1, 1, tzinfo=UTC), tests=tests)


def fill(path, verdict, **dialect):
    """Label every row as a person would, and save it as spreadsheet programs do."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["label"] = verdict(row)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0], **dialect)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def test_a_sheet_goes_round(tmp_path):
    sheet = tmp_path / "labels.csv"
    assert make(judged_run(), sheet, sample=20) == {"helpfulness": 20}
    good = {f"test_a.py::test[c{i}]" for i in range(30) if i % 5 >= 3}
    rows = fill(sheet, lambda row: "Good" if row["id"] in good else "bad")
    assert len(rows) == 20
    assert "score" not in str(rows[0].keys())
    found = read(sheet)["helpfulness"]
    assert (len(found.pairs), len(found.unlabelled), found.definition) == (20, 10, "abc")
    result = calibrate("helpfulness", found)
    assert (result.kappa, result.j) == (1.0, 1.0)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_separators_and_rows_left_blank(tmp_path, delimiter):
    sheet = tmp_path / "labels.csv"
    make(judged_run(), sheet, sample=20)
    blank = iter([True] * 5 + [False] * 15)
    fill(sheet, lambda row: "" if next(blank) else "no", delimiter=delimiter)
    found = read(sheet)["helpfulness"]
    assert (len(found.pairs), len(found.unlabelled)) == (15, 15)


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "  =1", "＝1", "\n=cmd"])
def test_no_cell_is_a_formula(tmp_path, text):
    sheet = tmp_path / "labels.csv"
    run = judged_run(3, output=text, name=f"{text}x")
    make(run, sheet, sample=3)
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in list(csv.reader(file))[1:] for cell in row if cell]
    assert not [cell for cell in cells if cell.lstrip(" ")[0] in "=+-@\t\r\n＝＋－＠"]
    fill(sheet, lambda row: "good")
    assert list(read(sheet)) == [f"{text}x"]


def test_the_sample_is_random_yet_repeatable_and_no_work_is_overwritten(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make(judged_run(), tmp_path / f"{name}.csv", sample=10, seed=seed)
    a, b, c = ((tmp_path / f"{name}.csv").read_text("utf-8") for name in "abc")
    assert a == b != c
    with pytest.raises(LabelsError, match=r"a\.csv is there already"):
        make(judged_run(), tmp_path / "a.csv", sample=10)


@pytest.mark.parametrize(
    ("run", "criterion", "message"),
    [
        (judged_run(0), None, "no answer of this run was judged"),
        (judged_run(), "helpfulnes", "Did you mean 'helpfulness'"),
        (judged_run(output=None), None, "keeps no answers"),
    ],
)
def test_a_run_without_anything_to_label(tmp_path, run, criterion, message):
    with pytest.raises(LabelsError, match=message):
        make(run, tmp_path / "labels.csv", sample=5, criterion=criterion)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,criterion\nx,y\n", "there is no column 'label'"),
        ("id,criterion,label\nnope,helpfulness,good\n", r"labels\.csv:2: the judge's scores have no 'nope'"),
        ("id,criterion,label\ntest_a.py::test[c1],helpfulnes,good\n", "Did you mean 'helpfulness'"),
        ("id,criterion,label\ntest_a.py::test[c1],helpfulness,maybe\n", "'maybe' is neither good nor bad"),
        ("id,criterion,label\ntest_a.py::test[c1],helpfulness,\n", "no row has a label"),
        ("id,criterion,label\n" + "test_a.py::test[c1],helpfulness,good\n" * 2, "in line 2 already"),
        ("judge,label\n0.5,good\nhigh,bad\n", r"csv:3: the judge's score 'high' is no number"),
        ("judge,label\n5,good\n", "is not between 0 and 1"),
    ],
)
def test_a_sheet_that_cannot_be_read_says_where(tmp_path, text, message):
    sheet = tmp_path / "labels.csv"
    make(judged_run(), sheet, sample=5)
    sheet.write_text(text, encoding="utf-8")
    with pytest.raises(LabelsError, match=message):
        read(sheet)


def test_the_judge_s_scores_missing_or_damaged(tmp_path):
    sheet = tmp_path / "labels.csv"
    make(judged_run(), sheet, sample=5)
    scores_file(sheet).write_text('{"schema": 1, "criteria": {"x": {}}}')
    with pytest.raises(LabelsError, match=r"labels\.judge\.json: is damaged"):
        read(sheet)
    scores_file(sheet).unlink()
    with pytest.raises(LabelsError, match="or give the sheet a column 'judge'"):
        read(sheet)


def test_a_sheet_with_a_column_of_its_own_for_the_judge(tmp_path):
    sheet = tmp_path / "own.csv"
    rows = ["1,good"] * 20 + ["0,good"] * 5 + ["1,bad"] * 10 + ["0,bad"] * 15 + ["1,"] * 4
    sheet.write_text("\n".join(["judge,label", *rows]))
    found = read(sheet)["judge"]
    assert calibrate("judge", found).kappa == pytest.approx(0.4)
    assert len(found.unlabelled) == 4
    assert calibration.save(tmp_path / "c.json", [calibrate("judge", found)]) == []
    assert not (tmp_path / "c.json").exists()


def test_the_file_keeps_other_judges_and_replaces_the_same_one(tmp_path):
    file = tmp_path / "c.json"
    other = calibrate("tone", labels(5, 1, 1, 5))
    other.definition = "xyz"
    calibration.save(file, [calibrate("helpfulness", labels(5, 0, 0, 5)), other])
    calibration.save(file, [calibrate("helpfulness", labels(4, 1, 0, 5))])
    kept = {one.definition: one.table for one in calibration.load(file).calibrations}
    assert kept == {"abc": ((4, 1), (0, 5)), "xyz": ((5, 1), (1, 5))}
    required = calibration.required(JudgeSettings(require_calibration=True, calibration=file))
    assert set(required["calibrated"]) == {"abc", "xyz"}
    assert calibration.required(JudgeSettings()) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"calibrations": [{"criterion": 1}]}', '{"schema_version": 9}'])
def test_a_damaged_calibration_file(tmp_path, text):
    file = tmp_path / "judge-calibration.json"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"judge-calibration\.json"):
        calibration.required(JudgeSettings(require_calibration=("tone",), calibration=file))


def test_json_without_surprises(tmp_path):
    document = json.loads(calibration.as_json([calibrate("x", labels(20, 5, 10, 15))], tmp_path / "f"))
    row = document["calibrations"][0]
    assert row["kappa"] == pytest.approx(0.4)
    assert row["warnings"]
    assert row["tpr"] == pytest.approx([0.8, 0.6087, 0.9114], abs=1e-3)
