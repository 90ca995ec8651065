"""A judge: scores a text by a rubric, from the cassette where it can."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack, cast

from pytest_llmops.cassettes import scope
from pytest_llmops.checks import judge_prompt
from pytest_llmops.checks.judge_client import Client
from pytest_llmops.checks.judge_models import DEFAULT_JUDGE as DEFAULT_JUDGE
from pytest_llmops.checks.judge_models import parse_model
from pytest_llmops.checks.judge_prompt import Prompt
from pytest_llmops.checks.judge_verdict import parse, shortened, verbatim
from pytest_llmops.checks.question import Answer, JudgeFunction, Question, as_judge, short_hash, told_apart
from pytest_llmops.checks.rubrics import Rubric, resolve
from pytest_llmops.checks.score import Score
from pytest_llmops.errors import JudgeError, SettingsError


class Judged(TypedDict, total=False):
    """What is judged.

    Args:
        text: what is judged.
        input: what it answers: a text, messages, or anything JSON can hold.
        expected: what it should have said.
        context: texts it may draw on.
        repeat: the number of the sample; each is a call and a recording of its own.
    """

    text: Required[str]
    input: object
    expected: object
    context: Sequence[str]
    repeat: int


class Judge:
    """An LLM that scores texts.

    Args:
        model: ``provider:model``, or a function (system, user, schema) -> dict | str, async or not.
        timeout_s: seconds an attempt may take.
        base_url: where the provider listens; default its own address, or ``ANTHROPIC_BASE_URL``, ``OPENAI_BASE_URL``.
        hosts: ``[tool.pytest-llmops.hosts]``.
        root: what paths of rubric files are relative to; default the working directory.

    Raises:
        SettingsError: the model names no known provider.
    """

    def __init__(
        self,
        model: str | JudgeFunction = DEFAULT_JUDGE,
        *,
        timeout_s: float = 60.0,
        base_url: str | None = None,
        hosts: Mapping[str, str] | None = None,
        root: Path | None = None,
    ) -> None:
        self.timeout_s, self.base_url, self.hosts, self.root = timeout_s, base_url, hosts or {}, root
        self._ask: Client | JudgeFunction
        if isinstance(model, str):
            self.model = model
            provider, name = parse_model(model)
            if provider == "litellm":
                from pytest_llmops.checks.adapters import litellm

                self._ask = litellm.function(name, timeout_s)
            else:
                self._ask = Client(provider, name, timeout_s, base_url)
        else:
            self.model = f"function:{model.__module__}.{getattr(model, '__qualname__', type(model).__qualname__)}"
            self._ask = model

    def __repr__(self) -> str:
        return f"Judge({self.model!r})"

    @property
    def lead(self) -> Judge:
        """Itself; of a jury, its first member."""
        return self

    def definition(self, criterion: object) -> str:
        """Short hash of what a score by this criterion means: judge model, rubric, scale, prompt's version."""
        return self._definition(resolve(criterion, root=self.root))

    def score(self, criterion: object, **what: Unpack[Judged]) -> Score:
        """Score a text.

        Args:
            criterion: a built-in rubric's name, a sentence, a `Rubric`, or a rubric file's path.
            what: ``text``, and where there are any ``input``, ``expected``, ``context`` and ``repeat`` (`Judged`).

        Raises:
            JudgeError: the judge failed, refused, or handed in no verdict on the scale.
            SettingsError: no such rubric, or it needs something that is missing.
            CassetteMiss: there is no recording, and the record mode forbids a call.
        """
        __tracebackhide__ = True
        return self.settle(self.question(criterion, **what))

    async def ascore(self, criterion: object, **what: Unpack[Judged]) -> Score:
        """`score` without blocking the running loop."""
        __tracebackhide__ = True
        return await self.asettle(self.question(criterion, **what))

    def question(self, criterion: object, **what: Unpack[Judged]) -> Question[Score]:
        """What `score` asks.

        Raises:
            SettingsError: no such rubric, or it needs something that is missing.
        """
        __tracebackhide__ = True
        return _Scoring(self, criterion, **what)

    @property
    def seats(self) -> list[tuple[Judge, int]]:
        """Who is asked: itself, with the number of the sample."""
        return [(self, 0)]

    def named(self, name: str) -> Judge:
        """Itself: who judges what is called `name`."""
        return self

    def poll(self, question: Callable[[Judge, int], Question[Answer]]) -> list[Answer]:
        """What each judge says, each sample of it: of a single judge one answer.

        Args:
            question: (judge, number of the sample) to what it is asked.
        """
        __tracebackhide__ = True
        return [self.settle(question(self, 0))]

    async def apoll(self, question: Callable[[Judge, int], Question[Answer]]) -> list[Answer]:
        """`poll` without blocking the running loop."""
        __tracebackhide__ = True
        return [await self.asettle(question(self, 0))]

    def settle(self, question: Question[Answer]) -> Answer:
        """Ask one question, and read the answer.

        Raises:
            JudgeError: the judge failed, refused, or answered anything but what was asked for.
            CassetteMiss: there is no recording, and the record mode forbids a call.
        """
        __tracebackhide__ = True
        if not isinstance(self._ask, Client):
            return self._called(question, self._ask)
        with as_judge(question.key), question.alone():
            if (recorded := question.recorded(hosts=self.hosts)) is not None:
                return recorded
            with question.failing():
                exchange = self._ask.ask(question.prompt(), taped=scope.current() is not None)
        return question.read(exchange, hosts=self.hosts)

    async def asettle(self, question: Question[Answer]) -> Answer:
        """`settle` without blocking the running loop."""
        __tracebackhide__ = True
        if not isinstance(self._ask, Client):
            return await self._acalled(question, self._ask)
        with as_judge(question.key):
            async with question.aalone():
                if (recorded := question.recorded(hosts=self.hosts)) is not None:
                    return recorded
                with question.failing():
                    exchange = await self._ask.aask(question.prompt(), taped=scope.current() is not None)
        return question.read(exchange, hosts=self.hosts)

    def _called(self, question: Question[Answer], function: JudgeFunction) -> Answer:
        __tracebackhide__ = True
        for _ in range(2):
            with as_judge(), told_apart() as asked:
                answer = question.called(function)
            if inspect.isawaitable(answer):
                if inspect.iscoroutine(answer):
                    answer.close()
                raise SettingsError(f"{self.model} is async: use `await ajudge(…)` with it.")
            try:
                return question.scored(answer)
            except JudgeError as error:
                failed = error
            if not asked.forgotten():
                break
        raise failed

    async def _acalled(self, question: Question[Answer], function: JudgeFunction) -> Answer:
        __tracebackhide__ = True
        for _ in range(2):
            with as_judge(), told_apart() as asked:
                # A function that waits for its gateway must not hold up the loop.
                answer = await asyncio.to_thread(question.called, function)
                if inspect.isawaitable(answer):
                    with question.failing():
                        answer = await answer
            try:
                return question.scored(answer)
            except JudgeError as error:
                failed = error
            if not asked.forgotten():
                break
        raise failed

    def _definition(self, rubric: Rubric) -> str:
        return short_hash([judge_prompt.PROMPT_VERSION, self.model, rubric.form, rubric.direction, rubric.text()], 6)


