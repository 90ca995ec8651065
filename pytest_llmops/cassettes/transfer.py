"""One request on its way: either a recording played back, or a live exchange being watched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_llmops import clock
from pytest_llmops.cassettes import bodies
from pytest_llmops.cassettes.keys import Request, clean_location, clean_text
from pytest_llmops.cassettes.redaction import KEPT_HEADERS
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.errors import CassetteError
from pytest_llmops.exchange import Exchange, TransportFailure
from pytest_llmops.registry import current_steps

if TYPE_CHECKING:
    from pytest_llmops.cassettes.tape import Tape

_LAST_EVENTS = (b"data: [DONE]", b"message_stop", b"response.completed", b'"done":true', b"message-end")
_RETRIED = frozenset({408, 409, 425, 429})
_PATIENCE_S = 10.0
"""A slower machine than the recording's may take that much longer to give up."""
CANCELLED = "CancelledError"
"""The type of failure of a call that its caller gave up."""


@dataclass(slots=True)
class Playback:
    """What a client hands to its caller on replay.

    Args:
        chunks: (bytes, seconds to wait before) in order; waits are 0 unless a replay speed is set.
        delay_s: wait before the response's head.
        beyond: what to raise where the caller reads on after the chunks, though the recording's caller had stopped.
        patience_s: how long a caller that gave up when this was recorded may take to give up again.
    """

    status: int
    headers: dict[str, str]
    chunks: list[tuple[bytes, float]]
    failure: TransportFailure | None = None
    delay_s: float = 0.0
    beyond: Callable[[], BaseException] | None = None
    patience_s: float = 0.0

    @property
    def given_up(self) -> bool:
        """Whether the recording's caller cancelled the request: an async client waits for its caller to do it again."""
        return self.failure is not None and self.failure.type == CANCELLED

    async def outlast(self) -> NoReturn:
        """Wait for the caller to give up, as it did when this was recorded.

        Raises:
            CassetteMiss: it does not; a test that waits for good would tell nobody why.
        """
        assert self.beyond is not None
        await asyncio.sleep(self.patience_s)
        raise self.beyond()


