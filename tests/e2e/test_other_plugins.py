"""Beside other plugins: small ones stand in for those that need not be installed here, and do what those do."""

from __future__ import annotations

import os

import pytest

from tests.conftest import Project, Run
from tests.e2e.user import speaking_to, write_app
from tests.standin import StandIn

PLUGINS = ("-p", "pytest_llmops.plugin", "-p", "pytest_asyncio.plugin")
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def overlapped(project: Project, *args: str) -> Run:
    options = ("--llm-record=live", "--llm-concurrency=4", "--llm-concurrency-report")
    return project.run(*PLUGINS, *options, *args, env=ALONE)


# -- overlapped evaluations --------------------------------------------------------------------------------------------

# As pytest-json-report, allure-pytest and pytest-retry do.
KEEPER = """
    import pytest

    told = []

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(item, nextitem):
        item.kept = {"next": nextitem.name if nextitem else None}
        yield
        told.append((item.name, item.kept))
        del item.kept

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(item):
        item.kept["setup"] = "entered"
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        item.kept[report.when] = report.outcome
        return report

    def pytest_terminal_summary(terminalreporter):
        for name, kept in told:
            terminalreporter.write_line(f"{name}: {kept}")
"""


def test_what_a_plugin_keeps_around_an_item_is_there_in_all_its_phases(project: Project) -> None:
    project.file("conftest.py", KEEPER)
    project.file(
        "test_kept.py",
        """
        import pytest

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(5))
        def test_any(n): pass

        def test_unmarked(): pass

        @pytest.mark.llm_eval
        def test_last(): pass
        """,
    )
    run = overlapped(project)
    run.match("6 overlapped, *")
    names = [*(f"test_any[{n}]" for n in range(5)), "test_unmarked", "test_last"]
    phases = "'setup': 'passed', 'call': 'passed', 'teardown': 'passed'"
    for name, after in zip(names, [*names[1:], None], strict=True):
        assert f"{name}: {{'next': {after!r}, {phases}}}" in run.out, run.out
    run.match("* 7 passed in *")


def test_what_a_plugin_keeps_is_dropped_with_tests_that_do_not_run(project: Project) -> None:
    project.file("conftest.py", KEEPER)
    project.file(
        "test_stopped.py",
        """
        import pytest

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(5))
        def test_any(n): assert n != 1
        """,
    )
    run = overlapped(project, "-x")
    run.match("test_any[[]1[]]: *'call': 'failed', *", "* 1 failed, 1 passed in *")
    run.no_match("test_any[[]2[]]: *")
    run.no_match("*INTERNALERROR*")


@pytest.mark.parametrize(("decorator", "package"), [("freeze", "freezegun"), ("fake", "responses"), ("aio", "respx")])
def test_a_decorator_that_changes_the_process_keeps_a_test_on_its_own(
    project: Project, decorator: str, package: str
) -> None:
    project.file(
        f"{package}/__init__.py",
        """
        import functools

        def decorator(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper
        """,
    )
    project.file(
        "test_decorated.py",
        f"""
        import functools
        import pytest
        from {package} import decorator as {decorator}

        def own(function):
            return functools.wraps(function)(lambda: function())

        @pytest.mark.llm_eval
        @own
        @{decorator}
        def test_decorated(): pass

        @pytest.mark.llm_eval
        @own
        def test_plain(): pass
        """,
    )
    run = overlapped(project)
    run.match("1 overlapped, *; 1 ran on their own", f"  1 × decorated by {package}: test_decorated.py::test_decorated")


