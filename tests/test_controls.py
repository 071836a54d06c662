"""Networks to hold a trained one against: the same shape, the same start and order, other labels or no training."""

import json
from dataclasses import replace
from html import escape

import numpy as np
import pytest

import probe
from probe.controls import architecture_of, reinitialized
from probe.layers import (
    ACTIVATIONS,
    ActivationLayer,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    Normalization,
)

CONFIG = probe.TrainingConfig(epochs=25, batch_size=20, learning_rate=1.0)


@pytest.fixture(scope="module")
def three(trained, digits):
    return probe.control_networks(trained, digits, n_networks=3, config=CONFIG, seed=4)


def convolutional(dtype=np.float32):
    rng = np.random.default_rng(0)

    def values(*shape):
        return rng.normal(size=shape).astype(dtype)

    bn = BatchNormalization("bn", values(5), values(5), values(5), np.abs(values(5)) + 1)
    layers = (
        Normalization("norm", np.full(1, 0.4, dtype), np.full(1, 2.0, dtype), (-1,)),
        Conv2D("conv", values(3, 3, 1, 5), values(5), activation_name="relu"),
        bn,
        DepthwiseConv2D("depthwise", values(3, 3, 5, 1), values(5)),
        Flatten("flatten"),
        Dense("output", values(4 * 4 * 5, 10), values(10), "softmax"),
    )
    return probe.Network(layers, (8, 8, 1))


def test_controls_have_the_shape_of_the_network(three, trained):
    assert three.copies
    assert len(three) == 3
    for population in (three.untrained, three.trained, three.random_label):
        member = population.network(2)
        assert [layer.n_units for layer in member.dense_layers] == [12, 9, 10]
        assert member.input_shape == trained.input_shape
    assert three.caveat == ""
    assert "64-12-9-10 sigmoid" in three.sentence


def test_trained_controls_learn_and_random_label_controls_do_not_generalize(three, digits):
    for k in range(3):
        accuracy = (three.trained.network(k).predict(digits.test.images) == digits.test.labels).mean()
        assert accuracy == pytest.approx(three.test_accuracy[k])
        assert accuracy > 0.85
        shuffled = (three.random_label.network(k).predict(digits.test.images) == digits.test.labels).mean()
        assert shuffled < 0.35
        assert 0.05 < three.memorized[k] < 0.6


def test_each_pair_has_one_start_and_one_order(three, digits):
    """A pair of which both are taught the true labels comes out the same, if start and order are the same."""
    start = three.untrained
    for place, weights in enumerate(start.weights):
        assert not (three.trained.weights[place] == weights).all()
    # Pixels that are dark in all training images keep what they started with, in both of a pair.
    dark = ~digits.train.images.any(axis=0).ravel()
    assert dark.any()
    for population in (three.trained, three.random_label):
        np.testing.assert_array_equal(population.weights[0][:, :, dark], start.weights[0][:, :, dark])


