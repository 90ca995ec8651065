"""National and bank identifiers as a table: how each looks, what it is called, and which checksum it has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

from pytest_llmops.checks.guardrails.outcome import Span


@dataclass(frozen=True, slots=True)
class Identifier:
    """One kind of number.

    Args:
        pattern: how it is written in full.
        checksum: python-stdnum's module below ``stdnum.``; empty where there is none.
        labels: its names in texts, as alternatives of a regular expression; a number right after one counts
            whatever its check digits are.
        loose: how it may be written after its label; default `pattern`.
        alone: when it counts without label: ``checksum`` (it must hold), ``shape`` (as written it is nothing else,
            mistyped or not), or ``never``.
    """

    type: str
    pattern: str
    checksum: str = ""
    labels: str = ""
    loose: str = ""
    alone: str = "never"


def _digits(low: int, high: int) -> str:
    """That many digits, single separators between them."""
    return rf"\d(?:[ .\-/]?\d){{{low - 1},{high - 1}}}"


IDENTIFIERS: tuple[Identifier, ...] = (
    Identifier(
        "cpf",
        r"\d{3}\.\d{3}\.\d{3}-\d{2}|\d{9}-\d{2}",
        "br.cpf",
        r"cpf(?:/mf)?|cadastro de pessoas? f[ií]sicas?",
        loose=_digits(10, 12),
        alone="shape",
    ),
    Identifier("cpf", r"\d{11}|\d{3} \d{3} \d{3} \d{2}", "br.cpf", alone="checksum"),
    Identifier(
        "cnpj",
        r"[\dA-Z]{2}\.[\dA-Z]{3}\.[\dA-Z]{3}/[\dA-Z]{4}-\d{2}|\d{8}/\d{4}-\d{2}",
        "br.cnpj",
        r"cnpj(?:/mf)?|cadastro nacional d[ae] pessoas? jur[ií]dicas?",
        loose=r"[\dA-Z]{2}\.?[\dA-Z]{3}\.?[\dA-Z]{3}[/ ]?[\dA-Z]{4}[- ]?\d{2}|" + _digits(13, 15),
        alone="shape",
    ),
    # as a timestamp, 20240131235959 would pass one time in a hundred
    Identifier("cnpj", r"(?!(?:19|20)\d\d[01]\d[0-3]\d[0-2]\d)\d{14}", "br.cnpj", alone="checksum"),
    Identifier(
        "rg", r"\d{1,2}\.\d{3}\.\d{3}-[\dXx]", labels=r"rg|registro geral|carteira de identidade", alone="shape"
    ),
    Identifier(
        "pis", r"\d{3}\.\d{5}\.\d{2}-\d", labels=r"pis(?:/pasep)?|nis|nit", loose=_digits(11, 11), alone="shape"
    ),
    Identifier(
        "ssn",
        r"\d{3}-\d{2}-\d{4}",
        "us.ssn",
        r"ssns?|social[ -]security(?: (?:number|no|num|#))?|social sec|soc sec|"
        r"n[uú]mero d[eo] seguro social|seguro social|seguridad social",
        loose=_digits(9, 9),
        alone="checksum",
    ),
    Identifier("itin", r"9\d{2}-\d{2}-\d{4}", "us.itin", r"itin", loose=_digits(9, 9), alone="checksum"),
    Identifier("ein", r"\d{2}-\d{7}", "us.ein", r"ein|employer identification(?: number)?"),
    Identifier(
        "sin",
        r"\d{3}[ -]\d{3}[ -]\d{3}",
        "ca.sin",
        r"social insurance(?: number)?|sin(?= (?:number|no\b|#)|:)",
        loose=_digits(9, 9),
    ),
    Identifier("nhs", r"\d{3} \d{3} \d{4}", "gb.nhs", r"nhs(?: (?:number|no|num))?", loose=_digits(10, 10)),
    Identifier(
        "nino",
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]",
        labels=r"nino|ni number|national insurance(?: (?:number|no))?",
        loose=r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-Z]",
        alone="shape",
    ),
    Identifier(
        "nir",
        r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}",
        "fr.nir",
        r"num[eé]ro de s[eé]curit[eé] sociale|s[eé]curit[eé] sociale|n[°o] ?s[eé]cu|nir",
        loose=_digits(13, 15),
        alone="checksum",
    ),
    Identifier(
        "codice_fiscale",
        r"[A-Z]{6}[\dLMNP-V]{2}[A-EHLMPR-T][\dLMNP-V]{2}[A-Z][\dLMNP-V]{3}[A-Z]",
        "it.codicefiscale",
        r"codice fiscale|cod\.? fisc\.?",
        alone="shape",
    ),
    Identifier("dni", r"\d{8}[- ]?[A-HJ-NP-TV-Z]", "es.dni", r"dni|nif", alone="checksum"),
    Identifier(
        "dni",
        r"\d{1,2}\.\d{3}\.\d{3}",
        labels=r"dni|documento(?: nacional)? de identidad|c[eé]dula(?: de \w+)?",
        loose=_digits(7, 10) + "[- ]?[A-Z]?",
    ),
    Identifier("nie", r"[XYZ][- ]?\d{7}[- ]?[A-HJ-NP-TV-Z]", "es.nie", r"nie", alone="checksum"),
    Identifier("nif", _digits(9, 9), "pt.nif", r"nif|n[uú]mero de contribuinte|contribuinte"),
    Identifier(
        "steuer_id",
        r"\d{2} \d{3} \d{3} \d{3}",
        "de.idnr",
        r"steuer-?id(?:nr|entifikationsnummer)?|steueridentifikationsnummer|idnr",
        loose=_digits(11, 11),
    ),
    Identifier("steuernummer", _digits(10, 13), labels=r"steuernummer|st\.?-?nr\.?"),
    Identifier(
        "sozialversicherungsnummer",
        r"\d{2} ?\d{6} ?[A-Z] ?\d{3}",
        labels=r"sozialversicherungsnummer|rentenversicherungsnummer|sv-nummer",
    ),
    Identifier("bsn", r"\d{9}", "nl.bsn", r"bsn|burgerservicenummer", loose=_digits(8, 9)),
    Identifier(
        "nn",
        r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}",
        "be.nn",
        r"rijksregisternummer|num[eé]ro national",
        loose=_digits(11, 11),
        alone="shape",
    ),
    Identifier(
        "ahv",
        r"756\.\d{4}\.\d{4}\.\d{2}",
        "ch.ssn",
        r"ahv(?:-?n(?:umme)?r\.?)?|avs",
        loose=_digits(13, 13),
        alone="shape",
    ),
    Identifier("pesel", r"\d{11}", "pl.pesel", r"pesel"),
    Identifier(
        "personnummer",
        r"(?:\d{2})?\d{2}[01]\d[0-3]\d[-+]\d{4}",
        "se.personnummer",
        r"personnummer",
        loose=_digits(10, 12),
        alone="checksum",
    ),
    Identifier(
        "fodselsnummer",
        r"\d{6} \d{5}",
        "no.fodselsnummer",
        r"f[øo]dselsnummer|personnummer",
        loose=_digits(11, 11),
        alone="checksum",
    ),
    Identifier("cpr", r"\d{6}-\d{4}", "dk.cpr", r"cpr(?:-?n(?:umme)?r\.?)?", loose=_digits(10, 10)),
    Identifier(
        "hetu", r"[0-3]\d[01]\d{3}[-+A]\d{3}[0-9A-FHJ-NPR-Y]", "fi.hetu", r"henkil[öo]tunnus|hetu", alone="checksum"
    ),
    Identifier("curp", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z\d]\d", "mx.curp", r"curp", alone="shape"),
    Identifier("rfc", r"[A-ZÑ&]{3,4}\d{6}[A-Z\d]{3}", "mx.rfc", r"rfc(?! ?\d)"),
    Identifier("cuit", r"\d{2}-\d{8}-\d", "ar.cuit", r"cuit|cuil", loose=_digits(11, 11), alone="checksum"),
    Identifier(
        "rut",
        r"\d{1,2}\.\d{3}\.\d{3}-[\dK]",
        "cl.rut",
        r"rut",
        loose=r"\d{1,2}\.?\d{3}\.?\d{3}-?[\dK]",
        alone="checksum",
    ),
    Identifier("nit", r"\d{3}\.\d{3}\.\d{3}-\d", "co.nit", r"nit", loose=_digits(9, 10)),
    Identifier("ric", r"\d{6}(?:19|20)\d{2}[01]\d[0-3]\d{4}[\dX]", "cn.ric", r"身份证(?:号码?)?", alone="checksum"),
    Identifier("my_number", _digits(12, 12), "jp.in_", r"マイナンバー|個人番号|my number"),
    Identifier("rrn", r"\d{2}[01]\d[0-3]\d-[1-8]\d{6}", "kr.rrn", r"주민등록번호", alone="shape"),
    Identifier("aadhaar", r"\d{4} \d{4} \d{4}", "in_.aadhaar", r"aadhaar(?: (?:number|no))?", loose=_digits(12, 12)),
    Identifier(
        "pan", r"[A-Z]{3}[ABCFGHLJPTK][A-Z]\d{4}[A-Z]", "in_.pan", r"pan(?: (?:number|no|card))?", alone="shape"
    ),
    Identifier("tfn", r"\d{3} \d{3} \d{3}", "au.tfn", r"tfn|tax file number", loose=_digits(8, 9)),
    Identifier("tckn", r"\d{11}", "tr.tckimlik", r"t\.?c\.? ?kimlik(?: no)?|tckn"),
    Identifier(
        "cccd", r"\d{12}", labels=r"cccd|cmnd|c[aă]n c[uư][oớ]c c[oô]ng d[aâ]n|s[oố] cmnd", loose=r"\d{12}|\d{9}"
    ),
    Identifier("mst", r"\d{10}(?:-\d{3})?", "vn.mst", r"m[aã] s[oố] thu[eế](?: c[aá] nh[aâ]n)?"),
    Identifier("national_id", _digits(10, 14), labels=r"رقم الهوية|الرقم القومي|رقم الإقامة|national id(?: number)?"),
    Identifier(
        "passport",
        r"[A-Z]{1,2}\d{6,8}",
        labels=r"passport(?: (?:number|no|num))?|passaporte|pasaporte|passeport|reisepass(?:nummer)?|passaporto|"
        r"h[oộ] chi[eế]u|护照号?码?|護照|パスポート(?:番号)?|جواز(?: ال)?سفر",
        loose=r"(?=(?:[A-Z]*\d){4})[A-Z0-9]{6,10}",
    ),
    Identifier(
        "bank_account",
        _digits(7, 18),
        labels=r"bank account(?: (?:number|no))?|account (?:number|no\.?)|n[uú]mero d[ea] (?:la )?(?:conta|cuenta)|"
        r"conta corrente|cuenta bancaria|kontonummer|num[eé]ro de compte|numero di conto|银行账号",
    ),
)


def gap(longest: int = 40) -> str:
    """Between a label and its number: words, no digit, no end of a sentence (short words may be abbreviations)."""
    return rf"(?:[^\d?!;.\n]|\n(?!\n)|(?<=\b\w)\.|(?<=\b\w\w)\.|(?<=\b\w\w\w)\.){{0,{longest}}}?"


# Not \b: Chinese and Japanese put no space between a word and a number.
BEFORE, AFTER = r"(?<![A-Za-zÀ-ɏ0-9_])", r"(?![A-Za-zÀ-ɏ0-9_])"


@lru_cache(maxsize=1)
def _compiled() -> tuple[tuple[Identifier, re.Pattern[str], re.Pattern[str] | None], ...]:
    rows = []
    for item in IDENTIFIERS:
        if item.checksum:
            _validator(item.checksum)
        shape = re.compile(rf"{BEFORE}(?<![.\-/])(?:{item.pattern}){AFTER}(?![.\-/]\w)", re.IGNORECASE)
        named = None
        if item.labels:
            value = item.loose or item.pattern
            named = re.compile(
                rf"{BEFORE}(?:{item.labels}){AFTER}{gap()}{BEFORE}(?P<value>{value}){AFTER}(?![.,]\d)",
                re.IGNORECASE,
            )
        rows.append((item, shape, named))
    return tuple(rows)


def holds(checksum: str, value: str) -> bool:
    """Whether a number's check digits (and dates, prefixes, lengths) are right."""
    return _validator(checksum)(value)


@lru_cache(maxsize=64)
def _validator(checksum: str) -> Callable[[str], bool]:
    is_valid: Callable[[str], bool] = import_module("stdnum." + checksum).is_valid
    return is_valid


def load() -> None:
    """Compile the table, and load its checksums."""
    _compiled()


def find(text: str) -> Iterator[Span]:
    """Identifiers in a text, overlapping ones included."""
    for item, shape, named in _compiled():
        if item.alone != "never":
            for match in shape.finditer(text):
                right = bool(item.checksum) and holds(item.checksum, match[0])
                if right or item.alone == "shape":
                    yield Span(item.type, *match.span(), 0.95 if right else 0.7)
        if named is not None:
            for match in named.finditer(text):
                yield Span(item.type, *match.span("value"), 0.9)
