"""Record modes as users meet them: what is sent, what is kept, what is dropped."""

from __future__ import annotations

import json

import pytest

from tests.e2e.user import assert_no_traceback, speaking_to, write_app
from tests.standin import Reply

TEST = """
    import os
    import pytest
    from app import ask

    @pytest.mark.llm_eval
    def test_it(llm_eval):
        for question in os.environ.get("ASK", "a").split("+"):
            llm_eval.run(ask, question)
        assert "FAIL" not in os.environ
"""


@pytest.fixture
def one(project, standin):
    """One recorded test; `run(mode, questions)` returns the run, `sent` and `stored` questions."""
    write_app(project)
    project.file("test_it.py", TEST)

    def run(mode, ask, **env):
        standin.requests.clear()
        given = [f"--llm-record={mode}"] if mode else []
        done = project.run(*given, env=speaking_to(standin, ASK=ask, **env))
        assert_no_traceback(done)
        sent = [request.json["messages"][0]["content"] for request in standin.requests]
        return done, sent, stored()

    def stored():
        files = list((project.path / "cassettes").rglob("*.json"))
        assert len(files) <= 1
        entries = json.loads(files[0].read_text(encoding="utf-8"))["interactions"] if files else []
        return [entry["request"]["body"]["json"]["messages"][0]["content"] for entry in entries]

    return run


def test_once_and_none(one):
    done, sent, stored = one("none", "a")
    assert (done.outcomes, sent, stored) == ({"failed": 1}, [], [])
    done, sent, stored = one(None, "a+b")
    assert (done.returncode, sent, stored) == (0, ["a", "b"], ["a", "b"])
    done, sent, stored = one(None, "b+a")  # order does not matter
    assert (done.returncode, sent, stored) == (0, [], ["a", "b"])
    done, sent, stored = one(None, "a+c")
    assert (done.outcomes, sent, stored) == ({"failed": 1}, [], ["a", "b"])
    done, sent, _ = one(None, "a+a", CI="1")
    assert (done.outcomes, sent) == ({"failed": 1}, [])
    assert "this very request is recorded 1 time, and was made once more" in done.out


def test_new_episodes_and_refresh(one):
    one(None, "a+b")
    done, sent, stored = one("new_episodes", "a+c")
    assert (done.returncode, sent, sorted(stored)) == (0, ["c"], ["a", "b", "c"])
    done, sent, stored = one("refresh", "a+d", FAIL="1")  # a failed test loses nothing
    assert (done.returncode, sent, sorted(stored)) == (1, ["d"], ["a", "b", "c", "d"])
    done, sent, stored = one("refresh", "a+d")
    assert (done.returncode, sent, stored) == (0, [], ["a", "d"])


def test_all_and_live(one):
    one(None, "a+b")
    done, sent, stored = one("live", "a+c")
    assert (done.returncode, sent, stored) == (0, ["a", "c"], ["a", "b"])
    done, sent, stored = one("all", "a+c", FAIL="1")
    assert (done.returncode, sent, sorted(stored)) == (1, ["a", "c"], ["a", "b", "c"])
    done, sent, stored = one("all", "a")
    assert (done.returncode, sent, stored) == (0, ["a"], ["a"])


def test_placeholders_and_unmarked_tests(project, standin):
    """On replay SDK clients can be built without keys; tests without the marker see none of it."""
    write_app(project)
    project.file(
        "test_it.py",
        """
        import http.client, os, socket, urllib.request
        import httpx
        import pytest
        from app import ask

        KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AWS_ACCESS_KEY_ID")
        PLACES = [(httpx.HTTPTransport, "handle_request"), (http.client.HTTPConnection, "request"),
                  (urllib.request.AbstractHTTPHandler, "do_open"), (urllib.request.OpenerDirector, "open"),
                  (socket.socket, "connect"), (socket, "getaddrinfo")]
        ORIGINAL = [getattr(owner, name) for owner, name in PLACES]

        def patched():
            return [name for (owner, name), was in zip(PLACES, ORIGINAL) if getattr(owner, name) != was]

        def test_before():
            assert not patched()
            assert not any(key in os.environ for key in KEYS)
            assert ask("unmarked") == "Echo: unmarked"

        @pytest.mark.llm_eval
        def test_marked(llm_eval):
            assert llm_eval.run(ask, "marked").text
            assert "handle_request" in patched()
            if "CI" in os.environ:
                assert all(os.environ[key] for key in KEYS)
                assert os.environ["GROQ_API_KEY"] == "my own"

        def test_after():
            assert not patched()
            assert not any(key in os.environ for key in KEYS)
            assert os.environ["GROQ_API_KEY"] == "my own"
            assert ask("unmarked") == "Echo: unmarked"
        """,
    )
    env = speaking_to(standin, GROQ_API_KEY="my own")
    assert project.run(env=env).outcomes == {"passed": 3}
    standin.requests.clear()
    assert project.run(env={**env, "CI": "true"}).outcomes == {"passed": 3}
    assert len(standin.requests) == 2  # the two unmarked ones
    assert len(list((project.path / "cassettes").rglob("*.json"))) == 1


