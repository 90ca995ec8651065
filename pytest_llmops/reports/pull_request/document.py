"""The comment and the job's summary."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmops.compare import Policy, failures
from pytest_llmops.records import RunRecord
from pytest_llmops.reports.pull_request import cases, head, remarks, safety, tables
from pytest_llmops.reports.pull_request.cases import Extent
from pytest_llmops.reports.pull_request.findings import find
from pytest_llmops.reports.pull_request.fitting import Section, fitted, utf8_bytes, utf16_units
from pytest_llmops.reports.pull_request.neutral import inline, link
from pytest_llmops.reports.pull_request.view import (
    BaselineSource,
    View,
    costs,
    failed_before,
    fixed_cases,
    marker,
)

if TYPE_CHECKING:
    from pytest_llmops.baseline import Baseline

COMMENT_LIMIT = 65_536
SUMMARY_LIMIT = 2**20
IN_COMMENT = Extent(told=20, named=200, words=400)
IN_SUMMARY = Extent(told=100, named=5_000, words=1_000)


def comment(view: View, *, limit: int = COMMENT_LIMIT) -> str:
    """The comment in GitHub's Markdown, within so many characters (UTF-16 units), ending with its marker."""
    end = f"\n{marker(view.comment_id)}\n"
    return _document(view, IN_COMMENT, limit - utf16_units(end), utf16_units) + end


def summary(view: View, *, limit_bytes: int = SUMMARY_LIMIT) -> str:
    """The job's summary in GitHub's Markdown, within so many bytes of UTF-8."""
    return _document(view, IN_SUMMARY, limit_bytes, utf8_bytes)


def plain(
    run: RunRecord,
    *,
    baseline: Baseline | None = None,
    answers: Mapping[str, Sequence[str | None]] | None = None,
    policy: Policy | None = None,
) -> str:
    """A run by itself in GitHub's Markdown, as long as a job's summary may be.

    Args:
        run: the run; with its comparison, if any.
        baseline: what it was compared with, for the cases fixed and the cost.
        answers: the baseline's answers, for the word diff.
        policy: the gate's settings, for what counts as red.
    """
    policy = policy or Policy()
    view = View(run, "success", answers=answers or {}, fail_on_inconclusive=policy.inconclusive == "fail")
    if run.comparison is not None and (path := run.comparison.baseline):
        source = BaselineSource(path=path, created=baseline.created if baseline else None)
        storing = f"pytest --llm-baseline={shlex.quote(path)} --llm-update-baseline"
        view = replace(view, baseline=source, storing=storing)
    if baseline is not None:
        before, now = costs(baseline, run)
        view = replace(
            view,
            fixed=fixed_cases(baseline, run),
            failed_before=failed_before(baseline, run),
            cost_before=before,
            cost_now=now,
        )
    if run.comparison is not None and failures(run.comparison, policy):
        view = replace(view, conclusion="regression")
    elif find(view).failed:
        view = replace(view, conclusion="failure")
    return summary(view)


def _document(view: View, extent: Extent, limit: int, measure: Callable[[str], int]) -> str:
    found = find(view)
    title = f"### {head.SIGNS[view.conclusion]} {inline(view.title, 100)}: {head.verdict(view, found)}\n"
    facts = "".join(f"\n{line}\n" for line in head.facts(view))
    parts = [
        Section(title, weight=-2),
        *remarks.origin(view),
        Section(facts, weight=-1),
        *remarks.recording(view, found),
        *tables.metrics(view),
        *remarks.notes(view),
        *remarks.changed(view),
        *cases.sections(view, found, extent),
        *remarks.ways_out(view, found),
        *safety.section(view.run),
        *remarks.accepted(view),
        Section(_foot(view), weight=-1),
    ]
    return fitted(parts, limit, measure)


def _foot(view: View) -> str:
    parts = []
    if view.report_url:
        parts.append(link("full report", view.report_url))
    if view.run_url:
        parts.append(link("run", view.run_url))
    if view.head_sha:
        parts.append(f"commit {head.commit(view, view.head_sha)}")
    return f"\n<sub>{' · '.join(parts)}</sub>\n" if parts else ""
