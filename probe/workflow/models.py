"""Analyses of a network in a model file: weights, maximisation, noise; and fitting networks to data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from probe._checks import InputError
from probe._progress import Progress, silent
from probe.analyses.maximize import maximize
from probe.analyses.noise import noise_confidence
from probe.analyses.weights import weight_images
from probe.datasets import Split, load_dataset
from probe.network import Network
from probe.objectives import Objective, class_logit, unit
from probe.storage import load_network
from probe.workflow._folder import Written, destination, drawn, run_facts

__all__ = [
    "class_objectives",
    "fitted",
    "for_shape",
    "maximize_model",
    "noise_model",
    "unit_objectives",
    "weights_model",
]


def weights_model(
    model: Path,
    *,
    layer: str | None = None,
    image_shape: tuple[int, ...] | None = None,
    out: Path | None = None,
    seed: int = 0,
) -> Written:
    """Write the weight images of one layer, or of every dense layer."""
    network = for_shape(load_network(model), image_shape)
    folder = destination(out, f"weights-{model.stem}")
    names = [dense.name for dense in network.dense_layers] if layer is None else [layer]
    results = [weight_images(network, name) for name in names]
    for place, png in enumerate([drawn(result) for result in results]):
        folder.picture(f"weights_{place + 1}", png)
    layers = {
        r.layer: {"n_units": len(r.images), "kind": r.kind, "scale": r.scale, "shape": r.images.shape}
        for r in results
    }
    folder.numbers(
        run_facts("probe weights", seed, None) | {"model": str(model), "layers": layers, "verdicts": []}
    )
    return Written(tuple(folder.files), f"weights of {', '.join(repr(r.layer) for r in results)}")


def maximize_model(
    model: Path,
    *,
    layer: str | None = None,
    image_shape: tuple[int, ...] | None = None,
    restarts: int = 4,
    steps: int = 200,
    l2: float = 0.0,
    total_variation: float = 0.0,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write the inputs that maximise every class, or every unit of a layer."""
    network = for_shape(load_network(model), image_shape)
    folder = destination(out, f"maximize-{model.stem}")
    objectives = class_objectives(network) if layer is None else unit_objectives(network, [layer])
    result = maximize(
        network,
        objectives,
        restarts=restarts,
        steps=steps,
        l2=l2,
        total_variation=total_variation,
        seed=seed,
        progress=progress,
    )
    folder.picture("maximize_classes" if layer is None else "maximize_units", drawn(result))
    folder.numbers(
        run_facts("probe maximize", seed, None)
        | {
            "model": str(model),
            "objectives": list(result.names),
            "values": result.values,
            "start_values": result.start_values,
            "confidences": result.confidences,
            "predictions": result.predictions,
            "l2": l2,
            "total_variation": total_variation,
            "steps": steps,
            "verdicts": [],
        }
    )
    lowest, highest = result.best_values.min(), result.best_values.max()
    return Written(tuple(folder.files), f"{len(objectives)} objectives, values {lowest:.3g} to {highest:.3g}")


def noise_model(
    model: Path, *, data: str = "mnist", out: Path | None = None, seed: int = 0, n_images: int | None = None
) -> Written:
    """Write how confident a network is on noise."""
    from probe.report.sections import noise_section

    split = load_dataset(data)
    network = fitted(load_network(model), split)
    folder = destination(out, f"noise-{model.stem}")
    result = noise_confidence(network, split, seed=seed, n_images=n_images)
    folder.picture("noise", drawn(result))
    section, claim = noise_section(result)
    folder.numbers(
        run_facts("probe noise", seed, split)
        | {"model": str(model), "noise": section.numbers, "verdicts": []}
    )
    return Written(tuple(folder.files), claim.found)


def fitted(network: Network, split: Split) -> Network:
    """Return `network` for the data's images, or raise if shapes or classes do not fit."""
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
    return network


def class_objectives(network: Network) -> list[Objective]:
    """Return the logit of every class."""
    return [class_logit(k) for k in range(network.n_classes)]


def unit_objectives(network: Network, layers: Sequence[str], most: int | None = None) -> list[Objective]:
    """Return every unit of `layers`, or the first `most`; raise if a layer is not one of units."""
    found = []
    for layer in layers:
        network.layer(layer)
        shape = network.layer_shapes[layer]
        if len(shape) != 1:
            raise InputError(f"layer '{layer}' has outputs of shape {shape}; pass a layer of units")
        found += [unit(layer, k) for k in range(shape[0])]
    return found if most is None else found[:most]
