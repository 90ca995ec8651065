"""What goes wrong: swallowed misses, secrets, killed runs, disks and folders that take nothing, damaged cassettes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, Project, Run
from tests.patience import eventually
from tests.standin import Reply, StandIn

ASK = """
    import os, httpx, httpx2
    URL = os.environ["STANDIN"] + "/v1/chat/completions"

    def body(text):
        return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}

    def said(answer):
        return answer.json()["choices"][0]["message"]["content"]

    def ask(text, headers=None):
        return said(httpx.post(URL, json=body(text), headers=headers))

    async def aask(text):
        async with httpx2.AsyncClient() as client:
            return said(await client.post(URL, json=body(text)))
"""

SWALLOWING = """
    import asyncio, contextlib, os, threading
    from concurrent.futures import ThreadPoolExecutor
    import anyio, anthropic, openai, pytest, requests, aiohttp
    import app

    ASKED = os.environ.get("ASKED", "Grüß Gott")
    pytestmark = pytest.mark.llm_eval

    def test_plain(llm_eval):
        llm_eval.run(app.ask, ASKED)

    def test_except_exception(llm_eval):
        try:
            llm_eval.run(app.ask, ASKED)
        except Exception:
            pass

    def test_bare_except(llm_eval):
        def careless():
            try:
                return app.ask(ASKED)
            except:
                return "all is well"
        assert llm_eval.run(careless).output

    def test_finally_return(llm_eval):
        def careless():
            try:
                return app.ask(ASKED)
            finally:
                return "all is well"
        assert llm_eval.run(careless).output

    def test_suppressed_and_then_another_failure(llm_eval):
        with contextlib.suppress(BaseException):
            llm_eval.run(app.ask, ASKED)
        assert ASKED == "Grüß Gott", "the miss explains this"

    def test_thread(llm_eval):
        thread = threading.Thread(target=app.ask, args=[ASKED])
        thread.start()
        thread.join()

    def test_future_nobody_asks(llm_eval):
        with ThreadPoolExecutor() as pool:
            pool.submit(app.ask, ASKED)

    def test_gather_with_exceptions(llm_eval):
        async def main():
            return await asyncio.gather(app.aask(ASKED), app.aask(ASKED + "!"), return_exceptions=True)
        asyncio.run(main())

    @pytest.mark.asyncio
    async def test_task_group(llm_eval):
        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(app.aask(ASKED))
        await llm_eval.arun(main)

    def test_anyio_group(llm_eval):
        async def main():
            async with anyio.create_task_group() as group:
                group.start_soon(app.aask, ASKED)
        anyio.run(main)

    @pytest.mark.asyncio
    async def test_task_nobody_awaits(llm_eval):
        task = asyncio.create_task(app.aask(ASKED))
        await asyncio.wait([task])

    def test_openai_with_retries(llm_eval):
        sdk = openai.OpenAI(base_url=os.environ["STANDIN"] + "/v1", api_key="test-key", max_retries=5)
        with contextlib.suppress(openai.OpenAIError):
            sdk.chat.completions.create(**app.body(ASKED))

    @pytest.mark.asyncio
    async def test_anthropic_with_retries(llm_eval):
        sdk = anthropic.AsyncAnthropic(base_url=os.environ["STANDIN"], api_key="test-key", max_retries=5)
        with contextlib.suppress(anthropic.AnthropicError):
            await sdk.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=app.body(ASKED)["messages"])

    def test_requests_with_retries(llm_eval):
        session = requests.Session()
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=5))
        with contextlib.suppress(Exception):
            session.post(app.URL, json=app.body(ASKED))

    @pytest.mark.asyncio
    async def test_aiohttp(llm_eval):
        with contextlib.suppress(Exception):
            async with aiohttp.ClientSession() as client, client.post(app.URL, json=app.body(ASKED)) as answer:
                await answer.read()

    def test_one_call_more_than_recorded(llm_eval):
        llm_eval.run(app.ask, "the same")
        if ASKED != "Grüß Gott":
            with contextlib.suppress(BaseException):
                llm_eval.run(app.ask, "the same")

    @pytest.fixture
    def greeting():
        with contextlib.suppress(BaseException):
            return app.ask(ASKED)

    def test_in_a_fixture(llm_eval, greeting):
        pass
