"""One attempt at a marked item: what it keeps while it runs, and the record it ends in."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from pytest_llmops import ab, naming
from pytest_llmops.cassettes.miss import CassetteMiss
from pytest_llmops.cassettes.redaction import Scrubber
from pytest_llmops.errors import JudgeError, LlmopsError
from pytest_llmops.evaluation import Evaluation
from pytest_llmops.evidence import Trigger
from pytest_llmops.marker import MarkerSpec, Trial
from pytest_llmops.masking import masked, without_text
from pytest_llmops.records import CassetteUse, Measurement, Outcome, TestRecord
from pytest_llmops.result import Result


@dataclass
class Running:
    """A marked item under way: everything that one attempt at it keeps."""

    spec: MarkerSpec
    trial: Trial
    evaluation: Evaluation
    outcome: Outcome = "passed"
    error: str | None = None
    tolerated: bool = False
    duration_s: float = 0.0
    unmeasured: str | None = None
    unrecorded: bool = False
    evaluated: bool = False
    told: int = 0
    """How many of the tape's misses stand behind a failure that was reported."""
    phases: list[str] = field(default_factory=list)

    def note(self, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        """Take in a phase's report; a failed trial that its case may tolerate is reported as an expected failure."""
        self.phases.append(report.when or "")
        if report.failed:
            self.told = len(self.evaluation.tape.misses)
        xfail = hasattr(report, "wasxfail")
        if report.when == "call":
            self.duration_s = report.duration
            self.outcome = _outcome(report, xfail)
        elif report.failed:
            self.outcome = "error"
        elif report.when == "setup" and report.skipped:
            self.outcome = "xfailed" if xfail else "skipped"
        if report.failed or (report.skipped and xfail):
            if not self.error and call.excinfo is not None:
                error = call.excinfo.value
                self.unrecorded = isinstance(error, CassetteMiss) and error.unrecorded
            self.error = self.error or _first_line(report, call)
        if report.failed and call.excinfo is not None:
            unmeasured = isinstance(call.excinfo.value, (CassetteMiss, JudgeError)) or self.evaluation.tape.misses
            if unmeasured or self.unmeasured or report.when != "call":
                self.unmeasured = self.unmeasured or _first_line(report, call)
            elif (self.spec.threshold or 0.0) < 1.0:
                # One trial of several: its case decides. Reported as an expected failure is, so that no reader of
                # reports counts it against the run.
                self.tolerated = True
                report.outcome = "skipped"
                report.wasxfail = f"reason: trial failed: {self.error}"

    def record(self, item: pytest.Item, scrub: Scrubber, *, store_text: bool) -> TestRecord:
        """What is kept of the attempt.

        Args:
            item: the test.
            scrub: masks what the project declares private.
            store_text: ``llm_store_text``.
        """
        evaluation, tape, case = self.evaluation, self.evaluation.tape, self.trial.case
        result = evaluation.results[-1] if evaluation.results else None
        text = result.text if result is not None else None
        fired = evaluation.fired()
        record = TestRecord(
            id=item.nodeid,
            case=naming.case_key(item),
            group=case.group if case else None,
            trial=self.trial.index,
            trials=self.trial.count,
            outcome=self.outcome,
            error=scrub(self.error or evaluation.error),
            unrecorded=self.unrecorded,
            duration_s=round(self.duration_s, 4),
            threshold=self.spec.threshold,
            gate=list(self.spec.gate) if isinstance(self.spec.gate, tuple) else self.spec.gate,
            tags=[*self.spec.tags, *(case.tags if case else ())],
            prompt=self.spec.prompt or next(iter(evaluation.used_prompts), None),
            prompts={name: prompt.hash for name, prompt in evaluation.used_prompts.items()},
            line=item.location[1] + 1 if item.location[1] is not None else None,
            dataset=naming.dataset_file(item, self.spec.dataset),
            dataset_fingerprint=_fingerprint(case.fingerprint if case else None, evaluation.labelled),
            input=scrub(case.input) if case else None,
            output=scrub(text),
            measurements=self._measurements(fired),
            calls=[call for _, call in evaluation.answered()],
            **ab.fields_of(item),
            steps=[step.record() for step in evaluation.steps],
            guardrails=evaluation.guardrails_used(fired),
            rejudged=evaluation.rejudged,
            cassette=CassetteUse(
                file=tape.name if tape.mode != "live" else None,
                # Labelled texts that no model was asked about give the same rates again, unless the code is another.
                digest=tape.digest() or _fingerprint(None, evaluation.labelled),
                recording=tape.unused_digest(),
                replayed=sum(not t.live for t in tape.transfers),
                live=sum(t.live for t in tape.transfers),
            ),
        )
        return masked(record, looked=evaluation.looked) if store_text else without_text(record)

    def _measurements(self, fired: Sequence[tuple[Result, Trigger]]) -> dict[str, Measurement]:
        found: dict[str, Measurement] = {}
        if self.unmeasured is not None:
            found["pass"] = Measurement(status="error", reason=self.unmeasured, source="builtin", kind="pass")
        elif self.outcome in ("passed", "failed"):
            found["pass"] = Measurement(
                value=float(self.outcome == "passed"), reason=self.error, source="builtin", kind="pass"
            )
        return {**found, **self.evaluation.built_in_measurements(fired), **self.evaluation.measurements}


@contextmanager
def clean_failures() -> Iterator[None]:
    """A user's mistake is a failure without a traceback through this package."""
    try:
        yield
    except LlmopsError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def record_of_unstarted(item: pytest.Item, report: pytest.TestReport) -> TestRecord:
    """An item whose marker or cassette could not be used."""
    reason = _first_text(report)
    return TestRecord(
        id=item.nodeid,
        case=naming.case_key(item),
        trial=naming.trial_of(item).index,
        outcome="error",
        error=reason,
        measurements={"pass": Measurement(status="error", reason=reason, source="builtin", kind="pass")},
    )


def _fingerprint(case: str | None, labelled: list[str]) -> str | None:
    """The hash of a dataset case, together with the labelled texts measured in its test."""
    if not labelled:
        return case
    from pytest_llmops import rating

    return rating.fingerprint(case, labelled)


def _outcome(report: pytest.TestReport, xfail: bool) -> Outcome:
    if report.passed:
        return "xpassed" if xfail else "passed"
    if report.failed:
        return "failed"
    return "xfailed" if xfail else "skipped"


def _first_line(report: pytest.TestReport, call: pytest.CallInfo[None]) -> str:
    if call.excinfo is None:
        return _first_text(report)
    words = str(call.excinfo.value).strip().split("\n")[0] or call.excinfo.typename
    name = call.excinfo.typename
    plain = words if name in ("AssertionError", "Failed", "CassetteMiss", "UnknownCost") else f"{name}: {words}"
    return textwrap.shorten(plain, 300, placeholder=" …")


def _first_text(report: pytest.TestReport) -> str:
    return textwrap.shorten(str(report.longrepr or report.outcome), 300, placeholder=" …")
