"""Figures of memorization studies: drawn is what the result holds, and no text lies over another."""

import json
from itertools import product

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pictures import all_overlaps, cut_off, rendered

import probe
from probe.analyses.memorization import (
    FORGETTING_BINS,
    THRESHOLDS,
    Condition,
    Examples,
    Memorization,
    MemorizationCell,
    MemorizationDesign,
)
from probe.figures import memorization, parts_of
from probe.figures._labels import apart
from probe.stats import mean_estimate

PARTS = tuple(part.name for part in memorization.PARTS if part.shows("Memorization"))
TEN_CLASSES = tuple(str(k) for k in range(10))
LONG_NAME = "supercalifragilisticexpia"


def conditions_of(corruption=(0.0, 1.0), inputs=("none",), decays=(0.0,)):
    return tuple(Condition(c, i, d, 0.1) for d, i, c in product(decays, inputs, corruption))


def synthetic(
    conditions=None,
    n_replicates=5,
    *,
    n_epochs=60,
    censored=(),
    diverged=(),
    names=TEN_CLASSES,
    channels=(),
    sensitivity=True,
    n_cells=1,
):
    """A study as it might come out; `censored` and `diverged` are pairs (condition, replicate)."""
    conditions = conditions_of() if conditions is None else conditions
    rng = np.random.default_rng(0)
    cells = [
        synthetic_cell(conditions, n_replicates, n_epochs, censored, diverged, sensitivity, rng)
        for _ in range(n_cells)
    ]
    shown = [k for k, c in enumerate(conditions) if c.inputs == "none"][:2]
    examples = tuple(
        synthetic_examples(cell, cells[0].names[k], conditions[k], names, channels, rng)
        for cell in range(n_cells)
        for k in shown
    )
    design = MemorizationDesign((probe.MLP((32,), "relu"),))
    return Memorization(
        cells=tuple(cells),
        thresholds=THRESHOLDS,
        verdicts=(),
        examples=examples,
        design=design,
        class_names=names,
        n_test=2000,
        chance=0.114,
    )


