"""The gate at the end of a session: more trials where they are needed, the verdicts, the stored baseline."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import pytest

from pytest_llmops import made_up

if TYPE_CHECKING:
    from pytest_llmops.acceptance import Accepted
    from pytest_llmops.baseline import Baseline
    from pytest_llmops.baseline.answers import Answers
    from pytest_llmops.compare import Policy
    from pytest_llmops.configuration import Configuration
    from pytest_llmops.records import Comparison, RunRecord
    from pytest_llmops.rerunning import Terms

Say = Callable[..., None]


class Look(TypedDict):
    """How wide a terminal is, and whether in colour."""

    width: int
    color: bool


def look(config: pytest.Config) -> Look:
    """The session's terminal; under ``-p no:terminal`` there is none, and nobody reads what is made for it."""
    if not config.pluginmanager.has_plugin("terminalreporter"):
        return {"width": 80, "color": False}
    writer = config.get_terminal_writer()
    return {"width": writer.fullwidth, "color": writer.hasmarkup}


class Gate:
    """A session's baseline, what was accepted against it, and what is done with them.

    Args:
        settings: the session's; with a baseline.
        say: prints a line in the terminal's summary.

    Raises:
        pytest.UsageError: a baseline, accept or calibration file that cannot be used, before any test runs.
    """

    def __init__(self, config: pytest.Config, settings: Configuration, file: Path, say: Say) -> None:
        from pytest_llmops import acceptance, baseline
        from pytest_llmops.errors import BaselineError, SettingsError

        self._config = config
        self._settings = settings
        self._file = file
        self._say = say
        self._accepted: tuple[Accepted, ...] = ()
        self.stored: Baseline | None = None
        try:
            if settings.project.judge.require_calibration:
                policy_of(settings)
            if (accept := _accept_file(settings, file)) is not None:
                self._accepted = acceptance.load(accept)
            if file.exists() or not settings.update_baseline:
                self.stored = baseline.load(file)
        except (BaselineError, SettingsError) as error:
            raise pytest.UsageError(str(error)) from None

    def add_trials(self, run: RunRecord) -> None:
        """``--llm-trials=auto``: stop where one trial rules out a regression, else test once with five."""
        from pytest_llmops import child_runs, compare, rerunning

        if self.stored is None:
            return
        first = self._compared(self.stored, run, policy_of(self._settings))
        unsettled = [
            row.metric
            for row in first.metrics
            # Without numbers (a price changed) no trial more would settle it.
            if row.gate and row.delta is not None and row.verdict in ("regressed", "inconclusive")
        ]
        if first.deterministic or not unsettled:
            return
        more = rerunning.trials(child_runs.of_session(self._config), self._terms(), run, unsettled)
        for note in more.notes:
            self._say(f"llmops: {note}", yellow=True)
        rerunning.add(run, more.tests)
        run.metrics = compare.summarize(run.tests, settings=self._settings.project.metrics)
        for test in more.tests:
            if test.outcome == "error" or (test.outcome == "failed" and test.threshold == 1.0):
                file, _, name = test.id.partition("::")
                made_up.fail(self._config, test.id, test.error or test.outcome, (file, None, name))

    def decide(self, run: RunRecord, answers: Answers) -> None:
        """Compare, show, and fail or store.

        Raises:
            LlmopsError: the comparison or the baseline cannot be made.
        """
        from pytest_llmops import compare
        from pytest_llmops.reports import terminal

        settings, policy = self._settings, policy_of(self._settings)
        if self.stored is not None:
            comparison = run.comparison = self._comparison(self.stored, run, policy)
            comparison.baseline, comparison.stored_in = self._name, settings.stored_in
            for line in terminal.render(comparison, run, policy=policy, **look(self._config)):
                self._say(line)
            if not settings.update_baseline:
                self._fail_gate(comparison, policy)
        if settings.update_baseline:
            if (unknown := compare.unknown_gates(self.stored, run, policy)) is not None:
                self._fail(f"llm-baseline::{unknown.name}", unknown.message)
            self._store(run, answers)

    @property
    def _name(self) -> str:
        return os.path.relpath(self._file, self._settings.base)

    def _comparison(self, stored: Baseline, run: RunRecord, policy: Policy) -> Comparison:
        """The gate's findings, with fresh trials of suspects and of what regressed where the run was live."""
        from pytest_llmops import child_runs, rerunning

        def compared() -> Comparison:
            return self._compared(stored, run, policy)

        if self._settings.update_baseline:
            return compared()
        return rerunning.settle(child_runs.of_session(self._config), self._terms(), run, compared, policy)

    def _terms(self) -> Terms:
        from pytest_llmops.rerunning import Terms

        settings = self._settings
        return Terms(
            settings.record,
            settings.budget,
            confirm=settings.confirm,
            baseline_root=settings.confirm_baseline,
            failures=settings.confirm and settings.reviewed,  # pytest's own verdict on a test is not taken back
        )

    def _compared(self, stored: Baseline, run: RunRecord, policy: Policy) -> Comparison:
        from pytest_llmops import compare

        if self._settings.reviewed:
            run.taken_out = compare.taken_out(stored, run, self._config.rootpath)
        return compare.compare(stored, run, policy, accept=self._accepted)

    def _fail_gate(self, comparison: Comparison, policy: Policy) -> None:
        """Red lines; in JUnit's file the gated metrics that pass are test cases, too."""
        from pytest_llmops import compare
        from pytest_llmops.reports import junit

        rows = [row for row in comparison.metrics if row.gate]
        described = self._settings.junit_properties
        verdicts = {row.metric: junit.verdict(row) if described else [] for row in rows}
        for failure in compare.failures(comparison, policy):
            self._fail(failure.nodeid, failure.message, verdicts.get(failure.name))
        for row in rows:
            if not compare.fails(row, policy) or row.accepted:
                nodeid = f"llm-baseline::{row.metric}"
                made_up.note(self._config, nodeid, ("llm-baseline", None, nodeid), verdicts[row.metric])

    def _fail(self, nodeid: str, message: str, properties: made_up.Properties | None = None) -> None:
        made_up.fail(self._config, nodeid, message, ("llm-baseline", None, nodeid), properties)

    # -- the stored baseline ----------------------------------------------------------------------------------------

    def _store(self, run: RunRecord, answers: Answers) -> None:
        from pytest_llmops import baseline
        from pytest_llmops.reports import text, updates

        updated = baseline.update(self.stored, run, settings=self._settings.project.metrics)
        baseline.save(self._file, updated)
        if run.comparison is not None:
            run.comparison.stored = True
        stored = baseline.answers.update(answers, run)
        baseline.answers.save(baseline.answers.path_beside(self._file), stored)
        self._say(f"llmops: wrote {self._name}, {text.count(len(updated.cases), 'case')}.")
        for line in updates.lines(self.stored, updated, run, self._settings.project.min_cases):
            self._say(f"llmops: {line}", yellow=True)


def policy_of(settings: Configuration) -> Policy:
    """The gate's settings."""
    from pytest_llmops.checks import calibration
    from pytest_llmops.compare import Policy

    return Policy(
        alpha=settings.alpha,
        inconclusive=settings.inconclusive,
        min_cases=settings.project.min_cases,
        metrics=settings.project.metrics,
        **calibration.required(settings.project.judge),
    )


def _accept_file(settings: Configuration, file: Path) -> Path | None:
    from pytest_llmops.acceptance import DEFAULT_NAME

    if settings.accept is not None:
        return settings.accept
    default = file.parent / DEFAULT_NAME
    return default if default.exists() else None
