"""Streams while they are recorded: as prompt as without the plugin; timed, and the same times on replay."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Project
from tests.standin import Reply, StandIn

CHUNK_DELAY_S = 0.05
ADDED_MS = 20
TRIES = 10
PIECES = [f"word{i} " for i in range(4)]
SPAN_MS = 0.6 * CHUNK_DELAY_S * 1000 * (len(PIECES) - 1)
"""At least between the first piece and the last, unless they came in one go."""

APP = """
    import asyncio, os, ssl, time
    import aiohttp, httpx, httpx2, requests, urllib.request, json, urllib3
    import openai, anthropic

    BASE = os.environ["STANDIN"]
    URL = BASE + "/v1/chat/completions"
    SYNC, ASYNC = {}, {}
    TLS = ssl.create_default_context()  # or building it would count for the client without recording

    def body(text):
        return {"model": "gpt-4o-mini", "stream": True, "stream_options": {"include_usage": True},
                "messages": [{"role": "user", "content": text}]}

    def client(table):
        return lambda func: table.setdefault(func.__name__, func)

    @client(SYNC)
    def by_httpx(text):
        with httpx.Client(verify=TLS) as http, http.stream("POST", URL, json=body(text)) as answer:
            yield from answer.iter_bytes()

    @client(SYNC)
    def by_httpx2(text):
        with httpx2.Client(verify=TLS) as http, http.stream("POST", URL, json=body(text)) as answer:
            yield from answer.iter_bytes()

    @client(SYNC)
    def by_requests(text):
        with requests.post(URL, json=body(text), stream=True) as answer:
            yield from answer.iter_content(None)

    @client(SYNC)
    def by_urllib3(text):
        answer = urllib3.PoolManager().request("POST", URL, json=body(text), preload_content=False)
        yield from answer.stream()

    @client(SYNC)
    def by_urllib(text):
        data = json.dumps(body(text)).encode()
        request = urllib.request.Request(URL, data, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            while part := answer.read1():
                yield part

    @client(SYNC)
    def by_openai(text):
        with openai.OpenAI(base_url=BASE + "/v1", api_key="test-key", http_client=httpx2.Client(verify=TLS)) as sdk:
            for event in sdk.chat.completions.create(**body(text)):
                yield event.model_dump_json().encode()

    @client(SYNC)
    def by_anthropic(text):
        with anthropic.Anthropic(base_url=BASE, api_key="test-key", http_client=httpx2.Client(verify=TLS)) as sdk:
            with sdk.messages.stream(model="claude", max_tokens=50, messages=body(text)["messages"]) as stream:
                for word in stream.text_stream:
                    yield word.encode()

    @client(ASYNC)
    async def by_httpx2_async(text):
        async with httpx2.AsyncClient(verify=TLS) as http, http.stream("POST", URL, json=body(text)) as answer:
            async for part in answer.aiter_bytes():
                yield part

    @client(ASYNC)
    async def by_aiohttp(text):
        async with aiohttp.ClientSession() as http, http.post(URL, json=body(text)) as answer:
            async for part in answer.content.iter_any():
                yield part

    def timed(name, text):
        "Bytes, and when each piece came, in ms."
        started, parts = time.perf_counter(), []
        now = lambda: (time.perf_counter() - started) * 1000
        if name in SYNC:
            for part in SYNC[name](text):
                parts.append((part, now()))
        else:
            async def read():
                async for part in ASYNC[name](text):
                    parts.append((part, now()))
            asyncio.run(read())
        return b"".join(part for part, _ in parts).decode(), [at for _, at in parts]
"""

SUITE = """
    import os, pytest
    import app
    from tests.e2e.traffic import keep

    NAMES = [*app.SYNC, *app.ASYNC]
    PLAIN = {}

    def test_without_recording():  # no marker: untouched
        for name in NAMES:
            app.timed(name, "warm up")
        for name in NAMES:
            PLAIN[name] = [app.timed(name, f"plain {i}")[1] for i in range(2)]
            keep(os.environ["SEEN"], name, {"plain": PLAIN[name]})

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("name", NAMES)
    def test_in_time(llm_eval, name):
        "Until nothing else on the machine delayed the first piece, or put several together."
        times, delays = [], []
        for i in range(TRIES):
            result = llm_eval.run(app.timed, name, f"in time {i}", name=str(i))
            times.append(result.output[1])
            delays.append((result.ttft_ms, result.latency_ms))
            first, last = times[-1][0], times[-1][-1]
            if first < min(PLAIN[name])[0] + ADDED_MS and last - first > SPAN_MS and len(times[-1]) >= PIECES:
                break
        keep(os.environ["SEEN"], name, {"times": times, "delays": delays})

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("name", NAMES)
    def test_stream(llm_eval, name):
        results = [llm_eval.run(app.timed, name, f"asked {i}", name=str(i)) for i in range(2)]
        keep(os.environ["SEEN"], name, {
            "took": [r.output[1][-1] for r in results],
            "bytes": [r.output[0] for r in results],
            "text": [r.calls[0].text for r in results],
            "ttft_ms": [r.ttft_ms for r in results],
            "latency_ms": [r.latency_ms for r in results],
            "tokens": [(r.input_tokens, r.output_tokens) for r in results],
            "pieces": [len(r.output[1]) for r in results],
        })
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, list]]]:
    """What each client saw while recording, and on replay with the provider gone."""
    project = Project(tmp_path_factory.mktemp("streams"))
    project.file("app.py", APP)
    numbers = {"TRIES": TRIES, "ADDED_MS": ADDED_MS, "SPAN_MS": SPAN_MS, "PIECES": len(PIECES)}
    project.file("test_suite.py", SUITE + "".join(f"\n    {name} = {value}" for name, value in numbers.items()))
    found = []
    with StandIn() as standin:
        standin.script(Reply(pieces=PIECES, chunk_delay_s=CHUNK_DELAY_S))
        for ci in ("", "true"):
            only = ("-k", "test_stream") if ci else ()
            before = len(standin.requests)
            (project.path / "seen").write_text("")
            run = project.run("-q", *only, env={"STANDIN": standin.url, "SEEN": str(project.path / "seen"), "CI": ci})
            assert run.returncode == 0, run.out
            seen: dict[str, dict[str, list]] = {}
            for line in project.read("seen").splitlines():
                name, what = json.loads(line)
                seen.setdefault(name, {}).update(what)
            found.append(seen)
        assert len(standin.requests) == before, "the replay asked the provider"
    return found


