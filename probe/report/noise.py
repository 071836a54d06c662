"""Confidence on noise in words."""

from __future__ import annotations

import numpy as np

from probe._checks import Array
from probe.analyses.noise import (
    CALIBRATION_BINS,
    GROUPS,
    SCORES,
    THRESHOLDS,
    NoiseConfidence,
    NoiseSeverity,
)
from probe.report.page import Claim, Picture, Section, Table
from probe.stats import Interval, mean_interval

__all__ = ["noise_section", "severity_section"]

_KINDS = {
    "real": "real test images",
    "uniform": "uniform noise",
    "gaussian": "Gaussian noise",
    "shuffled": "shuffled pixels",
    "norm-matched": "norm-matched uniform noise",
}


def noise_section(result: NoiseConfidence) -> tuple[Section, tuple[Claim, ...]]:
    """Return how confident the network is on noise, and whether confidence tells noise from real images."""
    rows, conditions = [], {}
    for condition in result.conditions:
        median = float(np.median(condition.confidences))
        rows.append(
            (
                _KINDS[condition.name],
                f"{median:.3f}",
                f"{condition.share_above:.1%}",
                f"{condition.entropy:.2f}",
                _over_images(condition.auroc_over_images),
            )
        )
        conditions[condition.name] = {
            "median_confidence": median,
            "share_above": condition.share_above,
            "entropy_bits": condition.entropy,
            "class_shares": condition.class_shares.tolist(),
            "auroc": None if condition.name == "real" else condition.auroc,
            "auroc_interval_over_images": _ends(condition.auroc_over_images),
            "shares_confident": condition.shares_confident.tolist(),
            "score_aurocs": None if condition.name == "real" else condition.score_aurocs.tolist(),
        }
    real, uniform = result.conditions[0], result.condition("uniform")
    medians = float(np.median(real.confidences)), float(np.median(uniform.confidences))
    table = Table(
        f"{len(real.confidences):,} images of each kind. Share above: the share with a confidence above "
        f"{result.threshold:.4f}, the median of the correctly classified test images. Entropy of the predicted "
        f"classes: 0 bit if all noise is put in one class, {np.log2(len(result.class_names)):.2f} if spread evenly. "
        "AUROC: the probability that a real image, the positive class, gets a higher confidence than noise (0.5: confidence "
        "tells nothing; 1: it tells them apart), with DeLong's 95% interval over images, not over networks.",
        ("images", "median confidence", "share above", "entropy, bit", "AUROC"),
        tuple(rows),
    )
    lead = (
        "Nothing tells the network that an image is of none of its classes. Three separate questions: how confident is "
        "it on noise; in which classes does it put noise; and does its confidence, for what it is worth, still tell noise "
        "from real images?",
        _calibration_in_words(result),
    )
    picture = Picture(
        "noise",
        result,
        "Left: examples. Middle: how the confidence is distributed; a tall bar at 1 in a row of noise is the network "
        "being sure of nonsense. Right: the classes that the images are put in.",
        "For real images and four kinds of noise: examples, a histogram of confidence, and predicted classes.",
    )
    claim = Claim(
        "Given pure noise, the network confidently names a digit",
        f"Median confidence {medians[1]:.3f} on uniform noise, {medians[0]:.3f} on test images; "
        f"{uniform.share_above:.1%} of the noise is above the median of right answers. As a detector of noise, "
        f"confidence has an AUROC of {uniform.auroc:.2f}.",
        "noise",
        picture="noise",
    )
    numbers = {
        "threshold": result.threshold,
        "n_images": len(real.confidences),
        "largest_entropy_bits": float(np.log2(len(result.class_names))),
        "thresholds": list(THRESHOLDS),
        "scores": list(SCORES),
        "calibration_error": result.calibration_error,
        "temperature": result.temperature,
        "scaled_calibration_error": result.scaled_calibration_error,
        "conditions": conditions,
    }
    tables = (table, _scores_table(result))
    return Section("noise", "How sure is it of noise?", lead, (picture,), tables, numbers), (claim,)


def _ends(auroc: Interval | None) -> list[float] | None:
    return None if auroc is None else [auroc.low, auroc.high]


def _over_images(auroc: Interval | None) -> str:
    if auroc is None:
        return ""
    ends = f" ({auroc.low:.3f} to {auroc.high:.3f})" if np.isfinite(auroc.low) else ""
    return f"{auroc.estimate:.3f}{ends}"


def _calibration_in_words(result: NoiseConfidence) -> str:
    if not np.isfinite(result.temperature):
        return "One image is too few to say how well confidence fits accuracy on real images."
    return (
        f"On real images its confidence is off by {result.calibration_error:.3f} on average (expected calibration error "
        f"over {CALIBRATION_BINS} bins), and by {result.scaled_calibration_error:.3f} with its logits divided by "
        f"{result.temperature:.2f}, the temperature that fits the other half of these images best. That is about images "
        "such as it was trained on, and says nothing of noise."
    )


