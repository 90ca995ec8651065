"""Bodies of requests and responses: bytes ⇄ what a reviewer can read in a cassette."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib
import json
import re
import zlib
from typing import Any, cast

from pytest_llmops.errors import CassetteError

Body = dict[str, Any]
"""One of ``{"json": …}``, ``{"sse": [event, …]}``, ``{"lines": […]}``, ``{"base64": …}``, ``{"multipart": […]}``."""


DEEPEST = 200
"""Levels of JSON kept as an object: what walks it afterwards calls itself."""

_SUSPECT = re.compile(r"\\u[dD][89a-fA-F]|\d[eE]\+?\d{3}")
"""What may be half a character, or a number beyond every float: neither can be written again."""


def loads_strict(data: bytes | str) -> Any:
    """Parse JSON that survives being written again; ValueError for the rest (NaN, a key twice, too deep)."""
    try:
        document = json.loads(data, parse_constant=no_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    brackets = (b"[", b"{") if isinstance(data, bytes) else ("[", "{")
    if sum(map(data.count, brackets)) > DEEPEST and _deeper(document, DEEPEST):  # type: ignore[arg-type]
        raise ValueError("nested too deeply")
    return document


def _deeper(document: Any, limit: int) -> bool:
    level = [document]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def no_constant(name: str) -> Any:
    """For `json`: NaN and Infinity are none.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def compact(document: Any) -> bytes:
    """JSON without white space, as most SDKs and providers send it."""
    return _COMPACT.encode(document).encode()


_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def encode(data: bytes, content_type: str, *, exact: bool = False) -> Body | None:
    """Bytes as a readable document; None for an empty body.

    Args:
        data: the body without content encoding.
        content_type: its media type, parameters allowed.
        exact: keep the bytes as they are even where that is less readable (chunk marks point into them).
    """
    if not data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
    if content_type.startswith("text/event-stream"):
        return {"sse": text.split("\n\n")}
    if text[:1] in "{[" or content_type.startswith("application/json"):
        try:
            document = loads_strict(text)
            # A second serialisation costs as much as the parsing: only where its bytes matter, or may not exist.
            written = compact(document) if exact or _SUSPECT.search(text) else data
        except (ValueError, RecursionError):  # also UnicodeEncodeError, for a lone surrogate
            pass
        else:
            if written == data or not exact:
                return {"json": document}
    return {"lines": text.split("\n")}


def decode(body: Body | None, where: str = "cassette") -> bytes:
    """The bytes of a body written by `encode`.

    Raises:
        CassetteError: the document is none that `encode` writes.
    """
    if body is None:
        return b""
    try:
        if "json" in body:
            return compact(body["json"])
        if "sse" in body:
            return "\n\n".join(body["sse"]).encode()
        if "lines" in body:
            return "\n".join(body["lines"]).encode()
        if "base64" in body:
            return base64.b64decode(body["base64"])
    except (TypeError, ValueError, RecursionError) as error:
        raise CassetteError(f"{where}: a body cannot be read ({error}); record this test again") from None
    raise CassetteError(f"{where}: a body of unknown kind {sorted(body)}; record this test again")


def multipart(data: bytes, content_type: str) -> Body:
    """The parts of a form upload by name, size and hash; boundaries are random and payloads large."""
    from email.parser import BytesParser
    from email.policy import HTTP

    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + data)
    parts = []
    for part in message.iter_parts():
        payload = cast("bytes", part.get_payload(decode=True) or b"")
        entry: dict[str, Any] = {
            "name": part.get_param("name", header="content-disposition"),
            "filename": part.get_filename(),
            "content_type": part.get_content_type(),
            "size": len(payload),
        }
        if part.get_filename() is None and len(payload) <= 2000:
            entry["value"] = payload.decode(errors="replace")
        else:
            entry["sha256"] = hashlib.sha256(payload).hexdigest()
        parts.append({k: v for k, v in entry.items() if v is not None})
    return {"multipart": parts}


def without_content_encoding(data: bytes, encoding: str) -> bytes | None:
    """The body behind gzip, deflate, br or zstd; None where it cannot be decoded here (kept as it came then)."""
    for name in reversed([part.strip().lower() for part in encoding.split(",") if part.strip()]):
        decoded = _decoded(data, name)
        if decoded is None:
            return None
        data = decoded
    return data


def _decoded(data: bytes, name: str) -> bytes | None:
    try:
        match name:
            case "identity":
                return data
            case "gzip" | "x-gzip":
                return gzip.decompress(data)
            case "deflate":
                try:
                    return zlib.decompress(data)
                except zlib.error:
                    return zlib.decompress(data, -zlib.MAX_WBITS)
            case "br":
                return _brotli(data)
            case "zstd":
                return _zstd(data)
    except (OSError, EOFError, zlib.error, ValueError):
        return None
    return None


def _brotli(data: bytes) -> bytes | None:
    # The client that asked for br has one of the two installed; we need neither otherwise.
    for name in ("brotli", "brotlicffi"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        try:
            return cast("bytes", module.decompress(data))
        except module.error:
            return None
    return None


def _zstd(data: bytes) -> bytes | None:
    # The standard library's from 3.14 on, its backport, which urllib3 and httpx2 use, or what httpx uses.
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        worker = module.ZstdDecompressor()
        worker = worker.decompressobj() if name == "zstandard" else worker
        try:
            return cast("bytes", worker.decompress(data))
        except module.ZstdError:
            return None
    return None
