"""Confidence on noise in words."""

from __future__ import annotations

import numpy as np

from probe._checks import Array
from probe.analyses.noise import (
    CALIBRATION_BINS,
    GROUPS,
    SCORES,
    THRESHOLDS,
    NoiseSeverity,
)
from probe.report.page import Claim, Picture, Section, Table
from probe.stats import mean_interval

__all__ = ["severity_section"]

_KINDS = {
    "real": "real test images",
    "uniform": "uniform noise",
    "gaussian": "Gaussian noise",
    "shuffled": "shuffled pixels",
    "norm-matched": "norm-matched uniform noise",
}


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
        Claim(verdict.title, verdict.sentence, "severity", verdict, "noise_severity")
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
