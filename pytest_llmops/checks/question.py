"""One question to a judge: how it is put, found on a cassette, and how its answer is understood."""

from __future__ import annotations

import contextlib
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pytest_llmops import providers
from pytest_llmops.cassettes import scope
from pytest_llmops.checks.judge_client import CallFailed
from pytest_llmops.checks.judge_models import key_variable
from pytest_llmops.checks.judge_prompt import Prompt
from pytest_llmops.checks.judge_verdict import NoVerdict, answer_of, shortened
from pytest_llmops.errors import JudgeError, SettingsError
from pytest_llmops.exchange import Exchange
from pytest_llmops.registry import current_role, current_steps

Answer = TypeVar("Answer")

JudgeFunction = Callable[[str, str, "dict[str, Any] | None"], "dict[str, Any] | str | Awaitable[dict[str, Any] | str]"]
"""(system, user, schema) to the verdict as a dict or as text; schema is None where two lines of text are asked for."""


class Question(ABC, Generic[Answer]):
    """What a judge is asked.

    Args:
        model: the judge.
        name: what is asked about, for messages.
        parts: all that makes the question what it is; JSON can hold it. The recording is found by it.
    """

    def __init__(self, model: str, name: str, parts: object) -> None:
        self.model, self.name = model, name
        self.key = "judge:" + short_hash(parts, 16)

    @abstractmethod
    def prompt(self) -> Prompt:
        """The texts that are sent."""

    @abstractmethod
    def understood(self, answer: object) -> Answer:
        """What the judge's answer, a dict or a text, means.

        Raises:
            NoVerdict: it is not what was asked for.
        """

    def recorded(self, *, hosts: Mapping[str, str]) -> Answer | None:
        """The answer on the cassette in force; None where it is to be asked for.

        Raises:
            JudgeError: what is recorded is no answer, and no other can be asked for.
        """
        __tracebackhide__ = True
        tape = scope.current()
        if tape is None:
            return None
        exchange = tape.recall(self.key, capture=scope.current_capture(tape))
        if exchange is None:
            return None
        try:
            return self.read(exchange, hosts=hosts)
        except JudgeError:
            # Asked again in this run it would say the same; what an earlier run recorded need not be paid for twice
            # in all else, so a mode that may record puts only this question again.
            if not exchange.replayed or not tape.forget(self.key):
                raise
        return None

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """While others that ask the same wait: they are given this answer."""
        tape = scope.current()
        return contextlib.nullcontext() if tape is None or tape.offline else tape.options.asking.alone(self.key)

    def aalone(self) -> contextlib.AbstractAsyncContextManager[None]:
        """`alone`, without blocking the running loop."""
        tape = scope.current()
        return contextlib.nullcontext() if tape is None or tape.offline else tape.options.asking.aalone(self.key)

    def called(self, function: JudgeFunction) -> object:
        """What a function in a judge's place answers."""
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
            raise self.error(error.why, hint=_hint(error, self.model)) from None
        except (SettingsError, JudgeError):
            raise
        except Exception as error:  # a user's own function may raise anything, and so may the SDK over a broken answer
            raise self.error(f"{type(error).__name__}: {error}") from error

    def read(self, exchange: Exchange, *, hosts: Mapping[str, str]) -> Answer:
        """What went over the wire, understood."""
        __tracebackhide__ = True
        call = providers.read(exchange, hosts=hosts, store_text=False)
        if call is None:
            raise self.error(f"what {exchange.url} answered is no model call", _start_of(exchange))
        try:
            return self.understood(answer_of(call))
        except NoVerdict as error:
            raise self.error(str(error), error.came) from None

    def scored(self, answer: object) -> Answer:
        """What a function answered, understood."""
        __tracebackhide__ = True
        try:
            return self.understood(answer)
        except NoVerdict as error:
            raise self.error(str(error), error.came) from None

    def error(self, why: str, came: str | None = None, *, hint: str = "") -> JudgeError:
        """The message of a judge that failed."""
        lines = [f"judge {self.model} gave no verdict on {shortened(self.name)!r}: {why}"]
        if came:
            lines.append(f"  it answered: {came}")
        lines.append(f"  {hint or _another_answer()}")
        return JudgeError("\n".join(lines))


def short_hash(parts: object, size: int) -> str:
    """Hash of what JSON can hold, as 2 × `size` hex digits."""
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


@contextlib.contextmanager
def as_judge(key: str | None = None) -> Iterator[None]:
    """Requests made inside are the judge's, and recorded under `key`."""
    role = current_role.set("judge")
    token = scope.key.set(key)
    try:
        yield
    finally:
        scope.key.reset(token)
        current_role.reset(role)


@dataclass(eq=False, slots=True)
class Asked:
    """A step around a function's requests, by which they are known again; named as the step it stands in."""

    name: str

    def forgotten(self) -> bool:
        """Give up what was replayed inside; False where nothing was, or no call may be made."""
        tape = scope.current()
        return tape is not None and tape.forget(step=self)


@contextlib.contextmanager
def told_apart() -> Iterator[Asked]:
    """Know the requests that are made inside."""
    outer = current_steps.get()
    asked = Asked(str(getattr(outer[-1], "name", "")) if outer else "")
    token = current_steps.set((*outer, asked))
    try:
        yield asked
    finally:
        current_steps.reset(token)


def _another_answer() -> str:
    """How to have a judge asked again whose answer is on the cassette; the application's calls are replayed."""
    tape = scope.current()
    command = tape.command if tape is not None and tape.mode != "live" and tape.command else "--llm-record=refresh"
    return f"ask this judge again, and only it: {command}; or take another with --llm-judge=MODEL"


def _hint(error: CallFailed, model: str) -> str:
    if error.status in (401, 403):
        variable = key_variable(model)
        named = f" ({variable})" if variable else ""
        return f"set the provider's API key{named}, or replay from cassettes with --llm-record=none"
    if error.nothing_sent:
        return "nothing was sent to it; what is on cassettes replays without (--llm-record=none)"
    if error.status == 404:
        return "check the judge's model name (--llm-judge=provider:model) and its base URL"
    return "ask again with --llm-record=refresh, or take another judge with --llm-judge=MODEL"


def _start_of(exchange: Exchange) -> str:
    """The start of an answer's body."""
    return shortened(exchange.response_body[:1000].decode("utf-8", "replace"))
