"""The study: networks of every setting trained and judged."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from probe._bars import ShownProgress
from probe._checks import InputError, check_integer
from probe._parallel import single_threaded_blas
from probe._progress import Progress
from probe._signatures import checked
from probe.analyses.robustness.results import (
    ANALYSES,
    CLAIMS,
    DECISIONS,
    Robustness,
    RobustnessDesign,
    RobustnessKey,
    RobustnessTrial,
    general_verdict,
)
from probe.datasets import Split, load_dataset
from probe.network import Network
from probe.population import MLP, initial_population
from probe.recipes import RECIPES
from probe.stats import Estimate
from probe.study import DesignedStudy, run_study
from probe.training import PreparedData, Shard, ShardRun, TrainingConfig, training_seconds

__all__ = ["RobustnessStudy", "primary_estimates", "robustness"]

N_NETWORKS = 6
"""Networks of a trial, which are trained side by side."""


@checked
def robustness(
    architectures: MLP | Sequence[MLP],
    split: Split,
    *,
    recipes: Sequence[str] = ("modern", "video"),
    lengths: Sequence[float] = (0.25, 1.0, 4.0),
    datasets: Sequence[str] = ("digits",),
    replicates: int = 1,
    seed: int | np.random.Generator = 0,
    workers: int | None = None,
    progress: ShownProgress = "auto",
) -> Robustness:
    """Judge the primary claims about one network on networks of a declared range: a specification curve [1]_.

    In every setting, six networks for each replicate are trained and judged as the network of a report is. A claim holds
    in a setting if it is supported for more than half of its networks. In general it is supported only if it holds in all
    settings, and refuted only if it is refuted for more than half of the networks in all of them; else it depends on
    something, and the verdict names on what.

    Parameters
    ----------
    architectures : MLP or sequence of MLP
        Widths and activations; start and output are those of the recipes.
    split : Split
        The first data.
    recipes : sequence of str
        Names of `probe.recipes.RECIPES`.
    lengths : sequence of float
        Lengths of training, as multiples of the recipe's epochs, above 0.
    datasets : sequence of str
        More data beside `split`: named data or files, as for `probe.load_dataset`.
    replicates : int
        Populations of six networks in each setting, at least 1. More can be added later.
    seed : int or numpy.random.Generator
        Everything random follows from it; from a generator a seed is drawn, which `design.seed` keeps.
    workers : int, optional
        Trials that run at the same time, in processes where those pay; by default as many as there are cores, or one if
        all is quickly done. The result does not depend on it.
    progress : callable, "auto" or None
        Called with a `ProgressEvent` after each trial.

    Raises
    ------
    InputError
        If an argument is outside its range, something is there twice, or data cannot be read.

    References
    ----------
    .. [1] U. Simonsohn, J. P. Simmons, L. D. Nelson, "Specification curve analysis", Nature Human Behaviour 4, 2020.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> few = {"recipes": ("modern",), "lengths": (0.05, 0.1), "datasets": ()}
    >>> found = robustness(probe.MLP((8,)), split, **few)
    >>> found.n_settings, found.shares.shape[1]
    (2, 2)
    """
    assert callable(progress)
    study = RobustnessStudy.of(
        architectures,
        split,
        recipes=tuple(recipes),
        lengths=tuple(lengths),
        datasets=tuple(datasets),
        replicates=replicates,
        seed=seed,
    )
    return run_study(study, split, workers=workers, progress=progress)


@dataclass(frozen=True)
class RobustnessStudy(DesignedStudy[RobustnessKey, RobustnessTrial, Robustness]):
    """The settings of a declared range."""

    design: RobustnessDesign

    name: ClassVar[str] = "robustness"
    stage: ClassVar[str] = "robustness"
    trial: ClassVar[type[RobustnessTrial]] = RobustnessTrial
    counted: ClassVar[str] = "replicates"
    default_architectures: ClassVar[tuple[MLP, ...]] = (MLP((16, 16)), MLP((32,)), MLP((128,)))
    default_training: ClassVar[TrainingConfig] = RECIPES["modern"].config

    @staticmethod
    def _designed(split: Split, **options: Any) -> RobustnessDesign:
        # The training of each setting is that of its recipe, and not the one that is passed to all studies.
        design = RobustnessDesign(**{name: value for name, value in options.items() if name != "config"})
        for data in design.datasets:
            load_dataset(data)
        return design

    def seconds(self, keys: Sequence[RobustnessKey], split: Split) -> float:
        """Return about how long one core trains, other data taken for as many."""
        design, train = self.design, split.train
        total = 0.0
        for key in keys:
            recipe, like = RECIPES[design.recipes[key.recipe]], design.architectures[key.architecture]
            n_parameters = like.n_parameters(math.prod(train.image_shape), train.n_classes)
            config = recipe.training(like.activation, len(train))
            whole = training_seconds(N_NETWORKS * n_parameters, len(train), config)
            total += design.lengths[key.length] * whole
        return total

    def run(
        self, key: RobustnessKey, given: None, split: Split, stop: threading.Event
    ) -> RobustnessTrial | None:
        """Train and judge the networks of one trial."""
        design = self.design
        data = split if key.data == 0 else load_dataset(design.datasets[key.data - 1])
        recipe, like = RECIPES[design.recipes[key.recipe]], design.architectures[key.architecture]
        indices = (key.recipe, key.data, key.length, key.architecture, key.replicate)
        rng = np.random.default_rng(np.random.SeedSequence((design.seed, *indices)))
        start_rng, order_rng, measure_rng = rng.spawn(3)
        config = recipe.training(like.activation, len(data.train))
        epochs = max(1, round(config.epochs * design.lengths[key.length]))
        config = replace(config, epochs=epochs, evaluation="end")
        train = data.train
        start = initial_population(
            recipe.architecture(like),
            train.image_shape,
            train.class_names,
            rngs=start_rng.spawn(N_NETWORKS),
            dtype=config.dtype,
        )
        with single_threaded_blas():
            shard = Shard(start, data, order_rng)
            outcome = ShardRun(shard, PreparedData.of(data, config), config, stop, lambda cost: None).run()
            found = list[dict[str, Estimate]]()
            for index, network in enumerate(outcome.population.networks()):
                if stop.is_set():
                    return None
                # Of a network that diverged nothing is said.
                judged = not outcome.diverged_epoch[index]
                seed = int(measure_rng.integers(2**31))
                found.append(primary_estimates(network, data, seed=seed) if judged else {})
        return RobustnessTrial(
            claims=tuple(CLAIMS),
            statistics=np.array([[_statistic(one, key) for one in found] for key in CLAIMS]),
            decisions=np.array([[_decision(one, key) for one in found] for key in CLAIMS], np.int64),
            test_accuracy=outcome.history.test_accuracy[:, -1],
        )

    def combine(
        self, done: Mapping[RobustnessKey, RobustnessTrial], split: Split, progress: Progress
    ) -> Robustness:
        """Return what the settings of which all replicates are done come to."""
        design = self.design
        whole = {
            setting: [
                done[key] for key in design.keys if replace(key, replicate=0) == setting and key in done
            ]
            for setting in design.settings
        }
        whole = {setting: trials for setting, trials in whole.items() if len(trials) == design.replicates}
        if not whole:
            raise KeyboardInterrupt
        statistics = np.stack(
            [np.hstack([t.statistics for t in trials]) for trials in whole.values()], axis=1
        )
        decisions = np.stack([np.hstack([t.decisions for t in trials]) for trials in whole.values()], axis=1)
        names = (split.name, *design.datasets)
        result = Robustness(
            claims=tuple(CLAIMS),
            titles=tuple(claim.title for claim in CLAIMS.values()),
            statistic_names=tuple(claim.statistic_name for claim in CLAIMS.values()),
            units=tuple(claim.unit for claim in CLAIMS.values()),
            thresholds=np.array([claim.threshold for claim in CLAIMS.values()]),
            recipe=tuple(design.recipes[setting.recipe] for setting in whole),
            length=tuple(f"x {design.lengths[setting.length]:g}" for setting in whole),
            architecture=tuple(_shape(design.architectures[setting.architecture]) for setting in whole),
            data=tuple(names[setting.data] for setting in whole),
            statistics=statistics,
            decisions=decisions,
            test_accuracy=np.stack(
                [np.hstack([t.test_accuracy for t in trials]) for trials in whole.values()]
            ),
            design=design,
            verdicts=(),
            interrupted=len(whole) < len(design.settings),
        )
        return replace(result, verdicts=tuple(general_verdict(result, k) for k in range(len(CLAIMS))))


@checked
def primary_estimates(network: Network, split: Split, *, seed: int = 0) -> dict[str, Estimate]:
    """Return what decides each primary claim about a network; a claim is missing where an analysis cannot be done."""
    check_integer("seed", seed, minimum=0)
    found = dict[str, Estimate]()
    for analysis in ANALYSES:
        try:
            found |= analysis.primary_estimates(network, split, seed=seed)
        except InputError:
            continue
    return found


def _statistic(found: Mapping[str, Estimate], key: str) -> float:
    return found[key].interval.estimate if key in found else np.nan


def _decision(found: Mapping[str, Estimate], key: str) -> int:
    return DECISIONS.index(CLAIMS[key].decision(found[key]) if key in found else "inconclusive")


def _shape(architecture: MLP) -> str:
    widths = "-".join(map(str, architecture.hidden)) or "no hidden layer"
    return widths if architecture.activation == "sigmoid" else f"{widths} {architecture.activation}"
