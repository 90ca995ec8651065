"""A whole application replays: its vector store recorded with the model's calls, its fixtures on tapes of their own."""

from __future__ import annotations

from tests.conftest import Project
from tests.standin import StandIn

APP = """
    import os

    import httpx
    import requests

    STORE = os.environ.get("STORE_URL", "http://vectors.example.com")


    def embed(text):
        body = {"model": "text-embedding-3-small", "input": text}
        answer = httpx.post(os.environ["LLM_BASE"] + "/v1/embeddings", json=body).json()
        return answer["data"][0]["embedding"]


    def ask(question):
        hits = requests.post(f"{STORE}/search", json={"vector": embed(question), "top": 2}).json()["hits"]
        messages = [
            {"role": "system", "content": "Answer from: " + " | ".join(hits)},
            {"role": "user", "content": question},
        ]
        body = {"model": "gpt-4o-mini", "messages": messages}
        answer = httpx.post(os.environ["LLM_BASE"] + "/v1/chat/completions", json=body).json()
        return answer["choices"][0]["message"]["content"]
"""
TESTS = """
    import pytest
    from app import ask, embed


    @pytest.fixture(scope="module")
    def index():
        return {text: embed(text) for text in ("refunds", "shipping")}


    @pytest.mark.llm_eval
    def test_first(llm_eval, index):
        result = llm_eval.run(ask, "How long do refunds take?")
        assert "How long" in result.text and len(index) == 2
        assert [call.api for call in result.calls] == ["openai.embeddings", "openai.chat"]


    @pytest.mark.llm_eval
    def test_second(llm_eval, index):
        assert llm_eval.run(ask, "Where is my parcel?").text
        assert len(llm_eval.calls) == 2
"""
STORE = """
    import http.server, json, sys


    class Store(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps({"hits": [f"passage {n}" for n in range(asked["top"])]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            open("store.log", "a").write("asked\\n")
"""
CONFTEST = """
    import http.server, os, threading

    import store

    if os.environ.get("WITH_STORE"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["WITH_STORE"])), store.Store)
        threading.Thread(target=server.serve_forever, daemon=True).start()
"""


def test_an_application_with_its_vector_store_replays(project: Project, standin: StandIn) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, text in (("app.py", APP), ("test_rag.py", TESTS), ("store.py", STORE), ("conftest.py", CONFTEST)):
        project.file(name, text)
    project.file("pytest.ini", "[pytest]\nllm_record_hosts = 127.0.0.1\n")
    env = {"LLM_BASE": standin.url, "STORE_URL": f"http://127.0.0.1:{port}"}
    recording = project.run("-q", "--llm-record=once", env={**env, "WITH_STORE": str(port)})
    assert recording.returncode == 0, recording.out
    asked = len(standin.requests)
    assert (asked, project.read("store.log").count("asked")) == (2 + 2 * 2, 2)
    names = sorted(path.name.rsplit("-", 1)[0] for path in (project.path / "cassettes" / "test_rag").iterdir())
    assert names == ["fixture-index", "test_first", "test_second"]

    # Neither the provider nor the store is there; one test alone, then both, then on two workers.
    env = {"LLM_BASE": "http://127.0.0.1:9", "STORE_URL": "http://127.0.0.1:9"}
    for arguments, n in ((("-k", "second"), None), ((), None), ((), 2)):
        replay = project.run("-q", "--llm-record=none", *arguments, env=env, n=n)
        assert replay.returncode == 0, replay.out
    assert len(standin.requests) == asked


def test_a_fixture_without_recording_says_so_at_its_test(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file("test_rag.py", TESTS)
    run = project.run("-q", "--llm-record=none", env={"LLM_BASE": standin.url})
    assert run.outcomes.get("errors") == 2
    run.match("*fixture-index-*.json' does not exist*")
    assert standin.requests == []


def test_hosts_are_named_with_a_port_or_as_a_url(project: Project, standin: StandIn) -> None:
    project.file(
        "test_it.py",
        """
        import os, httpx, pytest

        @pytest.mark.llm_eval
        def test_tickets(llm_eval):
            llm_eval.run(httpx.get, os.environ["LLM_BASE"] + "/tickets")
        """,
    )
    env = {"LLM_BASE": standin.url}
    for hosts, mode, requests in (
        ("127.0.0.1:1", "once", 1),  # another service
        (f"http://127.0.0.1:{standin.port}/", "once", 2),
        (f"127.0.0.1:{standin.port}", "none", 2),
    ):
        run = project.run("-q", f"--llm-record-hosts={hosts}", f"--llm-record={mode}", env=env)
        assert (run.outcomes, len(standin.requests)) == ({"passed": 1}, requests), run.out
