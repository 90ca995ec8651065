import json

import pytest

from pytest_llmops.providers import read
from tests.wire.exchanges import OPENAI, RESPONSES, Json, call_of, chunk, exchange, sse

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def answer(message: Json, *, finish: str = "stop", **more: object) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"model": "gpt-4o-2024-08-06", "choices": [choice], "usage": USAGE, **more}


def tool(index: int | None = None, *, id: str | None = None, name: str | None = None, arguments: object = None) -> Json:
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    call: Json = {"function": function, "type": "function"}
    return {**call, **({} if index is None else {"index": index}), **({} if id is None else {"id": id})}


def test_a_plain_answer() -> None:
    request = {"model": "gpt-4o", "temperature": 0, "messages": [{"role": "user", "content": "hi"}]}
    call = call_of(OPENAI, request, answer({"content": "Hello."}), elapsed_ms=812.5, first_byte_ms=700.0)
    assert (call.provider, call.api, call.model) == ("openai", "openai.chat", "gpt-4o-2024-08-06")
    assert (call.text, call.finish_reason, call.error, call.refused) == ("Hello.", "stop", None, False)
    assert (call.input_tokens, call.output_tokens, call.latency_ms) == (10, 5, 812.5)
    assert (call.streamed, call.truncated, call.ttft_ms) == (False, False, None)
    assert call.request == {
        "messages": [{"role": "user", "content": "hi"}],
        "system": None,
        "tools": None,
        "parameters": {"model": "gpt-4o", "temperature": 0},
    }


def test_requests_are_left_out_on_demand() -> None:
    call = read(exchange(OPENAI, {"messages": []}, answer({"content": "x"})), store_text=False)
    assert call is not None
    assert call.request is None


def test_the_first_of_several_choices_counts() -> None:
    body = answer({"content": "one"})
    body["choices"] = [
        {"index": 1, "message": {"content": "two"}, "finish_reason": "length"},
        *body["choices"],
    ]
    call = call_of(OPENAI, {"n": 2}, body)
    assert (call.text, call.finish_reason) == ("one", "stop")


def test_streams_with_several_choices() -> None:
    body = sse(chunk("on"), chunk("tw", index=1), chunk("e"), chunk("o", index=1), chunk(finish="stop"), done=True)
    assert call_of(OPENAI, {"n": 2}, body).text == "one"


def test_a_stream_with_usage_in_its_last_chunk() -> None:
    last = {**chunk(), "choices": [], "usage": USAGE}
    first = {**chunk(), "model": "", "choices": [], "prompt_filter_results": []}  # Azure
    body = sse(first, chunk(role="assistant", content=""), chunk("Hel"), chunk("lo"), chunk(finish="stop"), last)
    call = call_of(OPENAI, {"stream": True}, body)
    assert (call.text, call.streamed, call.truncated) == ("Hello", True, False)
    assert (call.model, call.input_tokens, call.output_tokens) == ("gpt-4o-mini-2024-07-18", 10, 5)


def test_time_to_first_token_is_when_the_first_content_had_arrived() -> None:
    role, first, rest = sse(chunk(role="assistant", content="")), sse(chunk("Hel")), sse(chunk("lo", finish="stop"))
    chunks = [(len(role) + 10, 100.0), (len(first) - 10, 250.0), (len(rest), 400.0)]
    call = call_of(OPENAI, {"stream": True}, role + first + rest, chunks=chunks, first_byte_ms=90.0)
    assert call.ttft_ms == 250.0
    untimed = call_of(OPENAI, {"stream": True}, role + first + rest, first_byte_ms=90.0)
    assert untimed.ttft_ms == 90.0


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "Hm"},
        {"reasoning": "Hm"},
        {"tool_calls": [tool(0, id="call_1", name="f", arguments="")]},
        {"refusal": "No"},
    ],
)
def test_reasoning_tools_and_refusals_are_content_too(delta: Json) -> None:
    first = sse(chunk(**delta))
    body = first + sse(chunk("x", finish="stop"))
    chunks = [(len(first), 10.0), (len(body) - len(first), 99.0)]
    assert call_of(OPENAI, {}, body, chunks=chunks).ttft_ms == 10.0


def test_reasoning_is_no_part_of_the_text() -> None:
    assert call_of(OPENAI, {}, answer({"content": "42", "reasoning_content": "6 x 7"})).text == "42"


