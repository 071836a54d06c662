"""The study: its trials one by one, and what they come to."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._checks import check_integer, kept_seed
from probe._parallel import gathered
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.analyses.memorization.combine import memorization_of
from probe.analyses.memorization.design import (
    DEFAULT_CONFIG,
    Condition,
    ConditionsOf,
    MemorizationDesign,
    TrialKey,
)
from probe.analyses.memorization.results import Memorization
from probe.analyses.memorization.trial import MemorizationTrial, run_trial
from probe.datasets import InputCorruption, LabelCorruption, Split
from probe.population import MLP
from probe.training import DynamicsKind, TrainingConfig, useful_workers

__all__ = [
    "chosen_conditions",
    "conditions_at",
    "memorization",
    "run_study",
    "trial_medians",
]


@checked
def memorization(
    architecture: MLP | Sequence[MLP],
    split: Split,
    config: TrainingConfig | None = None,
    *,
    n_samples: int | Sequence[int] = 1000,
    replicates: int = 5,
    corruption: Sequence[float] = (0.0, 1.0),
    label_corruption: LabelCorruption = "permute",
    input_corruption: Sequence[InputCorruption] = ("none",),
    weight_decay: Sequence[float] | None = None,
    rates: Sequence[float] = (),
    dynamics: DynamicsKind = "examples",
    n_test: int = 2000,
    seed: int | np.random.Generator = 0,
    workers: int | None = None,
    progress: Progress = silent,
) -> Memorization:
    """Train networks on true and on corrupted labels of the same images, and say what that shows.

    Every replicate draws its own images, start and order, and trains one network for each combination of
    the factors on them. By default these are two: true labels, and a permutation of them.

    Parameters
    ----------
    architecture : MLP or sequence of MLP
        Shape of the networks, or several shapes to compare.
    split : Split
        The images come from its training data; the test data measure what was learned.
    config : TrainingConfig, optional
        By default up to 300 epochs of plain gradient descent in batches of 50 at a rate of 0.1, until
        everything is fitted.
    n_samples : int or sequence of int
        Training images, at least 2.
    replicates : int
        Networks for each combination of the factors, at least 1.
    corruption, label_corruption, input_corruption, rates, dynamics
        As in `MemorizationDesign`.
    weight_decay : sequence of float, optional
        As in `MemorizationDesign`; the configuration's without.
    n_test : int
        Test images, drawn at random, that are classified after every epoch; at most all.
    seed : int or numpy.random.Generator
        Everything random follows from it; from a generator a seed is drawn, which `design.seed` keeps.
    workers : int, optional
        Threads that run trials at the same time; by default as many as there are cores, or one if the trials
        are so small that threads would only wait for each other. The result does not depend on it.
    progress : callable
        Called with a `ProgressEvent` after each trial.

    Returns
    -------
    Memorization
        With one cell for each architecture and number of samples, and the verdicts.

    Raises
    ------
    InputError
        If an argument is outside its range, or a factor holds a value twice.
    DivergedError
        If all networks diverged.

    References
    ----------
    .. [1] C. Zhang et al., "Understanding deep learning requires rethinking generalization", ICLR 2017.
    .. [2] D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> result = memorization(probe.MLP((32,), "relu"), split, n_samples=100, replicates=3)
    >>> result.slowdown().estimate.estimate > 1
    True
    """
    config = DEFAULT_CONFIG if config is None else config
    design = MemorizationDesign(
        architectures=(architecture,) if isinstance(architecture, MLP) else tuple(architecture),
        n_samples=tuple(n_samples) if isinstance(n_samples, Sequence) else (n_samples,),
        corruption=tuple(corruption),
        label_corruption=label_corruption,
        input_corruption=tuple(input_corruption),
        weight_decay=(config.weight_decay,) if weight_decay is None else tuple(weight_decay),
        replicates=replicates,
        config=config,
        rates=tuple(rates),
        dynamics=dynamics,
        n_test=n_test,
        seed=kept_seed(seed),
    )
    design.check_distinct()
    return run_study(design, split, workers=workers, progress=progress)


@checked
def run_study(
    design: MemorizationDesign,
    split: Split,
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> Memorization:
    """Run a study by its design, whose factors may hold a value twice: conditions in which nothing differs.

    Parameters
    ----------
    design : MemorizationDesign
        What is compared.
    split, workers, progress
        As for `memorization`.

    Raises
    ------
    InputError
        If the data have fewer images than the design asks for, or `workers` is less than 1.
    DivergedError
        If all networks diverged.
    """
    design.check_fits(split)
    if workers is None:
        n_in, n_classes = split.train.images[0].size, split.train.n_classes
        largest = max(mlp.n_parameters(n_in, n_classes) for mlp in design.architectures)
        workers = useful_workers(largest * len(design.conditions))
    check_integer("workers", workers, minimum=1)
    run = _Run(design, split, workers, progress)
    pilot = run.trials(design.pilot_keys, {}, "tuning")
    if len(pilot) < len(design.pilot_keys):
        raise KeyboardInterrupt
    conditions = chosen_conditions(design, pilot)
    done = run.trials(design.keys, conditions, "memorizing")
    if not done:
        raise KeyboardInterrupt
    return memorization_of(design, conditions, done, split)


@dataclass(frozen=True, slots=True)
class _Run:
    """Trials in threads of this process, kept in memory."""

    design: MemorizationDesign
    split: Split
    workers: int
    progress: Progress

    def trials(
        self, keys: Sequence[TrialKey], conditions: ConditionsOf, stage: str
    ) -> dict[TrialKey, MemorizationTrial]:
        """Return the trials that were done before an interruption, if there was one."""

        def one(key: TrialKey, stop: threading.Event) -> MemorizationTrial | None:
            return run_trial(self.design, key, conditions_at(self.design, conditions, key), self.split, stop)

        def report(done: dict[int, MemorizationTrial]) -> None:
            self.progress(ProgressEvent(stage, len(done), len(keys), trial_medians(list(done.values()))))

        trials = gathered(one, keys, workers=self.workers, report=report)
        return {keys[index]: trial for index, trial in trials.items()}


def conditions_at(
    design: MemorizationDesign, conditions: ConditionsOf, key: TrialKey
) -> tuple[Condition, ...]:
    """Return the conditions of a trial: in the pilot all rates, later those that were chosen."""
    if key.stage == "pilot":
        return design.pilot_conditions
    return conditions[key.architecture, key.size]


def chosen_conditions(
    design: MemorizationDesign, pilot: Mapping[TrialKey, MemorizationTrial]
) -> ConditionsOf:
    """Return the conditions of each cell, with the learning rates that did best in the pilot.

    Best is the rate with the fewest updates to fit everything, on average over the pilot's networks, where
    a network that did not fit everything counts with the limit; among equals the one with the highest final
    training accuracy, then the smallest.
    """
    cells = [(a, s) for a in range(len(design.architectures)) for s in range(len(design.n_samples))]
    if not design.rates:
        return dict.fromkeys(cells, design.conditions)
    chosen = {}
    for cell in cells:
        trials = [trial for key, trial in pilot.items() if (key.architecture, key.size) == cell]
        reached = np.mean([_epochs_to_fit(t, design.config.epochs) for t in trials], axis=0)
        accuracy = np.mean([np.nan_to_num(t.train_accuracy[:, -1]) for t in trials], axis=0)
        n_rates = len(design.rates)
        picked = []
        for index, condition in enumerate(design.conditions):
            members = range(index * n_rates, (index + 1) * n_rates)
            best = min(members, key=lambda k: (reached[k], -accuracy[k], design.rates[k % n_rates]))
            picked.append(replace(condition, learning_rate=design.rates[best % n_rates]))
        chosen[cell] = tuple(picked)
    return chosen


def _epochs_to_fit(trial: MemorizationTrial, limit: int) -> npt.NDArray[np.float64]:
    epochs = trial.updates((1.0,), 1)[:, 0]
    return np.where(np.isnan(epochs), float(limit), epochs)


def trial_medians(trials: Sequence[MemorizationTrial]) -> str:
    """Return the current medians in a few words, for a progress bar; a network that diverged counts as 0."""
    train = np.median(np.nan_to_num([t.train_accuracy[:, -1] for t in trials]), axis=0)
    test = np.median(np.nan_to_num([t.test_accuracy[:, -1] for t in trials]), axis=0)
    first, last = 0, len(train) - 1
    shown = [f"{train[k]:.0%}/{test[k]:.0%}" for k in sorted({first, last})]
    return "train/test " + " … ".join(shown)
