"""Images as tiles of one picture; those of weights on a scale of colors on which one unit does not blank all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from probe._checks import Array, check_choice
from probe.figures._axes import Look
from probe.figures._grid import Grid, Page, without_channel
from probe.figures._style import cut

__all__ = ["SCALES", "ColorScale", "framed", "image_grid", "signed_grid"]

ScaleKind = Literal["shared", "robust", "unit"]

SCALES = ("shared", "robust", "unit")
"""One limit for all, the largest absolute weight; one for all that leaves outliers out; one for each unit."""

_FAINT = 0.05
"""An image whose largest absolute weight is below this share of the limit looks blank."""

_QUANTILE = 0.99
"""Share of the weights that are not zero that a robust scale leaves unclipped, outliers apart."""

_CLIPPED = 2
"""An image with a weight beyond so many times the limit is framed."""

_VALUES = 1 << 21
"""Most weights that a quantile is taken of."""


@dataclass(frozen=True, slots=True, eq=False)
class ColorScale:
    """How weights become colors."""

    kind: ScaleKind
    limit: float  # absolute weight of full color; of "unit", 1
    largest: Array  # (n_images,): absolute weight
    divisors: Array  # (n_images,): 1, or, of "unit", the largest absolute weight of its unit
    clipped: npt.NDArray[np.bool_]  # (n_images,): a weight is beyond twice the limit
    n_outliers: int  # images with weights so large that they make more than half of the others faint

    @classmethod
    def of(cls, images: Array, kind: str | None = None, *, per_unit: int = 1) -> ColorScale:
        """Return the scale of a kind for images (n_images, ...), `per_unit` of them for each unit.

        Without a kind it is "shared", or "robust" where that would leave more than half of the images blank.
        """
        rows = images.reshape(len(images), -1)
        largest = np.maximum(rows.max(axis=1), -rows.min(axis=1))
        inliers = _inliers(largest)
        if kind is None:
            kind = "robust" if len(inliers) < np.count_nonzero(largest) else "shared"
        check_choice("scale", kind, SCALES)
        divisors, limit = np.ones_like(largest), float(largest.max(initial=0.0)) or 1.0
        clipped = np.zeros(len(images), np.bool_)
        if kind == "unit":
            divisors = largest.reshape(-1, per_unit).max(axis=1).repeat(per_unit)
            divisors, limit = np.where(divisors == 0, 1, divisors), 1.0
        if kind == "robust" and len(inliers):
            limit = _quantile(rows, inliers)
            clipped = largest > _CLIPPED * limit
        n_outliers = int(np.count_nonzero(largest)) - len(inliers)
        return cls(kind, limit, largest, divisors, clipped, n_outliers)  # type: ignore[arg-type]

    @property
    def shared(self) -> float:
        """Largest absolute weight of all images."""
        return float(self.largest.max(initial=0.0))

    @property
    def n_faint(self) -> int:
        """Images whose largest absolute weight is below 5% of that of all images."""
        return int((self.largest < _FAINT * self.shared).sum())

    def words(self, what: str) -> str:
        """Return what the colors mean, and how many images are faint; `what` are the images, such as "units"."""
        n, shared = len(self.largest), f"±{self.shared:.3g}"
        on, limit = ("it", "the limit") if self.kind == "shared" else (f"a shared scale of {shared}", "it")
        count = f"{self.n_faint:,} of {n:,} {what} {'is' if self.n_faint == 1 else 'are'}"
        faint = f"{count} faint on {on}: no weight above 5% of {limit}." if self.n_faint else ""
        if self.kind == "shared":
            words = [f"One scale for all, {shared}.", faint]
        elif self.kind == "unit":
            own = self.divisors[self.largest > 0]
            between = f", {own.min():.3g} to {own.max():.3g}" if len(own) else ""
            words = [f"Each unit on a scale of its own, to its largest absolute weight{between}.", faint]
        else:
            apart = f"zeros and outliers ({self.n_outliers:,})" if self.n_outliers else "zeros"
            words = [
                faint,
                f"The scale is robust, ±{self.limit:.3g}: {_QUANTILE:.0%} of the weights are within, {apart} not counted.",
                f"Larger ones have its color; framed: images with weights beyond twice the limit "
                f"({int(self.clipped.sum()):,} of {n:,}).",
            ]
        return " ".join(sentence for sentence in words if sentence)


def image_grid(
    axes: Axes,
    images: npt.NDArray[Any],
    labels: Sequence[str],
    grid: Grid,
    *,
    cmap: str,
    limits: tuple[float, float],
    headings: Sequence[str] = (),
    **style: Any,
) -> ScalarMappable:
    """Draw images (n, height, width[, 1 or 3]) as tiles of one picture, and return what a color bar needs.

    A label stands above each image; `headings` stand a line higher, above the first image of each unit. Three channels
    are drawn as red, green and blue, from black to full color at the `limits`. `style` goes to `Axes.imshow`.
    """
    images = grid.fitted(without_channel(images))
    scale = ScalarMappable(Normalize(*limits), cmap)
    in_color = images.ndim == 4
    # As bytes and image by image: matplotlib takes ten times the memory to color a large picture itself.
    canvas = np.full((*grid.shape, 3 if in_color else 4), 255 if in_color else 0, np.uint8)
    frames = []
    inches = grid.unit_inches / grid.per_unit
    # Texts stand on the picture: measuring hundreds of them to make room takes longer than drawing.
    look: Look = {"fontsize": grid.font_size, "color": "#222222", "va": "bottom", "in_layout": False}
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        top, left = grid.corner(k)
        tile = _in_color(image, limits) if in_color else scale.to_rgba(image, bytes=True)
        canvas[top : top + grid.height, left : left + grid.width] = tile
        frames.append(Rectangle((left - 0.5, top - 0.5), grid.width, grid.height))
        lines = "\n".join(cut(line, grid.font_size, inches) for line in label.split("\n"))
        axes.text(left + grid.width / 2 - 0.5, top - 1, lines, ha="center", linespacing=1.15, **look)
    # With an alpha, or matplotlib adds a channel of 64 bits to colors.
    axes.imshow(canvas, **{"interpolation": "nearest", "alpha": 1.0 if in_color else None} | style)
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor="#999999", linewidth=0.5))
    axes.set_axis_off()
    above = 1 + grid.line * max((label.count("\n") + 1 for label in labels), default=1)
    for unit, heading in enumerate(headings):
        top, left = grid.corner(unit * grid.per_unit)
        text = cut(heading, grid.font_size, grid.unit_inches, "bold")
        axes.text(left - 0.5, top - above, text, ha="left", fontweight="bold", **look)
    return scale


def _in_color(image: npt.NDArray[Any], limits: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Return an image (height, width, 3) as bytes; white where it is not a number."""
    shares = np.clip((image.astype(np.float32) - limits[0]) / (limits[1] - limits[0]), 0, 1)
    return np.asarray(np.round(255 * np.nan_to_num(shares, nan=1.0)), np.uint8)


