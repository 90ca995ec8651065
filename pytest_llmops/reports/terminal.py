"""The comparison in pytest's terminal summary, made for 80 columns; where there are fewer, its table has fewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_llmops.compare import Policy, fails, failures, is_empty
from pytest_llmops.compare.cases import NO_RECORDING, RECORD, lacks_recording
from pytest_llmops.records import Comparison, MetricComparison, RunRecord
from pytest_llmops.reports import text

VERDICTS = {
    "regressed": ("REGRESSED", "red"),
    "not_comparable": ("not comparable", "red"),
    "inconclusive": ("inconclusive", "yellow"),
    "too_few_cases": ("too few cases", "yellow"),
    "no_regression": ("no regression", "green"),
    "improved": ("improved", "green"),
}
NOTABLE = ("regressed", "not_comparable", "improved", "inconclusive")
OPEN = ("inconclusive", "too_few_cases")
ADVISORY_ROWS = 8
LISTED = 10
WORST = 3
NUMBERS, BOUNDS = "baseline → now", "change (95 % bounds)"
LAYOUTS = (
    ("metric", NUMBERS, BOUNDS, "MDE", "verdict"),
    ("metric", NUMBERS, BOUNDS, "verdict"),
    ("metric", NUMBERS, "change", "verdict"),
    ("metric", "change", "verdict"),
)
"""From wide to narrow."""
SHORTEST_NAME = 8


def render(
    comparison: Comparison, run: RunRecord, *, width: int = 80, color: bool = False, policy: Policy | None = None
) -> list[str]:
    """The lines that show a comparison, ANSI-coloured if `color`.

    Args:
        comparison: what the gate found.
        run: the run that was compared.
        width: columns of the terminal.
        color: whether to colour.
        policy: the gate's settings, for what counts as red.
    """
    policy = policy or Policy()
    width = max(width, 40)
    lines = [text.style(line, "dim", color=color) for line in _head(comparison, run, width)]
    lines += _table(comparison, run, width, color)
    without = any(map(lacks_recording, comparison.findings))  # told below, once for all metrics
    for row in comparison.metrics:
        lines += [] if without and _has_none(row) else _remarks(row, run, width)
    lines += _cases(comparison, width, color)
    for entry in comparison.accepted:
        lines += text.indented(f"accepted: {text.clean(entry)}", width, "")
    for note in comparison.notes:
        lines += text.indented(f"note: {text.clean(note)}", width, "")
    for said in (line for problem in comparison.problems for line in problem.message.splitlines()):
        lines += text.indented(text.clean(said), width, "")
    lines += _closing(comparison, policy, width, color)
    return lines


def _head(comparison: Comparison, run: RunRecord, width: int) -> list[str]:
    tests = [test for test in run.tests if not test.rerun]
    calls = [call for test in run.tests for call in test.calls]
    cases = len({test.case for test in tests})
    parts = [f"{text.count(cases, 'case')}, {text.count(len(tests), 'trial')}"]
    if calls:
        replayed = sum(call.replayed for call in calls)
        cost = sum(call.cost_usd or 0.0 for call in calls)
        unknown = sum(call.cost_usd is None for call in calls)
        live = len(calls) - replayed
        how = ", ".join(f"{count} {word}" for count, word in ((live, "live"), (replayed, "replayed")) if count)
        price = text.amount(cost, "cost") + (f" and {unknown} of unknown cost" if unknown else "")
        parts.append(f"{text.count(len(calls), 'call')} ({how}), {price}")
    lines = text.indented("; ".join(parts), width, "")
    if comparison.deterministic:
        same = "deterministic: every trial replayed the recording the baseline was made from, so that any difference"
        lines += text.indented(f"{same} comes from the code, not from chance", width, "")
    return lines


def _kind(row: MetricComparison, run: RunRecord) -> str:
    summary = run.metrics.get(row.metric)
    return summary.kind if summary else "score"


def _table(comparison: Comparison, run: RunRecord, width: int, color: bool) -> list[str]:
    without = any(map(lacks_recording, comparison.findings))  # told below, once for all metrics
    gating = [row for row in comparison.metrics if row.gate and not (without and _has_none(row))]
    others = [row for row in comparison.metrics if not row.gate]
    if comparison.deterministic:
        others = [row for row in others if row.delta]
    shown = sorted(others, key=lambda row: row.verdict not in NOTABLE)[:ADVISORY_ROWS]
    rows = gating + sorted(shown, key=lambda row: row.metric)
    if not rows:
        return []
    by_heading = [_cells(row, _kind(row, run)) for row in rows]
    headings, gap, widths = _layout(by_heading, width, deterministic=comparison.deterministic)
    cells = [[cell[heading] for heading in headings] for cell in by_heading]
    lines = [text.style(_line(headings, widths, gap).rstrip(), "bold", color=color)]
    for position, (row, cell) in enumerate(zip(rows, cells, strict=True)):
        if position == len(gating):
            lines.append(text.style("shown only, not gating:", "dim", color=color))
        start, shade = _line(cell[:-1], widths[:-1], gap) + gap, VERDICTS[row.verdict][1]
        if row.gate:
            lines.append(start + text.style(cell[-1], "yellow" if row.accepted else shade, color=color))
        else:
            lines.append(text.style(start + cell[-1], "dim", color=color))
    if len(others) > len(shown):
        lines.append(text.style(f"and {len(others) - len(shown)} more, not gating", "dim", color=color))
    return lines


def _layout(
    rows: Sequence[Mapping[str, str]], width: int, *, deterministic: bool
) -> tuple[tuple[str, ...], str, list[int]]:
    """The headings that fit, what stands between columns, and their widths; a long metric's name is shortened."""
    found: tuple[tuple[str, ...], str, list[int]] = ((), "", [])
    # Without chance there are no bounds, and no effect too small to see.
    for headings in LAYOUTS[2:] if deterministic else LAYOUTS:
        widths = [max(text.display_width(cell) for cell in (one, *(row[one] for row in rows))) for one in headings]
        gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= width else " "
        room = width - sum(widths[1:]) - len(gap) * (len(widths) - 1)
        found = headings, gap, [min(widths[0], max(SHORTEST_NAME, room)), *widths[1:]]
        if room >= min(widths[0], SHORTEST_NAME):
            break
    return found


