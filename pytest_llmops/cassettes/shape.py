"""What a stored exchange must look like, so that everything behind may take it for granted."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

_MARKS = re.compile(r"(?:\d{1,12}@\d{1,12}(?:\.\d{1,6})?(?:e[+-]?\d{1,2})?(?: |$))*")
_TEXTS = ("method", "url", "content_type", "model", "sdk")
_TIMES = ("at_ms", "elapsed_ms", "first_byte_ms")
_ENDLESS = 1e15  # ms
_LISTS = frozenset({"sse", "lines"})


def fault(entry: Any) -> str | None:
    """What is wrong with an interaction, in a few words; None where nothing is."""
    if not (
        isinstance(entry, dict)
        and isinstance(entry.get("key"), str)
        and isinstance(entry.get("request"), dict)
        and isinstance(entry.get("response"), dict)
    ):
        return "lacks key, request or response"
    request, response = entry["request"], entry["response"]
    for name in _TEXTS:
        if not isinstance(request.get(name, ""), str):
            return f"request.{name} is no text"
    try:
        urlsplit(request.get("url", ""))
    except ValueError:
        return "request.url is no URL"
    if entry.get("role", "app") not in ("app", "judge"):
        return "role is neither app nor judge"
    return (
        _body_fault(request.get("body"), "request.body", multipart=True)
        or _response_fault(response)
        or _timing_fault(entry.get("timing"))
        or _date_fault(entry.get("recorded_at"))
    )


def _response_fault(response: dict[str, Any]) -> str | None:
    error = response.get("error")
    if error is not None and not (
        isinstance(error, dict) and isinstance(error.get("type"), str) and isinstance(error.get("message"), str)
    ):
        return "response.error lacks type or message"
    status = response.get("status")
    if not (status is None and error is not None) and not (type(status) is int and 100 <= status < 1000):
        return "response.status is no HTTP status"
    headers = response.get("headers", {})
    if not (isinstance(headers, dict) and all(isinstance(value, str) for value in headers.values())):
        return "response.headers is no object of texts"
    return _body_fault(response.get("body"), "response.body", multipart=False)


def _body_fault(body: Any, where: str, *, multipart: bool) -> str | None:
    if body is None:
        return None
    kind = next(iter(body)) if isinstance(body, dict) and len(body) == 1 else None
    if kind in _LISTS:
        try:
            "".join(body[kind])
        except TypeError:
            return f"{where}.{kind} is no list of texts"
        return None
    if kind == "base64":
        return _base64_fault(body[kind], where)
    if kind == "json" or (kind == "multipart" and multipart):
        return None
    return f"{where} is of no known kind"


def _base64_fault(text: Any, where: str) -> str | None:
    try:
        base64.b64decode(text)
    except (TypeError, ValueError):
        return f"{where}.base64 is no base64"
    return None if isinstance(text, str) else f"{where}.base64 is no text"


def _timing_fault(timing: Any) -> str | None:
    if timing is None:
        return None
    if not isinstance(timing, dict):
        return "timing is no object"
    for name in _TIMES:
        value = timing.get(name)
        if value is not None and not (type(value) in (int, float) and abs(value) < _ENDLESS):
            return f"timing.{name} is no number"
    chunks = timing.get("chunks", "")
    if not (isinstance(chunks, str) and _MARKS.fullmatch(chunks)):
        return "timing.chunks is no list of bytes@ms"
    return None


def _date_fault(date: Any) -> str | None:
    if date is None:
        return None
    try:
        at = datetime.fromisoformat(date)
    except (TypeError, ValueError):
        return "recorded_at is no date"
    return None if at.tzinfo is not None else "recorded_at names no offset from UTC"
