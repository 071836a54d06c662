import dataclasses

import numpy as np
import planted
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from probe._checks import DataFileError, InputError
from probe.stats import (
    Difference,
    Interval,
    UpdatesRatio,
    Verdict,
    bootstrap_interval,
    equivalence,
    gini,
    intervals,
    mean_interval,
    paired_difference,
    ratio_of_updates,
)
from probe.storage import load_result, save_result


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(intervals, "_N_RESAMPLES", 199)


def ends(interval):
    return interval.low, interval.high


# Student's interval


@given(
    values=st.lists(st.floats(-100, 100), min_size=2, max_size=12).filter(lambda v: np.std(v) > 1e-6),
    level=st.floats(0.01, 0.999),
)
def test_the_interval_is_scipys(values, level):
    found = mean_interval(np.array(values), level=level)
    low, high = stats.t.interval(level, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert found.estimate == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    assert (found.level, found.n) == (level, len(values))


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [mean_interval(rng.normal(3, 2, size=5), level=0.8) for _ in range(1000)]
    share = np.mean([interval.low <= 3 <= interval.high for interval in found])
    # The standard error is 0.013.
    assert share == pytest.approx(0.8, abs=0.05)


def test_one_replicate_has_no_interval():
    found = mean_interval(np.array([2.5]))
    assert (found.estimate, found.level, found.n) == (2.5, 0.95, 1)
    assert np.isnan([found.low, found.high]).all()


def test_equal_replicates_have_an_interval_of_one_point():
    found = mean_interval(np.full(4, 2.0))
    assert (found.low, found.estimate, found.high) == (2, 2, 2)


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf], [[1.0, 2.0]]])
def test_values_are_one_finite_number_each(values):
    with pytest.raises(InputError, match="values must be one finite number for each replicate, got array"):
        mean_interval(np.array(values))


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, np.nan, "0.95"])
def test_a_level_is_between_zero_and_one(level):
    with pytest.raises(InputError, match="level must be a finite number above 0 and"):
        mean_interval(np.array([1.0, 2.0]), level=level)


# Bootstrap intervals


def ratio_of_means(late, early, axis):
    return late.mean(axis) / early.mean(axis)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_bootstrap_is_scipys_bca(level):
    values = np.random.default_rng(1).lognormal(size=12)
    found = bootstrap_interval(values, level=level, seed=3)
    scipys = stats.bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=9999, rng=np.random.default_rng(3)
    ).confidence_interval
    assert ends(found) == pytest.approx((scipys.low, scipys.high), rel=1e-12)
    assert (found.estimate, found.level, found.n) == (pytest.approx(values.mean()), level, 12)


def test_columns_are_resampled_together():
    rng = np.random.default_rng(2)
    early = rng.uniform(1, 100, size=15)
    # The ratio is the same in every pair, so it is in every resample of pairs; of columns apart it is not.
    paired = np.stack([3 * early * rng.uniform(0.999, 1.001, size=15), early], axis=1)
    found = bootstrap_interval(paired, statistic=ratio_of_means)
    assert ends(found) == pytest.approx((3, 3), abs=0.004)
    assert found.low < found.estimate < found.high
    assert found.n == 15
    scipys = stats.bootstrap(
        (paired[:, 0], paired[:, 1]), ratio_of_means, paired=True, rng=np.random.default_rng(0)
    ).confidence_interval
    assert ends(found) == pytest.approx((scipys.low, scipys.high), rel=1e-12)


def test_the_bootstrap_takes_other_statistics():
    values = np.array([1.0, 2.0, 3.0, 4.0, 100.0])
    assert bootstrap_interval(values, statistic=np.median).estimate == 3
    assert bootstrap_interval(values[:, None]).estimate == 22


def test_a_seed_settles_the_bootstrap():
    values = np.random.default_rng(4).normal(size=9)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values.copy(), seed=1)
    assert ends(bootstrap_interval(values, seed=1)) != ends(bootstrap_interval(values, seed=2))


def test_a_bootstrap_of_one_replicate_has_no_ends():
    found = bootstrap_interval(np.array([[6.0, 2.0]]), statistic=ratio_of_means)
    assert (found.estimate, found.n) == (3, 1)
    assert np.isnan(ends(found)).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, 0.1, -3.0])
