"""What the hidden layers of a network in a model file learned: structure, concepts and paths, beside its controls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from probe._checks import InputError, check_integer
from probe._progress import Progress, silent
from probe.analyses.concepts import Concepts, concepts
from probe.analyses.paths import ExpandedWeights, expanded_weights
from probe.analyses.structure import WeightStructure, weight_structure
from probe.controls import Controls, control_networks
from probe.datasets import Split
from probe.fitting import doubt_about
from probe.network import Network
from probe.results import Record
from probe.workflow._folder import Written, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._pages import Job
from probe.workflow._reading import READ_AS_IT_IS, Reading

if TYPE_CHECKING:
    from probe.report.report import Section

__all__ = ["by_layer", "features_model", "features_sections", "paths_of", "structure_of"]

_MOST_PICTURES = 16
"""Layers whose paths are drawn: the first ones."""


def features_model(
    model: Path,
    *,
    data: str = "mnist",
    reading: Reading = READ_AS_IT_IS,
    n_networks: int = 20,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write what the hidden layers learned: structure of weights, concepts, paths; judged over `n_networks` controls.

    Raises
    ------
    InputError
        If the model or the data cannot be read or do not fit each other, or `out` cannot be written to.
    """
    from probe.report.report import Report

    check_integer("n_networks", n_networks, minimum=2)
    split = reading.split(data)
    network = reading.for_data(model, split)
    owner = Owner("probe features", seed, split, model)
    folder = destination(out, f"features-{model_stem(model)}", owner, ("index.html", "results.h5"))
    job = Job(folder, split, doubt=doubt_about(network))
    controls = control_networks(network, split, n_networks=n_networks, seed=seed, progress=progress)
    structure = structure_of(network, split, controls, seed=seed, progress=progress)
    found = concepts(network, split, controls=controls, seed=seed, progress=progress)
    paths = paths_of(network, split, controls, seed=seed)
    page = Report(
        title="What did the hidden layers learn?",
        subtitle=f"The network in {model.name}; data: {split.name}; beside it {controls.sentence}",
        sections=features_sections(structure, found, paths, controls=controls),
    )
    facts = {"model": str(model), "n_networks": n_networks}
    return job.publish(page, facts=facts, progress=progress).written()


def features_sections(
    structure: WeightStructure | str,
    found: Concepts,
    paths: Mapping[str, ExpandedWeights],
    *,
    note: str = "",
    controls: Controls | None = None,
) -> tuple[Section, ...]:
    """Return the sections on the hidden layers, in the order of a page; `controls` are kept beside their results."""
    from probe.report.report import Section

    results: dict[str, Record] = {} if isinstance(structure, str) else {"structure": structure}
    if controls is not None:
        results["controls"] = controls
    return (
        Section(key="structure", results=results, facts={"why": structure}, note=note),
        Section(key="concepts", results={"concepts": found}, note=note),
        Section(key="paths", results=paths, facts={"paths": paths, "n_drawn": _MOST_PICTURES}, note=note),
    )


def structure_of(
    network: Network, split: Split, others: Controls, *, seed: int, progress: Progress = silent
) -> WeightStructure | str:
    """Return the structure of the first layer's weight images, or why there is none to test."""
    try:
        return weight_structure(network, split, controls=others, seed=seed, progress=progress)
    except InputError as error:
        return str(error)


def paths_of(
    network: Network, split: Split, others: Controls | None, *, n_images: int = 1000, seed: int
) -> dict[str, ExpandedWeights]:
    """Return the expanded weights of every dense layer that has another below, down to the pixels, by name.

    A name ends in that of the layer, if that is a plain one, else in a number.
    """
    results = list[ExpandedWeights]()
    for layer in network.dense_layers[1:]:
        with suppress(InputError):
            results.append(
                expanded_weights(
                    network, split.test.images, layer.name, controls=others, n_images=n_images, seed=seed
                )
            )
    return by_layer(results)


def by_layer(results: Sequence[ExpandedWeights]) -> dict[str, ExpandedWeights]:
    """Return the results of several layers by name."""
    plain = re.compile(r"[A-Za-z0-9_-]{1,60}")
    return {
        f"paths_{result.layer if plain.fullmatch(result.layer) else number}": result
        for number, result in enumerate(results, start=1)
    }
