"""How a judge call goes out: Anthropic through its SDK, everything else as OpenAI-compatible chat completions.

Both give the exchange as it went over the wire, so that a live answer is read by the same code as a recorded one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import time
from dataclasses import dataclass
from typing import Any

from pytest_llmops.cassettes import scope
from pytest_llmops.checks.judge_models import ANTHROPIC, PROVIDERS, address, lacking
from pytest_llmops.checks.judge_prompt import Prompt
from pytest_llmops.checks.judge_verdict import VERDICT_TOOL
from pytest_llmops.exchange import Exchange

MAX_RETRIES = 2
"""As in the SDKs."""
MAX_TOKENS = 8192
"""Thinking counts, and newer models think unasked; a ceiling, not a spend."""
FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0

# Anthropic took sampling parameters back with Opus 4.7 and answers 400 to them since.
_ANTHROPIC_TEMPERATURE = re.compile(r"claude-(?:[123]\b.*|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?:-\d{8})?)")
# OpenAI's reasoning models take none either.
_OPENAI_NO_TEMPERATURE = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d\d)).*")


class CallFailed(Exception):
    """The judge could not be asked, or only a failure came back.

    Args:
        why: what happened, for the message.
        status: HTTP's, where there was an answer.
        nothing_sent: it could not even be tried.
    """

    def __init__(self, why: str, *, status: int | None = None, nothing_sent: bool = False) -> None:
        super().__init__(why)
        self.why, self.status, self.nothing_sent = why, status, nothing_sent


@dataclass(frozen=True, slots=True)
class Client:
    """One judge model behind HTTP.

    Args:
        provider: one of `judge_models.KNOWN`.
        base_url: over the environment's and the provider's own.
        timeout_s: for each attempt.
    """

    provider: str
    model: str
    timeout_s: float
    base_url: str | None = None

    def ask(self, prompt: Prompt, *, taped: bool) -> Exchange:
        """Make the call.

        Args:
            prompt: what to ask.
            taped: a cassette is in force, and decides itself whether anything leaves the machine; where nothing
                does, no key is needed.

        Raises:
            CallFailed: no usable answer after retries.
        """
        if self.provider == "anthropic":
            body = _anthropic_body(self.model, prompt)
            while True:
                try:
                    return self._anthropic(body, taped)
                except CallFailed as error:
                    body = relaxed(body, error)
        body = _chat_body(self.model, prompt)
        while True:
            try:
                return self.post("/chat/completions", body, taped=taped)
            except CallFailed as error:
                body = relaxed(body, error)

    async def aask(self, prompt: Prompt, *, taped: bool) -> Exchange:
        """`ask` without blocking the running loop."""
        if self.provider == "anthropic":
            body = _anthropic_body(self.model, prompt)
            while True:
                try:
                    return await self._aanthropic(body, taped)
                except CallFailed as error:
                    body = relaxed(body, error)
        body = _chat_body(self.model, prompt)
        while True:
            try:
                return await self.apost("/chat/completions", body, taped=taped)
            except CallFailed as error:
                body = relaxed(body, error)

    # -- Anthropic ------------------------------------------------------------------------------------------------

    def _anthropic(self, body: dict[str, Any], taped: bool) -> Exchange:
        import anthropic

        try:
            with anthropic.Anthropic(**self._anthropic_options(taped)) as client:
                raw = client.messages.with_raw_response.create(**_sdk_arguments(body))
                return _exchange(raw.http_response)
        except (anthropic.AnthropicError, TypeError) as error:
            raise _anthropic_failure(error, self.timeout_s) from error

    async def _aanthropic(self, body: dict[str, Any], taped: bool) -> Exchange:
        import anthropic

        try:
            async with anthropic.AsyncAnthropic(**self._anthropic_options(taped)) as client:
                raw = await client.messages.with_raw_response.create(**_sdk_arguments(body))
                return _exchange(raw.http_response)
        except (anthropic.AnthropicError, TypeError) as error:
            raise _anthropic_failure(error, self.timeout_s) from error

    def _anthropic_options(self, taped: bool) -> dict[str, Any]:
        options: dict[str, Any] = {"timeout": self.timeout_s, "max_retries": MAX_RETRIES}
        if self.base_url or os.environ.get(ANTHROPIC.url_from):
            options["base_url"] = address(self.provider, self.base_url)
        if (
            taped
            and scope.offline()
            and not (os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("ANTHROPIC_AUTH_TOKEN"))
        ):
            options["api_key"] = "unset"
        return options

    # -- OpenAI-compatible ----------------------------------------------------------------------------------------

    def post(self, path: str, body: dict[str, Any], *, taped: bool) -> Exchange:
        """One request to a path below the base URL, tried again where that may help.

        Raises:
            CallFailed: no usable answer after retries.
        """
        import httpx2

        url, headers = self._address(path, taped)
        with httpx2.Client(timeout=self.timeout_s) as client:
            for attempt in range(MAX_RETRIES + 1):
                try:
                    response = client.post(url, json=body, headers=headers)
                except httpx2.TransportError as error:
                    response, failure = None, _transport_failure(error, self.timeout_s)
                wait = _wait(response, attempt)
                if wait is None:
                    break
                time.sleep(wait)
        if response is None:
            raise failure
        return _answered(response)

    async def apost(self, path: str, body: dict[str, Any], *, taped: bool) -> Exchange:
        """`post` without blocking the running loop."""
        import httpx2

        url, headers = self._address(path, taped)
        async with httpx2.AsyncClient(timeout=self.timeout_s) as client:
            for attempt in range(MAX_RETRIES + 1):
                try:
                    response = await client.post(url, json=body, headers=headers)
                except httpx2.TransportError as error:
                    response, failure = None, _transport_failure(error, self.timeout_s)
                wait = _wait(response, attempt)
                if wait is None:
                    break
                await asyncio.sleep(wait)
        if response is None:
            raise failure
        return _answered(response)

    def _address(self, path: str, taped: bool) -> tuple[str, dict[str, str]]:
        missing = None if taped and scope.offline() else lacking(f"{self.provider}:{self.model}", self.base_url)
        if missing is not None:
            raise CallFailed(missing, nothing_sent=True)
        row = PROVIDERS[self.provider]
        key = os.environ.get(row.key)
        headers = {"authorization": f"Bearer {key or 'unset'}"} if key or not row.keyless else {}
        # Where no base URL is known, a cassette that lets nothing out still says what it misses.
        return (address(self.provider, self.base_url) or "http://judge.invalid/v1") + path, headers


# -- requests -----------------------------------------------------------------------------------------------------


def _anthropic_body(model: str, prompt: Prompt) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": MAX_TOKENS,
        "system": prompt.system,
        "messages": [{"role": "user", "content": prompt.user}],
    }
    if prompt.schema is not None:
        tool = {"name": VERDICT_TOOL, "description": "Hand in the verdict.", "input_schema": prompt.schema}
        body["tools"] = [tool]
        body["tool_choice"] = {"type": "tool", "name": VERDICT_TOOL, "disable_parallel_tool_use": True}
    if _ANTHROPIC_TEMPERATURE.fullmatch(model):
        body["temperature"] = 0.0
    return body


def _sdk_arguments(body: dict[str, Any]) -> dict[str, Any]:
    """The SDK's method knows no temperature, so it travels as an extra field."""
    named = {name: value for name, value in body.items() if name != "temperature"}
    return {**named, "extra_body": {"temperature": body["temperature"]}} if "temperature" in body else named


