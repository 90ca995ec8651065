"""OpenAI's chat completions, which many speak, and its completions, embeddings, moderations, images and audio."""

from __future__ import annotations

from typing import Any

from pytest_llmops.providers.answer import Answer, Dialect, as_messages, request_of
from pytest_llmops.providers.loose import Fields, count, fields, items, string


def read_usage(usage: Fields, answer: Answer) -> None:
    """Token counts of ``usage``, under the names of chat completions or of responses."""
    if not usage:
        return
    seen = answer.usage
    prompt, completion = (
        _either(usage, "prompt_tokens", "input_tokens"),
        _either(usage, "completion_tokens", "output_tokens"),
    )
    seen.input_tokens = prompt if prompt is not None else seen.input_tokens
    inward = fields(usage, "prompt_tokens_details") or fields(usage, "input_tokens_details")
    outward = fields(usage, "completion_tokens_details") or fields(usage, "output_tokens_details")
    reasoning = count(outward.get("reasoning_tokens"))
    if completion is not None:
        # xAI and Google's compatible API leave reasoning out of completion_tokens, and only the total tells.
        if reasoning and prompt is not None and count(usage.get("total_tokens")) == prompt + completion + reasoning:
            completion += reasoning
        seen.output_tokens = completion
    read = _either(inward, "cached_tokens", "cache_read_tokens")
    if read is None:
        read = _either(usage, "prompt_cache_hit_tokens", "cached_tokens")  # DeepSeek; Moonshot
    seen.cache_read_tokens = read if read is not None else seen.cache_read_tokens
    written = _either(inward, "cache_write_tokens", "cache_creation_tokens")
    seen.cache_write_tokens = written if written is not None else seen.cache_write_tokens
    for name, value in (
        ("input_audio_tokens", inward.get("audio_tokens")),
        ("output_audio_tokens", outward.get("audio_tokens")),
    ):
        if counted := count(value):
            seen.details[name] = counted
    bill = usage.get("cost")  # OpenRouter
    if isinstance(bill, int | float) and not isinstance(bill, bool) and 0 < bill < 1e6:
        answer.billed_usd = float(bill)


def _either(usage: Fields, name: str, other: str) -> int | None:
    found = count(usage.get(name))
    return found if found is not None else count(usage.get(other))


def read_tier(body: Fields, answer: Answer) -> None:
    """``service_tier``, which decides the price."""
    if tier := string(body.get("service_tier")):
        answer.usage.context["service_tier"] = tier


def _head(body: Fields, answer: Answer) -> None:
    """What answers and chunks share: model, usage, error."""
    if answer.model is None:
        answer.model = string(body.get("model"))
    # Groq keeps the usage of streams under x_groq.
    read_usage(fields(body, "usage") or fields(body, "x_groq", "usage"), answer)
    read_tier(body, answer)
    if body.get("error"):
        answer.fail(body["error"])


def _first_choice(body: Fields) -> Fields:
    choices = items(body.get("choices"))
    return next((choice for choice in choices if count(choice.get("index")) == 0), choices[0] if choices else {})


def _finish(choice: Fields, answer: Answer) -> None:
    reason = string(choice.get("finish_reason"))
    if reason is not None:
        answer.finish_reason = reason
        answer.ended = True
        answer.refused |= reason in ("content_filter", "refusal")
    if choice.get("error"):
        answer.fail(choice["error"])


def _content(content: object, answer: Answer) -> None:
    """A message's or delta's content: a text, or parts (Mistral, vision)."""
    if isinstance(content, list):
        for part in items(content):
            kind = part.get("type")
            if kind == "refusal":
                answer.refused = True
            elif kind == "thinking" or "thinking" in part:
                answer.add_reasoning(part.get("thinking"))
            elif isinstance(part.get("text"), str):
                answer.add_text(part["text"])
            else:
                answer.plain = False
    else:
        answer.add_text(content)


def _message(message: Fields, answer: Answer) -> None:
    _content(message.get("content"), answer)
    answer.add_reasoning(message.get("reasoning_content") or message.get("reasoning"))
    if string(message.get("refusal")):
        answer.refused = True
        answer.content = True
    if isinstance(message.get("audio"), dict) or message.get("images"):
        answer.plain = False
        answer.content = True
    for position, call in enumerate(items(message.get("tool_calls"))):
        _tool(call, position, answer)
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        answer.tool("function_call", name=legacy.get("name"), arguments=legacy.get("arguments"))