def synthetic_cell(conditions, n, n_epochs, censored, diverged, sensitivity, rng):
    epochs = np.arange(1, n_epochs + 1)
    shape = (len(conditions), n)
    share = np.array([c.corruption for c in conditions])[:, None, None]
    noisy = np.array([0.0 if c.inputs == "none" else 0.5 for c in conditions])[:, None, None]
    # One row of numbers for each network.
    speed = (4 + 25 * share + 8 * noisy) * np.exp(0.15 * rng.normal(size=(*shape, 1)))
    wiggle = 0.01 * rng.normal(size=(*shape, n_epochs))
    taught = np.clip(1 - 0.9 * np.exp(-((epochs / speed) ** 1.5)), 0, 1)
    taught = np.where(taught > 0.995, 1.0, np.clip(taught + wiggle / 4, 0, 0.999))
    forgot = 0.45 * share * (1 - share) * 2 * (1 - np.exp(-epochs / 30))
    test = 0.11 + (0.85 - 0.85 * share - noisy * 0.7 * (1 - share)) * (1 - np.exp(-epochs / 4)) - forgot
    test = np.clip(test + wiggle + 0.02 * rng.normal(size=(*shape, 1)), 0, 1)
    true = np.clip(test + 0.05 * (1 - share), 0, 1)
    half = np.clip(test[..., None] + 0.01 * rng.normal(size=(*test.shape, 2)), 0, 1)
    cost = 2.3 * (1 - taught)
    dead = np.zeros(shape, bool)
    for place in diverged:
        dead[place] = True
    for curve in (cost, taught, true, test, half):
        curve[dead] = np.nan
    reached = np.nan_to_num(taught)[..., None] >= np.array(THRESHOLDS)
    updates = np.where(reached.any(axis=2), 20.0 * (reached.argmax(axis=2) + 1), np.nan)
    for place in censored:
        updates[place][2:] = np.nan
    wrong = np.broadcast_to((0.9 * 1000 * share[..., 0]).astype(int), shape)
    n_examples = np.stack([1000 - wrong, wrong], axis=-1)
    learned = (n_examples * 0.97).astype(int)
    chances = np.stack([0.6 ** np.arange(FORGETTING_BINS), 0.85 ** np.arange(FORGETTING_BINS)])
    chances /= chances.sum(axis=1, keepdims=True)
    counts = [
        [rng.multinomial(k, p) for k, p in zip(row, chances, strict=True)] for row in learned.reshape(-1, 2)
    ]
    gini = np.clip(0.75 - 0.4 * share + 0.1 * np.exp(-epochs / 10) + wiggle, 0, 1)
    fitted = np.nan_to_num(taught) == 1
    n_trained = np.where(fitted.any(axis=2), fitted.argmax(axis=2) + 1, n_epochs)
    measured = np.where(dead | (not sensitivity), np.nan, 1.0)
    return MemorizationCell(
        architecture="784-32-10 relu",
        n_parameters=25450,
        n_samples=1000,
        updates_per_epoch=20,
        limit=20 * n_epochs,
        conditions=conditions,
        cost=cost,
        train_accuracy=taught,
        true_accuracy=true,
        test_accuracy=test,
        half_accuracy=half,
        updates=updates,
        label_agreement=np.broadcast_to(1 - 0.9 * share[..., 0], shape),
        diverged=dead,
        n_trained=np.where(dead, 0, n_trained),
        n_examples=n_examples,
        n_learned=learned,
        n_exposed=learned,
        n_never_forgotten=np.zeros_like(learned),
        forgetting=np.array(counts).reshape(*shape, 2, FORGETTING_BINS),
        mean_forgetting=np.ones((*shape, 2)),
        margin=np.ones((*shape, 2)),
        sensitivity_gini=measured * np.clip(0.75 - 0.4 * share[..., 0] + 0.03 * rng.normal(size=shape), 0, 1),
        sensitivity_curve=np.where(epochs > n_trained[..., None], np.nan, measured[..., None] * gini),
        critical_ratio=measured * np.clip(0.2 + 0.5 * share[..., 0] + 0.03 * rng.normal(size=shape), 0, 1),
    )


def synthetic_examples(cell, name, condition, names, channels, rng):
    n = 32
    height = np.linspace(-1, 1, 28)
    rings = [
        np.hypot(height[:, None] - rng.normal() / 3, height[None] * (1 + rng.random())) for _ in range(n)
    ]
    images = np.stack([np.exp(-(((ring - 0.5) / 0.15) ** 2)) for ring in rings])
    if channels:
        images = images[..., None] * rng.random((n, 1, 1, *channels))
    true = rng.integers(0, len(names), n)
    taught = np.where(rng.random(n) < condition.corruption, (true + 1) % len(names), true)
    first = np.where(rng.random(n) < 0.2, 0, rng.integers(1, 200, n))
    return Examples(
        cell=cell,
        condition=name,
        indices=np.arange(n),
        images=images.astype(np.float32),
        taught=taught,
        true_labels=true,
        first_learned=first,
        forgetting=rng.integers(0, 20, n),
        n_hardest=16,
    )


