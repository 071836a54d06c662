"""Whether weight images have more structure than chance: five statistics of each unit against four nulls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, check_number, generator
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.analyses.structure.meter import Meter
from probe.analyses.structure.nulls import (
    View,
    against,
    combinations,
    learned_shares,
    mixed,
    planted_units,
)
from probe.analyses.structure.results import STATISTICS, StructureEffect, WeightStructure
from probe.analyses.structure.verdicts import Over
from probe.controls import Controls
from probe.datasets import Split
from probe.fitting import for_images_of
from probe.network import Network
from probe.stats import Verdict

__all__ = ["weight_structure"]


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
    progress: Progress = silent,
) -> WeightStructure:
    """Test whether the weight images of a layer have more structure than chance.

    Each null answers a question of its own. "initialization": weights drawn as before training, in Keras'
    default way: is there any structure? "data-span": such a start plus a random combination of training images, in
    the proportions of one of the units: plain gradient descent makes every weight change of a first layer, and so of
    expanded weights, a combination of training images; what smoothness these have is inherited, not learned.
    "gaussian": the same with Gaussian images of the data's covariance, which leaves out the mean image.
    "random-label": units of networks trained on permuted labels, whose weights may have moved less.

    How much of a unit was learned is not in a file. Pixels that never vary keep the spread that their weights started
    with, and the rest of the weights' mean square counts as learned; with fewer than 20 such pixels, as in a
    convolution, the start is taken to have been Keras' default. The control networks' starts are known: what is said
    over them is held against draws in the very proportions of each of their units, and not against this network's nulls.

    The combined test of a unit is a min-p test over the four spatial statistics (all but sparsity), each in the
    direction of more structure, ranked among the null's draws and the unit together, so that it is exact where unit
    and draws are exchangeable. Statistics do not depend on the scale of the weights. The starts are drawn as Keras
    draws them by default; where a network began with another family of weights, normal in place of uniform, the test
    of starts at 5% rejects 6% of them on images of 28 x 28, and 11% on images as small as 12 x 12. Sparsity depends on
    the family by much, and is reported by itself.

    Parameters
    ----------
    network : Network
        A network that was trained on such images.
    split : Split
        Data. Its training images define the active pixels and two of the nulls.
    layer : str
        A dense layer, or "first" for the first layer with weights. A deeper dense layer is measured in its expanded
        weights; of convolutions only a first one, in its kernels.
    controls : Controls, optional
        From `probe.control_networks`. They give the null "random-label" and the verdicts.
    n_null : int
        Draws from each null except "random-label", at least 19.
    alpha : float
        Level of the tests, in (0, 0.5].
    seed : int or numpy.random.Generator
        Draws the nulls and the positive controls.
    progress : callable
        Called after each null.

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
    >>> network = probe.train(probe.MLP(hidden=(5,)), split, probe.TrainingConfig(epochs=5)).network
    >>> found = weight_structure(network, split, n_null=99)
    >>> found.values.shape, [null.name for null in found.nulls]
    ((5, 5), ['initialization', 'data-span', 'gaussian'])
    """
    check_integer("n_null", n_null, minimum=19)
    check_number("alpha", alpha, above=0, maximum=0.5)
    network = for_images_of(network, split)
    if controls is not None:
        controls.check_of(network)
    rng = generator(seed)
    view = View.of(network, layer)
    images = view.images(network)
    if min(images.shape[1:3]) < 3:
        raise InputError(
            f"weight images must be 3 x 3 at least, but those of '{view.name}' are {images.shape[1]} x {images.shape[2]}"
        )
    active = _active(split.train.images) if view.kind != "kernels" else np.ones(images.shape[1:3], bool)
    measure = Meter(active)
    values = measure(images)
    planted = planted_units(active, images.shape[1:], max(200, n_null // 4), rng)
    control_values = measure(planted)
    start = view.untrained(network, n_null, rng)
    train = view.seen(split.train.images, rng)
    # Draws have the proportions of the units, each those of one of them at random.
    shares = rng.choice(learned_shares(view, images, start, active), n_null)
    drawn = {"initialization": start}
    for name, learned in combinations(train, n_null, rng).items():
        drawn[name] = mixed(start, learned, shares, active)
    if controls is not None and controls.copies:
        drawn["random-label"] = view.of_population(controls.random_label)
    nulls = []
    for place, (name, null_images) in enumerate(drawn.items()):
        nulls.append(against(name, measure(null_images), values, control_values, alpha))
        progress(ProgressEvent("measuring structure", place + 1, len(drawn)))
    effects: tuple[StructureEffect, ...] = ()
    edge_share, verdicts = None, tuple[Verdict, ...]()
    if controls is not None:
        over = Over.of(controls, view, measure, train, control_values, alpha, rng)
        if over is not None:
            effects, edge_share, verdicts = over.effects(), over.edge_share(), over.verdicts()
    return WeightStructure(
        layer=view.name,
        kind=view.kind,
        unit_names=tuple(str(k) for k in range(len(images))),
        images=images,
        active=active,
        statistics=STATISTICS,
        values=values,
        nulls=tuple(nulls),
        control_images=planted[:10],
        control_values=control_values,
        alpha=float(alpha),
        effects=effects,
        edge_share=edge_share,
        verdicts=verdicts,
    )


def _active(images: Array) -> npt.NDArray[np.bool_]:
    varied = (images != images[:1]).any(axis=0)
    return np.asarray(varied.any(axis=-1) if varied.ndim == 3 else varied)
