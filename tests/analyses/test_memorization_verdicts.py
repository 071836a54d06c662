"""Verdicts on made-up cells whose answer is known, and on studies in which nothing differs."""

import numpy as np
import pytest

import probe
from probe.analyses.memorization import (
    FORGETTING_BINS,
    Condition,
    MemorizationCell,
    MemorizationDesign,
    MemorizationStudy,
    primary_estimates,
)
from probe.analyses.memorization.verdicts import verdicts_of
from probe.study import run_study
from probe.training import TrainingConfig

CONDITIONS = tuple(Condition(share, "none", 0.0, 0.1) for share in (0.0, 0.2, 1.0))
N = 12


def made(conditions=CONDITIONS, n=N, **changes):
    """Return a cell in which nothing differs but for noise between networks, with `changes` made to it."""
    rng = np.random.default_rng(0)
    shape = (len(conditions), n)
    curve = np.ones((*shape, 4))
    test = np.broadcast_to(0.8 + 0.01 * rng.standard_normal((1, n, 1)), curve.shape)
    counts = np.zeros((*shape, 2), np.int64)
    counts[:, :, 0] = 100
    for k, condition in enumerate(conditions):
        counts[k, :, 1] = round(100 * condition.corruption)
    events = np.zeros((*shape, 2, FORGETTING_BINS), np.int64)
    events[..., 1] = counts
    values = {
        "architecture": "784-8-10 relu",
        "n_parameters": 1,
        "n_samples": 100,
        "updates_per_epoch": 10,
        "limit": 3000,
        "conditions": conditions,
        "cost": curve,
        "train_accuracy": curve,
        "true_accuracy": curve,
        "test_accuracy": test,
        "half_accuracy": np.stack([test, test], axis=3),
        "updates": np.repeat(rng.integers(50, 60, shape)[:, :, None], 4, axis=2) * 10.0,
        "label_agreement": np.ones(shape),
        "diverged": np.zeros(shape, bool),
        "n_trained": np.full(shape, 4),
        "n_examples": counts,
        "n_learned": counts,
        "n_exposed": counts,
        "n_never_forgotten": np.zeros_like(counts),
        "forgetting": events,
        "mean_forgetting": np.where(counts > 0, 1.0 + 0.05 * rng.standard_normal(counts.shape), np.nan),
        "margin": np.ones(counts.shape),
        "sensitivity_gini": np.full(shape, np.nan),
        "sensitivity_curve": np.full(curve.shape, np.nan),
        "critical_ratio": np.full(shape, np.nan),
    }
    return MemorizationCell(**(values | changes))


def decisions(cell, words, guess=0.1):
    """Return the decisions on the claims with these words, by condition."""
    found = [verdict for verdict in verdicts_of(cell, guess) if words in verdict.title]
    assert found, words
    return [verdict.decision for verdict in found]


def verdict(cell, words, guess=0.1):
    (found,) = [verdict for verdict in verdicts_of(cell, guess) if words in verdict.title]
    return found


NULLS = made()


def test_where_nothing_differs_all_fit_and_nothing_is_slower():
    assert decisions(NULLS, "completely") == ["supported", "supported"]
    assert "supported" not in decisions(NULLS, "take longer")


@pytest.mark.parametrize(
    ("n", "n_fitted", "decision", "low", "high"),
    [
        (8, 8, "supported", 0.631, 1.0),
        (8, 0, "refuted", 0.0, 0.369),
        (8, 4, "inconclusive", 0.157, 0.843),
        (5, 5, "inconclusive", 0.478, 1.0),
    ],
)
def test_networks_that_fit_are_counted_with_the_exact_interval(n, n_fitted, decision, low, high):
    updates = made(n=n).updates.copy()
    updates[2, n_fitted:, -1] = np.nan
    found = verdict(made(n=n, updates=updates), "fit random labels completely")
    assert (found.key, found.decision, found.statistic) == ("random-labels", decision, n_fitted / n)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=1e-3)
    assert (found.said, found.minute, found.subject) == ("the same training accuracy", "18:15", "kind")
    assert f"the 3,000 updates that were declared before, {n_fitted} of {n} networks fitted" in found.sentence
    assert ("of longer training this says nothing" in found.sentence) == (n_fitted < n)


def test_only_wholly_random_labels_of_one_cell_are_what_the_video_speaks_of():
    primary = {found.key for found in verdicts_of(NULLS, 0.1) if found.is_primary}
    assert primary == {"random-labels", "slower"}
    partly = [found for found in verdicts_of(NULLS, 0.1) if "20% random labels" in found.title]
    assert partly and not any(found.is_primary or found.minute for found in partly)
    assert all("784-8" in found.key for found in verdicts_of(NULLS, 0.1, "784-8"))
    keys = [found.key for found in verdicts_of(NULLS, 0.1)]
    assert len(set(keys)) == len(keys)


