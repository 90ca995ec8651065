"""Everything taken from pytest's and xdist's private parts, and whether it is all there."""

from __future__ import annotations

import copy
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import partial
from threading import RLock
from typing import Any, cast

import pytest
from _pytest import capture, fixtures, logging, runner
from _pytest.assertion import util as assertion
from _pytest.fixtures import resolve_fixture_function
from _pytest.nodes import Node
from _pytest.runner import SetupState, call_and_report
from pluggy import HookImpl

__all__ = ["call_and_report", "resolve_fixture_function"]

# Names that these functions are known to use; where one is gone, so is what is built on it here.
_USED: tuple[tuple[str, Callable[..., Any], tuple[str, ...]], ...] = (
    ("the session's setup state", runner.pytest_sessionstart, ("_setupstate",)),
    ("SetupState.stack", SetupState.__init__, ("stack",)),
    ("SetupState.setup", SetupState.setup, ("listchain", "stack")),
    ("SetupState.teardown_exact", SetupState.teardown_exact, ("listchain", "stack", "popitem")),
    ("an item's request", runner.runtestprotocol, ("_request", "_initrequest", "funcargs")),
    ("FixtureRequest", fixtures.FixtureRequest.__init__, ("_pyfuncitem", "_arg2fixturedefs")),
    ("FixtureRequest._get_active_fixturedef", fixtures.FixtureRequest._get_active_fixturedef, ("_arg2fixturedefs",)),
    ("FixtureDef", fixtures.FixtureDef.__init__, ("cached_result", "_finalizers")),
    ("output capture", capture.SysCaptureBase.__init__, ("tmpfile", "_old")),
    ("logging", logging.LoggingPlugin.__init__, ("caplog_handler", "report_handler", "log_level")),
    ("pytest_fixture_setup", fixtures.pytest_fixture_setup, ("argnames", "cached_result")),
)
_LOG_HANDLERS = ("caplog_handler", "report_handler", "log_file_handler", "log_cli_handler")


def problem() -> str | None:
    """The first private name that is not as known here; None where overlapping can work."""
    for what, function, names in _USED:
        if not set(names) <= _names(function):
            return what
    if SetupState().stack != {}:
        return "SetupState.stack"
    if not hasattr(warnings, "_showwarnmsg") or not hasattr(warnings, "_showwarnmsg_impl"):
        return "the warnings module"
    return None if hasattr(assertion, "_reprcompare") else "assertion explanations"


def _names(function: Callable[..., Any]) -> set[str]:
    code = function.__code__
    inner = [const for const in code.co_consts if hasattr(const, "co_names")]
    return {*code.co_names, *(name for part in inner for name in part.co_names)}


# -- setup and teardown of several items -------------------------------------------------------------------------------


class SetupTree(SetupState):
    """A setup state that may hold several items at once: they share their parents, with one list of finalizers each.

    Fixtures that items share are set up and torn down in the session's own context, an item's own in a copy of it:
    what one item's fixtures set in a `ContextVar` is nothing to the next, which is set up before the first is done.

    `held` are the items that must stay set up, whatever else is torn down; `contexts` those of overlapped items.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held: set[pytest.Item] = set()
        self.contexts: dict[Node, Context] = {}
        self._lock = RLock()  # a test may add finalizers from its thread

    def setup(self, item: pytest.Item) -> None:
        """Set up what is missing of an item's chain."""
        __tracebackhide__ = True
        chain = item.listchain()
        with self._lock:
            others = {node: state for node, state in self.stack.items() if node not in chain}
            self.stack = {node: self.stack[node] for node in chain if node in self.stack}
        apart = item in self.held
        if apart:
            vars(item)["setup"] = partial(self._set_up_apart, cast("pytest.Function", item), item.setup)
        try:
            super().setup(item)
        finally:
            if apart:
                del vars(item)["setup"]
            with self._lock:
                self.stack = {**others, **self.stack}

    def _set_up_apart(self, item: pytest.Function, setup: Callable[[], None]) -> None:
        __tracebackhide__ = True
        for name in _shared_fixtures(item):
            item._request.getfixturevalue(name)
        self.contexts[item] = context = copy_context()
        context.run(setup)

    def addfinalizer(self, finalizer: Callable[[], object], node: Node) -> None:
        """Attach a finalizer to an active node."""
        context = self.contexts.get(node)
        if context is not None:
            finalizer = partial(_run_in, context, finalizer)
        with self._lock:
            super().addfinalizer(finalizer, node)

    def teardown_exact(self, nextitem: pytest.Item | None) -> None:
        """Tear down what neither `nextitem` nor a held item needs."""
        __tracebackhide__ = True
        needed: set[Any] = {*(nextitem.listchain()[:-1] if nextitem is not None else ()), *self.held}
        for parent in {item.parent for item in self.held}:
            needed.update(parent.listchain() if parent is not None else ())
        with self._lock:
            kept = [node for node in self.stack if node in needed]
            self.stack = {node: self.stack[node] for node in [*kept, *(n for n in self.stack if n not in needed)]}
        # What is kept stands first, as the chain of one item that comes next.
        try:
            super().teardown_exact(_Chain(kept) if kept else None)  # type: ignore[arg-type]
        finally:
            for node in self.contexts.keys() - self.stack.keys():
                del self.contexts[node]

    def finalizers(self, node: Node) -> int:
        """How many finalizers an active node has: its own teardown, and those of fixtures."""
        return len(self.stack[node][0])


