"""PromptTestSuite: a prompt, or the application around it, under test in the words of the field. docs/suites.md."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_llmops import behaviour, guarding, scanning
from pytest_llmops.behaviour import Action, Confidence
from pytest_llmops.cassettes import scope
from pytest_llmops.checks.guardrails import Guardrail
from pytest_llmops.errors import PromptError, SettingsError
from pytest_llmops.evidence import Trigger
from pytest_llmops.guarding import Guard, Guarded, GuardFailed
from pytest_llmops.observed import Language, language_of
from pytest_llmops.prompts import Prompt, RenderedPrompt
from pytest_llmops.records import Measurement

if TYPE_CHECKING:
    from pytest_llmops.checks import Judge
    from pytest_llmops.checks.spoken import WhichLanguage
    from pytest_llmops.evaluation import Evaluation
    from pytest_llmops.result import Result

_INPUTS = (
    "input", "user_input", "question", "user_question", "message", "user_message", "customer_message", "query",
    "user_query", "customer_query", "text", "prompt", "request", "issue", "problem", "inquiry", "ticket",
)  # fmt: skip
_LANGUAGES = ("language", "lang", "locale")
REFUSALS = {
    "en": "I cannot help with this request.",
    "pt": "Não posso ajudar com esta solicitação.",
    "es": "No puedo ayudar con esta solicitud.",
    "vi": "Tôi không thể hỗ trợ yêu cầu này.",
    "zh": "我无法协助处理这个请求。",
}
"""What stands in a blocked answer's place, by language; English for others."""


class PromptTestSuite:
    """Runs a registry prompt, or the application that uses it, inside a test marked ``llm_eval``.

    Args:
        prompt: a reference such as ``customer-support-v2.3.1`` or ``customer-support@2``.
        app: the user's application: a function of the input, with ``language``, ``prompt``, ``messages`` or
            ``variables`` where it has such parameters. None: the prompt is rendered and sent to its own model.
        guardrails: names (or guardrails) put around it, in place of the prompt's own ``guardrails`` section.
        variables: values of the prompt's variables, beside the input.
        judge_language: ask the judge for the language of texts that are too short or too regional to tell offline.
    """

    __test__ = False

    def __init__(
        self,
        prompt: str,
        app: Callable[..., Any] | None = None,
        *,
        guardrails: Sequence[str | Guardrail] | None = None,
        variables: Mapping[str, Any] | None = None,
        judge_language: bool = False,
    ) -> None:
        if not isinstance(prompt, str) or not prompt.strip():
            raise SettingsError(f"PromptTestSuite({prompt!r}): expected a prompt's id, such as 'customer-support@2'.")
        if app is not None and not callable(app):
            raise SettingsError(f"PromptTestSuite(app={app!r}): expected a function.")
        self.reference, self.app, self.variables = prompt, app, dict(variables or {})
        self.judge_language = judge_language
        self._guards = guarding.of_names(guardrails) if guardrails is not None else None

    def __repr__(self) -> str:
        return f"PromptTestSuite({self.reference!r})"

    @property
    def prompt(self) -> Prompt:
        """The registry's prompt."""
        return _evaluation().prompt(self.reference)

    def run(
        self,
        input: str,
        *,
        expected_behavior: str | None = None,
        language: str | None = None,
        variables: Mapping[str, Any] | None = None,
        context: Sequence[str] = (),
        name: str | None = None,
    ) -> SuiteResult:
        """Put one input through guards, application and guards.

        Args:
            input: what the user says.
            expected_behavior: what it should do; measured as ``expected_behavior`` where that can be read.
            language: BCP 47, declared for texts too short or too regional to tell.
            variables: over the suite's.
            context: texts that the answer may rest on, for guards that judge it; default the case's, or the variable
                ``context``.
            name: tells several runs of one test apart in measurements.

        Raises:
            SettingsError: outside of a test marked ``llm_eval``.
            PromptError: no such prompt, or variables that it does not take.
            JudgeError: a guard's judge failed.
        """
        __tracebackhide__ = True
        run = _Run(self, input, expected_behavior, language, variables, context)
        return run.finished(run.evaluation.run(run.answer, name=name))

    async def arun(
        self,
        input: str,
        *,
        expected_behavior: str | None = None,
        language: str | None = None,
        variables: Mapping[str, Any] | None = None,
        context: Sequence[str] = (),
        name: str | None = None,
    ) -> SuiteResult:
        """`run` for an async application."""
        __tracebackhide__ = True
        run = _Run(self, input, expected_behavior, language, variables, context)
        return run.finished(await run.evaluation.arun(run.aanswer, name=name))

    def guards(self, prompt: Prompt) -> tuple[list[Guard], tuple[str, ...]]:
        """The guards around a run, and names of guardrails that nothing here can run."""
        return (self._guards, ()) if self._guards is not None else guarding.of_prompt(prompt)


