"""A study: many trials, each under a key, and what they come to.

A study is a value, so that it can be sent to other processes. Its trials are run in memory by `run_study`, and in a
folder that can be killed and goes on, on threads, processes or a cluster, by `probe.sweep.run_study_in`.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

import numpy as np

from probe._checks import check_integer, kept_seed
from probe._parallel import gather, in_threads
from probe._processes import NO_PROCESS, Worker, in_processes, place
from probe._progress import Progress, ProgressEvent, silent
from probe.datasets import Split

__all__ = ["DesignedStudy", "Key", "Study", "run_study"]


class Key(Protocol):
    """Names a trial of a study; hashable."""

    @property
    def name(self) -> str:
        """Its name, of letters, digits and hyphens: its file is called so."""


AnyKey = TypeVar("AnyKey", bound=Key)
Trial = TypeVar("Trial")
Found = TypeVar("Found")


class Study(ABC, Generic[AnyKey, Trial, Found]):
    """An experiment of many trials; a subclass is a frozen dataclass.

    Attributes
    ----------
    name : str
        What the folder of its trials is said to be of.
    stage : str
        What progress says is being done.
    trial : type
        Class of its trials, a Record.
    """

    name: ClassVar[str]
    stage: ClassVar[str]
    trial: ClassVar[type[Any]]

    @abstractmethod
    def keys(self, done: Mapping[AnyKey, Trial], split: Split) -> Sequence[AnyKey]:
        """Return the keys of all trials, as far as those that are `done` tell; in the order in which they are run.

        Where some trials depend on others, there are more after these are done.
        """

    @abstractmethod
    def run(self, key: AnyKey, given: Any, split: Split, stop: threading.Event) -> Trial | None:
        """Run a trial; None if `stop` was set on the way. `given` is what `given` returned."""

    @abstractmethod
    def combine(self, done: Mapping[AnyKey, Trial], split: Split, progress: Progress) -> Found:
        """Return what the trials that are done come to.

        Raises
        ------
        KeyboardInterrupt
            If they are too few to say anything.
        """

    @abstractmethod
    def settings(self) -> dict[str, object]:
        """Return what the trials follow from, as plain values: a folder holds trials of the same settings only."""

    def extent(self) -> dict[str, int]:
        """Return settings that only say how many trials there are: they may grow, and old trials stay."""
        return {}

    def given(self, key: AnyKey, done: Mapping[AnyKey, Trial]) -> Any:
        """Return what a trial needs of those before it; nothing by default."""
        return None

    def seconds(self, keys: Sequence[AnyKey], split: Split) -> float:
        """Return about how long one core takes for these trials, from which it follows whether processes pay."""
        return math.inf

    def note(self, trials: Sequence[Trial]) -> str:
        """Return the state of the study in a few words, for a progress bar."""
        return ""


@dataclass(frozen=True)
class DesignedStudy(Study[AnyKey, Trial, Found]):
    """A study of the catalogue: its trials follow from a design.

    Attributes
    ----------
    design : dataclass
        What is tried. Its field `keys` names all trials.
    counted : str
        Field of the design that only says how many trials there are, which may grow; "" for none.
    default_architectures : tuple of MLP
        What is trained where nobody says.
    default_training : TrainingConfig
        How.
    """

    design: Any
    counted: ClassVar[str] = ""
    default_architectures: ClassVar[tuple[Any, ...]]
    default_training: ClassVar[Any]

    @classmethod
    def default_config(cls, architectures: Sequence[Any]) -> Any:
        """Return how networks of these architectures are trained where nobody says."""
        return cls.default_training

    @classmethod
    def of(
        cls,
        architectures: Any,
        split: Split,
        config: Any = None,
        *,
        seed: int | np.random.Generator = 0,
        **options: Any,
    ) -> Self:
        """Return the study with the arguments of its function; of one architecture or a sequence of them.

        Raises
        ------
        InputError
            If an argument is outside its range or does not fit the data.
        """
        shapes = tuple(architectures) if isinstance(architectures, Sequence) else (architectures,)
        config = cls.default_config(shapes) if config is None else config
        return cls(cls._designed(split, architectures=shapes, config=config, seed=kept_seed(seed), **options))

    @staticmethod
    @abstractmethod
    def _designed(split: Split, **options: Any) -> Any:
        """Return the design of the arguments that `of` got, which fits the data."""

    def keys(self, done: Mapping[AnyKey, Trial], split: Split) -> Sequence[AnyKey]:
        """Return the keys of the design."""
        return tuple(self.design.keys)

    def settings(self) -> dict[str, object]:
        """Return the design without the number of trials: no trial depends on how many there are."""
        fields = asdict(self.design)
        fields.pop(self.counted, None)
        return {"design": fields}

    def extent(self) -> dict[str, int]:
        """Return the number of trials, as the design counts them."""
        return {self.counted.removeprefix("n_"): getattr(self.design, self.counted)} if self.counted else {}


def run_study(
    study: Study[AnyKey, Trial, Found],
    split: Split,
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> Found:
    """Run all trials of a study, and return what they come to.

    Parameters
    ----------
    study : Study
        What to run.
    split : Split
        The data.
    workers : int, optional
        Trials that run at the same time, at least 1: in processes, or in threads where those would not pay. As many as
        there are cores without, or one if it is quickly done. The result does not depend on it.
    progress : callable
        Called with a `ProgressEvent` after each trial.

    Raises
    ------
    InputError
        If `workers` is less than 1.
    KeyboardInterrupt
        If Ctrl-C came before there was anything to say; later it ends the study early.
    """
    if workers is not None:
        check_integer("workers", workers, minimum=1)
    done: dict[AnyKey, Trial] = {}
    while missing := [key for key in study.keys(done, split) if key not in done]:
        finished = _finished(study, missing, done, split, workers, progress)
        done |= finished
        if len(finished) < len(missing):
            break
    return study.combine(done, split, progress)


def _finished(
    study: Study[AnyKey, Trial, Found],
    keys: Sequence[AnyKey],
    before: Mapping[AnyKey, Trial],
    split: Split,
    workers: int | None,
    progress: Progress,
) -> dict[AnyKey, Trial]:
    """Return the trials of `keys` that were done before an interruption, if there was one."""
    finished = dict[AnyKey, Trial]()

    def trial(key: AnyKey, stop: threading.Event) -> Trial | None:
        return study.run(key, study.given(key, before), split, stop)

    def report() -> None:
        n_done, note = len(before) + len(finished), study.note([*before.values(), *finished.values()])
        progress(ProgressEvent(study.stage, n_done, len(before) + len(keys), note))

    where, workers = place(study.seconds(keys, split), workers, len(keys))
    if where == "processes":
        tasks = [(study, key, study.given(key, before), split) for key in keys]
        with suppress(*NO_PROCESS):
            gather(
                in_processes(_trial, tasks, workers=workers, stop=threading.Event()), keys, finished, report
            )
            return finished
    left = [key for key in keys if key not in finished]
    gather(in_threads(trial, left, workers=workers, stop=threading.Event()), left, finished, report)
    return finished


def _trial(task: tuple[Study[Any, Trial, Any], Any, Any, Split], worker: Worker) -> Trial | None:
    """Run a trial in another process."""
    study, key, given, split = task
    return study.run(key, given, split, cast(threading.Event, worker))
