"""Concepts: what is computed from pixels, and planted units that must be found, or must not."""

import numpy as np
import pytest
from scipy.ndimage import rotate
from sklearn.metrics import log_loss, roc_auc_score
from subjects import ablated

import probe
from probe.analyses.concepts import concepts, image_concepts
from probe.analyses.concepts.selectivity import aurocs, largest_of_rotated, p_values
from probe.analyses.concepts.within import Sample
from probe.layers import BatchNormalization, Conv2D, Dense, Flatten
from probe.network import Network

RNG = np.random.default_rng


def drawn(*strokes, size=28):
    """Return an image with filled boxes (top, bottom, left, right), 1 for ink, later ones 0 where negative."""
    image = np.zeros((size, size), np.float32)
    for top, bottom, left, right, value in strokes:
        image[top:bottom, left:right] = value
    return image


def concept(found, name):
    return found.values[found.names.index(name)]


def test_loops_are_counted_and_placed():
    ring_above = drawn((3, 12, 8, 20, 1), (6, 9, 11, 17, 0), (12, 25, 16, 20, 1))
    ring_below = ring_above[::-1]
    eight = drawn((3, 25, 8, 20, 1), (6, 11, 11, 17, 0), (16, 22, 11, 17, 0))
    bar = drawn((3, 25, 12, 16, 1))
    cup = drawn((3, 25, 8, 20, 1), (3, 20, 11, 17, 0))  # open above: no loop
    images = np.stack([ring_above, ring_below, eight, bar, cup] * 4)
    found = image_concepts(images)
    np.testing.assert_array_equal(found.n_holes[:5], [1, 1, 2, 0, 0])
    np.testing.assert_array_equal(concept(found, "loop")[:5], [True, True, True, False, False])
    np.testing.assert_array_equal(concept(found, "upper loop")[:5], [True, False, True, False, False])
    np.testing.assert_array_equal(concept(found, "lower loop")[:5], [False, True, True, False, False])


def test_strokes_have_the_orientation_that_they_are_drawn_in():
    bar = drawn((13, 16, 3, 25, 1))
    turned = [np.clip(rotate(bar, angle, reshape=False, order=1), 0, 1) for angle in (0, 45, 90, 135)]
    found = image_concepts(np.stack(turned * 5).astype(np.float32))
    for k, sign in enumerate(("—", "/", "|", "\\")):
        np.testing.assert_array_equal(concept(found, f"mostly {sign}")[:4], np.arange(4) == k)


def test_real_digits_have_the_loops_that_they_should():
    test = probe.load_dataset("mnist").test
    found, labels = image_concepts(test.images), test.labels
    for digit, least in ((0, 0.8), (8, 0.8), (9, 0.7), (6, 0.7)):
        assert concept(found, "loop")[labels == digit].mean() > least
    for digit in (1, 3, 5, 7):
        assert concept(found, "loop")[labels == digit].mean() < 0.1
    assert concept(found, "lower loop")[labels == 6].mean() > 0.7
    assert concept(found, "upper loop")[labels == 9].mean() > 0.7


def test_concepts_that_hardly_vary_are_left_out():
    images = np.stack([drawn((3, 25, 10 + k % 5, 14 + k % 5, 1)) for k in range(100)])
    found = image_concepts(images)
    assert "loop" in found.left_out
    assert not set(found.left_out) & set(found.names)
    assert (found.values.mean(axis=1) >= 0.02).all()


def test_aurocs_are_those_of_scikit_learn_with_ties():
    values = np.round(RNG(0).normal(size=(200, 3)), 1)
    present = RNG(1).random((4, 200)) < 0.3
    found = aurocs(values, present, np.zeros(200, int))
    for unit in range(3):
        for k in range(4):
            assert found[unit, k] == pytest.approx(roc_auc_score(present[k], values[:, unit]))


def planted(images, present, n_units=8, noise=1.0):
    """Return activations in which unit 2 is the concept, and the others are noise about the images."""
    values = noise * RNG(5).normal(size=(len(images), n_units))
    values[:, 2] = 3.0 * present + 0.3 * RNG(6).normal(size=len(images))
    return values


