"""What a stream spells over its events: a secret, or what is to be masked, that none of them shows alone."""

from __future__ import annotations

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from pytest_llmops.cassettes import bodies
from pytest_llmops.cassettes.redaction import Scrubber
from pytest_llmops.providers import framing

_LINE = re.compile(r"((?:data:)?[ \t\x1e]*)([\[{].*[\]}])(\r?)")
_NEVER_SPELLED = frozenset(
    {"type", "object", "id", "item_id", "model", "role", "status", "finish_reason", "stop_reason", "system_fingerprint"}
) | {"obfuscation"}
"""Fields of events that stand for themselves; the last is random padding."""

Piece = tuple[dict[str, Any] | list[Any], Any]
"""An object or list of an event, and where in it the text stands."""


def texts(body: bodies.Body, content_type: str) -> list[str]:
    """Each text that the events of a stored answer spell; none where it is no stream."""
    data = bodies.decode(body)
    kind = framing.framing_of(content_type.partition(";")[0].strip().lower(), data, array_stream=True)
    if kind == "json":
        return []
    documents = [event.data for event in framing.events(kind, data)]
    return ["".join(holder[at] for holder, at in pieces) for pieces in _places(documents)]


def mask(body: bodies.Body, scrub: Scrubber) -> bodies.Body:
    """A stored answer with what its events spell masked: the whole text then stands in the first of them."""
    kind = next((kind for kind in ("sse", "lines") if kind in body), None)
    if kind is None or not scrub.active:
        return body
    parts = [part.split("\n") for part in body[kind]]
    documents = list(_documents(parts))
    for pieces in _places(document for *_, document in documents):
        spelled = "".join(holder[at] for holder, at in pieces)
        if (masked := scrub(spelled)) != spelled:
            for count, (holder, at) in enumerate(pieces):
                holder[at] = "" if count else masked
    for lines, number, match, document in documents:
        if document != json.loads(match[2]):
            lines[number] = match[1] + json.dumps(document, ensure_ascii=False, separators=(",", ":")) + match[3]
    return {kind: ["\n".join(lines) for lines in parts]}


def _documents(parts: list[list[str]]) -> Iterator[tuple[list[str], int, re.Match[str], Any]]:
    """The JSON of each event, and the line it stands in."""
    for lines in parts:
        for number, line in enumerate(lines):
            match = _LINE.fullmatch(line)
            if match is not None:
                with contextlib.suppress(ValueError, RecursionError):
                    yield lines, number, match, json.loads(match[2])


def _places(documents: Iterable[Any]) -> Iterator[list[Piece]]:
    """Texts that stand at one place of one event after the other, where they differ."""
    found: defaultdict[tuple[Any, ...], list[Piece]] = defaultdict(list)
    for document in documents:
        stack: list[tuple[tuple[Any, ...], Any]] = [((), document)]
        while stack:
            path, value = stack.pop()
            if isinstance(value, dict):
                # Of several choices, blocks or calls each is told by its number, wherever it stands.
                path += tuple((k, v) for k, v in value.items() if isinstance(v, int) and k.endswith("index"))
            elif not isinstance(value, list):
                continue
            for at, inner in value.items() if isinstance(value, dict) else enumerate(value):
                numbered = isinstance(inner, dict) and "index" in inner
                if not isinstance(inner, str):
                    stack.append(((*path, "" if numbered else at), inner))
                elif at not in _NEVER_SPELLED:
                    found[*path, at].append((value, at))
    for pieces in found.values():
        if len({holder[at] for holder, at in pieces}) > 1:
            yield pieces
