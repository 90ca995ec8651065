import pytest

from tests.wire.exchanges import ANTHROPIC, AWS_STREAM, BEDROCK, Json, aws_chunk, aws_exception, call_of, sse

MODEL = "claude-sonnet-4-5-20250929"
USAGE = {"input_tokens": 10, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000, "output_tokens": 5}


def message(*content: Json, stop: str | None = "end_turn", **more: object) -> Json:
    return {
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": stop,
        "usage": USAGE,
        **more,
    }


def text(value: str) -> Json:
    return {"type": "text", "text": value}


def start(**usage: int) -> Json:
    return {"type": "message_start", "message": message(stop=None, usage={**USAGE, "output_tokens": 1, **usage})}


def delta(index: int, **fields: object) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def stop(reason: str = "end_turn", **usage: object) -> list[Json]:
    end = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 42, **usage}}
    return [end, {"type": "message_stop"}]


def test_a_message() -> None:
    request = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 99,
        "system": "Be brief.",
        "messages": [],
        "tools": [{"name": "f"}],
    }
    tool = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}}
    call = call_of(ANTHROPIC, request, message(text("Hel"), text("lo"), tool, stop="tool_use"))
    assert (call.provider, call.api, call.model) == ("anthropic", "anthropic.messages", MODEL)
    assert (call.text, call.finish_reason) == ("Hello", "tool_use")
    assert [(t.name, t.id, t.arguments) for t in call.tool_calls] == [("f", "toolu_1", {"x": 1})]
    assert call.request == {
        "messages": [],
        "system": "Be brief.",
        "tools": [{"name": "f"}],
        "parameters": {"model": "claude-sonnet-4-5", "max_tokens": 99},
    }


def test_input_includes_the_cache() -> None:
    call = call_of(ANTHROPIC, {}, message(text("x")))
    assert (call.input_tokens, call.cache_read_tokens, call.cache_write_tokens, call.output_tokens) == (
        3210,
        3000,
        200,
        5,
    )


def test_cost_of_the_cache() -> None:
    call = call_of(ANTHROPIC, {}, message(text("x")))
    assert call.cost_usd == pytest.approx((10 * 3 + 200 * 3.75 + 3000 * 0.30 + 5 * 15) / 1e6)
    hour = {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 200}}
    call = call_of(ANTHROPIC, {}, message(text("x"), usage={**USAGE, **hour}))
    assert call.cost_usd == pytest.approx((10 * 3 + 200 * 6 + 3000 * 0.30 + 5 * 15) / 1e6)


def test_a_stream() -> None:
    events: list[Json] = [
        start(),
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "ping"},
        delta(0, type="thinking_delta", thinking="Hmm"),
        delta(0, type="signature_delta", signature="abc"),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": text("")},
        delta(1, type="text_delta", text="Hel"),
        delta(1, type="text_delta", text="lo"),
        delta(1, type="citations_delta", citation={}),
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        },
        delta(2, type="input_json_delta", partial_json=""),
        delta(2, type="input_json_delta", partial_json='{"x"'),
        delta(2, type="input_json_delta", partial_json=": 1}"),
        {
            "type": "content_block_start",
            "index": 3,
            "content_block": {"type": "tool_use", "id": "u", "name": "now", "input": {}},
        },
        {"type": "some_future_event", "data": [1]},
        *stop("tool_use"),
    ]
    body = sse(*events, named=True)
    thought = len(sse(*events[:4], named=True))
    call = call_of(ANTHROPIC, {}, body, chunks=[(thought, 5.0), (len(body) - thought, 50.0)])
    assert (call.text, call.finish_reason, call.streamed, call.truncated) == ("Hello", "tool_use", True, False)
    assert [(t.name, t.arguments) for t in call.tool_calls] == [("f", {"x": 1}), ("now", {})]
    assert (call.input_tokens, call.output_tokens, call.ttft_ms) == (3210, 42, 5.0)


def test_the_last_usage_of_a_stream_is_the_whole() -> None:
    body = sse(
        start(), *stop(input_tokens=700, cache_read_input_tokens=3100, server_tool_use={"web_search_requests": 2})
    )
    call = call_of(ANTHROPIC, {}, body)
    assert (call.input_tokens, call.cache_read_tokens, call.output_tokens) == (700 + 200 + 3100, 3100, 42)
    assert call.cost_usd == pytest.approx((700 * 3 + 200 * 3.75 + 3100 * 0.30 + 42 * 15) / 1e6 + 2 * 0.01)


def test_a_cut_stream_has_no_count_of_output() -> None:
    body = sse(start(), delta(0, type="text_delta", text="Once upon"), named=True)[:-9]
    call = call_of(ANTHROPIC, {}, body, truncated=True)
    assert (call.text, call.truncated, call.input_tokens, call.output_tokens, call.cost_usd) == (
        "",
        True,
        3210,
        None,
        None,
    )


