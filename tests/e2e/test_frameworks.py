"""What frameworks do beside asking a model: keep clients for too long, fan out, report in the background, parse."""

from __future__ import annotations

import json
import sys

import pytest

from tests.conftest import Project
from tests.standin import StandIn


def recorded(project: Project, module: str) -> list[str]:
    """The last words of the requests that are on a module's only cassette."""
    (file,) = (project.path / "cassettes" / module).glob("*.json")
    return [entry["request"]["url"].rpartition("/")[2] for entry in json.loads(file.read_text())["interactions"]]


def test_a_client_that_outlives_its_loop_is_recorded_as_it_was_answered(project: Project, standin: StandIn) -> None:
    # Its first try goes out over a connection of the loop that is gone, and nobody can hear the answer. Its second try
    # is what the application saw; on replay there is no connection that could be old.
    project.file(
        "test_outlived.py",
        """
        import asyncio
        import os
        import httpx
        import pytest

        CLIENT = httpx.AsyncClient()

        def ask(text):
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
            for _ in range(3):  # as SDKs try again, whatever went wrong
                try:
                    answer = asyncio.run(CLIENT.post(os.environ["STANDIN_URL"] + "/v1/chat/completions", json=body))
                    return answer.json()["choices"][0]["message"]["content"]
                except RuntimeError:
                    tries.append(text)

        tries = []

        @pytest.mark.llm_eval
        def test_two_loops(llm_eval):
            first, second = llm_eval.run(ask, "one"), llm_eval.run(ask, "two")
            assert [call.error for call in llm_eval.calls] == [None, None]
            assert (first.text, second.text) == ("Echo: one", "Echo: two")
            assert second.cost_usd is not None
            assert bool(tries) == ("CI" not in os.environ)
        """,
    )
    project.run("-q", env={"STANDIN_URL": standin.url}).match("1 passed in *")
    asked = len(standin.requests)
    assert recorded(project, "test_outlived") == ["completions", "completions"]
    project.run("-q", env={"STANDIN_URL": standin.url, "CI": "1"}).match("1 passed in *")
    assert len(standin.requests) == asked


def test_traces_sent_in_the_background_are_neither_recorded_nor_missed(project: Project, standin: StandIn) -> None:
    project.file("pyproject.toml", f'[tool.pytest-llmops.hosts]\n"127.0.0.1:{standin.port}" = "openai"\n')
    project.file(
        "test_traced.py",
        """
        import os
        import threading
        import uuid
        import httpx
        import pytest

        URL = os.environ["STANDIN_URL"] + "/v1/"

        def answer(text):
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
            httpx.post(URL + "chat/completions", json=body)
            spans = {"data": [{"id": uuid.uuid4().hex}]}
            told = []
            thread = threading.Thread(target=lambda: told.append(httpx.post(URL + "traces/ingest", json=spans)))
            thread.start()
            thread.join()
            return told[0].status_code

        @pytest.mark.llm_eval
        def test_answer(llm_eval):
            result = llm_eval.run(answer, "hi")
            assert result.output == int(os.environ["STATUS"])
            assert len(result.calls) == 1
        """,
    )
    env = {"STANDIN_URL": standin.url}
    project.run("-q", env={**env, "STATUS": "404"}).match("1 passed in *")  # the stand-in knows no traces
    assert [request.path for request in standin.requests] == ["/v1/chat/completions", "/v1/traces/ingest"]
    assert recorded(project, "test_traced") == ["completions"]
    for mode in ("once", "none"):
        project.run("-q", f"--llm-record={mode}", env={**env, "STATUS": "204"}).match("1 passed in *")
    assert len(standin.requests) == 2


STATISTICS = """
    import queue
    import socket
    import threading
    import urllib.request
    import httpx
    import pytest
    import requests

    class Library:
        def __init__(self):
            self.events, self.told = queue.Queue(), queue.Queue()
            threading.Thread(target=self.send, daemon=True).start()

        def send(self):
            while event := self.events.get():
                try:
                    self.told.put(event("http://statistics.example.com/batch/"))
                except Exception as error:
                    self.told.put(type(error))

        def happened(self, event):
            self.events.put(event)
            return self.told.get(timeout=5)

    @pytest.fixture(scope="session")
    def made_for_the_session():
        return Library()

    kept = []

    @pytest.mark.llm_eval
    def test_first():
        kept.append(Library())

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("of", ["session", "test"])
    def test_next(of, made_for_the_session):
        library = kept[0] if of == "test" else made_for_the_session
        assert library.happened(httpx.get) is httpx.ConnectError
        assert library.happened(requests.get) is requests.ConnectionError
        assert issubclass(library.happened(urllib.request.urlopen), OSError)
        assert library.happened(lambda _: socket.create_connection(("192.0.2.1", 80))) is ConnectionRefusedError

    def test_unmarked():
        assert kept[0].happened(httpx.get) is httpx.ConnectError

    @pytest.mark.llm_eval
    def test_own():
        assert Library().happened(httpx.get)

    @pytest.mark.llm_eval
    def test_needs_it(made_for_the_session):
        assert made_for_the_session.happened(httpx.get) == 200
"""


