"""Bad input: one clear message that says what, where and what to do next; nothing of the plugin's inside."""

from __future__ import annotations

import json

import pytest

from tests.e2e.user import assert_no_traceback, speaking_to, write_app
from tests.standin import Reply

TEST = """
    import pytest
    from app import ask

    @pytest.mark.llm_eval
    def test_it(llm_eval):
        open("ran", "w").close()
        assert llm_eval.run(ask, "hello").text
"""
BASELINE = {
    "schema": 1,
    "created": "2026-01-01T00:00:00+00:00",
    "fingerprint": {},
    "metrics": {},
    "cases": [],
}


@pytest.fixture
def app(project):
    write_app(project)
    project.file("test_it.py", TEST)
    return project


# options, environment, files → what the usage error says
REFUSED = {
    "record mode": (["--llm-record=onse"], {}, {}, ["--llm-record: 'onse' is not one of", "Did you mean 'once'?"]),
    "trials": (["--llm-trials=0"], {}, {}, ["--llm-trials: '0' is not between 1 and 1000"]),
    "alpha": (["--llm-alpha=5"], {}, {}, ["--llm-alpha: '5' is not between 0 and 1"]),
    "inconclusive": (["--llm-inconclusive=fial"], {}, {}, ["Did you mean 'fail'?"]),
    "environment": ([], {"PYTEST_LLM_RECORD": "x"}, {}, ["environment variable PYTEST_LLM_RECORD: 'x' is not one of"]),
    "ini": ([], {}, {"pytest.ini": "[pytest]\nllm_trials = many\n"}, ["ini setting llm_trials: 'many' is not a whole"]),
    "unknown key": (
        [], {}, {"pyproject.toml": "[tool.pytest-llmops]\nscurb = []\n"},
        ["[tool.pytest-llmops]: unknown key 'scurb'. Did you mean 'scrub'?"],
    ),
    "unknown inner key": (
        [], {}, {"pyproject.toml": "[tool.pytest-llmops.metrics.x]\ndirecton = 'higher'\n"},
        ["unknown key 'directon'. Did you mean 'direction'?"],
    ),
    "baseline missing": (
        ["--llm-baseline=base.json"], {}, {},
        ["base.json: there is no baseline here. Make one: pytest --llm-baseline=", "--llm-update-baseline"],
    ),
    "baseline missing, by environment": (
        [], {"PYTEST_LLM_BASELINE": "base.json"}, {}, ["base.json: there is no baseline here."]
    ),
    "baseline cut": (
        ["--llm-baseline=base.json"], {}, {"base.json": '{"schema": 1, "cases": [\n'},
        ["the file ends in the middle (line 2)", "Restore it from git"],
    ),
    "baseline newer": (
        ["--llm-baseline=base.json"], {}, {"base.json": json.dumps({**BASELINE, "schema": 2})},
        ["has schema 2, the installed pytest-llmops reads up to 1. Upgrade: pip install -U pytest-llmops"],
    ),
    "baseline of nothing": (["--llm-baseline=."], {}, {}, ["the baseline cannot be read"]),
    "accept missing": (
        ["--llm-baseline=base.json", "--llm-accept=ok.toml"], {}, {"base.json": json.dumps(BASELINE)},
        ["ok.toml: there is no file of accepted changes here."],
    ),
    "accept damaged": (
        ["--llm-baseline=base.json"], {}, {"base.json": json.dumps(BASELINE), "llm-accept.toml": "[[accept]\n"},
        ["llm-accept.toml: cannot be read"],
    ),
    "one file for two": (
        ["--llm-baseline=base.json", "--llm-json=./base.json"], {}, {"base.json": json.dumps(BASELINE)},
        ["--llm-baseline and --llm-json both name ", "base.json; give one of them another file."],
    ),
    "update without a file": (["--llm-update-baseline"], {}, {}, ["needs the file to write: --llm-baseline=base"]),
    "update under CI": (
        ["--llm-update-baseline", "--llm-baseline=new.json"], {"CI": "true"}, {},
        ["is refused where CI is set", "add --llm-force"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_usage_error_before_any_test(app, name):
    args, env, files, said = REFUSED[name]
    for file, text in files.items():
        app.file(file, text)
    run = app.run(*args, env=env)
    assert run.returncode == 4, run.out
    for words in said:
        assert words in run.out
    assert len(run.out.strip().splitlines()) <= 4, run.out
    assert_no_traceback(run)
    assert not (app.path / "ran").exists()


def test_the_flag_wins_over_the_environment_and_that_over_the_ini_file(app, standin):
    app.file("pytest.ini", "[pytest]\nllm_record = none\n")
    env = speaking_to(standin)
    app.run("--co", env=env).match("llmops: record mode none*")
    app.run("--co", env={**env, "PYTEST_LLM_RECORD": "live"}).match("llmops: record mode live*")
    app.run("--co", "--llm-record=all", env={**env, "PYTEST_LLM_RECORD": "live"}).match("llmops: record mode all*")


def test_a_usage_error_is_one_message_under_xdist_too(app):
    app.file("pyproject.toml", "[tool.pytest-llmops]\nscurb = []\n")
    run = app.run(n=2)
    assert run.returncode == 4
    assert run.out.count("unknown key 'scurb'") == 1
    assert_no_traceback(run)


CASSETTES = {
    "cut": ('{"schema": 1, "interactions": [', "is not whole JSON", "restore it from git"),
    "newer": ('{"schema": 2, "interactions": []}', "written by a newer pytest-llmops (format 2", "pip install -U"),
    "foreign": ('{"log": {}}', "is no cassette of pytest-llmops", "record it again: pytest test_it.py::test_it"),
    "conflict": ("<<<<<<< ours\n{}\n=======\n>>>>>>> theirs\n", "holds git conflict markers", "take one side"),
}


def test_damaged_cassettes(app, standin):
    tests = "\n".join(
        f"@pytest.mark.llm_eval\ndef test_{name}(llm_eval): llm_eval.run(ask, 'a')\n" for name in CASSETTES
    )
    app.file("test_it.py", f"import pytest\nfrom app import ask\n\n{tests}")
    env = speaking_to(standin)
    assert app.run(env=env).outcomes == {"passed": len(CASSETTES)}
    asked = len(standin.requests)
    paths = {}
    for name, (text, *_) in CASSETTES.items():
        (paths[name],) = (app.path / "cassettes/test_it").glob(f"test_{name}-*.json")
        paths[name].write_text(text, encoding="utf-8")
    run = app.run(env=env)
    assert run.outcomes == {"errors": len(CASSETTES)}, run.out
    assert_no_traceback(run)
    assert len(standin.requests) == asked
    for name, (text, *said) in CASSETTES.items():
        for words in said:
            assert words in run.out.replace("::test_" + name, "::test_it"), words
        assert paths[name].read_text(encoding="utf-8") == text


def test_what_a_provider_may_answer(app, standin):
    """Error bodies, answers that are no JSON, streams that end in the middle: the test decides, the record says."""
    app.file(
        "test_it.py",
        """
        import os, urllib.error
        import httpx
        import pytest
        from app import ask, post

        @pytest.mark.llm_eval
        def test_error_body(llm_eval):
            def app():
                try:
                    ask("error")
                except urllib.error.HTTPError as error:
                    raise RuntimeError(error.read().decode()) from None

            with pytest.raises(RuntimeError, match="context too long"):
                llm_eval.run(app)
            (call,) = llm_eval.calls
            assert call.status == 400 and "too long" in call.error

        @pytest.mark.llm_eval
        def test_no_json(llm_eval):
            with pytest.raises(ValueError):
                llm_eval.run(ask, "nonsense")

        @pytest.mark.llm_eval
        def test_cut_stream(llm_eval):
            def app():
                body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "cut"}]}
                with httpx.stream("POST", os.environ["LLM_BASE"] + "/v1/chat/completions", json=body) as response:
                    return list(response.iter_lines())

            with pytest.raises(httpx.RemoteProtocolError):
                llm_eval.run(app)
            (call,) = llm_eval.calls
            assert call.truncated and call.finish_reason is None

        @pytest.mark.llm_eval
        def test_uncaught(llm_eval):
            llm_eval.run(ask, "error")
        """,
    )
    answers = {
        "error": Reply("context too long", status=400),
        "nonsense": Reply(body=b"<html>busy</html>"),
        "cut": Reply("one two three four five six", close_after_bytes=400),
    }
    standin.script(lambda request: answers[request["messages"][-1]["content"]])
    for args in ([], ["--llm-record=none"]):
        run = app.run("--llm-json=run.json", *args, env=speaking_to(standin))
        assert run.outcomes == {"passed": 3, "failed": 1}, run.out
        assert "llmops/" not in run.out
        run.match("FAILED test_it.py::test_uncaught - urllib.error.HTTPError: HTTP Error 400*")
        tests = {test["id"].partition("::")[2]: test for test in run.record["tests"]}
        for name, why in (("test_cut_stream", "did not count tokens"), ("test_uncaught", "no call was answered")):
            for metric in ("output_tokens", "cost_usd"):
                measured = tests[name]["measurements"][metric]
                assert (measured["status"], measured["value"]) == ("unscored", None)
                assert why in measured["reason"]
        assert tests["test_uncaught"]["calls"][0]["error"]


def test_a_miss_says_what_differs_and_how_to_record_it(app, standin):
    env = speaking_to(standin)
    assert app.run(env=env).returncode == 0
    app.file("test_it.py", TEST.replace("hello", "goodbye"))
    asked = len(standin.requests)
    run = app.run(env={**env, "CI": "true"}, n=2)
    assert run.outcomes == {"failed": 1}
    run.match(
        "'cassettes/test_it/test_it-*.json' has no recording for call 1",
        "  POST 127.0.0.1:*/v1/chat/completions, model 'gpt-4o-mini'",
        "  closest: interaction 1; differs in messages?0?.content",
        "    - hello",
        "    + goodbye",
        "  re-record: pytest test_it.py::test_it --llm-record=refresh",
        "FAILED test_it.py::test_it - CassetteMiss: 'cassettes/test_it/test_it-*.json' has no recording for call 1",
    )
    assert run.out.count("+ goodbye") == 1, "pytest's summary does not say all of it again"
    assert app.run("--tb=no", env={**env, "CI": "true"}).out.count("+ goodbye") == 1, "there it is all that is said"
    assert_no_traceback(run)
    assert len(standin.requests) == asked
