"""Tokens to USD: the project's own prices first, then genai-prices' table of the day of the call. No network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from pytest_llmops.settings import Price

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, Provider


@dataclass(slots=True)
class Usage:
    """What a provider counted and bills.

    Args:
        input_tokens: cache reads and writes included.
        output_tokens: reasoning included.
        details: further counts by genai-prices' names (``cache_write_1h_tokens``, ``input_audio_tokens``,
            ``web_searches``).
        context: what else decides the price, by genai-prices' names (``service_tier``).
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    details: dict[str, int] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)


_TABLE_OF: dict[str, str | None] = {
    "xai": "x-ai",
    "bedrock": "aws",
    "openai_compatible": None,
}
"""Our provider to genai-prices' where they differ; None: found by the model's name alone."""

_UNPRICED = frozenset({"ollama"})
"""Run at home: a hosted model's price would be another's."""


def cost(
    provider: str,
    model: str | None,
    usage: Usage,
    *,
    at: datetime | None = None,
    prices: Mapping[str, Price] | None = None,
    aliases: Sequence[str | None] = (),
    host: str | None = None,
) -> float | None:
    """USD of one call.

    Args:
        provider: a Call's.
        model: a name as the provider writes it.
        usage: tokens as billed.
        at: when the call was made; its day's prices count. Now where None.
        prices: ``[tool.pytest-llmops.prices]``: ``provider:model`` (or ``provider:prefix*``) to price; they win.
        aliases: other names of the model (in the URL, in the request), tried in turn.
        host: who was asked; tells ``openai_compatible`` hosts apart that the table knows (Fireworks, Perplexity).

    Returns:
        None where the price, or what was used, is unknown. 0.0 only where the price is known to be nothing.
    """
    names = list(dict.fromkeys(name for name in (model, *aliases) if name))
    for name in names if prices else ():
        if (own := _own_price(provider, name, prices or {})) is not None:
            return _by_own_price(own, usage)
    if provider == "openai" and any("moderation" in name for name in names):
        return 0.0  # https://platform.openai.com/docs/guides/moderation: free of charge
    if provider in _UNPRICED or usage.input_tokens is None or usage.output_tokens is None:
        return None
    for name in names:
        if (found := _lookup(provider, name, host)) is not None:
            return _by_table(*found, usage, at)
    return None


def _lookup(provider: str, model: str, host: str | None) -> tuple[Provider, ModelInfo] | None:
    table, name = _TABLE_OF.get(provider, provider), _plain(provider, model)
    found = _entry(table, host, name) if table is None and host else None
    return found or _entry(table, None, name)


def _own_price(provider: str, model: str, prices: Mapping[str, Price]) -> Price | None:
    key = f"{provider}:{model}"
    exact = prices.get(key)
    if exact is not None:
        return exact
    families = [name for name in prices if name.endswith("*") and key.startswith(name[:-1])]
    return prices[max(families, key=len)] if families else None


def _by_own_price(price: Price, usage: Usage) -> float | None:
    if price.input == price.output == 0:
        return 0.0
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    fresh = max(usage.input_tokens - read - written, 0)
    read_price = price.input if price.cache_read is None else price.cache_read
    write_price = price.input if price.cache_write is None else price.cache_write
    total = fresh * price.input + read * read_price + written * write_price + usage.output_tokens * price.output
    return total / 1_000_000


def _plain(provider: str, model: str) -> str:
    """A name the table can match: an ARN's last part is the model's."""
    return model.rpartition("/")[2] if provider == "bedrock" and model.startswith("arn:") else model


def import_client() -> None:
    """Import the HTTP client that the price table's library brings with it.

    SDKs look for it among the imported modules, and would find half of it while another thread imports it.
    """
    import genai_prices  # noqa: F401


def load() -> None:
    """Read the price table, which takes a tenth of a second, before the first call has to be priced."""
    _snapshot()


@cache
def _snapshot() -> DataSnapshot:
    # Not genai_prices.get_snapshot(): an application that updates its prices from the network would change ours.
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    return DataSnapshot(providers=providers, from_auto_update=False)


@cache
def _entry(table: str | None, host: str | None, model: str) -> tuple[Provider, ModelInfo] | None:
    try:
        return _snapshot().find_provider_model(model, None, table, host and f"https://{host}/")
    except LookupError:
        return None


def _at_flat_rates(model: ModelInfo, usage: Usage, at: datetime | None) -> float | None:
    """Fresh input and output at one rate each, as most calls are billed; None for anything else.

    The library's general way gives the same number in 100 µs, as long as all else that a replayed call costs.
    """
    if usage.details or usage.context or usage.cache_read_tokens or usage.cache_write_tokens:
        return None
    rates = model.get_prices(at or datetime.now(UTC)).__dict__
    fresh, written = rates.get("input_mtok"), rates.get("output_mtok")
    if rates.get("requests_kcount") or not (isinstance(fresh, Decimal) and isinstance(written, Decimal)):
        return None
    total = (usage.input_tokens or 0) * fresh + (usage.output_tokens or 0) * written
    return float(total / 1_000_000)


def _by_table(provider: Provider, model: ModelInfo, usage: Usage, at: datetime | None) -> float | None:
    flat = _at_flat_rates(model, usage, at)
    if flat is not None:
        return flat
    from genai_prices import Usage as Counted

    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
    }
    # Details that contradict the totals are refused as a whole; the totals alone still have a price.
    for values in ({**counts, **usage.details}, counts):
        try:
            price = model.calc_price(
                Counted(**values), provider, genai_request_timestamp=at, price_context=usage.context
            )
        except ValueError:
            continue
        known = price.model_price.__dict__
        if not price.total_price and known.get("input_mtok") is None and known.get("output_mtok") is None:
            return None
        return float(price.total_price)
    return None
