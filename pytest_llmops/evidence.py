"""Evidence that a guardrail of the application or the provider fired: recorded HTTP, exceptions, frameworks' results.

A detector of ours that finds something shows nothing of the kind, and is no evidence. Systems are recognised by the
shape of what they answer and by full module path, so that none of them needs to be installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_llmops.exchange import Exchange
from pytest_llmops.providers.framing import events, framing_of
from pytest_llmops.records import Call

Source = Literal["exception", "http", "framework", "reported", "builtin", "judge"]
TriggerStage = Literal["input", "generation", "output"]
TriggerAction = Literal["blocked", "rewritten", "anonymised", "detected", "failed_closed"]
STAGES: tuple[TriggerStage, ...] = ("input", "generation", "output")
STOPS: tuple[TriggerAction, ...] = ("blocked", "failed_closed")
"""What keeps the answer from the user; the other actions let it through, changed or not."""

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trigger:
    """A guardrail that fired.

    Args:
        name: the guardrail's, in the words of who reports it.
        source: what shows it.
        stage: what was guarded; ``generation`` is the model's own refusal.
        action: what was done about it.
        categories: what for, in the provider's words.
        score: 0..1, where it says how sure it is.
    """

    name: str
    source: Source
    stage: TriggerStage = "output"
    action: TriggerAction = "blocked"
    reason: str = ""
    categories: tuple[str, ...] = ()
    score: float | None = None


def in_order(triggers: Iterable[Trigger]) -> list[Trigger]:
    """Without repetitions; those that stopped the answer first, then by stage."""
    unique: dict[tuple[str, str, str], Trigger] = {}
    for trigger in triggers:
        unique.setdefault((trigger.name, trigger.stage, trigger.action), trigger)
    return sorted(unique.values(), key=lambda t: (t.action not in STOPS, STAGES.index(t.stage)))


# -- recorded HTTP ------------------------------------------------------------------------------------------------


def of_exchange(exchange: Exchange, call: Call | None, *, after_answer: bool = False) -> Iterator[Trigger]:
    """What an exchange shows.

    Args:
        exchange: as it went over the wire.
        call: what was read of it; None where it is no model call (Lakera, ApplyGuardrail).
        after_answer: a model had answered before it, so that a detector's call looks at the output.
    """
    stage: TriggerStage = "output" if after_answer else "input"
    found = []
    for body in _bodies(exchange) if _may_show(exchange) else ():
        for read in _READERS:
            found += list(read(body, exchange, stage))
    if not found and call is not None:
        found += list(_of_call(call, stage))
    yield from found


def _bodies(exchange: Exchange) -> Iterator[Body]:
    """The JSON objects of a response, whole or streamed."""
    framing = framing_of(exchange.content_type, exchange.response_body, array_stream=True)
    documents: list[Any] = []
    if framing == "json":
        try:
            documents = [json.loads(exchange.response_body)]
        except (ValueError, RecursionError):  # a broken answer shows nothing
            framing = "ndjson"
    if framing != "json":
        documents = [event.data for event in events(framing, exchange.response_body)]
    if framing == "eventstream":
        documents = [_put_together(documents), *documents]
    for document in documents:
        for one in document if isinstance(document, list) else [document]:
            if isinstance(one, Mapping):
                yield one


_TOLD_APART = ("stopReason", "trace", "amazon-bedrock-guardrailAction", "amazon-bedrock-trace")


def _put_together(parts: Iterable[Any]) -> Body:
    """What Bedrock says of its guardrail in several events, as it would stand in one answer; taken out of them."""
    whole: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, dict):
            said = {key: part.pop(key) for key in _TOLD_APART if key in part}
            whole |= {key: value for key, value in said.items() if value not in (None, "NONE")}
    return whole


def _may_show(exchange: Exchange) -> bool:
    """Whether a body is worth reading: some payloads of Amazon's event stream are in base64, where no word is seen."""
    body = exchange.response_body
    return _SIGNS.search(body) is not None or (exchange.content_type == _EVENTSTREAM and b'"bytes"' in body)


def _anthropic(body: Body, exchange: Exchange, stage: TriggerStage) -> Iterator[Trigger]:
    part = _object(body, "delta") if body.get("type") == "message_delta" else body
    if part.get("stop_reason") == "refusal":
        details = _object(part, "stop_details")
        category = details.get("category") or details.get("type")
        reason = str(details.get("explanation") or "the model refused")
        yield Trigger("refusal", "http", "generation", reason=reason, categories=_words(category))
    if part.get("stop_reason") == "model_context_window_exceeded":
        yield Trigger("context_window", "http", "generation", "detected", "the answer ended where the window was full")


