"""What the weights into each unit look like, laid out as the image that they read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe._checks import Array, InputError, readonly
from probe.layers import Dense, Layer
from probe.network import Network

__all__ = ["WeightImages", "weight_images"]


@dataclass(frozen=True, slots=True, eq=False)
class WeightImages:
    """Weights of one layer as images.

    Attributes
    ----------
    images : ndarray of shape (n_units, height, width[, channels])
        `images[j]` belongs to unit j.
    layer : str
        Name of the layer.
    kind : {"weights", "expanded"}
        Whether these are the layer's own weights on the pixels, or the product of its kernel with all
        kernels below, which leaves the activations between them out.
    unit_names : tuple of str
        One for each unit: the class names for the last layer, else "0", "1", ...
    scale : float
        Largest absolute weight: one symmetric colour limit for all units.
    """

    images: Array
    layer: str
    kind: Literal["weights", "expanded"]
    unit_names: tuple[str, ...]
    scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", readonly(self.images))


def weight_images(network: Network, layer: str = "first") -> WeightImages:
    """Return the weights into every unit of a dense layer as images of the network's input.

    Parameters
    ----------
    network : Network
        With inputs of shape (height, width) or (height, width, channels).
    layer : str
        Name of a dense layer, or "first" for the first one. For a deeper layer the images are expanded
        weights: the product of the kernels from the pixels to it.

    Returns
    -------
    WeightImages

    Raises
    ------
    InputError
        If there is no such layer, it is not dense, another kind of layer stands between it and the pixels,
        or the inputs are no images.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> trained = probe.train(probe.MLP(hidden=(5,)), split, probe.TrainingConfig(epochs=1))
    >>> weight_images(trained.network).images.shape
    (5, 8, 8)
    >>> weight_images(trained.network, "output").kind
    'expanded'
    """
    if len(network.input_shape) not in (2, 3):
        raise InputError(
            f"weight images need inputs of shape (height, width[, channels]), but this network takes "
            f"{network.input_shape}; put a Flatten layer in front with network.for_images((height, width))"
        )
    target = _dense(network, layer)
    product: Array | None = None
    for below in network.layers:
        if isinstance(below, Dense) and len(network.layer_shapes[below.name]) == 1:
            product = below.kernel if product is None else product @ below.kernel
        elif isinstance(below, Dense) or not _keeps_order(below, network.layer_shapes, network.input_shape):
            raise InputError(
                f"expanded weights need dense layers down to the pixels, but '{below.name}' is not"
            )
        if below is target:
            break
    assert product is not None  # the loop ends at a dense layer
    images = np.ascontiguousarray(product.T).reshape(-1, *network.input_shape)
    is_last = target is network.dense_layers[-1] and target.n_units == network.n_classes
    names = network.class_names if is_last else tuple(str(j) for j in range(target.n_units))
    kind: Literal["weights", "expanded"] = "weights" if target is network.dense_layers[0] else "expanded"
    return WeightImages(images, target.name, kind, names, float(np.abs(images).max()))


def _dense(network: Network, layer: str) -> Dense:
    if not network.dense_layers:
        raise InputError("weight images need a dense layer, but this network has none")
    if layer == "first":
        return network.dense_layers[0]
    found = network.layer(layer)
    if not isinstance(found, Dense):
        names = ", ".join(f"'{dense.name}'" for dense in network.dense_layers)
        raise InputError(f"layer '{layer}' has no weights on units; pass one of {names}")
    return found


def _keeps_order(layer: Layer, shapes: dict[str, tuple[int, ...]], input_shape: tuple[int, ...]) -> bool:
    """Whether a layer without weights only hands on or relabels the values of its input."""
    return math.prod(shapes[layer.name]) == math.prod(input_shape) or len(shapes[layer.name]) == 1