def test_a_bootstrap_of_equal_replicates_is_one_point(value):
    found = bootstrap_interval(np.full(3, value))
    assert found.low == found.estimate == found.high == pytest.approx(value)


@pytest.mark.filterwarnings("error")
def test_where_bca_is_undefined_the_percentiles_stand_in():
    # Without any one of the values the median is 2: nothing to measure the acceleration by.
    values = np.array([1.0, 2.0, 2.0, 2.0, 3.0])
    with pytest.warns(stats.DegenerateDataWarning), np.errstate(all="ignore"):
        assert np.isnan(stats.bootstrap((values,), np.median).confidence_interval).all()
    # The median of a resample is 1, and 3, in 5.8% of them: three of five draws from one in five.
    assert ends(bootstrap_interval(values, statistic=np.median)) == (1, 3)
    assert ends(bootstrap_interval(values, statistic=np.median, level=0.8)) == (2, 2)


@pytest.mark.parametrize("n", [5, 20])
def test_the_bootstrap_of_few_networks_covers_less_than_it_says(n, few_resamples):
    # Not a wish, but why `Difference.decision` asks the t test too; the docstrings name the number.
    rng = np.random.default_rng(5)
    found = [bootstrap_interval(rng.normal(size=n)) for _ in range(300)]
    share = np.mean([interval.low <= 0 <= interval.high for interval in found])
    assert share == pytest.approx({5: 0.84, 20: 0.92}[n], abs=0.04)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (2, 2, 2), ()])
def test_a_bootstrap_needs_replicates_in_rows(shape):
    with pytest.raises(
        InputError, match=r"values must have shape \(n_replicates,\) or \(n_replicates, n_col"
    ):
        bootstrap_interval(np.zeros(shape))


def test_a_bootstrap_needs_finite_values():
    with pytest.raises(
        InputError, match=r"values must be finite, but 1 of 2 values are not, the first at \(1,"
    ):
        bootstrap_interval(np.array([1.0, np.nan]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"level": 95}, "level must be a finite number above 0 and below 1, got 95"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_a_bootstrap_refuses_settings_out_of_range(wrong, message):
    with pytest.raises(InputError, match=message):
        bootstrap_interval(np.array([1.0, 2.0]), **wrong)


# Verdicts


def test_a_verdict_decides_in_one_of_three_words():
    with pytest.raises(
        InputError, match="decision must be one of supported, refuted, inconclusive; got 'suported'"
    ):
        planted.verdict("suported")


@pytest.mark.parametrize(
    "result",
    [
        planted.verdict(null="no — difference"),
        planted.verdict("inconclusive", Interval(np.nan, np.nan, np.nan, 0.95, 1)),
        paired_difference(np.array([1.0, 2.0, 4.0])),
        equivalence(np.array([1.0, 2.0, 4.0]), margin=1),
        ratio_of_updates(np.array([3.0, np.nan]), np.array([1.0, 2.0]), limit=4),
    ],
    ids=lambda result: type(result).__name__,
)
def test_what_was_inferred_can_be_stored(result, tmp_path):
    loaded = load_result(save_result(result, tmp_path / "result.h5"), type(result))
    # Two NaNs are not equal, and their texts are.
    assert repr(loaded) == repr(result)


def test_a_stored_verdict_cannot_decide_otherwise(tmp_path):
    verdict = planted.verdict()
    names = [field.name for field in dataclasses.fields(verdict)]
    Free = dataclasses.make_dataclass("Verdict", names, frozen=True)
    free = Free(**{name: getattr(verdict, name) for name in names} | {"decision": "proven"})
    with pytest.raises(DataFileError, match=r"decision holds 'proven'"):
        load_result(save_result(free, tmp_path / "verdict.h5"), Verdict)


# Differences


@given(values=hnp.arrays(float, st.integers(2, 12), elements=st.floats(-100, 100)), null=st.floats(-50, 50))
def test_a_difference_is_scipys_paired_t_test(values, null):
    if np.ptp(values) < 1e-6:
        values[0] += 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "_N_RESAMPLES", 9)
        found = paired_difference(values)
    assert found.p_value == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-6, abs=1e-12)
    assert found.estimate == pytest.approx(values.mean(), abs=1e-12)
    assert (found.standard_error, found.n) == (pytest.approx(stats.sem(values)), len(values))
    apart = stats.ttest_1samp(values, null).pvalue < 0.05
    assert (found.decision(null) != "inconclusive") <= bool(apart)


