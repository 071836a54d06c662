"""The cost around and along the way of the network in a model file."""

from __future__ import annotations

from pathlib import Path

from probe._progress import Progress, silent
from probe.analyses.landscape import Landscape, landscape
from probe.costs import CostName
from probe.fitting import doubt_about
from probe.report.report import Report, Section
from probe.workflow._folder import Written, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._pages import Job
from probe.workflow._reading import READ_AS_IT_IS, Reading

__all__ = ["landscape_model", "landscape_sections"]


def landscape_model(
    model: Path,
    *,
    data: str = "mnist",
    reading: Reading = READ_AS_IT_IS,
    cost: CostName = "cross-entropy",
    n_networks: int = 6,
    n_directions: int | None = None,
    updates: int = 2000,
    resolution: int = 31,
    workers: int = 1,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write what `probe.landscape` finds for the network in `model`: pictures, numbers and a page.

    Raises
    ------
    InputError
        If the model or the data cannot be read or do not fit each other, or `out` cannot be written to.
    """
    split = reading.split(data)
    network = reading.for_data(model, split)
    owner = Owner("probe landscape", seed, split, model)
    folder = destination(out, f"landscape-{model_stem(model)}", owner, ("index.html", "results.h5"))
    job = Job(folder, split, doubt=doubt_about(network))
    result = landscape(
        network,
        split,
        cost=cost,
        n_networks=n_networks,
        n_directions=n_directions,
        updates=updates,
        resolution=resolution,
        workers=workers,
        seed=seed,
        progress=progress,
    )
    page = Report(
        title="What does its landscape look like?",
        subtitle=f"The network in {model.name}; data: {split.name}",
        sections=landscape_sections(result),
    )
    published = job.publish(page, facts={"model": str(model), "cost": cost}, progress=progress)
    return published.written()


def landscape_sections(result: Landscape) -> tuple[Section, ...]:
    """Return the sections of the page: descent, steps where there are hidden activations, the path and the surface."""
    keys = ("descent", "activations", "path", "surface")
    return tuple(
        Section(key=key, results={"landscape": result})
        for key in keys
        if key != "activations" or result.activations is not None
    )
