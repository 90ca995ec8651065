"""A rendered prompt sent to its model: Anthropic through its SDK, everything else as OpenAI-compatible chat."""

from __future__ import annotations

import os
import re
from typing import Any

from pytest_llmops.checks.judge_models import KNOWN, PROVIDERS
from pytest_llmops.errors import PromptError, did_you_mean
from pytest_llmops.prompts.model import Prompt, RenderedPrompt

DEFAULT_MAX_TOKENS = 1024
"""Where the prompt has none and the provider wants one."""
TIMEOUT_S = 60.0

_BY_NAME = (
    (re.compile(r"claude"), "anthropic"),
    (re.compile(r"gpt-|o\d|chatgpt"), "openai"),
    (re.compile(r"gemini"), "google"),
    (re.compile(r"mistral|magistral|ministral|codestral|pixtral"), "mistral"),
    (re.compile(r"deepseek"), "deepseek"),
    (re.compile(r"grok"), "xai"),
)


def model_of(prompt: Prompt) -> tuple[str, str]:
    """Provider and model of a prompt.

    Raises:
        PromptError: it names no model, or one whose provider its name does not tell.
    """
    where = f"{prompt.where}: {prompt.id}"
    if prompt.model is None:
        raise PromptError(f"{where}: names no model, so there is nothing to send it to: give it one, or pass app=….")
    provider, colon, name = prompt.model.partition(":")
    if colon and provider in KNOWN:
        return provider, name
    guessed = next((provider for pattern, provider in _BY_NAME if pattern.match(prompt.model)), None)
    if guessed is None:
        hint = did_you_mean(provider, KNOWN) if colon else f" Known: {', '.join(KNOWN)}."
        raise PromptError(f"{where}: model {prompt.model!r} does not tell its provider: write provider:model.{hint}")
    return guessed, prompt.model


def ask(rendered: RenderedPrompt) -> str:
    """Make the call; on a cassette it needs no key.

    Raises:
        PromptError: the model cannot be reached, or answers with an error.
    """
    __tracebackhide__ = True
    provider, model = model_of(rendered.prompt)
    return _anthropic(rendered, model) if provider == "anthropic" else _chat(rendered, provider, model)


def _anthropic(rendered: RenderedPrompt, model: str) -> str:
    __tracebackhide__ = True
    import anthropic

    prompt = rendered.prompt
    more: dict[str, Any] = {"system": rendered.system} if rendered.system else {}
    # The SDK's method no longer knows a temperature, and newer models refuse it.
    extra = {"temperature": prompt.temperature} if prompt.temperature is not None else {}
    keyed = os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("ANTHROPIC_AUTH_TOKEN")
    with anthropic.Anthropic(timeout=TIMEOUT_S, api_key=None if keyed else "unset") as client:
        while True:
            try:
                answer = client.messages.create(
                    model=model,
                    max_tokens=prompt.max_tokens or DEFAULT_MAX_TOKENS,
                    messages=[{"role": "user", "content": rendered.user}],
                    extra_body=extra,
                    **more,
                )
            except anthropic.APIStatusError as error:
                if error.status_code == 400 and extra and "temperature" in error.response.text:
                    extra = {}
                    continue
                raise _failed(prompt, f"HTTP {error.status_code}: {error.response.text[:300]}") from None
            except anthropic.AnthropicError as error:
                raise _failed(prompt, f"{type(error).__name__}: {error}") from None
            return "".join(block.text for block in answer.content if block.type == "text")


def _chat(rendered: RenderedPrompt, provider: str, model: str) -> str:
    __tracebackhide__ = True
    import httpx2

    prompt, row = rendered.prompt, PROVIDERS[provider]
    base = (os.environ.get(row.url_from) if row.url_from else None) or row.url
    if not base:
        raise PromptError(f"{prompt.where}: {prompt.id}: no base URL; set {row.url_from}.")
    body: dict[str, Any] = {"model": model, "messages": rendered.messages}
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    if prompt.max_tokens is not None:
        body["max_completion_tokens" if provider == "openai" else "max_tokens"] = prompt.max_tokens
    headers = {"authorization": f"Bearer {os.environ.get(row.key) or 'unset'}"}
    with httpx2.Client(timeout=TIMEOUT_S) as client:
        while True:
            try:
                response = client.post(base.rstrip("/") + "/chat/completions", json=body, headers=headers)
            except httpx2.TransportError as error:
                raise _failed(prompt, f"the connection failed: {error or type(error).__name__}") from None
            if response.status_code == 400 and "temperature" in body and "temperature" in response.text:
                del body["temperature"]
                continue
            break
    if response.status_code >= 400:
        raise _failed(prompt, f"HTTP {response.status_code}: {response.text[:300]}")
    try:
        return response.json()["choices"][0]["message"]["content"] or ""
    except (ValueError, LookupError, TypeError):
        raise _failed(prompt, f"the answer is no chat completion: {response.text[:300]}") from None


def _failed(prompt: Prompt, why: str) -> PromptError:
    return PromptError(f"prompt {prompt.id}: {prompt.model} gave no answer: {why}")
