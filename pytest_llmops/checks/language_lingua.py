"""Which language a text is written in, by lingua: better on few words, and larger and slower than py3langid."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_llmops.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from lingua import LanguageDetector


def classify(text: str, possible: tuple[str, ...]) -> tuple[str, float]:
    """(code, 0..1) of the likeliest of the languages.

    Raises:
        SettingsError: lingua is not installed, or does not know one of the languages.
    """
    detector = _detector(possible)
    if detector is None:
        return possible[0], 1.0
    best = detector.compute_language_confidence_values(text)[0]
    return str(best.language.iso_code_639_1.name).lower(), float(best.value)


@lru_cache(maxsize=8)
def _detector(possible: tuple[str, ...]) -> LanguageDetector | None:
    """None where there is nothing to choose from."""
    try:
        from lingua import IsoCode639_1, Language, LanguageDetectorBuilder
    except ImportError:
        raise SettingsError(
            "language_detector = \"lingua\" needs the extra: pip install 'pytest-llmops[lingua]'. "
            "Without that setting py3langid is used, which is installed."
        ) from None
    known = {language.iso_code_639_1.name.lower() for language in Language.all()}
    unknown = [code for code in possible if code not in known]
    if unknown:
        raise SettingsError(f"language {unknown[0]!r} is unknown to lingua.{did_you_mean(unknown[0], known)}")
    if len(possible) == 1:
        return None
    codes = [IsoCode639_1.from_str(code.upper()) for code in possible]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()
