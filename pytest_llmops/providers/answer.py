"""What a dialect's reader gathers from an answer, whole or in events; one shape for all dialects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.pricing import Usage
from pytest_llmops.providers.loose import Fields, fields, mended, parse, storable, string
from pytest_llmops.records import ToolCall


@dataclass(slots=True)
class ToolDraft:
    """A tool call in the making: its arguments as decoded JSON, or as the pieces of its text."""

    name: str = ""
    id: str | None = None
    arguments: Any = None
    pieces: list[str] = field(default_factory=list)

    def finished(self) -> ToolCall:
        """The tool call; arguments that are no JSON (a cut stream) stay a str, none at all are ``{}``."""
        arguments = self.arguments
        if self.pieces or arguments is None:
            text = "".join(self.pieces)
            try:
                arguments = parse(text) if text.strip() else {}
            except ValueError:
                arguments = text
        return ToolCall(name=mended(self.name), arguments=storable(arguments), id=self.id and mended(self.id))


@dataclass(slots=True)
class Answer:
    """What was read of an answer so far.

    Args:
        usage: as the provider reports it.
        billed: as the provider bills it, where that differs.
        billed_usd: the bill itself, where the provider states it.
        content: something of the answer itself (text, reasoning, a tool call) was seen.
        plain: False where the answer is something else than text (audio, an image, a vector).
        ended: the provider said that the answer is complete.
    """

    model: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    refused: bool = False
    usage: Usage = field(default_factory=Usage)
    billed: Usage | None = None
    billed_usd: float | None = None
    content: bool = False
    plain: bool = True
    ended: bool = False
    pieces: list[str] = field(default_factory=list)
    tools: dict[Any, ToolDraft] = field(default_factory=dict)

    def add_text(self, piece: object) -> None:
        """Append a piece of the first choice's text."""
        if isinstance(piece, str) and piece:
            self.pieces.append(piece)
            self.content = True

    def add_reasoning(self, piece: object) -> None:
        """Note that the model was heard thinking; it is no part of the text."""
        if piece:
            self.content = True

    def tool(self, key: object, *, name: object = None, id: object = None, arguments: object = None) -> ToolDraft:
        """The draft under `key`, with what is now known of it: a str of `arguments` is appended, else they are set."""
        draft = self.tools.get(key)
        if draft is None:
            draft = self.tools[key] = ToolDraft()
        self.content = True
        if not draft.name:
            draft.name = string(name) or ""
        if draft.id is None:
            draft.id = string(id)
        if isinstance(arguments, str):
            draft.pieces.append(arguments)
        elif arguments is not None:
            draft.arguments = arguments
        return draft

    def fail(self, error: object, *, fallback: str = "error") -> None:
        """Keep the first error the provider told."""
        if self.error is None:
            self.error = described(error) or fallback

    @property
    def text(self) -> str | None:
        """The first choice's text; None where the answer is none."""
        if not self.pieces and not self.plain:
            return None
        return mended("".join(self.pieces))


_KINDS = ("type", "status", "code", "__type")
_MESSAGES = ("message", "Message", "msg", "detail", "error")


def described(error: object, *, depth: int = 0) -> str:
    """An error object, list or text of any dialect as ``type: message``; empty where it says nothing."""
    if isinstance(error, str):
        return mended(error.strip())
    if depth > 4:  # gateways wrap the provider's error in theirs, but not for ever
        return ""
    if isinstance(error, list):
        return "; ".join(filter(None, (described(item, depth=depth + 1) for item in error[:5])))
    inner = fields(error)
    kind = mended(next((inner[name] for name in _KINDS if string(inner.get(name))), ""))
    text = described(next((inner[name] for name in _MESSAGES if inner.get(name)), ""), depth=depth + 1)
    return f"{kind}: {text}" if kind and text else kind or text


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one API is read.

    Args:
        answer: reads a whole JSON answer.
        event: reads one event of a stream: its name and its object.
        request: the request's ``messages``, ``system``, ``tools``, ``parameters``.
        generates: whether it answers with a model's text; else tokens and model are read, and text is None.
    """

    answer: Callable[[Fields, Answer], None]
    event: Callable[[str, Fields, Answer], None]
    request: Callable[[Fields], Fields]
    generates: bool = True


def request_of(
    body: Fields, *, messages: Any = (), system: Any = None, tools: Any = None, leave_out: tuple[str, ...] = ()
) -> Fields:
    """A Call's ``request``: `messages`, `system`, `tools` as sent, and every other field under ``parameters``."""
    taken = {"messages", "system", "tools", *leave_out}
    return {
        "messages": list(messages) if isinstance(messages, list | tuple) else [messages],
        "system": system,
        "tools": tools,
        "parameters": {name: value for name, value in body.items() if name not in taken},
    }


def as_messages(prompt: object) -> list[Any]:
    """A prompt that is a text, or a list of them, as user messages."""
    texts = prompt if isinstance(prompt, list) else [prompt]
    return [{"role": "user", "content": text} if isinstance(text, str) else text for text in texts if text is not None]
