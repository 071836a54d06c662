"""How well a score tells images apart, against scikit-learn and by the definition over all pairs."""

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score

from probe.stats.auroc import auroc_interval, aurocs, paired_aurocs


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
