"""Recipes: how a network comes to be, apart from its layers: start, output, cost, and training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from probe._checks import InputError
from probe.costs import OutputName
from probe.population import MLP, InitializationName
from probe.training import DEFAULT_TRAINING, TrainingConfig, enough_epochs, learning_rate_for

__all__ = ["RECIPES", "Recipe", "described", "recorded_recipe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How networks are made and trained.

    Attributes
    ----------
    name : str
        Of one of `RECIPES`, or "its own" for one that a model file records.
    sentence : str
        What it is, in words.
    initialization : str
        How the first weights are drawn; see `probe.MLP`.
    output : {"softmax", "sigmoid"}
        Activation of the last layer.
    config : TrainingConfig
        The training, on data of MNIST's size.
    adapts : bool
        Whether rate and epochs follow activation and data; those of a recorded recipe are what they were.
    """

    name: str
    sentence: str
    initialization: InitializationName
    output: OutputName
    config: TrainingConfig
    adapts: bool = True

    def architecture(self, like: MLP) -> MLP:
        """Return the widths and activation of `like` with the start and output of the recipe."""
        return replace(like, initialization=self.initialization, output=self.output)

    def training(self, activation: str, n_samples: int) -> TrainingConfig:
        """Return the training for units of one activation, on so many images.

        Examples
        --------
        >>> RECIPES["modern"].training("relu", 1_000).epochs, RECIPES["modern"].training("relu", 1_000).learning_rate
        (400, 0.1)
        """
        if not self.adapts:
            return self.config
        epochs = max(1, round(self.config.epochs * enough_epochs(n_samples) / DEFAULT_TRAINING.epochs))
        rate = learning_rate_for(activation, self.config.learning_rate)
        return replace(self.config, epochs=epochs, learning_rate=rate)


RECIPES: Mapping[str, Recipe] = {
    "modern": Recipe(
        name="modern",
        sentence="small random weights, softmax outputs, cross-entropy, a learning rate that falls along a cosine",
        initialization="auto",
        output="softmax",
        config=DEFAULT_TRAINING,
    ),
    # Nielsen's cost has a factor 1/2 that ours lacks: his rate of 3 is 1.5 here.
    "video": Recipe(
        name="video",
        sentence="weights from N(0, 1), sigmoid outputs, the sum of squared differences, batches of 10 at a constant rate",
        initialization="normal",
        output="sigmoid",
        config=TrainingConfig(epochs=30, batch_size=10, learning_rate=1.5, cost="quadratic"),
    ),
}
"""The recipes by name. "video" is that of Nielsen's book [1]_, which the video follows; "modern" is `probe.train`'s.

References
----------
.. [1] M. A. Nielsen, "Neural Networks and Deep Learning", 2015, chapter 1.
"""


def recorded_recipe(provenance: Mapping[str, Any]) -> Recipe | None:
    """Return how a network was trained, as `probe train` and `probe report` write it in its file; None if it does not say.

    Parameters
    ----------
    provenance : mapping
        From `probe.kerasfile.read_provenance`; a file may say anything.
    """
    shape, settings = provenance.get("architecture"), provenance.get("config")
    # A network of any layers records its training alone.
    if not isinstance(shape, dict | None) or not isinstance(settings, dict):
        return None
    known = {field.name for field in fields(TrainingConfig)}
    if not set(settings) <= known:
        return None
    try:
        architecture = MLP((1,)) if shape is None else MLP(**shape)
        config = TrainingConfig(**settings)
    except (InputError, TypeError):
        return None
    return Recipe(
        name="its own",
        sentence=f"its own recipe, which its file records: {described(config)}",
        initialization=architecture.initialization,
        output=architecture.output,
        config=replace(config, evaluation="end", stop="never"),
        adapts=False,
    )


def described(config: TrainingConfig) -> str:
    """Return a training in words.

    Examples
    --------
    >>> described(DEFAULT_TRAINING)
    '20 epochs of batches of 100, sgd at a rate of 1 (cosine), cross-entropy'
    """
    schedule = "" if config.schedule == "constant" else f" ({config.schedule})"
    decay = f", weight decay {config.weight_decay:g}" if config.weight_decay else ""
    buffered = f", shuffled {config.buffer:,} at a time" if config.buffer else ""
    return (
        f"{config.epochs} epochs of batches of {config.batch_size}, {config.optimizer} at a rate of "
        f"{config.learning_rate:g}{schedule}, {config.cost}{decay}{buffered}"
    )
