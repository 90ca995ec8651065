"""Every HTTP client by every kind of exchange: recorded once, replayed without the provider, the same to its caller."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Project, Run
from tests.e2e.traffic import CLIENTS, MISSING, SCENARIOS, perform, provider
from tests.standin import StandIn

MATRIX = """
    import os
    import pytest
    from tests.e2e.traffic import CLIENTS, SCENARIOS, keep, perform

    URL = os.environ["STANDIN"]

    @pytest.mark.parametrize("scenario", SCENARIOS)
    @pytest.mark.parametrize("client", CLIENTS)
    @pytest.mark.llm_eval
    def test_traffic(llm_eval, client, scenario):
        result = llm_eval.run(perform, URL, client, SCENARIOS[scenario])
        calls = [call.model_dump(mode="json", exclude={"replayed", "started_at"}) for call in result.calls]
        keep(os.environ["SEEN"], f"{client} {scenario}", {"output": result.output, "calls": calls})
"""


@dataclass
class Both:
    """A suite run twice: against the provider, and without it."""

    project: Project
    recording: Run
    replay: Run
    recorded: dict[str, Any]
    replayed: dict[str, Any]
    requests: int
    requests_on_replay: int


def both(project: Project, standin: StandIn, *args: str, env: dict[str, str] | None = None) -> Both:
    runs, seen, requests = [], [], []
    for name in ("recorded", "replayed"):
        before = len(standin.requests)
        variables = {"STANDIN": standin.url, "SEEN": str(project.path / name), **(env or {})}
        (project.path / name).touch()
        if name == "replayed":
            variables["CI"] = "true"
        runs.append(project.run("-q", "--llm-record-hosts=127.0.0.1", f"--llm-json={name}.json", *args, env=variables))
        seen.append(dict(json.loads(line) for line in project.read(name).splitlines()))
        requests.append(len(standin.requests) - before)
    return Both(project, runs[0], runs[1], seen[0], seen[1], requests[0], requests[1])


@pytest.fixture(scope="module")
def provider_standin() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory, provider_standin: StandIn) -> Both:
    project = Project(tmp_path_factory.mktemp("matrix"))
    project.file("test_matrix.py", MATRIX)
    provider_standin.script(provider)
    return both(project, provider_standin)


def test_the_matrix_records_and_replays(matrix: Both) -> None:
    assert matrix.recording.outcomes == {"passed": len(CLIENTS) * len(SCENARIOS)}, matrix.recording.out[-3000:]
    assert matrix.replay.outcomes == matrix.recording.outcomes, matrix.replay.out[-3000:]
    assert matrix.requests == len(CLIENTS) * len(SCENARIOS)
    assert matrix.requests_on_replay == 0


@pytest.mark.parametrize("coding", MISSING)
def test_every_content_coding_is_tried(coding: str) -> None:
    if MISSING[coding]:
        pytest.skip(f"{coding} is not tried: {' and '.join(MISSING[coding])} not installed")


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("client", CLIENTS)
def test_recording_changes_nothing_for_the_caller(
    matrix: Both, provider_standin: StandIn, client: str, scenario: str
) -> None:
    assert matrix.recorded[f"{client} {scenario}"]["output"] == perform(
        provider_standin.url, client, SCENARIOS[scenario]
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("client", CLIENTS)
def test_replay_is_what_was_recorded(matrix: Both, client: str, scenario: str) -> None:
    recorded, replayed = deepcopy((matrix.recorded[f"{client} {scenario}"], matrix.replayed[f"{client} {scenario}"]))
    if scenario == "429":
        recorded["output"]["headers"].pop("retry-after")
        assert replayed["output"]["headers"].pop("retry-after") == "0", "a recording needs no rest"
    if client == "urllib" and scenario in ("gzip", "deflate", "br", "zstd", "gzip stream"):
        # It leaves decoding to its caller, and our cassettes hold plain text: no such header, no such coding.
        assert base64.b64decode(recorded.pop("output")["body"])
        assert replayed.pop("output")["json"]["choices"]
    assert replayed == recorded


APPLICATION = """
    import asyncio, os, sys, threading
    from concurrent.futures import ThreadPoolExecutor

    import aiohttp, httpx, httpx2, openai, requests

    URL = os.environ["STANDIN"] + "/v1/chat/completions"
    at_import = httpx.Client()
    session = requests.Session()
    sdk = openai.OpenAI(base_url=os.environ["STANDIN"] + "/v1", api_key="test-key")
    pool = ThreadPoolExecutor(3)

    def body(text):
        return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}

    def said(answer):
        return answer.json()["choices"][0]["message"]["content"]

    def ask(text, client=at_import):
        return said(client.post(URL, json=body(text)))

    async def aask(text):
        async with httpx2.AsyncClient() as client:
            return said(await client.post(URL, json=body(text)))

    async def by_aiohttp(text):
        async with aiohttp.ClientSession() as client, client.post(URL, json=body(text)) as answer:
            return (await answer.json())["choices"][0]["message"]["content"]

    def by_sdk(text):
        done = sdk.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": text}])
        return done.choices[0].message.content
