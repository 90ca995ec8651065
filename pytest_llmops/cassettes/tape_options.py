"""What all tapes of a session share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

from pytest_llmops import providers
from pytest_llmops.cassettes import keys, redaction
from pytest_llmops.cassettes.asking import Asking
from pytest_llmops.cassettes.journal import RunJournal
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.cassettes.watcher import Watcher

LOOPBACK = ("localhost", "127.*", "::1", "0.0.0.0")


def no_orphans(_cassette: Path) -> Iterator[list[Interaction]]:
    """The default of `TapeOptions.orphans`: recordings are found in the test's own file only."""
    return iter(())


@dataclass(frozen=True, slots=True)
class TapeOptions:
    """What all tapes of a session share.

    Args:
        hosts: host to provider (`ProjectSettings.hosts`).
        record_hosts: patterns of hosts that are recorded though they speak no LLM dialect.
        allowed_hosts: patterns of hosts that other traffic may go to on replay.
        secrets: patterns of the project's own that must never be written.
        id_patterns: renamed by order in the second tier of matching.
        orphans: recordings of tests that no longer exist, for a renamed one to find.
        watchers: told of every live call.
        replay_speed: 1 plays streams at their recorded pace, 0 at once.
        live: the journal of a run in mode ``live``.
        folder: with a closing slash; cassettes below it are named relative to it in messages.
        asking: who asks a judge right now.
        answers: what judges said in this session, by key: a trial that got the same answer asks for no new verdict.
    """

    hosts: Mapping[str, str] = field(default_factory=dict)
    record_hosts: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = LOOPBACK
    ignored_fields: frozenset[str] = keys.IGNORED_FIELDS
    secrets: tuple[re.Pattern[str], ...] = ()
    id_patterns: tuple[re.Pattern[str], ...] = ()
    scrub: redaction.Scrubber = field(default_factory=redaction.Scrubber)
    orphans: Callable[[Path], Iterator[list[Interaction]]] = no_orphans
    watchers: tuple[Watcher, ...] = ()
    replay_speed: float = 0.0
    live: RunJournal | None = None
    folder: str = ""
    asking: Asking = field(default_factory=Asking)
    answers: dict[str, Interaction] = field(default_factory=dict)

    def record(self, method: str, url: str, body: bytes) -> bool:
        """Whether a request is one that is recorded: a model's, or of a host that the project names."""
        host, port = host_and_port(url)
        known = providers.detect(method, url, body, hosts=self.hosts) is not None
        return known or host_matches(host, self.record_hosts, port)


def host_matches(host: str, patterns: Iterable[str], port: int | None = None) -> bool:
    """Whether a host is among names and patterns; ``all`` stands for every one, ``name:8000`` for one port of it.

    Args:
        host: its name or address.
        patterns: names and patterns.
        port: None where it is not known yet: then the host's name decides.
    """
    return any(pattern == "all" or fnmatch(host, pattern) or _on_port(host, pattern, port) for pattern in patterns)


def _on_port(host: str, pattern: str, port: int | None) -> bool:
    name, colon, wanted = pattern.rpartition(":")
    return bool(colon) and fnmatch(host, name) and (port is None or wanted == str(port))


def host_and_port(url: str) -> tuple[str, int | None]:
    """Host and port of a URL."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.hostname or "", port or _PORTS.get(parts.scheme)


_PORTS = {"http": 80, "https": 443}