FIVE = (0.0, 0.25, 0.5, 0.75, 1.0)
ALL_INPUTS = ("none", "pixel-permutation", "pixel-shuffle", "gaussian")
ODD = {
    "one network": {"n_replicates": 1},
    "three networks": {"n_replicates": 3},
    "twenty networks": {"n_replicates": 20, "censored": [(1, k) for k in range(7)]},
    "five shares": {"conditions": conditions_of(FIVE), "censored": [(3, 1), (4, 0)]},
    "two decays": {"conditions": conditions_of(FIVE, decays=(0.0, 0.001)), "censored": [(4, 0), (9, 1)]},
    "four kinds of images": {"conditions": conditions_of((0.0,), ALL_INPUTS)},
    "eight conditions": {"conditions": conditions_of(inputs=ALL_INPUTS)},
    "three decays only": {"conditions": conditions_of((1.0,), decays=(0.0, 0.001, 0.01))},
    "shares close together": {"conditions": conditions_of((0.0, 0.01, 0.02, 1.0))},
    "eleven shares": {"conditions": conditions_of(tuple(k / 10 for k in range(11)))},
    "one condition": {"conditions": conditions_of((1.0,))},
    "all censored": {"conditions": conditions_of(FIVE), "n_epochs": 3},
    "one epoch": {"n_epochs": 1},
    "one diverged": {"diverged": [(1, 0)]},
    "all diverged": {"diverged": [(k, r) for k in range(2) for r in range(5)], "sensitivity": False},
    "long name, color": {"names": ("ox", LONG_NAME), "channels": (3,)},
}


@pytest.mark.parametrize("kind", ODD)
def test_no_text_lies_over_another_or_leaves_the_figure(kind, recwarn):
    result = synthetic(**ODD[kind])
    for part in parts_of(result):
        figure = rendered(result, part=part)
        assert all_overlaps(figure) == [], part
        assert cut_off(figure) == [], part
    assert not recwarn.list


def test_a_result_has_the_parts_that_have_something_to_show():
    assert parts_of(synthetic()) == PARTS
    assert parts_of(synthetic(conditions_of((0.0,)), sensitivity=False)) == (
        "curves",
        "time",
        "peak",
        "examples",
    )


def test_the_first_part_is_drawn_without_one_being_named():
    titles = [axes.get_title("left") for axes in rendered(synthetic()).axes]
    assert titles == ["on the labels taught", "on their true labels", "on test images"]


def test_an_unknown_part_is_refused_with_those_there_are():
    with pytest.raises(
        probe.InputError, match=r"one of curves, time, peak, .*'curve' \(did you mean 'curves'"
    ):
        probe.plot(synthetic(), part="curve")


def test_a_part_with_nothing_to_show_is_refused_with_the_reason():
    result = synthetic(conditions_of((0.0,)), sensitivity=False)
    with pytest.raises(
        probe.InputError, match="no label was corrupted; plot one of curves, time, peak, examples"
    ):
        probe.plot(result, part="forgetting")
    with pytest.raises(probe.InputError, match="was not measured"):
        probe.plot(result, part="sensitivity")


def test_a_part_or_a_cell_of_a_result_with_one_figure_is_refused(trained, digits):
    noise = probe.noise_confidence(trained, digits, n_images=10)
    assert parts_of(noise) == ()
    with pytest.raises(probe.InputError, match="part must be left out for NoiseConfidence"):
        probe.plot(noise, part="curves")
    with pytest.raises(probe.InputError, match="cell must be left out for 'confidence', got 0"):
        probe.plot(noise, cell=0)


def test_the_cell_asked_for_is_drawn_and_others_are_refused():
    result = synthetic(n_cells=2)
    for cell in (0, 1):
        drawn = medians(rendered(result, cell=cell).axes[0])
        np.testing.assert_allclose(drawn, np.median(result.cells[cell].train_accuracy, axis=1))
    with pytest.raises(probe.InputError, match="cell must be an integer from 0 to 1, got 2"):
        probe.plot(result, cell=2)


def test_the_examples_of_each_cell_show_its_own_examples(gray_canvas):
    result = synthetic(n_cells=2)
    for cell in (0, 1):
        mine = next(examples for examples in result.examples if examples.cell == cell)
        drawn = rendered(result, part="examples", cell=cell).axes[0].images[0]
        values = np.ma.masked_invalid(gray_canvas(drawn)).compressed()
        shown = np.sort(mine.images[:8].reshape(-1))
        np.testing.assert_allclose(np.sort(values)[: shown.size], shown, atol=2 / 255)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_can_be_drawn_into_axes_of_another_figure(part, recwarn):
    whole = Figure(figsize=(16, 12), layout="constrained")
    axes = whole.subplots(2, 2)
    axes[1, 1].plot([0, 1])
    assert synthetic().plot(part=part, ax=axes[0, 0]) is axes[0, 0]
    synthetic().plot(part=part, ax=axes[1, 0], cell=0)
    FigureCanvasAgg(whole).draw()
    assert all(panel.axes for panel in whole.subfigs)
    assert tuple(whole.get_size_inches()) == (16, 12)
    assert len(axes[1, 1].lines) == 1
    assert not recwarn.list


