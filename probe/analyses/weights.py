"""What the weights into each unit look like, laid out as the image that they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe._checks import Array, InputError, readonly
from probe._signatures import checked
from probe.layers import (
    ActivationLayer,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    Layer,
    Noise,
    Normalization,
    Permute,
    Rescaling,
    Reshape,
    SeparableConv2D,
)
from probe.network import Network

__all__ = ["WeightImages", "WeightKind", "layers_with_images", "weight_images"]

WeightKind = Literal["weights", "expanded", "kernels", "maps"]

_REARRANGING = (Flatten, Reshape, Permute, Dropout, Noise, ActivationLayer)
_SCALING = (BatchNormalization, Normalization, Rescaling)
_CONVOLUTIONS = (Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose)


@dataclass(frozen=True, slots=True, eq=False)
class WeightImages:
    """Weights of one layer as images.

    Attributes
    ----------
    images : ndarray of shape (n_images, height, width[, channels])
        The images of unit 0, then those of unit 1, and so on: one for each unit, or, where `planes` is
        above 1, one for each unit and channel that it reads.
    layer : str
        Name of the layer.
    kind : {"weights", "expanded", "kernels", "maps"}
        "weights": the layer's own weights on the pixels. "expanded": the product of its kernel with all
        kernels below, which leaves the activations between them out. "kernels": the kernels of a
        convolution. "maps": a dense layer's own weights on the feature maps below it.
    unit_names : tuple of str
        One for each unit: the class names for the last layer, else "0", "1", ...
    scale : float
        Largest absolute weight: one symmetric colour limit for all images.
    planes : int
        Images of each unit.
    """

    images: Array
    layer: str
    kind: WeightKind
    unit_names: tuple[str, ...]
    scale: float
    planes: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", readonly(self.images))

    @property
    def names(self) -> tuple[str, ...]:
        """A label for each image: the unit's name, and the channel where there are several."""
        if self.planes == 1:
            return self.unit_names
        return tuple(f"{unit}:{plane}" for unit in self.unit_names for plane in range(self.planes))


@checked
def weight_images(network: Network, layer: str = "first") -> WeightImages:
    """Return the weights into every unit of a layer as images.

    A dense layer is shown on the network's input; where convolutions lie below it, on the feature maps
    that it reads. A convolution's kernels are shown for each filter: in colour where it reads three
    channels, else one image for each channel.

    Parameters
    ----------
    network : Network
        With inputs of shape (height, width) or (height, width, channels).
    layer : str
        Name of a dense or convolutional layer, or "first" for the first one. For a deeper dense layer the
        images are expanded weights: the product of the kernels from the pixels to it, with the scales of
        normalisations between them.

    Returns
    -------
    WeightImages

    Raises
    ------
    InputError
        If there is no such layer, it has no weights that form images, or the inputs are no images.

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
    target = _weighted(network, layer)
    if isinstance(target, Dense):
        return _dense_images(network, target)
    return _kernel_images(network, target)


@checked
def layers_with_images(network: Network) -> list[WeightImages]:
    """Return the weight images of every layer that has some, in order."""
    found = []
    for layer in network.layers:
        if isinstance(layer, (Dense, *_CONVOLUTIONS)):
            try:
                found.append(weight_images(network, layer.name))
            except InputError:
                continue
    return found


def _weighted(network: Network, layer: str) -> Layer:
    """Return the layer called `layer`, if it is dense or a convolution."""
    known = [known for known in network.layers if isinstance(known, (Dense, *_CONVOLUTIONS))]
    if not known:
        raise InputError("weight images need a dense or convolutional layer, but this network has none")
    if layer == "first":
        return known[0]
    found = network.layer(layer)
    if found not in known:
        names = ", ".join(f"'{each.name}'" for each in known)
        raise InputError(f"layer '{layer}' has no weights on units; pass one of {names}")
    return found


def _dense_images(network: Network, target: Dense) -> WeightImages:
    kind: WeightKind = "weights"
    shape = network.input_shapes_of(target.name)[0]
    if len(shape) != 1:
        raise InputError(f"layer '{target.name}' reads {shape}, not a vector; its weights are no images")
    rows: Array = target.kernel.T
    below = _chain_below(network, target)
    for place, layer in enumerate(below):
        deeper = below[place + 1 :]
        if isinstance(layer, Dense) and len(network.input_shapes_of(layer.name)[0]) == 1:
            rows, kind = rows @ layer.kernel.T, "expanded"
        elif isinstance(layer, _REARRANGING) or (
            isinstance(layer, _SCALING) and any(isinstance(other, Dense) for other in deeper)
        ):
            rows = _pulled_back(network, layer, rows)
        elif not isinstance(layer, _SCALING):
            if kind == "expanded":
                raise InputError(
                    f"expanded weights need dense layers down to the pixels, but '{layer.name}' is not"
                )
            return _map_images(network, target, rows, layer.name)
    images = np.ascontiguousarray(rows).reshape(-1, *network.input_shape)
    if images.ndim == 4 and images.shape[3] not in (1, 3):
        images = np.moveaxis(images, 3, 1).reshape(-1, *images.shape[1:3])
    return _images_of(network, target, images, kind, target.n_units)


def _chain_below(network: Network, target: Layer) -> list[Layer]:
    """Return the layers between `target` and the input, the nearest first, up to the first that joins several."""
    found, at = list[Layer](), target
    while True:
        read = network.wiring[network.layer_names.index(at.name)]
        if len(read) > 1 or isinstance(read[0], int):
            return found
        at = network.layer(read[0])
        found.append(at)


def _pulled_back(network: Network, layer: Layer, rows: Array) -> Array:
    """Return rows of weights on a layer's output as weights on its input, its activation left out."""
    (shape,) = network.input_shapes_of(layer.name)
    pullback = layer.linear(np.zeros((len(rows), *shape), rows.dtype))[1]
    found: Array = pullback(rows)
    return found


