"""A forked command is like one that was started: its arguments, folder, streams, path, end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm_python import WarmPython, can_run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks only where that is known to be safe")

SHOW = """
import atexit, json, os, pathlib, pytest, sys, threading

def test_it():
    known = [name for name in ("pytest_llmops", "httpx", "requests", "aiohttp", "vcr") if name in sys.modules]
    told = [sys.argv[1:], os.getcwd(), sorted(os.environ), sys.path[:3], sys.stdout.encoding, known]
    pathlib.Path("told.json").write_text(json.dumps(told))
    atexit.register(lambda: pathlib.Path("at_exit").touch())
    threading.Thread(target=lambda: pathlib.Path("by_thread").touch()).start()
"""
ARGS = ("-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "test_show.py")


@pytest.fixture(scope="module")
def warm() -> WarmPython:
    return WarmPython()


def test_it_is_told_and_ends_as_one_that_was_started(warm: WarmPython, tmp_path: Path) -> None:
    (tmp_path / "test_show.py").write_text(SHOW)
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": "/one:/other", "MINE": "x"}
    told = []
    for forked in (False, True):
        if forked:
            status, out = warm.run(ARGS, cwd=str(tmp_path), env=env, timeout=60)
        else:
            done = subprocess.run([sys.executable, *ARGS], cwd=tmp_path, env=env, stdout=subprocess.PIPE, check=False)
            status, out = done.returncode, done.stdout
        assert status == 0, out
        assert b"1 passed" in out
        for name in ("at_exit", "by_thread"):
            (tmp_path / name).unlink()
        told.append((tmp_path / "told.json").read_text())
    assert told[0] == told[1]


def test_its_status_is_its_own(warm: WarmPython, tmp_path: Path) -> None:
    (tmp_path / "test_killed.py").write_text("import os\ndef test_it(): os.kill(os.getpid(), 9)\n")
    (tmp_path / "test_failed.py").write_text("import os\ndef test_it(): os.write(2, b'to stderr'); assert 0\n")
    env = {"PATH": os.environ["PATH"]}
    assert warm.run(("-m", "pytest", "test_killed.py"), cwd=str(tmp_path), env=env, timeout=60)[0] == -signal.SIGKILL
    status, out = warm.run(("-m", "pytest", "-s", "test_failed.py"), cwd=str(tmp_path), env=env, timeout=60)
    assert (status, b"to stderr" in out) == (1, True)


def test_one_that_does_not_end_is_ended(warm: WarmPython, tmp_path: Path) -> None:
    (tmp_path / "test_endless.py").write_text("import time\ndef test_it(): time.sleep(100)\n")
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run(("-m", "pytest"), cwd=str(tmp_path), env={"PATH": os.environ["PATH"]}, timeout=2)


def test_what_cannot_be_done_alike_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMOPS_FRESH", raising=False)
    here = dict(os.environ)
    assert can_run(("-m", "pytest", "-q"), here)
    assert not can_run(("-c", "pass"), here)
    assert not can_run(("-m", "pytest"), here | {"PYTHONWARNINGS": "error"})
    assert not can_run(("-m", "pytest"), here | {"TZ": "Asia/Tokyo"})
    monkeypatch.setenv("LLMOPS_FRESH", "1")
    assert not can_run(("-m", "pytest"), here)
