"""The stored baseline of a suite: read, merge, write. Also reads and writes run records."""

from pytest_llmops.baseline import answers
from pytest_llmops.baseline.files import SCHEMA_VERSION, kind_of, load, load_run, save, save_run, write
from pytest_llmops.baseline.stored import (
    GUARD_TRIALS,
    Baseline,
    CaseBaseline,
    MetricDefinition,
    cases_below_guard,
    dropped,
    partial,
    prune,
    trials_by_case,
    update,
)

__all__ = [
    "GUARD_TRIALS",
    "SCHEMA_VERSION",
    "Baseline",
    "CaseBaseline",
    "MetricDefinition",
    "answers",
    "cases_below_guard",
    "dropped",
    "kind_of",
    "load",
    "load_run",
    "partial",
    "prune",
    "save",
    "save_run",
    "trials_by_case",
    "update",
    "write",
]
