"""Training one network of any layers: convolutions, pooling, normalization, dropout, several paths.

A population of dense networks trains many times faster in `probe.training.loop`; this is for what has another shape.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_labels, check_number, check_rng
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.datasets import Split
from probe.layers import BatchNormalization, Dropout, Layer, Noise
from probe.layers.activations import Pullback
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.training.config import TrainingConfig
from probe.training.results import TrainingHistory, TrainingResult

__all__ = ["train_network"]

Ints = npt.NDArray[np.int64]

_CALIBRATION = 1_000
"""Training images on which the moments of batch normalization are measured."""

_EVALUATED = 5_000
"""Training images on which the cost and the training accuracy of an epoch are measured, at most."""


@checked
def train_network(
    start: Network,
    split: Split,
    config: TrainingConfig,
    *,
    rng: np.random.Generator,
    labels: npt.NDArray[np.int64] | None = None,
    until: float = 1.0,
    progress: Progress = silent,
) -> TrainingResult:
    """Train a network from `start`, whatever its layers.

    Dropout and the noise of layers act on every minibatch; batch normalization takes the moments of the minibatch, and in
    the end those of 1,000 training images. What only adds to the cost in Keras (activity regularization) is left out.

    Parameters
    ----------
    start : Network
        Before training, such as `probe.controls.reinitialized` returns.
    split : Split
        Training data, and test data for the history.
    config : TrainingConfig
        How; `stop` and `dtype` are not used.
    rng : numpy.random.Generator
        Draws the order of the images, and what is dropped.
    labels : ndarray of shape (n_samples,), int64, optional
        What the network is taught; the data's own labels without.
    until : float, in (0, 1]
        Training ends after the epoch in which this share of the training images is right.
    progress : callable
        Called with a `ProgressEvent` after each epoch.

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
    check_number("until", until, above=0, maximum=1)
    taught = split.train.labels if labels is None else labels
    check_labels("labels", taught, len(split.train), start.n_classes)
    run = _Run(start, split, taught, config, rng)
    diverged, interrupted = 0, False
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for epoch in range(config.epochs):
                is_finite = run.train_epoch(epoch)
                if not is_finite:
                    diverged = epoch + 1
                    break
                progress(ProgressEvent("training", epoch + 1, config.epochs))
                if run.train_accuracy >= until:
                    break
    except KeyboardInterrupt:
        interrupted = True
    return TrainingResult(
        network=run.network, history=run.history(), diverged_epoch=diverged, interrupted=interrupted
    )


class _Run:
    """A network on its way."""

    def __init__(
        self, start: Network, split: Split, labels: Ints, config: TrainingConfig, rng: np.random.Generator
    ) -> None:
        self._split, self._labels, self._config = split, labels, config
        self._order_rng, layers_rng, sample_rng = rng.spawn(3)
        self._moments: dict[str, tuple[Array, Array]] = {}
        self._still = ParameterSpace(start, config.cost)
        learning = replace(
            start, layers=tuple(_in_training(layer, layers_rng, self._moments) for layer in start.layers)
        )
        self._learning = ParameterSpace(learning, config.cost)
        self._images = split.train.images.astype(start.dtype, copy=False)
        self._test = split.test.images.astype(start.dtype, copy=False)
        n = len(self._images)
        self._evaluated = np.sort(sample_rng.permutation(n)[:_EVALUATED])
        self._calibration = np.sort(sample_rng.permutation(n)[:_CALIBRATION])
        self._vector = self._still.vector.copy()
        self._decays = np.zeros(len(self._vector), bool)
        for part in self._still.parts:
            self._decays[part.place] = bool(part.filter_axes)
        self._optimizer = config.make_optimizer()
        self._state = self._optimizer.init(self._vector)
        self._step = 0
        self._records: dict[str, list[float]] = {field.name: [] for field in fields(TrainingHistory)}
        self.network = start

    @property
    def train_accuracy(self) -> float:
        """Of the last epoch."""
        return self._records["train_accuracy"][-1]

    def history(self) -> TrainingHistory:
        """Return what was recorded of the epochs that are done."""
        return TrainingHistory(
            **{name: np.array(values, np.float64) for name, values in self._records.items()}
        )

    def train_epoch(self, epoch: int) -> bool:
        """Train one epoch and record it; False if the cost is no number any more, and nothing changed then."""
        config, began = self._config, time.perf_counter()
        vector, rate = self._vector.copy(), config.learning_rate * config.rate_factor(epoch)
        order, squares = self._order_rng.permutation(len(self._images)), list[float]()
        for begin in range(0, len(order), config.batch_size):
            taken = order[begin : begin + config.batch_size]
            try:
                _, gradient = self._learning.gradient(self._images[taken], self._labels[taken], vector)
            except NotImplementedError as error:
                raise InputError(f"this network cannot be trained: {error}") from error
            squares.append(float(np.square(gradient, dtype=np.float64).sum()))
            if config.weight_decay:
                gradient[self._decays] += config.weight_decay * vector[self._decays]
            self._step += 1
            self._optimizer.apply(vector, gradient, self._state, rate, self._step)
        seconds = time.perf_counter() - began
        if not np.isfinite(vector).all():
            return False
        network = self._calibrated(vector)
        space = ParameterSpace(network, config.cost)
        cost, accuracy = space.measure(self._images[self._evaluated], self._labels[self._evaluated])
        if not np.isfinite(cost):
            return False
        self._vector, self.network = vector, network
        measured = {
            "cost": cost,
            "train_accuracy": accuracy,
            "test_accuracy": space.measure(self._test, self._split.test.labels)[1],
            "gradient_norm": float(np.sqrt(np.mean(squares[-10:]))),
            "seconds": seconds,
        }
        for name, value in measured.items():
            self._records[name].append(value)
        return True

    def _calibrated(self, vector: Array) -> Network:
        """Return the network at `vector` as it predicts: with the moments of training images."""
        self._moments.clear()
        self._learning.at(vector).logits(self._images[self._calibration])
        still = self._still.at(vector)
        layers = [
            replace(
                layer, moving_mean=self._moments[layer.name][0], moving_variance=self._moments[layer.name][1]
            )
            if isinstance(layer, BatchNormalization) and layer.name in self._moments
            else layer
            for layer in still.layers
        ]
        return replace(still, layers=tuple(layers))


