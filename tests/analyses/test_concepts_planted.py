"""Concepts: drawn shapes have them, planted units are found, rotated ones are not, and probes agree with scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from recipes_of_tests import quick_controls
from scipy import stats
from sklearn.metrics import roc_auc_score

import probe
from probe.analyses.concepts import concepts, image_concepts
from probe.analyses.concepts.selectivity import (
    aurocs,
    chance_deviations,
    largest_of_permuted,
    largest_of_rotated,
    p_values,
)
from probe.analyses.concepts.units import hidden_layers, layer_values
from probe.analyses.concepts.within import Sample
from probe.layers import (
    ActivationLayer,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
)
from probe.network import Network
from probe.training import reinitialized


def drawn(rows):
    return np.array([[{".": 0.0, "#": 1.0, "o": 0.5, ",": 0.85}[c] for c in row] for row in rows.split()])


RING = drawn(
    "............ ............ ....####.... ...#....#... ...#....#... ...#....#... "
    "...#....#... ...#....#... ...#....#... ....####.... ............ ............"
)
EIGHT = drawn(
    "............ ...######... ...#....#... ...#....#... ...#....#... ...######... "
    "...#....#... ...#....#... ...#....#... ...######... ............ ............"
)
NINE = drawn(
    "............ ...######... ...#....#... ...#....#... ...#....#... ...######... "
    "........#... ........#... ........#... ........#... ............ ............"
)
BAR = drawn(" ".join(["............"] + 10 * ["....###....."] + ["............"]))
OPEN = RING.copy()
OPEN[5, 8] = 0.0
FAINT = np.where(RING > 0, 1.0, 0.0)
FAINT[3:9, 4:8] = 0.85  # a dark stain in a stroke, hardly darker than its rim


def holes(*images):
    return image_concepts(np.stack(images).astype(np.float32)).n_holes.tolist()


def test_holes_are_counted_whatever_the_brightness_of_the_image():
    assert holes(RING, EIGHT, NINE, BAR, OPEN, FAINT) == [1, 2, 1, 0, 0, 0]
    assert holes(0.3 * RING, 0.3 * EIGHT, 0.3 * OPEN, 0 * RING) == [1, 2, 0, 0]


def test_a_hole_that_a_dim_rim_encloses_counts_if_it_is_deep_enough():
    dim = np.where(RING > 0, 0.4, 0.0)
    dim[2, 4:8] = 1.0  # so that the rest of the ring is at 0.4 of the brightest
    assert holes(dim) == [1]
    assert holes(np.where(dim == 0.4, 0.15, dim)) == [0]


def test_rims_close_at_corners_and_holes_do_not_leak_through_them():
    diamond = drawn(
        "......... ......... ....#.... ...#.#... ..#...#.. ...#.#... ....#.... ......... ........."
    )
    assert holes(diamond) == [1]


def test_upper_and_lower_loops_are_told_apart_and_a_ring_is_neither():
    six = NINE[::-1, ::-1]
    images = np.stack([RING, EIGHT, NINE, six, BAR] * 4).astype(np.float32)
    found = image_concepts(images)
    rows = {name: found.values[found.names.index(name)][:5].tolist() for name in found.names}
    assert rows["loop"] == [True, True, True, True, False]
    assert rows["two loops"] == [False, True, False, False, False]
    assert rows["upper loop"] == [False, True, True, False, False]
    assert rows["lower loop"] == [False, True, False, True, False]


@pytest.mark.parametrize(("angle", "sign"), [(0, "—"), (45, "/"), (90, "|"), (135, "\\")])
def test_strokes_and_edges_have_the_orientation_that_was_drawn(angle, sign):
    rows, columns = np.mgrid[-10:11, -10:11]

    def bar(degrees):
        across = np.sin(np.radians(degrees)) * columns + np.cos(np.radians(degrees)) * rows
        return np.clip(3 - np.abs(across), 0, 1) * (rows**2 + columns**2 < 64)

    # Rows count downwards: a stroke at 45 degrees rises to the right.
    images = np.stack([bar(a) for a in (0, 45, 90, 135)] * 4).astype(np.float32)
    found = image_concepts(images, regions=1)
    place = [0, 45, 90, 135].index(angle)
    for name in (f"mostly {sign}", f"{sign} center"):
        assert np.flatnonzero(found.values[found.names.index(name)][:4]).tolist() == [place], name


def test_an_edge_is_in_the_region_where_it_was_drawn():
    image, empty = np.zeros((9, 9), np.float32), np.zeros((9, 9), np.float32)
    image[0:3, 7] = 1
    found = image_concepts(np.stack([image, empty, empty]))
    edges = [
        n for n, k, v in zip(found.names, found.kinds, found.values, strict=True) if k == "edge" and v[0]
    ]
    assert "| top right" in edges
    assert all("right" in name for name in edges)


def test_much_ink_is_half_of_the_images_and_colors_are_averaged(digits):
    gray = digits.test.images
    found = image_concepts(gray)
    ink = found.values[found.names.index("much ink")]
    np.testing.assert_array_equal(ink, gray.mean(axis=(1, 2)) > np.median(gray.mean(axis=(1, 2))))
    color = image_concepts(np.stack([gray, gray, gray], axis=-1))
    np.testing.assert_array_equal(color.values, found.values)


def test_concepts_that_hardly_vary_are_left_out_and_named(digits):
    found = image_concepts(digits.test.images)
    assert set(found.left_out).isdisjoint(found.names)
    shares = found.values.mean(axis=1)
    assert (shares >= 0.02).all()
    assert (shares <= 0.98).all()
    assert len(found.names) + len(found.left_out) == 4 + 4 + 36 + 1


def test_holes_are_those_of_the_digits_for_most_images_of_mnist():
    test = probe.load_dataset("mnist").test.take(slice(0, 600))
    n_holes = image_concepts(test.images).n_holes
    expected = {0: 1, 1: 0, 3: 0, 5: 0, 6: 1, 7: 0, 8: 2, 9: 1}
    known = np.isin(test.labels, list(expected))
    right = [expected[k] for k in test.labels[known].tolist()] == n_holes[known]
    assert right.mean() > 0.87


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 2, 9), np.float32), "3 x 3 pixels or more"),
        (np.zeros((4, 9), np.float32), "must have shape"),
        (np.zeros((4, 9, 9), np.uint8), "divide uint8"),
    ],
)
def test_what_is_no_image_is_refused(images, message):
    with pytest.raises(probe.InputError, match=message):
        image_concepts(images)


def weighted(present, values, classes):
    """Return scikit-learn's areas of the classes, by their pairs."""
    areas, pairs = [], []
    for k in np.unique(classes):
        there = classes == k
        n = present[there].sum() * (~present[there]).sum()
        if n:
            areas.append(roc_auc_score(present[there], values[there]))
            pairs.append(n)
    return np.average(areas, weights=pairs)


