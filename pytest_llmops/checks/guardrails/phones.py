"""Phone numbers: by a word beside them, by how they are written, and by phonenumbers' numbering plans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType

from pytest_llmops.checks.guardrails.identifiers import AFTER, BEFORE, gap
from pytest_llmops.checks.guardrails.outcome import Span

_CANDIDATE = re.compile(
    r"(?<![A-Za-zÀ-ɏ0-9_@/=.$€£¥+])(?<![A-Za-z]-)(?:\+ ?)?\(?\+?\d\)?(?:[ \u00a0.\-/]{0,2}\(?\d\)?){4,18}"
    r"(?P<extension>(?: ?(?:x|,? ?ext\.? ?|#| ramal | poste | durchwahl )\d{1,6})?)"
    r"(?![A-Za-zÀ-ɏ0-9_%€$£¥@]|[.,:]\d|/\d)",
    re.IGNORECASE,
)
_NAMED = (
    r"(?:tele)?phones?|tel(?! aviv)|mobile|cell(?:phone)?|fax|sms|whats ?app|zap|wpp|landline|hotline|call ?back|"
    r"telefones?|telem[óo]vel|telem[óo]veis|celular(?:es)?|contato|fones?|ramal|"
    r"tel[eé]fonos?|m[oó]vil(?:es)?|"
    r"t[eé]l[eé]phone|t[eé]l|portable|joindre|"
    r"telefon(?:nummer|isch)?|handy(?:nummer)?|mobil(?:nummer|telefon)?|r[uü]ckruf|durchwahl|"
    r"telefono|cellulare|recapito|"
    r"[dđ]i[eệ]n tho[aạ]i|s[oố] [dđ]t|s[dđ]t|hotline|"
    r"手机号?码?|手機|电话号?码?|電話(?:番号|號碼)?|携帯(?:番号|電話)?|联系方式|هاتفي?|الهاتف|جوالي?|الجوال|موبايل"
)
_ASKED = (
    r"call(?:ed|ing)?|ring|reach(?:ed|able)?|dial(?:led)?|contact|text(?:ed)?|answer(?:ed|ing)?|phoned?|"
    r"my number|number is|"
    r"lig(?:ue|ar|uem|ou|a|aram)|meu n[uú]mero|chame|"
    r"ll[aá]m[ea](?:n|r|me|nos|rme|rnos)?|mi n[uú]mero|marque|"
    r"appel(?:ez|er|le|s)?|rappel(?:ez|er|le)?|mon num[eé]ro|joign\w+|"
    r"anrufen|ruf(?:en|t)?|erreich\w+|meine nummer|"
    r"chiam(?:are?|ami|ate|ateci)|il mio numero|"
    r"g[oọ]i|打给?|拨打|致电|かけ|اتصل"
)
_CUE_BEFORE = re.compile(rf"{BEFORE}(?:{_NAMED}){AFTER}{gap()}$|{BEFORE}(?:{_ASKED}){AFTER}{gap(25)}$", re.IGNORECASE)
_CUE_BESIDE = re.compile(
    rf"{BEFORE}(?:{_NAMED}|{_ASKED}){AFTER}(?:\W+(?:number|no|nr|num|is|are|at|on|to|the|my|me|us|him|her|them|for|o|a|el|den|n[úu]mero|do|da|del?|"
    r"cliente|é|e|es|ist|lautet|unter|para|no|em|al|au|le|est|il|è|là|của|tôi|số|号码?|是|は|番号)){0,4}\W*$",
    re.IGNORECASE,
)
_CUE_AFTER = re.compile(
    r"[\s\-–,;:(\\]{0,4}(?:office|home|work|fax|mobile|mob|cell(?:phone)?|tel|phone|direct|whatsapp|"
    r"celular|fixo|residencial|comercial|m[oó]vil|casa|oficina|portable|bureau|handy|mobil|privat|b[uü]ro|cellulare|"
    r"ufficio|fisso)(?![A-Za-zÀ-ɏ])",
    re.IGNORECASE,
)
_NOT_DIGITS = re.compile(r"\D*\Z")
_OTHER_NUMBER = re.compile(
    r"(?:orders?|invoice|ticket|case|ref(?:erence)?|tracking|serial|model|part|sku|item|isbn|zip(?: ?code)?|postcode|"
    r"version|pin|code|otp|id|amount|total|price|usd|eur|brl|r\$|year|page|pages?|pp|line|port|error|"
    r"pedido|protocolo|fatura|nota fiscal|chamado|c[oó]digo|cep|valor|p[aá]ginas?|factura|facture|commande|rechnung|"
    r"bestell(?:ung|nummer)|auftrag|plz|ordine|fattura|订单号?|注文番号|発票|邮编|郵便番号)"
    r"(?:\s?(?:number|no|nr|num|is|n[°ºo]|id|code))?[\s.:#º°\-]*$",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])|"
    r"(?:0?[1-9]|[12]\d|3[01])[-./ ](?:0?[1-9]|[12]\d|3[01])[-./ ](?:19|20)\d\d|"
    r"(?:19|20)\d\d ?[-/] ?(?:(?:19|20)?\d\d))(?!\d)"
)
_NORTH_AMERICAN = re.compile(r"(?:(?:\+?1|001)[-. ]?)?(?:\(\d{3}\) ?|\d{3}(?P<mark>[-.]))\d{3}[-.]\d{4}")
_AREA_IN_BRACKETS = re.compile(r"(?:8 )?\((?!(?:19|20)\d\d\))0?\d{2,4}\) ?\d{2,5}(?:[ .\-]?\d{2,5}){1,3}")
_CHINESE_MOBILE, _CHINESE = re.compile(r"1[3-9]\d{9}"), re.compile("[\u4e00-\u9fff]")
_TRUNK_0 = ("GB", "DE", "IT", "JP", "AU", "NL", "CH", "AT", "BE", "VN", "CN", "AR", "ZA", "KR")
# Shapes that other numbers rarely have; a numbering plan must know the number, too.
_BY_PLAN: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"\d{2} 9?\d{4}-\d{4}"), ("BR",)),
    (re.compile(r"0[1-9](?:[ .]\d\d){4}"), ("FR",)),
    (
        re.compile(r"(?!\d{5}-\d{4}$)(?=(?:\D*\d){9})0\d{1,4}[ \-/]\d{2,8}(?:[ \-]\d{2,6}){0,3}"),
        _TRUNK_0,
    ),
    (re.compile(r"[69]\d{2} \d{3} \d{3}|[679]\d{2} \d{2} \d{2} \d{2}"), ("ES", "PT")),
    (re.compile(r"\d{3} \d{3} \d{4}"), ("US",)),
    (re.compile(r"05\d ?\d{3} ?\d{4}"), ("SA", "AE")),
)


def find(text: str) -> Iterator[Span]:
    """Phone numbers in a text."""
    for match in _CANDIDATE.finditer(text):
        written = match[0][: match.start("extension") - match.start()].strip(" -./\u00a0")
        start = text.index(written, match.start())
        digits = sum(c.isdigit() for c in written)
        if not 6 <= digits <= 16 or _DATE.search(written):
            continue
        score = _score(text, written, start, match.end(), digits)
        if score:
            yield Span("phone", start, match.end(), score)


def _score(text: str, written: str, start: int, end: int, digits: int) -> float:
    before = _NOT_DIGITS.search(text, max(0, start - 60), start)[0]  # type: ignore[index]  # matches anything
    if written.startswith(("+", "(+")) and digits >= 8 and _possible(written):
        return 0.95
    if _OTHER_NUMBER.search(before):
        return 0.0
    # "the phone sold 1200000 times": a short bare number needs its cue close by
    cue = _CUE_BESIDE if digits < 9 and written.isdigit() else _CUE_BEFORE
    if cue.search(before) or _CUE_AFTER.match(text, end):
        return 0.9
    if _NORTH_AMERICAN.fullmatch(written):
        return 0.85
    if _AREA_IN_BRACKETS.fullmatch(written) and 8 <= digits <= 12:
        return 0.8
    if written.startswith("00") and digits >= 10 and _valid("+" + written[2:].lstrip(), None):
        return 0.85
    if _CHINESE_MOBILE.fullmatch(written) and _CHINESE.search(before):
        return 0.7
    regions = (region for shape, plan in _BY_PLAN if shape.fullmatch(written) for region in plan)
    return 0.7 if any(_valid(written, region) for region in regions) else 0.0


def load() -> None:
    """Load the numbering plans of the regions that are tried."""
    _plans()


@lru_cache(maxsize=1)
def _plans() -> ModuleType:
    import phonenumbers

    for region in {region for _, regions in _BY_PLAN for region in regions}:
        phonenumbers.PhoneMetadata.metadata_for_region(region)
    return phonenumbers


@lru_cache(maxsize=512)
def _valid(written: str, region: str | None) -> bool:
    plans = _plans()
    try:
        return bool(plans.is_valid_number(plans.parse(written, region)))
    except plans.NumberParseException:
        return False


@lru_cache(maxsize=512)
def _possible(written: str) -> bool:
    plans = _plans()
    try:
        return bool(plans.is_possible_number(plans.parse(written, None)))
    except plans.NumberParseException:
        return False
