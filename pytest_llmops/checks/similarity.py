"""How alike two texts read, or mean by embeddings, with exact checks of what wording hides: numbers, dates, negation.

Every similarity of wording takes "you cannot" for "you can" and 90 days for 30, so a text that differs there is not
similar, however alike it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_llmops.checks import similarity_words as words
from pytest_llmops.checks.embeddings import Embedder, cosine
from pytest_llmops.checks.question import short_hash
from pytest_llmops.checks.score import Measured

_BEGIN = rf"(?:\b|(?<=[{words.UNSPACED}]))"
_END = rf"(?:\b|(?=[{words.UNSPACED}]))"
_ISO = re.compile(rf"{_BEGIN}(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_END}")
_NUMERIC = re.compile(rf"{_BEGIN}(\d{{1,2}})[-/.](\d{{1,2}})[-/.](\d{{4}}|\d{{2}}){_END}")
_DAY_MONTH = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.|er|º)?\s+(?:of\s+|de\s+)?({words.MONTH})\b\.?,?(?:\s+(?:de\s+|del\s+)?(\d{{4}}))?"
)
_MONTH_DAY = re.compile(rf"\b({words.MONTH})\b\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d)(?:,?\s+(\d{{4}}))?")
_EAST = re.compile(r"(?:(\d{4})\s*[年년]\s*)?(\d{1,2})\s*[月월]\s*(\d{1,2})\s*[日号號일]")
_CLOCK = re.compile(rf"{_BEGIN}(\d{{1,2}}):(\d{{2}})(?::\d{{2}})?\s*(am|pm|a\.m\.|p\.m\.)?")
_NUMBER = re.compile(
    rf"(?P<before>(?:r\$|[$€£¥₹₫₩])\s?)?(?:(?<![\w.,])|(?<=[{words.UNSPACED}]))"
    r"(?P<number>[-−]?\d+(?:[.,'’\u00a0\u202f]\d+)*)\s?(?P<after>%|[$€£¥₹₫₩]|-?[^\W\d_]+)?"
)


class Similarity(Measured):
    """0..1; 0 where a number, a date or a negation of the other text is contradicted or missing.

    Args:
        lexical: how alike the two read, whatever they say.
        semantic: how alike their embeddings are, whatever they say; None where it was not asked for.
        conflicts: what they say differently.
        definition: hash of the embeddings' model; None without.
    """

    lexical: float
    semantic: float | None
    conflicts: tuple[str, ...]
    definition: str | None


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its possible readings (1.000 is one or a thousand) and its unit, where one was recognised."""

    shown: str
    values: frozenset[float]
    unit: str | None = None

    def agrees(self, other: Number) -> bool:
        """Whether both can mean the same."""
        units = {self.unit, other.unit}
        return bool(self.values & other.values) and (None in units or len(units) == 1)


