"""Networks to hold a trained one against: the same shape and recipe, the same start, few or other labels, no training."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import probe
from probe._checks import DivergedError
from probe.controls import architecture_of
from probe.fitting import for_images_of
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
    Reshape,
)
from probe.recipes import RECIPES, recorded_recipe
from probe.training import reinitialized

CONFIG = probe.TrainingConfig(epochs=25, batch_size=20, learning_rate=1.0)


def recipe(config=CONFIG, **changes):
    return replace(RECIPES["modern"], config=config, adapts=False, **changes)


@pytest.fixture(scope="module")
def three(trained, digits):
    return probe.control_networks(trained, digits, n_networks=3, recipe=recipe(), seed=4)


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
    for group in (three.untrained, three.trained, three.few_labels, three.random_label):
        member = group.network(2)
        assert [layer.n_units for layer in member.dense_layers] == [12, 9, 10]
        assert member.input_shape == trained.input_shape
    assert three.caveat == ""
    assert three.summary.sentence.startswith("3 networks 64-12-9-10 sigmoid, by small random weights")


def test_trained_controls_learn_and_random_label_controls_memorize_and_do_not_generalize(three, digits):
    accuracies = {
        name: [
            (network.predict(digits.test.images) == digits.test.labels).mean()
            for network in getattr(three, name).networks()
        ]
        for name in ("untrained", "trained", "few_labels", "random_label")
    }
    assert accuracies["trained"] == pytest.approx(three.summary.test_accuracy)
    assert min(accuracies["trained"]) > 0.85
    assert min(accuracies["few_labels"]) > 0.5
    assert max(accuracies["random_label"] + accuracies["untrained"]) < 0.35
    assert (three.summary.memorized >= 0.9).all()
    assert 50 <= three.summary.n_random_labels < len(digits.train)


def test_members_of_all_groups_have_one_start(three, digits):
    # Pixels that are dark in all training images keep what they started with.
    dark = ~digits.train.images.any(axis=0).ravel()
    assert dark.any()
    start = three.untrained.weights[0]
    for group in (three.trained, three.few_labels, three.random_label):
        assert not np.array_equal(group.weights[0], start)
        np.testing.assert_array_equal(group.weights[0][:, :, dark], start[:, :, dark])


def test_few_and_random_labels_differ_in_the_labels_alone(trained, small_digits, monkeypatch):
    """With permutations that change nothing, both networks come out the same."""
    monkeypatch.setattr("probe.controls.few.permuted_labels", lambda labels, *, rng: labels.copy())
    found = probe.control_networks(
        trained, small_digits, n_networks=7, recipe=recipe(replace(CONFIG, epochs=2))
    )
    for one, other in zip(found.few_labels.weights, found.random_label.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-4)


def test_controls_are_reproducible_and_differ_between_seeds(trained, small_digits):
    quick = recipe(replace(CONFIG, epochs=1))
    first, again, other = (
        probe.control_networks(trained, small_digits, n_networks=2, recipe=quick, seed=seed)
        for seed in (1, 1, 2)
    )
    for group in ("trained", "random_label"):
        np.testing.assert_array_equal(getattr(first, group).weights[0], getattr(again, group).weights[0])
        assert not np.array_equal(getattr(first, group).weights[0], getattr(other, group).weights[0])


def test_the_first_controls_are_the_same_however_many_there_are(trained, small_digits):
    quick = recipe(replace(CONFIG, epochs=2))
    few, many = (probe.control_networks(trained, small_digits, n_networks=n, recipe=quick) for n in (6, 8))
    for group in ("untrained", "trained", "few_labels", "random_label"):
        for one, other in zip(getattr(few, group).weights, getattr(many, group).weights, strict=True):
            np.testing.assert_allclose(one, other[:6], rtol=1e-3, atol=1e-5)


def test_what_controls_came_to_is_a_result(three, tmp_path):
    summary = three.summary
    loaded = probe.load_result(probe.save_result(summary, tmp_path / "controls.h5"), type(summary))
    assert loaded.sentence == summary.sentence
    np.testing.assert_array_equal(loaded.memorized, summary.memorized)
    assert {len(column) for column in summary.columns().values()} == {3}
    assert json.loads(json.dumps(summary.to_dict()))["memorized"] == summary.memorized.tolist()


def test_controls_follow_the_recipe_of_the_network(trained, small_digits):
    """Start, output, cost, optimizer, rate and batch of the recipe, not those of the default."""
    config = probe.TrainingConfig(epochs=3, batch_size=10, learning_rate=1.5, cost="quadratic")
    found = probe.control_networks(
        trained, small_digits, n_networks=2, recipe=recipe(config, initialization="normal", output="sigmoid")
    )
    assert found.summary.config.cost == "quadratic"
    assert found.summary.config.epochs == 3
    assert np.std(found.untrained.weights[0]) == pytest.approx(1, abs=0.05)
    assert found.trained.network(0).layers[-1].activation.name == "sigmoid"
    assert np.isnan(found.summary.target)


def test_a_recorded_recipe_is_that_of_the_file():
    provenance = {
        "architecture": {
            "hidden": [5, 4],
            "activation": "tanh",
            "initialization": "normal",
            "output": "sigmoid",
        },
        "config": {
            "epochs": 7,
            "batch_size": 30,
            "learning_rate": 0.2,
            "cost": "quadratic",
            "optimizer": "adam",
        },
    }
    found = recorded_recipe(provenance)
    assert (found.name, found.initialization, found.output) == ("its own", "normal", "sigmoid")
    assert found.training("tanh", 10) == probe.TrainingConfig(
        epochs=7, batch_size=30, learning_rate=0.2, cost="quadratic", optimizer="adam", evaluation="end"
    )
    assert "7 epochs of batches of 30, adam at a rate of 0.2" in found.sentence


@pytest.mark.parametrize(
    "provenance",
    [
        {},
        {"architecture": {"hidden": [5]}},
        {"architecture": {"hidden": [5]}, "config": {"epochs": 0}},
        {"architecture": {"hidden": [5]}, "config": {"epochs": "many"}},
        {"architecture": {"hidden": "5"}, "config": {"epochs": 3}},
        {"architecture": [1], "config": {"epochs": 3}},
        {"architecture": {"hidden": [5], "surprise": 1}, "config": {"epochs": 3}},
        {"architecture": {"hidden": [5]}, "config": {"epochs": 3, "surprise": 1}},
    ],
)
def test_a_file_that_does_not_say_has_no_recorded_recipe(provenance):
    assert recorded_recipe(provenance) is None


def test_without_a_recipe_controls_are_trained_until_they_are_as_good(trained, digits):
    found = probe.control_networks(trained, digits, n_networks=2)
    summary = found.summary
    accuracy = (trained.predict(digits.train.images) == digits.train.labels).mean()
    assert summary.target == pytest.approx(accuracy)
    assert (summary.train_accuracy >= summary.target).all()
    # They stop soon after, and not at the end of the default training.
    assert (summary.train_accuracy < 1).all()
    assert (
        f"until {accuracy:.1%} of the training images were right as in this network; 2 got there"
        in summary.sentence
    )


def test_a_network_near_guessing_sets_no_target(trained, small_digits, monkeypatch):
    monkeypatch.setattr("probe.training.config._MOST_EPOCHS", 2)
    untrained = reinitialized(trained, rng=np.random.default_rng(0))
    found = probe.control_networks(untrained, small_digits, n_networks=1)
    assert np.isnan(found.summary.target)
    assert "until" not in found.summary.sentence


def test_convolutions_get_controls_of_their_own_layers(small_digits):
    """Whatever gradient descent can train is copied, drawn anew and trained."""
    network = convolutional()
    plain = [layer for layer in network.layers if layer.name not in ("norm", "depthwise", "output")]
    head = replace(network.layer("output"), kernel=np.zeros((6 * 6 * 5, 10), np.float32))
    network = probe.Network((*plain, head), network.input_shape)
    found = probe.control_networks(network, small_digits, n_networks=2)
    assert found.copies
    assert len(found) == 2
    for group in (found.untrained, found.trained, found.few_labels, found.random_label):
        assert group.network(1).layer_names[-4:] == network.layer_names
        assert group.logits(small_digits.test.images).shape == (2, 10, len(small_digits.test))
    assert not np.array_equal(found.trained.network(0).layer("conv").kernel, network.layer("conv").kernel)
    assert (found.summary.test_accuracy > 0.6).all()
    found.check_of(for_images_of(network, small_digits))


def test_what_cannot_be_trained_gets_controls_of_the_videos_shape(trained, small_digits):
    steps = replace(
        trained,
        layers=tuple(
            replace(layer, activation_name="step")
            if isinstance(layer, Dense) and layer.name != trained.head_name
            else layer
            for layer in trained.layers
        ),
    )
    found = probe.control_networks(
        steps, small_digits, n_networks=1, recipe=recipe(replace(CONFIG, epochs=1))
    )
    assert not found.copies
    assert found.trained.architecture.hidden == (16, 16)
    assert "do not have this network's layers" in found.summary.sentence


def test_controls_of_another_network_are_refused(three):
    other = probe.MLP(hidden=(5,))
    with pytest.raises(probe.InputError, match="controls must be those of this network"):
        three.check_of(
            probe.training.train(other, probe.load_dataset("digits"), replace(CONFIG, epochs=1)).network
        )


def test_a_rate_at_which_networks_diverge_is_not_kept(small_digits):
    network = probe.train(probe.MLP((8,), "relu"), small_digits, replace(CONFIG, epochs=1)).network
    wild = recipe(replace(CONFIG, learning_rate=1e35, epochs=3))
    with pytest.raises(DivergedError, match=r"diverge at learning_rate 1e\+33, and at larger ones"):
        probe.control_networks(network, small_digits, n_networks=1, recipe=wild)


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


def test_networks_that_take_too_long_are_trained_on_fewer_images_or_left_out_and_it_is_said(
    small_digits, monkeypatch
):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 2)).astype(np.float32)
    layers = (
        Reshape("reshape", (8, 8, 1)),
        Conv2D("conv", kernel, kernel[0, 0, 0], activation_name="relu"),
        Flatten("flatten"),
        Dense("output", np.zeros((72, 10), np.float32), np.zeros(10, np.float32), "softmax"),
    )
    network, events = probe.Network(layers, (8, 8)), []
    # A second for an image: all of them would take hours.
    monkeypatch.setattr("probe.controls.layered.seconds_per_image", lambda *arguments: 1.0)
    monkeypatch.setattr("probe.controls.layered._FITTING", (2, 2))
    monkeypatch.setattr("probe.controls.layered._MOST_VALUES", 1e5)
    found = probe.control_networks(network, small_digits, n_networks=2, progress=events.append)
    assert not found.copies
    assert re.search(r"whose training would take about \d+ minutes \(--minutes \d+\)", found.caveat)
    assert "control networks like this one are left out" in events[0].note
    most = int(re.search(r"--minutes (\d+)", found.caveat)[1])
    some = probe.control_networks(network, small_digits, n_networks=2, minutes=most / 2)
    assert some.copies
    assert re.search(r"trained on \d+ of the 200 training images; --minutes \d+ for all", some.caveat)
    assert probe.control_networks(network, small_digits, n_networks=2, minutes=most).caveat == ""
