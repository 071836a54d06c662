"""The cost around and along the way of the network in a model file."""

from __future__ import annotations

from pathlib import Path

from probe._progress import Progress, silent
from probe.analyses.landscape import landscape
from probe.costs import CostName
from probe.fitting import doubt_about
from probe.workflow._folder import Written, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._pages import Job
from probe.workflow._reading import READ_AS_IT_IS, Reading

__all__ = ["landscape_model"]


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
    from probe.report.landscape import landscape_sections

    split = reading.split(data)
    network = reading.for_data(model, split)
    owner = Owner("probe landscape", seed, split, model)
    files = ("index.html", "landscape.h5")
    job = Job(
        destination(out, f"landscape-{model_stem(model)}", owner, files), split, doubt=doubt_about(network)
    )
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
    job.write(
        "What does its landscape look like?",
        f"The network in {model.name}; data: {split.name}",
        landscape_sections(result),
        results={"landscape": result},
        numbers={"model": str(model), "cost": cost},
        progress=progress,
    )
    shown = [f"{verdict.title}: {verdict.decision}" for verdict in result.verdicts]
    return Written(tuple(job.folder.files), "\n".join(shown))