def _run_in(context: Context, finalizer: Callable[[], object]) -> None:
    __tracebackhide__ = True
    runnable = context
    try:
        context.run(int)
    except RuntimeError:  # a body that was given up is still in there
        runnable = context.copy()
    runnable.run(finalizer)


class _Chain:
    def __init__(self, nodes: list[Any]) -> None:
        self._nodes = nodes

    def listchain(self) -> list[Any]:
        return self._nodes


@contextmanager
def setup_tree(session: pytest.Session) -> Iterator[SetupTree]:
    """Replace the session's setup state, which must be empty."""
    serial = session._setupstate
    assert not serial.stack
    session._setupstate = tree = SetupTree()
    try:
        yield tree
    finally:
        # An interrupted run is torn down by pytest after this, so the tree stays where it still holds something.
        if not tree.stack:
            session._setupstate = serial


def request_item(request: pytest.FixtureRequest) -> pytest.Item:
    """The item that a fixture of any scope is being set up for."""
    return request._pyfuncitem


def make_request(item: pytest.Function) -> None:
    """Give an item its own request, with function-scoped fixtures that share nothing with other items'."""
    if not item._request:
        item._initrequest()
    item._request._arg2fixturedefs = _OwnFixtures(item)  # type: ignore[misc]


def drop_request(item: pytest.Function) -> None:
    """Let go of an item's request and fixture values, as pytest does after its last phase."""
    item._request = False  # type: ignore[assignment]
    item.funcargs = None  # type: ignore[assignment]


def drop_sections(item: pytest.Item) -> None:
    """Forget the output of an attempt that is not reported."""
    item._report_sections.clear()


class _OwnFixtures(dict[str, Any]):
    """Fixture definitions by name; function-scoped ones are copied, since a definition holds one value at a time."""

    def __init__(self, item: pytest.Function) -> None:
        super().__init__()
        self._item = item
        self._known = item._fixtureinfo.name2fixturedefs
        self._wide = wide_parameters(item)

    def get(self, name: str, default: Any = None) -> Any:
        if name not in self:
            defs = self._known.get(name)
            if defs is None:
                defs = self._item.session._fixturemanager.getfixturedefs(name, self._item)
            if defs is None:
                return default
            self[name] = tuple(self._own(definition) for definition in defs)
        return self[name]

    def _own(self, definition: Any) -> Any:
        if definition.scope != "function" or definition.argname in self._wide:
            return definition
        own = copy.copy(definition)
        own.cached_result = None
        own._finalizers = []
        return own


def wide_parameters(item: pytest.Item) -> Mapping[str, int]:
    """The indices of an item's parameters whose scope is wider than one test."""
    callspec: Any = getattr(item, "callspec", None)
    scopes = getattr(callspec, "_arg2scope", {})
    return {name: callspec.indices[name] for name, scope in scopes.items() if scope.value != "function"}


def has_unset_fixture(item: pytest.Function) -> bool:
    """Whether setting the item up sets up a fixture that other items share."""
    defs = item._fixtureinfo.name2fixturedefs
    return any(defs[name][-1].cached_result is None for name in _shared_fixtures(item))


