"""The film of a training: what a network was at some moments on its way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, check_shape, readonly
from probe._signatures import checked
from probe.network import Network

__all__ = ["FRAMES", "MOST_FRAMES", "MOST_VALUES", "Film", "affordable_frames", "moments"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FRAMES = 21
"""Moments of a film that the commands record."""

MOST_FRAMES = 1_000
"""Most moments of a film."""

MOST_VALUES = 2_000_000
"""Most values of all moments of a film that a file holds: 4 MB before they are compressed."""

_FEWEST = 3
"""Fewer moments than this are no film."""


@checked
@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Film:
    """What a network was at some moments of its training: the slider of the page moves through it.

    Attributes
    ----------
    last : Network
        The trained network, which is the last moment.
    updates : ndarray of shape (n_moments,), int64
        Updates of the weights that had been made at each moment, increasing.
    parameters : mapping of str to ndarray of shape (n_moments, ...)
        What the network learned, by "layer/variable" such as "hidden_1/kernel", in the shapes that `last` has. What is not
        here did not change.
    cost : ndarray of shape (n_moments,), in [0, inf)
        Mean cost of 1,000 of the training images at most, with the labels trained on.
    test_accuracy : ndarray of shape (n_moments,), in [0, 1]
        On all test images.

    Raises
    ------
    InputError
        If `last` has no such variables, or shapes do not fit.

    Examples
    --------
    >>> import probe
    >>> split, config = probe.load_dataset("digits"), probe.TrainingConfig(epochs=2)
    >>> film = probe.train(probe.MLP(hidden=(8,)), split, config, frames=6).film
    >>> film.updates
    array([ 0,  1,  2,  5, 15, 30])
    >>> film.network(0).layer_names, film.parameters["hidden_1/kernel"].shape
    (('flatten', 'hidden_1', 'output'), (6, 64, 8))
    """

    last: Network
    updates: Ints
    parameters: Mapping[str, Array]
    cost: Floats
    test_accuracy: Floats

    def __post_init__(self) -> None:
        for name in ("updates", "cost", "test_accuracy"):
            object.__setattr__(self, name, readonly(getattr(self, name)))
        arrays = {name: readonly(values) for name, values in self.parameters.items()}
        object.__setattr__(self, "parameters", MappingProxyType(arrays))
        n = len(self.updates)
        if n < 1 or self.updates[0] < 0 or (np.diff(self.updates) <= 0).any():
            raise InputError("updates of a film must be increasing, from 0 on")
        for name in ("cost", "test_accuracy"):
            check_shape(name, getattr(self, name).shape, (n,))
        shapes = {
            f"{layer.name}/{name}": values.shape
            for layer in self.last.layers
            for name, values in layer.variables.items()
        }
        for name, values in self.parameters.items():
            if name not in shapes:
                raise InputError(f"the network has no '{name}', which a film of it must have")
            check_shape(name, values.shape, (n, *shapes[name]))

    def __repr__(self) -> str:
        return f"Film of {len(self)} moments, updates {self.updates[0]:,} to {self.updates[-1]:,}"

    def __len__(self) -> int:
        return len(self.updates)

    def network(self, index: int) -> Network:
        """Return the network at moment `index` (from 0, or from the end if negative)."""
        index = check_integer("index", index, minimum=-len(self), maximum=len(self) - 1)
        layers = []
        for layer in self.last.layers:
            changed = {
                name: self.parameters[key][index].copy()
                for name in layer.variables
                if (key := f"{layer.name}/{name}") in self.parameters
            }
            layers.append(replace(layer, **changed) if changed else layer)  # type: ignore[type-var]
        return replace(self.last, layers=tuple(layers))

    def of(self, network: Network) -> Film:
        """Return this film as one of `network`: the same with another range of inputs, or other class names.

        Raises
        ------
        InputError
            If the network lacks what the film shows.
        """
        return replace(self, last=network)


def affordable_frames(n_parameters: int, frames: int = FRAMES) -> int | None:
    """Return how many moments of a network a file holds, at most `frames`; None where they would be no film.

    Examples
    --------
    >>> affordable_frames(13_002), affordable_frames(200_000), affordable_frames(1_000_000)
    (21, 10, None)
    """
    n_moments = min(frames, MOST_VALUES // n_parameters)
    return n_moments if n_moments >= _FEWEST else None


@checked
def moments(n_epochs: int, per_epoch: int, frames: int) -> tuple[int, ...]:
    """Return the updates after which a film has a moment: dense in the first epoch, then ever fewer ends of epochs.

    Parameters
    ----------
    n_epochs, per_epoch : int
        Epochs of the training, and updates in each.
    frames : int
        Moments, at least 2; fewer where there are not as many.

    Examples
    --------
    >>> moments(20, 600, 21)
    (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 600, 1200, 1800, 2400, 3000, 3600, 4200, 4800, 6600, 9000, 12000)
    >>> moments(20, 600, 4)
    (0, 20, 600, 12000)
    """
    check_integer("n_epochs", n_epochs, minimum=1)
    check_integer("per_epoch", per_epoch, minimum=1)
    check_integer("frames", frames, minimum=2, maximum=MOST_FRAMES)
    powers = range(math.ceil(math.log10(per_epoch)) + 1)
    first = [0, *(k * 10**power for power in powers for k in (1, 2, 5) if k * 10**power < per_epoch)]
    n_first = min(len(first), max((frames + 1) // 2, frames - n_epochs))
    dense = [first[k * len(first) // n_first] for k in range(n_first)]
    n_ends = min(frames - n_first, n_epochs)
    steps = np.arange(n_ends)
    # Where rounding makes some of them one, each is at least an epoch behind the one before.
    ends = np.maximum.accumulate(np.rint(np.geomspace(n_epochs, 1, n_ends)[::-1]) - steps) + steps
    return (*dense, *(int(epoch) * per_epoch for epoch in ends))
