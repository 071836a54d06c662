"""Whether hidden layers hold concepts, whether single units stand for them, and what the control networks say of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, check_number, chunks, generator
from probe._parallel import single_threaded_blas
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.analyses.concepts.pixels import ImageConcepts, image_concepts
from probe.analyses.concepts.results import Concepts, LayerConcepts
from probe.analyses.concepts.units import (
    LayerValues,
    ablated,
    aurocs,
    chance_deviations,
    hidden_layers,
    largest_of_permuted,
    largest_of_rotated,
    layer_values,
    p_values,
    probe_aurocs,
    selectivities,
)
from probe.controls import Controls, reinitialized
from probe.datasets import Dataset, Split
from probe.fitting import fitted
from probe.network import Network
from probe.stats import Difference, Verdict, paired_difference

__all__ = ["concepts"]

_UNTRAINED = 20
"""Networks before training."""

_PROBED = 5
"""Of these, whose layers are probed."""

_ROTATIONS = 39
"""Rotations for each network, so that the best of them is at 2.5%."""

_LEVEL = 0.05

_STANDS = 0.25
"""Share of the concepts for which a unit must be better than random directions for its layer to stand for them."""

_MOST_IMAGES = 1_000

_DETECTS = 0.9
"""AUROC from which a unit counts as a detector."""


@checked
def concepts(
    network: Network,
    split: Split,
    *,
    layers: Sequence[str] | None = None,
    controls: Controls | None = None,
    n_images: int = 2000,
    n_permutations: int = 200,
    n_rotations: int = 999,
    alpha: float = 0.05,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> Concepts:
    """Look for loops, strokes, edges and ink in the hidden layers of a network.

    The hope was that one layer picks up on edges and the next on loops. Three questions are kept apart. Is the concept
    in the layer at all? A linear probe measures it, beside the same layer before training and the pixels. Is it in a
    unit? The AUROC of the unit measures it, against permuted concepts and the best units of untrained networks. Is the
    unit special, or is any direction as good? The best unit is compared with the best axis of random rotations of the
    layer. A selective unit need not be important. Importance is what the network loses without the unit.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data. Its test images are used.
    layers : sequence of str, optional
        Names of layers; by default all hidden layers with weights. Of feature maps the mean of each channel is used.
    controls : Controls, optional
        From `probe.control_networks`. The untrained ones are a baseline, the verdicts are about the trained ones.
    n_images : int
        Test images to use, at least 100, drawn at random.
    n_permutations : int
        Random permutations of the concepts, at least 19.
    n_rotations : int
        Random rotations of a layer, at least 19. No p-value is below 1 / (1 + n_rotations). With 45 concepts, one
        significant unit can be detected only with 999 rotations or more.
    alpha : float
        Level of the tests, in (0, 0.5].
    seed : int or numpy.random.Generator
        Draws images and nulls.
    progress : callable
        Called after each layer.

    Raises
    ------
    InputError
        If shapes, classes or layers do not fit, an argument is outside its range, or no concept is varied enough.

    References
    ----------
    .. [1] G. Alain, Y. Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
    .. [2] J. Hewitt, P. Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.
    .. [3] A. Morcos et al., "On the importance of single directions for generalization", ICLR 2018.
    .. [4] D. Bau et al., "Network Dissection", CVPR 2017 (random rotations of a layer).

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(8,)), split, probe.TrainingConfig(epochs=5)).network
    >>> found = concepts(network, split, n_permutations=19, n_rotations=19)
    >>> found.layers[0].auroc.shape == (8, len(found.names))
    True
    """
    check_integer("n_images", n_images, minimum=100)
    check_integer("n_permutations", n_permutations, minimum=19)
    check_integer("n_rotations", n_rotations, minimum=19)
    check_number("alpha", alpha, above=0, maximum=0.5)
    network = fitted(network, split)
    if controls is not None:
        controls.check_of(network)
    names = hidden_layers(network) if layers is None else tuple(layers)
    for name in names:
        network.layer(name)
    image_rng, start_rng, null_rng, control_rng = generator(seed).spawn(4)
    test = split.test
    if len(test) > n_images:
        test = test.sample(n_images, rng=image_rng)
    found = image_concepts(test.images)
    if not found.names:
        raise InputError("images must differ in loops, strokes, edges or ink, but all are alike in these")
    fold_seed = int(image_rng.integers(2**31))
    with single_threaded_blas():  # many small products, for which a second thread would only wait
        values = layer_values(network, names, test.images)
        starts = [reinitialized(network, rng=rng) for rng in start_rng.spawn(_UNTRAINED)]
        start_values = [layer_values(start, names, test.images) for start in starts]
        measure = _Measurement(network, test, found.values, n_permutations, n_rotations, alpha, fold_seed)
        results = []
        for index, name in enumerate(names):
            results.append(measure.layer(name, values[name], [each[name] for each in start_values], null_rng))
            progress(ProgressEvent("looking for concepts", index + 1, len(names)))
        pixels = test.images.reshape(len(test), -1).astype(np.float64)
        return Concepts(
            names=found.names,
            kinds=found.kinds,
            shares=found.values.mean(axis=1),
            left_out=found.left_out,
            pixel_probe_auroc=probe_aurocs(pixels, found.values, fold_seed),
            layers=tuple(results),
            n_images=len(test),
            alpha=float(alpha),
            verdicts=()
            if controls is None
            else _verdicts(controls, found, test.images, control_rng, fold_seed),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Measurement:
    """Everything about one layer at a time, on the same images."""

    network: Network
    test: Dataset
    present: npt.NDArray[np.bool_]
    n_permutations: int
    n_rotations: int
    alpha: float
    fold_seed: int

    def layer(
        self, name: str, values: LayerValues, starts: Sequence[LayerValues], rng: np.random.Generator
    ) -> LayerConcepts:
        """Return what a layer tells, beside the same layer of untrained networks."""
        from scipy.stats import false_discovery_control

        present = self.present
        auroc = aurocs(values.units, present)
        best = np.abs(auroc - 0.5).max(axis=0)
        permuted = largest_of_permuted(values.units, present, self.n_permutations, rng)
        limit = float(np.quantile(permuted, 1 - self.alpha, method="higher"))
        untrained = np.stack([selectivities(each.units, present) for each in starts])
        rotated = largest_of_rotated(values.basis, present, self.n_rotations, rng)
        basis_best = selectivities(values.basis, present)
        aligned = p_values(basis_best, rotated)
        probes = [probe_aurocs(each.features, present, self.fold_seed) for each in starts[:_PROBED]]
        lost, added, with_it, without_it = self._importance(
            name, values.units.mean(axis=0), present[np.abs(auroc - 0.5).argmax(axis=1)]
        )
        return LayerConcepts(
            layer=name,
            unit_names=tuple(str(k) for k in range(values.units.shape[1])),
            auroc=auroc,
            permuted_limit=limit * chance_deviations(present),
            untrained_best=untrained,
            rotated_best=rotated,
            basis_best=basis_best,
            untrained_p=p_values(best, untrained),
            aligned_p=aligned,
            aligned_q=np.asarray(false_discovery_control(aligned)),
            probe_auroc=probe_aurocs(values.features, present, self.fold_seed),
            untrained_probe_auroc=np.mean(probes, axis=0),
            accuracy_lost=lost,
            cost_added=added,
            cost_added_with=with_it,
            cost_added_without=without_it,
        )

    def _importance(
        self, layer: str, means: Array, chosen: npt.NDArray[np.bool_]
    ) -> tuple[Array, Array, Array, Array]:
        """Return the accuracy lost without each unit, and the cost added: overall, with its concept and without."""
        rows, (whole_right, whole_cost) = [], _marks(self.network, self.test)
        for unit, mean in enumerate(means):
            right, cost = _marks(ablated(self.network, layer, unit, float(mean)), self.test)
            added, has = cost - whole_cost, chosen[unit]
            lost = whole_right.mean() - right.mean()
            rows.append((lost, added.mean(), added[has].mean(), added[~has].mean()))
        lost, added, with_it, without_it = np.array(rows).T
        return lost, added, with_it, without_it


def _marks(network: Network, test: Dataset) -> tuple[npt.NDArray[np.bool_], Array]:
    """Return which images are classified right, and the cross-entropy of each."""
    from scipy.special import logsumexp

    logits = np.concatenate([network.logits(test.images[part]) for part in chunks(len(test), 500)])
    logits = logits.astype(np.float64)
    cost = logsumexp(logits, axis=1) - logits[np.arange(len(logits)), test.labels]
    return logits.argmax(axis=1) == test.labels, cost


def _verdicts(
    controls: Controls, found: ImageConcepts, images: Array, rng: np.random.Generator, fold_seed: int
) -> tuple[Verdict, ...]:
    """Return whether first hidden layers pick up on edges, and last ones on loops."""
    chosen = np.sort(rng.permutation(len(images))[:_MOST_IMAGES])
    images, present = images[chosen], found.values[:, chosen]
    varied = present.any(axis=1) & ~present.all(axis=1)
    verdicts = list[Verdict]()
    for kind, words, index, which in (("edge", "edges", 0, "first"), ("loop", "loops", -1, "last")):
        concepts = present[varied & (np.array(found.kinds) == kind)]
        if not len(concepts):
            continue
        held, stands = list[float](), list[float]()
        for k, rotations in enumerate(rng.spawn(len(controls))):
            trained, start = (
                _values(population.network(k), index, images)
                for population in (controls.trained, controls.untrained)
            )
            after, before = (probe_aurocs(each.features, concepts, fold_seed) for each in (trained, start))
            held.append(float((after - before).mean()))
            stands.append(_share_of_units(trained.basis, concepts, rotations))
        over = paired_difference(np.array(held)), paired_difference(np.array(stands))
        verdicts += _pair(words, which, *over, controls)
    if "loop" in found.names:
        verdicts.append(_detector(controls, images, present[found.names.index("loop")]))
    return tuple(verdicts)


def _detector(controls: Controls, images: Array, loops: npt.NDArray[np.bool_]) -> Verdict:
    """Return whether one of the hidden units tells images with a loop from those without."""
    best = list[float]()
    for member in controls.trained.networks():
        values = layer_values(member, hidden_layers(member), images).values()
        # From 0.5 and not from 1: a unit that goes down for loops detects them as well.
        best.append(0.5 + max(float(selectivities(each.units, loops[None])[0]) for each in values))
    over = paired_difference(np.array(best))
    return over.verdict(
        key="loop-detector",
        title="Some hidden unit is a loop detector",
        above=_DETECTS,
        statistic_name="AUROC of the best unit",
        null=f"the best hidden unit has an AUROC of {_DETECTS:g} for loops",
        sentence=(
            f"Of all hidden units the one that tells images with a loop best has an AUROC of {over:.3f}; above "
            f"{_DETECTS:g} would count as a detector.{controls.caveat}"
        ),
    )


def _values(network: Network, index: int, images: Array) -> LayerValues:
    name = hidden_layers(network)[index]
    return layer_values(network, (name,), images)[name]


def _share_of_units(basis: Array, concepts: npt.NDArray[np.bool_], rng: np.random.Generator) -> float:
    """Return for what share of the concepts the best unit is better than the best axes of random rotations."""
    best, rotated = selectivities(basis, concepts), largest_of_rotated(basis, concepts, _ROTATIONS, rng)
    return float((p_values(best, rotated) <= _LEVEL).mean())


def _pair(
    words: str, which: str, held: Difference, stands: Difference, controls: Controls
) -> tuple[Verdict, Verdict]:
    return (
        held.verdict(
            key=f"probe/{which}/{words}",
            title=f"The {which} hidden layer holds more about {words} than before training",
            statistic_name="difference of AUROCs",
            null=f"a linear probe reads {words} off the layer as well before training",
            sentence=(
                f"Averaged over the concepts, a linear probe on the {which} hidden layer has an AUROC {held:.3f} above "
                f"that on the same layer before training.{controls.caveat}"
            ),
        ),
        stands.verdict(
            key=f"units/{which}/{words}",
            title=f"Single units of the {which} hidden layer stand for {words}",
            above=_STANDS,
            statistic_name="share of concepts",
            unit="share",
            null=f"for at most {_STANDS:.0%} of the concepts the best unit beats random directions of its layer",
            sentence=(
                f"For {stands:.0%} of the concepts about {words}, the best unit tells them better than the best axes of "
                f"95% of random rotations of its layer do; by chance it would be {_LEVEL:.0%}, and above {_STANDS:.0%} "
                f"would count.{controls.caveat}"
            ),
        ),
    )
