"""Claims, what decides them, and what is said beside."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import probe
from probe.stats import Agreement, Claim, Verdict, count_estimate, holm, mean_estimate
from probe.storage import load_result, save_result

MOST = Claim(
    key="most",
    title="It does so for most images",
    statistic_name="share of images",
    unit="share",
    replicate="images",
    null="half of the images",
    threshold=0.5,
    reason="most images",
)


def changed(**fields):
    return Claim(**{name: getattr(MOST, name) for name in MOST.__dataclass_fields__} | fields)


@pytest.mark.parametrize(("hits", "decision"), [(90, "supported"), (10, "refuted"), (52, "inconclusive")])
def test_an_estimate_decides_against_the_threshold(hits, decision):
    verdict = MOST.verdict(count_estimate(hits, 100), "sentence")
    assert verdict.decision == decision
    assert verdict.statistic == hits / 100
    assert (verdict.threshold, verdict.reason, verdict.subject) == (0.5, "most images", "network")
    low, high = stats.binomtest(hits, 100).proportion_ci(method="exact")
    assert (verdict.interval.low, verdict.interval.high) == pytest.approx((low, high))
    # The interval leaves the threshold out where there is a decision.
    assert (low > 0.5 or high < 0.5) == (decision != "inconclusive")


def test_a_claim_of_less_is_decided_the_other_way():
    less = changed(claims_less=True)
    decisions = [less.verdict(count_estimate(hits, 100), "").decision for hits in (90, 10, 52)]
    assert decisions == ["refuted", "supported", "inconclusive"]


def test_what_the_test_has_no_power_for_is_not_refuted():
    few, many = (replace(count_estimate(hits, 100), has_power=False) for hits in (1, 99))
    assert MOST.verdict(few, "").decision == "inconclusive"
    assert MOST.verdict(many, "").decision == "supported"
    less = changed(claims_less=True)
    assert less.verdict(few, "").decision == "inconclusive"
    assert less.verdict(many, "").decision == "refuted"


def test_networks_trained_like_it_are_judged_by_the_same_rule():
    others = [count_estimate(hits, 100) for hits in (95, 97, 5, 50)]
    verdict = MOST.verdict(count_estimate(90, 100), "", others=others)
    assert verdict.agreement.decisions == ("supported", "supported", "refuted", "inconclusive")
    assert verdict.agreement.statistics == (0.95, 0.97, 0.05, 0.5)
    assert verdict.agreement.interval.estimate == 0.5
    assert verdict.agreement.sentence.startswith("The same for 2 of 4 networks trained like it")
    assert MOST.verdict(count_estimate(90, 100), "").agreement is None


def agreement(n_same, n, decision="refuted"):
    return Agreement(
        decision=decision,
        decisions=(decision,) * n_same + ("supported",) * (n - n_same),
        statistics=(0.0,) * n,
    )


@pytest.mark.parametrize(
    ("n_same", "n", "unusual"), [(20, 20, False), (10, 20, False), (1, 20, True), (0, 3, False), (0, 6, True)]
)
def test_a_network_is_unusual_where_most_others_surely_differ(n_same, n, unusual):
    found = agreement(n_same, n)
    assert found.is_unusual == unusual
    assert found.sentence.startswith("This network is unusual") == unusual
    high = stats.binomtest(n_same, n).proportion_ci(method="exact").high
    assert unusual == (high < 0.5)


def test_where_the_network_is_undecided_the_others_are_counted():
    found = Agreement(
        decision="inconclusive",
        decisions=("supported", "refuted", "refuted", "inconclusive"),
        statistics=(0.0,) * 4,
    )
    assert not found.is_unusual
    assert found.sentence == "Of 4 networks trained like it, this is supported for 1 and refuted for 2."


def test_without_anything_to_decide_from_a_verdict_says_why():
    verdict = MOST.undecided("no image is left", title="Another title")
    assert (verdict.decision, verdict.sentence, verdict.title) == (
        "inconclusive",
        "no image is left",
        "Another title",
    )
    assert math.isnan(verdict.statistic)
    assert math.isnan(verdict.p_value)


def test_claims_about_words_of_the_video_are_primary():
    assert not MOST.verdict(count_estimate(1, 2), "").is_primary
    verdict = changed(said="some words", minute="1:02").verdict(count_estimate(1, 2), "")
    assert verdict.is_primary
    assert (verdict.said, verdict.minute) == ("some words", "1:02")


def test_a_verdict_is_plain_values():
    verdict = MOST.verdict(count_estimate(90, 100), "s", others=[count_estimate(80, 100)])
    plain = json.loads(json.dumps(verdict.to_dict()))
    assert plain["interval"]["n"] == 100
    assert plain["p_value"] == pytest.approx(stats.binomtest(90, 100).pvalue, rel=0.5)
    assert plain["agreement"]["n_agree"] == 1
    assert plain["subject"] == "network"


def test_a_stored_verdict_comes_back_whole(tmp_path):
    verdict = changed(said="w", minute="1:02").verdict(
        count_estimate(90, 100), "s", others=[count_estimate(80, 100)] * 3
    )
    assert load_result(save_result(verdict, tmp_path / "verdict.h5"), Verdict) == verdict


@pytest.mark.parametrize("field", ["decision", "subject"])
def test_verdicts_are_one_of_three(field):
    good = MOST.verdict(count_estimate(1, 2), "")
    with pytest.raises(probe.InputError, match=f"{field} must be"):
        type(good)(**{name: getattr(good, name) for name in good.__dataclass_fields__} | {field: "maybe"})


def test_holm_is_that_of_the_definition():
    """The smallest p-value times n, the next times n - 1, ..., never falling, and at most 1."""
    rng = np.random.default_rng(0)
    p_values = rng.uniform(size=9) ** 2
    order = np.argsort(p_values)
    expected, largest = np.empty(9), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (9 - rank) * p_values[index]))
        expected[index] = largest
    np.testing.assert_allclose(holm(p_values), expected)


def test_what_was_not_tested_does_not_count_in_the_correction():
    found = holm(np.array([0.01, np.nan, 0.04]))
    assert np.isnan(found[1])
    np.testing.assert_allclose(found[[0, 2]], [0.02, 0.04])
    assert len(holm(np.array([]))) == 0


def test_holm_keeps_the_rate_of_any_error():
    """Of ten true nulls, one or more is rejected in 5% of the studies, and not in 40%."""
    p_values = np.random.default_rng(1).uniform(size=(4000, 10))
    corrected = np.mean([(holm(row) < 0.05).any() for row in p_values])
    assert 0.035 < corrected < 0.065
    assert (p_values < 0.05).any(axis=1).mean() > 0.35


def test_means_of_few_networks_decide_nothing():
    values = np.full(5, 0.9) + np.arange(5) / 1000
    assert changed(replicate="networks").verdict(mean_estimate(values), "").decision == "inconclusive"
    more = np.full(6, 0.9) + np.arange(6) / 1000
    assert changed(replicate="networks").verdict(mean_estimate(more), "").decision == "supported"