def test_tool_calls() -> None:
    calls = [
        tool(id="call_1", name="weather", arguments='{"city": "Rome"}'),
        tool(id="call_2", name="now", arguments=""),
    ]
    call = call_of(OPENAI, {}, answer({"content": None, "tool_calls": calls}, finish="tool_calls"))
    assert [(t.id, t.name, t.arguments) for t in call.tool_calls] == [
        ("call_1", "weather", {"city": "Rome"}),
        ("call_2", "now", {}),
    ]
    assert call.text == ""


def test_streamed_tool_calls_are_joined_by_index() -> None:
    body = sse(
        chunk(role="assistant", tool_calls=[tool(0, id="a", name="f", arguments="")]),
        chunk(tool_calls=[tool(0, arguments='{"x"')]),
        chunk(tool_calls=[tool(1, id="b", name="g", arguments="{}"), tool(0, arguments=": 1}")]),
        chunk(finish="tool_calls"),
    )
    found = call_of(OPENAI, {}, body).tool_calls
    assert [(t.id, t.name, t.arguments) for t in found] == [("a", "f", {"x": 1}), ("b", "g", {})]


def test_tool_calls_that_all_claim_index_zero() -> None:
    deltas = [tool(0, id="a", name="f", arguments='{"x": 1}'), tool(0, id="b", name="f", arguments='{"x": 2}')]
    found = call_of(OPENAI, {}, sse(*(chunk(tool_calls=[d]) for d in deltas), chunk(finish="stop"))).tool_calls
    assert [t.arguments for t in found] == [{"x": 1}, {"x": 2}]


def test_a_cut_stream_leaves_the_arguments_text() -> None:
    body = sse(chunk(tool_calls=[tool(0, id="a", name="f", arguments='{"city": "Ro')]))
    call = call_of(OPENAI, {}, body)
    assert call.tool_calls[0].arguments == '{"city": "Ro'
    assert call.truncated


def test_mistral_sends_decoded_arguments_and_content_in_parts() -> None:
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Hi"}]
    message = {"content": content, "tool_calls": [tool(name="f", arguments={"x": 1})]}
    call = call_of("https://api.mistral.ai/v1/chat/completions", {}, answer(message))
    assert (call.text, call.tool_calls[0].arguments) == ("Hi", {"x": 1})


def test_custom_tools_take_plain_text() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    assert call_of(OPENAI, {}, answer({"tool_calls": [custom]})).tool_calls[0].arguments == "select 1"


@pytest.mark.parametrize("streamed", [True, False])
def test_legacy_function_calls(streamed: bool) -> None:
    call = {"name": "f", "arguments": '{"x": 1}'}
    if streamed:
        pieces = [{"name": "f", "arguments": ""}, {"arguments": '{"x"'}, {"arguments": ": 1}"}]
        body = sse(*(chunk(function_call=piece) for piece in pieces), chunk(finish="function_call"))
    else:
        body = answer({"content": None, "function_call": call}, finish="function_call")
    found = call_of(OPENAI, {"functions": [{"name": "f"}]}, body)
    assert [(t.name, t.arguments) for t in found.tool_calls] == [("f", {"x": 1})]
    assert found.request is not None
    assert found.request["tools"] == [{"name": "f"}]


@pytest.mark.parametrize(
    "body",
    [
        answer({"content": None, "refusal": "I can't help with that."}),
        answer({"content": [{"type": "refusal", "refusal": "no"}]}),
        answer({"content": ""}, finish="content_filter"),
        sse(chunk(refusal="I can't"), chunk(finish="stop")),
    ],
)
def test_refusals(body: Json | str) -> None:
    call = call_of(OPENAI, {}, body)
    assert call.refused
    assert call.text == ""


def test_audio_is_not_plain_text() -> None:
    call = call_of(OPENAI, {}, answer({"content": None, "audio": {"id": "a", "data": "UklG", "transcript": "Hi"}}))
    assert call.text is None


