"""The engine of training: forward, backward and update of a stack of networks in buffers used again.

Nothing here allocates in proportion to the weights or the batch once a `Stepper` exists, and every
product goes to BLAS, so the time is that of the matrix products. `Network` computes the same values and
gradients one network at a time and independently; tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.costs import CostName, cost_values, label_positions, logit_gradient
from probe.layers import ACTIVATIONS
from probe.population import MLP

__all__ = ["Evaluation", "Parameters", "Stepper", "evaluate"]

_EVALUATION_VALUES = 4_000_000
"""Values in the widest layer's buffer during an evaluation: 16 MB in float32."""


class Pixels:
    """Inputs as rows, taken out by batches.

    Images that were made from 8-bit pixels are kept as such: gathering a random minibatch is limited by
    memory, and a quarter of the bytes makes up for the conversion. The values are the same to the bit.
    A batch ends at the last column that is not zero in all of its rows, so columns that are rarely lit
    should come last: what is left out would add nothing to a product, and have no gradient.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_in), float
        Inputs.
    dtype : str
        Type of the batches.
    """

    def __init__(self, values: Array, dtype: str) -> None:
        self.shape = values.shape
        self._dtype = np.dtype(dtype)
        bytes_ = _as_bytes(values) if values.dtype == dtype else None
        self._stored = values.astype(dtype, copy=False) if bytes_ is None else bytes_
        self._widths = _widths(self._stored)

    def __len__(self) -> int:
        return int(self.shape[0])

    def gather(self, rows: npt.NDArray[np.intp], out: Array, scratch: npt.NDArray[np.uint8]) -> Array:
        """Return the chosen rows up to their last lit column, in the memory of `out`.

        `out` and `scratch` are memory for batches, of shape (batch_size, n_in).
        """
        width = int(self._widths[rows].max())
        if self._stored.dtype != np.uint8:
            return np.take(self._stored, rows, axis=0, out=out[: len(rows)], mode="clip")[:, :width]
        np.take(self._stored, rows, axis=0, out=scratch[: len(rows)], mode="clip")
        batch = out[: len(rows), :width]
        np.copyto(batch, scratch[: len(rows), :width])
        batch /= 255
        return batch

    def rows(self, part: slice) -> Array:
        """Return consecutive rows."""
        if self._stored.dtype != np.uint8:
            return np.asarray(self._stored[part], dtype=self._dtype)
        out = self._stored[part].astype(self._dtype)
        out /= 255
        return np.asarray(out)


