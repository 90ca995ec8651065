"""Conversations: an application that is spoken to several times. docs/conversations.md."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from pytest_llmops.errors import SettingsError, did_you_mean
from pytest_llmops.tools import ToolCalls

if TYPE_CHECKING:
    from pytest_llmops.checks import Score


class Result(Protocol):
    """What a conversation needs of a run's result."""

    output: Any

    @property
    def text(self) -> str | None:
        """What the application said."""

    @property
    def tool_calls(self) -> ToolCalls:
        """The tools that the model asked for."""

    @property
    def cost_usd(self) -> float | None:
        """In USD."""

    def judge(self, criterion: Any, input: Any = None) -> Score:
        """Have it judged."""

    async def ajudge(self, criterion: Any, input: Any = None) -> Score:
        """Have it judged."""


HISTORY = "history"
MESSAGES = "messages"
_KEYS = ("input", "user", "content", "message", "expected", "assistant", "role", "id", "metadata")


@dataclass(frozen=True)
class Turn:
    """One exchange of words.

    Args:
        message: what was said to the application.
        result: what came of it.
        expected: what the dataset's turn expects; None where it says nothing.
        fields: whatever else stands in the dataset's turn.
    """

    message: Any
    result: Result
    expected: Any = None
    fields: Mapping[str, Any] | None = None


class Conversation:
    """Speaks to the application turn by turn.

    The application is a function of the message. One with a parameter ``history`` also gets the messages so far, one
    with a parameter ``messages`` gets all of them with the new one last, as ``{"role": …, "content": …}``.

    Args:
        func: the application.
        run: runs it and captures its calls; `arun` likewise for async applications.
        name: prefix of the runs' names (``chat-1``); "": they are numbered like other runs.
        kwargs: passed on to the application each time.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        run: Callable[..., Result],
        arun: Callable[..., Awaitable[Result]],
        *,
        name: str = "",
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(func):
            raise SettingsError(f"llm_eval.conversation({func!r}): expected a function to speak to.")
        self._func, self._run, self._arun, self._name, self._kwargs = func, run, arun, name, dict(kwargs or {})
        self._takes = _parameters(func)
        self.history: list[dict[str, Any]] = []
        """The messages so far: what was said, and the answers."""
        self.turns: list[Turn] = []

    def __repr__(self) -> str:
        return f"<conversation of {len(self.turns)} turns>"

    def say(self, message: Any, /, **kwargs: Any) -> Any:
        """Say something → Result; of an async application: ``await chat.say(…)`` → Result."""
        __tracebackhide__ = True
        if _is_async(self._func):
            return self.asay(message, **kwargs)
        return self._heard(message, self._run(*self._call(message), **self._more(message, kwargs)))

    async def asay(self, message: Any, /, **kwargs: Any) -> Result:
        """`say` in an async test, whatever the application is."""
        __tracebackhide__ = True
        return self._heard(message, await self._arun(*self._call(message), **self._more(message, kwargs)))

    def play(self, turns: Iterable[Any] | None) -> list[Turn]:
        """Say a dataset's turns (``llm_case.turns``) one after the other.

        A turn is a text, or ``{"input": …, "expected": …}``; of chat messages the user's are said, and an assistant's
        is what the turn before expects.

        Raises:
            SettingsError: there are no turns, or one that cannot be said.
        """
        __tracebackhide__ = True
        return [self._noted(turn, self.say(turn["input"])) for turn in read_turns(turns)]

    async def aplay(self, turns: Iterable[Any] | None) -> list[Turn]:
        """`play` in an async test."""
        __tracebackhide__ = True
        return [self._noted(turn, await self.asay(turn["input"])) for turn in read_turns(turns)]

    @property
    def results(self) -> list[Result]:
        """One a turn."""
        return [turn.result for turn in self.turns]

    @property
    def tool_calls(self) -> ToolCalls:
        """The tools the model asked for, over all turns."""
        return ToolCalls(tool for result in self.results for tool in result.tool_calls)

    @property
    def cost_usd(self) -> float | None:
        """Over all turns, in USD; None if any is unknown."""
        costs = [result.cost_usd for result in self.results]
        return None if None in costs else sum(cast("list[float]", costs))

    @property
    def transcript(self) -> str:
        """The conversation as text, a line a message."""
        return "\n".join(f"{message['role']}: {message['content']}" for message in self.history)

    def judge(self, criterion: Any) -> Score:
        """Have the last answer judged in the light of all that was said before it.

        Raises:
            SettingsError: nothing was said yet.
        """
        __tracebackhide__ = True
        return self._last().judge(criterion, input=self.history[:-1])

    async def ajudge(self, criterion: Any) -> Score:
        """`judge`, without blocking the running loop."""
        __tracebackhide__ = True
        return await self._last().ajudge(criterion, input=self.history[:-1])

    def _last(self) -> Result:
        if not self.turns:
            raise SettingsError("the conversation has not begun: chat.say(…) first.")
        return self.turns[-1].result

    def _call(self, message: Any) -> tuple[Any, ...]:
        if MESSAGES in self._takes:
            return (self._func,)
        return self._func, message

    def _more(self, message: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        more = {**self._kwargs, **kwargs}
        if MESSAGES in self._takes:
            more[MESSAGES] = [*map(dict, self.history), {"role": "user", "content": message}]
        elif HISTORY in self._takes:
            more[HISTORY] = [*map(dict, self.history)]
        if self._name:
            more["name"] = f"{self._name}-{len(self.turns) + 1}"
        return more

    def _heard(self, message: Any, result: Result) -> Result:
        answer = result.text if result.text is not None else result.output
        self.history += [{"role": "user", "content": message}, {"role": "assistant", "content": answer}]
        self.turns.append(Turn(message, result))
        return result

    def _noted(self, fields: Mapping[str, Any], result: Result) -> Turn:
        turn = Turn(fields["input"], result, fields.get("expected"), fields)
        self.turns[-1] = turn
        return turn


def read_turns(turns: Iterable[Any] | None) -> list[dict[str, Any]]:
    """A dataset's turns as ``{"input": …, "expected": …, …}``.

    Raises:
        SettingsError: there are none, or one that cannot be said.
    """
    if turns is None or isinstance(turns, str | Mapping):
        raise SettingsError(f"chat.play({turns!r}): expected a list of turns; does the dataset's case have `turns`?")
    found: list[dict[str, Any]] = []
    for number, turn in enumerate(turns, 1):
        if isinstance(turn, str):
            found.append({"input": turn})
            continue
        if not isinstance(turn, Mapping):
            raise SettingsError(f"turn {number}: expected a text or an object, got {turn!r}.")
        if turn.get("role") == "assistant":
            if not found:
                raise SettingsError(f"turn {number}: the assistant cannot speak first.")
            found[-1].setdefault("expected", turn.get("content"))
        elif turn.get("role", "user") == "user":
            found.append(_said(turn, number))
    return found


def _said(turn: Mapping[str, Any], number: int) -> dict[str, Any]:
    said = next((turn[key] for key in ("input", "user", "content", "message") if key in turn), None)
    if said is None:
        close = next((did_you_mean(key, _KEYS) for key in turn), "")
        raise SettingsError(f"turn {number}: no 'input' in {dict(turn)!r}.{close}")
    expected = turn.get("expected", turn.get("assistant"))
    return {**turn, "input": said, **({"expected": expected} if expected is not None else {})}


def _is_async(func: Any) -> bool:
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return any(kind(one) for kind in kinds for one in (func, type(func).__call__))


def _parameters(func: Any) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(func).parameters)
    except (TypeError, ValueError):  # a built-in without a signature
        return frozenset()
