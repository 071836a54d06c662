from dataclasses import replace

import numpy as np
import pytest
from recipes_of_tests import quick_controls

import probe
from probe.analyses.structure import STATISTICS, primary_estimates, weight_structure
from probe.analyses.structure.analysis import RANDOM
from probe.analyses.structure.edges import edge_like, fits
from probe.analyses.structure.meter import Meter, gabors, meter_of
from probe.analyses.structure.nulls import Draws, Start, p_values, planted_units, quiet_directions, scaled
from probe.analyses.structure.view import View
from probe.controls import NetworkGroup
from probe.layers import Conv2D, Dense, Flatten
from probe.network import Network
from probe.population import initial_population
from probe.stats import count_estimate

RNG = np.random.default_rng
EVERYWHERE = np.ones((12, 12), bool)


def measured(images, active=EVERYWHERE):
    return dict(zip(STATISTICS, Meter(active)(np.asarray(images)[None])[0], strict=True))


def network_of(images):
    """Return a network whose first layer has these weight images (n_units, height, width)."""
    flat = np.asarray(images, np.float32).reshape(len(images), -1)
    layers = (
        Flatten("flatten"),
        Dense("hidden", flat.T, np.zeros(len(flat), np.float32), "sigmoid"),
        Dense("output", np.ones((len(flat), 10), np.float32), np.zeros(10, np.float32), "softmax"),
    )
    return Network(layers, images[0].shape)


def blobs(n, rng, size=28):
    """Return round blobs (n, size, size) of any sign, width and place."""
    rows, columns = np.mgrid[:size, :size]
    places, widths = rng.uniform(0.3 * size, 0.7 * size, (n, 2)), rng.uniform(0.06, 0.2, n) * size
    far = np.square(rows - places[:, 0, None, None]) + np.square(columns - places[:, 1, None, None])
    return np.exp(-far / (2 * np.square(widths))[:, None, None]) * rng.choice([-1, 1], n)[:, None, None]


def edges(n, rng, size=28):
    """Return Gabor functions (n, size, size) at random."""
    sigma = rng.uniform(0.07, 0.14, n) * size
    places = rng.uniform(0.3 * size, 0.7 * size, (2, n))
    angles, phases = rng.uniform(0, np.pi, n), rng.uniform(0, 2 * np.pi, n)
    return gabors((size, size), *places, angles, sigma * rng.uniform(1.5, 3, n), sigma, phases)


def mixed(images, share, rng):
    """Return images with noise that has the rest of their variance."""
    noise, everywhere = rng.normal(size=images.shape), np.ones(images.shape[1:], bool)
    return scaled(images, np.sqrt(share), everywhere) + scaled(noise, np.sqrt(1 - share), everywhere)


@pytest.fixture(scope="module")
def mnist():
    full = probe.load_dataset("mnist")
    return probe.Split(full.train.take(slice(0, 4000)), full.test.take(slice(0, 500)), "mnist")


@pytest.fixture(scope="module")
def controls(trained, digits):
    return quick_controls(trained, digits, 6, epochs=20)


@pytest.fixture(scope="module")
def found(trained, digits, controls):
    return weight_structure(trained, digits, controls=controls, n_null=199)


def test_a_chessboard_has_neighbors_that_are_all_opposite():
    board = np.indices((12, 12)).sum(axis=0) % 2 * 2.0 - 1
    found = measured(board)
    assert found["moran"] == pytest.approx(-1)
    # Neighbors always differ by 2, two pixels at random by 2 in 72 of 143 pairs.
    assert found["total_variation"] == pytest.approx(143 / 72)
    assert found["sparsity"] == pytest.approx(0)


def test_morans_i_is_that_of_its_definition():
    image = RNG(0).normal(size=(12, 12))
    active = RNG(1).random((12, 12)) > 0.3
    mean, top, pairs = image[active].mean(), 0.0, 0
    for row, column in np.argwhere(active):
        for down, right in ((1, 0), (0, 1)):
            there = row + down, column + right
            if max(there) < 12 and active[there]:
                top += (image[row, column] - mean) * (image[there] - mean)
                pairs += 1
    expected = top / pairs / np.square(image[active] - mean).mean()
    assert measured(image.astype(np.float32), active)["moran"] == pytest.approx(expected, rel=1e-4)


