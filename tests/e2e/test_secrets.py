"""Secrets, and what a project wants masked, wherever they hide: none of it reaches the disk, the audit finds it all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project
from tests.standin import Reply, StandIn

KEY = "sk-ant-api03-" + "Pl4nt3d" * 6
OPAQUE = "xyzzy-Pl4nt3d-0paque"
PIECES = [KEY[i : i + 8] for i in range(0, len(KEY), 8)]
URL = "postgres%3A%2F%2Fbob%3Ahunter22%40db.example.com%2Fx"

APP = """
    import os, httpx

    def post(asked, path="/v1/chat/completions", **more):
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": asked}], **more}
        return httpx.post(os.environ["LLM_BASE"] + path, json=body).text
"""


def a_test(call: str, decorator: str = "", argument: str = "") -> str:
    """A module of one marked test."""
    return f"""
    import os, httpx, pytest
    from app import post

    @pytest.mark.llm_eval
    {decorator}
    def test_it({argument}):
        {call}
    """


def sse(*events: Any) -> Reply:
    return Reply(chunks=[f"data: {json.dumps(event)}\n\n".encode() for event in events])


def chunk(index: int = 0, **delta: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "gpt-4o-mini",
        "choices": [{"index": index, "delta": delta, "finish_reason": None}],
    }


def thinking(piece: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": piece}}


def on_disk(project: Project, *texts: str) -> list[str]:
    found = []
    for path in project.path.rglob("*"):
        if path.is_file() and path.suffix != ".pyc" and path.name not in ("test_app.py", "pyproject.toml"):
            data = path.read_bytes()
            found += [f"{path.name}: {text}" for text in texts if text.encode() in data or text in path.name]
    return found


def cassette(project: Project) -> Path:
    (path,) = (project.path / "cassettes").rglob("*.json")
    return path


RAW = 'httpx.post(os.environ["LLM_BASE"] + "/v1/chat/completions", '
HIDDEN: dict[str, tuple[Reply, str]] = {
    "reasoning": (sse(*(chunk(reasoning_content=p) for p in PIECES), chunk(content="ok")), 'post("q", stream=True)'),
    "second choice": (
        sse(*(c for p in PIECES for c in (chunk(content="a "), chunk(1, content=p)))),
        'post("q", stream=True, n=2)',
    ),
    "thinking": (sse(*(thinking(p) for p in PIECES)), 'post("q", "/v1/messages", stream=True, max_tokens=9)'),
    "binary answer": (
        Reply(body=b"\xff\xfe" + KEY.encode(), headers={"content-type": "application/octet-stream"}),
        'post("q")',
    ),
    "binary question": (Reply("ok"), RAW + f'content=b"\\xff{KEY}")'),
    "query": (Reply("ok"), f'post("q", "/v1/chat/completions?db={URL}")'),
    "form": (Reply("ok"), RAW + 'data={"db": "postgres://bob:hunter22@db/x"})'),
    "key of a tool server": (
        Reply("ok"),
        f'post("q", tools=[{{"type": "mcp", "server_url": "https://mcp.example", "authorization": "{OPAQUE}"}}])',
    ),
    "headers of a tool server": (
        Reply("ok"),
        f'post("q", tools=[{{"type": "mcp", "headers": {{"Authorization": "Basic {OPAQUE}"}}}}])',
    ),
    "sign-in": (Reply("ok"), RAW + f'data={{"grant_type": "client_credentials", "client_secret": "{OPAQUE}"}})'),
    "token": (Reply(body=b'{"access_token": "%s", "expires_in": 60}' % OPAQUE.encode()), 'post("q")'),
}

CARELESS = """
    from pytest_llmops.cassettes import keeping
    keeping.secret_in = lambda *_: None
    keeping.checked_name = lambda *_: None
