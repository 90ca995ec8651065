"""Cohere, Ollama, Google, Bedrock."""

import pytest

from tests.wire.exchanges import (
    AWS_STREAM,
    BEDROCK,
    GEMINI,
    Json,
    aws_chunk,
    aws_event,
    aws_exception,
    call_of,
    ndjson,
    sse,
)

COHERE_V1, COHERE_V2 = "https://api.cohere.com/v1/chat", "https://api.cohere.com/v2/chat"
UNITS = {"billed_units": {"input_tokens": 7, "output_tokens": 3}, "tokens": {"input_tokens": 70, "output_tokens": 4}}


# -- Cohere ------------------------------------------------------------------------------------------------------------


def test_cohere_v1_chat() -> None:
    request = {
        "model": "command-r",
        "message": "Hi",
        "preamble": "p",
        "chat_history": [{"role": "USER", "message": "a"}],
    }
    tools = [{"name": "f", "parameters": {"x": 1}}]
    call = call_of(
        COHERE_V1, request, {"text": "Hello", "finish_reason": "COMPLETE", "tool_calls": tools, "meta": UNITS}
    )
    assert (call.api, call.model, call.text, call.finish_reason) == ("cohere.v1.chat", "command-r", "Hello", "COMPLETE")
    assert (call.input_tokens, call.output_tokens) == (70, 4)
    assert call.cost_usd == pytest.approx((7 * 0.15 + 3 * 0.60) / 1e6)  # as billed
    assert [(t.name, t.arguments) for t in call.tool_calls] == [("f", {"x": 1})]
    assert call.request == {
        "messages": [{"role": "USER", "message": "a"}, {"role": "USER", "message": "Hi"}],
        "system": "p",
        "tools": None,
        "parameters": {"model": "command-r"},
    }


@pytest.mark.parametrize("framing", ["application/stream+json", "application/json"])
def test_cohere_v1_streams(framing: str) -> None:
    response = {"text": "Hello", "finish_reason": "COMPLETE", "meta": UNITS}
    body = ndjson(
        {"is_finished": False, "event_type": "stream-start", "generation_id": "g"},
        {"is_finished": False, "event_type": "text-generation", "text": "Hel"},
        {"is_finished": False, "event_type": "text-generation", "text": "lo"},
        {"is_finished": True, "event_type": "stream-end", "response": response, "finish_reason": "COMPLETE"},
    )
    call = call_of(COHERE_V1, {"model": "command-r"}, body, content_type=framing)
    assert (call.text, call.finish_reason, call.input_tokens, call.streamed) == ("Hello", "COMPLETE", 70, True)


def test_cohere_v1_streamed_tools() -> None:
    tools = [{"name": "f", "parameters": {"x": 1}}]
    body = ndjson(
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "name": "f"}},
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "parameters": '{"x"'}},
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "parameters": ": 1}"}},
        {"event_type": "tool-calls-generation", "tool_calls": tools},
        {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": {"tool_calls": tools, "meta": UNITS}},
    )
    for cut in (body, "".join(body.splitlines(keepends=True)[:3])):
        call = call_of(COHERE_V1, {}, cut, content_type="application/stream+json")
        assert [(t.name, t.arguments) for t in call.tool_calls] == [("f", {"x": 1})]


def test_cohere_v2_chat() -> None:
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    tools = [{"id": "f_1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}]
    message = {"role": "assistant", "content": content, "tool_calls": tools}
    call = call_of(
        COHERE_V2, {"model": "command-a-03-2025"}, {"message": message, "finish_reason": "TOOL_CALL", "usage": UNITS}
    )
    assert (call.text, call.finish_reason, call.input_tokens) == ("Hello", "TOOL_CALL", 70)
    assert [(t.id, t.arguments) for t in call.tool_calls] == [("f_1", {"x": 1})]


def test_cohere_v2_streams() -> None:
    def tool(index: int, kind: str, **call: object) -> Json:
        return {"type": kind, "index": index, "delta": {"message": {"tool_calls": call}}}

    body = sse(
        {"type": "message-start", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}},
        tool(0, "tool-call-start", id="a", function={"name": "f", "arguments": ""}),
        tool(0, "tool-call-delta", function={"arguments": '{"x": 1}'}),
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hello"}}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": UNITS}},
        named=True,
    )
    call = call_of(COHERE_V2, {}, body)
    assert (call.text, call.finish_reason, call.output_tokens) == ("Hello", "COMPLETE", 4)
    assert [(t.id, t.name, t.arguments) for t in call.tool_calls] == [("a", "f", {"x": 1})]