def test_speckle_of_any_family_and_scale_looks_the_same():
    for draw in (RNG(0).uniform, RNG(0).normal):
        values = Meter(EVERYWHERE)(draw(size=(600, 12, 12)) * 1e3).mean(axis=0)
        assert values[:3] == pytest.approx([0, 1, 0], abs=0.1)


def test_a_spectrum_of_a_known_slope_is_measured():
    rows, columns = (np.fft.fftfreq(32) * 32 for _ in range(2))
    distance = np.maximum(np.hypot(rows[:, None], columns[None]), 0.5)
    spectrum = np.exp(2j * np.pi * RNG(0).random((200, 32, 32))) / distance
    images = np.fft.ifft2(spectrum).real
    slopes = Meter(np.ones((32, 32), bool))(images)[:, STATISTICS.index("spectral_slope")]
    assert slopes.mean() == pytest.approx(-2, abs=0.15)


def test_a_gabor_function_is_fitted_also_between_the_banks_own():
    true = gabors((28, 28), [13.2, 9.7], [14.6, 17.1], [0.33, 2.1], [7.3, 10.1], [2.9, 3.4], [0.7, 2.2])
    fits = Meter(np.ones((28, 28), bool))(true)[:, STATISTICS.index("gabor")]
    assert (fits > 0.75).all()
    noise = Meter(np.ones((28, 28), bool))(RNG(0).normal(size=(20, 28, 28)))[:, STATISTICS.index("gabor")]
    assert (noise < 0.06).all()


def test_what_is_at_inactive_pixels_does_not_count():
    active = np.zeros((12, 12), bool)
    active[3:9, 2:10] = True
    image = RNG(0).normal(size=(12, 12)).astype(np.float32)
    other = np.where(active, image, 1e4)
    for name, value in measured(image, active).items():
        assert measured(other, active)[name] == pytest.approx(value, rel=1e-4), name


def test_equal_weights_have_no_structure_and_are_never_found():
    values = Meter(EVERYWHERE)(np.full((1, 12, 12), 3.0))
    assert np.isnan(values).all()
    null = Meter(EVERYWHERE)(RNG(0).normal(size=(99, 12, 12)))
    assert p_values(values, null)[1] == [1]
    explained = fits(np.full((1, 12, 12), 3.0), values, Meter(EVERYWHERE))
    assert not edge_like(explained).any()


def test_p_values_are_ranks_among_the_draws():
    rng = RNG(0)
    null, units = rng.normal(size=(99, 5)), rng.normal(size=(1, 5))
    signs = np.array([1, -1, -1, 1, 1])
    by_hand = (1 + (null * signs >= units * signs).sum(axis=0)) / 100
    np.testing.assert_allclose(p_values(units, null)[0][0], by_hand)


def test_the_combined_test_is_exact_where_units_are_draws_of_the_null():
    """Over all choices of the unit among 100 exchangeable ones, p <= k/100 for k of them at most."""
    pool = RNG(3).normal(size=(100, 5))
    p = np.array([p_values(pool[k : k + 1], np.delete(pool, k, axis=0))[1][0] for k in range(100)])
    for level in (0.05, 0.1, 0.5):
        assert (p <= level).mean() <= level + 1e-9
    assert (p <= 0.1).mean() >= 0.05


@pytest.mark.parametrize("kind", ["glorot", "normal"])
@pytest.mark.parametrize("size", [12, 28])
def test_networks_before_training_are_rejected_as_often_as_alpha_says(kind, size, mnist):
    """Nobody says how their weights were drawn; in the middle of images no pixel is still."""
    low = (28 - size) // 2
    train = mnist.train.images[:2000, low : low + size, low : low + size]
    names = tuple("0123456789")
    starts = initial_population(probe.MLP(initialization=kind), (size, size), names, rngs=RNG(0).spawn(24))
    active = (train != train[:1]).any(axis=0)
    meter = meter_of(active)
    draws, rejected = Draws(train, meter, 399, RNG(1)), []
    for network in starts.networks():
        images = View.of(network, "first").images(network)
        start = Start.of(images, active, "weights", draws.quiet)
        rejected.append(p_values(meter(images), draws.measured(start, 0))[1] <= 0.05)
    # 384 units: 2.7 standard errors of a share of 5%.
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.03)


