"""What makes two requests the same: the key a recording is found by."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from pytest_llmops.cassettes import bodies
from pytest_llmops.exchange import Role
from pytest_llmops.providers import Route, detect

_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,40}/(?:Python )?v?\d{1,4}(?:\.[0-9a-z]{1,8}){0,4}(?![\w-])")
IGNORED_FIELDS = frozenset({"metadata", "user", "safety_identifier", "prompt_cache_key", "service_tier", "store"})
"""Top-level request fields that say who asks or how it is billed, not what is asked."""

ID_FIELDS = frozenset({"id", "call_id", "tool_call_id", "tool_use_id", "previous_response_id", "item_id", "container"})
"""Fields that hold an id the provider made up; renamed by order in the second tier of matching."""

SECRET_QUERY = frozenset(
    {
        *("key", "api_key", "api-key", "apikey", "x-api-key", "subscription-key", "client_secret", "password"),
        *("token", "access_token", "id_token", "refresh_token", "auth", "authorization", "code", "sig", "signature"),
        *("x-amz-signature", "x-amz-credential", "x-amz-security-token", "x-goog-signature", "x-goog-credential"),
    }
)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'<>\\]+", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(slots=True)
class Request:
    """A request as a cassette knows it: without headers, secrets and fields that do not count.

    Args:
        body: what is stored and shown in diffs (see `bodies.encode`).
        model: the model asked for; None where the request names none.
        url: without credentials and secret query parameters.
    """

    method: str
    url: str
    content_type: str
    body: bodies.Body | None
    model: str | None
    route: Route | None
    key: str
    sdk: str | None = None
    role: Role = "app"


def clean_url(url: str) -> str:
    """The URL without userinfo, fragment and secret query parameters."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    host = host.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ":"))  # urllib3 names it always, the others never
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([(k, v) for k, v in pairs if k.lower() not in SECRET_QUERY])
    return f"{parts.scheme}://{host}{parts.path}{'?' + query if query else ''}"


def clean_text(text: str) -> str:
    """A text with the URLs in it as `clean_url` gives them: clients' errors name what they could not reach."""
    return _URL.sub(lambda match: _cleaned(match.group()), text) if "://" in text else text


def _cleaned(url: str) -> str:
    try:
        return clean_url(url)
    except ValueError:  # only looks like one
        return url


def clean_location(location: str) -> str:
    """Where a redirect leads, without secret query parameters; it may be relative."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return location
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(k, v) for k, v in pairs if k.lower() not in SECRET_QUERY]
    query = parts.query if kept == pairs else urlencode(kept)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()


def address(method: str, url: str, route: Route | None) -> str:
    """The part of the key that is not the body.

    The host does not count where a dialect is spoken (the same call through a gateway is the same call), nor do
    ports of this machine.
    """
    parts = urlsplit(url)
    host = route.api if route else (parts.hostname or "")
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    return f"{method} {host} {parts.path}?{urlencode(query)}"


def address_of(method: str, url: str, body: bodies.Body | None, hosts: Mapping[str, str]) -> str:
    """`address` of a stored request.

    Args:
        method: of the request.
        url: as stored.
        body: as stored.
        hosts: host to provider (`ProjectSettings.hosts`).
    """
    data = bodies.decode(body) if body is not None and "multipart" not in body else None
    return address(method, url, detect(method, url, data, hosts=hosts))


def body_document(data: bytes, content_type: str, ignored: frozenset[str]) -> bodies.Body | None:
    """A request body as it is stored: ignored fields and nulls at the top level dropped."""
    if content_type.startswith("multipart/"):
        return bodies.multipart(data, content_type)
    body = bodies.encode(data, content_type)
    if body is not None and isinstance(document := body.get("json"), dict):
        body = {"json": {k: v for k, v in document.items() if v is not None and k not in ignored}}
    return body


def key_of(where: str, body: bodies.Body | None) -> str:
    """The exact key: address and canonical body."""
    digest = hashlib.blake2b(where.encode(), digest_size=10)
    digest.update(b"\n")
    if body is not None:
        digest.update(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
    return digest.hexdigest()


def normalised_key(where: str, body: bodies.Body | None, patterns: Iterable[re.Pattern[str]]) -> str:
    """The second tier's key: ids the provider made up, and what the project's patterns match, renamed by order.

    Ids and dates in free text stay: two bookings at different hours are two requests.
    """
    names: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        return names.setdefault(match.group(0), f"<{len(names)}>")

    def walk(value: Any, field: str | None) -> Any:
        if isinstance(value, dict):
            return {k: walk(value[k], k) for k in sorted(value)}
        if isinstance(value, list):
            return [walk(v, None) for v in value]
        if isinstance(value, str):
            if field in ID_FIELDS:
                return names.setdefault(value, f"<{len(names)}>")
            for pattern in patterns:
                value = pattern.sub(rename, value)
        return value

    return key_of(where, walk(body, None) if body is not None else None)


def sdk(user_agent: str) -> str | None:
    """``OpenAI/Python 3.54.0`` from a client's user agent; None for the HTTP library's own."""
    product = _PRODUCT.match(user_agent)
    return product.group() if product is not None and not product.group().lower().startswith("python") else None
