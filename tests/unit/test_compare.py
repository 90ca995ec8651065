import math
import random
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from pytest_llmops import baseline
from pytest_llmops.acceptance import Accepted
from pytest_llmops.compare import Policy, compare, failures, fingerprint, summarize
from pytest_llmops.errors import BaselineError
from pytest_llmops.records import Call, CassetteUse, Fingerprint, Measurement
from pytest_llmops.settings import MetricSettings
from tests.unit.made_up import measurement, run, run_of, stored, trial

ROOT = Path(__file__).parents[2]
DRAW = random.Random(11)
NOISE = [DRAW.gauss(0, 0.03) for _ in range(40)]
LEVELS = [0.7 + DRAW.uniform(-0.2, 0.2) for _ in range(40)]


def shifted(by, n=40):
    return [level + noise + by for level, noise in zip(LEVELS[:n], NOISE[:n], strict=True)]


def row_of(comparison, name):
    return {row.metric: row for row in comparison.metrics}[name]


def names(comparison, policy=None):
    return [one.name for one in failures(comparison, policy)]


def case(name):
    return f"test_app.py::test_answers[{name}]"


# Verdicts on live runs


def test_the_numbers_are_those_of_the_paired_test():
    from scipy.stats import ttest_1samp

    before, now = run_of({"tone": LEVELS}), run_of({"tone": shifted(-0.04)})
    row = compare(stored(before), now).metrics[0]
    expected = ttest_1samp([noise - 0.04 for noise in NOISE], 0, alternative="less")
    assert row.verdict == "regressed"
    assert row.gate
    assert row.worse
    assert row.cases == 40
    assert row.p == row.p_adjusted == pytest.approx(expected.pvalue, rel=1e-3)
    assert row.ci_high == pytest.approx(expected.confidence_interval(0.95).high, rel=1e-3)
    assert row.delta == pytest.approx(row.current - row.baseline, abs=1e-5)
    assert row.ci_low < row.delta < row.ci_high < 0
    assert row.mde == pytest.approx((1.684875 + 0.841621) * 0.03 / math.sqrt(40), rel=0.2)
    drops = sorted(range(40), key=lambda index: NOISE[index])
    assert [one.case for one in row.worst_cases] == [case(f"c{index}") for index in drops[:5]]


@pytest.mark.parametrize(
    ("by", "verdict"),
    [(-0.1, "regressed"), (-0.01, "no_regression"), (0.0, "no_regression"), (0.1, "improved")],
)
def test_verdicts_by_size_of_the_change(by, verdict):
    comparison = compare(stored(run_of({"tone": LEVELS})), run_of({"tone": shifted(by)}))
    assert row_of(comparison, "tone").verdict == verdict
    assert names(comparison) == (["tone"] if verdict == "regressed" else [])
    assert not comparison.deterministic


def test_a_significant_drop_below_the_tolerance_is_no_regression():
    comparison = compare(stored(run_of({"tone": [0.5] * 40})), run_of({"tone": [0.49] * 40}))
    assert row_of(comparison, "tone").p == 0
    assert row_of(comparison, "tone").verdict == "no_regression"
    policy = Policy(metrics={"tone": MetricSettings(tolerance=0.01)})
    assert compare(stored(run_of({"tone": [0.5] * 40})), run_of({"tone": [0.49] * 40}), policy).metrics[0].verdict == (
        "regressed"
    )


def test_lower_is_better_turns_the_sign_and_not_the_delta():
    before, now = run_of({"pii": [0.0] * 20}), run_of({"pii": [0.0, 1.0] * 10})
    row = compare(stored(before), now).metrics[0]
    assert (row.verdict, row.delta, row.worse) == ("regressed", 0.5, True)
    assert row.ci_low < 0.5 < row.ci_high
    back = compare(stored(now), before).metrics[0]
    assert (back.verdict, back.delta, back.worse) == ("improved", -0.5, False)


def test_inconclusive_says_what_would_settle_it_and_fails_only_if_asked():
    draw = random.Random(4)
    before = run_of({"tone": [[draw.gauss(0.5, 0.3) for _ in range(3)] for _ in range(12)]})
    now = run_of({"tone": [[draw.gauss(0.5, 0.3) for _ in range(3)] for _ in range(12)]})
    comparison = compare(stored(before), now)
    row = row_of(comparison, "tone")
    assert row.verdict == "inconclusive"
    assert "more cases" in row.advice
    assert "would settle it" in row.advice
    assert names(comparison) == []
    strict = Policy(inconclusive="fail")
    assert names(compare(stored(before), now, strict), strict) == ["tone"]
    assert row.advice in failures(comparison, strict)[0].message