def test_a_test_that_depends_on_another_waits_for_its_report(project: Project) -> None:
    """As pytest-dependency: the marked test's setup looks at what was reported of the others."""
    project.file(
        "conftest.py",
        """
        import pytest

        reported = set()

        def pytest_runtest_logreport(report):
            if report.when == "call":
                reported.add(report.nodeid.partition("::")[2])

        def pytest_runtest_setup(item):
            for marker in item.iter_markers("dependency"):
                if not reported.issuperset(marker.kwargs.get("depends", ())):
                    pytest.skip("depends on what has not passed")

        def pytest_configure(config):
            config.addinivalue_line("markers", "dependency(name, depends): as pytest-dependency's")
        """,
    )
    project.file(
        "test_depending.py",
        """
        import pytest

        @pytest.mark.llm_eval
        @pytest.mark.dependency
        def test_first(): pass

        @pytest.mark.llm_eval
        @pytest.mark.dependency(depends=["test_first"])
        def test_second(): pass
        """,
    )
    run = overlapped(project)
    run.match("1 overlapped, *", "  1 × marker dependency: *::test_second", "* 2 passed in *")


def test_what_pytest_django_does_for_every_test_stops_none_from_overlapping(project: Project) -> None:
    project.file("pytest_django/__init__.py", "")
    project.file(
        "pytest_django/plugin.py",
        """
        import pytest

        @pytest.fixture(autouse=True)
        def _template_string_if_invalid_marker(monkeypatch): pass

        @pytest.fixture
        def db(): pass

        def pytest_configure(config):
            config.addinivalue_line("markers", "django_db: as pytest-django's")
        """,
    )
    project.file(
        "test_django.py",
        """
        import pytest

        pytestmark = pytest.mark.llm_eval

        def test_plain(): pass

        def test_patches(monkeypatch): pass

        @pytest.fixture
        def user(db): pass

        def test_user(user): pass

        @pytest.mark.django_db
        def test_marked(): pass
        """,
    )
    run = overlapped(project, "-p", "pytest_django.plugin")
    run.match(
        "1 overlapped, *; 3 ran on their own",
        "  1 × fixture monkeypatch: *::test_patches",
        "  1 × fixture db of pytest-django: *::test_user",
        "  1 × marker django_db: *::test_marked",
        "* 4 passed in *",
    )


@pytest.mark.parametrize("option", ["--force-flaky", "--forked", "--testmon", "--force-reruns"])
def test_under_options_that_need_one_test_at_a_time_nothing_overlaps(project: Project, option: str) -> None:
    project.file(
        "conftest.py", f"def pytest_addoption(parser):\n    parser.addoption({option!r}, action='store_true')\n"
    )
    project.file("test_any.py", "import pytest\n\n@pytest.mark.llm_eval\ndef test_any(): pass\n")
    overlapped(project, option).match(f"none: {option} was given", "* 1 passed in *")
    overlapped(project).match("1 overlapped, *", "* 1 passed in *")


def test_reruns_that_the_ini_file_asks_for_run_one_by_one(project: Project) -> None:
    project.file("pytest.ini", "[pytest]\nreruns = 1\n")
    project.file(
        "test_flaky.py",
        """
        import pytest

        attempts = []

        @pytest.mark.llm_eval
        def test_flaky():
            attempts.append(1)
            assert len(attempts) == 2
        """,
    )
    run = overlapped(project, "-p", "pytest_rerunfailures")
    run.match("none: reruns is set", "* 1 passed, 1 rerun in *")


# -- a clock that stands still -----------------------------------------------------------------------------------------

# As freezegun: it replaces the functions in `time`, and every name by which a module holds them.
FROZEN = """
    import datetime, sys, time
    import pytest
    from app import ask

    class Frozen(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2001, 2, 3, tzinfo=tz)

    @pytest.fixture
    def frozen(monkeypatch):
        real = datetime.datetime, time.time, time.perf_counter
        fake = Frozen, lambda: 981158400.0, lambda: 5.0
        for module in [*sys.modules.values()]:
            for name, value in [*getattr(module, "__dict__", {}).items()]:
                if module not in (datetime, sys.modules[__name__]) and any(value is one for one in real):
                    monkeypatch.setattr(module, name, fake[real.index(value)])

    @pytest.mark.llm_eval
    def test_frozen(llm_eval, frozen):
        result = llm_eval.run(ask, "what year is it?")
        assert result.latency_ms > 0
        assert time.time() == 981158400.0
"""


