"""What may be written to disk: an allow-list of headers, scrubbed bodies, and no file that looks like a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

KEPT_HEADERS = frozenset(
    {
        "content-type",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "openai-processing-ms",
        "x-envoy-upstream-service-time",
        "location",
    }
)
SCRUBBED = "[scrubbed]"

KEY_VARIABLES = (
    "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "CO_API_KEY",
    "COHERE_API_KEY",
    "MISTRAL_API_KEY",
    "GROQ_API_KEY",
    "AI21_API_KEY",
    "GOOGLE_API_KEY",
    "GEMINI_API_KEY",
    "OPENROUTER_API_KEY",
    "DEEPSEEK_API_KEY",
    "XAI_API_KEY",
    "TOGETHER_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_BEARER_TOKEN_BEDROCK",
)
"""Where SDKs look for the providers' keys."""

# No character that base64 or an identifier is made of stands before a key, or every large image would hold one.
_START = r"(?<![A-Za-z0-9+/=_-])"
_SECRETS: tuple[tuple[str, str], ...] = (
    ("Anthropic key", r"sk-ant-[A-Za-z0-9_-]{20,}"),
    ("OpenRouter key", r"sk-or-v1-[0-9a-f]{40,}"),
    ("OpenAI key", r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}"),
    ("Groq key", r"gsk_[A-Za-z0-9]{40,}"),
    ("xAI key", r"xai-[A-Za-z0-9]{40,}"),
    ("Google key", r"AIza[0-9A-Za-z_-]{35}"),
    ("Google OAuth token", r"ya29\.[0-9A-Za-z_-]{30,}"),
    ("Hugging Face token", r"hf_[A-Za-z0-9]{30,}"),
    ("Replicate token", r"r8_[A-Za-z0-9]{35,}"),
    ("Perplexity key", r"pplx-[A-Za-z0-9]{40,}"),
    ("Fireworks key", r"fw_[A-Za-z0-9]{22,}"),
    ("Langfuse key", r"[sp]k-lf-[0-9a-f-]{36}"),
    ("LangSmith key", r"lsv2_[ps]t_[0-9a-f]{32}_[0-9a-f]{10}"),
    ("Pinecone key", r"pcsk_[A-Za-z0-9_]{40,}"),
    ("AWS access key", r"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])"),
    ("GitHub token", r"(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})"),
    ("GitLab token", r"glpat-[A-Za-z0-9_-]{20,}"),
    ("Slack token", r"xox[abeprs]-[A-Za-z0-9-]{10,}"),
    ("Slack webhook", r"https://hooks\.slack\.com/services/T[A-Za-z0-9_/]{20,}"),
    ("Stripe key", r"[rs]k_live_[A-Za-z0-9]{20,}"),
    ("SendGrid key", r"SG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{30,}"),
    ("npm token", r"npm_[A-Za-z0-9]{36}"),
    ("PyPI token", r"pypi-AgEI[A-Za-z0-9_-]{50,}"),
    ("JSON web token", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("private key", r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    ("bearer token", r"[Bb]earer [A-Za-z0-9._~+/-]{30,}"),
    (
        "URL with password",
        r"(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?)(?:\+\w+)?://[^\s:/@\"'<>]+:[^\s@\"'<>*\[]{3,}@",
    ),
)
_ANY = re.compile("|".join(f"(?P<s{i}>{_START}{pattern})" for i, (_, pattern) in enumerate(_SECRETS)))


def find_secret(text: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """What kind of secret `text` holds, never the secret itself; None where it looks clean.

    Besides known shapes, the value of any provider key in `environ` counts.
    """
    match = _ANY.search(text)
    if match is not None:
        return _SECRETS[int(str(match.lastgroup)[1:])][0]
    for variable in KEY_VARIABLES:
        value = environ.get(variable, "")
        if len(value) >= 16 and value in text:
            return f"value of {variable}"
    return None


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every (path, string) in a document, keys included; without recursion, for hostile depths."""
    stack = [(path, value)]
    while stack:
        where, current = stack.pop()
        if isinstance(current, str):
            yield where, current
        elif isinstance(current, dict):
            for key in current:
                yield f"{where}.{key}".lstrip("."), str(key)
            stack.extend((f"{where}.{key}".lstrip("."), current[key]) for key in reversed(current))
        elif isinstance(current, list):
            stack.extend((f"{where}[{i}]", current[i]) for i in reversed(range(len(current))))


def locate_secret(document: Any, environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """(field path, kind) of the first secret in a document, or None."""
    for path, text in strings(document):
        kind = find_secret(text, environ)
        if kind is not None:
            return path, kind
    return None


class Scrubber:
    """Masks what the project declares private, before matching and before writing."""

    def __init__(self, patterns: Sequence[str] = (), fields: Sequence[str] = ()) -> None:
        self._pattern = re.compile("|".join(f"(?:{p})" for p in patterns)) if patterns else None
        self._fields = frozenset(fields)

    def __call__(self, document: Any) -> Any:
        """The document with every match replaced by ``[scrubbed]``."""
        if self._pattern is None and not self._fields:
            return document
        return self._walk(document)

    def _walk(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: SCRUBBED if k in self._fields and v is not None else self._walk(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._walk(v) for v in value]
        if isinstance(value, str) and self._pattern is not None:
            return self._pattern.sub(SCRUBBED, value)
        return value
