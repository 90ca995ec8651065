"""E-mail and IP addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from pytest_llmops.checks.guardrails.outcome import Span

_EMAIL = re.compile(
    r"(?<![\w.%+\-/@])(?:[\w.!#$%&'*+\-=^`{|}~]{1,64}|\"[^\"\s@]{1,62}\")(?<![.])@"
    r"(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.)+(?P<tld>[^\W\d_]{2,24}|xn--[a-z0-9\-]{2,20})(?![\w@]|-\w|\.\w+@)"
)
_SPELT = re.compile(
    r"(?<!\w)[\w.+\-]{2,64}\s?[\[({<]\s?(?:at|arroba|@)\s?[\])}>]\s?[\w\-]+"
    r"(?:(?:\s?[\[({<]\s?(?:dot|ponto|punto|point|punkt|\.)\s?[\])}>]\s?|\.)[\w\-]+)+",
    re.IGNORECASE,
)
_SPELT_AT = re.compile(r"[\[({<]\s?(?:at|arroba|@)\s?[\])}>]", re.IGNORECASE)
# ``logo@2x.png``, ``git@github.com:owner/repository.git``
_FILES = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "json", "py", "md", "txt", "html"})
_NOBODY = re.compile(r"git@[\w.\-]+:")

_IPV4 = re.compile(r"(?<![\w.\-])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d|-\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:]{3,39}(?:\d\.\d{1,3}\.\d{1,3}\.\d{1,3})?(?![\w:])"
)
_NOT_ADDRESS = re.compile(
    r"(?:\b(?:up(?:date|grade)d?|bump(?:ed)?|downgraded?)[^\n]{0,24} to|"
    r"\bv|vers[a-zãóõ]*|release|build|firmware|section|sec|chapter|clause|article|"
    r"se[cç][ãa]o|secci[oó]n|cap[ií]tulo|"
    r"kapitel|abschnitt|§|[=<>~^]=?|[A-Za-z]{2}/|[A-Za-z]-)[.:]?\s*$",
    re.IGNORECASE,
)


def find(text: str) -> Iterator[Span]:
    """Addresses that may be somebody's; loopback, netmasks and version numbers are nobody's."""
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if match["tld"].lower() not in _FILES and not _NOBODY.match(text, match.start()):
                yield Span("email", *match.span(), 1.0)
    if _SPELT_AT.search(text):
        for match in _SPELT.finditer(text):
            yield Span("email", *match.span(), 0.8)
    for match in _IPV4.finditer(text):
        if _somebodys(match[0]) and not _NOT_ADDRESS.search(text, max(0, match.start() - 40), match.start()):
            yield Span("ip", *match.span(), 0.9)
    for match in _IPV6.finditer(text):
        value = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
        if _hextets(value) and _somebodys(value):
            yield Span("ip", match.start(), match.start() + len(value), 0.95)


def _hextets(value: str) -> bool:
    """Whether it looks like IPv6 rather than ``std::dec`` or ``a::b``."""
    parts = [part for part in value.split(":") if part]
    return len(parts) >= 4 or (len(parts) >= 2 and len(parts[0]) >= 3 and any(c.isdigit() for c in value))


def _somebodys(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or value.startswith("255."))