def test_a_difference_has_the_bootstrap_interval():
    values = np.array([1.0, 2.0, 3.0, 2.0, 2.5])
    assert paired_difference(values, level=0.9).interval == bootstrap_interval(values, level=0.9)


def difference(estimate, low, high, standard_error, n=5):
    p_value = 2 * stats.t.sf(abs(estimate) / standard_error, n - 1)
    return Difference(estimate, Interval(estimate, low, high, 0.95, n), standard_error, p_value, n)


@pytest.mark.parametrize(
    ("found", "decision"),
    [
        (difference(1.0, 0.5, 1.5, 0.1), "supported"),
        (difference(-1.0, -1.5, -0.5, 0.1), "refuted"),
        (difference(1.0, 0.5, 1.5, 1.0), "inconclusive"),  # only the bootstrap sees it
        (difference(-1.0, -1.5, -0.5, 1.0), "inconclusive"),
        (difference(1.0, -0.1, 1.5, 0.1), "inconclusive"),  # only the t test does
        (difference(-1.0, -1.5, 0.1, 0.1), "inconclusive"),
    ],
)
def test_a_difference_counts_only_if_both_methods_find_it(found, decision):
    assert found.decision() == decision


def test_a_difference_is_judged_against_the_null_given():
    values = np.array([1.0, 2.0, 3.0, 2.0, 2.5])
    found = paired_difference(values)
    decisions = [found.decision(null) for null in (0, 0.9, 2, 3.3, 9)]
    # The t interval is from 1.18 to 3.02.
    assert decisions == ["supported", "supported", "inconclusive", "refuted", "refuted"]
    with pytest.raises(InputError, match="null must be a finite number, got nan"):
        found.decision(np.nan)


def test_no_difference_at_all_is_none():
    found = paired_difference(np.zeros(10))
    assert (found.estimate, found.p_value, found.decision()) == (0, 1, "inconclusive")
    assert ends(found.interval) == (0, 0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [2, 5, 6, 10])
@pytest.mark.parametrize("value", [0.01, -2.0])
def test_equal_differences_count_by_the_sign_test(n, value):
    found = paired_difference(np.full(n, value))
    assert found.p_value == pytest.approx(stats.binomtest(n, n).pvalue)
    enough = "supported" if value > 0 else "refuted"
    assert found.decision() == (enough if n > 5 else "inconclusive")
    assert found.decision(null=value) == "inconclusive"


def test_differences_that_differ_by_rounding_are_equal():
    values = np.array([0.99 - 0.98, 0.95 - 0.94, 0.03 - 0.02, 0.1 - 0.09])
    assert np.ptp(values) > 0
    found = paired_difference(values)
    assert (found.standard_error, found.p_value) == (0, 0.125)


def test_one_difference_decides_nothing():
    found = paired_difference(np.array([3.0]))
    assert (found.estimate, found.n, found.decision()) == (3, 1, "inconclusive")
    assert np.isnan([found.p_value, found.standard_error, *ends(found.interval)]).all()


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf], [[1.0, 2.0]]])
def test_differences_are_one_finite_number_each(values):
    for refused in (paired_difference, lambda found: equivalence(found, margin=1)):
        with pytest.raises(
            InputError, match="differences must be one finite number for each replicate, got arr"
        ):
            refused(np.array(values))


# Equivalence


@pytest.mark.parametrize("shift", [0.0, 0.5, -0.9, 1.0, -1.5])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_equivalence_is_two_one_sided_t_tests(shift, level):
    values = np.random.default_rng(6).normal(shift, 1, size=12)
    found = equivalence(values, margin=1, level=level)
    above = stats.ttest_1samp(values, -1, alternative="greater")
    below = stats.ttest_1samp(values, 1, alternative="less")
    assert found.p_value == pytest.approx(max(above.pvalue, below.pvalue))
    # The interval of level 1 - 2 alpha lies inside the margin exactly where both tests reject.
    interval = stats.ttest_1samp(values, 0).confidence_interval(2 * level - 1)
    assert ends(found.t_interval) == pytest.approx((interval.low, interval.high))
    assert (found.decision == "supported") == (interval.low > -1 and interval.high < 1)
    assert found.interval == bootstrap_interval(values, level=level)
    assert (found.t_interval.level, found.margin) == (pytest.approx(2 * level - 1), 1)


