"""Training by gradient descent: always a population; one network is a population of one.

The unit of work is a *shard*: networks that see the same minibatches in the same order and differ in
their start, labels, learning rate or sample mask. Shards are independent and run side by side, in
processes or threads; what a shard computes does not depend on how many run beside it.
"""

from probe.training.config import (
    DEFAULT_ARCHITECTURE,
    DEFAULT_TRAINING,
    TrainingConfig,
    enough_epochs,
    layered_training,
    learning_rate_for,
    smaller_rates,
)
from probe.training.dynamics import DynamicsKind, ExampleDynamics
from probe.training.graph import images_worth, seconds_per_image, train_network
from probe.training.initial import reinitialized
from probe.training.loop import train, train_population, train_shards, training_seconds
from probe.training.results import NetworkSummary, PopulationResult, TrainingHistory, TrainingResult
from probe.training.shard import PreparedData, Shard, ShardOutcome, ShardRun

__all__ = [
    "DEFAULT_ARCHITECTURE",
    "DEFAULT_TRAINING",
    "DynamicsKind",
    "ExampleDynamics",
    "NetworkSummary",
    "PopulationResult",
    "PreparedData",
    "Shard",
    "ShardOutcome",
    "ShardRun",
    "TrainingConfig",
    "TrainingHistory",
    "TrainingResult",
    "enough_epochs",
    "images_worth",
    "layered_training",
    "learning_rate_for",
    "reinitialized",
    "seconds_per_image",
    "smaller_rates",
    "train",
    "train_network",
    "train_population",
    "train_shards",
    "training_seconds",
]
