"""Which stored answers a live run has judged again, so that a judge that moved is told from an application that did."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pytest_llmops.baseline import answers as files
from pytest_llmops.baseline.files import load as load_baseline
from pytest_llmops.baseline.stored import Baseline
from pytest_llmops.errors import BaselineError

_MASKED = re.compile(r"\[[A-Z_]{2,}\]")
ANSWERS = 10
"""Stored answers that are judged again, of each metric."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer of the baseline, with the score it got then."""

    text: str
    score: float


class StoredAnswers:
    """The baseline's answers that were judged, a few of each metric; every process of a run picks the same."""

    def __init__(self, stored: Baseline, answers: files.Answers) -> None:
        self._stored, self._answers = stored, answers
        self._chosen: dict[str, frozenset[str]] = {}

    def of(self, case: str, metric: str, definition: str) -> StoredAnswer | None:
        """The answer of a case to judge again; None where it is not among the few, or was judged otherwise."""
        defined = self._stored.metrics.get(metric)
        if defined is None or defined.definition != definition or case not in self._picked(metric):
            return None
        text, score = self._first(case, metric) or ("", 0.0)
        return StoredAnswer(text, score)

    def _picked(self, metric: str) -> frozenset[str]:
        if metric not in self._chosen:
            usable = [case for case in self._stored.cases if self._first(case, metric)]
            usable.sort(key=lambda case: hashlib.blake2b(case.encode("utf-8", "replace")).digest())
            self._chosen[metric] = frozenset(usable[:ANSWERS])
        return self._chosen[metric]

    def _first(self, case: str, metric: str) -> tuple[str, float] | None:
        scores = self._stored.cases[case].samples.get(metric, [])
        for text, score in zip(self._answers.get(case, []), scores, strict=False):
            # A masked answer is not the one that got this score.
            if text is not None and score is not None and not _MASKED.search(text):
                return text, score
        return None


def load(file: Path) -> StoredAnswers | None:
    """A baseline's stored answers; None without it or them, or where their file is damaged (said at the run's end)."""
    try:
        answers = files.beside(file)
    except BaselineError:
        return None
    return StoredAnswers(load_baseline(file), answers) if answers else None
