"""Members of a population that differ: labels, learning rates, masks, divergence, fitting."""

import re

import numpy as np
import pytest

import probe
from probe._checks import InputError
from probe.population import initial_population
from probe.training import TrainingConfig

NAMES = ("a", "b", "c")
ARCHITECTURE = probe.MLP((5,), "tanh")


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    centers, labels = rng.random((3, 3, 4)), np.arange(24) % 3
    images = (0.6 * centers[labels] + 0.4 * rng.random((24, 3, 4))).astype(np.float32)
    data = probe.Dataset(images, labels, NAMES)
    return probe.Split(data.take(slice(0, 18)), data.take(slice(18, 24)), "blobs")


def start_of(architecture=ARCHITECTURE, n_networks=3, dtype="float64"):
    rngs = np.random.default_rng(1).spawn(n_networks)
    return initial_population(architecture, (3, 4), NAMES, rngs=rngs, dtype=dtype)


def part(population, member):
    return probe.Population(
        population.architecture,
        population.input_shape,
        population.class_names,
        tuple(w[member : member + 1] for w in population.weights),
        tuple(b[member : member + 1] for b in population.biases),
    )


def config(**more):
    return TrainingConfig(**{"epochs": 4, "batch_size": 5, "learning_rate": 0.1, "dtype": "float64"} | more)


def train(split, n_networks=3, start=None, configuration=None, **more):
    start = start_of(n_networks=n_networks) if start is None else start
    return probe.train_population(
        start.architecture,
        split,
        configuration or config(),
        n_networks=n_networks,
        start=start,
        seed=5,
        **more,
    )


def weights_of(result, member):
    population = result.population
    return np.concatenate([p[member].reshape(-1) for p in (*population.weights, *population.biases)])


