"""Arms: their marker, users split stably, and evidence that holds its error rate."""

from __future__ import annotations

import random

import pytest

from pytest_llmops.ab import assign_arm, parse
from pytest_llmops.compare import compare_arms
from pytest_llmops.errors import SettingsError
from pytest_llmops.records import Measurement, TestRecord
from pytest_llmops.reports.arms import render


def records(a, b, metric="quality", *, b_cases=None, groups=None, **more):
    """Two arms, a value (or several trials) a case each."""
    found = []
    for index, (arm, values) in enumerate((("old", a), ("new", b))):
        for i, trials in enumerate(values):
            for trial, value in enumerate(trials if isinstance(trials, list) else [trials]):
                case = f"c{i if arm == 'old' or b_cases is None else b_cases[i]}"
                found.append(
                    TestRecord(
                        id=f"t.py::test[{arm}-{case}-trial{trial}]",
                        case=f"t.py::test[{arm}-{case}]",
                        trial=trial,
                        arm=arm,
                        arm_index=index,
                        arm_pair=f"t.py::test[{case}]",
                        group=groups[i] if groups else None,
                        measurements={metric: Measurement(value=value, **more)},
                    )
                )
    return found


def preferring(values, bias=0.0):
    """Twelve cases and more: how far the second arm's answer was preferred to the first's."""
    tests = records([1.0] * len(values), [1.0] * len(values))
    tags = {"preferred_to": "old"}
    for test, value in zip([test for test in tests if test.arm == "new"], values, strict=True):
        test.measurements["clarity.prefers"] = Measurement(value=value, source="builtin", kind="rate", tags=tags)
        test.measurements["clarity.position_bias"] = Measurement(value=bias, source="builtin", tags=tags)
    return tests


def only(tests, **more):
    (found,) = compare_arms(tests, settings={}, **more)
    return found.metrics[0]


def test_students_sleep_data():
    """Two-sided p .00283, 95 % interval .700 … 2.460 of the difference."""
    a = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    b = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    row = only(records(a, b))
    assert row.p == pytest.approx(0.00283289)
    assert (row.ci_low, row.ci_high) == pytest.approx((0.7001142, 2.4598858), rel=1e-5)
    assert (row.winner, row.cases) == ("new", 10)
    assert only(records(a, b, direction="lower")).winner == "old"


def test_costs_are_compared_as_ratios():
    a, b = [0.1 * i for i in range(1, 13)], [0.2 * i for i in range(1, 13)]
    row = only(records(a, b, "cost_usd", source="builtin", kind="cost", direction="lower"))
    assert row.delta == pytest.approx(1.0)
    assert row.winner == "old"


def test_without_evidence_it_says_how_many_more_cases():
    rng = random.Random(2)
    a = [rng.gauss(0.7, 0.2) for _ in range(20)]
    b = [x + rng.gauss(0.01, 0.1) for x in a]
    row = only(records(a, b))
    assert row.winner is None
    assert row.advice.startswith("no evidence, needs about ")
    assert int(row.advice.split()[4]) > 20
    assert only(records(a, a)).advice == "no evidence: equal on average"


def test_few_cases_say_nothing():
    row = only(records([0.1] * 3, [0.9] * 3))
    assert (row.winner, row.p) == (None, None)
    assert row.advice == "too few cases: about 7 more needed"
    assert only(records([0.1] * 3, [0.9, 0.8, 0.9]), min_cases=2).winner == "new"


def test_trials_are_averaged_and_groups_count_once():
    trials = records([[0.1, 0.3]] * 12, [[0.2, 0.4]] * 12)
    assert only(trials).cases == 12
    assert only(trials).delta == pytest.approx(0.1)
    row = only(records([0.1] * 12, [0.9] * 12, groups=["doc"] * 11 + ["other"]))
    assert row.advice == "too few cases: about 8 more needed"


def test_cases_of_one_arm_only_are_told():
    (found,) = compare_arms(records([0.1] * 12, [0.2] * 12, b_cases=range(2, 14)), settings={})
    assert found.unpaired == 4
    assert "  4 cases have a value in one arm only and were left out" in render([found])


