"""Displays: an analysis and its picture in one call, in scikit-learn's convention."""

import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

import probe
from probe import InputError
from probe.layers import Conv2D, Dense, Flatten
from probe.population import initial_population

DIGITS = probe.load_dataset("digits")
FEW = probe.Split(DIGITS.train.take(range(60)), DIGITS.test.take(range(80)), "few digits")
NETWORK = probe.train(
    probe.MLP((6,), "relu"), DIGITS, probe.TrainingConfig(epochs=10, learning_rate=0.1)
).network

CASES = {
    # name: arguments beside the network, options of the analysis, and the analysis itself
    "WeightImagesDisplay": (("hidden_1",), {}, probe.weight_images),
    "NoiseDisplay": ((FEW,), {"n_images": 20, "seed": 1}, probe.noise_confidence),
    "MemorizationDisplay": (
        (FEW,),
        {"config": probe.TrainingConfig(epochs=2), "n_samples": 20, "replicates": 2, "n_test": 20},
        lambda network, split, **options: probe.memorization(probe.MLP((6,), "relu"), split, **options),
    ),
    "LandscapeDisplay": (
        (FEW,),
        {"parts": ("descent",), "n_networks": 2, "n_directions": 5, "n_images": 20},
        probe.landscape,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_from_network_shows_what_the_analysis_returns(name):
    data, options, analysis = CASES[name]
    kind = getattr(probe, name)
    display = kind.from_network(NETWORK, *data, **options)
    # As text, in which NaN is NaN.
    assert str(display.result.to_dict()) == str(analysis(NETWORK, *data, **options).to_dict())
    assert isinstance(display.figure_, Figure)
    assert display.ax_ is display.axes_[0] and set(display.axes_) == set(display.figure_.axes)
    drawn = [artist for axes in display.axes_ for artist in axes.get_children()]
    for artists in (display.images_, display.lines_, display.collections_, display.text_):
        assert set(artists) <= set(drawn)
    assert display.images_ or display.lines_
    assert repr(display).startswith(f"{name}({type(display.result).__name__}(")


@pytest.mark.parametrize("name", CASES)
def test_one_can_be_drawn_again_in_the_place_of_axes(name):
    data, options, _ = CASES[name]
    first = getattr(probe, name).from_network(NETWORK, *data, **options)
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display = type(first)(first.result).plot(right)
    assert display.figure_ is figure and display.ax_ is right
    assert left not in display.axes_ and set(display.axes_) <= set(figure.axes) - {left}
    assert len(display.lines_) == len(first.lines_) and len(display.images_) == len(first.images_)
    left.plot([0, 1])
    figure.draw_without_rendering()


def test_a_notebook_shows_a_figure_of_its_own_once():
    display = probe.WeightImagesDisplay(probe.weight_images(NETWORK))
    assert display._repr_png_() is None
    assert display.plot()._repr_png_()[0].startswith(b"\x89PNG")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert display.plot(ax)._repr_png_() is None  # pyplot shows it
    plt.close("all")


def test_options_of_the_picture_reach_the_artists():
    display = probe.WeightImagesDisplay.from_network(NETWORK, plot_kw={"cmap": "PuOr", "alpha": 0.5})
    (purple,), (red,) = display.images_, probe.WeightImagesDisplay.from_network(NETWORK).images_
    assert purple.get_alpha() == 0.5
    assert not np.array_equal(purple.get_array(), red.get_array())
    display = probe.MemorizationDisplay.from_network(
        NETWORK, *CASES["MemorizationDisplay"][0], **CASES["MemorizationDisplay"][1], plot_kw={"part": "time"}
    )
    assert len(display.axes_) == 2


def test_a_network_of_color_images_is_shown_in_color():
    rng = np.random.default_rng(0)
    network = initial_population(probe.MLP((4,)), (8, 8, 3), ("a", "b"), rngs=[rng]).network(0)
    (image,) = probe.WeightImagesDisplay.from_network(network).images_
    assert image.get_array().shape[-1] in (3, 4)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="result must be a NoiseConfidence, got WeightImages"):
        probe.NoiseDisplay(probe.weight_images(NETWORK))
    with pytest.raises(InputError, match="ax must be a matplotlib Axes, got 3"):
        probe.WeightImagesDisplay.from_network(NETWORK, ax=3)
    with pytest.raises(InputError, match="plot_kw must be a mapping of arguments of plot, got 'cmap'"):
        probe.WeightImagesDisplay.from_network(NETWORK, plot_kw="cmap")
    convolution = Conv2D("conv", np.ones((3, 3, 1, 2), "f4"), np.zeros(2, "f4"), activation_name="relu")
    output = Dense("output", np.full((72, 10), 0.01, "f4"), np.zeros(10, "f4"), "softmax")
    network = probe.Network((convolution, Flatten("flat"), output), (8, 8, 1))
    with pytest.raises(InputError, match="network must be a chain of dense layers with one activation"):
        probe.MemorizationDisplay.from_network(network, FEW)
