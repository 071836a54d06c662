"""The figure of noise severity: curves are the medians of the result, and labels do not overlap."""

import numpy as np
import pytest
from pictures import overlaps, rendered

import probe
from probe.analyses.noise import noise_severity


@pytest.fixture(scope="module", params=[3, 12])
def result(request, trained, small_digits):
    config = probe.TrainingConfig(epochs=2)
    controls = probe.control_networks(trained, small_digits, n_networks=request.param, config=config)
    return noise_severity(trained, small_digits, controls=controls, n_images=60)


def test_curves_are_medians_and_labels_do_not_overlap(result):
    figure = rendered(result)
    assert overlaps(figure) == []
    places = [
        result.index("real", 0.0),
        *(result.index("blend", s) for s in (0.25, 0.5, 0.75)),
        result.index("uniform"),
    ]
    curves = [line.get_ydata() for line in figure.axes[0].lines if line.get_linewidth() == 2]
    for group in range(4):
        np.testing.assert_allclose(curves[group], np.median(result.confidence[group][:, places], axis=0))
    own = next(line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    np.testing.assert_allclose(own.get_ydata(), result.own_confidence[places])
    n_bands = len(figure.axes[0].collections)
    assert n_bands == (4 if len(result.temperatures) >= 10 else 0)


def test_the_limit_stands_at_infinity(result):
    figure = probe.plot(result)
    axes = figure.axes[2]
    assert [label.get_text() for label in axes.get_xticklabels()][-1] == "∞"
    assert axes.lines[-1].get_ydata()[0] == pytest.approx(np.median(result.limit))


def test_without_controls_the_network_alone_is_drawn(trained, small_digits):
    figure = rendered(noise_severity(trained, small_digits, n_images=40))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["this network"]