def _chat_body(model: str, prompt: Prompt) -> dict[str, Any]:
    """No limit on tokens: hosts disagree on the field's name, and a cut answer is an error."""
    messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
    body: dict[str, Any] = {"model": model, "messages": messages}
    if not _OPENAI_NO_TEMPERATURE.fullmatch(model):
        body["temperature"] = 0.0
    if prompt.schema is not None:
        schema = {"name": VERDICT_TOOL, "strict": True, "schema": prompt.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def relaxed(body: dict[str, Any], error: CallFailed) -> dict[str, Any]:
    """The request without what the host did not take.

    Raises:
        CallFailed: `error` itself, where there is nothing to leave out.
    """
    if error.status not in (400, 422):
        raise error
    said = error.why.lower()
    if "temperature" in body and "temperature" in said:
        return {name: value for name, value in body.items() if name != "temperature"}
    forced = body.get("tool_choice", {}).get("type") == "tool"
    if forced and ("tool_choice" in said or "thinking" in said):  # thinking and a forced tool exclude each other
        ask = f"{body['system']}\n\nHand in the verdict by calling the tool {VERDICT_TOOL}, once."
        return {**body, "system": ask, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    if "response_format" in body:
        schema = json.dumps(body["response_format"]["json_schema"]["schema"])
        system, user = body["messages"]
        ask = f"{system['content']}\n\nReply with nothing but one JSON object that fits this schema:\n{schema}"
        plain = {name: value for name, value in body.items() if name != "response_format"}
        return {**plain, "messages": [{**system, "content": ask}, user]}
    raise error


# -- answers ------------------------------------------------------------------------------------------------------


def _exchange(response: Any) -> Exchange:
    return Exchange(
        method="POST",
        url=str(response.request.url),
        request_body=response.request.content,
        request_content_type="application/json",
        status=response.status_code,
        response_headers={name.lower(): value for name, value in response.headers.items()},
        response_body=response.content,
        role="judge",
    )


def _answered(response: Any) -> Exchange:
    if response.status_code >= 400:
        raise CallFailed(_status_text(response.status_code, response.text), status=response.status_code)
    return _exchange(response)


def _anthropic_failure(error: Exception, timeout_s: float) -> CallFailed:
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        return CallFailed(_status_text(error.status_code, error.response.text), status=error.status_code)
    if isinstance(error, anthropic.APITimeoutError):
        return CallFailed(f"no answer within {timeout_s:g} s, after {MAX_RETRIES} retries")
    if isinstance(error, anthropic.APIConnectionError):
        return CallFailed(f"the connection failed: {error.__cause__ or error}")
    if isinstance(error, TypeError) and "authentication" in str(error):  # the SDK's way to miss a key
        return CallFailed("ANTHROPIC_API_KEY is not set", nothing_sent=True)
    return CallFailed(f"{type(error).__name__}: {error}")


def _transport_failure(error: Exception, timeout_s: float) -> CallFailed:
    import httpx2

    if isinstance(error, httpx2.TimeoutException):
        return CallFailed(f"no answer within {timeout_s:g} s, after {MAX_RETRIES} retries")
    return CallFailed(f"the connection failed: {error or type(error).__name__}")


def _status_text(status: int, body: str) -> str:
    tried = f", after {MAX_RETRIES} retries" if _is_retried(status) else ""
    return f"HTTP {status}{tried}: {' '.join(body.split())[:300]}"


def _is_retried(status: int) -> bool:
    return status in (408, 409, 429) or status >= 500


def _wait(response: Any, attempt: int) -> float | None:
    """Seconds until the next attempt; None where there is none."""
    if attempt >= MAX_RETRIES or (response is not None and not _is_retried(response.status_code)):
        return None
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = response.headers.get(name, "") if response is not None else ""
        if re.fullmatch(r"\d+(\.\d+)?", text) and float(text) / unit <= _LONGEST_WAIT_S:
            return float(text) / unit
    return float(min(FIRST_WAIT_S * 2.0**attempt, 8.0) * random.uniform(0.75, 1.0))
