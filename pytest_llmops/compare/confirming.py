"""Fresh trials of what regressed: a regression that they do not show as well is not red (``--llm-confirm``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_llmops import stats
from pytest_llmops.baseline import MetricDefinition
from pytest_llmops.baseline.stored import case_baseline
from pytest_llmops.compare import columns, metrics, repricing
from pytest_llmops.compare.failures import fails
from pytest_llmops.compare.pairing import Pair, Pairing
from pytest_llmops.compare.policy import Policy
from pytest_llmops.records import Comparison, Confirmation, Fingerprint, MetricComparison


def unconfirmed(comparison: Comparison, policy: Policy) -> list[str]:
    """Metrics whose regression fresh trials could confirm: red, and by statistics."""
    return [
        row.metric
        for row in comparison.metrics
        if row.verdict == "regressed"
        and row.p is not None
        and row.confirmation is None
        and fails(row, policy)
        and not row.accepted
    ]


def settle(
    rows: Sequence[MetricComparison],
    pairs: Sequence[Pair],
    pairing: Pairing,
    definitions: Mapping[str, MetricDefinition],
    policy: Policy,
    fingerprints: tuple[Fingerprint, Fingerprint],
) -> None:
    """Test the fresh trials by themselves; a regression they do not show becomes inconclusive.

    The p is not adjusted: the metric was named by the run's own trials, and the fresh ones are asked only about it.
    Too few fresh values leave the regression as it is.

    Args:
        rows: the verdicts on the run's own trials; changed in place.
        pairs: the run's cases beside the stored ones.
        pairing: with the fresh trials.
        definitions: what the metrics mean.
        policy: the gate's settings.
        fingerprints: the baseline's and the run's.
    """
    again = _again(pairs, pairing)
    regressed = [row for row in rows if row.verdict == "regressed" and row.gate and row.p is not None]
    if not again or not regressed:
        return
    # Both sides are fresh where the baseline's code was asked, too: they have today's prices.
    costs = {} if pairing.fresh_before else repricing.at_stored_prices(again, *fingerprints)
    sheet, gating = columns.sheet(again, costs), columns.Gating(again)
    for row in regressed:
        if row.metric == repricing.METRIC and costs is None:
            _say(row, "neither confirmed nor refuted: prices changed, and the fresh trials' cannot be redone")
            continue
        definition = definitions[row.metric]
        tested = metrics.measure(row.metric, definition, policy, sheet, gating.mask(row.metric, definition, policy))
        retest = metrics.judge([tested], policy)[0]
        found = _confirmation(retest, tested.trials, of_baseline=bool(pairing.fresh_before))
        if found is None:
            _say(row, f"neither confirmed nor refuted: {_count(retest.cases)} with fresh trials, too few to test")
            continue
        row.confirmation = found
        _explain(row, found)


def _again(pairs: Sequence[Pair], pairing: Pairing) -> list[Pair]:
    """Fresh trials beside the stored values; beside fresh ones of the baseline's code where there are any."""
    fresh, before = pairing.fresh, pairing.fresh_before
    if not before:
        return [Pair(pair.case, fresh[pair.case], pair.stored) for pair in pairs if pair.case in fresh]
    both = (pair.case for pair in pairs if pair.case in fresh and pair.case in before)
    return [Pair(case, fresh[case], case_baseline(before[case])) for case in both]


def _confirmation(retest: MetricComparison, trials: float, *, of_baseline: bool) -> Confirmation | None:
    numbers = (retest.current, retest.delta, retest.ci_low, retest.ci_high, retest.p)
    if retest.verdict in ("too_few_cases", "not_comparable") or None in numbers:
        return None
    return Confirmation.model_validate(
        {
            "confirmed": retest.verdict == "regressed",
            "cases": retest.cases,
            "trials": stats.significant(trials),
            "of_baseline": of_baseline,
            **dict(zip(("current", "delta", "ci_low", "ci_high", "p"), numbers, strict=True)),
        }
    )


def _explain(row: MetricComparison, found: Confirmation) -> None:
    change = f"{found.delta:+.1%}" if row.relative else f"{found.delta:+.3g}"
    count = f"{found.trials:.3g} fresh trial{'s' * (found.trials != 1)} of {_count(found.cases)}"
    count += ", beside as many of the baseline's code" if found.of_baseline else ""
    numbers = f"{change}, p = {found.p:.2g}"
    if found.confirmed:
        _say(row, f"confirmed by {count} ({numbers})")
        return
    first = row.p if row.p_adjusted is None else row.p_adjusted
    row.verdict = "inconclusive"
    row.advice = None
    _say(row, f"regressed at first (p = {first:.2g}), but {count} did not ({numbers})")


def _count(cases: int) -> str:
    return f"{cases} case{'s' * (cases != 1)}"


def _say(row: MetricComparison, words: str) -> None:
    row.reason = f"{words}; {row.reason}" if row.reason else words
