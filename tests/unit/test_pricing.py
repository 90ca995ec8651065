from datetime import UTC, datetime

import pytest

from pytest_llmops.pricing import Usage, cost
from pytest_llmops.settings import Price

MILLION = 1_000_000
SPRING_2025 = datetime(2025, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", 0.15 + 0.60),
        ("azure", "gpt-4o-2024-08-06", 2.50 + 10),
        ("anthropic", "claude-3-5-haiku-20241022", 0.80 + 4),
        ("openrouter", "openai/gpt-4o", 2.50 + 10),
        ("openai_compatible", "gpt-4o-mini", 0.15 + 0.60),
        ("bedrock", "anthropic.claude-3-haiku-20240307-v1:0", 0.25 + 1.25),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0",
            3 + 15,
        ),
        ("google", "gemini-2.5-flash", 0.30 + 2.50),
        ("xai", "grok-3", 3 + 15),
    ],
)
def test_prices_of_the_table(provider: str, model: str, usd: float) -> None:
    # 100k tokens each: below the thresholds of long prompts.
    assert cost(provider, model, Usage(MILLION // 10, MILLION // 10)) == pytest.approx(usd / 10)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("ollama", "llama3"),
        ("ollama", "gpt-4o"),
        ("openai", "gpt-of-tomorrow"),
        ("ai21", "jamba-large"),
        ("openai_compatible", "facebook/opt-125m"),
        ("bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"),
        ("no-such-provider", "gpt-4o"),
        ("openai", ""),
        ("openai", None),
    ],
)
def test_unknown_prices_are_none_never_nothing(provider: str, model: str | None) -> None:
    assert cost(provider, model, Usage(10, 10)) is None


@pytest.mark.parametrize("usage", [Usage(), Usage(10, None), Usage(None, 10)])
def test_unknown_usage_has_no_price(usage: Usage) -> None:
    assert cost("openai", "gpt-4o", usage) is None
    assert cost("openai", "gpt-4o", usage, prices={"openai:gpt-4o": Price(1, 1)}) is None


