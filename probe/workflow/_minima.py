"""Populations of minima: a sweep in a folder, and the page on what it found."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from probe._progress import Progress, silent
from probe.analyses.minima import (
    Minima,
    MinimaDesign,
    MinimaKey,
    MinimaTrial,
    minima_of,
    run_minima_trial,
)
from probe.datasets import Split
from probe.report.report import Report, Section
from probe.workflow._folder import Written, data_stem, destination
from probe.workflow._owner import Owner
from probe.workflow._pages import Job
from probe.workflow._sweeps import AGAIN, Backend, Source, swept

__all__ = ["minima", "minima_sections"]


@dataclass(frozen=True, slots=True)
class _Task:
    source: Source
    design: MinimaDesign
    key: MinimaKey


def _trial(task: _Task, stop: threading.Event) -> MinimaTrial | None:
    return run_minima_trial(task.design, task.key, task.source.split(), stop)


def minima(
    design: MinimaDesign,
    *,
    data: str = "mnist",
    most_samples: int | None = None,
    out: Path | None = None,
    backend: Backend | None = None,
    progress: Progress = silent,
) -> Written:
    """Train and measure many networks as a sweep that can be killed and goes on; write what was found.

    The same design with more networks goes on too, and runs the new ones: ten at a time, so that a last trial with fewer
    is run again.

    Parameters
    ----------
    design : MinimaDesign
        What to train and measure.
    data : str
        What `probe.load_dataset` takes.
    most_samples : int, optional
        Where the design takes all training images: at most so many, drawn at random.
    out : Path, optional
        Folder for trials/*.h5, results.h5, results.json, figures and index.html.
    backend : Backend, optional
        One thread by default.
    progress : callable
        Called with a `ProgressEvent` after each trial.

    Raises
    ------
    InputError
        If the data do not suit the design, or the folder holds another study, or one of more networks, or cannot be
        written to.
    """
    began = time.perf_counter()
    source = Source.of(data)
    split = source.split()
    if design.n_samples is None and most_samples is not None and len(split.train) > most_samples:
        design = replace(design, n_samples=most_samples)
    design.check_fits(split)
    owner = Owner("probe minima", design.seed, split, is_study=True)
    folder = destination(out, f"minima-{data_stem(data)}", owner, ("index.html", "results.h5"))
    facts = {name: value for name, value in design.to_dict().items() if name != "n_networks"}
    done, interrupted = swept(
        folder.owned,
        {"experiment": "minima", "data": source.fingerprint, "design": facts},
        {key: _Task(source, design, key) for key in design.keys},
        _trial,
        MinimaTrial,
        backend,
        progress,
        "minima",
        _networks,
        {"networks": design.n_networks},
    )
    try:
        result = minima_of(design, done, split, progress=progress)
    except KeyboardInterrupt:
        few = f"too few networks are done to compare them; {AGAIN}"
        return Written((folder.path,), few, interrupted=True)
    page = Report(
        title="What are its local minima worth?",
        subtitle=_subtitle(split, result),
        sections=minima_sections(result),
        heads=("Claim", "Found"),
        kept="every trial in trials",
    )
    published = Job(folder, split, began).publish(page, facts={"design": design.to_dict()}, progress=progress)
    return published.written(interrupted=interrupted)


def minima_sections(result: Minima) -> tuple[Section, ...]:
    """Return the sections of the page: costs, and curvature and connections where they were measured."""
    shown = {
        "minima": True,
        "curvature": any(width.n_measured for width in result.widths),
        "connections": any(width.connections for width in result.widths),
    }
    return tuple(Section(key=key, results={"minima": result}) for key in shown if shown[key])


def _networks(trials: Sequence[MinimaTrial]) -> str:
    return f"{sum(len(trial.test_cost) for trial in trials)} networks"


def _subtitle(split: Split, result: Minima) -> str:
    counts = sorted({width.n_networks for width in result.widths})
    networks = " to ".join(str(count) for count in (counts if len(counts) == 1 else (counts[0], counts[-1])))
    early = f" (interrupted; {AGAIN})" if result.interrupted else ""
    return f"data: {split.name}, {result.n_train:,} training images; {networks} networks of each kind{early}"
