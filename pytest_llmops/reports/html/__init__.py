"""One self-contained HTML file of a run: verdicts on top, distributions, and every case with all there is to read.

What models write is hostile. It goes into the page as compressed data and is shown as text only; a content security
policy lets no script run but the page's own, and nothing be fetched from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.compare import Policy, failing_cases, fails, failures, is_empty
from pytest_llmops.compare.cases import first_line
from pytest_llmops.records import Comparison, MetricComparison, RunRecord, TestRecord
from pytest_llmops.reports import safety, terminal, text
from pytest_llmops.reports.html.packing import packed
from pytest_llmops.safety_record import SafetySummary

if TYPE_CHECKING:
    from pytest_llmops.baseline import Baseline

STYLES = ("vendor/uPlot.min.css", "report.css")
LIBRARIES = ("vendor/uPlot.iife.min.js", "vendor/diff.min.js")
LOADER = ("bunzip2.js", "loader.js")
OWN = ("elements.js", "charts.js", "model.js", "detail.js", "list.js", "page.js")
LISTED = 20
NAMED = 2
TONES = {"red": "bad", "yellow": "open", "green": "good"}


def render(
    run: RunRecord,
    *,
    baseline: Baseline | None = None,
    answers: Mapping[str, list[str | None]] | None = None,
    policy: Policy | None = None,
) -> str:
    """The page.

    Args:
        run: the run; its comparison, if any, is shown on top.
        baseline: what it was compared with, for the distributions and each case's former values.
        answers: the baseline's answers, for the word diff.
        policy: the gate's settings, for what counts as red.
    """
    import jinja2

    styles = [_source(name) for name in STYLES]
    loader, scripts = _script(*LOADER), [*map(_source, LIBRARIES), _script(*OWN)]
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(_source("page.html.j2")).render(
        policy="; ".join(
            (
                "default-src 'none'",
                f"script-src {' '.join(map(_hash, (loader, *scripts)))}",
                f"style-src {' '.join(map(_hash, styles))}",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
        styles=styles,
        loader=loader,
        data=packed(run, baseline, answers or {}, scripts),
        **_summary(run, policy or Policy()),
    )


@cache
def _source(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


@cache
def _script(*names: str) -> str:
    return "(() => {\n'use strict';\n" + "\n".join(map(_source, names)) + "})();\n"


@cache
def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


# What stands on top, written here: it is there before any script has run, and without one


def _summary(run: RunRecord, policy: Policy) -> dict[str, Any]:
    comparison = run.comparison
    failed = failing_cases(run.tests)
    tests = [test for test in run.tests if not test.rerun]
    calls = [call for test in run.tests for call in test.calls]
    costs = [call.cost_usd for call in calls]
    return {
        "title": run.environment.commit[:10] if run.environment.commit else f"{run.created:%Y-%m-%d %H:%M}",
        "verdict": _verdict(run, policy, len(failed)),
        "failed": [_failed(case, trials) for case, trials in [*failed.items()][:LISTED]],
        "failed_cases": len(failed),
        "comparison": comparison,
        "rows": [_row(row, run, policy) for row in comparison.metrics] if comparison else [],
        "metrics": [_plain_row(name, run) for name in run.metrics],
        "findings": _findings(comparison) if comparison else [],
        "safety": _safety(run.safety) if run.safety else None,
        "cases": len({test.case for test in tests}),
        "trials": len(tests),
        "failed_trials": sum(test.outcome in ("failed", "error") for test in tests),
        "calls": len(calls),
        "live": sum(not call.replayed for call in calls),
        "judged": sum(call.role == "judge" for call in calls),
        "cost": text.amount(sum(cost or 0.0 for cost in costs), "cost"),
        "unpriced": sum(cost is None for cost in costs),
        "tokens": sum((call.input_tokens or 0) + (call.output_tokens or 0) for call in calls),
        "facts": _facts(run),
    }


def _verdict(run: RunRecord, policy: Policy, failed: int) -> dict[str, Any]:
    """The headline: red exactly where pytest's exit is, whatever failed the run; what is red is said first."""
    red = failures(run.comparison, policy) if run.comparison else []
    cases = len({test.case for test in run.tests})
    bad = ["gate failed: " + ", ".join(one.name for one in red)] if red else []
    if failed:
        bad.append(f"{failed} of {_plural(cases, 'case')} failed")
    bad += [message.split("\n")[0] for _, message in safety.failures(run)]
    if run.also_failed:
        more = len(run.also_failed) - NAMED
        bad.append(f"also failed: {', '.join(run.also_failed[:NAMED])}{f' and {more} more' if more > 0 else ''}")
    rest, tone = ("", "good") if red else _unfailed(run)
    if not bad and run.comparison is None:
        rest = f"{_plural(cases, 'case')}, none failed; {rest}"
    said = "; ".join([*bad, *([rest] if rest else [])])
    return {"tone": "bad" if bad else tone, "said": said[0].upper() + said[1:], "failures": red}


