"""Which language a text is written in, offline."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from pytest_llmops.checks import iberian
from pytest_llmops.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

Detector = Literal["py3langid", "lingua"]
DEFAULT_LANGUAGES = ("pt", "en", "es", "fr", "de", "it", "vi", "zh", "ja", "ar")
UNDETERMINED = "und"
ENOUGH_WORDS = 4

# Where only one of a project's languages is written in a script, the script decides, however short the text is.
_SCRIPTS: dict[str, frozenset[str]] = {
    "ARABIC": frozenset({"ar", "fa", "ur", "ps", "ug"}),
    "CYRILLIC": frozenset({"ru", "uk", "bg", "sr", "mk", "be", "kk", "mn", "ky"}),
    "DEVANAGARI": frozenset({"hi", "mr", "ne"}),
    "HEBREW": frozenset({"he"}),
    "GREEK": frozenset({"el"}),
    "HANGUL": frozenset({"ko"}),
    "THAI": frozenset({"th"}),
    "HIRAGANA": frozenset({"ja"}),
    "KATAKANA": frozenset({"ja"}),
    "CJK": frozenset({"zh", "ja"}),
}
_IBERIAN = frozenset({"pt", "es"})
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL"})
_CJK_WEIGHT = 3
"""Letters that one character of these scripts stands for, where a text mixes them with Latin names and commands."""
_HAN_SURE = 0.85
"""How sure the model must be of Chinese or Japanese where the characters are common to both."""

_NO_LANGUAGE = re.compile(
    r"https?://\S+|\S+@\S+|</?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>\n]*)?/?>|\{[^{}\n]{0,40}\}|%\(?\w*\)?[sd]\b|`[^`\n]*`|[\d_#*]+"
)

_WORD = re.compile(r"[^\W\d_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class LanguageResult:
    """A text's language.

    Args:
        code: BCP 47, such as ``pt`` or ``pt-BR``; ``und`` where it cannot be told.
        source: ``script`` and ``model`` were read from the text, ``declared`` is what the caller said, a ``judge`` was
            asked, ``none`` is for ``und``.
        confidence: 0..1; 1 where declared or told by the script.
    """

    code: str
    source: Literal["script", "model", "declared", "judge", "none"]
    confidence: float


def detect(
    text: str,
    languages: Sequence[str] = DEFAULT_LANGUAGES,
    *,
    declared: str | None = None,
    detector: Detector = "py3langid",
) -> LanguageResult:
    """Tell a text's language among those of the project.

    Regions cannot be told from a text: with ``declared="pt-BR"`` a Portuguese text is ``pt-BR``.

    Args:
        text: what was written; addresses, placeholders and numbers in it do not count.
        languages: BCP 47 codes of what it may be.
        declared: what to take where the text is too short to tell, or tells only the language and not its region;
            another language that the text clearly is in goes before it.
        detector: ``lingua`` is an extra.

    Raises:
        SettingsError: no languages, one that the model does not know, or a detector that is not installed.
    """
    possible = tuple(sorted({code.partition("-")[0].lower() for code in languages}))
    if not possible:
        raise SettingsError("language detection needs at least one language to choose from.")
    found = _found(text, possible, detector)
    if declared and found.code in (UNDETERMINED, declared.partition("-")[0].lower()):
        return LanguageResult(declared, "declared", 1.0)
    return found


def _found(text: str, possible: tuple[str, ...], detector: Detector) -> LanguageResult:
    plain = " ".join(_NO_LANGUAGE.sub(" ", text).split())
    by_script = _by_script(plain, frozenset(possible))
    if by_script:
        return LanguageResult(
            by_script, "script" if by_script != UNDETERMINED else "none", float(by_script != UNDETERMINED)
        )
    # A number counts as a word of "3 files were deleted", but not three of "a 1 2 3".
    words = len(text.split()) + len(_UNSPACED.findall(plain))
    if words < ENOUGH_WORDS or len(_WORD.findall(plain)) < ENOUGH_WORDS / 2:
        return LanguageResult(UNDETERMINED, "none", 0.0)
    if detector == "lingua":
        from pytest_llmops.checks import language_lingua

        code, confidence = language_lingua.classify(plain, possible)
    else:
        code, confidence = _model(possible).classify(plain)
    if code in _IBERIAN and _IBERIAN.issubset(possible):
        code = iberian.sooner(plain, str(code))
    return LanguageResult(str(code), "model", float(confidence))


def _by_script(text: str, possible: frozenset[str]) -> str | None:
    """The language that the text's script decides, ``und`` where none is written in it; None where it does not say."""
    counts: dict[str, int] = {}
    for character in text:
        if character.isalpha():
            script = _script(character)
            counts[script] = counts.get(script, 0) + (_CJK_WEIGHT if script in _EAST_ASIAN else 1)
    letters = sum(counts.values())
    han, kana = counts.get("CJK", 0), counts.get("HIRAGANA", 0) + counts.get("KATAKANA", 0)
    if kana + han > letters / 2 and not possible.isdisjoint(_SCRIPTS["CJK"]):
        if kana and "ja" in possible:
            return "ja"
        return _han(text) if possible >= _SCRIPTS["CJK"] else next(iter(_SCRIPTS["CJK"] & possible))
    for script, count in counts.items():
        if count > letters / 2 and script in _SCRIPTS:
            candidates = _SCRIPTS[script] & possible
            return None if len(candidates) > 1 else next(iter(candidates), UNDETERMINED)
    return None


def _han(text: str) -> str:
    """Chinese or Japanese, of Han characters only: by the national character sets they stand in, else by the model."""
    han = "".join(c for c in text if _script(c) == "CJK")
    simplified, traditional, japanese = (_encodable(han, charset) for charset in ("gb2312", "big5", "shift_jis"))
    if japanese and not simplified and not traditional:
        return "ja"
    if not japanese and (simplified or traditional):
        return "zh"
    if not simplified or len(han) < ENOUGH_WORDS:  # 利用規約 is Japanese as much as traditional Chinese
        return UNDETERMINED
    code, confidence = _model(("ja", "zh")).classify(han)
    return str(code) if confidence >= _HAN_SURE else UNDETERMINED


def _encodable(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=4096)
def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


@lru_cache(maxsize=8)
def _model(possible: tuple[str, ...]) -> LanguageIdentifier:
    # An identifier of our own: set_languages() on the package's would change other people's answers.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    unknown = [code for code in possible if code not in identifier.labels]
    if unknown:
        raise SettingsError(f"language {unknown[0]!r} is unknown.{did_you_mean(unknown[0], identifier.labels)}")
    identifier.set_languages(possible)
    return identifier
