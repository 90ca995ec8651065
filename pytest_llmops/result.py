"""What one run of the application gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pytest_llmops import evidence
from pytest_llmops.evidence import Trigger
from pytest_llmops.records import Call
from pytest_llmops.scoring import Scored
from pytest_llmops.steps import Steps
from pytest_llmops.totals import span, total

if TYPE_CHECKING:
    from pytest_llmops.evaluation import Evaluation


class Result(Scored):
    """What one run of the application gave, and what its provider calls were.

    Everything is read when asked for, so a stream that is still open when the run returns counts once it has ended.
    """

    _evaluation: Evaluation

    def __init__(self, evaluation: Evaluation, suffix: str) -> None:
        self._evaluation = evaluation
        self._suffix = suffix
        self.languages = evaluation.project.languages
        self.language_detector = evaluation.project.language_detector
        self.suffix = suffix
        """Ends the names of this run's measurements: ``#2``; "" for the first run."""
        self.reported: list[Trigger] = []
        """Guardrails that the application reported, and those of the suite."""
        self.output: Any = None
        """What the function returned; the joined text (or the list) of a generator, which is run to its end."""
        self.error: BaseException | None = None
        """What the application raised, where the block or call ended that way."""

    def __repr__(self) -> str:
        return f"<Result {self.model or 'without calls'}: {_short(self.text)!r}>"

    @property
    def calls(self) -> list[Call]:
        """The application's provider calls of this run, oldest first, without judge calls."""
        return [call for _, call in self._evaluation.answered(self) if call.role == "app"]

    @property
    def text(self) -> str | None:
        """The output where it is a str, else the last call's text."""
        if isinstance(self.output, str):
            return self.output
        calls = self.calls
        return calls[-1].text if calls else None

    @property
    def model(self) -> str | None:
        """The model that served the last call."""
        return cast("str | None", self._last("model"))

    @property
    def provider(self) -> str | None:
        """The provider of the last call."""
        return cast("str | None", self._last("provider"))

    @property
    def finish_reason(self) -> str | None:
        """The last call's finish reason, in the provider's own word."""
        return cast("str | None", self._last("finish_reason"))

    def _last(self, name: str) -> Any:
        calls = self.calls
        return getattr(calls[-1], name) if calls else None

    @property
    def input_tokens(self) -> int | None:
        """Sum over the calls, cache reads and writes included; None if any call's are unknown."""
        return cast("int | None", total(self.calls, "input_tokens"))

    @property
    def output_tokens(self) -> int | None:
        """Sum over the calls; None if any call's are unknown."""
        return cast("int | None", total(self.calls, "output_tokens"))

    @property
    def cost_usd(self) -> float | None:
        """Sum over the calls in USD; None if any call's price is unknown."""
        cost = cast("float | None", total(self.calls, "cost_usd"))
        self._evaluation.unpriced |= cost is None
        return cost

    @property
    def latency_ms(self) -> float | None:
        """The provider's time in ms, as recorded: the calls' own times; of overlapping ones, the span they cover."""
        return span([e for e, call in self._evaluation.answered(self) if call.role == "app"])

    @property
    def ttft_ms(self) -> float | None:
        """Time to the first token of the first streamed call, in ms; None without streams."""
        return next((call.ttft_ms for call in self.calls if call.ttft_ms is not None), None)

    @property
    def guardrails_triggered(self) -> list[Trigger]:
        """The guardrails that fired, by evidence: each with ``name``, ``source``, ``stage``, ``action``, ``reason``."""
        return self._evaluation.triggers_of(self)

    @property
    def guardrail_triggered(self) -> str | None:
        """The first one's name: what stopped the answer before what only looked, input before output."""
        return next((trigger.name for trigger in self.guardrails_triggered), None)

    @property
    def blocked_at(self) -> str | None:
        """``input``, ``generation`` or ``output``, where a guardrail kept the answer back; None where none did."""
        return next((t.stage for t in self.guardrails_triggered if t.action in evidence.STOPS), None)

    @property
    def steps(self) -> Steps:
        """The steps taken in this run, in order."""
        return Steps(step for step in self._evaluation.steps if step.owner is self)

    @property
    def refused(self) -> bool:
        """Whether the provider or model refused to answer in the last call."""
        return bool(self._last("refused"))


def _short(text: str | None, limit: int = 60) -> str:
    text = text or ""
    return text if len(text) <= limit else text[:limit] + "…"
