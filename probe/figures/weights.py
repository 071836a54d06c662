"""Figure of `probe.analyses.weights`: one image for each unit, on one diverging scale centred at zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.analyses.weights import WeightImages
from probe.figures._style import MAX_TILES, Grid, check_drawable, fresh, image_grid, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]


def draw(result: WeightImages, *, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Draw `result` into `figure`, or a new one, and return it."""
    images, names = result.images[:MAX_TILES], result.unit_names[:MAX_TILES]
    check_drawable(images)
    grid = Grid.of(images, names)
    with styled():
        figure = fresh(grid.inches + 0.75) if figure is None else figure
        axes = figure.subplots()
        limits = (-result.scale or -1.0, result.scale or 1.0)
        drawn = image_grid(axes, images, names, grid, cmap="RdBu_r", limits=limits)
        what = (
            "weight"
            if result.kind == "weights"
            else "expanded weight (product of the kernels down to the pixels)"
        )
        cut = (
            ""
            if len(images) == len(result.images)
            else f"; the first {len(images)} of {len(result.images)} units"
        )
        if images.ndim == 4 and images.shape[-1] == 3:
            axes.set_title(
                f"{what} into each unit of '{result.layer}' from red, green and blue;\n"
                f"grey is zero, full colour ±{result.scale:.3g}, one scale for all{cut}",
                loc="left",
            )
            return figure
        bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", fraction=0.04, pad=0.02, aspect=40)
        bar.set_ticks([limits[0], 0, limits[1]], labels=[f"{limits[0]:.3g}", "0", f"+{limits[1]:.3g}"])
        bar.set_label(f"{what} into each unit of '{result.layer}'; one scale for all{cut}")
    return figure
