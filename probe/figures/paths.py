"""Figure of `probe.analyses.paths`: expanded weights above, the data-averaged Jacobian of the same units below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe._checks import Array
from probe.analyses.paths import ExpandedWeights
from probe.figures._style import MAX_TILES, Grid, check_drawable, footnote, fresh, image_grid, styled

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
    shown = min(MAX_TILES, len(result.expanded))
    check_drawable(result.expanded)
    names = result.unit_names
    above = [f"{name}\n{_percent(share)}" for name, share in zip(names, result.cancellation, strict=True)]
    below = [f"{name}\n{_number(cosine)}" for name, cosine in zip(names, result.similarity, strict=True)]
    grid = Grid.of(result.expanded[:shown], above[:shown])
    with styled():
        figure = fresh(2 * (grid.inches + 0.8) + 0.6) if figure is None else figure
        upper, lower = figure.subplots(2, 1)
        first = (
            "" if shown == len(result.expanded) else f" (the first {shown} of {len(result.expanded)} units)"
        )
        _panel(
            upper,
            result.expanded[:shown],
            above[:shown],
            grid,
            f"expanded weights of '{result.layer}'{first}",
        )
        _panel(
            lower,
            result.jacobian[:shown],
            below[:shown],
            grid,
            f"mean Jacobian over {result.n_images:,} images",
        )
        chance, varied = _mean(result.chance_cancellation), _mean(result.variation)
        footnote(
            figure,
            [
                "Above: under each unit's name, how much of its sum over paths cancels"
                + (f" (with the signs of all weights drawn at random: {chance})." if chance else "."),
                "Below: the cosine between the two pictures.",
                f"Averaging takes away {varied} of the single images' Jacobians." if varied else "",
            ],
        )
    return figure


def _panel(axes: Axes, images: Array, labels: list[str], grid: Grid, what: str) -> None:
    limit = float(np.abs(images).max()) or 1.0
    drawn = image_grid(axes, images, labels, grid, cmap="RdBu_r", limits=(-limit, limit))
    if images.ndim == 4 and images.shape[-1] == 3:
        axes.set_title(f"{what}; grey is zero, full colour ±{limit:.3g}", loc="left")
        return
    bar = axes.figure.colorbar(drawn, ax=axes, orientation="horizontal", fraction=0.06, pad=0.02, aspect=40)
    bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.3g}", "0", f"+{limit:.3g}"])
    bar.set_label(f"{what}; one scale for all")


def _mean(shares: Array) -> str:
    """Return the mean of the units' shares in per cent; nothing where no unit has one."""
    known = shares[~np.isnan(shares)]
    return f"{known.mean():.0%}" if known.size else ""


def _percent(share: float) -> str:
    return "no path" if np.isnan(share) else f"{share:.0%}"


def _number(cosine: float) -> str:
    return "all zero" if np.isnan(cosine) else f"{cosine:.2f}"
