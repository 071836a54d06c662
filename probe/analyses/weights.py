"""What the weights into each unit look like, laid out as the image that they read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from probe._checks import Array, InputError, check_choice
from probe._layout import input_layout, map_layout
from probe._signatures import checked
from probe.layers import DataFormat, Dense, Layer, LocallyConnected2D
from probe.network import Network
from probe.results import Columns, Record, Result

__all__ = [
    "LayerWeights",
    "NetworkWeights",
    "WeightImages",
    "WeightKind",
    "WeightPicture",
    "images_of_layers",
    "weight_images",
]

WeightKind = Literal["weights", "expanded", "kernels", "maps"]


class WeightImages(Result):
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
        Largest absolute weight: one symmetric color limit for all images.
    planes : int
        Images of each unit.
    """

    images: Array
    layer: str
    kind: WeightKind
    unit_names: tuple[str, ...]
    scale: float
    planes: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """A label for each image: the unit's name, and the channel where there are several."""
        if self.planes == 1:
            return self.unit_names
        return tuple(f"{unit}:{plane}" for unit in self.unit_names for plane in range(self.planes))

    @property
    def norms(self) -> Array:
        """Length of each unit's weights: the root of their summed squares, of shape (n_units,)."""
        rows = self.images.reshape(len(self.unit_names), -1)
        found: Array = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        return found

    @property
    def largest(self) -> Array:
        """Largest absolute weight of each image, of shape (n_images,)."""
        rows = self.images.reshape(len(self.images), -1)
        # Not the largest of the absolute weights, which would be a copy of them all.
        found: Array = np.maximum(rows.max(axis=1), -rows.min(axis=1))
        return found

    def columns(self) -> Columns:
        """Return one row for each unit."""
        largest = self.largest.reshape(len(self.unit_names), -1).max(axis=1)
        return {"unit": self.unit_names, "norm": self.norms, "largest": largest}


class WeightPicture(Record):
    """What a picture of a layer's weights shows.

    Attributes
    ----------
    scale : {"shared", "robust", "unit"}
        What full color is; see `probe.plot`.
    limit : float
        Absolute weight of full color; of "unit", 1.
    n_images, n_faint, n_clipped : int
        Images of the layer, those that would be blank on a shared scale, and those with weights beyond twice the limit.
    units : tuple of str
        Names of the units that are shown.
    """

    scale: str
    limit: float
    n_images: int
    n_faint: int
    n_clipped: int
    units: tuple[str, ...]


class LayerWeights(Record):
    """The weights of one layer in numbers: those of all units, without their images.

    Attributes
    ----------
    layer, kind, unit_names, scale, planes
        As in `WeightImages`.
    shape : tuple of int
        Of the images.
    norms, largest : tuple of float
        Length of each unit's weights, and its largest absolute weight.
    picture : WeightPicture
        What the picture of the layer shows.
    """

    layer: str
    kind: WeightKind
    unit_names: tuple[str, ...]
    scale: float
    planes: int
    shape: tuple[int, ...]
    norms: tuple[float, ...]
    largest: tuple[float, ...]
    picture: WeightPicture

    @classmethod
    def of(cls, result: WeightImages, picture: WeightPicture) -> LayerWeights:
        """Return the numbers of a layer's images."""
        columns = result.columns()
        return cls(
            layer=result.layer,
            kind=result.kind,
            unit_names=result.unit_names,
            scale=result.scale,
            planes=result.planes,
            shape=result.images.shape,
            norms=tuple(map(float, columns["norm"])),
            largest=tuple(map(float, columns["largest"])),
            picture=picture,
        )


class NetworkWeights(Record):
    """The weights of all layers in numbers, also where their images are too many to be kept.

    Attributes
    ----------
    layers : tuple of LayerWeights
        The layers that have images, in order.
    """

    layers: tuple[LayerWeights, ...]