"""

SHAPES = """
    import asyncio, os, threading
    from concurrent.futures import ThreadPoolExecutor

    import anyio, httpx, pytest, requests
    import app
    from tests.e2e.traffic import keep

    pytestmark = pytest.mark.llm_eval

    def seen(request, result):
        calls = [c.model_dump(mode="json", exclude={"replayed", "started_at"}) for c in result.calls]
        keep(os.environ["SEEN"], request.node.name, [result.output, sorted(c["text"] or "" for c in calls), len(calls)])

    def test_client_made_at_import(request, llm_eval):
        seen(request, llm_eval.run(app.ask, "at import"))

    def test_sdk_made_at_import(request, llm_eval):
        seen(request, llm_eval.run(app.by_sdk, "by sdk"))

    def test_session_at_module_level(request, llm_eval):
        seen(request, llm_eval.run(lambda: app.said(app.session.post(app.URL, json=app.body("session")))))

    def test_client_per_test(request, llm_eval):
        with httpx.Client() as client:
            seen(request, llm_eval.run(app.ask, "per test", client))

    @pytest.fixture(scope="module")
    def shared():
        with httpx.Client() as client:
            yield client

    @pytest.mark.parametrize("turn", [1, 2])
    def test_client_of_a_wider_fixture(request, llm_eval, shared, turn):
        seen(request, llm_eval.run(app.ask, f"turn {turn}", shared))

    @pytest.mark.parametrize("turn", [1, 2])
    def test_pool_of_the_applications(request, llm_eval, turn):
        seen(request, llm_eval.run(lambda: list(app.pool.map(app.ask, [f"{turn} pool {i}" for i in range(6)]))))

    def test_threads_of_the_test(request, llm_eval):
        def threads():
            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(app.ask, [f"thread {i}" for i in range(8)]))
        seen(request, llm_eval.run(threads))

    def test_bare_thread(request, llm_eval):
        def bare():
            said = []
            thread = threading.Thread(target=lambda: said.append(app.ask("bare thread")))
            thread.start()
            thread.join()
            return said
        seen(request, llm_eval.run(bare))

    def test_asyncio_run_inside_a_sync_test(request, llm_eval):
        seen(request, llm_eval.run(lambda: asyncio.run(app.aask("own loop"))))

    def test_anyio_run(request, llm_eval):
        seen(request, llm_eval.run(anyio.run, app.aask, "anyio"))

    @pytest.mark.asyncio
    async def test_gather(request, llm_eval):
        async def many():
            return await asyncio.gather(*[app.aask(f"gather {i}") for i in range(5)], app.by_aiohttp("gather too"))
        seen(request, await llm_eval.arun(many))

    @pytest.mark.asyncio
    async def test_task_group(request, llm_eval):
        async def many():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(app.aask(f"group {i}")) for i in range(5)]
            return [task.result() for task in tasks]
        seen(request, await llm_eval.arun(many))

    @pytest.mark.asyncio
    async def test_to_thread(request, llm_eval):
        async def inner():
            return await asyncio.gather(*[asyncio.to_thread(app.ask, f"to thread {i}") for i in range(3)])
        seen(request, await llm_eval.arun(inner))

    @pytest.mark.asyncio(loop_scope="session")
    @pytest.mark.parametrize("turn", [1, 2, 3])
    async def test_session_loop(request, llm_eval, turn):
        seen(request, await llm_eval.arun(app.aask, f"session loop {turn}"))

    @pytest.mark.asyncio(loop_scope="session")
    async def test_aiohttp_on_the_session_loop(request, llm_eval):
        seen(request, await llm_eval.arun(app.by_aiohttp, "aiohttp"))

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_anyio_plugin(request, llm_eval, anyio_backend):
        seen(request, await llm_eval.arun(app.aask, "anyio plugin"))

    @pytest.mark.asyncio
    async def test_the_same_question_five_times(request, llm_eval):
        async def many():
            return await asyncio.gather(*[app.aask("the same") for _ in range(5)])
        seen(request, await llm_eval.arun(many))

    @pytest.mark.asyncio
    async def test_given_up_by_a_timeout(request, llm_eval):
        async def impatient():
            try:
                async with asyncio.timeout(1):
                    return await app.aask("slow")
            except TimeoutError:
                return "gave up, " + await app.aask("after all")
        seen(request, await llm_eval.arun(impatient))

    @pytest.mark.asyncio
    async def test_the_first_of_two_wins(request, llm_eval):
        async def hedged():
            tasks = [asyncio.create_task(app.aask(text)) for text in ("slow", "quick")]
            done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            return [task.result() for task in done]
        seen(request, await llm_eval.arun(hedged))
