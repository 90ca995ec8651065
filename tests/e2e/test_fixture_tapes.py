"""Fixtures of wider scope: what their setup and their teardown ask is on their own cassette, whoever runs them."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Project
from tests.e2e.user import speaking_to, write_app
from tests.standin import StandIn

TESTS = """
    import os, pytest
    from app import ask

    @pytest.fixture(scope="session")
    def outer():
        ask("open")
        yield
        ask("close")

    @pytest.fixture(scope="module")
    def agent(outer):
        yield ask
        assert ask(os.environ.get("BYE", "bye"))

    @pytest.mark.llm_eval
    def test_one(agent):
        agent("one")

    @pytest.mark.llm_eval
    def test_two(agent):
        agent("two")

    def test_unmarked(agent):
        pass
"""


@pytest.fixture
def recorded(project: Project, standin: StandIn) -> Project:
    write_app(project)
    project.file("test_it.py", TESTS)
    run = project.run("-q", env=speaking_to(standin))
    assert run.returncode == 0, run.out
    assert len(standin.requests) == 5
    standin.reset()
    return project


def stored(project: Project) -> dict[str, list[str]]:
    found = {}
    for path in sorted((project.path / "cassettes").rglob("*.json")):
        entries = json.loads(path.read_text())["interactions"]
        found[path.stem.rpartition("-")[0]] = [e["request"]["body"]["json"]["messages"][0]["content"] for e in entries]
    return found


def test_a_teardown_asks_on_its_fixtures_cassette(recorded: Project, standin: StandIn) -> None:
    expected = {
        "fixture-agent": ["bye"],
        "fixture-outer": ["open", "close"],
        "test_one": ["one"],
        "test_two": ["two"],
    }
    assert stored(recorded) == expected
    env = speaking_to(standin)
    for arguments, n in (([], None), (["-k", "one"], None), (["-k", "two or one", "-x"], None), ([], 2)):
        run = recorded.run("-q", "--llm-record=none", *arguments, env=env, n=n)
        assert run.returncode == 0, run.out
    assert standin.requests == []
    assert recorded.run("-q", "--llm-record=refresh", env=env).returncode == 0
    assert stored(recorded) == expected
    assert recorded.run("-q", "--llm-record=all", env=env).returncode == 0
    assert stored(recorded) == expected
    assert len(standin.requests) == 5


REVERSED = {"first": -1, "last": 1}

UNMARKED = """
    import os
    import pytest
    from app import ask

    @pytest.fixture(scope="module")
    def plain():
        yield "here"
        ask("nobody's")

    def test_plain(plain):
        assert "OPENAI_API_KEY" not in os.environ

    @pytest.mark.llm_eval
    def test_last():
        ask("last")
"""


@pytest.mark.parametrize("order", ["first", "last"])
def test_a_fixtures_cassette_is_its_own_also_where_an_unmarked_test_comes_first(
    project: Project, standin: StandIn, order: str
) -> None:
    """As in a shuffled run, or in one of xdist's workers."""
    write_app(project)
    project.file(
        "conftest.py", f"def pytest_collection_modifyitems(items):\n    items[:] = items[::{REVERSED[order]}]\n"
    )
    project.file("test_it.py", TESTS)
    env = speaking_to(standin)
    run = project.run("-q", env=env)
    assert run.returncode == 0, run.out
    assert stored(project)["fixture-outer"] == ["open", "close"]
    assert stored(project)["fixture-agent"] == ["bye"]
    standin.reset()
    project.file(
        "conftest.py", f"def pytest_collection_modifyitems(items):\n    items[:] = items[::{-REVERSED[order]}]\n"
    )
    run = project.run("-q", "--llm-record=none", env=env)
    assert (run.outcomes, standin.requests) == ({"passed": 3}, []), run.out
    assert project.run("-q", "-k", "unmarked", env=env).returncode == 0
    assert len(standin.requests) == 3  # no marked test of that run uses the fixtures
    assert len(stored(project)) == 4


def test_what_only_unmarked_tests_use_is_torn_down_without_a_cassette(project: Project, standin: StandIn) -> None:
    write_app(project)
    project.file("test_it.py", UNMARKED)
    env = speaking_to(standin)
    for _ in ("recording", "replaying"):
        run = project.run("-q", env=env)
        assert run.returncode == 0, run.out
    assert stored(project) == {"test_last": ["last"]}
    standin.reset()
    run = project.run("-q", "--llm-record=none", env=env)
    assert run.returncode == 0, run.out
    assert [request.path for request in standin.requests] == ["/v1/chat/completions"]


