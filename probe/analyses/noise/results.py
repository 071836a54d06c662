"""What is known of confidence: of one network on kinds of noise, and of networks on the way from images to noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

import numpy as np

from probe._checks import Array, InputError
from probe.results import Columns, Record, Result
from probe.stats import Interval, Verdict

__all__ = [
    "CALIBRATION_BINS",
    "CONFIDENT",
    "GROUPS",
    "KINDS",
    "NOISE",
    "N_IMAGES",
    "SCORES",
    "THRESHOLDS",
    "ConditionConfidence",
    "GroupSummary",
    "NoiseCondition",
    "NoiseConfidence",
    "NoiseSeverity",
]

KINDS = {
    "real": "real test images",
    "uniform": "uniform noise",
    "gaussian": "Gaussian noise",
    "shuffled": "shuffled pixels",
    "norm-matched": "norm-matched noise",
}
"""Kinds of images, in words."""

NOISE = ("uniform", "gaussian", "shuffled", "norm-matched")
"""The four kinds that are no images."""

SCORES = ("maximum softmax", "maximum logit", "energy")
"""What is held against a limit to tell noise from images; energy is log sum exp of the logits."""

THRESHOLDS = (0.5, 0.9, 0.99)
"""Confidences from which an image counts as put in a class with confidence."""

CALIBRATION_BINS = 15
"""Equally wide bins of confidence from 0 to 1, over which the calibration error is taken."""

CONFIDENT = THRESHOLDS[1]
"""Confidence from which the network counts as sure of an image."""

N_IMAGES = 2_000
"""Images of each kind: a share is known to 2 points."""

GROUPS = {
    "trained": "trained",
    "untrained": "before training",
    "few-labels": "trained on few images",
    "random-label": "trained on the same few, labels permuted",
}
"""Groups of control networks, in words; the last two start alike and are taught the same images."""

_STEPS = {
    "blend": "{:.0%} noise blended in",
    "shuffle": "{:.0%} of pixels shuffled",
    "norm": "uniform noise × {:g}",
}
"""Steps on the way, in words."""


class Read(Result):
    """What networks say of images, and the constants behind it."""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Confidences from which an image counts as put in a class with confidence."""
        return THRESHOLDS

    @property
    def confident(self) -> float:
        """Confidence from which the network counts as sure of an image."""
        return CONFIDENT

    @property
    def scores(self) -> tuple[str, ...]:
        """What is held against a limit to tell noise from images."""
        return SCORES

    @property
    def n_calibration_bins(self) -> int:
        """Bins of confidence of the calibration error."""
        return CALIBRATION_BINS


class ConditionConfidence(Record):
    """A network's confidence on one kind of image.

    Attributes
    ----------
    name : str
        Kind of image.
    confidences : ndarray of shape (n_images,), in [0, 1]
        Largest output for each image.
    class_shares : ndarray of shape (n_classes,), in [0, 1]
        Share of images that is put in each class.
    entropy : float, in [0, log2(n_classes)]
        Entropy of `class_shares` in bits: 0 if every image is put in one class.
    auroc : float, in [0, 1], or NaN
        Probability that a real image gets a higher confidence than one of these, with ties counted
        half: 0.5 if confidence tells nothing, 1 if it tells them apart. Compared before rounding, by the log-odds of the
        predicted class, since confidences near 1 are all the same float. NaN for the real images.
    auroc_over_images : Interval or None
        `auroc` with DeLong's 95% interval: other images would give another number within it. It says nothing of other
        networks. None for the real images.
    shares_confident : ndarray of shape (3,), in [0, 1]
        Share of images with a largest output of at least each of `THRESHOLDS`: 0.5, 0.9 and 0.99.
    score_aurocs : ndarray of shape (3,), in [0, 1], or NaN
        As `auroc`, real images positive, by each of `SCORES`: maximum softmax, maximum logit, and energy. NaN for the
        real images.
    """

    name: str
    confidences: Array
    class_shares: Array
    entropy: float
    auroc: float
    auroc_over_images: Interval | None
    shares_confident: Array
    score_aurocs: Array

    @property
    def label(self) -> str:
        """Kind of image, in words."""
        return KINDS[self.name]

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.confidences)

    @property
    def median(self) -> float:
        """Median confidence."""
        return float(np.median(self.confidences))

    @property
    def share_confident(self) -> float:
        """Share of images with a confidence of at least `CONFIDENT`."""
        return float((self.confidences >= CONFIDENT).mean())

    def called(self, class_names: tuple[str, ...]) -> str:
        """Return in which classes most of the images are put, in a sentence.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> found = SimpleNamespace(class_shares=np.array([0.3, 0.08, 0.62]))
        >>> ConditionConfidence.called(found, ("a", "b", "c"))
        "62% are called 'c' and 30% 'a'."
        """
        order = [k for k in np.argsort(-self.class_shares, kind="stable")[:2] if self.class_shares[k] >= 0.1]
        if not order:
            return "No class is named for a tenth of them."
        shares = [f"{self.class_shares[k]:.0%}" for k in order]
        first, *more = (f"'{class_names[k]}'" for k in order)
        second = f" and {shares[1]} {more[0]}" if more else ""
        return f"{shares[0]} are called {first}{second}."


