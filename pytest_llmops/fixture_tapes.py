"""Fixtures of wider scope than a test: what they ask is on a cassette of their own, whichever tests they serve."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops import naming
from pytest_llmops.cassettes import scope, transfer
from pytest_llmops.cassettes.miss import CassetteMiss
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.cassettes.tape_options import TapeOptions
from pytest_llmops.options import MARKER, Age, RecordMode
from pytest_llmops.running import clean_failures
from pytest_llmops.staleness import check_age


@dataclass
class _Open:
    """A fixture that stands: its tape, what its setup has told of, and whose requests its teardown's would be."""

    tape: Tape
    passed: bool = False
    told: int = 0
    aged: bool = False
    outer: Tape | None = None


class FixtureTapes:
    """The plugin that gives fixtures of wider scope their tapes: from their setup to the end of their teardown.

    Args:
        config: of the session.
        options: what all tapes share.
        mode: the record mode.
        folder: another place for all cassettes.
        resume: in mode ``live``, replay what the broken-off run paid for.
        stale_after: how old a recording may be.
        install: has the HTTP clients intercepted.
        between: has them intercepted, and keys stood in for, while a fixture is set up for an unmarked test.
    """

    def __init__(
        self,
        config: pytest.Config,
        options: TapeOptions,
        *,
        mode: RecordMode,
        folder: Path | None,
        resume: bool,
        stale_after: Age | None,
        install: Callable[[], None],
        between: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._config, self._options, self._folder, self._resume = config, options, folder, resume
        self._mode, self._stale_after, self._install, self._between = mode, stale_after, install, between
        self._torn_down: list[_Open] = []
        self._users: dict[str, list[pytest.Item]] | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Put the fixture's tape in place of the test's: whichever test comes first sets it up."""
        if fixturedef.scope == "function":
            return (yield)
        outer = scope.own()
        user = request.node if outer is not None else self._user(fixturedef, request.session)
        if user is None:
            # Nothing of it is recorded, so its teardown is not either: the last test before that may be a marked one.
            masked: list[Tape] = []
            fixturedef.addfinalizer(lambda: self._unmask(masked))
            try:
                return (yield)
            finally:
                fixturedef.addfinalizer(lambda: self._mask(masked))
        path = naming.fixture_cassette_path(self._config, fixturedef, request, self._folder)
        with clean_failures():
            tape = Tape(
                path,
                self._mode,
                self._options,
                test=f"{fixturedef.baseid}::{fixturedef.argname}",
                command=outer.command if outer is not None else naming.record_command(user),
                resume=self._resume,
            )
        fixture = _Open(tape)
        fixturedef.addfinalizer(lambda: self._leave(fixture))  # the last to be called
        with self._in_force(tape, outer):
            try:
                value = yield
                fixture.passed = True
            finally:
                fixture.told = len(tape.misses)
                fixturedef.addfinalizer(lambda: self._enter(fixture))  # the first
        if tape.misses:
            raise tape.misses[0]
        fixture.aged = transfer.oldest(tape.transfers) is not None
        check_age(request.node, tape, self._stale_after)
        return value

    def _user(self, fixturedef: pytest.FixtureDef[Any], session: pytest.Session) -> pytest.Item | None:
        """A marked test of this run that uses the fixture, which an unmarked one sets up for both."""
        if self._users is None:
            self._users = {}
            for item in session.items:
                if item.get_closest_marker(MARKER) is not None:
                    for name in getattr(item, "fixturenames", ()):
                        self._users.setdefault(name, []).append(item)
        users = self._users.get(fixturedef.argname, ())
        return next((item for item in users if item.nodeid.startswith(fixturedef.baseid)), None)

    @contextmanager
    def _in_force(self, tape: Tape, outer: Tape | None) -> Iterator[None]:
        if outer is not None:
            scope.substitute(outer, tape)
            try:
                yield
            finally:
                scope.restore(outer, tape)
            return
        with self._between():
            scope.activate(tape)
            try:
                yield
            finally:
                scope.deactivate(tape)

    def _mask(self, masked: list[Tape]) -> None:
        tape = scope.own()
        if tape is not None and not tape.closed:
            masked.append(tape)
            scope.substitute(tape, None)

    def _unmask(self, masked: list[Tape]) -> None:
        while masked:
            scope.restore(masked.pop(), None)

    def _enter(self, fixture: _Open) -> None:
        """Its teardown begins. The last of its tests may be unmarked, or the session at its end."""
        tape = scope.own()
        fixture.outer = tape if tape is not None and not tape.closed else None
        if fixture.outer is not None:
            scope.substitute(fixture.outer, fixture.tape)
        else:
            self._install()
            scope.activate(fixture.tape)

    def _leave(self, fixture: _Open) -> None:
        if fixture.outer is not None:
            scope.restore(fixture.outer, fixture.tape)
        else:
            scope.deactivate(fixture.tape)
        self._torn_down.append(fixture)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Write the cassettes of the fixtures that were torn down with a test; raise what these swallowed."""
        try:
            value = yield
        except BaseException:
            self._close(passed=False)
            raise
        unread = [fixture.tape for fixture in self._torn_down if not fixture.aged]
        missed = self._close(passed=True)
        for tape in unread:
            check_age(item, tape, self._stale_after)
        if missed is not None:
            raise missed
        return value

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self) -> Generator[None, Any, Any]:
        """Write those of fixtures that stood until the end: after ``-x``, or Ctrl-C."""
        try:
            return (yield)
        finally:
            try:
                self._close(passed=False)
            except pytest.fail.Exception as error:
                warnings.warn(pytest.PytestWarning(str(error)), stacklevel=1)

    def _close(self, *, passed: bool) -> CassetteMiss | None:
        """Write what is new; the first miss that nobody was told of."""
        missed: CassetteMiss | None = None
        while self._torn_down:
            fixture = self._torn_down.pop(0)
            new = fixture.tape.misses[fixture.told :]
            missed = missed or (new[0] if new else None)
            with clean_failures():
                fixture.tape.close(passed=passed and fixture.passed and not new)
        return missed
