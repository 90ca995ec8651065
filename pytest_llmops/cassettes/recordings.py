"""What a cassette holds, found by request: each recording answers once, looked up in a dict whatever their number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from pytest_llmops.cassettes import storage
from pytest_llmops.cassettes.storage import Interaction


class Recordings:
    """The interactions of one cassette, and which of them were used.

    Args:
        second_key: the key of the second tier of a stored interaction; computed where the first tier fails.
    """

    def __init__(self, second_key: Callable[[Interaction], str]) -> None:
        self.stored: list[Interaction] = []
        self._second_key = second_key
        self._index: dict[str, list[Interaction]] = defaultdict(list)
        self._second: dict[str, list[Interaction]] | None = None
        self._used: set[int] = set()
        self._next: dict[str, int] = {}
        self._adopted: list[Interaction] | None = None

    def add(self, entries: Iterable[Interaction]) -> None:
        """Add recordings that are not there already, by request and occurrence."""
        have = {identity for identity, _ in storage.occurrences(self.stored)}
        for identity, entry in storage.occurrences(entries):
            if identity not in have:
                self.stored.append(entry)
                self._index[entry["key"]].append(entry)

    def adopt(self, orphans: Callable[[], Iterable[list[Interaction]]]) -> None:
        """Take up the recordings of tests that no longer exist, once: this one may be the same under a new name."""
        if self._adopted is None:
            self._adopted = [entry for entries in orphans() for entry in entries]
            for entry in self._adopted:
                self._index[entry["key"]].append(entry)

    def take(self, key: str) -> Interaction | None:
        """The next unused recording under a key."""
        return self._take(key, self._index)

    def take_second(self, key: Callable[[], str]) -> Interaction | None:
        """The next unused recording under a key of the second tier."""
        if not self.stored:
            return None
        if self._second is None:
            self._second = defaultdict(list)
            for entry in self.stored:
                self._second[self._second_key(entry)].append(entry)
        return self._take(key(), self._second)

    def _take(self, key: str, index: Mapping[str, list[Interaction]]) -> Interaction | None:
        entries = index.get(key, ())
        for position in range(self._next.get(key, 0), len(entries)):
            if id(entries[position]) not in self._used:
                self._next[key] = position  # those before it are used up: many equal requests stay cheap
                self._used.add(id(entries[position]))
                return entries[position]
        return None

    def used(self, key: str) -> int:
        """How many recordings of exactly this request were used."""
        return sum(id(entry) in self._used for entry in self._index.get(key, ()))

    @property
    def unused(self) -> list[Interaction]:
        """The stored recordings that nothing asked for."""
        return [entry for entry in self.stored if id(entry) not in self._used]

    @property
    def uses_adopted(self) -> bool:
        """Whether a recording of a test that is gone was used."""
        return any(id(entry) in self._used for entry in self._adopted or ())
