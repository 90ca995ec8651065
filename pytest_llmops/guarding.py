"""Guardrails put around an application or a prompt by the test: they are the guard under test. docs/suites.md."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pytest_llmops.checks.guardrails import DETECTED, OVERALL, Guardrail, Outcome, build
from pytest_llmops.errors import LlmopsError, SettingsError
from pytest_llmops.evidence import Source, Trigger, TriggerAction, TriggerStage
from pytest_llmops.observed import SCANS, Detections, scanner

if TYPE_CHECKING:
    import os

    from pytest_llmops.checks.guardrails.rates import GuardrailRates
    from pytest_llmops.evaluation import Evaluation
    from pytest_llmops.prompts import GuardrailSpec, Prompt

REMOVED = "[removed]"
_DONE: dict[str, TriggerAction] = {"block": "blocked", "rewrite": "rewritten", "flag": "detected"}


@dataclass(frozen=True)
class Guard:
    """One guardrail at one side of the application.

    Args:
        action: ``block``, ``rewrite`` or ``flag``.
    """

    guardrail: Guardrail
    stage: TriggerStage
    action: str


@dataclass(frozen=True)
class Guarded:
    """What became of a text.

    Args:
        text: as it goes on; rewritten where a guard says so.
        checked: names of the guards that looked at it.
        triggers: what fired, source ``builtin`` or ``judge``.
        stage: the side it was on its way into.
        outcomes: what those that looked at it said, by name; without one that failed itself.
    """

    text: str
    checked: tuple[str, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    stage: TriggerStage = "output"
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def blocked_by(self) -> str | None:
        """The guard that kept it back."""
        return next((t.name for t in self.triggers if t.action in ("blocked", "failed_closed")), None)


def of_names(names: Sequence[str | Guardrail]) -> list[Guard]:
    """Guards by name, each at the sides and with the action that are its own.

    Raises:
        SettingsError: no such guardrail.
    """
    if isinstance(names, str):
        raise SettingsError(f"guardrails={names!r}: expected a list of names, [{names!r}].")
    guards = []
    for name in names:
        guardrail = build(name) if isinstance(name, str) else name
        stages: tuple[TriggerStage, ...] = ("input", "output") if guardrail.stage == "both" else (guardrail.stage,)
        guards += [Guard(guardrail, stage, str(getattr(guardrail, "action", "block"))) for stage in stages]
    return guards


def of_prompt(prompt: Prompt) -> tuple[list[Guard], tuple[str, ...]]:
    """The guards of a prompt's ``guardrails`` section, and the names there that nothing here can run."""
    guards, unknown = [], []
    for stage, specs in _sections(prompt):
        for spec in specs:
            try:
                guards.append(Guard(_built(spec), stage, spec.action))
            except SettingsError as error:
                if "no guardrail is named" not in str(error):
                    raise SettingsError(f"{prompt.where}: {prompt.id}: guardrails.{stage}: {error}") from None
                unknown.append(spec.type)
    return guards, tuple(unknown)


def _sections(prompt: Prompt) -> Iterator[tuple[TriggerStage, Sequence[GuardrailSpec]]]:
    yield "input", prompt.input_guardrails
    yield "output", prompt.output_guardrails


def _built(spec: GuardrailSpec) -> Guardrail:
    threshold = {} if spec.threshold is None else {"threshold": spec.threshold}
    return build(spec.type, **threshold, **spec.options)


class GuardFailed(LlmopsError):
    """A guardrail of ours could not look: its judge failed, or something that it needs is missing.

    Args:
        guardrail: which.
        stage: the side it was to look at.
        error: what happened.
    """

    def __init__(self, guardrail: Guardrail, stage: TriggerStage, error: LlmopsError) -> None:
        super().__init__(str(error))
        self.guardrail, self.stage, self.error = guardrail, stage, error


def apply(guards: Sequence[Guard], stage: TriggerStage, text: str, context: Mapping[str, Any]) -> Guarded:
    """Let the guards of one side look at a text, one after the other; a block ends it.

    A user's guard that fails itself keeps the text back: it fails closed.

    Raises:
        GuardFailed: a judge failed, or something that a guard needs is missing.
    """
    __tracebackhide__ = True
    steps = _applying(guards, stage, text)
    given = {**context, "stage": stage}
    try:
        guard, said = next(steps)
        while True:
            try:
                outcome = guard.guardrail.check(said, given)
            except LlmopsError as error:
                raise GuardFailed(guard.guardrail, stage, error) from error
            except Exception as error:  # a user's own guardrail may raise anything
                guard, said = steps.send(error)
            else:
                guard, said = steps.send(outcome)
    except StopIteration as end:
        return cast("Guarded", end.value)


async def aapply(guards: Sequence[Guard], stage: TriggerStage, text: str, context: Mapping[str, Any]) -> Guarded:
    """`apply` without blocking the running loop, where a guardrail has ``acheck``."""
    __tracebackhide__ = True
    steps = _applying(guards, stage, text)
    given = {**context, "stage": stage}
    try:
        guard, said = next(steps)
        while True:
            acheck = getattr(guard.guardrail, "acheck", None)
            try:
                outcome = await acheck(said, given) if acheck is not None else guard.guardrail.check(said, given)
            except LlmopsError as error:
                raise GuardFailed(guard.guardrail, stage, error) from error
            except Exception as error:  # as in apply
                guard, said = steps.send(error)
            else:
                guard, said = steps.send(outcome)
    except StopIteration as end:
        return cast("Guarded", end.value)