def _unfailed(run: RunRecord) -> tuple[str, str]:
    """What is said of a gate that did not fail, and its tone."""
    if run.comparison is None:
        return "not compared with a baseline", "good"
    if run.comparison.stored:
        return "stored as the new baseline", "good"
    if is_empty(run.comparison):
        return "nothing was compared with the baseline", "open"
    waiting = [
        row.metric for row in run.comparison.metrics if row.gate and row.verdict in ("inconclusive", "too_few_cases")
    ]
    said = "gate passed" + (f"; not settled: {', '.join(waiting)}" if waiting else "")
    return said, "open" if waiting else "good"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _failed(case: str, trials: Sequence[TestRecord]) -> dict[str, str]:
    """A failed case: its name, and why."""
    passed, threshold = sum(trial.outcome == "passed" for trial in trials), trials[-1].threshold
    said = (
        [f"{passed} of {len(trials)} trials passed, threshold {threshold:.0%}"] if threshold and len(trials) > 1 else []
    )
    errors = [first_line(trial.error) for trial in trials if trial.error and trial.outcome != "passed"]
    return {"case": case, "why": ": ".join([*said, *errors[:1]])}


def _row(row: MetricComparison, run: RunRecord, policy: Policy) -> dict[str, Any]:
    kind = run.metrics[row.metric].kind if row.metric in run.metrics else "score"
    words, shade = terminal.VERDICTS[row.verdict]

    def amount(value: float | None) -> str:
        return "" if value is None else text.amount(value, kind, row.unit)

    def change(value: float | None, *, sign: bool = True) -> str:
        return "" if value is None else text.change(value, kind, row.relative, sign=sign)

    bounds = f"{change(row.ci_low)} … {change(row.ci_high)}" if row.ci_low != row.ci_high else ""
    p = row.p if row.p_adjusted is None else row.p_adjusted
    return {
        "metric": row.metric,
        "gate": row.gate,
        "before": amount(row.baseline),
        "now": amount(row.current),
        "change": change(row.delta) if row.delta != 0 else "=",
        "bounds": bounds,
        "p": "" if p is None else f"{p:.2g}",
        "mde": change(row.mde, sign=False),
        "cases": row.cases,
        "verdict": "accepted" if row.accepted and fails(row, policy) else words.lower(),
        "tone": "open" if row.accepted else TONES[shade],
        "remarks": [said for said in (row.reason, row.advice, row.accepted) if said],
    }


def _plain_row(name: str, run: RunRecord) -> dict[str, Any]:
    one = run.metrics[name]
    shown = {
        key: "" if (value := getattr(one, key)) is None else text.amount(value, one.kind, one.unit)
        for key in ("mean", "p50", "p95")
    }
    return {"metric": name, **shown, "cases": one.cases, "unscored": one.unscored, "errors": one.errors}


def _findings(comparison: Comparison) -> list[tuple[str, str, str]]:
    """(word, tone, count) of cases found to be broken, missing and so on."""
    counts: dict[str, int] = {"broken": len(comparison.broken_cases)}
    for finding in comparison.findings:
        counts[finding.finding] = counts.get(finding.finding, 0) + 1
    counts["new"] = len(set(comparison.new_cases) - set(comparison.changed_cases))
    tones = {"broken": "bad", "errored": "bad", "missing": "bad", "suspect": "open", "changed": "open", "new": "plain"}
    return [(word, tones[word], str(counts[word])) for word in tones if counts.get(word)]


def _safety(summary: SafetySummary) -> dict[str, Any]:
    """What the safety section says; words and tones only."""
    tones = {"safe": "good", "detected": "open", "unchecked": "open", "failed_closed": "open"}
    outcomes = [
        (f"{count} {safety.OUTCOMES.get(name, name)}", tones.get(name, "plain"))
        for name, count in summary.outcomes.items()
    ]
    return {
        "tests": summary.tests,
        "outcomes": outcomes,
        "limits": [(safety.told(one), "bad" if one.exceeded else "") for one in summary.limits if one.tests],
        "checks": [safety.cells(row) for row in summary.checks],
        "riskiest": summary.riskiest,
        "threats": summary.threats,
    }


def _facts(run: RunRecord) -> list[tuple[str, str]]:
    where, known = run.environment, run.fingerprint
    commit = f"{where.commit[:10]}{' (changed since)' if where.dirty else ''}" if where.commit else ""
    versions = " ".join(f"{what} {v}" for what, v in (("Python", where.python), ("pytest", where.pytest)) if v)
    return [
        (what, said)
        for what, said in (
            ("Run", f"{run.created:%Y-%m-%d %H:%M:%S %Z}"),
            ("Commit", commit),
            ("Models", ", ".join(known.models)),
            ("Prompts", ", ".join(f"{name} {digest[:8]}" for name, digest in known.prompts.items())),
            ("Environment", f"{versions} {where.platform}{' CI' if where.ci else ''}".strip()),
        )
        if said
    ]