def test_cohere_errors() -> None:
    assert call_of(COHERE_V2, {}, {"id": "x", "message": "invalid api token"}, status=401).error == "invalid api token"
    end = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "stream broke"}}
    assert call_of(COHERE_V2, {}, sse(end)).error == "stream broke"
    toxic = call_of(COHERE_V1, {}, {"text": "", "finish_reason": "ERROR_TOXIC"})
    assert (toxic.refused, toxic.error) == (True, "ERROR_TOXIC")


def test_cohere_generate() -> None:
    url = "https://api.cohere.com/v1/generate"
    body = {"generations": [{"text": " Hi", "finish_reason": "COMPLETE"}], "prompt": "p", "meta": UNITS}
    call = call_of(url, {"model": "command", "prompt": "p"}, body)
    assert (call.api, call.text, call.finish_reason) == ("cohere.v1.generate", " Hi", "COMPLETE")
    end = {"is_finished": True, "finish_reason": "COMPLETE", "response": body}
    streamed = call_of(url, {}, ndjson({"text": " H"}, {"text": "i"}, end), content_type="application/stream+json")
    assert (streamed.text, streamed.input_tokens, streamed.truncated) == (" Hi", 70, False)


def test_cohere_embed_and_rerank() -> None:
    embed = call_of(
        "https://api.cohere.com/v2/embed",
        {"model": "embed-v4.0", "texts": ["a"]},
        {"embeddings": {"float": [[0.1]]}, "meta": {"billed_units": {"input_tokens": 9}}},
    )
    assert (embed.input_tokens, embed.output_tokens, embed.text) == (9, 0, None)
    assert embed.cost_usd is not None
    rerank = call_of(
        "https://api.cohere.com/v2/rerank",
        {"model": "rerank-v3.5", "query": "q", "documents": ["a"]},
        {"results": [], "meta": {"billed_units": {"search_units": 1}}},
    )
    assert (rerank.api, rerank.model, rerank.input_tokens, rerank.cost_usd) == (
        "cohere.v2.rerank",
        "rerank-v3.5",
        None,
        None,
    )
    other = call_of(
        "https://rerank.example/v1/rerank",
        {"model": "m", "query": "q", "documents": ["a"]},
        {"model": "m-2", "results": [], "usage": {"total_tokens": 12}},
    )
    assert (other.model, other.input_tokens) == ("m-2", 12)


# -- Ollama ------------------------------------------------------------------------------------------------------------

OLLAMA = "http://localhost:11434/api/chat"
DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 11, "eval_count": 3, "total_duration": 5}


def test_ollama() -> None:
    tools = [{"function": {"name": "f", "arguments": {"x": 1}}}]
    message = {"role": "assistant", "content": "Hello", "thinking": "hm", "tool_calls": tools}
    call = call_of(OLLAMA, {"model": "llama3", "messages": []}, {"model": "llama3", "message": message, **DONE})
    assert (call.provider, call.api, call.text, call.finish_reason) == ("ollama", "ollama", "Hello", "stop")
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (11, 3, None)
    assert [(t.name, t.arguments) for t in call.tool_calls] == [("f", {"x": 1})]
    generated = call_of(
        "http://localhost:11434/api/generate", {"prompt": "p"}, {"model": "m", "response": "Hi", **DONE}
    )
    assert (generated.api, generated.text) == ("ollama", "Hi")
    assert generated.request is not None
    assert generated.request["messages"] == [{"role": "user", "content": "p"}]


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json"])
def test_ollama_streams(kind: str) -> None:
    lines = [{"model": "m", "message": {"content": t}, "done": False} for t in ("", "Hel", "lo")]
    body = ndjson(*lines, {"model": "m", "message": {"content": ""}, **DONE})
    first = len(ndjson(*lines[:2]))
    call = call_of(OLLAMA, {}, body, content_type=kind, chunks=[(first, 7.0), (len(body) - first, 70.0)])
    assert (call.text, call.streamed, call.truncated, call.ttft_ms, call.output_tokens) == (
        "Hello",
        True,
        False,
        7.0,
        3,
    )
    cut = call_of(OLLAMA, {}, body[: first + 5], content_type=kind if "nd" in kind else "application/x-ndjson")
    assert (cut.text, cut.truncated, cut.output_tokens) == ("Hel", True, None)


