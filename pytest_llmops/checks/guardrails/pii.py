"""Personal data in a text: e-mail, phone, card, IBAN, IP and national identifiers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from pytest_llmops.checks.guardrails import addresses, identifiers, payment, phones
from pytest_llmops.checks.guardrails.outcome import Action, Context, Outcome, Severity, Span, Stage

_SEVERITY: dict[str, Severity] = {"ip": "low", "email": "medium", "phone": "medium"}


@lru_cache(maxsize=1)
def load() -> None:
    """Load what scans need, so that the first one takes no longer than the others."""
    for part in (identifiers, payment, phones):
        part.load()


def scan(text: str) -> tuple[Span, ...]:
    """Find personal data; spans do not overlap, and are typed ``email``, ``phone``, ``card``, ``cpf`` and so on."""
    load()
    found = list(addresses.find(text))
    if any(map(str.isdigit, text)):
        found += [*payment.find(text), *identifiers.find(text), *phones.find(text)]
    kept: list[Span] = []
    for span in sorted(found, key=lambda s: (-s.score, s.start - s.end, s.start)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return tuple(sorted(kept, key=lambda s: s.start))


def mask(text: str, spans: Collection[Span] | None = None) -> str:
    """Replace personal data by its type, ``[EMAIL]``.

    Args:
        text: what may hold personal data.
        spans: where it is; default: what `scan` finds.
    """
    found = sorted(scan(text) if spans is None else spans, key=lambda s: s.start)
    parts, position = [], 0
    for span in found:
        parts += [text[position : span.start], f"[{span.type.upper()}]"]
        position = span.end
    return "".join(parts) + text[position:]


@dataclass(frozen=True)
class PiiGuardrail:
    """Triggers on personal data.

    Args:
        types: which count; default all.
        threshold: 0..1, how sure a finding must be.
    """

    name: str = "pii_detection"
    stage: Stage = "both"
    types: Collection[str] | None = None
    threshold: float = 0.5
    action: Action = "rewrite"

    def check(self, text: str, context: Context | None = None) -> Outcome:
        """Scan a text; the reason counts the findings by type and quotes none."""
        spans = tuple(
            span
            for span in scan(text)
            if span.score >= self.threshold and (self.types is None or span.type in self.types)
        )
        if not spans:
            return Outcome(False)
        types = [span.type for span in spans]
        severity: Severity = next(
            (s for s in ("high", "medium", "low") if any(_SEVERITY.get(t, "high") == s for t in types)), "high"
        )
        counts = ", ".join(f"{types.count(kind)} {kind}" for kind in dict.fromkeys(types))
        return Outcome(True, severity, max(s.score for s in spans), f"personal data: {counts}", spans, self.action)