def test_a_frozen_clock_freezes_neither_latency_nor_the_date_of_a_recording(project: Project, standin: StandIn) -> None:
    write_app(project)
    project.file("test_it.py", FROZEN)
    env = speaking_to(standin)
    recording = project.run("-q", env=env)
    assert recording.returncode == 0, recording.out
    (cassette,) = (project.path / "cassettes").rglob("*.json")
    assert '"recorded_at": "2001-' not in cassette.read_text()
    replay = project.run("-q", "--llm-record=none", "--llm-stale-after=30:fail", env=env)
    assert replay.returncode == 0, replay.out
    cassette.write_text(cassette.read_text().replace('"recorded_at": "20', '"recorded_at": "19'))
    replay = project.run("-q", "--llm-record=none", "--llm-stale-after=30:fail", env=env)
    replay.match("*stale recording: *")


# -- HTTP that the test answers itself ---------------------------------------------------------------------------------

# As respx: it replaces what is below httpx' transports.
ANSWERED = """
    import httpcore, httpx
    import pytest
    from app import ask

    @pytest.fixture
    def weather(monkeypatch):
        original = httpcore.ConnectionPool.handle_request, httpcore.AsyncConnectionPool.handle_async_request

        def handle_request(self, request):
            if request.url.host != b"weather.example":
                return original[0](self, request)
            return httpcore.Response(200, content=b"fine")

        async def handle_async_request(self, request):
            if request.url.host != b"weather.example":
                return await original[1](self, request)
            return httpcore.Response(200, content=b"fine")

        monkeypatch.setattr(httpcore.ConnectionPool, "handle_request", handle_request)
        monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", handle_async_request)

    def ask_about(weather):
        return ask(f"It is {weather}. Umbrella?")

    @pytest.mark.llm_eval
    def test_answered(llm_eval, weather):
        assert llm_eval.run(ask_about, httpx.get("https://weather.example/today").text).text

    @pytest.mark.llm_eval
    async def test_answered_async(llm_eval, weather):
        async with httpx.AsyncClient() as client:
            told = await client.get("https://weather.example/today")
        assert llm_eval.run(ask_about, told.text).text

    @pytest.mark.llm_eval
    def test_not_answered(llm_eval, weather):
        llm_eval.run(ask, "hi")
        httpx.get("https://else.example/today")
"""


def test_what_a_test_answers_below_httpx_is_no_traffic_on_replay(project: Project, standin: StandIn) -> None:
    write_app(project)
    project.file("test_it.py", ANSWERED)
    env = speaking_to(standin)
    assert project.run("-q", "-k", "not not_answered", env=env).returncode == 0
    standin.reset()
    run = project.run("-q", "--llm-record=none", env=env)
    assert (run.outcomes, standin.requests) == ({"passed": 2, "failed": 1}, []), run.out


# -- a process of its own for each test --------------------------------------------------------------------------------

# As pytest-forked.
FORKING = """
    import json, os
    import pytest
    from _pytest.runner import runtestprotocol

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(item, nextitem):
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            reports = runtestprotocol(item, log=False)
            with os.fdopen(writing, "w") as stream:
                json.dump([report._to_json() for report in reports], stream)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as stream:
            for told in json.load(stream):
                item.ihook.pytest_runtest_logreport(report=pytest.TestReport._from_json(told))
        os.waitpid(child, 0)
        return True
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_records_come_home_from_a_process_that_was_forked_for_the_test(project: Project, standin: StandIn) -> None:
    write_app(project)
    project.file("conftest.py", FORKING)
    project.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval(trials=2)
        def test_any(llm_eval):
            assert llm_eval.run(ask, "hi").text
        """,
    )
    run = project.run(*PLUGINS, "--llm-json=run.json", env={**ALONE, **speaking_to(standin)})
    assert run.outcomes == {"passed": 2}, run.out
    assert run.record is not None
    assert [len(test["calls"]) for test in run.record["tests"]] == [1, 1]
