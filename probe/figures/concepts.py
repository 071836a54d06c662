"""Figures of `probe.analyses.concepts`: units against concepts, linear probes, and what units are worth."""

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
    bar = figure.colorbar(drawn, ax=grid.tolist(), label="AUROC", fraction=0.03, pad=0.01, aspect=30)
    bar.set_ticks([0.5 - limit, 0.5, 0.5 + limit], labels=[f"{0.5 - limit:.2f}", "0.5", f"{0.5 + limit:.2f}"])
    return [
        f"Dots: better than all units and concepts in {1 - result.alpha:.0%} of permutations of the images. Rings: "
        "the unit is also better than the best axes of random rotations of its layer (false discovery rate "
        f"{result.alpha:.0%}).",
        shown_of(len(layers), len(result.layers), "layers"),
        _of_units(layers, most),
    ]


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


@panels()
def probes(result: Concepts, figure: Figure | SubFigure) -> list[str]:
    """Draw how well linear probes on each layer, before and after training, and on the pixels tell each concept."""
    n_concepts = len(result.names)
    layers = _layers(result)
    depth = len(layers)
    # Long names and many layers take rows of the legend.
    names = [literal(layer.layer, 24) for layer in layers]
    columns = max(1, min(5, 1 + 2 * depth, 120 // (max(map(len, names)) + 18)))
    rows = -(-(1 + 2 * depth) // columns)
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
    axes.axhline(0.5, color="#888888", linewidth=0.8)
    for edge in _edges(result.kinds):
        axes.axvline(edge, color="#cccccc", linewidth=1)
    axes.set_xticks(x, result.names, rotation=90, fontsize=7)
    axes.set_xlim(-0.7, n_concepts - 0.3)
    axes.set_ylabel("AUROC of a linear probe")
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


PARTS = (units, probes, importance)
