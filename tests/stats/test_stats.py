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
    Interval,
    Verdict,
    bootstrap_interval,
    gini,
    intervals,
    mean_interval,
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
        Interval(0.5, 0.1, 0.9, 0.95, 5),
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
