import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from probe._checks import InputError
from probe.stats import mean_interval


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
