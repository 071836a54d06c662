"""Weight images of the layers of a model file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from probe._checks import InputError, check_choice
from probe._layout import input_layout
from probe._progress import Progress, silent
from probe.analyses.weights import (
    LayerWeights,
    NetworkWeights,
    WeightImages,
    WeightPicture,
    images_of_layers,
    weight_images,
)
from probe.figures.weights import SCALES, page_of, scale_of, words
from probe.layers import DataFormat
from probe.network import Network
from probe.pages import Report, Section
from probe.workflow._folder import destination, file_name, model_stem
from probe.workflow._owner import Owner
from probe.workflow._written import Written
from probe.workflow.models import READ_AS_IT_IS, Reading, for_shape

__all__ = ["weights_model", "weights_section"]

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
    scale: Literal["shared", "robust", "unit"] | None = None,
    source: Reading = READ_AS_IT_IS,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write the weight images of one layer, or of the first 16 that have some; the numbers of all.

    Parameters
    ----------
    model, overwrite, seed, progress
        As for all commands; nothing is random.
    layer : str, optional
        Name of a dense or convolutional layer; all by default.
    units : slice, optional
        Units of the layer to draw; no other weights are read.
    image_shape : tuple of int, optional
        Shape of the images, for a network that takes each as a row of values.
    scale : {"shared", "robust", "unit"}, optional
        Weight that has the full color: the largest of all units ("shared"), the largest but for outliers ("robust"), or
        the largest of each unit ("unit"). By default "shared", or "robust" where most units would be blank.
    source : Reading
        What the model file does not say itself; of it the architecture, what is replaced and the shape of the inputs.
    out : Path, optional
        Folder for index.html, results.json, results.h5 and figures; reports/weights-<name> by default.
    """
    if scale is not None:
        check_choice("scale", scale, SCALES)
    name = f"weights-{model_stem(model)}"
    if units is not None:
        network, part = _some_units(model, layer, units, image_shape, source)
        results: Iterable[WeightImages] = [part]
        # What was read is a part of the network, which has a folder of its own.
        name = file_name(f"{name}-{part.layer}-{units.start}-{units.stop}")
    else:
        network = for_shape(source.network(model, image_shape), image_shape)
        layout = _layout(network, image_shape)
        results = (
            images_of_layers(network, layout=layout)
            if layer is None
            else [weight_images(network, layer, layout=layout)]
        )
    owner = Owner("probe weights", seed, None, model).about(network)
    folder = destination(out, name, owner, overwrite=overwrite)
    section = _section(
        results,
        lambda layer: part if units is not None else weight_images(network, layer, layout=layout),
        scale=scale,
    )
    weights = section.results["weights"]
    assert isinstance(weights, NetworkWeights)
    if not weights.layers:
        raise InputError("no layer of this network has weights that form images")
    page = Report(
        title="What do the units look for?", subtitle=f"The network in {model.name}", sections=(section,)
    )
    written = folder.publish(page, facts={"model": str(model)}, progress=progress)
    names = [repr(numbers.layer) for numbers in weights.layers]
    n_drawn = min(len(names), _MOST_PICTURES)
    summary = f"weights of {', '.join(names[:n_drawn])}"
    if n_drawn < len(names):
        summary += f": the first {n_drawn} of {len(names)} layers"
        summary += "; --layer NAME draws another, results.json has the numbers of all"
    return replace(written, summary=summary)


def weights_section(
    network: Network, *, layout: DataFormat | None, is_tested: bool = False, note: str = ""
) -> Section:
    """Return the section on the weights of all layers; `is_tested` if another tests them for structure."""
    return _section(
        images_of_layers(network, layout=layout),
        lambda layer: weight_images(network, layer, layout=layout),
        is_tested=is_tested,
        note=note,
    )


def _section(
    results: Iterable[WeightImages],
    again: Callable[[str], WeightImages],
    *,
    scale: str | None = None,
    is_tested: bool = False,
    note: str = "",
) -> Section:
    """Return the section on some layers; `again` gives the images of a layer that are not kept."""
    weights, images = _kept(results, scale)

    def images_of(index: int) -> WeightImages:
        known = images.get(f"weights_{index + 1}")
        return again(weights.layers[index].layer) if known is None else known

    facts = {
        "n_drawn": _MOST_PICTURES,
        "images_of": images_of,
        "words": words,
        "scale": scale,
        "is_tested": is_tested,
    }
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


def _layout(network: Network, image_shape: tuple[int, ...] | None) -> DataFormat | None:
    """Return where the channels of the inputs are if the caller named their shape, which is that of images."""
    return "channels_last" if image_shape is not None and input_layout(network) is None else None


def _some_units(
    model: Path,
    layer: str | None,
    units: slice,
    image_shape: tuple[int, ...] | None,
    source: Reading,
) -> tuple[Network, WeightImages]:
    """Return what was read of a network for some units of a layer, and their weight images."""
    if layer is None:
        raise InputError("--units must come with --layer, the layer whose units they are")
    with source.open(model) as file:
        network = for_shape(file.network(ending_at=layer, units=units), image_shape)
    images = weight_images(network, layer, layout=_layout(network, image_shape))
    return network, replace(images, unit_names=tuple(str(k) for k in range(units.start, units.stop)))