def test_ollama_errors() -> None:
    assert call_of(OLLAMA, {}, {"error": "model 'x' not found"}, status=404).error == "model 'x' not found"
    body = ndjson({"model": "m", "message": {"content": "Hel"}}, {"error": "out of memory"})
    call = call_of(OLLAMA, {}, body, content_type="application/x-ndjson")
    assert (call.text, call.error) == ("Hel", "out of memory")
    early = call_of(OLLAMA, {}, ndjson({"error": "no"}), content_type="application/x-ndjson", status=500)
    assert (early.error, early.text) == ("no", None)


def test_ollama_embeddings() -> None:
    url = "http://localhost:11434/api/embed"
    call = call_of(url, {"model": "e", "input": "x"}, {"model": "e", "embeddings": [[0.1]], "prompt_eval_count": 2})
    assert (call.api, call.text, call.input_tokens, call.output_tokens) == ("ollama.embed", None, 2, 0)


# -- Google ------------------------------------------------------------------------------------------------------------


def candidate(*parts: Json, finish: str | None = "STOP", **usage: int) -> Json:
    counts = {"promptTokenCount": 12, "candidatesTokenCount": 3, "totalTokenCount": 15, **usage}
    first = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish:
        first["finishReason"] = finish
    return {"candidates": [first], "usageMetadata": counts, "modelVersion": "gemini-2.5-flash-001"}


def test_gemini() -> None:
    parts = [
        {"text": "hm", "thought": True},
        {"text": "Hel"},
        {"text": "lo"},
        {"functionCall": {"name": "f", "args": {"x": 1}}},
    ]
    usage = {"thoughtsTokenCount": 40, "cachedContentTokenCount": 8, "toolUsePromptTokenCount": 5}
    request = {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"temperature": 0},
    }
    call = call_of(f"{GEMINI}:generateContent", request, candidate(*parts, **usage))
    assert (call.provider, call.api, call.model) == ("google", "google.generate_content", "gemini-2.5-flash-001")
    assert (call.text, call.finish_reason) == ("Hello", "STOP")
    assert (call.input_tokens, call.output_tokens, call.cache_read_tokens) == (17, 43, 8)
    assert [(t.name, t.arguments) for t in call.tool_calls] == [("f", {"x": 1})]
    assert call.request == {
        "messages": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "system": {"parts": [{"text": "s"}]},
        "tools": None,
        "parameters": {"generationConfig": {"temperature": 0}},
    }


EVENTS = [
    candidate({"text": "hm", "thought": True}, finish=None, thoughtsTokenCount=4),
    candidate({"text": "Hel"}, finish=None),
    candidate({"text": "lo"}, candidatesTokenCount=9, thoughtsTokenCount=4),
]


def test_gemini_streams_as_events_and_as_an_array() -> None:
    url = f"{GEMINI}:streamGenerateContent"
    for body in (sse(*EVENTS), EVENTS):
        call = call_of(url, {}, body)
        assert (call.text, call.finish_reason, call.output_tokens) == ("Hello", "STOP", 13)
        assert (call.streamed, call.truncated) == (True, False)


def test_gemini_arrays_are_timed_and_survive_a_cut() -> None:
    import json

    first = "[" + json.dumps(EVENTS[0])
    body = first + ",\r\n" + json.dumps(EVENTS[1]) + ",\r\n" + json.dumps(EVENTS[2])[:40]
    chunks = [(len(first), 3.0), (len(body) - len(first), 30.0)]
    kind = "application/json; charset=UTF-8"
    call = call_of(f"{GEMINI}:streamGenerateContent", {}, body, content_type=kind, chunks=chunks)
    assert (call.text, call.ttft_ms, call.truncated, call.error) == ("Hel", 3.0, True, None)