@checked
def weight_images(
    network: Network, layer: str = "first", *, layout: DataFormat | None = None
) -> WeightImages:
    """Return the weights into every unit of a layer as images.

    A dense layer is shown on the network's input; where convolutions lie below it, on the feature maps
    that it reads. A convolution's kernels are shown for each filter: in color if it reads three channels, else one
    image for each channel.

    Parameters
    ----------
    network : Network
        A network with inputs of shape (height, width) or (height, width, channels).
    layer : str
        Name of a dense or convolutional layer, or "first" for the first one. For a deeper dense layer the
        images are expanded weights: the product of the kernels from the pixels to it, with the scales of
        normalizations between them.
    layout : {"channels_last", "channels_first"}, optional
        Position of the channels in the network's inputs, if no convolution or pooling layer says it. The default is
        last. If the input shape leaves both possible, an error asks for it.

    Raises
    ------
    InputError
        If there is no such layer, it has no weights that form images, the inputs are no images, or `layout`
        is not what the layers say or has to be given.

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
            f"{network.input_shape}; put a Flatten layer in front with network.with_input_shape((height, width))"
        )
    target = _weighted(network, layer)
    if isinstance(target, Dense):
        return _dense_images(network, target, layout)
    return _kernel_images(network, target)


@checked
def images_of_layers(network: Network, *, layout: DataFormat | None = None) -> Iterator[WeightImages]:
    """Give the weight images of every layer that has some, in order; of one layer at a time.

    Raises
    ------
    InputError
        If the inputs are no images, or `layout` is not what the layers say or has to be given.
    """
    if len(network.input_shape) == 3:
        _layout_of_inputs(network, layout)
    for layer in network.layers:
        if layer.has_kernels:
            try:
                found = weight_images(network, layer.name, layout=layout)
            except InputError:
                continue
            yield found


def _layout_of_inputs(network: Network, layout: DataFormat | None) -> DataFormat:
    """Return where the channels of the inputs are: as the layers say, or as the caller does."""
    known, shape = input_layout(network), network.input_shape
    if layout is not None:
        check_choice("layout", layout, ("channels_last", "channels_first"))
        if known not in (None, layout):
            raise InputError(f"layout must be '{known}', as the layers of this network say, got '{layout}'")
        return layout
    if known is None and shape[0] in (1, 3) and shape[2] not in (1, 3):
        raise InputError(
            f"layout must be given for inputs of shape {shape}: 'channels_first' if these are {shape[0]} channels of "
            f"{shape[1]} x {shape[2]} pixels, 'channels_last' if {shape[2]} channels of {shape[0]} x {shape[1]}"
        )
    return known or "channels_last"


def _weighted(network: Network, layer: str) -> Layer:
    """Return the layer called `layer`, if it is dense or a convolution."""
    known = [known for known in network.layers if known.has_kernels]
    if not known:
        raise InputError("weight images need a dense or convolutional layer, but this network has none")
    if layer == "first":
        return known[0]
    found = network.layer(layer)
    if found not in known:
        names = ", ".join(f"'{each.name}'" for each in known)
        raise InputError(f"layer '{layer}' has no weights on units; pass one of {names}")
    return found


def _dense_images(network: Network, target: Dense, layout: DataFormat | None) -> WeightImages:
    kind: WeightKind = "weights"
    shape = network.input_shapes_of(target.name)[0]
    if len(shape) != 1:
        raise InputError(f"layer '{target.name}' reads {shape}, not a vector; its weights are no images")
    rows: Array = target.kernel.T
    below = _chain_below(network, target)
    for index, layer in enumerate(below):
        deeper = below[index + 1 :]
        if isinstance(layer, Dense) and len(network.input_shapes_of(layer.name)[0]) == 1:
            rows, kind = rows @ layer.kernel.T, "expanded"
        elif layer.rearranges or (layer.scales and any(isinstance(other, Dense) for other in deeper)):
            rows = _pulled_back(network, layer, rows)
        elif not layer.scales:
            if kind == "expanded":
                raise InputError(
                    f"expanded weights need dense layers down to the pixels, but '{layer.name}' is not"
                )
            return _map_images(network, target, rows, layer.name, layout)
    images = np.ascontiguousarray(rows).reshape(-1, *network.input_shape)
    if images.ndim == 4 and _layout_of_inputs(network, layout) == "channels_first":
        images = np.moveaxis(images, 1, 3)
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
    pullback = layer.pre_activation(np.zeros((len(rows), *shape), rows.dtype))[1]
    found: Array = pullback(rows)
    return found


def _map_images(
    network: Network, target: Dense, rows: Array, source: str, layout: DataFormat | None
) -> WeightImages:
    """Return a dense layer's weights on the feature maps that `source` puts out, an image for each channel."""
    shape = network.layer_shapes[source]
    if rows[0].shape != shape or len(shape) != 3:
        raise InputError(
            f"layer '{target.name}' reads {len(rows[0].ravel())} values of '{source}' that are no feature maps; "
            "its weights are no images"
        )
    found = map_layout(network, source) or _layout_of_inputs(network, layout)
    by_channel = rows if found == "channels_first" else np.moveaxis(rows, 3, 1)
    planes = np.ascontiguousarray(by_channel).reshape(-1, *by_channel.shape[2:])
    return _images_of(network, target, planes, "maps", target.n_units)


def _kernel_images(network: Network, target: Layer) -> WeightImages:
    """Return the kernels of a convolution, one image for each filter and channel, or one in color."""
    if isinstance(target, LocallyConnected2D):
        raise InputError(
            f"layer '{target.name}' has other weights at each place of the image; they are no images"
        )
    name, axes = next(iter(target.kernel_axes.items()))
    values: Array = target.variables[name]
    if values.ndim == 3:
        # Kernels of signals are images of one row.
        values, axes = values[None], tuple(axis + 1 for axis in axes)
    rows, columns, *_ = values.shape
    by_filter = np.moveaxis(values, axes, range(len(axes)))
    kernel: Array = by_filter.reshape(math.prod(by_filter.shape[: len(axes)]), rows, columns, -1)
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
    return WeightImages(
        images=images,
        layer=target.name,
        kind=kind,
        unit_names=names,
        scale=float(max(images.max(), -images.min())),
        planes=len(images) // n_units,
    )