"""


QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def quick(project: Project, provider: StandIn, *args: str, **env: str) -> Run:
    """A run without other plugins."""
    return project.run(
        "-q", "-W", "ignore", "-p", "pytest_llmops.plugin", *args, env={"STANDIN": provider.url, **QUICK, **env}
    )


def cassettes(project: Project) -> list[Path]:
    return sorted((project.path / "cassettes").rglob("*.json"))


def interactions(project: Project) -> list[dict[str, Any]]:
    return [entry for path in cassettes(project) for entry in json.loads(path.read_text())["interactions"]]


def application(project: Project, suite: str) -> None:
    project.file("app.py", ASK)
    project.file("test_suite.py", suite)


@pytest.fixture(scope="module")
def shared() -> StandIn:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def provider(shared: StandIn) -> StandIn:
    """One stand-in for all, as new for each test."""
    shared.reset()
    return shared


# misses nobody swallows


def test_a_miss_fails_the_test_whatever_the_application_does_with_it(project: Project, provider: StandIn) -> None:
    application(project, SWALLOWING)
    with_loops = ("-p", "pytest_asyncio.plugin", "-p", "anyio.pytest_plugin")
    recorded = quick(project, provider, *with_loops)
    count = recorded.outcomes["passed"]
    assert recorded.outcomes == {"passed": count}, recorded.out
    made = len(provider.requests)
    missed = quick(project, provider, *with_loops, "-rfE", CI="1", ASKED="Guten Tag")
    assert len(provider.requests) == made, "a call was made in mode none"
    assert "passed" not in missed.outcomes, missed.out
    lines = [line for line in missed.out.splitlines() if line.startswith(("FAILED test_suite", "ERROR test_suite"))]
    assert len(lines) == count
    assert all("CassetteMiss" in line for line in lines), "\n".join(lines)
    missed.match(
        "'cassettes/test_suite/test_plain-*.json' has no recording for call 1",
        "  POST 127.0.0.1:*/v1/chat/completions, model 'gpt-4o-mini'",
        "  closest: interaction 1; differs in messages[[]0].content",
        "    - Grüß Gott",
        "    + Guten Tag",
        "  re-record: pytest test_suite.py::test_plain --llm-record=refresh",
        "*CassetteMiss: 'cassettes/test_suite/test_plain-*.json' has no recording for call 1",
    )
    missed.match("*this very request is recorded 1 time, and was made once more")


def test_without_a_cassette_the_miss_says_so(project: Project, provider: StandIn) -> None:
    application(
        project, "import pytest, app\n\n@pytest.mark.llm_eval\ndef test_new(llm_eval): llm_eval.run(app.ask, 'x')"
    )
    run = project.run("-q", env={"STANDIN": provider.url, "CI": "1"})
    run.match("*CassetteMiss: 'cassettes/test_suite/test_new-*.json' does not exist (call 1)")
    assert run.returncode == 1
    assert not provider.requests
    assert not (project.path / "cassettes").exists()


def test_other_traffic_does_not_leave_on_replay(project: Project, provider: StandIn) -> None:
    application(
        project,
        """
        import httpx, pytest

        @pytest.mark.llm_eval
        def test_lookup(llm_eval):
            try:
                llm_eval.run(httpx.get, "http://vectors.example.test/query")
            except Exception:
                pass
        """,
    )
    run = project.run("-q", env={"STANDIN": provider.url, "CI": "1"})
    run.match("*vectors.example.test/query is no LLM call*", "*llm_record_hosts = vectors.example.test*")
    assert run.returncode == 1


# answers that are not kept


def test_a_refused_key_is_shown_and_never_replayed(project: Project, provider: StandIn) -> None:
    application(
        project,
        """
        import httpx, pytest, app

        def status(text):
            return httpx.post(app.URL, json=app.body(text)).status_code

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("text", ["401", "403", "quota"])
        def test_status(llm_eval, text):
            result = llm_eval.run(status, text)
            assert result.output == {"401": 401, "403": 403, "quota": 429}[text]
            assert result.calls[0].error
        """,
    )
    quota = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    replies = {"401": Reply(status=401), "403": Reply(status=403), "quota": Reply(status=429, body=quota)}
    provider.script(lambda request: replies[request["messages"][0]["content"]])
    first = quick(project, provider, "-rA")
    assert first.outcomes == {"passed": 3}, first.out
    first.match("*127.0.0.1:* answered 401: shown to the test, not recorded")
    assert not cassettes(project)
    again = quick(project, provider, CI="1")
    assert again.outcomes == {"failed": 3}, again.out
    assert len(provider.requests) == 3


# secrets

SECRET = "sk-ant-api03-" + "Pl4nt3d" * 6
ODD_KEY = "unshaped+value/of=mistral"
SECRETS = """
    import os, httpx, pytest, app

    SECRET, ODD = os.environ["PLANTED"], os.environ["MISTRAL_API_KEY"]
    pytestmark = pytest.mark.llm_eval

    def test_in_headers_and_query(llm_eval):
        def ask():
            url = f"{app.URL}?key={SECRET}&api-version=1&api_key={SECRET}".replace("http://", f"http://user:{SECRET}@")
            return app.said(httpx.post(url, json=app.body("clean"), headers={"authorization": f"Bearer {SECRET}",
                "x-api-key": SECRET, "cookie": SECRET, "user-agent": f"app/{SECRET}"}))
        llm_eval.run(ask)

    def test_in_a_body(llm_eval):
        for text in ("before", f"my key is {SECRET}", "after"):
            llm_eval.run(app.ask, text, name=text[:6])

    def test_value_of_a_key_variable(llm_eval):
        llm_eval.run(app.ask, f"value {ODD}")

    def test_in_a_json_field(llm_eval):
        body = {**app.body("field"), "api_secret": "hunter2-planted"}
        llm_eval.run(lambda: app.said(httpx.post(app.URL, json=body)))
