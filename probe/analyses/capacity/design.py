"""What a search for capacities tries: architectures, learning rates and what networks may spend."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import product

from probe._checks import InputError, check_integer, check_number, check_once
from probe._signatures import checked
from probe.datasets import Split
from probe.population import MLP
from probe.training import TrainingConfig

__all__ = ["CAPACITY_CONFIG", "CapacityDesign", "CapacityKey"]

CAPACITY_CONFIG = TrainingConfig(
    epochs=300, batch_size=100, optimizer="adam", schedule="cosine", stop="fitted"
)
"""What networks may spend on one number of images. Their learning rates are those of the design."""

_LARGEST = 10_000
"""Most images tried where nothing is said, if there are as many."""


@checked
@dataclass(frozen=True, slots=True)
class CapacityDesign:
    """A search for the capacity of several architectures.

    Parameters
    ----------
    architectures : tuple of MLP
        Shapes of networks.
    config : TrainingConfig
        What a network may spend; its learning rate is not used.
    rates : tuple of float, above 0
        Learning rates that are all tried on every number of images.
    starts : int
        Networks for each learning rate, with starts and labels of their own, at least 1.
    replicates : int
        Searches for each architecture, each with an order of images of its own, at least 1. A search does
        not depend on how many there are.
    updates : int
        Least number of updates that a network may spend, at least 1: on few images, of which an epoch is a
        minibatch or two, it may take more epochs than the configuration says.
    largest : int, optional
        Most images tried, at least 2; `settled` refuses more than there are. Without, 10,000, or all where
        there are fewer.
    tolerance : float, above 0
        The search ends when the next number that failed is at most this share above the largest that fitted.
    seed : int
        Everything random follows from it.

    Raises
    ------
    InputError
        If a value is outside its range.
    """

    architectures: tuple[MLP, ...]
    config: TrainingConfig = CAPACITY_CONFIG
    rates: tuple[float, ...] = (0.001, 0.003, 0.01)
    starts: int = 3
    replicates: int = 3
    updates: int = 6000
    largest: int | None = None
    tolerance: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.architectures or not self.rates:
            raise InputError("architectures and rates must hold at least one value")
        for rate in self.rates:
            check_number("rates", rate, above=0)
        for name, minimum in (
            ("starts", 1),
            ("replicates", 1),
            ("updates", 1),
            ("seed", 0),
        ):
            check_integer(name, getattr(self, name), minimum=minimum)
        if self.largest is not None:
            check_integer("largest", self.largest, minimum=2)
        check_number("tolerance", self.tolerance, above=0)
        if self.config.stop != "fitted":
            raise InputError(f"config must have stop='fitted', got {self.config.stop!r}")

    @property
    def keys(self) -> tuple[CapacityKey, ...]:
        """All trials, replicate after replicate."""
        return tuple(
            CapacityKey(architecture, replicate)
            for replicate, architecture in product(range(self.replicates), range(len(self.architectures)))
        )

    def settled(self, split: Split) -> CapacityDesign:
        """Return the design for these data, in which `largest` is a number.

        Raises
        ------
        InputError
            If there are fewer training images than `largest`.
        """
        there = len(split.train)
        if self.largest is None:
            return replace(self, largest=min(_LARGEST, there))
        if self.largest > there:
            raise InputError(
                f"largest must be an integer from 2 to {there}, the number of training images, got {self.largest}"
            )
        return self

    def check_distinct(self) -> None:
        """Raise if an architecture or a learning rate is there twice."""
        check_once("architectures", self.architectures)
        check_once("rates", self.rates)

    def to_dict(self) -> dict[str, object]:
        """Return the design as plain values, for a manifest or results.json."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CapacityKey:
    """Where a search stands in the design; with a number of images, where one population of it stands."""

    architecture: int
    replicate: int
    n_samples: int | None = None

    @property
    def name(self) -> str:
        """A name for files."""
        tried = "" if self.n_samples is None else f"-n{self.n_samples:06d}"
        return f"capacity-a{self.architecture}-r{self.replicate:04d}{tried}"
