"""Whether what is said of one network holds for networks of other recipes, lengths of training, widths and data."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_choice, check_integer, check_number, check_once
from probe._parallel import single_threaded_blas
from probe._progress import Progress, silent
from probe._signatures import checked
from probe.analyses import concepts, drawing, noise, structure
from probe.datasets import Split, load_dataset
from probe.network import Network
from probe.population import MLP, initial_population
from probe.recipes import RECIPES
from probe.results import Columns, Record, Result
from probe.stats import Claim, Decision, Estimate, Interval, Verdict
from probe.study import DesignedStudy, run_study
from probe.training import PreparedData, Shard, ShardRun, TrainingConfig

__all__ = [
    "CLAIMS",
    "Robustness",
    "RobustnessDesign",
    "RobustnessKey",
    "RobustnessStudy",
    "RobustnessTrial",
    "robustness",
]

N_NETWORKS = 6
"""Networks of a trial, which are trained side by side."""

_ANALYSES = (structure, concepts, noise, drawing)

CLAIMS: Mapping[str, Claim] = {
    claim.key: claim for analysis in _ANALYSES for claim in analysis.PRIMARY_CLAIMS
}
"""The primary claims about one network, by key."""

_DECISIONS: tuple[Decision, ...] = get_args(Decision)

FACTORS = {"recipe": "recipe", "length": "length of training", "architecture": "width", "data": "data"}
"""What settings differ in, in words."""


@checked
@dataclass(frozen=True, slots=True)
class RobustnessDesign:
    """A declared range of networks.

    Its fields are as in `robustness`, but `architectures`, `recipes`, `lengths` and `datasets` are tuples.

    Raises
    ------
    InputError
        If a value is outside its range, or is there twice.
    """

    architectures: tuple[MLP, ...]
    recipes: tuple[str, ...] = ("modern", "video")
    lengths: tuple[float, ...] = (0.25, 1.0, 4.0)
    datasets: tuple[str, ...] = ("digits",)
    replicates: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("architectures", "recipes", "lengths"):
            if not getattr(self, name):
                raise InputError(f"{name} must hold at least one value")
        for recipe in self.recipes:
            check_choice("recipes", recipe, RECIPES)
        for length in self.lengths:
            check_number("lengths", length, above=0)
        for name in ("architectures", "recipes", "lengths", "datasets"):
            check_once(name, getattr(self, name))
        check_integer("replicates", self.replicates, minimum=1)
        check_integer("seed", self.seed, minimum=0)

    @property
    def settings(self) -> tuple[RobustnessKey, ...]:
        """All settings, as the first trial of each."""
        counts = [len(part) for part in (self.recipes, self.architectures, self.lengths)]
        return tuple(
            RobustnessKey(recipe, data, length, architecture)
            for data in range(1 + len(self.datasets))
            for recipe, architecture, length in product(*map(range, counts))
        )

    @property
    def keys(self) -> tuple[RobustnessKey, ...]:
        """All trials, replicate after replicate."""
        return tuple(
            replace(setting, replicate=replicate)
            for replicate in range(self.replicates)
            for setting in self.settings
        )


@dataclass(frozen=True, slots=True)
class RobustnessKey:
    """Where a trial stands in the design: indices of its levels. Data 0 are those that the study is run on."""

    recipe: int
    data: int
    length: int
    architecture: int
    replicate: int = 0

    @property
    def name(self) -> str:
        """A name for files."""
        return f"robustness-d{self.data}-p{self.recipe}-a{self.architecture}-l{self.length}-r{self.replicate:04d}"


class RobustnessTrial(Record):
    """What the networks of one trial come to.

    Attributes
    ----------
    claims : tuple of str
        Keys of the claims.
    statistics : ndarray of shape (n_claims, n_networks)
        What decides each claim; NaN where an analysis says nothing of such networks or data.
    decisions : ndarray of shape (n_claims, n_networks), int64
        0 for supported, 1 for refuted, 2 for inconclusive.
    test_accuracy : ndarray of shape (n_networks,), in [0, 1]
    """

    claims: tuple[str, ...]
    statistics: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.int64]
    test_accuracy: npt.NDArray[np.float64]


class Robustness(Result):
    """What each primary claim comes to in every setting of a declared range.

    Attributes
    ----------
    claims : tuple of str
        Keys of the claims.
    titles, statistic_names, units : tuple of str
        Of the claims.
    thresholds : ndarray of shape (n_claims,)
        What the statistics are decided against.
    recipe, length, architecture, data : tuple of str
        The levels of each setting, in words: (n_settings,) each.
    statistics : ndarray of shape (n_claims, n_settings, n_networks)
        NaN where nothing can be said.
    decisions : ndarray of shape (n_claims, n_settings, n_networks), int64
        0 for supported, 1 for refuted, 2 for inconclusive.
    test_accuracy : ndarray of shape (n_settings, n_networks), in [0, 1]
    design : RobustnessDesign
    verdicts : tuple of Verdict
        About networks in general: one for each claim.
    interrupted : bool
        Whether settings are missing that the design has.
    """

    claims: tuple[str, ...]
    titles: tuple[str, ...]
    statistic_names: tuple[str, ...]
    units: tuple[str, ...]
    thresholds: npt.NDArray[np.float64]
    recipe: tuple[str, ...]
    length: tuple[str, ...]
    architecture: tuple[str, ...]
    data: tuple[str, ...]
    statistics: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.int64]
    test_accuracy: npt.NDArray[np.float64]
    design: RobustnessDesign
    verdicts: tuple[Verdict, ...]
    interrupted: bool = False

    @property
    def n_settings(self) -> int:
        """Number of settings that are done."""
        return len(self.recipe)

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Share of the networks of each setting for which each claim is supported: (n_claims, n_settings)."""
        return np.asarray((self.decisions == 0).mean(axis=2))

    def levels(self, factor: str) -> tuple[str, ...]:
        """Return the levels of a factor, such as "recipe", in the order of the design."""
        return tuple(dict.fromkeys(getattr(self, check_choice("factor", factor, FACTORS))))

    def columns(self) -> Columns:
        """Return one row for each setting: its levels, its accuracy, and the share of networks that support each claim."""
        columns: Columns = {factor: getattr(self, factor) for factor in FACTORS}
        columns["test_accuracy"] = self.test_accuracy.mean(axis=1)
        return columns | {f"supported_{key}": row for key, row in zip(self.claims, self.shares, strict=True)}


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
    workers: int = 1,
    progress: Progress = silent,
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
    workers : int
        Threads that run trials at the same time. The result does not depend on it.
    progress : callable
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
        return replace(result, verdicts=tuple(_general(result, k) for k in range(len(CLAIMS))))