@pytest.mark.parametrize(
    ("usage", "read_tokens", "written"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2}}, 8, 2),
        ({"prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2}, 8, None),
        ({"cached_tokens": 8}, 8, None),
        ({"prompt_tokens_details": None}, None, None),
    ],
)
def test_cached_tokens(usage: Json, read_tokens: int | None, written: int | None) -> None:
    call = call_of(OPENAI, {}, answer({"content": "x"}, usage={**USAGE, **usage}))
    assert (call.input_tokens, call.cache_read_tokens, call.cache_write_tokens) == (10, read_tokens, written)


def test_reasoning_left_out_of_the_completion_is_output_all_the_same() -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 90}}
    grok = {**USAGE, **details, "total_tokens": 105}
    assert call_of("https://api.x.ai/v1/chat/completions", {}, answer({"content": "x"}, usage=grok)).output_tokens == 95
    openai = {**USAGE, **details, "completion_tokens": 95, "total_tokens": 105}
    assert call_of(OPENAI, {}, answer({"content": "x"}, usage=openai)).output_tokens == 95


def test_usage_where_groq_and_moonshot_put_it() -> None:
    groq = {**chunk(finish="stop"), "x_groq": {"id": "r", "usage": USAGE}}
    moonshot = chunk(finish="stop")
    moonshot["choices"][0]["usage"] = USAGE
    for last in (groq, moonshot):
        assert call_of(OPENAI, {}, sse(chunk("x"), last)).input_tokens == 10


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (
            429,
            {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}},
            "requests: Rate limit reached",
        ),
        (401, {"error": {"message": "Bad key", "type": None, "code": "invalid_api_key"}}, "invalid_api_key: Bad key"),
        (404, {"error": "model 'x' not found"}, "model 'x' not found"),
        (
            400,
            {"code": "Client specified an invalid argument", "error": "no"},
            "Client specified an invalid argument: no",
        ),
        (
            400,
            {"object": "error", "message": "too long", "type": "BadRequestError", "code": 400},
            "BadRequestError: too long",
        ),
        (422, {"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required"}]}, "missing: Field required"),
        (
            422,
            {"object": "error", "message": {"detail": [{"msg": "bad"}]}, "type": "invalid_request_error"},
            "invalid_request_error: bad",
        ),
        (401, {"detail": "Forbidden"}, "Forbidden"),
        (500, {"unexpected": 1}, "HTTP 500"),
        (502, "<html><h1>502\n Bad Gateway</h1></html>", "HTTP 502: <html><h1>502 Bad Gateway</h1></html>"),
        (503, "", "HTTP 503: empty body"),
    ],
)
def test_errors_by_status(status: int, body: Json | str, error: str) -> None:
    call = call_of(OPENAI, {"model": "gpt-4o"}, body, status=status)
    assert (call.error, call.status, call.text, call.model) == (error, status, None, "gpt-4o")
    assert (call.input_tokens, call.cost_usd, call.refused) == (None, None, False)


def test_a_blocked_prompt_is_a_refusal() -> None:
    error = {"message": "The response was filtered", "code": "content_filter", "type": None, "status": 400}
    call = call_of("https://a.openai.azure.com/openai/deployments/d/chat/completions", {}, {"error": error}, status=400)
    assert call.refused
    assert call.error == "content_filter: The response was filtered"


def test_errors_within_an_answer_of_status_200() -> None:
    call = call_of("https://openrouter.ai/api/v1/chat/completions", {}, {"error": {"code": 502, "message": "upstream"}})
    assert (call.error, call.text) == ("upstream", None)


def test_errors_within_a_stream_keep_what_came_before() -> None:
    body = sse(chunk("Once upon"), {"error": {"message": "The server had an error", "type": "server_error"}})
    call = call_of(OPENAI, {}, body)
    assert (call.text, call.error) == ("Once upon", "server_error: The server had an error")


def test_surrogates_cut_in_two_are_joined() -> None:
    body = 'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n'
    body += 'data: {"choices":[{"index":0,"delta":{"content":"\\ude00!"},"finish_reason":"stop"}]}\n\n'
    assert call_of(OPENAI, {}, body).text == "😀!"
    assert call_of(OPENAI, {}, body[: body.index("\n\n") + 2]).text == "�"


# -- responses ---------------------------------------------------------------------------------------------------------


def response(*output: Json, status: str = "completed", **more: object) -> Json:
    usage = {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 16}, "output_tokens": 7, "total_tokens": 27}
    return {
        "object": "response",
        "model": "gpt-5-2025-08-07",
        "status": status,
        "error": None,
        "output": list(output),
        "usage": usage,
        **more,
    }


