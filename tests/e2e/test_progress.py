"""Progress, as somebody at a terminal sees it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

from tests.conftest import REPOSITORY
from tests.e2e.user import speaking_to, write_app

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
termios = pytest.importorskip("termios")

TEST = """
    import pytest
    from app import ask

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("number", range(4))
    def test_it(llm_eval, number):
        print("said by the test")
        assert llm_eval.run(ask, f"question {number}").text

    def test_other():
        pass
"""


ESCAPE = re.compile(r"\x1b(?:\[\d*[mK]|[78])")
SHOWN = re.compile(r"\x1b7  \x1b\[2m\d calls?[^\x1b]*\x1b\[0m\x1b\[K\x1b8")


def at_a_terminal(project, *arguments, env, columns=80):
    """What pytest writes to a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, columns))
    foreign = re.compile("CI$|COLUMNS$|PYTEST_")
    clean = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-o", "asyncio_default_fixture_loop_scope=function", *arguments],
        cwd=project.path,
        env={**clean, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm", **env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    return process.wait(20), written.decode()


def screen(written):
    """What is left on the screen: cursor saved and restored, lines cleared from the cursor on."""
    lines, row, column, saved = [[]], 0, 0, (0, 0)
    for token in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[78]|[\s\S]", written):
        if token == "\x1b7":
            saved = (row, column)
        elif token == "\x1b8":
            row, column = saved
        elif token == "\x1b[K":
            del lines[row][column:]
        elif token == "\n":
            row += 1
            while row >= len(lines):
                lines.append([])
        elif token == "\r":
            column = 0
        elif not token.startswith("\x1b"):
            cells = lines[row]
            cells += [" "] * (column + 1 - len(cells))
            cells[column] = token
            column += 1
    return ["".join(line).rstrip() for line in lines]


@pytest.fixture
def suite(project, standin):
    write_app(project)
    project.file("test_it.py", TEST)
    standin.latency_s = 1.2
    return project


@pytest.mark.parametrize("options", [(), ("-v",), ("-n2",), ("--llm-concurrency=2",)])
def test_a_long_run_tells_where_it_is_and_leaves_no_trace(suite, standin, options):
    if "--llm-concurrency=2" in options:
        standin.latency_s *= 2  # two at a time: as long a run as the others
    columns = 50 if "-v" in options else 80
    arguments = ("--llm-record=live", "-p", "no:cacheprovider", *options)
    status, written = at_a_terminal(suite, *arguments, env=speaking_to(standin), columns=columns)
    assert status == 0, written
    assert SHOWN.search(written), written
    if "-v" in options:  # a line that wraps cannot be taken back
        name = len("test_it.py::test_it[0] ")
        assert all(name + len(ESCAPE.sub("", shown)) <= columns for shown in SHOWN.findall(written)), written
    if not options:
        assert re.search(r"2 calls \+ 1  \$0\.\d+  ~\d+ s left", written), written
    if "-n2" in options:
        assert re.search(r"\d calls? \+ [12]\b", written), written
    left = screen(written)
    assert not any("call" in line and "left" in line for line in left), left
    assert any("5 passed" in line for line in left)


@pytest.mark.parametrize("why", ["replay", "ci", "dumb", "uncaptured"])
def test_nobody_else_sees_it(suite, standin, why):
    env = speaking_to(standin, **{"ci": {"CI": "true"}, "dumb": {"TERM": "dumb"}}.get(why, {}))
    arguments = ["--llm-record=live", *(["-s"] if why == "uncaptured" else [])]
    if why == "replay":
        suite.run("--llm-record=all", env=env)
        arguments = ["--llm-record=none"]
    status, written = at_a_terminal(suite, *arguments, env=env)
    assert status == 0, written
    assert "\x1b7" not in written