def _cells(row: MetricComparison, kind: str) -> dict[str, str]:
    """What stands under each heading."""
    word = VERDICTS[row.verdict][0]
    cells = dict.fromkeys(("metric", NUMBERS, "change", BOUNDS, "MDE"), "")
    cells |= {"metric": text.clean(row.metric)}
    cells["verdict"] = "accepted" if row.accepted else word if row.gate else word.lower()
    if row.baseline is None or row.current is None or row.delta is None:
        return cells
    cells[NUMBERS] = _before_now(row.baseline, row.current, kind, row.unit)
    cells["change"] = cells[BOUNDS] = text.change(row.delta, kind, row.relative) if row.delta else "="
    if row.ci_low is not None and row.ci_high is not None and row.ci_low < row.ci_high:
        low, high = (text.change(bound, kind, row.relative).rstrip("%p") for bound in (row.ci_low, row.ci_high))
        cells[BOUNDS] += f" ({low}…{high})"
    # A handful of cases can find no change that a share can have: nothing is said then.
    if row.mde is not None and not (kind in ("pass", "rate") and row.mde > 1):
        cells["MDE"] = text.change(row.mde, kind, row.relative, sign=False)
    return cells


def _before_now(before: float, now: float, kind: str, unit: str | None) -> str:
    unit = text.clean(unit) if unit else None
    return f"{text.amount(before, kind, unit)} → {text.amount(now, kind, unit).removeprefix('$')}"