class _Scoring(Question[Score]):
    """One text before one judge."""

    def __init__(
        self,
        judge: Judge,
        criterion: object,
        *,
        text: str,
        input: object = None,
        expected: object = None,
        context: Sequence[str] = (),
        repeat: int = 0,
    ) -> None:
        __tracebackhide__ = True
        self.rubric = resolve(criterion, root=judge.root)
        if not isinstance(text, str):
            raise SettingsError(f"a judge judges a str, got {shortened(text)} ({type(text).__name__}).")
        self.text = text
        self.given = {"input": input, "expected": expected, "context": _texts(context)}
        self._check_needs()
        self.definition = judge._definition(self.rubric)
        shown = [None if value is None else judge_prompt.as_text(value) for value in (input, expected)]
        super().__init__(judge.model, self.rubric.name, [self.definition, text, *shown, self.given["context"], repeat])

    def _check_needs(self) -> None:
        __tracebackhide__ = True
        for need in self.rubric.needs:
            if self.given[need] is None or self.given[need] == ():
                raise SettingsError(
                    f"the rubric {self.rubric.name!r} needs {need!r}: give the dataset's case an {need!r}, or pass it."
                )

    def prompt(self) -> Prompt:
        return judge_prompt.build(self.rubric, key=self.key, text=self.text, **cast("dict[str, Any]", self.given))

    def understood(self, answer: object) -> Score:
        verdict = parse(answer, self.rubric)
        return Score(
            self.rubric.share(verdict.level),
            criterion=self.rubric.name,
            reason=verdict.reason,
            evidence=verbatim(verdict.evidence, self.text),
            model=self.model,
            definition=self.definition,
            text=self.text,
            direction=self.rubric.direction,
        )


def _texts(context: Sequence[str]) -> tuple[str, ...]:
    return (context,) if isinstance(context, str) else tuple(context)