"""


def planted(project: Project, *secrets: str) -> list[str]:
    found = []
    for path in project.path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found += [f"{path.relative_to(project.path)}: {s[:10]}…" for s in secrets if s.encode() in data]
    return found


def test_no_secret_reaches_the_disk(project: Project, provider: StandIn) -> None:
    application(project, SECRETS)
    env = {"PLANTED": SECRET, "MISTRAL_API_KEY": ODD_KEY}
    project.file("pyproject.toml", "[tool.pytest-llmops]\nscrub_fields = ['api_secret']")
    first = quick(project, provider, "--llm-json=run.json", **env)
    assert first.outcomes == {"passed": 4, "errors": 2}, first.out
    first.match(
        "*test_in_a_body-*.json: not written: request.body.json.messages[[]0].content looks like*(Anthropic key)",
        "*scrub = *",
    )
    first.match("*looks like a secret (value of MISTRAL_API_KEY)")
    assert SECRET not in first.out
    assert planted(project, SECRET, ODD_KEY) == []
    assert provider.requests[0].headers["x-api-key"] == SECRET, "the provider got it all the same"

    made = len(provider.requests)
    project.file(
        "pyproject.toml",
        """
        [tool.pytest-llmops]
        scrub = ['sk-ant-[A-Za-z0-9-]+', 'unshaped.*']
        scrub_fields = ["api_secret"]
        """,
    )
    second = quick(project, provider, "--llm-json=run.json", **env)
    assert second.outcomes == {"passed": 4}, second.out
    texts = [request.json["messages"][0]["content"] for request in provider.requests[made:]]
    assert f"my key is {SECRET}" in texts, "scrubbed on disk, not on the wire"
    assert not {"before", "after", "clean"} & set(texts), "what was paid for was asked again"
    assert planted(project, SECRET, ODD_KEY) == []
    assert "[scrubbed]" in "".join(path.read_text() for path in cassettes(project))
    made = len(provider.requests)
    third = quick(project, provider, CI="1", **env)
    assert third.outcomes == {"passed": 4}, third.out
    assert "hunter2-planted" not in "".join(path.read_text() for path in cassettes(project))
    assert len(provider.requests) == made


# killed runs


KILLED = """
    import os, signal, pytest, app

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("after", [0, 1, 3])
    def test_five_calls(llm_eval, after):
        for i in range(5):
            if os.environ.get("KILL") and i == after:
                os.kill(os.getpid(), signal.SIGKILL)
            llm_eval.run(app.ask, f"{after}: call {i}", name=str(i))
