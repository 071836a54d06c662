"""What a study of minima trains, as a value from which with the data all follows; and what it measures of each network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_choice, check_integer, check_number, check_once
from probe._signatures import checked
from probe.datasets import Dataset, Split
from probe.population import MLP
from probe.results import Record
from probe.training import TrainingConfig

__all__ = [
    "MINIMA_CONFIG",
    "MOST_SAMPLES",
    "N_CONNECTED",
    "SHARD_SIZE",
    "Measured",
    "MinimaDesign",
    "MinimaKey",
]

Floats = npt.NDArray[np.float64]

MINIMA_CONFIG = TrainingConfig(
    epochs=150, batch_size=100, learning_rate=1.0, schedule="cosine", weight_decay=1e-3, evaluation="end"
)
"""How networks are trained by default. Without weight decay a network that fits every image has no minimum: the cost
falls for ever as the weights grow."""

MOST_SAMPLES = 2000
"""Training images where nobody says how many."""

N_CONNECTED = 8
"""Networks between which lines are drawn where nobody says how many."""

_MOST_CONNECTED = 50

SHARD_SIZE = 10
"""Networks that are trained, polished and kept together. Part of the experiment: they share the order of the images."""


@dataclass(frozen=True, slots=True)
class MinimaKey:
    """Which networks a trial trains: `count` of one architecture, from number `first` on."""

    architecture: int
    first: int
    count: int

    @property
    def name(self) -> str:
        """A name for files."""
        return f"architecture-{self.architecture}-networks-{self.first:05d}-{self.first + self.count - 1:05d}"


@checked
@dataclass(frozen=True, slots=True)
class MinimaDesign:
    """Many networks for each architecture, from different starts on the same images.

    Its fields are as in `minima`, but for

    n_samples : int or None
        Training images, the same for all networks; all with None.
    margin : float
        It is part of the design because it must be declared before anything is measured.

    Raises
    ------
    InputError
        If a value is outside its range.
    """

    architectures: Sequence[MLP] = (MLP((16, 16)),)
    n_networks: int = 200
    n_samples: int | None = MOST_SAMPLES
    config: TrainingConfig = MINIMA_CONFIG
    polish: int = 2000
    curvature: Literal["extremes", "none"] = "extremes"
    margin: float = 0.02
    n_connected: int = N_CONNECTED
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "architectures", tuple(self.architectures))
        if not self.architectures:
            raise InputError("architectures must hold at least one, got none")
        check_once("architectures", self.architectures)
        check_integer("n_networks", self.n_networks, minimum=2)
        if self.n_samples is not None:
            check_integer("n_samples", self.n_samples, minimum=2)
        check_integer("polish", self.polish, minimum=0)
        check_choice("curvature", self.curvature, ("extremes", "none"))
        check_number("margin", self.margin, above=0, below=1)
        check_integer(
            "n_connected", self.n_connected, minimum=0, maximum=min(_MOST_CONNECTED, self.n_networks)
        )
        if self.n_connected == 1:
            raise InputError("n_connected must be 0 or at least 2, got 1")
        check_integer("seed", self.seed, minimum=0)
        if self.polish and any(architecture.activation == "step" for architecture in self.architectures):
            raise InputError(
                "polish must be 0 for networks with step activations: they have no slope to go down along"
            )

    @property
    def keys(self) -> tuple[MinimaKey, ...]:
        """All trials, architecture by architecture."""
        return tuple(
            MinimaKey(k, first, min(SHARD_SIZE, self.n_networks - first))
            for first in range(0, self.n_networks, SHARD_SIZE)
            for k in range(len(self.architectures))
        )

    def check_fits(self, split: Split) -> None:
        """Raise unless the data have as many training images as the design asks for."""
        if self.n_samples is not None:
            check_integer("n_samples", self.n_samples, minimum=2, maximum=len(split.train))

    def samples(self, split: Split) -> Dataset:
        """Return the training images of all networks."""
        if self.n_samples is None or self.n_samples == len(split.train):
            return split.train
        return split.train.sample(self.n_samples, rng=np.random.default_rng([self.seed, 1]))

    def halves(self, test: Dataset) -> tuple[Dataset, Dataset]:
        """Return two halves of the test images, drawn at random: their order may say what they show."""
        order = np.random.default_rng([self.seed, 4]).permutation(len(test))
        middle = (len(test) + 1) // 2
        return test.take(np.sort(order[:middle])), test.take(np.sort(order[middle:]))


class Measured(Record):
    """What is measured of some networks, each array of shape (n_networks,) unless it says otherwise.

    Attributes
    ----------
    train_cost, test_cost : ndarray
        Mean costs without weight decay; NaN where training failed, as in all that follows.
    half_cost, half_accuracy : ndarray of shape (n_networks, 2)
        On two halves of the test images, drawn at random.
    train_accuracy, test_accuracy : ndarray, in [0, 1]
    gradient_norm, trained_norm : ndarray
        Length of the gradient of the training cost with weight decay, at the end and before polishing.
    smallest, largest, residual : ndarray
        Extreme eigenvalues of the Hessian of the same cost as Lanczos found them; an eigenvalue lies within the residual
        of the smallest, and one below it can have been missed. NaN where not measured.
    is_diverged : ndarray of bool
        Failed runs.
    """

    train_cost: Floats
    test_cost: Floats
    half_cost: Floats
    train_accuracy: Floats
    test_accuracy: Floats
    half_accuracy: Floats
    gradient_norm: Floats
    trained_norm: Floats
    smallest: Floats
    largest: Floats
    residual: Floats
    is_diverged: npt.NDArray[np.bool_]
