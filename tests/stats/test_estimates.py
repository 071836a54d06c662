"""Estimates over replicates: intervals that cover, tests that agree with them."""

import numpy as np
import pytest
from scipy import stats

from probe import InputError
from probe.stats import count_estimate, mean_estimate, normal_estimate

NULLS = (0.0, 0.2, 0.45, 0.5, 0.8)


@pytest.mark.parametrize(("n_hits", "n"), [(0, 5), (5, 5), (3, 20), (17, 20), (450, 1000)])
def test_counts_have_the_interval_of_clopper_and_pearson(n_hits: int, n: int) -> None:
    found = count_estimate(n_hits, n)
    expected = stats.binomtest(n_hits, n).proportion_ci(method="exact")
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected))
    for null in NULLS:
        above, below = found.one_sided(null)
        assert above == pytest.approx(stats.binomtest(n_hits, n, null, alternative="greater").pvalue)
        assert below == pytest.approx(stats.binomtest(n_hits, n, null, alternative="less").pvalue)


@pytest.mark.parametrize("n", [6, 9, 30])
@pytest.mark.parametrize("scale", ["difference", "ratio", "share"])
def test_a_value_is_rejected_exactly_outside_the_interval(n: int, scale: str) -> None:
    rng = np.random.default_rng(n)
    values = {"difference": rng.normal(size=n), "ratio": rng.lognormal(size=n), "share": rng.beta(2, 3, n)}[
        scale
    ]
    found = mean_estimate(values, scale=scale)  # type: ignore[arg-type]
    low, high = found.interval.low, found.interval.high
    assert low < found.interval.estimate < high
    step = 0.01 * (high - low)
    assert found.decision(low + step) == found.decision(high - step) == "inconclusive"
    if scale != "share" or low - step > 0:
        assert found.decision(low - step) == "supported"
    assert found.decision(high + step) == "refuted"


def test_ratios_are_geometric_means_and_turn_around() -> None:
    ratios = np.array([0.5, 2.0, 3.0, 1.5, 2.5, 1.1, 0.9])
    found, turned = (mean_estimate(values, scale="ratio").interval for values in (ratios, 1 / ratios))
    assert found.estimate == pytest.approx(stats.gmean(ratios))
    assert 1 / turned.estimate == pytest.approx(found.estimate)
    assert 1 / turned.high == pytest.approx(found.low, rel=0.05)


def test_the_mean_of_exponential_values_is_covered() -> None:
    rng, truth, held = np.random.default_rng(0), 1.0, 0
    for k in range(200):
        interval = mean_estimate(rng.exponential(truth, 8), seed=k).interval
        held += interval.low <= truth <= interval.high
    # Student's t holds 89% of them; 200 draws of 94% are above 88% with near certainty.
    assert held >= 176


def test_few_networks_decide_nothing_whatever_they_say() -> None:
    far = mean_estimate(np.array([5.0, 5.1, 5.2, 4.9, 5.05]))
    assert far.method == "t"
    assert far.p_value(0.0) < 1e-6
    assert far.decision(0.0) == "inconclusive"
    assert mean_estimate(np.array([5.0, 5.1, 5.2, 4.9, 5.05, 5.15])).decision(0.0) == "supported"


def test_the_interval_of_few_normal_values_is_that_of_student() -> None:
    values = np.array([1.0, 2.0, 4.0])
    found = mean_estimate(values)
    test = stats.ttest_1samp(values, 0.5)
    expected = test.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert found.p_value(0.5) == pytest.approx(test.pvalue)


def test_equal_shares_are_not_certain() -> None:
    nothing = mean_estimate(np.zeros(10), scale="share")
    assert nothing.method == "bounded"
    assert nothing.interval.low == 0
    assert nothing.interval.high == pytest.approx(1 - 0.025 ** (1 / 10))
    assert nothing.decision(0.5) == "refuted"
    assert nothing.decision(0.25) == "inconclusive"