def test_areas_are_those_of_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    values = np.maximum(rng.normal(size=(80, 5)), 0).round(1)
    present = rng.random((4, 80)) < 0.3
    classes = rng.integers(3, size=80)
    found = aurocs(values, present, classes)
    for unit in range(5):
        for k in range(4):
            assert found[unit, k] == pytest.approx(weighted(present[k], values[:, unit], classes))


def test_the_best_axis_of_rotations_is_that_of_a_plain_loop():
    rng = np.random.default_rng(0)
    basis, present = rng.normal(size=(300, 4)), rng.random((3, 300)) < 0.4
    classes = rng.choice([0, 2, 5], 300)
    found = largest_of_rotated(basis, present, classes, 7, np.random.default_rng(5))
    q, r = np.linalg.qr(np.random.default_rng(5).standard_normal((7, 4, 4)))
    for k in range(7):
        rotated = basis @ (q[k] * np.sign(np.diag(r[k]))).T
        by_hand = np.abs(aurocs(rotated, present, classes) - 0.5).max(axis=0)
        np.testing.assert_allclose(found[k], by_hand, atol=2e-4)


def test_a_layer_of_noise_stays_below_the_permuted_limit():
    rng = np.random.default_rng(1)
    classes, beyond = np.repeat(np.arange(4), 50), 0
    # Concepts that depend on the class, as units do: neither tells the other within classes.
    shares = np.linspace(0.1, 0.5, 6)[:, None] * np.array([0.4, 1, 1.2, 1.8])[classes]
    present = rng.random((6, 200)) < shares
    for _ in range(60):
        values = rng.normal(size=(200, 5)) + 2 * classes[:, None]
        drawn = largest_of_permuted(values, present, classes, 99, rng)
        limit = np.quantile(drawn, 0.95, method="higher")
        deviation = chance_deviations(present, classes)
        beyond += bool((np.abs(aurocs(values, present, classes) - 0.5) / deviation > limit).any())
    assert beyond <= stats.binom.ppf(0.999, 60, 0.05)


