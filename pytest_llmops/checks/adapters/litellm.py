"""A judge behind LiteLLM: any of its providers, as ``litellm:PROVIDER/MODEL``."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from pytest_llmops.checks.adapters import missing
from pytest_llmops.checks.judge_client import MAX_RETRIES, CallFailed


def function(model: str, timeout_s: float) -> Callable[[str, str, dict[str, Any] | None], str]:
    """What asks the model: (system, user, schema) to its text.

    Args:
        model: LiteLLM's name of it.
        timeout_s: seconds an attempt may take.

    Raises:
        SettingsError: LiteLLM is missing.
    """
    # LiteLLM fetches its price table at import, unless it is told to take its own.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")  # else it reads .env files
    try:
        library = importlib.import_module("litellm")
    except ImportError as error:
        raise missing("litellm", error) from None

    def ask(system: str, user: str, schema: dict[str, Any] | None) -> str:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        options: dict[str, Any] = {"temperature": 0.0}
        if schema is not None:
            form = {"name": "submit_verdict", "strict": True, "schema": schema}
            options["response_format"] = {"type": "json_schema", "json_schema": form}
        # What a model does not take, LiteLLM leaves out.
        answer = library.completion(
            model, messages, timeout=timeout_s, num_retries=MAX_RETRIES, drop_params=True, **options
        )
        choice = answer.choices[0]
        if choice.finish_reason in ("length", "content_filter"):
            raise CallFailed(f"it stopped over {choice.finish_reason}")
        return choice.message.content or ""

    return ask
