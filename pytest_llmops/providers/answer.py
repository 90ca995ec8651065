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


def described(error: object) -> str:
    """An error object or text of any dialect as ``type: message``."""
    if isinstance(error, str):
        return mended(error.strip())
    if isinstance(error, list):
        return "; ".join(filter(None, (described(item) for item in error[:5])))
    inner = fields(error)
    kind = next((inner[k] for k in ("type", "status", "code", "__type") if string(inner.get(k))), "")
    message = next((inner[k] for k in ("message", "Message", "msg", "detail", "error") if inner.get(k)), "")
    text = message if isinstance(message, str) else _one_level(message)
    return mended(f"{kind}: {text}" if kind and text else f"{kind}{text}")


def _one_level(message: object) -> str:
    """A message that is itself an object or a list of them: gateways wrap the provider's."""
    found = message[:5] if isinstance(message, list) else [message]
    texts = [string(item) or string(fields(item).get("message")) or string(fields(item).get("msg")) for item in found]
    return "; ".join(text for text in texts if text)


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
