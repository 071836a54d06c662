"""One scale of colors for images of weights, such that one unit does not leave all others blank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from probe._checks import Array, check_choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

__all__ = ["SCALES", "ColorScale", "ScaleKind"]

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
    """How weights become colors.

    Attributes
    ----------
    kind : {"shared", "robust", "unit"}
    limit : float
        Absolute weight of full color; of "unit", 1.
    largest : ndarray of shape (n_images,)
        Largest absolute weight of each image.
    divisors : ndarray of shape (n_images,)
        What each image is divided by: 1, or, of "unit", the largest absolute weight of its unit.
    clipped : ndarray of shape (n_images,), bool
        A weight is beyond twice the limit.
    n_outliers : int
        Images with weights so large that they make more than half of the others faint.
    """

    kind: ScaleKind
    limit: float
    largest: Array
    divisors: Array
    clipped: npt.NDArray[np.bool_]
    n_outliers: int

    @classmethod
    def of(cls, images: Array, kind: str | None = None, *, per_unit: int = 1) -> ColorScale:
        """Return the scale of a kind for images (n_images, ...), `per_unit` of them for each unit.

        Without a kind it is "shared", or "robust" where that would leave more than half of the images blank.

        Raises
        ------
        InputError
            If there is no such kind.
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

    def bar(self, axes: Axes, drawn: ScalarMappable, label: str = "", fraction: float = 0.05) -> None:
        """Draw the color bar of `drawn` below its images, with its ends and zero named."""
        bar = axes.figure.colorbar(
            drawn, ax=axes, orientation="horizontal", fraction=fraction, pad=0.02, aspect=40
        )
        end = "its largest" if self.kind == "unit" else f"{self.limit:.3g}"
        bar.set_ticks([-self.limit, 0, self.limit], labels=[f"−{end}", "0", f"+{end}"])
        if label:
            bar.set_label(label)

    def words(self, what: str) -> str:
        """Return what the colours mean, and how many images are faint; `what` are the images, such as "units"."""
        n, shared = len(self.largest), f"±{self.shared:.3g}"
        faint = f"{self.n_faint:,} of {n:,} {what} {'is' if self.n_faint == 1 else 'are'} faint on"
        below = f"of {shared}: no weight above 5% of it"
        if self.kind == "shared":
            return f"One scale for all, {shared}." + (
                f" {faint} it: no weight above 5% of the limit." if self.n_faint else ""
            )
        if self.kind == "unit":
            own = self.divisors[self.largest > 0]
            between = f", {own.min():.3g} to {own.max():.3g}" if len(own) else ""
            return f"Each unit on a scale of its own, to its largest absolute weight{between}." + (
                f" {faint} a shared scale {below}." if self.n_faint else ""
            )
        apart = (
            f"zeros and outliers ({self.n_outliers:,}) not counted"
            if self.n_outliers
            else "zeros not counted"
        )
        return (
            (f"{faint} a shared scale {below}. " if self.n_faint else "")
            + f"The scale is robust, ±{self.limit:.3g}: {_QUANTILE:.0%} of the weights are within, {apart}. "
            f"Larger ones have its colour; framed: images with weights beyond twice the limit "
            f"({int(self.clipped.sum()):,} of {n:,})."
        )


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
