"""Single examples: the hardest and the easiest, how often they were forgotten, and which were memorized most."""

from __future__ import annotations

from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter

from probe._checks import Array
from probe.analyses.memorization import FORGETTING_BINS, Examples, Memorization, MemorizationCell
from probe.analyses.scores import MemorizationScores
from probe.figures._axes import beside, log_axis, shown_of, spread
from probe.figures._grid import ACROSS, Grid, check_drawable
from probe.figures._parts import panels
from probe.figures._style import COLORS, HEIGHT, cut, literal, resize, size_of, text_width
from probe.figures._tiles import image_grid
from probe.figures.memorization._conditions import cell_of
from probe.stats import mean_estimate

__all__ = ["examples", "forgetting", "scores"]

_MOST_PANELS = 27
"""Conditions shown: the first, the last, and some in between, evenly apart."""

# Hatched, so that they are told apart in gray.
_SIDES = (("right labels", COLORS["true"], ""), ("wrong labels", COLORS["random"], "////"))

_FONT_SIZE = 9.0

_BIN = 0.05

_SHARE = 0.45
"""Of the width of a figure of scores that the images have at least."""

_COLUMNS = 4
"""Of these images, at least."""

_LARGEST = 5.6
"""Inches that they may take in height in a figure of their own."""

_TITLE = 0.55
"""Inches that are not for images: the title and the margins."""


def _has_none(result: Memorization) -> str:
    return "" if result.examples else "no condition has its own images, so no examples were kept"


