"""How far a long live run is, in a few words."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmops.reports import text

SHORTEST = 16


@dataclass
class Standing:
    """Counts of a run under way.

    Args:
        calls: live calls answered; `flying`: under way.
        tests: evaluations done of `total` (0 where that is not known).
        seconds: since the first evaluation began.
    """

    calls: int = 0
    flying: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    tests: int = 0
    total: int = 0
    seconds: float = 0.0


def line(now: Standing, width: int) -> str:
    """The standing in at most `width` columns, the least important left out; nothing where that is too few."""
    parts = [f"{now.calls} call{'s' * (now.calls != 1)}"]
    if now.flying:
        parts[0] += f" + {now.flying}"
    if now.cost_usd:
        parts.append(text.amount(now.cost_usd, "cost") + ("+" if now.unpriced else ""))
    if now.tests and now.total > now.tests:
        parts.append(f"{_duration(now.seconds / now.tests * (now.total - now.tests))} left")
    while parts and len("  ".join(parts)) > width:
        parts.pop()
    said = "  ".join(parts)
    return said if width >= SHORTEST else ""


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"~{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"~{round(seconds / 60)} min"
    return f"~{seconds / 3600:.1f} h"
