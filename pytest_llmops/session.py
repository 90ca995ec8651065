"""Running marked tests: each with its tape, its evaluation and its record."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops import ab, carrying, naming, pytest_recording
from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.clients import Interception
from pytest_llmops.cassettes.journal import RunJournal
from pytest_llmops.cassettes.keys import IGNORED_FIELDS
from pytest_llmops.cassettes.miss import CassetteMiss
from pytest_llmops.cassettes.redaction import KEY_VARIABLES, Scrubber
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.cassettes.tape_options import LOOPBACK, TapeOptions
from pytest_llmops.cassettes.watcher import watchers
from pytest_llmops.configuration import Configuration
from pytest_llmops.errors import JudgeError, LlmopsError, SettingsError
from pytest_llmops.evaluation import Evaluation
from pytest_llmops.extending import extend_guardrails
from pytest_llmops.fixture_tapes import FixtureTapes
from pytest_llmops.marker import MarkerSpec, Trial, parse
from pytest_llmops.options import MARKER
from pytest_llmops.registry import session_judge
from pytest_llmops.running import Running, clean_failures, record_of_unstarted
from pytest_llmops.staleness import check_age

if TYPE_CHECKING:
    from pytest_llmops.baseline.drift import StoredAnswers
    from pytest_llmops.checks.jury import Judging
    from pytest_llmops.prompts import Registry
    from pytest_llmops.records import TestRecord

PLACEHOLDER = "replay-needs-no-key"


class ItemSession:
    """The plugin that runs marked items, in the one process or in an xdist worker."""

    def __init__(self, config: pytest.Config, configuration: Configuration) -> None:
        self._config = config
        self._configuration = configuration
        self._process = None if hasattr(config, "workerinput") else os.getpid()
        self._running: dict[str, Running] = {}
        self._before_rerun: dict[str, list[Interaction]] = {}
        self._judge: Judging | None = None
        self._stored: list[StoredAnswers | None] | None = None
        session_judge.append(self._make_judge)
        extend_guardrails(config)
        self._registries: dict[Path, Registry] = {}
        self._placeholders: list[str] = []
        project = configuration.project
        self._live = (
            RunJournal(naming.live_folder(config), resumed=configuration.resume)
            if configuration.record == "live"
            else None
        )
        self._options = TapeOptions(
            live=self._live,
            hosts=project.hosts,
            record_hosts=configuration.record_hosts,
            allowed_hosts=(*LOOPBACK, *configuration.allowed_hosts),
            ignored_fields=IGNORED_FIELDS | frozenset(project.ignore_fields),
            scrub=Scrubber(project.scrub, project.scrub_fields),
            secrets=tuple(re.compile(pattern) for pattern in project.secrets),
            id_patterns=tuple(re.compile(pattern) for pattern in project.id_patterns),
            orphans=naming.Orphans(config).find,
            folder=f"{config.invocation_params.dir}{os.sep}",
            replay_speed=configuration.replay_speed,
            watchers=watchers(config),
        )
        self._interception = Interception(guard=configuration.record == "none")
        fixtures = FixtureTapes(
            config,
            self._options,
            mode=configuration.record,
            folder=naming.live_folder(config) if self._live is not None else configuration.cassette_dir,
            resume=configuration.resume,
            stale_after=configuration.stale_after,
            install=self._interception.install,
            between=self._between_tests,
        )
        config.pluginmanager.register(fixtures, "llmops-fixtures")

    def pytest_unconfigure(self) -> None:
        """Give the HTTP clients back."""
        session_judge.remove(self._make_judge)
        if self._live is not None:
            self._live.close()
        self._undo()

    def _undo(self) -> None:
        """Leave clients and environment as they were: unmarked tests see nothing of this plugin.

        What a marked test left running on replay is refused its calls until it ends, and nothing else is then.
        """
        if not scope.outlived():
            self._interception.uninstall()
        for name in self._placeholders:
            if os.environ.get(name) == PLACEHOLDER:
                del os.environ[name]
        self._placeholders = []

    def _stand_in(self) -> None:
        if self._configuration.record == "none" and not self._placeholders:
            self._placeholders = _set_placeholders()

    @contextmanager
    def _between_tests(self) -> Iterator[None]:
        """Intercept while an unmarked test sets up what marked ones use as well, and no longer."""
        self._stand_in()
        self._interception.install()
        try:
            yield
        finally:
            if not self._running:
                self._undo()

    def _remote(self) -> bool:
        """Whether another process reads the reports: xdist's, or the one that was forked for this test."""
        return os.getpid() != self._process

    def evaluation_of(self, item: pytest.Item) -> Evaluation | None:
        """The evaluation of a marked item that is running."""
        running = self._running.get(item.nodeid)
        return running.evaluation if running is not None else None

    def prepare(self, items: list[pytest.Item]) -> None:
        """Before the first of them is set up: tests without a cassette may have another recorder's."""
        pytest_recording.stand_in(items)
        if self._configuration.record != "live":
            pytest_recording.request_fixtures(items, lambda item: not self._cassette(item).exists())

    def _cassette(self, item: pytest.Item) -> Path:
        live = self._configuration.record == "live"
        return naming.cassette_path(
            item, naming.live_folder(self._config) if live else self._configuration.cassette_dir
        )

    # -- one item ---------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Open the item's tape before its fixtures are set up. A rerun of the item starts here anew.

        No wrapper: one that raises before it yields keeps those inside it from being set up, and they fail later.
        """
        marker = item.get_closest_marker(MARKER)
        if marker is not None:
            with clean_failures():
                self._start(item, parse(marker.args, marker.kwargs))
        elif not self._running:
            self._undo()

    def _start(self, item: pytest.Item, spec: MarkerSpec) -> None:
        trial = naming.trial_of(item)
        configuration = self._configuration
        tape = Tape(
            self._cassette(item),
            configuration.record,
            self._options,
            test=naming.case_key(item),
            command=naming.record_command(item),
            foreign=partial(pytest_recording.cassettes_of, item),
            resume=configuration.resume,
            stored=self._before_rerun.get(item.nodeid),
        )
        evaluation = Evaluation(
            tape, configuration.project, self._make_judge, case=trial.case, store_text=configuration.store_text
        )
        tape.owner = evaluation
        evaluation.prompts = partial(self._registry, item)
        if spec.prompt is not None:
            spec = replace(spec, prompt=evaluation.prompt(spec.prompt).id)
        self._stand_in()
        self._running[item.nodeid] = Running(spec, trial, evaluation)
        self._interception.install()
        scope.activate(tape)

    def _registry(self, item: pytest.Item) -> Registry:
        """The prompts nearest to a test's file, read once."""
        folder = item.path.parent
        if folder not in self._registries:
            from pytest_llmops.prompts import Registry

            self._registries[folder] = Registry.near(folder, self._configuration.project.prompts, self._config.rootpath)
        return self._registries[folder]

    def _make_judge(self) -> Judging:
        if self._judge is None:
            from pytest_llmops.checks.jury import configured

            project = self._configuration.project
            self._judge = configured(
                project.judge, self._configuration.judge, hosts=project.hosts, root=self._config.rootpath
            )
        return self._judge

    @property
    def store_text(self) -> bool:
        """Whether records may hold what models say."""
        return self._configuration.store_text

    @contextmanager
    def afterwards(self, path: Path, test: str, command: str, record: TestRecord) -> Iterator[Judging]:
        """A cassette for what a judge is asked about a test once all have run; the calls go into the test's record.

        Args:
            path: the cassette.
            test: the case's key.
            command: records it anew.
            record: the test's.
        """
        configuration = self._configuration
        tape = Tape(path, configuration.record, self._options, test=test, command=command, resume=configuration.resume)
        asked = Evaluation(tape, configuration.project, self._make_judge, store_text=configuration.store_text)
        self._interception.install()
        scope.activate(tape)
        try:
            yield self._make_judge()
        finally:
            scope.deactivate(tape)
            record.calls += [call for _, call in asked.answered()]
            record.cassette.live += sum(transfer.live for transfer in tape.transfers)
            record.cassette.replayed += sum(not transfer.live for transfer in tape.transfers)
            tape.close(passed=not tape.misses and all(m.status != "error" for m in record.measurements.values()))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Run the body; then what the marker measures; then raise what the application swallowed."""
        with self.evaluated(item):
            return (yield)

    @contextmanager
    def evaluated(self, item: pytest.Item) -> Iterator[None]:
        """Around an item's body, wherever it runs; once for each attempt."""
        running = self._running.get(item.nodeid)
        if running is None or running.evaluated:
            yield
            return
        running.evaluated = True
        evaluation = running.evaluation
        try:
            yield
        except (Exception, pytest.fail.Exception, pytest.skip.Exception, BaseExceptionGroup) as error:
            if evaluation.tape.misses:
                raise evaluation.tape.misses[0] from None
            if isinstance(error, pytest.skip.Exception):
                raise
            self._measure(running, failed=True)
            if isinstance(error, TypeError) and (why := evaluation.unknown_cost(error)):
                raise UnknownCost(why).with_traceback(error.__traceback__) from None
            raise
        if evaluation.tape.misses:
            raise evaluation.tape.misses[0]
        self._measure(running, failed=False)
        self._rejudge(item, running)
        if evaluation.tape.misses:  # the judges' own
            raise evaluation.tape.misses[0]
        check_age(item, evaluation.tape, self._configuration.stale_after)

    def _rejudge(self, item: pytest.Item, running: Running) -> None:
        """On a live run, have a few of the baseline's answers judged again, to tell when the judge moved."""
        configuration = self._configuration
        if configuration.record != "live" or configuration.baseline is None or running.trial.index > 0:
            return
        from pytest_llmops.baseline import drift

        if self._stored is None:
            self._stored = [drift.load(configuration.baseline)]
        (stored,) = self._stored
        if stored is not None:
            case = naming.case_key(item)
            running.evaluation.rejudge(lambda metric, definition: stored.of(case, metric, definition))

    def _measure(self, running: Running, *, failed: bool) -> None:
        try:
            running.evaluation.measure(running.spec.measure)
        except (JudgeError, SettingsError) as error:
            if not failed:
                told = f"{type(error).__name__}: {error}"
                running.unmeasured = textwrap.shorten(told, 300, placeholder=" …")
                raise pytest.fail.Exception(told, pytrace=False) from None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Close the tape after the fixtures' own teardown, and write what is new."""
        running = self._running.get(item.nodeid)
        if running is not None:
            scope.resume(running.evaluation.tape)
        try:
            value = yield
            if running is not None and len(running.evaluation.tape.misses) > running.told:
                raise running.evaluation.tape.misses[running.told]  # what a fixture swallowed
            return value
        finally:
            if running is not None:
                with clean_failures():
                    self._finish(item, running)

    def _finish(self, item: pytest.Item, running: Running) -> None:
        tape = running.evaluation.tape
        scope.deactivate(tape)
        passed = running.outcome == "passed" and "call" in running.phases
        if not passed and any(transfer.kept for transfer in tape.transfers):
            self._before_rerun[item.nodeid] = tape.before
        try:
            tape.close(passed=passed)
        finally:
            if tape.notes:
                item.add_report_section("teardown", "llmops", "\n".join(tape.notes))

    # -- its reports ------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note each phase's outcome; put the item's record on the last report."""
        if call.excinfo is not None and isinstance(call.excinfo.value, LlmopsError):
            _end_at_the_caller(call.excinfo.value)
        report = yield
        if call.excinfo is not None and isinstance(call.excinfo.value, CassetteMiss):
            _summarise(report, item.config)
        running = self._running.get(item.nodeid)
        if running is None:
            if report.when == "setup" and item.get_closest_marker(MARKER) is not None and report.failed:
                carrying.put(report, record_of_unstarted(item, report), remote=self._remote())
            return report
        if call.excinfo is not None and isinstance(call.excinfo.value, CassetteMiss) and hasattr(report, "wasxfail"):
            report.outcome = "failed"  # nobody expects a recording to be missing
            del report.wasxfail
        running.note(report, call)
        if report.when == "teardown":
            record = running.record(item, self._options.scrub, store_text=self._configuration.store_text)
            carrying.put(report, record, remote=self._remote())
            if (arm := ab.arm_of(item)) is not None and arm.prefer:
                from pytest_llmops import pairs

                folder = naming.live_folder(self._config) if self._configuration.record == "live" else None
                given = pairs.given_by(item, running.evaluation, folder or self._configuration.cassette_dir)
                vars(report)["llmops_pair"] = given
            if record.prompts and self._configuration.store_text:
                used = running.evaluation.used_prompts.values()
                vars(report)["llmops_prompts"] = {prompt.hash: self._options.scrub(prompt.text) for prompt in used}
            del self._running[item.nodeid]
        return report


