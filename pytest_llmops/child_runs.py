"""A pytest of its own for some tests of this project, with the options that this run was given.

It does not touch pytest's cache, and uses no cassettes where it is told to ask live.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.configuration import RERUN_VARIABLE

if TYPE_CHECKING:
    from pytest_llmops.records import TestRecord

# Options of the run that say which tests, when to stop, or where reports go; with the number of words that follow.
DROPPED = {
    **dict.fromkeys(("-x", "--exitfirst", "--lf", "--last-failed", "--ff", "--failed-first", "--nf", "--new-first"), 0),
    **dict.fromkeys(("--sw", "--stepwise", "--sw-skip", "--stepwise-skip", "--sw-reset", "--stepwise-reset"), 0),
    **dict.fromkeys(("--cov", "--no-cov", "--json-report", "-f", "--looponfail", "--pdb", "--trace"), 0),
    **dict.fromkeys(
        ("-k", "-m", "--deselect", "--maxfail", "-n", "--numprocesses", "--dist", "--tx", "--maxprocesses"), 1
    ),
    **dict.fromkeys(("--junitxml", "--junit-xml", "--html", "--css", "--alluredir", "--report-log", "--log-file"), 1),
    **dict.fromkeys(("--json-report-file", "--cov-report", "--splits", "--group", "--shard-id", "--num-shards"), 1),
    **dict.fromkeys(("--reruns", "--count", "--repeat-scope", "--basetemp"), 1),
}
SHARED = ".shared"
_SHORT_FLAGS = re.compile(r"-[xvqsl]{2,}")


class ChildFailed(Exception):
    """The child brought nothing back, and why."""


@dataclass(frozen=True, slots=True)
class Children:
    """How a project's tests are run in a pytest of their own.

    Args:
        root: pytest's rootdir; case keys start there.
        folder: where pytest is called.
        options: of its command line, as they were given.
        overrides: what stands last on it, and so overrules ini files and ``PYTEST_ADDOPTS``.
        workers: of xdist; None where it is not installed.
        junit: whether JUnit's file may be asked for, so that the child must have one of its own.
        announce: is told what is run again, and why.
        environ: the child's environment.
    """

    root: Path
    folder: Path
    options: Sequence[str]
    announce: Callable[[str], None]
    overrides: Sequence[str] = ()
    workers: int | None = None
    junit: bool = True
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def ids(self, case: str, numbers: Iterable[int], root: Path | None = None) -> list[str]:
        """Of a case's trials, from any folder; of those in another checkout where `root` is given."""
        head = f"{case[:-1]}-" if case.endswith("]") else f"{case}["
        return [f"{root or self.root}{os.sep}{head}trial{number}]" for number in numbers]

    def run(
        self,
        ids: Sequence[str],
        orders: Mapping[str, Any],
        *,
        timeout: float,
        parallel: bool = False,
        root: Path | None = None,
    ) -> list[TestRecord]:
        """Run these ids; in another checkout's folder where `root` is given, which must not run this one's code.

        Args:
            ids: of `Children.ids`.
            orders: the child's record mode, budget and trials.
            timeout: in seconds.
            parallel: by as many of xdist's workers as the run had.
            root: another checkout's rootdir.

        Raises:
            ChildFailed: no record came of it, or it ran the wrong code.
        """
        from pytest_llmops.baseline import load_run
        from pytest_llmops.errors import LlmopsError

        with TemporaryDirectory(prefix="llmops-rerun-") as folder:
            record = Path(folder) / "run.json"
            selected = Path(folder) / "ids"  # they may be more than a command line holds
            selected.write_text("\n".join(ids), encoding="utf-8")
            given = ["--maxfail=1000000", "-o", f"cache_dir={folder}/cache", "--color=no", "--tb=line"]
            given += [f"--rootdir={root or self.root}", *self.overrides]
            if self.junit:
                given.append(f"--junitxml={folder}/junit.xml")
            if self.workers is not None:
                given.append(f"-n{self.workers if parallel and not root else 0}")
            command = [sys.executable, "-m", "pytest", *self.options, *given, f"@{selected}"]
            apart = {"apart_from": str(self.root)} if root else {}
            environ = self._environ(root)
            environ[RERUN_VARIABLE] = json.dumps({**orders, **apart, "json": str(record)})
            done = _run(command, _moved(self.folder, self.root, root), environ, timeout)
            shared = record.with_suffix(SHARED)
            if shared.exists():
                raise ChildFailed(f"the checkout ran this one's code: {shared.read_text(encoding='utf-8')}")
            try:
                tests = load_run(record).tests
            except LlmopsError:
                tests = []
            if not tests:
                said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
                raise ChildFailed(f"pytest ended with {done.returncode}: {said[-1] if said else 'it said nothing'}")
            return tests

    def _environ(self, root: Path | None) -> dict[str, str]:
        environ = dict(self.environ)
        if root is not None and "PYTHONPATH" in environ:
            paths = environ["PYTHONPATH"].split(os.pathsep)
            environ["PYTHONPATH"] = os.pathsep.join(str(_moved(Path(path), self.root, root)) for path in paths)
        return environ


def of_session(config: pytest.Config) -> Children:
    """Children that see the same project and options as a session, without what does not become a second run."""
    arguments = [str(argument) for argument in config.invocation_params.args]
    xdist = config.pluginmanager.hasplugin("xdist")
    reporter = config.pluginmanager.get_plugin("terminalreporter")

    def announce(line: str) -> None:
        if reporter is not None:
            reporter.write(f"\n{line}\n", flush=True)

    return Children(
        root=config.rootpath,
        folder=config.invocation_params.dir,
        options=kept(arguments, list(config.getoption("file_or_dir", None) or [])),
        announce=announce,
        overrides=["--no-cov"] if config.pluginmanager.hasplugin("_cov") else [],
        workers=(config.getoption("numprocesses", None) or 0) if xdist else None,
        junit=bool(config.getoption("xmlpath", None)),
    )


def kept(arguments: Sequence[str], paths: Collection[str]) -> list[str]:
    """The arguments that a rerun takes over.

    Args:
        arguments: the command line.
        paths: those of them that name tests.
    """
    found: list[str] = []
    skip = 0
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if skip:
            skip -= 1
        elif name in DROPPED:
            skip = 0 if equals else DROPPED[name]
        elif re.fullmatch(r"-n\S+|--cov=.*", argument) or argument in paths:
            continue
        elif _SHORT_FLAGS.fullmatch(argument):
            rest = argument.replace("x", "")
            found += [rest] if rest != "-" else []
        else:
            found.append(argument)
    return found


def tell_shared(record: Path, apart_from: Path, root: Path) -> None:
    """Leave word, beside a child's record, of modules it took from the folder it is to be compared with."""
    own = {root, Path(sys.prefix), Path(__file__).parent}
    shared = [
        f"{name} ({file})"
        for name, module in sorted(sys.modules.items())
        if (file := getattr(module, "__file__", None))
        and Path(file).is_relative_to(apart_from)
        and not any(Path(file).is_relative_to(folder) for folder in own)
    ]
    if shared:
        record.with_suffix(SHARED).write_text(", ".join(shared[:3]), encoding="utf-8")


def _run(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"they did not end within {timeout:.0f} s") from None
    except OSError as error:  # the checkout lacks the folder that pytest was called in
        raise ChildFailed(f"{folder}: {error.strerror or error}") from None


def _moved(path: Path, base: Path, root: Path | None) -> Path:
    """The same place in another checkout."""
    return root / path.relative_to(base) if root and path.is_relative_to(base) else path
