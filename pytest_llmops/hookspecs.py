"""Hooks that a conftest.py or a plugin may implement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_llmops.checks.guardrails import Guardrail


@pytest.hookspec
def pytest_llmops_guardrails(config: pytest.Config) -> Iterable[Guardrail | type[Any]]:  # type: ignore[empty-body]
    """Give guardrails of your own, by instance or by class; they are then known by name like built-in ones.

    Called once, when a test first asks for a guardrail::

        def pytest_llmops_guardrails(config):
            return [NoPrices()]

    Args:
        config: the session's.
    """