class NoiseConfidence(Read):
    """A network's confidence on real images and on four kinds of noise.

    Attributes
    ----------
    conditions : tuple of ConditionConfidence
        "real", "uniform", "gaussian", "shuffled" and "norm-matched", in this order.
    threshold : float, in [0, 1]
        Median confidence of the correctly classified real images.
    accuracy : float, in [0, 1]
        Share of the real images that is classified right.
    class_names : tuple of str
        Names of the classes.
    examples : ndarray of shape (n_conditions, n_examples, *image_shape), in [0, 1]
        A few images of each kind.
    calibration_error : float, in [0, 1]
        Expected calibration error on real images: the distance between mean confidence and accuracy in each of 15 equally
        wide bins of confidence, averaged with the images in each as weights. Over half of the real images.
    temperature : float
        By which the logits are divided so that the cross-entropy on the other half of the real images is least: above 1
        if the network is too sure.
    scaled_calibration_error : float, in [0, 1]
        The calibration error with the logits divided by `temperature`.
    scaled_share : float, in [0, 1]
        Share of uniform noise with a confidence of at least 0.9 once the logits are divided by `temperature`. All four are
        NaN of a single image.
    noun : str
        What an image shows, such as "digit".
    verdicts : tuple of Verdict
        About this network; the control networks stand beside it. "noise" is about uniform noise, "noise/gaussian" and so on
        about other kinds; "detects" is about `auroc` on uniform noise.
    """

    conditions: tuple[ConditionConfidence, ...]
    threshold: float
    accuracy: float
    class_names: tuple[str, ...]
    examples: Array
    calibration_error: float
    temperature: float
    scaled_calibration_error: float
    scaled_share: float
    noun: str
    verdicts: tuple[Verdict, ...]

    @property
    def largest_entropy(self) -> float:
        """Entropy of predicted classes that are all alike, in bits."""
        return float(np.log2(len(self.class_names)))

    def columns(self) -> Columns:
        """Return one row for each kind of image."""
        conditions = self.conditions
        columns: Columns = {"images": [condition.label for condition in conditions]}
        for name in ("median", "entropy", "auroc"):
            columns[name] = [getattr(condition, name) for condition in conditions]
        for index, threshold in enumerate(THRESHOLDS):
            columns[f"share_of_{threshold:g}"] = [
                condition.shares_confident[index] for condition in conditions
            ]
        return columns

    def condition(self, name: str) -> ConditionConfidence:
        """Return the condition called `name`."""
        return next(condition for condition in self.conditions if condition.name == name)


def _none() -> Array:
    return np.empty(0)


class NoiseCondition(Record):
    """Images of one step.

    Attributes
    ----------
    family : {"real", "blend", "shuffle", "uniform", "gaussian", "shuffled", "norm-matched", "norm"}
        "blend": share of uniform noise in a test image; "shuffle": share of pixels that change places; "norm": uniform
        noise times a factor, beyond 1.
    severity : float
        The share, or the factor; 0 for real images and 1 for noise as it is.
    examples : ndarray of shape (n_examples, *image_shape)
        A few of them.
    """

    family: str
    severity: float
    examples: Array

    @property
    def label(self) -> str:
        """Kind of image, in words."""
        return KINDS.get(self.family) or _STEPS[self.family].format(self.severity)


