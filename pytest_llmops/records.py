"""What a run leaves behind: calls, measurements, tests, the run, and its comparison. JSON in and out."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, Literal

from pydantic import Field
from pydantic_core import PydanticSerializationError

from pytest_llmops.arms_record import ArmsComparison
from pytest_llmops.exchange import Role
from pytest_llmops.record_base import Finite, Record
from pytest_llmops.registry import Direction, MetricKind
from pytest_llmops.safety_record import GuardrailUse, SafetySummary

SCHEMA_VERSION = 1

Outcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed"]
VerdictWord = Literal["regressed", "improved", "no_regression", "inconclusive", "too_few_cases", "not_comparable"]
MeasurementStatus = Literal["ok", "unscored", "error"]
MeasurementSource = Literal["builtin", "judge", "guardrail", "library", "recorded"]
MeasuredStage = Literal["input", "generation", "output", "both"]


class ToolCall(Record):
    """A tool the model asked for.

    Args:
        arguments: the decoded JSON; a str where the provider's arguments are no JSON (a cut stream).
    """

    name: str
    arguments: Any = None
    id: str | None = None


class Call(Record):
    """One call of a provider, as read from the wire.

    Times in ms, as recorded (also on replay); cost in USD, None where the price is unknown, never 0;
    ``input_tokens`` includes cache reads and writes.
    """

    provider: str
    api: str
    model: str | None = None
    role: Role = "app"
    status: int | None = None
    error: str | None = None
    finish_reason: str | None = None
    text: str | None = None
    tool_calls: list[ToolCall] = Field(default_factory=list)
    refused: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cost_usd: Finite | None = None
    latency_ms: Finite | None = None
    ttft_ms: Finite | None = None
    streamed: bool = False
    truncated: bool = False
    replayed: bool = False
    started_at: datetime | None = None
    step: str | None = None
    """The innermost step it was made in (``llm_eval.step``)."""
    request: dict[str, Any] | None = None


class Measurement(Record):
    """One number about one test: its value, or why there is none.

    Args:
        value: None exactly where status is not ``ok``.
        definition: hash of what was measured how (judge model and rubric); two differing ones are not comparable.
        stage: what a guardrail or a safety check looked at; None: the output, or not said.
        interval: 95 %, of a share that was measured over many labelled texts.
        texts: how many of them it is a share of, where these are the same in every run.
    """

    value: Finite | None = None
    status: MeasurementStatus = "ok"
    reason: str | None = None
    source: MeasurementSource = "recorded"
    direction: Direction = "higher"
    kind: MetricKind = "score"
    unit: str | None = None
    definition: str | None = None
    tags: dict[str, str] | None = None
    stage: MeasuredStage | None = None
    interval: tuple[Finite, Finite] | None = None
    texts: int | None = None


class StepUse(Record):
    """A step that a test took (``llm_eval.step``).

    Args:
        parent: the step around it.
        latency_ms: the provider's time, as recorded.
        duration_s: what passed here; short on replay.
        exceeded: the limits that were missed, in words.
    """

    name: str
    parent: str | None = None
    calls: int = 0
    latency_ms: Finite | None = None
    cost_usd: Finite | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    duration_s: Finite | None = None
    error: str | None = None
    exceeded: list[str] = Field(default_factory=list)


class CassetteUse(Record):
    """Which recording a test used.

    Args:
        digest: hash of the exchanges used, equal for the recording run and an unchanged replay of it.
        recording: hash of the whole recording, where a replay used only some of it.
        live: calls that went to the provider in this run.
    """

    file: str | None = None
    digest: str | None = None
    recording: str | None = None
    replayed: int = 0
    live: int = 0


class TestRecord(Record):
    """One trial of one case: what came out, what was measured, which calls it made."""

    __test__ = False  # pytest would collect the name

    id: str
    case: str
    group: str | None = None
    trial: int = 0
    trials: int = 1
    """How many its case has. Where fewer ran (``--lf``), the case is neither judged by its share nor stored."""
    rerun: bool = False
    """An extra trial of a suspect (the broken-case guard) or of a regression (`confirms`); it counts nowhere else."""
    confirms: bool = False
    of_baseline: bool = False
    """A fresh trial of the baseline's code (``--llm-confirm-baseline``); `confirms` is true, too."""
    """A fresh trial of ``--llm-confirm``; `rerun` is true, too."""
    outcome: Outcome = "passed"
    error: str | None = None
    unrecorded: bool | None = None
    """Whether it failed for want of a recording; None in records that do not say, where the error's words count."""
    duration_s: Finite = 0.0
    threshold: Finite | None = 1.0
    gate: list[str] | Literal[False] | None = None
    tags: list[str] = Field(default_factory=list)
    prompt: str | None = None
    """The registry prompt the test is about."""
    prompts: dict[str, str] = Field(default_factory=dict)
    """Every registry prompt that the test used, with its hash."""
    line: int | None = None
    """Where the test function begins in its file, from 1."""
    dataset: str | None = None
    """The dataset's file, as test files are named; None without a dataset."""
    dataset_fingerprint: str | None = None
    """Hash of the dataset case (input, expected, context, turns); None without a dataset."""
    input: Any = None
    output: str | None = None
    measurements: dict[str, Measurement] = Field(default_factory=dict)
    calls: list[Call] = Field(default_factory=list)
    steps: list[StepUse] = Field(default_factory=list)
    guardrails: list[GuardrailUse] = Field(default_factory=list)
    cassette: CassetteUse = Field(default_factory=CassetteUse)
    arm: str | None = None
    """The arm's name, of a test with ``@pytest.mark.llm_ab``; `arm_index` its place among the arms."""
    arm_index: int = 0
    arm_pair: str | None = None
    """What this test has in common with those of the other arms."""
    rejudged: dict[str, tuple[Finite, Finite]] = Field(default_factory=dict)
    """Metric to what the judge said of a stored answer then and now (judge drift)."""


