"""A judge: scores a text by a rubric, from the cassette where it can."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pytest_llmops import providers
from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.checks import judge_prompt
from pytest_llmops.checks.judge_client import CallFailed, Client, parse_model
from pytest_llmops.checks.judge_prompt import Prompt
from pytest_llmops.checks.judge_verdict import NoVerdict, Verdict, parse, read, shortened, verbatim
from pytest_llmops.checks.rubrics import Rubric, resolve
from pytest_llmops.checks.score import Score
from pytest_llmops.errors import JudgeError, SettingsError
from pytest_llmops.exchange import Exchange
from pytest_llmops.registry import current_role

DEFAULT_JUDGE = "anthropic:claude-sonnet-5-5"

JudgeFunction = Callable[[str, str, "dict[str, Any] | None"], "dict[str, Any] | str | Awaitable[dict[str, Any] | str]"]
"""(system, user, schema) to the verdict as a dict or as text; schema is None where two lines of text are asked for."""


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
            self._ask = Client(provider, name, timeout_s, base_url)
        else:
            self.model = f"function:{model.__module__}.{getattr(model, '__qualname__', type(model).__qualname__)}"
            self._ask = model

    def __repr__(self) -> str:
        return f"Judge({self.model!r})"

    def definition(self, criterion: object) -> str:
        """Short hash of what a score by this criterion means: judge model, rubric, scale, prompt's version."""
        return self._definition(resolve(criterion, root=self.root))

    def score(
        self,
        criterion: object,
        *,
        text: str,
        input: object = None,
        expected: object = None,
        context: Sequence[str] = (),
        repeat: int = 0,
    ) -> Score:
        """Score a text.

        Args:
            criterion: a built-in rubric's name, a sentence, a `Rubric`, or a rubric file's path.
            text: what is judged.
            input: what it answers: a text, messages, or anything JSON can hold.
            expected: what it should have said.
            context: texts it may draw on.
            repeat: the number of the sample; each is a call and a recording of its own.

        Raises:
            JudgeError: the judge failed, refused, or handed in no verdict on the scale.
            SettingsError: no such rubric, or it needs something that is missing.
            CassetteMiss: there is no recording, and the record mode forbids a call.
        """
        __tracebackhide__ = True
        task = _Task(self, criterion, text, input, expected, context, repeat)
        if not isinstance(self._ask, Client):
            with _as_judge():
                answer = task.called(self._ask)
            if inspect.isawaitable(answer):
                if inspect.iscoroutine(answer):
                    answer.close()
                raise SettingsError(f"{self.model} is async: use `await ajudge(…)` with it.")
            return task.scored(answer)
        tape = scope.current()
        with _as_judge(task.key):
            exchange = task.recalled(tape)
            if exchange is None:
                with task.failing():
                    exchange = self._ask.ask(task.prompt(), taped=tape is not None)
        return task.read(exchange, hosts=self.hosts)

    async def ascore(
        self,
        criterion: object,
        *,
        text: str,
        input: object = None,
        expected: object = None,
        context: Sequence[str] = (),
        repeat: int = 0,
    ) -> Score:
        """`score` without blocking the running loop."""
        __tracebackhide__ = True
        task = _Task(self, criterion, text, input, expected, context, repeat)
        if not isinstance(self._ask, Client):
            with _as_judge():
                answer = task.called(self._ask)
                if inspect.isawaitable(answer):
                    with task.failing():
                        answer = await answer
            return task.scored(answer)
        tape = scope.current()
        with _as_judge(task.key):
            exchange = task.recalled(tape)
            if exchange is None:
                with task.failing():
                    exchange = await self._ask.aask(task.prompt(), taped=tape is not None)
        return task.read(exchange, hosts=self.hosts)

    def _definition(self, rubric: Rubric) -> str:
        return _hash([judge_prompt.PROMPT_VERSION, self.model, rubric.form, rubric.direction, rubric.text()], 6)


