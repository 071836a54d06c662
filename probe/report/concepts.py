"""Concepts in words."""

from __future__ import annotations

import numpy as np

from probe.analyses.concepts import Concepts, LayerConcepts
from probe.report.page import Claim, Picture, Section, Table

__all__ = ["concepts_section"]


def concepts_section(result: Concepts) -> tuple[Section, tuple[Claim, ...]]:
    """Return which concepts the hidden layers hold, and whether single units stand for them."""
    deepest = result.layers[-1]
    lead = (
        f"The hope was that hidden layers pick up on edges and then on loops. {len(result.names)} such concepts are "
        f"computed from the pixels of {result.n_images:,} test images, without labels made by people: loops, the "
        "orientation of strokes, edges in nine regions, ink. Is a concept in a layer at all (a linear probe)? Does a unit "
        "tell it (its AUROC)? And is that unit special, or would any direction of the layer do as well (random rotations)?",
        "Telling a concept is selectivity, and not importance: that is what the network loses when the unit is replaced by "
        "its mean."
        + (f" Too rare or too common to test: {', '.join(result.left_out)}." if result.left_out else ""),
    )
    rows = tuple(_row(result, layer) for layer in result.layers)
    table = Table(
        "For each layer: concepts for which its best unit beats the best units of 95% of networks before training; for "
        "which it beats random rotations of its layer, corrected over the concepts; the mean AUROC of linear probes, "
        f"before training, and on the pixels ({result.pixel_probe_auroc.mean():.3f}); and what the most important unit "
        "costs when taken away.",
        (
            "layer",
            "better than untrained",
            "units that stand out",
            "linear probe",
            "untrained",
            "largest cost added",
        ),
        rows,
    )
    pictures = (
        Picture(
            "concepts",
            result,
            "Which unit tells which concept: red, it is higher with the concept; blue, lower. Look for rings: units that "
            "are better than random directions of their layer.",
            "A table of colours for every layer: units by concepts.",
            {"part": "units"},
        ),
        Picture(
            "concepts_probes",
            result,
            "How well each concept can be read off a layer by a linear probe, filled after training and open before it. "
            f"Filled above open: training put it there. In '{deepest.layer}' this is so for "
            f"{int((deepest.probe_auroc > deepest.untrained_probe_auroc).sum())} of {len(result.names)} concepts.",
            "Dots for every concept: the AUROC of linear probes on each layer, trained and untrained, and on pixels.",
            {"part": "probes"},
        ),
        Picture(
            "concepts_importance",
            result,
            "What the network loses without each unit, over images with the concept that the unit tells best and over those "
            f"without it. Right: selectivity is not importance; {_agreement(result)}.",
            "Bars of the cost added without each unit, and dots of cost against selectivity.",
            {"part": "importance"},
        ),
    )
    numbers = {
        "names": list(result.names),
        "kinds": list(result.kinds),
        "shares": result.shares,
        "left_out": list(result.left_out),
        "n_images": result.n_images,
        "pixel_probe_auroc": result.pixel_probe_auroc,
        "layers": {layer.layer: _numbers(layer) for layer in result.layers},
    }
    claims = tuple(
        Claim(verdict.title, verdict.sentence, "concepts", verdict, _picture_of(verdict.title))
        for verdict in result.verdicts
    )
    return Section("concepts", "Edges and loops?", lead, pictures, (table,), numbers), claims


def _agreement(result: Concepts) -> str:
    """Return in words how far selective units are the important ones."""
    found = []
    for layer in result.layers:
        correlation = _rank_correlation(layer)
        if not np.isnan(correlation):
            found.append(f"{correlation:+.2f} in '{layer.layer}'")
    return (
        f"their rank correlation is {', '.join(found)}"
        if found
        else "there are too few units to compare them"
    )


def _rank_correlation(layer: LayerConcepts) -> float:
    """Return Spearman's correlation of the units' largest selectivity with the cost added; NaN if it has none."""
    from scipy.stats import rankdata

    pairs = np.stack([rankdata(layer.selectivity.max(axis=1)), rankdata(layer.cost_added)])
    if pairs.shape[1] < 3 or (np.ptp(pairs, axis=1) == 0).any():
        return np.nan
    return float(np.corrcoef(pairs)[0, 1])


def _picture_of(claim: str) -> str:
    return "concepts_probes" if "holds more" in claim else "concepts"


def _row(result: Concepts, layer: LayerConcepts) -> tuple[str, ...]:
    n_concepts = len(result.names)
    return (
        layer.layer,
        f"{int((layer.untrained_p <= result.alpha).sum())} of {n_concepts}",
        f"{int(layer.aligned(result.alpha).sum())} of {n_concepts}",
        f"{layer.probe_auroc.mean():.3f}",
        f"{layer.untrained_probe_auroc.mean():.3f}",
        f"{layer.cost_added.max():.3f} (unit {layer.unit_names[int(np.argmax(layer.cost_added))]})",
    )


def _numbers(layer: LayerConcepts) -> dict[str, object]:
    names = (
        "auroc",
        "permuted_limit",
        "untrained_p",
        "aligned_p",
        "aligned_q",
        "best_units",
        "probe_auroc",
        "untrained_probe_auroc",
        "accuracy_lost",
        "cost_added",
        "cost_added_with",
        "cost_added_without",
    )
    numbers: dict[str, object] = {name: getattr(layer, name) for name in names}
    return numbers | {"importance_correlation": _rank_correlation(layer)}