def test_each_member_is_what_it_would_be_alone(split):
    start, together = start_of(), train(split)
    for k in range(3):
        alone = train(split, 1, part(start, k))
        np.testing.assert_allclose(weights_of(together, k), weights_of(alone, 0), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(together.history.cost[k], alone.history.cost[0], rtol=1e-10)


def test_each_member_learns_its_own_labels(split):
    labels = np.stack([split.train.labels, (split.train.labels + 1) % 3, np.zeros(18, np.int64)])
    together, start = train(split, labels=labels), start_of()
    for k in range(3):
        taught = probe.Split(split.train.with_labels(labels[k]), split.test, "taught")
        alone = train(taught, 1, part(start, k))
        np.testing.assert_allclose(weights_of(together, k), weights_of(alone, 0), rtol=1e-10, atol=1e-12)
        # The training figures are on the labels taught, the test accuracy on the true ones.
        np.testing.assert_allclose(together.history.cost[k], alone.history.cost[0], rtol=1e-10)
        np.testing.assert_array_equal(together.history.train_accuracy[k], alone.history.train_accuracy[0])
        np.testing.assert_array_equal(together.history.test_accuracy[k], alone.history.test_accuracy[0])


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adam"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_each_member_has_its_own_rate(split, optimizer, schedule):
    rates = np.array([0.3, 0.01, 0.1])
    more = {"optimizer": optimizer, "schedule": schedule}
    together, start = train(split, configuration=config(**more), learning_rates=rates), start_of()
    for k in range(3):
        alone = train(split, 1, part(start, k), config(learning_rate=rates[k], **more))
        np.testing.assert_allclose(weights_of(together, k), weights_of(alone, 0), rtol=1e-9, atol=1e-11)


def test_rates_are_in_place_of_the_configurations(split):
    rates = np.full(3, 0.1)
    one = train(split, configuration=config(learning_rate=99.0), learning_rates=rates)
    other = train(split)
    np.testing.assert_allclose(weights_of(one, 1), weights_of(other, 1), rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_masked_sample_has_no_influence(split, optimizer):
    masks = np.ones((3, 18), bool)
    masks[0, [2, 7]] = False
    masks[1, [2]] = False
    images, labels = split.train.images.copy(), split.train.labels.copy()
    images[2], labels[2] = 1 - images[2], (labels[2] + 1) % 3
    other = probe.Split(probe.Dataset(images, labels, NAMES), split.test, "changed")
    one = train(split, configuration=config(optimizer=optimizer), sample_weights=masks)
    two = train(other, configuration=config(optimizer=optimizer), sample_weights=masks)
    for k in (0, 1):
        np.testing.assert_array_equal(weights_of(one, k), weights_of(two, k))
        np.testing.assert_array_equal(one.history.cost[k], two.history.cost[k])
        np.testing.assert_array_equal(one.history.train_accuracy[k], two.history.train_accuracy[k])
    assert not np.allclose(weights_of(one, 2), weights_of(two, 2))


def test_a_member_with_a_mask_trains_as_on_the_samples_left(split):
    # With full batches the order does not matter, and masking is leaving out.
    mask = np.random.default_rng(0).random(18) < 0.6
    left = probe.Split(split.train.take(np.flatnonzero(mask)), split.test, "left")
    full = config(batch_size=18)
    masked = train(split, 1, configuration=full, sample_weights=mask[None])
    alone = train(left, 1, configuration=full)
    np.testing.assert_allclose(weights_of(masked, 0), weights_of(alone, 0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(masked.history.cost, alone.history.cost, rtol=1e-10)
    np.testing.assert_allclose(masked.history.train_accuracy, alone.history.train_accuracy)


def test_a_whole_weight_is_a_sample_many_times_in_full_batches(split):
    weights = np.random.default_rng(0).integers(0, 4, (2, 18))
    weighted = train(split, 2, configuration=config(batch_size=100), sample_weights=weights)
    for k in (0, 1):
        many = probe.Split(split.train.take(np.arange(18).repeat(weights[k])), split.test, "many")
        repeated = train(many, 2, configuration=config(batch_size=100))
        np.testing.assert_allclose(weights_of(weighted, k), weights_of(repeated, k), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(weighted.history.cost[k], repeated.history.cost[k], rtol=1e-10)
        np.testing.assert_allclose(weighted.history.train_accuracy[k], repeated.history.train_accuracy[k])


def test_a_mask_of_everything_is_no_mask(split):
    one = train(split, sample_weights=np.ones((3, 18), bool))
    np.testing.assert_allclose(weights_of(one, 2), weights_of(train(split), 2), rtol=1e-12)


def test_a_batch_without_a_sample_of_a_member_does_not_move_it(split):
    mask = np.zeros((1, 18), bool)
    mask[0, 4] = True
    one = train(split, 1, configuration=config(batch_size=1, epochs=1), sample_weights=mask)
    only = probe.Split(split.train.take([4]), split.test, "one")
    other = train(only, 1, configuration=config(batch_size=1, epochs=1))
    np.testing.assert_allclose(weights_of(one, 0), weights_of(other, 0), rtol=1e-12, atol=1e-14)


# Divergence.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_member_that_diverges_is_frozen_and_named_and_the_others_go_on(split, dtype):
    architecture = probe.MLP((5,), "relu")
    start = start_of(architecture, dtype=dtype)
    rates = np.array([0.01, 1e30 if dtype == "float32" else 1e200, 0.02])
    configuration = config(weight_decay=0.5, dtype=dtype, epochs=6)
    result = train(split, 3, start, configuration, learning_rates=rates)
    assert result.diverged == (1,)
    epoch = int(result.diverged_epoch[1])
    assert epoch >= 1
    for name in result.history.arrays():
        values = getattr(result.history, name)
        assert np.isnan(values[1, epoch - 1 :]).all(), name
        assert np.isfinite(values[1, : epoch - 1]).all(), name
        assert np.isfinite(values[[0, 2]]).all(), name
    assert np.isfinite(weights_of(result, 1)).all()
    if epoch == 1:
        np.testing.assert_array_equal(result.population.weights[0][1], start.weights[0][1])
    # The others end where they end with a mild member at the same place.
    mild = train(split, 3, start, configuration, learning_rates=np.array([0.01, 0.01, 0.02]))
    tolerance = {"rtol": 1e-4, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
    for k in (0, 2):
        np.testing.assert_allclose(weights_of(result, k), weights_of(mild, k), **tolerance)


def test_a_late_divergence_keeps_the_last_finite_weights(split):
    # A rate times a weight decay of 500 multiplies the weights by -499 in every update, until they overflow.
    start = start_of(probe.MLP((), "linear"), n_networks=2, dtype="float32")
    configuration = config(epochs=12, batch_size=6, weight_decay=1e3, dtype="float32", optimizer="sgd")
    rates = np.array([1e-5, 0.5])
    result = train(split, 2, start, configuration, learning_rates=rates)
    epoch = int(result.diverged_epoch[1])
    assert result.diverged == (1,)
    assert 2 <= epoch < 12
    before = train(
        split,
        2,
        start,
        config(epochs=epoch - 1, batch_size=6, weight_decay=1e3, dtype="float32"),
        learning_rates=rates,
    )
    np.testing.assert_array_equal(weights_of(result, 1), weights_of(before, 1))
    np.testing.assert_array_equal(result.history.cost[1, : epoch - 1], before.history.cost[1])


def test_if_all_diverge_the_history_ends_there(split):
    start = start_of(probe.MLP((5,), "relu"), n_networks=2, dtype="float32")
    wild = config(learning_rate=1e30, weight_decay=1.0, dtype="float32", epochs=9)
    events = []
    result = train(split, 2, start, wild, progress=events.append)
    assert result.diverged == (0, 1)
    assert result.history.n_epochs == result.diverged_epoch.max() < 9
    assert np.isnan(result.history.cost[:, -1]).any()
    assert (events[-1].done, events[-1].total) == (9, 9)


def test_one_network_that_diverges_says_when(split):
    wild = TrainingConfig(epochs=4, learning_rate=1e30, weight_decay=1.0, cost="quadratic")
    result = probe.train(probe.MLP((5,), "relu"), split, wild)
    assert result.diverged_epoch >= 1
    assert np.isfinite(result.network.dense_layers[0].kernel).all()


@pytest.mark.filterwarnings("error")
def test_divergence_is_quiet(split):
    start = start_of(probe.MLP((5,), "gelu"), dtype="float32")
    for cost in ("quadratic", "cross-entropy"):
        for optimizer in ("sgd", "momentum", "adam"):
            wild = config(
                learning_rate=1e30, weight_decay=1.0, cost=cost, dtype="float32", optimizer=optimizer
            )
            train(split, 3, start, wild)


# Fitting.


def test_a_member_that_has_fitted_everything_is_frozen(split):
    rates = np.array([1.0, 1e-6, 0.5])
    configuration = config(epochs=60, stop="fitted")
    result = train(split, configuration=configuration, learning_rates=rates)
    accuracy = result.history.train_accuracy
    assert result.fitted_epoch[1] == 0
    for k in (0, 2):
        epoch = int(result.fitted_epoch[k])
        assert 1 < epoch < 60
        assert (accuracy[k, : epoch - 1] < 1).all()
        assert (accuracy[k, epoch - 1 :] == 1).all()
        for name in result.history.arrays():
            values = getattr(result.history, name)[k]
            np.testing.assert_array_equal(values[epoch:], np.full(60 - epoch, values[epoch - 1]))
        until = train(split, configuration=config(epochs=epoch), learning_rates=rates)
        np.testing.assert_allclose(weights_of(result, k), weights_of(until, k), rtol=1e-10, atol=1e-12)
    plain = train(split, configuration=config(epochs=60), learning_rates=rates)
    np.testing.assert_allclose(weights_of(result, 1), weights_of(plain, 1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_the_others_keep_their_slots_when_one_is_retired(split, optimizer):
    rates = np.array([0.3, 1e-4, 2e-4])
    more = {"epochs": 40, "optimizer": optimizer}
    result = train(split, configuration=config(stop="fitted", **more), learning_rates=rates)
    assert 0 < result.fitted_epoch[0] < 40
    plain = train(split, configuration=config(**more), learning_rates=rates)
    for k in (1, 2):
        assert result.fitted_epoch[k] == 0
        np.testing.assert_allclose(weights_of(result, k), weights_of(plain, k), rtol=1e-9, atol=1e-11)


def test_if_all_have_fitted_the_history_ends_there(split):
    result = train(split, configuration=config(epochs=300, learning_rate=1.0, stop="fitted"))
    assert (result.fitted_epoch > 0).all()
    assert result.history.n_epochs == result.fitted_epoch.max() < 300
    assert (result.history.train_accuracy[:, -1] == 1).all()


def test_fitted_is_fitted_on_the_samples_of_the_mask(split):
    masks = np.zeros((3, 18), bool)
    masks[:, :2] = True
    result = train(
        split, configuration=config(epochs=500, learning_rate=0.2, stop="fitted"), sample_weights=masks
    )
    assert (result.fitted_epoch > 0).all()
    network = result.population.network(0)
    np.testing.assert_array_equal(network.predict(split.train.images[:2]), split.train.labels[:2])


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_networks": 0}, "n_networks must be an integer of at least 1, got 0"),
        ({"shard_size": 0}, "shard_size must be an integer of at least 1, got 0"),
        ({"workers": 0}, "workers must be an integer of at least 1, got 0"),
        ({"labels": np.zeros((2, 18), int)}, "labels must have shape (3, 18), got (2, 18)"),
        ({"labels": np.full((3, 18), 3)}, "labels must lie in [0, 3) for 3 classes, got 3"),
        ({"labels": np.zeros((3, 18))}, "labels must be integers in [0, 3), got float64"),
        ({"learning_rates": np.ones(2)}, "learning_rates must have shape (3,), got (2,)"),
        (
            {"learning_rates": np.array([1, 0, 1])},
            "the smallest of learning_rates must be a finite number above 0, got 0",
        ),
        (
            {"learning_rates": np.array([1, np.inf, 1])},
            "the largest of learning_rates must be a finite number above 0, got inf",
        ),
        (
            {"learning_rates": np.array([1, np.nan, 1])},
            "learning_rates must be a finite number above 0, got nan",
        ),
        ({"sample_weights": np.ones((3, 17), bool)}, "sample_weights must have shape (3, 18), got (3, 17)"),
        (
            {"sample_weights": np.full((3, 18), -1.0)},
            "smallest of sample_weights must be a finite number at least 0, got -1",
        ),
        ({"sample_weights": np.full((3, 18), np.nan)}, "sample_weights must be finite"),
        (
            {"sample_weights": np.zeros((3, 18), bool)},
            "sample_weights must have a weight above 0 for each network",
        ),
        ({"start": start_of(n_networks=2)}, "start must have the number of networks 3, got 2"),
        ({"start": start_of(dtype="float32")}, "start must have the dtype float64, got float32"),
        ({"start": start_of(probe.MLP((6,)))}, "start must have the architecture MLP(hidden=(5,)"),
    ],
)
def test_what_does_not_fit_is_refused(split, arguments, message):
    arguments = {"n_networks": 3} | arguments
    with pytest.raises(InputError, match=re.escape(message)):
        probe.train_population(ARCHITECTURE, split, config(), **arguments)


def test_a_start_for_other_images_is_refused(split, small_digits):
    with pytest.raises(InputError, match=re.escape("start must have the input shape (8, 8), got (3, 4)")):
        probe.train_population(ARCHITECTURE, small_digits, config(), n_networks=3, start=start_of())


@pytest.mark.parametrize("seed", [-1, 1.5, "0"])
def test_a_seed_that_is_none_is_refused(split, seed):
    with pytest.raises(InputError, match="seed must be"):
        probe.train(ARCHITECTURE, split, config(), seed=seed)
