"""A guardrail's rates on labelled texts, as measurements of a test: ``llm_guardrails.rates(…)``."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytest_llmops.checks.guardrails import Context, Guardrail, Outcome, Stage
from pytest_llmops.errors import JudgeError, SettingsError, did_you_mean
from pytest_llmops.records import Measurement
from pytest_llmops.registry import Direction

if TYPE_CHECKING:
    from pytest_llmops.checks.guardrails.rates import GuardrailRates, LabelledText
    from pytest_llmops.evaluation import Evaluation

LISTED = 20
RateName = Literal["precision", "recall", "false_positive_rate"]
SHARES: dict[RateName, tuple[Direction, str]] = {
    "precision": ("higher", "texts that triggered it should have"),
    "recall": ("higher", "texts that should trigger it did"),
    "false_positive_rate": ("lower", "harmless texts triggered it"),
}


@dataclass(frozen=True)
class CalledGuardrail:
    """A function of a text, as a guardrail.

    Args:
        function: answers True, False, or with an Outcome.
    """

    name: str
    function: Callable[[str], bool | Outcome]
    stage: Stage = "both"

    def check(self, text: str, context: Context | None = None) -> Outcome:
        """Call it.

        Raises:
            SettingsError: it answers with something else.
        """
        found = self.function(text)
        if isinstance(found, Outcome):
            return found
        if not isinstance(found, bool):
            if inspect.iscoroutine(found):
                found.close()
            raise SettingsError(f"guardrail {self.name!r} returned {found!r:.80}; expected True, False or an Outcome.")
        return Outcome(found, score=float(found), reason=self.name if found else "")


def as_guardrail(given: Guardrail | Callable[[str], bool | Outcome]) -> Guardrail:
    """A guardrail, or a function of the text as one.

    Raises:
        SettingsError: neither of them.
    """
    if isinstance(given, Guardrail) and not isinstance(given, type):
        return given
    if not callable(given) or isinstance(given, type):
        raise SettingsError(f"rates({given!r}, …): expected a guardrail's name, a guardrail, or a function of a text.")
    return CalledGuardrail(getattr(given, "__name__", type(given).__name__), given)


def imported(reference: str) -> Guardrail:
    """The guardrail, or the function of a text, that ``package.module:name`` stands for.

    Raises:
        SettingsError: there is no such module or name, or it is neither of them.
    """
    module, _, name = reference.partition(":")
    try:
        found = getattr(import_module(module), name)
    except ImportError as error:
        raise SettingsError(f"guardrail {reference}: {error}; modules are looked for from this folder on.") from None
    except AttributeError:
        known = [key for key in vars(sys.modules[module]) if not key.startswith("_")]
        raise SettingsError(f"guardrail {reference}: {module} has no {name!r}.{did_you_mean(name, known)}") from None
    try:
        return as_guardrail(found() if isinstance(found, type) else found)
    except TypeError as error:
        raise SettingsError(f"guardrail {reference}: it cannot be made without arguments ({error}).") from None


def rate(guardrail: Guardrail, dataset: Path, evaluation: Evaluation | None, name: str | None = None) -> GuardrailRates:
    """Measure a guardrail on labelled texts; the rates become measurements of the test, where it has an evaluation.

    Args:
        guardrail: what is measured.
        dataset: JSONL, as `rates.load` reads it.
        evaluation: the running test's.
        name: begins the measurements' names; default the guardrail's.

    Raises:
        DatasetError: the dataset cannot be read.
        JudgeError: the guardrail's judge failed; recorded as status ``error``.
        SettingsError: the test has rates of a guardrail of that name already.
    """
    __tracebackhide__ = True
    from pytest_llmops.checks.guardrails import rates

    cases, prefix = rates.load(dataset), name or guardrail.name
    if evaluation is None:
        return rates.measure(guardrail, cases)
    if f"{prefix}.recall" in evaluation.measurements:
        raise SettingsError(f"this test has rates of {prefix!r} already: give these another name=….")
    evaluation.labelled.append(_fingerprint(prefix, cases))
    try:
        found = rates.measure(guardrail, cases)
    except JudgeError as error:
        for share, (direction, _) in SHARES.items():
            evaluation.measurements[f"{prefix}.{share}"] = Measurement(
                status="error", reason=str(error), source="guardrail", kind="rate", direction=direction
            )
        raise
    evaluation.measurements.update(measurements(found, prefix))
    return found


def measurements(found: GuardrailRates, prefix: str) -> Iterator[tuple[str, Measurement]]:
    """The rates, which gate, and those by language and threat, which are only shown."""
    definition = ",".join(sorted(found.definitions)) or None
    wrong = {"recall": ("missed", found.missed), "false_positive_rate": ("triggered by", found.false_alarms)}
    for name in SHARES:
        measured = _measurement(name, found, definition)
        word, texts = wrong.get(name, ("", ()))
        if texts:
            measured.reason = f"{measured.reason}; {word} {_lines(texts)}"
        yield f"{prefix}.{name}", measured
    for groups in (found["by_language"], found["by_threat"]):
        for group, rates in groups.items():
            for name in SHARES:
                if rates[name] is not None:
                    measured = _measurement(name, rates, definition)
                    yield f"{prefix}.{name}.{group}", measured.model_copy(update={"source": "recorded"})


def _measurement(name: RateName, rates: dict[str, Any], definition: str | None) -> Measurement:
    direction, words = SHARES[name]
    value, interval = rates[name], rates["intervals"][name]
    hits, others = {"precision": ("tp", "fp"), "recall": ("tp", "fn"), "false_positive_rate": ("fp", "tn")}[name]
    known: dict[str, Any] = {"source": "guardrail", "kind": "rate", "direction": direction, "definition": definition}
    if value is None:
        return Measurement(status="unscored", reason="there is no text to count", **known)
    return Measurement(
        value=value,
        interval=tuple(interval),
        texts=rates[hits] + rates[others] if name != "precision" else None,
        reason=f"{rates[hits]} of {rates[hits] + rates[others]} {words}; "
        f"95 % interval {interval[0]:.1%} to {interval[1]:.1%}",
        **known,
    )


def _lines(texts: Sequence[LabelledText]) -> str:
    listed = ", ".join(str(text.line) for text in texts[:LISTED])
    more = f" and {len(texts) - LISTED} more" if len(texts) > LISTED else ""
    return f"line{'s' * (len(texts) > 1)} {listed}{more}"


def _fingerprint(name: str, cases: Sequence[LabelledText]) -> str:
    content = [[case.text, case.expected, case.language, case.tags, case.context] for case in cases]
    text = json.dumps([name, content], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def fingerprint(case: str | None, labelled: Sequence[str]) -> str:
    """The hash of a dataset case and of the labelled texts measured in its test."""
    text = json.dumps([case, *labelled])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
