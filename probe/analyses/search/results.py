"""What a search tried, what it chose, and what that is worth."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import readonly
from probe.stats import Interval, Verdict, bootstrap_interval

__all__ = ["ArchitectureSearch", "SearchCandidate", "SearchFront", "SearchRung"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SearchCandidate:
    """A network's shape with a way to train it, and how well networks of it did.

    Attributes
    ----------
    hidden : tuple of int
        Units of each hidden layer.
    activation : str
        Of the hidden layers.
    cost : {"cross-entropy", "quadratic"}
        What was minimised.
    learning_rate : float
        Constant step size.
    n_parameters : int
        Weights and biases of one network.
    role : {"candidate", "reference", "both"}
        "candidate" was asked for and can be chosen; "reference" is the video's network, trained on every rung
        whatever its rank, and never chosen; "both" is the video's network where it was asked for.
    finalist : bool
        Whether its rank brought it to the last rung. A reference gets there without.
    n_epochs : int
        Passes over the training images until it was dropped, or in all.
    training_flops : int
        Floating-point operations of training one network for so long: for each image 6 for each weight (value,
        gradient of the weight and gradient of the input, a multiplication and an addition each), but 4 for the
        weights of the first layer, whose inputs need no gradient.
    training_seconds : float
        Wall-clock seconds that training one network for so long took here, as part of the population that it was
        trained in; the median over networks. It is measured, so no two runs give the same, and nothing is chosen by
        it. NaN where all networks failed in their first epoch.
    validation_accuracy : ndarray of shape (n_rungs, n_networks), in [0, 1]
        After each rung that it was trained on; that of a network that failed is chance.
    test_accuracy : ndarray of shape (n_networks,), in [0, 1]
        After the last of these rungs; nothing was chosen by it. That of a network that failed is chance.
    failed : ndarray of shape (n_networks,), bool
        Networks whose cost became non-finite.
    """

    hidden: tuple[int, ...]
    activation: str
    cost: str
    learning_rate: float
    n_parameters: int
    role: str
    finalist: bool
    n_epochs: int
    training_flops: int
    training_seconds: float
    validation_accuracy: Floats
    test_accuracy: Floats
    failed: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        for name in ("validation_accuracy", "test_accuracy", "failed"):
            object.__setattr__(self, name, readonly(getattr(self, name)))

    @property
    def label(self) -> str:
        """A short name: hidden widths, activation, and the cost unless it is the cross-entropy."""
        shape = f"{'-'.join(map(str, self.hidden))} {self.activation}" if self.hidden else "no hidden layer"
        return shape if self.cost == "cross-entropy" else f"{shape}, {self.cost}"

    @property
    def n_rungs(self) -> int:
        """Rungs that it was trained on."""
        return len(self.validation_accuracy)

    @property
    def validation(self) -> float:
        """Mean accuracy on the validation images after its last rung, in [0, 1]: what it is ranked by."""
        return float(self.validation_accuracy[-1].mean())

    @property
    def test(self) -> float:
        """Mean accuracy on the test images after its last rung, in [0, 1]."""
        return float(self.test_accuracy.mean())

    def validation_interval(self) -> Interval:
        """Return `validation` with its bootstrap interval over networks."""
        return bootstrap_interval(self.validation_accuracy[-1])

    def test_interval(self) -> Interval:
        """Return `test` with its bootstrap interval over networks."""
        return bootstrap_interval(self.test_accuracy)


@dataclass(frozen=True, slots=True)
class SearchRung:
    """One round of training and dropping.

    Attributes
    ----------
    n_epochs : int
        Passes over the training images that its candidates have had at its end, at least 1.
    n_candidates : int
        Candidates trained on it, without references that are there whatever their rank.
    best_validation : float
        The best of these candidates' mean accuracies on the validation images, in [0, 1].
    """

    n_epochs: int
    n_candidates: int
    best_validation: float


@dataclass(frozen=True, slots=True, eq=False)
class SearchFront:
    """Places of the candidates that none as cheap or cheaper is better than, from the cheapest to the best.

    Attributes
    ----------
    last_rung : ndarray of shape (n,), int64
        Among those trained to the last rung, the reference too.
    all_rungs : ndarray of shape (n,), int64
        Among all, those dropped early as accurate as they were when dropped.
    """

    last_rung: Ints
    all_rungs: Ints

    def __post_init__(self) -> None:
        for name in ("last_rung", "all_rungs"):
            object.__setattr__(self, name, readonly(getattr(self, name)))


@dataclass(frozen=True, slots=True, eq=False)
class ArchitectureSearch:
    """What a search tried, what it chose, and what that is worth.

    Attributes
    ----------
    candidates : tuple of SearchCandidate
        All that were trained.
    rungs : tuple of SearchRung
        From the one that all candidates were on to the one of the finalists.
    best : int
        Place of the candidate chosen: of the finalists, the best on the validation images.
    reference : int
        Place of the video's network, at that of its learning rates which was best on the validation images.
    by_parameters, by_seconds : SearchFront
        Accuracy on the validation images against the number of parameters, and against `training_seconds`.
    training_samples, validation_samples : ndarray of shape (n,), int64
        Places in ``split.train`` of the images trained on, and of the others that were chosen by.
    batch_size, n_test : int
        Images of each minibatch, and test images.
    chance : float
        Accuracy of guessing, in (0, 1]: that of networks that failed.
    verdict : Verdict
        Whether the network chosen is better than the video's on the test images.
    """

    candidates: tuple[SearchCandidate, ...]
    rungs: tuple[SearchRung, ...]
    best: int
    reference: int
    by_parameters: SearchFront
    by_seconds: SearchFront
    training_samples: Ints
    validation_samples: Ints
    batch_size: int
    n_test: int
    chance: float
    verdict: Verdict

    def __post_init__(self) -> None:
        for name in ("training_samples", "validation_samples"):
            object.__setattr__(self, name, readonly(getattr(self, name)))

    @property
    def chosen(self) -> SearchCandidate:
        """The candidate chosen."""
        return self.candidates[self.best]

    @property
    def videos(self) -> SearchCandidate:
        """The video's network."""
        return self.candidates[self.reference]

    @property
    def last_rung(self) -> tuple[int, ...]:
        """Places of the candidates trained to the end, the best on the validation images first."""
        there = [k for k, found in enumerate(self.candidates) if found.n_rungs == len(self.rungs)]
        return tuple(sorted(there, key=lambda k: (-self.candidates[k].validation, k)))

    @property
    def best_rates(self) -> tuple[int, ...]:
        """Places of one candidate for each shape and cost: the learning rate that went furthest, then the best."""
        found: dict[Hashable, int] = {}
        for k, candidate in enumerate(self.candidates):
            key = candidate.hidden, candidate.activation, candidate.cost
            if key not in found or self._went_further(k, found[key]):
                found[key] = k
        return tuple(found.values())

    def _went_further(self, k: int, other: int) -> bool:
        one, two = self.candidates[k], self.candidates[other]
        return (one.n_rungs, one.validation) > (two.n_rungs, two.validation)
