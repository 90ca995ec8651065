"""More trials after a live run, in a pytest of their own: of suspects, of regressions, and where one is not enough.

The child sees the same project and options, and does not touch pytest's cache. Reruns use no cassettes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.configuration import MOST_TRIALS, RERUN_VARIABLE

if TYPE_CHECKING:
    from pytest_llmops.configuration import Configuration
    from pytest_llmops.records import Comparison, RunRecord, TestRecord

MOST_SUSPECTS = 25
"""More broken cases than that show in the metrics; running them all again would cost as much as the run."""
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


@dataclass
class Rerun:
    """What came of it: records to add to the run, and what the report is to say."""

    tests: list[TestRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def suspects(config: pytest.Config, settings: Configuration, run: RunRecord, comparison: Comparison) -> Rerun:
    """Run the suspects of a live or recording run five times more; nothing where there are none, or on replay."""
    live = {test.case for test in run.tests if test.cassette.live}
    cases = [case for case in comparison.suspect_cases if case in live]
    if settings.record == "none" or not cases:
        return Rerun()
    budget = _left(settings, run)
    if budget is not None and budget <= 0:
        return Rerun(notes=["the suspects were not run again: the budget is spent"])
    found = Rerun()
    if len(cases) > MOST_SUSPECTS:
        found.notes.append(f"{MOST_SUSPECTS} of {len(cases)} suspects were run again")
        cases = cases[:MOST_SUSPECTS]
    _announce(config, f"llmops: running {len(cases)} suspect case{'s' * (len(cases) != 1)} {MOST_TRIALS} times more")
    took = sum(test.duration_s for test in run.tests if test.case in cases)
    try:
        ids = [nodeid for case in cases for nodeid in _trial_ids(config, case, range(MOST_TRIALS))]
        orders = {"record": "live", "budget": budget, "trials": MOST_TRIALS}
        tests = _in_child(config, ids, orders, timeout=120 + 50 * took)
    except _ChildFailed as error:
        found.notes.append(f"the suspects could not be run again: {error}")
        return found
    for test in tests:
        if test.case in cases:
            test.rerun = True
            found.tests.append(test)
    return found


def trials(config: pytest.Config, settings: Configuration, run: RunRecord, unsettled: Sequence[str]) -> Rerun:
    """Run the other trials of every case that ran live; they count like those of the run.

    Args:
        config: pytest's.
        settings: the session's.
        run: the run, of one trial a case.
        unsettled: the gated metrics that one trial did not settle.
    """
    cases = sorted({test.case for test in run.tests if test.cassette.live})
    if settings.record == "none" or not cases:
        return Rerun()
    budget = _left(settings, run)
    if budget is not None and budget <= 0:
        return Rerun(notes=["no more trials were run: the budget is spent"])
    more = range(1, MOST_TRIALS)
    _announce(config, f"llmops: one trial did not settle {', '.join(unsettled)}; running {len(more)} more of each case")
    took = sum(test.duration_s for test in run.tests)
    ids = [nodeid for case in cases for nodeid in _trial_ids(config, case, more)]
    orders = {"record": settings.record, "budget": budget, "trials": MOST_TRIALS}
    try:
        tests = _in_child(config, ids, orders, timeout=600 + 50 * took, workers=_workers(config))
    except _ChildFailed as error:
        return Rerun(notes=[f"more trials could not be run: {error}"])
    return Rerun([test for test in tests if test.case in cases and test.trial in more])


def confirmation(config: pytest.Config, settings: Configuration, run: RunRecord, regressed: Sequence[str]) -> Rerun:
    """Run the cases of metrics that regressed once more, with as many trials as they had; nothing on replay.

    The baseline's code comes first, where there is a checkout of it: if it cannot be run, nothing else is paid for.

    Args:
        config: pytest's.
        settings: the session's.
        run: the run.
        regressed: the metrics in question.
    """
    had: dict[str, int] = {}
    for test in run.tests:
        if not test.rerun and test.cassette.live and any(_gates(test, metric) for metric in regressed):
            had[test.case] = had.get(test.case, 0) + 1
    if settings.record == "none" or not had:
        return Rerun()
    names = ", ".join(regressed)
    budget = _left(settings, run)
    if budget is not None and budget <= 0:
        return Rerun(notes=[f"{names} could not be confirmed by fresh trials: the budget is spent"])
    fresh = f"{sum(had.values())} fresh trials of {len(had)} cases"
    fresh += ", and as many of the baseline's code," if settings.confirm_baseline else ""
    _announce(config, f"llmops: {names} regressed; running {fresh} to confirm it")
    took = sum(test.duration_s for test in run.tests if test.case in had)
    orders = {"record": "live", "budget": budget, "trials": max(MOST_TRIALS, *had.values())}
    found = Rerun()
    try:
        for root in (settings.confirm_baseline, None) if settings.confirm_baseline else (None,):
            ids = [nodeid for case, trials in had.items() for nodeid in _trial_ids(config, case, range(trials), root)]
            tests = _in_child(config, ids, orders, timeout=600 + 10 * took, workers=_workers(config), root=root)
            for test in tests:
                test.rerun = test.confirms = True
                test.of_baseline = root is not None
            found.tests += [test for test in tests if test.case in had]
            orders["budget"] = _left(settings, run, found.tests)
    except _ChildFailed as error:
        found.notes.append(f"{names} could not be confirmed by fresh trials: {error}")
    return found


def failed(config: pytest.Config, settings: Configuration, run: RunRecord, suspects: Collection[str]) -> Rerun:
    """Run live cases that failed once more, with as many trials as they had, where nothing else ran them again.

    For who asks whether a failure lasts (the action, on a schedule); pytest itself has failed by then. Trials that
    broke down are not chance's doing, and are left alone.
    """
    from pytest_llmops.compare import failing_cases

    settled = {test.case for test in run.tests if test.rerun} | {*suspects}
    live = {test.case for test in run.tests if test.cassette.live} - settled
    had = {
        case: len(trials)
        for case, trials in failing_cases(run.tests).items()
        if case in live and all(trial.outcome in ("passed", "failed") for trial in trials)
    }
    budget = _left(settings, run)
    # More of them than that are no chance either.
    if settings.record == "none" or not 0 < len(had) <= MOST_SUSPECTS or (budget is not None and budget <= 0):
        return Rerun()
    _announce(config, f"llmops: running {len(had)} failed case{'s' * (len(had) != 1)} once more")
    took = sum(test.duration_s for test in run.tests if test.case in had)
    orders = {"record": "live", "budget": budget, "trials": max(MOST_TRIALS, *had.values())}
    ids = [nodeid for case, trials in had.items() for nodeid in _trial_ids(config, case, range(trials))]
    try:
        tests = _in_child(config, ids, orders, timeout=600 + 10 * took, workers=_workers(config))
    except _ChildFailed as error:
        return Rerun(notes=[f"what failed could not be run once more: {error}"])
    for test in tests:
        test.rerun = True
    return Rerun([test for test in tests if test.case in had])


def _gates(test: TestRecord, metric: str) -> bool:
    """Whether a test can have a part in a gated metric's change."""
    if metric not in test.measurements or test.gate is False:
        return False
    return test.gate is None or metric in test.gate or metric.partition("#")[0] in test.gate