def test_planted_edges_are_found_and_speckle_beside_them_is_not(digits):
    rng = RNG(0)
    edges = gabors((8, 8), [3, 4, 2], [4, 3, 4], [0.2, 1.3, 2.4], 4.0, 1.3, [0.1, 1.0, 2.0])
    network = network_of([*edges, *rng.normal(size=(5, 8, 8))])
    null = weight_structure(network, digits, n_null=499).null("initialization")
    assert (null.q_values[:3] <= 0.05).all()
    assert (null.q_values[3:] > 0.05).all()


def test_combinations_of_images_have_structure_but_not_more_than_combinations_of_images(digits):
    images = digits.train.images.reshape(len(digits.train), -1)
    network = network_of((RNG(0).normal(size=(40, len(images))) @ images).reshape(-1, 8, 8))
    found = weight_structure(network, digits, n_null=299)
    assert (found.null("initialization").p_values <= 0.05).mean() > 0.9
    assert (found.null("data-span").p_values <= 0.05).mean() < 0.2


def test_units_are_found_as_they_deserve_on_mnist(mnist):
    """What the video says of the network, of first layers that are known: (almost random, edges)."""
    rng, size = RNG(1), (16, 28, 28)
    sums = (rng.normal(size=(16, 4000)) @ mnist.train.images.reshape(4000, -1)).reshape(size)
    means = np.stack([mnist.train.images[mnist.train.labels == k].mean(axis=0) for k in range(10)])
    expected = {
        "uniform start": (rng.uniform(-0.1, 0.1, size), "supported", "refuted"),
        "normal start": (rng.normal(size=size), "supported", "refuted"),
        "start and random sums of images": (
            mixed(sums, 0.7, rng), "supported", "refuted"
        ),
        "edges": (edges(16, rng), "refuted", "supported"),
        "edges under noise": (mixed(edges(16, rng), 0.75, rng), "refuted", "supported"),
        "half edges": (mixed(edges(16, rng), 0.5, rng), "refuted", "refuted"),
        "blobs": (blobs(16, rng), "refuted", "refuted"),
        "blobs under noise": (mixed(blobs(16, rng), 0.8, rng), "refuted", "refuted"),
        "class means": (means, "refuted", "refuted"),
        "class means less their mean": (means - mnist.train.images.mean(axis=0), "refuted", "refuted"),
    }  # fmt: skip
    for name, (images, random, edge) in expected.items():
        estimates = primary_estimates(network_of(images), mnist)
        assert RANDOM.decision(estimates["random"]) == random, name
        assert estimates["edges"].decision(0.5) == edge, name


@pytest.mark.parametrize("share", [1.0, 0.8, 0.7])
def test_gabor_fits_are_the_share_of_variance_that_was_planted(share):
    meter, rng = meter_of(np.ones((28, 28), bool)), RNG(4)
    images = edges(12, rng) if share == 1 else mixed(edges(12, rng), share, rng)
    explained = fits(images, meter(images), meter)
    np.testing.assert_allclose(explained[:, 0], share, atol=0.04)
    assert edge_like(explained).mean() > 0.8


def test_a_gaussian_is_no_edge_however_well_a_gabor_function_fits():
    meter = meter_of(np.ones((28, 28), bool))
    images = blobs(12, RNG(0))
    explained = fits(images, meter(images), meter)
    assert explained[:, 0].max() > 0.85
    tested = explained[np.isfinite(explained[:, 1])]
    assert (tested[:, 1] > 0.99).all()
    assert not edge_like(explained).any()


def test_the_verdicts_are_about_the_network_and_its_controls_stand_beside_it(
    found, trained, digits, controls
):
    alone = weight_structure(trained, digits, n_null=199)
    assert [verdict.key for verdict in alone.verdicts] == ["random", "edges"]
    for one, other in zip(alone.verdicts, found.verdicts, strict=False):
        assert (one.decision, one.statistic) == (other.decision, other.statistic)
        assert one.subject == other.subject == "network"
        assert one.agreement is None and len(other.agreement.decisions) == 6
        assert one.is_primary
    structured = (found.null("data-span").p_values <= 0.05).sum()
    assert found.verdict("random").interval == count_estimate(int(structured), 12).interval
    assert found.verdict("edges").interval == count_estimate(int(found.is_edge.sum()), 12).interval
    assert f"{structured} of 12 units" in found.verdict("random").sentence


