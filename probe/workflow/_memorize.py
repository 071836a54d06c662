"""Memorisation studies, capacities and scores: sweeps in a folder, and the page on what they found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

from probe._checks import InputError
from probe._progress import Progress, ProgressEvent, silent
from probe.analyses.capacity import (
    CapacityDesign,
    CapacityFit,
    CapacityPlace,
    CapacityTrial,
    capacity_of,
    next_number,
    run_capacity_fit,
)
from probe.analyses.memorization import (
    Condition,
    ConditionsOf,
    MemorizationDesign,
    MemorizationTrial,
    Place,
    check_distinct,
    check_fits,
    chosen_conditions,
    conditions_at,
    memorization_of,
    run_trial,
    trial_medians,
)
from probe.analyses.scores import (
    ScoresDesign,
    ScoresPlace,
    ScoresTrial,
    run_scores_trial,
    scores_of,
)
from probe.datasets import Split, is_named, load_dataset
from probe.report.capacity import capacity_section, scores_section
from probe.report.memorization import study_sections, verdict_claims
from probe.sweep import check_sweep, run_sweep
from probe.workflow._folder import (
    Written,
    data_stem,
    destination,
)
from probe.workflow._pages import Job

__all__ = ["Backend", "memorize", "memorize_capacity", "memorize_scores"]


AnyPlace = TypeVar("AnyPlace", Place, CapacityPlace, ScoresPlace)
Task = TypeVar("Task")
Trial = TypeVar("Trial", MemorizationTrial, CapacityFit, ScoresTrial)

_AGAIN = "run the same command again to go on"


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the trials of a sweep are run.

    Attributes
    ----------
    workers : int
        Threads, at least 1; on a cluster its own workers count.
    name : {"threads", "dask"}
    scheduler : str, optional
        Address of the Dask scheduler, such as "tcp://127.0.0.1:8786".
    """

    workers: int = 1
    name: Literal["threads", "dask"] = "threads"
    scheduler: str | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """The data of a trial, as a worker finds them: by name, and checked against the fingerprint."""

    data: str
    fingerprint: str

    @classmethod
    def of(cls, data: str) -> _Source:
        """Return the source for `data`; a path is made absolute, because workers start elsewhere."""
        located = data if is_named(data) else str(Path(data).resolve())
        return cls(located, _loaded(located)[1])

    def split(self) -> Split:
        split, fingerprint = _loaded(self.data)
        if fingerprint != self.fingerprint:
            raise InputError(
                f"the data '{self.data}' of this worker are not those that the sweep was started with"
            )
        return split


@lru_cache(maxsize=2)
def _loaded(data: str) -> tuple[Split, str]:
    split = load_dataset(data)
    return split, split.fingerprint


@dataclass(frozen=True, slots=True)
class _StudyTask:
    source: _Source
    design: MemorizationDesign
    place: Place
    conditions: tuple[Condition, ...]


def _study_trial(task: _StudyTask, stop: threading.Event) -> MemorizationTrial | None:
    return run_trial(task.design, task.place, task.conditions, task.source.split(), stop)


@dataclass(frozen=True, slots=True)
class _CapacityTask:
    source: _Source
    design: CapacityDesign
    place: CapacityPlace


def _capacity_fit(task: _CapacityTask, stop: threading.Event) -> CapacityFit | None:
    return run_capacity_fit(task.design, task.place, task.source.split(), stop)


@dataclass(frozen=True, slots=True)
class _ScoresTask:
    source: _Source
    design: ScoresDesign
    place: ScoresPlace


def _scores_trial(task: _ScoresTask, stop: threading.Event) -> ScoresTrial | None:
    return run_scores_trial(task.design, task.place, task.source.split(), stop)


def _settings(
    kind: str, source: _Source, design: MemorizationDesign | CapacityDesign | ScoresDesign
) -> dict[str, object]:
    """Return what all trials follow from. A replicate does not depend on how many there are."""
    facts = {name: value for name, value in design.facts().items() if name != "replicates"}
    return {"experiment": kind, "data": source.fingerprint, "design": facts}


