"""One HTTP exchange as it went over the wire: what cassettes keep and providers read."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Role = Literal["app", "judge"]


@dataclass(slots=True)
class TransportFailure:
    """A request that never got a whole response: the client library's exception by name and message."""

    type: str
    message: str


@dataclass(slots=True)
class Exchange:
    """A request and what came back.

    Header names are lower case. ``request_body`` and ``response_body`` are decoded of any content encoding.
    Times are milliseconds since the request was sent.
    """

    method: str
    url: str
    request_body: bytes = b""
    request_content_type: str = ""
    status: int | None = None
    response_headers: dict[str, str] = field(default_factory=dict)
    response_body: bytes = b""
    failure: TransportFailure | None = None
    elapsed_ms: float | None = None
    """Until the last byte."""
    first_byte_ms: float | None = None
    """Until the response's head."""
    chunks: list[tuple[int, float]] = field(default_factory=list)
    """(bytes, ms) of each chunk as it arrived; empty where the body came in one piece or was not timed."""
    truncated: bool = False
    """The caller stopped reading, or the connection broke, before the body's end."""
    at_ms: float | None = None
    """When it was begun, since the recording of its test began; None where that was not kept."""
    recorded_at: datetime | None = None
    replayed: bool = False
    role: Role = "app"

    @property
    def content_type(self) -> str:
        """The response's content type without parameters, lower case."""
        return self.response_headers.get("content-type", "").partition(";")[0].strip().lower()

    def time_at(self, offset: int) -> float | None:
        """When the byte at `offset` of the response body had arrived, in ms; None where not timed."""
        if not self.chunks:
            return self.first_byte_ms
        ends, total = [], 0
        for size, _ in self.chunks:
            total += size
            ends.append(total)
        index = min(bisect_left(ends, offset + 1), len(ends) - 1)
        return self.chunks[index][1]