"""


def test_a_killed_recording_keeps_what_was_paid_for(project: Project, provider: StandIn) -> None:
    application(project, KILLED)
    for after in (0, 1, 3):
        before = len(provider.requests)
        killed = quick(project, provider, "-k", f"five_calls and {after}", KILL="1")
        assert killed.returncode == -signal.SIGKILL, killed.out
        assert len(provider.requests) - before == after
    assert not cassettes(project), "half a cassette was left"
    before = len(provider.requests)
    second = quick(project, provider)
    assert second.outcomes == {"passed": 3}, second.out
    assert len(provider.requests) - before == 5 + 4 + 2
    assert len(interactions(project)) == 15
    assert not list(project.path.rglob(".journal"))
    assert not list(project.path.rglob("*.tmp"))
    before = len(provider.requests)
    assert quick(project, provider, CI="1").outcomes == {"passed": 3}
    assert len(provider.requests) == before


@pytest.mark.parametrize("then", ["all", "refresh", "once"])
def test_a_killed_re_recording_keeps_what_was_paid_for(then: str, project: Project, provider: StandIn) -> None:
    """Its answers are newer than those of the cassette it was to replace."""
    application(
        project,
        """
        import os, signal, time, pytest, app

        @pytest.mark.llm_eval
        def test_calls(llm_eval):
            for i in range(3):
                if os.environ.get("KILL") and i == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                llm_eval.run(app.ask, "call", name=str(i))
            assert "FAIL" not in os.environ
        """,
    )

    def answers() -> list[str]:
        return [e["response"]["body"]["json"]["choices"][0]["message"]["content"] for e in interactions(project)]

    provider.script(Reply("old"))
    assert quick(project, provider).outcomes == {"passed": 1}
    (path,) = cassettes(project)
    path.write_text(path.read_text().replace('"recorded_at": "2', '"recorded_at": "1'))
    provider.script(Reply("new"))
    assert quick(project, provider, "--llm-record=all", KILL="1").returncode == -signal.SIGKILL
    assert quick(project, provider, CI="1").outcomes == {"passed": 1}
    assert answers() == ["old"] * 3, "replay alone writes nothing"
    before = len(provider.requests)
    provider.script(Reply("newer"))
    assert quick(project, provider, f"--llm-record={then}", FAIL="1").outcomes == {"failed": 1}
    asked = len(provider.requests) - before
    assert (asked, answers()) == ((1, ["new", "new", "newer"]) if then == "all" else (0, ["new", "new", "old"]))
    assert not list(project.path.rglob(".journal"))


def test_killed_in_the_middle_of_an_answer(project: Project, provider: StandIn) -> None:
    application(
        project,
        """
        import pytest, app

        @pytest.mark.llm_eval
        def test_slow(llm_eval):
            for i in range(3):
                llm_eval.run(app.ask, f"call {i}", name=str(i))
        """,
    )
    provider.script("one", "two", Reply("three", latency_s=30))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_llmops.plugin"]
    env = {**os.environ, **QUICK, "STANDIN": provider.url, "PYTHONPATH": str(REPOSITORY)}
    env.pop("CI", None)
    with subprocess.Popen(command, cwd=project.path, env=env, stdout=subprocess.PIPE) as process:
        assert eventually(lambda: len(provider.requests) >= 3, within_s=60)
        process.kill()
    provider.script("one", "two", "three")
    before = len(provider.requests)
    assert quick(project, provider).outcomes == {"passed": 1}
    assert len(provider.requests) - before == 1


# folders and disks

THREE = """
    import pytest, app

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("n", range(3))
    def test_many(llm_eval, n):
        for i in range(3):
            llm_eval.run(app.ask, f"test {n}, call {i} " + "x" * 300, name=str(i))
"""
NOT_ROOT = "import ctypes; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)"  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
FULL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


def limited(project: Project, provider: StandIn, limit: str) -> Run:
    """A run under a limit of the system's, set before Python starts anew."""
    arguments = ["-m", "pytest", "-sq", "-W", "ignore", "-p", "pytest_llmops.plugin", "-p", "no:cacheprovider"]
    start = f"{limit}; import os, sys; os.execv(sys.executable, [sys.executable, *{arguments!r}])"
    return project.python("-c", start, env={"STANDIN": provider.url, "PYTHONDONTWRITEBYTECODE": "1", **QUICK})


def outcomes_of(run: Run) -> dict[str, int]:
    return pytest.RunResult.parse_summary_nouns(run.out.splitlines())


