"""Structure of weight images in words."""

from __future__ import annotations

from probe.analyses.structure import WeightStructure
from probe.report.page import Claim, Picture, Section, Table

__all__ = ["structure_section"]

_ASKED = {
    "initialization": "weights as before training: any structure at all?",
    "data-span": "a start plus random combinations of training images: more than the data hand down?",
    "gaussian": "a start plus Gaussian images of the data's covariance: more than pairs of pixels say?",
    "random-label": "units of twins trained on random labels: more than training without a lesson, which may move less?",
}

_NAMES = {
    "moran": "Moran's I",
    "total_variation": "total variation",
    "spectral_slope": "spectral slope",
    "gabor": "best Gabor fit, R²",
    "sparsity": "sparsity, Gini",
}


def structure_section(result: WeightStructure) -> tuple[Section, tuple[Claim, ...]]:
    """Return whether the weight images of a layer have more structure than chance."""
    n_units = len(result.values)
    lead = (
        f"Does a picture of weights show more than chance? Each of the {n_units} units of layer '{result.layer}' is "
        "measured where pixels vary in the training data: how alike neighbours are (Moran's I, total variation, spectral "
        "slope), how well one little edge or bar, a Gabor function, fits, and how few weights do the work (sparsity). "
        "Chance means different things, so there are several nulls. Gradient descent adds up training images: what such "
        "sums have anyway was not learned.",
    )
    rows = tuple(
        (
            null.name,
            _ASKED[null.name],
            f"{int((null.p_values <= result.alpha).sum())} of {n_units}",
            f"{int((null.q_values <= result.alpha).sum())} of {n_units}",
            f"{null.power:.0%}",
        )
        for null in result.nulls
    )
    table = Table(
        f"Units with more structure than each null: by the combined test of the four spatial statistics at "
        f"{result.alpha:.0%}, and at a false discovery rate of {result.alpha:.0%} over the layer. Power: the share of "
        f"{len(result.control_values)} planted Gabor units, a fifth of their variance noise, that the same test finds.",
        ("null", "question", "units", "after correction", "power"),
        rows,
    )
    tables = [table]
    if result.effects:
        shown = [effect for effect in result.effects if effect.statistic in ("moran", "gabor")]
        tables.append(
            Table(
                f"How much a layer's mean differs from each null, over {shown[0].difference.n} trained twins, with 95% "
                "intervals over networks. Random-label twins are compared in how the weights changed.",
                ("null", "statistic", "trained minus null"),
                tuple(
                    (
                        effect.null,
                        _NAMES[effect.statistic],
                        f"{effect.difference.estimate:+.3f} ({effect.difference.low:+.3f} to {effect.difference.high:+.3f})",
                    )
                    for effect in shown
                ),
            )
        )
    pictures = (
        Picture(
            "structure",
            result,
            "The weight images with their numbers. Look for the letter M: units with more structure than random mixtures of "
            "training images. Hatched pixels never vary, so their weights are as they started.",
            f"The {n_units} weight images of layer {result.layer}, each with Moran's I and the best Gabor fit.",
            {"part": "units"},
        ),
        Picture(
            "structure_statistics",
            result,
            "Every unit (dots) against what each null looks like (bars). Dots far from the grey bar: structure. Dots "
            "inside the green bar: no more of it than random mixtures of training images have.",
            "Five panels, one for each statistic: the units as dots above bars for the nulls.",
            {"part": "statistics"},
        ),
    )
    numbers = {
        "layer": result.layer,
        "kind": result.kind,
        "alpha": result.alpha,
        "n_active": int(result.active.sum()),
        "statistics": list(result.statistics),
        "values": result.values,
        "nulls": {
            null.name: {
                "p_values": null.p_values,
                "q_values": null.q_values,
                "each_p_values": null.each_p_values,
                "power": null.power,
                "edge_power": null.edge_power,
                "mean": null.values.mean(axis=0),
            }
            for null in result.nulls
        },
        "effects": [
            {
                "null": effect.null,
                "statistic": effect.statistic,
                "estimate": effect.difference.estimate,
                "interval": [effect.difference.low, effect.difference.high],
                "n": effect.difference.n,
            }
            for effect in result.effects
        ],
        "edge_share": None if result.edge_share is None else result.edge_share.estimate,
    }
    claims = tuple(
        Claim(verdict.title, verdict.sentence, "structure", verdict, name)
        for verdict, name in zip(result.verdicts, _pictures(len(result.verdicts)), strict=True)
    )
    section = Section(
        "structure", "Is there structure in the weights?", lead, pictures, tuple(tables), numbers
    )
    return section, claims


def _pictures(n_verdicts: int) -> tuple[str, ...]:
    """Return which picture stands beside each verdict: the images beside the first, the statistics beside the others."""
    return ("structure", *["structure_statistics"] * (n_verdicts - 1)) if n_verdicts else ()