def _workers(config: pytest.Config) -> int:
    return config.getoption("numprocesses", None) or 0


def _left(settings: Configuration, run: RunRecord, more: Sequence[TestRecord] = ()) -> float | None:
    if settings.budget is None:
        return None
    tests = (*run.tests, *more)
    return settings.budget - sum(c.cost_usd or 0.0 for test in tests for c in test.calls if not c.replayed)


class _ChildFailed(Exception):
    pass


def _in_child(
    config: pytest.Config,
    ids: Sequence[str],
    orders: Mapping[str, Any],
    *,
    timeout: float,
    workers: int = 0,
    root: Path | None = None,
) -> list[TestRecord]:
    """Run these ids; in another checkout's folder where `root` is given, which must not run this one's code."""
    from pytest_llmops.baseline import load_run
    from pytest_llmops.errors import LlmopsError

    with TemporaryDirectory(prefix="llmops-rerun-") as folder:
        record = Path(folder) / "run.json"
        selected = Path(folder) / "ids"  # they may be more than a command line holds
        selected.write_text("\n".join(ids), encoding="utf-8")
        overrides = _overrides(config, folder, 0 if root else workers, root)
        command = [sys.executable, "-m", "pytest", *_options(config), *overrides, f"@{selected}"]
        apart = {"apart_from": str(config.rootpath)} if root else {}
        given = json.dumps({**orders, **apart, "json": str(record)})
        folder_of_run = _moved(config.invocation_params.dir, config.rootpath, root)
        done = _run(command, folder_of_run, _environment(config, root) | {RERUN_VARIABLE: given}, timeout)
        shared = record.with_suffix(SHARED)
        if shared.exists():
            raise _ChildFailed(f"the checkout ran this one's code: {shared.read_text(encoding='utf-8')}")
        try:
            return load_run(record).tests
        except LlmopsError:
            said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()] or ["it said nothing"]
            raise _ChildFailed(f"pytest ended with {done.returncode}: {said[-1]}") from None


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
        raise _ChildFailed(f"they did not end within {timeout:.0f} s") from None
    except OSError as error:  # the checkout lacks the folder that pytest was called in
        raise _ChildFailed(f"{folder}: {error.strerror or error}") from None


def _moved(path: Path, base: Path, root: Path | None) -> Path:
    """The same place in another checkout."""
    return root / path.relative_to(base) if root and path.is_relative_to(base) else path


def _environment(config: pytest.Config, root: Path | None) -> dict[str, str]:
    environ = dict(os.environ)
    if root is not None and "PYTHONPATH" in environ:
        paths = environ["PYTHONPATH"].split(os.pathsep)
        environ["PYTHONPATH"] = os.pathsep.join(str(_moved(Path(path), config.rootpath, root)) for path in paths)
    return environ


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


def _trial_ids(config: pytest.Config, case: str, numbers: Iterable[int], root: Path | None = None) -> list[str]:
    """Of a case's trials, from any folder."""
    head = f"{case[:-1]}-" if case.endswith("]") else f"{case}["
    return [f"{root or config.rootpath}{os.sep}{head}trial{number}]" for number in numbers]


def _overrides(config: pytest.Config, folder: str, workers: int, root: Path | None = None) -> list[str]:
    """What stands in ini files or PYTEST_ADDOPTS is overruled by what comes last."""
    given = ["--maxfail=1000000", "-o", f"cache_dir={folder}/cache", "--color=no", "--tb=line"]
    given.append(f"--rootdir={root or config.rootpath}")  # case keys start there
    if config.pluginmanager.hasplugin("xdist"):
        given.append(f"-n{workers}")
    if config.pluginmanager.hasplugin("_cov"):
        given.append("--no-cov")
    if config.getoption("xmlpath", None):
        given.append(f"--junitxml={folder}/junit.xml")
    return given


def _options(config: pytest.Config) -> list[str]:
    """The run's own options, without its paths and what does not become a second run."""
    paths = list(config.getoption("file_or_dir", None) or [])
    return kept([str(argument) for argument in config.invocation_params.args], paths)


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


def _announce(config: pytest.Config, line: str) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write(f"\n{line}\n", flush=True)