def _applying(
    guards: Sequence[Guard], stage: TriggerStage, text: str
) -> Generator[tuple[Guard, str], Outcome | Exception, Guarded]:
    """The guards that are to look at a text in turn; what each of them said is sent in."""
    outcomes: dict[str, Outcome] = {}
    checked, triggers = [], []
    for guard in guards:
        if guard.stage != stage:
            continue
        name = guard.guardrail.name
        checked.append(name)
        outcome = yield guard, text
        if isinstance(outcome, Exception):
            why = f"the guardrail failed: {type(outcome).__name__}: {outcome}"
            triggers.append(Trigger(name, "builtin", stage, "failed_closed", why))
            break
        outcomes[name] = outcome
        if not outcome.triggered:
            continue
        rewritten = _rewritten(guard, text, outcome) if guard.action == "rewrite" else None
        action = _DONE.get(guard.action, "blocked") if guard.action != "rewrite" or rewritten is not None else "blocked"
        triggers.append(_trigger(name, stage, action, outcome))
        if action == "blocked":
            break
        text = rewritten if rewritten is not None else text
    return Guarded(text, tuple(checked), tuple(triggers), stage, outcomes)


def _trigger(name: str, stage: TriggerStage, action: TriggerAction, outcome: Outcome) -> Trigger:
    kinds = tuple(dict.fromkeys(span.type for span in outcome.spans))
    judged = {key: score for key, score in outcome.scores.items() if key.startswith("safety.") and key != OVERALL}
    categories = kinds or tuple(score.criterion for score in judged.values() if score >= DETECTED)
    source: Source = "builtin" if outcome.source == "builtin" else "judge"
    return Trigger(name, source, stage, action, outcome.reason, categories, outcome.score)


def _rewritten(guard: Guard, text: str, outcome: Outcome) -> str | None:
    """The text without what was found; None where that has no single place, so that only blocking helps."""
    if not outcome.spans:
        return None
    from pytest_llmops.checks.guardrails.pii import PiiGuardrail, mask

    if isinstance(guard.guardrail, PiiGuardrail):
        return mask(text, outcome.spans)
    kept, position = [], 0
    for span in sorted(outcome.spans, key=lambda s: (s.start, s.end)):
        if span.end > position:
            kept += [text[position : span.start], REMOVED] if span.start >= position else []
            position = span.end
    return "".join(kept) + text[position:]


class GuardrailSuite(Mapping[str, Guardrail]):
    """Guardrails by name, to scan texts with: the fixture ``llm_guardrails``.

    Args:
        names: which ``scan`` uses; default those that need nothing but the text.
    """

    folder: Path = Path()
    """The test file's."""
    evaluation: Evaluation | None = None
    """The test's, where it is marked."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = tuple(names) or tuple(name for name in SCANS if name != "system_prompt_leak")
        self._scanning = {name: build(name) if names else scanner(name) for name in self._names}
        self._built: dict[str, Guardrail] = {}

    def __getitem__(self, name: str) -> Guardrail:
        """Any guardrail that there is, also one that ``scan`` does not use."""
        if name not in self._built:
            self._built[name] = build(name)
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def scan(self, text: str, **context: Any) -> Detections:
        """What the guardrails find in a text, by name: ``"pii_detection" in llm_guardrails.scan(text)``."""
        __tracebackhide__ = True
        if self.evaluation is not None:
            self.evaluation.looked = True
        outcomes = {name: guardrail.check(text, context) for name, guardrail in self._scanning.items()}
        return Detections({name: outcome for name, outcome in outcomes.items() if outcome.triggered})

    def rates(
        self,
        guardrail: str | Guardrail | Callable[[str], bool | Outcome],
        dataset: str | os.PathLike[str],
        *,
        name: str | None = None,
        **options: Any,
    ) -> GuardrailRates:
        """Precision, recall and false-positive rate on labelled texts; recorded as ``pii_detection.recall`` and so on.

        Args:
            guardrail: its name, an object, or a function that answers a text with True, False or an Outcome.
            dataset: JSONL of ``{"text": …, "expected": true}``, relative to the test file.
            name: begins the measurements' names; default the guardrail's.
            options: of a guardrail that is given by name.

        Raises:
            DatasetError: the dataset cannot be read.
            JudgeError: the guardrail's judge failed; recorded as status ``error``.
            SettingsError: no such guardrail or option, or the test has rates of that name already.
        """
        __tracebackhide__ = True
        from pytest_llmops import rating

        if isinstance(guardrail, str):
            made = build(guardrail, **options) if options else self[guardrail]
        else:
            made = rating.as_guardrail(guardrail)
        return rating.rate(made, self.folder / dataset, self.evaluation, name)

    def protect(self, text: str, *, stage: TriggerStage = "output", **context: Any) -> Guarded:
        """A text as it would be let through: rewritten, or kept back (``blocked_by``)."""
        __tracebackhide__ = True
        guards = [replace(guard, stage=stage) for guard in of_names([*self._scanning.values()])]
        unique = {guard.guardrail.name: guard for guard in guards}
        try:
            return apply(list(unique.values()), stage, text, context)
        except GuardFailed as failed:
            raise failed.error from None