def _scores_table(result: NoiseConfidence) -> Table:
    return Table(
        f"The share of images with a confidence of at least {_listed(THRESHOLDS)}; and the AUROC of three scores, real "
        "images being the positive class. Energy: log of the sum of exponentials of the logits.",
        ("images", *(f"≥ {limit:g}" for limit in THRESHOLDS), *(f"AUROC, {score}" for score in SCORES)),
        tuple(
            (
                _KINDS[condition.name],
                *(f"{share:.1%}" for share in condition.shares_confident),
                *("" if condition.name == "real" else f"{auroc:.3f}" for auroc in condition.score_aurocs),
            )
            for condition in result.conditions
        ),
    )


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def severity_section(result: NoiseSeverity) -> tuple[Section, tuple[Claim, ...]]:
    """Return how confidence and its use as a detector change from images to noise, over networks and nulls."""
    lead = (
        "From test images to noise in steps: noise is blended in, pixels change places, and noise grows beyond the range "
        "of images, up to infinity, where the limit is exact. Beside the trained networks stand three nulls: the same "
        "networks before training, trained on random labels, and with the temperature that fits their confidence to "
        "their accuracy. Confidence is one question, whether it still tells noise from images another.",
        f"This network's expected calibration error on test images is {result.own_ece:.3f}, and {result.own_scaled_ece:.3f} "
        f"with its logits divided by {result.own_temperature:.2f}, which was fitted on the other half of them.",
    )
    own = Table(
        f"This network, {result.n_images:,} images of each kind: the mean maximum softmax, the share with at least "
        f"{_listed(THRESHOLDS)}, and the AUROC of three scores, real test images being the "
        "positive class. Energy: log of the sum of exponentials of the logits.",
        (
            "images",
            "confidence",
            *(f"≥ {limit:g}" for limit in THRESHOLDS),
            *(f"AUROC, {score}" for score in SCORES),
        ),
        tuple(
            (
                _condition_name(condition.family, condition.severity),
                f"{result.own_confidence[k]:.3f}",
                *(f"{share:.1%}" for share in result.own_share_above[k]),
                *("" if condition.family == "real" else f"{auroc:.3f}" for auroc in result.own_auroc[:, k]),
            )
            for k, condition in enumerate(result.conditions)
        ),
    )
    tables = (own, _groups_table(result)) if result.groups else (own,)
    picture = Picture(
        "noise_severity",
        result,
        "Above: how sure networks are; below: whether that still tells these images from real ones. Look for the blue "
        "curve against the grey one: what of the confidence comes from training. Right: beyond the range of images, to "
        "the limit at infinity.",
        "Curves of confidence and AUROC for blended noise, shuffled pixels and growing noise.",
    )
    claims = tuple(
        Claim(verdict.claim, verdict.sentence, "severity", verdict, "noise_severity")
        for verdict in result.verdicts
    )
    title = "Where does its confidence on noise come from?"
    return Section("severity", title, lead, (picture,), tables, _severity_numbers(result)), claims


def _severity_numbers(result: NoiseSeverity) -> dict[str, object]:
    return {
        "conditions": [
            {"family": condition.family, "severity": condition.severity} for condition in result.conditions
        ],
        "n_images": result.n_images,
        "thresholds": list(THRESHOLDS),
        "scores": list(SCORES),
        "own": {
            "confidence": result.own_confidence,
            "share_above": result.own_share_above,
            "auroc": result.own_auroc,
            "ece": result.own_ece,
            "ece_scaled": result.own_scaled_ece,
            "temperature": result.own_temperature,
            "mean_limit": float(result.own_limit.mean()) if result.own_limit.size else None,
        },
        "groups": list(result.groups),
        "confidence": result.confidence,
        "share_above": result.share_above,
        "auroc": result.auroc,
        "score_auroc": result.score_auroc,
        "ece": result.ece,
        "temperatures": result.temperatures,
        "limit": result.limit,
    }


def _condition_name(family: str, severity: float) -> str:
    return {
        "real": "real test images",
        "blend": f"{severity:.0%} noise blended in",
        "shuffle": f"{severity:.0%} of pixels shuffled",
        "norm": f"uniform noise × {severity:g}",
    }.get(family, _KINDS.get(family, family))


def _groups_table(result: NoiseSeverity) -> Table:
    def over(values: Array) -> str:
        found = mean_interval(np.asarray(values, np.float64))
        if found.n == 1:
            return f"{found.estimate:.3f}"
        return f"{found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})"

    places = [result.index(kind) for kind in ("uniform", "gaussian", "shuffled", "norm-matched")]
    rows = []
    for group, name in enumerate(GROUPS):
        cells = [over(result.confidence[group][:, place]) for place in places]
        rows.append(
            (name, *cells, over(result.auroc[group][:, places].mean(axis=1)), over(result.ece[group]))
        )
    return Table(
        f"Means over {len(result.temperatures)} networks of each kind, with 95% intervals over networks: confidence on four "
        "kinds of noise, the AUROC of the maximum softmax over all four, and the expected calibration error on test images "
        f"({CALIBRATION_BINS} bins).",
        (
            "networks",
            *(_KINDS[result.conditions[place].family] for place in places),
            "AUROC",
            "calibration error",
        ),
        tuple(rows),
    )