def test_a_study_says_what_it_holds_in_few_lines_as_plain_values_and_as_a_table():
    result = synthetic(conditions_of(FIVE, ALL_INPUTS), n_replicates=20, n_cells=2)
    for record in (result, result.cells[0], result.cells[0].summaries[0], result.examples[0]):
        assert repr(record).count("\n") < 5
    numbers = json.loads(json.dumps(result.to_dict()))
    cell = result.cells[0]
    assert numbers["cells"][0]["names"] == list(cell.names)
    assert numbers["cells"][0]["summaries"][1]["test_accuracy"] == np.median(cell.test_accuracy[1, :, -1])
    columns = result.columns()
    assert {len(column) for column in columns.values()} == {2 * 20}
    assert columns["trained on"][:20] == list(cell.names)
    np.testing.assert_allclose(columns["peak accuracy"][:20], np.median(cell.peak_accuracy, axis=1))


def medians(axes):
    return [line.get_ydata() for line in axes.lines if line.get_linewidth() == 2]


def marked(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


@pytest.mark.parametrize("n_replicates", [1, 3, 20])
def test_curves_are_the_medians_of_the_three_accuracies(n_replicates):
    cell = (result := synthetic(n_replicates=n_replicates)).cells[0]
    figure = rendered(result)
    kinds = (cell.train_accuracy, cell.true_accuracy, cell.test_accuracy)
    for axes, values in zip(figure.axes, kinds, strict=True):
        np.testing.assert_allclose(medians(axes), np.median(values, axis=1))
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), 20 * np.arange(1, 61))
    members = [line for line in figure.axes[0].lines if line.get_linewidth() == 0.6]
    assert len(members) == (2 * n_replicates if 1 < n_replicates < 10 else 0)
    assert len(figure.axes[0].collections) == (2 if n_replicates >= 10 else 0)
    notes = figure.get_supxlabel()
    assert "commonest class (11.4%)" in notes
    assert ("middle 90%" in notes) == (n_replicates >= 10)


def test_conditions_are_named_beside_their_curves_and_run_from_the_color_of_true_to_that_of_random_labels():
    figure = rendered(synthetic(conditions_of(FIVE)))
    names = [text.get_text() for text in figure.axes[2].texts]
    between = [f"{share}% random labels" for share in (25, 50, 75)]
    assert names == ["true labels", *between, "random labels"]
    colors = [line.get_color() for line in figure.axes[0].lines if line.get_linewidth() == 2]
    assert [colors[0].upper(), colors[-1].upper()] == ["#0072B2", "#D55E00"]
    assert len(set(colors)) == 5
    assert not figure.legends


def test_curves_that_cannot_be_named_beside_the_axes_get_one_legend():
    whole = Figure(figsize=(8, 7), layout="constrained")
    axes, _ = whole.subplots(2, 1, height_ratios=[2, 5])
    probe.plot(synthetic(conditions_of(tuple(k / 10 for k in range(11)))), ax=axes)
    (small,) = whole.subfigs
    assert len(small.legends) == 1
    assert len(small.legends[0].texts) == 11


