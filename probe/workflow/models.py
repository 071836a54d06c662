"""Weight images of a model file, converting it, and what of a network is maximised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from probe._checks import InputError, check_choice
from probe._layout import input_layout
from probe.analyses.weights import WeightImages, images_of_layers, weight_images
from probe.figures.weights import SCALES
from probe.kerasfile import open_model, read_provenance
from probe.layers import DataFormat
from probe.network import Network
from probe.objectives import Objective, class_logit, unit
from probe.storage import save_network
from probe.workflow._folder import Written, destination, drawn, model_stem, run_facts
from probe.workflow._owner import Owner
from probe.workflow._reading import READ_AS_IT_IS, Reading

__all__ = [
    "READ_AS_IT_IS",
    "class_objectives",
    "convert_model",
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
        As in `probe.plot`.
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
    folder = destination(out, f"weights-{model_stem(model)}", Owner("probe weights", seed, None, model))
    folder.keep(
        run_facts("probe weights", seed, None) | {"model": str(model), "layers": layers, "verdicts": []},
        {f"figures/weights_{place + 1}.png": png for place, png in enumerate(pictures)},
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
    """Write a network that can be read as an HDF5 file that Keras and probe open.

    Raises
    ------
    InputError
        If the model cannot be read, or `to` has the ending of another kind of file, or exists and was not converted
        from this model before.
    """
    _check_converted(model, to)
    network = reading.network(model)
    provenance = read_provenance(model) | {"converted_from": model.name}
    kept = save_network(network, to, provenance=provenance)
    return Written((kept,), f"{len(network.layers)} layers, {network.n_parameters:,} parameters")


def _check_converted(model: Path, to: Path) -> None:
    """Raise unless `to` is the name of an HDF5 file that may be written."""
    if to.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(
            f"OUT must end in .h5 or .hdf5, for HDF5 is what is written and Keras goes by the ending; got {to}. "
            f"Pass {to.with_suffix('.h5')}"
        )
    if to.is_file():
        try:
            converted = read_provenance(to).get("converted_from")
        except InputError:
            converted = None
        if converted != model.name or to.samefile(model):
            raise InputError(
                f"{to} exists, and was not converted from {model.name} before. Pass another name, or remove it"
            )


def for_shape(network: Network, image_shape: tuple[int, ...] | None) -> Network:
    """Return `network` for images of the shape that the caller named, if any."""
    if image_shape is not None:
        return network.with_input_shape(image_shape)
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
        return network.with_input_shape((height, width) if channels == 1 else (height, width, channels))
    if channels in (1, 3) and width not in (1, 3):
        raise InputError(
            f"the network takes inputs of shape {shape}, and no layer says where their channels are; pass --image-shape "
            f"{height},{width},{channels} if first, --image-shape {channels},{height},{width} if last"
        )
    return network


def class_objectives(network: Network) -> list[Objective]:
    """Return the logit of every class."""
    network.check_classes("; pass --layer with one of its layers")
    return [class_logit(k) for k in range(network.n_classes)]


def unit_objectives(
    network: Network, layers: Sequence[str], most: int | None = None, at: tuple[int, ...] | None = None
) -> list[Objective]:
    """Return every unit or channel of `layers`, or the first `most`; a channel's mean, or its value at a position."""
    found = []
    for layer in layers:
        found += [unit(layer, k, position=at) for k in range(network.n_units(layer))]
    return found if most is None else found[:most]
