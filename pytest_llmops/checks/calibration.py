"""How far a judge can be trusted: its agreement with people, and the level it would show if it were right."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist, fmean
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pytest_llmops import stats
from pytest_llmops.checks.calibration_sheet import Labels, write
from pytest_llmops.errors import SettingsError
from pytest_llmops.settings import JudgeSettings

SCHEMA = 1
WEAK_J = 0.6
"""Below it a judge shows less than three fifths of any change."""

Share = tuple[float, float, float]
"""(estimate, lower, upper) of a two-sided 95 % interval."""


class Calibration(BaseModel):
    """A judge beside people, by one criterion.

    Args:
        definition: hash of judge model and rubric that this holds for; None: known for no judge.
        threshold: score from which the judge is taken to call an answer good (1 - score where high is bad).
        table: [[both good, people good only], [judge good only, both bad]].
        kappa: Cohen's κ.
        tpr: share of good answers that the judge calls good; None without any. `tnr` of bad ones.
        j: TPR + TNR - 1: a true change of 1 is shown as a change of j.
        judged: share of all answers that the judge calls good.
        corrected: the share that people would call good, by PPI++.
    """

    model_config = ConfigDict(extra="ignore")

    criterion: str
    definition: str | None
    created: datetime
    threshold: float
    labels: int
    unlabelled: int
    table: tuple[tuple[int, int], tuple[int, int]]
    kappa: float
    tpr: Share | None
    tnr: Share | None
    j: float | None
    judged: float
    corrected: Share

    @property
    def warnings(self) -> list[str]:
        """What is wrong with this judge, or with the labels."""
        found = []
        if self.j is None:
            word = "good" if self.tpr is None else "bad"
            found.append(f"no answer is labelled {word}, so half of what the judge does is unknown: label more")
        elif self.j < WEAK_J:
            found.append(
                f"J = {self.j:.2f} is below {WEAK_J:g}: a true drop of .10 shows as {max(self.j, 0) * 0.1:.3f}; "
                "sharpen the rubric's levels or take another judge"
            )
        if self.labels < 50:
            found.append(f"{self.labels} labels leave wide intervals; 100 or more are usual")
        return found


class CalibrationFile(BaseModel):
    """What ``judge calibrate`` writes and the gate reads."""

    schema_version: int = SCHEMA
    calibrations: list[Calibration] = []


def calibrate(criterion: str, labels: Labels, *, threshold: float = 0.7) -> Calibration:
    """Compare a judge with people.

    Args:
        criterion: the rubric's name.
        labels: at least one.
        threshold: score from which the judge is taken to call an answer good.
    """

    def is_good(score: float) -> bool:
        return (1 - score if labels.direction == "lower" else score) >= threshold - 1e-9

    judge = [is_good(score) for score, _ in labels.pairs]
    people = [good for _, good in labels.pairs]
    rest = [is_good(score) for score in labels.unlabelled]
    both = sum(j and p for j, p in zip(judge, people, strict=True))
    missed, wrong = sum(people) - both, sum(judge) - both
    neither = len(people) - both - missed - wrong
    tpr, tnr = _share(both, both + missed), _share(neither, neither + wrong)
    return Calibration(
        criterion=criterion,
        definition=labels.definition,
        created=datetime.now(UTC).replace(microsecond=0),
        threshold=threshold,
        labels=len(people),
        unlabelled=len(rest),
        table=((both, missed), (wrong, neither)),
        kappa=stats.cohen_kappa([[both, missed], [wrong, neither]]),
        tpr=tpr,
        tnr=tnr,
        j=tpr[0] + tnr[0] - 1 if tpr and tnr else None,
        judged=fmean([*judge, *rest]),
        corrected=corrected_level(people, judge, rest),
    )


def _share(successes: int, n: int) -> Share | None:
    return (successes / n, *stats.wilson(successes, n)) if n else None


def corrected_level(
    people: Sequence[float], judge: Sequence[float], unlabelled: Sequence[float], *, confidence: float = 0.95
) -> Share:
    """The mean of what people would say of all answers, from a random sample of labels and the judge's word on all.

    PPI++ (Angelopoulos, Duchi, Zrnic 2023) for a mean: what the judge says of the unlabelled answers, corrected by
    its error on the labelled ones, with the weight of the judge that makes the variance smallest.

    Args:
        people: of each labelled answer, 0..1.
        judge: of the same answers.
        unlabelled: the judge's word on answers without a label.
        confidence: of the two-sided interval, which is cut to 0..1.
    """
    n, rest = len(people), len(unlabelled)
    weight = 0.0
    if rest and n > 1:
        spread = _variance([*judge, *unlabelled])
        if spread > 0:
            weight = min(1.0, max(0.0, _covariance(people, judge) / ((1 + n / rest) * spread)))
    corrections = [p - weight * j for p, j in zip(people, judge, strict=True)]
    level = fmean(corrections) + (weight * fmean(unlabelled) if weight else 0.0)
    variance = _variance(corrections) / n + (weight**2 * _variance(unlabelled) / rest if weight else 0.0)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(variance)
    if set(people) <= {0, 1} and variance == 0:  # all alike: a normal interval would have no width
        _, low, high = _share(round(sum(people)), n) or (0.0, 0.0, 1.0)
        return level, low, high
    return min(1.0, max(0.0, level)), max(0.0, level - half), min(1.0, level + half)


def _variance(values: Sequence[float]) -> float:
    return _covariance(values, values)


def _covariance(one: Sequence[float], other: Sequence[float]) -> float:
    if len(one) < 2:
        return 0.0
    a, b = fmean(one), fmean(other)
    return sum((x - a) * (y - b) for x, y in zip(one, other, strict=True)) / (len(one) - 1)


def load(path: Path) -> CalibrationFile:
    """Read a calibration file; an empty one where there is none.

    Raises:
        SettingsError: it is damaged, or of another version.
    """
    try:
        file = CalibrationFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return CalibrationFile()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{path}: is no calibration file ({where}: {first['msg']}).\n"
            "Remove it, and write it anew: pytest-llmops judge calibrate LABELS"
        ) from None
    if file.schema_version != SCHEMA:
        raise SettingsError(f"{path}: has schema {file.schema_version}, this version reads {SCHEMA}.")
    return file


def save(path: Path, fresh: Sequence[Calibration]) -> list[Calibration]:
    """Put calibrations into a file, over older ones of the same judge and rubric.

    Returns:
        those that are bound to a judge and say both how it treats good and bad answers; only these are written.

    Raises:
        LlmopsError: the file cannot be read or written.
    """
    usable = [one for one in fresh if one.definition and one.j is not None]
    if usable:
        taken = {one.definition for one in usable}
        kept = [one for one in load(path).calibrations if one.definition not in taken]
        calibrations = sorted([*kept, *usable], key=lambda one: (one.criterion, one.definition or ""))
        text = CalibrationFile(calibrations=calibrations).model_dump_json(indent=1)
        write(path, text + "\n")
    return usable


def required(settings: JudgeSettings) -> dict[str, Any]:
    """What the gate's policy says of calibration.

    Raises:
        SettingsError: the calibration file is needed and damaged.
    """
    if not settings.require_calibration:
        return {}
    calibrations = load(settings.calibration).calibrations
    known = frozenset(one.definition for one in calibrations if one.definition)
    return {"needs_calibration": settings.require_calibration, "calibrated": known}


def as_json(calibrations: Sequence[Calibration], file: Path | None) -> str:
    """Calibrations with their warnings, and where they were written."""
    rows = [{**one.model_dump(mode="json"), "warnings": one.warnings} for one in calibrations]
    return json.dumps({"calibrations": rows, "file": str(file) if file else None}, indent=2, ensure_ascii=False)
