"""What a run amounts to: one conclusion, and whether the job is red for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_llmops.baseline import Baseline
from pytest_llmops.baseline.stored import trials_by_case
from pytest_llmops.compare import Policy, case_fails, failing_cases, failures
from pytest_llmops.compare.cases import is_miss
from pytest_llmops.github.inputs import FailOn
from pytest_llmops.github.maintaining import Command
from pytest_llmops.github.testing import JUnit, junit_id
from pytest_llmops.records import Comparison, RunRecord, TestRecord
from pytest_llmops.reports import pull_request
from pytest_llmops.reports.pull_request import Conclusion, NeedsRecording

CRASHES = {
    None: "pytest did not come to its end: it was killed, or the machine ran out of memory or time",
    2: "pytest was interrupted, or could not collect the tests",
    3: "pytest had an internal error",
    4: "pytest was called with something it does not take",
    5: "pytest collected no test",
}
LISTED = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run amounts to. Counts are of cases.

    Args:
        red: whether the gate step fails.
        why: for its message.
        refuted: cases that failed at first and not when they were run once more.
    """

    conclusion: Conclusion
    red: bool
    why: str = ""
    total: int = 0
    passed: int = 0
    failed: int = 0
    regressed: int = 0
    new: int = 0
    removed: int = 0
    cost_usd: float | None = None
    needs_recording: tuple[NeedsRecording, ...] = ()
    refuted: tuple[str, ...] = ()


def conclude(
    run: RunRecord | None,
    exit_code: int | None,
    junit: JUnit,
    *,
    stored: Baseline | None,
    fail_on: FailOn,
    can_record: bool,
    command: Command,
    updates: bool = False,
    confirms: bool = False,
) -> Verdict:
    """Sum up a run; where it `updates` the baseline, what the comparison finds is shown and fails nothing.

    Where it `confirms` (a schedule), a live failure that fresh trials do not show as well fails nothing either.

    A case that failed in the baseline already (`stored`) is no regression. Where who opened the pull request could not
    have had a miss recorded, missing recordings are no failure; `command` is what a maintainer runs.
    """
    failing = [] if run is None else _failing(run)
    missed = {case for case, trials in failing if trials and all(map(is_miss, trials))}
    other_failing = [(case, trials) for case, trials in failing if case not in missed]
    gate = list(junit.gate) if updates else _gate(run, junit, missed)
    explained = bool(failing or gate or junit.others) or exit_code == 0
    if exit_code not in (0, 1) or not explained:
        crash = CRASHES.get(exit_code, f"pytest ended with {exit_code}, and nothing that it left says why")
        return _counted(Verdict("error", fail_on != "never", crash), run, [case for case, _ in failing])
    needs = () if can_record or run is None else _needs_recording(failing, missed, junit, command)
    cases = [case for case, _ in failing]
    if needs and not (other_failing or gate or junit.others):
        why = "1 case needs" if len(missed) == 1 else f"{len(missed)} cases need"
        why += " recording by a maintainer"
        return _counted(Verdict("needs-recording", False, why, needs_recording=needs), run, cases)
    before = pull_request.failed_before(stored, run) if stored is not None and run is not None else ()
    known = {case for case, _ in other_failing} & set(before)
    refuted = tuple(case for case, trials in other_failing if confirms and run and _is_refuted(run, case, trials))
    fresh = [case for case, _ in (other_failing if needs else failing) if case not in (*known, *refuted)]
    failed = [case for case, _ in failing if (case not in missed or not needs) and case not in refuted]
    failed += junit.others
    conclusion: Conclusion = "regression" if gate else "failure" if failed else "success"
    red = {
        "regression": bool(gate or fresh or junit.others),
        "failure": bool(failed),
        "any": bool(gate or failed),
        "never": False,
    }[fail_on]
    why = _why(gate, failed, known)
    if refuted and not (gate or failed):
        why = f"what failed at first did not when it was run once more: {_some(refuted)}"
    found = Verdict(conclusion, red, why, needs_recording=needs, refuted=refuted)
    return _counted(found, run, cases)


def _failing(run: RunRecord) -> list[tuple[str, list[TestRecord]]]:
    """Cases that fail, each with the trials that did not pass."""
    return [
        (case, [trial for trial in trials if trial.outcome in ("failed", "error")])
        for case, trials in failing_cases(run.tests).items()
    ]


def _is_refuted(run: RunRecord, case: str, failing: Sequence[TestRecord]) -> bool:
    """Whether a case's fresh trials do without its failures; a trial that broke down is not answered by them."""
    again = [test for test in run.tests if test.case == case and test.rerun and not test.of_baseline]
    return bool(again) and not case_fails(again) and all(trial.outcome == "failed" for trial in failing)


def _gate(run: RunRecord | None, junit: JUnit, missed: set[str]) -> list[str]:
    """Names of the gate's failures that are more than missing recordings."""
    comparison = run.comparison if run else None
    if comparison is None:
        return list(junit.gate)
    errored = [one for one in comparison.findings if one.finding == "errored" and one.fails and not one.accepted]
    names = junit.gate or [one.name for one in failures(comparison, Policy())]
    only_missed = bool(errored) and all(one.case in missed for one in errored)
    return [name for name in names if not (name == "errored-cases" and only_missed)]


def _needs_recording(
    failing: Sequence[tuple[str, list[TestRecord]]], missed: set[str], junit: JUnit, command: Command
) -> tuple[NeedsRecording, ...]:
    """One entry a test function: its cases miss for one and the same change."""
    found: dict[str, NeedsRecording] = {}
    for case, trials in failing:
        test = case.partition("[")[0]
        if case in missed and test not in found:
            first = trials[0]
            said = junit.messages.get(junit_id(first.id)) or first.error or ""
            need = NeedsRecording(
                test, changed=what_changed(said), prompt=first.prompt or next(iter(first.prompts), None)
            )
            found[test] = command.of(need)
    return tuple(found.values())


def what_changed(said: str) -> str:
    """A miss without its command, which is another here."""
    lines = [line for line in said.splitlines() if not line.lstrip().startswith("re-record:")]
    return "\n".join(line for line in lines[:LISTED] if line.strip())


def _counted(found: Verdict, run: RunRecord | None, failing: Sequence[str]) -> Verdict:
    if run is None:
        return found
    cases = trials_by_case(run.tests)
    skipped = sum(all(trial.outcome == "skipped" for trial in trials) for trials in cases.values())
    comparison = run.comparison or Comparison()
    regressed = [row for row in comparison.metrics if row.verdict == "regressed" and row.gate and not row.accepted]
    broken = [case for case in comparison.broken_cases if not case.accepted]
    return replace(
        found,
        total=len(cases),
        failed=len(failing),
        passed=len(cases) - len(failing) - skipped,
        regressed=len(regressed) + len(broken),
        new=len(comparison.new_cases),
        removed=len(comparison.missing_cases),
        cost_usd=spent(run),
    )


def spent(run: RunRecord | None) -> float | None:
    """USD of this run's live calls, judges' included; None where one's price is unknown."""
    calls = [call for test in (run.tests if run else ()) for call in test.calls if not call.replayed]
    prices = [call.cost_usd for call in calls if call.cost_usd is not None or call.error is None]
    return None if None in prices else sum(price or 0.0 for price in prices)


def _why(gate: Sequence[str], failed: Sequence[str], known: set[str]) -> str:
    parts = [f"the gate failed: {_some(gate)}"] if gate else []
    if failed:
        parts.append(
            f"failed: {_some(failed)}" + (f" ({len(known)} of them failed in the baseline, too)" * bool(known))
        )
    return "; ".join(parts) or "everything passed"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