def _shared_fixtures(item: pytest.Function) -> list[str]:
    defs = item._fixtureinfo.name2fixturedefs
    return [name for name in item.fixturenames if defs.get(name) and defs[name][-1].scope != "function"]


_HARMLESS = frozenset({"_pytest", "pytest_llmops", "pytest_recording"})


def own_fixtures(item: pytest.Item) -> Iterator[tuple[str, Callable[..., Any]]]:
    """(name, function) of the fixtures set up for this item alone, without pytest's own and this package's.

    Nor those of pytest-recording: every test has them, and they patch only for those that its markers name.
    """
    info = getattr(item, "_fixtureinfo", None)
    for name in getattr(item, "fixturenames", ()):
        for definition in (info.name2fixturedefs.get(name) or ()) if info is not None else ():
            module = getattr(definition.func, "__module__", "") or ""
            if definition.scope == "function" and module.partition(".")[0] not in _HARMLESS:
                yield name, definition.func


def requested_fixtures(item: pytest.Item) -> set[str]:
    """The names of an item's fixtures, without what only pytest-django's own ask for: every test has those.

    One of them takes ``monkeypatch``, for a setting of Django's that few projects use.
    """
    names = set(getattr(item, "fixturenames", ()))
    info = getattr(item, "_fixtureinfo", None)
    if info is None:
        return names
    asked: set[str] = set(info.initialnames)
    aside: set[str] = set()
    for name in names:
        for definition in info.name2fixturedefs.get(name) or ():
            django = (getattr(definition.func, "__module__", None) or "").startswith("pytest_django.")
            (aside if django and name.startswith("_") else asked).update(definition.argnames)
    return names - (aside - asked)


def loop_scope(item: pytest.Item) -> str | None:
    """The scope of the event loop of a test that pytest-asyncio runs; None for any other item."""
    kinds = [kind.__module__.partition(".")[0] for kind in type(item).__mro__]
    return getattr(item, "_loop_scope", "unknown") if "pytest_asyncio" in kinds else None


# -- what other plugins put around an item -----------------------------------------------------------------------------


class Surroundings:
    """Other plugins' wrappers of ``pytest_runtest_protocol``: they keep what their hooks of an item's phases look for.

    An item's setup phase runs ahead of its turn, so its wrappers are entered ahead of it as well, and are not entered
    again at its turn. Pytest's own are left out: they set up the process for the item whose turn it is.
    """

    def __init__(self, session: pytest.Session) -> None:
        self._entered: dict[pytest.Item, dict[int, Any]] = {}
        self._after = dict(zip(session.items, [*session.items[1:], None], strict=True)) if session.items else {}
        found = session.config.hook.pytest_runtest_protocol.get_hookimpls()
        self._wrappers = [impl for impl in reversed(found) if _is_foreign_wrapper(impl)]
        self._functions = [impl.function for impl in self._wrappers]

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let the session's hook know which wrappers are entered already."""
        for impl, function in zip(self._wrappers, self._functions, strict=True):
            impl.function = partial(self._call, impl, function)  # type: ignore[misc]
        try:
            yield
        finally:
            for impl, function in zip(self._wrappers, self._functions, strict=True):
                impl.function = function  # type: ignore[misc]
            for item in [*self._entered]:
                self.leave(item)

    def enter(self, item: pytest.Item) -> None:
        """Run the first halves of an item's wrappers, ahead of its turn."""
        given = {"item": item, "nextitem": self._after.get(item)}
        entered = self._entered[item] = {}
        for impl, function in zip(self._wrappers, self._functions, strict=True):
            wrapper: Any = function(*(given[name] for name in impl.argnames))
            next(wrapper)
            entered[id(impl)] = wrapper

    def leave(self, item: pytest.Item) -> None:
        """Drop what was entered for an item whose turn does not come."""
        for wrapper in reversed(self._entered.pop(item, {}).values()):
            wrapper.close()

    def _call(self, impl: HookImpl, function: Callable[..., Any], *args: Any) -> Any:
        item = args[impl.argnames.index("item")]
        wrapper = self._entered.get(item, {}).pop(id(impl), None)
        return function(*args) if wrapper is None else _Entered(wrapper)


