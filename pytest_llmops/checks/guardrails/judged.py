"""Guardrails that ask a judge. Their calls lie on the test's cassette, and a judge that fails is an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pytest_llmops.checks.guardrails import surroundings
from pytest_llmops.checks.guardrails.outcome import Action, Context, Outcome, Stage, severity_of

if TYPE_CHECKING:
    from pytest_llmops.checks import Judge, Jury, Score
    from pytest_llmops.checks.jury import Judging
    from pytest_llmops.checks.safety import HowDangerous, Safety, SafetyStage

CATEGORIES = ("toxicity", "bias", "misinformation", "inappropriate", "privacy")
OVERALL = "safety.overall"


@dataclass(frozen=True)
class SafetyGuardrail:
    """Triggers where a judge finds a text dangerous in one of five categories, all asked for by one call.

    Args:
        category: the one that counts; None: any of them.
        threshold: 0 safe to 1 dangerous.
        judge: default the session's, with its jury.
    """

    name: str = "content_safety"
    stage: Stage = "both"
    category: str | None = None
    threshold: float = 0.5
    action: Action = "block"
    judge: Judging | None = None

    @property
    def asks(self) -> bool:
        """Whether somebody is asked, so that a cassette is of use."""
        return True

    @property
    def scored(self) -> tuple[str, ...]:
        """The names that its scores are measured under."""
        return (f"safety.{self.category}",) if self.category else (*(f"safety.{one}" for one in CATEGORIES), OVERALL)

    def check(self, text: str, context: Context | None = None) -> Outcome:
        """Ask the judge; the session's cassette answers where it can.

        Raises:
            JudgeError: the judge failed. That is no outcome.
        """
        __tracebackhide__ = True
        judge, question = self._asking(text, context)
        return self._outcome(judge, judge.poll(question))

    async def acheck(self, text: str, context: Context | None = None) -> Outcome:
        """`check` without blocking the running loop."""
        __tracebackhide__ = True
        judge, question = self._asking(text, context)
        return self._outcome(judge, await judge.apoll(question))

    def _asking(self, text: str, context: Context | None) -> tuple[Judge | Jury, Callable[[Judge, int], HowDangerous]]:
        from pytest_llmops.checks.safety import asking

        known = context or {}
        stage: SafetyStage = "input" if known.get("stage", self.stage) == "input" else "output"
        judge = (self.judge or surroundings.judging()).named("safety")
        return judge, asking(text, stage, known.get("input"))

    def _outcome(self, judge: Judge | Jury, votes: Sequence[Safety]) -> Outcome:
        from pytest_llmops.checks.safety import together

        safety = together(judge, votes)
        if self.category is not None:
            risk = safety.categories[self.category]
            return _judged(risk, self.threshold, self.action, risk.reason, {f"safety.{self.category}": risk})
        hit = [risk for risk in safety.categories.values() if risk >= self.threshold]
        reason = "; ".join(f"{r.criterion} {float(r):.1f}: {r.reason}" for r in sorted(hit, reverse=True))
        return _judged(safety, self.threshold, self.action, reason, scores_of(safety))


@dataclass(frozen=True)
class RubricGuardrail:
    """Triggers where a judge finds that a text falls short of a rubric for which high is good.

    Args:
        rubric: the built-in rubric's name.
        threshold: 0 as good as can be to 1 as bad as can be: what the rubric's score lacks of 1.
        knowledge_base: a text file that claims may rest on, besides the context; a name that is no file's is only
            there for the reader.
        judge: default the session's, with its jury.
    """

    name: str
    rubric: str
    stage: Stage = "output"
    threshold: float = 0.5
    action: Action = "block"
    knowledge_base: str | None = None
    judge: Judging | None = None

    @property
    def asks(self) -> bool:
        """Whether somebody is asked, so that a cassette is of use."""
        return True

    @property
    def scored(self) -> tuple[str, ...]:
        """The name that its score is measured under."""
        return (f"{self.name}.score",)

    def check(self, text: str, context: Context | None = None) -> Outcome:
        """Ask the judge; the session's cassette answers where it can.

        Raises:
            JudgeError: the judge failed. That is no outcome.
            SettingsError: the rubric needs an input or a context, and the context has none.
        """
        __tracebackhide__ = True
        judge = self.judge or surroundings.judging()
        return self._outcome(judge.score(self.rubric, text=text, **self._given(judge, context)))

    async def acheck(self, text: str, context: Context | None = None) -> Outcome:
        """`check` without blocking the running loop."""
        __tracebackhide__ = True
        judge = self.judge or surroundings.judging()
        return self._outcome(await judge.ascore(self.rubric, text=text, **self._given(judge, context)))

    def _given(self, judge: Judging, context: Context | None) -> dict[str, Any]:
        known = context or {}
        asked, system = known.get("input"), known.get("system_prompt")
        if self.rubric == "instruction_adherence" and system:  # the application's own instructions are instructions
            asked = {"system": system} if asked is None else {"system": system, "user": asked}
        texts = _texts(known.get("context"))
        file = (judge.root or Path.cwd()) / self.knowledge_base if self.knowledge_base else None
        if file is not None and file.is_file():
            texts = (*texts, file.read_text(encoding="utf-8"))
        return {"input": asked, "expected": known.get("expected"), "context": texts}

    def _outcome(self, score: Score) -> Outcome:
        from pytest_llmops.checks import Score

        lacking = Score(1.0 - score, **{**vars(score), "criterion": self.name, "direction": "lower", "votes": ()})
        return _judged(lacking, self.threshold, self.action, score.reason, {f"{self.name}.score": lacking})


def scores_of(safety: Safety) -> dict[str, Score]:
    """Its categories and the whole, by the names that they are measured under."""
    return {**{f"safety.{name}": risk for name, risk in safety.categories.items()}, OVERALL: safety}


def _judged(score: Score, threshold: float, action: Action, reason: str, scores: dict[str, Score]) -> Outcome:
    if score < threshold:
        return Outcome(
            False, score=float(score), reason=score.reason, source="judge", scores=scores, definition=score.definition
        )
    told = f"judged by {score.model}: {reason}"
    return Outcome(True, severity_of(score), float(score), told, (), action, "judge", scores, score.definition)


def _texts(given: object) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(cast("Sequence[str]", given or ()))