def test_controls_are_measured_as_the_network_is(trained, digits, controls):
    same = replace(controls, trained=NetworkGroup((trained,) * 6))
    found = weight_structure(trained, digits, controls=same, n_null=199)
    for key in ("random", "edges"):
        verdict = found.verdict(key)
        assert np.abs(np.array(verdict.agreement.statistics) - verdict.statistic).max() <= 1 / 12 + 1e-9
        assert not verdict.agreement.is_unusual


def test_little_is_not_made_of_finding_nothing_without_power(digits):
    """On 3 x 3 pixels a Gabor function fits anything, and nothing can be told from chance."""
    kernel = RNG(0).normal(size=(3, 3, 1, 40)).astype(np.float32)
    layers = (
        Conv2D("conv", kernel, np.zeros(40, np.float32)),
        Flatten("flatten"),
        Dense("output", np.ones((6 * 6 * 40, 10), np.float32), np.zeros(10, np.float32)),
    )
    found = weight_structure(Network(layers, (8, 8, 1)).with_input_shape((8, 8)), digits, n_null=199)
    assert found.edge_power < 0.8 and found.null("data-span").power < 0.8
    for verdict in found.verdicts:
        assert verdict.statistic < 0.3
        assert verdict.decision == "inconclusive"


def test_a_deeper_layer_is_measured_in_its_expanded_weights(trained, digits):
    found = weight_structure(trained, digits, layer="hidden_2", n_null=49)
    first, second = (layer.kernel for layer in trained.dense_layers[:2])
    assert found.kind == "expanded"
    np.testing.assert_allclose(found.images.reshape(9, -1), (first @ second).T, rtol=1e-4, atol=1e-5)


def test_kernels_of_a_first_convolution_are_measured_too(digits):
    rng = RNG(0)
    edge = gabors((5, 5), 2, 2, 0.3, 4.0, 1.4, 0.5)
    kernel = np.moveaxis(np.stack([edge, *rng.normal(size=(6, 5, 5))]), 0, -1)[:, :, None, :].astype(
        np.float32
    )
    layers = (
        Conv2D("conv", kernel, np.zeros(7, np.float32), activation_name="relu"),
        Flatten("flatten"),
        Dense("output", np.ones((4 * 4 * 7, 10), np.float32), np.zeros(10, np.float32), "softmax"),
    )
    network = Network(layers, (8, 8, 1)).with_input_shape((8, 8))
    found = weight_structure(network, digits, n_null=499)
    assert found.kind == "kernels"
    assert found.images.shape == (7, 5, 5)
    assert found.null("initialization").p_values[0] <= 0.02
    assert found.null("initialization").p_values[1:].min() > 0.005


def test_layers_without_images_are_refused_in_words(digits, trained):
    with pytest.raises(probe.InputError, match="layer 'nowhere' does not exist"):
        weight_structure(trained, digits, layer="nowhere")
    with pytest.raises(probe.InputError, match="must be dense or a convolution, got 'flatten'"):
        weight_structure(trained, digits, layer="flatten")
    with pytest.raises(probe.InputError, match="n_null must be"):
        weight_structure(trained, digits, n_null=5)
    kernel = np.ones((2, 2, 1, 3), np.float32)
    layers = (
        Conv2D("conv", kernel, np.zeros(3, np.float32)),
        Flatten("flatten"),
        Dense("output", np.ones((147, 10), np.float32), np.zeros(10, np.float32)),
    )
    with pytest.raises(probe.InputError, match="3 x 3 at least, but those of 'conv' are 2 x 2"):
        weight_structure(Network(layers, (8, 8, 1)).with_input_shape((8, 8)), digits)


def test_planted_units_are_edges_beside_what_they_are_given():
    rest = RNG(1).normal(size=(50, 12, 12))
    planted = planted_units(EVERYWHERE, rest, 0.8, RNG(0))
    assert planted.shape == (50, 12, 12)
    values = Meter(EVERYWHERE)(planted)
    assert fits(planted, values, Meter(EVERYWHERE))[:, 0].mean() == pytest.approx(0.8, abs=0.08)


