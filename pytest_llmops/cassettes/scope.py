"""Which tape a request belongs to: the current test's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from pytest_llmops.cassettes.keys import Request
from pytest_llmops.cassettes.origin import current as _current
from pytest_llmops.cassettes.origin import started as _started
from pytest_llmops.cassettes.tape import Tape

_active: list[Tape] = []
_substitutes: dict[int, list[Tape | None]] = {}
_lock = threading.Lock()

capture: ContextVar[object | None] = ContextVar("pytest_llmops_capture", default=None)
"""The run or capture block a request is made in; None outside of any."""

key: ContextVar[str | None] = ContextVar("pytest_llmops_key", default=None)
"""A key of the caller's own making for the requests made in this context (judges), over the request's own."""


def current() -> Tape | None:
    """The tape in force here; None where no marked test runs, unless one has started what is running here.

    A context may hold the tape of a finished test (an event loop of session scope was made in it), and a thread of
    the application's has no context of ours: both belong to the running test, where there is just one. Where several
    overlap it is nobody's, and no LLM call of it gets through; nor of a test that was given up.
    """
    tape = _current.get()
    if tape is not None and tape.abandoned:
        return tape
    if tape is None or tape.closed:
        if not _active:
            return _left_behind()
        tape = _active[0] if len(_active) == 1 else _Unclaimed(_active[-1])
    nested = _substitutes.get(id(tape))
    return nested[-1] if nested else tape


_begun_in: ContextVar[Tape | None] = ContextVar("pytest_llmops_begun_in", default=None)
_outliving: set[object] = set()


def starter() -> Tape | None:
    """The tape that a thread started here, now, belongs to for good; None where no marked test starts it.

    What a fixture of wider scope starts is the fixture's, and serves unmarked tests as well.
    """
    tape = _active[-1] if _active and _current.get() is not None else _left_behind()
    return None if tape is None or _substitutes.get(id(tape)) else tape


def belonging(tape: Tape | None, run: Callable[..., Any], *, pooled: bool = False) -> Callable[..., Any]:
    """`run`, which `tape`'s test started, to be called in a thread: its calls are that test's where no other runs.

    Args:
        tape: of the test; None where a pool's work is no test's, though its thread may be.
        run: what the thread does.
        pooled: it is one piece of a pool's work: the thread does others' afterwards.
    """

    def running(*args: Any, **kwargs: Any) -> Any:
        before = _started.tape, _started.pooled
        _started.tape, _started.pooled = tape, pooled
        token = _begun_in.set(tape)
        try:
            return run(*args, **kwargs)
        finally:
            _begun_in.reset(token)
            _started.tape, _started.pooled = before

    return running


def outlives(work: object) -> None:
    """Work that may go on after its test is under way, until `ended`."""
    with _lock:
        _outliving.add(work)


def ended(work: object) -> None:
    """End `outlives`."""
    with _lock:
        _outliving.discard(work)


def outlived() -> bool:
    """Whether anything that a marked test started may still be running."""
    return bool(_outliving)


def _left_behind() -> Tape | None:
    """The tape of the test that started what is running here.

    A thread may run what was scheduled from elsewhere (a loop of the application's, in a thread that the first test
    started): that has a context of its own.
    """
    tape = _started.tape
    here = _started.pooled or _begun_in.get() is tape or _current.get() is tape
    return tape if here else None


def offline() -> bool:
    """Whether a tape is in force that lets no LLM call leave the machine."""
    tape = current()
    return tape is not None and tape.offline


def own() -> Tape | None:
    """The tape that was activated in this context."""
    return _current.get()


def resume(tape: Tape) -> None:
    """Make an active tape the current one of this context again: other tests were set up in it meanwhile."""
    _current.set(tape)


class _Unclaimed(Tape):
    """Stands for no test: an LLM call from a thread that was started before the tests that now overlap."""

    def __init__(self, like: Tape) -> None:
        super().__init__(None, "live", like.options)

    def _may_call(self) -> bool:
        return False

    def _describe(self, request: Request, number: int) -> str:
        return (
            f"{request.method} {request.url}: several tests overlap (--llm-concurrency), and this call comes from a "
            "thread that was started outside of them, so it belongs to none\n"
            "  run the tests that share it on their own: @pytest.mark.llm_serial"
        )


def current_capture(tape: Tape) -> object | None:
    """The capture a request in this context belongs to; a foreign thread's goes to the only one open."""
    inside = capture.get()
    if inside is None and len(tape.captures) == 1:
        return tape.captures[0]
    return inside if inside in tape.captures else None


def activate(tape: Tape) -> None:
    """Make `tape` the current one of this context, until `deactivate`."""
    with _lock:
        _active.append(tape)
    _current.set(tape)


def deactivate(tape: Tape) -> None:
    """End `activate`."""
    with _lock:
        if tape in _active:
            _active.remove(tape)
        _substitutes.pop(id(tape), None)
    if _current.get() is tape:
        _current.set(None)


def substitute(outer: Tape, inner: Tape | None) -> None:
    """Send `outer`'s requests to `inner` until `restore`: a fixture of wider scope is being set up for the test.

    None: to where they go without any tape, as one that was set up without is being torn down.
    """
    with _lock:
        _substitutes.setdefault(id(outer), []).append(inner)


def restore(outer: Tape, inner: Tape | None) -> None:
    """End `substitute`."""
    with _lock:
        _substitutes[id(outer)].remove(inner)
