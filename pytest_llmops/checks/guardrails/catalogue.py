"""Guardrails by name: built-in ones, and those that other packages bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_llmops.checks.guardrails.leaks import CanaryLeakGuardrail, ContextSizeGuardrail, SystemPromptLeakGuardrail
from pytest_llmops.checks.guardrails.outcome import Guardrail
from pytest_llmops.checks.guardrails.pii import PiiGuardrail
from pytest_llmops.checks.guardrails.signatures import SignatureGuardrail
from pytest_llmops.checks.guardrails.toxicity import ToxicityGuardrail
from pytest_llmops.errors import SettingsError, did_you_mean

ENTRY_POINTS = "pytest_llmops.guardrails"
"""Entry point group of other packages' guardrails: each names a class or function that makes one, or an instance."""

BUILTIN: dict[str, tuple[Callable[..., Guardrail], dict[str, Any]]] = {
    "pii_detection": (PiiGuardrail, {}),
    "pii_leak": (PiiGuardrail, {"stage": "output", "action": "block"}),
    "prompt_injection": (SignatureGuardrail, {}),
    "jailbreak_detection": (SignatureGuardrail, {"injection": False}),
    "toxicity": (ToxicityGuardrail, {}),
    "context_size": (ContextSizeGuardrail, {}),
    "system_prompt_leak": (SystemPromptLeakGuardrail, {}),
    "canary_leak": (CanaryLeakGuardrail, {}),
}


def build(name: str, **options: Any) -> Guardrail:
    """Make the guardrail of that name.

    Args:
        name: a built-in's, or an entry point's.
        options: the guardrail's own, such as ``threshold``, ``action``, ``max_tokens``.

    Raises:
        SettingsError: no such guardrail, an option that it does not have, or an entry point that gives none.
    """
    if name in BUILTIN:
        make, fixed = BUILTIN[name]
        return _made(name, make, {"name": name, **fixed, **options})
    from importlib.metadata import entry_points

    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in found:
        raise SettingsError(f"no guardrail is named {name!r}.{did_you_mean(name, {*BUILTIN, *found})}")
    try:
        loaded = found[name].load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"guardrail {name!r} ({found[name].value}) cannot be loaded: {error}") from error
    guardrail = (
        loaded if isinstance(loaded, Guardrail) and not isinstance(loaded, type) else _made(name, loaded, options)
    )
    if not isinstance(guardrail, Guardrail) or isinstance(guardrail, type):
        raise SettingsError(
            f"guardrail {name!r} ({found[name].value}) is no guardrail: it needs name, stage and check(text, context)."
        )
    return guardrail


def _made(name: str, make: Callable[..., Guardrail], options: dict[str, Any]) -> Guardrail:
    if not callable(make):
        raise SettingsError(f"guardrail {name!r} is made by {make!r}, which cannot be called.")
    try:
        return make(**options)
    except TypeError as error:
        own = sorted(set(getattr(make, "__dataclass_fields__", ())) - {"name"})
        unknown = next((key for key in options if own and key not in own and key != "name"), None)
        hint = f" Unknown option {unknown!r}.{did_you_mean(unknown, own)}" if unknown else f" {error}"
        raise SettingsError(f"guardrail {name!r}:{hint}") from None