def padded(digits):
    """Return digits in a frame of pixels that are never lit."""
    frame = ((0, 0), (2, 2), (2, 2))
    parts = (replace(part, images=np.pad(part.images, frame)) for part in (digits.train, digits.test))
    return probe.Split(*parts, "framed digits")


def test_the_nulls_do_not_depend_on_the_scale_of_the_weights(digits):
    split = padded(digits)
    sums = (RNG(0).normal(size=(8, len(split.train))) @ split.train.images.reshape(-1, 144)).reshape(
        -1, 12, 12
    )
    images = mixed(sums, 0.7, RNG(1))
    small, large = (weight_structure(network_of(images * scale), split, n_null=99) for scale in (0.01, 30))
    for one, other in zip(small.nulls, large.nulls, strict=True):
        np.testing.assert_allclose(one.p_values, other.p_values, atol=0.011)


@pytest.mark.parametrize("family", ["uniform", "normal"])
def test_what_was_learned_and_how_weights_started_is_seen_at_pixels_that_never_vary(family):
    active = np.zeros((28, 28), bool)
    active[4:24, 4:24] = True
    shares = RNG(2).uniform(0.2, 0.95, 400)
    shape, sizes = (400, 28, 28), np.sqrt(1 - shares)[:, None, None]
    drawn = (
        RNG(0).uniform(-np.sqrt(3), np.sqrt(3), shape) if family == "uniform" else RNG(0).normal(size=shape)
    )
    learned = np.where(active, RNG(1).normal(size=shape), 0)
    # Expanded weights have starts of a size of their own.
    start = Start.of(sizes * drawn + np.sqrt(shares)[:, None, None] * learned, active, "expanded", list)
    assert np.abs(start.shares - shares).mean() < 0.05
    kurtosis = np.mean(start.values**4) / np.mean(start.values**2) ** 2
    assert kurtosis == pytest.approx(1.8 if family == "uniform" else 3, abs=0.05)


def test_what_was_learned_is_seen_where_images_have_no_energy(mnist):
    """Where all pixels vary: gradient descent adds up images, which hardly moves weights along some directions."""
    train = mnist.train.images[:, 8:20, 8:20]
    sums = (RNG(0).normal(size=(16, len(train))) @ train.reshape(len(train), -1)).reshape(16, 12, 12)
    quiet = quiet_directions(train)
    np.testing.assert_allclose(quiet @ quiet.T, np.eye(len(quiet)), atol=1e-9)
    for share in (0.3, 0.9):
        found = Start.of(mixed(sums, share, RNG(1)), EVERYWHERE, "weights", lambda: quiet)
        assert found.shares.mean() == pytest.approx(share, abs=0.05)


def test_of_large_images_the_middle_shows_how_much_was_learned():
    train = RNG(0).random((30, 40, 50, 3)).astype(np.float32)
    assert quiet_directions(train).shape == (97, 18 * 18 * 3)


def test_draws_have_the_shares_that_they_should(digits):
    active = (digits.train.images != digits.train.images[:1]).any(axis=0)
    draws = Draws(digits.train.images, meter_of(active), 20, RNG(0))
    start = Start(np.sort(RNG(1).normal(size=500)).astype(np.float32), np.zeros(1), 0.0)
    none, some, all_of_it = (draws.images(start, level) for level in (0, 6, 20))

    def unit(images):
        return scaled(images, 1.0, active)

    np.testing.assert_allclose(some, np.sqrt(0.7) * unit(none) + np.sqrt(0.3) * unit(all_of_it), atol=1e-5)
    flat = digits.train.images.reshape(len(digits.train), -1)
    coefficients, *_ = np.linalg.lstsq(flat.T, all_of_it.reshape(20, -1).T, rcond=None)
    np.testing.assert_allclose(coefficients.T @ flat, all_of_it.reshape(20, -1), atol=1e-4)
    assert draws.images(start, 6, block=1).shape == some.shape
    assert np.abs(draws.images(start, 6, block=1) - some).max() > 0.1


