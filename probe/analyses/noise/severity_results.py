"""What is known of networks on the way from images to noise, and what the control networks say of the claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import numpy as np

from probe._checks import Array, InputError
from probe.analyses.noise.readers import KINDS, NOISE, SCORES, THRESHOLDS, Read
from probe.controls import Controls
from probe.results import Columns, Record
from probe.stats import Difference, Interval, Verdict, mean_interval, paired_difference

__all__ = ["GROUPS", "GroupMeans", "NoiseCondition", "NoiseSeverity", "verdicts_of"]

GROUPS = ("trained", "temperature-scaled", "untrained", "random-label")

_STEPS = {
    "blend": "{:.0%} noise blended in",
    "shuffle": "{:.0%} of pixels shuffled",
    "norm": "uniform noise × {:g}",
}
"""Steps on the way, in words."""

_CONFIDENT = THRESHOLDS.index(0.9)
_CERTAIN = 0.99
"""Mean limit from which confidence counts as going to 1."""

_MEMORIZED = 0.5
"""Mean share of random labels from which networks count as having learned them, so that they are a control."""


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


def verdicts_of(result: NoiseSeverity, controls: Controls, chance: float) -> tuple[Verdict, ...]:
    """Return the verdicts over the networks of `result`; `chance` is the share of the commonest training label."""
    verdicts = [
        *(_confident(result, kind, controls.caveat) for kind in NOISE),
        _learned(result, controls.caveat),
        _meant(result, controls, chance),
        _tells(result, controls.caveat),
        _scaled(result, controls.caveat),
    ]
    if np.isfinite(result.limit).all():
        verdicts.append(_far(result, controls.caveat))
    return tuple(verdicts)


_HALF_CONFIDENT: dict[str, Any] = {
    "null": f"half of the images get a confidence of {THRESHOLDS[_CONFIDENT]:g} or more",
    "statistic_name": "share of images",
    "unit": "share",
}


def _confident(result: NoiseSeverity, kind: str, caveat: str) -> Verdict:
    index, name = result.index(kind), KINDS[kind]
    share = _over_networks(result.share_above[0, :, index, _CONFIDENT])
    return Verdict(
        key=f"confident/{kind}",
        title=f"Given {name}, the network confidently names a class",
        decision=share.decision(0.5),
        interval=share.interval,
        sentence=(
            f"{share:.0%} of {result.n_images:,} images of {name} get a confidence of at least "
            f"{THRESHOLDS[_CONFIDENT]:g}, in this network {result.own_share_above[index, _CONFIDENT]:.0%}; the mean maximum "
            f"softmax is {result.confidence[0, :, index].mean():.2f}.{caveat}"
        ),
        **_HALF_CONFIDENT,
    )


def _learned(result: NoiseSeverity, caveat: str) -> Verdict:
    confidence = result.confidence[:, :, result.index("uniform")]
    difference = _over_networks(confidence[0] - confidence[GROUPS.index("untrained")])
    return Verdict(
        key="trained",
        title="It is training that makes the network sure of noise",
        decision=difference.decision(),
        statistic_name="difference of mean confidences",
        unit="",
        interval=difference.interval,
        null="as much confidence on uniform noise as before training",
        sentence=f"On uniform noise the mean maximum softmax is {difference:.3f} above that of the same networks' starts."
        + caveat,
    )


def _meant(result: NoiseSeverity, controls: Controls, chance: float) -> Verdict:
    confidence = result.confidence[:, :, result.index("uniform")]
    shuffled = confidence[GROUPS.index("random-label")]
    difference = _over_networks(confidence[0] - shuffled)
    learned, decision = float(controls.memorized.mean()), difference.decision()
    weak = decision == "supported" and learned < _MEMORIZED
    hardly = (
        " So they hardly learned them, and cannot say what fitting random labels would do." if weak else ""
    )
    return Verdict(
        key="labels",
        title="It is the meaning of the labels that makes the network sure of noise, and not training as such",
        decision="inconclusive" if weak else decision,
        statistic_name="difference of mean confidences",
        unit="",
        interval=difference.interval,
        null="as much confidence on uniform noise as after training on random labels",
        sentence=(
            f"On uniform noise the mean maximum softmax is {difference:.3f} above that of the same networks trained on "
            f"random labels, {shuffled.mean():.2f}. They put out {learned:.1%} of these labels; always naming the commonest "
            f"gives {chance:.1%}.{hardly}{controls.caveat}"
        ),
    )


def _tells(result: NoiseSeverity, caveat: str) -> Verdict:
    noise = [result.index(kind) for kind in NOISE]
    auroc = _over_networks(result.auroc[0][:, noise].mean(axis=1))
    logit, energy = result.score_auroc[1:][:, :, noise].mean(axis=(1, 2))
    return Verdict(
        key="detects",
        title="Its confidence tells noise from digits all the same",
        decision=auroc.decision(0.5),
        statistic_name="AUROC",
        unit="",
        interval=auroc.interval,
        null="an AUROC of 0.5, real images being positive",
        sentence=(
            f"Over four kinds of noise the AUROC of the maximum softmax is {auroc:.3f}; of the maximum logit {logit:.2f}, "
            f"of the energy {energy:.2f}.{caveat}"
        ),
    )


def _scaled(result: NoiseSeverity, caveat: str) -> Verdict:
    scaled = GROUPS.index("temperature-scaled")
    shares = result.share_above[:, :, result.index("uniform"), _CONFIDENT]
    share, errors = _over_networks(shares[scaled]), result.ece.mean(axis=1)
    return Verdict(
        key="calibrated",
        title="Given uniform noise, it is confident even after its temperature was fitted",
        decision=share.decision(0.5),
        interval=share.interval,
        sentence=(
            f"With the temperature that fits confidence to accuracy on test images (median "
            f"{np.median(result.temperatures):.2f}, calibration error {errors[0]:.3f} before and {errors[scaled]:.3f} "
            f"after), {share:.0%} of uniform noise gets at least {THRESHOLDS[_CONFIDENT]:g}; {shares[0].mean():.0%} "
            f"before.{caveat}"
        ),
        **_HALF_CONFIDENT,
    )


def _far(result: NoiseSeverity, caveat: str) -> Verdict:
    limit, own = _over_networks(result.limit), result.own_mean_limit
    of_this = "" if own is None else f", of this network {own:.3f}"
    return Verdict(
        key="limit",
        title="Far away from the data, confidence goes to 1",
        decision=limit.decision(_CERTAIN),
        statistic_name="limit of the mean confidence",
        unit="",
        interval=limit.interval,
        null=f"a mean limit of {_CERTAIN:g} along directions of uniform noise",
        sentence=(
            f"The exact limit of the confidence, as uniform noise is scaled to infinity, is {limit:.3f} on "
            f"average{of_this}. Layers of rectifiers end in a linear region, where it is 1; sigmoids saturate.{caveat}"
        ),
    )


def _over_networks(values: Array) -> Difference:
    return paired_difference(np.asarray(values, np.float64))


def _mean(values: Array) -> Interval:
    return mean_interval(np.asarray(values, np.float64))