def test_each_weight_decay_has_a_row_of_its_own_on_the_same_scale():
    figure = rendered(synthetic(conditions_of(FIVE, decays=(0.0, 0.001))))
    labels = [figure.axes[k].get_ylabel() for k in (0, 3)]
    assert labels == ["no weight decay\naccuracy", "weight decay 0.001\naccuracy"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_diverged_networks_are_left_out_of_the_median_and_named():
    cell = (result := synthetic(diverged=[(1, 0)])).cells[0]
    figure = rendered(result)
    np.testing.assert_allclose(medians(figure.axes[0])[1], np.median(cell.train_accuracy[1, 1:], axis=0))
    assert "Diverged, of 5 networks: 1 with random labels." in figure.get_supxlabel().replace("\n", " ")


def test_times_are_those_of_the_networks_with_their_mean_and_interval():
    cell = (result := synthetic(n_epochs=200)).cells[0]
    for axes, place in zip(rendered(result, part="time").axes, (1, 3), strict=True):
        updates = cell.updates[:, :, place]
        assert np.isfinite(updates).all()
        np.testing.assert_allclose([line.get_ydata() for line in marked(axes, "networks")], updates)
        means = [line.get_ydata()[0] for line in marked(axes, "mean")]
        np.testing.assert_allclose(means, updates.mean(axis=1))
        bars = [segments.get_segments()[0][:, 1] for segments in axes.collections]
        intervals = [mean_estimate(row).interval for row in updates]
        np.testing.assert_allclose(bars, [(interval.low, interval.high) for interval in intervals])
        assert not marked(axes, "censored")


def test_censored_networks_are_counted_at_the_limit_and_make_the_mean_hollow():
    result = synthetic(n_epochs=200, censored=[(1, 0), (1, 3)])
    cell, axes = result.cells[0], rendered(result, part="time").axes[1]
    (triangle,) = marked(axes, "censored")
    assert triangle.get_ydata()[0] == cell.limit
    assert triangle.get_marker() == "^"
    assert [text.get_text() for text in axes.texts] == ["2"]
    full, hollow = marked(axes, "mean")
    assert full.get_markerfacecolor() != "white"
    assert hollow.get_markerfacecolor() == "white"
    updates = cell.updates[1, :, 3]
    np.testing.assert_allclose(marked(axes, "networks")[1].get_ydata(), updates[np.isfinite(updates)])
    np.testing.assert_allclose(hollow.get_ydata()[0], np.nan_to_num(updates, nan=cell.limit).mean())


def test_where_all_networks_are_censored_no_mean_is_drawn():
    axes = rendered(synthetic(n_epochs=3), part="time").axes[1]
    assert not marked(axes, "mean")
    assert [text.get_text() for text in axes.texts] == ["5", "5"]


def test_shares_that_are_close_together_are_drawn_apart_and_the_axis_says_so():
    to_scale = rendered(synthetic(conditions_of(FIVE)), part="time").axes[0]
    np.testing.assert_allclose(to_scale.get_xticks(), FIVE)
    evenly = rendered(synthetic(conditions_of((0.0, 0.01, 1.0))), part="time").axes[0]
    np.testing.assert_allclose(evenly.get_xticks(), [0, 0.5, 1])
    assert "not to scale" in evenly.get_xlabel()


def test_peaks_are_the_medians_over_networks_with_the_drop_after_them():
    cell = (result := synthetic(conditions_of(FIVE))).cells[0]
    (axes,) = rendered(result, part="peak").axes
    peaks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in marked(axes, "peak")]
    epochs, accuracies = np.median(cell.peak_epoch, axis=1), np.median(cell.peak_accuracy, axis=1)
    np.testing.assert_allclose(peaks, np.stack([epochs, accuracies], axis=1))
    np.testing.assert_allclose(medians(axes), np.median(cell.test_accuracy, axis=1))
    drop = 100 * np.median(cell.drop[2])
    words = f"{accuracies[2]:.1%} at epoch {epochs[2]:g}, drop {drop:.1f} points"
    assert words in [text.get_text() for text in axes.texts]


