"""Amazon Bedrock: Converse, and invoke of models that are not Anthropic's, whose bodies take the makers' shapes."""

from __future__ import annotations

from pytest_llmops.providers.answer import Answer, Dialect, as_messages, request_of
from pytest_llmops.providers.anthropic import read_event as read_claude_event
from pytest_llmops.providers.anthropic import read_message as read_claude
from pytest_llmops.providers.loose import Fields, count, fields, items, string
from pytest_llmops.providers.openai_chat import read_answer as read_chat

_BLOCKED = frozenset({"guardrail_intervened", "content_filtered", "CONTENT_FILTERED"})


def _usage(usage: Fields, answer: Answer) -> None:
    """Counts of Converse; ``inputTokens`` leaves the cache out."""
    if not usage:
        return
    seen = answer.usage
    seen.cache_read_tokens = count(usage.get("cacheReadInputTokens"))
    seen.cache_write_tokens = count(usage.get("cacheWriteInputTokens"))
    fresh = count(usage.get("inputTokens"))
    if fresh is not None:
        seen.input_tokens = fresh + (seen.cache_read_tokens or 0) + (seen.cache_write_tokens or 0)
    seen.output_tokens = count(usage.get("outputTokens"))
    for detail in items(usage.get("cacheDetails")):
        written = count(detail.get("inputTokens"))
        if written and detail.get("ttl") in ("5m", "1h"):
            seen.details[f"cache_write_{detail['ttl']}_tokens"] = written


def _stop(reason: object, answer: Answer) -> None:
    if word := string(reason):
        answer.finish_reason = word
        answer.ended = True
        answer.refused |= word in _BLOCKED


def _content(content: object, answer: Answer) -> None:
    for position, block in enumerate(items(content)):
        if "text" in block:
            answer.add_text(block["text"])
        elif isinstance(block.get("toolUse"), dict):
            tool = block["toolUse"]
            answer.tool(position, name=tool.get("name"), id=tool.get("toolUseId"), arguments=tool.get("input"))
        elif "image" in block or "video" in block or "audio" in block:
            answer.plain = False


def _converse(body: Fields, answer: Answer) -> None:
    _content(fields(body, "output", "message").get("content"), answer)
    _usage(fields(body, "usage"), answer)
    _stop(body.get("stopReason"), answer)
    _tier(body, answer)


def _tier(body: Fields, answer: Answer) -> None:
    if tier := string(fields(body, "serviceTier").get("type")):
        answer.usage.context["service_tier"] = tier


def _converse_event(name: str, body: Fields, answer: Answer) -> None:
    if body.get("error"):
        answer.fail(body["error"])
    elif name == "contentBlockDelta":
        delta = fields(body, "delta")
        answer.add_text(delta.get("text"))
        answer.add_reasoning(delta.get("reasoningContent"))
        piece = fields(delta, "toolUse").get("input")
        if isinstance(piece, str):
            answer.tool(count(body.get("contentBlockIndex")) or 0, arguments=piece)
    elif name == "contentBlockStart":
        tool = fields(body, "start", "toolUse")
        if tool:
            key = count(body.get("contentBlockIndex")) or 0
            answer.tool(key, name=tool.get("name"), id=tool.get("toolUseId"))
    elif name == "messageStop":
        _stop(body.get("stopReason"), answer)
    elif name == "metadata":
        _usage(fields(body, "usage"), answer)
        _tier(body, answer)


def _converse_request(body: Fields) -> Fields:
    tools = fields(body, "toolConfig").get("tools")
    return request_of(
        body, messages=body.get("messages", []), system=body.get("system"), tools=tools, leave_out=("toolConfig",)
    )


def _invoke(body: Fields, answer: Answer) -> None:
    """Any maker's answer, whole or one chunk: told apart by its fields."""
    if body.get("type") in ("message", "error"):  # Claude behind an inference profile's name
        read_claude(body, answer)
    elif "choices" in body:  # Mistral, AI21 Jamba, OpenAI, DeepSeek, Qwen
        read_chat(body, answer)
    elif "outputText" in body or "results" in body:
        _titan(body, answer)
    elif "generation" in body:  # Llama
        answer.add_text(body["generation"])
        _stop(body.get("stop_reason"), answer)
        _counts(body, "prompt_token_count", "generation_token_count", answer)
    elif "output" in body:  # Nova
        _converse(body, answer)
    elif "outputs" in body:  # Mistral 7B
        first = next(iter(items(body["outputs"])), {})
        answer.add_text(first.get("text"))
        _stop(first.get("stop_reason"), answer)
    elif "generations" in body or "text" in body:  # Cohere
        first = next(iter(items(body.get("generations"))), body)
        answer.add_text(first.get("text"))
        _stop(first.get("finish_reason"), answer)
    elif "embedding" in body or "embeddings" in body or "embeddingsByType" in body:
        _counts(body, "inputTextTokenCount", "", answer)
        answer.usage.output_tokens = 0
        answer.plain = False
    _metrics(body, answer)


def _titan(body: Fields, answer: Answer) -> None:
    first = next(iter(items(body.get("results"))), body)
    answer.add_text(first.get("outputText"))
    _stop(first.get("completionReason"), answer)
    _counts(body, "inputTextTokenCount", "", answer)
    tokens = count(first.get("tokenCount")) if first is not body else count(body.get("totalOutputTextTokenCount"))
    answer.usage.output_tokens = tokens if tokens is not None else answer.usage.output_tokens


def _counts(body: Fields, inward: str, outward: str, answer: Answer) -> None:
    seen = answer.usage
    found, made = count(body.get(inward)), count(body.get(outward))
    seen.input_tokens = found if found is not None else seen.input_tokens
    seen.output_tokens = made if made is not None else seen.output_tokens


def _metrics(body: Fields, answer: Answer) -> None:
    """What Bedrock itself counted, in a stream's last chunk."""
    _counts(fields(body, "amazon-bedrock-invocationMetrics"), "inputTokenCount", "outputTokenCount", answer)
    answer.refused |= body.get("amazon-bedrock-guardrailAction") == "INTERVENED"


_NOVA_EVENTS = ("contentBlockDelta", "contentBlockStart", "messageStop", "metadata")


def _invoke_event(_name: str, body: Fields, answer: Answer) -> None:
    if str(body.get("type")).startswith(("message_", "content_block_", "error")):
        read_claude_event("", body, answer)
        return
    if body.get("error"):
        answer.fail(body["error"])
        return
    nova = next((name for name in _NOVA_EVENTS if isinstance(body.get(name), dict)), None)
    if nova is not None:
        _converse_event(nova, body[nova], answer)
        _metrics(body, answer)
    elif "choices" in body and any("delta" in choice for choice in items(body["choices"])):
        _chat_chunk(body, answer)
    else:
        _invoke(body, answer)


def _chat_chunk(body: Fields, answer: Answer) -> None:
    choices = [{**choice, "message": choice.get("delta")} for choice in items(body["choices"])]
    read_chat({**body, "choices": choices}, answer)
    _metrics(body, answer)


def _invoke_request(body: Fields) -> Fields:
    prompt = next((body[name] for name in ("prompt", "inputText", "message", "texts") if name in body), None)
    messages = body["messages"] if isinstance(body.get("messages"), list) else as_messages(prompt)
    return request_of(
        body,
        messages=messages,
        system=body.get("system"),
        tools=body.get("tools"),
        leave_out=("prompt", "inputText", "message", "texts"),
    )


CONVERSE = Dialect(_converse, _converse_event, _converse_request)
INVOKE = Dialect(_invoke, _invoke_event, _invoke_request)
