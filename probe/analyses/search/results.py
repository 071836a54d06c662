"""What a search tried, what it chose, and what that is worth."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe.results import Columns, Record, Result
from probe.stats import FEWEST, Claim, Interval, Verdict, mean_estimate

__all__ = ["BETTER", "ArchitectureSearch", "SearchCandidate", "SearchFront", "SearchRung", "compared"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BETTER = Claim(
    key="better",
    title="The architecture chosen is better than the video's",
    statistic_name="difference of test accuracies",
    unit="share",
    replicate="networks",
    null="on test images both are right equally often",
    threshold=0.0,
    reason="no difference",
    subject="kind",
)


class SearchCandidate(Record):
    """A network's shape with a way to train it, and how well networks of it did.

    Attributes
    ----------
    hidden : tuple of int
        Units of each hidden layer.
    activation : str
        Of the hidden layers.
    cost : {"cross-entropy", "quadratic"}
        What was minimized.
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
        Wall-clock seconds that training one network for so long took here, in the population that it was trained in
        and beside others on the other cores; the median over networks. It is measured, so no two runs give the same,
        and nothing is chosen by it. NaN where all networks failed in their first epoch.
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

    @property
    def shape(self) -> str:
        """Hidden widths and activation."""
        return f"{'-'.join(map(str, self.hidden))} {self.activation}" if self.hidden else "no hidden layer"

    @property
    def label(self) -> str:
        """A short name: the shape, and the cost unless it is the cross-entropy."""
        return self.shape if self.cost == "cross-entropy" else f"{self.shape}, {self.cost}"

    @property
    def n_networks(self) -> int:
        """Networks of this candidate."""
        return len(self.test_accuracy)

    @property
    def n_failed(self) -> int:
        """Networks whose cost became non-finite."""
        return int(self.failed.sum())

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
        """Return `validation` with its interval over networks."""
        return _mean(self.validation_accuracy[-1])

    def test_interval(self) -> Interval:
        """Return `test` with its interval over networks."""
        return _mean(self.test_accuracy)


class SearchRung(Record):
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


class SearchFront(Record):
    """Indices of the candidates that none as cheap or cheaper is better than, from the cheapest to the best.

    Attributes
    ----------
    last_rung : ndarray of shape (n,), int64
        Among those trained to the last rung, the reference too.
    all_rungs : ndarray of shape (n,), int64
        Among all, those dropped early as accurate as they were when dropped.
    """

    last_rung: Ints
    all_rungs: Ints


class ArchitectureSearch(Result):
    """What a search tried, what it chose, and what that is worth.

    Attributes
    ----------
    candidates : tuple of SearchCandidate
        All that were trained.
    rungs : tuple of SearchRung
        From the one that all candidates were on to the one of the finalists.
    best : int
        Index of the candidate chosen: of the finalists, the best on the validation images.
    reference : int
        Index of the video's network, at that of its learning rates which was best on the validation images.
    by_parameters, by_seconds : SearchFront
        Accuracy on the validation images against the number of parameters, and against `training_seconds`.
    training_samples, validation_samples : ndarray of shape (n,), int64
        Indices in ``split.train`` of the images trained on, and of the others that were chosen by.
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

    @property
    def n_training(self) -> int:
        """Number of images trained on."""
        return len(self.training_samples)

    @property
    def n_validation(self) -> int:
        """Number of images that were chosen by."""
        return len(self.validation_samples)

    @property
    def n_failed(self) -> int:
        """Networks of all candidates whose cost became non-finite."""
        return sum(candidate.n_failed for candidate in self.candidates)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdict, as other results hold theirs."""
        return (self.verdict,)

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
        """Indices of the candidates trained to the end, the best on the validation images first."""
        finished = [k for k, candidate in enumerate(self.candidates) if candidate.n_rungs == len(self.rungs)]
        return tuple(sorted(finished, key=lambda k: (-self.candidates[k].validation, k)))

    @property
    def best_rates(self) -> tuple[int, ...]:
        """Index of one candidate for each shape and cost: the learning rate that went furthest, then the best."""
        best: dict[Hashable, int] = {}
        for k, candidate in enumerate(self.candidates):
            key = candidate.hidden, candidate.activation, candidate.cost
            before = self.candidates[best.setdefault(key, k)]
            if (candidate.n_rungs, candidate.validation) > (before.n_rungs, before.validation):
                best[key] = k
        return tuple(best.values())

    def columns(self) -> Columns:
        """Return one row for each candidate."""
        names = "shape cost learning_rate role finalist n_parameters n_epochs training_seconds validation test n_failed"
        return {name: [getattr(candidate, name) for candidate in self.candidates] for name in names.split()}


def compared(chosen: SearchCandidate, videos: SearchCandidate, n_images: int) -> Verdict:
    """Return whether `chosen` is right on more test images than `videos`, both trained on `n_images`.

    Their networks share nothing: they stand beside each other by chance, as they were drawn.
    """
    described = f"{_described(chosen)} puts {chosen.test:.2%} of the test images in the right class"
    if chosen.label == videos.label:
        # A network is not better than itself, whatever the spread over its starts.
        n = len(chosen.test_accuracy)
        same = BETTER.undecided(
            f"The search chose the video's network itself: {described}, at the rate chosen."
        )
        return replace(same, decision="refuted", interval=Interval(0.0, 0.0, 0.0, 0.95, n))
    apart = mean_estimate(chosen.test_accuracy - videos.test_accuracy)
    few = "" if apart.interval.n >= FEWEST else f" Fewer than {FEWEST} networks decide nothing."
    return BETTER.verdict(
        apart,
        f"{described}, the video's {_described(videos)} {videos.test:.2%}: a difference of {apart:.2p;} points "
        f"({apart.interval.n} networks of each).{few} Both were trained for {chosen.n_epochs} epochs on {n_images:,} "
        "images, each at the learning rate that was best on validation images; what more training would "
        "bring to either is not "
        "said.",
    )


def _mean(accuracy: Floats) -> Interval:
    """Return a mean accuracy with its interval; the mean itself where all are equal."""
    found = mean_estimate(accuracy).interval
    low, high = np.nan_to_num([found.low, found.high], nan=found.estimate).clip(0, 1)
    return replace(found, low=float(low), high=float(high))


def _described(candidate: SearchCandidate) -> str:
    return f"{candidate.label} (rate {candidate.learning_rate:g}, {candidate.n_parameters:,} parameters)"
