"""Weight images of a model file, converting it, and fitting networks to data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from probe._checks import InputError, check_choice
from probe._layout import input_layout
from probe.analyses.weights import WeightImages, images_of_layers, weight_images
from probe.datasets import Split
from probe.figures.weights import SCALES
from probe.layers import DataFormat
from probe.network import Network
from probe.objectives import Objective, class_logit, unit
from probe.storage import open_model, read_provenance, save_network
from probe.workflow._folder import Written, destination, drawn, run_facts
from probe.workflow._reading import READ_AS_IT_IS, Reading

__all__ = [
    "READ_AS_IT_IS",
    "class_objectives",
    "convert_model",
    "fitted",
    "for_shape",
    "unit_objectives",
    "weights_model",
]


_MOST_PICTURES = 16
"""Layers whose weights are drawn when none is named: the first ones."""


def weights_model(
    model: Path,
    *,
    layer: str | None = None,
    units: slice | None = None,
    image_shape: tuple[int, ...] | None = None,
    reading: Reading = READ_AS_IT_IS,
    scale: str | None = None,
    out: Path | None = None,
    seed: int = 0,
) -> Written:
    """Write the weight images of one layer, or of the first 16 that have some; the numbers of all.

    Parameters
    ----------
    scale : {"shared", "robust", "unit"}, optional
        As in `probe.draw`.
    """
    from probe.report.sections import weights_numbers

    if scale is not None:
        check_choice("scale", scale, SCALES)
    results: Iterable[WeightImages]
    if units is not None:
        results = [_some_units(model, layer, units, image_shape, reading)]
    else:
        network = for_shape(reading.network(model), image_shape)
        layout = _said(network, image_shape)
        results = (
            images_of_layers(network, layout=layout)
            if layer is None
            else [weight_images(network, layer, layout=layout)]
        )
    # One layer at a time: the images of all together may not fit in memory.
    pictures, layers = list[bytes](), dict[str, object]()
    for result in results:
        if len(pictures) < _MOST_PICTURES:
            pictures.append(drawn(result, scale=scale))
        layers[result.layer] = weights_numbers(result, scale)
    if not layers:
        raise InputError("no layer of this network has weights that form images")
    folder = destination(out, f"weights-{model.stem}")
    for place, png in enumerate(pictures):
        folder.picture(f"weights_{place + 1}", png)
    folder.numbers(
        run_facts("probe weights", seed, None) | {"model": str(model), "layers": layers, "verdicts": []}
    )
    return Written(tuple(folder.files), _weights_summary(list(layers), len(pictures)))


def _weights_summary(layers: list[str], n_drawn: int) -> str:
    names = ", ".join(map(repr, layers[:n_drawn]))
    if n_drawn == len(layers):
        return f"weights of {names}"
    return (
        f"weights of {names}: the first {n_drawn} of {len(layers)} layers; --layer NAME draws another, results.json has "
        "the numbers of all"
    )


def _said(network: Network, image_shape: tuple[int, ...] | None) -> DataFormat | None:
    """Return where the channels of the inputs are if the caller named their shape, which is that of images."""
    return "channels_last" if image_shape is not None and input_layout(network) is None else None


def _some_units(
    model: Path, layer: str | None, units: slice, image_shape: tuple[int, ...] | None, reading: Reading
) -> WeightImages:
    """Return the weight images of some units of a layer, having read no others."""
    if layer is None:
        raise InputError("--units must come with --layer, the layer whose units they are")
    with open_model(model, architecture=reading.architecture) as file:
        network = for_shape(file.network(ending_at=layer, units=units), image_shape)
    found = weight_images(network, layer, layout=_said(network, image_shape))
    return replace(found, unit_names=tuple(str(k) for k in range(units.start, units.stop)))


def convert_model(model: Path, to: Path, *, reading: Reading = READ_AS_IT_IS) -> Written:
    """Write a network that can be read as an HDF5 file that Keras and probe open."""
    network = reading.network(model)
    provenance = read_provenance(model) | {"converted_from": model.name}
    kept = save_network(network, to, provenance=provenance)
    return Written((kept,), f"{len(network.layers)} layers, {network.n_parameters:,} parameters")


def fitted(network: Network, split: Split) -> Network:
    """Return `network` for the data's images, or raise if shapes or classes do not fit."""
    _check_classes(network, "pass --output with a layer that does")
    network = network.for_images(split.train.image_shape)
    if network.n_classes == 1:
        raise InputError("the network has one output; networks with an output for each class are supported")
    if split.train.n_classes != network.n_classes:
        raise InputError(
            f"the network has {network.n_classes} classes, but '{split.name}' has {split.train.n_classes}; "
            f"pass --data with the data it was trained on"
        )
    ours, theirs = network.class_names, split.train.class_names
    if ours != theirs and not all(name.isdigit() for name in ours):
        raise InputError(
            f"the network's classes are {', '.join(ours)}, but those of '{split.name}' {', '.join(theirs)}"
        )
    return replace(network, class_names=theirs)


def for_shape(network: Network, image_shape: tuple[int, ...] | None) -> Network:
    """Return `network` for images of the shape that the caller named, if any."""
    if image_shape is not None:
        return network.for_images(image_shape)
    if len(network.input_shape) == 1:
        raise InputError(
            f"the network takes {network.input_shape[0]} values; pass --image-shape HEIGHT,WIDTH to say what image "
            f"they are, row by row"
        )
    layout, shape = input_layout(network), network.input_shape
    if len(shape) != 3 or layout == "channels_last":
        return network
    channels, height, width = shape
    if layout == "channels_first":
        return network.for_images((height, width) if channels == 1 else (height, width, channels))
    if channels in (1, 3) and width not in (1, 3):
        raise InputError(
            f"the network takes inputs of shape {shape}, and no layer says where their channels are; pass --image-shape "
            f"{height},{width},{channels} if first, --image-shape {channels},{height},{width} if last"
        )
    return network


def class_objectives(network: Network) -> list[Objective]:
    """Return the logit of every class."""
    _check_classes(network, "pass --layer with one of its layers")
    return [class_logit(k) for k in range(network.n_classes)]


def _check_classes(network: Network, advice: str) -> None:
    """Raise unless the network puts out one value for each class; a network of several outputs says how to choose."""
    shape = network.layer_shapes[network.head_name]
    if not network.n_classes:
        raise InputError(f"the network puts out {shape}, not one value for each class; {advice}")


def unit_objectives(
    network: Network, layers: Sequence[str], most: int | None = None, at: tuple[int, ...] | None = None
) -> list[Objective]:
    """Return every unit or channel of `layers`, or the first `most`; a channel's mean, or its value at a position."""
    found = []
    for layer in layers:
        found += [unit(layer, k, position=at) for k in range(network.n_units(layer))]
    return found if most is None else found[:most]