"""


@pytest.mark.parametrize("where", HIDDEN)
def test_a_secret_is_found_wherever_it_hides(where: str, project: Project, standin: StandIn) -> None:
    reply, call = HIDDEN[where]
    project.file("app.py", APP)
    project.file("test_app.py", a_test(call))
    standin.script(reply)
    run = project.run("-q", "--llm-json=run.json", env={"LLM_BASE": standin.url})
    assert run.outcomes == {"passed": 1, "errors": 1}, run.out
    run.match("*not written: * looks like a secret (*")
    assert not list(project.path.rglob("cassettes/**/*.json*"))
    assert on_disk(project, OPAQUE, KEY) == []
    project.file("conftest.py", CARELESS)  # what another tool has written
    assert project.run("-q", env={"LLM_BASE": standin.url}).outcomes == {"passed": 1}
    audit = project.command("cassettes", "audit", "cassettes")
    audit.match(f"*{cassette(project).name}:*looks like a secret (*", "1 cassette read, * finding*")
    assert (audit.returncode, [text for text in ("hunter22", KEY, OPAQUE) if text in audit.out]) == (1, [])


ELSEWHERE = f"""
    import asyncio, os
    import aiohttp, httpx, pytest
    from aiohttp.abc import AbstractResolver

    BODY = {{"model": "gpt-4o-mini", "messages": []}}

    class Silent(AbstractResolver):
        async def resolve(self, *_, **__): await asyncio.sleep(60)
        async def close(self): pass

    async def unreachable():
        limit = aiohttp.ClientTimeout(connect=0.01)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Silent()), timeout=limit) as session:
            await session.post("http://slow.example/v1/chat/completions?api-key={OPAQUE}", json=BODY)

    @pytest.mark.llm_eval
    def test_error_that_names_the_url():
        with pytest.raises(TimeoutError, match="Connection timeout to host http://slow.example/v1/chat/completions"):
            asyncio.run(unreachable())

    @pytest.mark.llm_eval
    def test_redirect():
        got = httpx.post(os.environ["LLM_BASE"] + "/v1/chat/completions", json=BODY, follow_redirects=True)
        assert got.status_code == 200
"""


def test_keys_in_urls_are_left_out_of_what_is_recorded(project: Project, standin: StandIn) -> None:
    """An error's words may quote the URL, and a redirect lead to a signed one; both replay without."""
    project.file("test_app.py", ELSEWHERE)
    standin.script(
        Reply(body=b"", status=307, headers={"location": f"/moved/v1/chat/completions?sig={OPAQUE}"}), Reply("ok")
    )
    env = {"LLM_BASE": standin.url}
    recording = project.run("-q", "-p", "no:cacheprovider", env=env)
    assert (recording.outcomes, standin.requests[1].query) == ({"passed": 2}, f"sig={OPAQUE}"), recording.out
    assert on_disk(project, OPAQUE) == []
    replay = project.run("-q", "--llm-record=none", env=env)
    assert (replay.outcomes, len(standin.requests)) == ({"passed": 2}, 2), replay.out