def planted(split, activation="sigmoid", scale=1.0, rotated=False):
    """Return a network whose unit 3 is the best linear reader of these loops, among units with random weights."""
    rng = np.random.default_rng(3)
    images = split.test.images
    pixels = images.reshape(len(images), -1).astype(np.float64)
    found = image_concepts(images)
    loops = found.values[found.names.index("loop")].astype(float)
    centered = pixels.copy()
    for k in range(10):
        there = split.test.labels == k
        centered[there] -= centered[there].mean(axis=0)
        loops[there] -= loops[there].mean()
    reader = np.linalg.solve(centered.T @ centered + np.eye(pixels.shape[1]), centered.T @ loops)
    kernel = rng.normal(size=(pixels.shape[1], 12)) / 8
    kernel[:, 3] = reader * scale * (pixels @ kernel).std() / (pixels @ reader).std()
    if rotated:
        kernel = kernel @ stats.ortho_group.rvs(12, random_state=0)
    layers = (
        Flatten("flatten"),
        Dense(
            "hidden",
            kernel.astype(np.float32),
            (-pixels.mean(axis=0) @ kernel).astype(np.float32),
            activation,
        ),
        Dense("output", rng.normal(size=(12, 10)).astype(np.float32), np.zeros(10, np.float32), "softmax"),
    )
    return Network(layers, images.shape[1:])


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_a_planted_loop_detector_is_unit_aligned_and_after_a_rotation_it_is_not(digits, activation, scale):
    found = concepts(planted(digits, activation, scale), digits, n_permutations=99)
    loop, layer = found.names.index("loop"), found.layers[0]
    assert layer.best_units[loop] == 3
    assert layer.aligned(0.05)[loop]
    turned = concepts(planted(digits, activation, scale, rotated=True), digits, n_permutations=99)
    assert not turned.layers[0].aligned(0.05)[loop]


def test_layers_at_initialization_are_called_unit_aligned_no_more_often_than_alpha(digits):
    rng = np.random.default_rng(0)
    classes, every = digits.test.labels, image_concepts(digits.test.images).values
    present = every[Sample(digits.test.images, classes, every).mixed(3).sum(axis=1) >= 2]
    called, small = 0, []
    for activation in ("sigmoid", "relu"):
        for _ in range(6):
            kernels = [
                rng.normal(size=shape).astype(np.float32) / 6 for shape in ((64, 10), (10, 10), (10, 10))
            ]
            layers = [
                Dense(f"d{k}", kernel, np.zeros(10, np.float32), activation)
                for k, kernel in enumerate(kernels)
            ]
            values = layer_values(Network((Flatten("f"), *layers), (8, 8)), ("d0", "d1"), digits.test.images)
            for each in values.values():
                best = np.abs(aurocs(each.basis, present, classes) - 0.5).max(axis=0)
                p = p_values(best, largest_of_rotated(each.basis, present, classes, 199, rng))
                small.append((p <= 0.05).mean())
                called += bool((stats.false_discovery_control(p) <= 0.05).any())
    assert np.mean(small) < 0.08
    assert called <= stats.binom.ppf(0.999, 24, 0.05)


def test_probes_read_what_is_there_and_nothing_else():
    rng = np.random.default_rng(0)
    present = rng.random((2, 600)) < 0.5
    features = rng.normal(size=(600, 40))
    features[:, 7] += 2 * present[0]
    sample = Sample(features, rng.integers(4, size=600), present)
    there, absent = sample.read_off(features)
    assert there > 0.85
    assert 0.4 < absent < 0.6
    assert sample.read_off(np.ones((600, 3))).tolist() == [0.5, 0.5]


def test_what_the_class_tells_is_nothing_within_classes():
    rng = np.random.default_rng(0)
    classes = rng.integers(4, size=800)
    present = rng.random((1, 800)) < np.array([0.05, 0.1, 0.9, 0.95])[classes]
    features = np.eye(4)[classes] + 0.1 * rng.normal(size=(800, 4))
    sample = Sample(features, classes, present)
    assert sample.of_class[0] > 0.9
    assert sample.overall(features)[0] > 0.9
    assert 0.4 < sample.read_off(features)[0] < 0.6


