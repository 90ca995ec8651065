"""The metrics as tables."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.records import Comparison, MetricComparison, RunRecord
from pytest_llmops.reports import text
from pytest_llmops.reports.pull_request.fitting import Section
from pytest_llmops.reports.pull_request.neutral import inline, within
from pytest_llmops.reports.pull_request.quantities import amount, change, kind_of, plural, valued
from pytest_llmops.reports.pull_request.view import View
from pytest_llmops.reports.terminal import VERDICTS

SIGNS = {"red": "❌", "yellow": "❔", "green": "✅"}
ORDER = ("regressed", "not_comparable", "inconclusive", "too_few_cases", "improved", "no_regression")
NOTABLE = ("regressed", "not_comparable", "improved")
HEADING = "| metric | baseline | now | Δ [90 % interval] | verdict |\n|---|--:|--:|---|---|\n"
EXACT = "| metric | baseline | now | Δ | verdict |\n|---|--:|--:|---|---|\n"
LEGEND = (
    "\n<sub>p: how often an application that did not change would look this much worse, or more, by chance (of metrics "
    "that gate: adjusted for their number). The interval is two-sided.</sub>\n"
)


def metrics(view: View) -> list[Section]:
    """The compared metrics: what gates or changed, then the rest folded."""
    run = view.run
    if run is None:
        return []
    if run.comparison is None or not run.comparison.metrics:
        return _alone(run)
    comparison = run.comparison
    # A share of what was not recorded has no numbers: what to do about it stands above.
    rows = [row for row in comparison.metrics if row.cases or not view.needs_recording]
    rows.sort(key=lambda row: (not row.gate, bool(row.accepted), ORDER.index(row.verdict), row.metric))
    shown = [row for row in rows if row.gate or row.verdict in NOTABLE]
    rest = [row for row in rows if not (row.gate or row.verdict in NOTABLE)]
    return [*_shown(shown, run, comparison), *_folded(rest, run, comparison)]


def _shown(rows: Sequence[MetricComparison], run: RunRecord, comparison: Comparison) -> list[Section]:
    if not rows:
        return []
    exact = comparison.deterministic
    chance = any(_p(row) is not None for row in rows)
    same = (
        "\nEvery trial replayed the recording that the baseline was made from: what differs comes from the code, "
        "not from chance.\n"
    )
    remarks = [f"- **{inline(row.metric, 80)}**: {said}\n" for row in rows if (said := _remark(row, run))]
    table = Section(
        "\n" + (EXACT if exact else HEADING),
        (_row(row, run) for row in rows),
        len(rows),
        same if exact else LEGEND if chance else "",
        weight=0,
        most=60,
        more=lambda left: f"| … and {left:,} more | | | | |\n",
    )
    return [table, Section("\n", remarks, len(remarks), weight=2, most=20)] if remarks else [table]


def _folded(rows: Sequence[MetricComparison], run: RunRecord, comparison: Comparison) -> list[Section]:
    if not rows:
        return []
    title = f"{plural(len(rows), 'metric')} without a notable change, not gating"
    return [
        Section(
            f"\n<details><summary>{title}</summary>\n\n{EXACT if comparison.deterministic else HEADING}",
            (_row(row, run) for row in rows),
            len(rows),
            "\n</details>\n",
            weight=6,
            most=200,
            more=lambda left: f"| … and {left:,} more | | | | |\n",
        )
    ]


def _row(row: MetricComparison, run: RunRecord) -> str:
    name = inline(row.metric, 80)
    cells = (
        f"**{name}**" if row.gate else name,
        valued(row.baseline, row, run),
        valued(row.current, row, run),
        change(row, run),
        _verdict(row),
    )
    return f"| {' | '.join(cells)} |\n"


def _verdict(row: MetricComparison) -> str:
    word, shade = VERDICTS[row.verdict]
    word = word.lower()
    if row.accepted:
        return f"☑️ {word}, accepted"
    if not row.gate:
        return f"{word}, not gating" if row.verdict in NOTABLE else word
    said = f"{SIGNS[shade]} **{word}**" if shade == "red" else f"{SIGNS[shade]} {word}"
    p = _p(row)
    if p is None:
        return said
    return f"{said} (p {'&lt; 0.001' if p < 0.001 else f'= {p:.2g}'})"


def _p(row: MetricComparison) -> float | None:
    """The chance that it is noise, where that is the question."""
    if row.verdict != "regressed" or not row.gate or row.accepted:
        return None
    return row.p if row.p_adjusted is None else row.p_adjusted


def _remark(row: MetricComparison, run: RunRecord) -> str:
    if not row.gate and row.verdict not in ("regressed", "not_comparable"):
        return ""
    said = [inline(part, 400) for part in (row.reason, row.advice) if part]
    kind = kind_of(row, run)
    if row.verdict in ("inconclusive", "too_few_cases") and row.mde is not None and not (_share(kind) and row.mde > 1):
        least = text.change(row.mde, kind, row.relative, sign=False)
        said.append(f"a change smaller than {within(least)} could not have been found")
    return "; ".join(said)


def _share(kind: str) -> bool:
    return kind in ("pass", "rate")


def _alone(run: RunRecord) -> list[Section]:
    """Without a baseline: means."""
    known = {name: one for name, one in run.metrics.items() if one.mean is not None}
    if not known:
        return []
    rows = [
        f"| {inline(name, 80)} | {amount(one.mean or 0.0, one.kind, one.unit)} | {one.cases:,} | {one.errors or ''} |\n"
        for name, one in known.items()
    ]
    return [
        Section(
            "\n| metric | mean | cases | errors |\n|---|--:|--:|--:|\n",
            rows,
            len(rows),
            most=40,
            more=lambda left: f"| … and {left:,} more | | | |\n",
        )
    ]
