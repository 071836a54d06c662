"""The study: its trials one by one, and what they come to."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._progress import Progress
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
from probe.analyses.memorization.verdicts import RANDOM_LABELS, SLOWER
from probe.datasets import InputCorruption, LabelCorruption, Split
from probe.population import MLP
from probe.stats import Estimate
from probe.study import DesignedStudy, run_study
from probe.training import TrainingConfig, training_seconds

__all__ = ["MemorizationStudy", "chosen_conditions", "memorization", "primary_estimates"]


@checked
def memorization(
    architecture: MLP | Sequence[MLP],
    split: Split,
    config: TrainingConfig | None = None,
    *,
    n_samples: int | Sequence[int] = 1000,
    replicates: int = 8,
    corruption: Sequence[float] = (0.0, 1.0),
    label_corruption: LabelCorruption = "permute",
    input_corruption: Sequence[InputCorruption] = ("none",),
    weight_decay: Sequence[float] | None = None,
    rates: Sequence[float] = (),
    dynamics: Literal["examples", "sensitivity"] = "examples",
    n_test: int = 2000,
    seed: int | np.random.Generator = 0,
    workers: int | None = None,
    progress: ShownProgress = "auto",
) -> Memorization:
    """Train networks on true and on corrupted labels of the same images, and judge claims about memorization.

    Every replicate draws its own images, start and order, and trains one network for each combination of
    the factors on them. By default these are two: true labels, and a permutation of them.

    Parameters
    ----------
    architecture : MLP or sequence of MLP
        Shape of the networks, or several shapes to compare.
    split : Split
        The images come from its training data; the test data measure what was learned.
    config : TrainingConfig, optional
        By default plain gradient descent with batches of 50 and a rate of 0.1, until everything is fitted, for at most
        300 epochs: the declared budget in which labels count as fitted.
    n_samples : int or sequence of int
        Training images, at least 2; or several numbers to compare.
    replicates : int
        Networks for each combination of the factors, at least 1; fewer than six decide nothing. More can be added later.
    corruption : sequence of float
        Shares of the labels to corrupt, from 0 to 1.
    label_corruption : {"permute", "uniform"}
        How labels are corrupted: permuted among themselves, which keeps the class counts, or drawn anew.
    input_corruption : sequence of {"none", "pixel-permutation", "pixel-shuffle", "gaussian"}
        How images are corrupted: not at all; by one permutation of the pixels, the same for all images, or another one
        for each image; or by noise of the same mean and deviation in their place.
    weight_decay : sequence of float, optional
        Weight decays to compare, at least 0. By default only that of the training configuration, 0 if it has none.
    rates : sequence of float
        Learning rates to choose from, above 0: each condition gets the one that fits its labels soonest in a few further
        replicates. By default nothing is chosen: all networks have the same learning rate.
    dynamics : {"examples", "sensitivity"}
        What is followed in training: when each example is learned and forgotten, or also how the cost depends on the
        pixels (loss-sensitivity and the critical sample ratio), which takes about twice as long.
    n_test : int
        Test images to classify after every epoch, drawn at random.
    seed : int or numpy.random.Generator
        Everything random follows from it; from a generator a seed is drawn, which `design.seed` keeps.
    workers : int, optional
        Trials that run at the same time, in processes where those pay; by default as many as there are cores, or one if
        all is quickly done. The result does not depend on it.
    progress : callable, "auto" or None
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
    >>> result.slowdown().interval.estimate > 1
    True
    """
    assert callable(progress)
    study = MemorizationStudy.of(
        architecture,
        split,
        config,
        n_samples=n_samples,
        replicates=replicates,
        corruption=corruption,
        label_corruption=label_corruption,
        input_corruption=input_corruption,
        weight_decay=weight_decay,
        rates=rates,
        dynamics=dynamics,
        n_test=n_test,
        seed=seed,
    )
    return run_study(study, split, workers=workers, progress=progress)


@checked
def primary_estimates(
    architecture: MLP,
    split: Split,
    config: TrainingConfig | None = None,
    *,
    n_networks: int = 8,
    n_samples: int = 1000,
    seed: int | np.random.Generator = 0,
) -> dict[str, Estimate]:
    """Return what decides the claims of the video about networks of a kind, by key: "random-labels" and "slower".

    Parameters
    ----------
    architecture : MLP
        Shape of the networks.
    split, config, n_samples, seed
        As in `memorization`.
    n_networks : int
        Pairs of networks, at least 1.

    Returns
    -------
    dict of str to Estimate
        Without "slower" where a network did not fit true labels, or diverged.
    """
    found = memorization(architecture, split, config, n_samples=n_samples, replicates=n_networks, seed=seed)
    estimates = {RANDOM_LABELS.key: found.cells[0].fitted(-1)}
    slowdown = found.slowdown()
    return estimates if slowdown is None else estimates | {SLOWER.key: slowdown}


@dataclass(frozen=True)
class MemorizationStudy(DesignedStudy[TrialKey, MemorizationTrial, Memorization]):
    """The replicates of a design, after those that learning rates are chosen by."""

    design: MemorizationDesign

    name: ClassVar[str] = "memorization"
    stage: ClassVar[str] = "memorizing"
    trial: ClassVar[type[MemorizationTrial]] = MemorizationTrial
    counted: ClassVar[str] = "replicates"
    default_architectures: ClassVar[tuple[MLP, ...]] = (MLP((64,), "relu"),)
    default_training: ClassVar[TrainingConfig] = DEFAULT_CONFIG

    @staticmethod
    def _designed(split: Split, **options: Any) -> MemorizationDesign:
        if options.get("weight_decay") is None:
            options["weight_decay"] = options["config"].weight_decay
        names = options.keys() & {"n_samples", "corruption", "input_corruption", "weight_decay", "rates"}
        design = MemorizationDesign(**(options | {name: _levels(options[name]) for name in names}))
        design.check_distinct()
        design.check_fits(split)
        return design

    def seconds(self, keys: Sequence[TrialKey], split: Split) -> float:
        """Return about how long one core takes."""
        design, n_in = self.design, math.prod(split.train.image_shape)
        sizes = [mlp.n_parameters(n_in, split.train.n_classes) for mlp in design.architectures]
        n = len(design.conditions)
        return sum(
            training_seconds(n * sizes[k.architecture], design.n_samples[k.size], design.config) for k in keys
        )

    def keys(self, done: Mapping[TrialKey, MemorizationTrial], split: Split) -> tuple[TrialKey, ...]:
        """Return the trials of the pilot; with those of the study once it is done."""
        pilot = self.design.pilot_keys
        return pilot + self.design.keys if all(key in done for key in pilot) else pilot

    def given(self, key: TrialKey, done: Mapping[TrialKey, MemorizationTrial]) -> tuple[Condition, ...]:
        """Return the conditions of a trial: in the pilot all rates, later those that were chosen."""
        if key.stage == "pilot":
            return self.design.pilot_conditions
        return self._conditions(done)[key.architecture, key.size]

    def run(
        self, key: TrialKey, given: tuple[Condition, ...], split: Split, stop: threading.Event
    ) -> MemorizationTrial | None:
        """Train the networks of one replicate."""
        return run_trial(self.design, key, given, split, stop)

    def combine(
        self, done: Mapping[TrialKey, MemorizationTrial], split: Split, progress: Progress
    ) -> Memorization:
        """Return what the replicates that are done come to."""
        trials = {key: trial for key, trial in done.items() if key.stage == "study"}
        if not trials:
            raise KeyboardInterrupt
        return memorization_of(self.design, self._conditions(done), trials, split)

    def note(self, trials: Sequence[MemorizationTrial]) -> str:
        """Return the medians of the replicates, or of the pilot before; a network that diverged counts as 0."""
        alike = [trial for trial in trials if len(trial.cost) == len(trials[-1].cost)]
        train = np.median(np.nan_to_num([t.train_accuracy[:, -1] for t in alike]), axis=0)
        test = np.median(np.nan_to_num([t.test_accuracy[:, -1] for t in alike]), axis=0)
        shown = [f"{train[k]:.0%}/{test[k]:.0%}" for k in sorted({0, len(train) - 1})]
        return "train/test " + " … ".join(shown)

    def _conditions(self, done: Mapping[TrialKey, MemorizationTrial]) -> ConditionsOf:
        pilot = {key: trial for key, trial in done.items() if key.stage == "pilot"}
        return chosen_conditions(self.design, pilot)


def _levels(values: Any) -> tuple[Any, ...]:
    """Return the levels of a factor, of which there may be one by itself."""
    is_several = isinstance(values, Sequence | np.ndarray) and getattr(values, "ndim", 1) > 0
    return tuple(values) if is_several else (values,)


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
