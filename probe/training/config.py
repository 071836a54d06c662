"""How networks are trained: the configuration, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from probe._checks import InputError, check_choice, check_integer, check_number
from probe._signatures import checked
from probe.costs import CostName
from probe.optimizers import OPTIMIZERS, Momentum, Optimizer, OptimizerName

__all__ = ["TrainingConfig"]


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
        "quadratic" is the sum of squared differences, without a factor 1/2.
    optimizer : {"sgd", "momentum", "nesterov", "adam"}
        Rule that turns gradients into steps.
    momentum : float
        Momentum of "momentum" and "nesterov", in [0, 1].
    weight_decay : float
        Weight decay, at least 0. Biases do not decay.
    schedule : {"constant", "step", "cosine"}
        How the learning rate changes: not at all; by `step_factor` after every `step_epochs` epochs; or along
        half a cosine down to zero.
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
