"""Weight images of the layers of a model file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

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
from probe.layers import DataFormat
from probe.network import Network
from probe.report import Section
from probe.storage import results_bytes
from probe.workflow._folder import Written, destination, drawn, model_stem, run_facts
from probe.workflow._owner import Owner
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
    seed: int = 0,
) -> Written:
    """Write the weight images of one layer, or of the first 16 that have some; the numbers of all.

    Parameters
    ----------
    model, seed
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
        Folder for results.json, results.h5 and figures; reports/weights-<name> by default.
    """
    if scale is not None:
        check_choice("scale", scale, SCALES)
    results: Iterable[WeightImages]
    if units is not None:
        results = [_some_units(model, layer, units, image_shape, source)]
    else:
        network = for_shape(source.network(model, image_shape), image_shape)
        layout = _layout(network, image_shape)
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
    owner = Owner("probe weights", seed, None, model)
    folder = destination(out, f"weights-{model_stem(model)}", owner)
    folder.keep(
        run_facts(owner)
        | {"model": str(model), "results": {name: result.to_dict() for name, result in kept.items()}},
        pictures | {"results.h5": results_bytes(kept)},
    )
    names, n_drawn = [repr(numbers.layer) for numbers in weights.layers], len(pictures)
    summary = f"weights of {', '.join(names[:n_drawn])}"
    if n_drawn < len(names):
        summary += f": the first {n_drawn} of {len(names)} layers"
        summary += "; --layer NAME draws another, results.json has the numbers of all"
    return Written(tuple(folder.files), summary)


def weights_section(
    network: Network, *, layout: DataFormat | None, is_tested: bool = False, note: str = ""
) -> Section:
    """Return the section on the weights of all layers; `is_tested` if another tests them for structure."""
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


def _layout(network: Network, image_shape: tuple[int, ...] | None) -> DataFormat | None:
    """Return where the channels of the inputs are if the caller named their shape, which is that of images."""
    return "channels_last" if image_shape is not None and input_layout(network) is None else None


def _some_units(
    model: Path,
    layer: str | None,
    units: slice,
    image_shape: tuple[int, ...] | None,
    source: Reading,
) -> WeightImages:
    """Return the weight images of some units of a layer, having read no others."""
    if layer is None:
        raise InputError("--units must come with --layer, the layer whose units they are")
    with source.open(model) as file:
        network = for_shape(file.network(ending_at=layer, units=units), image_shape)
    images = weight_images(network, layer, layout=_layout(network, image_shape))
    return replace(images, unit_names=tuple(str(k) for k in range(units.start, units.stop)))
