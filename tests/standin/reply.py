"""What a script answers with."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ToolCall:
    """A tool the stand-in model asks for; `arguments` may be a str that is no JSON."""

    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)
    id: str | None = None

    @property
    def arguments_text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)

    @property
    def call_id(self) -> str:
        return self.id or f"call_{digest(self.name, self.arguments_text)}"


@dataclass(frozen=True)
class Reply:
    """One answer. What is left out follows from the request's dialect.

    Args:
        text: the model's text; with a `status` of 400 or more the error's message.
        pieces: the text as it is to be streamed, a delta each (default: a word each).
        usage: sent in place of the dialect's usage object, as it stands.
        finish_reason: the dialect's own word.
        body: the whole response body as it stands; `chunks` likewise, in pieces.
        chunk_size: re-cut what is sent into chunks of so many bytes, wherever that falls.
        chunk_delay_s: wait between chunks; `stall_s`: once, after the first; `latency_s`: before the head.
        reset_after_bytes: TCP reset after so many bytes of body; `close_after_bytes`: an orderly close instead.
        hang_up: close the connection in place of any answer.
    """

    text: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    chunks: list[bytes] | None = None
    pieces: list[str] | None = None
    usage: dict[str, Any] | None = None
    finish_reason: str | None = None
    model: str | None = None
    chunk_size: int | None = None
    chunk_delay_s: float = 0.0
    stall_s: float = 0.0
    latency_s: float | None = None
    reset_after_bytes: int | None = None
    close_after_bytes: int | None = None
    hang_up: bool = False

    @property
    def deltas(self) -> list[str]:
        if self.pieces is not None:
            return self.pieces
        return re.findall(r"\s*\S+\s*?(?=\s|\Z)", self.text or "") or ([self.text] if self.text else [])

    @property
    def whole_text(self) -> str | None:
        return "".join(self.pieces) if self.pieces is not None else self.text


def digest(*parts: object) -> str:
    """16 hex digits: ids are made of it, so that equal requests get equal answers."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
