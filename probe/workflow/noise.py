"""How confident the network in a model file is on noise."""

from __future__ import annotations

from pathlib import Path

from probe._checks import check_integer
from probe._progress import Progress, silent
from probe.analyses.noise import noise_confidence, noise_severity
from probe.controls import control_networks
from probe.fitting import doubt_about
from probe.report.report import Report, Section
from probe.workflow._folder import Written, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._pages import Job
from probe.workflow._reading import READ_AS_IT_IS, Reading

__all__ = ["noise_model", "noise_severity_model"]

_TITLE = "How sure is it of noise?"
_FILES = ("index.html", "results.h5")


def noise_model(
    model: Path,
    *,
    data: str = "mnist",
    reading: Reading = READ_AS_IT_IS,
    out: Path | None = None,
    seed: int = 0,
    n_images: int | None = None,
) -> Written:
    """Write how confident a network is on noise."""
    split = reading.split(data)
    network = reading.for_data(model, split)
    owner = Owner("probe noise", seed, split, model)
    folder = destination(out, f"noise-{model_stem(model)}", owner, _FILES)
    job = Job(folder, split, doubt=doubt_about(network))
    result = noise_confidence(network, split, seed=seed, n_images=n_images)
    page = Report(
        title=_TITLE,
        subtitle=f"The network in {model.name}; data: {split.name}",
        sections=(Section(key="noise", results={"noise": result}),),
    )
    published = job.publish(page, facts={"model": str(model)})
    return published.written(published.claims[0].found)


def noise_severity_model(
    model: Path,
    *,
    data: str = "mnist",
    reading: Reading = READ_AS_IT_IS,
    n_networks: int = 30,
    n_images: int | None = None,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write how confidence changes from images to noise and beyond, judged over `n_networks` control networks.

    Raises
    ------
    InputError
        If the model or the data cannot be read or do not fit each other, or `out` cannot be written to.
    """
    check_integer("n_networks", n_networks, minimum=2)
    split = reading.split(data)
    network = reading.for_data(model, split)
    if n_images is not None:
        check_integer("n_images", n_images, minimum=10, maximum=len(split.test))
    owner = Owner("probe noise --severity", seed, split, model)
    folder = destination(out, f"severity-{model_stem(model)}", owner, _FILES)
    job = Job(folder, split, doubt=doubt_about(network))
    others = control_networks(network, split, n_networks=n_networks, seed=seed, progress=progress)
    confidence = noise_confidence(network, split, seed=seed, n_images=n_images)
    n_on_each = 10_000 if n_images is None else n_images
    severity = noise_severity(
        network, split, controls=others, n_images=n_on_each, seed=seed, progress=progress
    )
    page = Report(
        title=_TITLE,
        subtitle=f"The network in {model.name}; data: {split.name}; beside it {others.sentence}",
        sections=(
            Section(key="noise", results={"noise": confidence}),
            Section(key="severity", results={"severity": severity}),
        ),
    )
    facts = {"model": str(model), "n_networks": n_networks}
    return job.publish(page, facts=facts, progress=progress).written()
