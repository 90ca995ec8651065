"""Arms side by side: once all have run, a judge says which answer of a pair is better, asked in both orders.

The arms of a case are items of their own, in any order and in any process, so nobody has both answers before the end.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops import ab, naming
from pytest_llmops.records import Measurement, MeasurementStatus, TestRecord
from pytest_llmops.registry import PREFERRED_TO

if TYPE_CHECKING:
    from pytest_llmops.checks.pairwise import Preference
    from pytest_llmops.evaluation import Evaluation
    from pytest_llmops.session import ItemSession

_AT_ONCE = 8
_NOT_RUN = {"arm": "the first arm", "text": None}


def given_by(item: pytest.Item, evaluation: Evaluation, folder: Path | None) -> str:
    """What one of its arms brings to a pair, as JSON.

    Args:
        item: the arm.
        evaluation: its.
        folder: another place for all cassettes.
    """
    arm, case = ab.arm_of(item), evaluation.case
    assert arm is not None
    given = {"input": case.input, "expected": case.expected, "context": list(case.context)} if case else {}
    return json.dumps(
        {
            "pair": ab.pair_key(item),
            "trial": naming.trial_of(item).index,
            "arm": arm.name,
            "index": arm.index,
            "text": evaluation.results[-1].text if evaluation.results else None,
            "given": given,
            "rubrics": [dataclasses.asdict(rubric) for rubric in arm.prefer],
            "cassette": str(naming.cassette_path(item, folder, "-preferred")),
            "test": naming.case_key(item),
            "command": naming.record_command(item),
        },
        default=str,
    )


def judge(answers: Mapping[str, str], tests: Sequence[TestRecord], items: ItemSession) -> dict[str, list[str]]:
    """Have the pairs judged; the later arm's record gets the preference, its bias and the calls.

    Args:
        answers: what `given_by` says of each arm, by test id.
        tests: the run's records.
        items: has the judge, and makes the tapes.

    Returns:
        what went wrong, by test function.
    """
    records = {test.id: test for test in tests}
    by_pair: dict[tuple[str, int], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for nodeid, text in answers.items():
        given = json.loads(text)
        by_pair[given["pair"], given["trial"]].append((nodeid, given))
    jobs = []
    for arms in by_pair.values():
        first = next((given for _, given in arms if given["index"] == 0), _NOT_RUN)
        later = [(nodeid, given) for nodeid, given in arms if given["index"] > 0 and nodeid in records]
        jobs += [(first, given, records[nodeid]) for nodeid, given in later]
    jobs.sort(key=lambda job: (job[2].case, job[2].trial))  # workers report in any order
    return asyncio.run(_all(jobs, items))


async def _all(
    jobs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any], TestRecord]], items: ItemSession
) -> dict[str, list[str]]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(first: Mapping[str, Any], second: Mapping[str, Any], record: TestRecord) -> list[str]:
        async with slots:
            return await _judged(first, second, record, items)

    failed: dict[str, list[str]] = defaultdict(list)
    outcomes = await asyncio.gather(*(one(*job) for job in jobs))
    for (_, _, record), reasons in zip(jobs, outcomes, strict=True):
        failed[record.id.partition("[")[0]] += [f"{record.id}: {why}" for why in reasons]
    return {function: reasons for function, reasons in failed.items() if reasons}


async def _judged(
    first: Mapping[str, Any], second: Mapping[str, Any], record: TestRecord, items: ItemSession
) -> list[str]:
    """One pair by all its rubrics, on a cassette of its own; what went wrong."""
    from pytest_llmops.cassettes.miss import CassetteMiss
    from pytest_llmops.checks.pairwise import aprefer
    from pytest_llmops.checks.rubrics import Rubric
    from pytest_llmops.errors import LlmopsError

    failed: list[str] = []
    texts = first["text"], second["text"]
    try:
        with items.afterwards(Path(second["cassette"]), second["test"], second["command"], record) as judge:
            for fields in second["rubrics"]:
                rubric = Rubric(**{**fields, "levels": {int(k): v for k, v in fields["levels"].items()}})
                note = _Note(record, rubric.name, first["arm"], items.store_text)
                if None in texts:
                    note.missing("unscored", f"no answer of {first['arm']} or of {second['arm']} to compare")
                    continue
                try:
                    note.found(await aprefer(judge.named(rubric.name), rubric, *texts, **second["given"]))
                except (LlmopsError, CassetteMiss) as error:
                    failed.append(str(error))
                    note.missing("error", str(error).partition("\n")[0])
    except LlmopsError as error:  # the cassette cannot be read or written
        failed.append(str(error))
    return failed


@dataclass(frozen=True, slots=True)
class _Note:
    """Takes down a preference in the later arm's record."""

    record: TestRecord
    rubric: str
    over: str
    store_text: bool

    def found(self, preference: Preference) -> None:
        tags, meaning = {PREFERRED_TO: self.over}, preference.definition
        self.record.measurements[f"{self.rubric}.prefers"] = Measurement(
            value=float(preference),
            reason=preference.reason if self.store_text else None,
            source="builtin",
            kind="rate",
            definition=meaning,
            tags=tags,
        )
        self.record.measurements[f"{self.rubric}.position_bias"] = Measurement(
            value=preference.position_bias, source="builtin", definition=meaning, tags=tags
        )

    def missing(self, status: MeasurementStatus, why: str) -> None:
        self.record.measurements[f"{self.rubric}.prefers"] = Measurement(
            status=status, reason=why, source="builtin", tags={PREFERRED_TO: self.over}
        )