def _openai(body: Body, exchange: Exchange, stage: TriggerStage) -> Iterator[Trigger]:
    for choice in _objects(body, "choices"):
        filters = _filters(choice.get("content_filter_results"))
        if choice.get("finish_reason") == "content_filter":
            blocked = tuple(name for name, hit in filters if hit == "filtered")
            yield Trigger("content_filter", "http", "output", categories=blocked)
        elif filters:
            yield Trigger("content_filter", "http", "output", "detected", categories=tuple(n for n, _ in filters))
        refusal = _object(choice, "message").get("refusal")
        if refusal:
            yield Trigger("refusal", "http", "generation", reason=str(refusal))
    response = _object(body, "response") or body
    if _object(response, "incomplete_details").get("reason") == "content_filter":
        yield Trigger("content_filter", "http", "output")
    for item in _objects(response, "output"):
        for part in _objects(item, "content"):
            if part.get("type") == "refusal":
                yield Trigger("refusal", "http", "generation", reason=str(part.get("refusal") or ""))
    for prompt in _objects(body, "prompt_filter_results"):
        if filters := _filters(prompt.get("content_filter_results")):
            yield Trigger("content_filter", "http", "input", "detected", categories=tuple(n for n, _ in filters))


def _azure_error(body: Body, exchange: Exchange, stage: TriggerStage) -> Iterator[Trigger]:
    error = _object(body, "error")
    if error.get("code") in ("content_filter", "content_policy_violation", "moderation_blocked"):
        inner = _object(error, "innererror") or _object(error, "inner_error")
        hits = tuple(name for name, _ in _filters(inner.get("content_filter_result")))
        yield Trigger("content_filter", "http", "input", reason=str(error.get("message") or ""), categories=hits)


def _moderation(body: Body, exchange: Exchange, stage: TriggerStage) -> Iterator[Trigger]:
    for result in _objects(body, "results"):
        categories = _object(result, "categories")
        # Mistral's has no "flagged"
        if result.get("flagged") or (
            "flagged" not in result and "category_scores" in result and any(categories.values())
        ):
            hits = tuple(name for name, hit in categories.items() if hit)
            yield Trigger("moderation", "http", stage, "detected", categories=hits)


def _bedrock(body: Body, exchange: Exchange, stage: TriggerStage) -> Iterator[Trigger]:
    trace = _object(_object(body, "trace"), "guardrail") or _object(_object(body, "amazon-bedrock-trace"), "guardrail")
    reason = body.get("stopReason") or body.get("stop_reason")
    stopped = reason == "guardrail_intervened" or body.get("amazon-bedrock-guardrailAction") == "INTERVENED"
    found = list(_assessed(_object(trace, "inputAssessment") or _object(trace, "input"), "input", stopped))
    outputs = _object(trace, "outputAssessments") or {"": trace.get("outputs")}
    for rows in outputs.values():
        for row in rows if isinstance(rows, list) else ():
            found += list(_assessed(row, "output", stopped))
    if body.get("action") == "GUARDRAIL_INTERVENED":  # ApplyGuardrail
        side: TriggerStage = "output" if _APPLIED_TO_OUTPUT.search(exchange.request_body) else "input"
        for row in _objects(body, "assessments"):
            found += list(_assessed(row, side, True))
        found = found or [Trigger("bedrock_guardrail", "http", side)]
    yield from found
    if stopped and not any(trigger.action in ("blocked", "anonymised") for trigger in found):
        yield Trigger("bedrock_guardrail", "http", "generation")
    if reason in ("content_filtered", "CONTENT_FILTERED"):
        yield Trigger("content_filter", "http", "output")


_APPLIED_TO_OUTPUT = re.compile(rb'"source"\s*:\s*"OUTPUT"')
_POLICIES = (
    ("contentPolicy", "filters", "type"),
    ("topicPolicy", "topics", "name"),
    ("wordPolicy", "managedWordLists", "type"),
    ("wordPolicy", "customWords", None),  # the user's own text: named by policy only
    ("contextualGroundingPolicy", "filters", "type"),
)
_PERSONAL = (("piiEntities", "type"), ("regexes", "name"))