@pytest.mark.parametrize(
    "body",
    [
        candidate(finish="SAFETY"),
        candidate(finish="PROHIBITED_CONTENT"),
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}},
    ],
)
def test_gemini_refusals(body: Json) -> None:
    call = call_of(f"{GEMINI}:generateContent", {}, body)
    assert (call.refused, call.text, call.error) == (True, "", None)
    assert call.output_tokens in (3, 0)


def test_gemini_images_are_not_plain_text() -> None:
    body = candidate({"inlineData": {"mimeType": "image/png", "data": "iVBOR"}})
    assert call_of(f"{GEMINI}:generateContent", {}, body).text is None


def test_gemini_errors() -> None:
    error = {"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}
    for body in (error, [error]):
        call = call_of(f"{GEMINI}:streamGenerateContent", {}, body, status=429)
        assert (call.error, call.model) == ("RESOURCE_EXHAUSTED: Quota exceeded", "gemini-2.5-flash")


def test_google_embeddings() -> None:
    call = call_of(f"{GEMINI}:embedContent", {"content": {"parts": []}}, {"embedding": {"values": [0.1]}})
    assert (call.api, call.text, call.input_tokens) == ("google.embed_content", None, None)
    url = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/text-embedding-005:predict"
    statistics = {"embeddings": {"statistics": {"token_count": 6}, "values": []}}
    call = call_of(url, {"instances": [{"content": "a"}]}, {"predictions": [statistics, statistics]})
    assert (call.api, call.model, call.input_tokens) == ("google.predict", "text-embedding-005", 12)


# -- Bedrock -----------------------------------------------------------------------------------------------------------

NOVA = f"{BEDROCK}/amazon.nova-lite-v1%3A0"
TOKENS = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}


def test_converse() -> None:
    content = [
        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
        {"text": "Hello"},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 1}}},
    ]
    usage = {**TOKENS, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 20}
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use", "usage": usage}
    request = {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "system": [{"text": "s"}],
        "toolConfig": {"tools": [{}]},
    }
    call = call_of(f"{NOVA}/converse", request, body)
    assert (call.provider, call.api, call.model) == ("bedrock", "bedrock.converse", "amazon.nova-lite-v1:0")
    assert (call.text, call.finish_reason) == ("Hello", "tool_use")
    assert (call.input_tokens, call.cache_read_tokens, call.cache_write_tokens, call.output_tokens) == (130, 100, 20, 5)
    assert [(t.name, t.id, t.arguments) for t in call.tool_calls] == [("f", "t", {"x": 1})]
    assert call.request == {
        "messages": request["messages"],
        "system": [{"text": "s"}],
        "tools": [{}],
        "parameters": {},
    }


def test_converse_stream() -> None:
    frames = [
        aws_event("messageStart", {"role": "assistant"}),
        aws_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hel"}}),
        aws_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "lo"}}),
        aws_event("contentBlockStop", {"contentBlockIndex": 0}),
        aws_event("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
        aws_event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"x"'}}}),
        aws_event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": ": 1}"}}}),
        aws_event("messageStop", {"stopReason": "tool_use"}),
        aws_event("metadata", {"usage": TOKENS, "metrics": {"latencyMs": 5}}),
    ]
    body, first = b"".join(frames), len(frames[0] + frames[1])
    chunks = [(first, 6.0), (len(body) - first, 60.0)]
    call = call_of(f"{NOVA}/converse-stream", {}, body, content_type=AWS_STREAM, chunks=chunks)
    assert (call.text, call.finish_reason, call.ttft_ms, call.streamed) == ("Hello", "tool_use", 6.0, True)
    assert (call.input_tokens, call.output_tokens, call.truncated) == (10, 5, False)
    assert [(t.name, t.id, t.arguments) for t in call.tool_calls] == [("f", "t", {"x": 1})]
    cut = call_of(f"{NOVA}/converse-stream", {}, body[: first + 30], content_type=AWS_STREAM)
    assert (cut.text, cut.truncated, cut.input_tokens, cut.cost_usd) == ("Hel", True, None, None)


