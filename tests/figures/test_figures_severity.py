"""The figure of noise severity: curves are the medians of the result, and labels do not overlap."""

import numpy as np
import pytest
from pictures import overlaps, rendered
from recipes_of_tests import quick_controls

import probe
from probe.analyses.noise import noise_severity


@pytest.fixture(scope="module", params=[3, 12])
def result(request, trained, small_digits):
    controls = quick_controls(trained, small_digits, request.param, epochs=2)
    return noise_severity(trained, small_digits, controls=controls, n_images=60)


def test_curves_are_medians_and_labels_do_not_overlap(result):
    figure = rendered(result, part="severity")
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
    assert n_bands == (4 if result.n_networks >= 10 else 0)


def test_the_limit_stands_at_infinity(result):
    figure = probe.plot(result, part="severity")
    axes = figure.axes[2]
    assert [label.get_text() for label in axes.get_xticklabels()][-1] == "∞"
    assert axes.lines[-1].get_ydata()[0] == pytest.approx(np.median(result.limit.mean(axis=1)))


def test_without_controls_the_network_alone_is_drawn(trained, small_digits):
    figure = rendered(noise_severity(trained, small_digits, n_images=40), part="severity")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["this network"]


def test_each_pair_of_networks_is_a_line_and_those_that_rise_are_counted(result):
    figure = rendered(result, part="origins")
    assert overlaps(figure) == []
    at = result.index("uniform")
    for axes, pair in zip(
        figure.axes, (("untrained", "trained"), ("random-label", "few-labels")), strict=True
    ):
        ends = np.stack([result.confidence[result.groups.index(name), :, at] for name in pair], axis=1)
        lines = np.stack([line.get_ydata() for line in axes.lines[: len(ends)]])
        np.testing.assert_allclose(lines, ends)
        assert axes.get_title(loc="left") == f"{(ends[:, 1] > ends[:, 0]).sum()} of {len(ends)} rise"
        assert axes.lines[-1].get_ydata()[0] == result.own_confidence[at]


def test_the_dot_of_the_noise_claim_is_its_statistic(trained, digits):
    found = probe.noise_confidence(trained, digits)
    figure = rendered(found)
    assert overlaps(figure) == []
    for condition, axes in zip(found.conditions, figure.axes[1::3], strict=True):
        dot = next(line for line in axes.lines if line.get_marker() == "o")
        assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.9, condition.share_confident)
        levels = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
        assert 0.5 in levels
    assert found.verdicts[0].statistic == found.condition("uniform").share_confident
    assert found.verdicts[0].threshold == 0.5
