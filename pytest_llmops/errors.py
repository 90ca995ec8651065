"""What this package raises. Each message says what, where, the closest match and the next command."""

from __future__ import annotations

from collections.abc import Iterable


class LlmopsError(Exception):
    """Base of every error this package raises on purpose."""


class SettingsError(LlmopsError):
    """A setting, marker argument or option that cannot be used as it stands."""


class DatasetError(LlmopsError):
    """A dataset that cannot be read; the message names file and line."""


class PromptError(LlmopsError):
    """A prompt that cannot be found, read or rendered; the message names the file."""


class CassetteError(LlmopsError):
    """A cassette file that cannot be read or must not be written."""


class BaselineError(LlmopsError):
    """A baseline or run record that cannot be read, or not be compared."""


class JudgeError(LlmopsError):
    """A judge that failed, refused, or answered out of scale. Never a score."""


class GitHubError(LlmopsError):
    """GitHub did not do what it was asked for; `status` is HTTP's, None where there was no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ArtifactError(GitHubError):
    """An artifact that was fetched, and cannot be read."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Name the closest known word, as the tail of a message.

    Returns:
        ``" Did you mean 'x'?"``, or the list of what is known where nothing is close.
    """
    import difflib

    options = sorted(known)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(options)}." if options else ""
