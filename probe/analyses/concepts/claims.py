"""What is claimed of loops and edges in hidden layers, and what this network says of it."""

from __future__ import annotations

import numpy as np

from probe._checks import Array
from probe.analyses.concepts.loops import (
    FEWEST_LOOPS,
    LEAST,
    PLANTED,
    LoopSample,
    LoopTelling,
    kept_powers,
    loop_sample,
    loops_told,
    with_power,
)
from probe.analyses.concepts.results import LoopUnits
from probe.analyses.concepts.units import hidden_layers, layer_values
from probe.analyses.concepts.within import FEWEST_CLASSES, Sample, principal_components, standardized
from probe.controls import Controls
from probe.datasets import Split
from probe.network import Network
from probe.stats import Claim, Estimate, Verdict, normal_estimate
from probe.stats.auroc import StratifiedAurocs

__all__ = ["EDGES", "LAYER", "LOOPS", "judged"]

_HARDLY_MISSED = 0.8
"""Power of a test that hardly misses what is there."""

LOOPS = Claim(
    key="loops",
    title="A unit of the last hidden layer recognizes loops",
    statistic_name="AUROC within classes, minus what is asked for",
    unit="",
    replicate="images",
    null="the best unit tells loops just as well as is asked for",
    threshold=0.0,
    reason=(
        f"at least {LEAST:g} is asked for, which counts as acceptable and is more than linear probes read off the pixels of "
        "MNIST; where the layer as a whole tells more, halfway between the whole and the best unit of random rotations"
    ),
    said="piece together those edges to recognize loops",
    minute="14:11",
)

LAYER = Claim(
    key="loops-layer",
    title="The last hidden layer holds more about loops than the pixels",
    statistic_name="difference of AUROCs within classes",
    unit="",
    replicate="images",
    null="a linear probe reads as much about loops off the pixels",
    threshold=0.0,
    reason="what a linear probe reads off the pixels",
)

EDGES = Claim(
    key="edges-layer",
    title="The first hidden layer holds more about edges than principal components",
    statistic_name="difference of AUROCs within classes",
    unit="",
    replicate="images",
    null="a linear probe reads as much about edges off as many principal components of the pixels",
    threshold=0.0,
    reason="what is in as many principal components, which know nothing of edges",
)


def judged(
    network: Network, split: Split, edges: Sample, components: Array, controls: Controls | None, *, seed: int
) -> tuple[LoopUnits | None, tuple[Verdict, ...]]:
    """Return what was found of loops, and the verdicts: all are about `network`.

    Parameters
    ----------
    network : Network
        Any with a hidden layer.
    split : Split
        Whose test images are looked at for loops.
    edges : Sample
        Images and which edges, any number, they have.
    components : ndarray of shape (n_images, n_components)
        Principal components of these.
    controls : Controls or None
        Whose trained networks stand beside it.
    seed : int
        Draws images for loops, rotations, and planted units.
    """
    others = () if controls is None else controls.like_it
    caveat = "" if controls is None else controls.caveat
    found, verdicts = _of_loops(network, loop_sample(split, seed=seed), others, split.noun, caveat, seed)
    if len(edges.concepts):
        verdicts = (*verdicts, _of_edges(network, edges, components, others, caveat))
    return found, verdicts