def test_a_planted_detector_stands_out_and_its_rotation_does_not(digits):
    found = image_concepts(digits.train.images)
    loops = concept(found, "loop")[None]
    values = planted(digits.train.images, loops[0])
    classes = digits.train.labels
    best = np.abs(aurocs(values, loops, classes) - 0.5).max(axis=0)
    assert p_values(best, largest_of_rotated(values, loops, classes, 99, RNG(0)))[0] <= 0.02
    rejected = []
    for seed in range(20):
        q, _ = np.linalg.qr(RNG(seed).normal(size=(8, 8)))
        turned = (values - values.mean(axis=0)) @ q
        best = np.abs(aurocs(turned, loops, classes) - 0.5).max(axis=0)
        drawn = largest_of_rotated(turned, loops, classes, 39, RNG(seed + 100))
        rejected.append(p_values(best, drawn)[0] <= 0.05)
    assert np.mean(rejected) <= 0.2


def loop_network(split, rotated=False):
    """Return a network whose hidden layer holds a loop detector, found by least squares on products of pixels."""
    images = split.test.images.reshape(len(split.test), -1)
    loops = concept(image_concepts(split.test.images), "loop").astype(float)
    # As many hidden directions as images would fit anything; the detector is read off random features.
    features = np.maximum(images @ RNG(0).normal(size=(64, 300)), 0)
    centered = features.copy()
    for k in range(10):
        there = split.test.labels == k
        centered[there] -= centered[there].mean(axis=0)
        loops[there] -= loops[there].mean()
    weights = np.linalg.lstsq(centered, loops, rcond=1e-3)[0]
    second = np.concatenate([0.02 * RNG(1).normal(size=(300, 15)), 4 * weights[:, None]], axis=1)
    if rotated:
        q, _ = np.linalg.qr(RNG(2).normal(size=(16, 16)))
        second = second @ q
    dense = [("features", RNG(0).normal(size=(64, 300)), "relu"), ("hidden", second, "linear"),
             ("output", RNG(3).normal(size=(16, 10)), "softmax")]  # fmt: skip
    layers = [Dense(n, k.astype(np.float32), np.zeros(k.shape[1], np.float32), a) for n, k, a in dense]
    return Network((Flatten("flatten"), *layers), (8, 8))


def test_a_network_with_a_loop_detector_is_told_from_its_rotation(digits):
    options = {"layers": ("hidden",), "n_images": 355, "n_permutations": 49}
    for rotated in (False, True):
        found = concepts(loop_network(digits, rotated), digits, **options)
        layer, place = found.layer("hidden"), found.names.index("loop")
        assert layer.probe_auroc[place] > 0.8  # the layer holds it in both
        if rotated:
            assert not layer.aligned(0.05)[place]
        else:
            assert layer.best_units[place] == 15
            assert layer.aligned(0.05)[place]


def test_networks_before_training_have_no_more_special_units_than_chance(digits):
    rejected = []
    for seed in range(6):
        network = probe.population.initial_population(
            probe.MLP(hidden=(10,)), (8, 8), digits.train.class_names, rngs=[RNG(seed)]
        ).network(0)
        found = concepts(network, digits, n_images=200, n_permutations=19, n_rotations=59, seed=seed)
        rejected.append((found.layers[0].aligned_p <= 0.05).mean())
    assert np.mean(rejected) < 0.12


def test_a_probe_finds_what_is_there_and_nothing_where_nothing_is():
    present = RNG(0).random((2, 400)) < 0.5
    values = RNG(1).normal(size=(400, 6))
    values[:, 3] += 3 * present[0]
    found = Sample(values, RNG(2).integers(3, size=400), present).read_off(values)
    assert found[0] > 0.95
    assert 0.4 < found[1] < 0.6