def test_updates_that_are_three_times_as_many_are_found_with_their_ratio():
    updates = NULLS.updates.copy()
    updates[2] *= 3
    found = verdict(made(updates=updates), "fit random labels than")
    assert found.decision == "supported"
    assert found.statistic == pytest.approx(3, rel=0.1)
    assert found.interval.low < 3.1 < found.interval.high + 0.3
    assert found.sentence.startswith("784-8-10 relu, 100 images, 12 replicates: random labels took ")
    assert " to 3.3) times as many updates" in found.sentence
    faster = NULLS.updates.copy()
    faster[2] /= 3
    assert verdict(made(updates=faster), "fit random labels than").decision == "refuted"


def test_censored_networks_are_counted_in_the_sentence():
    updates = NULLS.updates.copy()
    updates[2, :5, -1] = np.nan
    found = verdict(made(updates=updates), "fit random labels than")
    assert found.decision == "supported"  # 5 of 12 at the limit of 3,000 against 550 for the others
    assert (
        "5 of 12 networks did not fit random labels within 3,000 updates and count with these"
        in found.sentence
    )
    assert "the ratio is at least this" in found.sentence
    # What is only a lower bound speaks against nothing.
    faster = np.array(updates)
    faster[2] = np.where(np.isnan(updates[2]), np.nan, 1.0)
    assert verdict(made(updates=faster, limit=560), "fit random labels than").decision == "inconclusive"


def test_chance_is_a_claim_of_wholly_random_labels_only():
    test = np.array(NULLS.test_accuracy)
    test[2] = 0.1 + 0.01 * np.random.default_rng(2).standard_normal((N, 1))
    cell = made(test_accuracy=test)
    assert verdict(cell, "teaches nothing").decision == "supported"
    assert verdict(NULLS, "teaches nothing").decision == "refuted"
    assert verdict(cell, "teaches nothing", guess=0.05).decision == "refuted"
    assert verdict(cell, "teaches nothing").p_value < 0.05


def test_a_fall_after_the_peak_is_found_and_its_absence_refutes():
    halves = np.array(NULLS.half_accuracy)
    halves[1, :, -1] -= 0.1 + 0.01 * np.random.default_rng(3).standard_normal((N, 1))
    found = verdict(made(half_accuracy=halves), "peaks early")
    assert found.decision == "supported"
    assert 100 * found.statistic == pytest.approx(10, abs=1)
    assert verdict(NULLS, "peaks early").decision == "refuted"


def test_a_peak_by_luck_alone_is_no_fall():
    # Flat curves with noise of their own in each half: the best epoch is luck, and it does not carry over.
    rng = np.random.default_rng(4)
    refused = 0
    for _ in range(40):
        halves = 0.8 + 0.01 * rng.standard_normal((3, N, 30, 2))
        refused += (
            verdict(made(half_accuracy=halves, test_accuracy=halves.mean(axis=3)), "peaks early").decision
            == "supported"
        )
    assert refused <= 4


def never(shares, **more):
    """Return a cell in which these shares of the wrongly labeled examples were never forgotten."""
    counts = np.zeros_like(NULLS.n_exposed)
    counts[2, :, 1] = np.rint(100 * np.broadcast_to(shares, N))
    return made(n_never_forgotten=counts, **more)


NEVER = "With random labels, no wrongly labeled example"