@pytest.mark.skipif(sys.platform != "linux", reason="drops a capability of Linux's")
def test_a_read_only_folder(project: Project, provider: StandIn) -> None:
    application(project, THREE)
    (project.path / "cassettes").mkdir(mode=0o555)
    run = limited(project, provider, NOT_ROOT)
    assert outcomes_of(run) == {"passed": 3, "errors": 3}, run.out
    run.match("*cassettes/test_suite/test_many-0-*.json: cannot be written: Permission denied*")
    assert "Traceback" not in run.out
    assert "pytest_llmops/" not in run.out
    assert "journal" not in run.out, "nothing was kept, and so nothing must be promised"


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
@pytest.mark.parametrize("limit", [0, 1500])
def test_a_full_disk(project: Project, provider: StandIn, limit: int) -> None:
    application(project, THREE)
    run = limited(project, provider, FULL_DISK.format(limit))
    assert outcomes_of(run) == {"passed": 3, "errors": 3}, run.out
    run.match("*cassettes/test_suite/test_many-0-*.json: cannot be written: File too large*")
    assert "Traceback" not in run.out
    assert "pytest_llmops/" not in run.out
    assert not cassettes(project), "half a cassette was left"
    assert not list(project.path.rglob("*.tmp"))
    if limit:  # part of a journal was written: what is whole in it is taken up, the rest asked again
        again = quick(project, provider)
        assert again.outcomes == {"passed": 3}, again.out
        assert len(interactions(project)) == 9


def test_a_file_where_the_folder_should_be(project: Project, provider: StandIn) -> None:
    application(project, THREE)
    project.file("cassettes", "not a folder")
    run = quick(project, provider)
    assert run.outcomes == {"passed": 3, "errors": 3}, run.out
    run.match("*cannot be written: *")
    assert "pytest_llmops/" not in run.out


# several at once