def _assessed(assessment: Any, stage: TriggerStage, stopped: bool) -> Iterator[Trigger]:
    """The policies that hit, of one assessment or of several by guardrail id: one trigger each."""
    if not isinstance(assessment, Mapping):
        return
    rows = [assessment] if any(str(key).endswith("Policy") for key in assessment) else list(assessment.values())
    for row in rows:
        for policy, field, key in _POLICIES:
            hits = [hit for hit in _objects(_object(row, policy), field) if _hit(hit)]
            if hits:
                kept_back = stopped and any(hit.get("action") == "BLOCKED" for hit in hits)
                words = tuple(str(hit.get(key)) for hit in hits) if key is not None else ()
                yield Trigger(_snake(policy), "http", stage, "blocked" if kept_back else "detected", categories=words)
        personal = _object(row, "sensitiveInformationPolicy")
        found = [(hit, str(hit.get(key))) for field, key in _PERSONAL for hit in _objects(personal, field) if _hit(hit)]
        for word, action in _DONE_ABOUT.items():
            kinds = tuple(kind for hit, kind in found if (hit.get("action") or "NONE") == word)
            if kinds:
                yield Trigger("pii", "http", stage, action, categories=kinds)


_DONE_ABOUT: dict[str, TriggerAction] = {"BLOCKED": "blocked", "ANONYMIZED": "anonymised", "NONE": "detected"}


def _hit(entry: Body) -> bool:
    """Whether a policy found something; in detect mode it does nothing about it."""
    return entry.get("action") not in (None, "NONE") or entry.get("detected") is True


def _gemini(body: Body, exchange: Exchange, stage: TriggerStage) -> Iterator[Trigger]:
    reason = _object(body, "promptFeedback").get("blockReason")
    if reason:
        yield Trigger("safety_filter", "http", "input", categories=_words(reason))
    for candidate in _objects(body, "candidates"):
        finish = candidate.get("finishReason")
        if finish in ("SAFETY", "SPII", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "IMAGE_SAFETY"):
            rated = tuple(str(r.get("category")) for r in _objects(candidate, "safetyRatings") if r.get("blocked"))
            yield Trigger("safety_filter", "http", "output", categories=rated or _words(finish))


def _lakera(body: Body, exchange: Exchange, stage: TriggerStage) -> Iterator[Trigger]:
    if body.get("flagged") is True and ("breakdown" in body or "lakera" in exchange.url):
        hits = tuple(str(d.get("detector_type")) for d in _objects(body, "breakdown") if d.get("detected"))
        yield Trigger("lakera", "http", stage, "detected", categories=hits)


_READERS: tuple[Callable[[Body, Exchange, TriggerStage], Iterator[Trigger]], ...] = (
    _anthropic, _openai, _azure_error, _moderation, _bedrock, _gemini, _lakera,
)  # fmt: skip
_SIGNS = re.compile(
    rb"refus|filter|uardrail|UARDRAIL|flagged|category_scores|lockReason|finishReason|moderation|window_ex"
)
_EVENTSTREAM = "application/vnd.amazon.eventstream"
_LLAMA_GUARD = re.compile(r"llama-?guard", re.IGNORECASE)


def _of_call(call: Call, stage: TriggerStage) -> Iterator[Trigger]:
    text = (call.text or "").strip()
    if _LLAMA_GUARD.search(call.model or "") and text.lower().startswith("unsafe"):
        categories = tuple(part.strip() for line in text.split("\n")[1:2] for part in line.split(",") if part.strip())
        yield Trigger("llama_guard", "http", stage, "detected", categories=categories)
    elif call.refused:
        yield Trigger("refusal", "http", "generation", reason=call.finish_reason or call.error or "")


# -- exceptions ---------------------------------------------------------------------------------------------------

# Two packages install a module `guardrails`: only the full path tells them apart.
_EXCEPTIONS: dict[str, tuple[TriggerStage | None, str, str]] = {
    "guardrails.errors.ValidationError": ("output", "", "guardrails_ai"),
    "guardrails.exceptions.GuardrailTripwireTriggered": (None, "guardrail_result", "guardrail_tripwire"),
    "agents.exceptions.InputGuardrailTripwireTriggered": ("input", "guardrail_result", "input_guardrail"),
    "agents.exceptions.OutputGuardrailTripwireTriggered": ("output", "guardrail_result", "output_guardrail"),
    "litellm.exceptions.ContentPolicyViolationError": ("input", "", "content_policy"),
    "litellm.exceptions.GuardrailRaisedException": (None, "guardrail_name", "litellm_guardrail"),
    "litellm.exceptions.BlockedPiiEntityError": (None, "entity_type", "pii"),
    "litellm.exceptions.GuardrailInterventionNormalStringError": (None, "", "litellm_guardrail"),
}


