"""Inputs that maximize what a network in a model file computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from probe._checks import Array, InputError, check_choice
from probe._progress import Progress, silent
from probe._signatures import check_arguments
from probe.analyses.maximize import Maximization, maximize
from probe.ascent import Ball, Blurred, Box, Fourier, Pixels, Shift, parse_objective
from probe.datasets import DataSource, Split
from probe.fitting import doubt_about, for_data
from probe.network import Network
from probe.objectives import AnyObjective, Objective, class_logit, unit
from probe.pages import Report, Section
from probe.storage import result_bytes, result_from_bytes
from probe.workflow._folder import destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._written import Written
from probe.workflow.models import READ_AS_IT_IS, Reading, for_shape

__all__ = ["class_objectives", "maximize_model", "unit_objectives"]

_PARAMETERIZATIONS: dict[str, Pixels | Fourier | Blurred] = {
    "pixels": Pixels(),
    "fourier": Fourier(),
    "blurred": Blurred(),
}

_FRAMES = 30


def maximize_model(
    model: Path,
    *,
    objectives: list[str] | None = None,
    layer: str | None = None,
    position: tuple[int, ...] | None = None,
    data: str | DataSource | None = None,
    image_shape: tuple[int, ...] | None = None,
    reading: Reading = READ_AS_IT_IS,
    options: Mapping[str, Any] | None = None,
    parameterization: Literal["pixels", "fourier", "blurred"] = "pixels",
    shift: int = 0,
    ball: float | None = None,
    animation: Literal["none", "gif"] = "none",
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write the inputs that maximize every class, every unit or channel of a layer, or the objectives named.

    Parameters
    ----------
    model, reading, overwrite, seed, progress
        As for all commands.
    objectives : list of str, optional
        What to maximize instead of every class, such as "class:3 - class:8", "hidden_1:4", "-hidden_1:4" or
        "conv2d:4@3,3"; see `probe.parse_objective`.
    layer : str, optional
        Layer whose units or channels to maximize instead of the classes.
    position : tuple of int, optional
        Row and column of the value of a channel to maximize. By default its mean over all positions.
    data : str or DataSource, optional
        Data with the real images to compare with: those with the largest values are shown. None by default.
    image_shape : tuple of int, optional
        Shape of the images, for a network that takes each as a row of values.
    options : mapping, optional
        Further arguments of `probe.maximize`.
    parameterization : {"pixels", "fourier", "blurred"}
        Variables of the ascent: single pixels, Fourier coefficients, or an image that is blurred.
    shift : int
        Largest shift in pixels: the objective is averaged over all shifts by up to so many; 0 for none.
    ball : float, optional
        Largest L2 norm of an image. By default only the pixels are limited, to [0, 1].
    animation : {"none", "gif"}
        Whether to write an animation of the ascent.
    out : Path, optional
        Folder for index.html, results.json, results.h5 and figures; reports/maximize-<name> by default.

    Raises
    ------
    InputError
        If an argument is outside its range or does not fit the network, or `out` cannot be written to.
    """
    options = dict(options or {})
    check_arguments(maximize, options)
    check_choice("animation", animation, ("none", "gif"))
    check_choice("parameterization", parameterization, _PARAMETERIZATIONS)
    split = None if data is None else reading.split(data)
    network = _network(model, reading, image_shape, split)
    if split is not None and network.n_classes == split.test.n_classes:
        network = for_data(network, split)
    chosen, name = _objectives(network, objectives, layer, position)
    owner = Owner("probe maximize", seed, split, model).about(network)
    folder = destination(
        out, f"maximize-{model_stem(model)}", owner, ("index.html", "results.h5"), overwrite=overwrite
    )
    result = maximize(
        network,
        chosen,
        parameterization=_PARAMETERIZATIONS[parameterization],
        transform=Shift(shift) if shift else None,
        region=Box() if ball is None else Ball(ball),
        images=None if split is None else split.test,
        frames=_FRAMES if animation == "gif" else None,
        seed=seed,
        progress=progress,
        **options,
    )
    beside = {}
    if animation == "gif":
        from probe.figures.maximize import animation as animated

        beside[f"figures/{name}.gif"] = animated(result)
    rescored = _rescored(result, _network(model, reading, image_shape, split))
    page = Report(
        title="What does it want to see?",
        subtitle=f"The network in {model.name}" + ("" if split is None else f"; data: {split.name}"),
        sections=(Section(key="maximize", results={name: result}),),
        warning=doubt_about(network),
    )
    facts = {"model": str(model), "steps": result.traces.shape[-1] - 1, "rescored": rescored}
    written = folder.publish(page, facts=facts, beside=beside, progress=progress)
    return replace(written, summary=_summary(result, rescored))


def _network(
    model: Path, reading: Reading, image_shape: tuple[int, ...] | None, split: Split | None
) -> Network:
    if split is None:
        return for_shape(reading.network(model, image_shape), image_shape)
    if image_shape is not None and image_shape != split.test.image_shape:
        raise InputError(
            f"image_shape must be that of '{split.name}', {split.test.image_shape}, or be left out; got {image_shape}"
        )
    return reading.network(model, split.test.image_shape).with_input_shape(split.test.image_shape)


def _objectives(
    network: Network, texts: Sequence[str] | None, layer: str | None, position: tuple[int, ...] | None
) -> tuple[Sequence[AnyObjective], str]:
    """Return what to maximize, and what to call the result."""
    if texts:
        if layer is not None or position is not None:
            raise InputError(
                "objectives must not come with a layer or a position: write them as LAYER:UNIT and "
                "LAYER:CHANNEL@ROW,COLUMN"
            )
        return [parse_objective(text, network) for text in texts], "maximize_objectives"
    if layer is not None:
        return unit_objectives(network, [layer], at=position), "maximize_units"
    if position is not None:
        raise InputError("position must come with a layer of feature maps: a class has no positions")
    return class_objectives(network), "maximize_classes"


def _rescored(result: Maximization, network: Network) -> Array:
    """Return the objectives' values on the images that are kept, of shape (n_objectives, n_restarts).

    They are read anew, so that what is reported is what is in the file.
    """
    kept = result_from_bytes(result_bytes(result), Maximization, "the result")
    batch = [objective for objective in kept.objectives for _ in range(kept.images.shape[1])]
    images = kept.images.reshape(-1, *network.input_shape)
    return network.objective_gradient(images, batch)[0].reshape(kept.values.shape)


def _summary(result: Maximization, rescored: Array) -> str:
    best, reached = result.best_values, result.reached
    words = f"{len(best)} objectives, values {best.min():.3g} to {best.max():.3g}"
    if np.isfinite(reached).any():
        words += f", {np.nanmin(reached):.1%} to {np.nanmax(reached):.1%} of the way between their bounds"
    off = float(np.abs(rescored - result.values).max())
    return f"{words}; scored anew on the saved images: " + (
        "the same" if off == 0 else f"{off:.2g} off at most"
    )


def class_objectives(network: Network) -> list[Objective]:
    """Return the logit of every class."""
    network.check_classes("; pass --layer with one of its layers")
    return [class_logit(k) for k in range(network.n_classes)]


def unit_objectives(
    network: Network, layers: Sequence[str], most: int | None = None, at: tuple[int, ...] | None = None
) -> list[Objective]:
    """Return every unit or channel of `layers`, or the first `most`; a channel's mean, or its value at a position."""
    objectives = [unit(layer, k, position=at) for layer in layers for k in range(network.n_units(layer))]
    return objectives[:most]
