"""Training a network of any layers: against the population engine, against finite differences, by what it learns."""

from dataclasses import replace

import numpy as np
import pytest

import probe
from probe.layers import (
    ActivationLayer,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPooling2D,
    Noise,
    Reshape,
)
from probe.parameters import ParameterSpace
from probe.population import initial_population
from probe.training import images_worth, reinitialized, train_network
from probe.training._learning import _BatchMoments, in_training
from probe.training.graph import _Run

CLASSES = tuple("0123456789")


def values(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(dtype)


def convolutional(*, noise: Layer | None = None) -> probe.Network:
    layers = [
        Reshape("reshape", (8, 8, 1)),
        Conv2D("conv", values(3, 3, 1, 6), values(6)),
        BatchNormalization("bn", values(6) + 1, values(6), values(6), np.abs(values(6)) + 1),
        ActivationLayer("relu", "relu"),
        MaxPooling2D("pool"),
        *([noise] if noise else []),
        Flatten("flatten"),
        Dense("output", values(54, 10), values(10), "softmax"),
    ]
    return probe.Network(tuple(layers), (8, 8), CLASSES)


def fresh(network: probe.Network, seed: int = 0) -> probe.Network:
    return reinitialized(network, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_a_dense_network_trains_as_a_population_of_one_does(small_digits, optimizer):
    """With all images in one batch no order differs: the two engines must take the same steps."""
    config = probe.TrainingConfig(
        epochs=12,
        batch_size=len(small_digits.train),
        learning_rate=0.05 if optimizer == "adam" else 0.3,
        optimizer=optimizer,
        weight_decay=0.001,
        schedule="cosine",
        dtype="float64",
    )
    architecture = probe.MLP((9, 7), "tanh")
    start = initial_population(
        architecture, (8, 8), CLASSES, rngs=np.random.default_rng(1).spawn(1), dtype="float64"
    )
    expected = probe.train_population(architecture, small_digits, config, n_networks=1, start=start)
    found = train_network(start.network(0), small_digits, config, rng=np.random.default_rng(2))
    for ours, theirs in zip(
        found.network.dense_layers, expected.population.network(0).dense_layers, strict=True
    ):
        np.testing.assert_allclose(ours.kernel, theirs.kernel, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.bias, theirs.bias, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.history.cost, expected.history.cost[0], rtol=1e-9)
    np.testing.assert_allclose(found.history.test_accuracy, expected.history.test_accuracy[0])


def test_the_way_back_through_batch_moments_is_right():
    """Finite differences of a batch in which every image moves the moments of all others."""
    rng = np.random.default_rng(0)
    layer = in_training(
        BatchNormalization("bn", *(values(3, dtype=np.float64, seed=k) for k in (1, 2, 3)), np.ones(3)),
        -1,
        rng,
        {},
    )
    x, dz = rng.normal(size=(5, 4, 2, 3)), rng.normal(size=(5, 4, 2, 3))
    _, pullback = layer.pre_activation(x)
    found, step = pullback(dz), 1e-6

    def cost(at: np.ndarray, of: Layer = layer) -> float:
        return float((of.pre_activation(at)[0] * dz).sum())

    for _ in range(20):
        index = tuple(rng.integers(size) for size in x.shape)
        moved = np.zeros_like(x)
        moved[index] = step
        assert found[index] == pytest.approx(
            (cost(x + moved) - cost(x - moved)) / (2 * step), rel=1e-5, abs=1e-8
        )
    for name, gradient in layer.variable_gradients(x, dz).items():
        for k in range(3):
            ends = []
            for sign in (1, -1):
                shifted = getattr(layer, name).copy()
                shifted[k] += sign * step
                ends.append(cost(x, replace(layer, **{name: shifted})))
            assert gradient[k] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-8)


def test_batch_moments_are_those_of_the_batch_and_are_left_behind():
    moments = {}
    layer = _BatchMoments("bn", None, None, np.zeros(2), np.ones(2), epsilon=0.0, moments=moments)
    x = np.random.default_rng(0).normal(3, 5, (50, 2))
    z, _ = layer.pre_activation(x)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), 1)
    np.testing.assert_allclose(moments["bn"][0], x.mean(axis=0))
    np.testing.assert_allclose(moments["bn"][1], x.var(axis=0))


