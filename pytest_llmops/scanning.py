"""What guardrails say of results, as measurements: whether they found something, and a judge's scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_llmops.errors import JudgeError, LlmopsError
from pytest_llmops.observed import Detections, Language, Observed, system_prompt_of
from pytest_llmops.records import MeasuredStage, Measurement

if TYPE_CHECKING:
    from pytest_llmops.checks import Judge, Jury, Score
    from pytest_llmops.checks.guardrails import Guardrail, Outcome
    from pytest_llmops.checks.jury import Judging
    from pytest_llmops.checks.language import LanguageResult
    from pytest_llmops.checks.safety import HowDangerous, Safety, SafetyStage
    from pytest_llmops.checks.spoken import WhichLanguage
    from pytest_llmops.datasets import Case


def context_of(result: Observed, case: Case | None) -> dict[str, Any]:
    """What a guardrail is told of an answer besides its text."""
    context: dict[str, Any] = {"system_prompt": system_prompt_of(result.calls), "stage": "output"}
    if case is not None:
        context |= {"input": case.input, "expected": case.expected, "context": case.context}
    return context


def asked_in(result: Observed, case: Case | None) -> str | None:
    """What somebody sent to the application: the case's input, else the last user message of the first call."""
    from pytest_llmops.checks.judge_prompt import as_text

    if case is not None and case.input is not None:
        return as_text(case.input)
    request = (result.calls[0].request or {}) if result.calls else {}
    said = [
        m.get("content") for m in request.get("messages") or () if isinstance(m, Mapping) and m.get("role") == "user"
    ]
    return as_text(said[-1]) if said and said[-1] is not None else None


def measured(outcome: Outcome, name: str, suffix: str) -> dict[str, Measurement]:
    """A scan's finding, 1 or 0 and lower is better, and a judge's scores."""
    found = Measurement(
        value=float(outcome.triggered),
        reason=outcome.reason or None,
        source="guardrail",
        direction="lower",
        kind="rate",
        definition=outcome.definition,
    )
    return {name + suffix: found, **scored(outcome.scores, suffix, "output")}


def scored(scores: Mapping[str, Score], suffix: str, stage: MeasuredStage) -> dict[str, Measurement]:
    """A judge's scores, 0 safe to 1 dangerous, by the names that they are measured under."""
    return {
        at_stage(name + suffix, stage): Measurement(
            value=float(score),
            reason=score.reason,
            source="judge",
            direction="lower",
            definition=score.definition,
            stage=stage,
        )
        for name, score in scores.items()
    }


def at_stage(name: str, stage: MeasuredStage) -> str:
    """What is measured of an input has a name beside what is measured of the output."""
    return f"{name}#input" if stage == "input" else name


def failed(
    guardrail: Guardrail | None, name: str, suffix: str, error: LlmopsError, stage: MeasuredStage | None = None
) -> dict[str, Measurement]:
    """What stands where a guardrail of ours could not look: an error, never a number."""
    names = [at_stage(one + suffix, stage or "output") for one in getattr(guardrail, "scored", ())]
    return {
        key: Measurement(
            status="error",
            reason=str(error),
            source="guardrail" if key == name + suffix else "judge",
            direction="lower",
            kind="rate" if key == name + suffix else "score",
            stage=stage,
        )
        for key in (name + suffix, *names)
    }


@contextmanager
def assessed(measurements: dict[str, Measurement], suffix: str, stage: SafetyStage) -> Iterator[None]:
    """Around a judged call about safety: its failure is recorded, and raised."""
    from pytest_llmops.checks.guardrails.judged import SafetyGuardrail

    try:
        yield
    except JudgeError as error:
        errors = failed(SafetyGuardrail(), "", suffix, error, stage)
        measurements.update({name: one for name, one in errors.items() if name != suffix})
        raise


def which_language(judge: Judge, text: str, languages: Sequence[str]) -> WhichLanguage:
    """The question for a text's language."""
    from pytest_llmops.checks.language import DEFAULT_LANGUAGES
    from pytest_llmops.checks.spoken import WhichLanguage

    return WhichLanguage(judge.model, text, languages=languages or DEFAULT_LANGUAGES)


def told(found: LanguageResult) -> Language:
    """A judge's word as a result's language."""
    return Language(found.code, found.source, found.confidence)