def test_two_processes_record_into_one_folder(project: Project, provider: StandIn) -> None:
    application(project, THREE)
    provider.script(lambda request: Reply(request["messages"][0]["content"][:14], latency_s=0.05))
    runs: list[Run] = []
    threads = [threading.Thread(target=lambda: runs.append(quick(project, provider))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [run.outcomes for run in runs] == [{"passed": 3}] * 2, runs[0].out + runs[1].out
    assert len(cassettes(project)) == 3
    assert len(interactions(project)) == 9
    assert not list(project.path.rglob(".journal"))
    before = len(provider.requests)
    assert quick(project, provider, CI="1").outcomes == {"passed": 3}
    assert len(provider.requests) == before


def test_four_workers_record_into_one_folder(project: Project, provider: StandIn) -> None:
    application(project, THREE.replace("range(3))\n    def", "range(16))\n    def"))
    run = project.run(
        "-q", "-W", "ignore", "-p", "pytest_llmops.plugin", "-p", "xdist", env={"STANDIN": provider.url, **QUICK}, n=4
    )
    assert run.outcomes == {"passed": 16}, run.out
    assert len(cassettes(project)) == 16
    assert len(interactions(project)) == 48
    assert not list(project.path.rglob(".journal"))
    before = len(provider.requests)
    assert quick(project, provider, CI="1").outcomes == {"passed": 16}
    assert len(provider.requests) == before


# what outlives its test


def test_threads_and_tasks_that_outlive_their_test(project: Project, provider: StandIn) -> None:
    application(
        project,
        """
        import asyncio, threading, time, pytest, app

        pytestmark = pytest.mark.llm_eval
        left = []

        def test_leaves_a_thread_waiting(llm_eval):
            left.append(threading.Thread(target=app.ask, args=["slow"], daemon=True))
            left[0].start()
            time.sleep(0.2)
            assert llm_eval.run(app.ask, "quick").text == "Echo: quick"

        def test_next(llm_eval):
            assert llm_eval.run(app.ask, "next").text == "Echo: next"
            left[0].join()
            assert [call.text for call in llm_eval.calls] == ["Echo: next"]

        def test_leaves_a_task(llm_eval):
            async def main():
                asyncio.get_running_loop().create_task(app.aask("slow"))
                await asyncio.sleep(0.1)
                return await app.aask("quick")
            assert asyncio.run(main()) == "Echo: quick"
        """,
    )
    provider.script(lambda r: Reply("late", latency_s=2) if r["messages"][0]["content"] == "slow" else None)
    first = quick(project, provider, "-W", "ignore")
    assert first.outcomes == {"passed": 3}, first.out
    stored = {path.name[:10]: path.read_text() for path in cassettes(project)}
    assert "late" not in "".join(stored.values())
    before = len(provider.requests)
    again = quick(project, provider, "-W", "ignore", CI="1")
    assert again.outcomes == {"passed": 3}, again.out
    assert len(provider.requests) == before


def test_ten_thousand_tiny_chunks(project: Project, provider: StandIn) -> None:
    application(
        project,
        """
        import httpx, pytest, app

        def whole():
            with httpx.stream("POST", app.URL, json={**app.body("tiny"), "stream": True}) as answer:
                return b"".join(answer.iter_raw()).decode()

        @pytest.mark.llm_eval
        def test_stream(llm_eval):
            result = llm_eval.run(whole)
            assert len(result.output) > 70_000
            assert result.calls[0].text == "word " * 480
            assert result.ttft_ms <= result.latency_ms
        """,
    )
    provider.script(Reply(pieces=["word "] * 480, chunk_size=8))
    first = quick(project, provider)
    assert first.outcomes == {"passed": 1}, first.out
    (entry,) = interactions(project)
    assert len(entry["timing"]["chunks"].split()) > 5_000
    started = time.monotonic()
    assert quick(project, provider, CI="1").outcomes == {"passed": 1}
    assert time.monotonic() - started < 20


# cassettes that cannot be used

DAMAGES = {
    "cut": (lambda data: data[: len(data) // 2], "*is not whole JSON*restore it from git"),
    "conflict": (
        lambda data: b"<<<<<<< ours\n" + data + b"=======\n" + data + b">>>>>>> theirs\n",
        "*holds git conflict markers*",
    ),
    "newer": (lambda data: data.replace(b'"schema": 1', b'"schema": 99'), "*by a newer pytest-llmops (format 99*"),
    "deep": (lambda data: b"[" * 200_000, "*nested too deeply*"),
    "huge number": (lambda data: data.replace(b'"schema": 1', b'"schema": 1' + b"0" * 5000), "*is not whole JSON*"),
    "not JSON": (lambda data: b"\x00\xff\xfe", "*is not whole JSON*"),
    "empty": (lambda data: b"", "*is not whole JSON*"),
    "a list": (lambda data: b"[]", "*is no cassette*"),
    "no shape": (lambda data: b'{"schema": 1, "interactions": [{"key": 1}]}', "*interaction 1: lacks*"),
    "bad status": (lambda data: data.replace(b'"status": 200', b'"status": "fine"'), "*response.status is*"),
    "bad chunks": (lambda data: data.replace(b'"elapsed_ms"', b'"chunks": "a", "elapsed_ms"'), "*timing.chunks is*"),
    "bad date": (lambda data: data.replace(b'"recorded_at": "2', b'"recorded_at": "x'), "*recorded_at is*"),
    "naive date": (lambda data: data.replace(b"+00:00", b""), "*recorded_at names no offset*"),
    "endless number": (lambda data: data.replace(b'_tokens": ', b'_tokens": 1e999, "": '), "*endless*1e999 is no*"),
    "half a character": (lambda data: data.replace(b"Echo", b"\\ud800"), "*half-a-character*holds half a character*"),
    "bad URL": (lambda data: data.replace(b"http://", b"http://["), "*request.url is no URL*"),
    "bad body": (lambda data: data.replace(b'"json"', b'"yaml"'), "*interaction 1*body*"),
}  # fmt: skip


def test_damaged_cassettes_are_one_clear_message_each(project: Project, provider: StandIn) -> None:
    application(
        project,
        f"""
        import pytest, app

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("damage", {list(DAMAGES)!r})
        def test_damaged(llm_eval, damage):
            try:
                llm_eval.run(app.ask, damage)
            except Exception:
                pass
        """,
    )
    assert quick(project, provider).outcomes == {"passed": len(DAMAGES)}
    for path in cassettes(project):
        name = json.loads(path.read_text())["test"].partition("[")[2].rstrip("]")
        path.write_bytes(DAMAGES[name][0](path.read_bytes()))
    made = len(provider.requests)
    run = quick(project, provider, "--tb=short", "--llm-stale-after=30", CI="1")
    assert run.outcomes == {"errors": len(DAMAGES)}, run.out
    assert len(provider.requests) == made
    assert "pytest_llmops/" not in run.out, run.out
    for _, message in DAMAGES.values():
        run.match(message)
    run.match("*record it again: pytest test_suite.py::test_damaged --llm-record=all")
    again = quick(project, provider, "test_suite.py::test_damaged", "--llm-record=all")
    assert again.outcomes == {"passed": len(DAMAGES)}, "what the message says to do does not help"
    assert quick(project, provider, CI="1").outcomes == {"passed": len(DAMAGES)}