def _tool(call: Fields, position: int, answer: Answer) -> None:
    index = count(call.get("index"))
    key: Any = position if index is None else index
    identity = string(call.get("id"))
    known = answer.tools.get(key)
    if known is not None and known.id and identity and identity != known.id:
        key = identity  # servers that number every tool 0
    function = fields(call, "function") or fields(call, "custom")
    arguments = function.get("arguments", function.get("input"))
    answer.tool(key, name=function.get("name"), id=identity, arguments=arguments)


def read_answer(body: Fields, answer: Answer) -> None:
    """``{"choices": [{"message": …}]}``."""
    _head(body, answer)
    choice = _first_choice(body)
    _message(fields(choice, "message"), answer)
    _finish(choice, answer)


def _chunk(_name: str, body: Fields, answer: Answer) -> None:
    _head(body, answer)
    if _name == "error":
        answer.fail(body)
    for choice in items(body.get("choices")):
        if (count(choice.get("index")) or 0) == 0:
            _message(fields(choice, "delta") or fields(choice, "message"), answer)
            _finish(choice, answer)
            if "usage" in choice:  # Moonshot
                read_usage(fields(choice, "usage"), answer)


def _chat_request(body: Fields) -> Fields:
    tools = body.get("tools") or body.get("functions")
    return request_of(body, messages=body.get("messages", []), tools=tools, leave_out=("functions",))


def _completion(body: Fields, answer: Answer) -> None:
    _head(body, answer)
    choice = _first_choice(body)
    answer.add_text(choice.get("text"))
    _finish(choice, answer)


def _completion_chunk(_name: str, body: Fields, answer: Answer) -> None:
    _head(body, answer)
    for choice in items(body.get("choices")):
        if (count(choice.get("index")) or 0) == 0:
            answer.add_text(choice.get("text"))
            _finish(choice, answer)


def _prompt_request(body: Fields) -> Fields:
    return request_of(body, messages=as_messages(body.get("prompt")), leave_out=("prompt",))


def _input_request(body: Fields) -> Fields:
    return request_of(body, messages=as_messages(body.get("input")), leave_out=("input",))


def _embedding(body: Fields, answer: Answer) -> None:
    _head(body, answer)
    if answer.usage.input_tokens is None:
        answer.usage.input_tokens = count(fields(body, "usage").get("total_tokens"))  # Voyage
    answer.usage.output_tokens = 0


def _other(body: Fields, answer: Answer) -> None:
    _head(body, answer)


def _image(body: Fields, answer: Answer) -> None:
    _head(body, answer)
    details = fields(body, "usage", "input_tokens_details")
    if images := count(details.get("image_tokens")):
        answer.usage.details["input_image_tokens"] = images
    if answer.usage.output_tokens:
        answer.usage.details["output_image_tokens"] = answer.usage.output_tokens


def _audio(body: Fields, answer: Answer) -> None:
    _head(body, answer)
    answer.add_text(body.get("text"))
    answer.ended = True


def _named_event(name: str, body: Fields, answer: Answer) -> None:
    """``transcript.text.delta``, ``image_generation.completed`` and the like."""
    _head(body, answer)
    kind = str(body.get("type") or name)
    if kind == "transcript.text.delta":
        answer.add_text(body.get("delta"))
    elif kind == "transcript.text.done" and not answer.pieces:
        answer.add_text(body.get("text"))
    answer.ended |= kind.endswith((".done", ".completed"))


CHAT = Dialect(read_answer, _chunk, _chat_request)
COMPLETIONS = Dialect(_completion, _completion_chunk, _prompt_request)
EMBEDDINGS = Dialect(_embedding, _named_event, _input_request, generates=False)
MODERATIONS = Dialect(_other, _named_event, _input_request, generates=False)
IMAGES = Dialect(_image, _named_event, _prompt_request, generates=False)
AUDIO = Dialect(_audio, _named_event, _input_request)