@pytest.mark.parametrize(
    ("center", "decision"),
    [
        (0.0, "supported"),
        (0.6, "supported"),
        (-0.6, "supported"),
        (0.95, "inconclusive"),
        (-1.05, "inconclusive"),
        (1.4, "refuted"),
        (-1.4, "refuted"),
    ],
)
def test_equivalence_is_decided_by_where_the_t_interval_lies(center, decision):
    # Mean 0, standard error 0.1 and 2.132 of them to either side at the 95% quantile.
    values = center + np.array([-2, -1, 0, 1, 2]) * np.sqrt(0.02)
    found = equivalence(values, margin=1)
    assert ends(found.t_interval) == pytest.approx((center - 0.2132, center + 0.2132), abs=1e-4)
    assert found.decision == decision


def test_no_difference_found_is_not_equivalence():
    values = np.array([-3.0, 2.0, 1.0, -2.0, 2.0])
    assert paired_difference(values).decision() == "inconclusive"
    assert equivalence(values, margin=1).decision == "inconclusive"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("value", "p_value", "decision"),
    [
        (0.0, 0, "supported"),
        (-0.009, 0, "supported"),
        (0.01, 1, "inconclusive"),
        (0.99 - 0.98, 1, "inconclusive"),  # 0.010000000000000009
        (0.03 - 0.02, 1, "inconclusive"),  # 0.009999999999999998
        (0.02, 1, "refuted"),
        (-0.02, 1, "refuted"),
    ],
)
def test_equal_differences_are_equivalent_by_their_value(value, p_value, decision):
    found = equivalence(np.full(3, value), margin=0.01)
    assert (found.p_value, found.decision) == (p_value, decision)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, 5.0])
def test_one_network_shows_no_equivalence(value):
    found = equivalence(np.array([value]), margin=1)
    assert np.isnan([found.p_value, *ends(found.t_interval)]).all()
    assert (found.t_interval.estimate, found.decision) == (value, "inconclusive")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"margin": 0}, "margin must be a finite number above 0, got 0"),
        ({"margin": 1, "level": 0.5}, "level must be a finite number above 0.5 and below 1, got 0.5"),
    ],
)
def test_equivalence_needs_a_margin_and_a_level(wrong, message):
    with pytest.raises(InputError, match=message):
        equivalence(np.array([1.0, 2.0]), **wrong)


@pytest.mark.parametrize("edge", [0.4, -0.4])
def test_networks_at_the_margin_are_seldom_called_equivalent(edge, few_resamples):
    rng = np.random.default_rng(7)
    found = [equivalence(rng.normal(edge, 0.1, size=n), margin=0.4) for n in (5, 20) for _ in range(150)]
    shares = {word: np.mean([one.decision == word for one in found]) for word in ("supported", "refuted")}
    # At the edge equivalence is found at the 5% of its test, and the contrary at one side's half of 5%.
    assert 0.02 <= shares["supported"] <= 0.06
    assert 0.005 <= shares["refuted"] <= 0.045


# Updates


def test_the_ratio_of_updates_is_a_geometric_mean():
    found = ratio_of_updates(np.array([200.0, 800.0, 400.0]), np.full(3, 100.0), limit=1000)
    assert found.estimate.estimate == pytest.approx(4)
    assert (found.method, found.n_censored, found.estimate.n) == ("log-ratio", (0, 0), 3)


def test_the_ratio_of_updates_is_tested_on_logarithms():
    rng = np.random.default_rng(8)
    slower, faster = rng.lognormal(6, 1, size=(2, 7))
    found = ratio_of_updates(slower, faster, limit=1e6, level=0.9, seed=5)
    assert found.p_value == pytest.approx(stats.ttest_rel(np.log(slower), np.log(faster)).pvalue)
    logs = bootstrap_interval(np.log(slower / faster), level=0.9, seed=5)
    assert ends(found.estimate) == pytest.approx(np.exp(ends(logs)))
    back = ratio_of_updates(faster, slower, limit=1e6, level=0.9)
    assert back.estimate.estimate == pytest.approx(1 / found.estimate.estimate)
    assert back.p_value == pytest.approx(found.p_value)


