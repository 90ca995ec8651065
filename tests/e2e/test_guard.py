"""On replay nothing leaves the machine, whatever it speaks."""

from __future__ import annotations

import json

from tests.conftest import Project
from tests.standin import StandIn

TESTS = """
    import asyncio
    import http.client
    import socket

    import pytest

    llm = pytest.mark.llm_eval


    @llm
    def test_raw_socket(llm_eval):
        try:
            socket.create_connection(("192.0.2.7", 443), timeout=1)
        except BaseException:
            pass


    @llm
    def test_name_lookup(llm_eval):
        http.client.HTTPSConnection("tickets.example.com", timeout=1).request("GET", "/")


    @llm
    def test_asyncio_stream(llm_eval):
        asyncio.run(asyncio.open_connection("192.0.2.8", 443))


    @llm
    def test_datagram(llm_eval):
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.9", 53))


    @llm
    def test_old_lookup(llm_eval):
        socket.gethostbyname("resolver.example.com")


    @llm
    @pytest.mark.parametrize("ask", [
        lambda: socket.gethostbyaddr("192.0.2.11"),
        lambda: socket.getfqdn(name="fqdn.example.com"),
        lambda: socket.getnameinfo(("192.0.2.12", 80), 0),
    ])
    def test_reverse_lookup(llm_eval, ask):
        ask()


    @llm
    def test_own_name(llm_eval):
        socket.getfqdn()
        socket.gethostbyaddr("127.0.0.1")


    @llm
    def test_model_by_bare_http_client(llm_eval):
        connection = http.client.HTTPConnection("127.0.0.1", 9, timeout=1)
        connection.request("POST", "/v1/chat/completions", body=b"{}")


    @llm
    def test_loopback_is_free(llm_eval):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            socket.create_connection(server.getsockname(), timeout=1).close()


    @llm
    def test_other_http(llm_eval):
        import httpx

        httpx.get("http://tickets.example.com/7")


    def test_unmarked_is_untouched():
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", 1), timeout=1)
"""


def test_no_connection_leaves_the_machine_on_replay(project: Project) -> None:
    project.file("test_guard.py", TESTS)
    run = project.run("--llm-record=none", "-p", "no:asyncio")
    assert (run.outcomes["passed"], run.outcomes["failed"]) == (3, 10)
    run.match(
        "*a connection* to 192.0.2.7: nothing leaves the machine on replay*",
        "*llm_allowed_hosts = 192.0.2.7*",
        "*tickets.example.com*",
        "*a connection* to 192.0.2.8*",
        "*a datagram* to 192.0.2.9*",
        "*a name look-up to resolver.example.com*",
        "*a name look-up to 192.0.2.11*",
        "*a name look-up to fqdn.example.com*",
        "*a name look-up to 192.0.2.12*",
        "*http.client's calls are not recorded*",
        "*GET tickets.example.com/7 is no LLM call*",
        "*llm_record_hosts = tickets.example.com*",
    )


def test_other_modes_do_not_guard(project: Project) -> None:
    project.file("test_guard.py", TESTS)
    run = project.run("--llm-record=once", "-k", "raw or loopback", "-p", "no:asyncio")
    assert run.outcomes.get("failed") is None


def test_the_projects_own_secrets_and_ids(project: Project, standin: StandIn) -> None:
    """`secrets` refuses to write what only the project knows; `id_patterns` finds a recording whose ids differ."""
    project.file(
        "pyproject.toml",
        """
        [tool.pytest-llmops]
        secrets = ["ACME-[0-9]{6}"]
        id_patterns = ["run-[0-9a-f]{8}"]
        """,
    )
    project.file(
        "test_app.py",
        """
        import os, uuid
        import httpx, pytest

        def ask(text):
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
            return httpx.post(os.environ["LLM_BASE"] + "/v1/chat/completions", json=body).text

        @pytest.mark.llm_eval
        def test_id(llm_eval):
            llm_eval.run(ask, f"Summarise run-{uuid.uuid4().hex[:8]}")

        @pytest.mark.llm_eval
        def test_secret(llm_eval):
            llm_eval.run(ask, os.environ.get("QUESTION", "Who is ACME-123456?"))
        """,
    )
    env = {"LLM_BASE": standin.url}
    recording = project.run("-q", env=env)
    recording.match("*not written: request.body.json.messages[[]0].content looks like a secret (pattern 1 of the*")
    assert "ACME-123456" not in "".join(p.read_text() for p in (project.path / "cassettes").rglob("*.json*"))
    assert project.run("-q", "--llm-record=none", "-k", "id", env={"LLM_BASE": "http://127.0.0.1:9"}).returncode == 0
    path = next((project.path / "cassettes").rglob("*.json"))
    path.write_text(path.read_text().replace("Summarise", "ACME-654321"))
    audit = project.command("cassettes", "audit", "cassettes")
    assert audit.returncode == 1
    audit.match("*looks like a secret (pattern 1 of the project's secrets)")


