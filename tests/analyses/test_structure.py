import re
from dataclasses import replace

import numpy as np
import pytest

import probe
from probe.analyses.structure import NULLS, STATISTICS, weight_structure
from probe.analyses.structure.analysis import share_of
from probe.analyses.structure.nulls import (
    Meter,
    View,
    against,
    combinations,
    gabors,
    learned_shares,
    mixed,
    planted_units,
)
from probe.layers import Conv2D, Dense, Flatten
from probe.network import Network
from probe.population import initial_population

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


@pytest.fixture(scope="module")
def controls(trained, digits):
    return probe.control_networks(
        trained, digits, n_networks=6, config=probe.TrainingConfig(epochs=20, batch_size=20)
    )


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
    assert against("initialization", null, values, null, 0.05).p_values == [1]


def test_p_values_are_ranks_among_the_draws():
    rng = RNG(0)
    null, units = rng.normal(size=(99, 5)), rng.normal(size=(1, 5))
    found = against("initialization", null, units, null, 0.05)
    signs = np.array([1, -1, -1, 1, 1])
    by_hand = (1 + (null * signs >= units * signs).sum(axis=0)) / 100
    np.testing.assert_allclose(found.each_p_values[0], by_hand)


def test_the_combined_test_is_exact_where_units_are_draws_of_the_null():
    """Over all choices of the unit among 100 exchangeable ones, p <= k/100 for k of them at most."""
    pool = RNG(3).normal(size=(100, 5))
    p_values = np.array(
        [
            against("initialization", np.delete(pool, k, axis=0), pool[k : k + 1], pool[:1], 0.05).p_values[0]
            for k in range(100)
        ]
    )
    for level in (0.05, 0.1, 0.5):
        assert (p_values <= level).mean() <= level + 1e-9
    assert (p_values <= 0.1).mean() >= 0.05


@pytest.mark.parametrize(("kind", "size"), [("glorot", 12), ("glorot", 28), ("normal", 28)])
def test_networks_before_training_are_rejected_as_often_as_alpha_says(kind, size):
    names = tuple("0123456789")
    start = initial_population(probe.MLP(initialization=kind), (size, size), names, rngs=RNG(0).spawn(60))
    view, measure = View.of(start.network(0), "first"), Meter(np.ones((size, size), bool))
    null = measure(view.untrained(start.network(0), 499, RNG(1)))
    units = measure(view.of_population(start))
    found = against("initialization", null, units, null[:2], 0.05)
    assert 0.02 < (found.p_values <= 0.05).mean() < 0.09
    assert (found.q_values <= 0.05).mean() < 0.02


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


def test_every_null_and_statistic_has_an_effect_over_networks(found, controls):
    assert [null.name for null in found.nulls] == list(NULLS)
    assert {(effect.null, effect.statistic) for effect in found.effects} == {
        (null, statistic) for null in NULLS for statistic in STATISTICS
    }
    assert all(effect.difference.n == 6 for effect in found.effects)
    meter = Meter(found.active)
    by_hand = []
    for k in range(6):
        trained, start = (
            np.stack([u.T.reshape(-1, 8, 8) for u in [population.network(k).dense_layers[0].kernel]])[0]
            for population in (controls.trained, controls.untrained)
        )
        by_hand.append(np.nanmean(meter(trained)[:, 0]) - np.nanmean(meter(start)[:, 0]))
    effect = next(e for e in found.effects if (e.null, e.statistic) == ("initialization", "moran"))
    assert effect.difference.estimate == pytest.approx(np.mean(by_hand), abs=1e-6)


def test_verdicts_on_untrained_networks_say_that_they_are_random(trained, digits, controls):
    same = replace(controls, trained=controls.untrained)
    random, *_, edges = weight_structure(trained, digits, controls=same, n_null=199).verdicts
    assert random.decision == "supported"
    assert random.statistic == 0
    assert edges.decision != "supported"


def test_edges_are_only_denied_by_a_test_that_would_find_them(found):
    share = found.edge_share
    assert found.verdicts[-1].interval == share
    power = float(re.search(r"the test finds (\d+)%", found.verdicts[-1].sentence)[1]) / 100
    if share.high < 0.25:
        assert (found.verdicts[-1].decision == "refuted") == (power >= 0.8)


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


def test_controls_are_edges_with_noise():
    planted = planted_units(EVERYWHERE, (12, 12), 50, RNG(0))
    assert planted.shape == (50, 12, 12)
    fits = Meter(EVERYWHERE)(planted)[:, STATISTICS.index("gabor")]
    assert 0.5 < fits.mean() < 0.9


def padded(digits):
    """Return digits in a frame of pixels that are never lit."""
    frame = ((0, 0), (2, 2), (2, 2))
    parts = (replace(part, images=np.pad(part.images, frame)) for part in (digits.train, digits.test))
    return probe.Split(*parts, "framed digits")


