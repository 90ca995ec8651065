"""Signatures of prompt injection and jailbreaks: families of weighted regular expressions over folded text.

Patterns are written in lower case for texts as `folding.fold` leaves them; a blank stands for any run of white space. A
family counts once, by its heaviest match and half of its next; families add up, and 4 is the threshold. Weight 4 is for
what hardly anybody says for another reason; 1 and 2 for what only the company it keeps makes suspicious. A "+" before a
family's name: it is an injection, but no jailbreak. docs/guardrails.md has the measured rates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pytest_llmops.checks.guardrails.attacks_in_latin_script import IN_LATIN_SCRIPT
from pytest_llmops.checks.guardrails.attacks_in_other_scripts import BEYOND_ASCII
from pytest_llmops.checks.guardrails.attacks_injection import INJECTIONS
from pytest_llmops.checks.guardrails.attacks_jailbreak import JAILBREAKS

SUPPORT = frozenset({"persona", "two_answers", "about_the_model", "obedience"})
"""Families that say nothing by themselves: a quiz master, too, is a role with a format."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A compiled pattern.

    Args:
        injection_only: it is no jailbreak.
        ascii: texts in ASCII can match it.
    """

    family: str
    weight: float
    pattern: re.Pattern[str]
    injection_only: bool
    ascii: bool


@lru_cache(maxsize=1)
def signatures() -> tuple[Signature, ...]:
    """All signatures, compiled once."""
    return tuple(
        Signature(
            family.lstrip("+"),
            weight,
            re.compile(pattern.replace(" ", r"\s+").replace(r"\s+?", r"\s?").replace(r"\s+{", r"\s{"), re.DOTALL),
            family.startswith("+"),
            ascii=table is not BEYOND_ASCII,
        )
        for table in (JAILBREAKS, INJECTIONS, IN_LATIN_SCRIPT, BEYOND_ASCII)
        for family, weight, pattern in table
    )
