"""Whether weight images have more structure than chance: five statistics of each unit against two nulls."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from probe._bars import ShownProgress
from probe._cache import cached, digest, kept
from probe._checks import Array, check_integer, check_number, generator
from probe._progress import ProgressEvent
from probe._signatures import checked
from probe.analyses.structure.measuring import MORAN, Bench, Counts, Measured, Planted, measured
from probe.analyses.structure.nulls import p_values
from probe.analyses.structure.results import STATISTICS, StructureNull, WeightStructure
from probe.analyses.structure.view import View
from probe.controls import Controls
from probe.datasets import Split
from probe.fitting import for_images_of
from probe.network import Network
from probe.stats import Claim, Estimate, Verdict, mean_estimate

__all__ = ["primary_estimates", "weight_structure"]

RANDOM = Claim(
    key="random",
    title="The weights of the units look almost random",
    statistic_name="share of units with more structure than chance",
    unit="share",
    replicate="units",
    null="half of the units have more spatial structure than a random start with a random combination of training images",
    threshold=0.5,
    reason="most units",
    claims_less=True,
    said="almost random, just with some very loose patterns",
    minute="14:49",
)

EDGES = Claim(
    key="edges",
    title="The units are edge detectors",
    statistic_name="share of units that are edge detectors",
    unit="share",
    replicate="units",
    null="half of the units are edge detectors",
    threshold=0.5,
    reason="most units",
    said="pick up on little edges",
    minute="14:08",
)

FROM_LABELS = Claim(
    key="smoother-than-random-labels",
    title="What such networks learn from true labels is smoother than what they learn from random ones",
    statistic_name="difference of Moran's I",
    unit="",
    replicate="networks",
    null="the same Moran's I of the weights' changes with true and with permuted labels of the same images",
    threshold=0.0,
    reason="no difference",
    subject="kind",
)

_POWER = 0.8
"""Share of planted units that a test must find before something is said of what it does not find."""

_MEMORIZED = 0.9
"""Share of their random labels that most networks must put out to show what is learned from them."""

_FEW_DRAWS = 199
"""Draws at a time for a control network: the 95th percentile of the null is then known to three hundredths."""


@checked
def weight_structure(
    network: Network,
    split: Split,
    *,
    layer: str = "first",
    controls: Controls | None = None,
    n_null: int = 999,
    alpha: float = 0.05,
    seed: int | np.random.Generator = 0,
    progress: ShownProgress = "auto",
) -> WeightStructure:
    """Test whether the weight images of a layer have more structure than chance, and whether units are edge detectors.

    Each null answers a question of its own. "initialization": weights as before training: is there any structure?
    "data-span": such a start plus a random combination of training images, in the proportions of the unit: plain gradient
    descent makes every weight change of a first layer, and so of expanded weights, a combination of training images; what
    smoothness these have is inherited, not learned.

    A file does not say how the weights were drawn, or how much of a unit was learned. Weights on pixels that never vary
    are as they started: they show the family of the start and its size. Where they are too few, the family is that of all
    weights of the layer, shuffled, and the size is taken along the directions in which training images have least energy.
    The test of starts at 5% then rejects 4 to 6% of them, whether they are uniform or normal, on images of 28 x 28 and of
    12 x 12 (`scripts/calibration.py`).

    The combined test of a unit is a min-p test over the four spatial statistics (all but sparsity), each in the
    direction of more structure, ranked among the null's draws and the unit together, so that it is exact where unit
    and draws are exchangeable. Statistics do not depend on the scale of the weights.

    A unit is an edge detector where one Gabor function explains two thirds of its variance, twice as much as all else;
    leaves clearly less unexplained than the best Gaussian, which would be a blob; and fits better than 1 - alpha of the
    "data-span" draws. More of these are drawn until their number no longer decides which units are edges.

    Parameters
    ----------
    network : Network
        A network that was trained on such images.
    split : Split
        Data. Its training images define the active pixels and the null "data-span".
    layer : str
        A dense layer, or "first" for the first layer with weights. A deeper dense layer is measured in its expanded
        weights; of convolutions only a first one, in its kernels.
    controls : Controls, optional
        From `probe.control_networks`. The same is measured of each trained one, with 199 draws at a time.
    n_null : int
        Draws from each null, at least 19; of "data-span" as many for each learned share that units have.
    alpha : float
        Level of the tests, in (0, 0.5].
    seed : int or numpy.random.Generator
        Draws the nulls and the positive controls.
    progress : callable, "auto" or None
        Called after each network.

    Raises
    ------
    InputError
        If an argument is outside its range, or the layer has no weight images to measure.

    References
    ----------
    .. [1] P. A. P. Moran, "Notes on Continuous Stochastic Phenomena", Biometrika 37, 1950.
    .. [2] D. J. Field, "Relations between the statistics of natural images and the response properties of cortical
       cells", JOSA A 4, 1987 (spectral slope).
    .. [3] J. P. Jones, L. A. Palmer, "An evaluation of the two-dimensional Gabor filter model of simple receptive
       fields in cat striate cortex", Journal of Neurophysiology 58, 1987.
    .. [4] Y. Benjamini, Y. Hochberg, "Controlling the False Discovery Rate", JRSS B 57, 1995.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(6,)), split, probe.TrainingConfig(epochs=5)).network
    >>> found = weight_structure(network, split, n_null=99)
    >>> found.values.shape, [null.name for null in found.nulls]
    ((6, 5), ['initialization', 'data-span'])
    """
    assert callable(progress)
    check_integer("n_null", n_null, minimum=19)
    check_number("alpha", alpha, above=0, maximum=0.5)
    network = for_images_of(network, split)
    if controls is not None:
        controls.check_of(network)
    bench_rng, planted_rng, few_rng = generator(seed).spawn(3)
    view = View.of(network, layer)
    measured_with = ""
    if cached():
        where = view.kind, view.n_below, view.window
        measured_with = digest(split.train, *where, n_null, alpha, bench_rng, few_rng)
    bench = Bench.of(view, split, n_null, bench_rng)
    found = measured(network, bench, alpha)
    planted = Planted.of(found, bench, alpha, planted_rng)
    others = list[dict[str, Estimate]]()
    if controls is not None:
        few = bench.fewer(min(n_null, _FEW_DRAWS), few_rng)
        for k, member in enumerate(controls.like_it):
            counts = kept(Counts, "structure", partial(_counted, member, few, alpha), member, measured_with)
            others.append(_with_power(counts.estimates(), planted))
            progress(ProgressEvent("measuring structure", k + 1, len(controls)))
    verdicts = _verdicts(found, planted, others, alpha, view)
    if controls is not None and controls.copies:
        verdicts = (*verdicts, _from_labels(controls, bench))
    return WeightStructure(
        layer=view.name,
        kind=view.kind,
        unit_names=tuple(str(k) for k in range(len(found.images))),
        images=found.images,
        active=bench.meter.active,
        statistics=STATISTICS,
        values=found.values,
        learned_shares=found.start.shares,
        nulls=_nulls(found, planted, bench, alpha),
        gabor_fits=found.explained[:, 0],
        gaussian_fits=found.explained[:, 1],
        is_edge=found.is_edge,
        edge_power=planted.edge_power,
        control_images=planted.images[:10],
        control_values=planted.values,
        alpha=float(alpha),
        verdicts=verdicts,
    )


@checked
def primary_estimates(
    network: Network,
    split: Split,
    *,
    n_null: int = _FEW_DRAWS,
    alpha: float = 0.05,
    seed: int | np.random.Generator = 0,
) -> dict[str, Estimate]:
    """Return what decides the claims "random" and "edges" about the first layer of a network, by key.

    Parameters
    ----------
    network, split, n_null, alpha, seed
        As of `weight_structure`.

    Raises
    ------
    InputError
        If the first layer has no weight images to measure.
    """
    check_integer("n_null", n_null, minimum=19)
    check_number("alpha", alpha, above=0, maximum=0.5)
    network = for_images_of(network, split)
    bench_rng, planted_rng = generator(seed).spawn(2)
    bench = Bench.of(View.of(network, "first"), split, n_null, bench_rng)
    found = measured(network, bench, alpha)
    return _with_power(found.counts(alpha).estimates(), Planted.of(found, bench, alpha, planted_rng))


def _counted(network: Network, bench: Bench, alpha: float) -> Counts:
    return measured(network, bench, alpha).counts(alpha)


def _with_power(estimates: dict[str, Estimate], planted: Planted) -> dict[str, Estimate]:
    """Return estimates that know whether planted units would have been found."""
    powers = {RANDOM.key: planted.random_power, EDGES.key: planted.edge_power}
    return {key: replace(found, has_power=powers[key] >= _POWER) for key, found in estimates.items()}


def _nulls(found: Measured, planted: Planted, bench: Bench, alpha: float) -> tuple[StructureNull, ...]:
    from scipy.stats import false_discovery_control

    untrained = bench.draws.measured(found.start, 0)
    against = {
        "initialization": (untrained, *p_values(found.values, untrained), planted.start_power),
        "data-span": (found.null, found.each_p, found.combined_p, planted.random_power),
    }
    return tuple(
        StructureNull(
            name=name,
            values=null,
            p_values=combined,
            each_p_values=each,
            q_values=false_discovery_control(combined),
            power=power,
        )
        for name, (null, each, combined, power) in against.items()
    )


def _verdicts(
    found: Measured, planted: Planted, others: list[dict[str, Estimate]], alpha: float, view: View
) -> tuple[Verdict, ...]:
    """Return the verdicts about the network at hand."""
    estimates, n = _with_power(found.counts(alpha).estimates(), planted), len(found.values)
    n_varied, n_edges = int(found.varied.sum()), int(found.is_edge.sum())
    n_structured = int((found.combined_p <= alpha).sum())
    left_out = f" Left out: {n - n_varied}, whose weights are all the same." if n_varied < n else ""

    def verdict(claim: Claim, sentence: str) -> Verdict:
        # The video speaks of the first layer.
        said = {"said": "", "minute": ""} if view.n_below else {}
        if claim.key not in estimates:
            return claim.undecided("The weights of each unit are all the same.", n=n, **said)
        same = [other[claim.key] for other in others if claim.key in other]
        return claim.verdict(estimates[claim.key], sentence, others=same, **said)

    return (
        verdict(
            RANDOM,
            f"{n_structured} of {n_varied} units have more spatial structure than a start like theirs with a random "
            f"combination of training images, in tests at {alpha:.0%}. Of planted Gabor units the test finds "
            f"{planted.random_power:.0%}.{left_out}",
        ),
        verdict(
            EDGES,
            f"{n_edges} of {n} units are edge detectors: a Gabor function, one little edge or bar, explains two thirds of "
            f"them, more than a blob does, and more than of {1 - alpha:.0%} of starts with random combinations of training "
            f"images. Of planted Gabor units {planted.edge_power:.0%} count.",
        ),
    )


def _from_labels(controls: Controls, bench: Bench) -> Verdict:
    """Return the verdict on what networks learn from true and from random labels of the same few images."""
    memorized, n_images = float(np.median(controls.summary.memorized)), controls.summary.n_random_labels
    if memorized < _MEMORIZED:
        return FROM_LABELS.undecided(
            f"Networks of this kind put out {memorized:.0%} of {n_images:,} random labels, so that they show little of what "
            "is learned from them."
        )
    differences = []
    for few, random, start in zip(
        controls.few_labels.networks(),
        controls.random_label.networks(),
        controls.untrained.networks(),
        strict=True,
    ):
        true, shuffled = (bench.meter(bench.view.parts(one, start)[1])[:, MORAN] for one in (few, random))
        differences.append(_mean(true) - _mean(shuffled))
    found = mean_estimate(np.array(differences))
    return FROM_LABELS.verdict(
        found,
        f"Moran's I of the weights' changes, in networks that learned {n_images:,} images with their own labels minus "
        f"networks with the same start that learned them with permuted labels: {found:.3f}.",
    )


def _mean(values: Array) -> float:
    """Return the mean over units that have a value; 0 where none has."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else 0.0