class SuiteResult:
    """What came of one input; beside these, everything that a Result has (``cost_usd``, ``judge``, …)."""

    def __init__(self, run: _Run, result: Result) -> None:
        self._run, self.result = run, result
        self.raw: Any = run.raw
        """What the application returned, before the guards of the output."""
        self.structured = run.fields
        """The mapping in it, where there is one."""
        self.guardrails_not_run = run.unknown
        """Names in the prompt's ``guardrails`` section that nothing here can run."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.result, name)

    def __repr__(self) -> str:
        return f"<SuiteResult of {self._run.prompt.id}: {self.output[:60]!r}>"

    @property
    def output(self) -> str:
        """What the user reads; a refusal in their language where it was blocked."""
        return self._run.output

    @cached_property
    def _did(self) -> tuple[Action | None, Confidence | None]:
        return self._run.did(self.result)

    @property
    def action(self) -> Action:
        """What was done, with its ``source``: the structured output, a tool call, a guardrail's block, or a judge."""
        return self._did[0] or self._judged[0]

    @property
    def confidence(self) -> Confidence:
        """How sure the application was, 0..1, with its ``source``; a judge's view where it does not say."""
        return self._did[1] if self._did[1] is not None else self._judged[1]

    @cached_property
    def _judged(self) -> tuple[Action, Confidence]:
        __tracebackhide__ = True
        judge, question = self._run.behaving(self.output)
        return judge.settle(question)

    async def ajudged(self) -> SuiteResult:
        """Ask the judge, without blocking the running loop, for what the attributes here would ask it for."""
        __tracebackhide__ = True
        if None in self._did and "_judged" not in vars(self):
            judge, question = self._run.behaving(self.output)
            vars(self)["_judged"] = await judge.asettle(question)
        for name, text in (("detected_language", self._run.input), ("response_language", self.output)):
            found = self._run.told(text)
            if name not in vars(self) and self._run.asks_for(found):
                judge, which = self._run.speaking(text)
                vars(self)[name] = scanning.told(await judge.asettle(which))
        return self

    @property
    def as_expected(self) -> bool:
        """Whether the action is the expected behaviour."""
        expected = self._run.expected
        if expected is None:
            raise SettingsError("as_expected: run(…, expected_behavior='escalate_to_human') says what is expected.")
        return bool(self.action == behaviour.normalised(expected))

    @cached_property
    def detected_language(self) -> Language:
        """The input's language; the declared one where the text is too short or too regional to tell."""
        return self._run.language_of(self._run.input)

    @cached_property
    def response_language(self) -> Language:
        """The output's language, likewise."""
        return self._run.language_of(self.output)