def test_an_ablated_unit_is_its_mean_in_dense_and_in_feature_maps(digits):
    network = probe.train(probe.MLP((7,)), digits, probe.TrainingConfig(epochs=3)).network
    x = digits.test.images[:50]
    hidden = network.activations(x)["hidden_1"].copy()
    hidden[:, 4] = 0.3
    head = network.dense_layers[-1]
    np.testing.assert_allclose(
        network.logits_without(x, "hidden_1", [4], np.array([0.3]))[0],
        hidden @ head.kernel + head.bias,
        rtol=1e-4,
        atol=1e-5,
    )
    kernel = RNG(0).normal(size=(3, 3, 1, 5)).astype(np.float32)
    layers = (
        Conv2D("conv", kernel, np.zeros(5, np.float32), activation_name="relu"),
        Flatten("flatten"),
        Dense("output", RNG(1).normal(size=(180, 3)).astype(np.float32), np.zeros(3, np.float32)),
    )
    cnn = Network(layers, (8, 8, 1))
    maps = cnn.activations(x[..., None])["conv"].copy()
    maps[..., 2] = 0.7
    expected = maps.reshape(50, -1) @ layers[-1].kernel
    np.testing.assert_allclose(
        cnn.logits_without(x[..., None], "conv", [2], np.array([0.7]))[0], expected, rtol=1e-4, atol=1e-4
    )


def test_importance_is_what_the_network_loses(trained, digits):
    found = concepts(trained, digits, n_permutations=19, n_rotations=19)
    layer = found.layer("hidden_2")
    x, labels = digits.test.images, digits.test.labels
    mean = trained.activations(x)["hidden_2"].mean(axis=0)
    without = ablated(trained, "hidden_2", 3, float(mean[3]))
    cost = [
        log_loss(labels, network.predict_proba(x).astype(float), labels=range(10))
        for network in (trained, without)
    ]
    assert layer.cost_added[3] == pytest.approx(cost[1] - cost[0], abs=1e-4)
    lost = (trained.predict(x) == labels).mean() - (without.predict(x) == labels).mean()
    assert layer.accuracy_lost[3] == pytest.approx(lost, abs=1e-9)
    best = layer.selectivity[3].argmax()
    share = found.shares[best]
    mixed = share * layer.cost_added_with[3] + (1 - share) * layer.cost_added_without[3]
    assert mixed == pytest.approx(layer.cost_added[3], abs=1e-6)


def test_convolutional_networks_with_normalization_are_looked_into(digits):
    rng = RNG(0)
    layers = (
        Conv2D(
            "conv",
            rng.normal(size=(3, 3, 1, 4)).astype(np.float32),
            np.zeros(4, np.float32),
            activation_name="relu",
        ),
        BatchNormalization("bn", *(np.ones(4, np.float32) for _ in range(4))),
        Flatten("flatten"),
        Dense("output", rng.normal(size=(144, 10)).astype(np.float32), np.zeros(10, np.float32), "softmax"),
    )
    network = Network(layers, (8, 8, 1)).with_input_shape((8, 8))
    found = concepts(network, digits, n_images=150, n_permutations=19, n_rotations=19)
    assert [layer.layer for layer in found.layers] == ["conv"]
    assert found.layers[0].auroc.shape == (4, len(found.names))


def test_what_does_not_fit_is_refused(trained, digits):
    with pytest.raises(probe.InputError, match="layer 'nowhere' does not exist"):
        concepts(trained, digits, layers=("nowhere",))
    with pytest.raises(probe.InputError, match="n_images must be"):
        concepts(trained, digits, n_images=5)
    flat = Network(
        (
            Flatten("flatten"),
            Dense("output", np.ones((64, 10), np.float32), np.zeros(10, np.float32), "softmax"),
        ),
        (8, 8),
    )
    with pytest.raises(probe.InputError, match="must have a hidden layer"):
        concepts(flat, digits)
    with pytest.raises(probe.InputError, match="must differ in loops"):
        same = probe.Dataset(np.zeros((120, 8, 8), np.float32), np.arange(120) % 10, digits.test.class_names)
        concepts(trained, probe.Split(digits.train, same, "blank"))


def test_a_channel_in_front_is_ablated_whatever_the_height_is():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4))
    conv = Conv2D("conv", kernel, padding="same", data_format="channels_first")
    network = Network((conv, Flatten("flat"), Dense("out", np.ones((4 * 5 * 6, 2)))), (2, 5, 6))
    x = np.random.default_rng(1).normal(size=(3, 2, 5, 6))
    maps = conv.forward(x)[0].copy()
    maps[:, 1] = 0.25
    found = network.logits_without(x, "conv", [1], np.array([0.25]))[0]
    np.testing.assert_allclose(found, np.tile(maps.sum((1, 2, 3))[:, None], 2))
