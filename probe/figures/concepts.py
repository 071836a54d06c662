"""Figures of `probe.analyses.concepts`: units against concepts, linear probes, and what units are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe._checks import check_choice
from probe.analyses.concepts import Concepts, LayerConcepts
from probe.figures._style import COLOURS, footnote, fresh, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS", "draw", "parts_of"]

PARTS = ("units", "probes", "importance")

_MOST_UNITS = 32
"""Units shown of a layer: those that are most selective."""


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


def _shown(layer: LayerConcepts) -> np.ndarray:
    """Return the units of a layer that are shown, in order: all, or the most selective."""
    most = layer.selectivity.max(axis=1)
    return np.sort(np.argsort(-most, kind="stable")[:_MOST_UNITS])


def _units(result: Concepts, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    shown = [_shown(layer) for layer in result.layers]
    heights = [max(1.2, 0.17 * len(units) + 0.35) for units in shown]
    with styled():
        figure = fresh(sum(heights) + 2.2) if figure is None else figure
        panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
        limit = max(0.05, *(float(layer.selectivity.max()) for layer in result.layers))
        for axes, layer, units in zip(panels, result.layers, shown, strict=True):
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
                range(len(units)), [layer.unit_names[k] for k in units], fontsize=6.5 if len(units) > 8 else 9
            )
            axes.set_title(f"'{layer.layer}', unit", loc="left", fontsize=9)
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
                _first_of(result),
            ],
        )
    return figure


def _first_of(result: Concepts) -> str:
    if all(len(layer.unit_names) <= _MOST_UNITS for layer in result.layers):
        return ""
    return f"Of larger layers the {_MOST_UNITS} most selective units are shown."


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
        figure = fresh(4.4) if figure is None else figure
        axes = figure.subplots()
        x = np.arange(n_concepts)
        axes.plot(
            x, result.pixel_probe_auroc, linestyle="none", marker="_", markersize=9, markeredgewidth=2,
            color=COLOURS["reference"], label="pixels",
        )  # fmt: skip
        depth = len(result.layers)
        for place, layer in enumerate(result.layers):
            shade = 0.35 + 0.65 * (place + 1) / depth
            marker = "osD^v<>pP*"[place % 10]
            axes.plot(
                x, layer.probe_auroc, linestyle="none", marker=marker, markersize=5, alpha=shade,
                color=COLOURS["true"], label=f"'{layer.layer}'",
            )  # fmt: skip
            axes.plot(
                x, layer.untrained_probe_auroc, linestyle="none", marker=marker, markersize=5, alpha=shade,
                markerfacecolor="none", color=COLOURS["untrained"], label=f"'{layer.layer}' untrained",
            )  # fmt: skip
        axes.axhline(0.5, color="#888888", linewidth=0.8)
        for edge in _edges(result.kinds):
            axes.axvline(edge, color="#cccccc", linewidth=1)
        axes.set_xticks(x, result.names, rotation=90, fontsize=7)
        axes.set_xlim(-0.7, n_concepts - 0.3)
        axes.set_ylabel("AUROC of a linear probe")
        figure.legend(loc="outside upper center", ncols=min(5, 1 + 2 * depth), frameon=False, fontsize=8)
    return figure


def _importance(result: Concepts, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    with styled():
        figure = fresh(2.6 * len(result.layers) + 0.8) if figure is None else figure
        panels = figure.subplots(len(result.layers), 2, squeeze=False, width_ratios=[2, 1])
        for (left, right), layer in zip(panels, result.layers, strict=True):
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
            left.set_xticks(x[::every], [layer.unit_names[k] for k in units[::every]])
            left.set_ylabel("cost added")
            left.set_title(f"'{layer.layer}': without the unit, by its best concept", loc="left", fontsize=9)
            left.grid(visible=False, axis="x")
            right.scatter(layer.selectivity.max(axis=1), layer.cost_added, s=18, color=COLOURS["true"])
            right.set_xlabel("selectivity, |AUROC − ½|")
            right.set_ylabel("cost added")
        panels[0, 0].legend(loc="upper right", fontsize=8, frameon=False)
        footnote(
            figure,
            [
                "Without a unit: it is replaced by its mean. Right: a dot for each unit; selectivity is not importance."
            ],
        )
    return figure
