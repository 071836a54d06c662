"""The network of the video and how it is trained, where nobody says otherwise."""

from __future__ import annotations

import math

from probe._checks import check_integer
from probe.population import MLP
from probe.training.config import TrainingConfig

__all__ = ["DEFAULT_ARCHITECTURE", "DEFAULT_TRAINING", "enough_epochs", "learning_rate_for", "smaller_rates"]

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
