"""Whether a network and data fit: shapes, classes, and the range that the network was trained on."""

import re
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
from recipes_of_tests import quick

import probe
from probe._checks import InputError
from probe.analyses.paths import expanded_weights
from probe.fitting import doubt_about, fitted, for_data, for_images_of
from probe.layers import Dense, Flatten, Normalization, Rescaling
from probe.sensitivity import critical_samples, loss_sensitivity
from probe.training import reinitialized

RNG = np.random.default_rng


def normalization(mean, std, name="normalization"):
    values = (np.array(value, np.float32) for value in (mean, std**2))
    return Normalization(name, *values, ())


def doubt(network, split):
    """Return what is warned of, "" for nothing; it is what the network is remembered by."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fitted(network, split)
    assert [str(each.message) for each in caught] == [doubt_about(found)] * bool(doubt_about(found))
    assert all(each.category is probe.ProbeWarning and each.filename == __file__ for each in caught)
    return doubt_about(found)


@pytest.fixture(scope="module")
def accuracy(trained, digits):
    return f"{np.mean(trained.predict(digits.test.images) == digits.test.labels):.0%}"


def test_a_network_that_fits_is_taken_without_a_word(trained, digits):
    assert doubt(trained, digits) == ""
    found = fitted(trained, digits)
    assert found.class_names == digits.train.class_names
    np.testing.assert_array_equal(found.logits(digits.test.images), trained.logits(digits.test.images))
    assert fitted(found, digits) is found


MADE_FOR = [
    ((0, 255), Rescaling("rescaling", 1 / 255), "--range 0 255 (network.with_input_range(0, 255))", True),
    ((0, 255), normalization(0.0, 255.0), "--range 0 255 (network.with_input_range(0, 255))", True),
    ((-1, 1), Rescaling("halved", 0.5, 0.5), "--range -1 1 (network.with_input_range(-1, 1))", False),
    (
        (-0.1307 / 0.3081, 0.8693 / 0.3081),
        Rescaling("back", 0.3081, 0.1307),
        "",  # right on 83%, and 87% with --mean 0.1307 --std 0.3081: no great difference
        False,
    ),
    ((0, 16), Rescaling("sixteenth", 1 / 16), "--range 0 16 (network.with_input_range(0, 16))", True),
    ((0, 65535), Rescaling("words", 1 / 65535), "--range 0 65535 (network.with_input_range(0, 65535))", True),
]


@pytest.mark.parametrize(("made_for", "first", "remedy", "is_flat"), MADE_FOR)
def test_the_scaling_that_helps_is_named(trained, digits, accuracy, made_for, first, remedy, is_flat):
    network = trained.behind(first)
    said = doubt(network, digits)
    if not remedy:
        assert said == ""
        return
    right = np.mean(network.predict(digits.test.images) == digits.test.labels)
    assert said.startswith(f"the network is right on {right:.0%} of 355 test images")
    assert (f"; with {remedy} it is right on " in said) and (f"right on {accuracy}" in said)
    assert (f"its layer '{first.name}' makes of images from 0 to 1 values from " in said) == is_flat
    # What is named makes the network what it was.
    assert doubt(network.with_input_range(*made_for), digits) == ""


def test_the_sentence_says_what_came_and_what_to_do(trained, digits):
    said = doubt(trained.behind(Rescaling("rescaling", 1 / 255)), digits)
    assert said == (
        "the network is right on 10% of 355 test images, near chance; with --range 0 255 "
        "(network.with_input_range(0, 255)) it is right on 87%; its layer 'rescaling' makes of images from 0 to 1 "
        "values from 0 to 0.00392, so it was made for another range"
    )


def test_color_images_are_tried_with_the_usual_numbers_for_each_channel():
    rng = RNG(0)
    labels = np.arange(400) % 4
    images = rng.uniform(0, 0.2, (400, 3, 2, 3)).astype(np.float32)
    images[np.arange(400), labels % 3, labels // 3, labels % 3] += 0.75
    part = probe.Dataset(images, labels, tuple("abcd"))
    split = probe.Split(part, part, "spots")
    kernel = np.stack([images[labels == k].mean(axis=0).ravel() for k in range(4)], axis=1)
    kernel -= kernel.mean(axis=1, keepdims=True)
    network = probe.Network(
        (Flatten("flat"), Dense("output", kernel, np.zeros(4, np.float32), "softmax")), (3, 2, 3)
    )
    assert doubt(network, split) == ""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    made_for = network.with_input_range(-9, 9).behind(
        Rescaling("undone", tuple(std / 18), tuple((mean + 9) / 18))
    )
    # Standardized with these it is the network itself; as it is, the scaling leaves the answers what they are.
    again = (
        made_for.without("range")
        .behind(Rescaling("r", 18.0, -9.0))
        .with_standardized_input(tuple(mean), tuple(std))
    )
    np.testing.assert_allclose(again.without("r").logits(images).argmax(axis=1), labels)


def test_a_range_that_was_said_is_taken_back_in_words(trained, digits):
    wrong = trained.behind(Rescaling("rescaling", 1 / 255)).with_input_range(-1, 1)
    assert (
        "; with --range 0 255 (network.with_input_range(0, 255)) in place of its layer 'range' it is right on"
        in doubt(wrong, digits)
    )
    # Saturated, or not: where the range changes nothing, nothing is said.
    harmful = trained.behind(normalization(0.3, 0.37)).with_input_range(0, 255)
    assert "without its layer 'range'" in doubt(harmful, digits)


def test_a_network_that_learned_nothing_is_usable(trained, digits):
    fresh = reinitialized(trained, rng=RNG(3))
    said = doubt(fresh, digits)
    assert "near chance, and the usual scalings of its inputs do not help" in said
    assert "--range LOW HIGH, --mean M --std S" in said
    with pytest.warns(probe.ProbeWarning, match="near chance"):
        assert 0 < probe.noise_confidence(fresh, digits, seed=0).accuracy < 0.3


def test_layers_that_contradict_the_range_are_named_also_of_an_untrained_network(trained, digits):
    fresh = reinitialized(trained, rng=RNG(3)).behind(Rescaling("rescaling", 1 / 255))
    said = doubt(fresh, digits)
    assert "its layer 'rescaling' makes of images from 0 to 1 values from 0 to 0.00392" in said
    assert "--range 0 255" in said


def test_a_network_that_is_right_as_it_is_may_begin_as_it_likes(digits):
    # Trained on images in [0, 1] behind a Rescaling(1 / 255), by whoever did not know better.
    shrunk = probe.Split(
        *(
            probe.Dataset(part.images / np.float32(255), part.labels, part.class_names)
            for part in (digits.train, digits.test)
        ),
        "shrunk",
    )
    config = probe.TrainingConfig(epochs=30, batch_size=20)
    network = probe.train(probe.MLP(hidden=(12,)), digits, config).network
    first = network.layers[1]
    scaled = replace(first, kernel=first.kernel * np.float32(255))
    network = probe.Network((network.layers[0], scaled, network.layers[2]), (8, 8)).behind(
        Rescaling("rescaling", 1 / 255)
    )
    assert doubt(network, digits) == ""
    assert shrunk.train.images.max() < 0.004


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8, 1.0])
def test_whether_a_network_guesses_is_a_question_of_the_binomial_distribution(share):
    # Right on a share of the images whatever their range, and else wrong: a bias cannot be scaled away.
    n = 1000
    labels = RNG(0).integers(2, size=n)
    told = np.where(RNG(1).random(n) < share, labels, RNG(2).integers(2, size=n))
    images = np.zeros((n, 1, 2), np.float32)
    images[np.arange(n), 0, told] = 1
    part = probe.Dataset(images, labels, ("a", "b"))
    network = probe.Network(
        (Flatten("f"), Dense("output", np.eye(2, dtype="f4"), np.zeros(2, "f4"), "softmax")), (1, 2)
    )
    said = doubt(network, probe.Split(part, part, "told"))
    assert ("near chance" in said) == (share == 0.0)


def test_a_constant_answer_to_unequal_classes_is_chance():
    labels = (np.arange(1000) % 10 == 0).astype(int)
    part = probe.Dataset(RNG(0).random((1000, 1, 2), np.float32), labels, ("often", "seldom"))
    network = probe.Network(
        (Flatten("f"), Dense("output", np.zeros((2, 2), "f4"), np.zeros(2, "f4"))), (1, 2)
    )
    assert "right on 90% of 1,000 test images, near chance" in doubt(network, probe.Split(part, part, "rare"))


def test_few_images_that_are_all_right_are_no_chance():
    images = np.eye(2, dtype=np.float32).reshape(2, 1, 2)
    part = probe.Dataset(images, np.arange(2), ("a", "b"))
    network = probe.Network((Flatten("f"), Dense("output", np.eye(2, dtype="f4"), np.zeros(2, "f4"))), (1, 2))
    assert doubt(network, probe.Split(part, part, "two")) == ""


def test_images_that_cost_much_are_few():
    kernel = np.zeros((784, 40_000), np.float32)
    network = probe.Network((Flatten("f"), Dense("hidden", kernel, kernel[0])), (28, 28))
    assert 20 <= 5_000_000_000 // network.n_multiplications < 1000


FUNCTIONS = {
    "noise_confidence": lambda network, split: probe.noise_confidence(network, split),
    "noise_severity": lambda network, split: probe.noise_severity(network, split, n_images=30),
    "concepts": lambda network, split: probe.concepts(
        network, split, n_images=120, n_permutations=19, n_rotations=19
    ),
    "drawing": lambda network, split: probe.drawing(network, split, restarts=1, steps=2),
    "weight_structure": lambda network, split: probe.weight_structure(network, split, n_null=19),
    "landscape": lambda network, split: probe.landscape(
        network,
        split,
        n_networks=2,
        n_directions=2,
        updates=8,
        resolution=3,
        n_planes=1,
        n_lines=2,
        n_images=20,
    ),
    "control_networks": lambda network, split: probe.control_networks(
        network, split, n_networks=1, recipe=quick(1)
    ),
    "maximize": lambda network, split: probe.maximize(
        network, [probe.class_logit(0)], steps=2, images=split.test
    ),
    "expanded_weights": lambda network, split: expanded_weights(network, split.test.images, n_images=20),
    "loss_sensitivity": lambda network, split: loss_sensitivity(
        network, split.test.images[:20], split.test.labels[:20]
    ),
    "critical_samples": lambda network, split: critical_samples(network, split.test.images[:20], max_steps=1),
}
"""Everything that takes a network and data."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_warns_once(trained, digits, name):
    network = trained.behind(Rescaling("rescaling", 1 / 255))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        FUNCTIONS[name](network, digits)
        assert [each.category for each in caught] == [probe.ProbeWarning]
        assert "--range 0 255" in str(caught[0].message) and caught[0].filename == __file__
        caught.clear()
        FUNCTIONS[name](trained, digits)
        assert not caught
        # Of a network that was fitted, all was said.
        known = for_data(network, digits)
        caught.clear()
        FUNCTIONS[name](known, digits)
        assert not caught


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in FUNCTIONS
        if name not in ("expanded_weights", "loss_sensitivity", "critical_samples", "maximize")
    ],
)
def test_every_function_takes_rows_and_refuses_other_shapes(trained, digits, name):
    rows = probe.Network(trained.layers[1:], (64,))
    FUNCTIONS[name](rows, digits)
    other = probe.Network((Flatten("f"), Dense("output", np.zeros((6, 10)), np.zeros(10))), (2, 3))
    with pytest.raises(
        InputError, match=re.escape("takes inputs of shape (2, 3), but the images have shape (8, 8)")
    ):
        FUNCTIONS[name](other, digits)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in FUNCTIONS
        if name in ("noise_confidence", "noise_severity", "concepts", "drawing", "landscape")
    ],
)
def test_functions_that_need_classes_say_so(digits, name):
    values = probe.Network(
        (
            Flatten("f"),
            Dense("h", np.ones((64, 3)), np.zeros(3)),
            Dense("output", np.ones((3, 1)), np.zeros(1)),
        ),
        (8, 8),
    )
    with pytest.raises(
        InputError, match="one linear output, which can be the logit of the second of two classes"
    ):
        FUNCTIONS[name](values, digits)
    with pytest.raises(InputError, match="the network is a regression"):
        FUNCTIONS[name](values.for_regression(), digits)
    fewer = probe.Network(
        (
            Flatten("f"),
            Dense("h", np.ones((64, 3)), np.zeros(3)),
            Dense("output", np.ones((3, 4)), np.zeros(4)),
        ),
        (8, 8),
    )
    with pytest.raises(
        InputError,
        match=re.escape("the network has 4 classes, but 'digits' has 10; pass the data that it was"),
    ):
        FUNCTIONS[name](fewer, digits)
    named = replace(
        fewer,
        layers=(*fewer.layers[:2], Dense("output", np.ones((3, 10)), np.zeros(10))),
        class_names=tuple("abcdefghij"),
    )
    with pytest.raises(InputError, match="the network's classes are a, b, c"):
        FUNCTIONS[name](named, digits)


