"""Which provider and dialect a request speaks, from its method, host, path and, on unknown hosts only, its body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Route:
    """What a request speaks.

    Args:
        provider: who is asked, ``openai_compatible`` where nothing names it.
        api: the dialect, ``PROVIDER.other`` for what is no model call (a list of models, a batch,
            a count of tokens), or ``PROVIDER.telemetry``.
        model: only where the URL names it (Azure deployments, Gemini, Bedrock).
    """

    provider: str
    api: str
    model: str | None = None

    @property
    def telemetry(self) -> bool:
        """Whether an SDK tells the provider what the application did, and asks for nothing."""
        return self.api.endswith(".telemetry")


HOSTS: dict[str, str] = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "production.api.cohere.ai": "cohere",
    "api.mistral.ai": "mistral",
    "codestral.mistral.ai": "mistral",
    "api.groq.com": "groq",
    "api.ai21.com": "ai21",
    "ollama.com": "ollama",
    "generativelanguage.googleapis.com": "google",
    "aiplatform.googleapis.com": "google",
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "xai",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "models.inference.ai.azure.com": "azure",
    **dict.fromkeys(
        (
            "ai-gateway.vercel.sh",
            "api.cerebras.ai",
            "api.deepinfra.com",
            "api.fireworks.ai",
            "api.hyperbolic.xyz",
            "api.minimax.io",
            "api.moonshot.ai",
            "api.moonshot.cn",
            "api.novita.ai",
            "api.perplexity.ai",
            "api.sambanova.ai",
            "api.studio.nebius.ai",
            "api.studio.nebius.com",
            "api.tokenfactory.nebius.com",
            "api.z.ai",
            "dashscope-intl.aliyuncs.com",
            "dashscope.aliyuncs.com",
            "integrate.api.nvidia.com",
            "models.github.ai",
            "open.bigmodel.cn",
            "router.huggingface.co",
        ),
        "openai_compatible",
    ),
}
"""Hosts that serve nothing but models."""

HOST_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[a-z0-9-]+\.api\.openai\.com"), "openai"),
    (re.compile(r"[a-z0-9-]+-aiplatform\.googleapis\.com|aiplatform\.[a-z0-9.-]+\.rep\.googleapis\.com"), "google"),
    (re.compile(r"(.+\.)?bedrock-runtime(-fips)?\.[a-z0-9-]+\.(vpce\.)?amazonaws\.com(\.cn)?"), "bedrock"),
    (re.compile(r"bedrock-(mantle|runtime)\.[a-z0-9-]+\.api\.aws"), "bedrock"),
    (re.compile(r".+\.openai\.azure\.(com|us|cn)|.+\.(models|inference)\.ai\.azure\.com"), "azure"),
)

SHARED_HOST_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r".+\.(cognitiveservices|services\.ai)\.azure\.(com|us|cn)|.+\.azure-api\.net"), "azure"),
)
"""Hosts that serve models among other things: only their model paths count."""

OLLAMA_PORT = 11434


@dataclass(frozen=True, slots=True)
class PathRule:
    """A path that names a dialect.

    Args:
        owner: who answers on a host nobody knows.
        needs: body fields that tell it from any application's own path of that name, on unknown hosts; none: it is
            plain enough. Of an alternative ``"a|b"`` one suffices.
        only: providers among whose paths this one is, where other providers mean another dialect by it.
    """

    pattern: re.Pattern[str]
    api: str
    owner: str = "openai_compatible"
    needs: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()


def _rule(pattern: str, api: str, owner: str = "openai_compatible", *, needs: str = "", only: str = "") -> PathRule:
    return PathRule(re.compile(pattern), api, owner, tuple(needs.split()), frozenset(only.split()))


PATHS: tuple[PathRule, ...] = (
    _rule(r"/chat/completions$|/(fim|agents)/completions$", "openai.chat"),
    _rule(
        r"/v1/messages$|^/messages$|/anthropic/messages$",
        "anthropic.messages",
        "anthropic",
        needs="model messages max_tokens",
    ),
    _rule(r"/responses$", "openai.responses", needs="model|prompt|previous_response_id input|prompt"),
    _rule(r"/model/[^/]+/converse(-stream)?$", "bedrock.converse", "bedrock"),
    _rule(r"/model/[^/]+/invoke(-with-response-stream)?$", "bedrock.invoke", "bedrock"),
    _rule(r":(stream)?[gG]enerateContent$", "google.generate_content", "google"),
    _rule(r":(embedContent|batchEmbedContents)$", "google.embed_content", "google"),
    _rule(r"/publishers/anthropic/models/[^/]+:(streamR|r)awPredict$", "anthropic.messages", "google"),
    _rule(r"/publishers/[^/]+/models/[^/]+:(streamR|r)awPredict$", "openai.chat", "google"),
    _rule(r"/publishers/google/models/[^/]+:predict$", "google.predict", "google"),
    _rule(r"/api/(chat|generate)$", "ollama", "ollama", needs="model messages|prompt"),
    _rule(r"/api/(embed|embeddings)$", "ollama.embed", "ollama", needs="model input|prompt", only="ollama"),
    _rule(r"/v2/chat$", "cohere.v2.chat", "cohere", needs="model messages"),
    _rule(r"/v1/chat$", "cohere.v1.chat", "cohere", needs="message"),
    _rule(r"/v2/embed$", "cohere.v2.embed", "cohere", needs="model input_type"),
    _rule(r"/v1/embed$", "cohere.v1.embed", "cohere", needs="model texts|images"),
    _rule(r"/v2/rerank$", "cohere.v2.rerank", "cohere", needs="model query documents"),
    _rule(r"/rerank$", "cohere.v1.rerank", "cohere", needs="query documents"),
    _rule(r"/v1/generate$", "cohere.v1.generate", "cohere", needs="model prompt max_tokens", only="cohere"),
    _rule(r"/completions$", "openai.completions", needs="model prompt"),
    _rule(r"/embeddings$", "openai.embeddings", needs="model input"),
    _rule(r"/moderations$", "openai.moderations", needs="input"),
    _rule(r"/images/(generations|edits|variations)$", "openai.images", needs="prompt"),
    _rule(r"/audio/(transcriptions|translations|speech)$", "openai.audio", needs="model"),
    _rule(r"/v1/complete$", "anthropic.complete", "anthropic", needs="model prompt max_tokens_to_sample"),
)

TELEMETRY = frozenset({("openai", "/v1/traces/ingest")})
"""(provider, path) of what SDKs send in the background; OpenAI's Agents SDK does so unless it is told not to."""

