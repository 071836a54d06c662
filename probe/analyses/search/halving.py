"""Successive halving: all candidates are trained a little, the best of them longer."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from itertools import product
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._checks import InputError, check_choice, check_integer, check_number, check_once, generator
from probe._progress import Progress
from probe._signatures import checked
from probe.analyses.search.results import (
    ArchitectureSearch,
    SearchCandidate,
    SearchFront,
    SearchRung,
    compared,
)
from probe.analyses.search.trials import Training, Trial, accuracies
from probe.costs import CostName
from probe.datasets import Split
from probe.layers import ACTIVATIONS
from probe.population import MLP
from probe.training import DEFAULT_ARCHITECTURE

__all__ = ["search"]

Ints = npt.NDArray[np.int64]
Level = TypeVar("Level", bound=Hashable)

_COSTS: tuple[CostName, ...] = ("cross-entropy", "quadratic")
_REFERENCE_COST: CostName = "cross-entropy"
_UPDATES, _TIMES = 100, 9
"""Minibatches of the first rung, at least, and how many times as long the finalists are trained, where nobody says: after
a dozen minibatches there is little to choose by."""

_MOST_SAMPLES = 30_000
"""Training images where nobody says how many: on MNIST the search then takes some minutes."""


@checked
def search(
    split: Split,
    *,
    widths: Sequence[int] = (4, 16, 64),
    depths: Sequence[int] = (1, 2, 3),
    activations: Sequence[str] = ("sigmoid", "tanh", "relu"),
    costs: Sequence[CostName] = _COSTS,
    rates: Sequence[float] = (0.1, 0.3, 1.0),
    n_networks: int = 6,
    first_epochs: int | None = None,
    epochs: int | None = None,
    reduction: int = 3,
    batch_size: int = 100,
    n_samples: int | None = None,
    validation: float = 0.2,
    seed: int | np.random.Generator = 0,
    progress: ShownProgress = "auto",
) -> ArchitectureSearch:
    """Search for the best architecture and training, by successive halving [1]_ [2]_.

    Every combination of the levels is a candidate, trained by plain gradient descent as several networks, each from
    a start of its own and with the images in an order of its own. After each rung the best 1/`reduction` by mean
    accuracy on validation images go on from where they are, until they have been trained `reduction` times as long.
    Test images say at the end what the choice is worth: nothing is chosen by them. The video's network, 16 and 16
    sigmoid units and the cross-entropy, is trained to the end at every learning rate, whatever its rank, so that
    there is something to compare with.

    One seed gives one result, but for the seconds that training took, by which nothing is chosen.

    Parameters
    ----------
    split : Split
        Data.
    widths : sequence of int
        Units of each hidden layer to compare, at least 1.
    depths : sequence of int
        Numbers of hidden layers to compare; 0 for none. All layers of a network are equally wide.
    activations : sequence of str
        Activations of the hidden layers to compare: keys of `probe.layers.ACTIVATIONS`.
    costs : sequence of {"cross-entropy", "quadratic"}
        Costs to compare.
    rates : sequence of float
        Learning rates to compare, above 0. They stay constant during training.
    n_networks : int
        Networks to train of each candidate, at least 2; fewer than six decide nothing.
    first_epochs : int, optional
        Epochs that every candidate is trained for, at least 1. By default 1, or on small data as many as make 100
        minibatches; 1 if `epochs` is passed.
    epochs : int, optional
        Most epochs that the best candidates are trained for, at least `first_epochs`. By default 9 times as many.
    reduction : int
        Factor of the halving, at least 2. Each round keeps the best 1/`reduction` of the candidates, and trains them
        `reduction` times as long.
    batch_size : int
        Images in a minibatch, at least 1.
    n_samples : int, optional
        Training images to use, with those for validation, drawn at random; by default all, but at most 30,000.
    validation : float
        Share of the training images that is kept apart to choose by, in (0, 1).
    seed : int or numpy.random.Generator
        Images, starts and orders follow from it.
    progress : callable, "auto" or None
        Called after each epoch of networks in training.

    Raises
    ------
    InputError
        If an argument is outside its range.
    KeyboardInterrupt
        On Ctrl-C: half a search chose nothing.

    References
    ----------
    .. [1] K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
       AISTATS 2016.
    .. [2] L. Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", Journal of
       Machine Learning Research 18, 2018.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> found = search(
    ...     split, widths=(4, 32), depths=(1,), activations=("relu",), costs=("cross-entropy",), batch_size=20,
    ...     first_epochs=1
    ... )
    >>> [(rung.n_epochs, rung.n_candidates) for rung in found.rungs]
    [(1, 6), (3, 2), (9, 1)]
    >>> found.chosen.label, found.videos.label
    ('32 relu', '16-16 sigmoid')
    """
    assert callable(progress)
    check_integer("n_networks", n_networks, minimum=2)
    check_integer("batch_size", batch_size, minimum=1)
    if first_epochs is None:
        first_epochs = _enough(split, n_samples, batch_size) if epochs is None else 1
    check_integer("first_epochs", first_epochs, minimum=1)
    budgets = _budgets(first_epochs, _TIMES * first_epochs if epochs is None else epochs, reduction)
    settings = _settings(widths, depths, activations, costs, rates)
    images, starts, orders = generator(seed).spawn(3)
    training, chosen_by = _parted(len(split.train), n_samples, validation, images)
    parts = Split(split.train.take(training), split.train.take(chosen_by), split.name)
    trials = [
        Trial(*setting, parts, rng.spawn(n_networks))
        for setting, rng in zip(settings, starts.spawn(len(settings)), strict=True)
    ]
    rungs, finalists = _halved(trials, budgets, reduction, Training(parts, batch_size, orders), progress)
    candidates = tuple(
        trial.candidate(accuracy, finalist=trial in finalists)
        for trial, accuracy in zip(trials, accuracies(trials, split.test), strict=True)
    )
    best = trials.index(finalists[0])
    reference = trials.index(min((trial for trial in trials if trial.role != "candidate"), key=Trial.rank))
    return ArchitectureSearch(
        candidates=candidates,
        rungs=rungs,
        best=best,
        reference=reference,
        by_parameters=_fronts(candidates, len(rungs), "n_parameters"),
        by_seconds=_fronts(candidates, len(rungs), "training_seconds"),
        training_samples=training,
        validation_samples=chosen_by,
        batch_size=batch_size,
        n_test=len(split.test),
        chance=1 / split.train.n_classes,
        verdict=compared(candidates[best], candidates[reference], len(training)),
    )


def _halved(
    trials: Sequence[Trial], budgets: Sequence[int], reduction: int, training: Training, progress: Progress
) -> tuple[tuple[SearchRung, ...], list[Trial]]:
    """Train all trials, of the best those that are left, and so on; return the rungs and the finalists, best first."""
    ranked, rungs, before = [trial for trial in trials if trial.role != "reference"], list[SearchRung](), 0
    for rung, n_epochs in enumerate(budgets):
        if rung:
            ranked = ranked[: math.ceil(len(ranked) / reduction)]
        trained = [trial for trial in trials if trial in ranked or trial.role != "candidate"]
        training.train(trained, n_epochs - before, progress, f"rung {rung + 1} of {len(budgets)}")
        ranked.sort(key=Trial.rank)
        best = float(ranked[0].validation[-1].mean())
        rungs.append(SearchRung(n_epochs=n_epochs, n_candidates=len(ranked), best_validation=best))
        before = n_epochs
    return tuple(rungs), ranked


def _enough(split: Split, n_samples: int | None, batch_size: int) -> int:
    """Return the epochs that make enough minibatches of the images that are used; one where there are many."""
    used = len(split.train) if n_samples is None else check_integer("n_samples", n_samples, minimum=2)
    return max(1, math.ceil(_UPDATES * batch_size / used))


def _budgets(first_epochs: int, epochs: int, reduction: int) -> tuple[int, ...]:
    """Return the epochs that networks have had at the end of each rung."""
    budget = first_epochs
    check_integer("epochs", epochs, minimum=first_epochs)
    check_integer("reduction", reduction, minimum=2)
    budgets = list[int]()
    while budget <= epochs:
        budgets.append(budget)
        budget *= reduction
    return tuple(budgets)


def _levels(name: str, values: Iterable[Level]) -> tuple[Level, ...]:
    """Return the levels of a factor, or raise if there is none, or one twice."""
    levels = tuple(values)
    if not levels:
        raise InputError(f"{name} must hold at least one value, got none")
    check_once(name, levels)
    return levels


def _settings(
    widths: Sequence[int],
    depths: Sequence[int],
    activations: Sequence[str],
    costs: Sequence[CostName],
    rates: Sequence[float],
) -> list[tuple[MLP, CostName, float, str]]:
    """Return every architecture with a cost, a learning rate and its role, each once."""
    widths = tuple(check_integer("each of widths", w, minimum=1) for w in _levels("widths", widths))
    depths = tuple(
        check_integer("each of depths", d, minimum=0, maximum=1000) for d in _levels("depths", depths)
    )
    for name in _levels("activations", activations):
        check_choice("each of activations", name, ACTIVATIONS)
    for cost in _levels("costs", costs):
        check_choice("each of costs", cost, _COSTS)
    rates = tuple(check_number("each of rates", rate, above=0) for rate in _levels("rates", rates))
    roles: dict[tuple[MLP, CostName, float], str] = {}
    for depth, width, activation, cost, rate in product(depths, widths, activations, costs, rates):
        # Without a hidden layer there is neither width nor activation, so one of each stands for all.
        architecture = MLP((width,) * depth, activation if depth else "linear")
        roles[architecture, cost, rate] = "candidate"
    for rate in rates:
        key = DEFAULT_ARCHITECTURE, _REFERENCE_COST, rate
        roles[key] = "both" if key in roles else "reference"
    return [(*key, role) for key, role in roles.items()]


def _parted(
    n_there: int, n_samples: int | None, validation: float, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Return the indices of images to train on, and of others to choose by."""
    check_number("validation", validation, above=0, below=1)
    if n_samples is None:
        n_samples = min(n_there, _MOST_SAMPLES)
    check_integer("n_samples", n_samples, minimum=2, maximum=n_there)
    chosen = rng.permutation(n_there)[:n_samples]
    n_held = round(validation * len(chosen))
    if not 0 < n_held < len(chosen):
        raise InputError(
            f"validation must leave an image to train on and one to choose by, got {validation:g} of {len(chosen)} images"
        )
    return np.sort(chosen[n_held:]), np.sort(chosen[:n_held])


def _fronts(candidates: Sequence[SearchCandidate], n_rungs: int, price: str) -> SearchFront:
    last = [k for k, candidate in enumerate(candidates) if candidate.n_rungs == n_rungs]
    prices = [getattr(candidate, price) for candidate in candidates]
    accuracy = [candidate.validation for candidate in candidates]
    return SearchFront(
        last_rung=_front(last, prices, accuracy),
        all_rungs=_front(range(len(candidates)), prices, accuracy),
    )


def _front(indices: Iterable[int], prices: Sequence[float], accuracy: Sequence[float]) -> Ints:
    """Return the indices that none as cheap or cheaper is better than, by price; those without a price left out."""
    front, best = list[int](), -math.inf
    priced = (k for k in indices if not math.isnan(prices[k]))
    for k in sorted(priced, key=lambda k: (prices[k], -accuracy[k], k)):
        if accuracy[k] > best:
            front.append(k)
            best = accuracy[k]
    return np.array(front, np.int64)
