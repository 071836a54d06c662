"""The cards of all units of some layers, with every image once."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError
from probe.analyses.unit.card import RankedImages, Standing, UnitCard, WeightsKind
from probe.results import Record
from probe.stats import Interval

__all__ = ["LayerCards", "UnitCards"]


class LayerCards(Record):
    """The cards of the units of one layer; an image is named by its index in `UnitCards.images`.

    Attributes
    ----------
    layer, kind, activation : str
        Name of the layer, its class in Keras, and the activation that its units have.
    is_output : bool
        Whether its units are the classes.
    n_units_in_layer : int
        Units or channels of the layer.
    units : ndarray of shape (n_units,), int64
        Which of them have a card.
    names : tuple of str
        What they are called: after the classes in the output, else by number.
    weights_kind : {"image", "planes", "vector"}
        How the weights are laid out: as an image of what they read, as one for each channel that they read, or as a vector
        over what the layer reads.
    weights : ndarray of shape (n_units, height, width[, 3]), (n_units, n_planes, height, width) or (n_units, n_in)
        The weights into each unit. Of a separable convolution, which has two kernels in a row, n_in is 0.
    weights_limit : float
        Largest absolute weight of all of these: one scale for the layer.
    reads : str
        Layer whose values the weights multiply; "" for the network's input.
    biases : ndarray of shape (n_units,)
        0 where the layer has none.
    products : ndarray of shape (n_units, ...)
        Weights times what they multiply for the image `most[:, 0]`: of the shape of `weights`, of a convolution of that of
        its input, channels last.
    positions : ndarray of shape (n_units, 2), int64
        Row and column of the map that the products are about: of a channel they are those of its largest value there; -1
        for units without positions.
    sums : ndarray of shape (n_units,), float64
        Sums of all products of each unit.
    pre_activations : ndarray of shape (n_units,)
        What the network computes for that image, there: the sum and the bias.
    favorites : ndarray of shape (n_units, *image_shape), in [0, 1], or None
        The image of all that gradient ascent found for which the pre-activation is largest; NaN for units without.
    favorite_values, favorite_lower, favorite_upper : ndarray of shape (n_units,)
        The pre-activation there, and bounds on it over all images; NaN for units without.
    most, least : ndarray of shape (n_units, n_top), int64
        Test images for which the pre-activation is largest, the largest first, and smallest, the smallest first.
    most_values, least_values : ndarray of shape (n_units, n_top)
        The pre-activation there; of a channel its mean over the map.
    medians : ndarray of shape (n_units,)
        Its median over all test images that were looked at.
    auroc : ndarray of shape (n_units, n_concepts), in [0, 1], or None
        How well each hidden unit tells each concept within classes: 0.5 is chance, less for a unit that goes down.
    permuted_limit : ndarray of shape (n_concepts,), in [0, 0.5], or None
        What ``abs(auroc - 0.5)`` stays below by chance, if `Concepts` were given.
    lost, lost_low, lost_high : ndarray of shape (n_units,), in [-1, 1]
        Accuracy lost with the unit replaced by its mean, with a 95% interval.
    lost_by_class : ndarray of shape (n_units, n_classes), in [-1, 1]
        The same over the images of each class; NaN for a class without images.
    standing : Standing or None
        Where the units stand among those of control networks.
    """

    layer: str
    kind: str
    activation: str
    is_output: bool
    n_units_in_layer: int
    units: npt.NDArray[np.int64]
    names: tuple[str, ...]
    weights_kind: WeightsKind
    weights: Array
    weights_limit: float
    reads: str
    biases: Array
    products: Array
    positions: npt.NDArray[np.int64]
    sums: Array
    pre_activations: Array
    favorites: Array | None
    favorite_values: Array
    favorite_lower: Array
    favorite_upper: Array
    most: npt.NDArray[np.int64]
    least: npt.NDArray[np.int64]
    most_values: Array
    least_values: Array
    medians: Array
    auroc: Array | None
    permuted_limit: Array | None
    lost: Array
    lost_low: Array
    lost_high: Array
    lost_by_class: Array
    standing: Standing | None


class UnitCards(Record):
    """The cards of all units of some layers.

    Attributes
    ----------
    layers : tuple of LayerCards
        In the order of the network.
    images : ndarray of shape (n_images, *image_shape), in [0, 1]
        Every test image that stands on some card, once.
    indices : ndarray of shape (n_images,), int64
        Which test images they are, in ascending order.
    labels : ndarray of shape (n_images,), int64
        Their classes.
    n_looked_at : int
        Test images among which those that excite a unit most and least were sought.
    concept_names : tuple of str
        Concepts that test images have.
    accuracy : float
        Of the whole network, on the images on which accuracy without a unit was measured.
    n_by_class : ndarray of shape (n_classes,), int64
        Of these, the images of each class.
    class_names : tuple of str
    noun : str
        What an image of the data is called.
    missing : tuple of str
        What the cards do not have, and why, in sentences.
    """

    layers: tuple[LayerCards, ...]
    images: Array
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    n_looked_at: int
    concept_names: tuple[str, ...]
    accuracy: float
    n_by_class: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    noun: str
    missing: tuple[str, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """The units that have a card, such as "hidden_1:4"."""
        return tuple(f"{layer.layer}:{unit}" for layer in self.layers for unit in layer.units)

    @property
    def n_cards(self) -> int:
        """Number of cards."""
        return sum(len(layer.units) for layer in self.layers)

    def card(self, address: str) -> UnitCard:
        """Return the card of one unit, such as "hidden_1:4".

        Raises
        ------
        InputError
            If there is none.
        """
        if address not in self.addresses:
            raise InputError(
                f"address must be that of a card, one of {', '.join(self.addresses)}; got {address!r}"
            )
        layer, k = next(
            (layer, k)
            for layer in self.layers
            for k, unit in enumerate(layer.units)
            if f"{layer.layer}:{unit}" == address
        )
        return self._card(layer, k)

    def _card(self, layer: LayerCards, k: int) -> UnitCard:
        standing = layer.standing
        if standing is not None:
            own = slice(k, k + 1)
            standing = replace(
                standing, values=standing.values[own], percentiles=standing.percentiles[:, own]
            )
        has_favorite = layer.favorites is not None and np.isfinite(layer.favorite_values[k])
        n = int(self.n_by_class.sum())
        return UnitCard(
            layer=layer.layer,
            unit=int(layer.units[k]),
            name=layer.names[k],
            kind=layer.kind,
            activation=layer.activation,
            is_output=layer.is_output,
            n_units_in_layer=layer.n_units_in_layer,
            weights_kind=layer.weights_kind,
            weights=layer.weights[k],
            weights_limit=layer.weights_limit,
            reads=layer.reads,
            bias=float(layer.biases[k]),
            products=layer.products[k],
            position=tuple(int(at) for at in layer.positions[k] if at >= 0),
            products_sum=float(layer.sums[k]),
            pre_activation=float(layer.pre_activations[k]),
            favorite=layer.favorites[k] if layer.favorites is not None and has_favorite else None,
            favorite_value=float(layer.favorite_values[k]),
            favorite_lower=float(layer.favorite_lower[k]),
            favorite_upper=float(layer.favorite_upper[k]),
            most=self._ranked(layer.most[k], layer.most_values[k]),
            least=self._ranked(layer.least[k], layer.least_values[k]),
            median=float(layer.medians[k]),
            n_looked_at=self.n_looked_at,
            concept_names=() if layer.auroc is None else self.concept_names,
            auroc=np.zeros(0) if layer.auroc is None else layer.auroc[k],
            permuted_limit=layer.permuted_limit,
            accuracy=self.accuracy,
            lost=Interval(float(layer.lost[k]), float(layer.lost_low[k]), float(layer.lost_high[k]), 0.95, n),
            lost_by_class=layer.lost_by_class[k],
            n_by_class=self.n_by_class,
            standing=standing,
            class_names=self.class_names,
            noun=self.noun,
            missing=self.missing,
        )

    def _ranked(self, which: npt.NDArray[np.int64], values: Array) -> RankedImages:
        return RankedImages(
            images=self.images[which], labels=self.labels[which], values=values, indices=self.indices[which]
        )

    def page_data(self) -> dict[str, Any]:
        """Return what a page needs beside the network's own weights: plain numbers, and arrays that the page encodes.

        Returns
        -------
        dict
            "images": {"pixels": uint8 (n_images, *image_shape), "scale": the value of 1, "labels", "indices"}, every image
            once. "layers": for each layer its name and what `LayerCards` has of all its units; "most" and "least" are
            indices into "images". "favorites": uint8 (n_units, *image_shape) in 1/255, or None. All other numbers are
            float32 arrays or lists. Weights and products are left out: a page has the weights, and multiplies them.
        """
        scale = next((1 / n for n in (255, 16) if _is_multiple(self.images, n)), 1 / 255)
        return {
            "images": {
                "pixels": np.round(self.images / scale).astype(np.uint8),
                "scale": scale,
                "labels": self.labels,
                "indices": self.indices,
            },
            "layers": {layer.layer: _of_page(layer) for layer in self.layers},
            "concept_names": list(self.concept_names),
            "accuracy": self.accuracy,
            "n_by_class": self.n_by_class.tolist(),
            "n_looked_at": self.n_looked_at,
            "missing": list(self.missing),
        }


def _is_multiple(images: Array, n: int) -> bool:
    levels = images * n
    return bool((np.abs(levels - np.round(levels)) < 1e-3).all())


def _of_page(layer: LayerCards) -> dict[str, Any]:
    """Return what a page needs of a layer."""
    found = _small(layer, {"layer", "weights", "products", "sums"})
    if layer.favorites is not None:
        found["favorites"] = np.round(255 * np.nan_to_num(layer.favorites)).astype(np.uint8)
    if layer.standing is not None:
        found["standing"] = _small(layer.standing, set()) | {"labels": layer.standing.labels}
    return found


def _small(record: Record, left_out: set[str]) -> dict[str, Any]:
    """Return the fields of a record, with numbers of fewer digits."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {
        name: value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for name, value in values.items()
        if name not in left_out
    }
