"""What a fit is to the engine: networks to train, which of them share minibatches, and what the estimators get back."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from probe._checks import (
    Array,
    InputError,
    brief,
    check_class_names,
    check_floats,
    check_number,
    check_shape,
    chunks,
)
from probe._progress import Progress, silent
from probe.population import MLP, Population, initial_population
from probe.training import (
    PopulationResult,
    PreparedData,
    Shard,
    TrainingConfig,
    TrainingHistory,
    train_shards,
)

__all__ = ["ROWS", "Fit", "begun", "dense", "train"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SHARD_SIZE = 16
"""Networks that share minibatches at a time."""

_LARGE = 10.0
"""Inputs beyond this may be what a network learns nothing of."""

ROWS = {"accept_sparse": "csr", "dtype": (np.float64, np.float32)}
"""How scikit-learn checks the inputs: float32 stays what it is, all else becomes float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """An estimator, and what is to be done for it; `order` says whose minibatches are the same."""

    estimator: Any  # a NetworkClassifier
    labels: Ints
    start: Population
    config: TrainingConfig
    order: Hashable
    before: TrainingHistory | None


def begun(estimator: Any, y: Any, x: Any, *, is_new: bool = True, classes: Any = None) -> Fit:
    """Check the labels and the parameters, and return what is to be trained."""
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_consistent_length(x, y)
    check_classification_targets(y)
    architecture = MLP(estimator.hidden, estimator.activation, estimator.output, estimator.initialization)
    names = [field.name for field in fields(TrainingConfig) if field.name not in ("dtype", "buffer")]
    settings = {name: getattr(estimator, name) for name in names}
    config = TrainingConfig(**settings, dtype="float32" if x.dtype == np.float32 else "float64")
    if is_new:
        estimator.classes_ = np.unique(y) if classes is None else classes
        seed = int(check_random_state(estimator.random_state).randint(2**31))
        start_rng, estimator._order_rng = np.random.default_rng(seed).spawn(2)
        start = _start(estimator.classes_, x.shape[1], architecture, start_rng, config)
        order: Hashable = "any" if estimator.random_state is None else seed
    else:
        start, order = _continued(estimator, architecture, config), id(estimator)
    unknown = np.setdiff1d(y, estimator.classes_)
    if len(unknown):
        raise InputError(
            f"y must hold the classes that came before, {brief(list(map(str, estimator.classes_)))}, "
            f"got {unknown[0]}"
        )
    labels = np.searchsorted(estimator.classes_, y)
    return Fit(estimator, labels, start, config, order, None if is_new else estimator.history_)


def _start(
    classes: npt.NDArray[Any],
    n_features: int,
    architecture: MLP,
    rng: np.random.Generator,
    config: TrainingConfig,
) -> Population:
    """Return one network before training."""
    if len(classes) < 2:
        raise InputError(f"y must hold at least 2 classes, got one class: {classes[0]}")
    names = check_class_names("classes in y", tuple(str(name) for name in classes))
    return initial_population(architecture, (n_features,), names, rngs=[rng], dtype=config.dtype)


def _continued(estimator: Any, architecture: MLP, config: TrainingConfig) -> Population:
    """Return the network that an estimator has, as a population of one."""
    layers = estimator.network_.dense_layers
    *hidden, last = ((layer.n_units, layer.activation.name) for layer in layers)
    wanted = [(width, architecture.activation) for width in architecture.hidden]
    if hidden != wanted or last[1] != architecture.output:
        raise InputError(
            "hidden, activation and output must be those of the network that is there, to go on with it; clone the "
            "estimator to train another one"
        )
    return Population(
        architecture,
        estimator.network_.input_shape,
        estimator.network_.class_names,
        tuple(layer.kernel.T[None].astype(config.dtype) for layer in layers),
        tuple(layer.variables["bias"][None].astype(config.dtype) for layer in layers),
    )


