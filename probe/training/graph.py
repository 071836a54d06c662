"""Training one network of any layers: convolutions, pooling, normalization, dropout, several paths.

A population of dense networks trains many times faster in `probe.training.loop`; this is for what has another shape.
The images of a minibatch are shared out among a few lanes, each with a stream of its own for what is drawn: threads work
on several lanes at the same time, and however many there are, the sums are the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, check_labels, check_number, check_rng, chunks
from probe._parallel import available_workers, single_threaded_blas
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.datasets import Split, StoredImages, in_unit_range
from probe.film import moments
from probe.layers import BatchNormalization
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.training._learning import Moments, in_training, looks_at_batches
from probe.training._order import buffer_of, shuffled
from probe.training.config import TrainingConfig
from probe.training.filming import FILMED, film_of, updates_per_epoch
from probe.training.results import TrainingHistory, TrainingResult

__all__ = ["images_worth", "seconds_per_image", "train_network"]

Ints = npt.NDArray[np.int64]

_CALIBRATION = 1_000
"""Training images on which the moments of batch normalization are measured."""

_EVALUATED = 5_000
"""Training images on which the cost and the training accuracy of an epoch are measured, at most."""

_MOST_LANES, _LANE_VALUES = 4, 300_000
"""Lanes that share a minibatch, at most, and values that the layers make of the images of one at least: about a megabyte,
which a core's cache holds."""

_MEASURED_VALUES = 1 << 24
"""Values of the images that are classified together, at most."""

_LOOKING = 1 / 3
"""What it takes to classify an image, as a share of what it takes to train on it."""

_TOLD_EVERY = 1.0
"""Seconds between two events of progress within an epoch, at least."""


