"""The run as a whole: gathers the tests' records, decides thresholds and the gate, writes what was asked for.

Lives in the process that reports (xdist's controller); the workers' records come with their reports.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops import made_up
from pytest_llmops.options import MARKER

if TYPE_CHECKING:
    from pytest_llmops.acceptance import Accepted
    from pytest_llmops.baseline import Baseline
    from pytest_llmops.baseline.answers import Answers
    from pytest_llmops.compare import Policy
    from pytest_llmops.configuration import Configuration
    from pytest_llmops.records import Comparison, RunRecord, TestRecord

_WORKER_DESELECTED = "llmops_deselected"


class Controller:
    """The plugin of the reporting process."""

    def __init__(self, config: pytest.Config, settings: Configuration | None) -> None:
        self._config = config
        self._configuration = settings
        self._json: dict[str, str] = {}
        self._prompt_texts: dict[str, str] = {}
        self._lost: dict[str, str] = {}
        self._locations: dict[str, tuple[str, int | None, str]] = {}
        self._deselected: set[str] = set()
        self._baseline: Baseline | None = None
        self._accepted: tuple[Accepted, ...] = ()
        self._lines: list[tuple[str, dict[str, bool]]] = []
        self.run: RunRecord | None = None
        if settings is not None and settings.baseline is not None:
            self._load_baseline(settings, settings.baseline)
        if settings is not None and settings.record == "live" and not settings.resume:
            self._forget_live()

    def _load_baseline(self, settings: Configuration, file: Path) -> None:
        """A baseline, accept or calibration file that cannot be used is a usage error before any test runs."""
        from pytest_llmops import acceptance, baseline
        from pytest_llmops.errors import BaselineError, SettingsError

        try:
            if settings.project.judge.require_calibration:
                _policy(settings)
            if (accept := _accept_file(settings)) is not None:
                self._accepted = acceptance.load(accept)
            if file.exists() or not settings.update_baseline:
                self._baseline = baseline.load(file)
        except (BaselineError, SettingsError) as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_report_header(self) -> str | None:
        """One line, where options were given."""
        settings = self._configuration
        if settings is None:
            return None
        words = [f"record mode {settings.record}"]
        if settings.baseline is not None:
            words.append(f"baseline {os.path.relpath(settings.baseline, settings.base)}")
        return "llmops: " + ", ".join(words)

    def _forget_live(self) -> None:
        """Drop what a broken-off live run left, or this one that has come to its end."""
        import shutil

        from pytest_llmops.naming import live_folder

        shutil.rmtree(live_folder(self._config), ignore_errors=True)

    # -- gathering --------------------------------------------------------------------------------------------------

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """A deselected case is not missing."""
        marked = [item for item in items if item.get_closest_marker(MARKER)]
        if marked:
            from pytest_llmops.naming import case_key

            self._deselected.update(case_key(item) for item in marked)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Under xdist the workers know what was deselected."""
        self._deselected.update(getattr(node, "workeroutput", {}).get(_WORKER_DESELECTED, ()))

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep each test's record, the last attempt's; let ``--lf`` find a failed trial that its case tolerates."""
        record = getattr(report, "llmops", None)
        if record is not None:
            self._json[report.nodeid] = record
            self._prompt_texts.update(getattr(report, "llmops_prompts", {}))
            self._locations[report.nodeid] = report.location
        elif report.failed and str(report.when) == "???":  # xdist: its worker died in the middle of it
            self._lost[report.nodeid] = str(report.longrepr)
        if report.when == "call" and _tolerated(report):
            last_failed = self._config.pluginmanager.get_plugin("lfplugin")
            if last_failed is not None:
                last_failed.lastfailed[getattr(report, "id", report.nodeid)] = True

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        """A failed trial that its case tolerates has a word of its own; made-up reports print no letter."""
        if isinstance(report, made_up.Report):
            return "failed", "", "FAILED" if report.logged else ""
        if _tolerated(report):
            return "trial failed", "t", ("TRIAL FAILED", {"yellow": True})
        return None

    # -- the end of the run -----------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """After the last test: thresholds, then the gate."""
        try:
            result = yield
        except BaseException:  # Ctrl-C and -x come this way: what ran is still reported, then raised again
            self._conclude(session, stopped="interrupted or stopped at a failure")
            raise
        if not self._config.option.collectonly:
            stopped = "stopped early" if session.shouldfail or session.shouldstop else None
            self._conclude(session, stopped=stopped)
        elif self._compares:
            self._say("llmops: tests were only collected; nothing was compared with the baseline.", yellow=True)
        return result

    @property
    def _compares(self) -> bool:
        return self._configuration is not None and self._configuration.baseline is not None

    def _conclude(self, session: pytest.Session, *, stopped: str | None) -> None:
        if not self._json:
            if self._compares:
                why = f"the run was {stopped}" if stopped else "no LLM evaluation ran"
                self._say(f"llmops: {why}; nothing was compared with the baseline.", yellow=True)
            if self._configuration is None or self._configuration.shard is None:  # a shard's record is waited for
                return
        from pytest_llmops import outputs
        from pytest_llmops.configuration import configuration
        from pytest_llmops.errors import LlmopsError
        from pytest_llmops.reports import arms

        self._configuration = settings = configuration(self._config)
        self.run = run = self._run_record(settings)
        if settings.adaptive and not stopped and self._baseline is not None and self._json:
            self._add_trials(self._baseline, run, settings)
        self._fail_cases(run)
        for line in arms.render(run.ab):
            self._say(line)
        if settings.record == "live" and not stopped:
            self._forget_live()
        answers, unread = outputs.stored_answers(settings)
        if unread is not None:
            self._say(f"llmops: {unread}", yellow=True)
        if settings.baseline is not None and self._json:
            if stopped:
                self._say(f"llmops: the run was {stopped}; nothing was compared with the baseline.", yellow=True)
            else:
                try:
                    self._gate(run, settings, answers)
                except LlmopsError as error:
                    self._fail("llm-baseline::error", str(error), ("", None, "llm-baseline"))
        self._write(run, settings, answers)

    def _write(self, run: RunRecord, settings: Configuration, answers: Answers) -> None:
        from pytest_llmops import outputs

        policy = _policy(settings)
        for option, why in outputs.write(run, settings, policy, baseline=self._baseline, answers=answers):
            self._fail(option, why, ("", None, option))

    def _run_record(self, settings: Configuration) -> RunRecord:
        from datetime import UTC, datetime

        from pytest_llmops.compare import compare_arms, cost_by_tag, fingerprint, summarize
        from pytest_llmops.records import RunRecord, TestRecord

        tests = [TestRecord.model_validate_json(text) for text in self._json.values()]
        functions = {test.id.partition("[")[0] for test in tests}
        lost = {i: why for i, why in self._lost.items() if i not in self._json and i.partition("[")[0] in functions}
        tests = sorted(tests + [_lost(nodeid, reason, self._baseline) for nodeid, reason in lost.items()], key=_order)
        ran = {test.case for test in tests}
        used = fingerprint(tests, prices=settings.project.prices)
        used.prompt_texts = {digest: self._prompt_texts[digest] for digest in sorted(self._prompt_texts)}
        return RunRecord(
            created=datetime.now(UTC),
            environment=_environment(self._config, settings.ci),
            fingerprint=used,
            tests=tests,
            deselected=sorted((self._deselected | self._named_apart(ran)) - ran),
            shard=settings.shard,
            metrics=summarize(tests, settings=settings.project.metrics),
            cost_by_tag=cost_by_tag(tests),
            ab=compare_arms(tests, settings=settings.project.metrics, min_cases=settings.project.min_cases),
        )

    def _named_apart(self, ran: set[str]) -> set[str]:
        """Baseline cases left out because the command line named single cases of their test: ``test_x[c1]``.

        ``--lf`` names the failed ones, and drops the rest without telling any hook.
        """
        if self._baseline is None:
            return set()
        if self._config.getoption("lf", False):
            return set(self._baseline.cases) - ran
        functions = {case.partition("[")[0] for case in ran}
        partial = {f for f in functions for arg in self._config.args if "[" in arg and f.endswith(_name_of(arg))}
        return {case for case in self._baseline.cases if case.partition("[")[0] in partial} - ran

    def _add_trials(self, stored: Baseline, run: RunRecord, settings: Configuration) -> None:
        """``--llm-trials=auto``: stop where one trial rules out a regression, else test once with five."""
        from pytest_llmops import compare, rerunning

        first = compare.compare(stored, run, _policy(settings), accept=self._accepted)
        unsettled = [row.metric for row in first.metrics if row.gate and row.verdict in ("regressed", "inconclusive")]
        if first.deterministic or not unsettled:
            return
        more = rerunning.trials(self._config, settings, run, unsettled)
        for note in more.notes:
            self._say(f"llmops: {note}", yellow=True)
        run.tests = sorted(run.tests + more.tests, key=_order)
        run.metrics = compare.summarize(run.tests, settings=settings.project.metrics)
        for test in more.tests:
            if test.outcome == "error" or (test.outcome == "failed" and test.threshold == 1.0):
                file, _, name = test.id.partition("::")
                self._fail(test.id, test.error or test.outcome, (file, None, name))

    def _fail_cases(self, run: RunRecord) -> None:
        """A case below its threshold fails, with its trials listed; a trial of it alone did not.

        Trials that could not be measured (a miss, a judge's error) have failed by themselves.
        """
        from pytest_llmops.naming import without_trial

        by_case: dict[str, list[TestRecord]] = defaultdict(list)
        for test in run.tests:
            measured = test.measurements.get("pass")
            if test.threshold is not None and test.threshold < 1.0 and measured is not None and measured.status == "ok":
                by_case[test.case].append(test)
        for case, trials in by_case.items():
            passed = sum(t.outcome == "passed" for t in trials)
            threshold = trials[0].threshold or 0.0
            if passed / len(trials) >= threshold:
                continue
            lines = [f"{passed} of {len(trials)} trials passed ({passed / len(trials):.0%}), threshold {threshold:.0%}"]
            lines += [f"  trial {t.trial}: {t.outcome}" + (f": {t.error}" if t.error else "") for t in trials]
            file, line, name = self._locations[trials[0].id]
            self._fail(case, "\n".join(lines), (file, line, without_trial(name)))

    def _gate(self, run: RunRecord, settings: Configuration, answers: Answers) -> None:
        from pytest_llmops import baseline
        from pytest_llmops.reports import terminal

        assert settings.baseline is not None
        policy = _policy(settings)
        self._check_gates(run)
        if self._baseline is not None:
            comparison = self._comparison(self._baseline, run, settings, policy)
            comparison.baseline = os.path.relpath(settings.baseline, settings.base)
            run.comparison = comparison
            writer = self._config.get_terminal_writer()
            for line in terminal.render(comparison, run, width=writer.fullwidth, color=writer.hasmarkup, policy=policy):
                self._say(line)
            if not settings.update_baseline:
                self._fail_gate(comparison, policy)
                self._check_keys(self._baseline, run)
        if settings.update_baseline:
            updated = baseline.update(self._baseline, run, settings=settings.project.metrics)
            baseline.save(settings.baseline, updated)
            stored = baseline.answers.update(answers, run)
            baseline.answers.save(baseline.answers.path_beside(settings.baseline), stored)
            self._say(f"llmops: wrote {os.path.relpath(settings.baseline, settings.base)}, {len(updated.cases)} cases.")
            self._warn_failing(run)
            self._warn_few_trials(updated, run)

    def _warn_failing(self, run: RunRecord) -> None:
        """A baseline made of failures lets them pass from then on."""
        passed: dict[str, bool] = {}
        for test in run.tests:
            measured = test.measurements.get("pass")
            if measured is not None:
                passed[test.case] = passed.get(test.case, False) or measured.value == 1
        failing = [case for case, ever in passed.items() if not ever]
        if failing:
            self._say(
                f"llmops: {len(failing)} of {len(passed)} cases failed all their trials, and the baseline holds that "
                f"now: {', '.join(failing[:3])}{' …' if len(failing) > 3 else ''}",
                yellow=True,
            )

    def _check_keys(self, stored: Baseline, run: RunRecord) -> None:
        """The same tests under other node ids: pytest took another folder as its root, and nothing was compared."""
        ran = {test.case for test in run.tests}
        if not stored.cases or ran & stored.cases.keys():
            return
        moved = next(((old, new) for old in stored.cases for new in ran if _same_test(old, new)), None)
        if moved is not None:
            self._fail(
                "llm-baseline::node-ids",
                f"nothing was compared: the baseline knows {moved[0]!r}, this run {moved[1]!r}\n"
                "  a case's key is its node id, which changes with the folder pytest takes as its root (--rootdir)",
                ("llm-baseline", None, "llm-baseline::node-ids"),
            )

    def _check_gates(self, run: RunRecord) -> None:
        """A metric that a marker's ``gate`` names and nobody records would switch the gate off in silence."""
        from pytest_llmops.errors import did_you_mean

        stored = self._baseline.metrics if self._baseline is not None else {}
        known = {name for full in (*run.metrics, *stored) for name in (full, full.partition("#")[0])}
        unknown = {name: test.case for test in run.tests for name in test.gate or () if name not in known}
        assert self._configuration is not None
        for name, chosen in self._configuration.project.metrics.items():
            if chosen.gate and name not in known:
                unknown.setdefault(name, f"pyproject.toml [tool.pytest-llmops.metrics.{name}]")
        for name, case in unknown.items():
            message = (
                f"{case}: {name!r} is to gate, but no test records a metric of that name.{did_you_mean(name, known)}"
            )
            self._fail("llm-baseline::gate", message, ("llm-baseline", None, "llm-baseline::gate"))

    def _comparison(self, stored: Baseline, run: RunRecord, settings: Configuration, policy: Policy) -> Comparison:
        """The gate's findings, with more trials of the suspects where the run was live."""
        from pytest_llmops import compare, rerunning

        found = compare.compare(stored, run, policy, accept=self._accepted)
        if settings.update_baseline or not found.suspect_cases:
            return found
        rerun = rerunning.suspects(self._config, settings, run, found)
        if rerun.tests:
            run.tests += rerun.tests
            found = compare.compare(stored, run, policy, accept=self._accepted)
        found.notes += rerun.notes
        return found

    def _fail_gate(self, comparison: Comparison, policy: Policy) -> None:
        from pytest_llmops import compare

        for failure in compare.failures(comparison, policy):
            self._fail(failure.nodeid, failure.message, ("llm-baseline", None, failure.nodeid))

    def _warn_few_trials(self, updated: Baseline, run: RunRecord) -> None:
        from pytest_llmops import baseline
        from pytest_llmops.reports import text

        few = baseline.cases_below_guard(updated)
        if not few:
            return
        costs = [c.cost_usd for t in run.tests for c in t.calls]
        known = [cost for cost in costs if cost is not None]
        trials = max(1, len(run.tests)) / max(1, len({t.case for t in run.tests}))
        price = f", about {text.amount(sum(known) / trials * baseline.GUARD_TRIALS, 'cost')}" if known else ""
        self._say(
            f"llmops: {len(few)} of {len(updated.cases)} cases have fewer than {baseline.GUARD_TRIALS} trials, so a "
            f"single case that breaks cannot be told from bad luck;\n"
            f"        record them with --llm-trials={baseline.GUARD_TRIALS}{price}.",
            yellow=True,
        )

    def _fail(self, nodeid: str, message: str, location: tuple[str, int | None, str]) -> None:
        made_up.fail(self._config, nodeid, message, location)

    # -- what the terminal says -------------------------------------------------------------------------------------

    def _say(self, text: str, **markup: bool) -> None:
        self._lines.append((text, markup))

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The comparison, and what the run cost; nothing without LLM calls."""
        run = self.run
        if run is not None and run.comparison is None and any(test.calls for test in run.tests):
            self._lines.insert(0, (_calls_line(run), {}))
        if run is not None and run.cost_by_tag:
            self._lines.append((_tags_line(run.cost_by_tag), {}))
        if self._lines:
            terminalreporter.write_sep("-", "LLM evaluations")
            for text, markup in self._lines:
                terminalreporter.write_line(text, **markup)


class WorkerOutput:
    """The part of `Controller` that an xdist worker needs: what it deselected."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._deselected: set[str] = set()

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Remember marked items left out."""
        from pytest_llmops.naming import case_key

        self._deselected.update(case_key(item) for item in items if item.get_closest_marker(MARKER))

    def pytest_sessionfinish(self) -> None:
        """Hand them to the controller."""
        self._config.workeroutput[_WORKER_DESELECTED] = sorted(self._deselected)  # type: ignore[attr-defined]


def _lost(nodeid: str, reason: str, stored: Baseline | None) -> TestRecord:
    """The record of an item that left none; its dataset case is taken for the stored one's."""
    from pytest_llmops.naming import trial_number, without_trial
    from pytest_llmops.records import Measurement, TestRecord

    failed = Measurement(status="error", reason=reason, source="builtin", kind="pass")
    case = without_trial(nodeid)
    before = stored.cases.get(case) if stored is not None else None
    return TestRecord(
        id=nodeid,
        case=case,
        dataset_fingerprint=before.dataset_fingerprint if before is not None else None,
        trial=trial_number(nodeid),
        outcome="error",
        error=reason,
        measurements={"pass": failed},
    )


def _tolerated(report: pytest.TestReport) -> bool:
    return str(getattr(report, "wasxfail", "")).startswith("reason: trial failed: ")


def _order(test: TestRecord) -> tuple[str, int]:
    return test.case, test.trial


def _name_of(argument: str) -> str:
    return "::" + argument.partition("[")[0].rpartition("::")[2]


def _policy(settings: Configuration) -> Policy:
    from pytest_llmops.checks import calibration
    from pytest_llmops.compare import Policy

    return Policy(
        alpha=settings.alpha,
        inconclusive=settings.inconclusive,
        min_cases=settings.project.min_cases,
        metrics=settings.project.metrics,
        **calibration.required(settings.project.judge),
    )


def _accept_file(settings: Configuration) -> Path | None:
    from pytest_llmops.acceptance import DEFAULT_NAME

    if settings.accept is not None:
        return settings.accept
    assert settings.baseline is not None
    default = settings.baseline.parent / DEFAULT_NAME
    return default if default.exists() else None


def _environment(config: pytest.Config, ci: bool) -> Any:
    import platform
    import subprocess
    from importlib.metadata import version

    from pytest_llmops.records import Environment

    def git(*args: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *args], cwd=config.rootpath, capture_output=True, text=True, timeout=5, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    status = git("status", "--porcelain", "--untracked-files=no")
    return Environment(
        python=platform.python_version(),
        pytest=pytest.__version__,
        plugin=version("pytest-llmops"),
        platform=sys.platform,
        commit=git("rev-parse", "HEAD"),
        dirty=None if status is None else bool(status),
        ci=ci,
    )


def _same_test(one: str, other: str) -> bool:
    return one.endswith(f"/{other}") or other.endswith(f"/{one}")


def _tags_line(costs: dict[str, float]) -> str:
    from pytest_llmops.reports import text

    listed = [f"{text.clean(tag)} {text.amount(cost, 'cost')}" for tag, cost in list(costs.items())[:8]]
    more = f" and {len(costs) - 8} more" if len(costs) > 8 else ""
    return f"cost by tag: {', '.join(listed)}{more}"


def _calls_line(run: RunRecord) -> str:
    from pytest_llmops.reports import text

    calls = [(test, call) for test in run.tests for call in test.calls]
    live = sum(not call.replayed for _, call in calls)
    judged = sum(call.role == "judge" for _, call in calls)
    costs = [call.cost_usd for _, call in calls]
    known = [cost for cost in costs if cost is not None]
    unknown = len(costs) - len(known)
    tests = len(run.tests)
    words = [f"{tests} test{'s' * (tests != 1)}", f"{len(calls)} call{'s' * (len(calls) != 1)}"]
    words[-1] += f" ({len(calls) - live} replayed, {live} live)"
    if judged:
        words.append(f"{judged} by judges")
    if known:
        words.append(text.amount(sum(known), "cost") + (f" + {unknown} calls of unknown price" if unknown else ""))
    return "llmops: " + ", ".join(words)
