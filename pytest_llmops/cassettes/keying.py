"""From what a client sends, or a cassette holds, to the keys it is found by, as a session's options have it."""

from __future__ import annotations

from pytest_llmops import providers
from pytest_llmops.cassettes import bodies, keys
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.cassettes.tape_options import TapeOptions
from pytest_llmops.registry import current_role


def request_of(
    options: TapeOptions,
    method: str,
    url: str,
    body: bytes,
    content_type: str,
    route: providers.Route | None,
    key: str | None,
) -> keys.Request:
    """A request as a cassette knows it: cleaned, masked, with its key.

    Args:
        options: of the session.
        method: of the request.
        url: as it is sent.
        body: as it is sent.
        content_type: of the body.
        route: what dialect it speaks; None where it is none that is known.
        key: of the caller's own making, in place of the request's.
    """
    url = options.scrub.url(keys.clean_url(url))
    document = options.scrub(keys.body_document(body, content_type, options.ignored_fields))
    inner = document.get("json") if document else None
    model = inner.get("model") if isinstance(inner, dict) else None
    if not isinstance(model, str):
        model = route.model if route else None
    key = key or keys.key_of(keys.address(method, url, route), document)
    return keys.Request(method, url, content_type, document, model, route, key, role=current_role.get())


def second_key(options: TapeOptions, request: keys.Request) -> str:
    """The second tier's key of a request."""
    where = keys.address(request.method, request.url, request.route)
    return keys.normalised_key(where, request.body, options.id_patterns)


def stored_second_key(options: TapeOptions, entry: Interaction) -> str:
    """The second tier's key of a recording."""
    request = entry["request"]
    body = request.get("body")
    where = keys.address_of(request.get("method", ""), request.get("url", ""), body, options.hosts)
    return keys.normalised_key(where, body, options.id_patterns)


def stored_key(options: TapeOptions, method: str, url: str, body: bodies.Body | None) -> str:
    """The key of a request that another recorder stored."""
    return keys.key_of(keys.address_of(method, url, body, options.hosts), body)
