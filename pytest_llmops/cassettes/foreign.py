"""Cassettes of vcrpy, pytest-recording and pydantic-ai: read as they are, by vcrpy's own (safe) loaders."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pytest_llmops.cassettes import bodies, keeping, keys, redaction
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.errors import CassetteError

SUFFIXES = (".yaml", ".yml", ".json")
KeyOf = Callable[[str, str, "bodies.Body | None"], str]
"""(method, URL, body) → key, both as stored; as the tape computes it for a live request."""


_FILTERS = frozenset(
    {
        "filter_query_parameters", "filter_post_data_parameters", "filter_nested_post_data_parameters",
        "before_record_request", "before_record",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """The cassettes that another recorder would replay for a test.

    Args:
        paths: read one after the other, as one cassette.
        settings: what was configured for vcrpy, the keywords of its ``use_cassette``.
    """

    paths: Sequence[Path]
    settings: Mapping[str, Any]


class Foreign:
    """A source that was read.

    Args:
        source: where from.
        key_of: computes the key a request is found by.
        scrub: masks what the project declares private.
        ignored: request fields that do not count.

    Raises:
        CassetteError: a file cannot be read (see `load`).
    """

    def __init__(self, source: Source, key_of: KeyOf, scrub: redaction.Scrubber, ignored: frozenset[str]) -> None:
        self.entries = [entry for path in source.paths for entry in load(path, key_of, scrub, ignored)]
        self._source, self._key_of, self._scrub, self._ignored = source, key_of, scrub, ignored

    def altered_key(self, method: str, url: str, body: bytes, content_type: str) -> str | None:
        """The key a request was stored under if the project's filters for vcrpy changed it; None where they do not.

        Raises:
            CassetteError: a function of the project's failed on the request.
        """
        filters = {name: value for name, value in self._source.settings.items() if name in _FILTERS and value}
        if not filters:
            return None
        from vcr import VCR
        from vcr.request import Request

        try:
            altered = VCR().get_merged_config(**filters)["before_record_request"](
                Request(method, url, body, {"Content-Type": content_type})
            )
            if altered is None:
                return None
            method, url, body = altered.method, altered.uri, _bytes(altered.body)
        except Exception as error:  # the project's own function, which may raise anything
            named = ", ".join(sorted(filters))
            raise CassetteError(
                f"{self._source.paths[0]}: vcrpy's {named}, as this project sets it, fails on {method} "
                f"{keys.clean_url(url)}: {type(error).__name__}: {error}"
            ) from None
        document = self._scrub(keys.body_document(body, content_type, self._ignored))
        return self._key_of(method, self._scrub.url(keys.clean_url(url)), document)


def is_foreign(document: object) -> bool:
    """Whether a JSON document is a vcrpy cassette and not one of ours."""
    return isinstance(document, dict) and "version" in document and isinstance(document.get("interactions"), list)


def load(
    path: Path,
    key_of: KeyOf,
    scrub: redaction.Scrubber | None = None,
    ignored: frozenset[str] = keys.IGNORED_FIELDS,
) -> list[Interaction]:
    """The interactions of a vcrpy cassette, as ours.

    Args:
        path: YAML or JSON.
        key_of: computes the key a request is found by.
        scrub: masks what the project declares private; None leaves all as it is.
        ignored: request fields that do not count.

    Raises:
        CassetteError: unreadable, no cassette of vcrpy, or with YAML tags that would run code.
    """
    scrub, text = scrub or redaction.Scrubber(), _read(path)
    return [_interaction(request, response, key_of, scrub, ignored) for request, response in _pairs(path, text)]


def credentials(path: Path) -> Iterator[tuple[str, str]]:
    """(name, value) of the headers and query parameters of requests that carry a key, which `load` leaves out.

    Raises:
        CassetteError: as `load`.
    """
    for request, _ in _pairs(path, _read(path)):
        given = [(str(name), _first(value)) for name, value in dict(request.headers or {}).items()]
        with contextlib.suppress(ValueError):  # what is stored there may be no URL
            given += parse_qsl(urlsplit(request.uri).query)
        yield from ((name, value) for name, value in given if redaction.is_token(name, value))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CassetteError(f"{path}: cannot be read: {error}") from None


def _pairs(path: Path, text: str) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    import yaml
    from vcr.serialize import deserialize
    from vcr.serializers import jsonserializer, yamlserializer

    class Serializer:
        """vcrpy's, with the bodies that pydantic-ai keeps apart put back where vcrpy looks for them."""

        @staticmethod
        def deserialize(content: str) -> Any:
            inner = jsonserializer if path.suffix == ".json" else yamlserializer
            document = inner.deserialize(content)
            if not isinstance(document, dict) or not isinstance(document.get("interactions"), list):
                raise ValueError("no 'interactions'")
            for entry in document["interactions"]:
                for part in (entry["request"], entry["response"]):
                    if "parsed_body" in part:
                        text = json.dumps(part.pop("parsed_body"), ensure_ascii=False)
                        part["body"] = text if part is entry["request"] else {"string": text}
            return document

    try:
        requests, responses = deserialize(text, Serializer)[:2]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CassetteError(f"{path}: cannot be read as a cassette of vcrpy: {reason}") from None
    yield from zip(requests, responses, strict=True)


def _interaction(
    request: Any, response: Mapping[str, Any], key_of: KeyOf, scrub: redaction.Scrubber, ignored: frozenset[str]
) -> Interaction:
    headers = {str(k).lower(): _first(v) for k, v in dict(request.headers or {}).items()}
    content_type = headers.get("content-type", "")
    body = scrub(keys.body_document(_bytes(request.body), content_type, ignored))
    url = scrub.url(keys.clean_url(request.uri))
    document = body.get("json") if body else None
    model = document.get("model") if isinstance(document, dict) else None
    stored: dict[str, Any] = {"method": request.method, "url": url, "content_type": content_type}
    if isinstance(model, str):
        stored["model"] = model
    if body is not None:
        stored["body"] = body
    entry: Interaction = {
        "key": key_of(request.method, url, body),
        "role": "app",
        "recorded_at": None,
        "request": stored,
        "response": _response(response),
        "timing": {},
    }
    keeping.scrub(entry, scrub)
    return entry


def _response(response: Mapping[str, Any]) -> dict[str, Any]:
    # vcrpy before 2 wrote httpx responses as status_code and content.
    status = response.get("status_code") or (response.get("status") or {}).get("code")
    headers = {str(k).lower(): _first(v) for k, v in dict(response.get("headers") or {}).items()}
    data = _bytes(response.get("content") or (response.get("body") or {}).get("string"))
    kept = {name: value for name, value in sorted(headers.items()) if name in redaction.KEPT_HEADERS}
    if "content-encoding" in headers and data:
        # Some recorders decode the body and leave the header: what does not decode is plain already.
        data = bodies.without_content_encoding(data, headers["content-encoding"]) or data
    found: dict[str, Any] = {"status": status, "headers": kept}
    body = bodies.encode(data, kept.get("content-type", ""))
    if body is not None:
        found["body"] = body
    return found


def _first(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        value = value[0] if value else ""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, dict):
        return bodies.compact(body)
    return b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in body)
