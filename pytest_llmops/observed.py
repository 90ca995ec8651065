"""What a result shows beside numbers: which tools, which language, and what scans of its text find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pytest_llmops.records import Call
from pytest_llmops.tools import ToolCalls

if TYPE_CHECKING:
    from pytest_llmops.checks.guardrails import Guardrail, Outcome

SCANS = ("pii_detection", "prompt_injection", "jailbreak_detection", "toxicity", "system_prompt_leak")
"""Guardrails that need nothing but the text, and the system prompt where there is one."""


class Language(str):
    """A BCP 47 code such as ``pt`` or ``pt-BR``; ``und`` where it cannot be told.

    Args:
        source: ``script`` and ``model`` were read from the text, ``declared`` is what the test said, a ``judge`` was
            asked, ``none`` is for ``und``.
        confidence: 0..1.
    """

    source: str
    confidence: float

    def __new__(cls, code: str, source: str = "none", confidence: float = 0.0) -> Language:  # noqa: D102
        language = super().__new__(cls, code)
        language.source, language.confidence = source, confidence
        return language


class Detections(dict[str, "Outcome"]):
    """What scans of a text found, by guardrail; empty where nothing was. No sign that the application has a guard."""

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: {outcome.reason!r}" for name, outcome in self.items()) + "}"


def language_of(
    text: str | None,
    languages: Sequence[str] = (),
    *,
    declared: str | None = None,
    detector: Literal["py3langid", "lingua"] = "py3langid",
) -> Language:
    """A text's language among `languages` (default: the ten of checks.language)."""
    from pytest_llmops.checks.language import DEFAULT_LANGUAGES, detect

    known = (*(languages or DEFAULT_LANGUAGES), *((declared,) if declared else ()))
    found = detect(text or "", known, declared=declared, detector=detector)
    return Language(found.code, found.source, found.confidence)


def scanner(name: str) -> Guardrail:
    """A guardrail that scans offline."""
    from pytest_llmops.checks.guardrails import build

    return build(name, by="words") if name == "toxicity" else build(name)


def detections_in(text: str | None, system_prompt: str | None = None) -> Detections:
    """Scan a text offline."""
    if not text:
        return Detections()
    context: Mapping[str, Any] = {"system_prompt": system_prompt} if system_prompt else {}
    outcomes = {name: scanner(name).check(text, context) for name in SCANS if name != "system_prompt_leak" or context}
    return Detections({name: outcome for name, outcome in outcomes.items() if outcome.triggered})


class Observed:
    """The part of a Result that is read from its calls and its text."""

    languages: Sequence[str] = ()
    language_detector: Literal["py3langid", "lingua"] = "py3langid"

    @property
    def calls(self) -> list[Call]:
        """The application's provider calls."""
        raise NotImplementedError

    @property
    def text(self) -> str | None:
        """The answer's text."""
        raise NotImplementedError

    @property
    def tool_calls(self) -> ToolCalls:
        """The tools the model asked for, over all calls: a list with ``called``, ``exact``, ``unordered`` and more."""
        return ToolCalls(tool for call in self.calls for tool in call.tool_calls)

    @property
    def language(self) -> Language:
        """The language of the text, told offline: ``pt``, ``en``, …; ``und`` where it is too short to tell."""
        return language_of(self.text, self.languages, detector=self.language_detector)

    @property
    def detections(self) -> Detections:
        """What scans of the text find, guard or no guard: ``"pii_detection" in result.detections``."""
        return detections_in(self.text, system_prompt_of(self.calls))


def system_prompt_of(calls: Sequence[Call]) -> str | None:
    """The last call's system prompt; None where there is none, or requests are not kept."""
    request = (calls[-1].request or {}) if calls else {}
    system = request.get("system")
    if system is None:
        messages = [m for m in request.get("messages") or () if isinstance(m, Mapping)]
        system = next((m.get("content") for m in messages if m.get("role") in ("system", "developer")), None)
    if isinstance(system, list):
        system = "\n".join(part["text"] for part in system if isinstance(part, Mapping) and "text" in part)
    return system if isinstance(system, str) and system else None
