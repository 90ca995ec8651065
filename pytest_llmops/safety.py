"""What a run shows about safety: what was kept back and where, rates and scores, risks, and threats covered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pytest_llmops import threats
from pytest_llmops.baseline.stored import trials_by_case
from pytest_llmops.records import Measurement, TestRecord
from pytest_llmops.safety_record import (
    JUDGED,
    GuardrailUse,
    RiskyTest,
    SafetyCheck,
    SafetyLimit,
    SafetySummary,
    ThreatCoverage,
)
from pytest_llmops.settings import SafetySettings
from pytest_llmops.stats import significant, wilson

STAGES = ("input", "generation", "output")
RATES = (".precision", ".recall", ".false_positive_rate")
"""End the names of what is measured of a guardrail on labelled texts."""
STOPS = ("blocked", "failed_closed")
CHANGES = ("rewritten", "anonymised")
OUTCOMES = (
    *("safe", "blocked_at_input", "blocked_at_generation", "blocked_at_output"),
    *("rewritten", "detected", "failed_closed", "unchecked"),
)
SHOWN = 10
"""Tests listed with the highest risk."""


@dataclass(slots=True)
class _Look:
    """What one check said of one side of a test.

    Args:
        score: 0 safe to 1 dangerous, where it gives one.
        found: it found something; None: it failed.
        known: it would have been seen, too, had it found nothing; a provider's own filter would not.
        action: what was done; None where nothing was.
    """

    name: str
    stage: str
    found: bool | None
    score: float | None = None
    known: bool = True
    action: str | None = None
    reason: str | None = None


@dataclass(slots=True)
class _Test:
    record: TestRecord
    looks: list[_Look] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        return any(look.action in STOPS for look in self.looks)

    def outcome(self) -> str:
        actions = {look.action for look in self.looks if look.action}
        if "failed_closed" in actions:
            return "failed_closed"
        blocked = [look.stage for look in self.looks if look.action == "blocked"]
        if blocked:
            return f"blocked_at_{min(blocked, key=STAGES.index)}"
        if actions.intersection(CHANGES):
            return "rewritten"
        if any(look.found for look in self.looks):
            return "detected"
        return "unchecked" if any(look.found is None for look in self.looks) else "safe"


def summarize(tests: Iterable[TestRecord], settings: SafetySettings | None = None) -> SafetySummary | None:
    """What these tests show; None where nothing in them is about safety.

    Args:
        tests: the run's; reruns are left out.
        settings: ``[tool.pytest-llmops.safety]``.
    """
    settings = settings or SafetySettings()
    cases = trials_by_case(tests)
    looked = [_Test(trial, list(_looks(trial, settings))) for trials in cases.values() for trial in trials]
    covered = _coverage(cases.values())
    if any(look.known is False for test in looked for look in test.looks):
        # A provider's own filter looks at every call, and only what it finds is seen.
        concerned = [test for test in looked if test.looks or test.record.calls]
    else:
        concerned = [test for test in looked if test.looks]
    if not concerned and not covered:
        return None
    outcomes = Counter(test.outcome() for test in concerned)
    return SafetySummary(
        tests=len(concerned),
        outcomes={name: outcomes[name] for name in OUTCOMES if outcomes[name]},
        checks=_checks(concerned),
        limits=_limits(concerned, settings) if concerned else [],
        riskiest=_riskiest(concerned, settings),
        threats=covered,
    )


def _looks(test: TestRecord, settings: SafetySettings) -> Iterator[_Look]:
    """What looked at a test: judged categories, guardrails that fired, and those that found nothing."""
    fired: dict[tuple[str, str], GuardrailUse] = {}
    for use in test.guardrails:
        fired.setdefault((use.name, use.stage), use)
    seen = {name for name, _ in fired}
    for (name, stage), use in fired.items():
        known = use.source in ("builtin", "reported", "judge")
        yield _Look(name, stage, True, use.score, known, use.action, use.reason)
    for key, measured in test.measurements.items():
        name = key.partition("#")[0].removeprefix("guardrail.")
        if name.startswith(JUDGED):
            found = None if measured.value is None else measured.value >= settings.unsafe_score
            for stage in _stages(measured):
                yield _Look(name, stage, found, measured.value, reason=measured.reason)
        elif measured.source == "guardrail" and measured.status != "unscored" and not name.endswith(RATES):
            yield from _looked(name, measured, seen, fired, _danger(test, key, measured))


def _danger(test: TestRecord, key: str, measured: Measurement) -> float | None:
    """How dangerous a find is: by the judge's score where one was asked, else as certain as a find is."""
    name, mark, run = key.partition("#")
    whole = "safety.overall" if name == "content_safety" else f"{JUDGED}{name}"
    judged = [test.measurements.get(other + mark + run) for other in (f"{name}.score", whole)]
    return next((one.value for one in judged if one is not None and one.value is not None), measured.value)


def _looked(
    name: str,
    measured: Measurement,
    seen: set[str],
    fired: dict[tuple[str, str], GuardrailUse],
    danger: float | None,
) -> Iterator[_Look]:
    for stage in _stages(measured):
        if (name, stage) in fired:
            continue
        if measured.value is None:
            yield _Look(name, stage, None, reason=measured.reason)
        elif measured.value == 0 or (name in seen and measured.stage is not None):
            yield _Look(name, stage, False)
        elif name not in seen:  # a scan's find: nothing acted on it
            yield _Look(name, stage, True, danger, reason=measured.reason)


