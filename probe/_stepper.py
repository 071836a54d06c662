"""The engine of training: forward, backward and update of a stack of networks in buffers used again.

Nothing here allocates in proportion to the weights or the batch once a `Stepper` exists, and every
product goes to BLAS, so the time is that of the matrix products. `Network` computes the same values and
gradients one network at a time and independently; tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._pixels import AnyPixels
from probe.costs import (
    CostName,
    Evaluation,
    OutputName,
    cost_values,
    label_positions,
    logit_gradient,
)
from probe.layers import ACTIVATIONS

__all__ = ["Parameters", "Stepper", "evaluate", "forward", "input_gradient_norms"]

_EVALUATION_VALUES = 130_000
"""Values in the widest layer's buffer during an evaluation: half a megabyte in float32, which stays in the cache."""

_EVALUATION_SAMPLES = (100, 2000)
"""Fewest and most samples at a time in an evaluation. Narrow images stay among themselves in small parts."""


class Architecture(Protocol):
    """What the engine must know of a `probe.MLP`, which stands above it."""

    @property
    def activation(self) -> str: ...
    @property
    def output(self) -> OutputName: ...


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


def forward(
    architecture: Architecture,
    weights: Sequence[Array],
    biases: Sequence[Array],
    first: Array,
    memory: Callable[[Array], Array] = np.empty_like,
) -> tuple[list[Array], list[Array]]:
    """Return what goes through stacked networks: all pre-activations, and the activations of the hidden layers.

    Parameters
    ----------
    architecture, weights, biases
        As for `Stepper`.
    first : ndarray of shape (n_networks, n_out, n_samples)
        The products of the first layers' weights with the inputs; overwritten. They are the caller's, for how they
        are best computed depends on what is shared.
    memory : callable
        Returns where the activations of some pre-activations are written, which may be over them.

    Returns
    -------
    pre_activations : list of ndarray of shape (n_networks, n_out, n_samples)
        One for each layer; the last are the logits.
    activations : list of ndarray of shape (n_networks, n_out, n_samples)
        One for each hidden layer.
    """
    activation = ACTIVATIONS[architecture.activation]
    pre_activations, activations = list[Array](), list[Array]()
    for w, b in zip(weights, biases, strict=True):
        z = np.matmul(w, activations[-1]) if activations else first
        z += b[:, :, None]
        pre_activations.append(z)
        if len(pre_activations) < len(weights):
            # A saturated unit is what exp overflows to.
            with np.errstate(over="ignore"):
                activations.append(activation.value(z, memory(z)))
    return pre_activations, activations


