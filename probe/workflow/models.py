"""Weight images of a model file, converting it, and what of a network is maximised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from probe._checks import InputError
from probe.analyses.weights import WeightImages, layers_with_images, weight_images
from probe.network import Network
from probe.objectives import Objective, class_logit, unit
from probe.storage import open_model, read_provenance, save_network
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


def weights_model(
    model: Path,
    *,
    layer: str | None = None,
    units: slice | None = None,
    image_shape: tuple[int, ...] | None = None,
    reading: Reading = READ_AS_IT_IS,
    out: Path | None = None,
    seed: int = 0,
) -> Written:
    """Write the weight images of one layer, or of every layer that has some."""
    if units is not None:
        results = [_some_units(model, layer, units, image_shape, reading)]
    else:
        network = for_shape(reading.network(model), image_shape)
        results = layers_with_images(network) if layer is None else [weight_images(network, layer)]
    if not results:
        raise InputError("no layer of this network has weights that form images")
    folder = destination(out, f"weights-{model_stem(model)}", Owner("probe weights", seed, None, model))
    pictures = {f"figures/weights_{place + 1}.png": drawn(result) for place, result in enumerate(results)}
    layers = {
        r.layer: {"n_units": len(r.unit_names), "kind": r.kind, "scale": r.scale, "shape": r.images.shape}
        for r in results
    }
    folder.keep(
        run_facts("probe weights", seed, None) | {"model": str(model), "layers": layers, "verdicts": []},
        pictures,
    )
    return Written(tuple(folder.files), f"weights of {', '.join(repr(r.layer) for r in results)}")


def _some_units(
    model: Path, layer: str | None, units: slice, image_shape: tuple[int, ...] | None, reading: Reading
) -> WeightImages:
    """Return the weight images of some units of a layer, having read no others."""
    if layer is None:
        raise InputError("--units must come with --layer, the layer whose units they are")
    with open_model(model, architecture=reading.architecture) as file:
        network = for_shape(file.network(ending_at=layer, units=units), image_shape)
    found = weight_images(network, layer)
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
        return network.for_images(image_shape)
    if len(network.input_shape) == 1:
        raise InputError(
            f"the network takes {network.input_shape[0]} values; pass --image-shape HEIGHT,WIDTH to say what image "
            f"they are, row by row"
        )
    channels, *rest = network.input_shape
    if len(rest) == 2 and channels in (1, 3) and rest[1] not in (1, 3):
        return network.for_images((*rest, 3) if channels == 3 else tuple(rest))
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
