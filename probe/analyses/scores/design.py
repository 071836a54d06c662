"""Which networks memorization scores come from, and which samples each of them is trained on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_choice, check_integer, check_number
from probe._signatures import checked
from probe.datasets import LABEL_CORRUPTIONS, LabelCorruption, Split
from probe.population import MLP
from probe.training import TrainingConfig

__all__ = ["SCORES_CONFIG", "SHARD_SIZE", "ScoresDesign", "ScoresKey", "balanced_masks"]

SCORES_CONFIG = TrainingConfig(
    epochs=60, batch_size=50, learning_rate=0.1, optimizer="momentum", stop="fitted"
)
"""Trains 784-128-10 on 700 digits, 20% of them with wrong labels, until they are fitted: some 20 epochs."""

SHARD_SIZE = 20
"""Networks that share the order of the data. Larger shards are no faster, and 200 networks make ten of these."""


@checked
@dataclass(frozen=True, slots=True)
class ScoresDesign:
    """Networks that are each trained on a part of the same samples; a trial trains some of them.

    Parameters
    ----------
    architecture : MLP
        Shape of the networks.
    config : TrainingConfig
        How they are trained.
    n_samples : int
        Training images to score, at least 2.
    n_networks : int
        Networks in all; at least so many that every image is seen and left out twice.
    share : float, in (0, 1)
        Share of the images that each network is trained on.
    corruption : float, in [0, 1]
        Share of the labels that are corrupted, the same for all networks.
    label_corruption : {"permute", "uniform"}
        How: permuted among themselves or drawn anew.
    seed : int
        Everything random follows from it.

    Raises
    ------
    InputError
        If a value is outside its range.
    """

    architecture: MLP
    config: TrainingConfig = SCORES_CONFIG
    n_samples: int = 1000
    n_networks: int = 200
    share: float = 0.7
    corruption: float = 0.0
    label_corruption: LabelCorruption = "permute"
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("n_samples", self.n_samples, minimum=2)
        check_integer("n_networks", self.n_networks, minimum=1)
        check_number("share", self.share, above=0, below=1)
        check_number("corruption", self.corruption, minimum=0, maximum=1)
        check_choice("label_corruption", self.label_corruption, LABEL_CORRUPTIONS)
        check_integer("seed", self.seed, minimum=0)
        _check_enough(self.n_networks, self.n_samples, self.share)

    @property
    def keys(self) -> tuple[ScoresKey, ...]:
        """All trials."""
        return tuple(ScoresKey(first) for first in range(0, self.n_networks, SHARD_SIZE))

    def check_fits(self, split: Split) -> None:
        """Raise unless the data have as many training images as the design asks for."""
        check_integer("n_samples", self.n_samples, minimum=2, maximum=len(split.train))

    def to_dict(self) -> dict[str, object]:
        """Return the design as plain values, for a manifest."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ScoresKey:
    """Which networks a trial trains: up to 20 from number `first` on."""

    first: int

    @property
    def name(self) -> str:
        """A name for files."""
        return f"networks-{self.first:05d}"


def balanced_masks(
    n_networks: int, n_samples: int, *, share: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Draw which samples each network is trained on, such that each is left out of about as many networks.

    Parameters
    ----------
    n_networks, n_samples : int
        At least 1.
    share : float, in (0, 1)
        Share of the samples that each network is trained on; ``round(share * n_samples)`` of them.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (n_networks, n_samples), bool
        After every row, the numbers of networks that each sample was left out of differ by at most 1.

    Examples
    --------
    >>> masks = balanced_masks(4, 6, share=0.5, rng=np.random.default_rng(0))
    >>> masks.sum(axis=1), masks.sum(axis=0)
    (array([3, 3, 3, 3]), array([2, 2, 2, 2, 2, 2]))
    """
    n_left_out = n_samples - round(share * n_samples)
    masks = np.ones((n_networks, n_samples), np.bool_)
    times = np.zeros(n_samples, np.int64)
    for mask in masks:
        left_out = np.lexsort((rng.random(n_samples), times))[:n_left_out]
        mask[left_out] = False
        times[left_out] += 1
    return masks


def _check_enough(n_networks: int, n_samples: int, share: float) -> None:
    """Raise unless every sample is seen at least twice and left out at least twice."""
    n_in = round(share * n_samples)
    rarer = min(n_in, n_samples - n_in)
    if rarer == 0:
        raise InputError(
            f"share must be such that some of {n_samples} samples are seen and some left out, got {share:g}"
        )
    needed = math.ceil(2 * n_samples / rarer)
    if n_networks < needed:
        raise InputError(
            f"n_networks must be at least {needed} with a share of {share:g}, so that every example is seen "
            f"twice and left out twice, got {n_networks}"
        )
