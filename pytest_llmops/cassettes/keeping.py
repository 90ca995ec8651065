"""Which exchanges a cassette keeps, and in what order."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pytest_llmops import providers
from pytest_llmops.cassettes import bodies, redaction, storage
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.cassettes.transfer import CANCELLED, Transfer, to_exchange

_QUOTA = re.compile(rb"insufficient_quota|credit balance is too low|billing_hard_limit|quota has been exhausted", re.I)
_STREAMS = ("event-stream", "ndjson", "jsonl", "eventstream")


def is_refusal_to_serve(entry: Interaction) -> bool:
    """Whether the account was the matter: a wrong key, no credit. Nobody wants that replayed."""
    status = entry["response"].get("status")
    if status in (401, 402, 403):
        return True
    return status in (400, 429) and _QUOTA.search(bodies.decode(entry["response"].get("body"))) is not None


def secret_in(entry: Interaction, patterns: Sequence[re.Pattern[str]] = ()) -> tuple[str, str] | None:
    """(field path, kind) of the first thing that looks like a secret, or None."""
    stored = {"request": entry["request"], "response": entry["response"]}
    return redaction.locate_secret(stored, patterns=patterns) or secret_in_stream(entry, patterns)


def secret_in_stream(entry: Interaction, patterns: Sequence[re.Pattern[str]] = ()) -> tuple[str, str] | None:
    """`secret_in`, for one that a stream spells over several events: no event shows it alone."""
    content_type = str((entry["response"].get("headers") or {}).get("content-type", ""))
    if not any(name in content_type for name in _STREAMS):
        return None
    call = providers.read(to_exchange(entry, replayed=False), store_text=False)
    if call is None:
        return None
    said = [call.text or "", *(json.dumps(tool.arguments, ensure_ascii=False) for tool in call.tool_calls)]
    kind = redaction.find_secret("\n".join(said), patterns=patterns)
    return ("the streamed answer", kind) if kind is not None else None


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
