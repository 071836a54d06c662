"""The figure of drawings: labels do not overlap, and what is drawn is what the result holds."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import probe
from probe.analyses.drawing import drawing


def shown(figure):
    FigureCanvasAgg(figure).figure.draw_without_rendering()
    return figure


@pytest.fixture(scope="module")
def result(trained, digits):
    controls = probe.control_networks(trained, digits, n_networks=2, config=probe.TrainingConfig(epochs=5))
    return drawing(trained, digits, controls=controls, restarts=2, steps=20)


def test_each_class_has_its_drawing_its_nearest_image_and_its_mean(result):
    axes = shown(probe.plot(result)).axes
    drawn, nearest, means = (
        np.stack([a.images[0].get_array() for a in axes[k : k + 10]]) for k in (0, 10, 20)
    )
    np.testing.assert_array_equal(drawn, result.kind("optimized").images[result.best_indices])
    np.testing.assert_array_equal(nearest, result.nearest)
    np.testing.assert_array_equal(means, result.kind("class means").images)
    for k in range(10):
        seen = result.kind("optimized").judged[:, result.best_indices[k]]
        assert axes[k].get_xlabel() == "/".join(str(judge) for judge in seen)


def test_bars_are_the_shares_judged_as_intended(result):
    bars = shown(probe.plot(result)).axes[-1].patches
    expected = np.stack([kind.agreement for kind in result.kinds], axis=1).ravel()
    np.testing.assert_allclose([bar.get_height() for bar in bars], expected)


def test_texts_do_not_lie_over_each_other(result):
    figure = shown(probe.plot(result))
    renderer = figure.canvas.get_renderer()
    texts = []
    for axes in figure.axes:
        texts += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
        texts += [
            tick.label1
            for tick in (*axes.get_xticklabels(), *axes.get_yticklabels())
            if hasattr(tick, "label1")
        ]
        texts += [*axes.get_xticklabels(), *axes.get_yticklabels()]
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
    boxes = [
        (t.get_text(), t.get_window_extent(renderer))
        for t in texts
        if t.get_visible() and t.get_text().strip()
    ]
    clashes = []
    for i, (one, a) in enumerate(boxes):
        for other, b in boxes[i + 1 :]:
            if min(a.x1, b.x1) - max(a.x0, b.x0) > 1.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1.5:
                clashes.append((one, other))
    assert clashes == []


def test_a_judge_that_there_is_none_of_has_no_bar(trained, digits):
    figure = shown(probe.plot(drawing(trained, digits, restarts=1, steps=5)))
    assert len(figure.axes[-1].patches) == 2 * 5
    assert figure.axes[0].get_xlabel().endswith("/–")
