"""Which networks are trained on which samples, what they answer, and the scores that the answers come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_choice, check_integer, check_number
from probe._signatures import checked
from probe.datasets import LABEL_CORRUPTIONS, LabelCorruption, Split
from probe.population import MLP
from probe.results import Columns, Record, Result
from probe.training import TrainingConfig

__all__ = [
    "SCORES_CONFIG",
    "SCORE_LIMITS",
    "SHARD_SIZE",
    "MemorizationScores",
    "ScoredGroup",
    "ScoresDesign",
    "ScoresKey",
    "ScoresTrial",
    "balanced_masks",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SCORES_CONFIG = TrainingConfig(
    epochs=60, batch_size=50, learning_rate=0.1, optimizer="momentum", stop="fitted"
)
"""Trains 784-128-10 on 700 digits, 20% of them with wrong labels, until they are fitted: some 20 epochs."""

SHARD_SIZE = 20
"""Networks that share the order of the data. Larger shards are no faster, and 200 networks make ten of these."""

SCORE_LIMITS = (0.5, 0.9)
"""Scores from which on examples are counted."""


@checked
@dataclass(frozen=True, slots=True)
class ScoresDesign:
    """Networks that are each trained on a part of the same samples; a trial trains some of them.

    Its fields are as in `memorization_scores`.

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


@dataclass(frozen=True, slots=True)
class ScoresKey:
    """Which networks a trial trains: up to 20 from number `first` on."""

    first: int

    @property
    def name(self) -> str:
        """A name for files."""
        return f"networks-{self.first:05d}"


def balanced_masks(n_networks: int, n_samples: int, *, share: float, rng: np.random.Generator) -> Mask:
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


class ScoresTrial(Record):
    """What the networks of one trial say of all samples.

    Attributes
    ----------
    masks : ndarray of shape (n_networks, n_samples), bool
        Which samples each network was trained on.
    is_right : ndarray of shape (n_networks, n_samples), bool
        Which it classifies as taught.
    is_diverged : ndarray of shape (n_networks,), bool
    """

    masks: Mask
    is_right: Mask
    is_diverged: Mask

    @classmethod
    def joined(cls, trials: Sequence[ScoresTrial]) -> ScoresTrial:
        """Return several trials as one."""
        names = (field.name for field in fields(cls))
        return cls(**{name: np.concatenate([getattr(trial, name) for trial in trials]) for name in names})


class ScoredGroup(Record):
    """The scores of the examples of one kind.

    Attributes
    ----------
    label : str
        "right labels" or "wrong labels".
    n : int
        How many these are, at least 1.
    mean, median : float, in [-1, 1]
        Of their scores.
    shares : tuple of float, in [0, 1]
        Shares of them with a score of at least each of `SCORE_LIMITS`.
    """

    label: str
    n: int
    mean: float
    median: float
    shares: tuple[float, ...]

    @classmethod
    def of(cls, label: str, scores: Floats) -> ScoredGroup:
        """Return what is said of some scores."""
        return cls(
            label=label,
            n=len(scores),
            mean=float(scores.mean()),
            median=float(np.median(scores)),
            shares=tuple(float((scores >= limit).mean()) for limit in SCORE_LIMITS),
        )


class MemorizationScores(Result):
    """How much each example was memorized rather than inferred from the others.

    Attributes
    ----------
    scores : ndarray of shape (n_samples,), in [-1, 1]
        `accuracy_in` less `accuracy_out`. Near 0 for what is learned from the other examples (or not at
        all), near 1 for what is right only if it was learned by heart.
    standard_errors : ndarray of shape (n_samples,), in (0, 1)
        Of the scores: of a difference of two proportions, the networks being the replicates. One success
        and one failure are added to each group first, [1]_, or else it would be 0 wherever all networks of
        both groups agree. It holds for other networks trained on other parts of these samples, not
        for other samples.
    accuracy_in, accuracy_out : ndarray of shape (n_samples,), in [0, 1]
        Share of the networks trained with and without the example that classify it as it was taught.
    n_in, n_out : ndarray of shape (n_samples,), int64, at least 1
        How many networks these are.
    labels, true_labels : ndarray of shape (n_samples,), int64
        What was taught, and what the data say.
    sample_indices : ndarray of shape (n_samples,), int64
        The examples, as indices into the training data, ascending.
    most_memorized : ndarray of shape (n_most,), int64
        Indices, into the arrays above, of the (up to 16) examples of the highest scores, the highest first.
    images : ndarray of shape (n_most, height, width[, channels]), float32, in [0, 1]
        Their images.
    class_names : tuple of str
        Names of the classes.
    architecture : str
        Such as "784-128-10 relu".
    share : float, in (0, 1)
        Share of the samples that each network was trained on.
    corruption : float, in [0, 1]
        Share of the labels that took part in the corruption; by chance some of these are right.
    n_diverged : int
        Networks that diverged; they count for nothing above.
    interrupted : bool
        Whether Ctrl-C ended the work early; then only the networks done by then count.

    References
    ----------
    .. [1] A. Agresti, B. Caffo, "Simple and Effective Confidence Intervals for Proportions and Differences
       of Proportions Result from Adding Two Successes and Two Failures", The American Statistician 54, 2000.
    """

    scores: Floats
    standard_errors: Floats
    accuracy_in: Floats
    accuracy_out: Floats
    n_in: Ints
    n_out: Ints
    labels: Ints
    true_labels: Ints
    sample_indices: Ints
    most_memorized: Ints
    images: npt.NDArray[np.float32]
    class_names: tuple[str, ...]
    architecture: str
    share: float
    corruption: float
    n_diverged: int = 0
    interrupted: bool = False

    @property
    def is_corrupted(self) -> Mask:
        """Which examples were taught with a wrong label, of shape (n_samples,)."""
        return np.asarray(self.labels != self.true_labels)

    @property
    def n_networks(self) -> int:
        """Networks that the scores come from."""
        return int(self.n_in[0] + self.n_out[0])

    @property
    def score_limits(self) -> tuple[float, ...]:
        """Scores from which on examples are counted in `groups`."""
        return SCORE_LIMITS

    @property
    def groups(self) -> tuple[ScoredGroup, ...]:
        """The scores by whether the label taught is right, right ones first; without a kind that there is none of."""
        sides = (("right labels", ~self.is_corrupted), ("wrong labels", self.is_corrupted))
        return tuple(ScoredGroup.of(label, self.scores[side]) for label, side in sides if side.any())

    @property
    def median_standard_error(self) -> float:
        """Standard error of a score, in the median."""
        return float(np.median(self.standard_errors))

    def columns(self) -> Columns:
        """Return a row for each example."""
        return {
            "sample": self.sample_indices,
            "label": [self.class_names[label] for label in self.labels],
            "true label": [self.class_names[label] for label in self.true_labels],
            "score": self.scores,
            "standard error": self.standard_errors,
            "accuracy in": self.accuracy_in,
            "accuracy out": self.accuracy_out,
        }