def _swept(
    folder: Path,
    configuration: Mapping[str, object],
    tasks: Mapping[AnyPlace, Task],
    function: Callable[[Task, threading.Event], Trial | None],
    kind: type[Trial],
    backend: Backend | None,
    progress: Progress,
    stage: str,
    note: Callable[[Sequence[Trial]], str],
    extent: Mapping[str, int] | None = None,
) -> tuple[dict[AnyPlace, Trial], bool]:
    """Return the trials of a sweep that are done, by place, and whether it was interrupted."""
    backend = Backend() if backend is None else backend
    places = {place.name: place for place in tasks}
    outcome = run_sweep(
        folder,
        configuration,
        {place.name: task for place, task in tasks.items()},
        function,
        kind,
        extent=extent,
        workers=backend.workers,
        backend=backend.name,
        scheduler=backend.scheduler,
        progress=progress,
        stage=stage,
        note=note,
    )
    done = {places[name]: trial for name, trial in zip(outcome.names, outcome.results, strict=True)}
    return done, outcome.interrupted


def memorize(
    design: MemorizationDesign,
    *,
    data: str = "mnist",
    out: Path | None = None,
    backend: Backend | None = None,
    progress: Progress = silent,
) -> Written:
    """Run a memorisation study as a sweep that can be killed and goes on; write what it found.

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
    source = _Source.of(data)
    split = source.split()
    check_distinct(design)
    check_fits(design, split)
    folder = destination(out, f"memorize-{data_stem(data)}")

    study = _settings("memorisation", source, design)
    extent = {"replicates": design.replicates}

    def sweep(
        path: Path,
        places: Sequence[Place],
        conditions: ConditionsOf,
        configuration: dict[str, object],
        stage: str,
        extent: Mapping[str, int] | None = None,
    ) -> tuple[dict[Place, MemorizationTrial], bool]:
        tasks = {
            place: _StudyTask(source, design, place, conditions_at(design, conditions, place))
            for place in places
        }
        return _swept(
            path,
            configuration,
            tasks,
            _study_trial,
            MemorizationTrial,
            backend,
            progress,
            stage,
            trial_medians,
            extent,
        )

    pilot: dict[Place, MemorizationTrial] = {}
    if design.rates:
        # Before the pilot, which takes its time: of the settings only the rates to be chosen are not known yet.
        check_sweep(folder.path, study, extent)
        tuning, settings = folder.path / "tuning", _settings("choice of learning rates", source, design)
        pilot, interrupted = sweep(tuning, design.pilot_places, {}, settings, "tuning")
        if interrupted:
            return Written((tuning,), f"tuning is not done; {_AGAIN}", interrupted=True)
    conditions = chosen_conditions(design, pilot)
    study["learning_rates"] = {
        f"a{a}-n{s}": [condition.learning_rate for condition in found] for (a, s), found in conditions.items()
    }
    done, _ = sweep(folder.path, design.places, conditions, study, "memorising", extent)
    result = memorization_of(design, conditions, done, split)
    first, *others = study_sections(result)
    claims = verdict_claims(result.verdicts, first.key, "curves_1")
    Job(folder, "probe memorize", design.seed, split, began).write(
        "Does it learn, or memorise?",
        _subtitle(split),
        [(first, claims), *((section, ()) for section in others)],
        results={"results": result},
        heads=_HEADS,
    )
    shown = [f"{verdict.claim}: {verdict.decision}" for verdict in result.verdicts]
    trials = f"{len(done)} of {len(design.places)} trials"
    return Written(tuple(folder.files), "\n".join([trials, *shown]), result.interrupted)


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
    source = _Source.of(data)
    split = source.split()
    design.check_distinct()
    design = design.settled(split)
    folder = destination(out, f"capacity-{data_stem(data)}")
    searches, interrupted = _searches(design, source, split, folder.path, backend, progress)
    if interrupted and not _done_for_all(design, searches):
        return Written((folder.path,), f"no search is done for all networks; {_AGAIN}", interrupted=True)
    result = capacity_of(design, searches, split)
    section, claim = capacity_section(result)
    Job(folder, "probe memorize --capacity", design.seed, split, began).write(
        "How much can it learn by heart?",
        _subtitle(split),
        [(section, (claim,))],
        results={"results": result},
        heads=_HEADS,
    )
    return Written(tuple(folder.files), claim.found, result.interrupted)


def _searches(
    design: CapacityDesign,
    source: _Source,
    split: Split,
    folder: Path,
    backend: Backend | None,
    progress: Progress,
) -> tuple[dict[CapacityPlace, CapacityTrial], bool]:
    """Return the searches that are over, and whether it was interrupted.

    All searches try their next number at the same time, until each has ended: a number depends on those before.
    """
    settings, extent = _settings("capacity", source, design), {"replicates": design.replicates}
    searches = dict.fromkeys(design.places, CapacityTrial.begun(design))
    over: dict[CapacityPlace, CapacityTrial] = {}
    while len(over) < len(searches):
        tried = {
            place: replace(place, n_samples=next_number(design, trial, split))
            for place, trial in searches.items()
            if place not in over
        }
        tasks = {place: _CapacityTask(source, design, place) for place in tried.values()}
        n_before, n_over = sum(len(trial.tried) for trial in searches.values()), len(over)

        def count(event: ProgressEvent, n_before: int = n_before, n_over: int = n_over) -> None:
            note = f"searches; {n_before + event.done} populations"
            progress(ProgressEvent("capacity", n_over, len(searches), note))

        try:
            fits, interrupted = _swept(
                folder,
                settings,
                tasks,
                _capacity_fit,
                CapacityFit,
                backend,
                count,
                "capacity",
                _nothing,
                extent,
            )
        except KeyboardInterrupt:
            if not n_before:
                raise
            fits, interrupted = {}, True
        for place, step in tried.items():
            if step in fits and step.n_samples is not None:
                searches[place] = searches[place].after(step.n_samples, fits[step])
                if next_number(design, searches[place], split) is None:
                    over[place] = searches[place]
        if interrupted:
            return over, True
    return over, False


def _nothing(trials: Sequence[CapacityFit]) -> str:
    return ""


def _done_for_all(design: CapacityDesign, over: Mapping[CapacityPlace, CapacityTrial]) -> bool:
    """Return whether one replicate is done for all architectures."""
    counts = [sum(place.replicate == replicate for place in over) for replicate in range(design.replicates)]
    return len(design.architectures) in counts


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
    source = _Source.of(data)
    split = source.split()
    design.check_fits(split)
    folder = destination(out, f"scores-{data_stem(data)}")
    done, interrupted = _swept(
        folder.path,
        _settings("memorisation scores", source, design),
        {place: _ScoresTask(source, design, place) for place in design.places},
        _scores_trial,
        ScoresTrial,
        backend,
        progress,
        "scores",
        _networks,
    )
    try:
        result = scores_of(design, done, split)
    except KeyboardInterrupt:
        few = f"too few networks are trained to score all images; {_AGAIN}"
        return Written((folder.path,), few, interrupted=True)
    section, claim = scores_section(result)
    Job(folder, "probe memorize --scores", design.seed, split, began).write(
        "Which examples are learned by heart?",
        _subtitle(split),
        [(section, (claim,))],
        results={"results": result},
        heads=_HEADS,
    )
    return Written(tuple(folder.files), claim.found, interrupted)


def _networks(trials: Sequence[ScoresTrial]) -> str:
    return f"{sum(len(trial.is_right) for trial in trials)} networks"


_HEADS = ("Claim", "Found")


def _subtitle(split: Split) -> str:
    return f"data: {split.name}, {len(split.train):,} training images"
