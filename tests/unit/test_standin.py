"""The stand-in answers real SDKs in each dialect, and fails the way providers fail when told to."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
import time
from pathlib import Path

import anthropic
import httpx
import ollama
import openai
import pytest

from tests.patience import eventually
from tests.standin import Reply, StandIn, ToolCall

REPOSITORY = Path(__file__).parents[2]
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = ToolCall("get_weather", {"city": "Đà Nẵng"})


@pytest.fixture
def chat(standin):
    return openai.OpenAI(base_url=f"{standin.url}/v1", api_key="placeholder", max_retries=0, timeout=5)


@pytest.fixture
def claude(standin):
    return anthropic.Anthropic(base_url=standin.url, api_key="placeholder", max_retries=0, timeout=5)


def test_chat_echoes_and_counts_words(standin, chat):
    answer = chat.chat.completions.create(model="gpt-x", messages=QUESTION)
    assert answer.choices[0].message.content == "Echo: What is the capital of France?"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 7)
    assert standin.requests[0].path == "/v1/chat/completions"
    assert standin.requests[0].headers["authorization"] == "Bearer placeholder"
    assert standin.requests[0].json["messages"] == QUESTION


def test_chat_stream_joins_to_the_same_text_and_has_usage_when_asked(chat):
    stream = chat.chat.completions.create(
        model="gpt-x", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    events = list(stream)
    text = "".join(event.choices[0].delta.content or "" for event in events if event.choices)
    assert text == "Echo: What is the capital of France?"
    assert events[-2].choices[0].finish_reason == "stop"
    assert events[-1].usage.completion_tokens == 7


@pytest.mark.parametrize("stream", [False, True])
def test_chat_tools(standin, chat, stream):
    standin.script(Reply(tool_calls=[WEATHER]))
    request = {"model": "gpt-x", "messages": QUESTION}
    if stream:
        with chat.chat.completions.stream(**request) as events:
            choice = events.get_final_completion().choices[0]
    else:
        choice = chat.chat.completions.create(**request).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert json.loads(choice.message.tool_calls[0].function.arguments) == WEATHER.arguments


@pytest.mark.parametrize("stream", [False, True])
def test_responses(standin, chat, stream):
    standin.script(Reply("Paris.", tool_calls=[WEATHER], usage={"input_tokens": 9, "output_tokens": 2}))
    if stream:
        with chat.responses.stream(model="gpt-x", input="Capital of France?") as events:
            answer = events.get_final_response()
    else:
        answer = chat.responses.create(model="gpt-x", input="Capital of France?")
    assert answer.output_text == "Paris."
    assert json.loads(answer.output[1].arguments) == WEATHER.arguments
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 2)


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings(chat, encoding):
    answer = chat.embeddings.create(model="embed-x", input=["one", "two"], encoding_format=encoding)
    vectors = [item.embedding for item in answer.data]
    same = chat.embeddings.create(model="embed-x", input="one", encoding_format="float").data[0].embedding
    if encoding == "float":
        assert vectors[0] == same
    assert len(vectors[1]) == (8 if encoding == "float" else len(vectors[0]))
    assert vectors[0] != vectors[1]


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic(standin, claude, stream):
    standin.script(Reply("Let me look.", tool_calls=[WEATHER]))
    request = {"model": "claude-x", "max_tokens": 100, "messages": QUESTION}
    if stream:
        with claude.messages.stream(**request) as events:
            message = events.get_final_message()
    else:
        message = claude.messages.create(**request)
    assert message.content[0].text == "Let me look."
    assert message.content[1].input == WEATHER.arguments
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (6, 6)


@pytest.mark.parametrize("stream", [False, True])
def test_ollama(standin, stream):
    client = ollama.Client(host=standin.url)
    answer = client.chat(model="llama-x", messages=QUESTION, stream=stream)
    parts = list(answer) if stream else [answer]
    assert "".join(part.message.content for part in parts) == "Echo: What is the capital of France?"
    assert (parts[-1].prompt_eval_count, parts[-1].eval_count, parts[-1].done_reason) == (6, 7, "stop")


def test_script_answers_in_order_and_the_last_reply_stays(standin, chat):
    standin.script("first", lambda request: f"model {request['model']}")
    texts = [chat.chat.completions.create(model="m", messages=QUESTION).choices[0].message.content for _ in range(3)]
    assert texts == ["first", "model m", "model m"]
    standin.reset()
    assert standin.requests == []
    assert chat.chat.completions.create(model="m", messages=QUESTION).choices[0].message.content.startswith("Echo")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_openai_errors(standin, chat, status, error):
    standin.script(Reply("no", status=status, headers={"retry-after": "7"}))
    with pytest.raises(error, match="no") as caught:
        chat.chat.completions.create(model="m", messages=QUESTION)
    assert caught.value.response.headers["retry-after"] == "7"


def test_anthropic_overloaded(standin, claude):
    standin.script(Reply(status=529))
    with pytest.raises(anthropic.APIStatusError) as caught:
        claude.messages.create(model="m", max_tokens=1, messages=QUESTION)
    assert caught.value.body["error"]["type"] == "overloaded_error"


def post(standin, **kwargs):
    body = {"model": "m", "messages": QUESTION, **kwargs}
    return httpx.post(f"{standin.url}/v1/chat/completions", json=body, timeout=5)


def test_hang_up_closes_without_an_answer(standin):
    standin.script(Reply(hang_up=True))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        post(standin)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply("a b c d e f", reset_after_bytes=300), httpx.ReadError),
        (Reply("a b c d e f", close_after_bytes=300), httpx.RemoteProtocolError),
    ],
)
@pytest.mark.parametrize("encoded", [False, True])
def test_broken_streams(reply, error, encoded):
    with StandIn(encoding="gzip" if encoded else None) as standin:
        standin.script(reply if not encoded else Reply(**{**vars(reply), "text": "word " * 500}))
        arrived = []
        request = {"model": "m", "messages": QUESTION, "stream": True}
        with (
            pytest.raises(error),
            httpx.stream("POST", f"{standin.url}/v1/chat/completions", json=request) as response,
        ):
            arrived.extend(response.iter_raw())
        assert sum(map(len, arrived)) == 300


def test_a_whole_body_can_be_cut_too(standin):
    standin.script(Reply("a b c", close_after_bytes=10))
    with pytest.raises(httpx.RemoteProtocolError, match="received 10 bytes"):
        post(standin)


def test_raw_bodies_and_invalid_utf8(standin):
    standin.script(
        Reply(body=b"\xff\xfe{", headers={"content-type": "text/html"}),
        Reply(chunks=[b"data: \xe2\x82", b"\xac\xff\n\n"]),
    )
    whole = post(standin)
    assert (whole.content, whole.headers["content-type"]) == (b"\xff\xfe{", "text/html")
    chunked = post(standin)
    assert (chunked.content, chunked.headers["content-type"]) == (b"data: \xe2\x82\xac\xff\n\n", "text/event-stream")
    assert chunked.headers["transfer-encoding"] == "chunked"


def test_chunks_are_cut_through_the_middle_of_letters(standin, chat):
    standin.script(Reply("Nhà hàng ở Đà Nẵng", chunk_size=1))
    stream = chat.chat.completions.create(model="m", messages=QUESTION, stream=True)
    text = "".join(event.choices[0].delta.content or "" for event in stream)
    assert text == "Nhà hàng ở Đà Nẵng"


def test_ten_thousand_tiny_chunks(standin, chat):
    standin.script(Reply(pieces=["a"] * 10_000))
    stream = chat.chat.completions.create(model="m", messages=QUESTION, stream=True)
    assert sum(len(event.choices[0].delta.content or "") for event in stream) == 10_000


def test_delays_are_kept(standin):
    def took(**kwargs):
        standin.script(Reply(**kwargs))
        begin = time.perf_counter()
        with httpx.stream("POST", f"{standin.url}/v1/chat/completions", json={"stream": True}) as response:
            head = time.perf_counter() - begin
            response.read()
        return head, time.perf_counter() - begin

    head, whole = took(text="a", latency_s=0.2)
    assert head >= 0.2
    stalled = [took(text="a", stall_s=0.2) for _ in range(3)]
    assert min(whole for _, whole in stalled) >= 0.2
    assert min(head for head, _ in stalled) < 0.2, "the head comes before the pause"
    head, whole = took(pieces=["a"] * 10, chunk_delay_s=0.02)
    assert whole >= 0.2


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("stream", [False, True])
def test_compressed_where_the_client_accepts_it(encoding, stream):
    with StandIn(encoding=encoding) as standin:
        answer = post(standin, stream=stream)
        assert answer.headers["content-encoding"] == encoding
        assert "France" in answer.text
        plain = httpx.post(f"{standin.url}/v1/responses", json={"input": "hi"}, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers


def test_connections_are_kept_alive(standin):
    with httpx.Client() as client:
        for _ in range(3):
            client.post(f"{standin.url}/v1/chat/completions", json={"messages": QUESTION})
    assert [request.connection for request in standin.requests] == [1, 1, 1]


def test_peak_in_flight(standin):
    standin.latency_s = 0.5
    # One client for all: each new one takes CPU before it asks.
    with httpx.Client(timeout=30) as client, concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.post(f"{standin.url}/v1/chat/completions", json={}), range(8)))
    assert standin.peak_in_flight == 4
    # The client has its answer's last byte a moment before the server's thread counts it as done.
    assert eventually(lambda: standin.in_flight == 0)


def test_equal_requests_get_equal_answers(standin):
    assert post(standin).content == post(standin).content


def test_an_unknown_path_is_404_and_still_noted(standin):
    answer = httpx.get(f"{standin.url}/v9/none?a=b")
    assert answer.status_code == 404
    assert (standin.requests[0].path, standin.requests[0].query) == ("/v9/none", "a=b")


def test_request_bodies_in_chunks_and_compressed(standin):
    import gzip

    url = f"{standin.url}/v1/chat/completions"
    httpx.post(url, content=iter([b'{"mess', b'ages": []}']))
    httpx.post(url, content=gzip.compress(b'{"model": "m"}'), headers={"content-encoding": "gzip"})
    assert [request.json for request in standin.requests] == [{"messages": []}, {"model": "m"}]


def test_a_script_that_fails_fails_the_test_that_wrote_it():
    def script(request):
        raise KeyError("no such message")

    def use():
        with StandIn() as standin:
            standin.script(script)
            assert post(standin).status_code == 500

    with pytest.raises(KeyError, match="no such message"):
        use()


def test_runs_alone_and_prints_its_port():
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.standin", "--port", "0", "--latency", "0.1"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(process.stdout.readline())
        begin = time.perf_counter()
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/responses", json={"input": "hello there"})
        assert time.perf_counter() - begin >= 0.1
        assert answer.json()["output"][0]["content"][0]["text"] == "Echo: hello there"
    finally:
        process.kill()
        process.communicate()
