"""Figures of `probe.analyses.concepts`: units against concepts, loops, linear probes, and what units are worth."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from probe.analyses.concepts import Concepts, LayerConcepts
from probe.figures._axes import Look, shown_of, spread
from probe.figures._grid import strongest
from probe.figures._parts import panels
from probe.figures._style import COLORS, HEIGHT, literal, resize

__all__ = ["PARTS"]

_MOST_UNITS = 32
"""Units shown of a layer, at most: those that are most selective."""

_ROW, _TITLE, _MARGINS = 0.17, 0.35, 2.4
"""Inches of a unit, of the title above a layer, and of what is around all layers."""

_MOST_LAYERS = 12
"""Layers shown, at most: the first, the last, and some in between, evenly apart."""


def _layers(result: Concepts) -> list[LayerConcepts]:
    """Return the layers that are shown."""
    return [result.layers[k] for k in spread(len(result.layers), _MOST_LAYERS)]


def _shown(layer: LayerConcepts, most: int = _MOST_UNITS) -> np.ndarray:
    """Return the units of a layer that are shown, in order: all, or the most selective."""
    return np.sort(strongest(layer.selectivity.max(axis=1), most))


@panels()
def units(result: Concepts, figure: Figure | SubFigure) -> list[str]:
    """Draw for every layer which unit tells which concept."""
    layers = _layers(result)
    # All layers fit in one figure.
    most = min(_MOST_UNITS, int(((HEIGHT - _MARGINS) / len(layers) - _TITLE) / _ROW))
    shown = [_shown(layer, most) for layer in layers]
    heights = [max(1.2, _ROW * len(chosen) + _TITLE) for chosen in shown]
    resize(figure, sum(heights) + _MARGINS - 0.2)
    grid = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
    limit = max(0.05, *(float(layer.selectivity.max()) for layer in layers))
    for axes, layer, chosen in zip(grid, layers, shown, strict=True):
        look: Look = {"cmap": "RdBu_r", "vmin": 0.5 - limit, "vmax": 0.5 + limit, "aspect": "auto"}
        drawn = axes.imshow(layer.auroc[chosen], interpolation="nearest", **look)
        _marks(axes, layer, chosen, result.alpha, limit)
        names = [literal(layer.unit_names[k], 12) for k in chosen]
        axes.set_yticks(range(len(chosen)), names, fontsize=6.5 if len(chosen) > 8 else 9)
        axes.set_title(f"'{literal(layer.layer)}', unit", fontsize=9)
        axes.grid(visible=False)
        for edge in _edges(result.kinds):
            axes.axvline(edge, color="white", linewidth=2.5)
    grid[-1].set_xticks(range(len(result.names)), result.names, rotation=90, fontsize=7)
    bar = figure.colorbar(
        drawn, ax=grid.tolist(), label="AUROC within classes", fraction=0.03, pad=0.01, aspect=30
    )
    bar.set_ticks([0.5 - limit, 0.5, 0.5 + limit], labels=[f"{0.5 - limit:.2f}", "0.5", f"{0.5 + limit:.2f}"])
    return [
        *_legend(result, layers, shown),
        shown_of(len(layers), len(result.layers), "layers"),
        _of_units(layers, most),
    ]


def _legend(result: Concepts, layers: list[LayerConcepts], shown: list[np.ndarray]) -> list[str]:
    """Return what dots and rings mean, where there are any."""
    pairs = list(zip(layers, shown, strict=True))
    said = list[str]()
    if any((layer.selectivity[units] > layer.permuted_limit).any() for layer, units in pairs):
        said.append(
            f"Dots: better than all units and concepts in {1 - result.alpha:.0%} of permutations of the images within "
            "classes."
        )
    if result.has_rings:
        said.append(
            "Rings: the unit is also better than the best axes of random rotations of its layer (false discovery rate "
            f"{result.alpha:.0%})."
        )
    return said


def _of_units(layers: list[LayerConcepts], most: int) -> str:
    largest = max(len(layer.unit_names) for layer in layers)
    if largest <= most:
        return ""
    return f"Of larger layers, of up to {largest:,} units, the {most} most selective are shown."


def _marks(axes: Axes, layer: LayerConcepts, units: np.ndarray, alpha: float, limit: float) -> None:
    rows, columns = np.nonzero(layer.selectivity[units] > layer.permuted_limit)
    at_dots = layer.selectivity[units][rows, columns]
    # White on the dark ends of the color map.
    colors = np.where(at_dots > 0.7 * limit, "#ffffff", "#222222")
    axes.scatter(columns, rows, s=3, color=colors, linewidth=0)
    aligned = np.flatnonzero(layer.aligned(alpha))
    rows, columns = np.nonzero(units[:, None] == layer.best_units[aligned])
    if len(rows):
        look: Look = {"facecolor": "none", "edgecolor": "#222222", "linewidth": 1.2}
        axes.scatter(aligned[columns], rows, s=42, gid="aligned", **look)


def _edges(kinds: tuple[str, ...]) -> list[float]:
    """Return the places between kinds of concepts."""
    return [k + 0.5 for k in range(len(kinds) - 1) if kinds[k] != kinds[k + 1]]


def _no_loops(result: Concepts) -> str:
    return "" if result.loops is not None else "loops vary within fewer than two classes"


@panels(height=3.6, empty=_no_loops)
def loops(result: Concepts, figure: Figure | SubFigure) -> list[str]:
    """Draw how well units of the last hidden layer tell loops within classes, and what is asked for."""
    found = result.loops
    assert found is not None
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[6, 5])
    told = 0.5 + np.abs(found.auroc - 0.5)
    shown = np.sort(strongest(told, _MOST_UNITS))
    chosen = np.isin(shown, found.chosen)
    x = np.arange(len(shown))
    dots: Look = {"s": 26, "linewidth": 1.2, "edgecolor": COLORS["true"]}
    left.scatter(x[~chosen], told[shown][~chosen], facecolor="white", **dots)
    left.scatter(x[chosen], told[shown][chosen], facecolor=COLORS["true"], **dots)
    every = max(1, len(shown) // 16)
    names = [literal(found.unit_names[k], 6) for k in shown[::every]]
    left.set_xticks(x[::every], names, rotation=90 if max(map(len, names)) > 2 else 0)
    left.set_xlabel(f"unit of '{literal(found.layer, 24)}'")
    left.set_ylabel("AUROC for loops, within classes")
    _beside(right, result)
    for axes in (left, right):
        axes.axhline(found.threshold, color=COLORS["random"], linestyle="--", linewidth=1.4, gid="threshold")
        axes.axhline(0.5, color="#888888", linewidth=0.8)
    left.set_ylim(0.44, 1.01)
    left.annotate(
        f"asked for: {found.threshold:.2f}",
        (0, found.threshold),
        (3, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        color=COLORS["random"],
        fontsize=9,
    )
    return [
        "Filled: the units that one half of the images chose. Right: they are judged on the other half, with the 95% "
        "interval of their distance from what is asked for.",
        _most_shown(len(found.auroc)),
    ]


def _most_shown(n_units: int) -> str:
    return f"Shown: the {_MOST_UNITS} best of {n_units:,} units." if n_units > _MOST_UNITS else ""


def _beside(axes: Axes, result: Concepts) -> None:
    """Draw the chosen unit as it is judged, beside what else tells loops."""
    found = result.loops
    assert found is not None
    interval = found.chosen_auroc
    ends = [[interval.estimate - interval.low], [interval.high - interval.estimate]]
    bar: Look = {"fmt": "o", "color": COLORS["true"], "capsize": 4, "markersize": 7, "gid": "chosen"}
    axes.errorbar([0], [interval.estimate], ends, **bar)
    rows = [
        ("whole layer", found.layer_auroc, "D"),
        ("pixels", found.pixel_auroc, "s"),
        ("principal\ncomponents", found.components_auroc, "^"),
        ("class\nalone", 0.5, "v"),
    ]
    for place, (_, value, marker) in enumerate(rows, 1):
        axes.plot([place], [value], marker, color=COLORS["reference"], markersize=7)
    names = ["chosen\nunit", *(name.replace(" ", "\n") for name, _, _ in rows)]
    if len(found.control_auroc):
        spots = len(rows) + 1 + np.linspace(-0.2, 0.2, len(found.control_auroc))
        axes.scatter(
            spots, found.control_auroc, s=14, facecolor="none", edgecolor=COLORS["true"], gid="controls"
        )
        names.append("units of\nothers")
    axes.set_xticks(range(len(names)), names, fontsize=7.5)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="x")


@panels()
def probes(result: Concepts, figure: Figure | SubFigure) -> list[str]:
    """Draw how well linear probes on each layer, before and after training, and on the pixels tell each concept."""
    n_concepts = len(result.names)
    layers = _layers(result)
    depth = len(layers)
    # Long names and many layers take rows of the legend.
    names = [literal(layer.layer, 24) for layer in layers]
    columns = max(1, min(5, 2 + 2 * depth, 120 // (max(map(len, names)) + 18)))
    rows = -(-(2 + 2 * depth) // columns)
    resize(figure, 4.2 + 0.18 * rows)
    axes = figure.subplots()
    x = np.arange(n_concepts)
    bars: Look = {"color": COLORS["reference"], "markersize": 9, "markeredgewidth": 2}
    axes.plot(x, result.pixel_probe_auroc, "_", label="pixels", **bars)
    for k, (layer, name) in enumerate(zip(layers, names, strict=True)):
        look: Look = {"markersize": 5, "alpha": 0.35 + 0.65 * (k + 1) / depth}
        marker = "osD^v<>pP*"[k % 10]
        axes.plot(x, layer.probe_auroc, marker, color=COLORS["true"], label=f"'{name}'", **look)
        look |= {"markerfacecolor": "none", "color": COLORS["untrained"]}
        axes.plot(x, layer.untrained_probe_auroc, marker, label=f"'{name}' untrained", **look)
    few: Look = {"color": COLORS["optimum"], "markersize": 7, "markeredgewidth": 1.6, "linestyle": "none"}
    axes.plot(x, layers[0].components_auroc, "x", label="principal components", **few)
    axes.axhline(0.5, color="#888888", linewidth=0.8)
    for edge in _edges(result.kinds):
        axes.axvline(edge, color="#cccccc", linewidth=1)
    axes.set_xticks(x, result.names, rotation=90, fontsize=7)
    axes.set_xlim(-0.7, n_concepts - 0.3)
    axes.set_ylabel("AUROC of a linear probe, within classes")
    figure.legend(loc="outside upper center", ncols=columns, fontsize=8)
    return [shown_of(depth, len(result.layers), "layers")]


@panels()
def importance(result: Concepts, figure: Figure | SubFigure) -> list[str]:
    """Draw what the network loses without each unit, and how that goes with selectivity."""
    layers = _layers(result)
    resize(figure, min(2.6, (HEIGHT - 1) / len(layers)) * len(layers) + 0.8)
    grid = figure.subplots(len(layers), 2, squeeze=False, width_ratios=[2, 1])
    for (left, right), layer in zip(grid, layers, strict=True):
        chosen = _shown(layer)
        x = np.arange(len(chosen))
        left.bar(x - 0.2, layer.cost_added_with[chosen], 0.38, color=COLORS["true"], label="images with it")
        left.bar(x + 0.2, layer.cost_added_without[chosen], 0.38, color=COLORS["untrained"], label="without")
        left.axhline(0, color="#444444", linewidth=0.8)
        every = max(1, len(chosen) // 16)
        names = [literal(layer.unit_names[k], 8) for k in chosen[::every]]
        left.set_xticks(x[::every], names, rotation=90 if max(map(len, names)) > 4 else 0)
        left.set_ylabel("cost added")
        title = f"'{literal(layer.layer, 24)}': without the unit, by its best concept"
        left.set_title(title, fontsize=9)
        left.grid(visible=False, axis="x")
        right.scatter(layer.selectivity.max(axis=1), layer.cost_added, s=18, color=COLORS["true"])
        right.set(xlabel="selectivity, |AUROC − ½|", ylabel="cost added")
    grid[0, 0].legend(loc="upper right", fontsize=8)
    return [
        "Without a unit: it is replaced by its mean. Right: a dot for each unit; selectivity is not importance.",
        shown_of(len(layers), len(result.layers), "layers"),
        _of_units(layers, _MOST_UNITS),
    ]


PARTS = (units, loops, probes, importance)
