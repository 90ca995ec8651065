"""Words that decide what a text says: months, spelled numbers, units, negations, opposites; in several languages."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MONTHS = (
    ("jan", "janeiro", "enero", "ene", "gennaio", "janvier"),
    ("feb", "fév", "fev", "febrero"),
    ("mar", "mär", "maart", "mrz"),
    ("apr", "avr", "abr"),
    ("may", "mai", "mayo", "maio", "mei", "maggio"),
    ("jun", "juin", "giu"),
    ("jul", "juil", "lug"),
    ("aug", "aoû", "ago"),
    ("sep", "set"),
    ("oct", "okt", "out", "ott"),
    ("nov",),
    ("dec", "dez", "déc", "dic"),
)
_MONTH_NAMES = """
    january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec
    januar februar märz mai juni juli oktober dezember jänner
    janvier février mars avril juin juillet août septembre octobre novembre décembre
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    janeiro fevereiro março maio junho julho setembro outubro novembro dezembro
    gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
    januari februari maart mei augustus
""".split()  # noqa: SIM905 - a list of words reads worse
MONTH = "|".join(sorted(set(_MONTH_NAMES), key=len, reverse=True))
"""Alternatives of a regular expression."""


UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Characters of scripts that put no space between words and numbers: Thai, Japanese, Chinese, Korean."""


def month(name: str) -> int:
    """Number of a month by its name, 1..12."""
    best = max(
        (len(prefix), number) for number, row in enumerate(_MONTHS, 1) for prefix in row if name.startswith(prefix)
    )
    return best[1]


# "One" is mostly an article, and some numbers are other words elsewhere ("once", "due", "elf"): they are left out.
_SPELLED = {
    word: value
    for value, row in {
        2: "two zwei deux dos dois duas twee",
        3: "three drei trois tres três tre drie",
        4: "four vier quatre cuatro quatro quattro",
        5: "five fünf cinq cinco cinque vijf",
        6: "six sechs seis zes",
        7: "seven sieben sept siete sete sette zeven",
        8: "eight acht huit ocho oito otto",
        9: "nine neun neuf nueve nove negen",
        10: "ten zehn dix diez dez dieci tien",
        11: "eleven onze undici",
        12: "twelve zwölf douze doce doze dodici twaalf",
        13: "thirteen dreizehn treize trece treze",
        14: "fourteen vierzehn quatorze catorce catorze quattordici veertien",
        15: "fifteen fünfzehn quinze quince quindici vijftien",
        16: "sixteen sechzehn",
        17: "seventeen siebzehn",
        18: "eighteen achtzehn",
        19: "nineteen neunzehn",
        20: "twenty zwanzig vingt veinte vinte venti twintig",
        30: "thirty dreißig trente treinta trinta trenta dertig",
        40: "forty vierzig quarante cuarenta quarenta quaranta veertig",
        50: "fifty fünfzig cinquante cincuenta cinquenta cinquanta vijftig",
        60: "sixty sechzig soixante sesenta sessenta sessanta zestig",
        70: "seventy siebzig setenta settanta zeventig",
        80: "eighty achtzig ochenta oitenta ottanta tachtig",
        90: "ninety neunzig noventa novanta negentig",
        100: "hundred hundert cent cien cem cento honderd",
        1000: "thousand tausend mille mil duizend",
    }.items()
    for word in row.split()
}
_TENS = "|".join(word for word, value in _SPELLED.items() if 20 <= value <= 90)
_ONES = "|".join(["one", *(word for word, value in _SPELLED.items() if value < 10)])
_ANY = "|".join(sorted(_SPELLED, key=len, reverse=True))
NUMBER_WORD = re.compile(rf"\b(?:(?:{_TENS})[- ](?:{_ONES})|{_ANY})\b")
"""A number written as a word, up to 99 and the round ones."""


def spelled(phrase: str) -> str:
    """Digits of what `NUMBER_WORD` found."""
    return str(sum(1 if word == "one" else _SPELLED[word] for word in re.split(r"[- ]", phrase)))


