"""Looking into JSON whose shape nobody guarantees: what is missing or of a wrong type is as good as absent."""

from __future__ import annotations

import json
import math
import re
from typing import Any

Fields = dict[str, Any]

_EMPTY: Fields = {}
_MAX_COUNT = 2**53
_MAX_DEPTH = 64
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_DATA_URL = re.compile(r"data:([^;,]{0,100})[^,]{0,100};base64,")
_SHORT = 512


def parse(raw: bytes | str) -> Any:
    """Decode JSON; bytes that are no UTF-8 are replaced.

    Raises:
        ValueError: it is none, or nested deeper than Python can read.
    """
    text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def fields(value: object, *path: str) -> Fields:
    """The object at `path`, empty where there is none."""
    for name in path:
        if not isinstance(value, dict):
            return _EMPTY
        value = value.get(name)
    return value if isinstance(value, dict) else _EMPTY


def items(value: object) -> list[Fields]:
    """The objects of a list, in order."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def string(value: object) -> str | None:
    """A str that is not empty."""
    return value if isinstance(value, str) and value else None


def count(value: object) -> int | None:
    """A whole number ≥ 0."""
    if type(value) is int:
        return value if 0 <= value < _MAX_COUNT else None
    if type(value) is float and math.isfinite(value) and value.is_integer():
        return count(int(value))
    return None


def mended(text: str) -> str:
    """`text` with halves of surrogate pairs joined (streams cut between them), and lone ones replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def storable(value: Any, *, kind: str = "binary", depth: int = 0) -> Any:
    """A copy fit for a record: binary data as ``<image/png 12345 bytes>``, no NaN, no bottomless nesting."""
    if isinstance(value, str):
        return _shortened(value, kind)
    if isinstance(value, dict):
        if depth >= _MAX_DEPTH:
            return "…"
        mime = _mime(value) or kind
        return {
            mended(name): storable(inner, kind="image" if name == "images" else mime, depth=depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return "…" if depth >= _MAX_DEPTH else [storable(inner, kind=kind, depth=depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if type(value) is int and abs(value) >= 2**63:
        return str(value)[:_SHORT] if abs(value) < 10**_SHORT else "…"
    return value


def _mime(value: Fields) -> str | None:
    for name in ("media_type", "mimeType", "mime_type", "format"):
        mime = value.get(name)
        if isinstance(mime, str) and len(mime) < 100:
            return mime
    return None


def _shortened(text: str, kind: str) -> str:
    if text.startswith("data:") and (head := _DATA_URL.match(text)):
        return f"<{head.group(1) or kind} {_decoded_size(text[head.end() :])} bytes>"
    if len(text) > _SHORT and _BASE64.fullmatch(text):
        return f"<{kind} {_decoded_size(text)} bytes>"
    return text if text.isascii() else mended(text)


def _decoded_size(base64: str) -> int:
    return len(base64.rstrip("=")) * 3 // 4