def framed(axes: Axes, grid: Grid, tiles: Sequence[int], *, apart: float = 0.0, **style: Any) -> None:
    """Draw a heavy frame around some images, at a distance from them in shares of the gap; `style` is that of its line."""
    pad = apart * grid.gap
    for tile in tiles:
        top, left = grid.corner(tile)
        corner = left - 0.5 - pad, top - 0.5 - pad
        size = grid.width + 2 * pad, grid.height + 2 * pad
        look: Look = {"color": "#222222", "linewidth": 1.2} | style
        axes.add_patch(Rectangle(corner, *size, fill=False, gid="framed", **look))


def signed_grid(
    axes: Axes,
    images: npt.NDArray[Any],
    labels: Sequence[str],
    page: Page,
    colors: ColorScale,
    *,
    headings: Sequence[str] = (),
    cmap: str = "RdBu_r",
    what: str = "",
    fraction: float = 0.05,
    title: str = "",
    **style: Any,
) -> None:
    """Draw the images of a page around zero, those beyond the scale framed, and a color bar below them.

    Without a bar where they have three channels: `title` stands above then, and `what` below the bar otherwise. The bar
    takes a `fraction` of the axes.
    """
    limits = -colors.limit, colors.limit
    drawn = image_grid(axes, images, labels, page.grid, cmap=cmap, limits=limits, headings=headings, **style)
    framed(axes, page.grid, np.flatnonzero(colors.clipped[page.images]).tolist(), apart=0.4)
    if images.ndim == 4 and images.shape[-1] == 3:
        axes.set_title(title)
        return
    bar = axes.figure.colorbar(
        drawn, ax=axes, orientation="horizontal", fraction=fraction, pad=0.02, aspect=40, label=what
    )
    end = "its largest" if colors.kind == "unit" else f"{colors.limit:.3g}"
    bar.set_ticks([-colors.limit, 0, colors.limit], labels=[f"−{end}", "0", f"+{end}"])


def _inliers(largest: Array) -> npt.NDArray[np.int64]:
    """Return the images that are not all zero, without the largest ones that would make more than half of them faint."""
    kept = np.flatnonzero(largest)
    half = len(kept) / 2
    while len(kept):
        faint = kept[largest[kept] < _FAINT * largest[kept].max()]
        if len(faint) <= half:
            break
        kept = faint
    return kept


def _quantile(rows: Array, chosen: npt.NDArray[np.int64]) -> float:
    """Return the quantile of the absolute weights that are not zero of the chosen rows; of very many, of a sample."""
    n = len(chosen) * rows.shape[1]
    # An odd step, so that a sample does not hold the same pixels of each image.
    at = np.arange(0, n, 2 * (n // _VALUES // 2) + 1)
    sizes = np.abs(rows[chosen[at // rows.shape[1]], at % rows.shape[1]])
    sizes = sizes[sizes > 0]
    # A sample may hold zeros only.
    return float(np.quantile(sizes, _QUANTILE)) if len(sizes) else float(np.abs(rows[chosen]).max())