class _Entered:
    """A generator whose first half has run: whoever starts it goes on from there."""

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper

    def __next__(self) -> None:
        return None

    def __getattr__(self, name: str) -> Any:  # send, throw, close
        return getattr(self._wrapper, name)


def _is_foreign_wrapper(impl: HookImpl) -> bool:
    package = (getattr(impl.function, "__module__", None) or "").partition(".")[0]
    # One that does not ask for the item keeps nothing of it.
    return (
        (impl.wrapper or impl.hookwrapper) and "item" in impl.argnames and package not in ("_pytest", "pytest_llmops")
    )


# -- output, logs, warnings, explanations ------------------------------------------------------------------------------


def captured_streams(config: pytest.Config) -> Iterator[tuple[str, Any]]:
    """(name, stream) of what ``sys.stdout`` and ``sys.stderr`` are while pytest captures, and while it reports."""
    manager = config.pluginmanager.get_plugin("capturemanager")
    whole = getattr(manager, "_global_capturing", None)
    for part in (getattr(whole, "out", None), getattr(whole, "err", None)):
        system: Any = getattr(part, "syscapture", part)
        if hasattr(system, "tmpfile") and hasattr(system, "_old"):
            yield system.name, system.tmpfile
            yield system.name, system._old


def log_handlers(config: pytest.Config) -> list[Any]:
    """Pytest's own log handlers, and those that its options added."""
    plugin = config.pluginmanager.get_plugin("logging-plugin")
    found = (getattr(plugin, name, None) for name in _LOG_HANDLERS)
    return [handler for handler in found if handler is not None]


def log_level(config: pytest.Config) -> int | None:
    """``--log-level``."""
    return getattr(config.pluginmanager.get_plugin("logging-plugin"), "log_level", None)


class Explanations:
    """How a failed assertion is explained and which warnings are shown: set up by pytest for the item it reports.

    `keep` inside of an item's protocol and `restore` after it let the same hold between two items, for those whose
    bodies are running.
    """

    def __init__(self) -> None:
        self._before = self._assertion()
        self._filters: list[Any] | None = None
        self._kept = self._before

    def _assertion(self) -> tuple[Any, Any]:
        return assertion._reprcompare, assertion._config

    def keep(self) -> None:
        """Remember what holds now."""
        self._kept = self._assertion()
        # Python shows a warning once a place; every test has its own, whatever others did meanwhile.
        warnings.simplefilter("always", append=True)
        self._filters = [*warnings.filters]

    def restore(self) -> None:
        """Let it hold again."""
        assertion._reprcompare, assertion._config = self._kept
        if self._filters is not None:
            warnings.filters[:] = self._filters  # type: ignore[index]
            warnings._filters_mutated()  # type: ignore[attr-defined]

    def end(self) -> None:
        """Put things back as they were before the first item."""
        assertion._reprcompare, assertion._config = self._before


# -- xdist -------------------------------------------------------------------------------------------------------------


class StartedQueue:
    """Wraps the queue of an xdist worker: an item started ahead of its turn can no longer be stolen by another."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self.started: deque[int] = deque()

    def __getattr__(self, name: str) -> Any:  # put, replace, lock
        return getattr(self._queue, name)

    def get(self) -> Any:
        """The next item's index; xdist's own marker at the end."""
        return self.started.popleft() if self.started else self._queue.get()

    def head(self) -> int | None:
        """The index of the first item that is not started; None where the worker has no more."""
        with self._queue.lock() as waiting:
            return waiting[0] if waiting and isinstance(waiting[0], int) else None

    def start(self, index: int) -> bool:
        """Take `index` out of what can be stolen; False where it is gone already."""
        with self._queue.lock() as waiting:
            if not waiting or waiting[0] != index:
                return False
            self.started.append(waiting.popleft())
            return True


def worker_queue(config: pytest.Config) -> tuple[Any, StartedQueue] | None:
    """An xdist worker's loop, which knows the next item's index, and its queue, wrapped.

    None where this process is no worker, or its xdist is not as known here.
    """
    for plugin in config.pluginmanager.get_plugins():
        queue = getattr(plugin, "torun", None)
        if type(plugin).__name__ == "WorkerInteractor" and hasattr(queue, "lock"):
            plugin.torun = StartedQueue(queue)
            return plugin, plugin.torun
    return None
