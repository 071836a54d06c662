"""Any study of the catalogue, in a folder that can be killed and goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from probe._progress import Progress, silent
from probe.catalogue import analysis_of
from probe.population import MLP
from probe.report import Report
from probe.sweep import Backend, Source, run_study_in
from probe.workflow._folder import Written, data_stem, destination
from probe.workflow._owner import Owner
from probe.workflow._pages import Job
from probe.workflow._sections import sections_about

__all__ = ["Backend", "run_study"]

_AGAIN = "run the same command again to go on"


def run_study(
    name: str,
    architectures: tuple[MLP, ...] | None = None,
    *,
    training: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    data: str = "mnist",
    backend: Backend | None = None,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Run the trials of a study that its folder does not hold yet, and write what all come to.

    Parameters
    ----------
    name : str
        Of an entry of the catalogue with a study, such as "minima".
    architectures : tuple of MLP, optional
        Shapes of networks; the study's own without.
    training : mapping, optional
        Fields of `TrainingConfig` that are not as the study has them by default.
    options : mapping, optional
        Further arguments of the study.
    data : str
        What `probe.load_dataset` takes.
    backend : Backend, optional
        One thread by default.
    out : Path, optional
        Folder for trials/*.h5, index.html, results.json, results.h5 and figures; reports/<name> without.
    seed : int
        Everything random follows from it.
    progress : callable
        Called with a `ProgressEvent` after each trial.

    Raises
    ------
    InputError
        If the data do not suit the study, the folder holds another one or a larger one, or it cannot be written to.
    """
    entry = analysis_of(name)
    command, kind = entry.command, getattr(import_module(f"probe.analyses.{entry.module}"), entry.study)
    assert command is not None
    source = Source.of(data)
    split = source.split()
    shapes = kind.default_architectures if architectures is None else architectures
    config = replace(kind.default_config(shapes), **(training or {}))
    study = kind.of(shapes, split, config, seed=seed, **(options or {}))
    owner = Owner(f"probe {command.name}", seed, split, is_study=True)
    folder = destination(out, f"{command.name}-{data_stem(data)}", owner, ("index.html", "results.h5"))
    job = Job(folder, split)
    done, interrupted = run_study_in(folder.owned, study, source, backend=backend, progress=progress)
    try:
        result = study.combine(done, split, progress)
    except KeyboardInterrupt:
        few = f"too few trials are done to say what they come to; {_AGAIN}"
        return Written((folder.path,), few, interrupted=True)
    early = f" (interrupted; {_AGAIN})" if interrupted else ""
    page = Report(
        title=command.title,
        subtitle=f"data: {split.name}, {len(split.train):,} training images{early}",
        sections=sections_about(entry, result),
        heads=("Claim", "Found"),
        kept="every trial in trials",
    )
    facts = study.settings() | study.extent()
    return job.publish(page, facts=facts, progress=progress).written(interrupted=interrupted)
