"""Guardrails by name: built-in ones, and those that a project's hook and other packages bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pytest_llmops.checks.guardrails import surroundings
from pytest_llmops.checks.guardrails.judged import RubricGuardrail, SafetyGuardrail
from pytest_llmops.checks.guardrails.leaks import CanaryLeakGuardrail, ContextSizeGuardrail, SystemPromptLeakGuardrail
from pytest_llmops.checks.guardrails.outcome import Guardrail
from pytest_llmops.checks.guardrails.pii import PiiGuardrail
from pytest_llmops.checks.guardrails.presidio import PresidioGuardrail
from pytest_llmops.checks.guardrails.signatures import SignatureGuardrail
from pytest_llmops.checks.guardrails.toxicity import ToxicityGuardrail
from pytest_llmops.errors import SettingsError, did_you_mean

ENTRY_POINTS = "pytest_llmops.guardrails"
"""Entry point group of other packages' guardrails: each names a class or function that makes one, or an instance."""

OFFLINE: dict[str, tuple[Callable[..., Guardrail], dict[str, Any]]] = {
    "pii_detection": (PiiGuardrail, {}),
    "pii_leak": (PiiGuardrail, {"stage": "output", "action": "block"}),
    "pii_presidio": (PresidioGuardrail, {}),
    "prompt_injection": (SignatureGuardrail, {}),
    "jailbreak_detection": (SignatureGuardrail, {"injection": False}),
    "toxicity": (ToxicityGuardrail, {}),
    "context_size": (ContextSizeGuardrail, {}),
    "system_prompt_leak": (SystemPromptLeakGuardrail, {}),
    "canary_leak": (CanaryLeakGuardrail, {}),
}
"""Those that need no judge; toxicity asks one only where one is named."""
JUDGED: dict[str, tuple[Callable[..., Guardrail], dict[str, Any]]] = {
    "content_safety": (SafetyGuardrail, {}),
    "bias": (SafetyGuardrail, {"category": "bias"}),
    "misinformation": (SafetyGuardrail, {"category": "misinformation", "stage": "output"}),
    "inappropriate": (SafetyGuardrail, {"category": "inappropriate"}),
    "privacy": (SafetyGuardrail, {"category": "privacy"}),
    "hallucination": (RubricGuardrail, {"rubric": "faithfulness"}),
    "factual_accuracy": (RubricGuardrail, {"rubric": "factual_accuracy"}),
    "instruction_adherence": (RubricGuardrail, {"rubric": "instruction_adherence"}),
}
BUILTIN = {**OFFLINE, **JUDGED}


def known(name: str) -> bool:
    """Whether there is a guardrail of that name.

    Raises:
        SettingsError: two of the project's or its packages' have one name.
    """
    return name in BUILTIN or name in _others()


def names() -> set[str]:
    """Of all guardrails that there are."""
    return {*BUILTIN, *_others()}


def build(name: str, **options: Any) -> Guardrail:
    """Make the guardrail of that name.

    Args:
        name: a built-in's, one of the hook ``pytest_llmops_guardrails``, or an entry point's.
        options: the guardrail's own, such as ``threshold``, ``action``, ``max_tokens``.

    Raises:
        SettingsError: no such guardrail, an option that it does not have, one that is none, or two of one name.
    """
    others = _others()
    if name in BUILTIN:
        make, fixed = BUILTIN[name]
        return _made(name, make, {"name": name, **fixed, **options})
    if name not in others:
        raise SettingsError(f"no guardrail is named {name!r}.{did_you_mean(name, names())}")
    where, load = others[name]
    try:
        loaded = load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"guardrail {name!r} ({where}) cannot be loaded: {error}") from error
    guardrail = (
        loaded if isinstance(loaded, Guardrail) and not isinstance(loaded, type) else _made(name, loaded, options)
    )
    if not isinstance(guardrail, Guardrail) or isinstance(guardrail, type):
        raise SettingsError(
            f"guardrail {name!r} ({where}) is no guardrail: it needs name, stage and check(text, context)."
        )
    return guardrail


def _others() -> Mapping[str, tuple[str, Callable[[], Any]]]:
    """Guardrails that are not built in: where each comes from, and what gives it."""
    found: dict[str, tuple[str, Callable[[], Any]]] = {}
    for name, (where, thing) in surroundings.current().others().items():
        found[name] = where, lambda thing=thing: thing  # type: ignore[misc]
    for name, where, load in _of_packages():
        if name in found:
            raise SettingsError(
                f"two guardrails are named {name!r}: of {found[name][0]}, and of {where}. Rename one of them."
            )
        found[name] = where, load
    return found


@cache
def _of_packages() -> tuple[tuple[str, str, Callable[[], Any]], ...]:
    from importlib.metadata import entry_points

    return tuple((point.name, point.value, point.load) for point in entry_points(group=ENTRY_POINTS))


def _made(name: str, make: Callable[..., Guardrail], options: dict[str, Any]) -> Guardrail:
    if not callable(make):
        raise SettingsError(f"guardrail {name!r} is made by {make!r}, which cannot be called.")
    own = sorted(set(getattr(make, "__dataclass_fields__", ())) - {"name", "rubric"})
    try:
        return make(**options)
    except TypeError as error:
        unknown = next((key for key in options if own and key not in own and key not in ("name", "rubric")), None)
        hint = f" Unknown option {unknown!r}.{did_you_mean(unknown, own)}" if unknown else f" {error}"
        raise SettingsError(f"guardrail {name!r}:{hint}") from None
