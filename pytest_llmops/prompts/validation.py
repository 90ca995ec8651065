"""What ``pytest-llmops prompts validate`` finds: mistakes, and what is probably one."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmops.errors import PromptError, SettingsError
from pytest_llmops.prompts import loading
from pytest_llmops.prompts.model import Prompt
from pytest_llmops.prompts.registry import Registry


def mistakes(registry: Registry) -> list[str]:
    """Why prompts cannot be used: the first mistake of each file, else what stands between files."""
    found = []
    for path in registry.files():
        try:
            loading.load(path)
        except PromptError as error:
            found.append(str(error))
    if not found:
        try:
            len(registry)
        except PromptError as error:
            found.append(str(error))
    return found


def remarks(prompt: Prompt) -> Iterator[str]:
    """What can be used, but looks unintended."""
    used = prompt.placeholders
    for variable in prompt.variables:
        if variable.name not in used:
            yield f"{prompt.where}: {prompt.id}: the variable {variable.name!r} is declared, but no text uses it."
    for stage, specs in (("input", prompt.input_guardrails), ("output", prompt.output_guardrails)):
        for spec in specs:
            if (why := not_runnable(spec.type)) is not None:
                yield (
                    f"{prompt.where}: {prompt.id}: guardrails.{stage}: {why} It is kept; it runs in no test, unless a "
                    "hook of conftest.py brings it."
                )


def not_runnable(name: str) -> str | None:
    """Why there is no guardrail of that name here; None where there is."""
    from pytest_llmops.checks.guardrails import build

    try:
        build(name)
    except SettingsError as error:
        return str(error)
    return None
