import math
import random
import subprocess
import sys

import numpy as np
import pytest

from pytest_llmops import stats

SLEEP = [-1.2, -2.4, -1.3, -1.3, 0.0, -1.0, -1.8, -0.8, -4.6, -1.4]  # Student 1908, group 1 - group 2


def test_paired_t_on_students_sleep_data():
    result = stats.paired_t(SLEEP)
    error = result.sd / math.sqrt(result.n)
    assert result.mean / error == pytest.approx(-4.0621277, abs=1e-7)
    assert result.p_worse == pytest.approx(0.00141645, abs=1e-8)
    assert 2 * result.p_worse == pytest.approx(0.00283289, abs=1e-8)
    assert result.p_better == pytest.approx(1 - 0.00141645, abs=1e-8)
    two_sided = stats.paired_t(SLEEP, confidence=0.975)
    assert (two_sided.low, two_sided.high) == (
        pytest.approx(-2.4598858, abs=1e-7),
        pytest.approx(-0.7001142, abs=1e-7),
    )


def test_paired_t_agrees_with_scipy_stats():
    from scipy.stats import ttest_1samp

    rng = np.random.default_rng(1)
    for n in (2, 10, 57):
        d = rng.normal(-0.1, 1, n)
        mine, theirs = stats.paired_t(d), ttest_1samp(d, 0, alternative="less")
        assert mine.p_worse == pytest.approx(theirs.pvalue, rel=1e-10)
        assert mine.high == pytest.approx(theirs.confidence_interval(0.95).high, rel=1e-10)


def test_paired_t_beyond_a_margin_is_the_test_shifted():
    assert stats.paired_t(SLEEP, margin=0.5).p_worse == pytest.approx(stats.paired_t([d + 0.5 for d in SLEEP]).p_worse)
    assert stats.paired_t(SLEEP, margin=0.5).p_better == pytest.approx(
        stats.paired_t([d - 0.5 for d in SLEEP]).p_better
    )


@pytest.mark.parametrize(
    ("value", "margin", "worse", "better"),
    [(-0.5, 0.0, 0, 1), (0.5, 0.0, 1, 0), (0.0, 0.0, 1, 1), (-0.1, 0.2, 1, 1), (-0.5, 0.2, 0, 1)],
)
def test_paired_t_without_spread_decides_by_the_mean(value, margin, worse, better):
    result = stats.paired_t([value] * 12, margin=margin)
    assert (result.p_worse, result.p_better) == (worse, better)
    assert result.low == result.high == pytest.approx(value)


def test_paired_t_needs_two():
    with pytest.raises(ValueError, match="needs two"):
        stats.paired_t([1.0])


