"""Figures of `probe.analyses.comparison`: matched units side by side, likeness of units and layers, who gets what right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from probe._checks import InputError, check_integer
from probe.analyses.comparison import Abilities, Comparison, LayerPair
from probe.figures._axes import Look
from probe.figures._grid import ACROSS, INCHES, Grid, Page, check_drawable, strongest
from probe.figures._parts import panels
from probe.figures._style import COLORS, cut, literal, note_inches, resize
from probe.figures._tiles import ColorScale, image_grid, signed_grid

__all__ = ["PARTS"]

_NAMED = 24
"""Units, layers or classes that are named on an axis, at most."""

_CLASSES = 30
"""Classes shown, at most: those on which the two differ most."""

_COLUMNS = 8

_FONT_SIZE = 8.5

_KINDS = (
    ("both right", "#b9c4cc", ""),
    ("only A", COLORS["true"], ""),
    ("only B", COLORS["random"], "////"),
    ("neither", "#e9e9e9", "...."),
)
"""Name, color and hatch of each kind of image."""


def _without_layers(result: Comparison) -> str:
    return "" if result.layers else "there are no two hidden layers to compare"


def _without_weights(result: Comparison) -> str:
    return (
        "" if any(len(layer.drawn) for layer in result.layers) else "no weights of matched units form images"
    )


def _without_examples(result: Comparison) -> str:
    return "" if result.abilities.only_one else "there is no image that only one of both gets right"


def _layer(result: Comparison, index: int | None, *, drawn: bool = False) -> LayerPair:
    """Return the layer of this index, or the first; where weights are to be drawn, the first that has some."""
    if index is None:
        return next(layer for layer in result.layers if len(layer.drawn) or not drawn)
    layer = result.layers[check_integer("layer", index, minimum=0, maximum=len(result.layers) - 1)]
    if drawn and not len(layer.drawn):
        raise InputError(f"layer must be one whose weights form images, and those of layer {index} form none")
    return layer


@panels(empty=_without_weights)
def units(result: Comparison, figure: Figure | SubFigure, *, layer: int | None = None) -> list[str]:
    """Draw the weights of each pair of units, A's above B's, with symmetries undone."""
    shown = _layer(result, layer, drawn=True)
    check_drawable(shown.first_images)
    both = np.concatenate([shown.first_images, shown.second_images], axis=1)
    colors = ColorScale.of(both)
    gap = max(1, both.shape[1] // 24)
    apart = np.full((len(both), gap, *both.shape[2:]), np.nan, both.dtype)
    tiles = np.concatenate([shown.first_images, apart, shown.second_images], axis=1)
    n_pairs, planes = len(shown.drawn), shown.planes
    grid = Grid.of(n_pairs, tiles.shape[1:3], 2 + (planes > 1), per_unit=planes, inches=INCHES)
    chosen = np.arange(grid.n // planes)
    page = Page(chosen, np.tile(np.arange(planes), (len(chosen), 1)), n_pairs, planes, grid)
    pairs = shown.drawn[chosen]
    names = [_pair_name(shown, k) for k in pairs.tolist()]
    labels = names if planes == 1 else [str(plane) for _ in names for plane in range(planes)]
    notes = [
        "Above each pair: the unit of A, the unit of B, and the correlation of their activations. ⇅: one is the other "
        "upside down; it is turned here."
        * bool((shown.signs[pairs] < 0).any())
        or "Above each pair: the unit of A, the unit of B, and the correlation of their activations.",
        "Framed: no more alike than chance." * bool((~shown.is_matched[pairs]).any()),
        "" if len(pairs) == len(shown.pairs) else f"{len(pairs)} of {len(shown.pairs)} pairs are shown.",
        colors.words("pairs"),
    ]
    resize(figure, grid.inches + 0.75 + note_inches(notes))
    axes = figure.subplots()
    what = f"A above: weights into '{literal(shown.first)}'; B below: '{literal(shown.second)}'"
    signed_grid(
        axes,
        tiles[page.images],
        labels,
        page,
        colors,
        headings=[name.replace("\n", " ") for name in names] if planes > 1 else (),
        what=what,
        fraction=0.04,
        title=what,
    )
    for k in np.flatnonzero(~shown.is_matched[pairs]).tolist():
        _frame(axes, grid, k * planes, planes)
    return notes


def _pair_name(layer: LayerPair, k: int) -> str:
    first, second = layer.pairs[k].tolist()
    turned = " ⇅" * bool(layer.signs[k] < 0)
    return f"{first} · {second}{turned}\n{layer.similarity[k]:.2f}"


def _frame(axes: Axes, grid: Grid, tile: int, planes: int) -> None:
    """Draw a dashed frame around the images of a pair."""
    top, left = grid.corner(tile)
    _, last = grid.corner(tile + planes - 1)
    pad = 0.2 * grid.gap
    size = last + grid.width - left + 2 * pad, grid.height + 2 * pad
    look: Look = {
        "fill": False,
        "edgecolor": "#222222",
        "linewidth": 1.2,
        "linestyle": "--",
        "gid": "unmatched",
    }
    axes.add_patch(Rectangle((left - 0.5 - pad, top - 0.5 - pad), *size, **look))


@panels(height=4.4, empty=_without_layers)
def similarities(result: Comparison, figure: Figure | SubFigure, *, layer: int | None = None) -> list[str]:
    """Draw the correlations of all units of both networks, before and after matching."""
    shown = _layer(result, layer)
    partners = shown.pairs[np.argsort(shown.pairs[:, 0]), 1]
    order = np.concatenate([partners, np.setdiff1d(np.arange(shown.n_second), partners)])
    rows = np.concatenate(
        [np.sort(shown.pairs[:, 0]), np.setdiff1d(np.arange(shown.n_first), shown.pairs[:, 0])]
    )
    left, right = figure.subplots(1, 2)
    every = np.arange(shown.n_first), np.arange(shown.n_second)
    look: Look = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1, "aspect": "auto", "interpolation": "nearest"}
    signs = np.ones(shown.n_second)
    signs[shown.pairs[:, 1]] = shown.signs
    turned = shown.correlations * signs
    for axes, values, (first, second), title in (
        (left, shown.correlations, every, "as they are"),
        (right, turned, (rows, order), "matched"),
    ):
        drawn = axes.imshow(values[np.ix_(first, second)], **look)
        axes.set_title(title)
        axes.grid(visible=False)
        axes.set(xlabel=f"unit of B, '{literal(shown.second, 24)}'")
        axes.set_xticks(*_ticks(second), fontsize=7)
        axes.set_yticks(*_ticks(first), fontsize=7)
    left.set_ylabel(f"unit of A, '{literal(shown.first, 24)}'")
    at = np.flatnonzero(shown.is_matched)
    n_dots = max(len(shown.pairs), 1)
    right.scatter(
        at, at, s=min(14.0, 1500 / n_dots), color="white", edgecolor="#222222", linewidth=0.8, gid="matched"
    )
    figure.colorbar(drawn, ax=[left, right], label="correlation of activations", fraction=0.04, pad=0.02)
    return [
        "Right: the same with the units of B in the order of their partners, on the diagonal. "
        "Dots: more alike than chance, or the same weights.",
        "Units that are their partner upside down are turned." * bool((shown.signs < 0).any()),
    ]


def _ticks(units: npt.NDArray[np.int64]) -> tuple[list[int], list[str]]:
    if len(units) > _NAMED:
        return [], []
    return list(range(len(units))), [str(unit) for unit in units.tolist()]


@panels(height=3.6, empty=_without_layers)
def layers(result: Comparison, figure: Figure | SubFigure) -> list[str]:
    """Draw how alike every layer of one is to every layer of the other as a whole."""
    n_first, n_second = result.cka.shape
    resize(figure, float(np.clip(1.6 + 0.5 * n_first, 2.6, 9.0)))
    axes = figure.subplots()
    drawn = axes.imshow(result.cka, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    few = max(n_first, n_second) <= _NAMED // 2
    for row, column in np.ndindex(n_first, n_second) if few else ():
        value = float(result.cka[row, column])
        axes.text(
            column, row, f"{value:.2f}", ha="center", va="center", color="white" if value < 0.6 else "black"
        )
    letters = max(4, 60 // n_second)
    axes.set_xticks(range(n_second), [literal(name, letters) for name in result.second_layers])
    axes.set_yticks(range(n_first), [literal(name, 24) for name in result.first_layers])
    if not few:
        axes.set_xticks([])
        axes.set_yticks([])
    places = [
        (result.first_layers.index(layer.first), result.second_layers.index(layer.second))
        for layer in result.layers
    ]
    for row, column in places:
        box = axes.add_patch(_box(column, row))
        box.set_gid("compared")
    axes.set(xlabel="hidden layers of B", ylabel="hidden layers of A")
    axes.grid(visible=False)
    figure.colorbar(drawn, ax=axes, label="similarity (linear CKA)")
    return ["Framed: layers whose units are compared."]


def _box(column: int, row: int) -> Rectangle:
    return Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor="white", linewidth=2)


@panels(height=4.6)
def abilities(result: Comparison, figure: Figure | SubFigure) -> list[str]:
    """Draw which images both get right, only one, or neither: over all, and those that only one gets right by class."""
    found = result.abilities
    only = found.counts[:, 1:3]
    chosen = np.sort(strongest(only.sum(axis=1).astype(np.float64), _CLASSES))
    resize(figure, 2.3 + 0.24 * max(4, len(chosen)))
    above, below = figure.subplots(2, 1, height_ratios=(0.75, 0.24 * max(4, len(chosen))))
    _totals(above, found)
    places, names = np.arange(len(chosen)), [found.class_names[k] for k in chosen.tolist()]
    sides = (-only[chosen, 0], only[chosen, 1])
    for widths, (_, color, hatch) in zip(sides, _KINDS[1:3], strict=True):
        below.barh(places, widths, color=color, hatch=hatch, edgecolor="white", linewidth=0)
    most = max(1, int(only[chosen].max()))
    for place, (left, right) in enumerate(only[chosen].tolist()):
        for value, side in ((left, -1), (right, 1)):
            text: Look = {"ha": "right" if side < 0 else "left", "va": "center", "fontsize": 8}
            below.text(side * (value + 0.02 * most), place, f"{value:,}", **text)
    below.axvline(0, color=COLORS["reference"], linewidth=0.8)
    below.set_yticks(places, [cut(name, 8.5, 1.6) for name in names], fontsize=8.5)
    below.set(xlim=(-1.2 * most, 1.2 * most), ylim=(len(chosen) - 0.4, -0.6), xticks=[])
    below.grid(visible=False)
    below.set_title(
        "images that only one gets right, by class: only A to the left, only B to the right", fontsize=9
    )
    shown = len(chosen) < len(found.class_names)
    return [
        f"The {len(chosen)} of {len(found.class_names):,} classes with most such images." if shown else ""
    ]


def _totals(axes: Axes, found: Abilities) -> None:
    start = 0
    for (name, color, hatch), n in zip(_KINDS, found.totals.tolist(), strict=True):
        axes.barh(
            0, n, left=start, color=color, hatch=hatch, edgecolor="white", linewidth=0, label=f"{name} {n:,}"
        )
        start += n
    axes.set(xlim=(0, start), yticks=[], ylim=(-0.5, 0.5))
    axes.set_xlabel("test images", fontsize=9, labelpad=1)
    axes.grid(visible=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderpad=0.1, handlelength=1.2)


@panels(empty=_without_examples)
def examples(result: Comparison, figure: Figure | SubFigure) -> list[str]:
    """Draw images that only A gets right, and images that only B gets right."""
    found = result.abilities
    check_drawable(found.first_images)
    sides = [
        ("only A gets these right", found.first_images, [_said(names, 2) for names in found.first_names]),
        ("only B gets these right", found.second_images, [_said(names, 1) for names in found.second_names]),
    ]
    sides = [side for side in sides if len(side[1])]
    size = sides[0][1].shape[1:3]
    grids = [
        Grid.of(len(images), size, 2, abreast=_COLUMNS, inches=INCHES / 2 - 1, across=ACROSS)
        for _, images, _ in sides
    ]
    heights = [grid.inches * min(1.0, _COLUMNS / grid.columns) + 0.35 for grid in grids]
    resize(figure, sum(heights) + 0.6)
    column = figure.subplots(len(sides), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, grid, (title, images, labels) in zip(column, grids, sides, strict=True):
        image_grid(axes, images[: grid.n], labels[: grid.n], grid, cmap="gray", limits=(0, 1))
        axes.set_anchor("W")
        axes.set_title(title, fontweight="bold")
    return ["Above each image: its class, and what the other network says.", grids[0].note]


def _said(names: Sequence[str], other: int) -> str:
    return f"{literal(names[0])}\nnot {literal(names[other])}"


PARTS = (units, similarities, layers, abilities, examples)
