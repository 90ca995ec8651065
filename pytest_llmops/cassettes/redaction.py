"""What may be written to disk: an allow-list of headers, scrubbed bodies, and no file that looks like a secret."""

from __future__ import annotations

import json
import os
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

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
MASKED = "[secret]"

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

_SECRETS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (kind, sign, re.compile(pattern))
    for kind, sign, pattern in (
        ("Anthropic key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,}"),
        ("OpenRouter key", "sk-or-v1-", r"sk-or-v1-[0-9a-f]{40,}"),
        ("OpenAI key", "sk-", r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}"),
        ("Groq key", "gsk_", r"gsk_[A-Za-z0-9]{40,}"),
        ("xAI key", "xai-", r"xai-[A-Za-z0-9]{40,}"),
        ("Google key", "AIza", r"AIza[0-9A-Za-z_-]{35}"),
        ("Google OAuth token", "ya29.", r"ya29\.[0-9A-Za-z_-]{30,}"),
        ("Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{30,}"),
        ("Replicate token", "r8_", r"r8_[A-Za-z0-9]{35,}"),
        ("Perplexity key", "pplx-", r"pplx-[A-Za-z0-9]{40,}"),
        ("Fireworks key", "fw_", r"fw_[A-Za-z0-9]{22,}"),
        ("Langfuse key", "k-lf-", r"[sp]k-lf-[0-9a-f-]{36}"),
        ("LangSmith key", "lsv2_", r"lsv2_[ps]t_[0-9a-f]{32}_[0-9a-f]{10}"),
        ("Pinecone key", "pcsk_", r"pcsk_[A-Za-z0-9_]{40,}"),
        ("AWS access key", "AKIA", r"AKIA[0-9A-Z]{16}(?![0-9A-Za-z])"),
        ("AWS access key", "ASIA", r"ASIA[0-9A-Z]{16}(?![0-9A-Za-z])"),
        ("GitHub token", "gh", r"gh[pousr]_[A-Za-z0-9]{36}"),
        ("GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9_]{60,}"),
        ("GitLab token", "glpat-", r"glpat-[A-Za-z0-9_-]{20,}"),
        ("Slack token", "xox", r"xox[abeprs]-[A-Za-z0-9-]{10,}"),
        ("Slack webhook", "https://hooks.slack.com/", r"https://hooks\.slack\.com/services/T[A-Za-z0-9_/]{20,}"),
        ("Stripe key", "k_live_", r"[rs]k_live_[A-Za-z0-9]{20,}"),
        ("SendGrid key", "SG.", r"SG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{30,}"),
        ("npm token", "npm_", r"npm_[A-Za-z0-9]{36}"),
        ("PyPI token", "pypi-AgEI", r"pypi-AgEI[A-Za-z0-9_-]{50,}"),
        ("JSON web token", "eyJ", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        ("private key", "-----BEGIN ", r"-----BEGIN [A-Z ]*PRIVATE KEY"),
        ("bearer token", "earer ", r"[Bb]earer [A-Za-z0-9._~+/-]{30,}"),
        (
            "URL with password",
            "://",
            r"(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?)(?:\+\w+)?"
            r"://[^\s:/@\"'<>]+:[^\s@\"'<>*\[]{3,}@",
        ),
    )
)
"""Kind, what stands in every text that holds one (looked for first: a hundred times as fast), and the shape."""
_TOKEN_FIELDS = frozenset(
    {
        *("authorization", "proxy_authorization", "authorization_token", "access_token", "refresh_token", "id_token"),
        *("client_secret", "client_assertion", "api_key", "apikey", "x_api_key", "secret_access_key", "session_token"),
        *("x_goog_api_key", "x_auth_token", "ocp_apim_subscription_key", "x_amz_security_token"),
    }
)
"""What the credentials of others are called in a body: of a tool server the model is to call, of a sign-in."""
_TOKEN = re.compile(r"(?:(?:Basic|Bearer|Token) )?[^\s\[<{$]\S{11,}\Z")
_PLACEHOLDER = re.compile(
    r"redact|dummy|fake|mock|placeholder|scrub|masked|filtered|example|your[_-]|test[_-]?(?:api|key|token)|xxx|\*\*\*|\.\.\.",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"(\"(?:{'|'.join(sorted(_TOKEN_FIELDS)).replace('_', '[_-]')})\"\s*:\s*\")"
    r"((?:Basic |Bearer |Token )?[^\s\[<{$\"\\][^\s\"\\]{11,})(?=\")",
    re.IGNORECASE,
)
"""Such a field in JSON, up to where its value begins; and the value."""
_KEY_BLOCK = re.compile(r'-----BEGIN [A-Z ]*PRIVATE KEY(?:[^"\\]|\\[^"])*')
_WITHIN_A_WORD = frozenset(string.ascii_letters + string.digits + "_-")
_ESCAPE = re.compile(r"(?:\\[nrtbf]|%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})\Z")