def test_a_convolutional_network_with_normalization_and_dropout_learns(digits):
    start = fresh(convolutional(noise=Dropout("dropout", 0.2)))
    config = probe.TrainingConfig(epochs=3, batch_size=32, learning_rate=0.01, optimizer="adam")
    found = train_network(start, digits, config, rng=np.random.default_rng(0))
    right = (found.network.predict(digits.test.images) == digits.test.labels).mean()
    assert right == pytest.approx(found.history.test_accuracy[-1])
    assert right > 0.8
    moments = found.network.layer("bn").variables
    assert not np.allclose(moments["moving_mean"], 0)
    assert not np.allclose(moments["moving_variance"], 1)


def test_the_moments_in_the_end_are_those_of_training_images(small_digits):
    start = fresh(convolutional())
    config = probe.TrainingConfig(epochs=1, batch_size=32, learning_rate=0.01)
    network = train_network(start, small_digits, config, rng=np.random.default_rng(0)).network
    before = network.activations(small_digits.train.images)["conv"]
    found = network.layer("bn").variables
    # All of fewer than 1,000 training images are taken.
    np.testing.assert_allclose(found["moving_mean"], before.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["moving_variance"], before.var(axis=(0, 1, 2)), rtol=1e-4)


def test_training_ends_at_the_accuracy_asked_for(digits):
    start, config = fresh(convolutional()), probe.TrainingConfig(epochs=30, batch_size=32, learning_rate=0.05)
    found = train_network(start, digits, config, rng=np.random.default_rng(0), until=0.7)
    accuracies = found.history.train_accuracy
    assert len(accuracies) < 30
    assert accuracies[-1] >= 0.7
    assert (accuracies[:-1] < 0.7).all()


def test_it_is_taught_the_labels_given(small_digits):
    labels = (small_digits.train.labels + 3) % 10
    start, config = fresh(convolutional()), probe.TrainingConfig(epochs=8, batch_size=20, learning_rate=0.1)
    found = train_network(start, small_digits, config, rng=np.random.default_rng(0), labels=labels)
    said = found.network.predict(small_digits.train.images)
    assert (said == labels).mean() > 0.7
    assert (said == labels).mean() == pytest.approx(found.history.train_accuracy[-1])


@pytest.mark.parametrize(
    "noise",
    [
        Dropout("noise", 0.5),
        Noise("noise", "SpatialDropout2D", 0.5),
        Noise("noise", "GaussianDropout", 0.5),
        Noise("noise", "GaussianNoise", 0.5),
        Noise("noise", "StochasticDepth", 0.5),
    ],
    ids=lambda layer: layer.keras_name,
)
def test_noise_acts_in_training_with_the_mean_of_prediction_and_its_way_back(noise):
    layer, x = in_training(noise, -1, np.random.default_rng(0), {}), np.ones((4000, 3, 3, 2), np.float32)
    z, pullback = layer.pre_activation(x)
    assert z.dtype == np.float32
    assert z.std() > 0.3
    assert z.mean() == pytest.approx(1, abs=0.03)
    factor = np.ones_like(x) if noise.keras_name == "GaussianNoise" else z
    np.testing.assert_array_equal(pullback(np.full_like(x, 2)), 2 * factor)
    if noise.keras_name.startswith("Spatial"):
        assert (z == z[:, :1, :1]).all()
        first = in_training(noise, 0, np.random.default_rng(0), {}).pre_activation(np.moveaxis(x, -1, 1))[0]
        np.testing.assert_array_equal(first, np.moveaxis(z, -1, 1))
    if noise.keras_name == "StochasticDepth":
        assert (z == z[:, :1, :1, :1]).all()
        assert set(np.unique(z)) == {0, 2}
    assert not np.array_equal(layer.pre_activation(x)[0], z)


