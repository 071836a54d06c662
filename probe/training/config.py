"""How networks are trained: the configuration, and the network of the video with its training, the default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from probe._checks import InputError, check_choice, check_integer, check_number
from probe._signatures import checked
from probe.costs import CostName
from probe.optimizers import OPTIMIZERS, Momentum, Optimizer, OptimizerName
from probe.population import MLP

__all__ = [
    "BLOCKS",
    "DEFAULT_ARCHITECTURE",
    "DEFAULT_TRAINING",
    "TrainingConfig",
    "enough_epochs",
    "layered_training",
    "learning_rate_for",
    "smaller_rates",
]


BLOCKS = 16
"""Blocks of a buffer: each is read in one piece."""


@checked
@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How networks are trained.

    Parameters
    ----------
    epochs : int
        Passes over the training data, at least 1.
    batch_size : int
        Samples in each minibatch, at least 1; the last of an epoch may be smaller.
    learning_rate : float
        Step size, above 0.
    cost : {"cross-entropy", "quadratic"}
        Cost to minimize. "quadratic" is the sum of squared differences, without a factor 1/2.
    optimizer : {"sgd", "momentum", "nesterov", "adam"}
        Rule that makes steps of gradients.
    momentum : float
        Momentum of "momentum" and "nesterov", in [0, 1].
    weight_decay : float
        Weight decay, at least 0. Biases do not decay.
    schedule : {"constant", "step", "cosine"}
        How the learning rate changes over the epochs: not at all; in steps (times `step_factor` after every `step_epochs`
        epochs: by default to a tenth after every 10); or along half a cosine down to zero.
    step_epochs : int
        Epochs between two steps of the schedule "step", at least 1.
    step_factor : float
        Factor of each step of the schedule "step", in (0, 1].
    stop : {"never", "fitted"}
        "fitted" freezes a network after the first epoch in which it gets the share `until` of the training samples
        right. From then on its history repeats its last values.
    until : float
        See `stop`; in (0, 1], every sample by default.
    evaluation : {"epoch", "end"}
        When cost and accuracies are measured: after each epoch, or only after the last. Before, they are NaN.
    dtype : {"float32", "float64"}
        Number type of all computations.
    buffer : int, optional
        Samples that are shuffled together, at least 16 minibatches: blocks of a sixteenth of them come in random order,
        and 16 blocks at a time are shuffled. All samples without; of images that stay in a file, as many as take 128 MiB.
        The same seed and buffer give the same networks in memory and from a file.

    Raises
    ------
    InputError
        If a value is outside its range.
    """

    epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 0.5
    cost: CostName = "cross-entropy"
    optimizer: OptimizerName = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "step", "cosine"] = "constant"
    step_epochs: int = 10
    step_factor: float = 0.1
    stop: Literal["never", "fitted"] = "never"
    until: float = 1.0
    evaluation: Literal["epoch", "end"] = "epoch"
    dtype: Literal["float32", "float64"] = "float32"
    buffer: int | None = None

    def __post_init__(self) -> None:
        check_integer("epochs", self.epochs, minimum=1)
        check_integer("batch_size", self.batch_size, minimum=1)
        check_integer("step_epochs", self.step_epochs, minimum=1)
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("momentum", self.momentum, minimum=0, maximum=1)
        check_number("weight_decay", self.weight_decay, minimum=0)
        check_number("step_factor", self.step_factor, above=0, maximum=1)
        check_number("until", self.until, above=0, maximum=1)
        check_choice("cost", self.cost, ("cross-entropy", "quadratic"))
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("schedule", self.schedule, ("constant", "step", "cosine"))
        check_choice("stop", self.stop, ("never", "fitted"))
        check_choice("evaluation", self.evaluation, ("epoch", "end"))
        check_choice("dtype", self.dtype, ("float32", "float64"))
        if self.buffer is not None:
            check_integer("buffer", self.buffer, minimum=BLOCKS * self.batch_size)
        if self.stop == "fitted" and self.evaluation == "end":
            raise InputError("stop='fitted' needs evaluation='epoch', got evaluation='end'")

    def rate_factor(self, epoch: int) -> float:
        """Return the factor of the learning rate in `epoch` (from 0), by the schedule."""
        if self.schedule == "step":
            return float(self.step_factor ** (epoch // self.step_epochs))
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))
        return 1.0

    def make_optimizer(self) -> Optimizer:
        """Return the optimizer that the configuration names."""
        kind = OPTIMIZERS[self.optimizer]
        return kind(self.momentum) if issubclass(kind, Momentum) else kind()


DEFAULT_ARCHITECTURE = MLP(hidden=(16, 16), activation="sigmoid", output="softmax")
"""The network of the video."""

DEFAULT_TRAINING = TrainingConfig(epochs=20, batch_size=100, learning_rate=1.0, schedule="cosine")
"""How it is trained on MNIST: 95.2% to 96.0% of the test digits over eight seeds."""

_UPDATES = 12_000
"""Minibatches that `DEFAULT_TRAINING` takes on MNIST; smaller data get more epochs to make them up."""

_MOST_EPOCHS = 400


def learning_rate_for(activation: str, sigmoid_rate: float = DEFAULT_TRAINING.learning_rate) -> float:
    """Return the learning rate of gradient descent for such units: `sigmoid_rate` for sigmoids, a tenth for others.

    Examples
    --------
    >>> learning_rate_for("sigmoid"), learning_rate_for("relu")
    (1.0, 0.1)
    """
    return sigmoid_rate if activation == "sigmoid" else sigmoid_rate * 0.1


def smaller_rates(learning_rate: float) -> tuple[float, ...]:
    """Return the rates to try until no network diverges, each a tenth of the one before.

    Examples
    --------
    >>> smaller_rates(1.0)
    (1.0, 0.1, 0.01)
    """
    return learning_rate, learning_rate / 10, learning_rate / 100


def enough_epochs(n_samples: int) -> int:
    """Return the epochs of `DEFAULT_TRAINING`, or more where so few samples make too few updates of them."""
    check_integer("n_samples", n_samples, minimum=1)
    per_epoch = math.ceil(n_samples / DEFAULT_TRAINING.batch_size)
    return min(max(DEFAULT_TRAINING.epochs, math.ceil(_UPDATES / per_epoch)), _MOST_EPOCHS)


_LAYERED_UPDATES, _MOST_LAYERED_EPOCHS = 5_600, 100
"""Minibatches that a network of any layers is trained on: three epochs of MNIST."""


def layered_training(n_samples: int) -> TrainingConfig:
    """Return the training of a network of any layers, on so many images, if nothing else is said.

    Examples
    --------
    >>> layered_training(60_000).epochs, layered_training(1_000).epochs
    (3, 100)
    """
    check_integer("n_samples", n_samples, minimum=1)
    epochs = min(math.ceil(_LAYERED_UPDATES / math.ceil(n_samples / 32)), _MOST_LAYERED_EPOCHS)
    return TrainingConfig(epochs=epochs, batch_size=32, learning_rate=1e-3, optimizer="adam")