def test_what_needs_no_classes_takes_regressions(digits):
    values = probe.Network(
        (Flatten("f"), Dense("h", RNG(0).normal(size=(64, 3)), np.zeros(3))), (8, 8)
    ).for_regression()
    assert for_images_of(values, digits) is values
    assert probe.weight_structure(values, digits, n_null=19).images.shape == (3, 8, 8)
    with pytest.warns(probe.ProbeWarning, match="given inputs of another range: its layer 'rescaling'"):
        for_images_of(values.behind(Rescaling("rescaling", 1 / 255)), digits)


def test_several_inputs_are_refused(digits):
    layers = trained_pair()
    with pytest.raises(InputError, match="the network takes 2 inputs, but the data has one image for each"):
        fitted(layers, digits)


def trained_pair():
    from probe.layers import Concatenate

    layers = (
        Flatten("a"),
        Flatten("b"),
        Concatenate("both"),
        Dense("output", np.zeros((128, 10)), np.zeros(10)),
    )
    return probe.Network(
        layers, (8, 8), wiring=((0,), (1,), ("a", "b"), ("both",)), more_input_shapes=((8, 8),)
    )


def test_the_check_costs_little(trained, digits):
    fitted(trained, digits)
    began = time.perf_counter()
    for _ in range(5):
        fitted(trained, digits)
    assert (time.perf_counter() - began) / 5 < 0.1


