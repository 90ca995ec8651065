"""Items overlap: set up ahead of their turn, run in threads, and reported in order through pytest's own hooks."""

from __future__ import annotations

import gc
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Generator
from contextvars import Context
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_llmops import clock, pricing
from pytest_llmops.cassettes.transfer import throttled
from pytest_llmops.concurrency import compat, serial
from pytest_llmops.concurrency.attempt import Attempt, in_body, owner
from pytest_llmops.concurrency.order import Order
from pytest_llmops.concurrency.routing import KeptSubtests, Routing
from pytest_llmops.concurrency.slots import Slots
from pytest_llmops.concurrency.timeout import message, of_pytest_timeout

if TYPE_CHECKING:
    from pytest_llmops.concurrency.report import Report
    from pytest_llmops.configuration import Configuration
    from pytest_llmops.session import ItemSession

# With latencies as providers have them, a window of 1 × N takes three times as long as one of 8 × N: it waits for its
# slowest item.
AHEAD = 8
GRACE_S = 2.0
"""How long bodies under way may take to end when the run is stopped."""
ATTEMPTS = 3
"""At a test that fails over a 429; those that overlap are the cause, so it is no failure of its own."""
_BEAT_S = 0.5
"""The main thread wakes that often: bodies that begin meanwhile may have less time left, and Windows has Ctrl-C."""