class Transfer:
    """A request that a tape took on: `hit` is its recording, or None where it goes to the provider.

    A client calls `head`, `chunk` and `end`, or `fail`, as they happen; each is safe to call after the end.
    """

    def __init__(
        self, tape: Tape, request: Request, number: int, capture: object | None, hit: Interaction | None
    ) -> None:
        self.tape = tape
        self.request = request
        self.number = number
        self.capture = capture
        # A thread of the application's has no context of ours: its requests belong to the only step there is.
        self.steps = current_steps.get() or (tuple(tape.steps) if len(tape.steps) == 1 else ())
        self.hit = hit
        self.interaction: Interaction | None = hit
        self.kept = hit is not None
        self.hold_s = 0.0
        self.started = clock.counter()
        self.ended: float | None = None if hit is None else self.started
        self._recorded_at = clock.now() if hit is None else None
        self._status: int | None = None
        self._headers: dict[str, str] = {}
        self._first_byte: float | None = None
        self._last_byte: float | None = None
        self._parts: list[bytes] = []
        self._marks: list[tuple[int, float]] = []
        self._played: bytes | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status of a live answer; None where none has come."""
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers of a live answer, names in lower case."""
        return self._headers

    @property
    def answered(self) -> bool:
        """Whether an answer has begun to come, or the request has failed."""
        return self.interaction is not None or self._status is not None

    @property
    def live(self) -> bool:
        """Whether this request went to the provider."""
        return self.hit is None

    def hold(self) -> None:
        """Wait until this request may go out; its time begins then.

        Raises:
            CassetteMiss: it may not go out any more.
        """
        while self.hold_s > 0:
            with self.tape.holding.back():
                time.sleep(self.hold_s)
            self._released()

    async def ahold(self) -> None:
        """`hold`, without blocking the running loop."""
        while self.hold_s > 0:
            with self.tape.holding.back():
                await asyncio.sleep(self.hold_s)
            self._released()

    def _released(self) -> None:
        self.hold_s = self.tape.readmit(self)
        self.started = clock.counter()

    def head(self, status: int, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        """The response's status and headers have come."""
        items = headers.items() if isinstance(headers, Mapping) else headers
        self._status = status
        self._headers = {str(name).lower(): str(value) for name, value in items}
        self._first_byte = self._now()

    def decoded(self) -> None:
        """The client undoes the content encoding itself: chunks come without it."""
        for name in ("content-encoding", "content-length"):
            self._headers.pop(name, None)

    def chunk(self, data: bytes) -> None:
        """A piece of the body has come."""
        if data and self.ended is None:
            self._last_byte = self._now()
            self._parts.append(bytes(data))
            self._marks.append((len(data), self._last_byte))

    def end(self, *, complete: bool = True) -> None:
        """The body has ended, or the caller stopped reading it (then it counts as whole if its last event came)."""
        if self._status is None:
            self.fail(asyncio.CancelledError("the test ended before the answer came"))
        if self.ended is None:
            body = b"".join(self._parts)
            complete = complete or any(mark in body[-600:] for mark in _LAST_EVENTS) or self._length() == len(body)
            self._finish(self._response(body), truncated=not complete)

    def fail(self, error: BaseException, *, reason: BaseException | None = None) -> None:
        """The connection failed; what had come of a body is kept with it.

        A cancelled request is kept as such; one ended by Ctrl-C or a test's timeout is not an answer and is dropped. So
        is one whose client was in no state to hear the answer: made for an event loop that has ended since, it sends
        over that loop's connection, fails, and tries again over another. A replay has no connections.

        Args:
            error: what the client raises.
            reason: what it wraps, where the client's users look at that: kept as ``MaxRetryError/ReadTimeoutError``.
        """
        if not isinstance(error, (Exception, asyncio.CancelledError)):
            self.ended = clock.counter()
        if self.ended is None and isinstance(error, RuntimeError) and self._status is None:
            self.ended = clock.counter()
            self.tape.completed(self)
        if self.ended is None:
            kind = type(error).__name__ + (f"/{type(reason).__name__}" if reason is not None else "")
            failure = {"type": kind, "message": clean_text(str(error if reason is None else reason))}
            body = b"".join(self._parts)
            response = self._response(body) if self._status is not None else {}
            self._finish({**response, "error": failure}, truncated=self._status is not None)

    def _now(self) -> float:
        return (clock.counter() - self.started) * 1000

    def _length(self) -> int | None:
        text = self._headers.get("content-length", "")
        return int(text) if text.isdecimal() else None

    def _response(self, body: bytes) -> dict[str, Any]:
        headers = {name: value for name, value in sorted(self._headers.items()) if name in KEPT_HEADERS}
        if "location" in headers:
            headers["location"] = clean_location(headers["location"])
        encoding = self._headers.get("content-encoding", "")
        if encoding and body:
            decoded = bodies.without_content_encoding(body, encoding)
            if decoded is None:
                headers["content-encoding"] = encoding  # unknown here: the client gets the bytes it asked for again
            else:
                body, self._marks = decoded, []
        response: dict[str, Any] = {"status": self._status, "headers": headers}
        stored = bodies.encode(body, headers.get("content-type", ""), exact=len(self._marks) > 1)
        if stored is not None:
            response["body"] = stored
        return response

    def _finish(self, response: dict[str, Any], *, truncated: bool) -> None:
        elapsed = self._elapsed()
        self.ended = self.started + elapsed / 1000
        self.interaction = self._entry(response, elapsed, truncated=truncated)
        self._parts = []
        self.tape.completed(self)

    def _elapsed(self) -> float:
        # The last byte's time, not that of the close: an owner may forget to close its stream.
        return self._now() if self._last_byte is None else self._last_byte

    def so_far(self) -> Interaction | None:
        """What has come of an answer that nobody has read to its end, or closed, as yet; None where nothing has."""
        if self._status is None or self.ended is not None or "content-encoding" in self._headers:
            return None
        return self._entry(self._response(b"".join(self._parts)), self._elapsed(), truncated=True)

    def _entry(self, response: dict[str, Any], elapsed: float, *, truncated: bool) -> Interaction:
        at = (self.started - self.tape.started) * 1000
        timing: dict[str, Any] = {"at_ms": round(at, 1), "elapsed_ms": round(elapsed, 1)}
        if self._first_byte is not None:
            timing["first_byte_ms"] = round(self._first_byte, 1)
        if len(self._marks) > 1:
            timing["chunks"] = " ".join(f"{size}@{round(at, 1):g}" for size, at in self._marks)
        if truncated:
            timing["truncated"] = True
        request = self.request
        stored = {"method": request.method, "url": request.url, "content_type": request.content_type}
        if request.model:
            stored["model"] = request.model
        if request.sdk:
            stored["sdk"] = request.sdk
        return {
            "key": request.key,
            "role": request.role,
            "recorded_at": self._recorded_at.isoformat(timespec="seconds") if self._recorded_at else None,
            "request": {**stored, "body": request.body} if request.body is not None else stored,
            "response": response,
            "timing": timing,
        }

    def exchange(self) -> Exchange | None:
        """The exchange as providers read it, the same live and replayed; None while it is under way."""
        if self.interaction is None:
            return None
        return to_exchange(self.interaction, replayed=not self.live, body=self._played)

    def playback(self) -> Playback:
        """What to hand to the caller; the recording must be there."""
        if self.hit is None:
            raise AssertionError("only a recorded exchange plays back")
        response, timing = self.hit["response"], self.hit.get("timing") or {}
        speed = self.tape.options.replay_speed
        status = response.get("status") or 0
        headers = dict(response.get("headers") or {})
        if status in _RETRIED or status >= 500:
            headers["retry-after-ms"] = "1"  # SDKs wait for the provider's sake; a recording needs no rest
            if "retry-after" in headers:
                headers["retry-after"] = "0"
        failure = response.get("error")
        given_up = bool(failure) and failure["type"] == CANCELLED
        try:
            body = bodies.decode(response.get("body"), self.tape.name)
        except CassetteError as error:  # as a miss, which the application cannot take for the provider's error
            raise self.tape.missed(str(error)) from None
        self._played = body
        return Playback(
            status,
            headers,
            _paced(body, timing, speed),
            TransportFailure(failure["type"], failure["message"]) if failure else None,
            (timing.get("first_byte_ms") or 0.0) / 1000 / speed if speed else 0.0,
            self._outlasted if given_up else self._beyond if timing.get("truncated") and not failure else None,
            (timing.get("elapsed_ms") or 0.0) / 1000 + _PATIENCE_S,
        )

    def _outlasted(self) -> BaseException:
        elapsed = (self.hit or {}).get("timing", {}).get("elapsed_ms") or 0.0
        return self.tape.missed(
            f"{self.tape.name!r}: call {self.number} was cancelled after {elapsed / 1000:.3g} s when it was recorded, "
            f"so there is no answer; this time nobody cancels it\n  re-record: {self.tape.record_all}"
        )

    def _beyond(self) -> BaseException:
        return self.tape.missed(
            f"{self.tape.name!r}: the recording of call {self.number} is cut: its reader stopped there, and this one"
            f" reads on\n  re-record: {self.tape.record_all}"
        )


def _marks(timing: Mapping[str, Any]) -> list[tuple[int, float]]:
    marks = []
    for word in str(timing.get("chunks") or "").split():
        size, _, at = word.partition("@")
        marks.append((int(size), float(at)))
    return marks


def _paced(body: bytes, timing: Mapping[str, Any], speed: float) -> list[tuple[bytes, float]]:
    chunks: list[tuple[bytes, float]] = []
    position, last = 0, timing.get("first_byte_ms") or 0.0
    for size, at in _marks(timing):
        wait = max(0.0, at - last) / 1000 / speed if speed else 0.0
        chunks.append((body[position : position + size], wait))
        position, last = position + size, at
    if position < len(body):
        chunks.append((body[position:], 0.0))
    return chunks


def to_exchange(entry: Interaction, *, replayed: bool = True, body: bytes | None = None) -> Exchange:
    """A stored interaction as an exchange.

    Args:
        entry: as stored.
        replayed: whether nobody was asked.
        body: of the response, where it is decoded already.
    """
    request, response, timing = entry["request"], entry["response"], entry.get("timing") or {}
    failure = response.get("error")
    recorded_at = entry.get("recorded_at")
    asked = request.get("body")
    return Exchange(
        method=request.get("method", "POST"),
        url=request.get("url", ""),
        request_body=bodies.decode(asked) if asked and "multipart" not in asked else b"",
        request_content_type=request.get("content_type", ""),
        status=response.get("status"),
        response_headers=dict(response.get("headers") or {}),
        response_body=bodies.decode(response.get("body")) if body is None else body,
        failure=TransportFailure(failure["type"], failure["message"]) if failure else None,
        at_ms=timing.get("at_ms"),
        elapsed_ms=timing.get("elapsed_ms"),
        first_byte_ms=timing.get("first_byte_ms"),
        chunks=_marks(timing),
        truncated=bool(timing.get("truncated")),
        recorded_at=datetime.fromisoformat(recorded_at) if recorded_at else None,
        replayed=replayed,
        role=entry.get("role") or "app",
    )


def oldest(transfers: Sequence[Transfer]) -> datetime | None:
    """When the oldest of the recordings replayed was made; None where nothing was, or none says."""
    dates = [one.hit.get("recorded_at") for one in transfers if one.hit is not None]
    return min((datetime.fromisoformat(date) for date in dates if date), default=None)


def throttled(transfers: Sequence[Transfer]) -> bool:
    """Whether a provider's last word on some request was 429, too many requests."""
    last = {one.request.key: one.status for one in transfers if one.live and one.ended is not None}
    return 429 in last.values()
