"""Which exchanges a cassette keeps, and in what order."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from urllib.parse import parse_qsl

from pytest_llmops import providers
from pytest_llmops.cassettes import bodies, redaction, spelling, storage
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.cassettes.transfer import CANCELLED, Transfer, to_exchange
from pytest_llmops.errors import CassetteError

_QUOTA = re.compile(rb"insufficient_quota|credit balance is too low|billing_hard_limit|quota has been exhausted", re.I)
_STREAMS = ("event-stream", "ndjson", "jsonl", "eventstream")


def is_refusal_to_serve(entry: Interaction) -> bool:
    """Whether the account was the matter: a wrong key, no credit. Nobody wants that replayed."""
    status = entry["response"].get("status")
    if status in (401, 402, 403):
        return True
    return status in (400, 429) and _QUOTA.search(bodies.decode(entry["response"].get("body"))) is not None


def scrub(entry: Interaction, scrubber: redaction.Scrubber) -> None:
    """Mask what the project declares private in an answer, what its events spell together as well."""
    response = entry["response"] = scrubber(entry["response"])
    if (body := response.get("body")) is not None:
        response["body"] = spelling.mask(body, scrubber)


def is_scrubbed(entry: Interaction, scrubber: redaction.Scrubber) -> bool:
    """Whether nothing in a stored exchange is left to mask."""
    request = entry["request"]
    masked = copy.deepcopy(entry)
    scrub(masked, scrubber)
    return (
        scrubber(request.get("body")) == request.get("body")
        and scrubber.url(request.get("url", "")) == request.get("url", "")
        and masked["response"] == entry["response"]
        and hidden_secret(entry, scrubber=scrubber) is None
    )


def secret_in(
    entry: Interaction, patterns: Sequence[re.Pattern[str]] = (), scrubber: redaction.Scrubber | None = None
) -> tuple[str, str] | None:
    """(field path, kind) of the first thing that looks like a secret, or None.

    Args:
        entry: scrubbed.
        patterns: the project's own secrets.
        scrubber: what it matches still counts, too: it cannot be masked there.
    """
    stored = {"request": entry["request"], "response": entry["response"]}
    return redaction.locate_secret(stored, patterns=patterns) or hidden_secret(entry, patterns, scrubber)


def hidden_secret(
    entry: Interaction, patterns: Sequence[re.Pattern[str]] = (), scrubber: redaction.Scrubber | None = None
) -> tuple[str, str] | None:
    """`secret_in`, for what no line shows by itself: by its field's name, over a stream's events, or in binary."""
    if (named := _named_token(entry)) is not None:
        return named
    for where, text in _hidden(entry):
        kind = redaction.find_in_any_form(text, patterns=patterns)
        if kind is None and scrubber is not None and scrubber(text) != text:
            kind = "what scrub masks, where nothing can be masked"
        if kind is not None:
            return where, kind
    return None


def _named_token(entry: Interaction) -> tuple[str, str] | None:
    for name in ("request", "response"):
        body = entry[name].get("body") or {}
        if "json" in body:
            found = redaction.locate_token(body["json"])
            if found is not None:
                return f"{name}.body.json.{found[0]}", found[1]
    if "x-www-form-urlencoded" in str(entry["request"].get("content_type", "")):
        for field, text in parse_qsl(bodies.decode(entry["request"].get("body")).decode("utf-8", "replace")):
            if redaction.is_token(field, text):
                return f"request.body, field {field}", f"the value of {field}"
    return None


def _hidden(entry: Interaction) -> Iterator[tuple[str, str]]:
    for name in ("request", "response"):
        body = entry[name].get("body") or {}
        if "base64" in body:
            yield f"{name}.body.base64", bodies.decode(body).decode("latin-1")
    response = entry["response"]
    if response.get("body") is None:
        return
    content_type = str((response.get("headers") or {}).get("content-type", ""))
    yield "the streamed answer", "\n".join(spelling.texts(response["body"], content_type))
    if any(name in content_type for name in _STREAMS):
        call = providers.read(to_exchange(entry, replayed=False), store_text=False)
        if call is not None:
            said = [call.text or "", *(json.dumps(tool.arguments, ensure_ascii=False) for tool in call.tool_calls)]
            yield "the streamed answer", "\n".join(said)


def refusal(cassette: str, found: tuple[str, str]) -> str:
    """Why a cassette is not written, and the way out.

    Args:
        cassette: its name.
        found: what `secret_in` gave.
    """
    where, kind = found
    return (
        f"{cassette}: not written: {where} looks like a secret ({kind})\n"
        "  mask it before it is stored, in pyproject.toml:\n"
        "    [tool.pytest-llmops]\n"
        "    scrub = ['a regular expression']   # or scrub_fields = ['field_name']"
    )


def checked_name(test: str, patterns: Sequence[re.Pattern[str]] = ()) -> None:
    """See that a test's id, which becomes a file's name and its first lines, gives no secret away.

    Raises:
        CassetteError: it does.
    """
    kind = redaction.find_in_any_form(test, patterns=patterns)
    if kind is not None:
        raise CassetteError(
            f"{test.partition('[')[0]}: a parameter looks like a secret ({kind}), and the cassette's name holds it\n"
            "  give it an id: pytest.param(…, id='a-name')"
        )


def without_outages(kept: list[Transfer]) -> tuple[list[Transfer], int]:
    """A failed test's exchanges without the live ones that ended in an error for good, and how many those are.

    What a provider that is down answers is no recording anyone wants replayed; a test of how the application takes
    errors passes, and keeps them. Nor is a call that the end of the test cancelled (a failure beside it, a timeout,
    Ctrl-C): it would be waited for on replay, and nobody would cancel it. One that the application itself gave up, and
    went on to others, is kept.
    """
    answered = {t.request.key for t in kept if not _is_outage(t) and not _is_cancelled(t)}
    last = max((t.ended or t.started for t in kept if not _is_cancelled(t)), default=0.0)
    lasting = [
        t
        for t in kept
        if t.live
        and t.request.key not in answered
        and (_is_outage(t) or (_is_cancelled(t) and (t.ended or t.started) >= last))
    ]
    return [t for t in kept if t not in lasting], len(lasting)


def _is_outage(transfer: Transfer) -> bool:
    response = transfer.interaction["response"] if transfer.interaction is not None else {}
    status = response.get("status") or 0
    failure = (response.get("error") or {}).get("type")
    return status in (408, 409, 425, 429) or status >= 500 or (not status and failure not in (None, CANCELLED))


def _is_cancelled(transfer: Transfer) -> bool:
    response = transfer.interaction["response"] if transfer.interaction is not None else {}
    return (response.get("error") or {}).get("type") == CANCELLED


def merged(first: list[Interaction], *others: list[Interaction]) -> list[Interaction]:
    """All of the first, and of the others what it lacks."""
    merged = dict(storage.occurrences(first))
    for entries in others:
        for identity, entry in storage.occurrences(entries):
            merged.setdefault(identity, entry)
    return list(merged.values())


def newest(*groups: Sequence[Interaction]) -> list[Interaction]:
    """All of several recordings; of one request recorded in more than one the newer answer, or the first's."""
    found: dict[tuple[str, int], Interaction] = {}
    for entries in groups:
        for identity, entry in storage.occurrences(entries):
            before = found.get(identity)
            if before is None or _recorded(entry) > _recorded(before):
                found[identity] = entry
    return list(found.values())


def _recorded(entry: Interaction) -> float:
    date = entry.get("recorded_at")
    return datetime.fromisoformat(date).timestamp() if date else 0.0


def in_order(transfers: list[Transfer]) -> list[Interaction]:
    """Start order; by key where any two overlapped, so that scheduling noise does not reorder the file."""
    ordered = sorted(transfers, key=lambda t: t.number)
    until = 0.0
    for transfer in ordered:
        if transfer.live and transfer.started < until:
            ordered.sort(key=lambda t: (t.request.key, t.number))
            break
        until = max(until, transfer.ended or transfer.started) if transfer.live else until
    return [t.interaction for t in ordered if t.interaction is not None]
