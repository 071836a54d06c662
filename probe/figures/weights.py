"""Figure of `probe.analyses.weights`: one image for each unit, on one diverging scale centred at zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.analyses.weights import WeightImages
from probe.figures._style import MAX_COLUMNS, MAX_TILES, Grid, check_drawable, fresh, image_grid, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]

_WHAT = {
    "weights": "weight into each unit of '{}'",
    "expanded": "expanded weight (product of the kernels down to the pixels) into each unit of '{}'",
    "kernels": "weight of each filter of '{}'",
    "maps": "weight into each unit of '{}', on the feature maps that it reads",
}


def draw(result: WeightImages, *, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Draw `result` into `figure`, or a new one, and return it."""
    images, names = result.images[:MAX_TILES], result.names[:MAX_TILES]
    check_drawable(images)
    # One row for each unit, where its channels fit into a row.
    grid = Grid.of(images, names, columns=result.planes if 1 < result.planes <= MAX_COLUMNS else None)
    with styled():
        figure = fresh(grid.inches + 0.75) if figure is None else figure
        axes = figure.subplots()
        limits = (-result.scale or -1.0, result.scale or 1.0)
        drawn = image_grid(axes, images, names, grid, cmap="RdBu_r", limits=limits)
        what = _WHAT[result.kind].format(result.layer)
        cut = "; above each, filter or unit : channel" if result.planes > 1 else ""
        if len(images) < len(result.images):
            cut += f"; the first {len(images)} of {len(result.images)} {'images' if result.planes > 1 else 'units'}"
        if images.ndim == 4 and images.shape[-1] == 3:
            axes.set_title(
                f"{what} from red, green and blue;\n"
                f"grey is zero, full colour ±{result.scale:.3g}, one scale for all{cut}",
                loc="left",
            )
            return figure
        bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", fraction=0.04, pad=0.02, aspect=40)
        bar.set_ticks([limits[0], 0, limits[1]], labels=[f"{limits[0]:.3g}", "0", f"+{limits[1]:.3g}"])
        bar.set_label(f"{what}; one scale for all{cut}")
    return figure
