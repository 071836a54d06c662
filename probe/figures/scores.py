"""Figure of `probe.analyses.scores`: how the scores are distributed, and the most memorized examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe.analyses.scores import MemorizationScores
from probe.figures._grid import Grid, check_drawable, image_grid
from probe.figures._parts import panels
from probe.figures._style import COLOURS, cut, literal, log_axis, resize, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS"]

_BIN = 0.05
_SHARE = 0.45
"""Of the figure's width that the images have at least."""
_COLUMNS = 4
"""Of the images, at least."""
_LARGEST = 5.6
"""Inches that the images may take in height in a figure of their own."""
_TITLE = 0.55
"""Inches that are not for images: the title and the margins."""


@panels()
def scores(result: MemorizationScores, figure: Figure | SubFigure) -> None:
    """Draw how the scores are distributed, and the most memorized images.

    Raises
    ------
    InputError
        If the inputs are no images.
    """
    check_drawable(result.images)
    resize(figure, _LARGEST + _TITLE)
    width, height = figure.bbox.width / figure.dpi, figure.bbox.height / figure.dpi
    grid, labels = _fitted(result, width * _SHARE, height - _TITLE)
    resize(figure, max(3.2, grid.inches + _TITLE))
    left, right = figure.subplots(1, 2)
    _distributions(left, result)
    image_grid(right, result.images[: grid.n], labels, grid, cmap="gray", limits=(0, 1))
    right.set_anchor("N")
    right.set_title("most memorized, with the label taught", loc="left")


PARTS = (scores,)


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
        axes.stairs(values, edges, color=COLOURS[name], fill=True, alpha=0.25)
        axes.stairs(values, edges, color=COLOURS[name], linewidth=1.5)
    # Few of many examples are memorized, which a linear scale would not show; the top is for the text.
    lowest, highest = 0.7, max(int(values.max()) for values in counts.values())
    log_axis(axes, "y", lowest, lowest * (max(highest, 3) / lowest) ** 1.3)
    axes.set(xlim=(edges[0], edges[-1] + 0.01), xlabel="memorization score")
    axes.set_title(f"number of examples, of {len(result.scores):,}", loc="left")
    for line, (name, words, members) in enumerate(groups):
        scores = result.scores[members]
        text = (
            f"{words}: {len(scores):,}, mean {scores.mean():.2f}, {np.mean(scores >= 0.5):.0%} at least 0.5"
        )
        axes.annotate(
            text,
            (1, 1),
            xytext=(-3, -3 - 14 * line),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=9,
            color=COLOURS[name],
        )


def _fitted(result: MemorizationScores, panel: float, height: float) -> tuple[Grid, list[str]]:
    """Return the grid of the fewest columns that is no higher than `height` inches, and labels that fit.

    Labels are in one line where all fit in one.
    """
    names, most = [literal(name, 60) for name in result.class_names], result.most_memorized
    lines = [
        [names[taught]] if taught == true else [names[taught], f"true {names[true]}"]
        for taught, true in zip(result.labels[most], result.true_labels[most], strict=True)
    ]
    size = result.images.shape[1], result.images.shape[2]
    for n_lines in sorted({1, max(map(len, lines))}):
        grid = Grid.of(len(lines), size, n_lines, abreast=_COLUMNS, inches=height, across=panel)
        room = grid.unit_inches * grid.width / (grid.width + grid.gap)
        labels = [", ".join(parts) for parts in lines[: grid.n]]
        if all(text_width(label, grid.font_size) <= room for label in labels):
            return grid, labels
    return grid, ["\n".join(cut(line, grid.font_size, room) for line in parts) for parts in lines[: grid.n]]
