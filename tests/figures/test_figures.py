"""Figures: what is drawn is what the result holds, and no label lies over another."""

import io

import matplotlib as mpl
import numpy as np
import planted
import pytest
from matplotlib import colormaps
from matplotlib.figure import Figure
from pictures import note, overlaps, rendered, visible_texts
from recipes_of_tests import quick_controls

import probe
from probe.analyses.weights import WeightImages
from probe.figures import CATALOGUE
from probe.figures._grid import MAX_TILES
from probe.layers import Dense, Flatten


def weights(n_units, shape=(28, 28), kind="weights"):
    images = np.random.default_rng(0).normal(size=(n_units, *shape)).astype(np.float32)
    names = tuple(str(k) for k in range(n_units))
    scale = float(np.abs(images).max())
    return WeightImages(images=images, layer="hidden_1", kind=kind, unit_names=names, scale=scale)


def drawn_colors(figure):
    """Return the colors of all pixels that are not between the images, sorted."""
    pixels = figure.axes[0].images[0].get_array().reshape(-1, 4)
    return np.sort(pixels[pixels[:, 3] > 0], axis=0)


def colors(values, cmap, low, high):
    """Return what the color map makes of values, as bytes, sorted."""
    scaled = (values.reshape(-1).astype(np.float32) - low) / (high - low)
    return np.sort(colormaps[cmap](scaled, bytes=True), axis=0)


@pytest.mark.parametrize("n_units", [1, 2, 10, 16, 33, 64, 160, 512])
@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (12, 30)])
def test_weight_images_of_any_number_have_labels_that_do_not_overlap(n_units, shape):
    figure = rendered(weights(n_units, shape))
    labels = [text for text, _ in visible_texts(figure)]
    assert {str(k) for k in range(n_units)} <= set(labels)
    assert overlaps(figure) == []
    width, height = figure.get_size_inches()
    assert height < 3 * width


def test_weight_images_share_one_scale_centered_at_zero_with_its_limits_printed():
    result = weights(16)
    figure = rendered(result)
    assert figure.axes[1].get_xlim() == pytest.approx((-result.scale, result.scale))
    labels = [text for text, _ in visible_texts(figure)]
    assert f"+{result.scale:.3g}" in labels
    np.testing.assert_array_equal(
        drawn_colors(figure), colors(result.images, "RdBu_r", -result.scale, result.scale)
    )


def test_a_layer_with_too_many_units_says_that_it_shows_the_strongest():
    words = note(rendered(weights(MAX_TILES + 5, (4, 4))))
    assert f"Shown: the {MAX_TILES} of {MAX_TILES + 5} units with the largest weights" in words


def test_expanded_weights_are_marked_as_such():
    assert "expanded" in rendered(weights(4, kind="expanded")).axes[1].get_xlabel()


@pytest.mark.parametrize("n_units", [1, 16, 33, 160])
def test_paths_are_drawn_beside_the_jacobian_each_on_a_scale_of_its_own(n_units):
    rng = np.random.default_rng(0)
    layers = (
        Flatten("flatten"),
        Dense("hidden", rng.normal(size=(144, 7)).astype(np.float32), np.zeros(7, np.float32), "tanh"),
        Dense("output", rng.normal(size=(7, n_units)).astype(np.float32), np.zeros(n_units, np.float32)),
    )
    images = rng.random((20, 12, 12)).astype(np.float32)
    result = probe.expanded_weights(probe.Network(layers, (12, 12)), images)
    figure = rendered(result)
    assert overlaps(figure) == []
    labels = [text for text, _ in visible_texts(figure)]
    for k in range(n_units):
        assert f"{k}\n{result.cancellation[k]:.0%}" in labels
        assert f"{k}\n{result.similarity[k]:.2f}" in labels
    for images, bar in zip((result.expanded, result.jacobian), figure.axes[2:], strict=True):
        assert bar.get_xlim() == pytest.approx((-np.abs(images).max(), np.abs(images).max()))


def test_a_network_without_paths_is_drawn_as_one():
    kernel, images = (
        np.zeros((16, 2), np.float32),
        np.random.default_rng(0).random((5, 4, 4)).astype(np.float32),
    )
    layers = (Flatten("flatten"), Dense("output", kernel, np.zeros(2, np.float32)))
    figure = rendered(probe.expanded_weights(probe.Network(layers, (4, 4)), images))
    labels = [text for text, _ in visible_texts(figure)]
    assert {"0\nno path", "1\nno path", "0\nall zero", "1\nall zero"} <= set(labels)