def test_a_rerun_starts_anew_and_the_last_attempt_counts(project, standin):
    """pytest-rerunfailures: on live traffic every attempt asks, on replay every attempt finds all recordings."""
    write_app(project)
    project.file(
        "test_it.py",
        """
        import pathlib
        import pytest
        from app import ask

        @pytest.mark.llm_eval(measure=[])
        def test_it(llm_eval):
            attempts = pathlib.Path("attempts")
            number = len(attempts.read_text()) if attempts.exists() else 0
            attempts.write_text("x" * (number + 1))
            llm_eval.run(ask, "a")
            llm_eval.run(ask, "b")
            llm_eval.record("attempt", number)
            assert number == 2
        """,
    )
    env = speaking_to(standin)
    live = project.run("--reruns=3", "--llm-record=all", "--llm-json=run.json", env=env)
    assert live.outcomes == {"passed": 1, "rerun": 2}, live.out
    assert len(standin.requests) == 6
    (project.path / "attempts").unlink()
    run = project.run("--reruns=3", "--llm-record=none", "--llm-json=run.json", env=env, n=2)
    assert run.outcomes == {"passed": 1, "rerun": 2}, run.out
    assert len(standin.requests) == 6
    (test,) = run.record["tests"]
    assert (test["outcome"], test["error"], len(test["calls"])) == ("passed", None, 2)
    assert test["measurements"]["attempt"]["value"] == 2
    assert_no_traceback(run)


@pytest.mark.parametrize("mode", ["once", "new_episodes", "refresh"])
def test_a_rerun_does_not_replay_the_attempt_that_failed(project, standin, mode):
    """What the failed attempt recorded is asked anew; what was on the cassette before is replayed."""
    write_app(project)
    project.file(
        "test_it.py",
        """
        import os
        from app import ask
        import pytest

        @pytest.mark.llm_eval
        def test_it(llm_eval):
            old = llm_eval.run(ask, "old").text
            if "ASK" in os.environ:
                assert llm_eval.run(ask, os.environ["ASK"]).text == "third"
        """,
    )
    standin.script("old", "first", "second", "third")
    env = speaking_to(standin)
    if mode != "once":
        assert project.run(env=env).outcomes == {"passed": 1}
    run = project.run("--reruns=3", f"--llm-record={mode}", env={**env, "ASK": "new"})
    attempts, asked = (1, ["old", "new", "old", "new"]) if mode == "once" else (2, ["old", "new", "new", "new"])
    assert run.outcomes == {"passed": 1, "rerun": attempts}, run.out
    assert [request.json["messages"][-1]["content"] for request in standin.requests] == asked
    assert project.run(env={**env, "ASK": "new", "CI": "1"}).outcomes == {"passed": 1}
    assert_no_traceback(run)


def test_repeated_tests_have_a_recording_each(project, standin):
    pytest.importorskip("pytest_repeat")
    write_app(project)
    project.file("test_it.py", TEST)
    env = speaking_to(standin)
    assert project.run("--count=3", env=env).outcomes == {"passed": 3}
    assert project.run("--count=3", "--llm-record=none", env=env).outcomes == {"passed": 3}
    assert len(standin.requests) == 3


def test_a_key_that_is_refused_is_shown_and_not_kept(one, standin, project):
    standin.script(Reply("no such key", status=401))
    done, _, stored = one(None, "a")
    assert (done.returncode, stored) == (1, [])
    assert "answered 401: shown to the test, not recorded" in done.out
