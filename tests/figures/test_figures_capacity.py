"""Figure of capacity: drawn is what the result holds, and no text lies over another."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pictures import all_overlaps, all_texts, cut_off, rendered

import probe
from probe.analyses.capacity import Capacity, CapacityDesign
from probe.figures import parts_of
from probe.pages import Section
from probe.workflow._folder import plain


def synthetic(sizes, replicates=3, *, censored=(), zero=(), scale=0.4):
    """Capacities of about `scale` images for each parameter; `censored` and `zero` are architectures."""
    rng = np.random.default_rng(0)
    mlps = tuple(probe.MLP(size, "relu") for size in sizes)
    counts = np.array([mlp.n_parameters(64, 10) for mlp in mlps])
    found = np.round(
        scale * counts[:, None] * np.exp(0.1 * rng.normal(size=(len(sizes), replicates)))
    ).astype(int)
    flags = np.zeros(found.shape, bool)
    for index in censored:
        found[index], flags[index] = 10_000, True
    for index in zero:
        found[index] = 0
    names = tuple(mlp.named(64, 10) for mlp in mlps)
    return Capacity(
        architectures=names,
        n_parameters=counts,
        capacities=found,
        censored=flags,
        trials=(),
        design=CapacityDesign(mlps),
    )


def said(result):
    """Return the rows of the table on a page, and what is claimed."""
    section = Section(key="capacity", results={"capacity": result}).rendered()
    rows = re.findall(r"<tr>(.*?)</tr>", section.html.split("<tbody>")[1], re.DOTALL)
    cells = [re.sub(r"<[^>]*>", "|", row) for row in rows]
    return [[cell for cell in row.split("|") if cell] for row in cells], section.claims[0].found


EIGHT = [(k,) for k in (4, 8, 16, 32, 64, 128, 256, 512)]


def marked(figure, gid):
    return [line for line in figure.axes[0].lines if line.get_gid() == gid]


@pytest.mark.parametrize(
    "odd",
    [
        {"sizes": [(64,)]},
        {"sizes": [(64,)], "replicates": 1},
        {"sizes": [(32,), (64, 32)], "replicates": 20},
        {"sizes": EIGHT, "censored": (6, 7)},
        {"sizes": EIGHT, "replicates": 1},
        {"sizes": [(32,)] * 8},
        {"sizes": [(2,), (64,)], "zero": (0,)},
        {"sizes": [(2,)], "zero": (0,)},
        {"sizes": [(8,), (16,), (32,)], "censored": (0, 1, 2)},
        {"sizes": [(4,), (8,), (16,)], "scale": 1.1},
    ],
)
def test_every_architecture_is_named_and_no_text_lies_over_another(odd, recwarn):
    result = synthetic(**odd)
    figure = rendered(result)
    assert all_overlaps(figure) == []
    assert cut_off(figure) == []
    names = {
        f"{name}: ≥ {mean:,.0f}" if result.is_lower_bound[k] else name
        for k, (name, mean) in enumerate(
            zip(result.architectures, result.capacities.mean(axis=1), strict=True)
        )
    }
    assert names <= {text for text, _ in all_texts(figure)}
    assert not recwarn.list


def test_searches_and_means_are_drawn_as_the_result_holds_them():
    result = synthetic(EIGHT)
    figure = rendered(result)
    searches = np.array([line.get_ydata()[0] for line in marked(figure, "search")]).reshape(8, 3)
    np.testing.assert_array_equal(searches, result.capacities)
    means = [(line.get_xdata()[0], line.get_ydata()[0]) for line in marked(figure, "mean")]
    np.testing.assert_allclose(means, np.stack([result.n_parameters, result.capacities.mean(axis=1)], axis=1))
    bars = [segments.get_segments()[0][:, 1] for segments in figure.axes[0].collections]
    intervals = result.intervals
    np.testing.assert_allclose(bars, [(interval.low, interval.high) for interval in intervals])
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"


def test_a_lower_bound_is_an_open_triangle_and_a_capacity_of_none_stands_on_the_edge():
    figure = rendered(synthetic([(2,), (16,), (64,)], censored=(2,), zero=(0,)))
    searches = marked(figure, "search")
    assert [line.get_marker() for line in searches] == ["v"] * 3 + ["o"] * 3 + ["^"] * 3
    assert searches[-1].get_markerfacecolor() == "white"
    assert searches[0].get_ydata()[0] == figure.axes[0].get_ylim()[0]
    assert [line.get_markerfacecolor() for line in marked(figure, "mean")] == ["#444444", "white"]
    notes = figure.get_supxlabel().replace("\n", " ")
    assert "a lower bound" in notes
    assert "no number of images was fitted" in notes


def test_the_interval_of_a_lower_bound_is_an_arrow_upwards():
    figure = rendered(result := synthetic([(16,), (64,)], censored=(1,)))
    ends = [segments.get_segments()[0][:, 1].max() for segments in figure.axes[0].collections]
    np.testing.assert_allclose(ends, [result.intervals[0].high, 10_000])
    arrows = [text for text in figure.axes[0].texts if not text.get_text()]
    assert [arrow.xy[1] for arrow in arrows] == [10_000]
    assert "64-64-10 relu: ≥ 10,000" in [text for text, _ in all_texts(figure)]


def test_capacities_in_words_say_which_are_lower_bounds():
    result = synthetic([(16,), (64,)], censored=(1,))
    flags = result.censored.copy()
    flags[0, 0] = True
    result = replace(result, censored=flags)
    rows, found = said(result)
    mixed, everything = (row[2] for row in rows)
    assert re.fullmatch(r"≥ \d+ \(interval from \d+ up; 1 of 3 searches never failed\)", mixed)
    assert everything == "≥ 10,000 (interval from 10,000 up; 3 of 3 searches never failed)"
    assert f"64-64-10 relu: {everything}" in found
    numbers = plain(result.to_dict())
    assert numbers["is_lower_bound"] == [True, True]
    assert [numbers["intervals"][1][end] for end in ("low", "high")] == [10_000, None]
    known = synthetic([(16,)])
    assert "≥" not in said(known)[0][0][2]
    assert plain(known.to_dict())["intervals"][0]["high"] is not None


def test_the_line_of_as_many_images_as_parameters_is_named_if_it_is_inside():
    inside = rendered(synthetic(EIGHT))
    (line,) = marked(inside, "reference")
    np.testing.assert_allclose(line.get_xdata(), line.get_ydata())
    assert "parameters = images" in [text for text, _ in all_texts(inside)]
    outside = rendered(synthetic([(64,)], scale=0.01))
    assert not marked(outside, "reference")
    assert "parameters = images" not in [text for text, _ in all_texts(outside)]


def test_capacity_has_one_figure_which_can_stand_in_axes_of_another():
    result = synthetic(EIGHT)
    assert parts_of(result) == ()
    with pytest.raises(probe.InputError, match="part must be left out for Capacity"):
        probe.plot(result, part="curves")
    whole = Figure(figsize=(16, 10), layout="constrained")
    axes = whole.subplots(2, 2)
    assert result.plot(ax=axes[0, 0], markersize=9) is axes[0, 0]
    FigureCanvasAgg(whole).draw()
    assert {line.get_markersize() for line in axes[0, 0].lines if line.get_gid() == "search"} == {9}
    assert all_overlaps(whole) == []


def test_a_capacity_says_what_it_holds_in_few_lines_as_plain_values_and_as_a_table():
    result = synthetic(EIGHT, 20)
    assert repr(result).count("\n") < 5
    numbers = json.loads(json.dumps(result.to_dict()))
    np.testing.assert_allclose(
        numbers["labels_per_parameter"], result.capacities.mean(axis=1) / result.n_parameters
    )
    assert {len(column) for column in result.columns().values()} == {8}
