"""A Python that has read its libraries already, and forks for every command it is asked to run.

Nearly all of a short pytest run's CPU time goes into imports, and the suite makes more than a thousand such runs. Each
is a process of its own here, too, with the arguments, environment, folder and streams of one that was started. Only
libraries that it would import anyway are there before it begins: pytest's own modules and those that compute. The
plugin, other plugins and every HTTP client are imported by the run itself, in its own order: that is what is tested.

LLMOPS_FRESH=1 starts each anew, as `.ci/test-pythons` does; so does a command that this cannot do alike (`can_run`).

Who asks connects to a socket, and sends its command together with the files that are to be stdin, stdout and stderr;
back come the process's id and, when it has ended, its exit status. warm_client.py does so in the place of a Python that
a shell script starts.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

MODULES = ("pytest", "pytest_llmops")
"""What may be run: ``python -m`` of these."""
_NO_MATTER = {"PYTHONPATH", "PYTHONIOENCODING", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
"""Variables of Python's own that a forked process can still obey, or that change nothing of what is tested."""
_LIBRARIES = (
    "asyncio", "concurrent.futures.thread", "decimal", "difflib", "genai_prices", "jinja2", "numpy", "pydantic",
    "pydantic.type_adapter", "pydantic.v1", "rapidfuzz", "scipy.stats", "statistics", "tomllib", "unittest.mock",
    "xml.etree.ElementTree", "yaml", "zoneinfo",
)  # fmt: skip


def can_run(args: tuple[str, ...], env: Mapping[str, str]) -> bool:
    """Whether a fork does what a start would."""
    return (
        sys.platform == "linux"
        and not os.environ.get("LLMOPS_FRESH")
        and args[:1] == ("-m",)
        and args[1] in MODULES
        and not any(name.startswith("PYTHON") and name not in _NO_MATTER for name in env)
        and all(env.get(name) == os.environ.get(name) for name in ("TZ", "LANG", "LC_ALL", "LC_CTYPE"))
    )


# -- who asks ----------------------------------------------------------------------------------------------------------


class WarmPython:
    """Asks; the process is started at the first command, and ends with this one.

    Args:
        more: modules that its commands need beside the libraries of all.
    """

    def __init__(self, *more: str) -> None:
        self._more = more
        self._lock = threading.Lock()
        self._folder: str | None = None

    def run(self, args: tuple[str, ...], *, cwd: str, env: Mapping[str, str], timeout: float) -> tuple[int, bytes]:
        """Exit status, and what it wrote to stdout and stderr; negative for a signal, as subprocess has it."""
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as output, socket.socket(socket.AF_UNIX) as conn:
            with os.fdopen(writing, "wb"), open(os.devnull, "rb") as nothing:  # noqa: PTH123
                conn.connect(self.address())
                ask(conn, args, cwd, dict(env), (nothing.fileno(), writing, writing))
            return _followed(conn, output, time.monotonic() + timeout, [sys.executable, *args])

    def address(self) -> str:
        """Of its socket, once it is there."""
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.mkdtemp(prefix="warm-python-")
                self._start(f"{self._folder}/socket")
            return f"{self._folder}/socket"

    def _start(self, address: str) -> None:
        # -P: sys.path begins without a folder, and each command puts its own before the rest.
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        server = subprocess.Popen(
            [sys.executable, "-P", __file__, address, *self._more],
            env={**env, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # a fork has no other threads
            stdin=subprocess.PIPE,  # its end is this process's
            stdout=subprocess.PIPE,
        )
        assert server.stdin is not None
        assert server.stdout is not None
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        atexit.register(server.wait)
        atexit.register(server.stdin.close)
        assert server.stdout.readline() == b"ready\n"


def ask(conn: socket.socket, args: Sequence[str], cwd: str, env: dict[str, str], streams: Sequence[int]) -> None:
    """Send a command."""
    request = json.dumps({"args": args, "cwd": cwd, "env": env}).encode()
    socket.send_fds(conn, [array.array("Q", [len(request)]).tobytes()], streams)
    conn.sendall(request)


def _followed(conn: socket.socket, output: IO[bytes], deadline: float, command: list[str]) -> tuple[int, bytes]:
    """Read what the process writes, to its end."""
    written, said = b"", b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        selector.register(conn, selectors.EVENT_READ)
        while selector.get_map():
            events = selector.select(deadline - time.monotonic())
            if not events and time.monotonic() >= deadline:
                with contextlib.suppress(ProcessLookupError, IndexError, ValueError):
                    os.kill(int(said.split()[0]), signal.SIGKILL)
                raise subprocess.TimeoutExpired(command, 0, written)
            for key, _ in events:
                part = output.read(65536) if key.fileobj is output else conn.recv(4096)
                if not part:
                    selector.unregister(key.fileobj)
                elif key.fileobj is output:
                    written += part
                else:
                    said += part
    _, status = said.split()
    return int(status), written


# -- who is asked: this file, run as a script --------------------------------------------------------------------------


class _Server:
    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(address)
        self._socket.listen()
        self._running: dict[int, socket.socket] = {}

    def serve(self) -> dict[str, Any]:
        """Fork for each command; returns in the fork, with what it is to do."""
        signal.signal(signal.SIGCHLD, self._ended)
        while True:
            ready, _, _ = select.select([self._socket, 0], [], [])
            if 0 in ready:  # who started this has gone
                os._exit(0)
            conn, _ = self._socket.accept()
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # until it is known whose end it would be
            child = os.fork()
            if not child:
                return self._begin(conn)
            self._running[child] = conn
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])

    def _ended(self, *_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                conn = self._running.pop(ended[0])
                with contextlib.suppress(OSError):  # who asked has gone
                    conn.sendall(str(os.waitstatus_to_exitcode(ended[1])).encode())
                conn.close()

    def _begin(self, conn: socket.socket) -> dict[str, Any]:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        self._socket.close()
        for other in self._running.values():
            other.close()
        head, streams, _, _ = socket.recv_fds(conn, 8, 3)
        (size,) = array.array("Q", head)
        request: dict[str, Any] = json.loads(conn.recv(size, socket.MSG_WAITALL))
        conn.sendall(f"{os.getpid()} ".encode())
        conn.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, max(streams) + 1)
        return request


def _become(request: dict[str, Any], path: list[str]) -> None:
    """Take on what a start would have given to this process."""
    env = request["env"]
    os.environ.clear()
    os.environ.update(env)
    os.chdir(request["cwd"])
    inherited = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    args, safe = request["args"], request["args"][0] == "-P"
    sys.path[:] = [*([] if safe else [request["cwd"]]), *inherited, *path]
    sys.argv[:] = args[2 if safe else 1 :]  # runpy puts the module's file in the place of its name
    encoding = env.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    sys.stdout = sys.__stdout__ = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _main() -> None:
    import pytest  # noqa: F401  # before its parts
    from _pytest.config import default_plugins

    for name in default_plugins:
        importlib.import_module(f"_pytest.{name}")
    for name in (*_LIBRARIES, *sys.argv[2:]):
        with contextlib.suppress(ImportError):  # of other environments
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or each fork's collector would go through all that, and copy its pages
    path = list(sys.path)
    server = _Server(sys.argv[1])
    os.write(1, b"ready\n")
    request = server.serve()
    _become(request, path)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
