"""Whether weight images have more structure than chance: five statistics of each unit against four nulls.

What is said over the control networks comes from numbers of which each network has one.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, check_number, generator
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.analyses.structure.nulls import (
    Meter,
    View,
    against,
    combinations,
    learned_shares,
    mixed,
    planted_units,
)
from probe.analyses.structure.results import NULLS, STATISTICS, StructureEffect, WeightStructure
from probe.controls import Controls
from probe.datasets import Split
from probe.fitting import for_images_of
from probe.network import Network
from probe.stats import Difference, Interval, Verdict, equivalence, paired_difference

__all__ = ["weight_structure"]

_EQUAL_MORAN = 0.05
"""Differences of Moran's I below this count as none."""

_EDGES = 0.25
"""Share of units that a Gabor must explain better than 1 - alpha of the data-span null, for "edges" to be said."""

_POWER = 0.8
"""Share of true edge filters that must be found before "no edges" is said."""

_DRAWS = 600
"""Draws of each null over all control networks, at least: the 95th percentile of it is then known to a hundredth."""


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
    for index, (name, null_images) in enumerate(drawn.items()):
        nulls.append(against(name, measure(null_images), values, control_values, alpha))
        progress(ProgressEvent("measuring structure", index + 1, len(drawn)))
    effects: tuple[StructureEffect, ...] = ()
    edge_share, verdicts = None, tuple[Verdict, ...]()
    if controls is not None and _have_layer(controls, view, measure):
        over = _Over(controls, view, measure, train, control_values, alpha, rng)
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


def _have_layer(controls: Controls, view: View, measure: Meter) -> bool:
    """Return whether the control networks have a layer at the same place, on images of the same shape."""
    same_images = controls.trained.input_shape[:2] == measure.shape
    return view.kind != "kernels" and same_images and (controls.copies or view.n_below == 0)