def message(*texts: str, refusal: str | None = None) -> Json:
    content: list[Json] = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    if refusal:
        content.append({"type": "refusal", "refusal": refusal})
    return {"type": "message", "role": "assistant", "status": "completed", "content": content}


def test_a_response() -> None:
    reasoning = {"type": "reasoning", "summary": []}
    function = {"type": "function_call", "name": "f", "call_id": "call_1", "id": "fc_1", "arguments": '{"x": 1}'}
    search = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    request = {"model": "gpt-5", "instructions": "Be brief.", "input": "Hi", "tools": [{"type": "web_search"}]}
    call = call_of(RESPONSES, request, response(reasoning, search, message("Hel", "lo"), function))
    assert (call.api, call.model, call.finish_reason, call.text) == (
        "openai.responses",
        "gpt-5-2025-08-07",
        "completed",
        "Hello",
    )
    assert (call.input_tokens, call.output_tokens, call.cache_read_tokens) == (20, 7, 16)
    assert [(t.name, t.id, t.arguments) for t in call.tool_calls] == [
        ("web_search", "ws_1", {"type": "search", "query": "q"}),
        ("f", "call_1", {"x": 1}),
    ]
    assert call.request == {
        "messages": [{"role": "user", "content": "Hi"}],
        "system": "Be brief.",
        "tools": [{"type": "web_search"}],
        "parameters": {"model": "gpt-5"},
    }


EVENTS: list[Json] = [
    {"type": "response.created", "response": {**response(status="in_progress"), "usage": None}},
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "content": []}},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "Hel"},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "lo"},
    {"type": "response.output_text.done", "output_index": 0, "text": "Hello"},
    {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": {"type": "function_call", "name": "f", "call_id": "c"},
    },
    {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"x"'},
    {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": ": 1}"},
    {"type": "response.some_future_event", "delta": {"nested": [1]}},
]
FUNCTION = {"type": "function_call", "name": "f", "call_id": "c", "arguments": '{"x": 1}'}


@pytest.mark.parametrize("output", [(message("Hello"), FUNCTION), ()])
def test_a_streamed_response(output: tuple[Json, ...]) -> None:
    final = {"type": "response.completed", "response": response(*output)}
    call = call_of(RESPONSES, {}, sse(*EVENTS, final, named=True))
    assert (call.text, call.finish_reason, call.output_tokens, call.truncated) == ("Hello", "completed", 7, False)
    assert [(t.name, t.id, t.arguments) for t in call.tool_calls] == [("f", "c", {"x": 1})]


def test_a_streamed_response_cut_off() -> None:
    call = call_of(RESPONSES, {}, sse(*EVENTS[:-2], named=True))
    assert (call.text, call.finish_reason, call.truncated, call.model) == ("Hello", None, True, "gpt-5-2025-08-07")
    assert (call.tool_calls[0].arguments, call.input_tokens) == ('{"x"', None)


def test_an_incomplete_response() -> None:
    details = {"incomplete_details": {"reason": "max_output_tokens"}}
    final = {"type": "response.incomplete", "response": response(message("Hel"), status="incomplete", **details)}
    call = call_of(RESPONSES, {}, sse(*EVENTS[:3], final))
    assert (call.text, call.finish_reason, call.refused) == ("Hel", "incomplete", False)


def test_failed_responses() -> None:
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    failed = response(status="failed", error=error, usage=None)
    for body in (failed, sse({"type": "response.failed", "response": failed})):
        call = call_of(RESPONSES, {}, body)
        assert (call.error, call.finish_reason) == ("rate_limit_exceeded: slow down", "failed")
    for event in (
        {"type": "error", "code": "server_error", "message": "oops", "param": None},
        {"type": "error", "error": {"type": "server_error", "message": "oops"}},
    ):
        assert call_of(RESPONSES, {}, sse(event, named=True)).error == "server_error: oops"


def test_refusals_of_responses() -> None:
    for body in (
        response(message(refusal="no")),
        response(status="incomplete", incomplete_details={"reason": "content_filter"}),
        sse({"type": "response.refusal.delta", "delta": "no"}),
    ):
        assert call_of(RESPONSES, {}, body).refused