def primary_estimates(network: Network, split: Split, *, seed: int) -> dict[str, Estimate]:
    """Return what decides each primary claim about a network; a claim is missing where an analysis cannot be done."""
    found = dict[str, Estimate]()
    for analysis in _ANALYSES:
        try:
            found |= analysis.primary_estimates(network, split, seed=seed)
        except InputError:
            continue
    return found


def _statistic(found: Mapping[str, Estimate], key: str) -> float:
    return found[key].interval.estimate if key in found else np.nan


def _decision(found: Mapping[str, Estimate], key: str) -> int:
    return _DECISIONS.index(CLAIMS[key].decision(found[key]) if key in found else "inconclusive")


def _shape(architecture: MLP) -> str:
    widths = "-".join(map(str, architecture.hidden)) or "no hidden layer"
    return widths if architecture.activation == "sigmoid" else f"{widths} {architecture.activation}"


def _general(result: Robustness, index: int) -> Verdict:
    """Return what a claim comes to in general."""
    claim, decisions = CLAIMS[result.claims[index]], result.decisions[index]
    holds, fails = (((decisions == k).mean(axis=1) > 0.5) for k in (0, 1))
    n, n_holds, n_fails = len(holds), int(holds.sum()), int(fails.sum())
    sentence = (
        f"It holds in {n_holds} of {n} settings and is refuted in {n_fails}; in the others most networks decide "
        "neither way, or they are divided."
    )
    decision: Decision = "inconclusive"
    if n_holds == n:
        decision, sentence = "supported", f"It holds in all {n} settings."
    elif n_fails == n:
        decision, sentence = "refuted", f"It is refuted in all {n} settings."
    elif n_holds or n_fails:
        sentence += _dependence(result, holds if n_holds else ~fails)
    return claim.verdict(
        Estimate(Interval(n_holds / n, np.nan, np.nan, 0.95, n), "none", lambda null: (np.nan, np.nan)),
        sentence,
        subject="general",
        decision=decision,
        statistic_name="share of settings in which it holds",
        unit="share",
        replicate="settings",
        threshold=np.nan,
        reason="a claim about networks in general holds throughout the range",
        said="",
        minute="",
    )


def _dependence(result: Robustness, holds: npt.NDArray[np.bool_]) -> str:
    """Return on which factors it depends most: where the share of settings that hold differs most between levels."""
    shares = dict[str, dict[str, float]]()
    for factor in FACTORS:
        levels = np.array(getattr(result, factor))
        shares[factor] = {level: float(holds[levels == level].mean()) for level in result.levels(factor)}
    ranges = {factor: max(by.values()) - min(by.values()) for factor, by in shares.items()}
    largest = max(ranges.values())
    if largest == 0:
        return ""
    parts = [
        f"the {FACTORS[factor]} ({', '.join(f'{level}: {share:.0%}' for level, share in shares[factor].items())})"
        for factor in sorted(ranges, key=lambda name: -ranges[name])
        if ranges[factor] >= largest / 2
    ]
    return f" It depends on {' and '.join(parts)}: the share of settings in which it holds."