class _Over:
    """What the control networks say: every number is one for each network.

    Their starts are known, and so is how much of each unit was learned: each unit has draws from the nulls in just its
    proportions, whatever the network at hand. `train` are training images (n_images, height, width[, channels]), `planted`
    the statistics of planted edges.
    """

    def __init__(
        self,
        controls: Controls,
        view: View,
        measure: Meter,
        train: Array,
        planted: Array,
        alpha: float,
        rng: np.random.Generator,
    ) -> None:
        def by_network(images: Array) -> Array:
            return measure(images).reshape(len(controls), -1, len(STATISTICS))

        self._controls, self._level = controls, f"{1 - alpha:.0%}"
        start, learned = view.parts(controls.trained, controls.untrained)
        shuffled_start, shuffled_learned = view.parts(controls.random_label, controls.untrained)
        trained = by_network(start + learned)
        # Trained and null: from random labels in what was learned, else in the weights.
        self._pairs = {
            "initialization": (trained, by_network(view.of_population(controls.untrained))),
            "random-label": (by_network(learned), by_network(shuffled_learned)),
            "random-label, weights": (trained, by_network(shuffled_start + shuffled_learned)),
        }
        shares = share_of(start, learned, measure.active)
        self._shares = shares.mean(), share_of(shuffled_start, shuffled_learned, measure.active).mean()
        repeats = math.ceil(_DRAWS / len(start))
        # Repeats of a unit stand together, so that those of a network do.
        start, shares = np.repeat(start, repeats, axis=0), np.repeat(shares, repeats)
        sums = combinations(train, len(start), rng)
        for name, combined in sums.items():
            self._pairs[name] = trained, by_network(mixed(start, combined, shares, measure.active))
        gabor = STATISTICS.index("gabor")
        limit = float(np.nanquantile(self._pairs["data-span"][1][:, :, gabor], 1 - alpha))
        self._edge_shares = (trained[:, :, gabor] > limit).mean(axis=1)
        self._edge_power = float((planted[:, gabor] > limit).mean())

    def _differences(self, statistic: str, null: str) -> npt.NDArray[np.float64]:
        """Return trained minus null for each network."""
        index = STATISTICS.index(statistic)
        trained, expected = (_finite_mean(values[:, :, index]) for values in self._pairs[null])
        return trained - expected

    def _difference(self, statistic: str, null: str) -> Difference:
        return paired_difference(self._differences(statistic, null))

    def effects(self) -> tuple[StructureEffect, ...]:
        """Return trained minus null for every null and statistic."""
        return tuple(
            StructureEffect(
                null=name, statistic=statistic, difference=self._difference(statistic, name).interval
            )
            for name in NULLS
            for statistic in STATISTICS
        )

    def edge_share(self) -> Interval:
        """Return the share of units that a Gabor fits better than combinations of images."""
        return paired_difference(self._edge_shares).interval

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return the verdicts on the layer."""
        return self._random(), self._inherited(), self._from_labels(), self._edges()

    def _random(self) -> Verdict:
        same = equivalence(self._differences("moran", "initialization"), margin=_EQUAL_MORAN)
        found = same.difference
        return found.verdict(
            key="random",
            title="The weight images look almost random",
            decision=same.decision,
            statistic_name="difference of Moran's I",
            null=f"the same Moran's I as before training, to within {_EQUAL_MORAN:g}",
            sentence=(
                f"Moran's I, how alike neighboring weights are, minus that of the same networks' starts: {found:.3f}; "
                f"within {_EQUAL_MORAN:g} would count as random.{self._controls.caveat}"
            ),
        )

    def _inherited(self) -> Verdict:
        found = self._difference("moran", "data-span")
        return found.verdict(
            key="smoother-than-images",
            title="The weight images are smoother than random combinations of training images",
            statistic_name="difference of Moran's I",
            null="the Moran's I of random combinations of training images, beside the same starts in the same proportions",
            sentence=(
                f"Moran's I minus that of the same starts with random combinations of training images: {found:.3f}. "
                f"Gradient descent adds up images, so that much smoothness comes with the data.{self._controls.caveat}"
            ),
        )

    def _from_labels(self) -> Verdict:
        found = self._difference("moran", "random-label")
        whole = self._difference("moran", "random-label, weights")
        edges = self._difference("gabor", "random-label")
        true, random = self._shares
        return found.verdict(
            key="smoother-than-random-labels",
            title="What is learned from true labels is smoother than what is learned from random ones",
            statistic_name="difference of Moran's I",
            null="the same Moran's I of the weights' changes as in control networks trained on permuted labels",
            sentence=(
                f"Moran's I of the weights' changes, minus that of control networks with the same starts, images and order, "
                f"and permuted labels: {found:.3f}; of the best Gabor fit: {edges:.3f}. Of the weights as they stand the "
                f"first is {whole:.3f}, but random labels also move weights less: {random:.0%} of their mean square was "
                f"learned, and {true:.0%} from true labels.{self._controls.caveat}"
            ),
        )

    def _edges(self) -> Verdict:
        share, power = paired_difference(self._edge_shares), self._edge_power
        decision = share.decision(_EDGES)
        if decision == "refuted" and power < _POWER:
            decision = "inconclusive"
        chance = "random combinations of training images"
        return share.verdict(
            key="edges",
            title="The units of the layer are edge detectors",
            decision=decision,
            statistic_name="share of units",
            unit="share",
            null=f"at most {_EDGES:.0%} of the units fit a Gabor function better than {self._level} of {chance}",
            sentence=(
                f"A Gabor function, a little edge or bar, fits {share:.0%} of the units better than {self._level} of "
                f"{chance}; above {_EDGES:.0%} would count as edges. Of true edge filters under noise the test finds "
                f"{power:.0%}.{self._controls.caveat}"
            ),
        )


def share_of(start: Array, learned: Array, active: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the share of the squares of both on active pixels that is in `learned`; 0 where both are zero."""
    first, second = (
        np.square(part[:, active].reshape(len(part), -1)).sum(axis=1, dtype=np.float64)
        for part in (start, learned)
    )
    whole = first + second
    return np.asarray(second / np.where(whole > 0, whole, 1))


def _finite_mean(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the mean over the units of each network (n_networks, n_units) that have a value; 0 where none has."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0).sum(axis=1, dtype=np.float64)
    return np.asarray(sums / np.maximum(known.sum(axis=1), 1))