def test_units_that_were_cut_off_cost_what_a_forward_pass_by_hand_says(trained, digits):
    found = concepts(trained, digits, n_permutations=19, n_rotations=19, n_images=len(digits.test))
    hidden = trained.activations(digits.test.images)["hidden_2"].astype(np.float64)
    output = trained.dense_layers[-1]

    def judged(values):
        logits = values @ output.kernel + output.bias
        correct = logits[np.arange(len(logits)), digits.test.labels]
        return (logits.argmax(axis=1) == digits.test.labels), np.log(np.exp(logits).sum(axis=1)) - correct

    right, cost = judged(hidden)
    layer = found.layer("hidden_2")
    for unit in (0, 4):
        cut = hidden.copy()
        cut[:, unit] = hidden[:, unit].mean()
        now_right, now_cost = judged(cut)
        assert layer.cost_added[unit] == pytest.approx((now_cost - cost).mean(), abs=1e-4)
        assert layer.accuracy_lost[unit] == pytest.approx(right.mean() - now_right.mean(), abs=1e-9)
        best = layer.selectivity[unit].argmax()
        every = image_concepts(digits.test.images)
        has = every.values[every.names.index(found.names[best])]
        assert layer.cost_added_with[unit] == pytest.approx((now_cost - cost)[has].mean(), abs=1e-4)
        assert layer.cost_added_without[unit] == pytest.approx((now_cost - cost)[~has].mean(), abs=1e-4)


def test_p_values_and_limits_follow_from_what_is_kept(trained, digits):
    found = concepts(trained, digits, n_permutations=49, n_rotations=99)
    for layer in found.layers:
        np.testing.assert_allclose(
            layer.aligned_p, (1 + (layer.rotated_best >= layer.basis_best - 1e-6).sum(axis=0)) / 100
        )
        np.testing.assert_allclose(layer.aligned_q, stats.false_discovery_control(layer.aligned_p))
        assert layer.untrained_best.shape == (20, len(found.names))
        # Sigmoid units: activations have the order of their pre-activations.
        np.testing.assert_allclose(layer.basis_best, layer.selectivity.max(axis=0), atol=1e-3)
        assert layer.permuted_limit.argmax() == found.shares.argmin()


def test_the_same_seed_gives_the_same_result_and_a_file_keeps_it(trained, digits, tmp_path):
    one, two = (concepts(trained, digits, n_permutations=19, n_rotations=19, seed=4) for _ in range(2))
    probe.save_result(one, tmp_path / "concepts.h5")
    kept = probe.load_result(tmp_path / "concepts.h5", type(one))
    for other in (two, kept):
        for first, second in zip(one.layers, other.layers, strict=True):
            np.testing.assert_array_equal(first.rotated_best, second.rotated_best)
            np.testing.assert_array_equal(first.aligned_q, second.aligned_q)
            np.testing.assert_array_equal(first.cost_added, second.cost_added)


def convolutional():
    rng = np.random.default_rng(0)

    def values(*shape):
        return rng.normal(size=shape).astype(np.float32)

    layers = (
        Conv2D("conv_1", values(3, 3, 1, 4), np.zeros(4, np.float32), activation_name="relu", padding="same"),
        Conv2D("conv_2", values(3, 3, 4, 4), np.zeros(4, np.float32), activation_name="relu", padding="same"),
        Add("sum"),
        GlobalAveragePooling2D("mean"),
        Dense("output", values(4, 10), np.zeros(10, np.float32), "softmax"),
    )
    wiring = ((0,), ("conv_1",), ("conv_1", "conv_2"), ("sum",), ("mean",))
    return Network(layers, (8, 8, 1), wiring=wiring)


