"""What a study of minima trains, as a value: the whole study follows from it and the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from probe._checks import InputError, check_choice, check_integer, check_number, check_once
from probe._signatures import checked
from probe.datasets import Dataset, Split
from probe.population import MLP
from probe.training import TrainingConfig

__all__ = ["MINIMA_CONFIG", "MOST_SAMPLES", "N_CONNECTED", "SHARD_SIZE", "MinimaDesign", "MinimaKey"]

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

    Parameters
    ----------
    architectures : sequence of MLP
        Their shapes, all different; "widths" where only these differ.
    n_networks : int
        Networks of each, at least 2.
    n_samples : int or None
        Training images, the same for all networks; all with None.
    config : TrainingConfig
        How they are trained.
    polish : int
        Most iterations of L-BFGS after training, in float64 on all training images at once; 0 for none.
    curvature : {"extremes", "none"}
        Whether to find the extreme eigenvalues of each Hessian.
    margin : float
        Range of the test accuracies' middle 90% up to which minima count as equal, in (0, 1). It is part of the design
        because it must be declared before anything is measured.
    n_connected : int
        Networks of each architecture between which lines and curves are measured; 0 for none, otherwise from 2 to 50:
        each pair is measured.
    seed : int
        Everything random follows from it.

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

    def to_dict(self) -> dict[str, object]:
        """Return the design as plain values, for a manifest."""
        return asdict(self)
