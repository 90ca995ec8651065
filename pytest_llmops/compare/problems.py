"""What makes a comparison say less than it seems to, and therefore fails the run."""

from __future__ import annotations

from collections.abc import Collection

from pytest_llmops.baseline import Baseline
from pytest_llmops.compare.policy import Policy
from pytest_llmops.errors import did_you_mean
from pytest_llmops.records import GateProblem, RunRecord


def found(baseline: Baseline, run: RunRecord, policy: Policy) -> list[GateProblem]:
    """The problems of a run that is compared."""
    return [one for one in (_moved(baseline, run), unknown_gates(baseline, run, policy)) if one is not None]


def unknown_gates(baseline: Baseline | None, run: RunRecord, policy: Policy) -> GateProblem | None:
    """A metric that is to gate and that nobody records would switch the gate off in silence."""
    wanted = {name: test.case for test in run.tests for name in test.gate or ()}
    for name, chosen in policy.metrics.items():
        if chosen.gate:
            wanted.setdefault(name, f"pyproject.toml [tool.pytest-llmops.metrics.{name}]")
    if not wanted:
        return None
    stored: Collection[str] = baseline.metrics if baseline is not None else ()
    recorded = {name for test in run.tests for name in test.measurements}
    known = {name for full in (*recorded, *stored) for name in (full, full.partition("#")[0])}
    lines = [
        f"{where}: {name!r} is to gate, but no test records a metric of that name.{did_you_mean(name, known)}"
        for name, where in wanted.items()
        if name not in known
    ]
    return GateProblem(name="gate", message="\n".join(lines)) if lines else None


def _moved(baseline: Baseline, run: RunRecord) -> GateProblem | None:
    """The same tests under other node ids: pytest took another folder as its root, and nothing was compared."""
    ran = {test.case for test in run.tests}
    if not baseline.cases or ran & baseline.cases.keys():
        return None
    # A node id that is the end of another's is found by its last parts, not by holding each beside each.
    stored = {case.rpartition("/")[2]: case for case in baseline.cases}
    for now in sorted(ran):
        before = stored.get(now.rpartition("/")[2])
        if before is not None and (before.endswith(f"/{now}") or now.endswith(f"/{before}")):
            message = (
                f"nothing was compared: the baseline knows {before!r}, this run {now!r}\n"
                "  a case's key is its node id, which changes with the folder pytest takes as its root (--rootdir)"
            )
            return GateProblem(name="node-ids", message=message)
    return None
