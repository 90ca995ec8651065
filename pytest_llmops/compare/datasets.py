"""Which stored cases are missing because their dataset goes without them."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from pytest_llmops import datasets
from pytest_llmops.baseline import Baseline
from pytest_llmops.compare.pairing import test_function
from pytest_llmops.errors import LlmopsError
from pytest_llmops.records import RunRecord, TestRecord


def taken_out(baseline: Baseline, run: RunRecord, root: Path) -> dict[str, str]:
    """Stored cases that their test's dataset no longer has, with that dataset.

    A case that the dataset has, and the test ran without, is not among them.

    Args:
        baseline: the stored side.
        run: the run.
        root: pytest's rootdir, in which the paths of datasets begin.
    """
    tests: dict[str, list[TestRecord]] = {}
    for test in run.tests:
        tests.setdefault(test_function(test.case), []).append(test)
    there = {test.case for test in run.tests} | {*run.deselected}
    found: dict[str, str] = {}
    read: dict[str, set[str]] = {}
    for case in sorted(baseline.cases.keys() - there):
        ran = tests.get(test_function(case), ())
        dataset = ran[0].dataset if ran else None
        if dataset is None:
            continue
        if dataset not in read:
            read[dataset] = _written(root / dataset)
        if (ids := read[dataset]) and not _has(ids, _parameters(case), [_parameters(test.case) for test in ran]):
            found[case] = dataset
    return found


def _written(file: Path) -> set[str]:
    """A dataset's ids as pytest writes them, escaped and not; none where it cannot be read any more."""
    try:
        ids = {case.id for case in datasets.load(file)}
    except LlmopsError:  # the tests did read it: what happened to it since says nothing of its cases
        return set()
    return ids | {one.encode("unicode_escape").decode("ascii") for one in ids}


def _parameters(case: str) -> str:
    return case.partition("::")[2].partition("[")[2].removesuffix("]")


def _has(ids: Collection[str], parameters: str, of_others: Collection[str]) -> bool:
    if all(one in ids for one in of_others):  # the dataset is all that parametrises the test
        return parameters in ids
    return any(re.search(rf"(?:\A|-){re.escape(one)}(?:-|\Z)", parameters) for one in ids)
