"""The clock that goes on where a test has frozen everybody else's."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

import pytest

from pytest_llmops import clock


def freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    """As freezegun: what `time` has, and every name of the package's modules for the same functions or classes."""

    class Frozen(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2001, 2, 3, tzinfo=tz)

        @classmethod
        def fromtimestamp(cls, timestamp, tz=None):
            return cls.now(tz)

    frozen = {time.time: lambda: 981158400.0, time.perf_counter: lambda: 5.0, datetime: Frozen}
    for module in [time, *(m for name, m in sys.modules.items() if name.startswith("pytest_llmops"))]:
        for name, value in [*vars(module).items()]:
            if value in (time.time, time.perf_counter, datetime):
                monkeypatch.setattr(module, name, frozen[value])


def test_frozen_time_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    before, day = clock.counter(), datetime.now(UTC)
    with monkeypatch.context() as patching:
        freeze(patching)
        assert time.time() == 981158400.0
        assert clock.counter() >= before
        assert clock.counter() != 5.0
        frozen = clock.now()
    assert abs((frozen - day).total_seconds()) < 3600
    assert frozen.tzinfo is UTC
