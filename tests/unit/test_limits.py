"""The ledger that all processes of a run keep: numbers are added up, none is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_llmops.limits import Ledger

ADD = """
import sys
from pathlib import Path
from pytest_llmops.limits import Ledger

ledger = Ledger(Path(sys.argv[1]))
for _ in range(200):
    with ledger.opened() as values:
        values["usd"] = values.get("usd", 0.0) + 0.25
"""


@pytest.mark.parametrize("shared", [False, True])
def test_threads_lose_nothing(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "ledger.json"
    path.touch()
    ledger = Ledger(path if shared else None)

    def add() -> None:
        for _ in range(100):
            with ledger.opened() as values:
                values["usd"] = values.get("usd", 0.0) + 1

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.opened() as values:
        assert values == {"usd": 800.0}


def test_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    path.touch()
    running = [subprocess.Popen([sys.executable, "-c", ADD, str(path)]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert json.loads(path.read_text()) == {"usd": 150.0}
