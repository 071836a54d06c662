"""Drawings in words."""

from __future__ import annotations

import numpy as np

from probe.analyses.drawing import JUDGES, MEASURES, Drawing
from probe.report.page import Claim, Picture, Section, Table

__all__ = ["drawing_section"]

_KINDS = {
    "optimised": "what the network draws",
    "real": "held-out images",
    "class means": "class means",
    "noise": "uniform noise",
    "shuffled": "shuffled pixels",
}

_MEASURES = {
    "nearest": "distance to nearest",
    "residual": "left over",
    "ink": "ink",
    "total_variation": "total variation",
}


def drawing_section(result: Drawing) -> tuple[Section, tuple[Claim, ...]]:
    """Return whether what a network draws looks like its class to others."""
    drawn = result.kind("optimised")
    n_images, recognised = len(drawn.images), float(drawn.agreement[:2].mean())
    lead = (
        f"The {n_images} images that this network likes best, {result.n_restarts} for each class, are shown to others: to "
        "nearest neighbours, to logistic regression, and to networks of other seeds. That it recognises them itself says "
        f"nothing, they were made for it. {drawn.plausible.mean():.0%} of them are as close to training images as 95% of "
        "held-out images are, both by the distance to the nearest and by what the principal components leave over; in "
        f"{recognised:.0%} nearest neighbours and logistic regression see the class that was meant.",
    )
    rows = tuple(
        (
            _KINDS[kind.name],
            *(f"{np.median(values):.0%}" for values in kind.percentiles.T),
            f"{kind.plausible.mean():.0%}",
            *("–" if np.isnan(share) else f"{share:.0%}" for share in kind.agreement),
        )
        for kind in result.kinds
    )
    table = Table(
        "Median percentile among held-out images of the distance to the nearest training image, of what the principal "
        "components with 90% of the variance leave over, of ink and of total variation; the share that is plausible by the "
        "first two; and the share in which each judge sees the class that was meant.",
        ("images", *(_MEASURES[name] for name in MEASURES), "plausible", *JUDGES),
        rows,
    )
    picture = Picture(
        "drawing",
        result,
        "Above: the best drawing of each class, the training image that is nearest to it, and the mean image of the class. "
        "Middle: where drawings and controls stand among held-out images; digits are in the middle, drawings at the far "
        "right are like no digit. Below: whether judges see the class that was meant.",
        "Drawings of each class with their nearest training images, percentiles, and what the judges see.",
    )
    numbers = {
        "n_restarts": result.n_restarts,
        "values": result.values,
        "plausible_share_of_networks": result.plausible_share,
        "recognised_share_of_networks": result.recognised_share,
        "kinds": {
            kind.name: {
                "n_images": len(kind.images),
                "median_percentiles": dict(
                    zip(MEASURES, np.median(kind.percentiles, axis=0).tolist(), strict=True)
                ),
                "plausible": float(kind.plausible.mean()),
                "judged_as_intended": dict(zip(JUDGES, kind.agreement.tolist(), strict=True)),
            }
            for kind in result.kinds
        },
    }
    claims = tuple(
        Claim(verdict.title, verdict.sentence, "drawing", verdict, "drawing") for verdict in result.verdicts
    )
    return Section("drawing", "Do others see what it draws?", lead, (picture,), (table,), numbers), claims
