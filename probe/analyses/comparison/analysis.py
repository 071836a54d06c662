"""Two networks compared: the function."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np

from probe._bars import ShownProgress
from probe._checks import Array, InputError, check_integer, generator
from probe._progress import Progress, ProgressEvent
from probe._signatures import checked
from probe.analyses.comparison.abilities import abilities_of, better
from probe.analyses.comparison.matching import layer_pairs
from probe.analyses.comparison.results import ALPHA, Abilities, ClaimPair, Comparison, LayerPair
from probe.analyses.robustness import CLAIMS, primary_estimates
from probe.datasets import Split
from probe.fitting import fitted
from probe.network import Network
from probe.stats import Claim, Estimate, Interval, Verdict, count_estimate

__all__ = ["compare_networks"]

BETTER = Claim(
    key="better",
    title="B is right more often than A",
    statistic_name="share of B among the images that only one of both gets right",
    unit="share",
    replicate="images",
    null="of the images that only one of both gets right, each gets half (McNemar's exact test)",
    threshold=0.5,
    reason="as many each",
)

AGREES = Claim(
    key="agrees",
    title="A and B agree more often than their accuracy makes them",
    statistic_name="share of images that both name alike",
    unit="share",
    replicate="images",
    null="within each class, the answers of one have nothing to do with those of the other",
    threshold=0.5,
    reason="what they would agree on if their answers had nothing to do with each other within each class",
)

COUNTERPARTS = Claim(
    key="counterparts",
    title="Most hidden units have a counterpart in the other network",
    statistic_name="share of pairs of units that are more alike than chance",
    unit="share",
    replicate="pairs",
    null="half of the pairs are more alike than the best match with an untrained network",
    threshold=0.5,
    reason="most units",
)

_NOTHING = Interval(np.nan, np.nan, np.nan, 0.95, 0)

_VERDICTS = "verdicts"


@checked
def compare_networks(
    first: Network,
    second: Network,
    split: Split,
    *,
    n_images: int = 1000,
    n_null: int = 499,
    seed: int | np.random.Generator = 0,
    progress: ShownProgress = "auto",
) -> Comparison:
    """Compare two networks for the same data: units matched by what they do, abilities, and what is true of each.

    Units of each hidden layer are matched by the correlations of their activations [1]_, so that together they say most
    of each other. Whether a pair is matched is decided against chance: untrained networks of the same layers. The order of
    the units is undone, and so is their sign where an activation is odd about a point, such as sigmoid and tanh, and their
    scale where it is positively homogeneous, such as ReLU: none of these changes what a network computes. What cannot be
    matched stays alone: units without a counterpart, and layers where one network has more.

    Parameters
    ----------
    first, second : Network
        Classifiers for the images and classes of `split`, of any layers. Where they have no hidden layers, the rest is
        compared.
    split : Split
        Data. Its test images are used.
    n_images : int
        Test images that units are compared on, at least 20; all if there are fewer.
    n_null : int
        Untrained networks of each kind that units are held against, at least 99. Fewer are drawn of large networks.
    seed : int or numpy.random.Generator
        Draws images and untrained networks.
    progress : callable, "auto" or None
        Called with a `ProgressEvent` now and then.

    Raises
    ------
    InputError
        If a network does not fit the data, which is said of which, or an argument is outside its range.

    References
    ----------
    .. [1] Y. Li et al., "Convergent Learning: Do different neural networks learn the same representations?", ICLR 2016.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> one, other = (probe.train(probe.MLP((6,)), split, probe.TrainingConfig(epochs=5), seed=k).network for k in (0, 1))
    >>> found = compare_networks(one, other, split, n_null=99)
    >>> len(found.layers[0].pairs), found.is_same, compare_networks(one, one, split, n_null=99).is_same
    (6, False, True)
    """
    assert callable(progress)
    check_integer("n_images", n_images, minimum=20)
    check_integer("n_null", n_null, minimum=99)
    rng = generator(seed)
    seeds, images_rng, null_rng = rng.spawn(3)
    networks = _fitted("first", first, split), _fitted("second", second, split)
    test = split.test if len(split.test) <= n_images else split.test.sample(n_images, rng=images_rng)
    names, layers, cka, n_drawn = layer_pairs(networks, test.images, n_null, null_rng, progress)
    abilities = abilities_of(networks, split.test)
    return Comparison(
        first_layers=tuple(names[0]),
        second_layers=tuple(names[1]),
        layers=layers,
        cka=cka,
        abilities=abilities,
        claims=_claims(networks, split, int(seeds.integers(2**31)), progress),
        n_images=len(test),
        n_null=n_drawn,
        logit_change=_change(networks, test.images),
        verdicts=(_better(abilities), _agrees(abilities), _counterparts(layers)),
    )


def _fitted(name: str, network: Network, split: Split) -> Network:
    try:
        return fitted(network, split)
    except InputError as error:
        raise InputError(f"{name} must be a network for '{split.name}', as both are: {error}") from error


def _change(networks: tuple[Network, Network], images: Array) -> float:
    """Return the largest difference of a logit, relative to the largest; a constant in all logits counts for nothing."""
    first, second = (network.logits(images).astype(np.float64) for network in networks)
    if networks[0].output_name == networks[1].output_name == "softmax":
        first, second = (logits - logits.mean(axis=1, keepdims=True) for logits in (first, second))
    return float(np.abs(first - second).max() / max(1e-30, np.abs(first).max()))


def _claims(
    networks: tuple[Network, Network], split: Split, seed: int, progress: Progress
) -> tuple[ClaimPair, ...]:
    """Return the primary claims asked of both, with the same images and draws."""
    found = list[dict[str, Estimate]]()
    for network in networks:
        found.append(primary_estimates(network, split, seed=seed))
        progress(ProgressEvent(_VERDICTS, len(found), 2))
    first, second = found
    return tuple(
        _claim(claim, first.get(claim.key), second.get(claim.key))
        for claim in CLAIMS.values()
        if claim.key in first or claim.key in second
    )


def _claim(claim: Claim, first: Estimate | None, second: Estimate | None) -> ClaimPair:
    intervals = [_NOTHING if each is None else each.interval for each in (first, second)]
    decisions = ["inconclusive" if each is None else claim.decision(each) for each in (first, second)]
    return ClaimPair(
        key=claim.key,
        title=claim.title,
        statistic_name=claim.statistic_name,
        unit=claim.unit,
        replicate=claim.replicate,
        threshold=claim.threshold,
        first=intervals[0],
        second=intervals[1],
        first_decision=decisions[0],
        second_decision=decisions[1],
        difference=_apart(*intervals),
    )


def _apart(first: Interval, second: Interval) -> Interval:
    """Return the second less the first, from both intervals."""
    difference = second.estimate - first.estimate
    down = sqrt((second.estimate - second.low) ** 2 + (first.high - first.estimate) ** 2)
    up = sqrt((second.high - second.estimate) ** 2 + (first.estimate - first.low) ** 2)
    return Interval(difference, difference - down, difference + up, first.level, min(first.n, second.n))


def _better(abilities: Abilities) -> Verdict:
    _, first, second, _ = abilities.totals.tolist()
    one, other = abilities.accuracies
    sentence = (
        f"A gets {one:.2%} of {abilities.n_images:,} test images right, B {other:.2%}. Only A: {first:,} images; only B: "
        f"{second:,}."
    )
    estimate = better(first, second)
    if estimate is None:
        return BETTER.undecided(f"{sentence} There is no image that only one of both gets right.")
    return BETTER.verdict(estimate, f"{sentence} The difference is {abilities.difference:.2p;} points.")


def _agrees(abilities: Abilities) -> Verdict:
    claim = replace(AGREES, threshold=abilities.chance_within)
    n = abilities.n_images
    estimate = count_estimate(round(abilities.agreement.estimate * n), n)
    sentence = (
        f"They name {abilities.agreement.estimate:.1%} of the images alike. By their accuracies alone it would be "
        f"{abilities.chance_within:.1%}."
    )
    return claim.verdict(estimate, sentence)


def _counterparts(layers: tuple[LayerPair, ...]) -> Verdict:
    n_pairs, n_matched = (
        sum(layer.pairs.shape[0] for layer in layers),
        sum(layer.n_matched for layer in layers),
    )
    if not n_pairs:
        return COUNTERPARTS.undecided("There are no two hidden layers to compare.")
    more = [layer for layer in layers if layer.n_first != layer.n_second]
    sentence = (
        f"{n_matched} of {n_pairs} pairs are more alike than the best matches with untrained networks, at a false "
        f"discovery rate of {ALPHA:.0%} in each layer."
    )
    if more:
        left = sum(abs(layer.n_first - layer.n_second) for layer in more)
        sentence += f" {left} units more have no partner, because one network is wider."
    return COUNTERPARTS.verdict(count_estimate(n_matched, n_pairs), sentence)