# -- the others --------------------------------------------------------------------------------------------------------


def test_legacy_completions() -> None:
    url = "https://api.openai.com/v1/completions"
    body = {"model": "gpt-3.5-turbo-instruct", "choices": [{"text": " Hi", "index": 0, "finish_reason": "length"}]}
    call = call_of(url, {"prompt": "Say"}, {**body, "usage": USAGE})
    assert (call.api, call.text, call.finish_reason) == ("openai.completions", " Hi", "length")
    assert call.request is not None
    assert call.request["messages"] == [{"role": "user", "content": "Say"}]
    pieces = [{"choices": [{"text": t, "index": 0, "finish_reason": f}]} for t, f in ((" H", None), ("i", "stop"))]
    assert call_of(url, {}, sse(*pieces, done=True)).text == " Hi"


def test_embeddings() -> None:
    body = {
        "model": "text-embedding-3-small",
        "data": [{"embedding": [0.1]}],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    call = call_of("https://api.openai.com/v1/embeddings", {"input": ["a", "b"]}, body)
    assert (call.api, call.text, call.input_tokens, call.output_tokens) == ("openai.embeddings", None, 4, 0)
    assert call.cost_usd == pytest.approx(4 * 0.02 / 1e6)


def test_moderations_are_free() -> None:
    call = call_of(
        "https://api.openai.com/v1/moderations", {"input": "x"}, {"model": "omni-moderation-latest", "results": []}
    )
    assert (call.api, call.text, call.cost_usd) == ("openai.moderations", None, 0.0)


def test_images() -> None:
    usage = {"input_tokens": 50, "output_tokens": 4160, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}
    call = call_of(
        "https://api.openai.com/v1/images/generations",
        {"model": "gpt-image-1", "prompt": "a cat"},
        {"data": [], "usage": usage},
    )
    assert (call.model, call.output_tokens, call.text) == ("gpt-image-1", 4160, None)


def test_transcriptions_and_speech() -> None:
    url = "https://api.openai.com/v1/audio/transcriptions"
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\n'
    call = call_of(url, form, {"text": "Hello there", "usage": {"type": "duration", "seconds": 9}})
    assert (call.model, call.text, call.error) == ("whisper-1", "Hello there", None)
    assert call_of(url, form, b"1\n00:00 --> 00:01\nHello", content_type="text/plain").text is not None
    delta = {"type": "transcript.text.delta", "delta": "Hel"}
    done = {"type": "transcript.text.done", "text": "Hel", "usage": {"input_tokens": 14, "output_tokens": 3}}
    streamed = call_of(url, form, sse(delta, done))
    assert (streamed.text, streamed.input_tokens, streamed.truncated) == ("Hel", 14, False)
    speech = call_of(
        "https://api.openai.com/v1/audio/speech", {"model": "tts-1"}, b"ID3\xff\xfb\x90", content_type="audio/mpeg"
    )
    assert (speech.text, speech.error) == (None, None)


def test_images_in_requests_are_named_not_kept() -> None:
    url = "data:image/png;base64," + "A" * 4000
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    audio = {"type": "input_audio", "input_audio": {"data": "B" * 4000, "format": "wav"}}
    request = {"messages": [{"role": "user", "content": [*parts, audio]}]}
    call = call_of(OPENAI, request, answer({"content": "x"}))
    assert call.request is not None
    content = call.request["messages"][0]["content"]
    assert content[1]["image_url"]["url"] == "<image/png 3000 bytes>"
    assert content[2]["input_audio"]["data"] == "<wav 3000 bytes>"
    assert len(json.dumps(call.request)) < 500


def test_openrouters_own_bill_fills_in_for_a_missing_price() -> None:
    url = "https://openrouter.ai/api/v1/chat/completions"
    known = answer({"content": "x"}, model="openai/gpt-4o", usage={**USAGE, "cost": 0.5})
    assert call_of(url, {}, known).cost_usd == pytest.approx((10 * 2.5 + 5 * 10) / 1e6)
    unknown = answer({"content": "x"}, model="acme/new-model", usage={**USAGE, "cost": 0.0042})
    assert call_of(url, {}, unknown).cost_usd == 0.0042
    silent = answer({"content": "x"}, model="acme/new-model")
    assert call_of(url, {}, silent).cost_usd is None
