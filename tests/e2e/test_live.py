"""Live runs that break off, old recordings, judges' answers that serve several trials, the pace of replays."""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.standin import StandIn

APP = """
    import os

    import httpx


    def ask(question, **more):
        url = os.environ["LLM_BASE"] + "/v1/chat/completions"
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}], **more}
        return httpx.post(url, json=body, timeout=20).json()["choices"][0]["message"]["content"]


    def stream(question):
        url = os.environ["LLM_BASE"] + "/v1/chat/completions"
        body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": question}]}
        with httpx.stream("POST", url, json=body, timeout=20) as response:
            yield from response.iter_lines()
"""
TEST = """
    import pytest
    from app import ask


    @pytest.mark.llm_eval
    @pytest.mark.parametrize("n", range(6))
    def test_ask(llm_eval, n):
        assert llm_eval.run(ask, f"Question {n}").text
"""


def test_a_live_run_that_was_killed_goes_on_without_paying_twice(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file(
        "test_app.py",
        TEST + "\n        if n == 3 and not __import__('os').path.exists('go'):\n"
        "            __import__('os').kill(__import__('os').getpid(), 9)\n",
    )
    env = {"LLM_BASE": standin.url}
    assert project.run("-q", "--llm-record=live", env=env).returncode != 0
    assert len(standin.requests) == 4
    project.file("go", "")
    resumed = project.run("-q", "--llm-record=live", "--llm-resume", "--llm-json=run.json", env=env)
    assert resumed.returncode == 0, resumed.out
    assert len(standin.requests) == 6
    assert resumed.record is not None
    assert [call["replayed"] for test in resumed.record["tests"] for call in test["calls"]] == [True] * 4 + [False] * 2
    assert not (project.path / "cassettes").exists()
    # A run that came to its end leaves nothing to resume; without --llm-resume everything is paid for.
    again = project.run("-q", "--llm-record=live", "--llm-resume", env=env)
    assert (again.returncode, len(standin.requests)) == (0, 12)


KILLED = """
        import os, signal, time
        with open("answered.txt", "a") as file:
            file.write(f"{n}\\n")
        if n == 11 and not os.path.exists("go"):
            until = time.monotonic() + 60
            while len(open("answered.txt").readlines()) < 12 and time.monotonic() < until:
                time.sleep(0.02)
            if "PYTEST_XDIST_WORKER" in os.environ:
                os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("args", [("--llm-concurrency=3",), ("-n", "2"), ("-n", "2", "--llm-concurrency=2")])
def test_overlapped_and_distributed_runs_go_on_too(project: Project, standin: StandIn, args: tuple[str, ...]) -> None:
    project.file("app.py", APP)
    project.file("test_app.py", TEST.replace("range(6)", "range(12)") + KILLED)
    env = {"LLM_BASE": standin.url}
    assert project.run("-q", "--llm-record=live", *args, env=env).returncode != 0
    paid = len(standin.requests)
    assert paid > 6
    wait_until_dead(project.path / ".pytest_cache" / "llmops-live")
    project.file("go", "")
    resumed = project.run("-q", "--llm-record=live", "--llm-resume", "--llm-json=run.json", *args, env=env)
    assert resumed.returncode == 0, resumed.out
    assert resumed.record is not None
    replayed = [call["replayed"] for test in resumed.record["tests"] for call in test["calls"]]
    assert (len(replayed), sum(replayed)) == (12, paid)
    assert len(standin.requests) == 12


def wait_until_dead(folder: Path) -> None:
    """The worker that was not killed ends by itself, once it has noticed that nobody listens."""
    until = time.monotonic() + 30
    for path in folder.glob("*.jsonl"):
        with path.open("r+") as file:
            while time.monotonic() < until:
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.05)


def test_resume_needs_a_live_run(project: Project) -> None:
    project.file("test_app.py", "def test_nothing(): pass\n")
    run = project.run("--llm-resume")
    assert run.returncode == 4
    run.match("*--llm-resume goes with --llm-record=live*")


def test_old_recordings_warn_or_fail(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file("test_app.py", TEST)
    env = {"LLM_BASE": standin.url}
    assert project.run("-q", env=env).returncode == 0
    for path in (project.path / "cassettes").rglob("*.json"):
        document = json.loads(path.read_text())
        document["interactions"][0]["recorded_at"] = "2024-01-31T08:00:00+00:00"
        path.write_text(json.dumps(document))
    fresh = project.run("-q", "--llm-stale-after=100000", env=env)
    assert "recorded" not in fresh.out
    warned = project.run("-q", "--llm-stale-after=30", env=env)
    assert warned.returncode == 0
    warned.match("*StaleRecordingWarning: cassettes/test_app/*: recorded * days ago (2024-01-31), more than 30*")
    failed = project.run("-q", "--llm-stale-after=30:fail", "-k", "0", env=env)
    assert failed.returncode == 1
    failed.match("stale recording: cassettes/test_app/*", "*record it again: pytest * --llm-record=all*")
    wrong = project.run("--llm-stale-after=soon")
    assert wrong.returncode == 4
    wrong.match("*--llm-stale-after: 'soon' is not a number*")


def test_trials_with_the_same_answer_share_a_verdict(project: Project, standin: StandIn) -> None:
    """30 judged cases × 10 times cost 30 judge calls, where the answers do not change."""
    project.file("app.py", APP)
    project.file("cases.jsonl", "\n".join(json.dumps({"id": f"c{i}", "input": f"Question {i}"}) for i in range(3)))
    project.file(
        "test_app.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval(dataset="cases.jsonl", trials=4)
        def test_ask(llm_eval, llm_case):
            assert llm_eval.run(ask, llm_case.input, temperature=0).judge("helpfulness") > 0.5
        """,
    )

    def reply(request: dict) -> str:
        judged = "response_format" in request
        return '{"reason": "It answers.", "evidence": [], "level": 5}' if judged else "A fine answer."

    standin.script(reply)
    env = {"LLM_BASE": standin.url, "OPENAI_BASE_URL": standin.url + "/v1", "OPENAI_API_KEY": "sk-short"}
    arguments = ("-q", "--llm-judge=openai:gpt-4o-mini", "--llm-json=run.json")
    recorded = project.run(*arguments, "--llm-record=all", env=env)
    assert recorded.returncode == 0, recorded.out
    judged = [r for r in standin.requests if "response_format" in (r.json or {})]
    assert (len(standin.requests), len(judged)) == (12 + 3, 3)
    standin.reset()
    replayed = project.run(*arguments, "--llm-record=none", "-k", "trial3", env=env)
    assert (replayed.returncode, standin.requests) == (0, []), replayed.out
    assert replayed.record is not None
    assert [call["role"] for call in replayed.record["tests"][0]["calls"]] == ["app", "judge"]


def test_streams_replay_at_once_or_at_their_pace(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file(
        "test_app.py",
        """
        import time
        import pytest
        from app import stream

        @pytest.mark.llm_eval
        def test_stream(llm_eval):
            started = time.perf_counter()
            llm_eval.run(stream, "Hello")
            llm_eval.record("took", time.perf_counter() - started)
        """,
    )
    from tests.standin import Reply

    standin.script(Reply(pieces=["a"] * 8, chunk_delay_s=0.25))
    env = {"LLM_BASE": standin.url}

    def took(*arguments: str) -> float:
        run = project.run("-q", "--llm-json=run.json", *arguments, env=env)
        assert run.returncode == 0, run.out
        assert run.record is not None
        return float(run.record["tests"][0]["measurements"]["took"]["value"])

    assert took() > 1.75
    assert took("--llm-record=none") < 0.8
    assert took("--llm-record=none", "--llm-replay-speed=1") > 1.6
    assert 0.4 < took("--llm-record=none", "--llm-replay-speed=4") < 1.4