@checked
def train_network(
    start: Network,
    split: Split,
    config: TrainingConfig,
    *,
    rng: np.random.Generator,
    labels: npt.NDArray[np.int64] | None = None,
    until: float | None = None,
    frames: int | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> TrainingResult:
    """Train a network from `start`, whatever its layers.

    Dropout and the noise of layers act on every minibatch; batch normalization takes the moments of the minibatch, and in
    the end those of 1,000 training images. What only adds to the cost in Keras (activity regularization) is left out.

    Parameters
    ----------
    start : Network
        Before training, such as `probe.training.reinitialized` returns.
    split : Split
        Training data, and test data for the history.
    config : TrainingConfig
        How; `stop` and `dtype` are not used. With `evaluation="end"` the test images are classified in the end only.
    rng : numpy.random.Generator
        Draws the order of the images, and what is dropped.
    labels : ndarray of shape (n_samples,), int64, optional
        What the network is taught; the data's own labels without.
    until : float, in (0, 1], optional
        Training ends after the epoch in which this share of the training images is right.
    frames : int, optional
        Moments that the result's `film` keeps, as for `probe.train`.
    workers : int, optional
        Threads that share a minibatch; by default as many as there are cores. What is learned does not depend on it.
    progress : callable
        Called with a `ProgressEvent` after each epoch, and every second of a long one.

    Returns
    -------
    TrainingResult
        Its history is measured on 5,000 of the training images at most. A network that diverged is as it was before that
        epoch. Ctrl-C ends the training after the epochs that are done.

    Raises
    ------
    InputError
        If the network and the data do not fit, or a layer says no gradients of what it learns.
    """
    check_rng(rng)
    if until is not None:
        check_number("until", until, above=0, maximum=1)
    taught = split.train.labels if labels is None else labels
    check_labels("labels", taught, len(split.train), start.n_classes)
    stops = () if frames is None else moments(config.epochs, updates_per_epoch(split, config), frames)
    workers = available_workers() if workers is None else check_integer("workers", workers, minimum=1)
    run = _Run(start, split, taught, config, rng, frozenset(stops), progress)
    diverged, interrupted = 0, False
    with _quiet(), run.working(workers):
        try:
            for epoch in range(config.epochs):
                if not run.train_epoch(epoch):
                    diverged = epoch + 1
                    break
                progress(ProgressEvent("training", epoch + 1, config.epochs))
                if until is not None and run.train_accuracy >= until:
                    break
        except KeyboardInterrupt:
            interrupted = True
        history, film = run.history(), None
        with suppress(KeyboardInterrupt):  # what was learned is kept, without a film
            if frames is not None:
                film = film_of(run.kept(), split, taught, run.measured, progress)
    return TrainingResult(
        network=run.network, history=history, diverged_epoch=diverged, interrupted=interrupted, film=film
    )


@checked
def images_worth(split: Split, config: TrainingConfig, frames: int | None = None) -> float:
    """Return on how many images a network is trained in all, counting in those that are only classified on the way.

    Examples
    --------
    >>> from probe.datasets import load_dataset
    >>> split = load_dataset("digits")
    >>> len(split.train), len(split.test), images_worth(split, TrainingConfig(epochs=2))
    (1442, 355, 4082.0)
    """
    if frames is not None:
        check_integer("frames", frames, minimum=1)
    n, n_test = len(split.train), len(split.test)
    looked = config.epochs * min(n, _EVALUATED) + (
        n_test if config.evaluation == "end" else config.epochs * n_test
    )
    if frames is not None:
        looked += frames * (min(n, FILMED) + n_test)
    return config.epochs * n + _LOOKING * looked


@checked
def seconds_per_image(network: Network, split: Split, batch_size: int = 32) -> float:
    """Return about how many seconds one core takes to train a network on one image: the least of three minibatches.

    Other work on the machine does not count.
    """
    check_integer("batch_size", batch_size, minimum=1)
    few = replace(split, train=split.train.take(np.arange(min(batch_size, len(split.train)))))
    run = _Run(
        network, few, few.train.labels, TrainingConfig(batch_size=batch_size), np.random.default_rng(0)
    )
    indices, taken = np.arange(len(few.train)), list[float]()
    with run.working(1):
        for _ in range(3):
            began = time.thread_time()
            run.gradient(few.train.images, indices, few.train.labels, run.vector)
            taken.append(time.thread_time() - began)
    return min(taken) / len(indices)


def _quiet() -> np.errstate:
    """Return what keeps a network that diverges from warning of it; each thread needs one of its own."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


class _Run:
    """A network on its way."""

    def __init__(
        self,
        start: Network,
        split: Split,
        labels: Ints,
        config: TrainingConfig,
        rng: np.random.Generator,
        stops: frozenset[int] = frozenset(),
        progress: Progress = silent,
    ) -> None:
        self._split, self._labels, self._config = split, labels, config
        self._stops, self._progress = stops, progress
        self._order_rng, layers_rng, sample_rng = rng.spawn(3)
        self._moments: Moments = {}
        self._still = ParameterSpace(start, config.cost)
        values = config.batch_size * sum(map(math.prod, start.layer_shapes.values()))
        n_lanes = 1 if looks_at_batches(start.layers) else max(1, min(_MOST_LANES, values // _LANE_VALUES))
        axes = start.channel_axes
        self._lanes = [
            ParameterSpace(
                replace(
                    start,
                    layers=tuple(
                        in_training(layer, axes.get(layer.name, -1), lane, self._moments)
                        for layer in start.layers
                    ),
                ),
                config.cost,
            )
            for lane in layers_rng.spawn(n_lanes)
        ]
        self._images, self._buffer = split.train.images, buffer_of(config, split.train)
        n = len(self._images)
        self._evaluated = np.sort(sample_rng.permutation(n)[:_EVALUATED])
        self._calibration = np.sort(sample_rng.permutation(n)[:_CALIBRATION])
        self.vector = self._still.vector.copy()
        self._decays = np.zeros(len(self.vector), bool)
        for part in self._still.parts:
            self._decays[part.place] = bool(part.filter_axes)
        self._optimizer = config.make_optimizer()
        self._state = self._optimizer.init(self.vector)
        self._step = 0
        self._records: dict[str, list[float]] = {field.name: [] for field in fields(TrainingHistory)}
        self.network = start
        self._kept: dict[int, Network] = {0: start}
        self._map: Callable[..., Iterator[Array]] = map

    @contextmanager
    def working(self, workers: int) -> Iterator[None]:
        """Let so many threads share the work while the block runs."""
        with single_threaded_blas(), ThreadPoolExecutor(workers) as pool:
            self._map = map if workers == 1 else pool.map
            yield

    @property
    def train_accuracy(self) -> float:
        """Of the last epoch."""
        return self._records["train_accuracy"][-1]

    def history(self) -> TrainingHistory:
        """Return what was recorded of the epochs that are done."""
        accuracies = self._records["test_accuracy"]
        if accuracies and np.isnan(accuracies[-1]):
            accuracies[-1] = self._test_accuracy()
        return TrainingHistory(
            **{name: np.array(values, np.float64) for name, values in self._records.items()}
        )

    def kept(self) -> dict[int, Network]:
        """Return the networks that were kept on the way, by the updates made before: the first and the last among them."""
        end = len(self._records["cost"]) * updates_per_epoch(self._split, self._config)
        return {update: one for update, one in self._kept.items() if update < end} | {end: self.network}

    def gradient(
        self, images: npt.NDArray[Any], taken: npt.NDArray[np.intp], labels: Ints, vector: Array
    ) -> Array:
        """Return the gradient of the mean cost of those of the images that are taken: each lane sees a part of them."""
        parts = np.array_split(np.arange(len(taken)), len(self._lanes))

        def of_lane(lane: ParameterSpace, part: npt.NDArray[np.intp]) -> Array:
            seen = self._floats(images[taken[part]])
            with _quiet():
                gradient = lane.gradient(seen, labels[part], vector)[1]
            gradient *= len(part) / len(taken)
            return gradient

        used = [part for part in parts if len(part)]
        shared: Callable[..., Iterator[Array]] = self._map if len(used) > 1 else map
        first, *others = shared(of_lane, self._lanes[: len(used)], used)
        for other in others:
            first += other
        return first

    def train_epoch(self, epoch: int) -> bool:
        """Train one epoch and record it; False if the cost is no number any more, and nothing changed then."""
        config, began = self._config, time.perf_counter()
        vector, rate = self.vector.copy(), config.learning_rate * config.rate_factor(epoch)
        squares, told = list[float](), began
        for done, minibatch in enumerate(self._minibatches()):
            try:
                gradient = self.gradient(*minibatch, vector)
            except NotImplementedError as error:
                raise InputError(f"this network cannot be trained: {error}") from error
            squares.append(float(np.square(gradient, dtype=np.float64).sum()))
            if config.weight_decay:
                gradient[self._decays] += config.weight_decay * vector[self._decays]
            self._step += 1
            self._optimizer.apply(vector, gradient, self._state, rate, self._step)
            if self._step in self._stops and np.isfinite(vector).all():
                self._kept[self._step] = self._calibrated(vector)
            if time.perf_counter() - told > _TOLD_EVERY:
                told, share = time.perf_counter(), done * config.batch_size / len(self._images)
                self._progress(ProgressEvent("training", epoch, config.epochs, f"{share:.0%} of an epoch"))
        seconds = time.perf_counter() - began
        if not np.isfinite(vector).all():
            return False
        network = self._calibrated(vector)
        cost, accuracy = self.measured(network, self._images[self._evaluated], self._labels[self._evaluated])
        if not np.isfinite(cost):
            return False
        self.vector, self.network = vector, network
        measured = {
            "cost": cost,
            "train_accuracy": accuracy,
            "test_accuracy": np.nan if config.evaluation == "end" else self._test_accuracy(),
            "gradient_norm": float(np.sqrt(np.mean(squares[-10:]))),
            "seconds": seconds,
        }
        for name, value in measured.items():
            self._records[name].append(value)
        return True

    def _minibatches(self) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.intp], Ints]]:
        """Go through the data in random order: images, which of them are in the minibatch, and its labels."""
        size, images = self._config.batch_size, self._images
        for order in shuffled(len(images), self._buffer, size, self._order_rng):
            held, places = images, order
            if isinstance(images, StoredImages):
                rows = np.sort(order)
                held, places = images.pixels(rows), np.searchsorted(rows, order)
            for part in chunks(len(order), size):
                yield held, places[part], self._labels[order[part]]

    def _floats(self, pixels: npt.NDArray[Any]) -> Array:
        return in_unit_range(pixels).astype(self._still.network.dtype, copy=False)

    def _test_accuracy(self) -> float:
        return self.measured(self.network, self._split.test.images, self._split.test.labels)[1]

    def measured(self, network: Network, images: Array, labels: Ints) -> tuple[float, float]:
        """Return the mean cost and the accuracy, each lane's worth of images by itself."""
        space = ParameterSpace(network, self._config.cost)
        n_parts = max(_MOST_LANES, len(images) * math.prod(images.shape[1:]) // _MEASURED_VALUES)
        parts = np.array_split(np.arange(len(images)), min(n_parts, len(images)))

        def of_part(part: npt.NDArray[np.intp]) -> Array:
            with _quiet():
                return len(part) * np.array(space.measure(self._floats(images[part]), labels[part]))

        cost, hits = np.sum(list(self._map(of_part, parts)), axis=0)
        return float(cost / len(images)), round(hits) / len(images)

    def _calibrated(self, vector: Array) -> Network:
        """Return the network at `vector` as it predicts: with the moments of training images."""
        still = self._still.at(vector)
        if not looks_at_batches(still.layers):
            return still
        self._moments.clear()
        self._lanes[0].at(vector).logits(self._floats(self._images[self._calibration]))
        layers = [
            replace(
                layer, moving_mean=self._moments[layer.name][0], moving_variance=self._moments[layer.name][1]
            )
            if isinstance(layer, BatchNormalization) and layer.name in self._moments
            else layer
            for layer in still.layers
        ]
        return replace(still, layers=tuple(layers))
