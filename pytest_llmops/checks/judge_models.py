"""Which models can judge, where their providers listen, and what of their configuration cannot work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from pytest_llmops.errors import SettingsError, did_you_mean

DEFAULT_JUDGE = "anthropic:claude-sonnet-5-5"


@dataclass(frozen=True, slots=True)
class Provider:
    """Where an OpenAI-compatible provider listens.

    Args:
        url: base URL; empty where there is no default.
        key: environment variable of its API key.
        url_from: environment variable that gives another base URL.
        keyless: it answers without a key.
    """

    url: str
    key: str
    url_from: str = ""
    keyless: bool = False


PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider("https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "openai_compatible": Provider("", "OPENAI_API_KEY", "OPENAI_BASE_URL", keyless=True),
    "groq": Provider("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": Provider("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "ollama": Provider("http://localhost:11434/v1", "OLLAMA_API_KEY", keyless=True),
    "openrouter": Provider("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "OPENROUTER_BASE_URL"),
    "deepseek": Provider("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "xai": Provider("https://api.x.ai/v1", "XAI_API_KEY"),
    "together": Provider("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "google": Provider("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
}
ANTHROPIC = Provider("https://api.anthropic.com", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")
KNOWN = ("anthropic", "litellm", *PROVIDERS)

_ENDPOINTS = ("/chat/completions", "/embeddings", "/messages", "/completions")


def parse_model(model: str) -> tuple[str, str]:
    """``provider:model`` in two; a provider's model may hold colons (``ollama:qwen3:8b``).

    Raises:
        SettingsError: no such provider, or no model.
    """
    provider, _, name = model.partition(":")
    if not name or not provider:
        raise SettingsError(
            f"judge model {model!r}: expected provider:model, for example 'anthropic:claude-sonnet-5-5'."
        )
    if provider not in KNOWN:
        raise SettingsError(
            f"judge model {model!r}: unknown provider {provider!r}.{did_you_mean(provider, KNOWN)} "
            "Any host that speaks OpenAI's chat completions is 'openai_compatible' with OPENAI_BASE_URL."
        )
    return provider, name


def address(provider: str, base_url: str | None) -> str:
    """The base URL that a provider is asked at, without a slash at its end; "" where there is none.

    Args:
        provider: one of `KNOWN`, except ``litellm``.
        base_url: the settings'; over the environment's and the provider's own.

    Raises:
        SettingsError: the URL cannot be one.
    """
    row = PROVIDERS.get(provider, ANTHROPIC)
    given = os.environ.get(row.url_from, "") if row.url_from else ""
    url, where = (base_url, "base_url") if base_url else (given or row.url, row.url_from if given else "")
    return checked_url(url, f"judge {provider}: {where}") if url else ""


def checked_url(url: str, where: str) -> str:
    """A base URL without a slash at its end.

    Raises:
        SettingsError: it is none, or it names an endpoint below it.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or " " in url:
        raise SettingsError(f"{where} {url!r} is no URL such as http://localhost:8000/v1.")
    plain = url.rstrip("/")
    endpoint = next((end for end in _ENDPOINTS if plain.endswith(end)), None)
    if endpoint is not None:
        raise SettingsError(f"{where} {url!r}: leave out {endpoint}: it is added to the base URL.")
    return plain


def key_variable(model: str) -> str | None:
    """The environment variable that a judge's API key comes from; None for functions and LiteLLM."""
    provider = model.partition(":")[0]
    return ANTHROPIC.key if provider == "anthropic" else PROVIDERS[provider].key if provider in PROVIDERS else None


def lacking(model: str, base_url: str | None = None) -> str | None:
    """What a judge lacks for a live call, in words; None where nothing is known to be missing.

    Args:
        model: ``provider:model``.
        base_url: the settings'.

    Raises:
        SettingsError: the model or the URL cannot be used at all.
    """
    provider, _ = parse_model(model)
    if provider == "litellm":
        missing = find_spec("litellm") is None
        return "LiteLLM is not installed: pip install 'pytest-llmops[litellm]'" if missing else None
    url = address(provider, base_url)
    if not url:
        return f"no base URL: set {PROVIDERS[provider].url_from}, for example to http://localhost:8000/v1"
    if provider == "anthropic":  # its SDK also takes tokens, profiles and federated identities
        known = any(name.startswith("ANTHROPIC_") and name != ANTHROPIC.url_from for name in os.environ)
        return None if known or Path("~/.config/anthropic").expanduser().is_dir() else f"{ANTHROPIC.key} is not set"
    row = PROVIDERS[provider]
    return None if row.keyless or os.environ.get(row.key) else f"{row.key} is not set"
