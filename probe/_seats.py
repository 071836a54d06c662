"""Where in a batch objectives sit: which rows, which units or channels, at which positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError
from probe._graph import Shape, channel_axis
from probe.layers import Layer
from probe.objectives import Objective

__all__ = ["Seats"]


class Seats(NamedTuple):
    """Where the objectives of one layer and stage sit: the rows of the batch, the channels, the positions."""

    rows: npt.NDArray[np.intp]
    channels: npt.NDArray[np.intp]
    positions: npt.NDArray[np.intp]
    """Which position of a feature map, row by row; -1 for the mean over all."""
    axis: int
    """The axis of channels in one output."""

    @classmethod
    def of(
        cls, layer: Layer, shape: Shape, chosen: Sequence[tuple[int, Objective]], *, is_last: bool
    ) -> Seats:
        """Check the objectives against the layer's output of `shape`.

        Raises
        ------
        InputError
            If there is no such unit, channel or position.
        """
        axis = channel_axis(layer, shape)
        n_channels, grid = shape[axis], shape[:axis] + shape[axis + 1 :]
        what = "class" if is_last else f"{'channel' if grid else 'unit'} of layer '{layer.name}'"
        positions = []
        for _, objective in chosen:
            if objective.index >= n_channels:
                raise InputError(f"{what} must be from 0 to {n_channels - 1}, got {objective.index}")
            at = objective.position
            if at is None:
                positions.append(-1 if grid else 0)
            elif len(at) != len(grid) or any(place >= size for place, size in zip(at, grid, strict=True)):
                wanted = f"must lie in a map of shape {grid}" if grid else "must be None: it has no positions"
                raise InputError(f"position in layer '{layer.name}' {wanted}, got {at}")
            else:
                positions.append(int(np.ravel_multi_index(at, grid)))
        rows = np.array([row for row, _ in chosen])
        channels = np.array([objective.index for _, objective in chosen])
        return cls(rows, channels, np.array(positions), axis)

    def values(self, found: Array) -> Array:
        """Return the objectives' values, of shape (len(rows),)."""
        maps = self._maps(found)
        at = maps[np.arange(len(maps)), self.positions]
        return np.where(self.positions < 0, maps.mean(axis=1), at)

    def gradient(self, found: Array) -> Array:
        """Return the gradient of each row's objective with respect to `found`, of its shape."""
        gradient = np.zeros(found.shape, found.dtype)
        n_positions = found[0].size // found.shape[1 + self.axis]
        weights = np.where(self.positions[:, None] < 0, 1 / n_positions,
                           np.arange(n_positions) == self.positions[:, None])  # fmt: skip
        # A view on freshly made memory: what is written to it is written to `gradient`.
        flat = np.moveaxis(gradient, 1 + self.axis, 1)
        flat[self.rows, self.channels] = weights.reshape(len(self.rows), *flat.shape[2:])
        return gradient

    def _maps(self, found: Array) -> Array:
        """Return each objective's channel at all positions, of shape (len(rows), n_positions)."""
        return np.moveaxis(found, 1 + self.axis, 1)[self.rows, self.channels].reshape(len(self.rows), -1)
