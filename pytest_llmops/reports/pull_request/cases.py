"""Cases that got worse, with what was answered before and now; and lists of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pytest_llmops.records import CaseDelta, MetricComparison, RunRecord, TestRecord
from pytest_llmops.reports.pull_request import wording
from pytest_llmops.reports.pull_request.findings import Case, Findings
from pytest_llmops.reports.pull_request.fitting import Section
from pytest_llmops.reports.pull_request.neutral import code, inline
from pytest_llmops.reports.pull_request.quantities import plural, valued
from pytest_llmops.reports.pull_request.view import View


@dataclass(frozen=True)
class Extent:
    """How much is shown.

    Args:
        told: cases with their reasons and answers; the next ones are named only.
        named: cases of a list.
        words: characters of a reason or an answer.
    """

    told: int
    named: int
    words: int


def sections(view: View, found: Findings, extent: Extent) -> list[Section]:
    """What got worse unfolded, the rest folded."""
    run = view.run
    if run is None:
        return []

    def row(case: Case) -> str:
        return _case(case, view, run, extent)

    broken = [one for one in found.worse if one.broken or one.finding]
    fallen = [one for one in found.worse if not (one.broken or one.finding)]
    suspects = [f"- {code(one.case)}: {inline(one.reason or '', extent.words)}\n" for one in found.suspects]
    return [
        *_told("Broken" if found.broken == len(broken) else "Broken or not measured", broken, row, extent, weight=1),
        *_told("Got worse most", fallen, row, extent, weight=1),
        *_told("Failed", found.failed, row, extent, weight=2),
        *_named("missing, although its test ran", found.missing, extent, weight=3, unfolded=True),
        *_named("failed, as in the baseline", found.failed_before, extent, weight=4),
        *_listed(f"{plural(len(found.suspects), 'case')} under suspicion", suspects, extent, weight=4),
        *_named("fixed", view.fixed, extent, weight=5),
        *_named("new", found.new, extent, weight=5),
        *_named("edited in the dataset, not compared", found.edited, extent, weight=5),
        *_named("gone", found.gone, extent, weight=5),
    ]


def _told(
    title: str, cases: Sequence[Case], row: Callable[[Case], str], extent: Extent, *, weight: int
) -> list[Section]:
    if not cases:
        return []
    told, rest = cases[: extent.told], [one.name for one in cases[extent.told :]]
    opening = f"\n<details open><summary><b>{title}: {plural(len(cases), 'case')}</b></summary>\n\n"
    found = [Section(opening, map(row, told), len(told), "\n</details>\n", weight=weight)]
    if rest:
        words = f"{title}, too: {plural(len(rest), 'case')}"
        found += _listed(words, (f"- {code(name)}\n" for name in rest), extent, count=len(rest), weight=weight + 3)
    return found


def _named(what: str, cases: Sequence[str], extent: Extent, *, weight: int, unfolded: bool = False) -> list[Section]:
    rows = (f"- {code(case)}\n" for case in cases)
    title = f"{plural(len(cases), 'case')} {what}"
    return _listed(title, rows, extent, count=len(cases), weight=weight, unfolded=unfolded)


def _listed(
    title: str,
    rows: Iterator[str] | Sequence[str],
    extent: Extent,
    *,
    count: int | None = None,
    weight: int,
    unfolded: bool = False,
) -> list[Section]:
    total = len(rows) if isinstance(rows, Sequence) else count or 0
    if not total:
        return []
    opening = f"\n<details{' open' if unfolded else ''}><summary>{title}</summary>\n\n"
    return [Section(opening, rows, total, "\n</details>\n", weight, extent.named)]


def _case(case: Case, view: View, run: RunRecord, extent: Extent) -> str:
    lines = [f"- {code(case.name)}{_how(case)}\n"]
    lines += [f"  - {line}\n" for line in _why(case, run, extent)]
    trial = _telling(case)
    if trial is not None:
        before = _before(view, case.name, trial)
        lines += [f"  - {line}\n" for line in wording.changed(before, trial.output, extent.words)]
    return "".join(lines)


def _how(case: Case) -> str:
    if case.broken is not None:
        one = case.broken
        what = "reruns" if one.reruns else "trials"
        now = "fails now" if one.deterministic else f"0 of {one.reruns or one.trials} {what} now"
        return f": passed {one.baseline_passed} of {one.baseline_trials} before, {now}"
    if case.finding is not None:
        return ": could not be measured"
    failed = sum(trial.outcome in ("failed", "error") for trial in case.trials)
    return f": {failed} of {len(case.trials)} trials failed" if failed and len(case.trials) > 1 else ""


def _why(case: Case, run: RunRecord, extent: Extent) -> list[str]:
    said = []
    trial = _telling(case)
    error = (case.broken and case.broken.reason) or (case.finding and case.finding.reason) or (trial and trial.error)
    if error and (words := inline(error, extent.words)):
        said.append(words)  # never an empty item: under a line of text it would make a heading of that
    for row, fall in case.falls:
        if case.broken is not None and row.metric == "pass":
            continue
        said.append(_fall(case, row, fall, run, extent))
    return said


def _fall(case: Case, row: MetricComparison, fall: CaseDelta, run: RunRecord, extent: Extent) -> str:
    values = f"{inline(row.metric, 80)} {valued(fall.baseline, row, run)} → {valued(fall.current, row, run)}"
    measured = [trial.measurements[row.metric] for trial in case.trials if row.metric in trial.measurements]
    sign = 1 if row.direction == "higher" else -1
    scored = [one for one in measured if one.value is not None and one.reason]
    if not scored:
        return values
    worst = min(scored, key=lambda one: sign * (one.value or 0.0))
    return f"{values}: {inline(worst.reason or '', extent.words)}"


def _telling(case: Case) -> TestRecord | None:
    """The trial that shows best what is wrong: one that failed, else the one that a fallen metric rates worst."""
    failed = [trial for trial in case.trials if trial.outcome in ("failed", "error")]
    if failed or not case.trials:
        return failed[0] if failed else None
    if not case.falls:
        return case.trials[0]
    row = case.falls[0][0]
    sign = 1 if row.direction == "higher" else -1

    def rated(trial: TestRecord) -> float:
        measured = trial.measurements.get(row.metric)
        return sign * measured.value if measured is not None and measured.value is not None else float("inf")

    return min(case.trials, key=rated)


def _before(view: View, case: str, trial: TestRecord) -> str | None:
    answers = view.answers.get(case, ())
    same = answers[trial.trial] if 0 <= trial.trial < len(answers) else None
    return same if same is not None else next((one for one in answers if one is not None), None)