def _map_images(network: Network, target: Dense, rows: Array, source: str) -> WeightImages:
    """Return a dense layer's weights on the feature maps (height, width, channels) that `source` puts out."""
    shape = network.layer_shapes[source]
    if rows[0].shape != shape or len(shape) != 3:
        raise InputError(
            f"layer '{target.name}' reads {len(rows[0].ravel())} values of '{source}' that are no feature maps; "
            "its weights are no images"
        )
    planes = np.moveaxis(rows, 3, 1).reshape(-1, *shape[:2])
    return _images_of(network, target, planes, "maps", target.n_units)


def _kernel_images(network: Network, target: Layer) -> WeightImages:
    """Return the kernels of a convolution, one image for each filter and channel, or one in colour."""
    match target:
        case Conv2D():
            kernel = np.moveaxis(target.kernel, 3, 0)
        case Conv2DTranspose():
            kernel = np.moveaxis(target.kernel, 2, 0)
        case DepthwiseConv2D():
            kernel = np.moveaxis(target.kernel.reshape(*target.kernel.shape[:2], 1, -1), 3, 0)
        case SeparableConv2D():
            kernel = np.moveaxis(
                target.depthwise_kernel.reshape(*target.depthwise_kernel.shape[:2], 1, -1), 3, 0
            )
        case _:  # pragma: no cover - _weighted lets no other in
            raise InputError(f"layer '{target.name}' has no kernels")
    n_units = len(kernel)
    if kernel.shape[3] != 3:
        kernel = np.moveaxis(kernel, 3, 1).reshape(-1, *kernel.shape[1:3])
    return _images_of(network, target, np.ascontiguousarray(kernel), "kernels", n_units)


def _images_of(
    network: Network, target: Layer, images: Array, kind: WeightKind, n_units: int
) -> WeightImages:
    # A separable convolution has other filters than channels.
    names = network.unit_names(target.name)
    names = names if len(names) == n_units else tuple(str(j) for j in range(n_units))
    return WeightImages(images, target.name, kind, names, float(np.abs(images).max()), len(images) // n_units)