def test_channels_of_graphs_are_measured_by_their_mean(digits):
    network = convolutional().with_input_shape((8, 8))
    assert hidden_layers(network) == ("conv_1", "conv_2")
    found = concepts(network, digits, n_permutations=19, n_rotations=19, n_images=len(digits.test))
    maps = network.activations(digits.test.images)["conv_1"].mean(axis=(1, 2))
    every = image_concepts(digits.test.images)
    present = every.values[every.names.index(found.names[0])]
    for unit in range(4):
        area = weighted(present, maps[:, unit], digits.test.labels)
        assert found.layers[0].auroc[unit, 0] == pytest.approx(area, abs=1e-3)
    assert np.isfinite(found.layers[0].cost_added).all()
    values = layer_values(network, ("conv_1",), digits.test.images)["conv_1"]
    assert values.features.shape == (len(digits.test), 4 * 4 * 4)
    cells = network.activations(digits.test.images)["conv_1"]
    np.testing.assert_allclose(values.features[0, :4], cells[0, :2, :2].mean(axis=(0, 1)), rtol=1e-5)


def test_an_activation_that_is_a_layer_of_its_own_is_meant():
    def dense(name, n_in, activation="linear"):
        return Dense(name, np.ones((n_in, 3), np.float32), np.zeros(3, np.float32), activation)

    norm = BatchNormalization("norm", *(np.ones(3, np.float32) for _ in range(4)))
    layers = (
        dense("a", 4),
        norm,
        ActivationLayer("a_relu", "relu"),
        dense("b", 3),
        dense("c", 3, "tanh"),
        dense("output", 3),
        ActivationLayer("softmax", "softmax"),
    )
    assert hidden_layers(Network(layers, (4,))) == ("a_relu", "b", "c")


def test_dead_units_and_layers_tell_nothing(digits):
    network = planted(digits, "relu")
    dense = network.dense_layers[0]
    bias = dense.bias.copy()
    bias[:] = -1e3
    layers = (network.layers[0], replace(dense, bias=bias), network.layers[2])
    found = concepts(Network(layers, (8, 8)), digits, n_permutations=19, n_rotations=19)
    assert (found.layers[0].auroc == 0.5).all()
    assert not found.layers[0].aligned(0.05).any()
    assert (found.layers[0].cost_added == 0).all()


def test_verdicts_are_about_this_network_and_controls_stand_beside(trained, digits):
    controls = quick_controls(trained, digits, 6)
    settings = {"n_permutations": 19, "n_rotations": 19}
    alone, found = (concepts(trained, digits, controls=these, **settings) for these in (None, controls))
    assert [verdict.key for verdict in found.verdicts] == ["loops", "loops-layer", "edges-layer"]
    assert [verdict.is_primary for verdict in found.verdicts] == [True, False, False]
    for one, other in zip(alone.verdicts, found.verdicts, strict=True):
        assert one.agreement is None
        assert len(other.agreement.decisions) == 6
        assert (one.statistic, one.decision, one.sentence) == (
            other.statistic,
            other.decision,
            other.sentence,
        )
        assert other.subject == "network"
    other = concepts(controls.trained.network(2), digits, **settings)
    for one, again in zip(found.verdicts, other.verdicts, strict=True):
        assert one.agreement.statistics[2] == pytest.approx(again.statistic)
    assert found.loops.control_auroc[2] == pytest.approx(other.loops.chosen_auroc.estimate)


def test_reinitialized_networks_are_no_loop_detectors(trained, digits):
    start = reinitialized(trained, rng=np.random.default_rng(0))
    found = concepts(start, digits, n_permutations=19)
    assert found.layers[0].aligned(0.05).sum() <= 1
    assert all(verdict.decision != "supported" for verdict in found.verdicts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_images": 50}, "n_images must be an integer of at least 100"),
        ({"n_rotations": 5}, "n_rotations must be"),
        ({"alpha": 0.7}, "alpha must be"),
        ({"layers": ["hidden_9"]}, "layer 'hidden_9' does not exist"),
    ],
)
def test_arguments_out_of_range_are_refused(trained, digits, arguments, message):
    with pytest.raises(probe.InputError, match=message):
        concepts(trained, digits, **arguments)


def test_networks_without_hidden_layers_or_of_other_images_are_refused(trained, digits):
    output = Dense("output", np.ones((64, 10), np.float32), np.zeros(10, np.float32), "softmax")
    alone = Network((Flatten("flatten"), output), (8, 8))
    with pytest.raises(probe.InputError, match="hidden layer"):
        concepts(alone, digits)
    other = Network((Flatten("flatten"), output), (4, 16))
    with pytest.raises(probe.InputError, match="takes inputs of shape"):
        concepts(other, digits)