def test_nothing_acts_where_nothing_is_dropped():
    for layer in (Dropout("d", 0.0), Noise("n", "ActivityRegularization", 0.1), Flatten("f")):
        assert in_training(layer, -1, np.random.default_rng(0), {}) is layer


def test_layers_that_share_what_they_learn_keep_sharing_it(small_digits):
    kernel, bias = values(64, 64), values(64)
    layers = (
        Flatten("flatten"),
        Dense("one", kernel, bias, "tanh"),
        Dense("two", kernel, bias, "tanh"),
        Dense("output", values(64, 10), values(10), "softmax"),
    )
    network = probe.Network(layers, (8, 8), CLASSES)
    # The two layers hold one array, as a layer that Keras calls twice does.
    network = replace(network, layers=(layers[0], layers[1], replace(layers[1], name="two"), layers[3]))
    start = fresh(network)
    config = probe.TrainingConfig(epochs=1, batch_size=30, learning_rate=0.1)
    found = train_network(start, small_digits, config, rng=np.random.default_rng(0)).network
    assert found.layer("one").kernel is found.layer("two").kernel
    assert not np.array_equal(found.layer("one").kernel, start.layer("one").kernel)
    assert ParameterSpace(found).n_parameters == 64 * 64 + 64 + 64 * 10 + 10


def test_a_network_that_diverges_is_as_it_was_before(small_digits):
    start = fresh(convolutional())
    config = probe.TrainingConfig(epochs=3, batch_size=30, learning_rate=1e30)
    found = train_network(start, small_digits, config, rng=np.random.default_rng(0))
    assert found.diverged_epoch == 1
    assert found.network is start
    assert found.history.n_epochs == 0


def test_ctrl_c_keeps_the_epochs_that_are_done(small_digits):
    def stop(event):
        if event.done == 2:
            raise KeyboardInterrupt

    start, config = fresh(convolutional()), probe.TrainingConfig(epochs=5, batch_size=30, learning_rate=0.05)
    found = train_network(start, small_digits, config, rng=np.random.default_rng(0), progress=stop)
    assert found.interrupted
    assert found.history.n_epochs == 2
    again = train_network(start, small_digits, replace(config, epochs=2), rng=np.random.default_rng(0))
    np.testing.assert_array_equal(found.network.layer("conv").kernel, again.network.layer("conv").kernel)


def test_ctrl_c_while_the_film_is_measured_keeps_the_network(small_digits):
    def stop(event):
        if event.stage == "filming":
            raise KeyboardInterrupt

    start, config = fresh(convolutional()), probe.TrainingConfig(epochs=1, batch_size=30, learning_rate=0.05)
    one, other = (
        train_network(start, small_digits, config, rng=np.random.default_rng(0), frames=3, progress=progress)
        for progress in (stop, lambda event: None)
    )
    assert one.film is None
    np.testing.assert_array_equal(
        one.network.layer("conv").kernel, other.film.network(-1).layer("conv").kernel
    )


def test_threads_classify_the_test_images_of_the_end(small_digits):
    config = probe.TrainingConfig(epochs=2, batch_size=30, learning_rate=0.05, evaluation="end")
    start = fresh(convolutional())
    found = train_network(start, small_digits, config, rng=np.random.default_rng(0), workers=2)
    before, after = found.history.test_accuracy
    assert np.isnan(before)
    assert after == (found.network.predict(small_digits.test.images) == small_digits.test.labels).mean()


def test_what_is_only_classified_counts_as_a_third(small_digits):
    n, n_test = len(small_digits.train), len(small_digits.test)
    config = probe.TrainingConfig(epochs=3)
    assert images_worth(small_digits, config) == pytest.approx(3 * n + (3 * n + 3 * n_test) / 3)
    end = replace(config, evaluation="end")
    assert images_worth(small_digits, end, 5) == pytest.approx(
        3 * n + (3 * n + n_test + 5 * (n + n_test)) / 3
    )