def train(tasks: Sequence[Fit], x: Any, sample_weight: Any, progress: Progress = silent) -> None:
    """Train what belongs together as one population, and give the estimators what came out."""
    x = dense(x)
    if sample_weight is not None:
        x, tasks, sample_weight = _weighted(x, tasks, sample_weight)
    alike: defaultdict[TrainingConfig, list[Fit]] = defaultdict(list)
    for task in tasks:
        alike[replace(task.config, learning_rate=1.0)].append(task)
    for n_done, (config, members) in enumerate(alike.items()):
        stage = "fitting" if len(alike) == 1 else f"fitting, part {n_done + 1} of {len(alike)}"
        config = replace(config, learning_rate=members[0].config.learning_rate)
        with np.errstate(over="ignore"):
            data = PreparedData.of_rows((x, members[0].labels), (x[:0], members[0].labels[:0]), config)
        parts = list(_sharing(members, is_whole=config.batch_size >= len(x)))
        shards = [_shard(part, data, config, sample_weight) for part in parts]
        results = train_shards(shards, config, progress=progress, stage=stage)
        if any(result.interrupted for result in results):
            raise KeyboardInterrupt
        for part, shard, result in zip(parts, shards, results, strict=True):
            for k, task in enumerate(part):
                _finish(task, shard, result, k)
                _warn_of_range(task, x, sample_weight, int(result.diverged_epoch[k]))


def _weighted(x: Array, tasks: Sequence[Fit], sample_weight: Any) -> tuple[Array, list[Fit], Floats | None]:
    """Return all without the samples that do not count, and the weights, None if they are equal."""
    weights = check_floats("sample_weight", sample_weight)
    check_shape("sample_weight", weights.shape, (len(x),))
    check_number("the smallest sample_weight", weights.min(), minimum=0)
    counts = weights > 0
    if not counts.any():
        raise InputError("sample_weight must have a weight above zero, got zeros only")
    weights = weights[counts]
    tasks = [replace(task, labels=task.labels[counts]) for task in tasks]
    return x[counts], tasks, None if np.ptp(weights) == 0 else weights


def _sharing(members: Sequence[Fit], *, is_whole: bool) -> Iterator[list[Fit]]:
    """Go through what can share minibatches, so many at a time; of whole data the order does not matter."""
    groups: defaultdict[Hashable, list[Fit]] = defaultdict(list)
    for task in members:
        start = task.start
        groups[start.architecture, start.class_names, None if is_whole else task.order].append(task)
    for group in groups.values():
        yield from (group[part] for part in chunks(len(group), _SHARD_SIZE))


def _shard(part: Sequence[Fit], data: PreparedData, config: TrainingConfig, weights: Floats | None) -> Shard:
    starts = [task.start for task in part]
    kernels, biases = (
        tuple(np.concatenate(layer) for layer in zip(*arrays, strict=True))
        for arrays in ([start.weights for start in starts], [start.biases for start in starts])
    )
    labels = np.stack([task.labels for task in part])
    rates = np.array([task.config.learning_rate for task in part])
    return Shard(
        replace(starts[0], weights=kernels, biases=biases),
        data,
        copy.deepcopy(part[0].estimator._order_rng),
        labels if (labels != labels[0]).any() else labels[:1],
        None if (rates == config.learning_rate).all() else rates,
        None if weights is None else np.broadcast_to(weights, labels.shape),
    )


def _finish(task: Fit, shard: Shard, result: PopulationResult, k: int) -> None:
    """Give an estimator its network and history."""
    estimator = task.estimator
    diverged, fitted = int(result.diverged_epoch[k]), int(result.fitted_epoch[k])
    history = result.history.member(k).first(diverged or fitted or result.history.n_epochs)
    if task.before is not None:
        pairs = zip(task.before.arrays().items(), history.arrays().values(), strict=True)
        history = TrainingHistory(**{name: np.concatenate([old, new]) for (name, old), new in pairs})
    estimator.network_ = result.population.network(k)
    estimator.history_ = history
    estimator.n_iter_ = history.n_epochs
    estimator._order_rng = copy.deepcopy(shard.order_rng)


def _warn_of_range(task: Fit, x: Array, weights: Floats | None, diverged: int) -> None:
    """Warn of a network that diverged, or that learned nothing of inputs that are large."""
    estimator, problem = task.estimator, ""
    counts = np.bincount(task.labels, weights)
    share = counts.max() / counts.sum()
    learned_nothing = share < 1 and estimator.history_.train_accuracy[-1] <= share + 1e-9
    if diverged:
        problem = f"training diverged in epoch {diverged}, and network_ is from the epoch before"
    elif learned_nothing and np.abs(x).max() > _LARGE:
        problem = (
            f"always naming the commonest class is right as often, and inputs reach {np.abs(x).max():.3g}"
        )
    if problem:
        rule = f"scale the inputs, as StandardScaler does, or make learning_rate={estimator.learning_rate:g} smaller"
        warnings.warn(f"{problem}; {rule}", ConvergenceWarning, stacklevel=4)


def dense(x: Any) -> Array:
    """Return checked inputs as an array."""
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x)
