"""The run as a whole: gathers the tests' records, decides thresholds and the gate, writes what was asked for.

Lives in the process that reports (xdist's controller); the workers' records come with their reports.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops import carrying, clock, made_up
from pytest_llmops.options import MARKER

if TYPE_CHECKING:
    from pytest_llmops.baseline import Baseline
    from pytest_llmops.baseline.answers import Answers
    from pytest_llmops.compare import Policy
    from pytest_llmops.configuration import Configuration
    from pytest_llmops.gating import Gate
    from pytest_llmops.records import RunRecord, TestRecord
    from pytest_llmops.session import ItemSession

_WORKER_DESELECTED = "llmops_deselected"


class Controller:
    """The plugin of the reporting process."""

    def __init__(
        self, config: pytest.Config, settings: Configuration | None, items: Callable[[pytest.Config], ItemSession]
    ) -> None:
        self._config = config
        self._configuration = settings
        self._items = items
        self._answers = carrying.Answers()
        config.pluginmanager.register(self._answers, "llmops-arms")
        self._records: dict[str, TestRecord] = {}
        self._prompt_texts: dict[str, str] = {}
        self._failed: list[str] = []
        self._lost: dict[str, str] = {}
        self._locations: dict[str, tuple[str, int | None, str]] = {}
        self._deselected: set[str] = set()
        self._lines: list[tuple[str, dict[str, bool]]] = []
        self._gate: Gate | None = None
        self.run: RunRecord | None = None
        if settings is not None and settings.baseline is not None:
            from pytest_llmops.gating import Gate

            self._gate = Gate(config, settings, settings.baseline, self._say)
        if settings is not None and settings.record == "live" and not settings.resume:
            self._forget_live()

    def pytest_report_header(self) -> list[str]:
        """One line, where options were given, and one for each judge that cannot be asked."""
        settings = self._configuration
        if settings is None:
            return []
        words = [f"record mode {settings.record}"]
        if settings.baseline is not None:
            words.append(f"baseline {os.path.relpath(settings.baseline, settings.base)}")
        from pytest_llmops.configuration import unable_judges

        return ["llmops: " + ", ".join(words), *unable_judges(settings)]

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
        record = carrying.taken(report)
        if record is not None:
            self._records[report.nodeid] = record
            self._prompt_texts.update(getattr(report, "llmops_prompts", {}))
            self._locations[report.nodeid] = report.location
        elif report.failed and str(report.when) == "???":  # xdist: its worker died in the middle of it
            self._lost[report.nodeid] = str(report.longrepr)
        if report.failed:
            self._failed.append(report.nodeid)
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
    def _stored(self) -> Baseline | None:
        return self._gate.stored if self._gate is not None else None

    @property
    def _compares(self) -> bool:
        return self._configuration is not None and self._configuration.baseline is not None

    def _conclude(self, session: pytest.Session, *, stopped: str | None) -> None:
        if not self._records:
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
        self.run = run = self._run_record(settings, stopped=stopped)
        if settings.adaptive and not stopped and self._gate is not None and self._records:
            self._gate.add_trials(run)
        self._fail_cases(run)
        for line in arms.render(run.ab):
            self._say(line)
        if settings.record == "live" and not stopped:
            self._forget_live()
        answers, unread = outputs.stored_answers(settings)
        if unread is not None:
            self._say(f"llmops: {unread}", yellow=True)
        if self._gate is not None and self._records:
            if stopped:
                self._say(f"llmops: the run was {stopped}; nothing was compared with the baseline.", yellow=True)
            else:
                try:
                    self._gate.decide(run, answers)
                except LlmopsError as error:
                    self._fail("llm-baseline::error", str(error), ("", None, "llm-baseline"))
        self._tell_safety(run, settings)
        self._write(run, settings, answers)

    def _tell_safety(self, run: RunRecord, settings: Configuration) -> None:
        from pytest_llmops import safety
        from pytest_llmops.gating import look
        from pytest_llmops.reports import safety as report

        run.safety = safety.summarize(run.tests, settings.project.safety)
        if run.safety is None:
            return
        for line in report.render(run.safety, **look(self._config)):
            self._say(line)
        for nodeid, message in report.failures(run):
            self._fail(nodeid, message, ("llm-safety", None, nodeid))

    def _write(self, run: RunRecord, settings: Configuration, answers: Answers) -> None:
        from pytest_llmops import outputs
        from pytest_llmops.gating import policy_of

        policy = policy_of(settings)
        run.also_failed = self._also_failed(run, policy)
        written = []
        for option, path, why in outputs.write(run, settings, policy, baseline=self._stored, answers=answers):
            if why is None:
                written.append(os.path.relpath(path, settings.base))
            else:
                self._fail(option, why, ("", None, option))
        if settings.apart_from is not None and settings.json is not None:
            from pytest_llmops.child_runs import tell_shared

            tell_shared(settings.json, settings.apart_from, self._config.rootpath)
        if written and self._config.getoption("verbose", 0) >= 0:
            self._say(f"llmops: wrote {', '.join(written)}")

    def _also_failed(self, run: RunRecord, policy: Policy) -> list[str]:
        """What failed and is told nowhere else in the record: other tests, and checks of the run itself."""
        from pytest_llmops import compare
        from pytest_llmops.reports import safety

        told = {name for test in run.tests for name in (test.id, test.case)}
        told |= {nodeid for nodeid, _ in safety.failures(run)}
        if run.comparison is not None:
            told |= {failure.nodeid for failure in compare.failures(run.comparison, policy)}
        return [nodeid for nodeid in dict.fromkeys(self._failed) if nodeid not in told]

    def _judge_pairs(self, tests: list[TestRecord]) -> None:
        from pytest_llmops import pairs

        for function, why in pairs.judge(self._answers.given, tests, self._items(self._config)).items():
            nodeid = f"llm-ab::{function}"
            rest = [f"… and {len(why) - 3} more"] if len(why) > 3 else []
            first = f"{len(why)} pair{'s' * (len(why) != 1)} of arms could not be compared:"
            self._fail(nodeid, "\n".join([first, *why[:3], *rest]), ("llm-ab", None, nodeid))

    def _run_record(self, settings: Configuration, *, stopped: str | None) -> RunRecord:
        from pytest_llmops import environment, selection
        from pytest_llmops.compare import compare_arms, cost_by_tag, fingerprint, summarize
        from pytest_llmops.records import RunRecord

        tests = list(self._records.values())
        functions = {test.id.partition("[")[0] for test in tests}
        lost = {i: why for i, why in self._lost.items() if i not in self._records and i.partition("[")[0] in functions}
        tests = sorted(tests + [_lost(nodeid, reason, self._stored) for nodeid, reason in lost.items()], key=_order)
        if self._answers.given and not stopped:
            self._judge_pairs(tests)
        ran = {test.case for test in tests}
        used = fingerprint(tests, prices=settings.project.prices)
        used.prompt_texts = {digest: self._prompt_texts[digest] for digest in sorted(self._prompt_texts)}
        return RunRecord(
            created=clock.now(),
            environment=environment.describe(self._config).model_copy(update={"ci": settings.ci}),
            fingerprint=used,
            tests=tests,
            deselected=sorted((self._deselected | selection.named_apart(self._config, self._stored, ran)) - ran),
            asked=selection.asked(self._config, ran),
            shard=settings.shard,
            stopped=stopped,
            metrics=summarize(tests, settings=settings.project.metrics),
            cost_by_tag=cost_by_tag(tests),
            ab=compare_arms(tests, settings=settings.project.metrics, min_cases=settings.project.min_cases),
        )

    def _fail_cases(self, run: RunRecord) -> None:
        """A case below its threshold fails, with its trials listed; a trial of it alone did not.

        Trials that could not be measured (a miss, a judge's error) have failed by themselves.
        """
        from pytest_llmops.baseline import partial, trials_by_case
        from pytest_llmops.naming import without_trial

        cases = trials_by_case(run.tests)
        left_out = {case for case, trials in cases.items() if partial(trials)}
        self._say_partial([case for case in sorted(left_out) if (cases[case][0].threshold or 1.0) < 1.0])
        by_case: dict[str, list[TestRecord]] = defaultdict(list)
        for test in run.tests:
            measured = test.measurements.get("pass")
            if test.threshold is not None and test.threshold < 1.0 and measured is not None and measured.status == "ok":
                by_case[test.case].append(test)
        for case, trials in by_case.items():
            if case in left_out:
                continue
            passed = sum(t.outcome == "passed" for t in trials)
            threshold = trials[0].threshold or 0.0
            if passed / len(trials) >= threshold:
                continue
            lines = [f"{passed} of {len(trials)} trials passed ({passed / len(trials):.0%}), threshold {threshold:.0%}"]
            lines += [f"  trial {t.trial}: {t.outcome}" + (f": {t.error}" if t.error else "") for t in trials]
            file, line, name = self._locations[trials[0].id]
            self._fail(case, "\n".join(lines), (file, line, without_trial(name)))

    def _say_partial(self, cases: list[str]) -> None:
        if cases:
            from pytest_llmops.reports import text

            some = ", ".join(cases[:3]) + (" …" if len(cases) > 3 else "")
            self._say(
                f"llmops: {text.count(len(cases), 'case')} not judged by threshold and not stored, since some trials "
                f"did not run: {some}",
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

    def pytest_unconfigure(self) -> None:
        """Let go of the records: the interpreter's collections at its end need not walk through them."""
        self._records.clear()
        self.run = None
        carrying.forget()


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
    """The record of an item that left none; what its marker and dataset say is taken for what is stored."""
    from pytest_llmops.naming import trial_number, without_trial
    from pytest_llmops.records import Measurement, TestRecord

    failed = Measurement(status="error", reason=reason, source="builtin", kind="pass")
    case = without_trial(nodeid)
    before = stored.cases.get(case) if stored is not None else None
    return TestRecord(
        id=nodeid,
        case=case,
        dataset_fingerprint=before.dataset_fingerprint if before is not None else None,
        group=before.group if before is not None else None,
        gate=before.gate if before is not None else None,
        trial=trial_number(nodeid),
        outcome="error",
        error=reason,
        measurements={"pass": failed},
    )


def _tolerated(report: pytest.TestReport) -> bool:
    return str(getattr(report, "wasxfail", "")).startswith("reason: trial failed: ")


def _order(test: TestRecord) -> tuple[str, int]:
    return test.case, test.trial


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
        more = f" + {text.count(unknown, 'call')} of unknown price" if unknown else ""
        words.append(text.amount(sum(known), "cost") + more)
    return "llmops: " + ", ".join(words)
