"""Figure of `probe.analyses.weights`: one image for each unit, in diverging colours centred at zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from probe.analyses.weights import WeightImages
from probe.figures._grid import Page, check_drawable, framed, image_grid, lengths
from probe.figures._parts import one_panel
from probe.figures._scale import SCALES, ColorScale
from probe.figures._style import literal, note_inches, resize

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PARTS", "SCALES", "page_of", "scale_of", "words"]

_WHAT = {
    "weights": "weight into each unit of '{}'",
    "expanded": "expanded weight (product of the kernels down to the pixels) into each unit of '{}'",
    "kernels": "weight of each filter of '{}'",
    "maps": "weight into each unit of '{}', on the feature maps that it reads",
}


@one_panel()
def images(
    result: WeightImages, ax: Axes, scale: str | None = None, cmap: str = "RdBu_r", **style: Any
) -> list[str]:
    """Draw the images as tiles.

    Parameters
    ----------
    result : WeightImages
        From `probe.weight_images`.
    ax : Axes
        Where to draw.
    scale : {"shared", "robust", "unit"}, optional
        Full color is the largest absolute weight of all units; a limit that 99% of the weights are within,
        outlying units left out and framed; or the largest absolute weight of each unit. Without, "shared", but
        "robust" where that would leave more than half of the images blank.

    Raises
    ------
    InputError
        If the inputs are no images, or there is no such scale.
    """
    check_drawable(result.images)
    colors, page = scale_of(result, scale), page_of(result)
    shown, grid = page.images, page.grid
    names, planes = [literal(name) for name in result.unit_names], result.planes
    labels = [str(place % planes) if planes > 1 else names[place] for place in shown.tolist()]
    divisors = colors.divisors[shown].reshape(-1, *[1] * (result.images.ndim - 1))
    limits = -colors.limit, colors.limit
    notes = [words(result, scale)]
    resize(ax, grid.inches + 0.75 + note_inches(notes))
    drawn = image_grid(
        ax,
        result.images[shown] / divisors,
        labels,
        grid,
        cmap=cmap,
        limits=limits,
        headings=[names[unit] for unit in page.units.tolist()] if planes > 1 else (),
        **style,
    )
    framed(ax, grid, np.flatnonzero(colors.clipped[shown]).tolist(), apart=0.4)
    what = _WHAT[result.kind].format(literal(result.layer))
    if result.images.ndim == 4 and result.images.shape[-1] == 3:
        full = "its largest absolute weight" if colors.kind == "unit" else f"±{colors.limit:.3g}"
        ax.set_title(f"{what} from red, green and blue;\ngrey is zero, full colour {full}", loc="left")
    else:
        colors.bar(ax, drawn, what, fraction=0.04)
    return notes


PARTS = (images,)


def scale_of(result: WeightImages, scale: str | None = None) -> ColorScale:
    """Return the scale that the picture uses."""
    return ColorScale.of(result.images, scale, per_unit=result.planes)


def page_of(result: WeightImages) -> Page:
    """Return which images the picture shows, and where."""
    strengths = lengths(result.images).reshape(len(result.unit_names), -1)
    height, width = result.images.shape[1:3]
    return Page.of(strengths, (height, width), 2 if result.planes > 1 else 1)


def words(result: WeightImages, scale: str | None = None) -> str:
    """Return what the colors mean and which units are shown, in sentences."""
    units = "filters" if result.kind == "kernels" else "units"
    left_out = page_of(result).words(units, "the largest weights (root of the summed squares)")
    shown = f"Shown: {left_out}." if left_out else ""
    above = f"Above the images: the {units[:-1]}, and the channel that it reads." if result.planes > 1 else ""
    images = f"images, one for each {units[:-1]} and channel," if result.planes > 1 else units
    colors = scale_of(result, scale).words(images)
    return " ".join(part for part in (shown, above, colors) if part)
