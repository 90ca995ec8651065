"""Why an item cannot overlap with others."""

from __future__ import annotations

import inspect

import pytest

from pytest_llmops.concurrency.compat import loop_scope
from pytest_llmops.options import MARKER

SERIAL_MARKER = "llm_serial"
UNMARKED = f"no {MARKER} marker"

# They redirect or replace something of the whole process for the time of one test.
_FIXTURES = frozenset(
    {
        "capsys", "capsysbinary", "capfd", "capfdbinary", "capteesys", "caplog", "recwarn", "monkeypatch",
        "pytester", "testdir", "doctest_namespace",
        "mocker", "class_mocker", "module_mocker", "package_mocker", "session_mocker",  # pytest-mock
        "respx_mock", "httpx_mock", "requests_mock", "httpserver", "aioresponses",
        "freezer", "socket_disabled", "socket_enabled",
        "anyio_backend",
    }
)  # fmt: skip
_MARKERS = {
    "filterwarnings": "warning filters belong to the process",
    "anyio": "run by anyio's plugin",
    "trio": "run by pytest-trio",
    "flaky": "rerun by its plugin",
    "vcr": "pytest-recording patches HTTP for the process",
    "block_network": "pytest-recording blocks the network for the process",
    "respx": "respx patches httpx for the process",
    "httpx_mock": "pytest-httpx patches httpx for the process",
    "freeze_time": "the clock belongs to the process",
}
# What a body calls by name to change the process, or to resolve fixtures while others are set up.
_CALLS = frozenset(
    {
        "warns", "deprecated_call", "catch_warnings", "patch", "chdir", "redirect_stdout", "redirect_stderr",
        "setlocale", "freeze_time", "getfixturevalue", "addfinalizer", "use_cassette", "signal",
    }
)  # fmt: skip


def reason(item: pytest.Item) -> str | None:
    """Why `item` runs on its own; None where it may overlap."""
    if item.get_closest_marker(MARKER) is None:
        return UNMARKED
    if item.get_closest_marker(SERIAL_MARKER) is not None:
        return f"marker {SERIAL_MARKER}"
    for marker, why in _MARKERS.items():
        if item.get_closest_marker(marker) is not None:
            return f"marker {marker}: {why}"
    return _of_kind(item) or _of_fixtures(item) or _of_body(item)


def _of_kind(item: pytest.Item) -> str | None:
    scope = loop_scope(item)
    if scope is not None:
        return None if scope == "function" else f"pytest-asyncio's event loop of {scope} scope"
    return None if type(item) is pytest.Function else f"a test of type {type(item).__name__}"


def _of_fixtures(item: pytest.Item) -> str | None:
    used = sorted(_FIXTURES.intersection(getattr(item, "fixturenames", ())))
    return f"fixture {', '.join(used)}" if used else None


def _of_body(item: pytest.Item) -> str | None:
    function = inspect.unwrap(item.function)  # type: ignore[attr-defined]
    if hasattr(item.function, "patchings"):  # type: ignore[attr-defined]
        return "patched by mock.patch"
    code = getattr(function, "__code__", None)
    called = sorted(_CALLS.intersection(code.co_names)) if code is not None else []
    return f"calls {', '.join(called)}" if called else None
