"""What the hidden layers of a network in a model file learned: structure, concepts and paths, beside its controls."""

from __future__ import annotations

from pathlib import Path

from probe._checks import InputError, check_integer
from probe._progress import Progress, silent
from probe.analyses.concepts import Concepts, concepts
from probe.analyses.paths import ExpandedWeights, expanded_weights
from probe.analyses.structure import WeightStructure, weight_structure
from probe.controls import Controls, control_networks
from probe.datasets import Split
from probe.fitting import doubt_about
from probe.network import Network
from probe.workflow._folder import Written, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._pages import Job, Part
from probe.workflow._reading import READ_AS_IT_IS, Reading

__all__ = ["features_model", "features_parts", "paths_of", "structure_of"]


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
    from probe.report.paths import file_names

    check_integer("n_networks", n_networks, minimum=2)
    split = reading.split(data)
    network = reading.for_data(model, split)
    owner = Owner("probe features", seed, split, model)
    files = ("index.html", "controls.h5", "concepts.h5", "structure.h5")
    job = Job(
        destination(out, f"features-{model_stem(model)}", owner, files), split, doubt=doubt_about(network)
    )
    others = control_networks(network, split, n_networks=n_networks, seed=seed, progress=progress)
    structure = structure_of(network, split, others, seed=seed, progress=progress)
    found = concepts(network, split, controls=others, seed=seed, progress=progress)
    paths = paths_of(network, split, others, seed=seed)
    parts = features_parts(structure, found, paths)
    results: dict[str, object] = {"controls": others, "concepts": found}
    if not isinstance(structure, str):
        results["structure"] = structure
    results |= dict(zip(file_names(paths), paths, strict=True))
    seconds = job.write(
        "What did the hidden layers learn?",
        f"The network in {model.name}; data: {split.name}; beside it {others.sentence}",
        parts,
        results=results,
        numbers={"model": str(model), "n_networks": n_networks},
        progress=progress,
    )
    verdicts = [claim.verdict for _, claims in parts for claim in claims if claim.verdict is not None]
    shown = [f"{verdict.title}: {verdict.decision}" for verdict in verdicts]
    return Written(tuple(job.folder.files), "\n".join([*shown, f"{seconds:.0f} s"]))


def features_parts(
    structure: WeightStructure | str, found: Concepts, paths: tuple[ExpandedWeights, ...]
) -> list[Part]:
    """Return the sections on the hidden layers, in the order of a page."""
    from probe.report import Section
    from probe.report.concepts import concepts_section
    from probe.report.paths import paths_section
    from probe.report.structure import structure_section

    if isinstance(structure, str):
        why = f"The weights of this network are not tested for structure: {structure}."
        first: Part = Section("structure", "Is there structure in the weights?", (why,)), ()
    else:
        first = structure_section(structure)
    return [first, concepts_section(found), paths_section(paths)]


def structure_of(
    network: Network,
    split: Split,
    others: Controls,
    *,
    n_null: int = 999,
    seed: int,
    progress: Progress = silent,
) -> WeightStructure | str:
    """Return the structure of the first layer's weight images, or why there is none to test."""
    try:
        return weight_structure(network, split, controls=others, n_null=n_null, seed=seed, progress=progress)
    except InputError as error:
        return str(error)


def paths_of(
    network: Network, split: Split, others: Controls | None, *, n_images: int = 1000, seed: int
) -> tuple[ExpandedWeights, ...]:
    """Return the expanded weights of every dense layer that has another below, down to the pixels."""
    found = []
    for layer in network.dense_layers[1:]:
        try:
            found.append(
                expanded_weights(
                    network, split.test.images, layer.name, controls=others, n_images=n_images, seed=seed
                )
            )
        except InputError:
            continue
    return tuple(found)
