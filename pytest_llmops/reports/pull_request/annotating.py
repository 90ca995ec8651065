"""Annotations: remarks in the list of changed files."""

from __future__ import annotations

from pathlib import PurePosixPath

from pytest_llmops.compare import Policy, failures
from pytest_llmops.reports import text
from pytest_llmops.reports.pull_request.findings import Case, Findings, find
from pytest_llmops.reports.pull_request.neutral import clip, visible
from pytest_llmops.reports.pull_request.quantities import plural
from pytest_llmops.reports.pull_request.view import Annotation, Level, View, root

WORDS = 300
CASES = 3


def remarks(view: View, *, most: int = 9) -> list[Annotation]:
    """At most so many remarks, one a metric or test function; the last one says how many there are besides."""
    found = _all(view)
    if len(found) <= most:
        return found
    left = len(found) - (most - 1)
    more = Annotation(f"and {left:,} more: see the job's summary", _plain(view.title), found[most - 1].level)
    return [*found[: most - 1], more][:most]


def _all(view: View) -> list[Annotation]:
    found = find(view)
    made = []
    if view.run is None:
        made.append(Annotation("The run left no record; its log says why", _plain(view.title)))
    elif view.run.comparison is not None:
        policy = Policy(inconclusive="fail" if view.fail_on_inconclusive else "pass")
        red = {row.metric for row in found.metrics}
        level: Level = "notice" if view.updated else "error"
        for failure in failures(view.run.comparison, policy):
            if failure.name in red:
                made.append(Annotation(_plain(failure.message), f"{_plain(view.title)}: {_plain(failure.name)}", level))
    made += _by_function(view, found)
    if view.needs_recording:
        cases = plural(len(found.unrecorded) or len(view.needs_recording), "case")
        said = f"{cases} to be recorded by a maintainer: {_plain(view.needs_recording[0].command)}"
        made.append(Annotation(said, _plain(view.title), "notice"))
    return made


def _by_function(view: View, found: Findings) -> list[Annotation]:
    """Broken, errored, failed and missing cases, together where they are one test function's."""
    functions: dict[str, list[Case]] = {}
    for case in (*found.worse, *found.failed, *(Case(name) for name in found.missing)):
        if case.broken or case.finding or not case.falls:
            functions.setdefault(case.name.partition("[")[0], []).append(case)
    return [_function(view, name, cases) for name, cases in functions.items()]


def _function(view: View, name: str, cases: list[Case]) -> Annotation:
    file, _, test = name.partition("::")
    lines = [f"{_plain(case.name.partition('::')[2] or case.name)}: {_reason(case)}" for case in cases[:CASES]]
    more = [f"… and {len(cases) - CASES:,} more"] if len(cases) > CASES else []
    title = f"{_plain(test or name)}: {plural(len(cases), 'case')} got worse"
    line = next((trial.line for case in cases for trial in case.trials if trial.line), None)
    path = PurePosixPath(root(view.directory, view.run), file)
    return Annotation("\n".join([*lines, *more]), title, "error", str(path), line)


def _reason(case: Case) -> str:
    if case.broken is not None:
        before = f"passed {case.broken.baseline_passed} of {case.broken.baseline_trials} in the baseline, fails now"
        return f"{before}: {_plain(case.broken.reason)}" if case.broken.reason else before
    if case.finding is not None:
        return _plain(case.finding.reason or "errored")
    error = next((trial.error for trial in case.trials if trial.error), None)
    return _plain(error) if error else "missing, although its test ran" if not case.trials else "failed"


def _plain(words: str) -> str:
    """Lines of plain text; the runner's commands are escaped by who writes them."""
    lines = visible(clip(words, 10 * WORDS)).splitlines()
    return "\n".join(clip(text.clean(line), WORDS) for line in lines[:12])
