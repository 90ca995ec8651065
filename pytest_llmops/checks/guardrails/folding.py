"""Texts made comparable: case and look-alikes folded, and what is hidden in a text brought to light."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote

_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})
# Cyrillic and Greek letters that read as Latin ones
_LOOKALIKES = str.maketrans("аеорсухіјѕԁһӏвнкмтԛԝαορντικυ", "aeopcyxijsdhlbhkmtqwaopvtiku")
_MIXED = re.compile(r"(?<![^\W\d_])(?=[^\W\d_]*[a-z])(?=[^\W\d_]*[\u0370-\u04ff])[^\W\d_]+")  # words of two scripts
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufe00-\ufe0f\U000e0000-\U000e007f]")
_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
_LEET = str.maketrans("013457@$!|", "oieastasil")
_LEET_WORD = re.compile(r"(?<![\w@$])(?=\w*[a-z])(?=[\w@$!|]*[013457@$!|])[\w@$!|]{3,}")
_SPACED = re.compile(
    r"(?<![^\W_])(?:[^\W\d_][ .\-_*]){4,}[^\W\d_](?![^\W_])(?:[ .\-_*]{2,3}(?:[^\W\d_][ "
    r".\-_*])*[^\W\d_](?![^\W_]))*"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]{20,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ \-]?){12,}|(?:\\x[0-9a-fA-F]{2}){8,}")
_MORSE = re.compile(r"(?:[.\-]{1,5}[ /\n]+){8,}[.\-]{1,5}")
_MORSE_LETTERS = {
    ".-": "a", "-...": "b", "-.-.": "c", "-..": "d", ".": "e", "..-.": "f", "--.": "g", "....": "h", "..": "i",
    ".---": "j", "-.-": "k", ".-..": "l", "--": "m", "-.": "n", "---": "o", ".--.": "p", "--.-": "q", ".-.": "r",
    "...": "s", "-": "t", "..-": "u", "...-": "v", ".--": "w", "-..-": "x", "-.--": "y", "--..": "z",
}  # fmt: skip
_ROT13 = str.maketrans("abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm")
# words of attacks, never written with digits otherwise
_TELLING = re.compile(
    r"ignore\w*|instructions?|previous|prompts?|system|bypass\w*|rules?|jailbreak\w*|"
    r"unfiltered|uncensored|restrictions?|"
    r"guidelines|disregard|forget|reveal|password|developer|anything|unethical|illegal"
)
# "ignore", "instructions", "prompt", "system" under rot13 and backwards
_ROT13_SIGN = re.compile(r"\b(?:vtaber|vafgehpgvbaf?|cebzcg|flfgrz|sbetrg)\b")
_BACKWARDS_SIGN = re.compile(r"\b(?:erongi|snoitcurtsni|tpmorp|metsys|tegrof)\b")
_LONGEST = 20_000


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    compatible = unicodedata.normalize("NFKC", character).lower()
    return compatible if len(compatible) == 1 else character


def fold(text: str) -> str:
    """Lower case, plain quotes, compatibility forms; one character for each, so that positions stay."""
    folded = text.lower()
    if len(folded) != len(text):  # "İ" grows
        folded = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    if not folded.isascii():
        folded = "".join(c if c.isascii() else _folded(c) for c in folded)
    return folded.translate(_QUOTES)


def revealed(text: str) -> tuple[str, list[str]]:
    """A text without its disguises (invisible and look-alike characters, entities, leetspeak, spaced letters).

    Returns:
        (folded text, the disguises that were in use); without any, what `fold` returns.
    """
    used = []
    visible = _INVISIBLE.sub("", text)
    if len(visible) != len(text):
        used.append("invisible characters")
    if "&" in visible and (unescaped := html.unescape(visible)) != visible:
        used.append("HTML entities")
        visible = unescaped
    if visible.count("%") >= 4 and (unquoted := unquote(visible)) != visible:
        used.append("percent encoding")
        visible = unquoted
    folded = fold(visible)
    if not folded.isascii() and _MIXED.search(folded):
        used.append("look-alike letters")
        folded = _MIXED.sub(lambda m: m[0].translate(_LOOKALIKES), folded)
    if any(_TELLING.fullmatch(word.translate(_LEET)) for word in _LEET_WORD.findall(folded)):
        used.append("leetspeak")
        folded = _LEET_WORD.sub(lambda m: m[0].translate(_LEET), folded)
    if _SPACED.search(folded):
        used.append("spaced letters")
        folded = _SPACED.sub(_joined, folded)
    return folded, used


def decoded(text: str) -> Iterator[tuple[str, str]]:
    """What stands encoded in a text: pairs (encoding, decoded text)."""
    text = text[:_LONGEST]
    for tags in _TAGS.findall(text):
        yield "tag characters", "".join(chr(ord(c) - 0xE0000) for c in tags)
    folded = text.lower()
    if _ROT13_SIGN.search(folded):
        yield "rot13", folded.translate(_ROT13)
    if _BACKWARDS_SIGN.search(folded):
        yield "backwards", folded[::-1]
    for match in _BASE64.finditer(text):
        yield "base64", _readable(_from_base64(match[0]))
    for match in _HEX.finditer(text):
        digits = re.sub(r"\\x|[ \-]", "", match[0])
        yield "hex", _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    for match in _MORSE.finditer(text):
        words = re.split(r"\s{2,}|/", match[0])
        letters = " ".join("".join(_MORSE_LETTERS.get(c, "") for c in word.split()) for word in words)
        yield "morse", letters if len(set(letters)) >= 5 else ""


def _joined(match: re.Match[str]) -> str:
    # two or more separators in a row end a word
    return " ".join(re.sub(r"[ .\-_*]", "", word) for word in re.split(r"[ .\-_*]{2,}", match[0]))


def _from_base64(text: str) -> bytes:
    body = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4))
    except binascii.Error:
        return b""


def _readable(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    letters = sum(c.isalpha() or c.isspace() for c in text)
    return text if len(text) >= 8 and letters >= 0.8 * len(text) else ""
