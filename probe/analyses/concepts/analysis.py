"""Which concepts the hidden layers of a network hold within classes, and whether single units stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._checks import Array, InputError, IntArray, check_integer, check_number, generator
from probe._parallel import single_threaded_blas
from probe._progress import ProgressEvent
from probe._signatures import checked
from probe.analyses.concepts.claims import judged
from probe.analyses.concepts.pixels import image_concepts
from probe.analyses.concepts.results import Concepts, LayerConcepts
from probe.analyses.concepts.selectivity import (
    aurocs,
    chance_deviations,
    largest_of_permuted,
    largest_of_rotated,
    p_values,
    permuted_within,
    selectivities,
)
from probe.analyses.concepts.units import LayerValues, hidden_layers, layer_values, logits_without_each
from probe.analyses.concepts.within import FEWEST, FEWEST_CLASSES, Sample, principal_components, standardized
from probe.controls import Controls
from probe.datasets import Dataset, Split
from probe.fitting import fitted
from probe.network import Network
from probe.training import reinitialized

__all__ = ["concepts"]

_UNTRAINED = 20
"""Networks before training."""

_PROBED = 5
"""Of these, whose layers are probed; and control tasks."""


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
    progress: ShownProgress = "auto",
) -> Concepts:
    """Look for loops, strokes, edges and ink in the hidden layers of a network, within classes.

    The hope was that one layer picks up on edges and the next on loops. The class alone tells most of that: nearly every
    0 has a loop, and no 1. So only images of the same class are compared: an AUROC here is the share of all pairs of
    images of one class, one with the concept and one without, that are in order. Three questions are kept apart. Is the
    concept in the layer at all? A linear probe measures it, beside the same layer before training, as many principal
    components, the pixels, and a control task: a concept that depends on the class alike and else is random. Is it in a
    unit? The AUROC of the unit measures it, against permuted concepts and the best units of untrained networks. Is the
    unit special, or is any direction as good? The best unit is compared with the best axis of random rotations of the
    layer. A selective unit need not be important. Importance is what the network loses without the unit.

    Whether a unit of the last hidden layer recognizes loops is decided on 3,000 test images, of the classes that loops
    vary in. Each half of them judges the unit that the other half chose.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data. Its test images are used.
    layers : sequence of str, optional
        Names of layers; by default all hidden layers with weights. Of feature maps the mean of each channel is used.
    controls : Controls, optional
        From `probe.control_networks`. Verdicts are about `network`; the trained ones stand beside it.
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
    progress : callable, "auto" or None
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
    assert callable(progress)
    check_integer("n_images", n_images, minimum=100)
    check_integer("n_permutations", n_permutations, minimum=19)
    check_integer("n_rotations", n_rotations, minimum=19)
    check_number("alpha", alpha, above=0, maximum=0.5)
    network = fitted(network, split)
    if controls is not None:
        controls.check_of(network)
    layer_names = hidden_layers(network) if layers is None else tuple(layers)
    for name in layer_names:
        network.layer(name)
    image_rng, start_rng, null_rng, loop_rng = generator(seed).spawn(4)
    test = split.test
    if len(test) > n_images:
        test = test.sample(n_images, rng=image_rng)
    found = image_concepts(test.images)
    every = Sample(test.images, test.labels, found.values)
    kept = every.mixed(FEWEST).sum(axis=1) >= FEWEST_CLASSES
    if not kept.any():
        raise InputError(
            f"images of one class must differ in loops, strokes, edges or ink: none of these is in {FEWEST} images of "
            f"{FEWEST_CLASSES} classes each, and missing in {FEWEST} others of them"
        )
    sample = every.only(kept)
    names = tuple(name for name, keep in zip(found.names, kept, strict=True) if keep)
    kinds = tuple(kind for kind, keep in zip(found.kinds, kept, strict=True) if keep)
    with single_threaded_blas():  # many small products, for which a second thread would only wait
        values = layer_values(network, layer_names, test.images)
        starts = [reinitialized(network, rng=rng) for rng in start_rng.spawn(_UNTRAINED)]
        start_values = [layer_values(start, layer_names, test.images) for start in starts]
        components = principal_components(sample.pixels)
        measure = _Measurement(network, test, sample, components, n_permutations, n_rotations, alpha)
        results = []
        for index, name in enumerate(layer_names):
            results.append(measure.layer(name, values[name], [each[name] for each in start_values], null_rng))
            progress(ProgressEvent("looking for concepts", index + 1, len(layer_names)))
        edges = sample.only(np.array(kinds) == "edge")
        loops, verdicts = judged(
            network, split, edges, components, controls, seed=int(loop_rng.integers(2**31))
        )
        return Concepts(
            names=names,
            kinds=kinds,
            shares=sample.concepts.mean(axis=1),
            left_out=(*found.left_out, *(name for name in found.names if name not in names)),
            class_auroc=sample.of_class,
            pixel_probe_auroc=sample.read_off(sample.pixels),
            layers=tuple(results),
            loops=loops,
            n_images=len(test),
            alpha=float(alpha),
            verdicts=verdicts,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Measurement:
    """Everything about one layer at a time, on the same images."""

    network: Network
    test: Dataset
    sample: Sample
    components: Array
    n_permutations: int
    n_rotations: int
    alpha: float

    def layer(
        self, name: str, values: LayerValues, starts: Sequence[LayerValues], rng: np.random.Generator
    ) -> LayerConcepts:
        """Return what a layer tells, beside the same layer of untrained networks."""
        from scipy.stats import false_discovery_control

        present, classes = self.sample.concepts, self.sample.classes
        auroc = aurocs(values.units, present, classes)
        best = np.abs(auroc - 0.5).max(axis=0)
        permuted = largest_of_permuted(values.units, present, classes, self.n_permutations, rng)
        limit = float(np.quantile(permuted, 1 - self.alpha, method="higher"))
        untrained = np.stack([selectivities(each.units, present, classes) for each in starts])
        rotated = largest_of_rotated(values.basis, present, classes, self.n_rotations, rng)
        basis_best = selectivities(values.basis, present, classes)
        aligned = p_values(basis_best, rotated)
        features = standardized(values.features)
        probes = [self.sample.read_off(standardized(each.features)) for each in starts[:_PROBED]]
        lost, added, with_it, without_it = self._importance(
            name, values.units.mean(axis=0), present[np.abs(auroc - 0.5).argmax(axis=1)]
        )
        return LayerConcepts(
            layer=name,
            unit_names=tuple(str(k) for k in range(values.units.shape[1])),
            auroc=auroc,
            permuted_limit=limit * chance_deviations(present, classes),
            untrained_best=untrained,
            rotated_best=rotated,
            basis_best=basis_best,
            untrained_p=p_values(best, untrained),
            aligned_p=aligned,
            aligned_q=np.asarray(false_discovery_control(aligned)),
            probe_auroc=self.sample.read_off(features),
            untrained_probe_auroc=np.mean(probes, axis=0),
            components_auroc=self.sample.read_off(self.components[:, : features.shape[1]]),
            control_task_auroc=self._control_task(features, rng),
            overall_auroc=self.sample.overall(features),
            accuracy_lost=lost,
            cost_added=added,
            cost_added_with=with_it,
            cost_added_without=without_it,
        )

    def _control_task(self, features: Array, rng: np.random.Generator) -> Array:
        """Return how well probes tell concepts whose images were permuted within classes: (n_concepts,)."""
        orders = [permuted_within(self.sample.classes, rng) for _ in range(_PROBED)]
        tasks = [replace(self.sample, concepts=self.sample.concepts[:, order]) for order in orders]
        return np.asarray(np.mean([task.read_off(features) for task in tasks], axis=0))

    def _importance(
        self, layer: str, means: Array, chosen: npt.NDArray[np.bool_]
    ) -> tuple[Array, Array, Array, Array]:
        """Return the accuracy lost without each unit, and the cost added: overall, with its concept and without."""
        network, images, units = self.network, self.test.images, np.arange(len(means))
        rows, (whole_right, whole_cost) = [], _marks(network.logits(images), self.test.labels)
        for unit, logits in enumerate(logits_without_each(network, layer, units, means, images)):
            right, cost = _marks(logits, self.test.labels)
            added, has = cost - whole_cost, chosen[unit]
            lost = whole_right.mean() - right.mean()
            rows.append((lost, added.mean(), added[has].mean(), added[~has].mean()))
        lost, added, with_it, without_it = np.array(rows).T
        return lost, added, with_it, without_it


def _marks(logits: Array, labels: IntArray) -> tuple[npt.NDArray[np.bool_], Array]:
    """Return which images are classified right, and the cross-entropy of each."""
    from scipy.special import logsumexp

    logits = logits.astype(np.float64)
    cost = logsumexp(logits, axis=1) - logits[np.arange(len(logits)), labels]
    return logits.argmax(axis=1) == labels, cost
