"""One metric's numbers as arrays: 50 metrics × 10,000 cases are compared in a fraction of a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from pytest_llmops.compare.pairing import Pair
from pytest_llmops.stats import significant_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indexes = NDArray[np.intp]


@dataclass(slots=True)
class Side:
    """Values of one side, each with its case's index; means over the trials of a case, NaN where it has none."""

    index: Indexes
    values: Floats
    means: Floats
    skipped: int

    @property
    def trials(self) -> float:
        """Mean number of trials over the cases that have any."""
        import numpy as np

        return float(self.values.size / max(1, np.unique(self.index).size))

    def variance_within(self) -> float | None:
        """Variance between trials of one case; None where no case has two."""
        import numpy as np

        degrees = int(self.values.size - np.unique(self.index).size)
        if degrees <= 0:
            return None
        return float(((self.values - self.means[self.index]) ** 2).sum() / degrees)


def sides(metric: str, pairs: Sequence[Pair], relative: bool) -> tuple[Side, Side]:
    """Both sides of a metric over these pairs: baseline, current; logs where relative."""
    import numpy as np

    listed = [pair.samples(metric) for pair in pairs]
    stored = np.array([*chain.from_iterable(listed)], dtype=np.float64)  # None becomes NaN
    owner = np.repeat(np.arange(len(pairs)), [len(values) for values in listed])
    measured = [trial.measurements.get(metric) for pair in pairs for trial in pair.trials]
    values = np.array([None if m is None else m.value for m in measured], dtype=np.float64)
    trial_owner = np.repeat(np.arange(len(pairs)), [len(pair.trials) for pair in pairs])
    return (
        _side(owner, stored, len(pairs), relative),
        _side(trial_owner, significant_array(values), len(pairs), relative),
    )


def _side(index: Indexes, values: Floats, cases: int, relative: bool) -> Side:
    import numpy as np

    given = ~np.isnan(values)
    index, values = index[given], values[given]
    skipped = 0
    if relative:
        positive = values > 0
        skipped = int(values.size - positive.sum())
        index, values = index[positive], np.log(values[positive])
    counts = np.bincount(index, minlength=cases)
    with np.errstate(invalid="ignore"):
        means = np.bincount(index, weights=values, minlength=cases) / counts
    return Side(index, values, means, skipped)


def by_group(values: Floats, labels: Sequence[str]) -> Floats:
    """Means over groups, in the order in which the groups first appear."""
    import numpy as np

    codes: dict[str, int] = {}
    index = np.array([codes.setdefault(label, len(codes)) for label in labels])
    sums: Floats = np.bincount(index, weights=values) / np.bincount(index)
    return sums


def differences(now: Floats, before: Floats) -> Floats:
    """Changes of paired means, with what is only floating-point noise made 0."""
    import numpy as np

    change = now - before
    noise = np.maximum(1e-9 * np.maximum(np.abs(now), np.abs(before)), 1e-14)
    result: Floats = np.where(np.abs(change) <= noise, 0.0, change)
    return result
