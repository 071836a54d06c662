"""Gradient descent on minibatches from any network, of which some parts of the parameters move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._stepper import Parameters, Stepper
from probe.datasets import Dataset
from probe.layers import Dense, Flatten
from probe.parameters import ParameterSpace
from probe.population import MLP

__all__ = ["BATCH_SIZE", "descended"]

BATCH_SIZE = 100


def descended(
    space: ParameterSpace,
    data: Dataset,
    moved: Sequence[slice],
    learning_rate: float,
    stops: npt.NDArray[np.int64],
    rng: np.random.Generator,
    workers: int = 1,
) -> Iterator[Array]:
    """Go down from the space's network on `data`, and give the parameters after each number of updates in `stops`.

    Only the parts `moved` of the vector change. It is infinite or NaN where gradient descent diverged.
    """
    size, done = min(BATCH_SIZE, len(data)), 0
    order, at = rng.permutation(len(data)), 0
    layers = _dense_layers(space, moved)
    way = _AnyWay(space, moved, workers) if layers is None else _DenseWay(space, layers, moved, size)
    with np.errstate(over="ignore", invalid="ignore"):
        for stop in stops:
            while done < stop:
                if at + size > len(data):
                    order, at = rng.permutation(len(data)), 0
                chosen = order[at : at + size]
                way.step(data.images[chosen], data.labels[chosen], learning_rate)
                at, done = at + size, done + 1
            yield way.vector()


class _AnyWay:
    """The way of a network of any layers."""

    def __init__(self, space: ParameterSpace, moved: Sequence[slice], workers: int) -> None:
        self._space, self._moved, self._workers = space, moved, workers
        self._learning = space.layers_in(moved)
        self._vector = space.vector.copy()

    def step(self, images: Array, labels: npt.NDArray[np.int64], rate: float) -> None:
        """Move on a minibatch."""
        _, gradient = self._space.gradient(
            images, labels, self._vector, learning=self._learning, workers=self._workers
        )
        for part in self._moved:
            self._vector[part] -= rate * gradient[part]

    def vector(self) -> Array:
        """Return the parameters now."""
        return self._vector.copy()


class _DenseWay:
    """The way of a chain of dense layers, by the engine of training: a third of the time of `_AnyWay` for small ones."""

    def __init__(
        self, space: ParameterSpace, layers: Sequence[Dense], moved: Sequence[slice], size: int
    ) -> None:
        self._space, self._layers = space, layers
        names = space.layers_in(moved)
        self._learning = [index for index, layer in enumerate(layers) if layer.name in names]
        weights = [layer.kernel.T[None] for layer in layers]
        biases = [layer.bias[None] for layer in layers if layer.bias is not None]
        self._parameters, self._gradients = Parameters(weights, biases), Parameters(weights, biases)
        hidden = tuple(layer.n_units for layer in layers[:-1])
        architecture = MLP(hidden, layers[0].activation.name if hidden else "linear", space.output)
        self._stepper = Stepper(architecture, self._parameters, size)
        self._x = np.ones((size, 1 + len(layers[0].kernel)), space.vector.dtype)

    def step(self, images: Array, labels: npt.NDArray[np.int64], rate: float) -> None:
        """Move on a minibatch."""
        self._x[:, 1:] = images.reshape(len(images), -1)
        positions = self._stepper.positions(labels[None])
        self._stepper.gradients(self._x, positions, self._space.cost, self._gradients)
        for index in self._learning:
            gradient = self._gradients.matrices[index]
            gradient *= rate
            self._parameters.matrices[index] -= gradient

    def vector(self) -> Array:
        """Return the parameters now."""
        both = zip(self._parameters.weights, self._parameters.biases, strict=True)
        return np.concatenate(list(chain.from_iterable((w[0].T.ravel(), b[0]) for w, b in both)))


def _dense_layers(space: ParameterSpace, moved: Sequence[slice]) -> list[Dense] | None:
    """Return the layers of a chain that the engine of training knows, if whole layers of it are moved."""
    first, *others = space.network.layers
    layers = [layer for layer in others if isinstance(layer, Dense)]
    kinds = {layer.activation for layer in layers[:-1]}
    is_known = (
        isinstance(first, Flatten)
        and first.data_format == "channels_last"
        and len(layers) == len(others)
        and space.network.is_chain
        and len(kinds) <= 1
        and not any(kind.settings for kind in kinds)
        and [(part.layer, part.variable) for part in space.parts]
        == [(layer.name, name) for layer in layers for name in ("kernel", "bias")]
        and all(layer.kernel.dtype == space.vector.dtype for layer in layers)
    )
    held, learning = np.zeros(space.n_parameters, bool), space.layers_in(moved)
    for place in moved:
        held[place] = True
    are_whole = all(held[part.place].all() for part in space.parts if part.layer in learning)
    return layers if is_known and are_whole else None