def test_equal_arms_win_as_seldom_as_promised():
    """Five metrics without any difference: with Holm at most about 5 % of comparisons name a winner."""
    rng, won = random.Random(3), 0
    for _ in range(300):
        tests = records([rng.random() for _ in range(20)], [rng.random() for _ in range(20)], "m0")
        for test in tests:
            test.measurements |= {f"m{i}": Measurement(value=rng.random()) for i in range(1, 5)}
        (found,) = compare_arms(tests, settings={})
        won += any(row.winner for row in found.metrics)
    assert won / 300 < 0.09


def test_a_third_arm_is_compared_with_the_first():
    tests = records([0.1] * 12, [0.2] * 12)
    third = [test.model_copy(update={"arm": "newer", "arm_index": 2}) for test in tests if test.arm == "new"]
    assert [(one.a, one.b) for one in compare_arms(tests + third, settings={})] == [("old", "new"), ("old", "newer")]


def test_users_keep_their_arm_and_spread_evenly():
    users = [f"user-{i}" for i in range(10_000)]
    first = [assign_arm(user) for user in users]
    assert first == [assign_arm(user) for user in users]
    assert 4_800 < first.count("a") < 5_200
    # fixed for good: a new version must not move users to another arm
    assert [assign_arm(user) for user in users[:6]] == ["b", "a", "a", "a", "a", "a"]
    salted = [assign_arm(user, salt="second experiment") for user in users]
    assert 4_700 < sum(x == y for x, y in zip(first, salted, strict=True)) < 5_300
    weighted = [assign_arm(user, ["x", "y", "z"], weights=[0.1, 0.9, 0]) for user in users]
    assert 850 < weighted.count("x") < 1_150
    assert "z" not in weighted


@pytest.mark.parametrize(
    ("arms", "weights"), [([], None), (["a", "b"], [1]), (["a"], [0]), (["a", "b"], [-1, 2]), (["a"], [float("nan")])]
)
def test_arms_that_cannot_be_split(arms, weights):
    with pytest.raises(SettingsError, match="expected a weight"):
        assign_arm("alice", arms, weights=weights)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (({"a": 1, "b": 2},), {}, "named arguments only"),
        ((), {}, "at least two arms"),
        ((), {"arms": {"a": 1}}, "at least two arms"),
        ((), {"arms": ["a", "b"]}, "at least two arms"),
        ((), {"arms": {"a b": 1, "c": 2}}, "the arm's name 'a b'"),
        ((), {"arms": {"trial1": 1, "c": 2}}, "the arm's name 'trial1'"),
    ],
)
def test_a_marker_that_cannot_be_used(args, kwargs, message):
    with pytest.raises(SettingsError, match=message):
        parse(args, kwargs)


def test_preferences_are_tested_against_a_draw():
    """Sleep data once more: twice the distance to .5 has the t-test's p .00283, whatever its unit."""
    differences = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    values = [0.5 + difference / 10 for difference in differences]
    (found,) = compare_arms(preferring(values, bias=-0.5))
    row = next(row for row in found.metrics if row.metric == "clarity.prefers")
    assert row.p == pytest.approx(0.00283289)
    assert row.p_adjusted == pytest.approx(2 * 0.00283289)  # Holm: quality is compared, too
    assert (row.winner, row.cases) == ("new", 10)
    assert row.a + row.b == pytest.approx(1.0)
    assert row.delta == pytest.approx(2 * 1.58 / 10)
    assert found.position_bias == {"clarity": -0.5}
    assert found.unpaired == 0
    assert [row.metric for row in found.metrics] == ["quality", "clarity.prefers"]
    lines = render([found])
    assert any(
        "position bias -0.50: by its place alone, whichever stood second was taken more often" in x for x in lines
    )


def test_a_preference_is_for_its_own_pair_of_arms():
    tests = preferring([1.0] * 10)
    for test in tests:
        test.measurements.get("clarity.prefers", Measurement(value=0)).tags = {"preferred_to": "another"}
    (found,) = compare_arms(tests)
    assert [row.metric for row in found.metrics] == ["quality"]
