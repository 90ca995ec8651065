"""Who is told of live calls: limits on spending and pace, and the number of overlapping tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from pytest_llmops.cassettes.transfer import Transfer


class Watcher(Protocol):
    """Told of every live call of the session, from whichever thread makes it."""

    def begins(self, transfer: Transfer) -> float:
        """A request is about to go to its provider.

        Returns:
            Seconds to hold it back.

        Raises:
            CassetteMiss: it must not go out.
        """
        ...

    def resumes(self, transfer: Transfer) -> float:
        """A request that was held back is about to go out.

        Returns:
            Seconds to hold it back once more.

        Raises:
            CassetteMiss: it must not go out any more.
        """
        ...

    def completed(self, transfer: Transfer) -> None:
        """The provider's answer is whole, or the connection failed."""
        ...


_WATCHERS = pytest.StashKey[list[Watcher]]()


def watch(config: pytest.Config, watcher: Watcher) -> None:
    """Have a watcher told; at configure time."""
    config.stash.setdefault(_WATCHERS, []).append(watcher)


def watchers(config: pytest.Config) -> tuple[Watcher, ...]:
    """All of a session's watchers."""
    known: list[Watcher] = config.stash.get(_WATCHERS, [])
    return tuple(known)
