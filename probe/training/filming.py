"""Films of the networks of a shard: what was kept on the way, measured and put in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._progress import Progress, ProgressEvent
from probe.costs import CostName
from probe.datasets import Dataset, Split
from probe.film import Film
from probe.network import Network
from probe.population import Population
from probe.training.config import TrainingConfig
from probe.training.shard import Shard, ShardOutcome

__all__ = ["FILMED", "film_of", "films_of", "updates_per_epoch"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Measured = Callable[[Network, Array, Ints], tuple[float, float]]

FILMED = 1_000
"""Training images that the costs of a film are means over."""


def updates_per_epoch(split: Split, config: TrainingConfig) -> int:
    """Return how many minibatches an epoch has."""
    return math.ceil(len(split.train) / config.batch_size)


def films_of(shard: Shard, outcome: ShardOutcome, config: TrainingConfig) -> tuple[Film, ...]:
    """Return a film of each network of a shard; none where no moments were asked for.

    What came after the last epoch that was kept, as when the network diverged or Ctrl-C was pressed, is left out.
    """
    if not shard.moments or not isinstance(shard.split, Split):
        return ()
    return tuple(_film(shard, shard.split, outcome, config, k) for k in range(len(outcome.population)))


def film_of(
    kept: Mapping[int, Network], split: Split, labels: Ints, measured: Measured, progress: Progress
) -> Film:
    """Return the film of one network of any layers, which was as in `kept` after so many updates.

    `measured` returns the mean cost and the accuracy of a network on images of such labels.
    """
    updates = sorted(kept)
    way, last = [kept[update] for update in updates], kept[updates[-1]]
    some = _some(np.arange(len(split.train)))
    seen = split.train.images[some], labels[some]
    test = split.test.images, split.test.labels
    found = []
    for network in way:
        found.append((measured(network, *seen)[0], measured(network, *test)[1]))
        progress(ProgressEvent("filming", len(found), len(way)))
    cost, accuracy = np.array(found).T
    taken = np.isfinite(cost) | (np.arange(len(cost)) == len(cost) - 1)
    shown = [one for one, is_taken in zip(way, taken, strict=True) if is_taken]
    return Film(
        last=last,
        updates=np.array(updates, np.int64)[taken],
        parameters={
            f"{layer.name}/{name}": np.stack([one.layer(layer.name).variables[name] for one in shown])
            for layer in last.layers
            for name in {**dict.fromkeys(layer.trainable), **dict.fromkeys(sorted(layer.measured))}
            if name in layer.variables
        },
        cost=cost[taken],
        test_accuracy=accuracy[taken],
    )


def _film(shard: Shard, split: Split, outcome: ShardOutcome, config: TrainingConfig, member: int) -> Film:
    per_epoch = updates_per_epoch(split, config)
    diverged, fitted = int(outcome.diverged_epoch[member]), int(outcome.fitted_epoch[member])
    n_epochs = diverged - 1 if diverged else fitted or outcome.n_epochs
    end = n_epochs * per_epoch
    between = {update: kept for update, kept in outcome.moments.items() if update < end}
    kept = {0: shard.start, **between, end: outcome.population}
    way = _stacked(list(kept.values()), member)
    updates = np.array(list(kept), np.int64)
    cost = _cost(way, shard, split.train, config.cost, member)
    accuracy = _accuracy(way, split.test, updates / per_epoch, outcome.history.test_accuracy[member])
    last = outcome.population.network(member)
    names = [layer.name for layer in last.dense_layers]
    # Only a cost that no longer counts is not finite, on the way of a network that came back.
    taken = np.isfinite(cost) | (np.arange(len(cost)) == len(cost) - 1)
    parameters = {
        f"{name}/kernel": np.ascontiguousarray(weights[taken].transpose(0, 2, 1))
        for name, weights in zip(names, way.weights, strict=True)
    } | {f"{name}/bias": biases[taken] for name, biases in zip(names, way.biases, strict=True)}
    return Film(
        last=last,
        updates=updates[taken],
        parameters=parameters,
        cost=cost[taken],
        test_accuracy=accuracy[taken],
    )


def _stacked(moments: list[Population], member: int) -> Population:
    """Return one network at several moments, as a population of these."""
    layers = range(len(moments[0].weights))
    return replace(
        moments[0],
        weights=tuple(np.stack([one.weights[layer][member] for one in moments]) for layer in layers),
        biases=tuple(np.stack([one.biases[layer][member] for one in moments]) for layer in layers),
    )


def _cost(way: Population, shard: Shard, train: Dataset, cost: CostName, member: int) -> Floats:
    """Return the cost on some training images at each moment."""
    labels = train.labels if shard.labels is None else shard.labels[min(member, len(shard.labels) - 1)]
    seen = (
        np.arange(len(train))
        if shard.sample_weights is None
        else np.flatnonzero(shard.sample_weights[member])
    )
    some = _some(seen)
    return way.evaluate(replace(train, images=train.images[some], labels=labels[some]), cost).cost


def _some(seen: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return `FILMED` of the indices of images, evenly spread, or all where there are no more."""
    chosen = np.linspace(0, len(seen) - 1, min(FILMED, len(seen))).round().astype(int)
    return np.asarray(seen[chosen])


def _accuracy(way: Population, test: Dataset, epochs: Floats, recorded: Floats) -> Floats:
    """Return the accuracy on the test images at each moment, after so many epochs: as recorded, or measured."""
    accuracy = np.full(len(epochs), np.nan)
    ends = np.flatnonzero((epochs % 1 == 0) & (epochs > 0))
    accuracy[ends] = recorded[epochs[ends].astype(int) - 1]
    unknown = np.flatnonzero(np.isnan(accuracy))
    if len(unknown):
        accuracy[unknown] = way.take(unknown).evaluate(test).accuracy
    return accuracy
