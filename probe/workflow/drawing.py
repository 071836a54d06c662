"""Whether the network in a model file can draw, judged by others."""

from __future__ import annotations

from pathlib import Path

from probe._checks import check_integer
from probe._progress import Progress, silent
from probe.analyses.drawing import drawing
from probe.controls import control_networks
from probe.fitting import doubt_about
from probe.report.report import Report, Section
from probe.workflow._folder import Written, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._pages import Job
from probe.workflow._reading import READ_AS_IT_IS, Reading

__all__ = ["drawing_model"]


def drawing_model(
    model: Path,
    *,
    data: str = "mnist",
    reading: Reading = READ_AS_IT_IS,
    n_networks: int = 20,
    restarts: int = 4,
    steps: int = 200,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write what a network draws and what others make of it; judged over `n_networks` control networks.

    Raises
    ------
    InputError
        If the model or the data cannot be read or do not fit each other, or `out` cannot be written to.
    """
    check_integer("n_networks", n_networks, minimum=2)
    check_integer("restarts", restarts, minimum=1)
    check_integer("steps", steps, minimum=1)
    split = reading.split(data)
    network = reading.for_data(model, split)
    owner = Owner("probe drawing", seed, split, model)
    folder = destination(out, f"drawing-{model_stem(model)}", owner, ("index.html", "results.h5"))
    job = Job(folder, split, doubt=doubt_about(network))
    others = control_networks(network, split, n_networks=n_networks, seed=seed, progress=progress)
    result = drawing(
        network, split, controls=others, restarts=restarts, steps=steps, seed=seed, progress=progress
    )
    page = Report(
        title="Can it draw?",
        subtitle=f"The network in {model.name}; data: {split.name}; beside it {others.sentence}",
        sections=(Section(key="drawing", results={"drawing": result}),),
    )
    facts = {"model": str(model), "n_networks": n_networks, "steps": steps}
    return job.publish(page, facts=facts, progress=progress).written()
