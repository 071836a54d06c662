"""One shard: networks that see the same minibatches in the same order, trained epoch by epoch."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from probe._checks import Array, chunks
from probe._kept import kept
from probe._pixels import AnyPixels, lit_counts, pixels_of
from probe._stepper import Parameters, Stepper, evaluate, input_gradient_norms
from probe.datasets import Dataset, Split, StoredImages
from probe.population import Population
from probe.training._order import buffer_of, shuffled
from probe.training.config import TrainingConfig
from probe.training.dynamics import DynamicsKind, DynamicsRecorder, ExampleDynamics
from probe.training.results import TrainingHistory

__all__ = ["PreparedData", "Shard", "ShardOutcome", "ShardRun"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Value = TypeVar("Value")

_NORM_BATCHES = 10
"""Minibatches at the end of an epoch whose gradients make its recorded gradient norm."""


_TOLD_EVERY = 1.0
"""Seconds between two calls within an epoch, at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Networks that are trained on the same minibatches in the same order.

    Parameters
    ----------
    start : Population
        The networks before training.
    split : Split or PreparedData
        What they are trained on, and the test data for their history.
    order_rng : numpy.random.Generator
        Draws the order of the samples anew for every epoch.
    labels : ndarray of shape (n_networks or 1, n_samples), int64, optional
        What each network is taught; the data set's own labels without.
    learning_rates : ndarray of shape (n_networks,), optional
        In place of the configuration's.
    sample_weights : ndarray of shape (n_networks, n_samples), bool or float, at least 0, optional
        Which samples each network is trained on, or how much each counts in the mean of its minibatch; all alike
        without.
    dynamics : {"none", "examples", "sensitivity"}
        Whether to record the `ExampleDynamics` of every example, and its loss-sensitivity too.
    moments : tuple of int
        Updates after which the networks are kept as they are then.
    measures_train : bool
        Whether an evaluation says cost and accuracy on the training data, which takes most of its time; NaN if not.
    """

    start: Population
    split: Split | PreparedData
    order_rng: np.random.Generator
    labels: Ints | None = None
    learning_rates: Floats | None = None
    sample_weights: npt.NDArray[Any] | None = None
    dynamics: DynamicsKind = "none"
    moments: tuple[int, ...] = ()
    measures_train: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class PreparedData:
    """A split as the engine reads it.

    `columns` are the inputs, those that are lit most often in the training data first, so that a batch can
    end where its rarely lit pixels are all dark (see `Pixels`). A pixel that is zero in every training
    image gives its weights no gradient. Without weight decay they keep their start exactly, so the
    training products take only the first `n_lit` columns; the test's take all. `buffer` samples are shuffled together.
    """

    x_train: AnyPixels
    x_test: AnyPixels
    train_labels: Ints
    test_labels: Ints
    columns: npt.NDArray[np.intp]
    n_lit: int
    buffer: int | None

    @property
    def lit(self) -> npt.NDArray[np.intp]:
        """The inputs that the training products take, in order."""
        return self.columns[: self.n_lit]

    @classmethod
    def of(cls, split: Split | PreparedData, config: TrainingConfig) -> PreparedData:
        """Return `split` prepared for training with `config`; itself if it is prepared already."""
        if isinstance(split, PreparedData):
            return split
        buffer = buffer_of(config, split.train)
        return cls.of_rows(
            _labeled_rows(split.train), _labeled_rows(split.test), replace(config, buffer=buffer)
        )

    @classmethod
    def of_rows(
        cls,
        train: tuple[Array | StoredImages, Ints],
        test: tuple[Array | StoredImages, Ints],
        config: TrainingConfig,
    ) -> PreparedData:
        """Return rows (n_samples, n_in) of any range, with their labels, prepared for training; `test` may be empty.

        Images in a file stay there.
        """
        (x_train, train_labels), (x_test, test_labels) = train, test
        counts = _kept_of((x_train,), "lit", lambda: lit_counts(x_train))
        columns = np.argsort(-counts, kind="stable")
        n_lit = max(1, int(np.count_nonzero(counts))) if config.weight_decay == 0 else len(columns)
        lit, dtype = columns[:n_lit], config.dtype
        return cls(
            _kept_of((x_train,), ("train", dtype, n_lit), lambda: pixels_of(x_train, lit, dtype)),
            _kept_of((x_test, x_train), ("test", dtype), lambda: pixels_of(x_test, columns, dtype)),
            train_labels,
            test_labels,
            columns,
            n_lit,
            config.buffer,
        )


def _kept_of(values: tuple[Array | StoredImages, ...], key: Hashable, compute: Callable[[], Value]) -> Value:
    """Return what is kept of inputs in memory; of those in a file nothing is."""
    arrays = tuple(each for each in values if not isinstance(each, StoredImages))
    return kept(arrays, key, compute) if len(arrays) == len(values) else compute()


@dataclass(frozen=True, slots=True, eq=False)
class ShardOutcome:
    """A shard after training. Histories have shape (n_networks, config.epochs), NaN where not reached.

    `interrupted` says that it was told to stop before it was done. `moments` are the networks on the way, by the updates
    that had been made; those of an epoch that was given up or diverged are among them.
    """

    population: Population
    history: TrainingHistory
    diverged_epoch: Ints
    fitted_epoch: Ints
    n_epochs: int
    interrupted: bool
    dynamics: ExampleDynamics | None = None
    moments: Mapping[int, Population] = field(default_factory=dict)


class ShardRun:
    """A shard on its way: the networks still being trained, and the records of all.

    A network that diverges or, if so configured, has fitted everything is retired: its weights go to the
    final arrays and the others go on without it.

    Parameters
    ----------
    shard, data, config
        What is trained, on what, and how.
    stop : threading.Event
        Once set, the epoch under way is given up and the networks stay as the last one left them.
    after_epoch : callable
        Called with the median cost of the networks still trained (NaN if there is none).
    within_epoch : callable, optional
        Called every second or so with the share of an epoch that is done, where its samples come in several buffers.
    """

    def __init__(
        self,
        shard: Shard,
        data: PreparedData,
        config: TrainingConfig,
        stop: threading.Event,
        after_epoch: Callable[[float], None],
        within_epoch: Callable[[float], None] | None = None,
    ) -> None:
        self._shard, self._data, self._config = shard, data, config
        self._stop, self._after_epoch, self._within_epoch = stop, after_epoch, within_epoch
        start, n_networks = shard.start, shard.start.n_networks
        self._final_weights = [w.copy() for w in start.weights]
        self._final_biases = [b.copy() for b in start.biases]
        self._alive = np.arange(n_networks)
        lit_weights = [start.weights[0][:, :, data.lit], *start.weights[1:]]
        self._parameters = Parameters(lit_weights, start.biases)
        self._gradients = Parameters(lit_weights, start.biases)
        self._optimizer = config.make_optimizer()
        self._state = self._optimizer.init(self._parameters.flat)
        self._step = 0
        self._stops, self._moments = frozenset(shard.moments), dict[int, Population]()
        self._records = {
            field.name: np.full((n_networks, config.epochs), np.nan) for field in fields(TrainingHistory)
        }
        self._diverged = np.zeros(n_networks, np.int64)
        self._fitted = np.zeros(n_networks, np.int64)
        self._recorder = None
        if shard.dynamics != "none":
            labels = np.broadcast_to(self._labels(), (n_networks, len(data.train_labels)))
            self._recorder = DynamicsRecorder(labels, data.train_labels, data.test_labels, config.epochs)

    @property
    def is_fitted(self) -> npt.NDArray[np.bool_]:
        """Which networks have been frozen because they had fitted everything, of shape (n_networks,)."""
        return self._fitted > 0

    def run(self) -> ShardOutcome:
        """Train to the end and return what came out."""
        n_epochs, interrupted = 0, False
        # Overflow on the way to divergence is found by the check of the cost, not by a warning.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for epoch in range(self._config.epochs):
                began = time.perf_counter()
                norms = self._train_epoch(epoch)
                if norms is None:
                    interrupted = True
                    break
                self._record(epoch, norms, began)
                n_epochs = epoch + 1
                if len(self._alive) == 0:
                    break
        self._hold_fitted()
        population = self._population(self._final_weights, self._final_biases)
        history = TrainingHistory(**self._records)
        dynamics = self._dynamics()
        return ShardOutcome(
            population, history, self._diverged, self._fitted, n_epochs, interrupted, dynamics, self._moments
        )

    def _train_epoch(self, epoch: int) -> Floats | None:
        """Pass over the data once; return the gradient norms, or None if told to stop on the way."""
        n_samples = len(self._data.x_train)
        config = self._config
        size = min(config.batch_size, n_samples)
        last = len(range(0, n_samples, size)) - _NORM_BATCHES
        rate = self._learning_rate(epoch)
        parameters, data = self._parameters, self._data
        steppers = {
            length: Stepper(self._shard.start.architecture, parameters, length)
            for length in {size, n_samples % size} - {0}
        }
        norms, first, told = [], self._step, time.perf_counter()
        for order in shuffled(n_samples, data.buffer, size, self._shard.order_rng):
            held, places = data.x_train.near(order)
            for part, x in zip(chunks(len(order), size), held.batches(places, size), strict=True):
                if self._stop.is_set():
                    return None
                self._find_gradients(steppers[len(x)], x, order[part])
                if self._step - first >= last:
                    norms.append(_squared_norms(self._gradients))
                self._step += 1
                self._optimizer.apply(parameters.flat, self._gradients.flat, self._state, rate, self._step)
                if self._step in self._stops:
                    self._moments[self._step] = self._now()
            del held  # before the next ones are read
            if self._within_epoch is not None and time.perf_counter() - told > _TOLD_EVERY:
                told = time.perf_counter()
                self._within_epoch((self._step - first) * size / n_samples)
        return np.asarray(np.sqrt(np.mean(norms, axis=0)))

    def _find_gradients(self, stepper: Stepper, x: Array, chosen: npt.NDArray[np.intp]) -> None:
        shard, config, gradients = self._shard, self._config, self._gradients
        sample_weights = None
        if shard.sample_weights is not None:
            weights = shard.sample_weights[np.ix_(self._alive, chosen)]
            total = weights.sum(axis=1, keepdims=True)
            sample_weights = (weights / np.where(total > 0, total, 1)).astype(x.dtype)
        positions = stepper.positions(self._labels(chosen))
        stepper.gradients(x, positions, config.cost, gradients, sample_weights)
        if config.weight_decay > 0:
            for gradient, decaying in zip(gradients.weights, self._parameters.weights, strict=True):
                gradient += config.weight_decay * decaying

    def _learning_rate(self, epoch: int) -> float | Array:
        factor = self._config.rate_factor(epoch)
        if self._shard.learning_rates is None:
            return self._config.learning_rate * factor
        rates = (self._shard.learning_rates[self._alive] * factor).astype(self._config.dtype)
        return self._parameters.spread(rates)

    def _labels(self, chosen: slice | npt.NDArray[np.intp] = slice(None)) -> Ints:
        """Return what the networks still trained are taught of these samples, of shape (n_networks or 1, n)."""
        labels = self._data.train_labels[None] if self._shard.labels is None else self._shard.labels
        if len(labels) == 1:
            return labels[:, chosen]
        # Both axes at once: all labels of the networks are megabytes, which no minibatch should copy.
        return (
            labels[self._alive][:, chosen]
            if isinstance(chosen, slice)
            else labels[self._alive[:, None], chosen]
        )

    def _record(self, epoch: int, norms: Floats, began: float) -> None:
        """Evaluate, keep the new weights of networks that are finite, and retire what is done."""
        config, finite, seconds = self._config, np.isfinite(norms), time.perf_counter() - began
        records = {"gradient_norm": norms, "cost": np.full(len(norms), np.nan)}
        if config.evaluation == "epoch" or epoch == config.epochs - 1:
            measured, is_known = self._evaluate()
            records |= measured
            finite &= is_known
        records["seconds"] = np.full(len(norms), seconds)
        for name, values in records.items():
            self._records[name][self._alive[finite], epoch] = values[finite]
        if self._recorder is not None:
            self._recorder.close_epoch(epoch, finite)
        self._keep(finite)
        self._diverged[self._alive[~finite]] = epoch + 1
        fitted = np.zeros_like(finite)
        if config.stop == "fitted":
            fitted = finite & (records["train_accuracy"] >= config.until)
        self._fitted[self._alive[fitted]] = epoch + 1
        self._retire(~finite | fitted)
        self._after_epoch(float(np.median(records["cost"][finite])) if finite.any() else math.nan)

    def _evaluate(self) -> tuple[dict[str, Floats], npt.NDArray[np.bool_]]:
        """Return what is recorded of the networks, and for which of them it is finite."""
        parameters, recorder = self._parameters, self._recorder
        data, architecture, cost = self._data, self._shard.start.architecture, self._config.cost
        sample_weights = self._shard.sample_weights
        if recorder is not None:
            recorder.open_epoch(self._alive)
        found = dict[str, Floats]()
        if self._shard.measures_train:
            train = evaluate(
                architecture,
                parameters,
                data.x_train,
                self._labels(),
                cost,
                None if sample_weights is None else sample_weights[self._alive],
                None if recorder is None else recorder.see_train,
            )
            found = {"cost": train.cost, "train_accuracy": train.accuracy}
        # Test images may have ink where no training image has: their weights, still at their start, count.
        dark = self._final_weights[0][self._alive][:, :, data.columns[data.n_lit :]]
        weights = [np.concatenate([parameters.weights[0], dark], axis=2), *parameters.weights[1:]]
        of_all_inputs = Parameters(weights, parameters.biases)
        test = evaluate(
            architecture,
            of_all_inputs,
            data.x_test,
            data.test_labels[None],
            cost,
            observe=None if recorder is None else recorder.see_test,
        )
        if recorder is not None and self._shard.dynamics == "sensitivity":
            for rows, norms in input_gradient_norms(
                architecture, of_all_inputs, data.x_train, self._labels(), cost
            ):
                recorder.see_sensitivity(rows, norms)
        is_known = np.isfinite(found.get("cost", test.cost))
        return {**found, "test_accuracy": test.accuracy}, is_known

    def _dynamics(self) -> ExampleDynamics | None:
        """Return the dynamics, with the margins in the final networks, or None if none is kept."""
        if self._recorder is None:
            return None
        weights = [self._final_weights[0][:, :, self._data.lit], *self._final_weights[1:]]
        evaluate(
            self._shard.start.architecture,
            Parameters(weights, self._final_biases),
            self._data.x_train,
            self._data.train_labels[None],
            self._config.cost,
            observe=self._recorder.see_final,
        )
        return self._recorder.dynamics(self._diverged > 0, self._shard.dynamics)

    def _keep(self, chosen: npt.NDArray[np.bool_]) -> None:
        """Copy the chosen networks' weights to the final arrays."""
        self._copy_to(self._final_weights, self._final_biases, chosen)

    def _now(self) -> Population:
        """Return all networks as they are now; those that are done as they ended."""
        weights, biases = ([part.copy() for part in p] for p in (self._final_weights, self._final_biases))
        self._copy_to(weights, biases, np.ones(len(self._alive), np.bool_))
        return self._population(weights, biases)

    def _copy_to(
        self, weights: Sequence[Array], biases: Sequence[Array], chosen: npt.NDArray[np.bool_]
    ) -> None:
        """Write the chosen networks' weights to arrays of all networks and all inputs."""
        members, parameters = self._alive[chosen], self._parameters
        units = np.arange(parameters.weights[0].shape[1])
        weights[0][np.ix_(members, units, self._data.lit)] = parameters.weights[0][chosen]
        for final, current in zip(weights[1:], parameters.weights[1:], strict=True):
            final[members] = current[chosen]
        for final, current in zip(biases, parameters.biases, strict=True):
            final[members] = current[chosen]

    def _population(self, weights: Sequence[Array], biases: Sequence[Array]) -> Population:
        return replace(self._shard.start, weights=tuple(weights), biases=tuple(biases))

    def _retire(self, done: npt.NDArray[np.bool_]) -> None:
        """Go on without the networks that are done."""
        if not done.any():
            return
        self._alive = self._alive[~done]
        self._state = tuple(self._parameters.with_flat(part).select(~done).flat for part in self._state)
        self._parameters = self._parameters.select(~done)
        self._gradients = self._gradients.select(~done)

    def _hold_fitted(self) -> None:
        """Continue the history of a network frozen because it had fitted everything with its last values."""
        curves = [*self._records.values(), *(self._recorder.curves.values() if self._recorder else ())]
        for member in np.flatnonzero(self._fitted):
            for values in curves:
                values[member, self._fitted[member] :] = values[member, self._fitted[member] - 1]


def _labeled_rows(data: Dataset) -> tuple[Array | StoredImages, Ints]:
    """Return the images as rows, unless they are in a file, and their labels."""
    images: Any = data.images
    is_stored = isinstance(images, StoredImages)
    return images if is_stored else images.reshape(len(data), -1), data.labels


def _squared_norms(gradients: Parameters) -> Floats:
    """Return for each network the sum of squares over all parameters, of shape (n_networks,)."""
    # Of rows in their own type, by BLAS; only a gradient that has long diverged overflows there.
    rows = [np.vecdot(matrix, matrix) for matrix in gradients.matrices]
    return np.asarray(np.sum([each.sum(axis=1, dtype=np.float64) for each in rows], axis=0))