def test_a_miss_in_a_teardown_fails_and_keeps_the_recording(recorded: Project, standin: StandIn) -> None:
    before = stored(recorded)
    run = recorded.run("-q", "--llm-record=none", env=speaking_to(standin, BYE="farewell"))
    assert (run.outcomes, standin.requests) == ({"passed": 3, "errors": 1}, []), run.out
    run.match("*fixture-agent-*.json' has no recording for call 1*", "*differs in messages*")
    recorded.file("test_it.py", TESTS.replace('assert ask(os.environ.get("BYE", "bye"))', "swallow()").replace(
        "@pytest.fixture(scope=\"session\")", """def swallow():
        try:
            ask("farewell")
        except BaseException:
            pass

    @pytest.fixture(scope="session")"""))  # fmt: skip
    run = recorded.run("-q", "--llm-record=none", env=speaking_to(standin))
    assert (run.outcomes, standin.requests) == ({"passed": 3, "errors": 1}, []), run.out
    run.match("*fixture-agent-*.json' has no recording for call 1*")
    recorded.file("test_it.py", TESTS.replace("assert ask(os", "assert 0, (os"))
    assert recorded.run("-q", "--llm-record=refresh", env=speaking_to(standin)).outcomes["errors"] == 1
    assert stored(recorded) == before


def test_fixtures_recordings_grow_old(recorded: Project, standin: StandIn) -> None:
    for path in (recorded.path / "cassettes").rglob("fixture-*.json"):
        path.write_text(path.read_text().replace('"recorded_at": "20', '"recorded_at": "19'))
    env = speaking_to(standin)
    warned = recorded.run("-q", "--llm-stale-after=30", "--llm-record=none", env=env)
    assert warned.returncode == 0, warned.out
    warned.match("*StaleRecordingWarning: cassettes/test_it/fixture-outer-*.json: recorded * days ago*")
    warned.match("*StaleRecordingWarning: cassettes/test_it/fixture-agent-*.json: recorded * days ago*")
    failed = recorded.run("-q", "--llm-stale-after=30:fail", "--llm-record=none", env=env)
    failed.match("*stale recording: cassettes/test_it/fixture-outer-*")


SWALLOWED = """
    import pytest
    from app import ask

    pytestmark = pytest.mark.llm_eval

    def swallow():
        try:
            ask("never recorded")
        except BaseException:
            pass

    @pytest.fixture
    def in_setup():
        swallow()

    @pytest.fixture
    def in_setup_then_skipped():
        swallow()
        pytest.skip("no weather")

    @pytest.fixture
    def in_setup_then_broken():
        swallow()
        raise ValueError

    @pytest.fixture
    def in_teardown():
        yield
        swallow()

    def test_setup(in_setup): pass

    def test_setup_skips(in_setup_then_skipped): pass

    @pytest.mark.xfail
    def test_setup_breaks(in_setup_then_broken): pass

    def test_teardown(in_teardown): pass

    @pytest.mark.xfail
    def test_teardown_of_an_expected_failure(in_teardown): assert 0

    def test_skip():
        swallow()
        pytest.skip("no weather")

    @pytest.mark.xfail
    def test_xfail(): ask("never recorded")

    @pytest.mark.xfail(strict=True, raises=ValueError)
    def test_xfail_raises():
        swallow()
        raise ValueError

    @pytest.mark.xfail(raises=BaseException)
    def test_xfail_anything(): ask("never recorded")

    def test_xfails():
        swallow()
        pytest.xfail("no weather")

    @pytest.mark.xfail
    def test_expected_failure(): assert 0

    def test_skipped(): pytest.skip("no weather")
"""


def test_no_miss_is_silent_whatever_a_test_makes_of_it(project: Project, standin: StandIn) -> None:
    write_app(project)
    project.file("test_it.py", SWALLOWED)
    run = project.run("-q", "-rA", "--llm-record=none", "--tb=short", env=speaking_to(standin))
    assert standin.requests == []
    found = dict(line.split(" - ")[0].split()[1::-1] for line in run.out.splitlines() if "test_it.py::" in line[:20])
    assert {name.partition("::")[2]: outcome for name, outcome in found.items()} == {
        "test_setup": "FAILED",
        "test_setup_skips": "ERROR",
        "test_setup_breaks": "ERROR",
        "test_teardown": "ERROR",
        "test_teardown_of_an_expected_failure": "ERROR",
        "test_skip": "FAILED",
        "test_xfail": "FAILED",
        "test_xfail_raises": "FAILED",
        "test_xfail_anything": "FAILED",
        "test_xfails": "FAILED",
        "test_expected_failure": "XFAIL",
    }, run.out
    assert run.outcomes == {"failed": 6, "errors": 4, "passed": 1, "skipped": 2, "xfailed": 3}, run.out
    assert run.out.count("does not exist (call 1)") >= 10


def test_a_decorated_fixture_is_recorded_beside_its_own_file(project: Project, standin: StandIn) -> None:
    write_app(project)
    project.file(
        "lib/decorators.py",
        """
        import functools

        def logged(function):
            @functools.wraps(function)
            def wrapper(*args):
                return function(*args)
            return wrapper
        """,
    )
    project.file("pytest.ini", "[pytest]\npythonpath = . lib")
    project.file(
        "test_it.py",
        """
        import functools, pytest
        from app import ask
        from decorators import logged

        @pytest.fixture(scope="module")
        @logged
        def warm():
            return ask("warm")

        @pytest.mark.llm_eval
        def test_one(warm):
            assert ask("one")
        """,
    )
    assert project.run("-q", env=speaking_to(standin)).outcomes == {"passed": 1}
    assert stored(project) == {"fixture-warm": ["warm"], "test_one": ["one"]}
    assert not (project.path / "lib" / "cassettes").exists()
