"""What training computes, against loops written here and scikit-learn."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import probe
from probe.optimizers import OPTIMIZERS
from probe.population import initial_population
from probe.training import Shard, TrainingConfig, train_shards

NAMES = ("a", "b", "c")


def blobs(n=30, shape=(3, 4), seed=0, n_test=12):
    """Noisy images of three classes, each with bright pixels of its own."""
    rng = np.random.default_rng(seed)
    centers = rng.random((3, *shape))

    def part(size):
        labels = np.arange(size) % 3
        images = np.clip(0.6 * centers[labels] + 0.4 * rng.random((size, *shape)), 0, 1)
        return probe.Dataset(images.astype(np.float32), labels, NAMES)

    return probe.Split(part(n), part(n_test), "blobs")


def start_of(architecture, shape=(3, 4), n_networks=2, seed=1, dtype="float64"):
    rngs = np.random.default_rng(seed).spawn(n_networks)
    return initial_population(architecture, shape, NAMES, rngs=rngs, dtype=dtype)


def weights_of(population, member=None):
    parts = (*population.weights, *population.biases)
    return np.concatenate([(p if member is None else p[member]).reshape(-1) for p in parts])


def assert_same(one, other):
    np.testing.assert_array_equal(weights_of(one.population), weights_of(other.population))
    for name in ("cost", "train_accuracy", "test_accuracy", "gradient_norm"):
        np.testing.assert_array_equal(getattr(one.history, name), getattr(other.history, name))
    np.testing.assert_array_equal(one.diverged_epoch, other.diverged_epoch)
    np.testing.assert_array_equal(one.fitted_epoch, other.fitted_epoch)


class Recorded:
    """A generator whose permutations are remembered, so that a test can follow the order of the data."""

    def __init__(self, seed):
        self.rng, self.orders = np.random.default_rng(seed), []

    def permutation(self, n):
        self.orders.append(self.rng.permutation(n))
        return self.orders[-1]


def by_hand(start, split, config, orders, labels):
    """Train one relu network with softmax cross-entropy: plain NumPy, samples first, one at a time."""
    weights = [w[0].T.copy() for w in start.weights]
    biases = [b[0].copy() for b in start.biases]
    x = split.train.images.reshape(len(labels), -1).astype(np.float64)
    optimizer = config.make_optimizer()
    states = [optimizer.init(p) for p in (*weights, *biases)]
    updates = 0
    for epoch, order in enumerate(orders):
        rate = config.learning_rate * config.rate_factor(epoch)
        for begin in range(0, len(x), config.batch_size):
            chosen = order[begin : begin + config.batch_size]
            activations = [x[chosen]]
            for w, b in zip(weights[:-1], biases[:-1], strict=True):
                activations.append(np.maximum(activations[-1] @ w + b, 0))
            y = special.softmax(activations[-1] @ weights[-1] + biases[-1], axis=1)
            delta = (y - np.eye(3)[labels[chosen]]) / len(chosen)
            kernels, offsets = [], []
            for place in reversed(range(len(weights))):
                kernels.insert(0, activations[place].T @ delta + config.weight_decay * weights[place])
                offsets.insert(0, delta.sum(axis=0))
                delta = (delta @ weights[place].T) * (activations[place] > 0)
            updates += 1
            parameters = [*weights, *biases]
            for p, g, state in zip(parameters, (*kernels, *offsets), states, strict=True):
                p += optimizer.update(g, state, rate, updates)
    return np.concatenate([*(w.T.reshape(-1) for w in weights), *biases])


@pytest.mark.parametrize("batch_size", [30, 8, 1, 100])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("more", [{}, {"weight_decay": 0.1}, {"schedule": "cosine"}], ids=str)
def test_training_is_the_loop_of_the_textbook(batch_size, optimizer, more):
    split, architecture = blobs(), probe.MLP((5, 4), "relu")
    config = TrainingConfig(
        epochs=3, batch_size=batch_size, learning_rate=0.05, optimizer=optimizer, dtype="float64", **more
    )
    start, order = start_of(architecture, n_networks=1), Recorded(0)
    (found,) = train_shards([Shard(start, split, order)], config)
    assert len(order.orders) == 3
    expected = by_hand(start, split, config, order.orders, split.train.labels)
    np.testing.assert_allclose(weights_of(found.population), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_in_float32_is_the_loop_of_the_textbook_within_rounding(optimizer):
    split, architecture = blobs(), probe.MLP((5, 4), "relu")
    config = TrainingConfig(epochs=3, batch_size=8, learning_rate=0.05, optimizer=optimizer)
    start, order = start_of(architecture, n_networks=1, dtype="float32"), Recorded(0)
    (found,) = train_shards([Shard(start, split, order)], config)
    weights, biases = ([p.astype(np.float64) for p in parts] for parts in (start.weights, start.biases))
    wide = replace(start, weights=tuple(weights), biases=tuple(biases))
    expected = by_hand(wide, split, config, order.orders, split.train.labels)
    np.testing.assert_allclose(weights_of(found.population), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("evaluation", ["epoch", "end"])
def test_training_data_need_not_be_measured(evaluation):
    split, start = blobs(), start_of(probe.MLP((5,), "relu"), n_networks=3)
    rates = np.array([0.05, 0.1, 1e200])
    config = TrainingConfig(epochs=3, batch_size=7, evaluation=evaluation, dtype="float64")
    (whole,), (less,) = (
        train_shards(
            [Shard(start, split, np.random.default_rng(1), learning_rates=rates, measures_train=measured)],
            config,
        )
        for measured in (True, False)
    )
    np.testing.assert_array_equal(weights_of(whole.population), weights_of(less.population))
    np.testing.assert_array_equal(whole.history.test_accuracy, less.history.test_accuracy)
    np.testing.assert_array_equal(whole.diverged_epoch, less.diverged_epoch)
    assert (less.diverged_epoch > 0).tolist() == [False, False, True]
    assert (
        np.isfinite(less.history.test_accuracy[:2, -1]).all()
        and np.isfinite(whole.history.cost[:2, -1]).all()
    )
    assert np.isnan(less.history.cost).all() and np.isnan(less.history.train_accuracy).all()


def test_every_epoch_sees_every_sample_once_in_an_order_of_its_own():
    order = Recorded(0)
    train_shards([Shard(start_of(probe.MLP(())), blobs(), order)], TrainingConfig(epochs=3, dtype="float64"))
    assert all(sorted(found) == list(range(30)) for found in order.orders)
    assert not any(np.array_equal(one, other) for one, other in pairwise(order.orders))


@pytest.mark.parametrize(("ours", "theirs"), [("sigmoid", "logistic"), ("tanh", "tanh"), ("relu", "relu")])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_full_batches_train_as_in_scikit_learn(ours, theirs, momentum, nesterov):
    from sklearn.neural_network import MLPClassifier

    split, decay = blobs(), 0.05
    start = start_of(probe.MLP((6, 5), ours), n_networks=1)
    optimizer = ("nesterov" if nesterov else "momentum") if momentum else "sgd"
    config = TrainingConfig(
        epochs=4, batch_size=30, learning_rate=0.3, optimizer=optimizer, weight_decay=decay, dtype="float64"
    )
    found = probe.train_population(start.architecture, split, config, n_networks=1, start=start)
    classifier = MLPClassifier(
        (6, 5),
        activation=theirs,
        solver="sgd",
        alpha=decay * 30,  # there it is divided by the number of samples
        batch_size=30,
        learning_rate_init=0.3,
        momentum=momentum,
        nesterovs_momentum=nesterov,
        shuffle=False,
    )
    x = split.train.images.reshape(30, -1).astype(np.float64)
    classifier.partial_fit(x, split.train.labels, classes=[0, 1, 2])
    network = start.network(0)
    classifier.coefs_ = [layer.kernel.copy() for layer in network.dense_layers]
    classifier.intercepts_ = [layer.bias.copy() for layer in network.dense_layers]
    del classifier._optimizer  # its velocities are those of the weights thrown away
    classifier._optimizer = _sgd(classifier, momentum, nesterov)
    for _ in range(4):
        classifier.partial_fit(x, split.train.labels)
    trained = found.population.network(0)
    for layer, kernel, bias in zip(
        trained.dense_layers, classifier.coefs_, classifier.intercepts_, strict=True
    ):
        np.testing.assert_allclose(layer.kernel, kernel, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(layer.bias, bias, rtol=1e-9, atol=1e-12)


def _sgd(classifier, momentum, nesterov):
    from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

    return SGDOptimizer(classifier.coefs_ + classifier.intercepts_, 0.3, momentum=momentum, nesterov=nesterov)


@pytest.mark.parametrize("cost", ["cross-entropy", "quadratic"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@given(seed=st.integers(0, 999))
@settings(max_examples=8)
def test_the_cost_falls_along_the_negative_gradient(cost, output, seed):
    split, architecture = blobs(seed=seed), probe.MLP((4,), "tanh", output)
    config = TrainingConfig(epochs=5, batch_size=30, learning_rate=1e-3, cost=cost, dtype="float64")
    cost_curve = probe.train(architecture, split, config, seed=seed).history.cost
    assert (np.diff(cost_curve) < 0).all()


def test_the_gradient_norm_predicts_how_fast_the_cost_falls():
    # For full batches and a small rate, one update lowers the cost by rate * norm**2.
    config = TrainingConfig(epochs=4, batch_size=30, learning_rate=1e-5, dtype="float64")
    history = probe.train(probe.MLP((4,), "tanh"), blobs(), config).history
    np.testing.assert_allclose(-np.diff(history.cost), 1e-5 * history.gradient_norm[1:] ** 2, rtol=1e-3)


def test_the_gradient_norm_is_that_of_the_last_ten_minibatches():
    split, start = blobs(), start_of(probe.MLP((4,), "relu"), n_networks=1)
    order, rate = Recorded(0), 0.1
    config = TrainingConfig(epochs=1, batch_size=2, learning_rate=rate, dtype="float64")
    (found,) = train_shards([Shard(start, split, order)], config)
    # A step of gradient descent is the gradient times the rate; redo the last ten, one at a time.
    squares = []
    for begin in range(10, 30, 2):
        before = by_hand(
            start,
            split,
            config,
            [order.orders[0][:begin]],
            split.train.labels,
        )
        squares.append(before)
    path = [*squares, weights_of(found.population)]
    norms = [np.linalg.norm((b - a) / rate) for a, b in pairwise(path)]
    assert found.history.gradient_norm[0, 0] == pytest.approx(np.sqrt(np.mean(np.square(norms))), rel=1e-8)


def test_a_step_network_moves_only_its_last_layer():
    start = start_of(probe.MLP((5, 4), "step", initialization="normal"))
    config = TrainingConfig(epochs=3, batch_size=5, dtype="float64")
    found = probe.train_population(start.architecture, blobs(), config, n_networks=2, start=start)
    for place in range(2):
        np.testing.assert_array_equal(found.population.weights[place], start.weights[place])
        np.testing.assert_array_equal(found.population.biases[place], start.biases[place])
    assert not np.array_equal(found.population.weights[2], start.weights[2])


def test_training_learns_digits(digits, trained):
    assert (trained.predict(digits.test.images) == digits.test.labels).mean() > 0.85


# What must not matter.


def with_dead_pixel(dataset, place):
    flat = dataset.images.reshape(len(dataset), -1)
    images = np.insert(flat, place, 0, axis=1).reshape(len(dataset), 1, -1)
    return probe.Dataset(images, dataset.labels, dataset.class_names)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_pixel_without_ink_changes_no_bit(optimizer):
    split, place = blobs(shape=(1, 12)), 5
    padded = probe.Split(with_dead_pixel(split.train, place), with_dead_pixel(split.test, place), "padded")
    config = TrainingConfig(epochs=3, batch_size=7, learning_rate=0.05, optimizer=optimizer, dtype="float64")
    start = start_of(probe.MLP((4,)), (1, 12))
    wide = np.insert(start.weights[0], place, 0.75, axis=2)
    wider = probe.Population(start.architecture, (1, 13), NAMES, (wide, start.weights[1]), start.biases)
    found = probe.train_population(start.architecture, split, config, n_networks=2, start=start)
    other = probe.train_population(start.architecture, padded, config, n_networks=2, start=wider)
    np.testing.assert_array_equal(
        np.delete(other.population.weights[0], place, axis=2), found.population.weights[0]
    )
    np.testing.assert_array_equal(other.population.weights[0][:, :, place], np.full((2, 4), 0.75))
    np.testing.assert_array_equal(other.population.weights[1], found.population.weights[1])
    np.testing.assert_array_equal(other.history.cost, found.history.cost)
    np.testing.assert_array_equal(other.history.test_accuracy, found.history.test_accuracy)


def test_a_pixel_with_ink_only_in_the_test_images_counts_there():
    split, place = blobs(shape=(1, 12)), 5
    test = with_dead_pixel(split.test, place)
    images = test.images.copy()
    images[:, :, place] = 1
    test = probe.Dataset(images, test.labels, NAMES)
    padded = probe.Split(with_dead_pixel(split.train, place), test, "padded")
    result = probe.train(probe.MLP((4,), initialization="normal"), padded, TrainingConfig(epochs=2))
    expected = (result.network.predict(test.images) == test.labels).mean()
    assert result.history.test_accuracy[-1] == pytest.approx(expected)


def test_weight_decay_shrinks_the_weights_of_a_pixel_without_ink():
    split = blobs(shape=(1, 12))
    padded = probe.Split(with_dead_pixel(split.train, 5), with_dead_pixel(split.test, 5), "padded")
    start = start_of(probe.MLP((4,)), (1, 13))
    config = TrainingConfig(epochs=3, batch_size=10, learning_rate=0.2, weight_decay=0.1, dtype="float64")
    found = probe.train_population(start.architecture, padded, config, n_networks=2, start=start)
    expected = start.weights[0][:, :, 5] * (1 - 0.2 * 0.1) ** 9
    np.testing.assert_allclose(found.population.weights[0][:, :, 5], expected, rtol=1e-12)
    assert not np.allclose(found.population.biases[1], 0)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@given(seed=st.integers(0, 999))
@settings(max_examples=5)
def test_permuted_pixels_with_permuted_weights_give_the_permuted_network(optimizer, seed):
    split, architecture = blobs(), probe.MLP((5,), "tanh")
    order = np.random.default_rng(seed).permutation(12)

    def permuted(dataset):
        flat = dataset.images.reshape(len(dataset), 12)[:, order]
        return probe.Dataset(flat.reshape(dataset.images.shape), dataset.labels, NAMES)

    other = probe.Split(permuted(split.train), permuted(split.test), "permuted")
    config = TrainingConfig(epochs=3, batch_size=7, learning_rate=0.05, optimizer=optimizer, dtype="float64")
    start = start_of(architecture)
    moved = replace(start, weights=(start.weights[0][:, :, order], *start.weights[1:]))
    found = probe.train_population(architecture, split, config, n_networks=2, start=start, seed=seed)
    again = probe.train_population(architecture, other, config, n_networks=2, start=moved, seed=seed)
    np.testing.assert_allclose(
        again.population.weights[0], found.population.weights[0][:, :, order], rtol=1e-8, atol=1e-10
    )
    np.testing.assert_allclose(
        again.population.weights[1], found.population.weights[1], rtol=1e-8, atol=1e-10
    )
    np.testing.assert_allclose(again.history.cost, found.history.cost, rtol=1e-9)


@pytest.mark.parametrize(
    "more", [{}, {"optimizer": "adam", "learning_rate": 0.01}, {"stop": "fitted"}], ids=str
)
def test_one_seed_is_one_result_whatever_the_workers(more):
    split, config = blobs(), TrainingConfig(epochs=6, batch_size=7, **more)

    def run(workers):
        return probe.train_population(
            probe.MLP((5,)), split, config, n_networks=5, seed=3, shard_size=2, workers=workers
        )

    one = run(1)
    assert_same(one, run(1))
    assert_same(one, run(2))
    assert_same(one, run(5))


def test_another_seed_or_shard_size_is_another_experiment():
    def run(**more):
        arguments = {"seed": 3, "shard_size": 2} | more
        config = TrainingConfig(epochs=2, batch_size=7)
        return weights_of(
            probe.train_population(probe.MLP((5,)), blobs(), config, n_networks=4, **arguments).population
        )

    assert not np.array_equal(run(), run(seed=4))
    assert not np.array_equal(run(), run(shard_size=4))


def test_a_generator_is_a_seed():
    config = TrainingConfig(epochs=2)
    one = probe.train(probe.MLP((5,)), blobs(), config, seed=np.random.default_rng(3))
    other = probe.train(probe.MLP((5,)), blobs(), config, seed=3)
    np.testing.assert_array_equal(one.history.cost, other.history.cost)


def test_one_network_is_a_population_of_one():
    config = TrainingConfig(epochs=3, batch_size=7)
    one = probe.train(probe.MLP((5,)), blobs(), config, seed=3)
    many = probe.train_population(probe.MLP((5,)), blobs(), config, seed=3, n_networks=1)
    x = blobs().test.images
    np.testing.assert_array_equal(one.network.logits(x), many.population.network(0).logits(x))
    np.testing.assert_array_equal(one.history.cost, many.history.cost[0])
    assert one.diverged_epoch == 0
    assert not one.interrupted


def test_nothing_is_changed_that_was_passed_in():
    split, start = blobs(), start_of(probe.MLP((5,)))
    labels = np.stack([split.train.labels, split.train.labels[::-1]])
    rates, masks = np.array([0.1, 0.2]), np.ones((2, 30), bool)
    given_arrays = (split.train.images, labels, rates, masks, *start.weights, *start.biases)
    kept = [values.copy() for values in given_arrays]
    config = TrainingConfig(epochs=2, batch_size=7, dtype="float64")
    probe.train_population(
        start.architecture,
        split,
        config,
        n_networks=2,
        labels=labels,
        learning_rates=rates,
        sample_weights=masks,
        start=start,
    )
    for now, before in zip(given_arrays, kept, strict=True):
        np.testing.assert_array_equal(now, before)


# The history against the networks.


def test_the_history_ends_with_the_figures_of_the_networks():
    split = blobs()
    result = probe.train_population(
        probe.MLP((5,)), split, TrainingConfig(epochs=3, batch_size=7, dtype="float64"), n_networks=3
    )
    history = result.history
    for k in range(3):
        network = result.population.network(k)
        proba = network.predict_proba(split.train.images.astype(np.float64))
        cost = -np.log(proba[np.arange(30), split.train.labels]).mean()
        assert history.cost[k, -1] == pytest.approx(cost, rel=1e-6)
        accuracy = [(network.predict(d.images) == d.labels).mean() for d in (split.train, split.test)]
        assert history.train_accuracy[k, -1] == pytest.approx(accuracy[0])
        assert history.test_accuracy[k, -1] == pytest.approx(accuracy[1])
    assert history.n_epochs == 3
    assert {values.shape for values in history.arrays().values()} == {(3, 3)}
    assert history.member(1).cost.shape == (3,)
    assert (history.seconds > 0).all()
    assert (history.gradient_norm > 0).all()


def test_evaluation_at_the_end_changes_no_weight():
    config = TrainingConfig(epochs=4, batch_size=7)
    every = probe.train(probe.MLP((5,)), blobs(), config)
    last = probe.train(probe.MLP((5,)), blobs(), replace(config, evaluation="end"))
    x = blobs().test.images
    np.testing.assert_array_equal(last.network.logits(x), every.network.logits(x))
    for name in ("cost", "train_accuracy", "test_accuracy"):
        values = getattr(last.history, name)
        assert np.isnan(values[:-1]).all()
        assert values[-1] == getattr(every.history, name)[-1]
    np.testing.assert_array_equal(last.history.gradient_norm, every.history.gradient_norm)


def test_results_are_read_only():
    result = probe.train_population(probe.MLP((5,)), blobs(), TrainingConfig(epochs=1), n_networks=2)
    arrays = list(result.history.arrays().values())
    arrays += [*result.population.weights, result.diverged_epoch, result.fitted_epoch]
    for values in arrays:
        with pytest.raises(ValueError, match="read-only"):
            values[...] = 0
    with pytest.raises(AttributeError):
        result.interrupted = True
