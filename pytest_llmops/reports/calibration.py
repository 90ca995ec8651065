"""A judge beside people, as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_llmops.checks.calibration import Calibration, Share
from pytest_llmops.reports import text


def as_text(found: Sequence[Calibration], written: Sequence[Calibration], file: Path) -> str:
    """A block a criterion, then where it was written."""
    lines = [line for one in found for line in _block(one)]
    if written:
        lines.append(f"wrote {file}: {', '.join(text.clean(one.criterion) for one in written)}")
    unbound = [text.clean(one.criterion) for one in found if not one.definition]
    if unbound:
        lines.append(
            f"not written: {', '.join(unbound)} (a sheet with its own column 'judge' says nothing of the judge's model)"
        )
    return "\n".join(lines)


def _block(one: Calibration) -> list[str]:
    (both, missed), (wrong, neither) = one.table
    lines = [
        f"{text.clean(one.criterion)}: {one.labels} labels, {one.unlabelled} more judged answers, good from a score of "
        f"{one.threshold:g}",
        f"  both good {both}, people only {missed}, judge only {wrong}, both bad {neither}",
        f"  Cohen's kappa  {one.kappa:.3f}",
        f"  TPR            {_interval(one.tpr)}",
        f"  TNR            {_interval(one.tnr)}",
        f"  J              {'–' if one.j is None else format(one.j, '.3f')}",
        f"  share of good  {one.judged:.3f} by the judge, {_interval(one.corrected)} corrected",
    ]
    return lines + [f"  warning: {warning}" for warning in one.warnings]


def _interval(share: Share | None) -> str:
    return "–" if share is None else f"{share[0]:.3f} ({share[1]:.3f}–{share[2]:.3f})"
