"""Figure of `probe.analyses.paths`: expanded weights above, the data-averaged Jacobian of the same units below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe._checks import Array, IntArray
from probe.analyses.paths import ExpandedWeights
from probe.figures._grid import INCHES, Grid, Page, check_drawable, framed, image_grid, lengths
from probe.figures._parts import panels
from probe.figures._scale import ColorScale
from probe.figures._style import literal, resize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS"]


@panels()
def paths(result: ExpandedWeights, figure: Figure | SubFigure) -> list[str]:
    """Draw expanded weights above, and the mean Jacobian of the same units below."""
    check_drawable(result.expanded)
    height, width = result.expanded.shape[1:3]
    page = Page.of(lengths(result.expanded), (height, width), 2, inches=(INCHES - 1.5) / 2)
    units, grid = page.units, page.grid
    names = [literal(result.unit_names[k]) for k in units.tolist()]
    above = [
        f"{name}\n{_percent(share)}" for name, share in zip(names, result.cancellation[units], strict=True)
    ]
    below = [
        f"{name}\n{_number(cosine)}" for name, cosine in zip(names, result.similarity[units], strict=True)
    ]
    resize(figure, 2 * (grid.inches + 0.8) + 0.8)
    upper, lower = figure.subplots(2, 1)
    scales = [
        _panel(axes, images, units, labels, grid, what)
        for axes, images, labels, what in (
            (upper, result.expanded, above, f"expanded weights of '{literal(result.layer)}'"),
            (lower, result.jacobian, below, f"mean Jacobian over {result.n_images:,} images"),
        )
    ]
    left_out = page.words("units", "the largest expanded weights (root of the summed squares)")
    chance, varied = result.mean_chance_cancellation, result.mean_variation
    random = "" if np.isnan(chance) else f" (with the signs of all weights drawn at random: {chance:.0%})"
    return [
        f"Above: under each unit's name, how much of its sum over paths cancels{random}.",
        "Below: the cosine between the two pictures.",
        "" if np.isnan(varied) else f"Averaging takes away {varied:.0%} of the single images' Jacobians.",
        f"Shown: {left_out}." if left_out else "",
        *(f"{where}: {scale}" for where, scale in zip(("Above", "Below"), scales, strict=True) if scale),
    ]


PARTS = (paths,)


def _panel(axes: Axes, images: Array, units: IntArray, labels: list[str], grid: Grid, what: str) -> str:
    """Draw some of `images`, and return what there is to say of their colours but for one scale for all."""
    colors = ColorScale.of(images)
    drawn = image_grid(axes, images[units], labels, grid, cmap="RdBu_r", limits=(-colors.limit, colors.limit))
    framed(axes, grid, np.flatnonzero(colors.clipped[units]).tolist(), apart=0.4)
    words = colors.words("units") if colors.n_faint else ""
    if images.ndim == 4 and images.shape[-1] == 3:
        axes.set_title(f"{what}; grey is zero, full colour ±{colors.limit:.3g}", loc="left")
        return words
    colors.bar(axes, drawn, f"{what}; one scale for all", fraction=0.06)
    return words


def _percent(share: float) -> str:
    return "no path" if np.isnan(share) else f"{share:.0%}"


def _number(cosine: float) -> str:
    return "all zero" if np.isnan(cosine) else f"{cosine:.2f}"
