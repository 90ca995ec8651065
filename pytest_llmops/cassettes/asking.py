"""Who asks for an answer right now, so that overlapping tests with one question put it once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

_LOOK_S = 0.02


class Asking:
    """A lock for each question; what the first one got is known to those that waited."""

    def __init__(self) -> None:
        self._locks: dict[str, threading.Lock] = {}

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Wait until nobody else asks for `key`.

        Within a running event loop nobody is waited for: whoever asks may be a task of that loop.
        """
        lock = self._locks.setdefault(key, threading.Lock())
        taken = lock.acquire(blocking=not _in_loop())
        try:
            yield
        finally:
            if taken:
                lock.release()

    @asynccontextmanager
    async def aalone(self, key: str) -> AsyncIterator[None]:
        """`alone`, without blocking the running loop."""
        lock = self._locks.setdefault(key, threading.Lock())
        while not lock.acquire(blocking=False):
            await asyncio.sleep(_LOOK_S)
        try:
            yield
        finally:
            lock.release()


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
