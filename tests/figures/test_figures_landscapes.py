"""Figures of landscapes and minima: every part, without labels over each other, of any number of networks and layers."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from pictures import overlaps, rendered

import probe
from probe.catalogue import analysis_of
from probe.figures import parts_of
from probe.layers import Dense, Flatten
from probe.workflow._sections import sections_about


def texts(figure):
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    return " ".join([*found, figure._supxlabel.get_text() if figure._supxlabel else ""])


@pytest.fixture(scope="module")
def landscape(trained, digits):
    return probe.landscape(
        trained, digits, n_networks=6, n_directions=30, updates=60, n_images=80, resolution=7, n_lines=12
    )


@pytest.fixture(scope="module")
def minima(digits):
    config = probe.TrainingConfig(epochs=10, batch_size=20, weight_decay=1e-2, evaluation="end")
    architectures = [probe.MLP((width,)) for width in (2, 5, 8)]
    return probe.minima(architectures, digits, config, n_networks=6, n_samples=80, polish=50, n_connected=4)


@pytest.mark.parametrize(
    "part", ["steepness", "descent", "gradient", "slopes", "activations", "path", "surface"]
)
def test_every_part_of_a_landscape_is_drawn_without_labels_over_each_other(landscape, part):
    assert part in parts_of(landscape)
    assert overlaps(rendered(landscape, part=part)) == []


def test_a_network_without_hidden_activations_has_no_pictures_of_steps(landscape):
    bare = replace(landscape, activations=None)
    assert parts_of(bare) == ("steepness", "descent", "gradient", "path", "surface")
    for part in ("slopes", "activations"):
        with pytest.raises(probe.InputError, match=f"part '{part}' has nothing to show: no hidden layer"):
            probe.plot(bare, part=part)
    sections = sections_about(analysis_of("landscape"), bare)
    assert [section.key for section in sections] == ["descent", "path", "surface"]


def test_the_gradient_of_steps_is_drawn_as_zero(landscape):
    left, right = rendered(landscape, part="slopes").axes
    assert left.get_ylim() == right.get_ylim()
    np.testing.assert_array_equal(left.lines[1].get_ydata(), landscape.activations.along_gradient[0, 0])
    assert (right.lines[1].get_ydata() == 0).all()
    assert "negative gradient: zero" in texts(right.figure)


def test_the_note_says_how_far_the_gradient_stays_ahead(landscape):
    text = texts(rendered(landscape, part="descent")).replace("\n", " ")
    assert f"of {landscape.descent.wins_up_to[0]:.2g} in this network" in text
    assert "30 random directions" in text


def test_what_is_drawn_is_what_was_measured(landscape):
    axes = rendered(landscape, part="descent").axes
    along = axes[1].lines[1].get_ydata()
    np.testing.assert_array_equal(along, landscape.descent.along_gradient[0])
    path = rendered(landscape, part="path").axes[0].lines[0].get_ydata()
    np.testing.assert_array_equal(path, landscape.path.line_cost)


def test_a_network_of_many_layers_has_a_legend_that_fits(digits):
    rng = np.random.default_rng(0)
    sizes = [64, *[9] * 11, 10]
    layers = [Flatten("flatten")] + [
        Dense(f"hidden_layer_{k}", rng.normal(size=(a, b)) / 3, np.zeros(b), "tanh")
        for k, (a, b) in enumerate(pairwise(sizes))
    ]
    network = probe.Network(tuple(layers), (8, 8))
    found = probe.landscape(
        network, digits, n_networks=2, n_directions=5, updates=4, n_images=30, resolution=3, n_planes=1
    )
    for part in parts_of(found):
        assert overlaps(rendered(found, part=part)) == [], part


@pytest.mark.parametrize("part", ["costs", "curvature", "connections"])
def test_every_part_of_minima_is_drawn_without_labels_over_each_other(minima, part):
    assert parts_of(minima) == ("costs", "curvature", "connections")
    assert overlaps(rendered(minima, part=part)) == []


@pytest.mark.parametrize("n", [1, 2, 3])
def test_any_number_of_widths_is_drawn(minima, n):
    assert overlaps(rendered(replace(minima, widths=minima.widths[:n]), part="costs")) == []


def test_a_cell_is_chosen_by_its_number(minima):
    for cell, width in enumerate(minima.widths):
        assert width.name in texts(rendered(minima, part="connections", cell=cell)).replace("\n", " ")
    with pytest.raises(probe.InputError, match="cell must be an integer from 0 to 2"):
        probe.plot(minima, part="connections", cell=3)


def test_an_architecture_without_connections_is_refused_by_name(minima):
    first, *others = minima.widths
    some = replace(minima, widths=(replace(first, connections=None), *others))
    assert others[0].name in texts(rendered(some, part="connections")).replace("\n", " ")
    with pytest.raises(probe.InputError, match=r"cell must be one between whose .* measured, 1, 2; got 0"):
        probe.plot(some, part="connections", cell=0)


def test_parts_without_anything_to_show_are_left_out(minima):
    nothing = np.full(6, np.nan)
    bare = replace(minima.widths[0], smallest=nothing, largest=nothing, residual=nothing, connections=None)
    nothing_measured = replace(minima, widths=(bare,))
    assert parts_of(nothing_measured) == ("costs",)
    with pytest.raises(probe.InputError, match="no curvature was measured; plot one of costs"):
        probe.plot(nothing_measured, part="curvature")


def test_failed_runs_are_said(minima):
    failed = np.array([True, *[False] * 5])
    width = replace(minima.widths[0], is_diverged=failed)
    assert "1 failed runs" in texts(rendered(replace(minima, widths=(width,)), part="costs")).replace(
        "\n", " "
    )
