"""What is known of confidence: of one network on kinds of noise, and of networks on the way from images to noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

import numpy as np

from probe._checks import Array, InputError
from probe.results import Columns, Record, Result
from probe.stats import Interval, Verdict, mean_interval

__all__ = [
    "CALIBRATION_BINS",
    "GROUPS",
    "KINDS",
    "NOISE",
    "SCORES",
    "THRESHOLDS",
    "ConditionConfidence",
    "GroupMeans",
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

GROUPS = ("trained", "temperature-scaled", "untrained", "random-label")

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
    share_above : float, in [0, 1]
        Share of images with a confidence above `NoiseConfidence.threshold`. Compared, as for `auroc`, before
        rounding: by the log-odds of the predicted class, since confidences near 1 are all the same float.
    class_shares : ndarray of shape (n_classes,), in [0, 1]
        Share of images that is put in each class.
    entropy : float, in [0, log2(n_classes)]
        Entropy of `class_shares` in bits: 0 if every image is put in one class.
    auroc : float, in [0, 1], or NaN
        Probability that a real image gets a higher confidence than one of these, with ties counted
        half: 0.5 if confidence tells nothing, 1 if it tells them apart. NaN for the real images.
    auroc_over_images : Interval or None
        `auroc` with DeLong's 95% interval: other images would give another number within it. It says nothing of other
        networks, which `noise_severity` does. None for the real images.
    shares_confident : ndarray of shape (3,), in [0, 1]
        Share of images with a largest output of at least each of `THRESHOLDS`: 0.5, 0.9 and 0.99.
    score_aurocs : ndarray of shape (3,), in [0, 1], or NaN
        As `auroc`, real images positive, by each of `SCORES`: maximum softmax, maximum logit, and energy. NaN for the
        real images.
    """

    name: str
    confidences: Array
    share_above: float
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
        The calibration error with the logits divided by `temperature`. All three are NaN of a single image.
    """

    conditions: tuple[ConditionConfidence, ...]
    threshold: float
    accuracy: float
    class_names: tuple[str, ...]
    examples: Array
    calibration_error: float
    temperature: float
    scaled_calibration_error: float

    @property
    def largest_entropy(self) -> float:
        """Entropy of predicted classes that are all alike, in bits."""
        return float(np.log2(len(self.class_names)))

    def columns(self) -> Columns:
        """Return one row for each kind of image."""
        conditions = self.conditions
        columns: Columns = {"images": [condition.label for condition in conditions]}
        for name in ("median", "share_above", "entropy", "auroc"):
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


class GroupMeans(Record):
    """Means over the networks of one group, with Student's 95% intervals over networks.

    Attributes
    ----------
    group : str
        One of `GROUPS`.
    confidence : mapping of str to Interval
        Mean maximum softmax, by kind of noise.
    auroc : Interval
        By the maximum softmax, over all four.
    ece : Interval
        Expected calibration error on real test images.
    """

    group: str
    confidence: Mapping[str, Interval]
    auroc: Interval
    ece: Interval


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
    own_ece, own_scaled_ece : float, in [0, 1]
        Expected calibration error on real test images: the mean distance between confidence and accuracy over 15 equally
        wide bins of confidence, weighted by their images; as it is, and with the logits divided by `own_temperature`.
    own_temperature : float
        That minimizes the cross-entropy on the other half of the test images.
    own_limit : ndarray of shape (n_directions,), in [0, 1]
        Exact limit of the confidence along directions of uniform noise; empty where the network has no such limit.
    groups : tuple of str
        `GROUPS`; empty without control networks, like all arrays that follow.
    confidence : ndarray of shape (n_groups, n_networks, n_conditions), in [0, 1]
        Mean maximum softmax.
    share_above : ndarray of shape (n_groups, n_networks, n_conditions, 3), in [0, 1]
        As `own_share_above`.
    auroc : ndarray of shape (n_groups, n_networks, n_conditions), in [0, 1]
        By the maximum softmax.
    score_auroc : ndarray of shape (3, n_networks, n_conditions), in [0, 1]
        Of the trained networks, for each of `SCORES`.
    ece : ndarray of shape (n_groups, n_networks), in [0, 1]
        On real test images.
    temperatures : ndarray of shape (n_networks,)
        Of the trained networks.
    limit : ndarray of shape (n_networks,), in [0, 1]
        Mean limit of each trained network's confidence.
    verdicts : tuple of Verdict
        Over the control networks; empty without.
    """

    conditions: tuple[NoiseCondition, ...]
    n_images: int
    own_confidence: Array
    own_share_above: Array
    own_auroc: Array
    own_ece: float
    own_scaled_ece: float
    own_temperature: float
    own_limit: Array
    groups: tuple[str, ...] = ()
    confidence: Array = field(default_factory=_none)
    share_above: Array = field(default_factory=_none)
    auroc: Array = field(default_factory=_none)
    score_auroc: Array = field(default_factory=_none)
    ece: Array = field(default_factory=_none)
    temperatures: Array = field(default_factory=_none)
    limit: Array = field(default_factory=_none)
    verdicts: tuple[Verdict, ...] = ()

    @property
    def n_networks(self) -> int:
        """Control networks in each group."""
        return len(self.temperatures)

    @property
    def own_mean_limit(self) -> float | None:
        """Mean limit of the confidence of the network at hand."""
        return float(self.own_limit.mean()) if self.own_limit.size else None

    @property
    def means(self) -> tuple[GroupMeans, ...]:
        """Means over the networks of each group."""
        noise = {KINDS[kind]: self.index(kind) for kind in NOISE} if self.groups else {}
        return tuple(
            GroupMeans(
                group=group,
                confidence={name: _mean(self.confidence[index][:, at]) for name, at in noise.items()},
                auroc=_mean(self.auroc[index][:, list(noise.values())].mean(axis=1)),
                ece=_mean(self.ece[index]),
            )
            for index, group in enumerate(self.groups)
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


def _mean(values: Array) -> Interval:
    return mean_interval(np.asarray(values, np.float64))