class Window:
    """The plugin that overlaps marked items; the loop of pytest or of xdist stays in charge.

    When that loop comes to an item, its setup phase has been run, and its body is under way or done. What is left is
    to wait for it, and to let pytest's hooks see it happen.

    """

    def __init__(self, config: pytest.Config, settings: Configuration, report: Report) -> None:
        self._config = config
        self._settings = settings
        self._counts = report
        lock = threading.RLock()
        # Threads wait for a body they may begin, the main thread for bodies that are done. Each event wakes one that it
        # concerns: thirty threads woken to look would keep the interpreter from those that have work.
        self._startable = threading.Condition(lock)
        self._done = threading.Condition(lock)
        self.slots = Slots(settings.concurrency, self._startable)
        self._attempts: dict[pytest.Item, Attempt] = {}
        self._current: pytest.Item | None = None
        self._waiting: deque[tuple[Attempt, Context]] = deque()
        self._threads = self._running = self._finished = 0
        self._stopped = self._ending = self._prepared = False
        self._timed = settings.timeout is not None
        self._reasons: dict[pytest.Item, str | None] = {}
        # Before the interpreter's own last collection: what a user's module holds in a cycle may have a file to flush.
        config.add_cleanup(gc.unfreeze)

    # -- the session ------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Overlap for as long as the items run."""
        self._session: ItemSession | None = self._config.pluginmanager.get_plugin("llmops-items")
        if self._config.option.collectonly or self._session is None or session._setupstate.stack:
            return (yield)
        self._order = Order(session)
        self._explanations = compat.Explanations()
        self._routing = Routing(self._config)
        # Modules and collected items live to the end of the session. Without them the collector's pauses, in which no
        # body goes on, and pytest's collections at the end are half as long.
        gc.freeze()
        self._surroundings = compat.Surroundings(session)
        with compat.setup_tree(session) as self._tree, self._routing.installed(), self._surroundings.installed():
            try:
                return (yield)
            finally:
                self._stop()
                self._let_go()
                self._explanations.end()

    def reason(self, item: pytest.Item) -> str | None:
        """Why an item runs on its own; None where it may overlap."""
        if item not in self._reasons:
            self._reasons[item] = serial.reason(item)
        return self._reasons[item]

    # -- an item's turn ---------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True, specname="pytest_runtest_protocol")
    def pytest_runtest_protocol_outside(self) -> Generator[None, Any, Any]:
        """What pytest set up for this item stays in force for the bodies under way, until the next turn."""
        try:
            return (yield)
        finally:
            if self._attempts:
                self._explanations.restore()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Report an item that may overlap; leave any other to pytest."""
        why = self.reason(item)
        if why is not None or self._stopped:
            self._counts.serial(item, why or "the run was being stopped")
            return None
        self._current = item
        self._explanations.keep()
        self._routing.protocol_begins()
        attempt = self._attempts.get(item) or self._begin(cast("pytest.Function", item))
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        attempt = self._settled(attempt)
        self._report(attempt)
        self._end(attempt, nextitem)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _settled(self, attempt: Attempt) -> Attempt:
        """Wait for an item's body; begin it anew where it failed over a provider that is asked too much."""
        assert self._session is not None
        self._wait(attempt)
        for number in range(2, ATTEMPTS + 1):
            evaluation = self._session.evaluation_of(attempt.item)
            if evaluation is None or not attempt.failed or not throttled(list(evaluation.tape.transfers)):
                break
            evaluation.tape.discard()
            attempt = self._again(attempt.item)
            self._wait(attempt)
            if (evaluation := self._session.evaluation_of(attempt.item)) is not None:
                evaluation.tape.notes.append(f"the provider answered 429: attempt {number} of {ATTEMPTS}")
        return attempt

    def _again(self, item: pytest.Function) -> Attempt:
        self._tree.held.discard(item)
        compat.call_and_report(item, "teardown", log=False, nextitem=item)
        del self._attempts[item]
        compat.drop_request(item)
        compat.drop_sections(item)
        return self._begin(item)

    def _report(self, attempt: Attempt) -> None:
        item = attempt.item
        if attempt.setup is None:
            assert attempt.error is not None
            raise attempt.error
        item.ihook.pytest_runtest_logreport(report=attempt.setup)
        if attempt.setup.passed:
            self._counts.overlapped()
            item.runtest = lambda: self._routing.replay(attempt)  # type: ignore[method-assign]
            try:
                compat.call_and_report(item, "call")
            finally:
                del item.runtest
        for warning in attempt.warnings:
            arguments = {"warning_message": warning, "nodeid": item.nodeid, "when": "runtest", "location": None}
            item.ihook.pytest_warning_recorded.call_historic(kwargs=arguments)

    def _end(self, attempt: Attempt, nextitem: pytest.Item | None) -> None:
        item = attempt.item
        if item.session.shouldfail or item.session.shouldstop:
            nextitem = None
            self._stop()
        else:
            self._fill()
        self._tree.held.discard(item)
        compat.call_and_report(item, "teardown", nextitem=nextitem)
        del self._attempts[item]
        compat.drop_request(item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A call phase took as long as its body, not as long as its replay."""
        attempt = self._attempts.get(item)
        if attempt is not None and call.when == "call" and attempt.started and attempt.ended:
            call.start, call.stop = attempt.started[0], attempt.ended[0]
            call.duration = attempt.ended[1] - attempt.started[1]
        return (yield)

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item) -> bool | None:
        """pytest-timeout would time the replay; its limit is kept here."""
        return True if self.reason(item) is None else None

    # -- ahead of their turn ----------------------------------------------------------------------------------------

    def _begin(self, item: pytest.Function) -> Attempt:
        """Run an item's setup phase, and hand its body to the threads."""
        pricing.import_client()
        attempt = self._attempts[item] = Attempt(item, self._limit_of(item))
        self._tree.held.add(item)
        compat.make_request(item)
        token = owner.set(attempt)
        try:
            self._set_up(attempt)
            if not attempt.done:
                self._enqueue(attempt, self._tree.contexts[item])
        finally:
            owner.reset(token)
        return attempt

    def _limit_of(self, item: pytest.Item) -> float | None:
        marker = item.get_closest_marker("timeout")  # pytest-timeout's
        given = marker.kwargs.get("timeout", marker.args[0] if marker.args else None) if marker is not None else None
        if given:
            limits = [float(given)]
        else:
            known = (self._settings.timeout, of_pytest_timeout(self._config))
            limits = [limit for limit in known if limit is not None]
        self._timed = self._timed or bool(limits)
        return min(limits, default=None)

    def _set_up(self, attempt: Attempt) -> None:
        item = attempt.item
        try:
            report = attempt.setup = compat.call_and_report(item, "setup", log=False)
        except pytest.exit.Exception as error:  # the run ends at this item's turn, not at the one before
            attempt.error, attempt.done = error, True
            self._ending = True
            return
        attempt.done = not report.passed
        if report.passed and "subtests" in item.funcargs:
            attempt.subtests = item.funcargs["subtests"]
            item.funcargs["subtests"] = KeptSubtests(attempt)

    def _fill(self) -> None:
        """Start coming items, until enough bodies are ready or the next one has to wait for those under way."""
        assert self._current is not None
        enough = 2 * self.slots.limit  # the main thread may be long in a fixture or a report; no slot waits for it
        while not (self._stopped or self._ending) and len(self._attempts) < AHEAD * self.slots.maximum:
            if self._running + len(self._waiting) >= enough or self._about_to_stop():
                return
            item = self._order.following(self._current, self._attempts)
            if item is None or self._must_wait(item) or not self._order.take(item):
                return
            self._surroundings.enter(item)
            self._begin(cast("pytest.Function", item))

    def _must_wait(self, item: pytest.Item) -> bool:
        """Whether an item's setup would tear down or set up what those under way share."""
        if self.reason(item) is not None or compat.has_unset_fixture(cast("pytest.Function", item)):
            return True
        wide = compat.wide_parameters(item)
        for other in self._attempts if wide else ():
            theirs = compat.wide_parameters(other)
            if any(theirs[name] != index for name, index in wide.items() if name in theirs):
                return True
        chain = set(item.listchain())
        if chain - {item} <= self._tree.stack.keys():
            return False
        left = (node for node in self._tree.stack if node not in chain and not isinstance(node, pytest.Item))
        return any(self._tree.finalizers(node) > 1 for node in left)

    def _about_to_stop(self) -> bool:
        """Whether failures that are not reported yet reach ``--maxfail``."""
        limit = self._config.getoption("maxfail", 0)
        return bool(limit) and self._current is not None and self._failures() >= limit

    def _failures(self) -> int:
        assert self._current is not None
        unreported = (a for a in self._attempts.values() if a.item is not self._current and a.done)
        return self._current.session.testsfailed + sum(a.failed for a in unreported)

    # -- bodies -----------------------------------------------------------------------------------------------------

    def _enqueue(self, attempt: Attempt, context: Context) -> None:
        with self._startable:
            self._waiting.append((attempt, context))
            self._staff()
            self._startable.notify()

    def _staff(self) -> None:
        """Start as many threads as there are bodies for them."""
        while self._threads < min(self.slots.maximum, self._running + len(self._waiting)):
            self._threads += 1
            threading.Thread(target=self._work, name=f"llmops-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            attempt, context = taken
            error = context.run(self._run_body, attempt)
            with self._startable:
                if attempt.done:
                    return  # given up; another thread has taken this one's place
                attempt.error, attempt.traceback = error, error.__traceback__ if error is not None else None
                self._finish(attempt)
            del taken, attempt, context, error  # or this frame keeps them until the next body

    def _take(self) -> tuple[Attempt, Context] | None:
        """Wait for a body and a free slot; None at the end of the run."""
        with self._startable:
            while not self._stopped:
                pause = self.slots.pause()
                if self._waiting and not pause and self._running < self.slots.limit:
                    attempt, context = self._waiting.popleft()
                    self._running += 1
                    self._counts.running(self._running)
                    attempt.thread = threading.current_thread()
                    attempt.started = time.time(), clock.counter()
                    if self._waiting:
                        self._startable.notify()  # the one that was woken wakes the next, where one more may begin
                    return attempt, context
                self._startable.wait(pause or None)
        return None

    def _run_body(self, attempt: Attempt) -> BaseException | None:
        assert self._session is not None
        owned, inside = owner.set(attempt), in_body.set(attempt)
        try:
            with self._session.evaluated(attempt.item):
                attempt.item.runtest()
        except BaseException as error:  # whatever ends a body is its outcome, raised again at its turn
            return error
        finally:
            in_body.reset(inside)
            owner.reset(owned)
        return None

    def _finish(self, attempt: Attempt) -> None:
        attempt.ended = time.time(), clock.counter()
        attempt.done = True
        self._running -= 1
        self._finished += 1
        if attempt.item is self._current or len(self._waiting) <= self.slots.limit // 2:
            self._done.notify()

    def _wait(self, attempt: Attempt) -> None:
        """Until a body is done; meanwhile start others."""
        while not attempt.done:
            seen = self._finished
            self._fill()
            self._prepare()
            with self._done:
                left = self._expire()
                self._done.wait_for(lambda seen=seen: attempt.done or self._finished != seen, left)  # type: ignore[misc]

    def _prepare(self) -> None:
        """Import what reading the answers and the end of the run need, while the first answers are under way."""
        if not self._prepared:
            self._prepared = True
            from pytest_llmops import compare, environment  # noqa: F401

            pricing.load()
            environment.describe(self._config)
            gc.freeze()  # the price table: as many objects as a thousand items

    def _expire(self) -> float:
        """Give up bodies that take too long; the seconds until the next one might."""
        if not self._timed:
            return _BEAT_S
        now, left = clock.counter(), _BEAT_S
        for attempt in list(self._attempts.values()):
            if attempt.timeout is not None and attempt.started is not None and not attempt.done:
                remaining = attempt.started[1] + attempt.timeout + self._held_s(attempt) - now
                if remaining <= 0:
                    ours = attempt.timeout == self._settings.timeout
                    self._give_up(attempt, message(attempt.timeout, "--llm-timeout" if ours else "pytest-timeout"))
                else:
                    left = min(left, remaining)
        return left

    def _held_s(self, attempt: Attempt) -> float:
        """What a quota or a provider held it back is not its own time."""
        assert self._session is not None
        evaluation = self._session.evaluation_of(attempt.item)
        return evaluation.tape.holding.seconds if evaluation is not None else 0.0

    def _give_up(self, attempt: Attempt, why: str) -> None:
        """Stop waiting for a body. Its thread cannot be ended; it makes no more calls, and ends with the process."""
        assert self._session is not None
        evaluation = self._session.evaluation_of(attempt.item)
        if evaluation is not None:
            evaluation.tape.abandoned = True
        frame = sys._current_frames().get(attempt.thread.ident or 0) if attempt.thread is not None else None
        stack = "".join(traceback.format_stack(frame)[-3:]).rstrip() if frame is not None else ""
        attempt.error = pytest.fail.Exception(f"{why}; it was at\n{stack}" if stack else why, pytrace=False)
        self._finish(attempt)
        self._threads -= 1
        self._staff()
        self._startable.notify()
        if attempt.pending is not None:
            attempt.pending.cancel()

    def _let_go(self) -> None:
        """After Ctrl-C or `pytest.exit`: what is still set up is pytest's to tear down, the item's fixtures first."""
        attempt = self._attempts.get(self._current) if self._current is not None else None
        if attempt is not None and attempt.running:
            with self._done:
                if attempt.pending is not None:
                    attempt.pending.cancel()
                self._done.wait_for(lambda: attempt.done, GRACE_S)
                if attempt.running:
                    self._give_up(attempt, "the run was stopped")
        self._tree.held.clear()

    def _stop(self) -> None:
        """Drop what is not reported: its fixtures are torn down, and what it recorded is kept."""
        if self._stopped:
            return
        with self._done:
            self._stopped = True
            self._waiting.clear()
            self._startable.notify_all()
            dropped = [a for item, a in self._attempts.items() if item is not self._current]
            for attempt in dropped:
                if attempt.pending is not None:
                    attempt.pending.cancel()
            self._done.wait_for(lambda: not any(a.running for a in dropped), GRACE_S)
            for attempt in dropped:
                if attempt.running:
                    self._give_up(attempt, "the run was stopped")
        for attempt in reversed(dropped):
            self._tree.held.discard(attempt.item)
            if attempt.setup is not None:
                compat.call_and_report(attempt.item, "teardown", log=False, nextitem=self._current)
            self._surroundings.leave(attempt.item)
            del self._attempts[attempt.item]
