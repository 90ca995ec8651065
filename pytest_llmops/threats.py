"""Threats by name, with their ids in the OWASP Top 10 for LLM applications (2025) and in MITRE ATLAS."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_llmops.errors import SettingsError, did_you_mean

OWASP: dict[str, str] = {
    "LLM01": "Prompt Injection",
    "LLM02": "Sensitive Information Disclosure",
    "LLM03": "Supply Chain",
    "LLM04": "Data and Model Poisoning",
    "LLM05": "Improper Output Handling",
    "LLM06": "Excessive Agency",
    "LLM07": "System Prompt Leakage",
    "LLM08": "Vector and Embedding Weaknesses",
    "LLM09": "Misinformation",
    "LLM10": "Unbounded Consumption",
}
"""https://genai.owasp.org/llm-top-10/, edition of 2025."""

THREATS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "prompt-injection": (("LLM01",), ("AML.T0051.000",)),
    "indirect-prompt-injection": (("LLM01",), ("AML.T0051.001",)),
    "jailbreak": (("LLM01",), ("AML.T0054",)),
    "obfuscation": (("LLM01",), ("AML.T0068",)),
    "data-extraction": (("LLM02",), ("AML.T0057", "AML.T0024")),
    "system-prompt-extraction": (("LLM07",), ("AML.T0056",)),
    "pii-leak": (("LLM02",), ("AML.T0057",)),
    "hallucination": (("LLM09",), ("AML.T0062", "AML.T0048")),
    "toxicity": ((), ("AML.T0048.001", "AML.T0048.003")),
    "unsafe-output": (("LLM05",), ("AML.T0077",)),
    "unsafe-tools": (("LLM06",), ("AML.T0053", "AML.T0086")),
    "rag-poisoning": (("LLM08", "LLM04"), ("AML.T0070", "AML.T0071")),
    "context-size": (("LLM10",), ("AML.T0029", "AML.T0034")),
    "cost": (("LLM10",), ("AML.T0029", "AML.T0034")),
    "denial-of-service": (("LLM10",), ("AML.T0029", "AML.T0034")),
}
"""Name to ids in OWASP's list and in ATLAS (https://atlas.mitre.org)."""

PREFIX = "threat:"
_BY_TITLE = {title.lower().replace(" ", "-"): number for number, title in OWASP.items()}
_OWASP_ID = re.compile(r"(?:owasp[-:_. ]?)?(llm\d+)(?:[:_-]?2025)?", re.IGNORECASE)
_ATLAS_ID = re.compile(r"aml\.t?\d.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Threat:
    """What a tag stands for.

    Args:
        name: as in `THREATS`, an OWASP id, or an ATLAS id.
        owasp: none for a threat that the list does not have.
    """

    name: str
    owasp: tuple[str, ...] = ()
    atlas: tuple[str, ...] = ()


def of_tag(tag: str) -> Threat | None:
    """The threat that a tag names: ``threat:jailbreak``, ``jailbreak``, ``LLM01`` or ``AML.T0054``; None: another tag.

    Raises:
        SettingsError: it begins like a threat's tag and is none; the message names the closest one.
    """
    word = tag.strip()
    named = word.lower().startswith(PREFIX)
    if named:
        word = word[len(PREFIX) :].strip()
    if found := _OWASP_ID.fullmatch(word):
        return _owasp(found[1].upper(), tag)
    if _ATLAS_ID.fullmatch(word):
        return _atlas(word.upper(), tag)
    name = re.sub(r"[\s_]+", "-", word.lower())
    # "cost" is also what many a tag is about that means no attack
    if name in THREATS and (named or name != "cost"):
        return Threat(name, *THREATS[name])
    if not named:
        return None
    if name in _BY_TITLE:
        return _owasp(_BY_TITLE[name], tag)
    raise SettingsError(f"tag {tag!r} names no threat.{did_you_mean(name, {*THREATS, *_BY_TITLE})}")


def of_tags(tags: Iterable[str]) -> list[Threat]:
    """The threats among some tags, each once.

    Raises:
        SettingsError: as `of_tag`.
    """
    return list(dict.fromkeys(threat for tag in tags if (threat := of_tag(tag)) is not None))


def groups(tags: Iterable[str]) -> list[str]:
    """What tags count under: OWASP ids, and the names of threats that are in none."""
    return list(dict.fromkeys(group for threat in of_tags(tags) for group in threat.owasp or (threat.name,)))


def _owasp(number: str, tag: str) -> Threat:
    if number not in OWASP:
        padded = f"LLM{int(number[3:]):02}"
        raise SettingsError(f"tag {tag!r}: {number} is not in OWASP's list of 2025.{did_you_mean(padded, OWASP)}")
    atlas = dict.fromkeys(one for owasp, ids in THREATS.values() if number in owasp for one in ids)
    return Threat(number, (number,), tuple(atlas))


def _atlas(number: str, tag: str) -> Threat:
    """A technique of the table, one it is part of, or another of ATLAS, which counts under its own id."""
    if not re.fullmatch(r"AML\.T\d{4}(\.\d{3})?", number):
        known = {one for _, ids in THREATS.values() for one in ids}
        raise SettingsError(f"tag {tag!r} is no id of MITRE ATLAS.{did_you_mean(number, known)}")
    owasp = dict.fromkeys(
        group
        for groups_, ids in THREATS.values()
        for group in groups_
        if any(one == number or one.startswith(f"{number}.") or number.startswith(f"{one}.") for one in ids)
    )
    if number.startswith("AML.T0048."):  # of external harms only the whole is hallucination's
        owasp = {}
    return Threat(number, tuple(owasp), (number,))
