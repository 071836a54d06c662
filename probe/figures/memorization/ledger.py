"""The hardest and the easiest examples as images, with what the networks were taught about them."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from probe.analyses.memorization import Examples, Memorization
from probe.figures._style import WIDTH, Grid, check_drawable, footnote, fresh, image_grid, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]

_FONT_SIZE = 9.0


def draw(result: Memorization, cell: int, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    """Draw one row of hardest and one of easiest examples of each condition of a cell, and return the figure.

    The result may hold more of them than a row.
    """
    found = [examples for examples in result.examples if examples.cell == cell]
    check_drawable(found[0].images)
    columns = _columns(result)
    strips = [
        (f"{examples.condition}: {name}", examples, rows)
        for examples in found
        for name, rows in (
            ("hardest", range(min(columns, examples.n_hardest))),
            ("easiest", range(examples.n_hardest, min(examples.n_hardest + columns, len(examples.indices)))),
        )
        if rows
    ]
    labels = [
        [_label(examples, k, result.class_names, columns) for k in rows] for _, examples, rows in strips
    ]
    grids = [_grid(examples, texts, columns) for (_, examples, _), texts in zip(strips, labels, strict=True)]
    heights = [grid.inches + 0.4 for grid in grids]
    figure = fresh(sum(heights) + 0.55) if figure is None else figure
    column = figure.subplots(len(strips), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (title, examples, rows), texts, grid in zip(column, strips, labels, grids, strict=True):
        image_grid(axes, examples.images[list(rows)], texts, grid, cmap="gray", limits=(0, 1))
        axes.set_anchor("W")
        axes.set_title(title, loc="left", fontweight="bold")
    footnote(figure, _NOTES)
    return figure


_NOTES = (
    "Above each image: the label taught, and what it truly is where that differs; the epoch after which it was first "
    "classified as taught; how often it was forgotten.",
)


def _columns(result: Memorization) -> int:
    """Return how many images stand side by side, such that the longest name of a class fits above one."""
    widest = max(text_width(f"is {name}", _FONT_SIZE) for name in result.class_names)
    return next((n for n in (8, 6, 5, 4, 3) if widest <= _room(n)), 2)


def _room(columns: int) -> float:
    """Return the inches that a label may be wide; the last tenth is the gap to the next."""
    return 0.9 * (WIDTH - 0.3) / columns


def _label(examples: Examples, k: int, class_names: tuple[str, ...], columns: int) -> str:
    taught, true = (class_names[labels[k]] for labels in (examples.taught, examples.true_labels))
    epoch, count = int(examples.first_learned[k]), int(examples.forgetting[k])
    learned = f"epoch {epoch}" if epoch else "never"
    both = f"{taught} (is {true})"
    if taught == true:
        names = [taught]
    else:
        names = [both] if text_width(both, _FONT_SIZE) <= _room(columns) else [taught, f"is {true}"]
    lines = [line for name in names for line in _lines(name, columns)]
    return "\n".join([*lines, learned, f"forgotten {count}"])


def _lines(name: str, columns: int) -> list[str]:
    if text_width(name, _FONT_SIZE) <= _room(columns):
        return [name]
    return wrap(name, max(6, int(_room(columns) / text_width("n", _FONT_SIZE))))


def _grid(examples: Examples, labels: list[str], columns: int) -> Grid:
    height, width = examples.images.shape[1:3]
    return Grid(len(labels), columns, height, width, max(label.count("\n") + 1 for label in labels))