@pytest.mark.parametrize("until", [0.0, 1.2])
def test_an_impossible_accuracy_is_refused(small_digits, until):
    with pytest.raises(probe.InputError, match="until must be"):
        train_network(
            convolutional(), small_digits, probe.TrainingConfig(), rng=np.random.default_rng(0), until=until
        )


def test_labels_that_do_not_fit_are_refused(small_digits):
    with pytest.raises(probe.InputError, match="labels"):
        train_network(
            convolutional(),
            small_digits,
            probe.TrainingConfig(),
            rng=np.random.default_rng(0),
            labels=small_digits.train.labels[:-1],
        )


def test_what_is_learned_does_not_depend_on_the_number_of_threads(digits, monkeypatch):
    """Dropout is drawn by lanes, which share a minibatch whoever works on them; and the lanes together are the batch."""
    monkeypatch.setattr("probe.training.graph._LANE_VALUES", 5_000)
    config = probe.TrainingConfig(epochs=1, batch_size=30, learning_rate=0.05)
    network = convolutional(noise=Dropout("dropout", 0.3))
    start = fresh(_without(network, "bn"))
    one, several = (
        train_network(start, digits, config, rng=np.random.default_rng(0), workers=workers)
        for workers in (1, 3)
    )
    for name in ("conv", "output"):
        np.testing.assert_array_equal(one.network.layer(name).kernel, several.network.layer(name).kernel)
    np.testing.assert_array_equal(one.history.cost, several.history.cost)


def test_lanes_together_give_the_gradient_of_the_batch(digits, monkeypatch):
    start = fresh(_without(convolutional(), "bn")).astype(np.float64)
    rng, taken = np.random.default_rng(0), np.arange(50)
    images, labels = digits.train.images[taken].astype(np.float64), digits.train.labels[taken]
    monkeypatch.setattr("probe.training.graph._LANE_VALUES", 5_000)
    run = _Run(start, digits, digits.train.labels, probe.TrainingConfig(batch_size=50), rng)
    found = run.gradient(digits.train.images, taken, labels, run.vector)
    np.testing.assert_allclose(
        found, ParameterSpace(start).gradient(images, labels)[1], rtol=1e-9, atol=1e-12
    )


def test_a_fresh_network_is_trained_like_another_with_a_film(digits):
    like, config = convolutional(), probe.TrainingConfig(epochs=2, batch_size=64, learning_rate=0.05)
    found = probe.train(like, digits, config, seed=3, frames=5)
    again = probe.train(like, digits, config, seed=3)
    assert found.network.layer_names == like.layer_names
    assert not np.array_equal(found.network.layer("conv").kernel, like.layer("conv").kernel)
    np.testing.assert_array_equal(found.network.layer("conv").kernel, again.network.layer("conv").kernel)
    film = found.film
    assert film.updates[0] == 0
    assert film.updates[-1] == 2 * -(-len(digits.train) // 64)
    x = digits.test.images[:20]
    np.testing.assert_array_equal(film.network(-1).logits(x), found.network.logits(x))
    assert film.test_accuracy[-1] == found.history.test_accuracy[-1]
    # What is measured moves, too: the moments of the batches.
    assert not np.array_equal(*film.parameters["bn/moving_mean"][[1, -1]])


def test_a_network_of_other_classes_is_refused(digits):
    layers = (Flatten("flatten"), Dense("output", values(64, 3), values(3), "softmax"))
    with pytest.raises(probe.InputError, match="the network has 3 classes, but 'digits' has 10"):
        probe.train(probe.Network(layers, (8, 8)), digits, probe.TrainingConfig(epochs=1))


def _without(network: probe.Network, name: str) -> probe.Network:
    layers = tuple(layer for layer in network.layers if layer.name != name)
    return probe.Network(layers, network.input_shape, network.class_names)
