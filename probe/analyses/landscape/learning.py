"""Plain gradient descent on minibatches for networks of any layers, and networks to descend with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.datasets import Dataset
from probe.layers import ACTIVATIONS
from probe.network import Network
from probe.parameters import ParameterSpace

__all__ = [
    "BATCH_SIZE",
    "affordable_looks",
    "affordable_updates",
    "descended",
    "hidden_activation",
    "last_hidden",
    "records",
    "with_activation",
]

BATCH_SIZE = 100

_DESCENT = 30_000_000
"""Multiplications for one image times updates: the video's network gets all updates, a convolutional one fewer."""

_LOOKING = 400_000_000_000
"""Multiplications of looking along all directions at one network: some twenty seconds."""

_FEWEST_UPDATES, _FEWEST_IMAGES, _FEWEST_DIRECTIONS = 60, 100, 100


def affordable_updates(network: Network, most: int) -> int:
    """Return `most`, or fewer updates for a network whose images cost many multiplications."""
    return max(min(most, _FEWEST_UPDATES), min(most, _DESCENT // network.n_multiplications))


def affordable_looks(network: Network, n_steps: int, n_images: int, n_directions: int) -> tuple[int, int]:
    """Return how many images and directions to look along: fewer images, then fewer directions, for a costly network."""
    each = network.n_multiplications * n_steps
    n_images = max(min(n_images, _FEWEST_IMAGES), min(n_images, _LOOKING // (each * n_directions)))
    return n_images, max(
        min(n_directions, _FEWEST_DIRECTIONS), min(n_directions, _LOOKING // (each * n_images))
    )


def hidden_activation(network: Network) -> str:
    """Return the activations of the layers before the output, named once each, such as "sigmoid"."""
    names = (network.layers[place].activation.name for place in _hidden(network))
    return ", ".join(dict.fromkeys(names))


def last_hidden(network: Network) -> tuple[str, ...]:
    """Return the names of the layers up to the last activation in front of the output; none where there is no such."""
    places = _hidden(network)
    return network.layer_names[: places[-1] + 1] if places else ()


def _hidden(network: Network) -> list[int]:
    head = network.layer_names.index(network.head_name)
    return [
        place
        for place in range(head)
        if network.layers[place].activation.name in ACTIVATIONS.keys() - {"linear"}
    ]


def with_activation(network: Network, name: str) -> Network:
    """Return `network` with the activation `name` in place of every other in front of its output layer."""
    layers = list(network.layers)
    for place in _hidden(network):
        layers[place] = layers[place].with_activation(name)
    return replace(network, layers=tuple(layers))


def records(n_updates: int, n_records: int) -> npt.NDArray[np.int64]:
    """Return after how many updates to look: 0, the last, and between them ever less often."""
    return np.unique(np.rint(n_updates * np.linspace(0, 1, n_records) ** 2).astype(np.int64))


def descended(
    space: ParameterSpace,
    data: Dataset,
    *,
    moved: Sequence[slice],
    learning_rate: float,
    stops: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Iterator[Array]:
    """Go down from the space's network, and give the parameters after each number of updates in `stops`.

    Parameters
    ----------
    space : ParameterSpace
        Of the network at the start.
    data : Dataset
        What it is trained on.
    moved : sequence of slice
        Which parts of the vector are changed.
    learning_rate : float
        Step over gradient.
    stops : ndarray of shape (n_records,), int64
        Increasing.
    rng : numpy.random.Generator
        Draws the order of the images.

    Yields
    ------
    ndarray of shape (n_parameters,)
        Infinite or NaN where it diverged.
    """
    vector, done = space.vector.copy(), 0
    size = min(BATCH_SIZE, len(data))
    order, at = rng.permutation(len(data)), 0
    with np.errstate(over="ignore", invalid="ignore"):
        for stop in stops:
            while done < stop:
                if at + size > len(data):
                    order, at = rng.permutation(len(data)), 0
                chosen = order[at : at + size]
                _, gradient = space.gradient(data.images[chosen], data.labels[chosen], vector)
                for part in moved:
                    vector[part] -= learning_rate * gradient[part]
                at, done = at + size, done + 1
            yield vector.copy()
