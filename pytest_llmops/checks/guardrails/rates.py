"""How good a guardrail is on labelled texts: ``pytest-llmops guardrails eval``."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_llmops import threats
from pytest_llmops.checks.guardrails.outcome import Guardrail, Outcome
from pytest_llmops.errors import DatasetError, SettingsError, did_you_mean
from pytest_llmops.stats import wilson

SHARES = ("precision", "recall", "false_positive_rate")
FIELDS = ("text", "expected", "language", "tags", "context")


@dataclass(frozen=True, slots=True)
class LabelledText:
    """One line of a dataset.

    Args:
        expected: should the guardrail trigger.
        context: what the guardrail is given besides the text, such as ``system_prompt``.
        line: where it stands in its file, 1-based.
    """

    text: str
    expected: bool
    language: str | None = None
    tags: tuple[str, ...] = ()
    context: Mapping[str, Any] | None = None
    line: int | None = field(default=None, compare=False)


@dataclass(slots=True)
class Rates:
    """Counts of a guardrail's answers, and what follows from them; None where there is nothing to divide by."""

    tp: int = 0
    fp: int = 0
    tn: int = 0
    fn: int = 0
    size: int = field(default=0, repr=False)
    """Bytes of UTF-8 checked."""
    cpu_s: float = field(default=0.0, repr=False)

    def count(self, case: LabelledText, triggered: bool, cpu_s: float | None) -> None:
        """Add one text; without a time where a judge was asked, whose time is not this machine's."""
        name = ("t" if triggered == case.expected else "f") + ("p" if triggered else "n")
        setattr(self, name, getattr(self, name) + 1)
        if cpu_s is not None:
            self.size += len(case.text.encode("utf-8", "surrogatepass"))
            self.cpu_s += cpu_s

    def as_json(self) -> dict[str, Any]:
        """Counts, shares, their 95 % Wilson intervals ``[low, high]``, and CPU milliseconds for 1024 bytes."""
        shares = {
            "precision": (self.tp, self.tp + self.fp),
            "recall": (self.tp, self.tp + self.fn),
            "false_positive_rate": (self.fp, self.fp + self.tn),
        }
        return {
            "n": self.tp + self.fp + self.tn + self.fn,
            "tp": self.tp,
            "fp": self.fp,
            "tn": self.tn,
            "fn": self.fn,
            **{name: hits / n if n else None for name, (hits, n) in shares.items()},
            "intervals": {name: list(wilson(hits, n)) if n else None for name, (hits, n) in shares.items()},
            "ms_per_kb": self.cpu_s * 1000 / (self.size / 1024) if self.size else None,
        }


class GuardrailRates(dict[str, Any]):
    """What `measure` found: its keys read as attributes, too.

    Args:
        found: the keys and values.
        missed: the texts that should have triggered and did not.
        false_alarms: those that did and should not.
        definitions: hashes of the judges and rubrics that answered; empty where none did.
    """

    def __init__(
        self,
        found: Mapping[str, Any],
        missed: Sequence[LabelledText] = (),
        false_alarms: Sequence[LabelledText] = (),
        definitions: Collection[str] = (),
    ) -> None:
        super().__init__(found)
        self.missed, self.false_alarms, self.definitions = tuple(missed), tuple(false_alarms), frozenset(definitions)

    def __getattr__(self, name: str) -> Any:
        __tracebackhide__ = True
        if name in self:
            return self[name]
        if name.startswith("__"):
            raise AttributeError(name)
        known = (*self, "missed", "false_alarms")
        raise AttributeError(f"rates of a guardrail have no {name!r}.{did_you_mean(name, known)}")

    def __repr__(self) -> str:
        shares = ", ".join(f"{name} {'–' if self[name] is None else format(self[name], '.1%')}" for name in SHARES)
        return f"<rates of {self['guardrail']} over {self['n']} texts: {shares}>"