@panels(empty=_has_none)
def examples(result: Memorization, figure: Figure | SubFigure, cell: int = 0) -> list[str]:
    """Draw one row of hardest and one of easiest examples of each condition of a cell; the result may hold more."""
    cell_of(result, cell)
    of_cell = [examples for examples in result.examples if examples.cell == cell]
    check_drawable(of_cell[0].images)
    names = tuple(literal(name) for name in result.class_names)
    # As many as the longest name of a class fits above.
    widest = max(text_width(f"is {name}", _FONT_SIZE) for name in names)
    columns = next((n for n in (8, 6, 5, 4) if widest <= _room(n)), 3)
    blocks = [_strips(examples, names, columns) for examples in of_cell]
    most = max(1, int((HEIGHT - 1.0) / max(sum(map(_inches, block)) for block in blocks)))
    shown = spread(len(blocks), most)
    strips = [strip for index in shown for strip in blocks[index]]
    heights = [_inches(strip) for strip in strips]
    resize(figure, sum(heights) + 0.55)
    column = figure.subplots(len(strips), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (title, images, labels, grid) in zip(column, strips, strict=True):
        image_grid(axes, images, labels, grid, cmap="gray", limits=(0, 1))
        axes.set_anchor("W")
        axes.set_title(title, fontweight="bold")
    return [
        "Above each image: the label taught, and what it truly is where that differs; the epoch after which it was first "
        "classified as taught; how often it was forgotten.",
        shown_of(len(shown), len(blocks), "conditions"),
        strips[0][3].note,
    ]


_Strip = tuple[str, Array, list[str], Grid]
"""A title, images with a label each, and where they stand."""


def _strips(examples: Examples, names: tuple[str, ...], columns: int) -> list[_Strip]:
    """Return a row of the hardest and a row of the easiest examples of one condition."""
    n_hardest, n = examples.n_hardest, len(examples.indices)
    strips = []
    for name, first, end in (("hardest", 0, n_hardest), ("easiest", n_hardest, n)):
        rows = range(first, min(first + columns, end))
        if not rows:
            continue
        labels = [_label(examples, k, names, columns) for k in rows]
        lines = max(label.count("\n") + 1 for label in labels)
        size = examples.images.shape[1:3]
        grid = Grid.of(len(labels), size, lines, abreast=columns, inches=(HEIGHT - 1.0) / 2 - 0.4)
        strips.append((f"{examples.condition}: {name}", examples.images[list(rows)], labels, grid))
    return strips


def _inches(strip: _Strip) -> float:
    """Return the height of a row of images with its title."""
    return strip[3].inches + 0.4


def _room(columns: int) -> float:
    """Return the inches that a label may be wide; the last tenth is the gap to the next."""
    return 0.9 * ACROSS / columns


def _label(examples: Examples, k: int, class_names: tuple[str, ...], columns: int) -> str:
    taught, true = (class_names[labels[k]] for labels in (examples.taught, examples.true_labels))
    epoch, room = int(examples.first_learned[k]), _room(columns)
    names = [taught] if taught == true else [f"{taught} (is {true})"]
    if text_width(names[0], _FONT_SIZE) > room:
        letters = max(6, int(room / text_width("n", _FONT_SIZE)))
        parts = [taught] if taught == true else [taught, f"is {true}"]
        fitting = ([part] if text_width(part, _FONT_SIZE) <= room else wrap(part, letters) for part in parts)
        names = [line for lines in fitting for line in lines]
    return "\n".join([*names, f"epoch {epoch}" if epoch else "never", f"forgotten {examples.forgetting[k]}"])


def _has_no_wrong_labels(result: Memorization) -> str:
    is_corrupted = any((cell.n_examples[:, :, 1] > 0).any() for cell in result.cells)
    return "" if is_corrupted else "no label was corrupted"


@panels(empty=_has_no_wrong_labels)
def forgetting(result: Memorization, figure: Figure | SubFigure, cell: int = 0) -> list[str]:
    """Draw how often learned examples were forgotten again, for those with right and with wrong labels."""
    networks = cell_of(result, cell)
    corrupted = np.flatnonzero((networks.n_examples[:, :, 1] > 0).any(axis=1))
    shown = corrupted[spread(len(corrupted), _MOST_PANELS)].tolist()
    columns = min(2 if len(shown) == 4 else 3, len(shown))
    rows = -(-len(shown) // columns)
    resize(figure, 1.0 + 2.2 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, index in zip(grid.flat, shown, strict=False):
        for side in range(2):
            _bars(axes, networks, index, side)
        axes.set_title(networks.names[index].replace(", ", ",\n"))
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    _label_axes(grid, len(shown))
    handles = [bars for bars in grid[0, 0].containers if bars.get_label() in (side[0] for side in _SIDES)]
    figure.legend(handles=handles, loc="outside upper left", ncols=2)
    n = networks.n_replicates
    return [
        "Shares of the examples that were ever learned.",
        "Bars: mean over networks, with a 95% interval." if n > 1 else "One network each.",
        shown_of(len(shown), len(corrupted), "conditions"),
    ]


def _bars(axes: Axes, cell: MemorizationCell, index: int, side: int) -> None:
    """Draw the shares of examples by how often they were forgotten, over the networks that learned any."""
    name, color, hatch = _SIDES[side]
    learned = cell.n_learned[index, :, side]
    shares = cell.forgetting[index, :, side][learned > 0] / learned[learned > 0, None]
    positions = np.arange(FORGETTING_BINS) + (side - 0.5) * 0.42
    height = shares.mean(axis=0) if len(shares) else np.zeros(FORGETTING_BINS)
    axes.bar(positions, height, 0.4, color=color, hatch=hatch, edgecolor="white", linewidth=0, label=name)
    if len(shares) < 2:
        return
    for x, column in zip(positions, shares.T, strict=True):
        interval = mean_estimate(column.astype(np.float64)).interval
        axes.vlines(x, interval.low, interval.high, color="#222222", linewidth=1)


def _label_axes(grid: np.ndarray, n_shown: int) -> None:
    ticks = range(0, FORGETTING_BINS, 2)
    names = [*map(str, ticks[:-1]), f"{FORGETTING_BINS - 1}+"]
    for axes in grid.flat:
        axes.set_xticks(list(ticks), labels=names)
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_ylim(0, None)
    for axes in grid[:, 0]:
        axes.set_ylabel("learned examples")
    # Where the last row is not full, the row above it has axes that nothing is below.
    for index in range(max(0, n_shown - grid.shape[1]), n_shown):
        axes = grid.flat[index]
        axes.set_xlabel("forgetting events")
        axes.tick_params(labelbottom=True)


@panels()
def scores(result: MemorizationScores, figure: Figure | SubFigure) -> None:
    """Draw how the scores are distributed, and the most memorized images."""
    check_drawable(result.images)
    resize(figure, _LARGEST + _TITLE)
    width, height = size_of(figure)
    grid, labels = _fitted(result, width * _SHARE, height - _TITLE)
    resize(figure, max(3.2, grid.inches + _TITLE))
    left, right = figure.subplots(1, 2)
    _distributions(left, result)
    image_grid(right, result.images[: grid.n], labels, grid, cmap="gray", limits=(0, 1))
    right.set_anchor("N")
    right.set_title("most memorized, with the label taught")


def _distributions(axes: Axes, result: MemorizationScores) -> None:
    """Draw how many examples have which score, those with wrong labels apart."""
    wrong = result.is_corrupted
    groups = [("true", "right label", ~wrong), ("random", "wrong label", wrong)]
    groups = [group for group in groups if group[2].any()]
    # Very many scores are exactly 0 or 1, so these are in the middle of a bin, not at its edge.
    first = min(-2, round(float(result.scores.min()) / _BIN))
    edges = (np.arange(first, round(1 / _BIN) + 2) - 0.5) * _BIN
    counts = {name: np.histogram(result.scores[members], edges)[0] for name, _, members in groups}
    for name, values in counts.items():
        axes.stairs(values, edges, color=COLORS[name], fill=True, alpha=0.25)
        axes.stairs(values, edges, color=COLORS[name], linewidth=1.5)
    # Few of many examples are memorized, which a linear scale would not show; the top is for the text.
    lowest, highest = 0.7, max(int(values.max()) for values in counts.values())
    log_axis(axes, "y", lowest, lowest * (max(highest, 3) / lowest) ** 1.3)
    axes.set(xlim=(edges[0], edges[-1] + 0.01), xlabel="memorization score")
    axes.set_title(f"number of examples, of {len(result.scores):,}")
    for line, (name, words, members) in enumerate(groups):
        scores = result.scores[members]
        high = f"{np.mean(scores >= 0.5):.0%} at least 0.5"
        text = f"{words}: {len(scores):,}, mean {scores.mean():.2f}, {high}"
        look = {"xycoords": "axes fraction", "ha": "right", "va": "top", "fontsize": 9, "color": COLORS[name]}
        beside(axes, text, (1, 1), (-3, -3 - 14 * line), **look)


def _fitted(result: MemorizationScores, panel: float, height: float) -> tuple[Grid, list[str]]:
    """Return the grid of the fewest columns that is no higher than `height` inches, and labels that fit.

    Labels are in one line where all fit in one.
    """
    names, most = [literal(name, 60) for name in result.class_names], result.most_memorized
    lines = [
        [names[taught]] if taught == true else [names[taught], f"true {names[true]}"]
        for taught, true in zip(result.labels[most], result.true_labels[most], strict=True)
    ]
    size = result.images.shape[1:3]
    for n_lines in sorted({1, max(map(len, lines))}):
        grid = Grid.of(len(lines), size, n_lines, abreast=_COLUMNS, inches=height, across=panel)
        room = grid.unit_inches * grid.width / (grid.width + grid.gap)
        labels = [", ".join(parts) for parts in lines[: grid.n]]
        if all(text_width(label, grid.font_size) <= room for label in labels):
            return grid, labels
    return grid, ["\n".join(cut(line, grid.font_size, room) for line in parts) for parts in lines[: grid.n]]
