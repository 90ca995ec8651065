"""Cases that broke, errored or are missing: what a metric's mean cannot see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pytest_llmops import stats
from pytest_llmops.baseline import GUARD_TRIALS
from pytest_llmops.compare.pairing import Pair, Pairing, test_function
from pytest_llmops.compare.policy import GateArgument
from pytest_llmops.records import BrokenCase, CaseFinding, TestRecord

REASON_LENGTH = 200
NAMED = 3
NO_RECORDING = "their recordings are missing"
GONE = "its dataset goes without it, until the baseline is made anew"
RECORD = "Record what is missing: pytest --llm-record=refresh"


def broken_cases(
    pairs: Sequence[Pair], reruns: dict[str, list[TestRecord]], alpha: float
) -> tuple[list[BrokenCase], list[CaseFinding]]:
    """Cases that passed in the baseline and fail now.

    On replay of the stored recordings that is a fact, even where not all of them came to be used. Else a case is
    suspect where five or more stored trials all passed and every trial of this run failed; five more failures in a row
    (its reruns, else the run's own trials) show it broken.

    Returns:
        The broken cases, and the suspects that are not settled or turned out not to be broken.
    """
    broken, suspects = [], []
    for pair in pairs:
        before = [value for value in pair.samples().get("pass", ()) if value is not None]
        now = _passes(pair.trials)
        if not before or not now:
            continue
        if pair.replayed:
            if _meets(before, pair.stored.threshold) and not _meets(now, pair.trials[-1].threshold):
                broken.append(_case(pair, before, now))
        elif len(before) >= GUARD_TRIALS and not any(now) and all(value == 1 for value in before):
            suspects.append(_weighed(_case(pair, before, now), now, reruns.get(pair.case, [])))
    tested = [case for case in suspects if case.p is not None or case.rerun_passed]
    adjusted = stats.holm([1.0 if case.p is None else case.p for case in tested])
    for case, p in zip(tested, adjusted, strict=True):
        case.p_adjusted = p if case.p is not None else None
    shown = [case for case in suspects if case.p_adjusted is not None and case.p_adjusted <= alpha]
    open_suspects = [_unsettled(case) for case in suspects if case not in shown]
    broken = sorted(broken + shown, key=lambda case: case.case)
    return broken, open_suspects


def _case(pair: Pair, before: list[float], now: list[float]) -> BrokenCase:
    return BrokenCase(
        case=pair.case,
        baseline_passed=sum(value == 1 for value in before),
        baseline_trials=len(before),
        trials=len(now),
        deterministic=pair.replayed,
        reason=_failure(pair.trials),
    )


def _weighed(case: BrokenCase, now: list[float], reruns: list[TestRecord]) -> BrokenCase:
    passes = _passes(reruns)
    case.reruns, case.rerun_passed = len(passes), int(sum(passes))
    if case.rerun_passed:
        return case
    fails = len(passes) or len(now)
    if fails >= GUARD_TRIALS:
        case.p = stats.fisher_worse(case.baseline_trials, case.baseline_trials, 0, fails)
    return case


def _unsettled(case: BrokenCase) -> CaseFinding:
    before = f"passed {case.baseline_passed} of {case.baseline_trials} in the baseline, 0 of {case.trials} now"
    if case.rerun_passed:
        return CaseFinding(
            case=case.case,
            finding="suspect",
            reason=f"{before}; {case.rerun_passed} of {case.reruns} reruns passed: not broken",
        )
    return CaseFinding(case=case.case, finding="suspect", reason=f"{before}; {GUARD_TRIALS} reruns would tell")


def _passes(trials: Sequence[TestRecord]) -> list[float]:
    measured = [trial.measurements.get("pass") for trial in trials]
    return [m.value for m in measured if m is not None and m.value is not None]


def _meets(values: Sequence[float], threshold: float | None) -> bool:
    return sum(value == 1 for value in values) / len(values) >= (1.0 if threshold is None else threshold) - 1e-9


def _failure(trials: Sequence[TestRecord]) -> str | None:
    return next((first_line(trial.error) for trial in trials if trial.error and trial.error.strip()), None)


def first_line(text: str) -> str:
    """What an error says first, short enough for a list."""
    return text.strip().partition("\n")[0][:REASON_LENGTH]


def is_miss(trial: TestRecord) -> bool:
    """Whether a trial failed for want of a recording."""
    return _says_so(_said(trial)) if trial.unrecorded is None else trial.unrecorded


def _said(trial: TestRecord) -> str:
    passed = trial.measurements.get("pass")
    return trial.error or (passed.reason if passed is not None else None) or ""


def lacks_recording(finding: CaseFinding) -> bool:
    """Whether nothing was measured in a case for want of recordings."""
    if finding.unrecorded is None:
        return finding.finding == "errored" and _says_so(finding.reason or "")
    return finding.unrecorded


def _says_so(reason: str) -> bool:
    """By the words of a miss, of a record that was made before it said so itself."""
    return "has no recording for call" in reason or "does not exist (call" in reason


def unrecorded(pair: Pair) -> bool:
    """Whether nothing was measured in a case because its recordings are missing."""
    return _missing_recording(pair) is not None


def _missing_recording(pair: Pair) -> str | None:
    return first_line(_said(pair.trials[0])) if all(map(is_miss, pair.trials)) else None


def errored_cases(lost: Mapping[str, Sequence[Pair]], guarded: Collection[str]) -> list[CaseFinding]:
    """Cases that lost the value of a gated metric to an error.

    A failed test that did not come to record its metric is no error where its failure is seen as such, nor is a value
    that was given as ``unscored``.

    Args:
        lost: by gated metric, the cases that have stored values and none now.
        guarded: cases in which ``pass`` gates.
    """
    reasons: dict[str, list[str]] = {}
    for metric, pairs in lost.items():
        for pair in pairs:
            reason = _missing_recording(pair) or _why_lost(metric, pair.trials, guarded=pair.case in guarded)
            if reason and reason not in reasons.setdefault(pair.case, []):
                reasons[pair.case].append(reason)
    missed = {pair.case for pairs in lost.values() for pair in pairs if unrecorded(pair)}
    return [
        CaseFinding(
            case=case, finding="errored", reason="; ".join(reasons[case]), fails=True, unrecorded=case in missed
        )
        for case in sorted(reasons)
        if reasons[case]
    ]


def without_value(lost: Mapping[str, Sequence[Pair]], errored: Collection[str]) -> list[str]:
    """A line for each gated metric that has no value now in cases that are not errored, or they would go unseen."""
    lines = []
    for metric, pairs in sorted(lost.items()):
        names = [pair.case for pair in pairs if pair.case not in errored]
        if names:
            plural = "s" * (len(names) != 1)
            lines.append(f"{metric} has no value now in {len(names)} case{plural} with a stored one: {some(names)}")
    return lines


def left_out(pairing: Pairing) -> list[str]:
    """Lines on stored cases that nothing was said of, and on tests that gate by other metrics than they did."""
    lines = []
    idle = list(dict.fromkeys(map(test_function, pairing.idle)))
    for cases, names, why in (
        (pairing.idle, idle, "of tests that did not run"),
        (pairing.deselected, pairing.deselected, "left out of this run (deselected)"),
    ):
        if cases:
            lines.append(f"{len(cases)} stored case{'s' * (len(cases) != 1)} {why}: {some(names)}")
    changed = {
        f"{test_function(one.case)} ({_gate(one.stored.gate)} → {_gate(one.gate)})": None
        for one in pairing.pairs
        if one.gate != one.stored.gate
    }
    return lines + ([f"the marker's gate changed since the baseline: {some(list(changed))}"] if changed else [])


def _gate(argument: GateArgument) -> str:
    return "as the settings say" if argument is None else "nothing gates" if argument is False else ", ".join(argument)


def some(names: Sequence[str]) -> str:
    """The first few names, for a note."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _why_lost(metric: str, trials: Sequence[TestRecord], *, guarded: bool) -> str | None:
    for trial in trials:
        measured = trial.measurements.get(metric)
        if measured is not None and measured.status == "error":
            return f"{metric}: {first_line(measured.reason or 'error')}"
    for trial in trials:
        if trial.outcome == "error":
            return _failure([trial]) or "the test broke down outside its body"
    absent = [trial for trial in trials if metric not in trial.measurements]
    if any(trial.outcome == "passed" for trial in absent):
        return f"{metric} is no longer recorded"
    if absent and not guarded:  # else the failures are seen in pass
        return f"{metric} was not recorded: {_failure(absent) or 'the test failed before'}"
    return None


def listed(pairing: Pairing, gating: set[str], taken_out: Mapping[str, str]) -> list[CaseFinding]:
    """Missing and changed cases.

    Args:
        pairing: the cases by what became of them.
        gating: stored cases in which some metric gates.
        taken_out: cases whose dataset goes without them, where that counts, with the dataset.
    """
    missing = [
        CaseFinding(
            case=case,
            finding="missing",
            reason=f"taken out of {taken_out[case]}" if case in taken_out else "its test ran without it",
            fails=case in gating,
            taken_out_of=taken_out.get(case),
            accepted=GONE if case in taken_out else None,
        )
        for case in pairing.missing
    ]
    changed = [
        CaseFinding(case=case, finding="changed", reason="its dataset case changed; compared once it is stored anew")
        for case in pairing.changed
    ]
    return missing + changed