@pytest.mark.parametrize("layer", ["hidden_1", "hidden_2", "output"])
def test_start_and_learned_parts_add_up_to_the_trained_images(controls, layer):
    one, start = controls.trained.network(0), controls.untrained.network(0)
    view = View.of(one, layer)
    before, learned = view.parts(one, start)
    np.testing.assert_allclose(before + learned, view.images(one), atol=1e-4)
    still = (probe.load_dataset("digits").train.images == 0).all(axis=0)
    assert np.abs(learned[:, still]).max() < 1e-5
    if layer == "hidden_1":
        np.testing.assert_array_equal(before, view.images(start))


def test_true_and_random_labels_are_compared_on_the_same_images(trained, digits, controls):
    same = replace(controls, random_label=controls.few_labels)
    found = weight_structure(trained, digits, controls=same, n_null=49).verdict("smoother-than-random-labels")
    assert (found.subject, found.statistic, found.decision) == ("kind", 0, "inconclusive")
    by_hand = []
    for k in range(6):
        start = controls.untrained.network(k)
        view = View.of(start, "first")
        meter = Meter((digits.train.images != digits.train.images[:1]).any(axis=0))
        true, random = (
            np.nanmean(meter(view.images(group.network(k)) - view.images(start))[:, 0])
            for group in (controls.few_labels, controls.random_label)
        )
        by_hand.append(true - random)
    found = weight_structure(trained, digits, controls=controls, n_null=49).verdict(
        "smoother-than-random-labels"
    )
    assert found.statistic == pytest.approx(np.mean(by_hand), abs=1e-5)
    assert not found.is_primary


def test_networks_that_did_not_learn_random_labels_say_nothing_of_them(trained, digits, controls):
    summary = replace(controls.summary, memorized=np.full(6, 0.5))
    found = weight_structure(trained, digits, controls=replace(controls, summary=summary), n_null=49)
    verdict = found.verdict("smoother-than-random-labels")
    assert verdict.decision == "inconclusive" and np.isnan(verdict.statistic)
    assert "put out 50%" in verdict.sentence


def test_of_deeper_layers_the_video_says_nothing(trained, digits):
    found = weight_structure(trained, digits, layer="hidden_2", n_null=49)
    assert not any(verdict.is_primary for verdict in found.verdicts)


def test_networks_of_other_layers_are_not_asked(trained, digits, controls):
    summary = replace(controls.summary, copies=False)
    found = weight_structure(trained, digits, controls=replace(controls, summary=summary), n_null=49)
    assert [verdict.agreement for verdict in found.verdicts] == [None, None]


def test_kernels_of_three_by_three_pixels_are_measured_without_a_slope(digits):
    kernel = RNG(0).normal(size=(3, 3, 1, 40)).astype(np.float32)
    kernel[..., 0] = np.array([[1, 0, -1]] * 3)[..., None]
    layers = (
        Conv2D("conv", kernel, np.zeros(40, np.float32)),
        Flatten("flatten"),
        Dense("output", np.ones((6 * 6 * 40, 10), np.float32), np.zeros(10, np.float32)),
    )
    found = weight_structure(Network(layers, (8, 8, 1)).with_input_shape((8, 8)), digits, n_null=499)
    assert np.isfinite(found.values).all()
    assert (found.values[:, STATISTICS.index("spectral_slope")] == 0).all()
    null = found.null("initialization")
    assert null.power > 0
    assert (null.p_values < 1).any() and (null.p_values[1:] <= 0.05).mean() < 0.15


def test_data_of_other_images_are_refused(digits):
    network = network_of(RNG(0).normal(size=(3, 12, 12)))
    with pytest.raises(
        probe.InputError, match=r"takes inputs of shape \(12, 12\), but the images have shape \(8, 8\)"
    ):
        weight_structure(network, digits)


def test_images_that_never_vary_are_refused(digits, trained):
    images = np.repeat(digits.train.images[:1], 50, axis=0)
    same = probe.Dataset(images, digits.train.labels[:50], digits.train.class_names)
    controls = quick_controls(trained, digits, 2, epochs=1)
    with pytest.raises(probe.InputError, match=r"must vary in at least 9 pixels .+, but they vary in 0"):
        weight_structure(trained, probe.Split(same, same, "same"), controls=controls)