def _of_loops(
    network: Network,
    images: LoopSample | None,
    others: tuple[Network, ...],
    noun: str,
    caveat: str,
    seed: int,
) -> tuple[LoopUnits | None, tuple[Verdict, ...]]:
    if images is None:
        why = (
            f"Fewer than {FEWEST_CLASSES} classes have {FEWEST_LOOPS} {noun}s with a loop and {FEWEST_LOOPS} without: "
            "whether a unit sees the loop, or only the class, cannot be told apart."
        )
        return None, (LOOPS.undecided(why), LAYER.undecided(why))
    own, told = (
        loops_told(network, images, seed=seed),
        [loops_told(each, images, seed=seed) for each in others],
    )
    powers = kept_powers(images, len(own.auroc), seed=seed)
    found = _kept(own, told, images, powers)
    loops = LOOPS.verdict(
        with_power(own.margin, powers),
        _loops_sentence(found, noun) + caveat,
        others=[with_power(each.margin, powers) for each in told],
    )
    layer = LAYER.verdict(
        own.layer_margin,
        f"Among {noun}s of the same class, a linear probe on '{own.layer}' tells loops with an AUROC of "
        f"{own.layer_auroc:.3f}, one on the pixels with {found.pixel_auroc:.3f}, and one on as many principal components "
        f"with {found.components_auroc:.3f}: {own.layer_margin:+.3f;} above the pixels.{caveat}",
        others=[each.layer_margin for each in told],
    )
    return found, (loops, layer)


def _loops_sentence(found: LoopUnits, noun: str) -> str:
    first, second = (found.unit_names[k] for k in found.chosen)
    units = f"unit {first}" if first == second else f"units {first} and {second}"
    planted = [*zip(found.planted, found.power, strict=True)]
    # The weakest that would hardly be missed, or the strongest that was planted.
    auroc, power = next((each for each in planted if each[1] >= _HARDLY_MISSED), planted[-1])
    return (
        f"Half of the images chose {units} of '{found.layer}', the other half judged: among {noun}s of the same class the "
        f"AUROC for loops is {found.chosen_auroc:.3f;images}, and {found.threshold:.3f} is asked for. The pixels have "
        f"{found.pixel_auroc:.3f}, the whole layer {found.layer_auroc:.3f}. A planted unit of {auroc:g} would be found in "
        f"{power:.0%} of trials."
    )


def _kept(own: LoopTelling, told: list[LoopTelling], images: LoopSample, power: Array) -> LoopUnits:
    components = principal_components(images.sample.pixels)[:, : own.n_features]
    return LoopUnits(
        layer=own.layer,
        unit_names=tuple(str(k) for k in range(len(own.auroc))),
        auroc=own.auroc,
        chosen=np.array(own.chosen, np.int64),
        chosen_auroc=own.unit,
        threshold=own.threshold,
        rotated_auroc=own.rotated,
        layer_auroc=own.layer_auroc,
        pixel_auroc=float(images.pixels.values[0]),
        components_auroc=float(images.sample.read_off(components)[0]),
        planted=np.array(PLANTED),
        power=power,
        control_auroc=np.array([each.unit.estimate for each in told]),
        n_images=len(images),
    )


def _of_edges(
    network: Network, edges: Sample, components: Array, others: tuple[Network, ...], caveat: str
) -> Verdict:
    name, n_features, told = _first_layer(network, edges)
    beside = edges.told(edges.scores(components[:, :n_features]))
    more = _edges_margin(told, beside, len(edges))
    return EDGES.verdict(
        more,
        f"Among images of the same class, and averaged over {len(edges.concepts)} local edges, a linear probe on '{name}' "
        f"has an AUROC of {told.values.mean():.3f}, and one on as many principal components {beside.values.mean():.3f}: "
        f"{more:+.3f;} above.{caveat}",
        others=[_edges_margin(_first_layer(each, edges)[2], beside, len(edges)) for each in others],
    )


def _first_layer(network: Network, edges: Sample) -> tuple[str, int, StratifiedAurocs]:
    """Return the name of the first hidden layer, its features, and how well they tell edges."""
    name = hidden_layers(network)[0]
    features = standardized(layer_values(network, (name,), edges.images)[name].features)
    return name, features.shape[1], edges.told(edges.scores(features))


def _edges_margin(layer: StratifiedAurocs, beside: StratifiedAurocs, n_images: int) -> Estimate:
    error = layer.standard_error((layer.influences - beside.influences).mean(axis=1))
    return normal_estimate(float((layer.values - beside.values).mean()), error, n=n_images)