def _summarise(report: pytest.TestReport, config: pytest.Config) -> None:
    """Leave a miss's first line in pytest's summary, which shows all lines under CI; FAILURES above has told them."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None and config.getoption("tbstyle", "auto") not in ("no", "line"):
        crash.message = crash.message.split("\n")[0]


class UnknownCost(AssertionError):
    """An unknown cost was compared; its message says how to make it known."""


UnknownCost.__module__ = "builtins"  # a short name in pytest's report


def _end_at_the_caller(error: LlmopsError) -> None:
    """End the traceback of a user's mistake at the user's own line."""
    last, entry = None, error.__traceback__
    while entry is not None:
        module = entry.tb_frame.f_globals.get("__name__", "")
        if module not in ("contextlib", "functools") and not module.startswith("pytest_llmops."):
            last = entry
        entry = entry.tb_next
    if last is not None:
        last.tb_next = None


def _set_placeholders() -> list[str]:
    """SDK clients refuse to be built without a key; on replay any will do."""
    unset = [name for name in KEY_VARIABLES if name not in os.environ and not name.startswith("AWS_")]
    if "AWS_ACCESS_KEY_ID" not in os.environ and "AWS_PROFILE" not in os.environ:
        unset += [n for n in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if n not in os.environ]
    for name in unset:
        os.environ[name] = PLACEHOLDER
    return unset


def trials_of(metafunc: pytest.Metafunc, marker: pytest.Mark, trials: int | None) -> list[Trial] | None:
    """The items a marked test stands for; None where it is a single one without a dataset.

    Args:
        metafunc: the test function being collected.
        marker: its ``llm_eval``.
        trials: overrides the marker's.

    Raises:
        pytest.Collector.CollectError: the dataset cannot be read.
    """
    try:
        spec = parse(marker.args, marker.kwargs)
    except SettingsError:
        return None  # said at the test itself, when it is set up
    count = trials or spec.trials
    if spec.dataset is None:
        return [Trial(None, i, count) for i in range(count)] if count > 1 else None
    from pytest_llmops import datasets

    folder = Path(str(metafunc.definition.path)).parent
    try:
        cases = datasets.load(folder / spec.dataset, group=spec.group)
    except LlmopsError as error:
        raise pytest.Collector.CollectError(f"{metafunc.definition.nodeid}: {error}") from None
    naming.remember_cases(metafunc, [case.id for case in cases])
    return [Trial(case, i, count) for case in cases for i in range(count)]