@dataclass(frozen=True, slots=True)
class Date:
    """A date with its possible readings (3/4 is in March or April); the year may be missing."""

    shown: str
    readings: frozenset[tuple[int | None, int, int]]

    def agrees(self, other: Date) -> bool:
        """Whether both can mean the same day."""
        return any(
            a[1:] == b[1:] and (a[0] == b[0] or None in (a[0], b[0])) for a in self.readings for b in other.readings
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a text must not differ."""

    dates: tuple[Date, ...]
    numbers: tuple[Number, ...]
    negations: tuple[str, ...]
    plain: frozenset[str]


def similarity(text: str, other: str, embedder: Embedder | None = None) -> Similarity:
    """How similar `text` is to `other`, the text it should resemble.

    Numbers and dates of `other` must be in `text`; it may have more of them. Negations must be as many in both.

    Args:
        text: an answer.
        other: what it should be like.
        embedder: measures by meaning in place of wording.

    Raises:
        JudgeError: the embedder failed.
    """
    __tracebackhide__ = True
    from rapidfuzz import fuzz, utils

    a, b = utils.default_process(text), utils.default_process(other)
    lexical = (
        max(fuzz.ratio(a, b), fuzz.token_sort_ratio(a, b)) / 100 if a or b else float(text.strip() == other.strip())
    )
    found = conflicts(text, other)
    semantic = None if embedder is None else _semantic(text, other, embedder)
    alike = lexical if semantic is None else semantic
    how = f"reads {lexical:.0%} alike" + ("" if semantic is None else f" and means {semantic:.0%} alike")
    score = Similarity(
        0.0 if found else alike,
        name="similarity" if embedder is None else "semantic_similarity",
        text=text,
        reason=how + (f", but {'; '.join(found)}" if found else ""),
    )
    score.lexical, score.semantic, score.conflicts = lexical, semantic, tuple(found)
    score.definition = None if embedder is None else short_hash(["semantic_similarity", embedder.model], 6)
    return score


def _semantic(text: str, other: str, embedder: Embedder) -> float:
    """The cosine; below 0 is 0. An empty text means nothing, and endpoints refuse it."""
    __tracebackhide__ = True
    if not text.strip() or not other.strip():
        return float(text.strip() == other.strip())
    return max(0.0, cosine(embedder.embed(text), embedder.embed(other)))


def conflicts(text: str, other: str) -> list[str]:
    """What `text` says differently from `other`."""
    here, there = facts(text), facts(other)
    found = []
    for kind, mine, theirs in (("date", here.dates, there.dates), ("number", here.numbers, there.numbers)):
        missing = _missing(theirs, mine)
        if missing:
            extra = _missing(mine, theirs)
            instead = f", it says {', '.join(extra)}" if extra else ""
            found.append(f"the {kind} {', '.join(missing)} is missing{instead}")
    flips = list(_flips(here.plain, there.plain))
    counts = len(here.negations), len(there.negations)
    # "not forbidden" for "allowed" is two differences that make none.
    if (counts[0] != counts[1]) != bool(flips):
        if flips:
            found.append(f"it says {flips[0][0]!r} for {flips[0][1]!r}")
        else:
            more, side = (here, "it") if counts[0] > counts[1] else (there, "the other text")
            found.append(f"only {side} negates ({', '.join(dict.fromkeys(more.negations))})")
    return found


def _missing(wanted: Sequence[Number] | Sequence[Date], given: Sequence[Number] | Sequence[Date]) -> list[str]:
    rest: list[Number | Date] = list(given)
    missing = []
    for one in wanted:
        match = next((other for other in rest if type(other) is type(one) and one.agrees(other)), None)  # type: ignore[arg-type]
        if match is not None:
            continue  # said once is said, however often the other text repeats it
        missing.append(one.shown)
    return list(dict.fromkeys(missing))


def _flips(here: frozenset[str], there: frozenset[str]) -> Iterable[tuple[str, str]]:
    for mine, theirs in ((here, there), (there, here)):
        for word in sorted(mine - theirs):
            for prefix in words.NEGATIVE_PREFIXES:
                stem = word.removeprefix(prefix).lstrip("-")
                if stem != word and len(stem) > 3 and stem in theirs and stem not in mine:
                    yield (word, stem) if mine is here else (stem, word)
    for positive, negative in words.OPPOSITES:
        sides = [(_starting(plain, positive), _starting(plain, negative)) for plain in (here, there)]
        (good, bad), (other_good, other_bad) = sides
        if good and not bad and other_bad and not other_good:
            yield good, other_bad
        if bad and not good and other_good and not other_bad:
            yield bad, other_good


def _starting(plain: frozenset[str], stems: Sequence[str]) -> str | None:
    return next((word for word in sorted(plain) if word.startswith(tuple(stems))), None)


def facts(text: str) -> Facts:
    """Numbers, dates and negations of a text."""
    lowered = text.lower().replace("’", "'")
    dates: list[Date] = []

    def dated(match: re.Match[str], *readings: tuple[int | None, int, int]) -> str:
        valid = frozenset(r for r in readings if 1 <= r[1] <= 12 and 1 <= r[2] <= 31)
        if not valid:
            return match.group()
        dates.append(Date(match.group().strip(), valid))
        return " ; "

    def year(digits: str | None) -> int | None:
        return None if not digits else int(digits) + (2000 if len(digits) == 2 else 0)

    rest = _ISO.sub(lambda m: dated(m, (int(m[1]), int(m[2]), int(m[3]))), lowered)
    rest = _EAST.sub(lambda m: dated(m, (year(m[1]), int(m[2]), int(m[3]))), rest)
    rest = _NUMERIC.sub(
        lambda m: dated(m, (year(m[3]), int(m[1]), int(m[2])), (year(m[3]), int(m[2]), int(m[1]))), rest
    )
    rest = _DAY_MONTH.sub(lambda m: dated(m, (year(m[3]), words.month(m[2]), int(m[1]))), rest)
    rest = _MONTH_DAY.sub(lambda m: dated(m, (year(m[3]), words.month(m[1]), int(m[2]))), rest)
    numbers: list[Number] = []

    def clock(match: re.Match[str]) -> str:
        hour = int(match[1]) % 12 + 12 * (match[3][0] == "p") if match[3] else int(match[1])
        numbers.append(Number(match.group().strip(), frozenset({hour * 60.0 + int(match[2])}), "clock"))
        return " ; "

    rest = words.NUMBER_WORD.sub(lambda m: words.spelled(m.group()), _CLOCK.sub(clock, rest))
    for match in _NUMBER.finditer(rest):
        symbol = (match["before"] or "").strip() or match["after"] or ""
        symbol = words.unit_at_start(symbol.lstrip("-"))
        unit = words.unit(symbol)
        shown = match["number"] + (f" {symbol}" if unit else "")
        numbers.append(Number(shown, _values(match["number"]), unit))
    plain = frozenset(re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", lowered))
    return Facts(tuple(dates), tuple(numbers), tuple(words.negations(lowered)), plain)


def _values(number: str) -> frozenset[float]:
    """Readings of digits with separators: 1,234.5 and 1.234,5; a lone separator before three digits is either."""
    sign = -1.0 if number[0] in "-−" else 1.0
    digits = re.sub(r"['’\u00a0\u202f]", "", number.lstrip("-−"))
    readings = set()
    for thousands, decimal in ((",", "."), (".", ",")):
        whole, _, fraction = digits.replace(thousands, "").partition(decimal)
        well_formed = all(len(part) == 3 for part in digits.partition(decimal)[0].split(thousands)[1:])
        if well_formed and decimal not in fraction and thousands not in digits.partition(decimal)[2]:
            readings.add(sign * float(f"{whole}.{fraction or 0}"))
    return frozenset(readings) or frozenset({sign * float(re.sub(r"\D", "", digits))})
