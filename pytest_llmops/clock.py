"""The time as it is, also where a test has frozen it: what a provider took is the provider's time, not the test's."""

from __future__ import annotations

import time
from datetime import UTC, datetime

# Not as names of this module: freezegun replaces what modules hold by name. time-machine changes what `time.time`
# itself returns and leaves counters alone, so dates go by the counter, from when this package was loaded.
_REAL = (time.perf_counter, datetime.fromtimestamp)
_ZERO = time.time() - time.perf_counter()


def counter() -> float:
    """`time.perf_counter`, running on."""
    return _REAL[0]()


def now() -> datetime:
    """Today's date and time, in UTC."""
    return _REAL[1](_ZERO + _REAL[0](), UTC)
