"""On replay nothing leaves the machine, whatever it speaks."""

from __future__ import annotations

from tests.conftest import Project

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
    assert (run.outcomes["passed"], run.outcomes["failed"]) == (2, 4)
    run.match(
        "*a connection* to 192.0.2.7: nothing leaves the machine on replay*",
        "*llm_allowed_hosts = 192.0.2.7*",
        "*tickets.example.com*",
        "*a connection* to 192.0.2.8*",
        "*GET tickets.example.com/7 is no LLM call*",
        "*llm_record_hosts = tickets.example.com*",
    )


def test_other_modes_do_not_guard(project: Project) -> None:
    project.file("test_guard.py", TESTS)
    run = project.run("--llm-record=once", "-k", "raw or loopback", "-p", "no:asyncio")
    assert run.outcomes.get("failed") is None