class MetricSummary(Record):
    """A metric over the run: its definition and distribution over cases."""

    direction: Direction
    kind: MetricKind
    source: MeasurementSource = "recorded"
    unit: str | None = None
    definition: str | None = None
    cases: int = 0
    unscored: int = 0
    errors: int = 0
    mean: Finite | None = None
    p50: Finite | None = None
    p95: Finite | None = None
    p99: Finite | None = None


class CaseDelta(Record):
    """A case's part in a metric's change: its means over trials, before and now."""

    case: str
    baseline: Finite
    current: Finite


class Confirmation(Record):
    """Fresh trials of a metric that regressed, tested by themselves (``--llm-confirm``).

    Args:
        confirmed: they regress, too, by the p that is not adjusted.
        cases: those that have fresh trials; `trials` of each, on average.
        of_baseline: they were compared with fresh trials of the baseline's code, else with the stored values.
        delta: as in the metric's own comparison; its bounds and p likewise.
    """

    confirmed: bool
    cases: int
    trials: Finite
    of_baseline: bool = False
    current: Finite
    delta: Finite
    ci_low: Finite
    ci_high: Finite
    p: Finite


class MetricComparison(Record):
    """A metric's verdict.

    Args:
        delta: current - baseline (ratio - 1 for relative metrics).
        ci_low: lower one-sided 95 % bound of `delta`; `ci_high` the upper one. Null where deterministic.
        p: one-sided p of "worse"; `p_adjusted` after Holm over the gated metrics.
        worse: `delta` points the bad way; whether that is more than noise is the verdict's to say.
        mde: smallest change this run could have found with power .8.
        skipped: values that could not be compared (≤ 0 in a relative metric).
        advice: how many more cases or trials would settle it.
        worst_cases: the few cases that fell most.
        confirmation: what fresh trials of a regression gave; where they do not confirm it, it is inconclusive.
    """

    metric: str
    verdict: VerdictWord
    cases: int = 0
    baseline: Finite | None = None
    current: Finite | None = None
    delta: Finite | None = None
    ci_low: Finite | None = None
    ci_high: Finite | None = None
    p: Finite | None = None
    p_adjusted: Finite | None = None
    mde: Finite | None = None
    gate: bool = False
    worse: bool = False
    relative: bool = False
    direction: Direction = "higher"
    unit: str | None = None
    skipped: int = 0
    reason: str | None = None
    advice: str | None = None
    accepted: str | None = None
    worst_cases: list[CaseDelta] = Field(default_factory=list)
    confirmation: Confirmation | None = None


class BrokenCase(Record):
    """A case that always passed in the baseline and always fails now."""

    case: str
    baseline_passed: int
    baseline_trials: int
    trials: int
    reruns: int = 0
    rerun_passed: int = 0
    p: Finite | None = None
    p_adjusted: Finite | None = None
    deterministic: bool = False
    reason: str | None = None
    accepted: str | None = None


class PromptChange(Record):
    """A prompt whose text is another than in the baseline.

    Args:
        before: its id in the baseline; `after` its id now.
        diff: lines of a unified diff; none where a text is not known.
    """

    before: str
    after: str
    diff: list[str] = Field(default_factory=list)


class CaseFinding(Record):
    """Why a case is missing, errored, changed or suspect.

    Args:
        fails: it fails the run, unless accepted.
        unrecorded: nothing was measured, for want of recordings; None in records that do not say.
        taken_out_of: the dataset that goes without a missing case, where its going counts.
    """

    case: str
    finding: Literal["missing", "errored", "changed", "suspect"]
    reason: str | None = None
    fails: bool = False
    unrecorded: bool | None = None
    accepted: str | None = None
    taken_out_of: str | None = None