def test_censored_updates_are_compared_up_to_the_limit():
    slower = np.array([800.0, np.nan, 900.0, np.nan, 700.0])
    faster = np.array([300.0, 200.0, 500.0, np.nan, 100.0])
    found = ratio_of_updates(slower, faster, limit=1000)
    restricted = np.array([800.0, 1000, 900, 1000, 700]), np.array([300.0, 200, 500, 1000, 100])
    assert found.estimate.estimate == pytest.approx(4400 / 2100)
    assert found.p_value == pytest.approx(stats.ttest_rel(*restricted).pvalue)
    assert found.estimate == bootstrap_interval(np.stack(restricted, axis=1), statistic=ratio_of_means)
    assert (found.method, found.n_censored) == ("restricted-mean", (2, 1))
    assert found.decision == "supported"
    back = ratio_of_updates(faster, slower, limit=1000)
    assert (back.n_censored, back.decision) == ((1, 2), "refuted")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [1, 2, 10])
def test_where_no_network_gets_done_the_ratio_says_nothing(n):
    found = ratio_of_updates(np.full(n, np.nan), np.full(n, np.nan), limit=500)
    assert (found.estimate.estimate, found.n_censored, found.decision) == (1, (n, n), "inconclusive")


def test_a_condition_that_never_gets_done_is_slower():
    faster = np.array([100.0, 120.0, 110.0, 130.0, 90.0])
    found = ratio_of_updates(np.full(5, np.nan), faster, limit=1000)
    assert found.estimate.estimate == pytest.approx(1000 / 110)
    assert (found.n_censored, found.decision) == ((5, 0), "supported")
    assert ratio_of_updates(faster, np.full(5, np.nan), limit=1000).decision == "refuted"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("times", [[100.0, 300.0, 200.0], [100.0, np.nan, 200.0]])
def test_identical_conditions_are_equally_fast(times):
    found = ratio_of_updates(np.array(times), np.array(times), limit=1000)
    assert (found.estimate.estimate, *ends(found.estimate)) == pytest.approx((1, 1, 1))
    assert (found.p_value, found.decision) == (1, "inconclusive")


@pytest.mark.parametrize("slower", [[900.0], [np.nan]])
def test_one_pair_of_networks_decides_nothing(slower):
    found = ratio_of_updates(np.array(slower), np.array([10.0]), limit=1000)
    assert found.estimate.estimate > 50
    assert np.isnan([found.p_value, *ends(found.estimate)]).all()
    assert found.decision == "inconclusive"


@pytest.mark.parametrize(
    ("low", "high", "p_value", "decision"),
    [
        (1.1, 2.0, 0.01, "supported"),
        (0.5, 0.9, 0.01, "refuted"),
        (1.1, 2.0, 0.06, "inconclusive"),
        (0.5, 0.9, 0.06, "inconclusive"),
        (0.9, 2.0, 0.01, "inconclusive"),
    ],
)
def test_a_ratio_counts_only_if_both_methods_find_it(low, high, p_value, decision):
    found = UpdatesRatio(Interval(1.0, low, high, 0.95, 5), p_value, "log-ratio", (0, 0))
    assert found.decision == decision


DRAWS = {
    "normal": (lambda rng, n: rng.normal(1000, 150, size=(2, n)), 1050),
    "lognormal": (lambda rng, n: rng.lognormal(6, 1, size=(2, n)), 800),
    "epochs": (lambda rng, n: 60.0 * np.minimum(rng.zipf(1.6, size=(2, n)), 200), 600),
}


@pytest.mark.parametrize("censored", ["all done", "some censored"])
def test_equally_fast_conditions_are_seldom_told_apart(censored, few_resamples):
    rng = np.random.default_rng(9)
    shares = []
    for times, limit in DRAWS.values():
        found = []
        for n in [5, 10, 20] * 60:
            updates = times(rng, n)
            if censored == "some censored":
                updates[updates > limit] = np.nan
            found.append(ratio_of_updates(*updates, limit=limit if censored == "some censored" else 1e9))
        shares.append(np.mean([one.decision != "inconclusive" for one in found]))
    # Nominally 5%; by a bootstrap alone 12 to 16%. The standard errors are 0.9 and 1.6 points.
    assert 0 < np.mean(shares) <= 0.06
    assert max(shares) <= 0.1