class _Run:
    """One input on its way."""

    def __init__(
        self,
        suite: PromptTestSuite,
        input: str,
        expected: str | None,
        language: str | None,
        variables: Mapping[str, Any] | None,
        context: Sequence[str],
    ) -> None:
        if not isinstance(input, str):
            raise SettingsError(f"suite.run(input={input!r}): expected a text.")
        self.evaluation = _evaluation()
        self.suite, self.input, self.expected, self.language = suite, input, expected, language
        self.variables = {**suite.variables, **(variables or {})}
        self.context = context
        self.prompt = self.evaluation.prompt(suite.reference)
        self.guards, self.unknown = suite.guards(self.prompt)
        self.looked: list[Guarded] = []
        self.output = ""
        self.raw: Any = None
        self.fields: Mapping[str, Any] | None = None

    def answer(self) -> str:
        __tracebackhide__ = True
        with self._failing():
            said = self._passed(guarding.apply(self.guards, "input", self.input, self._known()))
        if said is not None:
            self.raw = self._application(said)
            if inspect.isawaitable(self.raw):
                if inspect.iscoroutine(self.raw):
                    self.raw.close()
                raise SettingsError("the suite's app is async: use `await suite.arun(…)` in an async test.")
            visible = self._read(self.raw)
            with self._failing():
                passed = self._passed(guarding.apply(self.guards, "output", visible, self._known()))
            self.output = self.output if passed is None else passed
        return self.output

    async def aanswer(self) -> str:
        __tracebackhide__ = True
        with self._failing():
            said = self._passed(await guarding.aapply(self.guards, "input", self.input, self._known()))
        if said is not None:
            raw = self._application(said)
            self.raw = await raw if inspect.isawaitable(raw) else raw
            visible = self._read(self.raw)
            with self._failing():
                passed = self._passed(await guarding.aapply(self.guards, "output", visible, self._known()))
            self.output = self.output if passed is None else passed
        return self.output

    def _application(self, said: str) -> Any:
        __tracebackhide__ = True
        if self.suite.app is None:
            from pytest_llmops.prompts import calling

            calling.model_of(self.prompt)  # without a model the variables do not matter
            return calling.ask(self._rendered(said))
        takes = _parameters(self.suite.app)
        given: dict[str, Any] = {}
        for name, value in (("language", self.language), ("variables", self.variables), ("prompt", self.prompt)):
            if name in takes:
                given[name] = value
        if "messages" in takes:
            return self.suite.app(messages=self._rendered(said).messages, **given)
        return self.suite.app(said, **given)

    def _rendered(self, said: str) -> RenderedPrompt:
        __tracebackhide__ = True
        values = dict(self.variables)
        names = [variable.name for variable in self.prompt.all_variables]
        open_ = [v.name for v in self.prompt.all_variables if v.name not in values and v.name not in _LANGUAGES]
        required = [v.name for v in self.prompt.all_variables if v.required and v.name in open_ and v.type == "string"]
        place = next((name for name in _INPUTS if name in open_), None) or next(iter(required), None)
        if place is None:
            raise PromptError(
                f"{self.prompt.where}: {self.prompt.id}: no variable takes the input; its variables are "
                f"{', '.join(names) or 'none'}. Name one of them 'input'."
            )
        values[place] = said
        for name in names:
            if name in _LANGUAGES and name not in values and self.language:
                values[name] = self.language
        return self.prompt.render(values)

    def _read(self, raw: Any) -> str:
        """What the user would read of what the application returned."""
        self.fields = behaviour.structured(raw)
        result = scope.current_capture(self.evaluation.tape)
        return behaviour.visible(raw, self.fields, getattr(result, "text", None))

    def _known(self) -> dict[str, Any]:
        """What guards are told besides the text."""
        case, texts = self.evaluation.case, self.context or self.variables.get("context") or ()
        return {
            "system_prompt": self.prompt.system_prompt,
            "language": self.language,
            "input": self.input,
            "expected": case.expected if case else None,
            "context": texts or (case.context if case else ()),
        }

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """A guard whose judge failed is an error of its measurements, and of the test."""
        __tracebackhide__ = True
        try:
            yield
        except GuardFailed as failed:
            guardrail, suffix = failed.guardrail, getattr(scope.current_capture(self.evaluation.tape), "suffix", "")
            errors = scanning.failed(guardrail, guardrail.name, suffix, failed.error, failed.stage)
            self.evaluation.measurements.update(errors)
            raise failed.error from None

    def _passed(self, looked: Guarded) -> str | None:
        """The text as the guards let it through; None where they keep it back, and `output` says so."""
        self.looked.append(looked)
        if looked.blocked_by is None:
            return looked.text
        self.output = self._refusal()
        return None

    def _refusal(self) -> str:
        language = self.told(self.input).partition("-")[0]
        return REFUSALS.get(language, REFUSALS["en"])

    def language_of(self, text: str) -> Language:
        __tracebackhide__ = True
        found = self.told(text)
        if not self.asks_for(found):
            return found
        judge, question = self.speaking(text)
        return scanning.told(judge.settle(question))

    def told(self, text: str) -> Language:
        project = self.evaluation.project
        return language_of(text, project.languages, declared=self.language, detector=project.language_detector)

    def asks_for(self, found: Language) -> bool:
        return self.suite.judge_language and found.source in ("none", "declared")

    def speaking(self, text: str) -> tuple[Judge, WhichLanguage]:
        judge, declared = self.evaluation.judge().lead, (self.language,) if self.language else ()
        return judge, scanning.which_language(judge, text, (*self.evaluation.project.languages, *declared))

    def finished(self, result: Result) -> SuiteResult:
        if result.error is not None:  # the application's own guard, or the provider's, stopped it
            self.output = self._refusal()
        result.output = self.output
        fired: list[Trigger] = [trigger for looked in self.looked for trigger in looked.triggers]
        result.reported += fired
        names = {trigger.name for trigger in fired}
        for name in dict.fromkeys(name for looked in self.looked for name in looked.checked):
            stages = [looked.stage for looked in self.looked if name in looked.checked]
            said = [looked.outcomes[name] for looked in self.looked if name in looked.outcomes]
            self.evaluation.guarded(
                name,
                result,
                triggered=name in names,
                stage=stages[0] if len(stages) == 1 else "both",
                definition=next((outcome.definition for outcome in said if outcome.definition), None),
            )
        for looked in self.looked:
            for outcome in looked.outcomes.values():
                self.evaluation.measurements.update(scanning.scored(outcome.scores, result.suffix, looked.stage))
        finished = SuiteResult(self, result)
        action, _ = self.did(result)
        if self.expected is not None and action is not None:
            self.evaluation.measurements["expected_behavior" + result.suffix] = Measurement(
                value=float(action == behaviour.normalised(self.expected)),
                reason=f"{action.said} ({action.source}), expected {self.expected}",
                source="recorded",
                kind="rate",
            )
        return finished

    def did(self, result: Result) -> tuple[Action | None, Confidence | None]:
        """Action and confidence, where anything but a judge says them."""
        if result.blocked_at is not None:
            return Action("block", "guardrail"), Confidence(1.0, "guardrail")
        return behaviour.read(self.fields, result.tool_calls)

    def behaving(self, output: str) -> tuple[Judge, behaviour.WhatItDid]:
        judge = self.evaluation.judge().lead
        return judge, behaviour.WhatItDid(judge.model, output, input=self.input, expected=self.expected)


def _evaluation() -> Evaluation:
    """The running test's evaluation."""
    tape = scope.own() or scope.current()
    evaluation: Evaluation | None = getattr(tape, "owner", None)
    if evaluation is None:
        raise SettingsError("PromptTestSuite runs inside a test marked @pytest.mark.llm_eval; none is running here.")
    return evaluation


def _parameters(app: Callable[..., Any]) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(app).parameters)
    except (TypeError, ValueError):  # a built-in without a signature
        return frozenset()