_TAIL = re.compile(r"[/:][^/:]+$")
_ENDS = """
completions messages responses converse converse-stream invoke invoke-with-response-stream generateContent
streamGenerateContent embedContent batchEmbedContents rawPredict streamRawPredict predict chat generate embed
embeddings rerank moderations generations edits variations transcriptions translations speech complete
"""
_LAST_WORDS = frozenset(_ENDS.split())
"""Ends of `PATHS`: every other path is settled by one look-up."""

_MODEL_IN_PATH = re.compile(r"/(?:deployments|model)/([^/]+)/|/(?:models|tunedModels)/([^/]+):[A-Za-z]+$")
_CLAUDE = re.compile(r"\banthropic\.|claude")


def detect(method: str, url: str, body: bytes | None = None, *, hosts: Mapping[str, str] | None = None) -> Route | None:
    """Tell from the request alone which provider and dialect it speaks.

    Args:
        method: of the request; only a POST is a model call.
        url: of the request.
        body: the request's; read on hosts nobody knows only, where the path is no proof.
        hosts: ``[tool.pytest-llmops.hosts]``: host, ``host:port`` or ``*.domain`` to provider.

    Returns:
        None for what is no LLM provider's traffic.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return None
    provider, shared = _provider(host, port, hosts)
    path = parts.path.rstrip("/")
    rule = _path_rule(path, provider) if method.upper() == "POST" else None
    if rule is None:
        if not provider or shared:
            return None
        told = method.upper() == "POST" and (provider, path) in TELEMETRY
        return Route(provider, f"{provider}.{'telemetry' if told else 'other'}")
    if provider is None:
        if "/openai/deployments/" in path:
            provider = "azure"
        elif rule.needs and not _has_fields(body, rule.needs):
            return None
        else:
            provider = rule.owner
    model = _model_in(path)
    return Route(provider, _api(rule.api, model), model)


def _provider(host: str, port: int | None, hosts: Mapping[str, str] | None) -> tuple[str | None, bool]:
    """The host's provider, and whether other things than models live there."""
    if hosts:
        mapped = hosts.get(f"{host}:{port}") or hosts.get(host)
        if mapped is None:
            mapped = next((to for name, to in hosts.items() if name.startswith("*.") and host.endswith(name[1:])), None)
        if mapped is not None:
            return mapped, False
    known = HOSTS.get(host)
    if known is not None:
        return known, False
    if port == OLLAMA_PORT:
        return "ollama", False
    if host.endswith((".com", ".aws", ".cn", ".us", ".net")):
        for patterns, shared in ((HOST_PATTERNS, False), (SHARED_HOST_PATTERNS, True)):
            for pattern, provider in patterns:
                if pattern.fullmatch(host):
                    return provider, shared
    return None, False


def _path_rule(path: str, provider: str | None) -> PathRule | None:
    tail = _TAIL.search(path)
    if tail is None or tail.group()[1:] not in _LAST_WORDS:
        return None
    for rule in PATHS:
        if rule.pattern.search(path) and not (provider and rule.only and provider not in rule.only):
            return rule
    return None


def _api(api: str, model: str | None) -> str:
    # An application inference profile's name hides Claude: `bedrock.invoke` reads that as well.
    return "anthropic.messages" if api == "bedrock.invoke" and model and _CLAUDE.search(model) else api


def _model_in(path: str) -> str | None:
    if "/model" not in path and "/deployments/" not in path and "/tunedModels/" not in path:
        return None
    found = _MODEL_IN_PATH.search(path)
    return unquote(found.group(1) or found.group(2)) if found else None


def _has_fields(body: bytes | None, needs: tuple[str, ...]) -> bool:
    if body is None:
        return True
    wanted = [need.split("|") for need in needs]
    quoted = b'name="%b"' if body.startswith(b"--") else b'"%b"'
    if not all(any(quoted % name.encode() in body for name in names) for names in wanted):
        return False
    if body.startswith(b"--"):  # multipart: audio and images
        return True
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and all(any(name in fields for name in names) for names in wanted)
