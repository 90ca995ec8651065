"""What of a comparison fails the run, in the words the reviewer reads."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pytest_llmops.compare import prompts
from pytest_llmops.compare.cases import RECORD, lacks_recording
from pytest_llmops.compare.policy import Policy
from pytest_llmops.records import Comparison, MetricComparison
from pytest_llmops.stats import plain

LISTED = 20
WORDS = {"regressed": "regressed", "not_comparable": "cannot be compared", "inconclusive": "is inconclusive"}


@dataclass(frozen=True, slots=True)
class Failure:
    """One red line of the gate.

    Args:
        name: the metric, or ``broken-cases``, ``missing-cases``, ``errored-cases``, ``node-ids``, ``gate``.
        message: what the reviewer reads.
    """

    name: str
    message: str

    @property
    def nodeid(self) -> str:
        """The failed report's node id."""
        return f"llm-baseline::{self.name}"


def fails(row: MetricComparison, policy: Policy) -> bool:
    """Whether a metric's verdict fails the run, accepted changes aside."""
    failing = (
        ("regressed", "not_comparable", "inconclusive")
        if policy.inconclusive == "fail"
        else (
            "regressed",
            "not_comparable",
        )
    )
    return row.gate and row.verdict in failing


def failures(comparison: Comparison, policy: Policy | None = None) -> list[Failure]:
    """The red lines of a comparison; none where it passes, or where the run became the baseline itself."""
    if comparison.stored:
        return []
    policy = policy or Policy()
    unrecorded = any(
        one.finding == "errored" and one.fails and not one.accepted and lacks_recording(one)
        for one in comparison.findings
    )
    found = [
        Failure(row.metric, _metric_message(row, comparison))
        for row in comparison.metrics
        # Without a value because recordings are missing: the cases are listed, once and with the reason.
        if fails(row, policy) and not row.accepted and not (unrecorded and (row.reason or "").startswith("no value in"))
    ]
    found += [Failure(one.name, one.message) for one in comparison.problems]
    broken = [case for case in comparison.broken_cases if not case.accepted]
    if broken:
        lines = [
            f"  {case.case}: passed {case.baseline_passed} of {case.baseline_trials} in the baseline, "
            + ("fails now on the same recordings" if case.deterministic else f"0 of {case.reruns or case.trials} now")
            + (f"\n    {case.reason}" if case.reason else "")
            for case in broken
        ]
        found.append(_listed("broken-cases", "broken", lines, comparison))
    for finding in ("missing", "errored"):
        cases = [one for one in comparison.findings if one.finding == finding and one.fails and not one.accepted]
        if cases:
            lines = [f"  {one.case}: {one.reason}" for one in cases]
            missed = sum(map(lacks_recording, cases))
            found.append(_listed(f"{finding}-cases", finding, lines, comparison, missed))
    return found


def is_empty(comparison: Comparison) -> bool:
    """Whether nothing of the run has anything in the baseline to be compared with."""
    return not comparison.deterministic and not any(row.cases for row in comparison.metrics)


def _listed(name: str, word: str, lines: list[str], comparison: Comparison, missed: int = 0) -> Failure:
    word = f"{word}: no recording" if missed == len(lines) else word
    count = f"{len(lines)} case{'s' if len(lines) > 1 else ''} {word}"
    more = [f"  … and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    changed = prompts.explained(comparison.prompt_changes)
    advice = _way_out(comparison, case=True)
    if name == "missing-cases":
        advice = (
            "Meant? Accept the case in llm-accept.toml, or take it out of the baseline with a whole run's record:\n"
            f"  pytest --llm-json=run.json, then {_prune(comparison)}"
        )
    if name == "errored-cases":
        advice = RECORD if missed else "Mend the error and run again"
    return Failure(name, "\n".join([count, *lines[:LISTED], *more, *changed, advice]))


def _metric_message(row: MetricComparison, comparison: Comparison) -> str:
    lines = [f"{row.metric} {WORDS[row.verdict]}" + _numbers(row)]
    if row.reason:
        lines.append(f"  {row.reason}")
    if row.advice:
        lines.append(f"  {row.advice}")
    lines += [f"  {one.case}: {plain(one.baseline, 6)} → {plain(one.current, 6)}" for one in row.worst_cases]
    lines += prompts.explained(comparison.prompt_changes)
    return "\n".join([*lines, _way_out(comparison, case=False)])


def _numbers(row: MetricComparison) -> str:
    if row.baseline is None or row.current is None or row.delta is None:
        return ""
    change = "{:+.1%}" if row.relative else "{:+.3g}"
    text = f": {plain(row.baseline, 4)} → {plain(row.current, 4)}, Δ {change.format(row.delta)}"
    if row.ci_low is not None and row.ci_high is not None:
        text += f" ({change.format(row.ci_low)} … {change.format(row.ci_high)})"
    text += f", {row.cases} case{'s' if row.cases != 1 else ''}"
    p = row.p if row.p_adjusted is None else row.p_adjusted
    return text + (f", p = {p:.2g}" if p is not None else ", the same recordings")


def _prune(comparison: Comparison) -> str:
    baseline = shlex.quote(comparison.stored_in or comparison.baseline or "FILE")
    return f"pytest-llmops baseline update run.json -o {baseline} --prune"


def _way_out(comparison: Comparison, *, case: bool) -> str:
    baseline = shlex.quote(comparison.stored_in or comparison.baseline or "FILE")
    what = "case" if case else "metric"
    return (
        f"Meant? Accept the {what} in llm-accept.toml, or store this run: "
        f"pytest --llm-baseline={baseline} --llm-update-baseline"
    )
