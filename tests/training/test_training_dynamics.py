"""The dynamics against networks trained epoch by epoch and judged one by one."""

import threading
from dataclasses import replace

import numpy as np
import pytest

import probe
from probe.datasets import permuted_labels
from probe.population import Population, initial_population
from probe.stats import gini
from probe.training import PreparedData, Shard, ShardRun

ARCHITECTURE = probe.MLP((12,), "relu")
CONFIG = probe.TrainingConfig(epochs=7, batch_size=16, learning_rate=0.2, dtype="float64")


def shard(digits, seed=0, n_networks=3, dynamics="examples", **more):
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(digits.train))[:60]
    data = replace(digits, train=digits.train.take(chosen), test=digits.test.take(slice(0, 33)))
    one = initial_population(
        ARCHITECTURE,
        data.train.image_shape,
        data.train.class_names,
        rngs=rng.spawn(n_networks),
        dtype="float64",
    )
    labels = np.stack(
        [permuted_labels(data.train.labels, rng=rng, fraction=k / 2) for k in range(n_networks)]
    )
    return Shard(one, data, np.random.default_rng(seed), labels=labels, dynamics=dynamics, **more)


def run(found, config=CONFIG):
    stop = threading.Event()
    return ShardRun(found, PreparedData.of(found.split, config), config, stop, lambda cost: None).run()


@pytest.fixture(scope="module")
def history(digits):
    """Return the networks after 1, 2, ... epochs, each trained anew to there, and the dynamics of the whole."""
    snapshots = [
        run(shard(digits), replace(CONFIG, epochs=n)).population for n in range(1, CONFIG.epochs + 1)
    ]
    return snapshots, run(shard(digits)).dynamics


def right_by_epoch(snapshots: list[Population], images, labels):
    """Return whether each network was right, of shape (n_networks, n_epochs, n_samples)."""
    return np.stack(
        [
            [snapshot.network(k).predict(images) == labels[k] for snapshot in snapshots]
            for k in range(len(labels))
        ]
    )


def test_events_are_those_of_the_networks_after_every_epoch(digits, history):
    snapshots, dynamics = history
    source = shard(digits)
    right = right_by_epoch(snapshots, source.split.train.images, source.labels)
    first = np.where(right.any(axis=1), right.argmax(axis=1) + 1, 0)
    np.testing.assert_array_equal(dynamics.first_learned, first)
    np.testing.assert_array_equal(dynamics.forgetting, (right[:, :-1] & ~right[:, 1:]).sum(axis=1))
    assert dynamics.forgetting.sum() > 0
    assert (dynamics.first_learned == 0).any()


def test_curves_are_those_of_the_networks_after_every_epoch(digits, history):
    snapshots, dynamics = history
    split = shard(digits).split
    for k in range(3):
        for epoch, snapshot in enumerate(snapshots):
            network = snapshot.network(k)
            true = (network.predict(split.train.images) == split.train.labels).mean()
            assert dynamics.true_accuracy[k, epoch] == pytest.approx(true)
            right = network.predict(split.test.images) == split.test.labels
            halves = right[::2].mean(), right[1::2].mean()
            np.testing.assert_allclose(dynamics.half_accuracy[k, epoch], halves)
    # The first network is taught the true labels: its two accuracies are the same curve.
    np.testing.assert_allclose(dynamics.true_accuracy[0], run(shard(digits)).history.train_accuracy[0])


def test_margins_are_those_of_the_final_networks(digits, history):
    snapshots, dynamics = history
    source = shard(digits)
    for k in range(3):
        logits = snapshots[-1].network(k).logits(source.split.train.images)
        rows = np.arange(len(logits))
        taught = logits[rows, source.labels[k]]
        logits[rows, source.labels[k]] = -np.inf
        np.testing.assert_allclose(dynamics.margin[k], taught - logits.max(axis=1), rtol=1e-5, atol=1e-6)


