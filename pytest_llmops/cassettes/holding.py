"""How long a test's calls were held back: by a quota, or by what their provider asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_llmops import clock


class Holding:
    """A clock that runs while any call of a test is held back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._since = 0.0
        self._total = 0.0

    @contextmanager
    def back(self) -> Iterator[None]:
        """While a call is held back; several at once count as one."""
        with self._lock:
            self._calls += 1
            if self._calls == 1:
                self._since = clock.counter()
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                if not self._calls:
                    self._total += clock.counter() - self._since

    @property
    def seconds(self) -> float:
        """In all so far."""
        with self._lock:
            return self._total + (clock.counter() - self._since if self._calls else 0.0)
