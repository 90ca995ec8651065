"""In what order calls are told that were under way at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmops.cassettes.transfer import Transfer

_ROUNDING_S = 1.5
"""Recordings are dated to the second: so far apart two of one run may seem to have begun."""


def as_recorded(transfers: Sequence[Transfer]) -> list[Transfer]:
    """Transfers in the order they were begun; where any overlapped when recorded, in the order of that recording.

    Threads and tasks ask in an order of chance. The last call, whose text and model are the result's, must be the same
    one on every replay. What was asked one after another stays in the order it is asked in now: the application may
    have changed it.
    """
    ordered = list(transfers)
    places = [place for place, transfer in enumerate(ordered) if transfer.request.role == "app"]
    asked = [ordered[place] for place in places]
    began = [_began(transfer) for transfer in asked]
    if None in began or all(_key(one) <= _key(other) for one, other in pairwise(asked)):
        return ordered
    if _of_one_run(asked) and _overlapped(asked):
        for place, transfer in zip(places, sorted(asked, key=_key), strict=True):
            ordered[place] = transfer
    return ordered


def _timing(transfer: Transfer, name: str) -> float | None:
    timing = (transfer.interaction or {}).get("timing") or {}
    found: float | None = timing.get(name)
    return found


def _began(transfer: Transfer) -> float | None:
    return _timing(transfer, "at_ms")


def _key(transfer: Transfer) -> tuple[float, str]:
    return _began(transfer) or 0.0, transfer.request.key


def _of_one_run(transfers: Sequence[Transfer]) -> bool:
    starts = []
    for transfer in transfers:
        date = (transfer.interaction or {}).get("recorded_at")
        if date is None:
            return False
        starts.append(datetime.fromisoformat(date).timestamp() - (_began(transfer) or 0.0) / 1000)
    return max(starts) - min(starts) <= _ROUNDING_S


def _overlapped(transfers: Sequence[Transfer]) -> bool:
    until = 0.0
    for transfer in sorted(transfers, key=_key):
        at = _began(transfer) or 0.0
        if at < until:
            return True
        until = max(until, at + (_timing(transfer, "elapsed_ms") or 0.0))
    return False
