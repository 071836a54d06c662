"""Figure of `probe.analyses.paths`: expanded weights above, the data-averaged Jacobian of the same units below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe._checks import Array, IntArray
from probe.analyses.paths import ExpandedWeights
from probe.figures._grid import INCHES, Grid, Page, check_drawable, framed, image_grid, lengths
from probe.figures._scale import ColorScale
from probe.figures._style import footnote, fresh, literal, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]


def draw(result: ExpandedWeights, *, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Draw `result` into `figure`, or a new one, and return it.

    Raises
    ------
    InputError
        If the inputs are no images.
    """
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
    with styled():
        figure = fresh(2 * (grid.inches + 0.8) + 0.8) if figure is None else figure
        upper, lower = figure.subplots(2, 1)
        scales = [
            _panel(axes, images, units, labels, grid, what)
            for axes, images, labels, what in (
                (upper, result.expanded, above, f"expanded weights of '{literal(result.layer)}'"),
                (lower, result.jacobian, below, f"mean Jacobian over {result.n_images:,} images"),
            )
        ]
        left_out = page.words("units", "the largest expanded weights (root of the summed squares)")
        chance, varied = _mean(result.chance_cancellation), _mean(result.variation)
        footnote(
            figure,
            [
                "Above: under each unit's name, how much of its sum over paths cancels"
                + (f" (with the signs of all weights drawn at random: {chance})." if chance else "."),
                "Below: the cosine between the two pictures.",
                f"Averaging takes away {varied} of the single images' Jacobians." if varied else "",
                f"Shown: {left_out}." if left_out else "",
                *(
                    f"{where}: {scale}"
                    for where, scale in zip(("Above", "Below"), scales, strict=True)
                    if scale
                ),
            ],
        )
    return figure


def _panel(axes: Axes, images: Array, units: IntArray, labels: list[str], grid: Grid, what: str) -> str:
    """Draw some of `images`, and return what there is to say of their colours but for one scale for all."""
    colors = ColorScale.of(images)
    drawn = image_grid(axes, images[units], labels, grid, cmap="RdBu_r", limits=(-colors.limit, colors.limit))
    framed(axes, grid, np.flatnonzero(colors.clipped[units]).tolist(), apart=0.4)
    words = colors.words("units") if colors.n_faint else ""
    if images.ndim == 4 and images.shape[-1] == 3:
        axes.set_title(f"{what}; grey is zero, full colour ±{colors.limit:.3g}", loc="left")
        return words
    bar = axes.figure.colorbar(drawn, ax=axes, orientation="horizontal", fraction=0.06, pad=0.02, aspect=40)
    ends = f"{colors.limit:.3g}"
    bar.set_ticks([-colors.limit, 0, colors.limit], labels=[f"−{ends}", "0", f"+{ends}"])
    bar.set_label(f"{what}; one scale for all")
    return words


def _mean(shares: Array) -> str:
    """Return the mean of the units' shares in per cent; nothing where no unit has one."""
    known = shares[~np.isnan(shares)]
    return f"{known.mean():.0%}" if known.size else ""


def _percent(share: float) -> str:
    return "no path" if np.isnan(share) else f"{share:.0%}"


def _number(cosine: float) -> str:
    return "all zero" if np.isnan(cosine) else f"{cosine:.2f}"
