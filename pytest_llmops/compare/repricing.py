"""A run's costs at the prices its baseline was made with: both sides of a comparison use one table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pytest_llmops.baseline.stored import changed_prices
from pytest_llmops.compare.pairing import Pair
from pytest_llmops.records import Call, Fingerprint, TestRecord

METRIC = "cost_usd"
_CLOSE = 1e-5
"""Relative; rates are written with six digits."""
_Rates = tuple[float, float]


def changed(pairs: Sequence[Pair], before: Fingerprint, now: Fingerprint) -> dict[str, str]:
    """Models that the application asked in these cases at another price than the baseline's, the change in words."""
    found = changed_prices(before, now)
    asked = {_name(call) for one in pairs for trial in one.trials for call in trial.calls} if found else set()
    return {name: words for name, words in found.items() if name in asked}


def at_stored_prices(pairs: Sequence[Pair], before: Fingerprint, now: Fingerprint) -> dict[int, float] | None:
    """What each trial's `METRIC` would have been at the baseline's prices.

    Args:
        pairs: the cases compared.
        before: the baseline's fingerprint.
        now: the run's.

    Returns:
        USD by the id of each trial whose cost is another then; None where one cannot be told: the record of a call
        has its tokens, and a price that is more than so much a token (caches, tiers, searches) cannot be redone.
    """
    models = changed(pairs, before, now)
    rates = {name: (_rates(before.prices[name]), _rates(now.prices[name])) for name in models}
    found: dict[int, float] = {}
    for trial in (trial for one in pairs for trial in one.trials) if rates else ():
        measured = trial.measurements.get(METRIC)
        if measured is None or measured.value is None:
            continue
        cost = _repriced(trial, measured.value, rates)
        if cost is None:
            return None
        found[id(trial)] = cost
    return found


def _repriced(trial: TestRecord, measured: float, rates: Mapping[str, tuple[_Rates, _Rates]]) -> float | None:
    calls = [call for call in trial.calls if call.role == "app" and call.cost_usd is not None]
    if not _same(sum(call.cost_usd or 0.0 for call in calls), measured):
        return None
    total = 0.0
    for call in calls:
        cost = call.cost_usd or 0.0
        if (both := rates.get(_name(call))) is not None:
            stored, current = (_flat(call, one) for one in both)
            if _same(cost, current):
                cost = stored
            elif not _same(cost, stored):  # a recording of then has its day's price already
                return None
        total += cost
    return total


def _name(call: Call) -> str:
    return f"{call.provider}:{call.model}" if call.role == "app" else ""


def _rates(written: str) -> _Rates:
    fresh, _, out = written.partition("/")
    return float(fresh), float(out)


def _flat(call: Call, rates: _Rates) -> float:
    return ((call.input_tokens or 0) * rates[0] + (call.output_tokens or 0) * rates[1]) / 1_000_000


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=1e-15)
