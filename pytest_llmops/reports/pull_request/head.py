"""What stands on top: the verdict in a line, what was compared with what, and what it cost."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from pytest_llmops.compare import is_empty
from pytest_llmops.records import RunRecord
from pytest_llmops.reports import safety, text
from pytest_llmops.reports.pull_request.findings import Findings
from pytest_llmops.reports.pull_request.neutral import code, inline, link
from pytest_llmops.reports.pull_request.quantities import plural, usd, valued
from pytest_llmops.reports.pull_request.view import View

SIGNS = {"success": "✅", "regression": "❌", "failure": "❌", "needs-recording": "⚪", "error": "⚠️"}
NAMED = 2
MODELS = 5


def verdict(view: View, found: Findings) -> str:
    """The verdict in words, without the title; Markdown."""
    if view.run is None:
        return "the run left no record"
    said = [*_metrics(found, view.run), *_cases(found), *_safety(view.run)]
    if view.needs_recording and (view.conclusion == "needs-recording" or not said):
        count = plural(len(found.unrecorded), "case") if found.unrecorded else plural(len(view.needs_recording), "test")
        said.insert(0, f"{count} to be recorded by a maintainer")
    if view.conclusion == "success":
        words = ", ".join(said) if view.updated and said else _passed(view.run)
        return f"{words}; the baseline is written from this run" if view.updated else words
    if not said and view.conclusion == "error" and not view.run.stopped and view.run.comparison is None:
        return "nothing could be compared"
    return ", ".join(said) or {"regression": "regressed", "failure": "failed"}.get(view.conclusion, "broken off")


def _metrics(found: Findings, run: RunRecord) -> list[str]:
    said = []
    for word in ("regressed", "not_comparable", "inconclusive"):
        rows = [row for row in found.metrics if row.verdict == word]
        names = " and ".join(inline(row.metric, 60) for row in rows) if len(rows) <= NAMED else f"{len(rows)} metrics"
        if rows:
            said.append(f"{names} {word.replace('_', ' ')}")
    if len(found.metrics) == len(said) == 1 and found.metrics[0].delta is not None:
        row = found.metrics[0]
        said[0] += f" ({valued(row.baseline, row, run)} → {valued(row.current, row, run)})"
    return said


def _cases(found: Findings) -> list[str]:
    counts = (
        (found.broken, "broken"),
        (found.errored, "errored"),
        (len(found.missing), "missing"),
        (len(found.failed), "failed"),
        (len(found.failed_before), "failed as in the baseline"),
    )
    first, *rest = [(count, word) for count, word in counts if count] or [(0, "")]
    return (
        [f"{plural(first[0], 'case')} {first[1]}", *(f"{count:,} {word}" for count, word in rest)] if first[0] else []
    )


def _safety(run: RunRecord) -> list[str]:
    limits = run.safety.limits if run.safety is not None else ()
    return [f"{safety.LIMITS.get(limit.name, 'safety')} above the limit" for limit in limits if limit.fails]


def _passed(run: RunRecord) -> str:
    if run.comparison is None:
        cases = len({test.case for test in run.tests})
        return f"{plural(cases, 'case')}, compared with no baseline"
    if is_empty(run.comparison):
        return "nothing was compared"
    better = [row for row in run.comparison.metrics if row.gate and row.verdict == "improved"]
    names = " and ".join(inline(row.metric, 60) for row in better) if len(better) <= NAMED else f"{len(better)} metrics"
    said = [f"{names} improved" if better else "no regression"]
    if run.comparison.accepted:
        said.append(f"{plural(len(run.comparison.accepted), 'change')} accepted")
    return ", ".join(said)


def facts(view: View) -> list[str]:
    """Lines of facts: baseline and models, cases and calls, cost."""
    run = view.run
    if run is None:
        return []
    tests = [test for test in run.tests if not test.rerun]
    cases = len({test.case for test in tests})
    first = [_baseline(view)]
    if run.fingerprint.models:
        more = len(run.fingerprint.models) - MODELS
        names = ", ".join(code(model, 60) for model in run.fingerprint.models[:MODELS])
        first.append(names + (f" and {more} more" if more > 0 else ""))
    first.append(f"{plural(cases, 'case')}" + (f", {plural(len(tests), 'trial')}" if len(tests) != cases else ""))
    return [" · ".join(first), *_calls(view, run)]


def _baseline(view: View) -> str:
    source = view.baseline
    if view.run is not None and view.run.comparison is None:
        return "Compared with no baseline"
    if source is None:
        return "Compared with the baseline"
    named = code(source.ref, 80) if source.ref else code(source.path or "", 120) or "the baseline"
    if source.sha:
        named += f" at {commit(view, source.sha)}"
    age = _age(_aware(view.run.created) - _aware(source.created)) if view.run and source.created else ""
    return f"Compared with {named}" + (f" ({age})" if age else "")


def _aware(moment: datetime) -> datetime:
    """A moment of a foreign file may come without its zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _age(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 0:
        return ""
    if hours < 1:
        return "less than an hour old"
    return f"{plural(int(hours), 'hour')} old" if hours < 48 else f"{plural(int(hours / 24), 'day')} old"


def commit(view: View, sha: str) -> str:
    """A commit's short hash, as a link where the repository is known."""
    if not re.fullmatch(r"[0-9a-fA-F]{7,64}", sha):
        return code(sha, 12)
    known = re.fullmatch(r"[\w.-]+/[\w.-]+", view.repository, re.ASCII)
    return link(f"<code>{sha[:7]}</code>", f"{view.server_url}/{view.repository}/commit/{sha}" if known else None)


def _calls(view: View, run: RunRecord) -> list[str]:
    calls = [call for test in run.tests for call in test.calls]
    if not calls:
        return []
    live = [call for call in calls if not call.replayed]
    counts = ((len(calls) - len(live), "replayed"), (len(live), "live"))
    how = ", ".join(f"{count:,} {word}" for count, word in counts if count)
    judged = sum(call.role == "judge" for call in calls)
    said = [f"{plural(len(calls), 'call')}{f' ({judged:,} by judges)' if judged else ''}: {how}"]
    unknown = sum(call.cost_usd is None for call in calls)
    price = f"{'cost' if live else 'recorded at'} {usd(sum(call.cost_usd or 0.0 for call in calls))}"
    price += f" and {plural(unknown, 'call')} of unknown price" if unknown else ""
    if view.cost_before and view.cost_now is not None:
        share = view.cost_now / view.cost_before - 1
        said_so = text.change(share, "cost", relative=True) if abs(share) >= 0.0005 else "as in the baseline"
        price += f" (the application's: {said_so})" if judged else f" ({said_so})"
    if len(live) < len(calls):
        price += (
            f", {usd(sum(call.cost_usd or 0.0 for call in live))} of it spent now" if live else ", nothing spent now"
        )
    said.append(price)
    return [" · ".join(said)]
