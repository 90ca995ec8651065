"""What is said about answers: judges, tone, libraries and metrics, as parts of a Result and of its Evaluation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_llmops.errors import JudgeError, SettingsError, did_you_mean
from pytest_llmops.measuring import Compared, Comparing
from pytest_llmops.records import Measurement

if TYPE_CHECKING:
    from pytest_llmops.baseline.drift import StoredAnswer
    from pytest_llmops.checks import Judge, Rubric, Score
    from pytest_llmops.checks.adapters import LibraryScore
    from pytest_llmops.checks.jury import Judging, Jury
    from pytest_llmops.checks.pairwise import Preference
    from pytest_llmops.checks.tone import HowItSounds, Tone
    from pytest_llmops.datasets import Case


class Scored(Compared):
    """The part of a Result that is scored: each score becomes a measurement of its test."""

    _evaluation: Scoring
    _suffix: str
    output: Any

    def judge(self, criterion: Any, input: Any = None) -> Score:
        """Have the judge score the text by a criterion, 0..1; the score carries its reason.

        Args:
            criterion: a built-in rubric's name (``"helpfulness"``), a sentence of your own, a Rubric, or the path of a
                rubric file.
            input: what was asked; the case's input by default.

        Raises:
            JudgeError: the judge failed; recorded as status ``error``, never as a score.
        """
        __tracebackhide__ = True
        judge, rubric, what = self._evaluation.judging(self, criterion, input)
        with self._evaluation.judged(rubric, self._suffix) as verdict:
            score = judge.score(rubric, **what)
            verdict(score)
        return score

    async def ajudge(self, criterion: Any, input: Any = None) -> Score:
        """`judge`, without blocking the running loop."""
        __tracebackhide__ = True
        judge, rubric, what = self._evaluation.judging(self, criterion, input)
        with self._evaluation.judged(rubric, self._suffix) as verdict:
            score = await judge.ascore(rubric, **what)
            verdict(score)
        return score

    def grounded_in(self, context: str | Sequence[str]) -> Score:
        """How far the text says only what `context` (one or several texts) says, 0..1, by the judge."""
        __tracebackhide__ = True
        judge, rubric, what = self._evaluation.judging(self, "faithfulness", None, context)
        with self._evaluation.judged(rubric, self._suffix) as verdict:
            score = judge.score(rubric, **what)
            verdict(score)
        return score

    async def agrounded_in(self, context: str | Sequence[str]) -> Score:
        """`grounded_in`, without blocking the running loop."""
        __tracebackhide__ = True
        judge, rubric, what = self._evaluation.judging(self, "faithfulness", None, context)
        with self._evaluation.judged(rubric, self._suffix) as verdict:
            score = await judge.ascore(rubric, **what)
            verdict(score)
        return score

    @property
    def tone(self) -> Tone:
        """How the text sounds: a label (``"professional"``) with ``professional``, ``empathy``, ``defensive`` in 0..1.

        One judged call for all of them, kept on the cassette; recorded as ``tone_professional`` and so on.

        Raises:
            JudgeError: the judge failed.
        """
        __tracebackhide__ = True
        with self._evaluation.toned(self) as (judge, question, heard):
            return heard(judge.poll(question))

    async def atone(self) -> Tone:
        """`tone`, without blocking the running loop."""
        __tracebackhide__ = True
        with self._evaluation.toned(self) as (judge, question, heard):
            return heard(await judge.apoll(question))

    def ragas(self, metric: Any, **options: Any) -> LibraryScore:
        """Measure by a metric of ragas, driven by the judge; recorded as ``ragas.NAME`` (docs/judges.md).

        Args:
            metric: its name (``"faithfulness"``), class or object, of ``ragas.metrics.collections``.
            options: for the class, or in place of the case's fields (``reference=…``).

        Raises:
            JudgeError: the metric failed, or gave no number; recorded as status ``error``.
        """
        __tracebackhide__ = True
        from pytest_llmops.checks.adapters import ragas

        return self._evaluation.by_library(self, "ragas", ragas.evaluate, metric, options)

    async def aragas(self, metric: Any, **options: Any) -> LibraryScore:
        """`ragas`, without blocking the running loop."""
        __tracebackhide__ = True
        return await asyncio.to_thread(self.ragas, metric, **options)

    def deepeval(self, metric: Any, **options: Any) -> LibraryScore:
        """Measure by a metric of deepeval, driven by the judge; recorded as ``deepeval.NAME`` (docs/judges.md).

        Args:
            metric: an object such as ``GEval(…)``, its class, or the class' name.
            options: for the class.

        Raises:
            JudgeError: the metric failed, or gave no number; recorded as status ``error``.
        """
        __tracebackhide__ = True
        from pytest_llmops.checks.adapters import deepeval

        return self._evaluation.by_library(self, "deepeval", deepeval.evaluate, metric, options)

    async def adeepeval(self, metric: Any, **options: Any) -> LibraryScore:
        """`deepeval`, without blocking the running loop."""
        __tracebackhide__ = True
        return await asyncio.to_thread(self.deepeval, metric, **options)


class Scoring(Comparing):
    """The part of an Evaluation that scores results and keeps what comes of it."""

    judge: Callable[[], Judging]
    case: Case | None
    results: list[Any]
    measurements: dict[str, Measurement]
    rejudged: dict[str, tuple[float, float]]
    _asked: dict[str, tuple[Callable[[], str], Callable[[str], float]]]
    """By metric: what its scores mean, and how to have another text judged alike."""

    def _free(self, name: str) -> str:
        if name not in self.measurements:
            return name
        return next(f"{name}#{i}" for i in range(2, 10_000) if f"{name}#{i}" not in self.measurements)

    # -- judges ---------------------------------------------------------------------------------------------------

    def judging(
        self, result: Scored, criterion: Any, asked: Any, context: str | Sequence[str] | None = None
    ) -> tuple[Judging, Rubric, dict[str, Any]]:
        """The judge, the rubric, and what the judge is told.

        Raises:
            SettingsError: there is no such rubric.
            JudgeError: there is nothing to judge.
        """
        from pytest_llmops.checks.rubrics import resolve

        judge = self.judge()
        rubric = resolve(criterion, root=judge.root)
        text, case = result.text, self.case
        if text is None:
            reason = "there is no text to judge: the run returned no str, and no call answered with a text"
            self._unjudged(rubric, result._suffix, reason)
            raise JudgeError(f"{rubric.name}: {reason}.")
        what: dict[str, Any] = {
            "text": text,
            "input": asked if asked is not None else (case.input if case else None),
            "expected": case.expected if case else None,
            "context": context if context is not None else (case.context if case else ()),
        }
        self._asked[rubric.name + result._suffix] = (
            lambda: judge.definition(rubric),
            lambda stored: float(judge.score(rubric, **{**what, "text": stored})),
        )
        return judge, rubric, what

    def rejudge(self, stored: Callable[[str, str], StoredAnswer | None]) -> None:
        """Have stored answers judged again by what this test judged by; a judge that fails says nothing of drift.

        Args:
            stored: (metric, definition) to the answer.
        """
        for name, (definition, again) in self._asked.items():
            answer = stored(name, definition()) if len(self.results) == 1 else None
            if answer is not None:
                with contextlib.suppress(JudgeError):
                    self.rejudged[name] = (answer.score, again(answer.text))

    @contextlib.contextmanager
    def judged(self, rubric: Rubric, suffix: str) -> Iterator[Callable[[Score], None]]:
        """Record what a judge says inside the block: its score, or that it failed."""
        __tracebackhide__ = True

        def verdict(score: Score) -> None:
            self.measurements[rubric.name + suffix] = Measurement(
                value=float(score),
                reason=score.reason,
                source="judge",
                direction=rubric.direction,
                definition=score.definition,
            )
            if score.disagreement is not None:
                self.measurements[f"{rubric.name}.disagreement{suffix}"] = Measurement(
                    value=score.disagreement, source="builtin", direction="lower", definition=score.definition
                )

        try:
            yield verdict
        except JudgeError as error:
            self._unjudged(rubric, suffix, str(error))
            raise

    def prefer(self, first: Scored, second: Scored, criterion: Any) -> Preference:
        """Which of two runs' texts is better: 1 the second, 0 the first, .5 neither; judged in both orders.

        Raises:
            JudgeError: the judge failed; recorded as status ``error``.
        """
        __tracebackhide__ = True
        from pytest_llmops.checks.pairwise import prefer

        with self._preferring(first, second, criterion) as (what, preferred):
            return preferred(prefer(**what))

    async def aprefer(self, first: Scored, second: Scored, criterion: Any) -> Preference:
        """`prefer`, without blocking the running loop."""
        __tracebackhide__ = True
        from pytest_llmops.checks.pairwise import aprefer

        with self._preferring(first, second, criterion) as (what, preferred):
            return preferred(await aprefer(**what))

    @contextlib.contextmanager
    def _preferring(
        self, first: Scored, second: Scored, criterion: Any
    ) -> Iterator[tuple[dict[str, Any], Callable[[Preference], Preference]]]:
        """What is compared, and what takes down the outcome."""
        __tracebackhide__ = True
        judge, rubric, given = self.judging(first, criterion, None)
        texts = {"first": given.pop("text"), "second": self.judging(second, criterion, None)[2]["text"]}
        name = f"{rubric.name}.prefers"

        def preferred(found: Preference) -> Preference:
            values = {name: float(found), f"{rubric.name}.position_bias": found.position_bias}
            if found.disagreement is not None:
                values[f"{name}.disagreement"] = found.disagreement
            for metric, value in values.items():
                self.measurements[self._free(metric)] = Measurement(
                    value=value,
                    reason=found.reason if metric == name else None,
                    source="judge" if metric == name else "builtin",
                    direction="lower" if metric.endswith(".disagreement") else "higher",
                    definition=found.definition,
                )
            return found

        try:
            yield {"judge": judge.named(rubric.name), "rubric": rubric, **texts, **given}, preferred
        except JudgeError as error:
            self.measurements[self._free(name)] = Measurement(status="error", reason=str(error), source="judge")
            raise

    @contextlib.contextmanager
    def toned(
        self, result: Scored
    ) -> Iterator[tuple[Judge | Jury, Callable[[Judge, int], HowItSounds], Callable[[list[Tone]], Tone]]]:
        """The judge, what each of its members is asked about a result's tone, and what takes down their answers."""
        __tracebackhide__ = True
        from pytest_llmops.checks.tone import SCALES, asking, together

        judge, text = self.judge().named("tone"), result.text
        given = self.case.input if self.case else None

        def again(stored: str, scale: str) -> float:
            return float(getattr(together(judge, judge.poll(asking(stored, given))), scale))

        def heard(votes: list[Tone]) -> Tone:
            tone = together(judge, votes)
            for name, direction in SCALES.items():
                meaning, told = (lambda: tone.definition), partial(again, scale=name)
                self._asked[f"tone_{name}{result._suffix}"] = meaning, told
                self.measurements[f"tone_{name}{result._suffix}"] = Measurement(
                    value=getattr(tone, name),
                    reason=f"{tone}: {tone.reason}",
                    source="judge",
                    direction=direction,
                    definition=tone.definition,
                )
            for name, value in tone.disagreement.items():
                self.measurements[f"tone_{name}.disagreement{result._suffix}"] = Measurement(
                    value=value, source="builtin", direction="lower", definition=tone.definition
                )
            return tone

        try:
            if text is None:
                raise JudgeError("tone: there is no text to judge: the run returned no str, and no call answered.")
            yield judge, asking(text, given), heard
        except JudgeError as error:
            for name, direction in SCALES.items():
                self.measurements[f"tone_{name}{result._suffix}"] = Measurement(
                    status="error", reason=str(error), source="judge", direction=direction
                )
            raise

    def _unjudged(self, rubric: Rubric, suffix: str, reason: str) -> None:
        self.measurements[rubric.name + suffix] = Measurement(
            status="error", reason=reason, source="judge", direction=rubric.direction
        )

    def by_library(
        self, result: Scored, library: str, evaluate: Callable[..., LibraryScore], metric: Any, options: dict[str, Any]
    ) -> LibraryScore:
        """`Result.ragas` and `Result.deepeval`."""
        __tracebackhide__ = True
        from pytest_llmops.checks.adapters import Material, measured
        from pytest_llmops.checks.judge_prompt import as_text

        case, text = self.case, result.text
        given = {"input": case.input, "expected": case.expected} if case else {}
        shown = {name: None if value is None else as_text(value) for name, value in given.items()}
        name = metric if isinstance(metric, str) else getattr(metric, "name", getattr(metric, "__name__", "metric"))
        try:
            if text is None:
                raise JudgeError(f"{library} {name}: there is no text: the run returned no str, and no call answered.")
            material = Material(text, **shown, context=case.context if case else (), embedder=self._embedder(None))
            found = measured(evaluate, self.judge().named(f"{library}.{name}"), metric, material, options)
        except JudgeError as error:
            failed = Measurement(status="error", reason=str(error), source="library")
            self.measurements[f"{library}.{name}{result._suffix}"] = failed
            raise
        self.measurements[found.name + result._suffix] = Measurement(
            value=float(found), reason=found.reason, source="library", definition=found.definition
        )
        if found.disagreement is not None:
            self.measurements[f"{found.name}.disagreement{result._suffix}"] = Measurement(
                value=found.disagreement, source="builtin", direction="lower", definition=found.definition
            )
        return found

    def measure(self, names: Sequence[str]) -> None:
        """Score the last result by `names` (the marker's ``measure``), those that the test did not score itself.

        Raises:
            JudgeError: a judge failed, after all were tried.
        """
        if not names or not self.results:
            return
        from pytest_llmops.checks import guardrails, metrics
        from pytest_llmops.checks.builtin_rubrics import BUILTIN as RUBRICS

        failed: JudgeError | None = None
        for name in names:
            if name not in self.measurements:
                try:
                    if metrics.known(name):
                        self.results[-1].metric(name)
                    elif name not in RUBRICS and guardrails.known(name):
                        self.scan(self.results[-1], name)
                    elif name in RUBRICS or not name.isidentifier():  # a sentence, or a rubric's file
                        self.results[-1].judge(name)
                    else:
                        every = {*RUBRICS, *metrics.names(), *guardrails.names()}
                        raise SettingsError(
                            f"measure: no rubric, metric or guardrail is named {name!r}.{did_you_mean(name, every)}"
                        )
                except JudgeError as error:
                    failed = failed or error
        if failed is not None:
            raise failed