PLAIN = ["by_httpx", "by_httpx2", "by_requests", "by_urllib3", "by_urllib", "by_httpx2_async", "by_aiohttp"]
NAMES = [*PLAIN, "by_openai", "by_anthropic"]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_token_is_as_prompt_as_without_recording(runs, name: str, record_property) -> None:
    plain = min(times[0] for times in runs[0][name]["plain"])
    recorded = min(times[0] for times in runs[0][name]["times"])
    record_property("added_ms", round(recorded - plain, 2))
    print(f"\n{name}: first piece {plain:.1f} ms plain, {recorded:.1f} ms while recording")
    assert recorded < plain + ADDED_MS


@pytest.mark.parametrize("name", NAMES)
def test_pieces_come_one_by_one_while_recording(runs, name: str) -> None:
    best = max(runs[0][name]["times"], key=lambda times: (len(times), times[-1] - times[0]))
    assert len(best) >= len(PIECES), "pieces were put together"
    assert best[-1] - best[0] > SPAN_MS, "they came in one go"


@pytest.mark.parametrize("name", NAMES)
def test_replay_gives_the_same_bytes_text_and_times(runs, name: str) -> None:
    recorded, replayed = runs[0][name], runs[1][name]
    for what in ("bytes", "text", "ttft_ms", "latency_ms", "tokens", "pieces"):
        assert replayed[what] == recorded[what], what
    assert recorded["text"][0] == "".join(PIECES)


@pytest.mark.parametrize("name", NAMES)
def test_ttft_is_the_time_of_the_first_text(runs, name: str) -> None:
    # The first chunk holds no text, only the role; text comes from the second on.
    delays = runs[0][name]["delays"]
    assert all(0.8 * CHUNK_DELAY_S * 1000 < ttft < latency for ttft, latency in delays)
    assert max(latency - ttft for ttft, latency in delays) > 2.5 * CHUNK_DELAY_S * 1000, "of three pieces more"


@pytest.mark.parametrize("name", NAMES)
def test_replay_does_not_wait(runs, name: str) -> None:
    assert min(runs[1][name]["took"]) < CHUNK_DELAY_S * 1000 * len(PIECES) / 2


LEFT = """
    import os, openai, pytest

    sdk = openai.OpenAI(base_url=os.environ["STANDIN"] + "/v1", api_key="test-key")
    ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi!"}], "stream": True}

    @pytest.mark.llm_eval
    def test_left(llm_eval):
        streams = []
        def first_words():
            streams.append(sdk.chat.completions.create(**ASKED))
            for number, event in enumerate(streams[0]):
                if number == 2:
                    return event.choices[0].delta.content

        result = llm_eval.run(first_words)
        (call,) = result.calls
        assert (call.text.startswith("word0"), call.streamed, result.ttft_ms is None) == (True, True, False)
        rest = [event.choices[0].delta.content or "" for event in streams[0]]
        assert result.output + "".join(rest) == "word1 word2 word3 "
        assert result.calls[0].text == "word0 word1 word2 word3 "
"""


def test_a_stream_that_is_still_read_counts_live_as_on_replay(project: Project, standin: StandIn) -> None:
    project.file("test_left.py", LEFT)
    standin.script(Reply(pieces=PIECES))
    for mode in ("once", "none"):
        run = project.run("-q", f"--llm-record={mode}", env={"STANDIN": standin.url})
        assert run.outcomes == {"passed": 1}, run.out
    assert len(standin.requests) == 1