def test_what_controls_say_does_not_depend_on_the_network_at_hand(trained, digits, controls):
    """Its scale and its start are unknown; those of the control networks are known."""
    said = []
    for network in (
        trained,
        controls.untrained.network(0),
        network_of(1e-3 * RNG(0).normal(size=(12, 8, 8))),
    ):
        found = weight_structure(network, digits, controls=replace(controls, copies=False), n_null=49)
        said.append([(verdict.decision, verdict.statistic) for verdict in found.verdicts])
    for other in said[1:]:
        for (decision, statistic), (same, about) in zip(said[0], other, strict=True):
            assert decision == same
            assert statistic == pytest.approx(about, abs=0.1)


def test_the_nulls_do_not_depend_on_the_scale_of_the_weights(digits):
    split = padded(digits)
    sums = combinations(split.train.images, 8, RNG(0))["data-span"]
    start = RNG(1).normal(size=(8, 12, 12)).astype(np.float32)
    images = mixed(start, sums, np.full(8, 0.7), EVERYWHERE)
    small, large = (weight_structure(network_of(images * scale), split, n_null=99) for scale in (0.01, 30))
    for one, other in zip(small.nulls, large.nulls, strict=True):
        np.testing.assert_allclose(one.p_values, other.p_values, atol=0.011)


def test_what_was_learned_is_measured_against_pixels_that_never_vary(trained):
    active = np.zeros((28, 28), bool)
    active[4:24, 4:24] = True
    view = View.of(network_of(RNG(0).normal(size=(2, 28, 28))), "first")
    shares = RNG(2).uniform(0.2, 0.95, 400)
    start, learned = RNG(0).normal(size=(2, 400, 28, 28)).astype(np.float32)
    images = np.where(
        active, mixed(start, learned, shares, active), start * np.sqrt(1 - shares)[:, None, None]
    )
    expanded = learned_shares(replace(view, kind="expanded"), images, start, active)
    assert np.abs(expanded - shares).mean() < 0.05
    # Where all pixels vary, networks before training are all there is to go by.
    half = np.sqrt(0.5) * (start[:50] + learned[:50])
    everywhere = np.ones((28, 28), bool)
    found = learned_shares(view, half * np.sqrt(2), start, everywhere)
    assert found == pytest.approx(np.full(50, 0.5), abs=0.1)


def test_mixtures_have_the_shares_that_they_should():
    start, learned = RNG(0).normal(size=(2, 5, 12, 12)).astype(np.float32) * np.float32(37)
    none, some, all_of_it = (mixed(start, learned, np.full(5, share), EVERYWHERE) for share in (0, 0.3, 1))
    for whole, part in ((none, start), (all_of_it, learned)):
        np.testing.assert_allclose(whole / whole[:, :1, :1], part / part[:, :1, :1], rtol=1e-3)
    np.testing.assert_allclose(some, np.sqrt(0.7) * none + np.sqrt(0.3) * all_of_it, atol=1e-5)


def test_random_sums_have_the_covariance_of_the_images(digits):
    sums = combinations(digits.train.images, 4000, RNG(0))
    flat = digits.train.images.reshape(-1, 64)
    found = np.cov(sums["gaussian"].reshape(-1, 64).T) / len(flat)
    np.testing.assert_allclose(found, np.cov(flat.T), atol=0.012)
    about_zero = sums["data-span"].reshape(-1, 64)
    np.testing.assert_allclose(
        about_zero.T @ about_zero / 4000 / len(flat), flat.T @ flat / len(flat), atol=0.03
    )


@pytest.mark.parametrize("place", [0, 1, 2])
def test_start_and_learned_parts_add_up_to_the_trained_images(controls, place):
    view = View("any", "expanded", place)
    start, learned = view.parts(controls.trained, controls.untrained)
    np.testing.assert_allclose(start + learned, view.of_population(controls.trained), atol=1e-4)
    still = (probe.load_dataset("digits").train.images == 0).all(axis=0)
    assert np.abs(learned[:, still]).max() < 1e-5
    shares = share_of(start, learned, ~still)
    assert ((shares > 0) & (shares < 1)).all()


def test_learning_less_is_not_learning_less_structure(trained, digits, controls):
    """Controls whose weights moved a tenth as far, the same way: their weights are rougher, what they learned is not."""
    first = controls.untrained.weights[0] + 0.1 * (
        controls.trained.weights[0] - controls.untrained.weights[0]
    )
    slower = replace(controls.trained, weights=(first, *controls.trained.weights[1:]))
    found = weight_structure(trained, digits, controls=replace(controls, random_label=slower), n_null=49)
    verdict = found.verdicts[2]
    assert verdict.statistic == pytest.approx(0, abs=1e-4)
    as_they_stand = float(re.search(r"as they stand the first is (-?[\d.]+)", verdict.sentence)[1])
    assert as_they_stand > 0.1


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