def test_examples_without_a_forgetting_event_decide_the_claim_that_there_are_none():
    assert verdict(NULLS, NEVER).decision == "supported"
    assert verdict(never(np.tile([0.28, 0.32], N // 2)), NEVER).decision == "refuted"
    # Around the margin of 1%, and with few networks that disagree, it stays open.
    assert verdict(never(np.tile([0.0, 0.02], N // 2)), NEVER).decision == "inconclusive"
    assert verdict(never(np.r_[np.zeros(N - 2), 0.3, 0.3]), NEVER).decision == "inconclusive"


def test_what_was_never_learned_says_nothing_about_forgetting():
    counts = NULLS.n_exposed.copy()
    counts[2, 3:5, 1] = 0
    found = verdict(made(n_exposed=counts), NEVER)
    assert found.decision == "inconclusive"
    assert "2 of 12 replicates have no value" in found.sentence


def test_networks_that_learned_little_settle_nothing_about_what_memorizing_does():
    low = NULLS.train_accuracy.copy()
    low[1:, :2] = 0.56
    test = np.array(NULLS.test_accuracy)
    test[2] = 0.1
    cell = made(train_accuracy=low, test_accuracy=test)
    for words in (NEVER, "peaks early", "teaches nothing"):
        found = verdict(cell, words)
        assert found.decision == "inconclusive", words
        assert "2 of 12 networks learned less than 90% of the labels that they were taught" in found.sentence


def test_where_neither_arm_fits_there_is_no_ratio():
    found = verdict(made(updates=np.full_like(NULLS.updates, np.nan)), "fit random labels than")
    assert (found.decision, np.isnan(found.statistic)) == ("inconclusive", True)
    assert "12 of 12 networks did not fit true labels within 3,000 updates" in found.sentence
    assert decisions(made(updates=np.full_like(NULLS.updates, np.nan)), "completely") == [
        "refuted",
        "refuted",
    ]


def test_a_network_that_diverged_is_not_a_slow_one():
    diverged = NULLS.diverged.copy()
    diverged[2, :3] = True
    updates = NULLS.updates.copy()
    updates[2] *= 3
    updates[2, :3] = np.nan
    found = verdict(made(diverged=diverged, updates=updates), "fit random labels than")
    assert found.decision == "inconclusive"
    assert "3 of 12 replicates have no value, because a network diverged" in found.sentence


@pytest.mark.parametrize("inputs", ["gaussian", "pixel-shuffle"])
def test_without_images_no_label_is_right_or_wrong(inputs):
    conditions = (CONDITIONS[0], *(Condition(share, inputs, 0.0, 0.1) for share in (0.2, 1.0)))
    claims = [verdict.title for verdict in verdicts_of(made(conditions), 0.1)]
    assert not [claim for claim in claims if "wrongly" in claim or "peaks" in claim]
    assert any("longer to fit 20% random labels on " in claim for claim in claims)


def test_more_events_on_wrong_labels_are_found():
    mean = NULLS.mean_forgetting.copy()
    mean[1, :, 1] += 1
    assert verdict(made(mean_forgetting=mean), "forgotten more often").decision == "supported"
    assert verdict(NULLS, "forgotten more often").decision == "inconclusive"


def test_sensitivity_is_judged_where_it_was_measured():
    rng = np.random.default_rng(5)
    ratios = 0.3 + 0.01 * rng.standard_normal((3, N))
    ratios[2] += 0.4
    gini = 0.5 + 0.01 * rng.standard_normal((3, N, 4))
    gini[2] += 0.2
    cell = made(critical_ratio=ratios, sensitivity_curve=gini, sensitivity_gini=gini.mean(axis=2))
    assert decisions(cell, "critical sample ratio") == ["inconclusive", "supported"]
    assert decisions(cell, "Loss-sensitivity") == ["inconclusive", "refuted"]
    assert not any("critical" in verdict.title for verdict in verdicts_of(NULLS, 0.1))


def test_how_long_networks_were_trained_does_not_pass_for_how_sensitive_they_are():
    # One course for all, that falls with the epochs; random labels take longer, so their mean is lower.
    rng = np.random.default_rng(6)
    curve = np.linspace(0.8, 0.2, 4) + 0.01 * rng.standard_normal((3, N, 4))
    trained = np.full((3, N), 4)
    trained[0] = 2 + np.arange(N) % 2
    curve[0][np.arange(4) >= trained[0][:, None]] = np.nan
    cell = made(sensitivity_curve=curve, n_trained=trained, sensitivity_gini=np.nanmean(curve, axis=2))
    found = verdict(
        cell, "Loss-sensitivity is concentrated on fewer examples with true labels than with random"
    )
    assert cell.common_epochs[2] == 2
    np.testing.assert_allclose(
        cell.common_gini[2], [curve[2, :, :2].mean(axis=1), curve[0, :, :2].mean(axis=1)]
    )
    assert found.decision == "inconclusive"
    assert abs(found.statistic) < 0.01
    assert (
        "over the first 2 epochs, as many as all networks of both conditions were trained for"
        in found.sentence
    )
    final = [np.take_along_axis(curve[k], trained[k][:, None] - 1, axis=1)[:, 0] for k in range(3)]
    np.testing.assert_array_equal(cell.final_gini, final)
    assert (
        f"last epoch of each network, which is another one for each, it was {final[0].mean():.3f}"
        in found.sentence
    )
    assert "does not use Arpit et al.'s own coefficient" in found.sentence
    longer = np.array(trained)
    longer[0] = 4
    assert made(n_trained=longer).common_epochs[2] == 4


def test_networks_that_diverged_leave_the_sensitivity_open():
    curve = np.full((3, N, 4), 0.5)
    trained, diverged = np.full((3, N), 4), np.zeros((3, N), bool)
    trained[2, 0], diverged[2, 0] = 0, True
    cell = made(sensitivity_curve=curve, n_trained=trained, diverged=diverged)
    found = verdict(cell, "than with random labels")
    assert (found.decision, cell.common_epochs[2]) == ("inconclusive", 4)
    assert "1 of 12 replicates have no value" in found.sentence


def test_one_replicate_settles_nothing():
    updates = np.full((3, 1, 4), 100.0)
    updates[1:] = 900
    cell = made(n=1, updates=updates)
    assert {verdict.decision for verdict in verdicts_of(cell, 0.1)} == {"inconclusive"}


def test_weight_decays_are_compared_with_their_own_reference():
    conditions = tuple(Condition(share, "none", decay, 0.1) for decay in (0.0, 1e-3) for share in (0.0, 1.0))
    updates = made(conditions).updates.copy()
    updates[2:] *= 5  # weight decay slows both alike
    found = decisions(made(conditions, updates=updates), "take longer")
    assert "supported" not in found
    claims = [verdict.title for verdict in verdicts_of(made(conditions), 0.1)]
    assert any("random labels, weight decay 0.001" in claim for claim in claims)


# Studies in which nothing differs, end to end.


def test_a_study_of_the_same_labels_twice_finds_nothing(digits):
    config = TrainingConfig(epochs=60, batch_size=20, learning_rate=0.3, stop="fitted")
    design = MemorizationDesign((probe.MLP((16,), "relu"),), (40,), (0.0, 0.0), config=config, n_test=50)
    found = run_study(MemorizationStudy(design), digits)
    assert [(v.decision, v.statistic) for v in found.verdicts if "completely" in v.title] == [
        ("supported", 1.0)
    ]
    assert {verdict.decision for verdict in found.verdicts if "longer" in verdict.title} == {"inconclusive"}


def test_with_too_few_updates_no_network_fits(digits):
    config = TrainingConfig(epochs=2, batch_size=20, learning_rate=0.01, stop="fitted")
    found = probe.memorization(probe.MLP((4,)), digits, config, n_samples=100, n_test=20)
    fits, slower = found.verdicts[:2]
    assert (fits.key, fits.decision, fits.statistic, fits.interval.n) == ("random-labels", "refuted", 0.0, 8)
    assert (slower.key, slower.decision) == ("slower", "inconclusive")
    assert "within the 10 updates that were declared before" in fits.sentence
    assert found.slowdown() is None


def test_the_estimates_of_a_kind_decide_as_its_verdicts_do(digits):
    config = TrainingConfig(epochs=200, batch_size=20, learning_rate=0.3, stop="fitted")
    shape = probe.MLP((24,), "relu")
    found = primary_estimates(shape, digits, config, n_networks=6, n_samples=40, seed=1)
    judged = probe.memorization(shape, digits, config, n_samples=40, replicates=6, seed=1).verdicts
    assert set(found) == {"random-labels", "slower"}
    assert {key: estimate.interval for key, estimate in found.items()} == {
        verdict.key: verdict.interval for verdict in judged if verdict.is_primary
    }
    assert found["random-labels"].decision(0.5) == "supported"
    assert found["slower"].decision(1.0) == "supported"


def test_several_cells_have_keys_of_their_own(digits):
    config = TrainingConfig(epochs=1, batch_size=20, stop="fitted")
    found = probe.memorization([probe.MLP((4,)), probe.MLP((5,))], digits, config, n_samples=40, n_test=20)
    keys = [verdict.key for verdict in found.verdicts]
    assert len(set(keys)) == len(keys)
    assert "random-labels/random labels/64-5-10 sigmoid, 40 images" in keys


def test_forty_studies_in_which_nothing_differs_find_nothing_faster_or_slower(digits):
    # A fixed permutation of the pixels is the same task to such networks, and makes other networks of them:
    # both arms have true labels, and the null holds exactly.
    wrong = 0
    config = TrainingConfig(epochs=25, batch_size=15, learning_rate=0.5, stop="fitted")
    for seed in range(40):  # about 0.2 s each
        found = probe.memorization(
            probe.MLP((8,), "relu"),
            digits,
            config,
            n_samples=30,
            replicates=6,
            corruption=(0.0,),
            input_corruption=("none", "pixel-permutation"),
            n_test=20,
            seed=seed,
        )
        wrong += verdict_in(found, "take longer").decision != "inconclusive"
    assert wrong <= 5  # of 40 at 5%, six or more have a chance of 1.4%


def verdict_in(found, words):
    return next(verdict for verdict in found.verdicts if words in verdict.title)
