"""Shards of one run, from a CI matrix, put together; the gate is computed after that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_llmops import safety
from pytest_llmops.compare.arms import compare_arms
from pytest_llmops.compare.summary import cost_by_tag, fingerprint, summarize
from pytest_llmops.errors import BaselineError
from pytest_llmops.records import Fingerprint, RunRecord, TestRecord
from pytest_llmops.settings import MetricSettings, SafetySettings

LISTED = 5


def merge(
    shards: Sequence[tuple[str, RunRecord]],
    *,
    settings: Mapping[str, MetricSettings] | None = None,
    limits: SafetySettings | None = None,
    allow_deselected: bool = False,
) -> RunRecord:
    """One run of its shards: metrics and fingerprint are worked out anew, comparisons are dropped.

    Args:
        shards: each shard's name (for messages) and record.
        settings: ``[tool.pytest-llmops.metrics]``.
        limits: ``[tool.pytest-llmops.safety]``.
        allow_deselected: cases that every shard left out were left out on purpose.

    Raises:
        BaselineError: shards overlap or are missing, or are not shards of one run.
    """
    _check_same_run(shards)
    _check_overlap(shards)
    numbered = _check_numbers(shards)
    tests = sorted((test for _, run in shards for test in run.tests), key=lambda test: (test.case, test.trial))
    ran = {test.case for test in tests}
    deselected = sorted({case for _, run in shards for case in run.deselected} - ran)
    if deselected and not numbered and not allow_deselected:
        raise BaselineError(_maybe_missing(deselected, len(shards)))
    first = min((run for _, run in shards), key=lambda run: run.created)
    environment = first.environment.model_copy(update={"dirty": _any([run.environment.dirty for _, run in shards])})
    return RunRecord(
        created=first.created,
        environment=environment,
        fingerprint=_fingerprint(shards, tests),
        tests=tests,
        deselected=deselected,
        asked=sorted({one for _, run in shards for one in run.asked}) if all(run.asked for _, run in shards) else [],
        stopped=next((f"{run.stopped} ({name})" for name, run in shards if run.stopped), None),
        metrics=summarize(tests, settings=settings),
        cost_by_tag=cost_by_tag(tests),
        safety=safety.summarize(tests, limits),
        also_failed=sorted({nodeid for _, run in shards for nodeid in run.also_failed}),
        ab=compare_arms(tests, settings=settings),
    )


def _maybe_missing(deselected: Sequence[str], shards: int) -> str:
    return (
        f"{_some(deselected)} was left out (deselected) by every one of these {shards} run records; is a shard "
        "missing?\nAdd its record. If they are left out on purpose: pytest-llmops merge --allow-deselected, or number "
        "the shards: pytest --llm-shard=1/3"
    )


def _check_same_run(shards: Sequence[tuple[str, RunRecord]]) -> None:
    known = [(name, commit) for name, run in shards if (commit := run.environment.commit)]
    for name, commit in known[1:]:
        if commit != known[0][1]:
            raise BaselineError(
                f"{known[0][0]} is of commit {known[0][1][:10]}, {name} of {commit[:10]}: not shards of one run."
            )


def _check_overlap(shards: Sequence[tuple[str, RunRecord]]) -> None:
    owners: dict[tuple[str, int, bool, bool, bool], str] = {}
    twice: dict[tuple[str, str], list[str]] = {}
    for name, run in shards:
        mine = {(test.case, test.trial, test.rerun, test.confirms, test.of_baseline) for test in run.tests}
        for key in sorted(mine & owners.keys()):
            twice.setdefault((owners[key], name), []).append(key[0])
        owners.update(dict.fromkeys(mine, name))
    for (one, other), cases in twice.items():
        raise BaselineError(
            f"{one} and {other} overlap: both ran {_some(sorted(set(cases)))}.\n"
            "--llm-shard only numbers a part; what a part runs is chosen by pytest-split, or by -k or paths."
        )


def _check_numbers(shards: Sequence[tuple[str, RunRecord]]) -> bool:
    """Whether the shards are numbered and complete."""
    numbered = [(name, run.shard) for name, run in shards if run.shard is not None]
    if not numbered:
        return False
    if len(numbered) < len(shards):
        without = next(name for name, run in shards if run.shard is None)
        raise BaselineError(f"{without} is no numbered shard (--llm-shard), {numbered[0][0]} is: not one run's.")
    first, (_, count) = numbered[0][0], numbered[0][1]
    seen: dict[int, str] = {}
    for name, (index, of) in numbered:
        if of != count:
            raise BaselineError(f"{first} is one of {count} shards, {name} one of {of}: not shards of one run.")
        if index in seen:
            raise BaselineError(f"{seen[index]} and {name} are both shard {index} of {count}.")
        seen[index] = name
    if missing := [str(index) for index in range(1, count + 1) if index not in seen]:
        raise BaselineError(f"shard{'s' * (len(missing) > 1)} {', '.join(missing)} of {count} missing.")
    return True


def _fingerprint(shards: Sequence[tuple[str, RunRecord]], tests: Sequence[TestRecord]) -> Fingerprint:
    """Models and judges from the tests; files' hashes from the shards, which must agree."""
    merged = fingerprint(tests)
    merged.prices = {name: rate for _, run in shards for name, rate in run.fingerprint.prices.items()}
    for _, run in shards:
        merged.prompt_texts.update(run.fingerprint.prompt_texts)
    for what in ("dataset", "prompts"):
        owners: dict[str, str] = {}
        found: dict[str, str] = {}
        for name, run in shards:
            for key, digest in getattr(run.fingerprint, what).items():
                if found.setdefault(key, digest) != digest:
                    raise BaselineError(
                        f"{what} {key!r} differs between {owners[key]} and {name}: not shards of one run."
                    )
                owners.setdefault(key, name)
        setattr(merged, what, dict(sorted(found.items())))
    return merged


def _some(cases: Sequence[str]) -> str:
    more = f" and {len(cases) - LISTED} more" if len(cases) > LISTED else ""
    return ", ".join(cases[:LISTED]) + more


def _any(values: Sequence[bool | None]) -> bool | None:
    known = [value for value in values if value is not None]
    return any(known) if known else None
