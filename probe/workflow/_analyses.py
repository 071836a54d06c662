"""Any analysis of the catalogue, from a model file to a folder with a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from probe._checks import check_integer
from probe._progress import Progress, silent
from probe._signatures import check_arguments
from probe.catalogue import analysis_of
from probe.controls import control_networks
from probe.datasets import load_dataset
from probe.fitting import doubt_about
from probe.report import Report
from probe.workflow._folder import Written, data_stem, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._pages import Job
from probe.workflow._reading import Reading
from probe.workflow._sections import Subject, function_of, sections_of

__all__ = ["analyze"]


def analyze(
    name: str,
    model: Path | None = None,
    *,
    data: str = "mnist",
    reading: Reading | None = None,
    n_controls: int | None = None,
    options: Mapping[str, Any] | None = None,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write what an analysis finds: a page with its pictures, and its numbers.

    Parameters
    ----------
    name : str
        Of an entry of the catalogue with a command, such as "noise_confidence".
    model : Path, optional
        The model file, for an analysis of a network.
    data : str
        What `probe.load_dataset` takes.
    reading : Reading, optional
        What the model file does not say itself.
    n_controls : int, optional
        Control networks to train, at least 2, where the analysis needs some; as its command does without.
    options : mapping, optional
        Further arguments of the analysis.
    out : Path, optional
        Folder for index.html, results.json, results.h5 and figures; reports/<name> without.
    seed : int
        Everything random follows from it.
    progress : callable
        Called with progress events of every stage.

    Raises
    ------
    InputError
        If the model or the data cannot be read or do not fit each other, an option is outside its range, or `out` cannot
        be written to.
    """
    entry = analysis_of(name)
    command, options = entry.command, dict(options or {})
    assert command is not None
    check_arguments(function_of(entry), options)
    analyses = [analysis_of(other) for other in command.analyses or (name,)]
    if model is None:
        split, network, about = load_dataset(data), None, ""
    else:
        reading = Reading() if reading is None else reading
        split = reading.split(data)
        network = reading.for_data(model, split)
        about = f"The network in {model.name}; "
    stem = data_stem(data) if model is None else model_stem(model)
    owner = Owner(f"probe {command.name}", seed, split, model)
    folder = destination(out, f"{command.name}-{stem}", owner, ("index.html", "results.h5"))
    job = Job(folder, split, doubt="" if network is None else doubt_about(network))
    facts: dict[str, object] = {} if model is None else {"model": str(model)}
    controls, beside = None, ""
    if any("controls" in analysis.needs for analysis in analyses):
        n_networks = command.n_controls if n_controls is None else n_controls
        check_integer("n_networks", n_networks, minimum=2)
        assert network is not None
        controls = control_networks(network, split, n_networks=n_networks, seed=seed, progress=progress)
        beside = f"; beside it {controls.sentence}"
        facts["n_networks"] = n_networks
    subject = Subject(network, split, controls, seed, progress)
    sections = [
        section
        for analysis in analyses
        for section in sections_of(analysis, subject, options if analysis is entry else {})
    ]
    if controls is not None:
        first = sections[0]
        sections[0] = replace(first, results={**first.results, "controls": controls})
    page = Report(
        title=command.title,
        subtitle=f"{about}data: {split.name}{beside}",
        sections=tuple(sections),
        heads=("Said in the video" if model else "Asked", "Found"),
    )
    return job.publish(page, facts=facts, progress=progress).written()