@pytest.mark.parametrize("limit", [10_000, 400])
def test_twice_as_many_updates_are_seen_with_ten_networks(limit, few_resamples):
    rng = np.random.default_rng(10)
    found = []
    for _ in range(40):
        slower, faster = rng.lognormal([[6], [6 - np.log(2)]], 0.4, size=(2, 10))
        found.append(
            ratio_of_updates(*(np.where(t > limit, np.nan, t) for t in (slower, faster)), limit=limit)
        )
    assert np.mean([one.decision == "supported" for one in found]) > 0.8


@pytest.mark.parametrize("wrong", [0.0, -1.0, 1001.0, np.inf])
def test_updates_lie_within_the_limit(wrong):
    fine = np.array([1.0, np.nan])
    bad = np.array([1.0, wrong])
    rule = f"must be updates above 0 and at most the limit of 1000, or NaN where .* enough; got {wrong:g}"
    with pytest.raises(InputError, match=f"slower {rule}"):
        ratio_of_updates(bad, fine, limit=1000)
    with pytest.raises(InputError, match=f"faster {rule}"):
        ratio_of_updates(fine, bad, limit=1000)


def test_updates_come_in_pairs():
    with pytest.raises(InputError, match="one entry of each for a replicate, got 2 and 3"):
        ratio_of_updates(np.ones(2), np.ones(3), limit=10)
    with pytest.raises(InputError, match=r"faster must have shape \(n_replicates,\), got \(0,\)"):
        ratio_of_updates(np.ones(2), np.ones(0), limit=10)


def test_updates_need_a_limit():
    with pytest.raises(InputError, match="limit must be a finite number above 0, got nan"):
        ratio_of_updates(np.ones(2), np.ones(2), limit=np.nan)


def test_updates_are_left_as_they_were():
    slower = np.array([3.0, np.nan])
    ratio_of_updates(slower, np.array([1.0, 2.0]), limit=4)
    assert np.isnan(slower[1])


# Gini coefficients

amounts = hnp.arrays(float, st.integers(1, 30), elements=st.floats(0, 1000)).filter(lambda v: v.max() > 1e-3)


@given(amounts)
def test_gini_is_the_mean_absolute_difference(values):
    by_definition = np.abs(values[:, None] - values).mean() / (2 * values.mean())
    assert gini(values) == pytest.approx(by_definition, abs=1e-12)
    assert 0 <= gini(values) < 1


@given(amounts, st.floats(1e-3, 1e3))
def test_gini_knows_no_scale_and_no_order(values, scale):
    assert gini(values * scale) == pytest.approx(gini(values), abs=1e-9)
    assert gini(values[::-1]) == gini(values)


@given(amounts, st.floats(1, 100))
def test_giving_everyone_the_same_makes_gini_smaller(values, gift):
    assert gini(values + gift) <= gini(values) + 1e-12


@pytest.mark.parametrize(
    ("values", "coefficient"), [([1, 1, 1], 0), ([0, 0, 0, 7], 0.75), ([1, 2, 3, 4], 0.25), ([5], 0)]
)
def test_gini_of_a_few_values(values, coefficient):
    assert gini(np.array(values)) == pytest.approx(coefficient, abs=1e-15)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e308, 1e-308])
def test_gini_neither_overflows_nor_vanishes(scale):
    assert gini(np.array([0.25, 0.5, 0.75, 1.0]) * scale) == pytest.approx(0.25)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_gini_along_an_axis(axis):
    values = np.random.default_rng(11).exponential(size=(3, 4, 5))
    np.testing.assert_allclose(gini(values, axis=axis), np.apply_along_axis(gini, axis, values), rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_gini_of_nothing_is_undefined():
    found = gini(np.array([[0.0, 0.0], [0.0, 1.0]]))
    assert np.isnan(found[0])
    assert found[1] == 0.5


@pytest.mark.parametrize(
    ("values", "axis", "message"),
    [
        ([1.0, -2.0], -1, "values must be at least 0, got -2"),
        ([1.0, np.nan], -1, r"values must be finite, but 1 of 2 values are not, the first at \(1,\)"),
        ([], -1, r"values must hold at least one value along each axis, got shape \(0,\)"),
        (3.0, -1, "values must have at least one axis, got a single number"),
        ([1.0], 1, "axis must be an integer from -1 to 0, got 1"),
    ],
)
def test_gini_refuses_what_it_is_not_defined_for(values, axis, message):
    with pytest.raises(InputError, match=message):
        gini(np.array(values), axis=axis)