def measure(guardrail: Guardrail, cases: Iterable[LabelledText]) -> GuardrailRates:
    """Check each text, and count.

    Returns:
        `Rates.as_json` with ``guardrail``, and the same under ``by_language``, ``by_threat`` (OWASP ids, or the name of
        a threat that has none) and ``by_tag``.

    Raises:
        SettingsError: the guardrail answers with something else than an Outcome, or needs what a case's context lacks.
    """
    everything, definitions = Rates(), set[str]()
    missed, false_alarms = list[LabelledText](), list[LabelledText]()
    by_language, by_threat, by_tag = dict[str, Rates](), dict[str, Rates](), dict[str, Rates]()
    warm = False
    for case in cases:
        begun = time.process_time()
        outcome = _checked(guardrail, case)
        if not warm and outcome.source == "builtin":  # what is loaded on first use is not the cost of a check
            begun = time.process_time()
            outcome = _checked(guardrail, case)
        warm = True
        spent = time.process_time() - begun if outcome.source == "builtin" else None
        triggered = outcome.triggered
        if triggered != case.expected:
            (missed if case.expected else false_alarms).append(case)
        if outcome.definition is not None:
            definitions.add(outcome.definition)
        groups = [everything, *(by_tag.setdefault(tag, Rates()) for tag in dict.fromkeys(case.tags))]
        groups += [by_threat.setdefault(name, Rates()) for name in threats.groups(case.tags)]
        if case.language:
            groups.append(by_language.setdefault(case.language, Rates()))
        for rates in groups:
            rates.count(case, triggered, spent)
    found = {
        "guardrail": guardrail.name,
        **everything.as_json(),
        "by_language": {name: by_language[name].as_json() for name in sorted(by_language)},
        "by_threat": {name: by_threat[name].as_json() for name in sorted(by_threat)},
        "by_tag": {name: by_tag[name].as_json() for name in sorted(by_tag)},
    }
    return GuardrailRates(found, missed, false_alarms, definitions)


def _checked(guardrail: Guardrail, case: LabelledText) -> Outcome:
    outcome = guardrail.check(case.text, case.context)
    if not isinstance(outcome, Outcome):
        raise SettingsError(f"guardrail {guardrail.name!r}: check() returned {outcome!r}, not an Outcome.")
    return outcome


def load(path: Path) -> list[LabelledText]:
    """Read JSONL, plain or gzipped, of ``{"text": …, "expected": true}``; other fields of a line are left alone.

    Raises:
        DatasetError: the file or a line cannot be used; the message begins with ``path:line``.
    """
    cases = [_case(source, number, f"{path}:{number}") for number, source in _lines(path)]
    if not cases:
        raise DatasetError(f'{path}: no texts in it. Each line is one object: {{"text": "…", "expected": true}}')
    return cases


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
    except FileNotFoundError:
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DatasetError(f"{path}: no such file.{did_you_mean(path.name, siblings) if siblings else ''}") from None
    except (OSError, EOFError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from None
    for number, raw in enumerate(data.split(b"\n"), start=1):
        try:
            source = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}:{number}: not UTF-8 (byte 0x{raw[error.start]:02x}).") from None
        if source.strip():
            yield number, source


def _case(source: str, number: int, where: str) -> LabelledText:
    try:
        fields = json.loads(source)
    except (ValueError, RecursionError) as error:
        why = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise DatasetError(f"{where}: broken JSON: {why}. Each line is one whole JSON object.") from None
    if not isinstance(fields, dict):
        raise DatasetError(f'{where}: expected an object {{"text": "…", "expected": true}}, got {source.strip()[:60]}')
    for key in ("text", "expected"):
        if key not in fields:
            raise DatasetError(f"{where}: no {key!r}.{did_you_mean(key, fields) if fields else ''}")
    text, expected, language, tags, context = (fields.get(key) for key in FIELDS)
    tags = [tags] if isinstance(tags, str) else tags or []
    for key, right, wanted in (
        ("text", isinstance(text, str), "a text"),
        ("expected", isinstance(expected, bool), "true or false"),
        ("language", language is None or isinstance(language, str), "a language code"),
        ("tags", isinstance(tags, list) and all(isinstance(tag, str) for tag in tags), "a list of texts"),
        ("context", context is None or isinstance(context, dict), "an object"),
    ):
        if not right:
            shown = json.dumps(fields[key], ensure_ascii=False)
            raise DatasetError(f"{where}: {key}: expected {wanted}, got {shown[:60]}")
    try:
        threats.of_tags(tags)
    except SettingsError as error:
        raise DatasetError(f"{where}: tags: {error}") from None
    return LabelledText(fields["text"], fields["expected"], language, tuple(tags), context, number)
