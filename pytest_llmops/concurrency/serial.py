"""Why an item cannot overlap with others."""

from __future__ import annotations

import dis
import inspect
from functools import cache

import pytest

from pytest_llmops.concurrency.compat import loop_scope, own_fixtures, requested_fixtures
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
        "freezer", "time_machine", "socket_disabled", "socket_enabled",
        "transactional_db", "live_server", "benchmark",
        "anyio_backend",
    }
)  # fmt: skip
_MARKERS = {
    "filterwarnings": "warning filters belong to the process",
    "anyio": "run by anyio's plugin",
    "trio": "run by pytest-trio",
    "flaky": "rerun by its plugin",
    "block_network": "pytest-recording blocks the network for the process",
    "respx": "respx patches httpx for the process",
    "httpx_mock": "pytest-httpx patches httpx for the process",
    "freeze_time": "the clock belongs to the process",
    "time_machine": "the clock belongs to the process",
    "django_db": "a database connection belongs to its thread",
    "benchmark": "what is timed shares the process with nothing",
    "forked": "run in a process of its own",
}
# What a body, or what is set up for it alone, calls by name to change the process.
_CALLS = frozenset(
    {
        "warns", "deprecated_call", "catch_warnings", "patch", "chdir", "redirect_stdout", "redirect_stderr",
        "setlocale", "freeze_time", "travel", "use_cassette", "signal", "respx", "RequestsMock", "requests_mock",
    }
)  # fmt: skip
# Packages whose decorators do the same around a body.
_DECORATORS = frozenset(
    {"freezegun", "time_machine", "respx", "responses", "requests_mock", "vcr", "moto", "httpretty"}
)
# What resolves fixtures while others are set up.
_IN_BODY = frozenset({"getfixturevalue", "addfinalizer"})
_XUNIT = ("setup_method", "teardown_method", "setUp", "tearDown", "asyncSetUp", "asyncTearDown")
_CHANGES = frozenset({"update", "setdefault", "pop", "popitem", "clear", "putenv", "unsetenv", "__setitem__"})
_STORES = frozenset({"STORE_SUBSCR", "DELETE_SUBSCR"})


def reason(item: pytest.Item) -> str | None:
    """Why `item` runs on its own; None where it may overlap."""
    if item.get_closest_marker(MARKER) is None:
        return UNMARKED
    if item.get_closest_marker(SERIAL_MARKER) is not None:
        return f"marker {SERIAL_MARKER}"
    for marker, why in _MARKERS.items():
        if item.get_closest_marker(marker) is not None:
            return f"marker {marker}: {why}"
    if item.get_closest_marker("vcr") is not None and "vcr" in getattr(item, "fixturenames", ()):
        return "marker vcr: pytest-recording patches HTTP for the process"
    if any(marker.kwargs.get("depends") for marker in item.iter_markers("dependency")):
        return "marker dependency: its setup asks how other tests ended"
    return _of_kind(item) or _of_fixtures(item) or _of_body(item) or _of_setup(item)


def _of_kind(item: pytest.Item) -> str | None:
    scope = loop_scope(item)
    if scope is not None:
        return None if scope == "function" else f"pytest-asyncio's event loop of {scope} scope"
    return None if type(item) is pytest.Function else f"a test of type {type(item).__name__}"


def _of_fixtures(item: pytest.Item) -> str | None:
    used = sorted(_FIXTURES & requested_fixtures(item))
    return f"fixture {', '.join(used)}" if used else None


def _of_body(item: pytest.Item) -> str | None:
    if hasattr(item.function, "patchings"):  # type: ignore[attr-defined]
        return "patched by mock.patch"
    if package := _decorated(item.function):  # type: ignore[attr-defined]
        return f"decorated by {package}"
    called = _called(item.function, _CALLS | _IN_BODY)  # type: ignore[attr-defined]
    return f"calls {called}" if called else None


def _of_setup(item: pytest.Item) -> str | None:
    """What is patched in a fixture of one test, or in ``setup_method``, would stay in force for its neighbours."""
    for name, function in own_fixtures(item):
        if getattr(function, "__module__", "").startswith("pytest_django.") and not name.startswith("_"):
            return f"fixture {name} of pytest-django"  # a connection is its thread's, settings are the process's
        if called := _called(function, _CALLS):
            return f"fixture {name} calls {called}"
    owner = getattr(item, "cls", None)
    module = getattr(item, "module", None)
    methods = [(name, getattr(owner, name, None)) for name in _XUNIT if owner is not None]
    methods += [(name, getattr(module, name, None)) for name in ("setup_function", "teardown_function")]
    for name, method in methods:
        if method is not None and (called := _called(method, _CALLS)):
            return f"{name} calls {called}"
    return None


@cache
def _decorated(function: object) -> str | None:
    """The package, of those that change the process, that has wrapped a function; None where none has."""
    while function is not None:
        # A plain wrapper is a function of the package's; wrapt's, which vcrpy uses, holds a method of it.
        of_wrapt = getattr(getattr(function, "_self_wrapper", None), "__module__", None)
        module = of_wrapt or getattr(function, "__globals__", {}).get("__name__") or ""
        package = module.partition(".")[0]
        if package in _DECORATORS:
            return package
        function = getattr(function, "__wrapped__", None)
    return None


@cache
def _called(function: object, names: frozenset[str]) -> str:
    """Which of these names a function uses, and whether it changes the environment's variables."""
    code = getattr(inspect.unwrap(function), "__code__", None)  # type: ignore[arg-type]
    if code is None:
        return ""
    used = sorted(names.intersection(code.co_names))
    if "environ" in code.co_names:
        stores = any(instruction.opname in _STORES for instruction in dis.get_instructions(code))
        if stores or _CHANGES.intersection(code.co_names):
            used.append("os.environ to change it")
    return ", ".join(used)