def of_exception(error: BaseException | None, *, answered: bool) -> Trigger | None:
    """The guardrail that an exception, or what caused it, stands for; None where it is another error.

    Args:
        error: what the application raised.
        answered: a model had answered before, so that the guard looked at the output.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for kind in type(error).__mro__:
            known = _EXCEPTIONS.get(f"{kind.__module__}.{kind.__qualname__}")
            if known is not None:
                stage, attribute, default = known
                return Trigger(
                    _guard_name(getattr(error, attribute, None) if attribute else None) or default,
                    "exception",
                    stage or ("output" if answered else "input"),
                    reason=f"{type(error).__name__}: {error}".split("\n")[0][:300],
                )
        error = error.__cause__ or error.__context__
    return None


def _guard_name(given: Any) -> str | None:
    """A guardrail's name, from itself or from its result."""
    if isinstance(given, str):
        return given or None
    info = getattr(given, "info", None)
    if isinstance(info, Mapping) and isinstance(info.get("guardrail_name"), str):
        return str(info["guardrail_name"])
    guard = getattr(given, "guardrail", None)
    for one in (getattr(guard, "name", None), getattr(getattr(guard, "guardrail_function", None), "__name__", None)):
        if isinstance(one, str) and one:
            return one
    return None


# -- results of frameworks ----------------------------------------------------------------------------------------


def of_output(output: Any) -> Iterator[Trigger]:
    """What a framework's result object shows: guardrails-ai, NeMo Guardrails, LLM Guard."""
    if getattr(output, "validation_passed", None) is False:
        summaries = getattr(output, "validation_summaries", None) or ()
        failed = [s for s in summaries if getattr(s, "validator_name", None)]
        for summary in failed:
            why = str(getattr(summary, "failure_reason", None) or "")[:300]
            yield Trigger(str(summary.validator_name), "framework", "output", reason=why)
        if not failed:
            yield Trigger("guardrails_ai", "framework", "output")
    status = getattr(output, "status", None)
    rail = getattr(output, "rail", None)
    if str(getattr(status, "name", status)).upper().endswith("BLOCKED") and rail is not None:
        yield Trigger(str(rail), "framework", "output" if "output" in str(rail) else "input")
    for activated in getattr(getattr(output, "log", None), "activated_rails", None) or ():
        if getattr(activated, "stop", False):
            kind = str(getattr(activated, "type", ""))
            yield Trigger(
                str(getattr(activated, "name", "rail")), "framework", "output" if kind == "output" else "input"
            )
    if isinstance(output, tuple) and len(output) == 3 and isinstance(output[0], str) and _scanned(output[1], output[2]):
        for scanner, valid in output[1].items():
            if not valid:
                yield Trigger(str(scanner), "framework", "output", "detected", f"score {output[2].get(scanner)}")


def _scanned(valid: Any, scores: Any) -> bool:
    return (
        isinstance(valid, Mapping)
        and isinstance(scores, Mapping)
        and bool(valid)
        and valid.keys() == scores.keys()
        and all(isinstance(v, bool) for v in valid.values())
    )


def reported(name: str, *, action: str, stage: str | None, reason: str, answered: bool) -> Trigger:
    """The application's own report."""
    side: TriggerStage = stage if stage in STAGES else ("output" if answered else "input")
    return Trigger(name, "reported", side, ACTIONS[action], reason)


ACTIONS: dict[str, TriggerAction] = {
    "block": "blocked",
    "rewrite": "rewritten",
    "anonymise": "anonymised",
    "flag": "detected",
    "fail_closed": "failed_closed",
}


# -- reading JSON -------------------------------------------------------------------------------------------------


def _object(body: Any, key: str) -> Body:
    value = body.get(key) if isinstance(body, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _objects(body: Any, key: str) -> list[Body]:
    value = body.get(key) if isinstance(body, Mapping) else None
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _filters(results: Any) -> list[tuple[str, str]]:
    """(category, ``filtered`` or ``detected``) of Azure's filter results that hit."""
    if not isinstance(results, Mapping):
        return []
    return [
        (str(name), "filtered" if one.get("filtered") else "detected")
        for name, one in results.items()
        if isinstance(one, Mapping) and (one.get("filtered") or one.get("detected"))
    ]


def _words(value: Any) -> tuple[str, ...]:
    return (str(value),) if value else ()


def _snake(word: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).lower()