def test_without_spread_scipy_is_not_imported():
    program = (
        "import sys; from pytest_llmops import stats; stats.paired_t([0.0] * 9); stats.wilson(9, 10); "
        "stats.mcnemar(3, 1); stats.fisher_worse(5, 5, 0, 5); assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_holm():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.9, 0.8]) == [1.0, 1.0]
    assert stats.holm([]) == []


def test_fisher():
    assert stats.fisher_worse(5, 5, 0, 5) == pytest.approx(0.00396825, abs=1e-8)
    assert stats.fisher_worse(3, 3, 0, 3) == pytest.approx(0.05)
    assert stats.fisher_worse(5, 5, 5, 5) == 1.0


def test_fisher_agrees_with_scipy():
    from scipy.stats import fisher_exact

    for before, a, now, c in [(5, 4, 5, 1), (9, 9, 5, 2), (3, 0, 4, 1), (6, 2, 8, 8)]:
        expected = fisher_exact([[a, before - a], [c, now - c]], alternative="greater").pvalue
        assert stats.fisher_worse(a, before, c, now) == pytest.approx(expected)


def test_wilson():
    assert stats.wilson(9, 10) == (pytest.approx(0.59585, abs=1e-5), pytest.approx(0.98212, abs=1e-5))
    assert stats.wilson(0, 0) == (0.0, 1.0)
    assert stats.wilson(10, 10)[1] == 1.0
    assert stats.wilson(0, 10)[0] == 0.0


def test_two_shares():
    # 95 % intervals by Newcombe (Statistics in Medicine 17, 1998), table II, method 10: (b), (c), (f), (h)
    for now, before, n, low, high in (
        (9, 3, 10, 0.1705, 0.8090),
        (6, 2, 7, 0.0582, 0.8062),
        (0, 0, 10, -0.2775, 0.2775),
        (10, 0, 10, 0.6075, 1.0),
    ):
        found = stats.two_shares(before, now, n, confidence=0.975)
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
        assert (found.n, found.mean) == (n, pytest.approx((now - before) / n))
        assert found.p_worse == stats.fisher_worse(before, n, now, n)
        assert found.p_better == stats.fisher_worse(now, n, before, n)


def test_mcnemar():
    chi2, p = stats.mcnemar(150, 86)
    assert chi2 == pytest.approx(17.35593, abs=1e-5)
    assert p == pytest.approx(3.7159e-5, rel=1e-4)
    assert stats.mcnemar(0, 0) == (0.0, 1.0)
    assert stats.mcnemar(4, 4)[1] == 1.0


def test_cohen_kappa():
    assert stats.cohen_kappa([[20, 5], [10, 15]]) == pytest.approx(0.4)
    assert stats.cohen_kappa([[7, 0], [0, 0]]) == 1.0
    with pytest.raises(ValueError, match="square"):
        stats.cohen_kappa([[1, 2]])


def test_minimum_detectable_effect_is_what_the_test_finds_four_times_in_five():
    n, sd = 50, 0.2
    effect = stats.minimum_detectable_effect(sd, n)
    assert effect == pytest.approx((1.6765509 + 0.8416212) * sd / math.sqrt(n), rel=1e-6)
    rng = np.random.default_rng(5)
    found = sum(stats.paired_t(rng.normal(-effect, sd, n)).p_worse <= 0.05 for _ in range(2000))
    assert 0.77 < found / 2000 < 0.83


def test_minimum_detectable_effect_of_a_pass_rate_is_not_zero_where_all_pass():
    plain = stats.minimum_detectable_effect(0.0, 50)
    corrected = stats.minimum_detectable_effect(0.0, 50, pass_rate=1.0, trials=3)
    assert plain == 0
    assert corrected == pytest.approx((1.6765509 + 0.8416212) ** 2 / 150, rel=1e-6)
    assert stats.minimum_detectable_effect(0.3, 50, pass_rate=0.5, trials=3) == pytest.approx(
        stats.minimum_detectable_effect(0.3, 50)
    )


def test_cases_needed_is_where_the_effect_reaches_the_margin():
    n = stats.cases_needed(0.3, 0.05, 200)
    assert stats.minimum_detectable_effect(0.3, n) == pytest.approx(0.05, rel=0.01)


def test_trials_needed():
    known = {"within_baseline": 0.04, "baseline_trials": 5, "excess": 0.0}
    trials = stats.trials_needed(50, 0.05, within=0.04, **known)
    assert trials == 4
    variance = 0.04 / trials + 0.04 / 5
    assert stats.effect_factor(50) * math.sqrt(variance / 50) <= 0.05
    assert stats.effect_factor(50) * math.sqrt((0.04 / (trials - 1) + 0.04 / 5) / 50) > 0.05
    assert stats.trials_needed(50, 0.05, within=0.04, **(known | {"excess": 0.5})) is None


def test_ratio_of_means_covers_the_truth():
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(1000):
        size = rng.lognormal(0, 1, 80)
        now, before = size * rng.lognormal(0, 0.2, 80) * 1.3, size * rng.lognormal(0, 0.2, 80)
        _, low, high = stats.ratio_of_means(now, before)
        hits += low <= 1.3 <= high
    assert 0.87 < hits / 1000 < 0.93  # two one-sided 95 % bounds
    assert stats.ratio_of_means([2.0, 4.0], [1.0, 2.0]) == (2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="positive"):
        stats.ratio_of_means([0.0, 0.0], [1.0, 1.0])


def test_quantile_agrees_with_numpy():
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
    for q in (0, 0.25, 0.5, 0.95, 1):
        assert stats.quantile(values, q) == pytest.approx(float(np.quantile(values, q)))
    assert stats.quantile([7.0], 0.99) == 7.0
    with pytest.raises(ValueError, match="no values"):
        stats.quantile([], 0.5)


def test_both_roundings_are_one():
    draw = random.Random(3)
    values = [draw.uniform(-1, 1) * 10 ** draw.randint(-12, 15) for _ in range(5000)]
    values += [0.0, 1.0, -0.5, 0.1 + 0.2, 1e-5, 123456789.0, 1e-300, 2.0**60, 999999.5, 0.9999995]
    assert stats.significant_array(np.array(values)).tolist()[:-4] == [stats.significant(v) for v in values][:-4]
    once = [stats.significant(v) for v in values]
    assert stats.significant_array(np.array(once)).tolist() == once
    assert np.isnan(stats.significant_array(np.array([math.nan]))).all()
