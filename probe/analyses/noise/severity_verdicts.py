"""What the control networks say of the claims about noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from probe._checks import Array
from probe.analyses.noise.severity_results import GROUPS, THRESHOLDS, NoiseSeverity
from probe.controls import Controls
from probe.stats import Verdict, paired_difference

__all__ = ["with_verdicts"]

_CONFIDENT = THRESHOLDS.index(0.9)
_CERTAIN = 0.99
"""Mean limit from which confidence counts as going to 1."""

_MEMORIZED = 0.5
"""Mean share of random labels from which networks count as having learned them, so that they are a control."""

_KINDS = {
    "uniform": "uniform noise",
    "gaussian": "Gaussian noise",
    "shuffled": "digits with shuffled pixels",
    "norm-matched": "noise of the digits' norms",
}


def with_verdicts(result: NoiseSeverity, controls: Controls, chance: float) -> NoiseSeverity:
    """Return `result` with the verdicts over its networks; `chance` is the share of the commonest training label."""
    places = [result.index(kind) for kind in _KINDS]
    confident = [
        _confident(result, place, name, controls) for place, name in zip(places, _KINDS.values(), strict=True)
    ]
    verdicts = (
        *confident,
        _learned(result, controls),
        _meant(result, controls, chance),
        _tells(result, places, controls),
        _scaled(result, controls),
    )
    if np.isfinite(result.limit).all():
        verdicts += (_far(result, controls),)
    return replace(result, verdicts=verdicts)


def _confident(result: NoiseSeverity, place: int, name: str, controls: Controls) -> Verdict:
    found = paired_difference(_of(result.share_above[0, :, place, _CONFIDENT]))
    mean = result.confidence[0, :, place].mean()
    return Verdict(
        key=f"confident/{result.conditions[place].family}",
        title=f"Given {name}, the network confidently names a class",
        decision=found.decision(0.5),
        statistic_name="share of images",
        unit="share",
        interval=found.interval,
        null=f"half of the images get a confidence of {THRESHOLDS[_CONFIDENT]:g} or more",
        sentence=(
            f"{found:.0%} of {result.n_images:,} images of {name} get a confidence of at least "
            f"{THRESHOLDS[_CONFIDENT]:g}, in this network {result.own_share_above[place, _CONFIDENT]:.0%}; the mean maximum "
            f"softmax is {mean:.2f}.{controls.caveat}"
        ),
    )


def _learned(result: NoiseSeverity, controls: Controls) -> Verdict:
    place = result.index("uniform")
    found = paired_difference(
        _of(result.confidence[0, :, place] - result.confidence[GROUPS.index("untrained"), :, place])
    )
    return Verdict(
        key="trained",
        title="It is training that makes the network sure of noise",
        decision=found.decision(),
        statistic_name="difference of mean confidences",
        unit="",
        interval=found.interval,
        null="as much confidence on uniform noise as before training",
        sentence=(
            f"On uniform noise the mean maximum softmax is {found:.3f} above that of the same networks' starts."
            f"{controls.caveat}"
        ),
    )


def _meant(result: NoiseSeverity, controls: Controls, chance: float) -> Verdict:
    place = result.index("uniform")
    shuffled = result.confidence[GROUPS.index("random-label"), :, place]
    found = paired_difference(_of(result.confidence[0, :, place] - shuffled))
    learned, decision = float(controls.memorized.mean()), found.decision()
    weak = decision == "supported" and learned < _MEMORIZED
    sentence = (
        f"On uniform noise the mean maximum softmax is {found:.3f} above that of the same networks trained on random "
        f"labels, {shuffled.mean():.2f}. They put out {learned:.1%} of these labels; always naming the commonest gives "
        f"{chance:.1%}."
    )
    if weak:
        sentence += " So they hardly learned them, and cannot say what fitting random labels would do."
    return Verdict(
        key="labels",
        title="It is the meaning of the labels that makes the network sure of noise, and not training as such",
        decision="inconclusive" if weak else decision,
        statistic_name="difference of mean confidences",
        unit="",
        interval=found.interval,
        null="as much confidence on uniform noise as after training on random labels",
        sentence=sentence + controls.caveat,
    )


def _tells(result: NoiseSeverity, places: list[int], controls: Controls) -> Verdict:
    found = paired_difference(_of(result.auroc[0][:, places].mean(axis=1)))
    others = result.score_auroc[1:][:, :, places].mean(axis=(1, 2))
    return Verdict(
        key="detects",
        title="Its confidence tells noise from digits all the same",
        decision=found.decision(0.5),
        statistic_name="AUROC",
        unit="",
        interval=found.interval,
        null="an AUROC of 0.5, real images being positive",
        sentence=(
            f"Over four kinds of noise the AUROC of the maximum softmax is {found:.3f}; of the maximum logit "
            f"{others[0]:.2f}, of the energy {others[1]:.2f}.{controls.caveat}"
        ),
    )


def _scaled(result: NoiseSeverity, controls: Controls) -> Verdict:
    place = result.index("uniform")
    scaled = GROUPS.index("temperature-scaled")
    found = paired_difference(_of(result.share_above[scaled, :, place, _CONFIDENT]))
    before = result.share_above[0, :, place, _CONFIDENT].mean()
    errors = result.ece.mean(axis=1)
    return Verdict(
        key="calibrated",
        title="Given uniform noise, it is confident even after its temperature was fitted",
        decision=found.decision(0.5),
        statistic_name="share of images",
        unit="share",
        interval=found.interval,
        null=f"half of the images get a confidence of {THRESHOLDS[_CONFIDENT]:g} or more",
        sentence=(
            f"With the temperature that fits confidence to accuracy on test images (median "
            f"{np.median(result.temperatures):.2f}, calibration error {errors[0]:.3f} before and {errors[scaled]:.3f} "
            f"after), {found:.0%} of uniform noise gets at least {THRESHOLDS[_CONFIDENT]:g}; {before:.0%} before."
            f"{controls.caveat}"
        ),
    )


def _far(result: NoiseSeverity, controls: Controls) -> Verdict:
    found = paired_difference(_of(result.limit))
    own = f", of this network {result.own_limit.mean():.3f}" if result.own_limit.size else ""
    return Verdict(
        key="limit",
        title="Far away from the data, confidence goes to 1",
        decision=found.decision(_CERTAIN),
        statistic_name="limit of the mean confidence",
        unit="",
        interval=found.interval,
        null=f"a mean limit of {_CERTAIN:g} along directions of uniform noise",
        sentence=(
            f"The exact limit of the confidence, as uniform noise is scaled to infinity, is {found:.3f} on average{own}. "
            f"Layers of rectifiers end in a linear region, where it is 1; sigmoids saturate.{controls.caveat}"
        ),
    )


def _of(values: Array) -> np.ndarray:
    return np.asarray(values, np.float64)
