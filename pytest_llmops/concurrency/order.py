"""Which item comes next, in one process and in an xdist worker."""

from __future__ import annotations

from collections.abc import Container

import pytest

from pytest_llmops.concurrency import compat


class Order:
    """The items of a session, in the order in which the loop in charge will come to them."""

    def __init__(self, session: pytest.Session) -> None:
        self._items = session.items
        self._index = {item: i for i, item in enumerate(session.items)}
        self._worker = compat.worker_queue(session.config)
        self._position = 0

    def following(self, current: pytest.Item, started: Container[pytest.Item]) -> pytest.Item | None:
        """The first item after `current` that is not started; None where this process has no more."""
        if self._worker is None:
            self._position = max(self._position, self._index[current] + 1)
            while self._position < len(self._items) and self._items[self._position] in started:
                self._position += 1
            return self._items[self._position] if self._position < len(self._items) else None
        loop, queue = self._worker
        following = loop.nextitem_index
        if isinstance(following, int) and self._items[following] not in started:
            return self._items[following]
        head = queue.head()
        return self._items[head] if head is not None else None

    def take(self, item: pytest.Item) -> bool:
        """Whether `item` is this process's for good: from now on no other worker can steal it."""
        if self._worker is None:
            return True
        loop, queue = self._worker
        index = self._index[item]
        return index == loop.nextitem_index or queue.start(index)