def test_hosts_the_table_knows() -> None:
    usage = Usage(MILLION // 10, MILLION // 10)
    assert cost("openai_compatible", "sonar", usage) is None
    priced = cost("openai_compatible", "sonar", usage, host="api.perplexity.ai")
    assert priced is not None
    assert priced > 0.2
    assert cost("openai_compatible", "gpt-4o", usage, host="llm.corp.example") == pytest.approx(1.25)


def test_prefixes_count_on_a_host_mapped_to_litellm_only() -> None:
    usage = Usage(MILLION // 10, MILLION // 10)
    assert cost("litellm", "openai/gpt-4o", usage) == cost("litellm", "gpt-4o", usage) == pytest.approx(1.25)
    assert cost("openai_compatible", "google/gemma-3-27b-it", usage) is None  # open weights, at home perhaps


def test_prices_are_those_of_the_day() -> None:
    usage = Usage(MILLION // 10, 0)
    then, now = (cost("openai", "o3", usage, at=at) for at in (SPRING_2025, datetime(2025, 9, 1, tzinfo=UTC)))
    assert (then, now) == (pytest.approx(1.0), pytest.approx(0.2))  # o3 fell from $10 to $2 in June 2025
    assert cost("openai", "o3", usage, at=SPRING_2025.replace(tzinfo=None)) == then


def test_cached_input_costs_less_and_writing_the_cache_more() -> None:
    def claude(**counts: int) -> float | None:
        details = {k: v for k, v in counts.items() if k.startswith("cache_write_1h")}
        rest = {k: v for k, v in counts.items() if k not in details}
        return cost("anthropic", "claude-sonnet-4-5", Usage(100_000, 0, **rest, details=details))

    assert claude() == pytest.approx(0.30)
    assert claude(cache_read_tokens=100_000) == pytest.approx(0.03)
    assert claude(cache_write_tokens=100_000) == pytest.approx(0.375)
    assert claude(cache_write_tokens=100_000, cache_write_1h_tokens=100_000) == pytest.approx(0.60)
    assert cost("openai", "gpt-4o", Usage(100_000, 0, cache_read_tokens=100_000)) == pytest.approx(0.125)


def test_details_that_contradict_the_totals_are_left_aside() -> None:
    usage = Usage(100_000, 0, details={"input_audio_tokens": 999_999})
    assert cost("google", "gemini-2.5-flash", usage) == pytest.approx(0.03)
    assert cost("openai", "gpt-4o", Usage(10, 0, cache_read_tokens=999)) is None


def test_service_tiers_have_their_own_prices() -> None:
    standard = cost("openai", "gpt-5", Usage(100_000, 0))
    flex = cost("openai", "gpt-5", Usage(100_000, 0, context={"service_tier": "flex"}))
    assert standard is not None
    assert flex == pytest.approx(standard / 2)


def test_the_users_prices_win() -> None:
    prices = {
        "openai:gpt-4o": Price(1.0, 2.0),
        "ollama:llama3": Price(0.1, 0.2),
        "openai_compatible:org/*": Price(5, 5),
    }
    usage = Usage(MILLION, MILLION)
    assert cost("openai", "gpt-4o", usage, prices=prices) == pytest.approx(3.0)
    assert cost("openai", "gpt-4o", usage, at=SPRING_2025, prices=prices) == pytest.approx(3.0)
    assert cost("ollama", "llama3", usage, prices=prices) == pytest.approx(0.3)
    assert cost("openai_compatible", "org/model-7b", usage, prices=prices) == pytest.approx(10.0)
    assert cost("ollama", "llama3.1", usage, prices=prices) is None


def test_the_users_price_of_any_of_the_models_names_wins() -> None:
    prices = {"azure:my-deployment": Price(1, 1)}
    usage = Usage(MILLION, 0)
    assert cost("azure", "gpt-4o", usage, aliases=(None, "my-deployment"), prices=prices) == pytest.approx(1.0)
    assert cost("azure", "gpt-of-tomorrow", usage, aliases=("gpt-4o",)) == pytest.approx(2.5)


def test_the_closest_family_of_the_users_prices_counts() -> None:
    prices = {"ollama:*": Price(0, 0), "ollama:big-*": Price(1, 1)}
    assert cost("ollama", "big-70b", Usage(MILLION, 0), prices=prices) == pytest.approx(1.0)
    assert cost("ollama", "small", Usage(), prices=prices) == 0.0


def test_the_users_prices_of_the_cache() -> None:
    usage = Usage(MILLION, 0, cache_read_tokens=MILLION // 2, cache_write_tokens=MILLION // 4)
    assert cost("x", "m", usage, prices={"x:m": Price(4, 0)}) is not None
    assert cost("x", "m", usage, prices={"x:m": Price(4, 0, cache_read=0.4)}) == pytest.approx(1 + 0.2 + 1)
    assert cost("x", "m", usage, prices={"x:m": Price(4, 0, cache_read=0.4, cache_write=8)}) == pytest.approx(
        1 + 0.2 + 2
    )


def test_an_application_that_updates_its_prices_does_not_change_ours() -> None:
    from genai_prices import data_snapshot

    usage = Usage(1000, 1000)
    before = cost("openai", "gpt-4o", usage)
    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot(providers=[], from_auto_update=True))
    try:
        assert cost("openai", "gpt-4o", usage) == before
    finally:
        data_snapshot.set_custom_snapshot(None)


def test_flat_rates_are_what_the_library_computes() -> None:
    """The short way and genai-prices' general way agree for every model the table holds."""
    from genai_prices import Usage as Counted
    from genai_prices.data import providers

    from pytest_llmops import pricing

    agreed = 0
    for provider in providers:
        for model in provider.models:
            short = pricing._at_flat_rates(model, Usage(1_234, 567), SPRING_2025)
            if short is not None:
                counted = Counted(input_tokens=1_234, output_tokens=567)
                general = model.calc_price(counted, provider, genai_request_timestamp=SPRING_2025)
                assert short == pytest.approx(float(general.total_price), rel=1e-12), (provider.id, model.id)
                agreed += 1
    assert agreed > 500


def test_cached_tokens_tiers_and_details_take_the_general_way() -> None:
    from pytest_llmops import pricing

    assert pricing._lookup("anthropic", "claude-sonnet-4-5", None) is not None
    model = pricing._lookup("anthropic", "claude-sonnet-4-5", None)[1]  # type: ignore[index]
    assert pricing._at_flat_rates(model, Usage(100, 10, cache_read_tokens=50), SPRING_2025) is None
    assert pricing._at_flat_rates(model, Usage(100, 10, details={"web_searches": 1}), SPRING_2025) is None
    assert pricing._at_flat_rates(model, Usage(100, 10, context={"service_tier": "batch"}), SPRING_2025) is None
