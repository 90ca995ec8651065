"""Waiting and measuring on a machine that has other work, too."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(is_so: Callable[[], object], within_s: float = 30) -> bool:
    """Whether it `is_so` in the end: another thread may be a moment late, and on a busy machine a long one."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def least_cpu_s(work: Callable[[], object], *, enough: float, tries: int = 5) -> float:
    """CPU seconds of the quietest of some tries; the first one below `enough` is the last.

    CPU time, too, is more than it need be while others take the caches and the other half of the core.
    """
    least = float("inf")
    for _ in range(tries):
        started = time.process_time()
        work()
        least = min(least, time.process_time() - started)
        if least < enough:
            break
    return least