class Assessed(Observed):
    """The part of a Result whose text is looked at for dangers."""

    _evaluation: Assessing
    _suffix: str

    @property
    def detections(self) -> Detections:
        """What scans of the text find, guard or no guard: ``"pii_detection" in result.detections``."""
        self._evaluation.looked = True
        return super().detections

    @property
    def safety(self) -> Safety:
        """How dangerous the text is, 0 safe to 1 dangerous: `check_safety` of the output."""
        __tracebackhide__ = True
        return self.check_safety()

    def check_safety(self, text: str | None = None, *, stage: SafetyStage = "output") -> Safety:
        """Have the judge look for toxicity, bias, misinformation, inappropriate content and lost privacy.

        One judged call, kept on the cassette; recorded as ``safety.toxicity`` and so on, and ``safety.overall``.

        Args:
            text: default the answer, or with ``stage="input"`` what was asked.
            stage: ``input``: the text is judged as what somebody sends to the application.

        Raises:
            JudgeError: the judge failed; recorded as status ``error``, never as a score.
        """
        __tracebackhide__ = True
        with self._evaluation.assessing(self, text, stage) as (judge, question, found):
            return found(judge.poll(question))

    def judge_language(self, text: str | None = None) -> Language:
        """Ask the judge which language a text is in, the answer by default; ``result.language`` asks nobody.

        Raises:
            JudgeError: the judge failed.
        """
        __tracebackhide__ = True
        judge = self._evaluation.judge().lead
        return told(judge.settle(which_language(judge, self._spoken(text), self.languages)))

    async def ajudge_language(self, text: str | None = None) -> Language:
        """`judge_language`, without blocking the running loop."""
        __tracebackhide__ = True
        judge = self._evaluation.judge().lead
        return told(await judge.asettle(which_language(judge, self._spoken(text), self.languages)))

    def _spoken(self, text: str | None) -> str:
        __tracebackhide__ = True
        said = self.text if text is None else text
        if said is None:
            raise JudgeError("language: there is no text: the run returned no str, and no call answered with a text.")
        return said

    async def acheck_safety(self, text: str | None = None, *, stage: SafetyStage = "output") -> Safety:
        """`check_safety`, without blocking the running loop."""
        __tracebackhide__ = True
        with self._evaluation.assessing(self, text, stage) as (judge, question, found):
            return found(await judge.apoll(question))


class Assessing:
    """The part of an Evaluation that looks at results for dangers, and keeps what comes of it."""

    judge: Callable[[], Judging]
    case: Case | None
    measurements: dict[str, Measurement]
    looked: bool
    """Whether a text was scanned, so that the record is masked."""

    @contextmanager
    def assessing(
        self, result: Assessed, text: str | None, stage: SafetyStage
    ) -> Iterator[tuple[Judge | Jury, Callable[[Judge, int], HowDangerous], Callable[[list[Safety]], Safety]]]:
        """The judge, what each of its members is asked about a text's safety, and what takes down their answers."""
        __tracebackhide__ = True
        from pytest_llmops.checks.guardrails.judged import scores_of
        from pytest_llmops.checks.safety import asking, together

        judge = self.judge().named("safety")

        def found(votes: list[Safety]) -> Safety:
            safety = together(judge, votes)
            self.measurements.update(scored(scores_of(safety), result._suffix, stage))
            return safety

        with assessed(self.measurements, result._suffix, stage):
            if text is None:
                text = result.text if stage == "output" else asked_in(result, self.case)
            if text is None:
                raise JudgeError(f"safety of the {stage}: there is no text to judge.")
            asked = self.case.input if self.case else None
            yield judge, asking(text, stage, asked), found

    def scan(self, result: Assessed, name: str) -> None:
        """Measure whether a guardrail finds something in the text: 1 or 0, lower is better; a judge's scores beside it.

        Raises:
            SettingsError: it needs something that is not there, a canary for example.
            JudgeError: its judge failed.
        """
        from pytest_llmops.checks.guardrails import build

        guardrail, text = build(name), result.text
        if text is None:
            self.measurements[name + result._suffix] = Measurement(
                status="unscored", reason="there is no text", source="guardrail", direction="lower", kind="rate"
            )
            return
        try:
            outcome = guardrail.check(text, context_of(result, self.case))
        except JudgeError as error:
            self.measurements.update(failed(guardrail, name, result._suffix, error))
            raise
        self.measurements.update(measured(outcome, name, result._suffix))

    def guarded(
        self,
        name: str,
        result: Assessed,
        *,
        triggered: bool,
        reason: str | None = None,
        stage: MeasuredStage | None = None,
        definition: str | None = None,
    ) -> None:
        """Record whether a guardrail fired, 1 or 0, what it looked at, and by whose judgement."""
        from pytest_llmops.checks.builtin_rubrics import BUILTIN

        key = name + result._suffix
        taken = key in self.measurements and self.measurements[key].source != "guardrail"
        if taken or name in BUILTIN:  # a judge scores something of that name
            key = f"guardrail.{key}"
        before = self.measurements.get(key)
        if triggered or before is None:
            self.measurements[key] = Measurement(
                value=float(triggered),
                reason=reason or None,
                source="guardrail",
                kind="rate",
                stage=stage or (before.stage if before is not None else None),
                definition=definition or (before.definition if before is not None else None),
            )
