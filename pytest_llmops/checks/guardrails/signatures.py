"""Prompt injection and jailbreaks by signature."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_llmops.checks.guardrails import folding
from pytest_llmops.checks.guardrails.attacks import SUPPORT, Signature, signatures
from pytest_llmops.checks.guardrails.outcome import Action, Context, Outcome, Severity, Span, Stage

TRIGGER = 4.0
"""Points at which a text counts as an attack; a score of .5."""

MOST_SUPPORT = 2.5
"""Points that families which say nothing by themselves can give together."""

# Talk about attacks quotes them. Short texts only: a long one may hold both a lecture and an attack.
_LONGEST_MENTION = 600
_QUOTED = re.compile(r"\"[^\"\n]{3,200}\"|(?<!\w)'[^'\n]{3,200}'(?!\w)|「[^」]{3,200}」|《[^》]{3,200}》")
_ABOUT_ATTACKS = re.compile(
    r"\b(?:what (?:is|are|does)|explain\w*|how (?:do|does|can|to|would|should)|why (?:is|do|does|are)|defin\w+|"
    r"describe|detect\w*|prevent\w*|protect\w*|defen[dcs]\w*|mitigat\w*|filter\w*|classif\w*|summar\w+|article|"
    r"essay|blog|owasp|examples? of|attacks?|injections?|jailbreaks?|phrases?|o que|significa|qu[ée]|como|cómo|"
    r"comment|wie|was|come|cosa)\b|什么|如何|解释"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Points of a text, and what gave them, by family."""

    points: float
    families: dict[str, float]
    spans: tuple[Span, ...]
    means: str = ""


def scan(text: str, *, injection: bool = True) -> Finding:
    """Score a text.

    Args:
        text: what came from outside.
        injection: count what is an injection without being a jailbreak, too (prompt extraction, forged turns).
    """
    folded, disguises = folding.revealed(text)
    best = _points(folded, injection)
    if disguises:
        best = Finding(best.points, best.families, (), ", ".join(disguises))
    for encoding, decoded in folding.decoded(text):
        finding = _points(folding.fold(decoded), injection) if decoded else best
        if finding.points > best.points:
            best = Finding(finding.points, finding.families, (), encoding)
    return best


def _points(folded: str, injection: bool) -> Finding:
    quoted, ascii_only = _mentions(folded), folded.isascii()
    weights: dict[str, list[float]] = {}
    spans = []
    for signature in signatures():
        if (signature.injection_only and not injection) or (ascii_only and not signature.ascii):
            continue
        match = _match(signature, folded, quoted)
        if match is not None:
            weights.setdefault(signature.family, []).append(signature.weight)
            spans.append(Span(signature.family, *match.span(), min(1.0, signature.weight / TRIGGER)))
    families = {family: _combined(found) for family, found in weights.items()}
    support = sum(points for family, points in families.items() if family in SUPPORT)
    points = sum(families.values()) - max(0.0, support - MOST_SUPPORT)
    return Finding(points, families, tuple(sorted(spans, key=lambda s: s.start)))


def _match(signature: Signature, folded: str, quoted: list[tuple[int, int]]) -> re.Match[str] | None:
    if not quoted:
        return signature.pattern.search(folded)
    for match in signature.pattern.finditer(folded):
        if not any(start <= match.start() and match.end() <= end for start, end in quoted):
            return match
    return None


def _combined(weights: list[float]) -> float:
    first, *rest = sorted(weights, reverse=True)
    return first + (rest[0] / 2 if rest else 0.0)


def _mentions(folded: str) -> list[tuple[int, int]]:
    """Where a text that talks about attacks quotes one."""
    if len(folded) > _LONGEST_MENTION or not _ABOUT_ATTACKS.search(_QUOTED.sub(" ", folded)):
        return []
    return [match.span() for match in _QUOTED.finditer(folded)]


@dataclass(frozen=True)
class SignatureGuardrail:
    """Triggers on texts that read like known attacks: a heuristic, docs/guardrails.md says how good a one.

    Args:
        injection: see `scan`.
        threshold: 0..1; .5 is `TRIGGER` points.
    """

    name: str = "prompt_injection"
    stage: Stage = "input"
    injection: bool = True
    threshold: float = 0.5
    action: Action = "block"

    def check(self, text: str, context: Context | None = None) -> Outcome:
        """Score a text; the reason names the families of signatures that matched."""
        finding = scan(text, injection=self.injection)
        score = min(1.0, finding.points / (2 * TRIGGER))
        if score < self.threshold:
            return Outcome(False, score=score)
        severity: Severity = "critical" if score >= 1 else "high"
        families = sorted(finding.families, key=lambda f: -finding.families[f])
        hidden_by = f" (hidden by {finding.means})" if finding.means else ""
        return Outcome(True, severity, score, ", ".join(families) + hidden_by, finding.spans, self.action)
