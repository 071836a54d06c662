"""Weight images of a model file, converting it, and what of a network is maximized."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from probe._checks import InputError, check_choice
from probe._layout import input_layout
from probe.analyses.weights import (
    LayerWeights,
    NetworkWeights,
    WeightImages,
    WeightPicture,
    images_of_layers,
    weight_images,
)
from probe.figures.weights import SCALES, page_of, scale_of, words
from probe.kerasfile import open_model, read_provenance
from probe.layers import DataFormat
from probe.network import Network
from probe.objectives import Objective, class_logit, unit
from probe.storage import results_bytes, save_network
from probe.workflow._folder import Written, destination, drawn, model_stem, run_facts
from probe.workflow._owner import Owner
from probe.workflow._reading import READ_AS_IT_IS, Reading

if TYPE_CHECKING:
    from probe.report.report import Section

__all__ = [
    "READ_AS_IT_IS",
    "class_objectives",
    "convert_model",
    "for_shape",
    "unit_objectives",
    "weights_model",
    "weights_section",
]


_MOST_PICTURES = 16
"""Layers whose weights are drawn when none is named: the first ones."""

_MOST_BYTES = 64 << 20
"""Weight images that are kept, all layers together: those of a large network would not fit in memory."""


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
    pictures = dict[str, bytes]()

    def drawn_first(results: Iterable[WeightImages]) -> Iterator[WeightImages]:
        for result in results:
            if len(pictures) < _MOST_PICTURES:
                pictures[f"figures/weights_{len(pictures) + 1}.png"] = drawn(result, scale=scale)
            yield result

    weights, images = _kept(drawn_first(results), scale)
    if not weights.layers:
        raise InputError("no layer of this network has weights that form images")
    kept = {"weights": weights, **images}
    folder = destination(out, f"weights-{model_stem(model)}", Owner("probe weights", seed, None, model))
    folder.keep(
        run_facts("probe weights", seed, None)
        | {"model": str(model), "results": {name: result.to_dict() for name, result in kept.items()}},
        pictures | {"results.h5": results_bytes(kept)},
    )
    return Written(
        tuple(folder.files), _weights_summary([layer.layer for layer in weights.layers], len(pictures))
    )


def weights_section(
    network: Network, *, layout: DataFormat | None, is_tested: bool = False, note: str = ""
) -> Section:
    """Return the section on the weights of all layers; `is_tested` if another tests them for structure."""
    from probe.report.report import Section

    weights, images = _kept(images_of_layers(network, layout=layout))

    def images_of(index: int) -> WeightImages:
        known = images.get(f"weights_{index + 1}")
        return weight_images(network, weights.layers[index].layer, layout=layout) if known is None else known

    facts = {"n_drawn": _MOST_PICTURES, "images_of": images_of, "words": words, "is_tested": is_tested}
    return Section(key="weights", results={"weights": weights, **images}, facts=facts, note=note)


def _kept(
    results: Iterable[WeightImages], scale: str | None = None
) -> tuple[NetworkWeights, dict[str, WeightImages]]:
    """Return the numbers of all layers, and the images of as many as are kept, by name; one layer at a time."""
    layers, images, room = list[LayerWeights](), dict[str, WeightImages](), _MOST_BYTES
    for number, result in enumerate(results, start=1):
        layers.append(LayerWeights.of(result, _picture(result, scale)))
        if result.images.nbytes <= room:
            images[f"weights_{number}"] = result
            room -= result.images.nbytes
    return NetworkWeights(layers=tuple(layers)), images


def _picture(result: WeightImages, scale: str | None) -> WeightPicture:
    colors, page = scale_of(result, scale), page_of(result)
    return WeightPicture(
        scale=colors.kind,
        limit=colors.limit,
        n_images=len(result.images),
        n_faint=colors.n_faint,
        n_clipped=int(colors.clipped.sum()),
        units=tuple(result.unit_names[k] for k in page.units.tolist()),
    )


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
