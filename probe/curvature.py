"""Costs of a population over whole data, with exact gradients and Hessian-vector products, network by network.

A parameter vector holds one network's weights and biases, layer by layer, the weights (n_out, n_in) row by row:
W1, b1, W2, b2, ... Products are forward over reverse [1]_: what the way forward and back computed is kept, and a
direction is carried along both, which costs about as much as the gradient once more.

References
----------
.. [1] B. A. Pearlmutter, "Fast Exact Multiplication by the Hessian", Neural Computation 6, 1994.
.. [2] J. Martens, R. Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", ICML 2015.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_labels, check_number, check_shape, chunks
from probe._stepper import forward
from probe.costs import (
    CostName,
    apply_output,
    cost_values,
    label_positions,
    logit_gradient,
    logit_gradient_product,
)
from probe.layers import ACTIVATIONS
from probe.population import MLP, Population

__all__ = ["Linearized", "PopulationCost", "layers_of", "population_of", "vectors_of"]

Floats = npt.NDArray[np.float64]

_VALUES = 130_000
"""Values in the widest layer's buffer at a time: they stay in the cache."""

_FEWEST_SAMPLES = 100


def vectors_of(population: Population) -> Array:
    """Return the parameter vectors of all members, of shape (n_networks, n_parameters).

    Examples
    --------
    >>> from probe.population import initial_population
    >>> rngs = np.random.default_rng(0).spawn(2)
    >>> vectors_of(initial_population(MLP((3,)), (4,), ("a", "b"), rngs=rngs)).shape
    (2, 23)
    """
    n_networks = len(population)
    pairs = zip(population.weights, population.biases, strict=True)
    return np.concatenate([part.reshape(n_networks, -1) for pair in pairs for part in pair], axis=1)


def population_of(vectors: Array, like: Population) -> Population:
    """Return the networks with these parameter vectors (n_networks, n_parameters), of the shape of `like`."""
    weights, biases = layers_of(vectors, _sizes(like.weights))
    return replace(
        like,
        weights=tuple(np.array(w) for w in weights),
        biases=tuple(np.array(b) for b in biases),
    )


def _sizes(weights: Sequence[Array]) -> tuple[int, ...]:
    return (weights[0].shape[2], *(w.shape[1] for w in weights))


