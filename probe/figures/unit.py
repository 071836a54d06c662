"""Figure of `probe.analyses.unit`: the whole card of a unit in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter

from probe._checks import Array
from probe.analyses.unit import RankedImages, UnitCard
from probe.figures._grid import Grid, lone, strongest, without_channel
from probe.figures._parts import panels
from probe.figures._style import COLORS, WIDTH, cut, literal, note_inches, resize
from probe.figures._tiles import image_grid

__all__ = ["PARTS"]

_PANEL = 1.75
"""Width of one of the four pictures at the top in inches, less than its column."""

_STRIP = WIDTH - 0.6
"""Width of a strip of ten images in inches."""

_MOST_CLASSES, _MOST_CONCEPTS, _MOST_PLANES = 24, 6, 16
"""Bars and images that are shown at most."""

_ROW = 0.17
"""Height of a bar in inches."""

_SIGNED = "RdBu_r"
_ABOVE, _BELOW = "#b2182b", "#2166ac"
"""Of weights above and below zero: its colors at three quarters."""

_GROUPS = {"trained": "trained alike", "untrained": "untrained", "random_label": "random labels"}
_GROUP_COLORS = {
    "trained": COLORS["true"],
    "untrained": COLORS["untrained"],
    "random_label": COLORS["random"],
}
_SHORT = {
    "norm": ("length of the weights", "{:.3g}"),
    "moran": ("Moran's I of the weights", "{:.2f}"),
    "gabor": ("R² of the best Gabor fit", "{:.2f}"),
    "concept": ("AUROC of best concept", "{:.2f}"),
    "lost": ("accuracy lost without it", "{:.1%}"),
}


@panels()
def card(result: UnitCard, figure: Figure | SubFigure) -> list[str]:
    """Draw what the unit reads, what excites it most and least, what it tells, what is lost without it, and its standing."""
    strips = [_strip_grid(result, ranked) for ranked in (result.most, result.least)]
    n_bars = max(min(len(result.class_names), _MOST_CLASSES), min(len(result.auroc), _MOST_CONCEPTS), 4)
    heights = [2.45, *(grid.inches + 0.35 for grid in strips), _ROW * n_bars + 0.75]
    if result.standing is not None:
        heights.append(1.6)
    notes = _notes(result)
    resize(figure, sum(heights) + note_inches(notes) + 0.5)
    figure.suptitle(
        cut(_heading(result), 12, WIDTH - 0.4, "bold"), fontsize=12, fontweight="bold", x=0.01, ha="left"
    )
    rows = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    top = rows[0].subgridspec(1, 4)
    _weights(figure.add_subplot(top[0]), result)
    _reference(figure.add_subplot(top[1]), result)
    _products(figure.add_subplot(top[2]), result)
    _favorite(figure.add_subplot(top[3]), result)
    _strip(
        figure.add_subplot(rows[1]), result, result.most, strips[0], f"The {result.noun}s that excite it most"
    )
    _strip(figure.add_subplot(rows[2]), result, result.least, strips[1], "and least")
    bars = rows[3].subgridspec(1, 2 if len(result.auroc) else 1)
    if len(result.auroc):
        _concepts(figure.add_subplot(bars[0]), result)
    _losses(figure.add_subplot(bars[-1]), result)
    if result.standing is not None:
        _standing(figure, rows[4], result)
    return notes


def _heading(result: UnitCard) -> str:
    number = f"unit {result.unit} of {result.n_units_in_layer} in '{literal(result.layer)}'"
    if result.is_output:
        return f"'{literal(result.name)}': {number}"
    return f"U{number[1:]}"


def _notes(result: UnitCard) -> list[str]:
    """Return what a reader must know, in sentences."""
    n = int(result.n_by_class.sum())
    value = "pre-activation" if not result.position else "mean of its map before the activation"
    n_classes, n_concepts = len(result.class_names), len(result.auroc)
    return [
        f"Weights: red is positive, blue negative. Bars below zero are hatched. Above the {result.noun}s: their class, and "
        f"the unit's {value}; of {result.n_looked_at:,} test images.",
        f"Without it: replaced by its mean (mean ablation), {n:,} test images, {result.accuracy:.1%} right with it.",
        f"Shown: the {_MOST_CLASSES} of {n_classes} classes that change most." * (n_classes > _MOST_CLASSES),
        f"Shown: the {_MOST_CONCEPTS} of {n_concepts} concepts that it tells best; AUROC within classes."
        * (n_concepts > _MOST_CONCEPTS),
        "Signs of concepts: the direction of an edge."
        * any(name[0] in "—/|\\" for name in result.concept_names),
        "Colored weights: gray is zero." * (result.weights_kind == "image" and result.weights.ndim == 3),
        "Weights x input: channels are added." * (result.products.ndim == 3),
        "Of a channel, at the place in its map where it is largest." * bool(result.position),
        "Upright lines: what is beyond chance." * (result.permuted_limit is not None),
        _of_standing(result),
        *result.missing,
    ]


def _of_standing(result: UnitCard) -> str:
    standing = result.standing
    if standing is None:
        return ""
    return (
        f"Below: the unit (line) among all {standing.n_units:,} units of this layer in {standing.n_networks} networks of "
        "each kind: thin 5 to 95%, thick 25 to 75%, tick median; right: the share of them that is below it."
    )


def _titled(axes: Axes, *lines: str) -> None:
    """Write lines above a small picture, each cut to its width."""
    axes.set_title("\n".join(cut(line, 8.5, _PANEL) for line in lines), fontsize=8.5, loc="left")


def _weights(axes: Axes, result: UnitCard) -> None:
    lines = (
        "weights" if result.weights_kind != "planes" else "weights, by channel",
        f"±{result.weights_limit:.3g}",
    )
    if result.reads and result.weights_kind == "vector":
        lines = f"weights on '{literal(result.reads)}'", lines[1]
    _signed(axes, result.weights, result.weights_kind, result.weights_limit)
    _titled(axes, *lines)


def _products(axes: Axes, result: UnitCard) -> None:
    values, kind = _summed(result.products, result.weights_kind)
    _signed(axes, values, kind, float(np.abs(values).max(initial=0.0)) or 1.0)
    bias = f"{'−' if result.bias < 0 else '+'} {abs(result.bias):.2f}"
    total = f"sum {result.products_sum:.2f} {bias} = {result.pre_activation:.2f}".replace("-", "−")
    _titled(axes, "weights x this input", total)


def _summed(values: Array, kind: str) -> tuple[Array, str]:
    """Return products as one image, or as they are: those of several channels are added."""
    if kind == "vector" and values.ndim == 1:
        return values, "vector"
    if kind == "planes" and values.ndim == 3 and values.shape[2] > 4:
        return values.sum(axis=0), "image"
    return (values.sum(axis=2) if values.ndim == 3 else values), "image"


def _signed(axes: Axes, values: Array, kind: str, limit: float) -> None:
    """Draw weights or products around zero."""
    limit = limit or 1.0
    if kind == "vector":
        _stems(axes, values, limit)
    elif kind == "planes":
        _planes(axes, values, limit)
    elif values.ndim == 3 and values.shape[2] == 3:
        _image(axes, (values / limit + 1) / 2, {})
    else:
        _image(axes, values, {"cmap": _SIGNED, "vmin": -limit, "vmax": limit})


def _stems(axes: Axes, values: Array, limit: float) -> None:
    """Draw a vector: a bar for each of its values, up or down."""
    if not values.size:
        axes.set_axis_off()
        axes.text(0, 0.5, "two kernels in a row:\nno one picture", fontsize=8.5, transform=axes.transAxes)
        return
    x = np.arange(len(values))
    color = [_ABOVE if value >= 0 else _BELOW for value in values]
    axes.vlines(x, 0, values, color=color, linewidth=max(0.5, min(6.0, 80 / len(values))))
    axes.axhline(0, color="#444444", linewidth=0.8)
    axes.set(xlim=(-0.7, len(values) - 0.3), ylim=(-1.08 * limit, 1.08 * limit))
    axes.tick_params(labelsize=7)
    axes.locator_params(axis="x", integer=True, nbins=4)
    axes.grid(visible=False, axis="x")


def _planes(axes: Axes, values: Array, limit: float) -> None:
    """Draw the images of the channels with the largest weights."""
    shown = np.sort(strongest(np.abs(values).reshape(len(values), -1).sum(axis=1), _MOST_PLANES))
    abreast = ceil(len(shown) ** 0.5)
    grid = Grid.of(len(shown), values.shape[1:], 0, abreast=abreast, across=_PANEL)
    image_grid(axes, values[shown], [""] * len(shown), grid, cmap=_SIGNED, limits=(-limit, limit))


def _reference(axes: Axes, result: UnitCard) -> None:
    label = literal(result.class_names[int(result.most.labels[0])])
    _image(axes, result.most.images[0], {"cmap": "gray", "vmin": 0, "vmax": 1})
    _titled(axes, "excites it most", label)


def _favorite(axes: Axes, result: UnitCard) -> None:
    if result.favorite is None:
        axes.set_axis_off()
        _titled(axes, "its favorite", "not looked for")
        return
    _image(axes, result.favorite, {"cmap": "gray", "vmin": 0, "vmax": 1})
    bound = f"at most {result.favorite_upper:.3g}" if np.isfinite(result.favorite_upper) else "no bound known"
    _titled(axes, "its favorite", f"{result.favorite_value:.3g}; {bound}")


def _image(axes: Axes, image: Array, look: dict[str, Any]) -> None:
    """Draw one image in its frame."""
    picture = lone(_visible(image[None]))[0]
    axes.imshow(np.clip(picture, 0, 1) if picture.ndim == 3 else picture, interpolation="nearest", **look)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set(visible=True, color="#999999", linewidth=0.5)


def _visible(images: Array) -> Array:
    """Return images (n, height, width[, channels]) as they can be drawn: of other than 1 or 3 channels the mean."""
    images = without_channel(images)
    return images.mean(axis=3) if images.ndim == 4 and images.shape[3] != 3 else images


def _strip_grid(result: UnitCard, ranked: RankedImages) -> Grid:
    return Grid.of(10, result.most.images.shape[1:3], 2, abreast=10, across=_STRIP)


def _strip(axes: Axes, result: UnitCard, ranked: RankedImages, grid: Grid, title: str) -> None:
    """Draw images side by side, with their classes and values."""
    names = [literal(result.class_names[int(label)]) for label in ranked.labels]
    labels = [f"{name}\n{value:.2f}" for name, value in zip(names, ranked.values, strict=True)]
    image_grid(axes, _visible(ranked.images), labels, grid, cmap="gray", limits=(0.0, 1.0))
    axes.set_title(title, fontsize=9.5)


def _concepts(axes: Axes, result: UnitCard) -> None:
    axes.set_title("Tells within classes", fontsize=9.5)
    shown = result.best_concepts[:_MOST_CONCEPTS]
    values = result.auroc[shown] - 0.5
    words = [f"{value + 0.5:.2f}" for value in values]
    _bars(axes, [result.concept_names[k] for k in shown], values, words, 1.5)
    if result.permuted_limit is not None:
        for row, limit in enumerate(result.permuted_limit[shown]):
            axes.vlines([-limit, limit], row - 0.4, row + 0.4, color=COLORS["reference"], linewidth=1)
    axes.set_xlim(-0.5, 0.5)
    axes.set_xticks([-0.5, 0, 0.5], ["0", "½", "1"])
    axes.set_xlabel("AUROC", fontsize=8.5)


def _losses(axes: Axes, result: UnitCard) -> None:
    interval = result.lost
    axes.set_title(
        f"Lost without it: {100 * interval.estimate:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f}) points",
        fontsize=9.5,
    )
    lost = np.nan_to_num(result.lost_by_class)
    shown = np.sort(strongest(np.abs(lost), _MOST_CLASSES))
    words = [_points(100 * lost[k]) if result.n_by_class[k] else "no images" for k in shown]
    inches = 1.5 if len(result.auroc) else 3.0
    _bars(axes, [result.class_names[k] for k in shown], 100 * lost[shown], words, inches)
    low, high = min(0.0, 100 * float(lost.min())), max(1.0, 100 * float(lost.max()))
    room = (0.26 if len(result.auroc) else 0.12) * (high - low)
    axes.set_xlim(low - room * (low < 0), high + room)
    axes.set_xlabel("percentage points of accuracy", fontsize=8.5)


def _points(value: float) -> str:
    return "0" if abs(value) < 0.05 else f"{value:+.1f}".replace("-", "−")


def _bars(
    axes: Axes, names: Sequence[str], values: npt.NDArray[Any], words: Sequence[str], inches: float
) -> None:
    """Draw a bar for each name, those below zero hatched, with what it says beside it."""
    rows = np.arange(len(names))
    for hits, color, hatch in ((values >= 0, COLORS["true"], ""), (values < 0, COLORS["random"], "////")):
        axes.barh(
            rows[hits], values[hits], height=0.7, color=color, hatch=hatch, edgecolor="white", linewidth=0
        )
    for row, (value, word) in enumerate(zip(values, words, strict=True)):
        side = "left" if value >= 0 else "right"
        axes.annotate(
            word,
            (value, row),
            (3 if value >= 0 else -3, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=7.5,
        )
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set_yticks(rows, [cut(name, 8, inches) for name in names], fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.grid(visible=False, axis="y")


def _standing(figure: Figure | SubFigure, place: Any, result: UnitCard) -> None:
    """Draw for each statistic the unit among the units of control networks."""
    standing = result.standing
    assert standing is not None
    columns = place.subgridspec(1, len(standing.statistics))
    for k, name in enumerate(standing.statistics):
        axes = figure.add_subplot(columns[k])
        value = float(standing.values[0, k])
        for row, group in enumerate(standing.groups):
            low, first, middle, third, high = standing.quantiles[row, k]
            color = _GROUP_COLORS[group]
            axes.hlines(row, low, high, color=color, linewidth=1.2)
            axes.hlines(row, first, third, color=color, linewidth=5, alpha=0.6)
            axes.vlines(middle, row - 0.25, row + 0.25, color=color, linewidth=2)
            share = standing.percentiles[row, 0, k]
            if np.isfinite(share):
                axes.text(
                    1.01, row, f"{share:.0%}", fontsize=7, va="center", transform=axes.get_yaxis_transform()
                )
        if np.isfinite(value):
            axes.axvline(value, color="#111111", linewidth=1.4, linestyle=(0, (4, 1.5)))
        axes.set_yticks(
            range(len(standing.groups)), [_GROUPS[g] for g in standing.groups] if k == 0 else [], fontsize=8
        )
        axes.set_ylim(len(standing.groups) - 0.5, -0.5)
        words, number = _SHORT[name]
        axes.set_title(f"{words}\n{number.format(value) if np.isfinite(value) else 'none'}", fontsize=7.5)
        if name == "lost":
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.tick_params(axis="x", labelsize=7)
        axes.locator_params(axis="x", nbins=3)
        axes.grid(visible=False, axis="y")


PARTS = (card,)
