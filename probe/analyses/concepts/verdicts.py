"""What the control networks say of concepts: every number is one for each network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.analyses.concepts.pixels import ImageConcepts
from probe.analyses.concepts.units import (
    LayerValues,
    aurocs,
    hidden_layers,
    largest_of_rotated,
    layer_values,
    p_values,
    probe_aurocs,
)
from probe.controls import Controls
from probe.network import Network
from probe.stats import Difference, Verdict, paired_difference

__all__ = ["verdicts_of"]

_ROTATIONS = 39
"""Rotations for each network, so that the best of them is at 2.5%."""

_LEVEL = 0.05

_STANDS = 0.25
"""Share of the concepts for which a unit must be better than random directions for its layer to stand for them."""

_MOST_IMAGES = 1_000

_DETECTS = 0.9
"""AUROC from which a unit counts as a detector."""


def verdicts_of(
    controls: Controls, found: ImageConcepts, images: Array, rng: np.random.Generator, fold_seed: int
) -> tuple[Verdict, ...]:
    """Return whether first hidden layers pick up on edges, and last ones on loops."""
    chosen = np.sort(rng.permutation(len(images))[:_MOST_IMAGES])
    images, present = images[chosen], found.values[:, chosen]
    varied = present.any(axis=1) & ~present.all(axis=1)
    verdicts = list[Verdict]()
    for kind, words, place, which in (("edge", "edges", 0, "first"), ("loop", "loops", -1, "last")):
        concepts = present[varied & (np.array(found.kinds) == kind)]
        if not len(concepts):
            continue
        held, stands = list[float](), list[float]()
        for k, rotations in enumerate(rng.spawn(len(controls))):
            trained, start = (
                _values(population.network(k), place, images)
                for population in (controls.trained, controls.untrained)
            )
            gain = probe_aurocs(trained.features, concepts, fold_seed) - probe_aurocs(
                start.features, concepts, fold_seed
            )
            held.append(float(gain.mean()))
            stands.append(_share_of_units(trained.basis, concepts, rotations))
        over = paired_difference(np.array(held)), paired_difference(np.array(stands))
        verdicts += _pair(words, which, *over, controls)
    if "loop" in found.names:
        verdicts.append(_detector(controls, images, present[found.names.index("loop")]))
    return tuple(verdicts)


def _detector(controls: Controls, images: Array, loops: npt.NDArray[np.bool_]) -> Verdict:
    """Return whether one of the hidden units tells images with a loop from those without."""
    best = list[float]()
    for k in range(len(controls)):
        member = controls.trained.network(k)
        values = layer_values(member, hidden_layers(member), images).values()
        # From 0.5 and not from 1: a unit that goes down for loops detects them as well.
        best.append(0.5 + max(float(np.abs(aurocs(each.units, loops[None]) - 0.5).max()) for each in values))
    over = paired_difference(np.array(best))
    return Verdict(
        key="loop-detector",
        title="Some hidden unit is a loop detector",
        decision=over.decision(_DETECTS),
        statistic_name="AUROC of the best unit",
        unit="",
        interval=over.interval,
        null=f"the best hidden unit has an AUROC of {_DETECTS:g} for loops",
        sentence=(
            f"Of all hidden units the one that tells images with a loop best has an AUROC of {over:.3f}; above "
            f"{_DETECTS:g} would count as a detector.{controls.caveat}"
        ),
    )


def _values(network: Network, place: int, images: Array) -> LayerValues:
    name = hidden_layers(network)[place]
    return layer_values(network, (name,), images)[name]


def _share_of_units(basis: Array, concepts: npt.NDArray[np.bool_], rng: np.random.Generator) -> float:
    """Return for what share of the concepts the best unit is better than the best axes of random rotations."""
    best = np.abs(aurocs(basis, concepts) - 0.5).max(axis=0)
    return float((p_values(best, largest_of_rotated(basis, concepts, _ROTATIONS, rng)) <= _LEVEL).mean())


def _pair(
    words: str, which: str, held: Difference, stands: Difference, controls: Controls
) -> tuple[Verdict, Verdict]:
    return (
        Verdict(
            key=f"probe/{which}/{words}",
            title=f"The {which} hidden layer holds more about {words} than before training",
            decision=held.decision(),
            statistic_name="difference of AUROCs",
            unit="",
            interval=held.interval,
            null=f"a linear probe reads {words} off the layer as well before training",
            sentence=(
                f"Averaged over the concepts, a linear probe on the {which} hidden layer has an AUROC {held:.3f} above "
                f"that on the same layer before training.{controls.caveat}"
            ),
        ),
        Verdict(
            key=f"units/{which}/{words}",
            title=f"Single units of the {which} hidden layer stand for {words}",
            decision=stands.decision(_STANDS),
            statistic_name="share of concepts",
            unit="share",
            interval=stands.interval,
            null=f"for at most {_STANDS:.0%} of the concepts the best unit beats random directions of its layer",
            sentence=(
                f"For {stands:.0%} of the concepts about {words}, the best unit tells them better than the best axes of "
                f"95% of random rotations of its layer do; by chance it would be {_LEVEL:.0%}, and above {_STANDS:.0%} "
                f"would count.{controls.caveat}"
            ),
        ),
    )
