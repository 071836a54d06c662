"""The hardest and the easiest examples as images, with what the networks were taught about them."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from probe._checks import Array
from probe.analyses.memorization import Examples, Memorization
from probe.figures._grid import Grid, check_drawable, image_grid
from probe.figures._style import HEIGHT, WIDTH, footnote, fresh, literal, spread, text_width

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
    names = tuple(literal(name) for name in result.class_names)
    columns = _columns(names)
    blocks = [_strips(examples, names, columns) for examples in found]
    most = max(1, int((HEIGHT - 1.0) / max(sum(map(_inches, block)) for block in blocks)))
    shown = spread(len(blocks), most)
    strips = [strip for place in shown for strip in blocks[place]]
    heights = [_inches(strip) for strip in strips]
    figure = fresh(sum(heights) + 0.55) if figure is None else figure
    column = figure.subplots(len(strips), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (title, images, labels, grid) in zip(column, strips, strict=True):
        image_grid(axes, images, labels, grid, cmap="gray", limits=(0, 1))
        axes.set_anchor("W")
        axes.set_title(title, loc="left", fontweight="bold")
    few = f"Shown: {len(shown)} of {len(blocks)} conditions." if len(shown) < len(blocks) else ""
    footnote(figure, [*_NOTES, few, f"Of the pixels: {strips[0][3].words}." if strips[0][3].words else ""])
    return figure


_Strip = tuple[str, Array, list[str], Grid]
"""A title, images with a label each, and where they stand."""


def _strips(examples: Examples, names: tuple[str, ...], columns: int) -> list[_Strip]:
    """Return a row of the hardest and a row of the easiest examples of one condition."""
    n_hardest, n = examples.n_hardest, len(examples.indices)
    found = []
    for name, first, end in (("hardest", 0, n_hardest), ("easiest", n_hardest, n)):
        rows = range(first, min(first + columns, end))
        if not rows:
            continue
        labels = [_label(examples, k, names, columns) for k in rows]
        lines = max(label.count("\n") + 1 for label in labels)
        size = examples.images.shape[1], examples.images.shape[2]
        grid = Grid.of(len(labels), size, lines, abreast=columns, inches=(HEIGHT - 1.0) / 2 - 0.4)
        found.append((f"{examples.condition}: {name}", examples.images[list(rows)], labels, grid))
    return found


def _inches(strip: _Strip) -> float:
    """Return the height of a row of images with its title."""
    return strip[3].inches + 0.4


_NOTES = (
    "Above each image: the label taught, and what it truly is where that differs; the epoch after which it was first "
    "classified as taught; how often it was forgotten.",
)


def _columns(names: tuple[str, ...]) -> int:
    """Return how many images stand side by side, such that the longest name of a class fits above one."""
    widest = max(text_width(f"is {name}", _FONT_SIZE) for name in names)
    return next((n for n in (8, 6, 5, 4) if widest <= _room(n)), 3)


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
