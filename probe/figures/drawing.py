"""Figure of `probe.analyses.drawing`: what the network draws, what it is nearest to, and where it stands among images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from probe._checks import IntArray
from probe.analyses.drawing import JUDGES, MEASURES, Artist, Drawing
from probe.figures._axes import Look, half_ticks, middle_90
from probe.figures._grid import Grid, check_drawable, lone
from probe.figures._parts import panels
from probe.figures._style import COLORS, cut, literal
from probe.figures._tiles import framed, image_grid

__all__ = ["PARTS"]

_SHOWN = 10
"""Classes side by side, at most."""

_IMAGES_INCHES = 4.75
"""Height of all images."""

_LETTERS = 12.5
"""Letters on an inch, about."""

_ROWS = ("plain", "smoothed", "linear", "nearest", "mean")

_COLORS = {
    "optimized": COLORS["optimum"],
    "smoothed": COLORS["optimum"],
    "real": COLORS["real"],
    "class means": COLORS["test"],
    "noise": COLORS["noise"],
    "shuffled": COLORS["random"],
}

_ARTIST_COLORS = {
    "network": COLORS["optimum"],
    "untrained": COLORS["untrained"],
    "random-label": COLORS["random"],
    "linear": COLORS["test"],
}

_TITLES = {
    "nearest": "distance to the\nnearest training image",
    "residual": "left over by\nprincipal components",
    "ink": "ink",
    "total_variation": "total variation",
}


@panels(9.6)
def drawing(result: Drawing, figure: Figure | SubFigure) -> list[str]:
    """Draw what each class looks like, where all images stand among held-out ones, and how many classes are drawn."""
    check_drawable(result.nearest)
    n_shown = min(_SHOWN, result.n_classes)
    # A judge that there is none of sees nothing.
    judges = [
        name for name, share in zip(JUDGES, result.kinds[0].agreement, strict=True) if not np.isnan(share)
    ]
    judges[-1] = "most " * (judges[-1] == JUDGES[2]) + judges[-1]
    above, middle, below = figure.subfigures(3, 1, height_ratios=[4.9, 2.4, 2.1])  # type: ignore[misc]
    n_framed = _images(above, result, n_shown)
    axes = middle.subplots(1, len(MEASURES), sharey=True)
    for column, measure in enumerate(MEASURES):
        _percentiles(axes[column], result, column)
        axes[column].set_title(_TITLES[measure], fontsize=9)
    middle.supxlabel("percentile among held-out images", fontsize=9)
    left, right = below.subplots(1, 2, width_ratios=[1.0, 1.0])
    _shares(left, result)
    _classes(right, result)
    return [
        f"Under each drawing: what {', '.join(judges)} see. Dots: median; bars: middle 90% of the images of a kind.",
        "Framed: counts as drawn." if n_framed else "",
        "" if n_shown == result.n_classes else f"The first {n_shown} of {result.n_classes:,} classes.",
    ]


PARTS = (drawing,)


def _images(figure: SubFigure, result: Drawing, n_shown: int) -> int:
    """Draw the images, a column for each class, as tiles of one picture; return how many of them are framed."""
    own, linear = result.artists[0], result.artists[-1]
    means, classes = result.kind("class means").images, range(n_shown)
    rows = [
        (own.plain, result.best_indices[:n_shown].tolist()),
        *(
            (artist.smoothed, [_best(artist, k, result.n_restarts) for k in classes])
            for artist in (own, linear)
        ),
    ]
    images = [kind.images[chosen] for kind, chosen in rows]
    images += [result.nearest[:n_shown], means[[min(k, len(means) - 1) for k in classes]]]
    tiles = lone(np.concatenate(images))
    grid = _grid(tiles, n_shown)
    n_letters = int(_LETTERS * grid.unit_inches)
    names = [literal(name, n_letters) for name in result.class_names]
    below = [
        *_seen(own.plain.judged[:, rows[0][1]], result.class_names, n_letters),
        *_seen(own.smoothed.judged[:, rows[1][1]], result.class_names, n_letters),
        *_seen(linear.smoothed.judged[:2, rows[2][1]], result.class_names, n_letters),
        *(names[k] for k in result.nearest_classes[:n_shown].tolist()),
    ]
    drawn = np.flatnonzero(np.concatenate([kind.drawn[chosen] for kind, chosen in rows])).tolist()
    axes = figure.subplots()
    _tiles(axes, tiles, grid, names[:n_shown], below)
    framed(axes, grid, drawn, color=COLORS["optimum"], linewidth=2.5)
    return len(drawn)


def _grid(images: npt.NDArray[Any], n_columns: int) -> Grid:
    """Return the largest grid of images that is not too high."""
    height, width = images.shape[1:3]
    sizes = (Grid(len(images), n_columns, height, width, 1, across=n / 10) for n in range(74, 0, -1))
    return next(grid for grid in sizes if grid.inches < _IMAGES_INCHES)


def _tiles(
    axes: Axes, images: npt.NDArray[Any], grid: Grid, above: Sequence[str], below: Sequence[str]
) -> None:
    """Draw images in the rows of `_ROWS` with texts above the first row and below all but the last."""
    image_grid(axes, images, [*above, *[""] * len(below)], grid, cmap="gray", limits=(0, 1))
    size = 0.9 * grid.font_size
    look: Look = {"fontsize": size, "color": "#222222", "in_layout": False}
    for k, text in enumerate(below):
        top, left = grid.corner(k)
        under = top + grid.height + 0.2 * grid.line
        shown = cut(text, size, 0.98 * grid.unit_inches)
        axes.text(left + grid.width / 2 - 0.5, under, shown, ha="center", va="top", **look)
    for row, name in enumerate(_ROWS):
        middle = grid.corner(row * grid.columns)[0] + grid.height / 2
        axes.text(-2 * grid.gap, middle, name, ha="right", va="center", rotation=90, fontsize=9)


def _seen(judged: IntArray, class_names: Sequence[str], n_letters: int) -> list[str]:
    """Return what judges (n_judges, n_images) see in each image; a dash of a judge that there is none of."""
    # All judges are to be read, if only the beginnings of what they say.
    room = n_letters // len(judged)
    return [
        "/".join(literal(class_names[judge], room) if judge >= 0 else "–" for judge in of_image)
        for of_image in judged.T.tolist()
    ]


def _best(artist: Artist, k: int, n_restarts: int) -> int:
    """Return the index of a smoothed image of class `k`: the first that counts as drawn, or the first."""
    drawn = artist.smoothed.drawn[k * n_restarts : (k + 1) * n_restarts]
    return k * n_restarts + int(drawn.argmax())


def _percentiles(axes: Axes, result: Drawing, column: int) -> None:
    for row, kind in enumerate(result.kinds):
        low, middle, high = middle_90(kind.percentiles[:, column])
        color = _COLORS[kind.name]
        axes.plot([low, high], [row, row], color=color, linewidth=5, alpha=0.45, solid_capstyle="butt")
        dot: Look = {"marker": "o", "markersize": 6, "markeredgecolor": "white"}
        axes.plot([middle], [row], color=color, clip_on=False, zorder=3, **dot)
    axes.set_yticks(range(len(result.kinds)), [kind.label for kind in result.kinds])
    axes.set(xlim=(0, 1), ylim=(len(result.kinds) - 0.5, -0.5))
    half_ticks(axes)
    axes.grid(visible=False, axis="y")


def _shares(axes: Axes, result: Drawing) -> None:
    """Draw which share of the images of each kind could be real, and which counts as drawn."""
    rows = np.arange(len(result.kinds))
    colors = [_COLORS[kind.name] for kind in result.kinds]
    plausible = [kind.plausible_share for kind in result.kinds]
    axes.barh(rows, plausible, 0.7, color=colors, alpha=0.3)
    axes.barh(rows, [kind.drawn_share for kind in result.kinds], 0.35, color=colors)
    axes.set_yticks(rows, [kind.label for kind in result.kinds])
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    axes.set_title("share of images: could be real\n(pale), and recognized too", fontsize=9)
    half_ticks(axes)
    axes.grid(visible=False, axis="y")


def _classes(axes: Axes, result: Drawing) -> None:
    """Draw how many classes each network draws, and how many are most."""
    rows = [(artist.label, [artist.n_drawn], _ARTIST_COLORS[artist.name]) for artist in result.artists]
    if len(result.classes_drawn):
        rows.insert(1, ("networks trained like it", result.classes_drawn.tolist(), COLORS["true"]))
    for row, (_, counts, color) in enumerate(rows):
        # Networks that draw as many stand above each other.
        seen = dict[int, int]()
        for count in counts:
            at = seen.setdefault(count, 0)
            seen[count] += 1
            off = 0.6 * (at / max(1, counts.count(count) - 1) - 0.5) if counts.count(count) > 1 else 0.0
            size = 8 if len(counts) == 1 else 4
            axes.plot([count], [row + off], "o", color=color, markersize=size, clip_on=False, zorder=3)
    axes.axvline(result.n_classes / 2, color=COLORS["reference"], linewidth=1, linestyle="--")
    axes.set_yticks(range(len(rows)), [label for label, _, _ in rows])
    axes.set(xlim=(0, result.n_classes), ylim=(len(rows) - 0.5, -0.5))
    axes.set_title("classes drawn\n(dashed: half of them)", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.grid(visible=False, axis="y")