def _line(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    padded = [text.pad(text.shorten(cell, size), size) for cell, size in zip(cells, widths, strict=True)]
    return gap.join(padded)


def _remarks(row: MetricComparison, run: RunRecord, width: int) -> list[str]:
    if not row.gate and row.verdict != "regressed":
        return []
    kind = _kind(row, run)
    said = [part for part in (row.reason, row.advice) if part]
    lines = text.indented(f"{text.clean(row.metric)}: {text.clean('; '.join(said))}", width) if said else []
    if row.gate and row.verdict == "regressed" and not row.accepted:
        lines += text.indented(f"{text.clean(row.metric)} changed for the worse most in:", width)
        for one in row.worst_cases[:WORST]:
            values = _before_now(one.baseline, one.current, kind, row.unit)
            name = text.shorten(text.clean(one.case), width - 6 - text.display_width(values))
            lines.append(f"    {name}  {values}")
    return lines


def _cases(comparison: Comparison, width: int, color: bool) -> list[str]:
    lines: list[str] = []
    broken = []
    for case in comparison.broken_cases:
        what = "reruns" if case.reruns else "trials"
        now = "fails now" if case.deterministic else f"0 of {case.reruns or case.trials} {what} now"
        before = f"passed {case.baseline_passed} of {case.baseline_trials} in the baseline, {now}"
        broken.append((case.case, f"{before}: {case.reason}" if case.reason else before))
    lines += _named("broken", broken, width, color, "red")
    lines += _unrecorded(comparison, width, color)
    for finding, shade in (("errored", "red"), ("missing", "red"), ("suspect", "yellow"), ("changed", "yellow")):
        rest = [one for one in comparison.findings if one.finding == finding and not lacks_recording(one)]
        lines += _named(finding, [(one.case, one.reason or "") for one in rest], width, color, shade)
    changed = set(comparison.changed_cases)
    new = [(case, "") for case in comparison.new_cases if case not in changed]
    return lines + _named("new", new, width, color, "bold")


def _has_none(row: MetricComparison) -> bool:
    return (row.reason or "").endswith(NO_RECORDING)


def _unrecorded(comparison: Comparison, width: int, color: bool) -> list[str]:
    """Cases that could not be replayed: what each of them misses stands with its failed test."""
    found = [(one.case, "") for one in comparison.findings if lacks_recording(one)]
    if not found:
        return []
    lines = _named("without a recording: nothing was measured in them", found, width, color, "red")
    return lines + text.indented(RECORD, width)


def _named(word: str, found: list[tuple[str, str]], width: int, color: bool, shade: str) -> list[str]:
    if not found:
        return []
    count = f"{len(found)} case{'s' * (len(found) != 1)} {word}"
    reasons = {reason for _, reason in found}
    shared = reasons.pop() if len(reasons) == 1 and word in ("missing", "changed") else ""
    lines = [text.style(count, shade, color=color)]
    if shared and text.display_width(f"{count} ({shared})") <= width:
        lines[0] += f" ({shared})"
    elif shared:
        lines += text.indented(f"({shared})", width)
    for case, reason in found[:LISTED]:
        lines.append("  " + text.shorten(text.clean(case), width - 2))
        if reason and not shared:
            lines += text.indented(text.clean(reason), width, "    ")
    return lines + ([f"  … and {len(found) - LISTED} more"] if len(found) > LISTED else [])


def _closing(comparison: Comparison, policy: Policy, width: int, color: bool) -> list[str]:
    red = failures(comparison, policy)
    gating = [row for row in comparison.metrics if row.gate]
    if not red and is_empty(comparison):
        said, shade = "gate: nothing was compared", "yellow"
    elif red:
        said, shade = f"gate: FAILED ({', '.join(text.clean(one.name) for one in red)})", "red"
    else:
        open_rows = [row.metric for row in gating if row.verdict in OPEN]
        waived = sum(bool(row.accepted) and fails(row, policy) for row in gating)
        said = f"gate: passed ({len(gating)} gated metric{'s' * (len(gating) != 1)}"
        said += f"; not settled: {', '.join(map(text.clean, open_rows))}" if open_rows else ""
        said += f"; {waived} accepted)" if waived else ")"
        shade = "yellow" if open_rows else "green"
    return [text.style(line, "bold", shade, color=color) for line in text.indented(said, width, "")]
