"""How well a score tells images apart, against scikit-learn and by the definition over all pairs."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score

from probe.stats import normal_estimate
from probe.stats.auroc import (
    auroc_interval,
    aurocs,
    aurocs_within,
    paired_aurocs,
    ranks_within,
    stratified_aurocs,
)


def scores(kind, seed=0):
    rng = np.random.default_rng(seed)
    real, noise = rng.normal(1, 1, (4, 60)), rng.normal(0, 1.5, (4, 90))
    return (real, noise) if kind == "distinct" else (np.round(real), np.round(noise))


@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_the_auroc_is_that_of_scikit_learn_for_every_network(kind):
    real, noise = scores(kind)
    truth = np.repeat([1, 0], [60, 90])
    expected = [roc_auc_score(truth, np.concatenate(pair)) for pair in zip(real, noise, strict=True)]
    np.testing.assert_allclose(paired_aurocs(np.sort(real, axis=1), noise), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_aurocs_of_ranks_are_those_of_scikit_learn_for_every_score_and_group(kind):
    values, _ = scores(kind)
    groups = np.random.default_rng(3).random((2, 60)) < 0.4
    found = aurocs(rankdata(values.T, axis=0), groups)
    expected = [[roc_auc_score(group, score) for group in groups] for score in values]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_infinite_scores_are_ordered_too():
    real, noise = np.array([[0.0, np.inf, np.inf]]), np.array([[-np.inf, np.inf]])
    assert paired_aurocs(real, noise)[0] == pytest.approx((3 + 0.5 * 2) / 6)


@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_the_interval_is_delongs_over_all_pairs(kind):
    real, noise = (each[0] for each in scores(kind))
    wins = (real[:, None] > noise) + 0.5 * (real[:, None] == noise)
    deviation = np.sqrt(wins.mean(axis=1).var(ddof=1) / 60 + wins.mean(axis=0).var(ddof=1) / 90)
    estimate = wins.mean()
    half = norm.ppf(0.95) * deviation / (estimate * (1 - estimate))
    found = auroc_interval(real, noise, level=0.9)
    assert (found.estimate, found.n, found.level) == (pytest.approx(estimate), 150, 0.9)
    np.testing.assert_allclose([found.low, found.high], expit(logit(estimate) + np.array([-half, half])))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng, truth = np.random.default_rng(2), norm.cdf(1 / np.sqrt(2))
    held = []
    for _ in range(600):
        found = auroc_interval(rng.normal(1, 1, 50), rng.normal(0, 1, 80))
        held.append(found.low <= truth <= found.high)
    assert 0.925 <= np.mean(held) <= 0.975


@pytest.mark.parametrize(
    ("real", "noise"), [([2.0, 3.0], [0.0, 1.0]), ([1.0], [0.0, 2.0]), ([1.0, 1], [1.0, 1])]
)
def test_there_is_no_interval_without_variance(real, noise):
    found = auroc_interval(np.array(real), np.array(noise))
    assert np.isnan([found.low, found.high]).all()
    assert found.estimate in (0.5, 1)


def tied_scores(seed=0, n=300):
    rng = np.random.default_rng(seed)
    strata = rng.choice([0, 2, 7, 9], n)
    members = rng.random(n) < np.array([0.2, 0.5, 0.7, 1.0])[np.searchsorted([0, 2, 7, 9], strata)]
    return (members + 3 * strata + rng.normal(size=n)).round(1), members, strata


def test_stratified_areas_and_errors_are_those_of_all_pairs_of_a_stratum():
    score, members, strata = tied_scores()
    found = stratified_aurocs(score[:, None], members[None], strata)
    wins = pairs = variance = 0.0
    for stratum in (0, 2, 7):  # the last has no others
        one, other = (score[(strata == stratum) & kind] for kind in (members, ~members))
        won = (one[:, None] > other) + 0.5 * (one[:, None] == other)
        wins, pairs = wins + won.sum(), pairs + won.size
        of_one = won.mean(axis=1).var(ddof=1) / len(one) + won.mean(axis=0).var(ddof=1) / len(other)
        variance += won.size**2 * of_one
    assert found.values[0] == pytest.approx(wins / pairs)
    assert found.standard_error(found.influences[:, 0]) == pytest.approx(np.sqrt(variance) / pairs)
    within = aurocs_within(ranks_within(score[:, None], strata), members[None], strata)
    assert within[0, 0] == pytest.approx(wins / pairs)


def test_one_stratum_is_the_area_with_its_interval():
    score, members, _ = tied_scores()
    found = stratified_aurocs(score[:, None], members[None], np.zeros(len(score), int))
    known = auroc_interval(score[members], score[~members])
    error = found.standard_error(found.influences[:, 0])
    interval = normal_estimate(float(found.values[0]), error, n=len(score), scale="share").interval
    np.testing.assert_allclose(
        [interval.estimate, interval.low, interval.high], [known.estimate, known.low, known.high]
    )


def test_a_score_of_the_stratum_alone_tells_nothing():
    _, members, strata = tied_scores()
    found = stratified_aurocs(strata[:, None].astype(float), members[None], strata)
    assert found.values[0] == 0.5
    # No error was seen, so one more is assumed.
    assert found.standard_error(found.influences[:, 0]) == 1 / (found.n_effective + 2)


def test_groups_without_pairs_in_a_stratum_have_an_area_of_one_half():
    strata = np.array([0, 0, 1, 1])
    members = np.array([[True, True, False, False], [True, False, False, True]])
    found = stratified_aurocs(np.array([[1.0, 1], [2, 0], [3, 0], [4, 1]]), members, strata)
    assert found.values.tolist() == [0.5, 1.0]


def test_stratified_intervals_cover_and_differences_are_paired():
    held = paired = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        strata = rng.integers(5, size=400)
        members = rng.random(400) < np.array([0.1, 0.3, 0.5, 0.8, 0.9])[strata]
        shared = rng.normal(size=400)
        scores = members[:, None] + np.stack([shared, shared + 0.5 * rng.normal(size=400)], axis=1)
        found = stratified_aurocs(scores, np.stack([members, members]), strata)
        error = found.standard_error(found.influences[:, 0])
        truth = stats.norm.cdf(1 / np.sqrt(2))
        estimate = normal_estimate(float(found.values[0]), error, n=400, scale="share")
        held += estimate.interval.low <= truth <= estimate.interval.high
        apart = truth - stats.norm.cdf(1 / np.sqrt(2.5))
        between = found.standard_error(found.influences[:, 0] - found.influences[:, 1])
        paired += abs(found.values[0] - found.values[1] - apart) <= 1.96 * between
    for hits in (held, paired):
        assert hits >= stats.binom.ppf(0.001, 300, 0.95)