def layers_of(vectors: Array, sizes: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """Return views of parameter vectors as weights (n_networks, n_out, n_in) and biases (n_networks, n_out)."""
    weights, biases, end = [], [], 0
    for n_in, n_out in pairwise(sizes):
        middle = end + n_out * n_in
        weights.append(vectors[:, end:middle].reshape(-1, n_out, n_in))
        biases.append(vectors[:, middle : middle + n_out])
        end = middle + n_out
    return weights, biases


class PopulationCost:
    """The mean cost of multilayer perceptrons over a data set, as a function of their parameter vectors.

    Parameters
    ----------
    architecture : MLP
        Its shape.
    x : ndarray of shape (n_samples, n_in), float
        Inputs; their type is that of all products.
    labels : ndarray of shape (n_samples,), int64
        Classes.
    n_classes : int
        Number of outputs.
    cost : {"cross-entropy", "quadratic"}
        See `probe.costs.cost_values`.
    weight_decay : float
        Half of it times the sum of the squared weights is added to the cost: not of the biases, as in training.

    Raises
    ------
    InputError
        If shapes do not fit or `weight_decay` is negative.

    Examples
    --------
    >>> x, labels = np.eye(4), np.array([0, 1, 0, 1])
    >>> function = PopulationCost(MLP((3,)), x, labels, 2)
    >>> function.n_parameters
    23
    >>> at = function.at(np.zeros((1, 23)))
    >>> at.cost.round(4), at.product(np.ones((1, 23))).shape
    (array([0.6931]), (1, 23))
    """

    def __init__(
        self,
        architecture: MLP,
        x: Array,
        labels: npt.NDArray[np.int64],
        n_classes: int,
        cost: CostName = "cross-entropy",
        weight_decay: float = 0.0,
    ) -> None:
        x = np.asarray(x)
        if x.ndim != 2 or x.dtype not in (np.float32, np.float64):
            raise InputError(f"x must be float32 or float64 (n_samples, n_in), got {x.dtype} {x.shape}")
        check_labels("labels", np.asarray(labels), len(x), n_classes)
        check_number("weight_decay", weight_decay, minimum=0)
        self.architecture, self.x, self.labels = architecture, x, np.asarray(labels)
        self.cost, self.weight_decay = cost, weight_decay
        self.sizes = architecture.layer_sizes(x.shape[1], n_classes)
        self._weight_slices = _slices_of_weights(self.sizes)
        self.n_parameters = architecture.n_parameters(x.shape[1], n_classes)

    def on(self, x: Array) -> PopulationCost:
        """Return the same cost on other inputs (n_samples, n_in) of the same samples, in their type."""
        return PopulationCost(self.architecture, x, self.labels, self.sizes[-1], self.cost, self.weight_decay)

    def at(self, vectors: Array) -> Linearized:
        """Return costs and gradients at `vectors` (n_networks, n_parameters), ready for products there."""
        return Linearized(self, self._checked(vectors))

    def gradient(self, vectors: Array) -> tuple[Floats, Array]:
        """Return the costs (n_networks,) and gradients (n_networks, n_parameters), keeping nothing."""
        vectors = self._checked(vectors)
        passed = _Pass(self, vectors)
        for part in self.parts(len(vectors)):
            passed.forward_and_back(part)
        return passed.finished()

    def costs(self, vectors: Array) -> Floats:
        """Return the costs (n_networks,) alone."""
        vectors = self._checked(vectors)
        passed = _Pass(self, vectors)
        for part in self.parts(len(vectors)):
            passed.forward(part)
        return passed.finished()[0]

    def kronecker_factors(self, vectors: Array, *, seed: int = 0) -> list[tuple[Array, Array]]:
        """Return what the curvature of the cost without weight decay is made of, about, layer by layer [2]_.

        The Hessian of a layer's weights, with its biases as first inputs, is about the Kronecker product of two matrices:
        the mean products of what comes into its units, and those of the gradients that arrive at them, where classes are
        drawn by the chances that the networks give them (by the softmax of the logits, whatever the output).

        Parameters
        ----------
        vectors : ndarray of shape (n_networks, n_parameters)
            The networks.
        seed : int
            Draws classes.

        Returns
        -------
        list of pairs of ndarray
            For each layer the one of shape (n_networks or 1, 1 + n_in, 1 + n_in), a one and then the inputs, and the other
            of shape (n_networks, n_out, n_out).
        """
        vectors, rng = self._checked(vectors), np.random.default_rng(seed)
        passed, weights = _Pass(self, vectors), layers_of(vectors, self.sizes)[0]
        factors = [
            (
                np.zeros((1 if layer == 0 else len(w), 1 + w.shape[2], 1 + w.shape[2]), w.dtype),
                np.zeros((len(w), w.shape[1], w.shape[1]), w.dtype),
            )
            for layer, w in enumerate(weights)
        ]
        for part in self.parts(len(vectors)):
            zs, activations, logits, positions = passed.forward(part)
            below = [self.x[part].T[None], *activations]
            chances = apply_output("softmax", logits.copy()).cumsum(axis=1)
            drawn = (chances < rng.random((len(logits), 1, logits.shape[2]))).sum(axis=1)
            positions = label_positions(np.minimum(drawn, logits.shape[1] - 1), logits.shape)
            delta = logit_gradient(self.cost, self.architecture.output, logits, positions)
            for layer in reversed(range(len(weights))):
                inputs = np.concatenate([np.ones_like(below[layer][:, :1]), below[layer]], axis=1)
                factors[layer][0][:] += np.matmul(inputs, inputs.transpose(0, 2, 1)) / len(self.x)
                factors[layer][1][:] += np.matmul(delta, delta.transpose(0, 2, 1)) / len(self.x)
                if layer:
                    z, a = zs[layer - 1], activations[layer - 1]
                    delta = np.matmul(weights[layer].transpose(0, 2, 1), delta)
                    delta *= ACTIVATIONS[self.architecture.activation].slope(z, a, np.empty_like(z))
        return factors

    def decayed(self, vectors: Array) -> Array:
        """Return the gradient of what weight decay adds: `weight_decay` times the weights, zero for biases."""
        gradient = np.zeros_like(vectors)
        for part in self._weight_slices:
            gradient[:, part] = self.weight_decay * vectors[:, part]
        return gradient

    def parts(self, n_networks: int) -> Iterator[slice]:
        """Split the samples so that the widest buffer of so many networks stays in the cache."""
        size = max(_FEWEST_SAMPLES, _VALUES // (n_networks * max(self.sizes[1:])))
        return chunks(len(self.x), size)

    def _checked(self, vectors: Array) -> Array:
        vectors = np.ascontiguousarray(vectors, dtype=self.x.dtype)
        check_shape("vectors", vectors.shape, (None, self.n_parameters))
        return vectors


def _slices_of_weights(sizes: Sequence[int]) -> list[slice]:
    slices, end = [], 0
    for n_in, n_out in pairwise(sizes):
        slices.append(slice(end, end + n_in * n_out))
        end += (n_in + 1) * n_out
    return slices


@dataclass(frozen=True, slots=True, eq=False)
class _Saved:
    """What one part of the samples left on its way forward and back, which products need again.

    `a`, `slopes` and `bends` are of the hidden layers: activations, f'(z), and f''(z) times the gradient that
    arrives from above. `deltas` are the gradients of the mean cost with respect to all pre-activations.
    """

    a: list[Array]
    slopes: list[Array]
    bends: list[Array]
    deltas: list[Array]
    outputs: Array
    positions: npt.NDArray[np.int64]


class _Pass:
    """All samples on their way through networks, and what their costs and gradients add up to."""

    def __init__(self, function: PopulationCost, vectors: Array) -> None:
        self._function, self._vectors = function, vectors
        self._weights, self._biases = layers_of(vectors, function.sizes)
        self._first = _stacked(self._weights[0])
        self._activation = ACTIVATIONS[function.architecture.activation]
        self._total = np.zeros(len(vectors))
        self._gradient = np.zeros_like(vectors)
        self._weight_gradients, self._bias_gradients = layers_of(self._gradient, function.sizes)

    def forward(self, part: slice) -> tuple[list[Array], list[Array], Array, npt.NDArray[np.int64]]:
        """Return the hidden pre-activations, the activations, the logits, and where the true classes stand."""
        function, n_networks = self._function, len(self._vectors)
        first = _shared(self._first, function.x[part], n_networks)
        (*zs, z), activations = forward(function.architecture, self._weights, self._biases, first)
        positions = label_positions(function.labels[None, part], (z.shape[0], z.shape[1], z.shape[2]))
        values = cost_values(function.cost, function.architecture.output, z, positions)
        self._total += values.sum(axis=1, dtype=np.float64)
        return zs, activations, z, positions

    def forward_and_back(self, part: slice, keep: bool = False) -> _Saved | None:  # noqa: FBT001, FBT002
        """Add the part's cost and gradient; return what products need, if asked."""
        function = self._function
        zs, activations, logits, positions = self.forward(part)
        outputs = apply_output(function.architecture.output, logits.copy()) if keep else logits
        delta = logit_gradient(function.cost, function.architecture.output, logits, positions)
        delta *= delta.dtype.type(1 / len(function.x))
        deltas, slopes, bends = [delta], list[Array](), list[Array]()
        for layer in reversed(range(len(self._weights))):
            self._bias_gradients[layer] += delta.sum(axis=2)
            if layer == 0:
                self._weight_gradients[0] += _shared_back(delta, function.x[part])
                break
            self._weight_gradients[layer] += np.matmul(delta, activations[layer - 1].transpose(0, 2, 1))
            above = np.matmul(self._weights[layer].transpose(0, 2, 1), delta)
            z, a = zs[layer - 1], activations[layer - 1]
            slope = self._activation.slope(z, a, np.empty_like(z))
            delta = above * slope
            if keep:
                above *= self._activation.curvature(z, a, np.empty_like(z))
                slopes.insert(0, slope)
                bends.insert(0, above)
                deltas.insert(0, delta)
        return _Saved(activations, slopes, bends, deltas, outputs, positions) if keep else None

    def finished(self) -> tuple[Floats, Array]:
        """Return the costs and the gradients, with weight decay."""
        function = self._function
        cost = self._total / len(function.x)
        if function.weight_decay:
            for part in function._weight_slices:
                squares = np.square(self._vectors[:, part]).sum(axis=1, dtype=np.float64)
                cost += function.weight_decay / 2 * squares
            self._gradient += function.decayed(self._vectors)
        return cost, self._gradient


class Linearized:
    """The cost at some parameter vectors: values, gradients, and the way to multiply by the Hessians there.

    Attributes
    ----------
    cost : ndarray of shape (n_networks,), float64
        Mean cost, with what weight decay adds.
    gradient : ndarray of shape (n_networks, n_parameters)
        Its gradient.
    """

    def __init__(self, function: PopulationCost, vectors: Array) -> None:
        self._function = function
        self._weights = layers_of(vectors, function.sizes)[0]
        passed = _Pass(function, vectors)
        self._parts = list(function.parts(len(vectors)))
        self._saved = [saved for part in self._parts if (saved := passed.forward_and_back(part, keep=True))]
        self.cost, self.gradient = passed.finished()

    def product(self, directions: Array) -> Array:
        """Return each network's Hessian times its direction, exactly.

        Parameters
        ----------
        directions : ndarray of shape (n_networks, n_parameters)
            One for each network.

        Returns
        -------
        ndarray of the shape of `directions`
        """
        function = self._function
        directions = np.ascontiguousarray(directions, dtype=function.x.dtype)
        check_shape("directions", directions.shape, self.gradient.shape)
        weights, biases = layers_of(directions, function.sizes)
        first = _stacked(weights[0])
        products = np.zeros_like(directions)
        into = layers_of(products, function.sizes)
        for part, saved in zip(self._parts, self._saved, strict=True):
            self._add_product(function.x[part], saved, (weights, biases), first, into)
        if function.weight_decay:
            products += function.decayed(directions)
        return products

    def _add_product(
        self,
        x: Array,
        saved: _Saved,
        direction: tuple[list[Array], list[Array]],
        first: Array,
        into: tuple[list[Array], list[Array]],
    ) -> None:
        """Carry a direction forward and back through one part; R(v) is the derivative of v along it."""
        function, last = self._function, len(self._weights) - 1
        r_zs, r_as = list[Array](), list[Array]()
        for layer, (v, b) in enumerate(zip(*direction, strict=True)):
            if layer == 0:
                r_z = _shared(first, x, len(v))
            else:
                r_z = np.matmul(v, saved.a[layer - 1])
                r_z += np.matmul(self._weights[layer], r_as[-1])
            r_z += b[:, :, None]
            if layer < last:
                r_zs.append(r_z)
                r_as.append(saved.slopes[layer] * r_z)
        delta = logit_gradient_product(
            function.cost, function.architecture.output, saved.outputs, saved.positions, r_z
        )
        delta *= delta.dtype.type(1 / len(function.x))
        for layer in reversed(range(last + 1)):
            into[1][layer] += delta.sum(axis=2)
            if layer == 0:
                into[0][0] += _shared_back(delta, x)
                break
            into[0][layer] += np.matmul(delta, saved.a[layer - 1].transpose(0, 2, 1))
            into[0][layer] += np.matmul(saved.deltas[layer], r_as[layer - 1].transpose(0, 2, 1))
            below = np.matmul(direction[0][layer].transpose(0, 2, 1), saved.deltas[layer])
            below += np.matmul(self._weights[layer].transpose(0, 2, 1), delta)
            below *= saved.slopes[layer - 1]
            r_zs[layer - 1] *= saved.bends[layer - 1]
            below += r_zs[layer - 1]
            delta = below


def _stacked(weights: Array) -> Array:
    """Return first-layer weights (n_networks, n_out, n_in) of all networks as one matrix."""
    return np.ascontiguousarray(weights).reshape(-1, weights.shape[2])


def _shared(stacked: Array, x: Array, n_networks: int) -> Array:
    """Return the first layers' products with inputs that all networks share: (n_networks, n_out, n_samples)."""
    # BLAS packs the operand it multiplies from the right: faster if that is the smaller one.
    product = np.ascontiguousarray((x @ stacked.T).T) if len(stacked) < 64 else stacked @ x.T
    return product.reshape(n_networks, -1, len(x))


def _shared_back(delta: Array, x: Array) -> Array:
    """Return the gradients of the first layers' weights, (n_networks, n_out, n_in)."""
    n_networks, n_out, n_samples = delta.shape
    return (delta.reshape(-1, n_samples) @ x).reshape(n_networks, n_out, -1)