def test_server_tools_are_the_models_calls_too() -> None:
    call = call_of(
        ANTHROPIC,
        {},
        message(
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s",
                "content": [{"type": "web_search_result", "title": "t"}],
            },
            text("Found."),
        ),
    )
    assert (call.text, [t.name for t in call.tool_calls]) == ("Found.", ["web_search"])


def test_refusals() -> None:
    assert call_of(ANTHROPIC, {}, message(stop="refusal")).refused
    assert call_of(ANTHROPIC, {}, sse(start(), *stop("refusal"))).refused


@pytest.mark.parametrize("status", [529, 200])
def test_errors(status: int) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"}
    assert call_of(ANTHROPIC, {}, error, status=status).error == "overloaded_error: Overloaded"


def test_errors_within_a_stream() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    call = call_of(ANTHROPIC, {}, sse(start(), delta(0, type="text_delta", text="Once"), error, named=True))
    assert (call.error, call.text, call.truncated) == ("overloaded_error: Overloaded", "Once", False)


STREAM = [start(), delta(0, type="text_delta", text="Hi"), *stop()]


@pytest.mark.parametrize(
    ("model", "api"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1%3A0", "anthropic.messages"),
        ("arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fabc", "bedrock.invoke"),
    ],
)
def test_on_bedrock(model: str, api: str) -> None:
    request = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [], "system": "s"}
    whole = call_of(f"{BEDROCK}/{model}/invoke", request, message(text("Hi")))
    body = b"".join(map(aws_chunk, STREAM))
    streamed = call_of(f"{BEDROCK}/{model}/invoke-with-response-stream", request, body, content_type=AWS_STREAM)
    for call in (whole, streamed):
        assert (call.provider, call.api, call.model, call.text) == ("bedrock", api, MODEL, "Hi")
        assert (call.finish_reason, call.input_tokens) == ("end_turn", 3210)
        assert call.request is not None
        assert call.request["system"] == "s"
    assert (whole.streamed, streamed.streamed, streamed.output_tokens) == (False, True, 42)


def test_bedrock_prices_by_the_region_in_the_urls_name() -> None:
    prices = [
        call_of(
            f"{BEDROCK}/{scope}.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke", {}, message(text("Hi"))
        ).cost_usd
        for scope in ("global", "us")
    ]
    assert prices[0] is not None
    assert prices[1] == pytest.approx(prices[0] * 1.1)


def test_errors_on_bedrock() -> None:
    url = f"{BEDROCK}/anthropic.claude-3-haiku-20240307-v1%3A0/invoke-with-response-stream"
    body = aws_chunk(start()) + aws_exception("modelStreamErrorException", "it broke")
    assert call_of(url, {}, body, content_type=AWS_STREAM).error == "modelStreamErrorException: it broke"
    headers = {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/"}
    call = call_of(url, {}, {"message": "Too many tokens"}, status=429, headers=headers)
    assert call.error == "ThrottlingException: Too many tokens"


def test_bedrocks_guardrail_beside_the_message() -> None:
    url = f"{BEDROCK}/anthropic.claude-3-haiku-20240307-v1%3A0/invoke"
    assert call_of(url, {}, message(text("No."), **{"amazon-bedrock-guardrailAction": "INTERVENED"})).refused


def test_on_vertex() -> None:
    url = (
        "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic/models/"
        "claude-sonnet-4-5@20250929:streamRawPredict"
    )
    call = call_of(url, {"anthropic_version": "vertex-2023-10-16"}, sse(*STREAM, named=True))
    assert (call.provider, call.api, call.model, call.text) == ("google", "anthropic.messages", MODEL, "Hi")
    assert call.cost_usd is not None


def test_legacy_completions() -> None:
    url = "https://api.anthropic.com/v1/complete"
    body = {"type": "completion", "completion": " Hi", "stop_reason": "stop_sequence", "model": "claude-2.1"}
    call = call_of(url, {"prompt": "\n\nHuman: hi"}, body)
    assert (call.api, call.text, call.finish_reason, call.input_tokens) == (
        "anthropic.complete",
        " Hi",
        "stop_sequence",
        None,
    )
    pieces = [{**body, "completion": " H", "stop_reason": None}, {**body, "completion": "i"}]
    assert call_of(url, {}, sse(*pieces, named=True)).text == " Hi"


def test_images_in_requests_are_named_not_kept() -> None:
    source = {"type": "base64", "media_type": "image/jpeg", "data": "A" * 4000}
    request = {"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}
    call = call_of(ANTHROPIC, request, message(text("x")))
    assert call.request is not None
    assert call.request["messages"][0]["content"][0]["source"]["data"] == "<image/jpeg 3000 bytes>"