def test_both_of_a_pair_see_the_same_order(trained, small_digits, monkeypatch):
    """With permutations that change nothing, the random-label control network is the trained one to the bit."""
    monkeypatch.setattr("probe.controls.permuted_labels", lambda labels, *, rng: labels.copy())
    found = probe.control_networks(trained, small_digits, n_networks=11, config=replace(CONFIG, epochs=2))
    for one, other in zip(found.trained.weights, found.random_label.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_controls_are_reproducible_and_differ_between_seeds(trained, small_digits):
    config = replace(CONFIG, epochs=1)
    first, again, other = (
        probe.control_networks(trained, small_digits, n_networks=2, config=config, seed=seed)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.trained.weights[0], again.trained.weights[0])
    assert not np.array_equal(first.trained.weights[0], other.trained.weights[0])


def test_controls_are_kept_in_a_file(three, tmp_path):
    loaded = probe.load_result(probe.save_result(three, tmp_path / "controls.h5"), probe.Controls)
    np.testing.assert_array_equal(loaded.random_label.weights[1], three.random_label.weights[1])
    assert loaded.sentence == three.sentence
    assert loaded.trained.network(1).class_names == three.trained.network(1).class_names


def test_controls_are_a_result_without_a_picture(three):
    columns = three.columns()
    np.testing.assert_array_equal(columns["test_accuracy"], three.test_accuracy)
    assert {len(column) for column in columns.values()} == {len(three)}
    assert len(repr(three).splitlines()) <= 5
    assert json.loads(json.dumps(three.to_dict()))["memorized"] == three.memorized.tolist()
    assert three._repr_html_() == f"<pre>{escape(repr(three))}</pre>"


def test_a_network_that_cannot_be_copied_gets_controls_of_the_videos_shape(small_digits):
    found = probe.control_networks(
        convolutional(), small_digits, n_networks=1, config=replace(CONFIG, epochs=1)
    )
    assert not found.copies
    assert found.trained.architecture.hidden == (16, 16)
    assert "16-16 units, not this network's shape" in found.sentence
    assert found.sentence.endswith(found.caveat)


def test_a_rate_at_which_networks_diverge_is_not_kept(small_digits, monkeypatch):
    monkeypatch.setattr("probe.training.config._MOST_EPOCHS", 3)
    monkeypatch.setattr("probe.controls.DEFAULT_TRAINING", replace(CONFIG, learning_rate=1e35))
    network = probe.train(probe.MLP((8,), "relu"), small_digits, replace(CONFIG, epochs=1)).network
    with pytest.raises(probe.InputError, match=r"diverge at learning_rate 1e\+32, and at larger ones"):
        probe.control_networks(network, small_digits, n_networks=1)


def test_a_quick_look_trains_for_fewer_epochs(trained, small_digits, monkeypatch):
    monkeypatch.setattr("probe.training.config._MOST_EPOCHS", 8)
    found = probe.control_networks(trained, small_digits, n_networks=1, effort=0.25)
    assert found.config.epochs == 2
    with pytest.raises(probe.InputError, match="effort must be"):
        probe.control_networks(trained, small_digits, effort=0)


def test_without_networks_there_are_no_controls(trained, small_digits):
    with pytest.raises(probe.InputError, match="n_networks must be"):
        probe.control_networks(trained, small_digits, n_networks=0)


@pytest.mark.parametrize("apart", [False, True])
def test_the_architecture_is_read_from_layers_and_from_activations_after_them(apart):
    def dense(name, n_in, n_out, activation):
        kernel = np.ones((n_in, n_out), np.float32)
        if not apart or activation == "softmax":
            return [Dense(name, kernel, np.zeros(n_out, np.float32), activation)]
        alone = ActivationLayer(f"{name}_act", ACTIVATIONS[activation])
        return [Dense(name, kernel, np.zeros(n_out, np.float32)), alone, Dropout(f"{name}_drop", 0.5)]

    layers = [*dense("a", 6, 4, "tanh"), *dense("b", 4, 3, "tanh"), *dense("c", 3, 2, "softmax")]
    found = architecture_of(probe.Network(tuple(layers), (6,)))
    assert found == probe.MLP(hidden=(4, 3), activation="tanh")


def test_kinds_of_activation_mixed_and_convolutions_have_no_architecture_to_copy():
    kernel = np.eye(3, dtype=np.float32)
    mixed = [
        Dense(name, kernel, kernel[0], kind)
        for name, kind in zip("abc", ("tanh", "relu", "softmax"), strict=True)
    ]
    assert architecture_of(probe.Network(tuple(mixed), (3,))) is None
    assert architecture_of(convolutional()) is None


def test_a_reinitialized_network_has_kernels_of_the_usual_size_and_no_biases():
    network = convolutional()
    fresh = reinitialized(network, rng=np.random.default_rng(1))
    assert fresh.layer_names == network.layer_names
    conv, depthwise, output = (fresh.layer(name) for name in ("conv", "depthwise", "output"))
    # He for the rectifier: N(0, 2 / 9); Glorot for the others.
    assert np.std(conv.kernel) == pytest.approx(np.sqrt(2 / 9), rel=0.3)
    limit = np.sqrt(6 / (80 + 10))
    assert limit * 0.9 < np.abs(output.kernel).max() <= limit
    for layer in (conv, depthwise, output):
        np.testing.assert_array_equal(layer.bias, 0)
    bn = fresh.layer("bn")
    np.testing.assert_array_equal(
        [bn.gamma, bn.beta, bn.moving_mean, bn.moving_variance], [[1] * 5, [0] * 5, [0] * 5, [1] * 5]
    )
    np.testing.assert_array_equal(fresh.layer("norm").mean, network.layer("norm").mean)


def test_reinitializing_keeps_the_type_and_draws_anew_each_time():
    network = convolutional(np.float64)
    one, other = (reinitialized(network, rng=np.random.default_rng(seed)) for seed in (1, 2))
    assert one.dtype == np.float64
    assert not np.array_equal(one.layer("conv").kernel, other.layer("conv").kernel)
    again = reinitialized(network, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(one.layer("output").kernel, again.layer("output").kernel)


def test_a_layer_that_is_called_twice_keeps_one_set_of_weights():
    kernel, bias = np.eye(4, dtype=np.float32), np.ones(4, np.float32)
    once = Dense("shared@0", kernel, bias, "tanh")
    network = probe.Network((once, replace(once, name="shared@1")), (4,))
    assert network.n_parameters == 20
    fresh = reinitialized(network, rng=np.random.default_rng(0))
    assert fresh.layers[0].kernel is fresh.layers[1].kernel
    assert fresh.n_parameters == 20