"""


BODIES = """
    import asyncio, io, json, os
    import aiohttp, multidict, pytest

    URL = os.environ["LLM_BASE"]
    CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi!"}]}
    FORM = {"model": "whisper-1", "language": "de"}

    def parts():
        writer = aiohttp.MultipartWriter("form-data")
        for name, value in FORM.items():
            writer.append(value).set_content_disposition("form-data", name=name)
        return writer

    BODIES = {
        "payload of JSON": lambda: aiohttp.JsonPayload(CHAT),
        "payload of bytes": lambda: aiohttp.BytesPayload(json.dumps(CHAT).encode()),
        "pairs": lambda: list(FORM.items()),
        "fields": lambda: multidict.MultiDict(FORM),
        "file": lambda: {**FORM, "file": io.BytesIO(b"RIFF")},
        "parts": parts,
    }

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("body", BODIES)
    def test_body(llm_eval, body):
        async def post():
            path = "/v1/chat/completions" if body.startswith("payload") else "/v1/audio/transcriptions"
            async with aiohttp.ClientSession() as session, session.post(URL + path, data=BODIES[body]()) as answer:
                return answer.status
        assert llm_eval.run(asyncio.run, post()).output in (200, 404)
"""


def test_aiohttp_sends_every_kind_of_body(project: Project, standin: StandIn) -> None:
    project.file("test_bodies.py", BODIES)
    env = {"LLM_BASE": standin.url}
    recording = project.run("-q", "--llm-record-hosts=all", env=env)
    assert recording.outcomes == {"passed": 6}, recording.out[-3000:]
    kinds = [(asked.headers["content-type"].partition(";")[0], len(asked.body) > 20) for asked in standin.requests]
    form, whole = "application/x-www-form-urlencoded", "multipart/form-data"
    media = ["application/json", "application/octet-stream", form, form, whole, whole]
    assert kinds == [(kind, True) for kind in media]
    replay = project.run("-q", "--llm-record-hosts=all", "--llm-record=none", env=env)
    assert (replay.outcomes, len(standin.requests)) == ({"passed": 6}, 6), replay.out[-3000:]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory, provider_standin: StandIn) -> Both:
    project = Project(tmp_path_factory.mktemp("shapes"))
    project.file("app.py", APPLICATION)
    project.file("test_shapes.py", SHAPES)
    provider_standin.script(provider)
    return both(project, provider_standin)


def test_applications_of_every_shape_replay(shapes: Both) -> None:
    assert set(shapes.recording.outcomes) == {"passed"}, shapes.recording.out[-3000:]
    assert shapes.replay.outcomes == shapes.recording.outcomes, shapes.replay.out[-3000:]
    assert shapes.requests_on_replay == 0
    assert shapes.replayed == shapes.recorded
    for name, (output, texts, _) in shapes.recorded.items():
        made = [output] if isinstance(output, str) else output
        assert all(text.removeprefix("gave up, ") in texts for text in made), f"{name}: calls are not this test's"
