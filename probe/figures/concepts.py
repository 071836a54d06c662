"""Figures of `probe.analyses.concepts`: units against concepts, linear probes, and what units are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe._checks import check_choice
from probe.analyses.concepts import Concepts, LayerConcepts
from probe.figures._style import COLOURS, HEIGHT, footnote, fresh, literal, spread, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS", "draw", "parts_of"]

PARTS = ("units", "probes", "importance")

_MOST_UNITS = 32
"""Units shown of a layer, at most: those that are most selective."""

_ROW, _TITLE, _MARGINS = 0.17, 0.35, 2.4
"""Inches of a unit, of the title above a layer, and of what is around all layers."""

_MOST_LAYERS = 12
"""Layers shown, at most: the first, the last, and some in between, evenly apart."""


def parts_of(result: Concepts) -> tuple[str, ...]:
    """Return the figures that there are."""
    return PARTS


def draw(
    result: Concepts, *, figure: Figure | SubFigure | None = None, part: str | None = None
) -> Figure | SubFigure:
    """Draw a part of `result` into `figure`, or a new one, and return it.

    Raises
    ------
    InputError
        If there is no such part.
    """
    part = PARTS[0] if part is None else check_choice("part", part, PARTS)
    return {"units": _units, "probes": _probes, "importance": _importance}[part](result, figure)


def _layers(result: Concepts) -> list[LayerConcepts]:
    """Return the layers that are shown."""
    return [result.layers[place] for place in spread(len(result.layers), _MOST_LAYERS)]


def _most_units(layers: list[LayerConcepts]) -> int:
    """Return how many units of a layer have room, such that all layers fit in one figure."""
    room = (HEIGHT - _MARGINS) / len(layers) - _TITLE
    return min(_MOST_UNITS, int(room / _ROW))


def _shown(layer: LayerConcepts, most: int = _MOST_UNITS) -> np.ndarray:
    """Return the units of a layer that are shown, in order: all, or the most selective."""
    selectivity = layer.selectivity.max(axis=1)
    return np.sort(np.argsort(-selectivity, kind="stable")[:most])


def _units(result: Concepts, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    layers = _layers(result)
    most = _most_units(layers)
    shown = [_shown(layer, most) for layer in layers]
    heights = [max(1.2, _ROW * len(units) + _TITLE) for units in shown]
    with styled():
        figure = fresh(sum(heights) + _MARGINS - 0.2) if figure is None else figure
        panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
        limit = max(0.05, *(float(layer.selectivity.max()) for layer in layers))
        for axes, layer, units in zip(panels, layers, shown, strict=True):
            drawn = axes.imshow(
                layer.auroc[units],
                cmap="RdBu_r",
                vmin=0.5 - limit,
                vmax=0.5 + limit,
                aspect="auto",
                interpolation="nearest",
            )
            _marks(axes, layer, units, result.alpha, limit)
            axes.set_yticks(
                range(len(units)),
                [literal(layer.unit_names[k], 12) for k in units],
                fontsize=6.5 if len(units) > 8 else 9,
            )
            axes.set_title(f"'{literal(layer.layer)}', unit", loc="left", fontsize=9)
            axes.grid(visible=False)
            for edge in _edges(result.kinds):
                axes.axvline(edge, color="white", linewidth=2.5)
        panels[-1].set_xticks(range(len(result.names)), result.names, rotation=90, fontsize=7)
        bar = figure.colorbar(
            drawn, ax=panels.tolist(), orientation="vertical", fraction=0.03, pad=0.01, aspect=30
        )
        bar.set_ticks(
            [0.5 - limit, 0.5, 0.5 + limit], labels=[f"{0.5 - limit:.2f}", "0.5", f"{0.5 + limit:.2f}"]
        )
        bar.set_label("AUROC")
        footnote(
            figure,
            [
                f"Dots: better than all units and concepts in {1 - result.alpha:.0%} of permutations of the images. Rings: "
                "the unit is also "
                f"better than the best axes of random rotations of its layer (false discovery rate {result.alpha:.0%}).",
                _of_layers(result, layers),
                _of_units(layers, most),
            ],
        )
    return figure


def _of_layers(result: Concepts, layers: list[LayerConcepts]) -> str:
    n = len(result.layers)
    return "" if len(layers) == n else f"Shown: {len(layers)} of {n} layers, evenly apart."


def _of_units(layers: list[LayerConcepts], most: int) -> str:
    largest = max(len(layer.unit_names) for layer in layers)
    if largest <= most:
        return ""
    return f"Of larger layers, of up to {largest:,} units, the {most} most selective are shown."


def _marks(axes: Axes, layer: LayerConcepts, units: np.ndarray, alpha: float, limit: float) -> None:
    rows, columns = np.nonzero(layer.selectivity[units] > layer.permuted_limit)
    at_dots = layer.selectivity[units][rows, columns]
    # White on the dark ends of the colour map.
    colours = np.where(at_dots > 0.7 * limit, "#ffffff", "#222222")
    axes.scatter(columns, rows, s=3, color=colours, linewidth=0)
    special = np.flatnonzero(layer.aligned(alpha))
    places = {unit: row for row, unit in enumerate(units.tolist())}
    at = [
        (k, places[unit])
        for k, unit in zip(special, layer.best_units[special].tolist(), strict=True)
        if unit in places
    ]
    if at:
        x, y = zip(*at, strict=True)
        axes.scatter(x, y, s=42, facecolor="none", edgecolor="#222222", linewidth=1.2, gid="aligned")


def _edges(kinds: tuple[str, ...]) -> list[float]:
    """Return the places between kinds of concepts."""
    return [k + 0.5 for k in range(len(kinds) - 1) if kinds[k] != kinds[k + 1]]


def _probes(result: Concepts, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    n_concepts = len(result.names)
    with styled():
        layers = _layers(result)
        depth = len(layers)
        # Long names and many layers take rows of the legend.
        columns = _columns(layers)
        rows = -(-(1 + 2 * depth) // columns)
        figure = fresh(4.2 + 0.18 * rows) if figure is None else figure
        axes = figure.subplots()
        x = np.arange(n_concepts)
        axes.plot(
            x, result.pixel_probe_auroc, linestyle="none", marker="_", markersize=9, markeredgewidth=2,
            color=COLOURS["reference"], label="pixels",
        )  # fmt: skip
        for place, layer in enumerate(layers):
            shade = 0.35 + 0.65 * (place + 1) / depth
            marker = "osD^v<>pP*"[place % 10]
            axes.plot(
                x, layer.probe_auroc, linestyle="none", marker=marker, markersize=5, alpha=shade,
                color=COLOURS["true"], label=f"'{literal(layer.layer, 24)}'",
            )  # fmt: skip
            axes.plot(
                x, layer.untrained_probe_auroc, linestyle="none", marker=marker, markersize=5, alpha=shade,
                markerfacecolor="none", color=COLOURS["untrained"], label=f"'{literal(layer.layer, 24)}' untrained",
            )  # fmt: skip
        axes.axhline(0.5, color="#888888", linewidth=0.8)
        for edge in _edges(result.kinds):
            axes.axvline(edge, color="#cccccc", linewidth=1)
        axes.set_xticks(x, result.names, rotation=90, fontsize=7)
        axes.set_xlim(-0.7, n_concepts - 0.3)
        axes.set_ylabel("AUROC of a linear probe")
        figure.legend(loc="outside upper center", ncols=columns, frameon=False, fontsize=8)
        if depth < len(result.layers):
            footnote(figure, [_of_layers(result, layers)])
    return figure


def _columns(layers: list[LayerConcepts]) -> int:
    """Return how many names of layers have room side by side in the legend."""
    longest = max(len(literal(layer.layer, 24)) for layer in layers)
    return max(1, min(5, 1 + 2 * len(layers), 120 // (longest + 18)))


def _importance(result: Concepts, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    with styled():
        layers = _layers(result)
        figure = fresh(min(2.6, (HEIGHT - 1) / len(layers)) * len(layers) + 0.8) if figure is None else figure
        panels = figure.subplots(len(layers), 2, squeeze=False, width_ratios=[2, 1])
        for (left, right), layer in zip(panels, layers, strict=True):
            units = _shown(layer)
            x = np.arange(len(units))
            left.bar(
                x - 0.2, layer.cost_added_with[units], 0.38, color=COLOURS["true"], label="images with it"
            )
            left.bar(
                x + 0.2, layer.cost_added_without[units], 0.38, color=COLOURS["untrained"], label="without"
            )
            left.axhline(0, color="#444444", linewidth=0.8)
            every = max(1, len(units) // 16)
            names = [literal(layer.unit_names[k], 8) for k in units[::every]]
            left.set_xticks(x[::every], names, rotation=90 if max(map(len, names)) > 4 else 0)
            left.set_ylabel("cost added")
            left.set_title(
                f"'{literal(layer.layer, 24)}': without the unit, by its best concept", loc="left", fontsize=9
            )
            left.grid(visible=False, axis="x")
            right.scatter(layer.selectivity.max(axis=1), layer.cost_added, s=18, color=COLOURS["true"])
            right.set_xlabel("selectivity, |AUROC − ½|")
            right.set_ylabel("cost added")
        panels[0, 0].legend(loc="upper right", fontsize=8, frameon=False)
        footnote(
            figure,
            [
                "Without a unit: it is replaced by its mean. Right: a dot for each unit; selectivity is not importance.",
                _of_layers(result, layers),
                _of_units(layers, _MOST_UNITS),
            ],
        )
    return figure
