"""Google's generateContent and embeddings, on the Gemini API and on Vertex AI."""

from __future__ import annotations

from pytest_llmops.providers.answer import Answer, Dialect, as_messages, request_of
from pytest_llmops.providers.loose import Fields, count, fields, items, string

_BLOCKED = frozenset(
    {"SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "MODEL_ARMOR"}
)


def _usage(usage: Fields, answer: Answer) -> None:
    """Counts, cumulative in streams; output includes thinking, input what tools added."""
    if not usage:
        return
    seen = answer.usage
    prompt, tools = count(usage.get("promptTokenCount")), count(usage.get("toolUsePromptTokenCount"))
    output, thoughts = count(usage.get("candidatesTokenCount")), count(usage.get("thoughtsTokenCount"))
    if prompt is not None or tools is not None:
        seen.input_tokens = (prompt or 0) + (tools or 0)
    if output is not None or thoughts is not None:
        seen.output_tokens = (output or 0) + (thoughts or 0)
    elif answer.ended and prompt is not None and seen.output_tokens is None:
        seen.output_tokens = 0  # a blocked prompt: zeros are left out of Google's JSON
    seen.cache_read_tokens = _kept(count(usage.get("cachedContentTokenCount")), seen.cache_read_tokens)
    for field, direction in (("promptTokensDetails", "input"), ("candidatesTokensDetails", "output")):
        for detail in items(usage.get(field)):
            modality = detail.get("modality")
            if modality in ("AUDIO", "IMAGE", "VIDEO") and (counted := count(detail.get("tokenCount"))):
                seen.details[f"{direction}_{modality.lower()}_tokens"] = counted


def _kept(new: int | None, old: int | None) -> int | None:
    return old if new is None else new


def _chunk(body: Fields, answer: Answer) -> None:
    """An answer, whole or one event: both have one shape."""
    body = fields(body, "response") or body  # Code Assist wraps it
    if answer.model is None:
        answer.model = string(body.get("modelVersion"))
    if body.get("error"):
        answer.fail(body["error"])
    if string(fields(body, "promptFeedback").get("blockReason")):
        answer.refused = answer.ended = True
    candidates = items(body.get("candidates"))
    first = next((c for c in candidates if not count(c.get("index"))), candidates[0] if candidates else {})
    for part in items(fields(first, "content").get("parts")):
        _part(part, answer)
    reason = string(first.get("finishReason"))
    if reason is not None:
        answer.finish_reason = reason
        answer.ended = True
        answer.refused |= reason in _BLOCKED
    _usage(fields(body, "usageMetadata"), answer)


def _part(part: Fields, answer: Answer) -> None:
    call = part.get("functionCall")
    if isinstance(call, dict):
        answer.tool(len(answer.tools), name=call.get("name"), id=call.get("id"), arguments=call.get("args"))
    elif part.get("thought") is True:
        answer.add_reasoning(part.get("text"))
    elif "text" in part:
        answer.add_text(part["text"])
    elif part.get("inlineData") or part.get("fileData"):
        answer.plain = False
        answer.content = True


def _event(_name: str, body: Fields, answer: Answer) -> None:
    _chunk(body, answer)


def _request(body: Fields) -> Fields:
    system = body.get("systemInstruction") or body.get("system_instruction")
    return request_of(
        body,
        messages=body.get("contents", []),
        system=system,
        tools=body.get("tools"),
        leave_out=("contents", "systemInstruction", "system_instruction"),
    )


def _embedding(body: Fields, answer: Answer) -> None:
    answer.usage.input_tokens = count(fields(body, "usageMetadata").get("promptTokenCount"))
    if answer.usage.input_tokens is None:
        answer.usage.input_tokens = _predicted(body)
    answer.usage.output_tokens = 0


def _predicted(body: Fields) -> int | None:
    """Tokens of Vertex' ``predict``, summed over what was embedded."""
    counts = [count(fields(p, "embeddings", "statistics").get("token_count")) for p in items(body.get("predictions"))]
    return sum(found for found in counts if found is not None) if any(c is not None for c in counts) else None


def _embedding_event(_name: str, body: Fields, answer: Answer) -> None:
    _embedding(body, answer)


def _embed_request(body: Fields) -> Fields:
    content = body.get("content") or body.get("requests") or body.get("instances")
    return request_of(body, messages=as_messages(content), leave_out=("content", "requests", "instances"))


GENERATE_CONTENT = Dialect(_chunk, _event, _request)
EMBED_CONTENT = Dialect(_embedding, _embedding_event, _embed_request, generates=False)