def test_color_weights_are_drawn_in_color_and_other_channels_are_refused():
    assert rendered(weights(4, (6, 6, 3))).axes[0].images[0].get_array().shape[-1] == 3
    result = weights(4, (6, 6, 1))
    gray = colors(result.images, "RdBu_r", -result.scale, result.scale)
    np.testing.assert_array_equal(drawn_colors(rendered(result)), gray)
    with pytest.raises(probe.InputError, match="1 or 3"):
        probe.plot(weights(4, (6, 6, 2)))


def test_the_other_figures_have_no_labels_over_each_other(results):
    for result in results.values():
        assert overlaps(rendered(result)) == [], type(result).__name__


def test_maximizers_show_the_best_restart_and_its_value(results):
    result = results["Maximization"]
    figure = rendered(result)
    labels = [text for text, _ in visible_texts(figure)]
    for name, value in zip(result.names, result.values.max(axis=1), strict=True):
        assert f"{name}\n{value:.3g}" in labels
    best = [images[k] for images, k in zip(result.images, result.values.argmax(axis=1), strict=True)]
    np.testing.assert_array_equal(drawn_colors(figure), colors(np.stack(best), "gray", 0, 1))


def test_a_population_of_ten_or_more_is_drawn_as_a_band(digits):
    config = probe.TrainingConfig(epochs=3)
    many = probe.train_population(probe.MLP(hidden=(4,)), digits, config, n_networks=12)
    assert rendered(many).axes[0].collections
    few = probe.train_population(probe.MLP(hidden=(4,)), digits, config, n_networks=3)
    assert not rendered(few).axes[0].collections


def test_a_figure_can_be_drawn_into_axes_of_another(results):
    whole = Figure(figsize=(8, 8), layout="constrained")
    upper, lower = whole.subplots(2, 1)
    assert probe.plot(results["Memorization"], ax=upper) is upper
    probe.plot(results["WeightImages"], ax=lower)
    whole.savefig(io.BytesIO())
    assert whole.subfigs[0].axes
    assert lower.images


def test_drawing_touches_neither_pyplot_nor_the_settings(results):
    before = dict(mpl.rcParams)
    probe.plot(results["NoiseConfidence"])
    assert dict(mpl.rcParams) == before


def test_what_is_no_result_is_refused():
    with pytest.raises(probe.InputError, match="result must be one of WeightImages"):
        probe.plot(3)


@pytest.fixture(scope="module")
def digits():
    return probe.load_dataset("digits")


@pytest.fixture(scope="module")
def results(digits):
    trained = probe.train(probe.MLP(hidden=(16,)), digits, probe.TrainingConfig(epochs=30))
    network = trained.network
    controls = quick_controls(network, digits, 2, epochs=1)
    found = [
        probe.weight_images(network),
        probe.weight_structure(network, digits, n_null=19),
        probe.concepts(network, digits, n_images=100, n_permutations=19, n_rotations=19),
        probe.drawing(network, digits, controls=controls, restarts=1, steps=5),
        probe.noise_severity(network, digits, controls=controls, n_images=20),
        probe.expanded_weights(network, digits.test.images),
        probe.maximize(network, [probe.class_logit(k) for k in range(10)], restarts=3, steps=30),
        probe.noise_confidence(network, digits),
        probe.classification(network, digits),
        probe.memorization(probe.MLP(hidden=(32,), activation="relu"), digits, n_samples=100, replicates=3),
        probe.capacity(
            probe.MLP(hidden=(4,)), digits, replicates=1, starts=1, rates=(0.03,), updates=100, largest=20
        ),
        probe.memorization_scores(probe.MLP(hidden=(8,)), digits, n_samples=40, n_networks=20),
        probe.landscape(
            network, digits, n_networks=2, n_directions=20, updates=40, n_images=50, resolution=5
        ),
        probe.minima([probe.MLP((2,)), probe.MLP((4,))], digits, n_networks=4, n_samples=60, polish=20),
        probe.search(digits, widths=(4, 8), depths=(1,), rates=(0.3,), n_networks=2, epochs=3),
        planted.robustness(),
        planted.verification(),
        planted.comparison(),
        trained,
        trained.history,
    ]
    return {type(result).__name__: result for result in found}


def test_every_kind_of_result_is_in_the_catalogue(results):
    elsewhere = {"PopulationResult", "MemorizationScores", "Capacity", "UnitCard"}
    assert set(results) | elsewhere == set(CATALOGUE)
