"""Evidence of guardrails: what each system's answer, exception or result shows, and that ordinary answers show none."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_llmops import evidence, providers
from pytest_llmops.exchange import Exchange
from tests.wire.exchanges import aws_chunk, aws_event

URLS = {
    "anthropic": "https://api.anthropic.com/v1/messages",
    "openai": "https://api.openai.com/v1/chat/completions",
    "responses": "https://api.openai.com/v1/responses",
    "moderations": "https://api.openai.com/v1/moderations",
    "azure": "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
    "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse",
    "converse-stream": "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1:0/converse-stream",
    "invoke-stream": "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-sonnet/invoke-with-response-stream",
    "apply": "https://bedrock-runtime.us-east-1.amazonaws.com/guardrail/g/version/1/apply",
    "google": "https://generativelanguage.googleapis.com/v1beta/models/gemini:generateContent",
    "lakera": "https://api.lakera.ai/v2/guard",
}


def exchange(system: str, body: Any, *, status: int = 200, request: Any = None) -> Exchange:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/event-stream" if isinstance(body, bytes) else "application/json"
    kind = "application/vnd.amazon.eventstream" if system.endswith("-stream") else kind
    sent = json.dumps(request or {"model": "m", "messages": [{"role": "user", "content": "x"}]}).encode()
    return Exchange("POST", URLS[system], sent, "application/json", status, {"content-type": kind}, raw)


def shown(system: str, body: Any, **more: Any) -> list[tuple[Any, ...]]:
    after = more.pop("after_answer", False)
    one = exchange(system, body, **more)
    found = evidence.in_order(evidence.of_exchange(one, providers.read(one), after_answer=after))
    assert all(trigger.source == "http" for trigger in found)
    return [(t.name, t.stage, t.action, t.categories) for t in found]


def choice(**fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hi", "refusal": None} | fields.pop("message", {})
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"} | fields], "model": "m"}


def filters(*names: str, how: str = "filtered") -> dict[str, Any]:
    return {name: {how: True, "severity": "high"} for name in names} | {"violence": {"filtered": False}}


ASSESSMENT = {
    "contentPolicy": {"filters": [{"type": "VIOLENCE", "action": "BLOCKED"}, {"type": "HATE", "action": "NONE"}]},
    "sensitiveInformationPolicy": {"piiEntities": [{"type": "EMAIL", "action": "ANONYMIZED", "match": "a@x.test"}]},
}
REFUSED_STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"c","usage":{}}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"refusal",'
    b'"stop_details":{"type":"refusal","category":"cyber"}},"usage":{"output_tokens":1}}\n\n'
)


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def policies(**rows: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}Policy": row for name, row in rows.items()}


EVERY_POLICY = policies(
    topic={"topics": [{"name": "Investments", "type": "DENY", "action": "BLOCKED"}]},
    word={
        "customWords": [{"match": "acme", "action": "BLOCKED"}],
        "managedWordLists": [{"match": "damn", "type": "PROFANITY", "action": "BLOCKED"}],
    },
    contextualGrounding={"filters": [{"type": "GROUNDING", "action": "BLOCKED", "score": 0.1}]},
    sensitiveInformation={"regexes": [{"name": "ticket", "match": "T-1", "action": "BLOCKED"}]},
)
DETECT_MODE = policies(
    content={"filters": [{"type": "INSULTS", "action": "NONE", "detected": True}]},
    sensitiveInformation={"piiEntities": [{"type": "NAME", "match": "Ana", "action": "NONE", "detected": True}]},
)
BLOCKED_BY_BEDROCK = [("content_policy", "input", "blocked", ("VIOLENCE",)), ("pii", "input", "anonymised", ("EMAIL",))]

ANSWERS = [
    (
        "anthropic",
        {"type": "message", "content": [], "stop_reason": "model_context_window_exceeded"},
        [("context_window", "generation", "detected", ())],
    ),
    (
        "openai",
        sse(
            {"choices": [{"index": 0, "delta": {"content": "Hi"}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]},
        ),
        [("content_filter", "output", "blocked", ())],
    ),
    (
        "openai",
        sse(
            {"choices": [{"index": 0, "delta": {"refusal": "I "}}]},
            {"choices": [{"index": 0, "delta": {"refusal": "won't"}, "finish_reason": "stop"}]},
        ),
        [("refusal", "generation", "blocked", ())],
    ),
    (
        "responses",
        {"object": "response", "output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]},
        [("refusal", "generation", "blocked", ())],
    ),
    (
        "responses",
        sse(
            {
                "type": "response.incomplete",
                "response": {"incomplete_details": {"reason": "content_filter"}, "output": []},
            }
        ),
        [("content_filter", "output", "blocked", ())],
    ),
    (
        "azure",
        sse(
            {
                "choices": [],
                "prompt_filter_results": [{"content_filter_results": filters("jailbreak", how="detected")}],
            },
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "finish_reason": "content_filter",
                        "content_filter_results": filters("hate"),
                    }
                ]
            },
        ),
        [("content_filter", "output", "blocked", ("hate",)), ("content_filter", "input", "detected", ("jailbreak",))],
    ),
    (
        "bedrock",
        {"stopReason": "guardrail_intervened", "trace": {"guardrail": {"outputAssessments": {"g1": [EVERY_POLICY]}}}},
        [
            ("topic_policy", "output", "blocked", ("Investments",)),
            ("word_policy", "output", "blocked", ("PROFANITY",)),
            ("contextual_grounding_policy", "output", "blocked", ("GROUNDING",)),
            ("pii", "output", "blocked", ("ticket",)),
        ],
    ),
    (
        "bedrock",
        {"stopReason": "end_turn", "trace": {"guardrail": {"inputAssessment": {"g1": DETECT_MODE}}}},
        [("content_policy", "input", "detected", ("INSULTS",)), ("pii", "input", "detected", ("NAME",))],
    ),
    (
        "bedrock",
        {
            "amazon-bedrock-guardrailAction": "INTERVENED",
            "amazon-bedrock-trace": {"guardrail": {"outputs": [{"g1": ASSESSMENT}]}},
        },
        [("content_policy", "output", "blocked", ("VIOLENCE",)), ("pii", "output", "anonymised", ("EMAIL",))],
    ),
    (
        "converse-stream",
        aws_event("contentBlockDelta", {"delta": {"text": "Sorry."}, "contentBlockIndex": 0})
        + aws_event("messageStop", {"stopReason": "guardrail_intervened"})
        + aws_event(
            "metadata", {"usage": {"inputTokens": 1}, "trace": {"guardrail": {"inputAssessment": {"g1": ASSESSMENT}}}}
        ),
        BLOCKED_BY_BEDROCK,
    ),
    (
        "converse-stream",
        aws_event("messageStop", {"stopReason": "end_turn"})
        + aws_event("metadata", {"trace": {"guardrail": {"outputAssessments": {"g1": [ASSESSMENT]}}}}),
        [("content_policy", "output", "detected", ("VIOLENCE",)), ("pii", "output", "anonymised", ("EMAIL",))],
    ),
    (
        "converse-stream",
        aws_event("messageStop", {"stopReason": "guardrail_intervened"}),
        [("bedrock_guardrail", "generation", "blocked", ())],
    ),
    (
        "invoke-stream",
        aws_chunk({"type": "message_start", "message": {"id": "m"}, "amazon-bedrock-guardrailAction": "NONE"})
        + aws_chunk(
            {
                "type": "message_stop",
                "amazon-bedrock-guardrailAction": "INTERVENED",
                "amazon-bedrock-trace": {"guardrail": {"input": {"g1": ASSESSMENT}}},
            }
        ),
        BLOCKED_BY_BEDROCK,
    ),
    (
        "invoke-stream",
        aws_chunk({"type": "message_delta", "delta": {"stop_reason": "refusal"}, "usage": {"output_tokens": 1}}),
        [("refusal", "generation", "blocked", ())],
    ),
    (
        "google",
        sse(
            {"candidates": [{"content": {"parts": [{"text": "a"}]}}]},
            {
                "candidates": [
                    {
                        "finishReason": "SAFETY",
                        "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "blocked": True}],
                    }
                ]
            },
        ),
        [("safety_filter", "output", "blocked", ("HARM_CATEGORY_HARASSMENT",))],
    ),
    (
        "google",
        [{"candidates": [{"finishReason": "PROHIBITED_CONTENT"}]}],
        [("safety_filter", "output", "blocked", ("PROHIBITED_CONTENT",))],
    ),
    (
        "anthropic",
        {"type": "message", "content": [], "stop_reason": "refusal"},
        [("refusal", "generation", "blocked", ())],
    ),
    ("anthropic", REFUSED_STREAM, [("refusal", "generation", "blocked", ("cyber",))]),
    ("openai", choice(finish_reason="content_filter"), [("content_filter", "output", "blocked", ())]),
    ("openai", choice(message={"refusal": "No."}), [("refusal", "generation", "blocked", ())]),
    (
        "responses",
        {
            "object": "response",
            "status": "incomplete",
            "incomplete_details": {"reason": "content_filter"},
            "output": [],
        },
        [("content_filter", "output", "blocked", ())],
    ),
    (
        "azure",
        choice(finish_reason="content_filter", content_filter_results=filters("hate")),
        [("content_filter", "output", "blocked", ("hate",))],
    ),
    (
        "azure",
        choice(content_filter_results=filters("profanity", how="detected")),
        [("content_filter", "output", "detected", ("profanity",))],
    ),
    (
        "azure",
        choice() | {"prompt_filter_results": [{"content_filter_results": filters("jailbreak", how="detected")}]},
        [("content_filter", "input", "detected", ("jailbreak",))],
    ),
    (
        "moderations",
        {"results": [{"flagged": True, "categories": {"hate": True, "violence": False}}]},
        [("moderation", "input", "detected", ("hate",))],
    ),
    (
        "bedrock",
        {"stopReason": "guardrail_intervened", "trace": {"guardrail": {"inputAssessment": {"g1": ASSESSMENT}}}},
        [("content_policy", "input", "blocked", ("VIOLENCE",)), ("pii", "input", "anonymised", ("EMAIL",))],
    ),
    (
        "bedrock",
        {"stopReason": "end_turn", "trace": {"guardrail": {"outputAssessments": {"g1": [ASSESSMENT]}}}},
        [("content_policy", "output", "detected", ("VIOLENCE",)), ("pii", "output", "anonymised", ("EMAIL",))],
    ),
    ("bedrock", {"stopReason": "guardrail_intervened"}, [("bedrock_guardrail", "generation", "blocked", ())]),
    ("bedrock", {"stopReason": "content_filtered"}, [("content_filter", "output", "blocked", ())]),
    ("google", {"promptFeedback": {"blockReason": "SAFETY"}}, [("safety_filter", "input", "blocked", ("SAFETY",))]),
    ("google", {"candidates": [{"finishReason": "SPII"}]}, [("safety_filter", "output", "blocked", ("SPII",))]),
    (
        "lakera",
        {"flagged": True, "breakdown": [{"detector_type": "prompt_attack", "detected": True}]},
        [("lakera", "input", "detected", ("prompt_attack",))],
    ),
]


@pytest.mark.parametrize(("system", "body", "expected"), ANSWERS)
def test_recorded_http(system, body, expected):
    assert shown(system, body) == expected


@pytest.mark.parametrize("inner", ["innererror", "inner_error"])
def test_azure_refuses_the_prompt(inner):
    error = {"code": "content_filter", "message": "filtered", inner: {"content_filter_result": filters("jailbreak")}}
    assert shown("azure", {"error": error}, status=400) == [("content_filter", "input", "blocked", ("jailbreak",))]


def test_apply_guardrail_says_which_side_it_looked_at():
    body = {"action": "GUARDRAIL_INTERVENED", "assessments": [ASSESSMENT]}
    for side in ("INPUT", "OUTPUT"):
        found = shown("apply", body, request={"source": side, "content": []})
        assert found[0] == ("content_policy", side.lower(), "blocked", ("VIOLENCE",))
    assert shown("apply", {"action": "NONE", "assessments": []}) == []


def test_detectors_after_an_answer_look_at_the_output():
    flagged = {"results": [{"flagged": True, "categories": {"hate": True}}]}
    assert shown("moderations", flagged, after_answer=True) == [("moderation", "output", "detected", ("hate",))]
    unsafe = choice(message={"content": "unsafe\nS1,S10"}) | {"model": "meta-llama/Llama-Guard-3-8B"}
    assert shown("openai", unsafe, after_answer=True) == [("llama_guard", "output", "detected", ("S1", "S10"))]
    assert shown("openai", choice(message={"content": "safe"}) | {"model": "llama-guard3"}) == []


@pytest.mark.parametrize(
    ("system", "body"),
    [
        ("openai", choice()),
        ("openai", choice(content_filter_results={"hate": {"filtered": False, "severity": "safe"}})),
        ("openai", choice(message={"content": "I refuse: the guardrail flagged your content_filter"})),
        ("anthropic", {"type": "message", "content": [{"type": "text", "text": "refusal"}], "stop_reason": "end_turn"}),
        ("moderations", {"results": [{"flagged": False, "categories": {"hate": False}}]}),
        ("google", {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "SAFETY"}]}}]}),
        ("lakera", {"flagged": False, "breakdown": []}),
        ("openai", b"data: {broken\n\ndata: [DONE] refusal\n\n"),
        (
            "converse-stream",
            aws_event("messageStop", {"stopReason": "end_turn"}) + aws_event("metadata", {"usage": {}}),
        ),
        ("invoke-stream", aws_chunk({"type": "message_stop", "amazon-bedrock-guardrailAction": "NONE"})),
        ("converse-stream", aws_event("messageStop", {"stopReason": "guardrail_intervened"})[:20]),
        ("openai", {"choices": "refusal", "results": 3, "trace": []}),
    ],
)
def test_ordinary_answers_are_no_evidence(system, body):
    assert shown(system, body) == []


def raised(path: str, **attributes: Any) -> BaseException:
    module, _, name = path.rpartition(".")
    error: BaseException = type(name, (Exception,), {"__module__": module})("stopped")
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


@pytest.mark.parametrize(
    ("error", "name", "stage"),
    [
        (raised("guardrails.errors.ValidationError"), "guardrails_ai", "output"),
        (raised("litellm.exceptions.GuardrailInterventionNormalStringError"), "litellm_guardrail", "input"),
        (
            raised(
                "agents.exceptions.InputGuardrailTripwireTriggered",
                guardrail_result=SimpleNamespace(
                    guardrail=SimpleNamespace(name=None, guardrail_function=SimpleNamespace(__name__="homework_check"))
                ),
            ),
            "homework_check",
            "input",
        ),
        (raised("litellm.exceptions.GuardrailRaisedException", guardrail_name="pii-guard"), "pii-guard", "input"),
        (raised("litellm.exceptions.BlockedPiiEntityError", entity_type="EMAIL"), "EMAIL", "input"),
        (raised("litellm.exceptions.ContentPolicyViolationError"), "content_policy", "input"),
        (
            raised(
                "agents.exceptions.OutputGuardrailTripwireTriggered",
                guardrail_result=SimpleNamespace(guardrail=SimpleNamespace(name="no_medical_advice")),
            ),
            "no_medical_advice",
            "output",
        ),
        (
            raised(
                "guardrails.exceptions.GuardrailTripwireTriggered",
                guardrail_result=SimpleNamespace(info={"guardrail_name": "Jailbreak"}),
            ),
            "Jailbreak",
            "input",
        ),
    ],
)
def test_exceptions_are_known_by_their_full_path(error, name, stage):
    found = evidence.of_exception(error, answered=False)
    assert found is not None
    assert (found.name, found.stage, found.source, found.action) == (name, stage, "exception", "blocked")
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = error
    assert evidence.of_exception(wrapped, answered=False) is not None


def test_other_exceptions_are_not():
    for path in ("pydantic_core.ValidationError", "guardrails.ValidationError", "myapp.GuardrailRaisedException"):
        assert evidence.of_exception(raised(path), answered=False) is None
    assert evidence.of_exception(None, answered=False) is None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            SimpleNamespace(
                validation_passed=False, validation_summaries=[SimpleNamespace(validator_name="DetectPII")]
            ),
            [("DetectPII", "output", "blocked")],
        ),
        (SimpleNamespace(validation_passed=False), [("guardrails_ai", "output", "blocked")]),
        (SimpleNamespace(status="BLOCKED", rail="self check input"), [("self check input", "input", "blocked")]),
        (
            SimpleNamespace(
                log=SimpleNamespace(
                    activated_rails=[SimpleNamespace(stop=True, type="output", name="self check output")]
                )
            ),
            [("self check output", "output", "blocked")],
        ),
        (
            ("text", {"Toxicity": False, "PII": True}, {"Toxicity": 0.9, "PII": 0.0}),
            [("Toxicity", "output", "detected")],
        ),
        (SimpleNamespace(validation_passed=True), []),
        (("a", {"b": 1}, {"b": 2}), []),
        ("BLOCKED", []),
        (None, []),
    ],
)
def test_results_of_frameworks(output, expected):
    assert [(t.name, t.stage, t.action) for t in evidence.of_output(output)] == expected


def test_what_stopped_the_answer_comes_first():
    triggers = [
        evidence.Trigger("a", "http", "input", "detected"),
        evidence.Trigger("b", "http", "output"),
        evidence.Trigger("b", "reported", "output"),
        evidence.Trigger("c", "builtin", "input"),
    ]
    assert [t.name for t in evidence.in_order(triggers)] == ["c", "b", "a"]
