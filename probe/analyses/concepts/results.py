"""What is known of concepts in the layers of a network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array, check_choice
from probe.results import Columns, Record, Result
from probe.stats import Verdict

__all__ = ["Concepts", "LayerConcepts"]


class LayerConcepts(Record):
    """Concepts in the units of one layer, and in the layer as a whole.

    Attributes
    ----------
    layer : str
        Name of the layer.
    unit_names : tuple of str
        One for each unit, or channel.
    auroc : ndarray of shape (n_units, n_concepts), in [0, 1]
        Probability that the unit is higher for an image with the concept than for one without: 0.5 if it tells nothing,
        below for a unit that goes down.
    permuted_limit : ndarray of shape (n_concepts,), in [0, 0.5]
        Of ``abs(auroc - 0.5)``: with the concepts' images permuted, all units and concepts of the layer together stay
        below it in 1 - alpha of the draws. It is the same for all concepts in standard deviations by chance.
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
        Cross-validated AUROC of a linear probe (ridge regression) on the layer, and its mean on the same layer before
        training.
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


class Concepts(Result):
    """Which concepts the hidden layers of a network hold, and in single units or not.

    Attributes
    ----------
    names, kinds : tuple of str
        As in `ImageConcepts`.
    shares : ndarray of shape (n_concepts,), in [0, 1]
        Share of the images that have each concept.
    left_out : tuple of str
        Concepts that too few images have, or lack.
    pixel_probe_auroc : ndarray of shape (n_concepts,), in [0, 1]
        Of a linear probe on the pixels themselves: what was there to begin with.
    layers : tuple of LayerConcepts
        The hidden layers, in order.
    n_images : int
        Test images that everything is measured on.
    alpha : float
        Level of the tests.
    verdicts : tuple of Verdict
        Over the control networks; empty without.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    shares: Array
    left_out: tuple[str, ...]
    pixel_probe_auroc: Array
    layers: tuple[LayerConcepts, ...]
    n_images: int
    alpha: float
    verdicts: tuple[Verdict, ...]

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

    def columns(self) -> Columns:
        """Return one row for each concept of each layer: its best unit, and the linear probes."""
        columns: Columns = {
            "layer": [layer.layer for layer in self.layers for _ in self.names],
            "concept": self.names * len(self.layers),
        }
        for name in ("best_units", "untrained_p", "aligned_q", "probe_auroc", "untrained_probe_auroc"):
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
