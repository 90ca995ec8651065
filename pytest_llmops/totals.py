"""Several calls taken together: tokens, cost, latency, and why one of them is unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pytest_llmops.exchange import Exchange
from pytest_llmops.records import Call


def totals(pairs: Sequence[tuple[Exchange, Call]]) -> dict[str, Any]:
    """Latency, cost, tokens and time to first token of some calls taken together, by metric name."""
    calls = [call for _, call in pairs]
    return {
        "latency_ms": span([exchange for exchange, _ in pairs]),
        "cost_usd": total(calls, "cost_usd"),
        "input_tokens": total(calls, "input_tokens"),
        "output_tokens": total(calls, "output_tokens"),
        "ttft_ms": next((call.ttft_ms for call in calls if call.ttft_ms is not None), None),
    }


UNITS: dict[str, str] = {
    "latency_ms": "ms",
    "ttft_ms": "ms",
    "cost_usd": "USD",
    "input_tokens": "tokens",
    "output_tokens": "tokens",
}


def why_no_cost(calls: Sequence[Call]) -> str:
    """Why the cost of these calls is unknown, and what to do about it."""
    unknown = [call for call in calls if call.cost_usd is None and billed(call)]
    if not unknown:
        return "there is no cost: no call was answered"
    uncounted = [call for call in unknown if call.input_tokens is None or call.output_tokens is None]
    if uncounted:
        models = ", ".join(sorted({f"{call.provider}:{call.model}" for call in uncounted}))
        return f"the cost of {models} is unknown: {_NOT_COUNTED}"
    return price_advice(unknown)


def price_advice(calls: Sequence[Call]) -> str:
    """What to set so that the cost of these calls is known."""
    names = sorted({f"{call.provider}:{call.model}" for call in calls})
    table = "\n".join(
        f'    [tool.pytest-llmops.prices."{n}"]\n    input = 0.15   # USD a million tokens\n    output = 0.60'
        for n in names
    )
    return f"the price of {', '.join(names)} is unknown; add it to pyproject.toml:\n{table}"


_NOT_COUNTED = "the provider did not count tokens (streams: ask for usage, stream_options={'include_usage': True})"


def billed(call: Call) -> bool:
    """Whether a call counts towards tokens and cost: a refused one does not, a stream that broke off does."""
    broke_off = call.truncated and (call.status or 0) < 400
    return call.error is None or broke_off or call.input_tokens is not None


def total(calls: Sequence[Call], name: str) -> Any:
    """The sum of a field over the billed calls; None where one is unknown."""
    values = [getattr(call, name) for call in calls if billed(call)]
    # Where every call failed there is nothing to sum up, which is not the 0 of an application that made no call.
    return None if None in values or (calls and not values) else sum(values)


def span(exchanges: Sequence[Exchange]) -> float | None:
    """The provider's time in ms: of calls that overlapped, the span they cover; None where nothing was timed."""
    times = [(e.at_ms, e.elapsed_ms) for e in exchanges if e.elapsed_ms is not None]
    if not times:
        return None
    if any(at is None for at, _ in times):
        return round(sum(elapsed for _, elapsed in times), 1)
    total, until = 0.0, -math.inf
    for start, end in sorted((at or 0.0, (at or 0.0) + elapsed) for at, elapsed in times):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return round(total, 1)


def why_unknown(name: str, calls: Sequence[Call]) -> str:
    """Why a built-in metric of these calls has no value."""
    if name == "cost_usd":
        return why_no_cost(calls)
    if name == "latency_ms":
        return "the recording holds no times"
    return _NOT_COUNTED if any(map(billed, calls)) else "no call was answered"


_OTHERS_THAT_MAY_BE_NONE = ("ttft", "latency", "tokens", "text", "output")


def why_none(error: TypeError, calls: Sequence[Call], *, unpriced: bool) -> str | None:
    """Why a cost or a time is unknown, where a test computed with one and that is what `error` is about.

    Args:
        error: as Python raised it.
        calls: the application's.
        unpriced: a cost was asked for that is unknown.
    """
    if "NoneType" not in str(error):
        return None
    line = _failing_line(error).lower()
    if not calls and any(word in line for word in ("latency_ms", "ttft_ms")):
        return (
            "no provider call was seen in this test, so it has no times: calls are read from HTTP (httpx, httpx2, "
            "requests, aiohttp, urllib, lm15) made by what llm_eval.run calls, in this process"
        )
    if "cost" not in line and not (unpriced and not any(word in line for word in _OTHERS_THAT_MAY_BE_NONE)):
        return None
    return why_no_cost(calls)


def _failing_line(error: BaseException) -> str:
    import linecache

    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        entry = entry.tb_next
    return linecache.getline(entry.tb_frame.f_code.co_filename, entry.tb_lineno) if entry is not None else ""