class Stepper:
    """Values and gradients of `n_networks` stacked networks on batches of one size.

    Parameters
    ----------
    architecture : Architecture
        For the activations.
    weights : sequence of ndarray of shape (n_networks, n_out, n_in)
        Used, not copied: the caller updates them between steps.
    biases : sequence of ndarray of shape (n_networks, n_out)
        Likewise.
    batch_size : int
        Samples in each batch.
    """

    def __init__(
        self, architecture: Architecture, weights: Sequence[Array], biases: Sequence[Array], batch_size: int
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
        for layer, (w, b, z) in enumerate(zip(self.weights, self.biases, self._z, strict=True)):
            if layer == 0:
                _shared_product(w, x, z)
            else:
                np.matmul(w, self._a[layer - 1], out=z)
            z += b[:, :, None]
            if layer < len(self._a):
                self._activation.value(z, self._a[layer])
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
        for layer in reversed(range(len(self.weights))):
            np.matmul(delta, self._ones, out=into.biases[layer])
            gradient = into.weights[layer]
            if layer == 0:
                flat = gradient.reshape(-1, gradient.shape[2])
                np.matmul(delta.reshape(-1, len(x)), x, out=flat[:, : x.shape[1]])
                flat[:, x.shape[1] :] = 0
                break
            np.matmul(delta, self._a[layer - 1].transpose(0, 2, 1), out=gradient)
            delta = self._below(layer, delta)

    def input_gradient_norms(self, x: Array, labels: npt.NDArray[np.int64], cost: CostName) -> Array:
        """Return the L1 norm of the gradient of each sample's cost with respect to its inputs.

        Parameters
        ----------
        x : ndarray of shape (batch_size, n_in or fewer)
            As for `gradients`.
        labels : ndarray of shape (n_networks or 1, batch_size), int64
            Classes.
        cost : str
            Name of the cost.

        Returns
        -------
        ndarray of shape (n_networks, batch_size), in [0, inf)
        """
        delta = logit_gradient(cost, self.architecture.output, self.logits(x), self.positions(labels))
        for layer in reversed(range(1, len(self.weights))):
            delta = self._below(layer, delta)
        norms = np.empty((len(delta), len(x)), delta.dtype)
        for first, one, out in zip(self.weights[0], delta, norms, strict=True):
            np.abs(first.T @ one).sum(axis=0, out=out)
        return norms

    def _below(self, layer: int, delta: Array) -> Array:
        """Return the gradient with respect to the pre-activations below layer `layer`, from those of its own."""
        below, slope = self._deltas[layer - 1], self._slopes[layer - 1]
        np.matmul(self.weights[layer].transpose(0, 2, 1), delta, out=below)
        below *= self._activation.slope(self._z[layer - 1], self._a[layer - 1], slope)
        return below


def input_gradient_norms(
    architecture: Architecture,
    weights: Sequence[Array],
    biases: Sequence[Array],
    x: AnyPixels,
    labels: npt.NDArray[np.int64],
    cost: CostName,
) -> Iterator[tuple[npt.NDArray[np.intp], Array]]:
    """Go through all samples: the L1 norm of the gradient of each one's cost with respect to its inputs.

    Parameters
    ----------
    architecture, weights, biases, x, labels, cost
        As for `evaluate`; the first layer's weights may have more inputs than `x` has columns.

    Yields
    ------
    rows : ndarray of shape (n,)
        Indices into `x`.
    norms : ndarray of shape (n_networks, n), in [0, inf)
    """
    n_units = weights[0].shape[0] * weights[0].shape[1]
    for rows, batch, stepper in _batches(architecture, weights, biases, x, n_units):
        yield rows, stepper.input_gradient_norms(batch, labels[:, rows], cost)


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


def _batches(
    architecture: Architecture, weights: Sequence[Array], biases: Sequence[Array], x: AnyPixels, n_units: int
) -> Iterator[tuple[npt.NDArray[np.intp], Array, Stepper]]:
    """Go through all samples in batches that suit networks with so many units side by side, each with its stepper."""
    size = int(np.clip(_EVALUATION_VALUES // n_units, *_EVALUATION_SAMPLES))
    steppers: dict[int, Stepper] = {}
    for rows, batch in x.parts(size):
        if len(rows) not in steppers:
            steppers[len(rows)] = Stepper(architecture, weights, biases, len(rows))
        yield rows, batch, steppers[len(rows)]


def evaluate(
    architecture: Architecture,
    weights: Sequence[Array],
    biases: Sequence[Array],
    x: AnyPixels,
    labels: npt.NDArray[np.int64],
    cost: CostName,
    sample_weights: npt.NDArray[Any] | None = None,
    observe: Callable[[npt.NDArray[np.intp], Array, npt.NDArray[np.int64]], None] | None = None,
) -> Evaluation:
    """Return each network's mean cost and accuracy on `x`.

    Parameters
    ----------
    architecture, weights, biases
        As for `Stepper`.
    x : Pixels or StoredPixels
        Inputs.
    labels : ndarray of shape (n_networks or 1, n_samples), int64
        Classes; a first axis of 1 means that all networks share them.
    cost : str
        Name of the cost.
    sample_weights : ndarray of shape (n_networks, n_samples), bool or float, at least 0, optional
        Which samples count for which network, or how much; all alike without.
    observe : callable, optional
        Called with the indices of some samples in `x`, their logits (n_networks, n_classes, n) and the
        classes predicted (n_networks, n), until it has seen all samples: whatever else is read off an
        evaluation shares its products.
    """
    n_networks, widest = len(weights[0]), max(w.shape[1] for w in weights)
    costs, right = np.zeros(n_networks), np.zeros(n_networks)
    for rows, batch, stepper in _batches(architecture, weights, biases, x, n_networks * widest):
        logits, classes = stepper.logits(batch), labels[:, rows]
        values = cost_values(cost, architecture.output, logits, stepper.positions(classes))
        predicted = logits.argmax(axis=1)
        hits = predicted == classes
        if sample_weights is not None:
            weighted = sample_weights[:, rows]
            # A cost that does not count may be infinite.
            values = np.where(weighted > 0, values * weighted, 0)
            hits = hits * weighted
        costs += values.sum(axis=1, dtype=np.float64)
        right += hits.sum(axis=1)
        if observe is not None:
            observe(rows, logits, predicted)
    counts = np.full(n_networks, len(x)) if sample_weights is None else sample_weights.sum(axis=1)
    return Evaluation(costs / counts, right / counts)