def test_sensitivity_is_the_mean_gradient_norm_over_the_epochs(digits, history):
    snapshots, _ = history
    source = shard(digits, dynamics="sensitivity")
    found = run(source).dynamics.sensitivity
    images, step = source.split.train.images[:4].astype(np.float64), 1e-6
    for k in range(3):
        norms = np.zeros(4)
        for snapshot in snapshots:
            network = snapshot.network(k)

            def cost(x, network=network, k=k):
                return -np.log(network.predict_proba(x)[np.arange(4), source.labels[k][:4]])

            for place in np.ndindex(images.shape[1:]):
                change = np.zeros_like(images)
                change[(slice(None), *place)] = step
                norms += np.abs(cost(images + change) - cost(images - change)) / (2 * step)
        np.testing.assert_allclose(found[k, :4], norms / len(snapshots), rtol=1e-4)


def test_the_gini_coefficient_of_the_sensitivity_is_that_of_each_epoch_by_itself(digits, history):
    snapshots, _ = history
    source = shard(digits, dynamics="sensitivity")
    found = run(source).dynamics.sensitivity_gini
    assert found.shape == (3, CONFIG.epochs)
    for k in range(3):
        for epoch, snapshot in enumerate(snapshots):
            norms = probe.loss_sensitivity(
                snapshot.network(k), source.split.train.images.astype(np.float64), source.labels[k]
            )
            assert found[k, epoch] == pytest.approx(gini(norms), rel=1e-4)
    assert run(shard(digits)).dynamics.sensitivity_gini is None


def test_the_gini_coefficient_ends_where_a_network_was_frozen_and_is_none_where_it_diverged(digits):
    config = replace(CONFIG, epochs=300, stop="fitted")
    rates = np.array([0.2, 1e200, 0.2])
    with np.errstate(all="ignore"):
        outcome = run(shard(digits, dynamics="sensitivity", learning_rates=rates), config)
    found = outcome.dynamics.sensitivity_gini
    assert np.isnan(found[1]).all()
    for k in (0, 2):
        assert outcome.fitted_epoch[k] > 0
        np.testing.assert_array_equal(
            np.flatnonzero(np.isfinite(found[k])), np.arange(outcome.fitted_epoch[k])
        )


def test_recording_changes_nothing_in_the_training(digits):
    plain, kept = run(shard(digits, dynamics="none")), run(shard(digits))
    assert plain.dynamics is None
    for one, other in zip(plain.population.weights, kept.population.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(plain.history.test_accuracy, kept.history.test_accuracy)


def test_a_frozen_network_keeps_its_last_values(digits):
    config = replace(CONFIG, epochs=500, stop="fitted")
    outcome = run(shard(digits), config)
    assert (outcome.fitted_epoch > 0).all()
    assert len(set(outcome.fitted_epoch)) > 1
    for k, epoch in enumerate(outcome.fitted_epoch):
        held = outcome.dynamics.true_accuracy[k, epoch - 1 :]
        assert (held == held[0]).all()
        assert (outcome.dynamics.first_learned[k] > 0).all()
        assert (outcome.dynamics.first_learned[k] <= epoch).all()
        assert (outcome.dynamics.margin[k] > 0).all()


def test_a_diverged_network_has_no_margin_and_leaves_the_others_alone(digits):
    rates = np.array([0.2, 1e200, 0.2])
    with np.errstate(all="ignore"):
        outcome = run(shard(digits, learning_rates=rates))
    alone = run(shard(digits))
    assert outcome.diverged_epoch[1] == 1
    assert np.isnan(outcome.dynamics.margin[1]).all()
    assert np.isnan(outcome.dynamics.true_accuracy[1]).all()
    for k in (0, 2):
        np.testing.assert_array_equal(outcome.dynamics.first_learned[k], alone.dynamics.first_learned[k])
        np.testing.assert_allclose(outcome.dynamics.margin[k], alone.dynamics.margin[k], rtol=1e-4, atol=1e-5)