def test_converse_errors_and_guardrails() -> None:
    stream = aws_event("messageStart", {}) + aws_exception("throttlingException", "slow down")
    assert (
        call_of(f"{NOVA}/converse-stream", {}, stream, content_type=AWS_STREAM).error
        == "throttlingException: slow down"
    )
    denied = {"message": "not authorized"}
    headers = {"x-amzn-errortype": "AccessDeniedException"}
    call = call_of(f"{NOVA}/converse", {}, denied, status=403, headers=headers)
    assert call.error == "AccessDeniedException: not authorized"
    body = {
        "output": {"message": {"content": [{"text": "No."}]}},
        "stopReason": "guardrail_intervened",
        "usage": TOKENS,
    }
    assert call_of(f"{NOVA}/converse", {}, body).refused


METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 9, "outputTokenCount": 4}}

MAKERS: list[tuple[str, Json, tuple[str, str | None, int | None, int | None]]] = [
    (
        "amazon.titan-text-express-v1",
        {"inputTextTokenCount": 9, "results": [{"tokenCount": 4, "outputText": "Hi", "completionReason": "FINISH"}]},
        ("Hi", "FINISH", 9, 4),
    ),
    (
        "meta.llama3-8b-instruct-v1:0",
        {"generation": "Hi", "prompt_token_count": 9, "generation_token_count": 4, "stop_reason": "stop"},
        ("Hi", "stop", 9, 4),
    ),
    (
        "mistral.mistral-7b-instruct-v0:2",
        {"outputs": [{"text": "Hi", "stop_reason": "stop"}]},
        ("Hi", "stop", None, None),
    ),
    (
        "ai21.jamba-1-5-mini-v1:0",
        {
            "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 4},
        },
        ("Hi", "stop", 9, 4),
    ),
    ("cohere.command-r-v1:0", {"text": "Hi", "finish_reason": "COMPLETE"}, ("Hi", "COMPLETE", None, None)),
    (
        "amazon.nova-lite-v1:0",
        {
            "output": {"message": {"content": [{"text": "Hi"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 9, "outputTokens": 4},
        },
        ("Hi", "end_turn", 9, 4),
    ),
]


@pytest.mark.parametrize(("model", "body", "expected"), MAKERS)
def test_invoke_reads_each_makers_shape(model: str, body: Json, expected: tuple[object, ...]) -> None:
    call = call_of(f"{BEDROCK}/{model}/invoke", {"prompt": "p", "inputText": "p"}, body)
    assert (call.api, call.model) == ("bedrock.invoke", model)
    assert (call.text, call.finish_reason, call.input_tokens, call.output_tokens) == expected


STREAMS: list[tuple[str, list[Json], str | None]] = [
    (
        "amazon.titan-text-express-v1",
        [
            {"outputText": "H", "index": 0, "completionReason": None},
            {"outputText": "i", "completionReason": "FINISH", **METRICS},
        ],
        "FINISH",
    ),
    (
        "meta.llama3-8b-instruct-v1:0",
        [{"generation": "H", "stop_reason": None}, {"generation": "i", "stop_reason": "stop", **METRICS}],
        "stop",
    ),
    (
        "amazon.nova-lite-v1:0",
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "Hi"}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": {"inputTokens": 9, "outputTokens": 4}}, **METRICS},
        ],
        "end_turn",
    ),
    (
        "mistral.mistral-7b-instruct-v0:2",
        [
            {"outputs": [{"text": "Hi", "stop_reason": None}]},
            {"outputs": [{"text": "", "stop_reason": "stop"}], **METRICS},
        ],
        "stop",
    ),
    (
        "openai.gpt-oss-20b-1:0",
        [
            {"choices": [{"index": 0, "delta": {"content": "Hi"}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **METRICS},
        ],
        "stop",
    ),
]


@pytest.mark.parametrize(("model", "events", "finish"), STREAMS)
def test_invoke_streams(model: str, events: list[Json], finish: str) -> None:
    body = b"".join(map(aws_chunk, events))
    call = call_of(f"{BEDROCK}/{model}/invoke-with-response-stream", {}, body, content_type=AWS_STREAM)
    assert (call.text, call.finish_reason, call.input_tokens, call.output_tokens) == ("Hi", finish, 9, 4)
    assert not call.truncated


def test_titan_embeddings() -> None:
    url = f"{BEDROCK}/amazon.titan-embed-text-v2%3A0/invoke"
    call = call_of(url, {"inputText": "x"}, {"embedding": [0.1], "inputTextTokenCount": 3})
    assert (call.text, call.input_tokens, call.output_tokens) == (None, 3, 0)
    assert call.cost_usd is not None
