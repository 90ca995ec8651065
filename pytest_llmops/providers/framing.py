"""How answers are cut into events on the wire: server-sent events, NDJSON, JSON arrays, Amazon's event stream."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pytest_llmops.providers.loose import parse

Framing = Literal["json", "sse", "ndjson", "array", "eventstream"]


class Event(NamedTuple):
    """One event of a stream.

    Args:
        last: offset of its last byte in the body.
        name: SSE's ``event:``, Amazon's ``:event-type`` or ``:exception-type``; else empty.
        data: decoded JSON, or the str where it is none.
    """

    last: int
    name: str
    data: Any


_SSE_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_BOM = b"\xef\xbb\xbf"


def framing_of(content_type: str, body: bytes, *, array_stream: bool = False) -> Framing:
    """How `body` is framed: by its first bytes, and by its content type where these leave it open.

    Args:
        content_type: lower case, without parameters; often missing or wrong on recordings and gateways.
        body: the response's.
        array_stream: whether the API streams as one JSON array (Gemini without ``alt=sse``).
    """
    if content_type == "application/vnd.amazon.eventstream":
        return "json" if body[:1] == b"{" else "eventstream"
    head = body[:64].removeprefix(_BOM).lstrip()
    if head[:1] == b"[":
        return "array" if array_stream else "json"
    if head[:1] == b"{":
        return "ndjson" if content_type.endswith(("ndjson", "jsonl", "stream+json", "json-seq")) else "json"
    if content_type == "text/event-stream" or head.startswith(_SSE_STARTS):
        return "sse"
    return "json"


def events(framing: Framing, body: bytes) -> Iterator[Event]:
    """The events of a stream; what is cut off or no JSON is left out, never an error."""
    if framing == "sse":
        return _sse(body)
    if framing == "ndjson":
        return _ndjson(body)
    if framing == "array":
        return _array(body)
    return _eventstream(body)


def _sse(body: bytes) -> Iterator[Event]:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation."""
    end, last, name = 0, 0, ""
    data: list[bytes] = []
    if body.startswith(_BOM):
        body, end = body[3:], 3
    for raw in body.splitlines(keepends=True):  # of bytes: at \r\n, \n and \r only
        end += len(raw)
        line = raw.rstrip(b"\r\n")
        if not line:
            if data:
                yield from _sse_event(last, name, data)
            name, data = "", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
            last = end - 1
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    if data:  # the spec drops an event without its blank line; servers that end so mean it
        yield from _sse_event(last, name, data)


def _sse_event(last: int, name: str, lines: list[bytes]) -> Iterator[Event]:
    raw = lines[0] if len(lines) == 1 else b"\n".join(lines)
    text = raw.decode("utf-8", "replace")
    try:
        yield Event(last, name, parse(text))
    except ValueError:
        if len(lines) > 1:  # servers that forget the blank line between events
            for line in lines:
                yield from _sse_event(last, name, [line])
        else:
            yield Event(last, name, text.strip())


def _ndjson(body: bytes) -> Iterator[Event]:
    end = 0
    for raw in body.splitlines(keepends=True):
        end += len(raw)
        line = raw.strip(b"\x1e\r\n\t ")  # RFC 7464 starts each text with a record separator
        if line:
            try:
                yield Event(end - 1, "", parse(line))
            except ValueError:
                continue


_DECODER = json.JSONDecoder()


def _array(body: bytes) -> Iterator[Event]:
    """Elements of one JSON array, as far as it goes."""
    text = body.decode("utf-8", "replace")
    at = text.find("[") + 1
    offset, measured = 0, 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        offset += len(text[measured:at].encode("utf-8", "surrogatepass"))
        measured = at
        yield Event(min(offset, len(body)) - 1, "", value)


def _eventstream(body: bytes) -> Iterator[Event]:
    """Amazon's binary framing: total length, headers length, CRC, headers, payload, CRC; big endian."""
    at = 0
    while at + 16 <= len(body):
        total = int.from_bytes(body[at : at + 4])
        headers_end = at + 12 + int.from_bytes(body[at + 4 : at + 8])
        end = at + total
        if total < 16 or end > len(body) or headers_end > end - 4:
            return
        headers = _headers(body[at + 12 : headers_end])
        payload = body[headers_end : end - 4]
        name = headers.get(":exception-type") or headers.get(":event-type") or headers.get(":error-code") or ""
        if headers.get(":message-type") in ("exception", "error"):
            yield Event(end - 1, name or "error", {"error": {"type": name, "message": _message(payload, headers)}})
        else:
            yield Event(end - 1, name, _chunk(payload))
        at = end


_HEADER_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; 6 and 7 carry their own length."""


def _headers(raw: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(raw):
        name_end = at + 1 + raw[at]
        name = raw[at + 1 : name_end].decode("utf-8", "replace")
        kind = raw[name_end] if name_end < len(raw) else -1
        start = name_end + 1
        if kind in (6, 7):
            size = int.from_bytes(raw[start : start + 2])
            start += 2
            found[name] = raw[start : start + size].decode("utf-8", "replace")
        elif kind in _HEADER_SIZES:
            size = _HEADER_SIZES[kind]
        else:
            break
        at = start + size
    return found


def _message(payload: bytes, headers: dict[str, str]) -> str:
    try:
        decoded = parse(payload)
    except ValueError:
        decoded = payload.decode("utf-8", "replace")
    if isinstance(decoded, dict):
        decoded = decoded.get("message") or decoded.get("Message") or ""
    return str(decoded or headers.get(":error-message", ""))


def _chunk(payload: bytes) -> Any:
    """A payload's JSON; of ``{"bytes": base64}`` (invoke-with-response-stream) the JSON within."""
    try:
        decoded = parse(payload)
        if isinstance(decoded, dict) and isinstance(decoded.get("bytes"), str):
            return parse(base64.b64decode(decoded["bytes"]))
    except (ValueError, binascii.Error):
        return payload.decode("utf-8", "replace")
    return decoded
