"""What is known of concepts in the layers of a network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array, check_choice
from probe.results import Columns, Record, Result
from probe.stats import Interval, Verdict

__all__ = ["Concepts", "LayerConcepts", "LoopUnits"]


class LayerConcepts(Record):
    """Concepts in the units of one layer, and in the layer as a whole.

    All AUROCs but `overall_auroc` are within classes: of all pairs of images of one class, one with the concept and one
    without, the share in which the first is higher.

    Attributes
    ----------
    layer : str
        Name of the layer.
    unit_names : tuple of str
        One for each unit, or channel.
    auroc : ndarray of shape (n_units, n_concepts), in [0, 1]
        Of each unit: 0.5 if it tells nothing, below for a unit that goes down.
    permuted_limit : ndarray of shape (n_concepts,), in [0, 0.5]
        Of ``abs(auroc - 0.5)``: with the concepts' images permuted within classes, all units and concepts of the layer
        together stay below it in 1 - alpha of the draws. It is the same for all concepts in standard deviations by chance.
    untrained_best : ndarray of shape (n_draws, n_concepts), in [0, 0.5]
        Largest ``abs(auroc - 0.5)`` of a unit in networks before training.
    rotated_best : ndarray of shape (n_rotations, n_concepts), in [0, 0.5]
        The same over the axes of random rotations of this layer's own basis: what a layer with this content has in units
        that mean nothing. The basis are the units' pre-activations, of channels their mean activations, each centered
        and divided by its standard deviation.
    basis_best : ndarray of shape (n_concepts,), in [0, 0.5]
        The same over the axes of that basis as it stands: where activations grow with pre-activations and neither
        saturate nor are cut off, that of the best unit.
    untrained_p : ndarray of shape (n_concepts,), in (0, 1]
        Of the best unit against `untrained_best`.
    aligned_p : ndarray of shape (n_concepts,), in (0, 1]
        Of `basis_best` against `rotated_best`.
    aligned_q : ndarray of shape (n_concepts,), in (0, 1]
        `aligned_p` adjusted over the concepts (Benjamini-Hochberg).
    probe_auroc, untrained_probe_auroc : ndarray of shape (n_concepts,), in [0, 1]
        AUROC of a linear probe (ridge regression), fitted on half of the images and judged on the other, both ways; and its
        mean on the same layer before training.
    components_auroc : ndarray of shape (n_concepts,), in [0, 1]
        The same of as many principal components of the pixels as the probe reads features.
    control_task_auroc : ndarray of shape (n_concepts,), in [0, 1]
        The same of random concepts that depend on the class as these do: about 0.5.
    overall_auroc : ndarray of shape (n_concepts,), in [0, 1]
        Of a linear probe over pairs of images of any classes, to be held against `Concepts.class_auroc`.
    accuracy_lost, cost_added : ndarray of shape (n_units,)
        Importance: what the test images lose in accuracy, and gain in cross-entropy, when the unit is replaced by its mean.
    cost_added_with, cost_added_without : ndarray of shape (n_units,)
        The same cost over the images with the concept that the unit is most selective for, and over those without.
    """

    layer: str
    unit_names: tuple[str, ...]
    auroc: Array
    permuted_limit: Array
    untrained_best: Array
    rotated_best: Array
    basis_best: Array
    untrained_p: Array
    aligned_p: Array
    aligned_q: Array
    probe_auroc: Array
    untrained_probe_auroc: Array
    components_auroc: Array
    control_task_auroc: Array
    overall_auroc: Array
    accuracy_lost: Array
    cost_added: Array
    cost_added_with: Array
    cost_added_without: Array

    @property
    def selectivity(self) -> Array:
        """How well each unit tells each concept, up or down: ``abs(auroc - 0.5)``, (n_units, n_concepts)."""
        return np.asarray(np.abs(self.auroc - 0.5))

    @property
    def best_units(self) -> npt.NDArray[np.int64]:
        """The unit that is most selective for each concept: (n_concepts,)."""
        return np.asarray(self.selectivity.argmax(axis=0))

    @property
    def mean_probe_auroc(self) -> float:
        """Mean of `probe_auroc` over the concepts."""
        return float(self.probe_auroc.mean())

    @property
    def mean_untrained_probe_auroc(self) -> float:
        """Mean of `untrained_probe_auroc` over the concepts."""
        return float(self.untrained_probe_auroc.mean())

    @property
    def mean_components_auroc(self) -> float:
        """Mean of `components_auroc` over the concepts."""
        return float(self.components_auroc.mean())

    @property
    def mean_control_task_auroc(self) -> float:
        """Mean of `control_task_auroc` over the concepts."""
        return float(self.control_task_auroc.mean())

    @property
    def mean_overall_auroc(self) -> float:
        """Mean of `overall_auroc` over the concepts."""
        return float(self.overall_auroc.mean())

    @property
    def n_gained(self) -> int:
        """Concepts that a linear probe reads off the layer better than before training."""
        return int((self.probe_auroc > self.untrained_probe_auroc).sum())

    @property
    def largest_cost_added(self) -> float:
        """Cost added without the most important unit."""
        return float(self.cost_added.max())

    @property
    def most_important(self) -> str:
        """Name of that unit."""
        return self.unit_names[int(np.argmax(self.cost_added))]

    @property
    def importance_correlation(self) -> float:
        """Spearman's correlation of the units' largest selectivity with the cost added; NaN if it has none."""
        from scipy.stats import rankdata

        pairs = np.stack([rankdata(self.selectivity.max(axis=1)), rankdata(self.cost_added)])
        if pairs.shape[1] < 3 or (np.ptp(pairs, axis=1) == 0).any():
            return np.nan
        return float(np.corrcoef(pairs)[0, 1])

    def aligned(self, alpha: float) -> npt.NDArray[np.bool_]:
        """Return for which concepts, (n_concepts,), the best unit is unit-aligned.

        It is better than random directions of the layer, at a false discovery rate of `alpha` over the concepts, and
        than permuted concepts.
        """
        beyond = self.selectivity.max(axis=0) > self.permuted_limit
        return np.asarray(beyond & (self.aligned_q <= alpha))


class LoopUnits(Record):
    """Whether a unit of the last hidden layer recognizes loops, within the classes that these vary in.

    Attributes
    ----------
    layer : str
        Name of the layer.
    unit_names : tuple of str
        One for each unit, or channel.
    auroc : ndarray of shape (n_units,), in [0, 1]
        Of each unit, on all images: below 0.5 for one that goes down for loops.
    chosen : ndarray of shape (2,), int64
        The best unit on each half of the images.
    chosen_auroc : Interval
        Of these units, each on the half that did not choose it, up or down; with the interval of its distance from
        `threshold`, which is shorter where that moves with the images as the unit does.
    threshold : float
        AUROC that is asked for.
    rotated_auroc : float
        What the best unit of 95% of random rotations of the layer stays below; NaN where the layer as a whole has no more
        than is asked for anyway.
    layer_auroc, pixel_auroc, components_auroc : float
        Of linear probes on the layer, on the pixels, and on as many principal components.
    planted, power : ndarray of shape (5,), in [0, 1]
        AUROCs of planted units, and how often such a unit would be found.
    control_auroc : ndarray of shape (n_networks,), in [0, 1]
        Of the chosen units of networks trained alike; empty without these.
    n_images : int
        Test images of these classes.
    """

    layer: str
    unit_names: tuple[str, ...]
    auroc: Array
    chosen: npt.NDArray[np.int64]
    chosen_auroc: Interval
    threshold: float
    rotated_auroc: float
    layer_auroc: float
    pixel_auroc: float
    components_auroc: float
    planted: Array
    power: Array
    control_auroc: Array
    n_images: int


class Concepts(Result):
    """Which concepts the hidden layers of a network hold within classes, and in single units or not.

    Attributes
    ----------
    names, kinds : tuple of str
        As in `ImageConcepts`.
    shares : ndarray of shape (n_concepts,), in [0, 1]
        Share of the images that have each concept.
    left_out : tuple of str
        Concepts that too few images have, or lack, in all or within two classes.
    class_auroc : ndarray of shape (n_concepts,), in [0, 1]
        What the class alone tells, over pairs of images of any classes. Within classes it is 0.5.
    pixel_probe_auroc : ndarray of shape (n_concepts,), in [0, 1]
        Within classes, of a linear probe on the pixels themselves: what was there to begin with.
    layers : tuple of LayerConcepts
        The hidden layers, in order.
    loops : LoopUnits or None
        What decides about units that recognize loops; None if these vary in fewer than two classes.
    n_images : int
        Test images that everything is measured on.
    alpha : float
        Level of the tests.
    verdicts : tuple of Verdict
        About this network; networks trained alike stand beside it.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    shares: Array
    left_out: tuple[str, ...]
    class_auroc: Array
    pixel_probe_auroc: Array
    layers: tuple[LayerConcepts, ...]
    loops: LoopUnits | None
    n_images: int
    alpha: float
    verdicts: tuple[Verdict, ...]

    @property
    def mean_class_auroc(self) -> float:
        """Mean of `class_auroc` over the concepts."""
        return float(self.class_auroc.mean())

    @property
    def mean_pixel_probe_auroc(self) -> float:
        """Mean of `pixel_probe_auroc` over the concepts."""
        return float(self.pixel_probe_auroc.mean())

    @property
    def n_beyond_untrained(self) -> tuple[int, ...]:
        """For each layer: concepts that its best unit tells better than those of networks before training, at `alpha`."""
        return tuple(int((layer.untrained_p <= self.alpha).sum()) for layer in self.layers)

    @property
    def n_aligned(self) -> tuple[int, ...]:
        """For each layer: concepts whose best unit stands out from the directions of the layer, at `alpha`."""
        return tuple(int(layer.aligned(self.alpha).sum()) for layer in self.layers)

    @property
    def has_rings(self) -> bool:
        """Whether any unit stands out from the directions of its layer, at `alpha`."""
        return any(n > 0 for n in self.n_aligned)

    def columns(self) -> Columns:
        """Return one row for each concept of each layer: its best unit, and the linear probes."""
        columns: Columns = {
            "layer": [layer.layer for layer in self.layers for _ in self.names],
            "concept": self.names * len(self.layers),
        }
        for name in (
            "best_units",
            "untrained_p",
            "aligned_q",
            "probe_auroc",
            "untrained_probe_auroc",
            "components_auroc",
            "control_task_auroc",
            "overall_auroc",
        ):
            columns[name] = np.concatenate([getattr(layer, name) for layer in self.layers])
        return columns

    def layer(self, name: str) -> LayerConcepts:
        """Return what was found of one layer.

        Raises
        ------
        InputError
            If it was not looked at.
        """
        layers = {layer.layer: layer for layer in self.layers}
        return layers[check_choice("layer", name, layers)]

    def places(self, kind: str) -> npt.NDArray[np.int64]:
        """Return the indices of all concepts of a kind."""
        return np.flatnonzero([each == kind for each in self.kinds])
