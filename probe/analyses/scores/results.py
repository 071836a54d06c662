"""Answers of networks that saw a part of the samples, and the scores that they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from probe.results import Columns, Record, Result

__all__ = ["SCORE_LIMITS", "MemorizationScores", "ScoredGroup", "ScoresTrial"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SCORE_LIMITS = (0.5, 0.9)
"""Scores from which on examples are counted."""


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
        shares = tuple(float((scores >= limit).mean()) for limit in SCORE_LIMITS)
        return cls(
            label=label,
            n=len(scores),
            mean=float(scores.mean()),
            median=float(np.median(scores)),
            shares=shares,
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
        Places, in the arrays above, of the (up to 16) examples of the highest scores, the highest first.
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