def test_standardized_inputs_are_what_was_said():
    network = probe.Network((Flatten("f"), Dense("output", np.eye(12), np.zeros(12))), (2, 2, 3))
    x = RNG(0).random((5, 2, 2, 3))
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    expected = ((x - np.array(mean)) / np.array(std)).reshape(5, 12)
    np.testing.assert_allclose(network.with_standardized_input(mean, std).logits(x), expected, rtol=1e-6)
    np.testing.assert_allclose(
        network.with_standardized_input(0.5, 0.25).logits(x), ((x - 0.5) / 0.25).reshape(5, 12)
    )
    np.testing.assert_allclose(
        network.with_standardized_input(mean, 0.25).logits(x),
        ((x - np.array(mean)) / 0.25).reshape(5, 12),
        rtol=1e-6,
    )
    # In units of a range.
    both = network.with_standardized_input(33.3, 78.6).with_input_range(0, 255)
    np.testing.assert_allclose(
        both.logits(x), ((255 * x - 33.3) / 78.6).reshape(5, 12), rtol=1e-12, atol=1e-12
    )


def test_channels_that_come_first_are_standardized_each():
    network = probe.Network((Flatten("f"), Dense("output", np.eye(12), np.zeros(12))), (3, 2, 2))
    x = RNG(0).random((5, 3, 2, 2))
    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])
    expected = (x - mean[:, None, None]) / std[:, None, None]
    found = network.with_standardized_input(tuple(mean), tuple(std)).logits(x)
    np.testing.assert_allclose(found, expected.reshape(5, 12), rtol=1e-6)
    # Images have them last.
    images = np.moveaxis(x, 1, 3)
    for order in (
        network.with_standardized_input(tuple(mean), tuple(std)).with_input_shape((2, 2, 3)),
        network.with_input_shape((2, 2, 3)).with_standardized_input(tuple(mean), tuple(std)),
    ):
        np.testing.assert_allclose(order.logits(images), expected.reshape(5, 12), rtol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (0.5, 0, "std must be a finite number above 0, got 0"),
        (np.nan, 1, "mean must be a finite number, got nan"),
        ((0.1, 0.2), (0.1, 0.2, 0.3), "mean and std must have as many numbers as each other, got 2 and 3"),
        (
            (0.1, 0.2),
            1,
            r"one number, or one for each channel; got 2, but the network takes inputs of shape \(2, 2, 3\)",
        ),
        ("0.5", 1, "mean must be a finite number, got '0.5'"),
    ],
)
def test_means_and_deviations_that_are_none_are_refused(mean, std, message):
    network = probe.Network((Flatten("f"), Dense("output", np.eye(12), np.zeros(12))), (2, 2, 3))
    with pytest.raises(InputError, match=message):
        network.with_standardized_input(mean, std)


def test_images_that_are_looked_for_lie_in_the_range_too(trained):
    network = trained.behind(Rescaling("rescaling", 1 / 255))
    with pytest.warns(
        probe.ProbeWarning, match=r"makes of images from 0 to 1 values from 0 to 0.00392.*--range 0 255"
    ):
        probe.maximize(network, [probe.class_logit(3)], steps=2)
    for fits in (trained, network.with_input_range(0, 255), trained.behind(normalization(0.1307, 0.3081))):
        with warnings.catch_warnings():
            warnings.simplefilter("error", probe.ProbeWarning)
            probe.maximize(fits, [probe.class_logit(3)], steps=2)