def _widths(rows: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Return for each row how many columns there are up to the last that is not zero, at least 1."""
    n_columns = rows.shape[1]
    found = np.empty(len(rows), np.intp)
    for begin in range(0, len(rows), 1000):
        lit = rows[begin : begin + 1000] != 0
        last = n_columns - lit[:, ::-1].argmax(axis=1)
        found[begin : begin + 1000] = np.where(lit.any(axis=1), last, 1)
    return found


def _as_bytes(values: Array) -> npt.NDArray[np.uint8] | None:
    """Return the 8-bit pixels that `values` are 1/255 of, or None if they are not."""
    stored = np.empty(values.shape, np.uint8)
    for begin in range(0, len(values), 1000):
        part = values[begin : begin + 1000]
        pixels = np.rint(part * 255)
        if not ((pixels >= 0) & (pixels <= 255)).all() or not np.array_equal(
            pixels / part.dtype.type(255), part
        ):
            return None
        stored[begin : begin + 1000] = pixels
    return stored


class Parameters:
    """Weights and biases of stacked networks as views into one flat array, so that one call updates all.

    Parameters
    ----------
    weights : sequence of ndarray of shape (n_networks, n_out, n_in)
        Copied.
    biases : sequence of ndarray of shape (n_networks, n_out)
        Copied.

    Attributes
    ----------
    flat : ndarray of shape (n_values,)
        First all weights, then all biases, layer by layer.
    n_weights : int
        How many values at the start of `flat` are weights.
    """

    def __init__(self, weights: Sequence[Array], biases: Sequence[Array]) -> None:
        parts = [*weights, *biases]
        self.flat = np.concatenate([part.reshape(-1) for part in parts])
        ends = np.cumsum([part.size for part in parts])
        views = [
            self.flat[end - part.size : end].reshape(part.shape)
            for part, end in zip(parts, ends, strict=True)
        ]
        self.weights, self.biases = views[: len(weights)], views[len(weights) :]
        self.n_weights = sum(w.size for w in weights)

    def select(self, networks: npt.NDArray[np.bool_]) -> Parameters:
        """Return a copy with the chosen networks only."""
        return Parameters([w[networks] for w in self.weights], [b[networks] for b in self.biases])

    def with_flat(self, flat: Array) -> Parameters:
        """Return parameters of the same layout with the values of `flat`."""
        copy = Parameters(self.weights, self.biases)
        copy.flat[:] = flat
        return copy

    def spread(self, values: Array) -> Array:
        """Return an array of the layout of `flat` that holds `values[k]` wherever network k's values are."""
        return np.concatenate([np.repeat(values, p[0].size) for p in (*self.weights, *self.biases)])


class Stepper:
    """Values and gradients of `n_networks` stacked networks on batches of one size.

    Parameters
    ----------
    architecture : MLP
        For the activations.
    weights : sequence of ndarray of shape (n_networks, n_out, n_in)
        Used, not copied: the caller updates them between steps.
    biases : sequence of ndarray of shape (n_networks, n_out)
        Likewise.
    batch_size : int
        Samples in each batch.
    """

    def __init__(
        self, architecture: MLP, weights: Sequence[Array], biases: Sequence[Array], batch_size: int
    ) -> None:
        self.architecture = architecture
        self.weights = weights
        self.biases = biases
        self.batch_size = batch_size
        self._activation = ACTIVATIONS[architecture.activation]
        shapes = [(len(w), w.shape[1], batch_size) for w in weights]
        dtype = weights[0].dtype
        self._z = [np.empty(shape, dtype) for shape in shapes]
        # Where the slope needs only the output, the activation overwrites its input.
        in_place = self._activation.slope_from_output
        self._a = [z if in_place else np.empty_like(z) for z in self._z[:-1]]
        self._ones = np.ones(batch_size, dtype)
        self._deltas = [np.empty_like(z) for z in self._z[:-1]]
        self._slopes = [np.empty_like(z) for z in self._z[:-1]]
        self._first_positions = label_positions(np.zeros((1, batch_size), np.int64), shapes[-1])

    def positions(self, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return where the true classes stand in the flattened logits.

        Parameters
        ----------
        labels : ndarray of shape (n_networks or 1, batch_size), int64
            Classes; a first axis of 1 means that all networks share them.
        """
        return self._first_positions + labels * self.batch_size

    def logits(self, x: Array) -> Array:
        """Return the logits for `x` of shape (batch_size, n_in or fewer), valid until the next call.

        Returns
        -------
        ndarray of shape (n_networks, n_classes, batch_size)
        """
        for place, (w, b, z) in enumerate(zip(self.weights, self.biases, self._z, strict=True)):
            if place == 0:
                _shared_product(w, x, z)
            else:
                np.matmul(w, self._a[place - 1], out=z)
            z += b[:, :, None]
            if place < len(self._a):
                self._activation.value(z, self._a[place])
        return self._z[-1]

    def gradients(
        self,
        x: Array,
        positions: npt.NDArray[np.int64],
        cost: CostName,
        into: Parameters,
        sample_weights: Array | None = None,
    ) -> None:
        """Write the gradients of the mean cost of a batch to `into`.

        Parameters
        ----------
        x : ndarray of shape (batch_size, n_in or fewer)
            The batch, shared by all networks; columns left out at the end are zero.
        positions : ndarray of shape (n_networks, batch_size)
            The true classes, from `positions`.
        cost : str
            Name of the cost.
        into : Parameters
            Overwritten.
        sample_weights : ndarray of shape (n_networks, batch_size), optional
            Weight of each sample in the mean; 1 / batch_size without.
        """
        delta = logit_gradient(cost, self.architecture.output, self.logits(x), positions)
        delta *= 1 / self.batch_size if sample_weights is None else sample_weights[:, None, :]
        for place in reversed(range(len(self.weights))):
            np.matmul(delta, self._ones, out=into.biases[place])
            gradient = into.weights[place]
            if place == 0:
                flat = gradient.reshape(-1, gradient.shape[2])
                np.matmul(delta.reshape(-1, len(x)), x, out=flat[:, : x.shape[1]])
                flat[:, x.shape[1] :] = 0
                break
            below = self._a[place - 1]
            np.matmul(delta, below.transpose(0, 2, 1), out=gradient)
            next_delta, slope = self._deltas[place - 1], self._slopes[place - 1]
            np.matmul(self.weights[place].transpose(0, 2, 1), delta, out=next_delta)
            next_delta *= self._activation.slope(self._z[place - 1], below, slope)
            delta = next_delta


def _shared_product(weights: Array, x: Array, out: Array) -> None:
    """Write weights @ x.T for all networks at once to `out` (n_networks, n_out, n_samples).

    `x` may have fewer columns than the networks have inputs: the others are zero.
    """
    stacked = weights.reshape(-1, weights.shape[2])[:, : x.shape[1]]
    flat = out.reshape(len(stacked), len(x))
    if len(stacked) < min(len(x), 64):
        # BLAS packs the operand it multiplies from the right: faster if that is the smaller one.
        np.copyto(flat, (x @ stacked.T).T)
    else:
        np.matmul(stacked, x.T, out=flat)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Mean cost and accuracy of each network on a data set.

    Attributes
    ----------
    cost : ndarray of shape (n_networks,), float64
        Mean cost, in [0, inf), or NaN.
    accuracy : ndarray of shape (n_networks,), float64
        Share of samples whose largest logit is that of the label, in [0, 1].
    """

    cost: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]


def evaluate(
    architecture: MLP,
    weights: Sequence[Array],
    biases: Sequence[Array],
    x: Pixels,
    labels: npt.NDArray[np.int64],
    cost: CostName,
    sample_masks: npt.NDArray[np.bool_] | None = None,
) -> Evaluation:
    """Return each network's mean cost and accuracy on `x`.

    Parameters
    ----------
    architecture, weights, biases
        As for `Stepper`.
    x : Pixels
        Inputs.
    labels : ndarray of shape (n_networks or 1, n_samples), int64
        Classes; a first axis of 1 means that all networks share them.
    cost : str
        Name of the cost.
    sample_masks : ndarray of shape (n_networks, n_samples), bool, optional
        Which samples count for which network; all without.
    """
    n_networks, widest = len(weights[0]), max(w.shape[1] for w in weights)
    size = int(np.clip(_EVALUATION_VALUES // (n_networks * widest), 100, 2000))
    costs, right = np.zeros(n_networks), np.zeros(n_networks)
    steppers: dict[int, Stepper] = {}
    for start in range(0, len(x), size):
        batch = slice(start, min(start + size, len(x)))
        length = batch.stop - batch.start
        if length not in steppers:
            steppers[length] = Stepper(architecture, weights, biases, length)
        stepper = steppers[length]
        logits, classes = stepper.logits(x.rows(batch)), labels[:, batch]
        values = cost_values(cost, architecture.output, logits, stepper.positions(classes))
        hits = logits.argmax(axis=1) == classes
        if sample_masks is not None:
            values = np.where(sample_masks[:, batch], values, 0)
            hits &= sample_masks[:, batch]
        costs += values.sum(axis=1, dtype=np.float64)
        right += hits.sum(axis=1)
    counts = np.full(n_networks, len(x)) if sample_masks is None else sample_masks.sum(axis=1)
    return Evaluation(costs / counts, right / counts)
