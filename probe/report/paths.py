"""Expanded weights in words."""

from __future__ import annotations

import re

import numpy as np

from probe.analyses.paths import ExpandedWeights
from probe.report.page import Claim, Picture, Section

__all__ = ["file_names", "paths_section"]

_MOST_PICTURES = 16
"""Layers that are drawn: the first ones."""


def file_names(results: tuple[ExpandedWeights, ...]) -> list[str]:
    """Return what the file of each result is called: after its layer, if that is a plain name, else by number."""
    return [
        f"paths_{result.layer if re.fullmatch(r'[A-Za-z0-9_-]{1,60}', result.layer) else place + 1}"
        for place, result in enumerate(results)
    ]


def paths_section(results: tuple[ExpandedWeights, ...]) -> tuple[Section, tuple[Claim, ...]]:
    """Return how fair the expanded weights of deeper dense layers are, one result for each layer."""
    lead: tuple[str, ...] = (
        "A deeper unit does not see pixels. Its expanded weights are the product of all weights on the way, as if there "
        "were no activations in between. Beside them stands the mean Jacobian: what really moves the unit, averaged "
        "over test images. Where the two agree, the picture is fair; where paths of opposite sign cancel, what is left "
        "is a small difference of large numbers.",
    )
    pictures, numbers, claims = [], {}, []
    for place, (name, result) in enumerate(zip(file_names(results), results, strict=True)):
        cosine, cancelled, chance, varied = (
            float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
            for values in (
                result.similarity,
                result.cancellation,
                result.chance_cancellation,
                result.variation,
            )
        )
        caption = (
            f"Layer '{result.layer}': expanded weights above, the Jacobian averaged over {result.n_images:,} images "
            f"below. Their mean cosine is {cosine:.2f}; {cancelled:.0%} of the sum over paths cancels, with random "
            f"signs {chance:.0%}."
        )
        alt = f"Two rows of images for the units of layer {result.layer}: expanded weights and mean Jacobian."
        if place < _MOST_PICTURES:
            pictures.append(Picture(name, result, caption, alt))
        numbers[result.layer] = {
            "mean_cosine": cosine,
            "mean_cancellation": cancelled,
            "mean_chance_cancellation": chance,
            "mean_variation": varied,
            "similarity": result.similarity.tolist(),
            "cancellation": result.cancellation.tolist(),
        }
        for verdict in result.verdicts:
            statement = f"{verdict.title} ('{result.layer}')"
            drawn = name if place < _MOST_PICTURES else None
            claims.append(Claim(statement, verdict.sentence, "paths", verdict, drawn))
    if len(results) > _MOST_PICTURES:
        lead += (
            f"The first {_MOST_PICTURES} of {len(results)} layers are drawn; results.json has the numbers of all.",
        )
    if not results:
        lead = (
            "This network has no chain of dense layers from the pixels to a deeper unit, so no paths to sum.",
        )
    section = Section("paths", "What do deeper units read?", lead, tuple(pictures), numbers=numbers)
    return section, tuple(claims)
