"""A network that draws, as others judge it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.analyses.drawing._jury import DrawnImages
from probe.results import Record

__all__ = ["ARTISTS", "Artist"]

ARTISTS = {
    "network": "this network",
    "untrained": "an untrained network",
    "random-label": "trained on random labels",
    "linear": "a linear softmax",
}
"""Who draws, in words."""


class Artist(Record):
    """What a network draws, as judged by others.

    Attributes
    ----------
    name : str
        One of `ARTISTS`.
    plain, smoothed : DrawnImages
        Its images, class by class: of the ascent as it is, and where roughness and ink are penalized.
    """

    name: str
    plain: DrawnImages
    smoothed: DrawnImages

    @property
    def label(self) -> str:
        """Who it is, in words."""
        return ARTISTS[self.name]

    @property
    def draws(self) -> npt.NDArray[np.bool_]:
        """Whether it draws each class, (n_classes,): most images of one of the two ascents."""
        return np.asarray(self._shares.max(axis=0) > 0.5)

    @property
    def n_drawn(self) -> int:
        """Classes that it draws."""
        return int(self.draws.sum())

    @property
    def is_smoothed(self) -> npt.NDArray[np.bool_]:
        """Whether the smoothed ascent is the better of the two for each class, (n_classes,); if they tie, it is."""
        plain, smoothed = self._shares
        return np.asarray(smoothed >= plain)

    @property
    def _shares(self) -> Array:
        """Share of the images of each class that count as drawn, (2, n_classes)."""
        classes = np.unique(self.plain.intended)
        kinds = self.plain, self.smoothed
        return np.array([[kind.drawn[kind.intended == k].mean() for k in classes] for kind in kinds])
