"""What the gate lets pass: the run's settings, and which metric of which test they make gate."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from pytest_llmops.baseline import MetricDefinition
from pytest_llmops.baseline.stored import metric_settings
from pytest_llmops.registry import RELATIVE_KINDS, metric_default
from pytest_llmops.settings import MetricSettings

GateArgument = list[str] | Literal[False] | None


@dataclass(frozen=True, slots=True)
class Policy:
    """The gate's settings.

    Args:
        alpha: family-wise error rate over the gated metrics.
        inconclusive: whether an inconclusive gated metric passes.
        min_cases: cases (groups, where cases are grouped) below which a metric is ``too_few_cases``.
        metrics: ``[tool.pytest-llmops.metrics]``.
        needs_calibration: judged metrics that only a calibrated judge may gate; True: all of them.
        calibrated: definitions (judge model and rubric) with a calibration.
        today: for the expiry of accepted changes.
    """

    alpha: float = 0.05
    inconclusive: Literal["pass", "fail"] = "pass"
    min_cases: int = 10
    metrics: Mapping[str, MetricSettings] = field(default_factory=dict)
    needs_calibration: Collection[str] | Literal[True] = ()
    calibrated: Collection[str] = ()
    today: date = field(default_factory=date.today)


@dataclass(frozen=True, slots=True)
class Rule:
    """How one metric is compared; tolerance and margin in its own unit, shares where relative."""

    tolerance: float
    margin: float
    gate: bool
    relative: bool
    higher_is_better: bool


def rule_for(name: str, definition: MetricDefinition, policy: Policy) -> Rule:
    """A metric's rule: the settings, else its default (of a scale's span, where one is set)."""
    chosen = metric_settings(name, policy.metrics)
    default = metric_default(name, source=definition.source, direction=definition.direction, kind=definition.kind)
    relative = definition.kind in RELATIVE_KINDS
    span = definition.scale[1] - definition.scale[0] if definition.scale and not relative else 1.0
    return Rule(
        tolerance=default.tolerance * span if chosen.tolerance is None else chosen.tolerance,
        margin=default.margin * span if chosen.margin is None else chosen.margin,
        gate=default.gate if chosen.gate is None else chosen.gate,
        relative=relative,
        higher_is_better=definition.direction == "higher",
    )


def uncalibrated(name: str, definition: MetricDefinition, policy: Policy) -> str | None:
    """Why a judged metric may not gate, where the settings ask for a calibrated judge and this one is not."""
    needs = policy.needs_calibration
    if definition.source != "judge" or not (needs is True or {name, name.partition("#")[0]} & set(needs)):
        return None
    if definition.definition in policy.calibrated:
        return None
    return (
        f"the judge is not calibrated for {name!r} ({definition.definition}), as the settings require: "
        "pytest-llmops judge label RUN -o labels.csv, fill it in, and pytest-llmops judge calibrate labels.csv"
    )


def gates(name: str, argument: GateArgument, rule: Rule) -> bool:
    """Whether a metric gates in a test: the marker's ``gate`` overrides the settings."""
    if argument is None:
        return rule.gate
    return argument is not False and (name in argument or name.partition("#")[0] in argument)
