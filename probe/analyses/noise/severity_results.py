"""What is known of networks on the way from images to noise."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from probe._checks import Array, InputError, readonly
from probe.stats import Verdict

__all__ = ["GROUPS", "SCORES", "THRESHOLDS", "NoiseCondition", "NoiseSeverity"]

GROUPS = ("trained", "temperature-scaled", "untrained", "random-label")
SCORES = ("maximum softmax", "maximum logit", "energy")
"""What is held against a limit to tell noise from images; energy is log sum exp of the logits."""


def _none() -> Array:
    return np.empty(0)


THRESHOLDS = (0.5, 0.9, 0.99)
"""Confidences from which an image counts as put in a class with confidence."""


@dataclass(frozen=True, slots=True, eq=False)
class NoiseCondition:
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "examples", readonly(self.examples))


@dataclass(frozen=True, slots=True, eq=False)
class NoiseSeverity:
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
        That minimises the cross-entropy on the other half of the test images.
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

    def __post_init__(self) -> None:
        for name in (
            "own_confidence",
            "own_share_above",
            "own_auroc",
            "own_limit",
            "confidence",
            "share_above",
            "auroc",
            "score_auroc",
            "ece",
            "temperatures",
            "limit",
        ):
            object.__setattr__(self, name, readonly(getattr(self, name)))

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