def test_a_secret_in_a_parameter_is_refused_before_anything_is_paid(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file("test_app.py", a_test('post("q")', f'@pytest.mark.parametrize("key", ["{KEY}"])', "key"))
    run = project.run("-q", "-p", "no:cacheprovider", env={"LLM_BASE": standin.url})
    assert (run.outcomes, len(standin.requests)) == ({"errors": 1}, 0), run.out
    run.match("test_app.py::test_it: a parameter looks like a secret (Anthropic key)*", "*pytest.param(*id='a-name')")
    assert on_disk(project, KEY) == []
    project.file("conftest.py", CARELESS)
    assert project.run("-q", env={"LLM_BASE": standin.url}).outcomes == {"passed": 1}
    audit = project.command("cassettes", "audit", "cassettes")
    audit.match("*(Anthropic key, in the file's name)")
    assert KEY not in audit.out
    project.file("conftest.py", "")
    project.file("test_app.py", project.read("test_app.py").replace(f'"{KEY}"', f'pytest.param("{KEY}", id="mine")'))
    assert project.run("-q", env={"LLM_BASE": standin.url}).outcomes == {"passed": 1}


SCRUB = """
    [tool.pytest-llmops]
    scrub = ["CUST-\\\\d{8}", "bob@example.org"]
    scrub_fields = ["customer_email"]
"""
PRIVATE = ["CUST-12345678", "bob%40example.org", "bob@example.org", "eve@example.org", "5678 "]


def test_scrub_reaches_addresses_and_streams(project: Project, standin: StandIn) -> None:
    """What is masked replays all the same: keys are made of masked requests."""
    project.file("app.py", APP)
    project.file("pyproject.toml", SCRUB)
    project.file(
        "test_app.py",
        a_test(
            'assert "hi" in post("q", "/CUST-12345678/v1/chat/completions?c=CUST-12345678&m=bob%40example.org",'
            " stream=True)"
        ),
    )
    tool = [{"index": 0, "function": {"arguments": p}} for p in ('{"customer_', 'email": "eve@exam', 'ple.org"}')]
    standin.script(
        sse(
            *(chunk(content=p) for p in ("CUST-", "1234", "5678 ", "hi")),
            {**chunk(content="."), "customer_email": "eve@example.org"},
            *(chunk(tool_calls=[t]) for t in tool),
        )
    )
    assert project.run("-q", env={"LLM_BASE": standin.url}).outcomes == {"passed": 1}
    assert standin.requests[0].path.startswith("/CUST-12345678/"), "masked on disk, not on the wire"
    assert on_disk(project, *PRIVATE, "ple.org") == []
    assert project.command("cassettes", "audit", "cassettes").returncode == 0
    replay = project.run("-q", "--llm-record=none", env={"LLM_BASE": standin.url})
    assert (replay.outcomes, len(standin.requests)) == ({"passed": 1}, 1), replay.out


def test_audit_finds_what_should_have_been_masked(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file("test_app.py", a_test('post("q", stream=True)'))
    standin.script(sse(*(chunk(content=p) for p in ("CUST-", "1234", "5678 ", "hi"))))
    assert project.run("-q", env={"LLM_BASE": standin.url}).outcomes == {"passed": 1}
    assert project.command("cassettes", "audit", "cassettes").returncode == 0
    project.file("pyproject.toml", SCRUB)
    audit = project.command("cassettes", "audit", "cassettes")
    assert audit.returncode == 1
    audit.match("*(what scrub or scrub_fields masks)")


def test_scrub_refuses_what_it_cannot_mask(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file("pyproject.toml", SCRUB)
    project.file("test_app.py", a_test('post("q")'))
    standin.script(Reply(body=b"\xff CUST-12345678", headers={"content-type": "application/octet-stream"}))
    run = project.run("-q", env={"LLM_BASE": standin.url})
    run.match("*not written: response.body.base64 looks like a secret (what scrub masks*")


FOREIGN = """
    interactions:
    - request:
        body: '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "q CUST-12345678"}]}'
        headers: {content-type: [application/json]}
        method: POST
        uri: http://127.0.0.1/v1/chat/completions
      response:
        body: {string: '{"choices": [{"message": {"content": "TEXT"}}], "customer_email": "bob@example.org"}'}
        headers: {content-type: [application/json]}
        status: {code: 200, message: OK}
    version: 1
"""


def foreign(project: Project, text: str) -> None:
    project.file("cassettes/test_app/test_it.yaml", FOREIGN.replace("TEXT", text))


def test_other_recorders_cassettes_are_looked_through_before_they_become_ours(
    project: Project, standin: StandIn
) -> None:
    project.file("app.py", APP)
    project.file("pyproject.toml", SCRUB)
    project.file("test_app.py", a_test('post("q CUST-12345678"); post("another")'))
    env = {"LLM_BASE": standin.url}
    foreign(project, f"my key is {KEY}")
    assert project.command("cassettes", "audit", "cassettes").returncode == 1
    run = project.run("-q", "--llm-record=new_episodes", env=env)
    assert run.outcomes == {"passed": 1, "errors": 1}, run.out
    run.match("*not written: response.body.json.choices[[]0].message.content looks like a secret (Anthropic key)")
    convert = project.command("cassettes", "convert", "cassettes")
    assert convert.returncode == 2
    convert.match("*not written: response.body*looks like a secret (Anthropic key)")
    assert not list((project.path / "cassettes" / "test_app").glob("*.json"))
    foreign(project, "clean")
    project.command("cassettes", "convert", "cassettes").match("*(1 exchanges)")
    written = cassette(project).read_text()
    assert "clean" in written
    assert not [text for text in PRIVATE if text in written]
    cassette(project).unlink()
    standin.requests.clear()
    assert project.run("-q", "--llm-record=new_episodes", env=env).outcomes == {"passed": 1}
    assert not standin.requests, "one was there, and the other is paid for"
    written = cassette(project).read_text()
    assert "clean" in written
    assert not [text for text in PRIVATE if text in written]


HEADERS = f"""
    interactions:
    - request:
        method: POST
        uri: https://api.example/v1/chat/completions?api-key={OPAQUE}
        body: '{{"model": "gpt-4o-mini", "messages": []}}'
        headers:
          api-key:
          - 0123456789abcdef0123456789abcdef
          authorization: [Basic {OPAQUE}-2]
          x-api-key: [DUMMY_API_KEY]
      response:
        status: {{code: 200, message: OK}}
        headers: {{}}
        body: {{string: '{{}}'}}
    version: 1
"""


def test_audit_finds_keys_that_another_recorder_kept_of_a_request(project: Project) -> None:
    project.file("cassettes/test_it/test_it.yaml", HEADERS)
    audit = project.command("cassettes", "audit", "cassettes")
    audit.match(
        "*test_it.yaml:8: looks like a secret (the value of api-key)",
        "*test_it.yaml:9: looks like a secret (the value of authorization)",
        "*test_it.yaml:4: looks like a secret (the value of api-key)",
        "1 cassette read, 3 findings",
    )
    assert (audit.returncode, [text for text in (OPAQUE, "0123456789abcdef") if text in audit.out]) == (1, [])