def test_advice_holds():
    """With as many trials as the advice says, most equal builds are settled."""
    draw = random.Random(8)
    levels = [draw.uniform(0.3, 0.9) for _ in range(60)]

    def build(trials):
        return run_of({"tone": [[level + draw.gauss(0, 0.25) for _ in range(trials)] for level in levels]})

    rows = [compare(stored(build(5)), build(1)).metrics[0] for _ in range(30)]
    advices = [row.advice for row in rows if row.advice and " trials" in row.advice]
    advised = [int(advice.split(" trials")[0].split()[-1]) for advice in advices]
    trials = sorted(advised)[len(advised) // 2]
    settled = sum(compare(stored(build(5)), build(trials)).metrics[0].verdict == "no_regression" for _ in range(40))
    assert settled >= 26


def test_too_few_cases():
    comparison = compare(stored(run_of({"tone": LEVELS[:9]})), run_of({"tone": shifted(-0.5, 9)}))
    row = row_of(comparison, "tone")
    assert row.verdict == "too_few_cases"
    assert row.advice == "1 more case needed"
    assert names(comparison) == []
    assert compare(
        stored(run_of({"tone": LEVELS[:9]})), run_of({"tone": shifted(-0.5, 9)}), Policy(min_cases=5)
    ).metrics[0].verdict == ("regressed")


def test_one_case_has_no_spread_to_test():
    row = compare(stored(run_of({"tone": [0.5]})), run_of({"tone": [0.1]}), Policy(min_cases=1)).metrics[0]
    assert (row.verdict, row.p, row.mde) == ("too_few_cases", None, None)


def test_holm_over_the_gated_metrics_only():
    draw = random.Random(2)
    before = {name: [draw.gauss(0.5, 0.1) for _ in range(20)] for name in ("a", "b", "overlap")}
    now = {name: [v + draw.gauss(-0.06, 0.1) for v in values] for name, values in before.items()}
    comparison = compare(stored(run_of(before)), run_of(now))
    a, b, ungated = (row_of(comparison, name) for name in ("a", "b", "overlap"))
    low, high = sorted((a, b), key=lambda row: row.p)
    assert low.p_adjusted == pytest.approx(2 * low.p, rel=1e-5)
    assert high.p_adjusted == pytest.approx(max(high.p, low.p_adjusted), rel=1e-5)
    assert ungated.p_adjusted is None
    assert not ungated.gate


def test_the_unit_is_the_case_and_not_the_trial():
    once = compare(stored(run_of({"tone": LEVELS})), run_of({"tone": shifted(-0.01)})).metrics[0]
    thrice = compare(
        stored(run_of({"tone": [[v] * 3 for v in LEVELS]})), run_of({"tone": [[v] * 3 for v in shifted(-0.01)]})
    ).metrics[0]
    assert (thrice.cases, thrice.p) == (once.cases, pytest.approx(once.p))


def test_groups_are_averaged_first():
    before = [trial(f"c{i}", {"tone": LEVELS[i]}, group=f"d{i // 4}") for i in range(40)]
    now = [trial(f"c{i}", {"tone": LEVELS[i] - 0.01 * (i // 4)}, group=f"d{i // 4}") for i in range(40)]
    row = compare(stored(run(before)), run(now)).metrics[0]
    by_group = compare(
        stored(run_of({"tone": [0.5] * 10})), run_of({"tone": [0.5 - 0.01 * group for group in range(10)]})
    ).metrics[0]
    assert row.p == pytest.approx(by_group.p, rel=1e-3)
    assert row.cases == 40
    assert "40 cases in 10 groups" in row.reason


# Relative metrics


def test_cost_is_compared_by_ratio_and_shown_as_total():
    draw = random.Random(6)
    before = [1e-4 * draw.lognormvariate(0, 1) for _ in range(30)]
    now = [cost * 1.5 * draw.lognormvariate(0, 0.05) for cost in before]
    row = compare(stored(run_of({"cost_usd": before})), run_of({"cost_usd": now})).metrics[0]
    assert row.verdict == "regressed"
    assert row.delta == pytest.approx(0.5, abs=0.05)
    assert row.delta == pytest.approx(row.current / row.baseline - 1, rel=1e-3)
    assert row.baseline == pytest.approx(math.exp(sum(map(math.log, before)) / 30), rel=1e-4)
    assert row.relative
    assert row.worse
    assert "total +" in row.reason
    assert not row.gate


def test_small_costs_are_told_without_exponents():
    gated = Policy(metrics={"cost_usd": MetricSettings(gate=True)})
    before, now = run_of({"cost_usd": [4.58e-5] * 12}), run_of({"cost_usd": [9.16e-5] * 12})
    (failure,) = failures(compare(stored(before), now, policy=gated), gated)
    assert failure.message.startswith("cost_usd regressed: 0.0000458 → 0.0000916, Δ +100.0%")
    assert "e-05" not in failure.message


def test_values_of_zero_are_left_out_of_ratios_and_counted():
    now = [0.0, 0.0, *[2.0] * 18]
    row = compare(stored(run_of({"output_tokens": [2.0] * 20})), run_of({"output_tokens": now})).metrics[0]
    assert (row.cases, row.skipped, row.verdict) == (18, 2, "no_regression")


CITATIONS = {"citations": MetricSettings(kind="count", direction="higher", gate=True)}
LEAKS = {"leaks": MetricSettings(kind="count", direction="lower", gate=True)}


@pytest.mark.parametrize(
    ("settings", "before", "now", "verdict", "said"),
    [
        (CITATIONS, [3.0] * 20, [0.0] * 20, "not_comparable", "20 cases above 0 before and at 0 now"),
        (CITATIONS, [3.0] * 20, [0.0] * 15 + [3.0] * 5, "not_comparable", "15 cases above 0 before and at 0 now"),
        (CITATIONS, [3.0] * 20, [0.0] * 5 + [3.0] * 15, "no_regression", "5 cases above 0 before and at 0 now"),
        (CITATIONS, [3.0] * 20, [0.0, 3.0] + [4.0] * 18, "improved", "1 case above 0 before and at 0 now"),
        (CITATIONS, [0.0] * 20, [3.0] * 20, "too_few_cases", None),
        (CITATIONS, [0.0] * 20, [0.0] * 20, "too_few_cases", None),
        (LEAKS, [0.0] * 20, [1.0] * 20, "not_comparable", "20 cases at 0 before and above 0 now"),
        (LEAKS, [1.0] * 20, [0.0] * 20, "too_few_cases", None),
    ],
)
def test_what_comes_to_0_or_leaves_it_for_the_worse_is_told_and_never_a_silent_pass(
    settings, before, now, verdict, said
):
    name = next(iter(settings))
    policy = Policy(metrics=settings)
    old, new = ({name: [measurement(name, value, source="recorded") for value in side]} for side in (before, now))
    old, new = (run([trial(f"c{n}", {name: one}) for n, one in enumerate(side[name])]) for side in (old, new))
    before = baseline.update(None, old, settings=settings)
    comparison = compare(before, new, policy)
    row = comparison.metrics[0]
    assert row.verdict == verdict
    assert bool(list(failures(comparison, policy))) == (verdict == "not_comparable")
    assert (said in row.reason) if said else "which no ratio tells" not in (row.reason or "")


def test_latency_is_worse_only_beyond_its_margin():
    draw = random.Random(7)
    before = [draw.lognormvariate(7, 0.3) for _ in range(50)]

    def verdict(factor, policy=None):
        now = [value * factor * draw.lognormvariate(0, 0.05) for value in before]
        return compare(stored(run_of({"latency_ms": before})), run_of({"latency_ms": now}), policy).metrics[0]

    assert verdict(1.1).verdict == "no_regression"
    assert verdict(1.4).verdict == "regressed"
    assert verdict(1.4).ci_low > 0.2
    assert not verdict(1.4).gate
    assert verdict(0.6).verdict == "improved"
    gated = Policy(metrics={"latency_ms": MetricSettings(gate=True, margin=0.05)})
    row = verdict(1.1, gated)
    assert (row.gate, row.verdict) == (True, "regressed")


def test_costs_keep_their_digits():
    assert (
        compare(stored(run_of({"cost_usd": [1.23456789e-5] * 12})), run_of({"cost_usd": [1.23456711e-5] * 12}))
        .metrics[0]
        .delta
        == 0
    )


# Replay


def test_unchanged_replay_is_deterministic_and_equal():
    record = run_of({"tone": [[0.5, 0.6]] * 3, "latency_ms": [[100.0, 120.0]] * 3}, replayed=True)
    comparison = compare(stored(record), record)
    assert comparison.deterministic
    for row in comparison.metrics:
        assert (row.verdict, row.delta, row.worse) == ("no_regression", 0, False)
        assert row.p is row.p_adjusted is row.ci_low is row.ci_high is row.mde is None


def test_on_replay_any_drop_beyond_the_tolerance_is_a_regression_at_any_n():
    before = run_of({"tone": [0.5, 0.6]}, replayed=True)
    assert compare(stored(before), run_of({"tone": [0.5, 0.55]}, replayed=True)).metrics[0].verdict == "regressed"
    assert compare(stored(before), run_of({"tone": [0.5, 0.57]}, replayed=True)).metrics[0].verdict == "no_regression"
    assert compare(stored(before), run_of({"tone": [0.5, 0.7]}, replayed=True)).metrics[0].verdict == "improved"
    policy = Policy(metrics={"tone": MetricSettings(tolerance=0.0)})
    assert (
        compare(stored(before), run_of({"tone": [0.5, 0.599]}, replayed=True), policy).metrics[0].verdict == "regressed"
    )
    assert compare(stored(before), before, policy).metrics[0].verdict == "no_regression"


def test_replaying_fewer_trials_compares_with_just_those():
    before = run_of({"tone": [[0.1, 0.5, 0.9]] * 3}, replayed=True)
    now = run([test for test in before.tests if test.trial == 1])
    comparison = compare(stored(before), now)
    assert comparison.deterministic
    assert (comparison.metrics[0].baseline, comparison.metrics[0].current) == (0.5, 0.5)


def test_the_recording_run_itself_is_deterministic_and_a_live_look_alike_is_not():
    recording = run_of({"latency_ms": [100.0] * 3}, replayed=True)
    for test in recording.tests:
        test.cassette = CassetteUse(digest=test.cassette.digest, live=1)
    assert compare(stored(recording), recording).deterministic
    again = recording.model_copy(deep=True)
    for test in again.tests:
        test.measurements["latency_ms"].value = 180.0
    comparison = compare(stored(recording), again)
    assert not comparison.deterministic
    assert comparison.metrics[0].verdict == "too_few_cases"


def test_without_calls_or_with_new_recordings_statistics_decide():
    record = run_of({"tone": [0.5] * 12})
    assert not compare(stored(record), record).deterministic
    replayed = run_of({"tone": [0.5] * 12}, replayed=True)
    changed = replayed.model_copy(deep=True)
    changed.tests[3].cassette.digest = "another"
    comparison = compare(stored(replayed), changed)
    assert not comparison.deterministic
    assert comparison.metrics[0].p == 1


def test_a_metric_is_exact_where_its_own_cases_are():
    replayed = run_of({"tone": [0.5] * 2}, replayed=True).tests
    other = trial("test_app.py::test_tool[a]", {"overlap": 1.0})
    comparison = compare(stored(run([*replayed, other])), run([*replayed, other]))
    assert not comparison.deterministic
    assert row_of(comparison, "tone").verdict == "no_regression"
    assert row_of(comparison, "overlap").verdict == "too_few_cases"


def test_replay_alone_does_not_import_scipy():
    program = """
import sys
from tests.unit.made_up import run_of, stored
from pytest_llmops.compare import compare, failures
record = run_of({"tone": [0.5] * 12, "pass": [1.0] * 12, "cost_usd": [1e-5] * 12}, replayed=True)
worse = run_of({"tone": [0.4] * 12, "pass": [0.0] * 12, "cost_usd": [2e-5] * 12}, replayed=True)
assert failures(compare(stored(record), worse))
assert "scipy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


# Broken cases


def passes(*trials):
    return {"pass": [list(values) for values in trials]}


def test_on_replay_a_case_that_passed_and_fails_now_is_broken():
    before = run_of(passes([1], [1], [1], [0]), replayed=True)
    now = run_of(passes([1], [0], [1], [0]), replayed=True, error="AssertionError: 'refund' not in text\n  more")
    comparison = compare(stored(before), now)
    [broken] = comparison.broken_cases
    assert (broken.case, broken.deterministic, broken.p) == (case("c1"), True, None)
    assert broken.reason == "AssertionError: 'refund' not in text"
    assert names(comparison) == ["pass", "broken-cases"]
    assert "same recordings" in failures(comparison)[1].message


def test_on_replay_a_threshold_says_what_passing_is():
    before, now = passes([1, 1, 1, 0]), passes([1, 1, 0, 0])
    for threshold, broken in ((0.75, 1), (0.5, 0), (None, 0), (1.0, 0)):
        comparison = compare(
            stored(run_of(before, replayed=True, threshold=threshold)),
            run_of(now, replayed=True, threshold=threshold),
        )
        assert len(comparison.broken_cases) == broken, threshold


def test_a_case_that_breaks_before_its_last_call_is_broken_on_replay_too():
    before = run_of(passes(*[[1]] * 12), replayed=True)
    now = run_of(passes([0], *[[1]] * 11), replayed=True)
    use = now.tests[0].cassette
    use.digest, use.recording = "feed", use.digest
    comparison = compare(stored(before), now)
    assert not comparison.deterministic
    assert [(one.case, one.deterministic) for one in comparison.broken_cases] == [(case("c0"), True)]
    use.recording = "another recording"
    assert compare(stored(before), now).broken_cases == []
    part = stored(now)  # made from a part of the recording, which is replayed: exact
    assert compare(part, now).deterministic


def suspect_builds():
    before = run_of(passes(*[[1] * 5] * 12))
    now = run_of(passes([0], *[[1]] * 11))
    return stored(before), now


def test_a_suspect_is_listed_and_does_not_fail_by_itself():
    before, now = suspect_builds()
    comparison = compare(before, now)
    assert comparison.suspect_cases == [case("c0")]
    assert comparison.broken_cases == []
    assert "broken-cases" not in names(comparison)


@pytest.mark.parametrize(("reruns", "broken"), [([0] * 5, True), ([0, 0, 1, 0, 0], False), ([0] * 4, False)])
def test_reruns_settle_a_suspect(reruns, broken):
    before, now = suspect_builds()
    now.tests += [trial("c0", {"pass": float(value)}, 1 + n, rerun=True) for n, value in enumerate(reruns)]
    comparison = compare(before, now)
    assert bool(comparison.broken_cases) == broken
    assert ("broken-cases" in names(comparison)) == broken
    if broken:
        [found] = comparison.broken_cases
        assert found.p == pytest.approx(1 / 252)
        assert (found.reruns, found.rerun_passed, found.trials) == (5, 0, 1)
    assert comparison.suspect_cases == ([case("c0")] if reruns == [0] * 4 else [])
    assert row_of(comparison, "pass").current == pytest.approx(11 / 12, rel=1e-5), "reruns count in no mean"


def test_many_suspects_are_adjusted_for_one_another():
    before = run_of(passes(*[[1] * 5] * 20))
    now = run_of(passes(*[[0]] * 13, *[[1]] * 7))
    now.tests += [trial(f"c{i}", {"pass": 0.0}, 1 + n, rerun=True) for i in range(13) for n in range(5)]
    assert compare(stored(before), now).broken_cases == [], "13/252 is above .05"
    fewer = run([test for test in now.tests if not (test.rerun and test.case == case("c12"))])
    assert len(compare(stored(before), fewer).broken_cases) == 12


def test_five_failing_trials_of_the_run_itself_show_a_case_broken():
    before = run_of(passes(*[[1] * 5] * 12))
    [found] = compare(stored(before), run_of(passes([0] * 5, *[[1] * 5] * 11))).broken_cases
    assert (found.case, found.reruns, found.trials) == (case("c0"), 0, 5)


def test_the_guard_is_blind_below_five_trials():
    comparison = compare(stored(run_of(passes(*[[1] * 4] * 12))), run_of(passes([0], *[[1]] * 11)))
    assert comparison.suspect_cases == []


# Cases that are not compared


def test_missing_only_where_the_test_function_ran():
    before = stored(
        run([trial(name, {"tone": 0.5}) for name in ("c0", "c1", "test_app.py::test_other[x]", "test_b.py::test_c")])
    )
    comparison = compare(before, run([trial("c0", {"tone": 0.5})]))
    assert comparison.missing_cases == [case("c1")]
    assert names(comparison) == ["missing-cases"]
    assert case("c1") in failures(comparison)[0].message


def test_deselected_cases_are_not_missing():
    before = stored(run_of({"tone": [0.5, 0.5, 0.5]}))
    now = run([trial("c0", {"tone": 0.5})], deselected=[case("c1")])
    assert compare(before, now).missing_cases == [case("c2")]
    assert compare(before, now, selected=[case("c0"), case("c1")]).missing_cases == []


def test_missing_cases_of_tests_that_do_not_gate_are_listed_only():
    before = stored(run([trial(name, {"tone": 0.5}, gate=False) for name in ("c0", "c1")]))
    comparison = compare(before, run([trial("c0", {"tone": 0.5}, gate=False)]))
    assert comparison.missing_cases == [case("c1")]
    assert failures(comparison) == []


def test_new_and_changed_cases_are_listed_and_not_compared():
    before = stored(run([trial(f"c{i}", {"tone": 0.9}, dataset_fingerprint=f"f{i}") for i in range(12)]))
    now = [trial(f"c{i}", {"tone": 0.9}, dataset_fingerprint=f"f{i}") for i in range(11)]
    now += [trial("c11", {"tone": 0.1}, dataset_fingerprint="mended"), trial("new", {"tone": 0.1})]
    comparison = compare(before, run(now))
    assert comparison.changed_cases == [case("c11")]
    assert comparison.new_cases == [case("c11"), case("new")]
    assert (row_of(comparison, "tone").cases, row_of(comparison, "tone").delta) == (11, 0)
    assert failures(comparison) == []


def test_skipped_cases_are_neither_missing_nor_compared():
    before = stored(run_of({"tone": [0.5] * 12}))
    now = run_of({"tone": [0.5] * 12})
    now.tests[3].outcome = "skipped"
    now.tests[3].measurements = {}
    comparison = compare(before, now)
    assert (comparison.missing_cases, row_of(comparison, "tone").cases) == ([], 11)
    assert any("skipped" in note and "c3" in note for note in comparison.notes)
    assert failures(comparison) == []


def test_a_case_whose_judge_errored_fails():
    before = stored(run_of({"tone": [0.5] * 12}))
    now = run_of({"tone": [0.5] * 12})
    now.tests[3].measurements["tone"] = Measurement(
        status="error", reason="529 overloaded\n  a second line", source="judge"
    )
    comparison = compare(before, now)
    assert comparison.errored_cases == [case("c3")]
    [failure] = failures(comparison)
    assert failure.nodeid == "llm-baseline::errored-cases"
    assert "tone: 529 overloaded\n" in failure.message
    assert "second line" not in failure.message


def test_one_errored_trial_of_several_leaves_the_others():
    before = stored(run_of({"tone": [[0.5, 0.7]] * 12}))
    now = run_of({"tone": [[0.5, 0.7]] * 12})
    now.tests[1].measurements["tone"] = Measurement(status="error", reason="529", source="judge")
    comparison = compare(before, now)
    assert comparison.errored_cases == []
    assert row_of(comparison, "tone").cases == 12


def test_a_failed_test_that_did_not_come_to_its_metric_is_not_errored_and_a_passed_one_is():
    before = stored(run_of({"tone": [0.5] * 12, "pass": [1.0] * 12}))
    now = run_of({"tone": [0.5] * 12, "pass": [1.0] * 12})
    del now.tests[0].measurements["tone"]
    now.tests[0].outcome = "failed"
    assert compare(before, now).errored_cases == []
    now.tests[0].outcome = "passed"
    comparison = compare(before, now)
    assert comparison.errored_cases == [case("c0")]
    assert "no longer recorded" in failures(comparison)[0].message


def test_a_crash_before_the_only_gated_metric_is_errored():
    """Where `pass` does not gate, nobody else would see that most values are gone."""
    fields = {"gate": ["tone"], "threshold": None}
    before = stored(run_of({"tone": [0.5] * 24, "pass": [1.0] * 24}, **fields))
    now = run_of({"tone": [0.5] * 24, "pass": [1.0] * 24}, **fields)
    for test in now.tests[:18]:
        test.measurements = {"pass": measurement("pass", 0.0)}
        test.outcome, test.error = "failed", "RuntimeError: boom"
    comparison = compare(before, now)
    assert len(comparison.errored_cases) == 18
    assert names(comparison) == ["errored-cases"]
    assert "tone was not recorded: RuntimeError: boom" in failures(comparison)[0].message
    for test in now.tests:
        test.gate = ["tone", "pass"]
    comparison = compare(before, now)
    assert names(comparison) == ["pass"]
    assert any(note.startswith("tone has no value now in 18 cases with a stored one: ") for note in comparison.notes)


def test_unscored_is_no_error_and_is_said():
    before = stored(run_of({"tone": [0.5] * 12}))
    now = run_of({"tone": [0.5] * 12})
    for test in now.tests[:4]:
        test.measurements["tone"] = Measurement(status="unscored", source="judge")
    comparison = compare(before, now)
    assert failures(comparison) == []
    listed = ", ".join(map(case, ("c0", "c1", "c2")))
    assert comparison.notes == [f"tone has no value now in 4 cases with a stored one: {listed} and 1 more"]


@pytest.mark.parametrize(
    ("lost", "said", "failed"),
    [
        (Measurement(status="error", reason="judge gone", source="judge"), "judge gone", ["tone", "errored-cases"]),
        (Measurement(status="unscored", source="judge"), "unscored", ["tone"]),
        (None, "no value in any of its 12 cases", ["tone"]),
    ],
)
def test_a_gated_metric_lost_by_the_whole_run_fails(lost, said, failed):
    before = stored(run_of({"tone": [0.5] * 12, "pass": [1.0] * 12}))
    now = run_of({"tone": [0.5] * 12, "pass": [1.0] * 12})
    for test in now.tests:
        test.measurements.pop("tone")
        if lost:
            test.measurements["tone"] = lost
    comparison = compare(before, now)
    assert row_of(comparison, "tone").verdict == "not_comparable"
    assert names(comparison) == failed
    assert said in failures(comparison)[0].message


def test_a_metric_that_does_not_gate_may_go_with_a_note():
    before = stored(run_of({"overlap": [0.5] * 12, "pass": [1.0] * 12}))
    comparison = compare(before, run_of({"pass": [1.0] * 12}))
    assert failures(comparison) == []
    assert any("no longer recorded: overlap" in note for note in comparison.notes)


def test_tests_that_did_not_run_and_cases_left_out_are_named_and_do_not_fail():
    whole = run([trial("c0", {"tone": 0.5}), trial("c1", {"tone": 0.5}), trial("test_b.py::test_b[x]", {"tone": 0.5})])
    comparison = compare(stored(whole), run(whole.tests[:1], deselected=[case("c1")]))
    assert comparison.notes == [
        "1 stored case of tests that did not run: test_b.py::test_b",
        f"1 stored case left out of this run (deselected): {case('c1')}",
    ]
    assert failures(comparison) == []


def test_a_gate_that_the_marker_no_longer_has_is_said():
    before, now = run_of({"tone": [0.9] * 12}, gate=["tone"]), run_of({"tone": [0.1] * 12}, gate=False)
    comparison = compare(stored(before), now)
    assert failures(comparison) == []
    [said] = comparison.notes
    assert said == "the marker's gate changed since the baseline: test_app.py::test_answers (tone → nothing gates)"


def test_one_group_is_one_group():
    grouped = run_of({"tone": [0.5] * 12}, group="document")
    assert "12 cases in 1 group" in compare(stored(grouped), grouped).metrics[0].reason.split("; ")


def test_a_run_that_shares_no_case_says_so():
    comparison = compare(
        stored(run_of({"tone": [0.5] * 12})), run([trial("sub/test_app.py::test_x[c0]", {"tone": 0.5})])
    )
    assert any("no case of this run is in the baseline" in note for note in comparison.notes)
    assert row_of(comparison, "tone").verdict == "too_few_cases"


# Definitions


@pytest.mark.parametrize(
    ("before", "now", "named"),
    [
        ({"definition": "aa11"}, {"definition": "bb22"}, "judge model or rubric (aa11 → bb22)"),
        ({"direction": "higher"}, {"direction": "lower"}, "direction higher → lower"),
        ({"kind": "score"}, {"kind": "rate"}, "kind score → rate"),
        ({"unit": "s"}, {"unit": "ms"}, "unit s → ms"),
    ],
)
def test_another_definition_is_not_comparable_and_fails(before, now, named):
    def build(fields):
        return run([trial(f"c{i}", {"tone": measurement("tone", 0.5, **fields)}) for i in range(12)])

    comparison = compare(stored(build(before)), build(now))
    row = row_of(comparison, "tone")
    assert row.verdict == "not_comparable"
    assert named in row.reason
    assert names(comparison) == ["tone"]


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (("gpt-a", "gpt-b"), "; the judge's model: gpt-a → gpt-b"),
        (("gpt-a", "gpt-a"), "; not the model (gpt-a), so the rubric, the jury or the judging prompt"),
    ],
)
def test_whether_a_judge_s_model_or_rubric_changed_is_said(models, said):
    def build(definition, model):
        calls = [Call(provider="p", api="a", model=model, role="judge")]
        measured = {"tone": measurement("tone", 0.5, definition=definition)}
        tests = [trial(f"c{i}", measured, calls=calls) for i in range(12)]
        return run(tests, fingerprint=fingerprint(tests))

    before, now = (build(*side) for side in zip(("aa", "bb"), models, strict=True))
    assert row_of(compare(stored(before), now), "tone").reason.endswith(said)


def test_another_scale_is_not_comparable():
    ten, five = ({"tone": MetricSettings(scale=(1.0, high))} for high in (10.0, 5.0))
    record = run_of({"tone": [4.0] * 12})
    before = baseline.update(None, record, settings=ten)
    assert compare(before, record, Policy(metrics=ten)).metrics[0].verdict == "no_regression"
    row = compare(before, record, Policy(metrics=five)).metrics[0]
    assert row.verdict == "not_comparable"
    assert "scale [1.0, 10.0] → [1.0, 5.0]" in row.reason


def test_default_tolerance_follows_the_scale():
    settings = {"tone": MetricSettings(scale=(1.0, 10.0))}
    before = baseline.update(None, run_of({"tone": [7.0] * 12}), settings=settings)
    policy = Policy(metrics=settings)
    assert compare(before, run_of({"tone": [6.9] * 12}), policy).metrics[0].verdict == "no_regression"
    assert compare(before, run_of({"tone": [6.8] * 12}), policy).metrics[0].verdict == "regressed"


def test_two_tests_with_one_name_and_two_meanings_is_an_error():
    one = trial("test_a.py::test_a[x]", {"overlap": measurement("overlap", 0.5)})
    other = trial("test_b.py::test_b[x]", {"overlap": measurement("overlap", 0.5, direction="lower")})
    with pytest.raises(BaselineError, match=r"two definitions[\s\S]*test_a\.py[\s\S]*test_b\.py"):
        baseline.update(None, run([one, other]))
    comparison = compare(stored(run([one])), run([one, other]))
    assert names(comparison) == ["overlap"], "although it does not gate"
    message = failures(comparison)[0].message
    assert one.id in message
    assert other.id in message


def test_what_changed_in_the_fingerprint_is_named():
    before, now = run_of({"tone": [0.5] * 12}), run_of({"tone": [0.5] * 12})
    before.fingerprint = Fingerprint(prompts={"support": "1", "tidy": "1"}, models=["gpt-4o"])
    now.fingerprint = Fingerprint(prompts={"support": "2", "tidy": "1"}, models=["gpt-4.1"])
    notes = compare(stored(before), now).notes
    assert notes == ["prompt 'support' changed since the baseline", "models: gpt-4o → gpt-4.1"]


def test_only_prices_of_what_the_application_asked_count():
    def build(price, judge_price):
        calls = [Call(provider="p", api="a", model="m"), Call(provider="p", api="a", model="judge", role="judge")]
        record = run_of({"cost_usd": [1.0] * 12, "pass": [1.0] * 12}, calls=calls)
        record.fingerprint.prices = {"p:m": price, "p:judge": judge_price, "p:unused": price}
        return record

    policy = Policy(metrics={"cost_usd": MetricSettings(gate=True)})
    row = row_of(compare(stored(build("1/1", "1/1")), build("1/1", "2/2"), policy), "cost_usd")
    assert row.verdict == "no_regression"
    row = row_of(compare(stored(build("1/1", "1/1")), build("2/2", "1/1"), policy), "cost_usd")
    assert (row.verdict, row.gate) == ("inconclusive", True)
    assert "(p:m 1/1 → 2/2)" in row.reason


def costing(price, *, tokens=100, cached=0, model="p:m", at=None, cost=None, n=12):
    """A run of cases that make one call each, of so many tokens in and ten out, at a price of ``in/out``."""
    fresh, out = map(float, price.split("/"))
    provider, _, name = model.partition(":")
    tests = []
    for index in range(n):
        used = tokens + index
        paid = ((used - cached) * fresh + cached * fresh / 10 + 10 * out) / 1e6 if cost is None else cost
        counted = {"input_tokens": used, "output_tokens": 10, "cache_read_tokens": cached or None}
        call = Call(provider=provider, api="a", model=name, cost_usd=paid, **counted)
        tests.append(trial(f"c{index}", {"cost_usd": paid, "pass": 1.0}, calls=[call]))
    record = run(tests)
    record.fingerprint.prices = {model: at or price}
    return record


COST_GATES = Policy(metrics={"cost_usd": MetricSettings(gate=True)})


@pytest.mark.parametrize(
    ("now", "verdict", "delta"),
    [
        (costing("2/4"), "no_regression", 0),
        (costing("0.5/1"), "no_regression", 0),
        (costing("1/2", at="2/4"), "no_regression", 0),  # replayed: recorded at that day's price
        (costing("2/4", tokens=200), "regressed", 0.8),
        (costing("0.1/0.2", tokens=200), "regressed", 0.8),  # cheaper a token, and more of them
        (costing("2/4", tokens=50), "improved", -0.4),
    ],
)
def test_costs_are_compared_at_the_baselines_prices(now, verdict, delta):
    row = row_of(compare(stored(costing("1/2")), now, COST_GATES), "cost_usd")
    assert (row.verdict, row.delta) == (verdict, pytest.approx(delta, abs=0.1))
    assert row.reason.startswith("at the baseline's prices, which changed since (p:m 1/2 → ")
    assert row.baseline == pytest.approx(125e-6, rel=0.1)


@pytest.mark.parametrize("now", [costing("2/4", cached=50), costing("2/4", cost=1.0)])
def test_a_cost_that_is_no_sum_of_tokens_cannot_be_told_at_other_prices(now):
    row = row_of(compare(stored(costing("1/2")), now, COST_GATES), "cost_usd")
    assert (row.verdict, row.gate) == ("inconclusive", True)
    assert "the next baseline compares costs again" in row.reason
    assert names(compare(stored(costing("1/2")), now, COST_GATES), Policy(inconclusive="fail")) == ["cost_usd"]


def test_a_cost_that_a_test_works_out_itself_is_not_redone():
    def build(price):
        record = costing(price)
        for test in record.tests:
            own = measurement(
                "own", test.measurements["cost_usd"].value, source="recorded", kind="cost", direction="lower"
            )
            test.measurements["own"] = own
        return record

    comparison = compare(stored(build("1/2")), build("2/4"), COST_GATES)
    assert {row.metric: row.verdict for row in comparison.metrics if row.metric in ("cost_usd", "own")} == {
        "cost_usd": "no_regression",
        "own": "inconclusive",
    }


def test_fresh_trials_are_compared_at_the_baselines_prices_too():
    def confirmed(tokens):
        now, fresh = costing("2/4", tokens=200), costing("2/4", tokens=tokens)
        now.tests += [test.model_copy(update={"rerun": True, "confirms": True}) for test in fresh.tests]
        return row_of(compare(stored(costing("1/2")), now, COST_GATES), "cost_usd")

    assert confirmed(200).confirmation.confirmed
    row = confirmed(100)
    assert (row.verdict, row.confirmation.confirmed, row.confirmation.delta) == ("inconclusive", False, 0)


# What gates


def test_by_default_pass_judges_and_guardrails_gate():
    values = {name: [0.5] * 12 for name in ("tone", "pii", "overlap", "latency_ms", "cost_usd", "output_tokens")}
    comparison = compare(stored(run_of(values | {"pass": [1.0] * 12})), run_of(values | {"pass": [1.0] * 12}))
    assert {row.metric for row in comparison.metrics if row.gate} == {"pass", "tone", "pii"}
    assert [row.gate for row in comparison.metrics] == [True] * 3 + [False] * 4


def test_settings_and_marker_decide_what_gates():
    before, worse = (
        run_of({"tone": [0.9] * 12, "overlap": [0.9] * 12}),
        run_of({"tone": [0.1] * 12, "overlap": [0.1] * 12}),
    )
    assert names(compare(stored(before), worse)) == ["tone"]
    settings = Policy(metrics={"overlap": MetricSettings(gate=True), "tone": MetricSettings(gate=False)})
    assert names(compare(stored(before), worse, settings)) == ["overlap"]
    for gate, expected in ((["overlap"], ["overlap"]), (False, []), (None, ["tone"])):
        for test in worse.tests:
            test.gate = gate
        assert names(compare(stored(before), worse)) == expected


def test_where_some_tests_gate_a_metric_only_their_cases_count():
    before = run_of({"tone": [0.9] * 24})
    now = run_of({"tone": [0.9] * 12 + [0.1] * 12})
    for test in now.tests[12:]:
        test.gate = False
    row = compare(stored(before), now).metrics[0]
    assert (row.verdict, row.cases) == ("no_regression", 12)
    assert "12 cases whose test does not gate it left out" in row.reason


def test_a_second_run_in_one_test_takes_the_settings_of_its_metric():
    record = run([trial(f"c{i}", {"latency_ms#2": measurement("latency_ms", 5.0)}) for i in range(12)])
    policy = Policy(metrics={"latency_ms": MetricSettings(gate=True)})
    assert compare(stored(record), record, policy).metrics[0].gate


# Accepted changes


def accepted(**fields):
    return (Accepted(**({"reason": "shorter answers", "expires": date(2030, 1, 1)} | fields)),)


TODAY = Policy(today=date(2026, 3, 1))


def test_an_accepted_metric_is_reported_and_not_red():
    before, worse = stored(run_of({"tone": [0.9] * 12})), run_of({"tone": [0.1] * 12})
    comparison = compare(before, worse, TODAY, accept=accepted(metric="tone", by="Ana"))
    assert row_of(comparison, "tone").verdict == "regressed"
    assert failures(comparison, TODAY) == []
    assert comparison.accepted == ["tone (regressed): accepted by Ana until 2030-01-01: shorter answers"]


def test_an_expired_acceptance_accepts_nothing_and_says_so():
    before, worse = stored(run_of({"tone": [0.9] * 12})), run_of({"tone": [0.1] * 12})
    comparison = compare(before, worse, TODAY, accept=accepted(metric="tone", expires=date(2026, 2, 28)))
    assert names(comparison, TODAY) == ["tone"]
    assert any("expired on 2026-02-28" in note for note in comparison.notes)
    assert compare(before, worse, TODAY, accept=accepted(metric="tone", expires=TODAY.today)).accepted


def test_an_accepted_case_is_left_out_and_not_red():
    before = run_of({"pass": [1.0] * 12, "tone": [0.9] * 12}, replayed=True)
    now = run_of({"pass": [0.0, *[1.0] * 11], "tone": [0.1, *[0.9] * 11]}, replayed=True)
    assert names(compare(stored(before), now)) == ["pass", "tone", "broken-cases"]
    comparison = compare(stored(before), now, TODAY, accept=accepted(case="*test_answers[c0]"))
    assert failures(comparison, TODAY) == []
    assert row_of(comparison, "tone").cases == 11
    assert [one.accepted is not None for one in comparison.broken_cases] == [True]


def test_an_accepted_missing_case_is_not_red():
    before = stored(run_of({"tone": [0.5] * 13}))
    now = run([test for test in run_of({"tone": [0.5] * 13}).tests if test.case != case("c4")])
    assert names(compare(before, now, TODAY)) == ["missing-cases"]
    comparison = compare(before, now, TODAY, accept=accepted(case=case("c4")))
    assert failures(comparison, TODAY) == []
    assert comparison.missing_cases == [case("c4")]


def test_an_acceptance_of_nothing_known_is_named():
    comparison = compare(
        stored(run_of({"tone": [0.5] * 12})), run_of({"tone": [0.5] * 12}), TODAY, accept=accepted(metric="tune")
    )
    assert any("Did you mean 'tone'?" in note for note in comparison.notes)


# Summaries


def test_summary_of_a_run():
    record = run_of({"tone": [[0.2, 0.4], [0.8, 0.8]], "cost_usd": [[1e-5, 3e-5], [4e-5, 4e-5]]})
    record.tests[0].measurements["tone"] = Measurement(status="error", reason="x", source="judge")
    record.tests.append(trial("c0", {"tone": 0.0}, 2, rerun=True))
    found = summarize(record.tests)
    assert list(found) == ["cost_usd", "tone"]
    tone = found["tone"]
    assert (tone.cases, tone.errors, tone.unscored, tone.mean, tone.p50) == (2, 1, 0, 0.6, 0.6)
    assert (tone.source, tone.direction, found["cost_usd"].unit) == ("judge", "higher", "USD")
    assert found["cost_usd"].p95 == pytest.approx(3.9e-5)


def test_summary_of_a_metric_without_any_value():
    record = run([trial("c0", {"tone": None})])
    assert (summarize(record.tests)["tone"].cases, summarize(record.tests)["tone"].mean) == (0, None)
    assert summarize([]) == {}


def test_the_last_of_several_attempts_counts():
    before = stored(run_of({"tone": [0.5] * 12}))
    now = run_of({"tone": [0.1] * 12})
    now.tests += run_of({"tone": [0.5] * 12}).tests
    assert compare(before, now).metrics[0].delta == 0