def test_what_a_library_sends_in_the_background_fails_no_test(project: Project) -> None:
    project.file("test_statistics.py", STATISTICS)
    run = project.run("-q", "--llm-record=none", "-p", "no:asyncio")
    assert (run.outcomes["passed"], run.outcomes["failed"]) == (4, 2), run.out
    run.match(
        "*GET statistics.example.com/batch/ is no LLM call*",
        "*_ test_needs_it _*",
        "*refused in a thread that this test did not start: GET statistics.example.com/batch/ is no LLM call*",
        "*llm_allowed_hosts = statistics.example.com*",
    )


def test_the_last_of_calls_that_overlap_is_the_same_on_every_replay(project: Project) -> None:
    project.file(
        "test_fan_out.py",
        """
        import os
        import threading
        import time
        import httpx
        import pytest

        CLIENT = httpx.Client()  # making one takes a while, and another one each time

        def ask(text):
            body = {"model": f"model-{text}", "messages": [{"role": "user", "content": text}]}
            CLIENT.post(os.environ["STANDIN_URL"] + "/v1/chat/completions", json=body)

        def fan_out():
            threads = [threading.Thread(target=ask, args=(text,)) for text in os.environ["ORDER"].split()]
            for thread in threads:
                thread.start()
                time.sleep(0.2)
            for thread in threads:
                thread.join()

        @pytest.mark.llm_eval
        def test_fan_out(llm_eval):
            result = llm_eval.run(fan_out)
            assert (result.text, result.model) == ("Echo: b", "model-b")
            assert [call.text for call in llm_eval.calls] == ["Echo: c", "Echo: a", "Echo: b"]
        """,
    )
    with StandIn(latency_s=1.0) as standin:
        project.run("-q", env={"STANDIN_URL": standin.url, "ORDER": "c a b"}).match("1 passed in *")
        for order in ("c a b", "b c a"):
            project.run("-q", env={"STANDIN_URL": standin.url, "ORDER": order, "CI": "1"}).match("1 passed in *")


def test_calls_one_after_another_are_told_as_they_are_asked_now(project: Project, standin: StandIn) -> None:
    project.file(
        "test_turned.py",
        """
        import os
        import httpx
        import pytest

        @pytest.mark.llm_eval
        def test_turned(llm_eval):
            for text in os.environ["ORDER"].split():
                body = {"model": "m", "messages": [{"role": "user", "content": text}]}
                httpx.post(os.environ["STANDIN_URL"] + "/v1/chat/completions", json=body)
            assert " ".join(call.text for call in llm_eval.calls) == os.environ["SAID"]
        """,
    )
    env = {"STANDIN_URL": standin.url}
    project.run("-q", env={**env, "ORDER": "a b", "SAID": "Echo: a Echo: b"}).match("1 passed in *")
    project.run("-q", env={**env, "ORDER": "b a", "SAID": "Echo: b Echo: a", "CI": "1"}).match("1 passed in *")


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="later Pythons count a parser's depth for each")
def test_overlapping_tests_can_parse_source(project: Project) -> None:
    # Frameworks do (inspect.getsource), and so does pytest for every failure's traceback.
    project.file(
        "test_parsing.py",
        """
        import ast
        import gc
        import pathlib
        import sys
        import pytest

        SOURCE = pathlib.Path(ast.__file__).read_text()
        sys.setswitchinterval(1e-5)
        gc.callbacks.append(lambda *_: sum(range(2000)))

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(4))
        def test_parses(n):
            for _ in range(25):
                ast.parse(SOURCE)
        """,
    )
    project.run("-q", "--llm-record=live", "--llm-concurrency=4").match("4 passed in *")


def test_no_body_finds_half_a_client_that_we_import(project: Project) -> None:
    # OpenAI's SDK looks whether httpx2 is there, without importing it, to know the URLs of that library.
    project.file(
        "test_looking.py",
        """
        import sys
        import time
        import pytest

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(2))
        def test_looks(n):
            until = time.monotonic() + 2
            while (module := sys.modules.get("httpx2")) is None and time.monotonic() < until:
                pass
            assert module is None or hasattr(module, "URL")
        """,
    )
    # -B is no matter, but has a new interpreter, with nothing imported.
    project.python("-B", "-m", "pytest", "-q", "--llm-record=live", "--llm-concurrency=2").match("2 passed in *")