def test_equal_differences_have_no_interval_and_a_sign_test() -> None:
    for n, decision in ((5, "inconclusive"), (6, "supported")):
        found = mean_estimate(np.full(n, 0.3))
        assert found.method == "sign test"
        assert np.isnan(found.interval.low)
        assert np.isnan(found.interval.high)
        assert found.p_value(0.0) == pytest.approx(2 * 0.5**n)
        assert found.decision(0.0) == decision
        assert found.p_value(0.3) == 1.0


def test_shares_that_may_hide_a_heap_are_bounded_by_it() -> None:
    """Six networks without the rare ones say nothing of them: the interval of a count holds what they may hide."""
    hidden = mean_estimate(np.array([0.01, 0.02, 0.015, 0.01, 0.02, 0.03]), scale="share")
    assert hidden.method == "bounded"
    assert hidden.interval.high > 0.3
    many = mean_estimate(np.random.default_rng(0).beta(2, 5, 40), scale="share")
    assert many.method == "studentized bootstrap"


def test_few_different_values_are_bounded_however_many_networks() -> None:
    quarters = np.random.default_rng(0).choice([0.0, 0.25, 0.5], 60)
    assert mean_estimate(quarters, scale="share").method == "bounded"


def test_a_bounded_interval_holds_that_of_any_spread_with_the_same_mean() -> None:
    values = np.random.default_rng(1).beta(5, 5, 12)
    bounded = mean_estimate(values, scale="share").interval
    student = mean_estimate(values - 0.0).interval
    assert bounded.low < student.low
    assert bounded.high > student.high


@pytest.mark.parametrize(
    ("values", "scale", "message"),
    [
        ([0.5, 1.2], "share", r"shares must lie in \[0, 1\]"),
        ([-0.1, 0.2], "share", r"shares must lie in \[0, 1\]"),
        ([1.0, 0.0], "ratio", "ratios must be above 0"),
        ([], "difference", "one finite number for each replicate"),
        ([np.nan, 1.0], "difference", "one finite number for each replicate"),
    ],
)
def test_impossible_values_are_refused(values: list[float], scale: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mean_estimate(np.array(values), scale=scale)  # type: ignore[arg-type]


def test_the_null_of_a_ratio_is_above_zero() -> None:
    with pytest.raises(InputError, match="must be above 0"):
        mean_estimate(np.array([1.0, 2.0, 3.0, 2.0, 1.5, 1.2]), scale="ratio").p_value(0.0)


@pytest.mark.parametrize(("n_hits", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(n_hits: int, n: int) -> None:
    with pytest.raises(InputError):
        count_estimate(n_hits, n)


def test_the_same_values_give_the_same_interval() -> None:
    values = np.random.default_rng(3).normal(size=25)
    assert mean_estimate(values).interval == mean_estimate(values).interval


def test_a_normal_estimate_is_that_of_its_standard_error() -> None:
    found = normal_estimate(0.3, 0.1, n=50)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.3 - 0.196, 0.3 + 0.196), abs=1e-4)
    assert found.p_value(0.0) == pytest.approx(2 * stats.norm.sf(3))
    assert found.decision(0.0) == "supported"
    assert found.decision(0.45) == "inconclusive"
    assert found.decision(0.6) == "refuted"


def test_a_normal_share_stays_in_its_range_and_decides_as_its_interval() -> None:
    found = normal_estimate(0.97, 0.02, n=100, scale="share")
    assert 0 < found.interval.low < 0.97 < found.interval.high < 1
    for null in (0.5, found.interval.low - 1e-6, found.interval.high + 1e-6, 0.999):
        assert found.decision(null) == ("supported" if null < 0.97 else "refuted")
    for null in (found.interval.low + 1e-6, 0.97, found.interval.high - 1e-6):
        assert found.decision(null) == "inconclusive"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value": 1.0, "scale": "share"}, "value must be"),
        ({"standard_error": 0.0}, "standard_error must be"),
        ({"n": 0}, "n must be"),
    ],
)
def test_normal_estimates_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        normal_estimate(**({"value": 0.5, "standard_error": 0.1, "n": 10} | arguments))  # type: ignore[arg-type]