def test_peaks_leave_out_networks_that_diverged():
    cell = (result := synthetic(diverged=[(1, 0), (1, 1), (1, 2)])).cells[0]
    (axes,) = rendered(result, part="peak").axes
    peak = marked(axes, "peak")[1].get_ydata()[0]
    np.testing.assert_allclose(peak, np.median(cell.peak_accuracy[1, 3:]))


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_the_examples_shows_the_first_of_the_hardest_and_of_the_easiest_images(channels, gray_canvas):
    result = synthetic(channels=channels)
    figure = rendered(result, part="examples")
    titles = [axes.get_title("left") for axes in figure.axes]
    ends = ("hardest", "easiest")
    assert titles == [f"{name}: {end}" for name in ("true labels", "random labels") for end in ends]
    for place, examples in enumerate(result.examples):
        for offset, start in enumerate((0, examples.n_hardest)):
            drawn = figure.axes[2 * place + offset].images[0]
            shown = examples.images[start : start + 8]
            values = np.ma.masked_invalid(gray_canvas(drawn)).compressed()
            # Gaps between color images are white.
            np.testing.assert_allclose(
                np.sort(values)[: shown.size], np.sort(shown.reshape(-1)), atol=2 / 255
            )


def test_the_examples_says_what_was_taught_what_is_true_and_when_it_was_learned():
    result = synthetic()
    examples = result.examples[1]
    figure = rendered(result, part="examples")
    for k, text in enumerate(figure.axes[2].texts):
        assert examples.taught[k] != examples.true_labels[k]
        learned = f"epoch {examples.first_learned[k]}" if examples.first_learned[k] else "never"
        label = f"{examples.taught[k]} (is {examples.true_labels[k]})"
        assert text.get_text() == f"{label}\n{learned}\nforgotten {examples.forgetting[k]}"
    assert "is" not in figure.axes[0].texts[0].get_text()


def test_forgetting_is_in_shares_of_learned_examples_on_one_scale():
    cell = (result := synthetic(conditions_of(FIVE))).cells[0]
    figure = rendered(result, part="forgetting")
    assert [axes.get_title("left") for axes in figure.axes] == list(cell.names[1:])
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    for axes, index in zip(figure.axes, (1, 2, 3, 4), strict=True):
        for side, bars in enumerate(axes.containers):
            shares = cell.forgetting[index, :, side] / cell.n_learned[index, :, side, None]
            np.testing.assert_allclose([bar.get_height() for bar in bars], shares.mean(axis=0))
    first = mean_estimate(cell.forgetting[1, :, 0, 0] / cell.n_learned[1, :, 0]).interval
    segment = figure.axes[0].collections[0].get_segments()[0]
    np.testing.assert_allclose(segment[:, 1], [first.low, first.high])


def test_sensitivity_shows_its_course_and_the_critical_samples_of_each_network():
    cell = (result := synthetic(diverged=[(1, 0)])).cells[0]
    curves, ratios = rendered(result, part="sensitivity").axes
    for line, values, n_trained in zip(medians(curves), cell.sensitivity_curve, cell.n_trained, strict=True):
        # Networks that have fitted everything are not measured any more.
        assert len(line) == n_trained.max()
        np.testing.assert_allclose(line, np.nanmedian(values[:, : n_trained.max()], axis=0))
    for line, row in zip(marked(ratios, "networks"), cell.critical_ratio, strict=True):
        np.testing.assert_allclose(line.get_ydata(), row[np.isfinite(row)])
    means = [line.get_ydata()[0] for line in marked(ratios, "mean")]
    np.testing.assert_allclose(means, np.nanmean(cell.critical_ratio, axis=1))


def test_labels_are_moved_apart_no_further_than_needed_and_stay_inside():
    wanted, sizes = np.array([0.5, 0.51, 0.1, 0.99]), np.full(4, 0.1)
    np.testing.assert_allclose(apart(wanted, sizes), [0.455, 0.555, 0.1, 0.95])
    crowded = apart(np.zeros(10), np.full(10, 0.1))
    np.testing.assert_allclose(np.sort(crowded), np.arange(0.05, 1, 0.1))
