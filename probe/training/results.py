"""What training gives back: networks, and what was recorded on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import readonly
from probe.network import Network
from probe.population import Population

__all__ = ["PopulationResult", "TrainingHistory", "TrainingResult"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingHistory:
    """What was recorded after each epoch.

    For one network every array has shape (n_epochs,), for a population (n_networks, n_epochs). Values of
    a network that diverged are NaN from that epoch on.

    Attributes
    ----------
    cost : ndarray, in [0, inf)
        Mean cost on the training data, with the labels trained on.
    train_accuracy, test_accuracy : ndarray, in [0, 1]
        On the training data with the labels trained on, and on the test data.
    gradient_norm : ndarray, in [0, inf)
        Euclidean norm of the minibatch gradient over all parameters; root mean square over the last
        (up to) 10 minibatches of the epoch.
    seconds : ndarray
        Wall-clock seconds of the epoch's training, without evaluation. They are those of the whole shard of the network.
    """

    cost: Floats
    train_accuracy: Floats
    test_accuracy: Floats
    gradient_norm: Floats
    seconds: Floats

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, readonly(getattr(self, name)))

    @property
    def n_epochs(self) -> int:
        """Number of epochs recorded."""
        return int(self.cost.shape[-1])

    def member(self, index: int) -> TrainingHistory:
        """Return the history of network `index` of a population."""
        return TrainingHistory(*(getattr(self, name)[index] for name in self.__slots__))

    def first(self, n_epochs: int) -> TrainingHistory:
        """Return the history of the first `n_epochs` epochs."""
        return TrainingHistory(*(getattr(self, name)[..., :n_epochs] for name in self.__slots__))

    @classmethod
    def joined(cls, histories: Sequence[TrainingHistory]) -> TrainingHistory:
        """Return the histories of several populations, equally long, as that of one."""
        return cls(*(np.concatenate([getattr(h, name) for h in histories]) for name in cls.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class PopulationResult:
    """Trained networks and how they got there.

    Attributes
    ----------
    population : Population
        After the last epoch; a diverged member as it was before the epoch in which it diverged.
    history : TrainingHistory
        Arrays of shape (n_networks, n_epochs).
    diverged_epoch : ndarray of shape (n_networks,), int64
        Epoch (from 1) in which the cost became non-finite, or 0 for networks that did not diverge.
    fitted_epoch : ndarray of shape (n_networks,), int64
        Epoch (from 1) after which the network was frozen because it had fitted everything, or 0.
    interrupted : bool
        Whether Ctrl-C ended the training early; then `history` holds the epochs completed.
    """

    population: Population
    history: TrainingHistory
    diverged_epoch: Ints
    fitted_epoch: Ints
    interrupted: bool = False

    def __post_init__(self) -> None:
        for name in ("diverged_epoch", "fitted_epoch"):
            object.__setattr__(self, name, readonly(getattr(self, name)))

    @property
    def diverged(self) -> tuple[int, ...]:
        """Indices of the members that diverged."""
        return tuple(int(k) for k in np.flatnonzero(self.diverged_epoch))


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """A trained network and how it got there.

    Attributes
    ----------
    network : Network
        After the last epoch.
    history : TrainingHistory
        Arrays of shape (n_epochs,).
    diverged_epoch : int
        Epoch (from 1) in which the cost became non-finite, or 0.
    interrupted : bool
        Whether Ctrl-C ended the training early.
    """

    network: Network
    history: TrainingHistory
    diverged_epoch: int = 0
    interrupted: bool = False