class _Task:
    """One text before one judge."""

    def __init__(
        self,
        judge: Judge,
        criterion: object,
        text: str,
        input: object,
        expected: object,
        context: Sequence[str],
        repeat: int,
    ) -> None:
        __tracebackhide__ = True
        self.rubric = resolve(criterion, root=judge.root)
        if not isinstance(text, str):
            raise SettingsError(f"a judge judges a str, got {shortened(text)} ({type(text).__name__}).")
        self.model, self.text = judge.model, text
        self.given = {"input": input, "expected": expected, "context": _texts(context)}
        self._check_needs()
        self.definition = judge._definition(self.rubric)
        shown = [None if value is None else judge_prompt.as_text(value) for value in (input, expected)]
        self.key = "judge:" + _hash([self.definition, text, *shown, self.given["context"], repeat], 16)

    def _check_needs(self) -> None:
        __tracebackhide__ = True
        for need in self.rubric.needs:
            if self.given[need] is None or self.given[need] == ():
                raise SettingsError(
                    f"the rubric {self.rubric.name!r} needs {need!r}: give the dataset's case an {need!r}, or pass it."
                )

    def prompt(self) -> Prompt:
        return judge_prompt.build(self.rubric, key=self.key, text=self.text, **cast("dict[str, Any]", self.given))

    def recalled(self, tape: Tape | None) -> Exchange | None:
        return tape.recall(self.key, capture=scope.current_capture(tape)) if tape is not None else None

    def called(self, function: JudgeFunction) -> object:
        __tracebackhide__ = True
        prompt = self.prompt()
        with self.failing():
            return function(prompt.system, prompt.user, prompt.schema)

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Whatever goes wrong while the judge is asked is the judge's failure."""
        __tracebackhide__ = True
        try:
            yield
        except CallFailed as error:
            raise self.error(error.why, hint=_hint(error)) from None
        except (SettingsError, JudgeError):
            raise
        except Exception as error:  # a user's own function may raise anything, and so may the SDK over a broken answer
            raise self.error(f"{type(error).__name__}: {error}") from error

    def read(self, exchange: Exchange, *, hosts: Mapping[str, str]) -> Score:
        """The score from what went over the wire."""
        __tracebackhide__ = True
        call = providers.read(exchange, hosts=hosts, store_text=False)
        if call is None:
            raise self.error(f"what {exchange.url} answered is no model call", _start_of(exchange))
        try:
            return self._score(read(call, self.rubric))
        except NoVerdict as error:
            raise self.error(str(error), error.came) from None

    def scored(self, answer: object) -> Score:
        """The score from what a function answered."""
        __tracebackhide__ = True
        try:
            return self._score(parse(answer, self.rubric))
        except NoVerdict as error:
            raise self.error(str(error), error.came) from None

    def _score(self, verdict: Verdict) -> Score:
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

    def error(self, why: str, came: str | None = None, *, hint: str = "") -> JudgeError:
        lines = [f"judge {self.model} gave no verdict on {shortened(self.rubric.name)!r}: {why}"]
        if came:
            lines.append(f"  it answered: {came}")
        lines.append(f"  {hint or 'ask anew with --llm-record=all, or take another judge with --llm-judge=MODEL'}")
        return JudgeError("\n".join(lines))


@contextlib.contextmanager
def _as_judge(key: str | None = None) -> Iterator[None]:
    """Requests made inside are the judge's, and recorded under `key`."""
    role = current_role.set("judge")
    token = scope.key.set(key)
    try:
        yield
    finally:
        scope.key.reset(token)
        current_role.reset(role)


def _hint(error: CallFailed) -> str:
    if error.status in (401, 403) or "is not set" in error.why:
        return "set the provider's API key, or replay from cassettes with --llm-record=none"
    if error.status == 404:
        return "check the judge's model name: --llm-judge=provider:model"
    return "ask again with --llm-record=refresh, or take another judge with --llm-judge=MODEL"


def _texts(context: Sequence[str]) -> tuple[str, ...]:
    return (context,) if isinstance(context, str) else tuple(context)


def _hash(parts: object, size: int) -> str:
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def _start_of(exchange: Exchange) -> str:
    """The start of an answer's body."""
    return shortened(exchange.response_body[:1000].decode("utf-8", "replace"))