_UNITS: tuple[tuple[str, str], ...] = (
    ("second", r"s|secs?|seconds?|sekunden?|secondes?|segundos?|secondi|giây|秒|초"),
    ("minute", r"mins?|minutes?|minuten?|minutos?|minuti|phút|分钟?|分鐘|분"),
    ("hour", r"h|hrs?|hours?|stunden?|heures?|horas?|ore|uur|uren|giờ|tiếng|小时|小時|時間|시간"),
    ("day", r"days?|tage?n?|jours?|d[ií]as?|giorni|giorno|dage?n?|ngày|天|日|일"),
    ("week", r"weeks?|wochen?|semaines?|semanas?|settiman[ae]|weken|tuần|周|週間?|个?星期|個?星期|주"),
    ("month", r"months?|monate?n?|mois|mes(?:es)?|m[eê]s|mesi|maand(?:en)?|tháng|个月|個月|[かヶ]月|개월"),
    ("year", r"years?|jahre?n?|ans?|ann[ée]es?|años?|anos?|anni|anno|jaar|jaren|năm|年|년"),
    ("%", r"%|percent|prozent|pour|por|percento"),
    ("EUR", r"€|eur|euros?"),
    ("USD", r"\$|usd|dollars?|d[oó]lare?s"),
    ("GBP", r"£|gbp|pounds?"),
    ("BRL", r"r\$|brl|reais|real"),
    ("VND", r"₫|đ|vnd|đồng"),
    ("CNY", r"元|块|塊|人民币|cny|rmb"),
    ("JPY", r"円|jpy|yen"),
    ("KRW", r"₩|원|krw|won"),
    ("m", r"m|met(?:er|re)s?|metros?"),
    ("km", r"km|kilomet(?:er|re)s?"),
    ("kg", r"kg|kilos?|kilograms?"),
    ("g", r"g|grams?|gramm"),
    ("mg", r"mg|milligrams?"),
    ("ml", r"ml|millilit(?:er|re)s?"),
)
_OF_UNSPACED = re.compile(rf"[{UNSPACED}]+")
_UNIT_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in _UNITS)


def unit(word: str) -> str | None:
    """A unit by any of its names; None where it is none."""
    return next((name for name, pattern in _UNIT_PATTERNS if pattern.fullmatch(word)), None)


def unit_at_start(word: str) -> str:
    """The part of a word that is its unit: what follows it stands without a space in some scripts."""
    if not _OF_UNSPACED.match(word):
        return word
    return next((word[:length] for length in range(min(len(word), 3), 0, -1) if unit(word[:length])), word)


_IDIOMS = re.compile(
    r"\b(?:not only|no (?:problem|worries|doubt|matter)|(?:do not|don't) (?:hesitate|worry)|"
    r"without (?:delay|hesitation)"
    r"|whether or not|nothing but|last but not least|nicht nur|kein problem|keine sorge|non seulement"
    r"|pas de (?:problème|souci)|n'hésitez pas|no s[oó]lo|no dude|não s[oó]|não hesite|non solo|niet alleen"
    r"|không (?:chỉ|những|sao|vấn đề)|đừng (?:ngại|ngần ngại|lo)|đừng do dự)\b|không\s*\?"
)
_NEGATORS = re.compile(
    r"\b\w+n't\b|\bcannot\b|\bcant\b|\bnot\b|\bnever\b|\bnone\b|\bneither\b|\bnobody\b|\bnothing\b|\bnowhere\b|\bwithout\b"
    r"|\bunable\b|\bimpossible\b|\bno longer\b"
    r"|\bnicht\b|\bkein\w{0,2}\b|\bnie(?:mals|mand)?\b|\bnichts\b|\bohne\b|\bweder\b|\bunmöglich\b"
    r"|\bpas\b|\bjamais\b|\baucune?\b|\bsans\b|\brien\b"
    r"|\bnunca\b|\bjamás\b|\bning[uú]n\w*\b|\bsin\b|\btampoco\b|\bnão\b|\bnenhum\w*\b|\bsem\b|\bimposible\b|\bimpossível\b"
    r"|\bnon\b(?!-)|\bnessun\w*\b|\bsenza\b|\bniet\b|\bgeen\b|\bnooit\b|\bzonder\b|\binte\b|\bikke\b|\bingen\b"
    r"|\bне\b|\bнет\b|\bнельзя\b|\bбез\b|\bникогда\b|\bليس\b|\bلا\b|\bلم\b|\bلن\b"
    r"|\bkhông\b|\bchưa\b|\bchẳng\b|\bđừng\b"
    r"|不|没有|沒有|無法|无法|未|ない|ません|않|없|못|नहीं"
)
_NO = re.compile(r"\bno\b(?!\.)")
_PORTUGUESE = re.compile(r"[ãõ]|\b(?:você|uma|são|é|em|ao|dos|das)\b")


def negations(lowered: str) -> Iterator[str]:
    """The words of a lower-case text that negate, idioms left out."""
    text = _IDIOMS.sub(" ", lowered)
    yield from (match.group() for match in _NEGATORS.finditer(text))
    if not _PORTUGUESE.search(text):  # there it is "in the"
        yield from (match.group() for match in _NO.finditer(text))


NEGATIVE_PREFIXES = ("un", "in", "im", "ir", "il", "non", "dis", "nicht", "des")

OPPOSITES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("allowed", "permitted", "erlaubt", "permitid", "autorisé"),
        ("forbidden", "prohibited", "banned", "verboten", "prohibid", "proibid", "interdit"),
    ),
    (("accept", "approv", "granted"), ("reject", "declin", "denied", "refus")),
    (("includ",), ("exclud",)),
    (("increas",), ("decreas", "reduc")),
    (("before", "antes"), ("after", "nachher", "después", "depois", "après")),
    (("above", "at least"), ("below",)),
    (("enable",), ("disable",)),
    (("succeed", "success"), ("fail",)),
)
"""Stems of words that say the opposite of each other."""
