"""Memorisation studies, capacities and scores: sweeps in a folder, and the page on what they found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

from probe._checks import InputError
from probe._progress import Progress, silent
from probe.analyses.capacity import (
    Capacity,
    CapacityDesign,
    CapacityPlace,
    CapacityTrial,
    capacity_of,
    run_capacity_trial,
)
from probe.analyses.memorization import (
    Condition,
    ConditionsOf,
    Memorization,
    MemorizationDesign,
    MemorizationTrial,
    Place,
    check_fits,
    chosen_conditions,
    conditions_at,
    memorization_of,
    run_trial,
    trial_medians,
)
from probe.analyses.scores import MemorizationScores, memorization_scores
from probe.datasets import Split, is_named, load_dataset
from probe.population import MLP
from probe.report import Claim, Page, Section, render
from probe.report.capacity import capacity_section, scores_section
from probe.report.memorization import study_sections, verdict_claims
from probe.storage import save_result
from probe.sweep import is_sweep, run_sweep
from probe.training import TrainingConfig
from probe.workflow._folder import (
    Folder,
    Written,
    data_stem,
    destination,
    drawn_pictures,
    origin,
    run_facts,
)

__all__ = ["Backend", "memorize", "memorize_capacity", "memorize_scores"]


AnyPlace = TypeVar("AnyPlace", Place, CapacityPlace)
Task = TypeVar("Task")
Trial = TypeVar("Trial", MemorizationTrial, CapacityTrial)


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


def _capacity_trial(task: _CapacityTask, stop: threading.Event) -> CapacityTrial | None:
    return run_capacity_trial(task.design, task.place, task.source.split(), stop)


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
        If the data do not suit the design, the folder holds another study or cannot be written to, or all
        networks diverged.
    """
    began = time.perf_counter()
    source = _Source.of(data)
    split = source.split()
    check_fits(design, split)
    folder = destination(out, f"memorize-{data_stem(data)}")

    def sweep(
        path: Path, places: Sequence[Place], conditions: ConditionsOf, stage: str
    ) -> tuple[dict[Place, MemorizationTrial], bool]:
        tasks = {
            place: _StudyTask(source, design, place, conditions_at(design, conditions, place))
            for place in places
        }
        learning_rates = {
            f"a{a}-n{s}": [condition.learning_rate for condition in found]
            for (a, s), found in conditions.items()
        }
        configuration = {"experiment": stage, "data": source.fingerprint, "design": design.facts()}
        configuration |= {"learning_rates": learning_rates}
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
        )

    pilot: dict[Place, MemorizationTrial] = {}
    if design.rates:
        pilot, interrupted = sweep(folder.path / "tuning", design.pilot_places, {}, "tuning")
        if interrupted:
            again = "tuning is not done; run the same command again to go on"
            return Written((folder.path / "tuning",), again, interrupted=True)
    conditions = chosen_conditions(design, pilot)
    done, _ = sweep(folder.path, design.places, conditions, "memorising")
    result = memorization_of(design, conditions, done, split)
    page = _Page(folder, "probe memorize", design.seed, split, began)
    page.write(
        "Does it learn, or memorise?",
        verdict_claims(result.verdicts, "study"),
        study_sections(result),
        result,
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
    """Find how many random labels each architecture fits, as a sweep that can be killed and goes on."""
    began = time.perf_counter()
    source = _Source.of(data)
    split = source.split()
    folder = destination(out, f"capacity-{data_stem(data)}")
    tasks = {place: _CapacityTask(source, design, place) for place in design.places}
    configuration = {"experiment": "capacity", "data": source.fingerprint, "design": design.facts()}
    done, _ = _swept(
        folder.path,
        configuration,
        tasks,
        _capacity_trial,
        CapacityTrial,
        backend,
        progress,
        "capacity",
        _latest_capacity,
    )
    result = capacity_of(design, done, split)
    section, claim = capacity_section(result)
    page = _Page(folder, "probe memorize --capacity", design.seed, split, began)
    page.write("How much can it learn by heart?", (claim,), (section,), result)
    return Written(tuple(folder.files), claim.found, result.interrupted)


def _latest_capacity(trials: Sequence[CapacityTrial]) -> str:
    return f"{trials[-1].capacity:,} images"


def memorize_scores(
    architecture: MLP,
    config: TrainingConfig,
    *,
    data: str = "mnist",
    n_samples: int = 1000,
    n_networks: int = 200,
    corruption: float = 0.0,
    out: Path | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = silent,
) -> Written:
    """Score every example by how much its own presence in the training data helps; write what was found."""
    began = time.perf_counter()
    split = load_dataset(data)
    folder = destination(out, f"scores-{data_stem(data)}")
    if is_sweep(folder.path):
        raise InputError(f"{folder.path} holds a study, whose results would be lost. Pass another --out")
    result = memorization_scores(
        architecture,
        split,
        config,
        n_samples=n_samples,
        n_networks=n_networks,
        corruption=corruption,
        seed=seed,
        workers=workers,
        progress=progress,
    )
    section, claim = scores_section(result)
    page = _Page(folder, "probe memorize --scores", seed, split, began)
    page.write("Which examples are learned by heart?", (claim,), (section,), result)
    return Written(tuple(folder.files), claim.found, result.interrupted)


@dataclass(frozen=True, slots=True)
class _Page:
    """What the commands of this module write: a page with its pictures and numbers, and the result itself."""

    folder: Folder
    command: str
    seed: int
    split: Split
    began: float

    def write(
        self,
        title: str,
        claims: tuple[Claim, ...],
        sections: tuple[Section, ...],
        result: Memorization | Capacity | MemorizationScores,
    ) -> None:
        """Write results.h5, figures, results.json and index.html."""
        pictures = drawn_pictures(sections)
        verdicts = result.verdicts if isinstance(result, Memorization) else ()
        for name, png in pictures.items():
            self.folder.picture(name, png)
        self.folder.files.append(save_result(result, self.folder.path / "results.h5"))
        seconds = round(time.perf_counter() - self.began, 1)
        facts = run_facts(self.command, self.seed, self.split) | {"seconds": seconds}
        numbers = {section.key: section.numbers for section in sections if section.numbers}
        self.folder.numbers(
            facts | {"sections": numbers, "verdicts": [verdict.numbers() for verdict in verdicts]}
        )
        subtitle = f"data: {self.split.name}, {len(self.split.train):,} training images"
        heads, kept = ("Claim", "Found"), "the result itself in results.h5, for probe.load_result"
        self.folder.page(
            render(Page(title, subtitle, claims, sections, origin(facts, self.split), heads, kept), pictures)
        )