class GroupSummary(Record):
    """How many networks of one group are sure of noise. Most are sure of nearly all of it or of hardly any.

    Attributes
    ----------
    group : str
        One of `GROUPS`.
    n_sure : mapping of str to int
        Networks that are sure of more than half of the images, by kind of noise.
    n_tells : int
        Networks whose confidence is higher on real images than on uniform noise more often than not.
    n_networks : int
        All of them.
    """

    group: str
    n_sure: Mapping[str, int]
    n_tells: int
    n_networks: int

    @property
    def label(self) -> str:
        """What they are, in words."""
        return GROUPS[self.group]


class NoiseSeverity(Read):
    """How confident networks are on the way from images to noise, and beyond.

    Attributes
    ----------
    conditions : tuple of NoiseCondition
        The kinds of images.
    n_images : int
        Images on each condition.
    own_confidence : ndarray of shape (n_conditions,), in [0, 1]
        Mean maximum softmax of the network at hand.
    own_share_above : ndarray of shape (n_conditions, 3), in [0, 1]
        Share of images with a maximum softmax of at least each of `THRESHOLDS`.
    own_auroc : ndarray of shape (3, n_conditions), in [0, 1]
        Probability that a real test image (the positive class) has a higher score than an image of the condition, ties
        counted half, for each of `SCORES`; 0.5 for the real images themselves.
    own_limit : ndarray of shape (n_directions,), in [0, 1]
        Exact limit of the confidence along directions of uniform noise; empty where the network has no such limit.
    groups : tuple of str
        Keys of `GROUPS`; empty without control networks, like all arrays that follow.
    confidence : ndarray of shape (n_groups, n_networks, n_conditions), in [0, 1]
        Mean maximum softmax.
    share_above : ndarray of shape (n_groups, n_networks, n_conditions, 3), in [0, 1]
        As `own_share_above`.
    auroc : ndarray of shape (n_groups, n_networks, n_conditions), in [0, 1]
        By the maximum softmax.
    limit : ndarray of shape (n_networks, n_directions), in [0, 1]
        As `own_limit`, of the trained networks.
    verdicts : tuple of Verdict
        "limit" is about this network, where it has limits; "trained" and "labels" about networks trained like it.
    """

    conditions: tuple[NoiseCondition, ...]
    n_images: int
    own_confidence: Array
    own_share_above: Array
    own_auroc: Array
    own_limit: Array
    groups: tuple[str, ...] = ()
    confidence: Array = field(default_factory=_none)
    share_above: Array = field(default_factory=_none)
    auroc: Array = field(default_factory=_none)
    limit: Array = field(default_factory=_none)
    verdicts: tuple[Verdict, ...] = ()

    @property
    def n_networks(self) -> int:
        """Control networks in each group."""
        return self.confidence.shape[1] if self.groups else 0

    @property
    def own_mean_limit(self) -> float | None:
        """Mean limit of the confidence of the network at hand."""
        return float(self.own_limit.mean()) if self.own_limit.size else None

    @property
    def summaries(self) -> tuple[GroupSummary, ...]:
        """How many networks of each group are sure of most noise."""
        at = {KINDS[kind]: self.index(kind) for kind in NOISE}
        sure = THRESHOLDS.index(CONFIDENT)
        return tuple(
            GroupSummary(
                group=group,
                n_sure={name: int((share[:, k, sure] > 0.5).sum()) for name, k in at.items()},
                n_tells=int((auroc[:, self.index("uniform")] > 0.5).sum()),
                n_networks=self.n_networks,
            )
            for group, share, auroc in zip(self.groups, self.share_above, self.auroc, strict=True)
        )

    def columns(self) -> Columns:
        """Return one row for each kind of image: what the network at hand says of it."""
        conditions = self.conditions
        columns: Columns = {
            "images": [condition.label for condition in conditions],
            "family": [condition.family for condition in conditions],
            "severity": [condition.severity for condition in conditions],
            "confidence": self.own_confidence,
        }
        columns |= {
            f"share_of_{threshold:g}": self.own_share_above[:, k] for k, threshold in enumerate(THRESHOLDS)
        }
        return columns | {f"auroc of {score}": self.own_auroc[k] for k, score in enumerate(SCORES)}

    def index(self, family: str, severity: float = 1.0) -> int:
        """Return the index of a condition.

        Raises
        ------
        InputError
            If there is none.
        """
        for index, condition in enumerate(self.conditions):
            if (condition.family, condition.severity) == (family, severity):
                return index
        known = ", ".join(f"{condition.family} {condition.severity:g}" for condition in self.conditions)
        raise InputError(f"family and severity must be one of {known}; got {family} {severity:g}")
