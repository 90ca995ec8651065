"""What can be said of a text's style without a model: length, readability, shouting, phrases. Not its tone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$)|[。！？]|\n\s*\n|$")
_VOWELS = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿąęаеёиоуыэюя]+")
_SHOUTED = re.compile(r"[!！]{2,}|[?？!！]{3,}")
_ACRONYM = 4
"""Letters up to which a word in capitals is taken for an abbreviation."""

# Flesch's reading ease for each language: constant, per word of a sentence, per syllable of a word.
# Flesch 1948; Amstad 1978; Kandel & Moles 1958; Fernández Huerta 1959; Franchina & Vacca 1972; Douma 1960;
# Martins et al. 1996; Oborneva 2005.
_READING_EASE: Mapping[str, tuple[float, float, float]] = {
    "en": (206.835, 1.015, 84.6),
    "de": (180.0, 1.0, 58.5),
    "fr": (207.0, 1.015, 73.6),
    "es": (206.84, 1.02, 60.0),
    "it": (206.0, 1.0, 65.0),
    "nl": (206.84, 0.93, 77.0),
    "pt": (248.835, 1.015, 84.6),
    "ru": (206.835, 1.3, 60.1),
}


@dataclass(frozen=True, slots=True)
class Style:
    """The measures of a text.

    Args:
        characters: without white space around.
        words: of Chinese and Japanese, characters.
        sentences: at least 1 where there are words.
        language: code, ``und`` where it cannot be told.
        readability: reading ease by the language's own formula, about 0 (hard) to 100 (easy); None where there is no
            formula or less than five words.
        shouting: share of longer words in capitals, 0..1; 1 with several exclamation marks in a row.
    """

    text: str
    characters: int
    words: int
    sentences: int
    language: str
    readability: float | None
    shouting: float

    def missing(self, phrases: Iterable[str]) -> list[str]:
        """Those of the required phrases that are not in the text, in any case and spacing."""
        plain = _plain(self.text)
        return [phrase for phrase in phrases if _plain(phrase) not in plain]

    def found(self, phrases: Iterable[str]) -> list[str]:
        """Those of the forbidden phrases that are in the text, as whole words."""
        plain = _plain(self.text)
        return [phrase for phrase in phrases if re.search(_whole(_plain(phrase)), plain)]


def style(text: str, language: str | None = None) -> Style:
    """Measure a text's style.

    Args:
        text: any.
        language: its code, such as ``de``; told from the text by default.
    """
    if language is None:
        from pytest_llmops.checks.language import DEFAULT_LANGUAGES, detect

        language = detect(text, (*DEFAULT_LANGUAGES, *_READING_EASE)).code
    words = _WORD.findall(text)
    count = len(words) if not _CJK.search(text) else sum(len(_CJK.findall(word)) or 1 for word in words)
    sentences = max(1, sum(bool(_WORD.search(part)) for part in _SENTENCE_END.split(text))) if words else 0
    return Style(
        text=text,
        characters=len(text.strip()),
        words=count,
        sentences=sentences,
        language=language,
        readability=_reading_ease(words, sentences, language.partition("-")[0]),
        shouting=_shouting(text, words),
    )


def _reading_ease(words: list[str], sentences: int, language: str) -> float | None:
    if language not in _READING_EASE or len(words) < 5:
        return None
    constant, by_length, by_syllables = _READING_EASE[language]
    syllables = sum(_syllables(word.lower(), language) for word in words)
    return round(constant - by_length * len(words) / sentences - by_syllables * syllables / len(words), 1)


def _syllables(word: str, language: str) -> int:
    if language == "en" and len(word) > 3:  # silent: "make", "asked", "times", yet "table", "wanted", "boxes"
        word = re.sub(r"(?<![aeiouyl])e$|(?<![aeiouytd])ed$|(?<=[^aeiouyszxlh])es$", "", word)
    return max(1, len(_VOWELS.findall(word)))


def _shouting(text: str, words: list[str]) -> float:
    if _SHOUTED.search(text):
        return 1.0
    longer = [word for word in words if len(word) > _ACRONYM and word.lower() != word.upper()]
    return sum(word.isupper() for word in longer) / len(longer) if longer else 0.0


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("’", "'").split())


def _whole(phrase: str) -> str:
    return rf"(?<!\w){re.escape(phrase)}(?!\w)" if not _CJK.search(phrase) else re.escape(phrase)
