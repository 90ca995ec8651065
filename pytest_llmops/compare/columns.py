"""All compared numbers as arrays, a column a metric: 50 metrics × 10,000 cases take a fraction of a second.

The records are read trial by trial, never metric by metric: objects made together lie together in memory, and going
through them once a metric takes twenty times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from pytest_llmops.baseline import MetricDefinition
from pytest_llmops.compare import repricing
from pytest_llmops.compare.pairing import Pair
from pytest_llmops.compare.policy import GateArgument, Policy, gates, rule_for
from pytest_llmops.stats import significant_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indexes = NDArray[np.intp]
    Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Side:
    """A metric's values on one side (logs where relative), and their means by pair.

    Args:
        owner: the pair of each value.
        given: pairs that have any value.
        means: means over the trials of each pair, NaN where it has no usable value.
        counts: usable values of each pair.
    """

    owner: Indexes
    values: Floats
    given: Mask
    means: Floats
    counts: Indexes

    def skipped(self, kept: Mask) -> int:
        """Values of these pairs that a relative metric cannot use (≤ 0)."""
        import numpy as np

        return int((kept[self.owner] & np.isnan(self.values)).sum())

    def variance_within(self, kept: Mask) -> float | None:
        """Variance between trials of one pair; None where no pair has two."""
        import numpy as np

        mine = kept[self.owner] & ~np.isnan(self.values)
        owner = self.owner[mine]
        degrees = int(owner.size - np.count_nonzero(self.counts[kept]))
        if degrees <= 0:
            return None
        return float(((self.values[mine] - self.means[owner]) ** 2).sum() / degrees)


@dataclass(slots=True)
class _Block:
    """Rows with the same metrics and the same number of values of each."""

    names: list[str]
    width: int
    owners: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)


class Table:
    """Values of all metrics on one side."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, tuple[str, ...]], _Block] = {}
        self._last = _Block([], 0)
        self._arrays: list[tuple[dict[str, int], Indexes, Floats]] | None = None

    def add(self, owner: int, metrics: Iterable[str], width: int, values: Iterable[float | None]) -> None:
        """Add a row: `width` values of each metric, one metric after the other."""
        names = [*metrics]
        block = self._last
        if width != block.width or names != block.names:  # most rows have what the one before has
            key = width, tuple(names)
            block = self._last = self._blocks.get(key) or _Block(names, width)
            self._blocks[key] = block
        block.owners.append(owner)
        block.values += values

    def column(self, metric: str) -> tuple[Indexes, Floats]:
        """A metric's values that are there, and the pair each belongs to."""
        import numpy as np

        if self._arrays is None:
            self._arrays = [
                (
                    {name: position for position, name in enumerate(block.names)},
                    np.repeat(np.array(block.owners, dtype=np.intp), block.width),
                    np.array(block.values, dtype=np.float64).reshape(len(block.owners), len(block.names), block.width),
                )
                for block in self._blocks.values()
            ]
        parts = [
            (owners, cube[:, metrics[metric], :].ravel()) for metrics, owners, cube in self._arrays if metric in metrics
        ]
        if not parts:
            return np.empty(0, dtype=np.intp), np.empty(0)
        owner = np.concatenate([part[0] for part in parts])
        values = np.concatenate([part[1] for part in parts])
        there = ~np.isnan(values)  # None became NaN; the records hold no NaN of their own
        return owner[there], values[there]


@dataclass(slots=True)
class Sheet:
    """All pairs with both sides of all their metrics.

    Args:
        exact: pairs that replay what the baseline was made from.
        groups: the group of each pair as a number, None where no pair has one.
    """

    pairs: Sequence[Pair]
    exact: Mask
    groups: Indexes | None
    stored: Table
    now: Table

    def sides(self, metric: str, relative: bool) -> tuple[Side, Side]:
        """A metric's baseline and current side."""
        owner, values = self.now.column(metric)
        return (
            _side(*self.stored.column(metric), len(self.pairs), relative),
            _side(owner, significant_array(values), len(self.pairs), relative),
        )


