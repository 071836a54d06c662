"""Figure of `probe.analyses.maximize`: the best image for each objective."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.analyses.maximize import Maximization
from probe.figures._style import MAX_TILES, Grid, by_channel, check_drawable, fresh, image_grid, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]


def draw(result: Maximization, *, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Draw `result` into `figure`, or a new one, and return it.

    Raises
    ------
    InputError
        If the inputs are no images.
    """
    labels = [
        f"{name}\n{value:.3g}" for name, value in zip(_short(result.names), result.best_values, strict=True)
    ]
    images, labels, columns = by_channel(result.best_images, labels)
    images, labels = images[:MAX_TILES], labels[:MAX_TILES]
    check_drawable(images)
    grid = Grid.of(images, labels, columns)
    with styled():
        figure = fresh(grid.inches + 0.7) if figure is None else figure
        axes = figure.subplots()
        drawn = image_grid(axes, images, labels, grid, cmap="gray", limits=(0, 1))
        if images.ndim == 4 and images.shape[-1] == 3:
            axes.set_title("the number above each image is the value reached", loc="left")
            return figure
        bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", fraction=0.04, pad=0.02, aspect=40)
        bar.set_ticks([0, 1], labels=["0 background", "1 ink"])
        split = ", and the channel" if columns else ""
        bar.set_label(f"pixel; the number above each image is the value reached{split}")
    return figure


def _short(names: tuple[str, ...]) -> list[str]:
    """Return names that fit above small images: without what they all begin with, "unit" and blanks."""
    prefixes = {name.rsplit(" ", 1)[0] for name in names if " unit " in name}
    if len(prefixes) == 1 and all(" unit " in name for name in names):
        return [name.rsplit(" ", 1)[1] for name in names]
    return [name.replace(" unit ", ":") for name in names]