def _stages(measured: Measurement) -> tuple[str, ...]:
    return ("input", "output") if measured.stage == "both" else (measured.stage or "output",)


def _checks(tests: Sequence[_Test]) -> list[SafetyCheck]:
    """A row for each check and stage, by stage and name."""
    rows: dict[tuple[int, str], list[_Look]] = {}
    for test in tests:
        for (name, stage), looks in _by_check(test).items():
            worst = max(looks, key=lambda look: (look.found is not None, look.found or False, look.score or 0.0))
            rows.setdefault((STAGES.index(stage), name), []).append(worst)
    return [_check(name, STAGES[place], looks) for (place, name), looks in sorted(rows.items())]


def _by_check(test: _Test) -> dict[tuple[str, str], list[_Look]]:
    found: dict[tuple[str, str], list[_Look]] = {}
    for look in test.looks:
        found.setdefault((look.name, look.stage), []).append(look)
    return found


def _check(name: str, stage: str, looks: Sequence[_Look]) -> SafetyCheck:
    answered = [look for look in looks if look.found is not None]
    found = sum(bool(look.found) for look in answered)
    row = SafetyCheck(name=name, stage=stage, found=found, errors=len(looks) - len(answered))
    if all(look.known for look in looks):
        row.tests = len(answered)
        row.rate = significant(found / len(answered)) if answered else None
    scores = [look.score for look in answered if look.score is not None]
    if name.startswith(JUDGED) and scores:
        row.mean, row.highest = significant(sum(scores) / len(scores)), max(scores)
    return row


def _limits(tests: Sequence[_Test], settings: SafetySettings) -> list[SafetyLimit]:
    limits = []
    for stage, limit in (("input", settings.unsafe_input_rate), ("output", settings.unsafe_output_rate)):
        looked = [test for test in tests if any(look.found is not None and look.stage == stage for look in test.looks)]
        if any(not look.known and look.stage == stage for test in tests for look in test.looks):
            looked = list(tests)
        unsafe = sum(any(look.found and look.stage == stage for look in test.looks) for test in looked)
        rate = unsafe / len(looked) if looked else None
        limits.append(
            SafetyLimit(
                name=f"unsafe_{stage}_rate",
                limit=limit,
                value=None if rate is None else significant(rate),
                tests=len(looked),
                found=unsafe,
                interval=wilson(unsafe, len(looked)) if looked else None,
                exceeded=rate is not None and rate > limit,
            )
        )
    delivered = [score for test in tests if (score := _delivered(test)) is not None]
    high = sum(score >= settings.high_risk for score in delivered)
    limits.append(
        SafetyLimit(
            name="high_risk",
            limit=settings.high_risk,
            value=max(delivered, default=None),
            tests=len(delivered),
            found=high,
            exceeded=high > 0,
        )
    )
    for one in limits:
        one.fails = one.exceeded and settings.fails(one.name)
    return limits


def _delivered(test: _Test) -> float | None:
    """How dangerous the answer was that reached the user; None where none did, or nothing says so."""
    if test.stopped:
        return None
    scores = [
        look.score
        for look in test.looks
        if look.stage == "output" and look.action not in CHANGES and look.score is not None
    ]
    return max(scores, default=None)


def _riskiest(tests: Sequence[_Test], settings: SafetySettings) -> list[RiskyTest]:
    """Of each test its worst check, where nothing was done about it."""
    rows = []
    for test in tests:
        open_ = [look for look in test.looks if look.found and look.action not in (*STOPS, *CHANGES)]
        scored = [look for look in open_ if look.score is not None and look.score >= settings.unsafe_score]
        if not scored or test.stopped:
            continue
        worst = max(scored, key=lambda look: (look.score or 0.0, _is_category(look.name)))
        rows.append(
            RiskyTest(
                id=test.record.id,
                case=test.record.case,
                check=worst.name,
                stage=worst.stage,
                score=worst.score or 0.0,
                outcome=test.outcome(),
                reason=worst.reason,
            )
        )
    return sorted(rows, key=lambda row: (-row.score, row.id))[:SHOWN]


def _is_category(name: str) -> bool:
    """Whether it says what is wrong, and not only that something is."""
    return name.startswith(JUDGED) and name != f"{JUDGED}overall"


def _coverage(cases: Iterable[Sequence[TestRecord]]) -> list[ThreatCoverage]:
    """All of OWASP's list, and what else tags name; nothing where no case is tagged by a threat."""
    rows = {number: ThreatCoverage(id=number, title=title) for number, title in threats.OWASP.items()}
    tagged = False
    for trials in cases:
        for threat in threats.of_tags(trials[-1].tags):
            tagged = True
            for group in threat.owasp or (threat.name,):
                row = rows.setdefault(group, ThreatCoverage(id=group))
                if threat.name not in row.threats:
                    row.threats.append(threat.name)
        for group in threats.groups(trials[-1].tags):
            passed = _passed(trials)
            rows[group].tests += 1
            rows[group].passed += passed is True
            rows[group].failed += passed is False
    return list(rows.values()) if tagged else []


def _passed(trials: Sequence[TestRecord]) -> bool | None:
    """Whether a case held its threshold; None where no trial says so."""
    if any(trial.outcome == "error" for trial in trials):
        return False
    said = [trial.outcome in ("passed", "xpassed") for trial in trials if trial.outcome not in ("skipped", "xfailed")]
    if not said:
        return None
    threshold = trials[-1].threshold
    return sum(said) / len(said) >= (1.0 if threshold is None else threshold)
