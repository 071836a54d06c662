"""Images few enough to be learned by heart, with their own labels and with these permuted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe._checks import check_integer
from probe._signatures import checked
from probe.datasets import Split, permuted_labels

__all__ = ["FEWEST_RANDOM", "few_of", "n_memorizable"]

_MOST_RANDOM, FEWEST_RANDOM = 1_000, 50
_PARAMETERS_PER_LABEL = 13
"""Random labels that networks are taught: one for each 13 parameters, as 1,000 are of the video's network."""


@checked
def n_memorizable(n_parameters: int, n_samples: int) -> int:
    """Return how many random labels networks of so many parameters are taught, if there are as many images.

    Examples
    --------
    >>> n_memorizable(13_002, 60_000), n_memorizable(1_482, 1_437)
    (1000, 114)
    """
    check_integer("n_parameters", n_parameters, minimum=1)
    check_integer("n_samples", n_samples, minimum=1)
    return min(n_samples, max(FEWEST_RANDOM, min(_MOST_RANDOM, n_parameters // _PARAMETERS_PER_LABEL)))


def few_of(
    split: Split, n: int, n_networks: int, rng: np.random.Generator
) -> tuple[Split, npt.NDArray[np.int64]]:
    """Return some of the images, and for each network their own labels and these permuted: (2 * n_networks, n)."""
    few = replace(split, train=split.train.sample(n, rng=rng))
    own = few.train.labels
    permuted = [permuted_labels(own, rng=one) for one in rng.spawn(n_networks)]
    return few, np.stack([taught for labels in permuted for taught in (own, labels)])
