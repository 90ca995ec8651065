"""Steps of chains and routers: which calls each made, what it took, and its limits. docs/conversations.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pytest_llmops import clock
from pytest_llmops.errors import LlmopsError, SettingsError
from pytest_llmops.exchange import Exchange
from pytest_llmops.records import Call, Measurement, StepUse
from pytest_llmops.registry import BUILTIN_METRICS
from pytest_llmops.stats import plain
from pytest_llmops.tools import ToolCalls

Pairs = list[tuple[Exchange, Call]]


class StepLimitExceeded(LlmopsError, AssertionError):
    """A step took longer or cost more than it may."""


StepLimitExceeded.__module__ = "builtins"  # a short name in pytest's report


@dataclass(eq=False)
class Step:
    """A part of the application's work; what it took is read when asked for.

    Args:
        name: tells steps apart; a second one of a name becomes ``name#2``.
        answered: gives the finished calls of a step.
        totals: sums them up.
        why_no_cost: explains a cost that is unknown.
        parent: the step around this one, whose calls include these.
        owner: the run it was taken in; None outside of any.
    """

    name: str
    answered: Callable[[Step], Pairs]
    totals: Callable[[Pairs], Mapping[str, Any]]
    why_no_cost: Callable[[Sequence[Call]], str]
    max_latency_ms: float | None = None
    max_cost_usd: float | None = None
    timeout_s: float | None = None
    parent: Step | None = None
    owner: object | None = None
    error: BaseException | None = None
    duration_s: float | None = None
    _began: float = field(default_factory=clock.counter)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise SettingsError(f"llm_eval.step({self.name!r}): expected a name for the step.")
        for limit in ("max_latency_ms", "max_cost_usd", "timeout_s"):
            value = getattr(self, limit)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
                raise SettingsError(
                    f"llm_eval.step({self.name!r}, {limit}={value!r}): expected a number of at least 0."
                )

    def __repr__(self) -> str:
        return f"<step {self.name}: {len(self.calls)} calls>"

    @property
    def calls(self) -> list[Call]:
        """The application's provider calls made inside, oldest first, without judge calls."""
        return [call for _, call in self.answered(self)]

    @property
    def text(self) -> str | None:
        """The last call's text."""
        calls = self.calls
        return calls[-1].text if calls else None

    @property
    def model(self) -> str | None:
        """The model that served the last call."""
        calls = self.calls
        return calls[-1].model if calls else None

    @property
    def tool_calls(self) -> ToolCalls:
        """The tools the model asked for inside."""
        return ToolCalls(tool for call in self.calls for tool in call.tool_calls)

    @property
    def latency_ms(self) -> float | None:
        """The provider's time in ms, as recorded, also on replay."""
        return cast("float | None", self._total("latency_ms"))

    @property
    def cost_usd(self) -> float | None:
        """Sum over the calls in USD; None if any call's price is unknown."""
        return cast("float | None", self._total("cost_usd"))

    @property
    def input_tokens(self) -> int | None:
        """Sum over the calls; None if any call's are unknown."""
        return cast("int | None", self._total("input_tokens"))

    @property
    def output_tokens(self) -> int | None:
        """Sum over the calls; None if any call's are unknown."""
        return cast("int | None", self._total("output_tokens"))

    def _total(self, name: str) -> Any:
        return self.totals(self.answered(self))[name]

    def end(self, error: BaseException | None) -> None:
        """The step is over."""
        self.duration_s, self.error = clock.counter() - self._began, error

    def exceeded(self) -> list[str]:
        """The limits that were missed, in words.

        Time counts as recorded where that is longer than what passed here, so that replays keep failing.
        """
        found = []
        latency = self.latency_ms
        if self.max_latency_ms is not None and latency is not None and latency > self.max_latency_ms:
            found.append(f"latency {latency:.4g} ms, max_latency_ms={self.max_latency_ms:g}")
        if self.max_cost_usd is not None:
            cost = self.cost_usd
            if cost is None:
                found.append(f"max_cost_usd={plain(self.max_cost_usd, 6)}, and {self.why_no_cost(self.calls)}")
            elif cost > self.max_cost_usd:
                found.append(f"cost ${plain(cost, 4)}, max_cost_usd={plain(self.max_cost_usd, 6)}")
        if self.timeout_s is not None:
            took = max(self.duration_s or 0.0, (latency or 0.0) / 1000)
            if took > self.timeout_s:
                found.append(f"took {took:.3g} s, timeout_s={self.timeout_s:g}")
        return found

    def check(self) -> None:
        """Fail where a limit was missed.

        Raises:
            StepLimitExceeded: naming the step and every limit missed.
        """
        __tracebackhide__ = True
        if found := self.exceeded():
            raise StepLimitExceeded(f"step {self.name!r}: {'; '.join(found)}")

    def record(self) -> StepUse:
        """For the run record."""
        return StepUse(
            name=self.name,
            parent=self.parent.name if self.parent else None,
            calls=len(self.calls),
            latency_ms=self.latency_ms,
            cost_usd=self.cost_usd,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            duration_s=round(self.duration_s, 4) if self.duration_s is not None else None,
            error=f"{type(self.error).__name__}: {self.error}".split("\n")[0][:300] if self.error else None,
            exceeded=self.exceeded(),
        )

    def measurements(self) -> dict[str, Measurement]:
        """``STEP.latency_ms``, ``STEP.cost_usd``, ``STEP.input_tokens``, ``STEP.output_tokens``."""
        found: dict[str, Measurement] = {}
        calls = self.calls
        for name, unit in (
            ("latency_ms", "ms"),
            ("cost_usd", "USD"),
            ("input_tokens", "tokens"),
            ("output_tokens", "tokens"),
        ):
            value, default = self._total(name), BUILTIN_METRICS[name]
            if not calls:
                continue
            found[f"{self.name}.{name}"] = Measurement(
                value=value,
                status="ok" if value is not None else "unscored",
                reason=None if value is not None else f"unknown for a call of step {self.name}",
                source="builtin",
                direction=default.direction,
                kind=default.kind,
                unit=unit,
            )
        return found


class Steps(list[Step]):
    """Steps in the order they were begun."""

    @property
    def names(self) -> list[str]:
        """Their names, in order: the path that a router took."""
        return [step.name for step in self]

    def named(self, name: str) -> Step:
        """The step of that name.

        Raises:
            SettingsError: there is none; the message lists those that were taken.
        """
        for step in self:
            if step.name == name:
                return step
        raise SettingsError(f"no step {name!r} was taken; taken: {', '.join(self.names) or 'none'}.")