OUTLIVING = """
    import asyncio, contextvars, os, threading
    from concurrent.futures import ThreadPoolExecutor

    import httpx, pytest

    POOL = ThreadPoolExecutor(1)
    LOOP = asyncio.new_event_loop()
    left, work = [], []
    first_ended, last_ended = threading.Event(), threading.Event()

    def ask(text, after=None):
        # What is left waits until its test has ended, the last one's for the end of the run or of the process.
        while after is not None and not after.wait(0.05) and threading.main_thread().is_alive():
            pass
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
        return httpx.post(os.environ["LLM_BASE"] + "/v1/chat/completions", json=body).text

    def leave(thread):
        thread.start()
        left.append(thread)

    def on_the_loop(text):
        async def asked():
            return await asyncio.to_thread(ask, text)
        return asyncio.run_coroutine_threadsafe(asked(), LOOP).result()

    @pytest.fixture(scope="session")
    def server():
        leave(threading.Thread(target=ask, args=["of a fixture", first_ended]))

    @pytest.mark.llm_eval
    def test_leaves_threads(server):
        POOL.submit(int)
        threading.Thread(target=LOOP.run_forever, daemon=True).start()
        leave(threading.Thread(target=ask, args=["of a thread", first_ended]))
        leave(threading.Thread(target=contextvars.copy_context().run, args=[ask, "of its context", first_ended]))
        leave(threading.Thread(target=lambda: leave(threading.Timer(0, ask, ["of its thread", first_ended]))))
        work.append(POOL.submit(ask, "of its work", first_ended))

    def test_unmarked():
        first_ended.set()
        foreign = threading.Thread(target=ask, args=["foreign"])
        foreign.start()
        foreign.join()
        ask("unmarked")
        assert isinstance(work[0].exception(), pytest.fail.Exception)
        POOL.submit(ask, "by the pool").result()
        on_the_loop("on the loop")
        for thread in left:
            thread.join()
        left.clear()

    @pytest.mark.llm_eval
    def test_last():
        leave(threading.Thread(target=ask, args=["at the end", last_ended]))
"""


def test_what_a_test_leaves_running_calls_nobody_on_replay(project: Project, standin: StandIn) -> None:
    """Threads and pooled work stay refused when their test has ended; unmarked tests, and what is theirs, do not."""
    project.file("test_app.py", OUTLIVING)
    run = project.run("-q", "--llm-record=none", "-p", "no:asyncio", env={"LLM_BASE": standin.url})
    assert (run.returncode, run.outcomes["passed"]) == (0, 3), run.out
    asked = {request.json["messages"][0]["content"] for request in standin.requests}
    assert asked == {"foreign", "unmarked", "by the pool", "on the loop", "of a fixture"}
    run.match("*test_leaves_threads, which it belongs to, has ended: wait there for the threads it starts*")


def test_a_run_in_the_same_process_after_threads_were_left(project: Project, standin: StandIn) -> None:
    """A run may begin while a thread of the one before is refused: no request is met twice, and all is put back."""
    project.file("conftest.py", "")
    project.file("test_app.py", OUTLIVING)
    project.file(
        "twice.py",
        """
        import httpx, pytest, test_app

        @pytest.mark.llm_eval
        def test_asks():
            test_app.ask("once")

        if __name__ != "__main__":  # the second run has begun, and none of its tests
            test_app.last_ended.set()
            for thread in test_app.left:
                thread.join()

        if __name__ == "__main__":
            original = httpx.HTTPTransport.handle_request
            assert pytest.main(["-q", "--llm-record=none", "-k", "test_last", "test_app.py"]) == 0
            assert any(thread.is_alive() for thread in test_app.left)
            assert pytest.main(["-q", "--llm-record=once", "twice.py"]) == 0
            assert pytest.main(["-q", "--llm-record=none", "twice.py"]) == 0
            assert httpx.HTTPTransport.handle_request is original
        """,
    )
    run = project.python("twice.py", env={"LLM_BASE": standin.url})
    assert run.returncode == 0, run.out
    assert [request.json["messages"][0]["content"] for request in standin.requests] == ["once"]
    (cassette,) = (project.path / "cassettes").rglob("*.json")
    assert len(json.loads(cassette.read_text())["interactions"]) == 1
