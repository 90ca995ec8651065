"""The run in the Common Test Report Format (ctrf.io), for the many tools that read it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from pytest_llmops.compare import Policy, failing_cases, failures
from pytest_llmops.records import RunRecord, TestRecord
from pytest_llmops.reports import safety

SPEC_VERSION = "0.0.0"
SHOWN = {"cases", "baseline", "current", "delta", "p_adjusted", "mde"}
STATUSES = {
    "passed": "passed",
    "failed": "failed",
    "error": "failed",
    "skipped": "skipped",
    "xfailed": "skipped",
    "xpassed": "passed",
}


def render(run: RunRecord, policy: Policy | None = None) -> str:
    """The CTRF document: a test an evaluation, and one for each gated metric and whatever else failed.

    Args:
        run: the run.
        policy: the gate's settings, for what counts as red.
    """
    failing = failing_cases(run.tests)
    tests = [_test(test, case_failed=test.case in failing) for test in run.tests if not test.rerun]
    tests += _verdicts(run, policy or Policy())
    counts = Counter(test["status"] for test in tests)
    took = sum(test["duration"] for test in tests)
    stop = run.created
    where = run.environment
    environment: dict[str, Any] = {"extra": {"python": where.python, "pytest": where.pytest}}
    if where.commit:
        environment["commit"] = where.commit
    document = {
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        "timestamp": stop.isoformat(),
        "generatedBy": "pytest-llmops",
        "results": {
            "tool": {"name": "pytest-llmops", "version": run.environment.plugin},
            "summary": {
                "tests": len(tests),
                **{status: counts[status] for status in ("passed", "failed", "skipped", "pending", "other")},
                "start": _epoch_ms(stop - timedelta(milliseconds=took)),
                "stop": _epoch_ms(stop),
                "duration": took,
            },
            "tests": tests,
            "environment": environment,
        },
    }
    return json.dumps(document, allow_nan=False) + "\n"


def _epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _test(test: TestRecord, *, case_failed: bool) -> dict[str, Any]:
    file, _, name = test.id.partition("::")
    entry: dict[str, Any] = {
        "name": name or test.id,
        "status": "other" if test.outcome == "failed" and not case_failed else STATUSES[test.outcome],
        "rawStatus": test.outcome,
        "duration": round(test.duration_s * 1000),
        "suite": [file],
        "filePath": file,
        "type": "llm-evaluation",
        "extra": {
            "case": test.case,
            "trial": test.trial,
            "measurements": {name: measured.value for name, measured in test.measurements.items()},
            "calls": len(test.calls),
        },
    }
    if test.tags:
        entry["tags"] = test.tags
    if test.error:
        entry["message"] = test.error
    return entry


def _verdicts(run: RunRecord, policy: Policy) -> Iterator[dict[str, Any]]:
    for nodeid in run.also_failed:
        suite, _, name = nodeid.partition("::")
        yield {"name": name or nodeid, "status": "failed", "duration": 0, "suite": [suite], "type": "other"}
    for nodeid, message in safety.failures(run):
        yield {
            "name": nodeid,
            "status": "failed",
            "duration": 0,
            "suite": ["llm-safety"],
            "type": "safety-limit",
            "message": message,
        }
    if run.comparison is None:
        return
    red = {failure.name: failure.message for failure in failures(run.comparison, policy)}
    rows = {row.metric: row for row in run.comparison.metrics if row.gate}
    for name in [*rows, *(name for name in red if name not in rows)]:
        entry: dict[str, Any] = {
            "name": f"llm-baseline::{name}",
            "status": "failed" if name in red else "passed",
            "duration": 0,
            "suite": ["llm-baseline"],
            "type": "regression-gate",
        }
        if name in rows:
            entry["rawStatus"] = rows[name].verdict
            entry["extra"] = rows[name].model_dump(include=SHOWN)
        if name in red:
            entry["message"] = red[name]
        yield entry
