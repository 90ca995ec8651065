"""Behind the ``llm_eval`` fixture: running the application, and what came of it."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pytest_llmops import evidence, providers
from pytest_llmops.cassettes import scope
from pytest_llmops.conversation import Conversation
from pytest_llmops.errors import SettingsError, did_you_mean
from pytest_llmops.evidence import Trigger
from pytest_llmops.exchange import Exchange
from pytest_llmops.records import Call, MeasuredStage, Measurement
from pytest_llmops.registry import BUILTIN_METRICS, Direction, current_steps
from pytest_llmops.result import Result
from pytest_llmops.safety_record import GuardrailUse
from pytest_llmops.scoring import Scoring
from pytest_llmops.settings import DIRECTIONS, ProjectSettings
from pytest_llmops.steps import Step, Steps
from pytest_llmops.tools import ToolCalls
from pytest_llmops.totals import UNITS, totals, why_no_cost, why_none, why_unknown

if TYPE_CHECKING:
    from pytest_llmops.cassettes.tape import Tape
    from pytest_llmops.cassettes.transfer import Transfer
    from pytest_llmops.checks.jury import Judging
    from pytest_llmops.datasets import Case
    from pytest_llmops.prompts import Prompt, Registry


@dataclass
class Evaluation(Scoring):
    """One test's evaluation: the ``llm_eval`` fixture.

    Args:
        judge: makes the configured judge, on first use.
        prompts: makes the prompt registry, on first use.
    """

    tape: Tape
    project: ProjectSettings
    judge: Callable[[], Judging]
    case: Case | None = None
    store_text: bool = True
    prompts: Callable[[], Registry] | None = None
    results: list[Result] = field(default_factory=list)
    steps: Steps = field(default_factory=Steps)
    measurements: dict[str, Measurement] = field(default_factory=dict)
    labelled: list[str] = field(default_factory=list)
    """Hashes of the labelled texts that guardrails were measured on."""
    looked: bool = False
    used_prompts: dict[str, Prompt] = field(default_factory=dict)
    unpriced: bool = False
    error: str | None = None
    rejudged: dict[str, tuple[float, float]] = field(default_factory=dict)
    _asked: dict[str, tuple[Callable[[], str], Callable[[str], float]]] = field(default_factory=dict)
    _read: dict[int, tuple[Exchange, Call | None]] = field(default_factory=dict)

    def __repr__(self) -> str:  # pytest shows a failed test's arguments
        return f"<llm_eval of {self.tape.test}: {len(self.calls)} calls>"

    def run(self, func: Callable[..., Any], /, *args: Any, name: str | None = None, **kwargs: Any) -> Result:
        """Call the application and capture what it asks of providers.

        Args:
            func: the application; its return value is the result's output.
            args: passed on to it.
            name: tells several runs of one test apart in measurements.
            kwargs: passed on to it.

        Raises:
            Exception: whatever the application raises, after it was recorded.
        """
        __tracebackhide__ = True
        with self._running(name) as result:
            output = func(*args, **kwargs)
            if inspect.isawaitable(output):
                if inspect.iscoroutine(output):
                    output.close()
                called = getattr(func, "__name__", repr(func))
                raise SettingsError(f"{called} is async: use `await llm_eval.arun({called}, …)` in an async test.")
            result.output = _joined(list(output)) if inspect.isgenerator(output) else output
        return result

    async def arun(
        self,
        func: Callable[..., Awaitable[Any]] | Callable[..., Any],
        /,
        *args: Any,
        name: str | None = None,
        **kwargs: Any,
    ) -> Result:
        """`run` for an async function or async generator."""
        __tracebackhide__ = True
        with self._running(name) as result:
            output = func(*args, **kwargs)
            if isinstance(output, AsyncIterator):
                output = _joined([part async for part in output])
            elif inspect.isawaitable(output):
                output = await output
            result.output = output
        return result

    @contextlib.contextmanager
    def capture(self, *, name: str | None = None) -> Iterator[Result]:
        """Capture the provider calls made inside the block; set ``result.output`` there if there is one."""
        __tracebackhide__ = True
        result = Result(self, self._run_suffix(name))
        self.results.append(result)
        self.tape.captures.append(result)
        token = scope.capture.set(result)
        try:
            yield result
        except Exception as error:  # the application's own, whatever it is: noted and raised again
            result.error = error
            self.error = self.error or f"{type(error).__name__}: {error}".strip().split("\n")[0][:300]
            raise
        finally:
            # Another context may end the block (an async fixture); its variable is another one then.
            with contextlib.suppress(ValueError):
                scope.capture.reset(token)
            self.tape.captures.remove(result)

    @contextlib.contextmanager
    def _running(self, name: str | None) -> Iterator[Result]:
        """`capture`, where what a guardrail raises is an outcome: a blocked answer can be asserted on."""
        __tracebackhide__ = True
        recorded = self.error
        with contextlib.ExitStack() as stack:
            result = stack.enter_context(self.capture(name=name))
            try:
                yield result
            except Exception as error:  # the application's own: kept back only where a guardrail raised it
                result.error = error
                if not self._stopped_by_a_guard(result):
                    raise
        self.error = recorded if result.error is not None else self.error

    def _stopped_by_a_guard(self, result: Result) -> bool:
        """Whether a guardrail is what the application's exception is about, and not only something before it."""
        raised = evidence.of_exception(result.error, answered=False)
        if raised is not None or any(trigger.action in evidence.STOPS for trigger in result.reported):
            return True
        pairs = self._pairs(self.tape.answered(capture=result))
        last = next((pair for pair in reversed(pairs) if pair[0].role == "app"), None)
        if last is None or (last[0].status or 0) < 400:
            return False
        return any(trigger.action in evidence.STOPS for trigger in evidence.of_exchange(*last))

    def triggers_of(self, result: Result) -> list[Trigger]:
        """`Result.guardrails_triggered`."""
        found = list(result.reported)
        answered = False
        for exchange, call in self._pairs(self.tape.answered(capture=result)):
            if exchange.role != "app":
                continue
            found += evidence.of_exchange(exchange, call, after_answer=answered)
            answered = answered or bool(call is not None and call.error is None and (call.text or call.tool_calls))
        if (raised := evidence.of_exception(result.error, answered=answered)) is not None:
            found.append(raised)
        found += evidence.of_output(result.output)
        return evidence.in_order(found)

    def fired(self) -> list[tuple[Result, Trigger]]:
        """The guardrails that fired over all runs."""
        return [(result, trigger) for result in self.results for trigger in result.guardrails_triggered]

    def guardrails_used(self, fired: Sequence[tuple[Result, Trigger]]) -> list[GuardrailUse]:
        """What `fired`, for the record."""
        return [
            GuardrailUse(
                name=trigger.name,
                source=trigger.source,
                stage=trigger.stage,
                action=trigger.action,
                score=trigger.score,
                reason=trigger.reason[:300] or None if self.store_text else None,
                categories=list(trigger.categories),
            )
            for _, trigger in fired
        ]

    def guardrail(
        self, name: str, *, action: str = "block", stage: str | None = None, reason: str = "", triggered: bool = True
    ) -> None:
        """The application's own report that its guardrail looked at something.

        Args:
            name: the guardrail's.
            action: ``block``, ``rewrite``, ``anonymise``, ``flag``, or ``fail_closed`` where the guard itself failed.
            stage: ``input``, ``generation`` or ``output``; default: output once a model has answered.
            reason: in words.
            triggered: False: it looked and found nothing, which counts as 0 in its metric.
        """
        where = f"llm_eval.guardrail({name!r})"
        if not isinstance(name, str) or not name.strip():
            raise SettingsError(f"{where}: expected the guardrail's name.")
        if action not in evidence.ACTIONS:
            raise SettingsError(f"{where}: action {action!r}.{did_you_mean(str(action), evidence.ACTIONS)}")
        if stage is not None and stage not in evidence.STAGES:
            raise SettingsError(f"{where}: stage {stage!r}.{did_you_mean(str(stage), evidence.STAGES)}")
        inside = scope.current_capture(self.tape)
        result = inside if isinstance(inside, Result) else (self.results[-1] if self.results else None)
        if result is None:
            raise SettingsError(f"{where}: no run has begun; report inside llm_eval.run(…) or llm_eval.capture().")
        if triggered:
            answered = any(call.text or call.tool_calls for call in result.calls)
            result.reported.append(
                evidence.reported(name, action=action, stage=stage, reason=reason, answered=answered)
            )
        else:
            self.guarded(name, result, triggered=False, stage=cast("MeasuredStage | None", stage))

    @contextlib.contextmanager
    def step(
        self,
        name: str,
        *,
        max_latency_ms: float | None = None,
        max_cost_usd: float | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Step]:
        """Group the calls made inside the block; its latency and cost are measured as ``NAME.latency_ms`` and so on.

        Args:
            name: the step's; a second step of a name becomes ``name#2``.
            max_latency_ms: most of the provider's time, as recorded.
            max_cost_usd: most that it may cost.
            timeout_s: most time for all of it; checked at its end, nothing is interrupted.

        Raises:
            StepLimitExceeded: a limit was missed, where the block itself did not fail.
        """
        __tracebackhide__ = True
        outer = current_steps.get()
        step = Step(
            name,
            self._answered_in,
            totals,
            why_no_cost,
            max_latency_ms,
            max_cost_usd,
            timeout_s,
            parent=outer[-1] if outer and isinstance(outer[-1], Step) else None,
            owner=scope.capture.get(),
        )
        same = [other for other in self.steps if other.name.partition("#")[0] == name]
        step.name = f"{name}#{len(same) + 1}" if same else name
        self.steps.append(step)
        self.tape.steps.append(step)
        token = current_steps.set((*outer, step))
        try:
            yield step
        except BaseException as error:  # a step ends however it is left; raised again
            step.end(error)
            raise
        else:
            step.end(None)
        finally:
            with contextlib.suppress(ValueError):  # as in capture
                current_steps.reset(token)
            self.tape.steps.remove(step)
        step.check()

    def _answered_in(self, step: Step) -> list[tuple[Exchange, Call]]:
        pairs = self._pairs(transfer for transfer in self.tape.answered() if step in transfer.steps)
        pairs = [pair for pair in pairs if pair[1] is not None and pair[1].role == "app"]
        return cast("list[tuple[Exchange, Call]]", pairs)

    def conversation(self, func: Callable[..., Any], /, *, name: str = "", **kwargs: Any) -> Conversation:
        """Speak to an application turn by turn: ``chat.say("Hi")`` → Result; ``await chat.say("Hi")`` if it is async.

        Args:
            func: takes the message, and ``history`` or ``messages`` where it has such a parameter.
            name: tells the conversations of one test apart.
            kwargs: passed on to it each time.
        """
        __tracebackhide__ = True
        return Conversation(func, self.run, self.arun, name=name, kwargs=kwargs)

    @property
    def tool_calls(self) -> ToolCalls:
        """The tools asked for over the whole test."""
        return ToolCalls(tool for call in self.calls for tool in call.tool_calls)

    def _run_suffix(self, name: str | None) -> str:
        if name is not None:
            taken = {r._suffix for r in self.results}
            if f"#{name}" in taken:
                raise SettingsError(f"llm_eval.run(name={name!r}): this test has a run of that name already.")
            return f"#{name}"
        return f"#{len(self.results) + 1}" if self.results else ""

    @property
    def calls(self) -> list[Call]:
        """Every provider call of the test, oldest first, without judge calls."""
        return [call for _, call in self.answered() if call.role == "app"]

    def answered(self, result: Result | None = None) -> list[tuple[Exchange, Call]]:
        """The answered LLM exchanges with their calls; only one run's where `result` is given."""
        pairs = self._pairs(self.tape.answered(capture=result))
        return [(exchange, call) for exchange, call in pairs if call is not None]

    def _pairs(self, transfers: Iterable[Transfer]) -> list[tuple[Exchange, Call | None]]:
        return [pair for pair in map(self._pair, transfers) if pair is not None]

    def _pair(self, transfer: Transfer) -> tuple[Exchange, Call | None] | None:
        known = self._read.get(transfer.number)
        if known is None:
            whole = transfer.interaction is not None
            exchange = transfer.exchange() if whole else self.tape.so_far(transfer)
            if exchange is None:
                return None
            call = providers.read(
                exchange,
                hosts=self.project.hosts,
                prices=self.project.prices,
                store_text=self.store_text,
                route=transfer.request.route,
            )
            if call is not None and transfer.steps:
                call.step = str(getattr(transfer.steps[-1], "name", "")) or None
            known = (exchange, call)
            if whole:
                self._read[transfer.number] = known
        return known

    def record(
        self,
        name: str,
        value: float | bool | None,
        *,
        direction: Direction = "higher",
        unit: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Record a measurement of your own.

        Args:
            name: the metric's name; a second value of one name in one test becomes ``name#2``.
            value: a finite number (a bool counts as 0 or 1), or None for "could not be scored".
            direction: whether ``higher`` or ``lower`` is better.
            unit: shown in reports.
            tags: kept with the measurement.
        """
        where = f"llm_eval.record({name!r}, …)"
        if not isinstance(name, str) or not name.strip():
            raise SettingsError(f"{where}: expected a name for the metric.")
        if name.partition("#")[0] in BUILTIN_METRICS:
            raise SettingsError(f"{where}: the name is taken by a built-in metric; choose another.")
        if direction not in DIRECTIONS:
            raise SettingsError(f"{where}: direction {direction!r}.{did_you_mean(str(direction), DIRECTIONS)}")
        if not isinstance(unit, str | None):
            raise SettingsError(f"{where}: unit {unit!r} is no text.")
        if tags is not None and not (
            isinstance(tags, dict) and all(isinstance(w, str) for kv in tags.items() for w in kv)
        ):
            raise SettingsError(f"{where}: tags {tags!r}: expected texts by name, for example {{'lang': 'pt'}}.")
        try:
            if isinstance(value, str):
                raise TypeError
            number = None if value is None else float(value)
        except (TypeError, ValueError, OverflowError):
            raise SettingsError(f"{where}: the value {value!r} is no number.") from None
        if number is not None and not math.isfinite(number):
            raise SettingsError(f"{where}: the value is {number}; record None where there is no number.")
        settings = self.project.metrics.get(name)
        self.measurements[self._free(name)] = Measurement(
            value=number,
            status="ok" if number is not None else "unscored",
            direction=(settings.direction if settings and settings.direction else direction),
            kind=(settings.kind if settings and settings.kind else "score"),
            unit=unit,
            tags=tags,
        )

    @property
    def prompt_registry(self) -> Registry:
        """The prompt registry; what is taken out of it belongs to this test.

        Raises:
            SettingsError: this evaluation was made without one.
        """
        if self.prompts is None:
            raise SettingsError("this evaluation has no prompt registry.")
        return self.prompts().told(self.use_prompt)

    def prompt(self, reference: str) -> Prompt:
        """A prompt of the registry; the test is about it from now on."""
        __tracebackhide__ = True
        return self.prompt_registry[reference]

    def use_prompt(self, prompt: Prompt) -> None:
        """Note that this test is about a prompt: its id and hash go into the record."""
        self.used_prompts[prompt.id] = prompt

    def unknown_cost(self, error: TypeError) -> str | None:
        """Why a cost is unknown, where a test computed with one and that is what `error` is about."""
        return why_none(error, self.calls, unpriced=self.unpriced)

    # -- the end --------------------------------------------------------------------------------------------------

    def built_in_measurements(self, fired: Sequence[tuple[Result, Trigger]]) -> dict[str, Measurement]:
        """Tokens, cost and latency of each run; of the whole test where it made calls outside of any; what `fired`."""
        found: dict[str, Measurement] = {}
        runs = [(r._suffix, [pair for pair in self.answered(r) if pair[1].role == "app"]) for r in self.results]
        runs = [(suffix, pairs) for suffix, pairs in runs if pairs]
        if not runs and (outside := [pair for pair in self.answered() if pair[1].role == "app"]):
            runs = [("", outside)]
        for suffix, pairs in runs:
            calls = [call for _, call in pairs]
            for name, value in totals(pairs).items():
                if value is None and name == "ttft_ms":
                    continue
                default = BUILTIN_METRICS[name]
                found[name + suffix] = Measurement(
                    value=value,
                    status="ok" if value is not None else "unscored",
                    reason=None if value is not None else why_unknown(name, calls),
                    source="builtin",
                    direction=default.direction,
                    kind=default.kind,
                    unit=UNITS[name],
                )
        for step in self.steps:
            found |= step.measurements()
        for result, trigger in fired:
            self.guarded(trigger.name, result, triggered=True, reason=trigger.reason)
        return found


def _joined(parts: list[Any]) -> Any:
    return "".join(parts) if parts and all(isinstance(part, str) for part in parts) else parts
