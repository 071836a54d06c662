"""Images few enough to be learned by heart, with their own labels and with these permuted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array, check_integer, check_number
from probe._signatures import checked
from probe.datasets import Split, permuted_labels

__all__ = ["FEWEST_RANDOM", "MEASURED", "few_of", "fewer_labels", "gentle_rate", "n_memorizable"]

_MOST_RANDOM, FEWEST_RANDOM = 1_000, 50
_PARAMETERS_PER_LABEL = 13
"""Random labels that networks are taught: one for each 13 parameters, as 1,000 are of the video's network."""

_TAUGHT_PIXELS = 784_000
"""Pixels of all images whose random labels are taught to networks that stand in for others: of 1,000 of MNIST."""

_USUAL_SQUARE = 100
"""Sum of the squares of an image up to which the usual rates do; on MNIST it is 88 in the mean."""

MEASURED = 2_000
"""Images that `gentle_rate` looks at."""


@checked
def gentle_rate(learning_rate: float, images: Array) -> float:
    """Return a rate for dense layers on `images` (n_images, ...): less where these are brighter or larger than on MNIST.

    The cost is the steeper in the first weights the larger the squares of the inputs are. A larger rate drives the units
    of that layer into saturation, and networks that do not diverge learn nothing either.

    Examples
    --------
    >>> gentle_rate(0.3, np.full((5, 28, 28), 0.3)), gentle_rate(0.3, np.full((5, 32, 32, 3), 0.5))
    (0.3, 0.0390625)
    """
    check_number("learning_rate", learning_rate, above=0)
    square = float(np.mean([np.vdot(image, image) for image in images[:MEASURED]]))
    return learning_rate * _USUAL_SQUARE / max(square, _USUAL_SQUARE)


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


@checked
def fewer_labels(n_labels: int, n_pixels: int) -> int:
    """Return how many of `n_labels` random labels of such large images are taught to networks that stand in for others.

    Examples
    --------
    >>> fewer_labels(1000, 28 * 28), fewer_labels(1000, 32 * 32 * 3)
    (1000, 255)
    """
    check_integer("n_labels", n_labels, minimum=1)
    check_integer("n_pixels", n_pixels, minimum=1)
    return min(n_labels, max(FEWEST_RANDOM, _TAUGHT_PIXELS // n_pixels))


def few_of(
    split: Split, n: int, n_networks: int, rng: np.random.Generator
) -> tuple[Split, npt.NDArray[np.int64]]:
    """Return some of the images, and for each network their own labels and these permuted: (2 * n_networks, n)."""
    few = replace(split, train=split.train.sample(n, rng=rng))
    own = few.train.labels
    permuted = [permuted_labels(own, rng=one) for one in rng.spawn(n_networks)]
    return few, np.stack([taught for labels in permuted for taught in (own, labels)])
