"""Card numbers and IBANs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_llmops.checks.guardrails.identifiers import AFTER, BEFORE, gap, holds
from pytest_llmops.checks.guardrails.outcome import Span

_CARD = re.compile(rf"{BEFORE}(?<![.\-/+])\d(?:[ \-]?\d){{11,18}}{AFTER}(?![.\-/]\d)")
_CARD_LABEL = (
    r"(?:credit |debit |bank |visa |payment )?cards?|cc|ccn|visa|master ?card|amex|american express|diners|"
    r"cart[ãa]o|cart[õo]es|tarjetas?|cartes?(?: bancaires?| bleue)?|(?:kredit|bank|ec-?|debit)?karten?(?:nummer)?|"
    r"cart[ae]|"
    r"th[eẻ](?: t[ií]n d[uụ]ng| ng[aâ]n h[aà]ng)?|信用卡|银行卡|卡号|卡號|クレジットカード|カード番号|カード|"
    r"بطاقة|البطاقة|"
    r"карт[аыу]"
)
_LABELLED_CARD = re.compile(
    rf"{BEFORE}(?:{_CARD_LABEL}){AFTER}{gap()}{BEFORE}(?P<value>\d(?:[ .\-]?\d){{11,18}}){AFTER}", re.IGNORECASE
)
# (first digits, lengths) of the networks in use; a card number in the wild begins with one of them
_PREFIXES = (
    (r"4", {13, 16, 19}),
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", {16}),
    (r"3[47]", {15}),
    (r"6011|65|64[4-9]|622", {16, 19}),
    (r"35(?:2[89]|[3-8])", {16}),
    (r"30[0-5]|309|36|38|39", {14, 16}),
    (r"62|81", {16, 17, 18, 19}),
    (r"50|5[6-9]|6[37]", {16, 18, 19}),
    (r"606282|220[0-4]", {16}),
)
_NETWORKS = tuple((re.compile(prefix), lengths) for prefix, lengths in _PREFIXES)
_IBAN = re.compile(rf"{BEFORE}[A-Z]{{2}}\d{{2}}(?:[ \-]?[A-Z0-9]){{11,30}}{AFTER}", re.IGNORECASE)
_LABELLED_IBAN = re.compile(
    rf"\biban\b{gap()}{BEFORE}(?P<value>[A-Z]{{2}}\d{{2}} ?(?:[A-Z0-9]{{4}} ?){{2,7}}[A-Z0-9]{{0,4}}){AFTER}",
    re.IGNORECASE,
)


def load() -> None:
    """Load the checksums."""
    holds("luhn", "0")
    holds("iban", "DE89370400440532013000")  # reads its table of countries


def find(text: str) -> Iterator[Span]:
    """Cards by checksum and network, or by label; IBANs by checksum, or by label."""
    for match in _CARD.finditer(text):
        if _is_card(match[0]):
            yield Span("card", *match.span(), 0.95)
    for match in _LABELLED_CARD.finditer(text):
        yield Span("card", *match.span("value"), 0.9)
    for match in _IBAN.finditer(text):
        end = _iban_end(match[0])
        if end:
            yield Span("iban", match.start(), match.start() + end, 1.0)
    for match in _LABELLED_IBAN.finditer(text):
        yield Span("iban", match.start("value"), match.start("value") + len(match["value"].rstrip()), 0.9)


def _is_card(written: str) -> bool:
    digits = re.sub(r"\D", "", written)
    if len(set(digits)) < 3 or not any(len(digits) in lengths and p.match(digits) for p, lengths in _NETWORKS):
        return False
    groups = [len(group) for group in re.split(r"[ \-]", written)]
    return (len(groups) == 1 or (len(groups) >= 3 and min(groups[:-1]) >= 3)) and holds("luhn", digits)


def _iban_end(written: str) -> int:
    """Length of the IBAN that the text begins with; 0 where it begins with none. The words after one may look alike."""
    ends = [len(written), *(m.start() for m in reversed(list(re.finditer(r"[ \-]", written))))]
    return next((end for end in ends if end >= 15 and holds("iban", written[:end])), 0)
