"""The engine of training: forward, backward and update of a stack of networks in buffers used again.

Nothing here allocates in proportion to the weights or the batch once a `Stepper` exists, and every
product goes to BLAS, so the time is that of the matrix products. `Network` computes the same values and
gradients one network at a time and independently; tests hold the two together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from probe._checks import Array, chunks
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

_FEW_UNITS = 64
"""Units of the first layer, of all networks together, that BLAS takes from the right."""

_SMALL_PRODUCT = 1_000_000
"""Multiplications in a product for which OpenBLAS has kernels of their own."""


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
        Layer by layer.
    matrices : list of ndarray of shape (n_networks, n_out, 1 + n_in)
        The biases of each layer, then its weights: below it all is multiplied by a one, then the inputs. So one
        product does for both.
    first : ndarray of shape (n_out * n_networks, 1 + n_in)
        The first of them, as one matrix: first the first unit of every network. That of few units lies in memory column
        by column, which BLAS is faster with.
    weights, biases : list of ndarray
        Their parts.
    """

    def __init__(self, weights: Sequence[Array], biases: Sequence[Array]) -> None:
        shapes = [(*w.shape[:2], 1 + w.shape[2]) for w in weights]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        self.flat = np.empty(ends[-1], weights[0].dtype)
        first, *others = np.split(self.flat, ends[:-1])
        n_networks, n_out, n_columns = shapes[0]
        is_narrow = n_networks * n_out <= _FEW_UNITS
        self.first = first.reshape(n_columns, -1).T if is_narrow else first.reshape(-1, n_columns)
        self.matrices = [
            _network_first(self.first.reshape(n_out, n_networks, n_columns)),
            *(part.reshape(shape) for part, shape in zip(others, shapes[1:], strict=True)),
        ]
        self.weights = [matrix[:, :, 1:] for matrix in self.matrices]
        self.biases = [matrix[:, :, 0] for matrix in self.matrices]
        for ours, values in zip((*self.weights, *self.biases), (*weights, *biases), strict=True):
            ours[:] = values

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
        copy = Parameters(self.weights, self.biases)
        for matrix in copy.matrices:
            matrix[:] = values[:, None, None]
        return copy.flat


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
    parameters : Parameters
        Used, not copied: the caller updates them between steps.
    batch_size : int
        Samples in each batch.
    """

    def __init__(self, architecture: Architecture, parameters: Parameters, batch_size: int) -> None:
        self.architecture = architecture
        self.parameters = parameters
        self.batch_size = batch_size
        self._activation = ACTIVATIONS[architecture.activation]
        dtype, first = parameters.flat.dtype, parameters.first
        self._product = np.empty((len(first), batch_size), dtype, "C" if first.flags.c_contiguous else "F")
        *hidden, (n_networks, n_classes) = [w.shape[:2] for w in parameters.weights]
        self._logits = np.empty((n_networks, n_classes, batch_size), dtype)
        self._first_positions = label_positions(np.zeros((1, batch_size), np.int64), self._logits.shape)
        # What is inside lies unit by unit, (n_units, n_networks, n_samples): a one for the biases, then the activations.
        shapes = [(n_units, n_networks, batch_size) for _, n_units in hidden]
        below = [np.ones((1 + shape[0], *shape[1:]), dtype) for shape in shapes]
        self._a = [values[1:] for values in below]
        # Where the slope needs only the output, the activation overwrites its input.
        in_place = self._activation.slope_from_output
        self._z = [a if in_place else np.empty_like(a) for a in self._a]
        if hidden:
            self._z[0] = self._product.reshape(shapes[0])
        self._deltas, self._slopes = ([np.empty(shape, dtype) for shape in shapes] for _ in range(2))
        self._below = [_network_first(values) for values in below]
        self._above = [*map(_network_first, self._z[1:]), self._logits]

    def positions(self, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return where the true classes stand in the flattened logits.

        Parameters
        ----------
        labels : ndarray of shape (n_networks or 1, batch_size), int64
            Classes; a first axis of 1 means that all networks share them.
        """
        return self._first_positions + labels * self.batch_size

    def logits(self, x: Array) -> Array:
        """Return the logits for `x` of shape (batch_size, 1 + n_in or fewer), valid until the next call.

        Returns
        -------
        ndarray of shape (n_networks, n_classes, batch_size)
        """
        first = self.parameters.first[:, : x.shape[1]].T
        for part in _small_parts(len(x), *first.shape):
            np.matmul(x[part], first, out=self._product.T[part])
        if not self._a:
            np.copyto(self._logits, _network_first(self._product.reshape(-1, len(self._logits), len(x))))
        for layer, a in enumerate(self._a):
            self._activation.value(self._z[layer], a)
            np.matmul(self.parameters.matrices[layer + 1], self._below[layer], out=self._above[layer])
        return self._logits

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
        x : ndarray of shape (batch_size, 1 + n_in or fewer)
            The batch, shared by all networks: ones, then the inputs; columns left out at the end are zero.
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
        for layer in reversed(range(1, len(into.matrices))):
            np.matmul(delta, self._below[layer - 1].transpose(0, 2, 1), out=into.matrices[layer])
            delta = self._down(layer, delta)
        stacked = _network_first(delta).reshape(-1, len(x))
        width = x.shape[1]
        lit, dark = into.first[:, :width], into.first[:, width:]
        for part in _small_parts(width, *stacked.T.shape):
            np.matmul(stacked, x[:, part], out=lit[:, part])
        dark[:] = 0

    def input_gradient_norms(self, x: Array, labels: npt.NDArray[np.int64], cost: CostName) -> Array:
        """Return the L1 norm of the gradient of each sample's cost with respect to its inputs.

        Parameters
        ----------
        x : ndarray of shape (batch_size, 1 + n_in or fewer)
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
        for layer in reversed(range(1, len(self.parameters.matrices))):
            delta = self._down(layer, delta)
        norms = np.empty((len(delta), len(x)), delta.dtype)
        for first, one, out in zip(self.parameters.weights[0], delta, norms, strict=True):
            np.abs(first.T @ one).sum(axis=0, out=out)
        return norms

    def _down(self, layer: int, delta: Array) -> Array:
        """Return the gradient with respect to the pre-activations below layer `layer`, from those of its own."""
        below, slope = self._deltas[layer - 1], self._slopes[layer - 1]
        of_networks = _network_first(below)
        np.matmul(self.parameters.weights[layer].transpose(0, 2, 1), delta, out=of_networks)
        below *= self._activation.slope(self._z[layer - 1], self._a[layer - 1], slope)
        return of_networks


def _network_first(values: Array) -> Array:
    """Return (n_units, n_networks, n) as (n_networks, n_units, n), and back; a view."""
    return values.transpose(1, 0, 2)


def input_gradient_norms(
    architecture: Architecture,
    parameters: Parameters,
    x: AnyPixels,
    labels: npt.NDArray[np.int64],
    cost: CostName,
) -> Iterator[tuple[npt.NDArray[np.intp], Array]]:
    """Go through all samples: the L1 norm of the gradient of each one's cost with respect to its inputs.

    Parameters
    ----------
    architecture, parameters, x, labels, cost
        As for `evaluate`; the first layer's weights may have more inputs than `x` has columns.

    Yields
    ------
    rows : ndarray of shape (n,)
        Indices into `x`.
    norms : ndarray of shape (n_networks, n), in [0, inf)
    """
    for rows, batch, stepper in _batches(architecture, parameters, x, len(parameters.first)):
        yield rows, stepper.input_gradient_norms(batch, labels[:, rows], cost)


def _small_parts(length: int, depth: int, n_units: int) -> Iterator[slice]:
    """Return slices of `length` rows that are multiplied, over `depth`, with as many columns as there are units.

    OpenBLAS has kernels for small products that do not pack the operands first. With few units they are half as fast again.
    """
    n_parts = -(-length * depth * n_units // _SMALL_PRODUCT) if n_units <= _FEW_UNITS else 1
    return chunks(length, -(-length // n_parts))


def _batches(
    architecture: Architecture, parameters: Parameters, x: AnyPixels, n_units: int
) -> Iterator[tuple[npt.NDArray[np.intp], Array, Stepper]]:
    """Go through all samples in batches that suit networks with so many units side by side, each with its stepper."""
    size = int(np.clip(_EVALUATION_VALUES // n_units, *_EVALUATION_SAMPLES))
    steppers: dict[int, Stepper] = {}
    for rows, batch in x.parts(size):
        if len(rows) not in steppers:
            steppers[len(rows)] = Stepper(architecture, parameters, len(rows))
        yield rows, batch, steppers[len(rows)]


def evaluate(
    architecture: Architecture,
    parameters: Parameters,
    x: AnyPixels,
    labels: npt.NDArray[np.int64],
    cost: CostName,
    sample_weights: npt.NDArray[Any] | None = None,
    observe: Callable[[npt.NDArray[np.intp], Array, npt.NDArray[np.int64]], None] | None = None,
) -> Evaluation:
    """Return each network's mean cost and accuracy on `x`.

    Parameters
    ----------
    architecture, parameters
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
    n_networks, widest = len(parameters.weights[0]), max(w.shape[1] for w in parameters.weights)
    costs, right = np.zeros(n_networks), np.zeros(n_networks)
    for rows, batch, stepper in _batches(architecture, parameters, x, n_networks * widest):
        logits, classes = stepper.logits(batch), labels[:, rows]
        positions = stepper.positions(classes)
        values = cost_values(cost, architecture.output, logits, positions)
        if observe is None:
            hits = _hits(logits, positions)
        else:
            predicted = logits.argmax(axis=1)
            hits = predicted == classes
            observe(rows, logits, predicted)
        if sample_weights is not None:
            weighted = sample_weights[:, rows]
            # A cost that does not count may be infinite.
            values = np.where(weighted > 0, values * weighted, 0)
            hits = hits * weighted
        costs += values.sum(axis=1, dtype=np.float64)
        right += np.count_nonzero(hits, axis=1) if sample_weights is None else hits.sum(axis=1)
    counts = np.full(n_networks, len(x)) if sample_weights is None else sample_weights.sum(axis=1)
    return Evaluation(costs / counts, right / counts)


def _hits(logits: Array, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return where the first of the largest logits (n_networks, n_classes, n_samples) is at `positions`."""
    true_logits, largest = logits.reshape(-1)[positions], logits.max(axis=1)
    if np.count_nonzero(logits == largest[:, None]) == largest.size:
        return np.asarray(true_logits == largest)
    # Among equals the first counts. `argmax` is several times slower.
    classes = positions // logits.shape[2] % logits.shape[1]
    return np.asarray(logits.argmax(axis=1) == classes)
