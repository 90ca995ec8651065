"""How many bodies run at once: fewer when the provider says so, slowly more again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from threading import Condition
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pytest_llmops.cassettes.transfer import Transfer

SHRINK = 0.8
LONGEST_PAUSE_S = 300.0
"""A provider that asks for more than this is out of quota for the day; waiting longer helps nobody."""
_PAUSE_S = 1.0
_CALM_S = 1.0
_GROWTH_PAUSE_S = 10.0


class Slots:
    """Additive increase, multiplicative decrease, as TCP does it, on what is seen on the wire.

    Args:
        maximum: bodies at once where no provider objects.
        changed: notified where more may start now, or later than thought.
    """

    def __init__(self, maximum: int, changed: Condition) -> None:
        self.maximum = maximum
        self._limit = float(maximum)
        self._changed = changed
        self._paused_until: dict[str, float] = {}
        """By host: a judge's provider goes on answering while the application's asks for a pause."""
        self._shrunk_at = 0.0
        self._growing_from = 0.0
        self.throttled = 0

    @property
    def limit(self) -> int:
        """Bodies that may run at once now."""
        return max(1, int(self._limit))

    def pause(self) -> float:
        """Seconds until the next body may start, whichever provider it will ask; 0 where it may at once."""
        return max(0.0, max(self._paused_until.values(), default=0.0) - time.monotonic())

    def begins(self, transfer: Transfer) -> float:
        """A request waits for the end of the pause its provider asked for."""
        if transfer.request.route is None:
            return 0.0
        return max(0.0, self._paused_until.get(_host(transfer), 0.0) - time.monotonic())

    def resumes(self, transfer: Transfer) -> float:
        """It waits on where its provider has asked for a longer pause meanwhile."""
        return self.begins(transfer)

    def completed(self, transfer: Transfer) -> None:
        """A provider has answered."""
        status, now = transfer.status, time.monotonic()
        if status is None or (status < 400 and self._limit >= self.maximum):
            return
        with self._changed:
            if status == 429:
                self._shrink(now, _host(transfer), retry_after(transfer.headers))
            elif status >= 500:
                self._growing_from = now + _GROWTH_PAUSE_S
            elif status < 400 and now >= self._growing_from and self._limit < self.maximum:
                self._limit = min(float(self.maximum), self._limit + 1 / self._limit)
            self._changed.notify_all()

    def _shrink(self, now: float, host: str, pause: float | None) -> None:
        self.throttled += 1
        until = now + (_PAUSE_S if pause is None else min(pause, LONGEST_PAUSE_S))
        self._paused_until[host] = max(self._paused_until.get(host, 0.0), until)
        # Requests that were under way together are refused together: one step, not one for each.
        if now >= self._shrunk_at + _CALM_S:
            self._limit = max(1.0, self._limit * SHRINK)
            self._shrunk_at = now
        self._growing_from = max(self._paused_until.values())


def _host(transfer: Transfer) -> str:
    return urlsplit(transfer.request.url).netloc


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds a provider asks to wait, from its response's headers (names in lower case); None where it says nothing.

    Reads ``retry-after-ms``, and ``retry-after`` in seconds or as a date.
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / scale)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return None
