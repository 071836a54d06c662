"""Memorization studies, capacities and scores: sweeps in a folder, and the page on what they found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from probe._progress import Progress, ProgressEvent, silent
from probe.analyses.capacity import (
    CapacityDesign,
    CapacityFit,
    CapacityKey,
    CapacityTrial,
    capacity_of,
    next_number,
    run_capacity_fit,
)
from probe.analyses.memorization import (
    ConditionsOf,
    MemorizationDesign,
    MemorizationTrial,
    TrialKey,
    chosen_conditions,
    conditions_at,
    memorization_of,
    run_trial,
    trial_medians,
)
from probe.analyses.scores import (
    ScoresDesign,
    ScoresTrial,
    run_scores_trial,
    scores_of,
)
from probe.datasets import Split
from probe.figures import parts_of
from probe.report import Report
from probe.report.report import Section
from probe.storage import OwnedFolder
from probe.sweep import check_sweep
from probe.workflow._folder import Folder, Written, data_stem, destination
from probe.workflow._owner import Owner
from probe.workflow._pages import Job, Published
from probe.workflow._sweeps import AGAIN, Backend, Source, swept

__all__ = ["memorize", "memorize_capacity", "memorize_scores"]


Trial = TypeVar("Trial")


@dataclass(frozen=True, slots=True)
class _Task(Generic[Trial]):
    """What runs a trial, and where it finds the data; another process may get it."""

    source: Source
    run: Callable[[Split, threading.Event], Trial | None]


def _done(task: _Task[Trial], stop: threading.Event) -> Trial | None:
    return task.run(task.source.split(), stop)


def _settings(
    kind: str, source: Source, design: MemorizationDesign | CapacityDesign | ScoresDesign
) -> dict[str, object]:
    """Return what all trials follow from. A replicate does not depend on how many there are."""
    facts = {name: value for name, value in design.to_dict().items() if name != "replicates"}
    return {"experiment": kind, "data": source.fingerprint, "design": facts}


def _destination(out: Path | None, name: str, command: str, seed: int, split: Split) -> Folder:
    owner = Owner(command, seed, split, is_study=True)
    return destination(out, name, owner, ("index.html", "results.h5"))


def memorize(
    design: MemorizationDesign,
    *,
    data: str = "mnist",
    out: Path | None = None,
    backend: Backend | None = None,
    progress: Progress = silent,
) -> Written:
    """Run a memorization study as a sweep that can be killed and goes on; write what it found.

    The same design with more replicates goes on too, and runs only the new ones.

    Parameters
    ----------
    design : MemorizationDesign
        What to compare.
    data : str
        What `probe.load_dataset` takes.
    out : Path, optional
        Folder for trials/*.h5, results.h5, results.json, figures and index.html.
    backend : Backend, optional
        One thread by default.
    progress : callable
        Called with a `ProgressEvent` after each trial.

    Raises
    ------
    InputError
        If the data do not suit the design, a factor holds a value twice, the folder holds another study or
        one of more replicates or cannot be written to, or all networks diverged.
    """
    began = time.perf_counter()
    source = Source.of(data)
    split = source.split()
    design.check_distinct()
    design.check_fits(split)
    folder = _destination(out, f"memorize-{data_stem(data)}", "probe memorize", design.seed, split)

    study = _settings("memorization", source, design)
    extent = {"replicates": design.replicates}

    def sweep(
        path: OwnedFolder,
        keys: Sequence[TrialKey],
        conditions: ConditionsOf,
        configuration: dict[str, object],
        stage: str,
        extent: Mapping[str, int] | None = None,
    ) -> tuple[dict[TrialKey, MemorizationTrial], bool]:
        runs = {key: partial(run_trial, design, key, conditions_at(design, conditions, key)) for key in keys}
        return swept(
            path,
            configuration,
            {key: _Task(source, run) for key, run in runs.items()},
            _done,
            MemorizationTrial,
            backend,
            progress,
            stage,
            trial_medians,
            extent,
        )

    pilot: dict[TrialKey, MemorizationTrial] = {}
    if design.rates:
        # Before the pilot, which takes its time: of the settings only the rates to be chosen are not known yet.
        check_sweep(folder.owned, study, extent)
        tuning, settings = (
            folder.owned.inside("tuning"),
            _settings("choice of learning rates", source, design),
        )
        pilot, interrupted = sweep(tuning, design.pilot_keys, {}, settings, "tuning")
        if interrupted:
            return Written((tuning.path,), f"tuning is not done; {AGAIN}", interrupted=True)
    conditions = chosen_conditions(design, pilot)
    study["learning_rates"] = {
        f"a{a}-n{s}": [condition.learning_rate for condition in chosen]
        for (a, s), chosen in conditions.items()
    }
    done, _ = sweep(folder.owned, design.keys, conditions, study, "memorizing", extent)
    result = memorization_of(design, conditions, done, split)
    section = Section(key="study", results={"memorization": result}, facts={"parts": parts_of(result)})
    published = _published("Does it learn, or memorize?", section, Job(folder, split, began))
    trials = f"{len(done)} of {len(design.keys)} trials"
    shown = [f"{verdict.title}: {verdict.decision}" for verdict in result.verdicts]
    return published.written(trials, *shown, interrupted=result.interrupted)


def _published(title: str, section: Section, job: Job) -> Published:
    assert job.split is not None
    subtitle = f"data: {job.split.name}, {len(job.split.train):,} training images"
    return job.publish(Report(title=title, subtitle=subtitle, sections=(section,), heads=("Claim", "Found")))


def memorize_capacity(
    design: CapacityDesign,
    *,
    data: str = "mnist",
    out: Path | None = None,
    backend: Backend | None = None,
    progress: Progress = silent,
) -> Written:
    """Find how many random labels each architecture fits, as a sweep that can be killed and goes on.

    A trial is the population of one number of images; the same design with more replicates goes on too.
    """
    began = time.perf_counter()
    source = Source.of(data)
    split = source.split()
    design.check_distinct()
    design = design.settled(split)
    folder = _destination(out, f"capacity-{data_stem(data)}", "probe memorize --capacity", design.seed, split)
    searches = _searches(design, source, split, folder.owned, backend, progress)
    try:
        result = capacity_of(design, searches, split)
    except KeyboardInterrupt:
        return Written((folder.path,), f"no search is done for all networks; {AGAIN}", interrupted=True)
    section = Section(key="capacity", results={"capacity": result})
    published = _published("How much can it learn by heart?", section, Job(folder, split, began))
    return published.written(published.claims[0].found, interrupted=result.interrupted)


def _searches(
    design: CapacityDesign,
    source: Source,
    split: Split,
    folder: OwnedFolder,
    backend: Backend | None,
    progress: Progress,
) -> dict[CapacityKey, CapacityTrial]:
    """Return the searches that are over: all, unless it was interrupted.

    All searches try their next number at the same time, until each has ended: a number depends on those before.
    """
    settings, extent = _settings("capacity", source, design), {"replicates": design.replicates}
    searches = dict.fromkeys(design.keys, CapacityTrial.begun(design))
    over: dict[CapacityKey, CapacityTrial] = {}
    while len(over) < len(searches):
        tried = {
            key: replace(key, n_samples=next_number(design, trial, split))
            for key, trial in searches.items()
            if key not in over
        }
        tasks = {key: _Task(source, partial(run_capacity_fit, design, key)) for key in tried.values()}
        n_before, n_over = sum(len(trial.tried) for trial in searches.values()), len(over)

        def count(event: ProgressEvent, n_before: int = n_before, n_over: int = n_over) -> None:
            note = f"searches; {n_before + event.done} populations"
            progress(ProgressEvent("capacity", n_over, len(searches), note))

        try:
            fits, interrupted = swept(
                folder,
                settings,
                tasks,
                _done,
                CapacityFit,
                backend,
                count,
                "capacity",
                lambda fits: "",
                extent,
            )
        except KeyboardInterrupt:
            if not n_before:
                raise
            fits, interrupted = {}, True
        for key, step in tried.items():
            if step in fits and step.n_samples is not None:
                searches[key] = searches[key].after(step.n_samples, fits[step])
                if next_number(design, searches[key], split) is None:
                    over[key] = searches[key]
        if interrupted:
            break
    return over


def memorize_scores(
    design: ScoresDesign,
    *,
    data: str = "mnist",
    out: Path | None = None,
    backend: Backend | None = None,
    progress: Progress = silent,
) -> Written:
    """Score every example by how much its own presence in the training data helps; write what was found.

    A sweep that can be killed and goes on, a trial for every 20 networks.
    """
    began = time.perf_counter()
    source = Source.of(data)
    split = source.split()
    design.check_fits(split)
    folder = _destination(out, f"scores-{data_stem(data)}", "probe memorize --scores", design.seed, split)
    done, interrupted = swept(
        folder.owned,
        _settings("memorization scores", source, design),
        {key: _Task(source, partial(run_scores_trial, design, key)) for key in design.keys},
        _done,
        ScoresTrial,
        backend,
        progress,
        "scores",
        lambda trials: f"{sum(len(trial.is_right) for trial in trials)} networks",
    )
    try:
        result = scores_of(design, done, split)
    except KeyboardInterrupt:
        few = f"too few networks are trained to score all images; {AGAIN}"
        return Written((folder.path,), few, interrupted=True)
    section = Section(key="scores", results={"scores": result})
    published = _published("Which examples are learned by heart?", section, Job(folder, split, began))
    return published.written(published.claims[0].found, interrupted=interrupted)
