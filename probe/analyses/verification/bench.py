"""What experiments are done with: the data, the size, the number of networks, and random numbers of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization import MemorizationCell, memorization
from probe.analyses.verification.rows import SIZES, Row, Size
from probe.datasets import Split
from probe.population import MLP, Population
from probe.training import PopulationResult, TrainingConfig, train_population

__all__ = ["Bench", "Experiment", "is_mnist"]

Floats = npt.NDArray[np.float64]

_MEAN_OF_MNIST = 0.1307
"""Mean pixel of the training images of MNIST, by which it is known, whatever it is called."""


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What an experiment is given.

    Attributes
    ----------
    split : Split
        Data.
    size : {"small", "medium", "full"}
        How much to train.
    n_networks : int
        Networks of each kind, at least 3.
    rng : numpy.random.Generator
        Of this experiment alone.
    """

    split: Split
    size: Size
    n_networks: int
    rng: np.random.Generator

    def of_size(self, small: int, medium: int, full: int) -> int:
        """Return the one of these numbers that the size asks for."""
        return (small, medium, full)[SIZES.index(self.size)]

    def seed(self) -> int:
        """Return another seed at each call."""
        return int(self.rng.integers(2**31))

    def first(self, n: int) -> Split:
        """Return the data with the first training images only."""
        return replace(self.split, train=self.split.train.take(slice(0, n)))

    def five_sixths(self) -> Split:
        """Return the data with five sixths of the training images: the first 50,000 of MNIST."""
        return self.first(len(self.split.train) * 5 // 6)

    def validated(self) -> Split:
        """Return the same, with the last sixth in place of the test images."""
        begin = len(self.split.train) * 5 // 6
        return replace(self.five_sixths(), test=self.split.train.take(slice(begin, None)))

    def trained(
        self,
        architecture: MLP,
        split: Split,
        config: TrainingConfig,
        *,
        start: Population | None = None,
        n_networks: int = 0,
    ) -> PopulationResult:
        """Train networks that share an order of the images, in the calling thread: experiments run side by side.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C ended the training.
        """
        result = train_population(
            architecture,
            split,
            config,
            n_networks=n_networks or self.n_networks,
            seed=self.seed(),
            start=start,
            workers=1,
        )
        if result.interrupted:
            raise KeyboardInterrupt
        return result

    def memorized(self, architecture: MLP, config: TrainingConfig, **options: Any) -> MemorizationCell:
        """Return the cell of a study of memorization, with a replicate for each network.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C ended the study.
        """
        result = memorization(
            architecture,
            self.split,
            config,
            replicates=self.n_networks,
            seed=self.seed(),
            workers=1,
            **options,
        )
        if result.interrupted:
            raise KeyboardInterrupt
        return result.cells[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Networks that several rows are about, trained once.

    Attributes
    ----------
    key : str
        Its name.
    rows : tuple of Row
        What is compared.
    measure : callable
        `measure(bench)` returns the values of each row by its key, (n_networks,) or (n_networks, n_columns). Rows that need
        a larger size may be missing.
    """

    key: str
    rows: tuple[Row, ...]
    measure: Callable[[Bench], Mapping[str, Floats]]

    def asked(self, bench_size: Size, *, everything: bool) -> tuple[Row, ...]:
        """Return the rows that can be compared at a size; those that carry over only, unless `everything` can."""
        largest = SIZES.index(bench_size)
        return tuple(
            row for row in self.rows if SIZES.index(row.size) <= largest and (everything or row.carries)
        )


def is_mnist(split: Split) -> bool:
    """Return whether these are the images of MNIST, all of them, which most published figures are about."""
    train = split.train
    same_shape = train.images.shape == (60_000, 28, 28) and len(split.test) == 10_000
    return same_shape and abs(float(train.images.mean(dtype=np.float64)) - _MEAN_OF_MNIST) < 1e-3