def _in_training(layer: Layer, rng: np.random.Generator, moments: dict[str, tuple[Array, Array]]) -> Layer:
    """Return a layer as it is while the network learns; itself if that makes no difference."""
    if isinstance(layer, BatchNormalization):
        ours = {name.name: getattr(layer, name.name) for name in fields(layer)}
        return _BatchMoments(**ours, moments=moments)
    if isinstance(layer, Dropout) and layer.rate:
        return _Multiplied(layer.name, layer.rate, "Dropout", rng)
    if (
        isinstance(layer, Noise)
        and layer.rate
        and layer.kind not in ("ActivityRegularization", "AlphaDropout")
    ):
        return _Multiplied(layer.name, layer.rate, layer.kind, rng)
    return layer


@dataclass(frozen=True, slots=True, eq=False)
class _BatchMoments(BatchNormalization):
    """Batch normalization by the moments of the batch, which it leaves in `moments`."""

    is_affine = is_elementwise = False

    moments: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    def _normal(self, x: Array) -> tuple[Array, Array, tuple[int, ...]]:
        """Return the standardized values, what they were multiplied by, and the axes of the moments."""
        axis = self.axis % x.ndim
        others = tuple(k for k in range(x.ndim) if k != axis)
        mean, variance = x.mean(axis=others, keepdims=True), x.var(axis=others, keepdims=True)
        self.moments[self.name] = mean.reshape(-1), variance.reshape(-1)
        inverse = 1 / np.sqrt(variance + x.dtype.type(self.epsilon))
        return (x - mean) * inverse, inverse, others

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the normalized `x` (n_samples, ...), and its pullback."""
        normal, inverse, others = self._normal(x)
        gamma, beta = (
            None if values is None else values.reshape(inverse.shape) for values in (self.gamma, self.beta)
        )

        def pullback(dz: Array) -> Array:
            scaled = dz if gamma is None else dz * gamma
            along = (scaled * normal).mean(axis=others, keepdims=True)
            return np.asarray(inverse * (scaled - scaled.mean(axis=others, keepdims=True) - normal * along))

        z = normal if gamma is None else normal * gamma
        return z if beta is None else z + beta, pullback

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradients of gamma and beta, where there are."""
        normal, _, others = self._normal(x)
        found = {"gamma": (dz * normal).sum(axis=others), "beta": dz.sum(axis=others)}
        return {name: found[name] for name in self.trainable}


@dataclass(frozen=True, slots=True, eq=False)
class _Multiplied(Layer):
    """Dropout, and the noise of layers that multiply or add, drawn anew at every call."""

    name: str
    rate: float
    kind: str
    rng: Any

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` with noise, and its pullback."""
        if self.kind == "GaussianNoise":
            return x + self._normal(x) * x.dtype.type(self.rate), lambda dz: dz
        if self.kind == "GaussianDropout":
            factor = 1 + self._normal(x) * x.dtype.type(np.sqrt(self.rate / (1 - self.rate)))
        else:
            shape = (
                (len(x), *(1,) * (x.ndim - 2), x.shape[-1]) if self.kind.startswith("Spatial") else x.shape
            )
            kept = self.rng.random(shape, np.float32) >= self.rate
            factor = kept.astype(x.dtype) / x.dtype.type(max(1 - self.rate, 1e-7))
        return x * factor, lambda dz: dz * factor

    def _normal(self, x: Array) -> Array:
        drawn: Array = self.rng.standard_normal(x.shape, np.float32).astype(x.dtype)
        return drawn

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        return input_shape
