"""On replay nothing leaves the machine, whatever it speaks."""

from __future__ import annotations

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
    assert (run.outcomes["passed"], run.outcomes["failed"]) == (2, 7)
    run.match(
        "*a connection* to 192.0.2.7: nothing leaves the machine on replay*",
        "*llm_allowed_hosts = 192.0.2.7*",
        "*tickets.example.com*",
        "*a connection* to 192.0.2.8*",
        "*a datagram* to 192.0.2.9*",
        "*a name look-up to resolver.example.com*",
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
