"""What a run may spend on live calls, and how fast: ``--llm-budget``, ``--llm-max-rpm``, ``--llm-max-tpm``."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from pytest_llmops import clock, providers
from pytest_llmops.cassettes.miss import CassetteMiss
from pytest_llmops.cassettes.watcher import watch
from pytest_llmops.stats import plain
from pytest_llmops.totals import why_no_cost

if TYPE_CHECKING:
    from pytest_llmops.cassettes.transfer import Transfer
    from pytest_llmops.configuration import Configuration
    from pytest_llmops.records import Call

_WORKER_INPUT = "llmops_ledger"


def configure(config: pytest.Config, settings: Configuration) -> None:
    """Register the limits that the settings ask for."""
    ledger = _ledger(config)
    if settings.budget is not None:
        watch(config, Budget(settings.budget, ledger, settings))
    if settings.max_rpm is not None or settings.max_tpm is not None:
        watch(config, Quota(settings.max_rpm, settings.max_tpm, ledger, settings))


def _ledger(config: pytest.Config) -> Ledger:
    given = getattr(config, "workerinput", {}).get(_WORKER_INPUT)
    if given is not None:
        return Ledger(Path(given))
    if getattr(config.option, "dist", "no") == "no":
        return Ledger(None)
    handle, name = tempfile.mkstemp(prefix="pytest-llmops-", suffix=".ledger.json")
    os.close(handle)
    config.pluginmanager.register(_Hand(Path(name)), "llmops-ledger")
    return Ledger(Path(name))


class _Hand:
    """Hands the ledger's file to xdist's workers."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_WORKER_INPUT] = str(self._path)

    def pytest_unconfigure(self) -> None:
        self._path.unlink(missing_ok=True)


class Ledger:
    """Numbers that all processes of a run keep together.

    Args:
        path: their file; None where there is one process only.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._values: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def opened(self) -> Iterator[dict[str, float]]:
        """The numbers, to be read and changed by nobody else meanwhile."""
        with self._lock:
            if self._path is None:
                yield self._values
                return
            with self._path.open("r+", encoding="utf-8") as file, _locked(file):
                values = json.loads(file.read() or "{}")
                yield values
                file.seek(0)
                file.truncate()
                file.write(json.dumps(values))
                file.flush()


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        try:
            yield
        finally:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file frees it


class BudgetExceeded(CassetteMiss):
    """A live call that was not made, or whose price nobody knows, under ``--llm-budget``."""


BudgetExceeded.__module__ = "builtins"  # as its base does: reports name it without a path


class Budget:
    """Stops live calls once the run has cost what it may.

    Calls under way are finished and counted, so a run may pass its budget by what they cost.

    Args:
        usd: what the live calls of all workers, the judges' among them, may cost together.
    """

    def __init__(self, usd: float, ledger: Ledger, settings: Configuration) -> None:
        self._usd = usd
        self._ledger = ledger
        self._settings = settings

    def begins(self, transfer: Transfer) -> float:
        """Refuse a call where nothing is left."""
        return self.resumes(transfer)

    def resumes(self, transfer: Transfer) -> float:
        """Refuse it as well where others have spent what was left while it was held back."""
        if transfer.request.route is not None:
            with self._ledger.opened() as values:
                spent = values.get("usd", 0.0)
            if spent >= self._usd:
                raise BudgetExceeded(
                    f"not sent: this run's live calls have cost ${plain(spent, 6)}, "
                    f"its budget is ${plain(self._usd, 6)} (--llm-budget)\n"
                    f"  {transfer.request.method} {transfer.request.url}"
                )
        return 0.0

    def completed(self, transfer: Transfer) -> None:
        """Count what a call has cost; fail the test where nobody knows."""
        call = _read(transfer, self._settings)
        if call is None:
            return
        if call.cost_usd is not None:
            with self._ledger.opened() as values:
                values["usd"] = values.get("usd", 0.0) + call.cost_usd
        elif call.error is None or call.input_tokens is not None:
            transfer.tape.misses.append(
                BudgetExceeded(f"under --llm-budget every live call needs a price:\n  {why_no_cost([call])}")
            )


class Quota:
    """Spreads live calls evenly, so that no minute holds more than it may.

    Args:
        rpm: requests a minute; None: no limit.
        tpm: tokens a minute, input and output; a request counts as much as an average one until it is answered.
    """

    def __init__(self, rpm: float | None, tpm: float | None, ledger: Ledger, settings: Configuration) -> None:
        self._rpm = rpm
        self._tpm = tpm
        self._ledger = ledger
        self._settings = settings
        self._expected: dict[Transfer, float] = {}

    def begins(self, transfer: Transfer) -> float:
        """Seconds until it is this request's turn."""
        if transfer.request.route is None:
            return 0.0
        now = turn = clock.now().timestamp()
        with self._ledger.opened() as values:
            if self._rpm is not None:
                turn = max(turn, values.get("request_at", 0.0))
                values["request_at"] = turn + 60 / self._rpm
            if self._tpm is not None:
                turn = max(turn, values.get("tokens_at", 0.0))
                expected = self._expected[transfer] = self._expect(values, transfer)
                values["tokens_at"] = max(now, values.get("tokens_at", 0.0)) + expected * 60 / self._tpm
        return turn - now

    def resumes(self, transfer: Transfer) -> float:
        """Its turn was given to it as it began."""
        return 0.0

    def _expect(self, values: dict[str, float], transfer: Transfer) -> float:
        if values.get("answers"):
            return values["tokens"] / values["answers"]
        return len(json.dumps(transfer.request.body, default=str)) / 4  # four characters a token, in English

    def completed(self, transfer: Transfer) -> None:
        """Put the tokens that were used in place of those expected."""
        expected = self._expected.pop(transfer, None)
        if expected is None or self._tpm is None:
            return
        call = _read(transfer, self._settings)
        used = expected
        if call is not None and call.input_tokens is not None:
            used = call.input_tokens + (call.output_tokens or 0)
        elif call is None or call.error is not None:
            used = 0
        with self._ledger.opened() as values:
            values["tokens_at"] = values.get("tokens_at", 0.0) + (used - expected) * 60 / self._tpm
            if used:
                values["tokens"] = values.get("tokens", 0.0) + used
                values["answers"] = values.get("answers", 0) + 1


def _read(transfer: Transfer, settings: Configuration) -> Call | None:
    exchange = transfer.exchange()
    if exchange is None:
        return None
    project = settings.project
    return providers.read(exchange, hosts=project.hosts, prices=project.prices, store_text=False)