def sheet(pairs: Sequence[Pair], costs: Mapping[int, float] | None = None) -> Sheet:
    """Read the numbers of all pairs.

    Args:
        pairs: the cases.
        costs: what stands for the measured cost of some trials, by their id.
    """
    import numpy as np

    stored, now = Table(), Table()
    for index, pair in enumerate(pairs):
        samples = pair.samples()
        width = len(next(iter(samples.values()), ()))  # a case has as many values of each metric as trials
        stored.add(index, samples, width, chain.from_iterable(samples.values()))
        for trial in pair.trials:
            values = [measured.value for measured in trial.measurements.values()]
            if costs and (cost := costs.get(id(trial))) is not None:
                values[list(trial.measurements).index(repricing.METRIC)] = cost
            now.add(index, trial.measurements, 1, values)
    groups = None
    if any(pair.trials[-1].group for pair in pairs):
        codes: dict[tuple[bool, str], int] = {}
        labels = [(True, group) if (group := pair.trials[-1].group) else (False, pair.case) for pair in pairs]
        groups = np.array([codes.setdefault(label, len(codes)) for label in labels])
    return Sheet(pairs, np.array([pair.exact for pair in pairs], dtype=bool), groups, stored, now)


class Gating:
    """In which pairs a metric gates; worked out once for each different ``gate`` argument."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        import numpy as np

        codes: dict[tuple[str, ...] | bool | None, int] = {}
        arguments: list[GateArgument] = []
        owners = []
        for one in pairs:
            key = tuple(one.gate) if isinstance(one.gate, list) else one.gate
            if key not in codes:
                codes[key] = len(arguments)
                arguments.append(one.gate)
            owners.append(codes[key])
        self._arguments = arguments
        self._owners = np.array(owners, dtype=np.intp)

    def mask(self, name: str, definition: MetricDefinition, policy: Policy) -> Mask:
        """True for the pairs in which it gates."""
        import numpy as np

        rule = rule_for(name, definition, policy)
        return np.array([gates(name, argument, rule) for argument in self._arguments], dtype=bool)[self._owners]


def _side(owner: Indexes, values: Floats, pairs: int, relative: bool) -> Side:
    import numpy as np

    given = np.bincount(owner, minlength=pairs) > 0
    if relative:
        usable = values > 0
        values = np.where(usable, np.log(np.where(usable, values, 1.0)), np.nan)
        counts = np.bincount(owner, weights=usable, minlength=pairs).astype(np.intp)
        sums = np.bincount(owner, weights=np.where(usable, values, 0.0), minlength=pairs)
    else:
        counts = np.bincount(owner, minlength=pairs)
        sums = np.bincount(owner, weights=values, minlength=pairs)
    with np.errstate(invalid="ignore"):
        return Side(owner, values, given, sums / counts, counts)


def by_group(values: Floats, groups: Indexes) -> Floats:
    """Means over groups."""
    import numpy as np

    _, codes = np.unique(groups, return_inverse=True)
    sums: Floats = np.bincount(codes, weights=values) / np.bincount(codes)
    return sums


def units_without(cases: Mask, kept: Mask, groups: Indexes | None) -> int:
    """How many cases (groups, where there are any) of `cases` are in none of `kept`."""
    import numpy as np

    if groups is None:
        return int((cases & ~kept).sum())
    return int(np.setdiff1d(groups[cases], groups[kept]).size)


def differences(now: Floats, before: Floats) -> Floats:
    """Changes of paired means, with what is only floating-point noise made 0."""
    import numpy as np

    change = now - before
    noise = np.maximum(1e-9 * np.maximum(np.abs(now), np.abs(before)), 1e-14)
    result: Floats = np.where(np.abs(change) <= noise, 0.0, change)
    return result
