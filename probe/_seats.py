"""Where in a batch objectives sit: which rows, which units or channels, at which positions, with which weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError
from probe._graph import Shape
from probe.layers import Layer
from probe.objectives import Objective

__all__ = ["Seats"]


class Seats(NamedTuple):
    """Where the terms of objectives in one layer and stage sit: rows of the batch, channels, positions, weights."""

    rows: npt.NDArray[np.intp]
    channels: npt.NDArray[np.intp]
    positions: npt.NDArray[np.intp]
    """Which position of a feature map, row by row; -1 for the mean over all."""
    weights: Array
    """What each term counts in its row's objective."""
    axis: int
    """The axis of channels in one output."""
    distinct: bool
    """Whether no row is there twice, so that all can be written at once."""

    @classmethod
    def of(
        cls, layer: Layer, shape: Shape, chosen: Sequence[tuple[int, float, Objective]], *, is_last: bool
    ) -> Seats:
        """Check the objectives against the layer's output of `shape`.

        Raises
        ------
        InputError
            If there is no such unit, channel or position.
        """
        axis = layer.channel_axis(shape)
        n_channels, grid = shape[axis], shape[:axis] + shape[axis + 1 :]
        what = "class" if is_last else f"{'channel' if grid else 'unit'} of layer '{layer.name}'"
        positions = []
        for _, _, objective in chosen:
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
        rows = np.array([row for row, _, _ in chosen])
        weights = np.array([weight for _, weight, _ in chosen])
        channels = np.array([objective.index for _, _, objective in chosen])
        return cls(rows, channels, np.array(positions), weights, axis, len(set(rows)) == len(rows))

    def add_values(self, found: Array, values: Array) -> None:
        """Add what the terms count to the objectives' `values`, of shape (n_samples,)."""
        maps = self._maps(found)
        at = maps[np.arange(len(maps)), self.positions]
        terms = np.where(self.positions < 0, maps.mean(axis=1), at) * self.weights.astype(found.dtype)
        if self.distinct:
            values[self.rows] += terms
        else:
            np.add.at(values, self.rows, terms)

    def add_all_values(self, found: Array, values: Array) -> None:
        """Add to `values` (n_samples, n_objectives) what the terms count for every sample; rows are columns here."""
        maps = np.moveaxis(found, 1 + self.axis, 1)
        maps = maps.reshape(*maps.shape[:2], -1)
        means = maps.mean(axis=2) if (self.positions < 0).any() else maps[:, :, 0]
        for column, channel, position, weight in zip(
            self.rows, self.channels, self.positions, self.weights.astype(found.dtype), strict=True
        ):
            term = means[:, channel] if position < 0 else maps[:, channel, position]
            values[:, column] += term * weight

    def gradient(self, found: Array) -> Array:
        """Return the gradient of each row's objective with respect to `found`, of its shape."""
        gradient = np.zeros(found.shape, found.dtype)
        n_positions = found[0].size // found.shape[1 + self.axis]
        weights = np.where(self.positions[:, None] < 0, 1 / n_positions,
                           np.arange(n_positions) == self.positions[:, None])  # fmt: skip
        weights *= self.weights[:, None]
        # A view on freshly made memory: what is written to it is written to `gradient`.
        flat = np.moveaxis(gradient, 1 + self.axis, 1)
        terms = weights.reshape(len(self.rows), *flat.shape[2:]).astype(found.dtype)
        if self.distinct:
            flat[self.rows, self.channels] = terms
        else:
            np.add.at(flat, (self.rows, self.channels), terms)
        return gradient

    def _maps(self, found: Array) -> Array:
        """Return each term's channel at all positions, of shape (len(rows), n_positions)."""
        return np.moveaxis(found, 1 + self.axis, 1)[self.rows, self.channels].reshape(len(self.rows), -1)
