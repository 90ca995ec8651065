"""What must not get out (the system prompt, canaries) and what is too long to be let in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmops.checks.guardrails.folding import decoded, revealed
from pytest_llmops.checks.guardrails.outcome import Action, Context, Outcome, Span, Stage
from pytest_llmops.errors import SettingsError

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f])")


@dataclass(frozen=True)
class SystemPromptLeakGuardrail:
    """Triggers where a text repeats the system prompt, plainly, in disguise or encoded.

    Args:
        system_prompt: what must stay secret; default the context's ``system_prompt``.
        run: so many consecutive words of it are a leak.
        share: so much of it, in pieces of four words, is one, too.
    """

    name: str = "system_prompt_leak"
    stage: Stage = "output"
    system_prompt: str | None = None
    run: int = 12
    share: float = 0.3
    action: Action = "block"

    def check(self, text: str, context: Context | None = None) -> Outcome:
        """Compare with the system prompt.

        Raises:
            SettingsError: there is no system prompt to compare with.
        """
        secret = _needed(self.name, "system_prompt", self.system_prompt, context)
        words = [word for word, _, _ in _words(revealed(secret)[0])]
        if not words:
            return Outcome(False)
        best = Outcome(False)
        for plain, said in _readings(text):
            outcome = self._compared(list(_words(said)), words, plain)
            best = max(best, outcome, key=lambda o: o.score)
        return best

    def _compared(self, said: list[tuple[str, int, int]], secret: list[str], plain: bool) -> Outcome:
        length, end = _longest_run([word for word, _, _ in said], secret)
        pieces = _pieces(secret)
        share = len(pieces & _pieces([word for word, _, _ in said])) / len(pieces) if pieces else 0.0
        needed = min(self.run, len(secret))
        if length < needed and share < self.share:
            return Outcome(False, score=min(0.49, 0.5 * max(length / needed, share / self.share)))
        spans = (Span("system_prompt", said[end - length][1], said[end - 1][2]),) if plain and length else ()
        reason = f"repeats {length} consecutive words and {share:.0%} of the system prompt"
        return Outcome(True, "high", max(0.5, share, min(1.0, length / (2 * needed))), reason, spans, self.action)


@dataclass(frozen=True)
class CanaryLeakGuardrail:
    """Triggers where a planted secret turns up, whatever its case, spacing or encoding.

    Args:
        canary: the secret, or several; default the context's ``canary``.
    """

    name: str = "canary_leak"
    stage: Stage = "output"
    canary: str | Sequence[str] | None = None
    action: Action = "block"

    def check(self, text: str, context: Context | None = None) -> Outcome:
        """Look for the canary; the reason does not repeat it.

        Raises:
            SettingsError: there is no canary to look for.
        """
        given = _needed(self.name, "canary", self.canary, context)
        for canary in [given] if isinstance(given, str) else given:
            at = text.find(canary)
            if at >= 0:
                span = Span("canary", at, at + len(canary))
                return Outcome(True, "critical", 1.0, "a canary stands in the text", (span,), self.action)
            letters = _bare(revealed(canary)[0])
            if letters and any(letters in _bare(said) or letters in _bare(said)[::-1] for _, said in _readings(text)):
                return Outcome(True, "critical", 0.95, "a canary stands in the text, disguised", (), self.action)
        return Outcome(False)


@dataclass(frozen=True)
class ContextSizeGuardrail:
    """Triggers on texts too long for their purpose.

    Args:
        max_tokens: most tokens, as `estimated_tokens` counts them.
    """

    name: str = "context_size"
    stage: Stage = "input"
    max_tokens: int = 8192
    action: Action = "block"

    def check(self, text: str, context: Context | None = None) -> Outcome:
        """Estimate the tokens."""
        tokens = estimated_tokens(text)
        score = min(1.0, tokens / (2 * self.max_tokens))
        if tokens <= self.max_tokens:
            return Outcome(False, score=score)
        reason = f"about {tokens} tokens, above {self.max_tokens}"
        return Outcome(True, "medium", score, reason, (), self.action)


def estimated_tokens(text: str) -> int:
    """Tokens of a text, roughly: 4 ASCII characters each, 2 others, 1 where the script has no spaces."""
    unspaced = len(_UNSPACED.findall(text))
    plain = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    return round(unspaced + (len(text) - plain - unspaced) / 2 + plain / 4)


def _needed(guardrail: str, key: str, own: object, context: Context | None) -> str:
    value = own if own is not None else (context or {}).get(key)
    if not value:
        raise SettingsError(
            f'guardrail {guardrail!r} needs {key!r}: pass it in the context, check(text, {{"{key}": …}}), '
            f"or when it is built, guardrails.build({guardrail!r}, {key}=…)."
        )
    return value  # type: ignore[return-value]  # a canary may be a list; only its own guardrail asks for one


def _readings(text: str) -> Iterator[tuple[bool, str]]:
    """(positions are the text's own, text) of a text and of what it hides."""
    folded, disguises = revealed(text)
    yield not disguises, folded
    for _, hidden in decoded(text):
        if hidden:
            yield False, hidden.lower()


def _words(folded: str) -> Iterator[tuple[str, int, int]]:
    """(word, start, end); characters of scripts without spaces are words."""
    for match in _WORD.finditer(folded):
        if _UNSPACED.search(match[0]):
            for offset, character in enumerate(match[0], start=match.start()):
                yield character, offset, offset + 1
        else:
            yield match[0], match.start(), match.end()


def _pieces(words: Sequence[str], size: int = 4) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


def _longest_run(said: Sequence[str], secret: Sequence[str]) -> tuple[int, int]:
    """(length, end in `said`) of the longest run of words that stands in both."""
    places: dict[str, list[int]] = {}
    for index, word in enumerate(secret):
        places.setdefault(word, []).append(index)
    best = (0, 0)
    ending: dict[int, int] = {}
    for end, word in enumerate(said, start=1):
        ending = {index: ending.get(index - 1, 0) + 1 for index in places.get(word, ())}
        best = max(best, *((length, end) for length in ending.values()), key=lambda found: found[0]) if ending else best
    return best


def _bare(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