class GateProblem(Record):
    """Why a comparison says less than it seems to; it fails the run.

    Args:
        name: ``node-ids``: the same tests under other keys; ``gate``: a metric is to gate that nobody records.
    """

    name: Literal["node-ids", "gate"]
    message: str


class Comparison(Record):
    """A run against its baseline."""

    baseline: str | None = None
    stored_in: str | None = None
    """The file that an update is stored in, where it is not the one compared with (made of a CI's artifact)."""
    metrics: list[MetricComparison] = Field(default_factory=list)
    broken_cases: list[BrokenCase] = Field(default_factory=list)
    suspect_cases: list[str] = Field(default_factory=list)
    missing_cases: list[str] = Field(default_factory=list)
    errored_cases: list[str] = Field(default_factory=list)
    new_cases: list[str] = Field(default_factory=list)
    changed_cases: list[str] = Field(default_factory=list)
    findings: list[CaseFinding] = Field(default_factory=list)
    accepted: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    problems: list[GateProblem] = Field(default_factory=list)
    prompt_changes: list[PromptChange] = Field(default_factory=list)
    deterministic: bool = False
    stored: bool = False
    """The run was stored as the new baseline (``--llm-update-baseline``): what it changes fails nothing."""


class Environment(Record):
    """Where the run took place."""

    python: str = ""
    pytest: str = ""
    plugin: str = ""
    platform: str = ""
    commit: str | None = None
    dirty: bool | None = None
    ci: bool = False
    rootdir: str | None = None
    """Pytest's rootdir, in which node ids begin, as seen from the folder that pytest was started in."""


class Fingerprint(Record):
    """What was tested with what, as hashes: a differing one explains a difference in numbers."""

    dataset: dict[str, str] = Field(default_factory=dict)
    prompts: dict[str, str] = Field(default_factory=dict)
    prompt_texts: dict[str, str] = Field(default_factory=dict)
    """Hash to text, so that a comparison can show what changed; empty where texts are not kept."""
    judge: dict[str, str] = Field(default_factory=dict)
    judge_models: list[str] = Field(default_factory=list)
    """Of the calls that judges made."""
    models: list[str] = Field(default_factory=list)
    prices: dict[str, str] = Field(default_factory=dict)
    """``provider:model`` to USD a million tokens, ``input/output``: costs at other prices are not compared."""


class RunRecord(Record):
    """A whole run; what ``--llm-json`` writes and ``pytest-llmops compare`` reads."""

    schema_version: int = Field(default=SCHEMA_VERSION, alias="schema")
    created: datetime
    environment: Environment = Field(default_factory=Environment)
    fingerprint: Fingerprint = Field(default_factory=Fingerprint)
    tests: list[TestRecord] = Field(default_factory=list)
    deselected: list[str] = Field(default_factory=list)
    """Cases left out of this run on purpose (``-k``, ``--lf``): not missing from it."""
    asked: list[str] = Field(default_factory=list)
    """Folders, files and tests that the command line named, from the rootdir on; empty: all that there are."""
    taken_out: dict[str, str] = Field(default_factory=dict)
    """Stored cases that their dataset goes without, with that dataset: accepted, since a pull request shows it."""
    shard: tuple[int, int] | None = None
    """Which part of how many this run is (``--llm-shard=1/4``); None where it is the whole, or was not said."""
    stopped: str | None = None
    """How the run was broken off (Ctrl-C, ``-x``): it is not whole, so nothing is compared or stored of it."""
    metrics: dict[str, MetricSummary] = Field(default_factory=dict)
    cost_by_tag: dict[str, Finite] = Field(default_factory=dict)
    """USD of the calls, judges' included, of the tests with a tag; calls of unknown price are left out."""
    comparison: Comparison | None = None
    safety: SafetySummary | None = None
    """None where nothing in the run is about safety."""
    also_failed: list[str] = Field(default_factory=list)
    """Node ids of what else failed: tests that are no evaluations, checks of the run (``llm-baseline::node-ids``)."""
    ab: list[ArmsComparison] = Field(default_factory=list)


def to_json(record: Record, *, exclude_defaults: bool = False, indent: int | None = None) -> str:
    """A record as JSON; what JSON cannot hold (a lone surrogate, an object of the user's) is replaced."""
    try:
        return record.model_dump_json(by_alias=True, exclude_defaults=exclude_defaults, indent=indent)
    except PydanticSerializationError:
        plain = _plain(record.model_dump(by_alias=True, exclude_defaults=exclude_defaults))
        separators = (",", ":") if indent is None else None
        return json.dumps(plain, ensure_ascii=False, separators=separators, indent=indent)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int) else repr(value)