def _found(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    position = 0
    while (match := pattern.search(text, position)) is not None:
        if _starts(text, match.start()):
            yield match
            position = match.end()
        else:
            position = match.start() + 1


def _starts(text: str, at: int) -> bool:
    """Whether a key can begin here: not within a word ("task-force-…"), but after an escape of JSON's or a URL's."""
    if at == 0 or text[at - 1] not in _WITHIN_A_WORD:
        return True
    return _ESCAPE.search(text[max(0, at - 6) : at]) is not None


def find_secret(
    text: str, environ: Mapping[str, str] = os.environ, patterns: Iterable[re.Pattern[str]] = ()
) -> str | None:
    """What kind of secret `text` holds, never the secret itself; None where it looks clean.

    Besides known shapes, the value of any provider key in `environ` counts, and what the project's `patterns` find.
    """
    for number, own in enumerate(patterns, 1):
        if own.search(text):
            return f"pattern {number} of the project's secrets"
    for kind, sign, pattern in _SECRETS:
        if sign in text and any(_found(pattern, text)):
            return kind
    for variable in KEY_VARIABLES:
        value = environ.get(variable, "")
        if len(value) >= 16 and value in text:
            return f"value of {variable}"
    return None


def find_in_any_form(
    text: str, environ: Mapping[str, str] = os.environ, patterns: Sequence[re.Pattern[str]] = ()
) -> str | None:
    """`find_secret`, in percent-encoded text, too: queries and forms are written so."""
    kind = find_secret(text, environ, patterns)
    for _ in range(2):  # a URL within a URL's query is encoded twice
        if kind is not None or _PERCENT.search(text) is None:
            break
        text = unquote(text)
        kind = find_secret(text, environ, patterns)
    return kind


_PERCENT = re.compile("%[0-9A-Fa-f]{2}")


def find_in_name(stem: str, patterns: Sequence[re.Pattern[str]] = ()) -> tuple[int, str] | None:
    """Where in a cassette's name a secret begins, and its kind: names join a test and its parameters by hyphens."""
    for match in re.finditer("^|-", stem):
        kind = find_in_any_form(stem[match.end() :], patterns=patterns)
        if kind is not None:
            return match.end(), kind
    return None


def mask(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """`text`, which may be JSON, with everything that would not be recorded replaced by ``[secret]``."""
    text = _KEY_BLOCK.sub(MASKED, text)
    text = _NAMED.sub(lambda found: found[1] + MASKED, text)
    for _, sign, pattern in _SECRETS:
        if sign in text:
            for match in reversed(list(_found(pattern, text))):
                text = text[: match.start()] + MASKED + text[match.end() :]
    for variable in KEY_VARIABLES:
        value = environ.get(variable, "")
        if len(value) >= 16:
            text = text.replace(value, MASKED).replace(json.dumps(value)[1:-1], MASKED)
    return text


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


def locate_secret(
    document: Any, environ: Mapping[str, str] = os.environ, patterns: Sequence[re.Pattern[str]] = ()
) -> tuple[str, str] | None:
    """(field path, kind) of the first secret in a document, or None."""
    found = list(strings(document))
    if find_in_any_form("\n".join(text for _, text in found), environ, patterns) is None:
        return None
    for path, text in found:
        kind = find_in_any_form(text, environ, patterns)
        if kind is not None:
            return path, kind
    return None


def locate_token(document: Any) -> tuple[str, str] | None:
    """(field path, kind) of the first value that is a credential by its field's name, whatever it looks like."""
    for path, text in strings(document):
        field = path.rpartition(".")[2]
        if text != field and is_token(field, text):
            return path, f"the value of {field}"
    return None


def is_token(field: str, text: str) -> bool:
    """Whether a field's text is a credential, and no placeholder (``[scrubbed]``, ``${TOKEN}``, ``dummy-api-key``)."""
    if field.lower().replace("-", "_") not in _TOKEN_FIELDS:
        return False
    return _TOKEN.match(text) is not None and _PLACEHOLDER.search(text) is None


class Scrubber:
    """Masks what the project declares private, before matching and before writing."""

    def __init__(self, patterns: Sequence[str] = (), fields: Sequence[str] = ()) -> None:
        self._pattern = re.compile("|".join(f"(?:{p})" for p in patterns)) if patterns else None
        self._fields = frozenset(fields)
        self.active = bool(patterns or fields)
        """Whether anything is declared private at all."""

    def __call__(self, document: Any) -> Any:
        """The document with every match replaced by ``[scrubbed]``."""
        return self._walk(document) if self.active else document

    def url(self, url: str) -> str:
        """The URL with every match in its path and in its query's values replaced, percent-encoded or not."""
        if not self.active:
            return url
        parts = urlsplit(url)
        plain = unquote(parts.path)
        path = parts.path if self(plain) == plain else quote(self(plain), safe="/:[]@")
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        masked = [(k, SCRUBBED if k in self._fields else self(v)) for k, v in pairs]
        return parts._replace(path=path, query=parts.query if masked == pairs else urlencode(masked)).geturl()

    def _walk(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: SCRUBBED if k in self._fields and v is not None else self._walk(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._walk(v) for v in value]
        if isinstance(value, str):
            if any(name in value for name in self._fields):
                value = self._within(value)
            return value if self._pattern is None else self._pattern.sub(SCRUBBED, value)
        return value

    def _within(self, text: str) -> str:
        """A text that is JSON, or has lines that are (events, arguments of tools), with its fields masked."""
        masked = self._reread("", text)
        if masked is not None:
            return masked
        lines = text.split("\n")
        for number, line in enumerate(lines):
            head = _EVENT.match(line)
            masked = self._reread(head.group(), line[head.end() :]) if head is not None else None
            lines[number] = line if masked is None else masked
        return "\n".join(lines)

    def _reread(self, head: str, text: str) -> str | None:
        """None where the text is no JSON."""
        if not text.lstrip().startswith(("{", "[")):
            return None
        try:
            document = json.loads(text)
            masked = self._walk(document)
        except (ValueError, RecursionError):
            return None
        return head + (text if masked == document else json.dumps(masked, ensure_ascii=False, separators=(",", ":")))


_EVENT = re.compile("(?:data:)?[ \\t\\x1e]*")
