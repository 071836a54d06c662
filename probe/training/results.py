"""What training gives back: networks, and what was recorded on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from probe.film import Film
from probe.network import Network
from probe.population import Population
from probe.results import Columns, Record, Result

__all__ = ["NetworkSummary", "PopulationResult", "TrainingHistory", "TrainingResult"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class TrainingHistory(Result):
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

    @property
    def n_epochs(self) -> int:
        """Number of epochs recorded."""
        return int(self.cost.shape[-1])

    def columns(self) -> Columns:
        """Return one row for each epoch, of a population for each epoch of each network."""
        arrays = self.arrays()
        index = np.indices(self.cost.shape)
        columns: Columns = {"network": index[0].ravel()} if self.cost.ndim == 2 else {}
        columns["epoch"] = index[-1].ravel() + 1
        return columns | {name: values.ravel() for name, values in arrays.items()}

    def arrays(self) -> dict[str, Floats]:
        """Return what was recorded, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def member(self, index: int) -> TrainingHistory:
        """Return the history of network `index` of a population."""
        return TrainingHistory(**{name: values[index] for name, values in self.arrays().items()})

    def first(self, n_epochs: int) -> TrainingHistory:
        """Return the history of the first `n_epochs` epochs."""
        return TrainingHistory(**{name: values[..., :n_epochs] for name, values in self.arrays().items()})

    @classmethod
    def joined(cls, histories: Sequence[TrainingHistory]) -> TrainingHistory:
        """Return the histories of several populations, equally long, as that of one."""
        recorded = [history.arrays() for history in histories]
        return cls(**{name: np.concatenate([arrays[name] for arrays in recorded]) for name in recorded[0]})


class PopulationResult(Result):
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
    films : tuple of Film
        One for each network, where `frames` were asked for.
    """

    population: Population
    history: TrainingHistory
    diverged_epoch: Ints
    fitted_epoch: Ints
    interrupted: bool = False
    films: tuple[Film, ...] = ()

    @property
    def diverged(self) -> tuple[int, ...]:
        """Indices of the members that diverged."""
        return tuple(int(k) for k in np.flatnonzero(self.diverged_epoch))

    def columns(self) -> Columns:
        """Return one row for each network: what it reached in the end, and when it was frozen or diverged."""
        last = {name: values[:, -1] for name, values in self.history.arrays().items() if name != "seconds"}
        return {
            "network": np.arange(len(self.diverged_epoch)),
            **last,
            "fitted_epoch": self.fitted_epoch,
            "diverged_epoch": self.diverged_epoch,
        }


class TrainingResult(Result):
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
    film : Film or None
        The network on its way, where `frames` were asked for.
    """

    network: Network
    history: TrainingHistory
    diverged_epoch: int = 0
    interrupted: bool = False
    film: Film | None = None

    def columns(self) -> Columns:
        """Return one row for each epoch."""
        return self.history.columns()


class NetworkSummary(Record):
    """What a network is, and how well it classifies the test images of some data.

    Attributes
    ----------
    data : str
        Name of the data.
    test_accuracy : float, in [0, 1]
        Share of its test images that the network puts in the right class.
    n_parameters : int
        Number of parameters.
    layer_counts : mapping of str to int
        How many layers with parameters there are of each type.
    layer_widths : tuple of int
        Values that the first dense layer reads, then units of each dense layer.
    """

    data: str
    test_accuracy: float
    n_parameters: int
    layer_counts: Mapping[str, int]
    layer_widths: tuple[int, ...]

    @classmethod
    def of(cls, network: Network, data: str, test_accuracy: float) -> NetworkSummary:
        """Return what `network` is."""
        dense = network.dense_layers
        return cls(
            data=data,
            test_accuracy=test_accuracy,
            n_parameters=network.n_parameters,
            layer_counts=dict(Counter(type(layer).__name__ for layer in network.layers if layer.variables)),
            layer_widths=(*(int(layer.kernel.shape[0]) for layer in dense[:1]), *(d.n_units for d in dense)),
        )

    @property
    def is_dense(self) -> bool:
        """Whether all layers with parameters are dense."""
        return self.layer_counts.keys() <= {"Dense"}
