"""Networks to hold a trained network against: of its shape, trained like it, on random labels, and not at all."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from probe._checks import (
    Array,
    DivergedError,
    InputError,
    check_integer,
    check_number,
    check_rng,
    frozen_copy,
    generator,
)
from probe._progress import Progress, silent
from probe._signatures import checked
from probe.datasets import Split, permuted_labels
from probe.fitting import for_images_of
from probe.layers import ACTIVATIONS, Dense, Layer
from probe.network import Network
from probe.population import MLP, Population, initial_population
from probe.results import Columns, Result
from probe.training import (
    DEFAULT_ARCHITECTURE,
    DEFAULT_TRAINING,
    TrainingConfig,
    enough_epochs,
    learning_rate_for,
    smaller_rates,
    train_population,
)

__all__ = ["Controls", "architecture_of", "control_networks", "reinitialized"]


@checked
class Controls(Result):
    """Networks in threes: member k of each population has the same start; both trained ones saw the same order.

    Attributes
    ----------
    untrained : Population of n_networks
        The starts.
    trained : Population of n_networks
        After training on the data's labels.
    random_label : Population of n_networks
        After the same training on labels that were permuted, for each network in another way.
    test_accuracy : ndarray of shape (n_networks,), in [0, 1]
        Of `trained`.
    memorized : ndarray of shape (n_networks,), in [0, 1]
        Share of its permuted labels that each of `random_label` puts out.
    config : TrainingConfig
        How they were trained.
    copies : bool
        Whether they have the widths and activation of the network that they were made for; otherwise they have
        those of the video's network.
    """

    untrained: Population
    trained: Population
    random_label: Population
    test_accuracy: Array
    memorized: Array
    config: TrainingConfig
    copies: bool

    def columns(self) -> Columns:
        """Return one row for each of the threes."""
        return {
            "network": np.arange(len(self)),
            "test_accuracy": self.test_accuracy,
            "memorized": self.memorized,
        }

    def __len__(self) -> int:
        return len(self.trained)

    def check_of(self, network: Network) -> None:
        """Raise unless these are control networks of `network`, or stand in for them on the same data."""
        made, ours = self.trained, architecture_of(network)
        same_data = made.input_shape == network.input_shape and len(made.class_names) == network.n_classes
        shape = made.architecture.hidden, made.architecture.activation
        if not same_data or (self.copies and (ours is None or shape != (ours.hidden, ours.activation))):
            raise InputError(
                "controls must be those of this network: make them with probe.control_networks(network, split)"
            )

    @property
    def sentence(self) -> str:
        """What they are."""
        shape = self.trained.architecture.named(
            math.prod(self.trained.input_shape), len(self.trained.class_names)
        )
        what = f"{len(self)} networks {shape}, trained for {self.config.epochs} epochs"
        return f"{what}, of the shape of this network." if self.copies else f"{what}.{self.caveat}"

    @property
    def caveat(self) -> str:
        """What a verdict over them must add, with a blank before it: nothing where they have the network's shape."""
        if self.copies:
            return ""
        widths = "-".join(map(str, self.trained.architecture.hidden))
        return (
            f" These networks have hidden layers of {widths} units, not this network's shape, which is no chain of dense "
            "layers with one kind of activation that gradient descent can train."
        )


@checked
def control_networks(
    network: Network,
    split: Split,
    *,
    n_networks: int = 20,
    config: TrainingConfig | None = None,
    effort: float = 1.0,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> Controls:
    """Train networks of the shape of `network` on the data, on random labels, and keep their starts.

    Parameters
    ----------
    network : Network
        A network that was trained on such data. Of a chain of dense layers the widths and activation are copied. For any
        other network the control networks have the shape of the video's, and `Controls.copies` is False.
    split : Split
        What they are trained on.
    n_networks : int
        Control networks of each kind (trained, trained on random labels, untrained), at least 1; verdicts need 2.
    config : TrainingConfig, optional
        How they are trained. By default 20 epochs with batches of 100, and a learning rate that falls from 1 (0.1 for
        units other than sigmoid) to 0 along half a cosine. Data smaller than MNIST get more epochs. If networks
        diverge, a tenth of the rate is tried.
    effort : float
        Share of the default epochs to train for, in (0, 1], for a quick look; not used with `config`.
    seed : int or numpy.random.Generator
        Starts, permutations and orders follow from it.
    progress : callable
        Called with a `ProgressEvent` after each epoch.

    Raises
    ------
    InputError
        If an argument is outside its range.
    DivergedError
        If networks diverge at every rate that is tried.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> config = TrainingConfig(epochs=3)
    >>> network = probe.train(MLP(hidden=(8,)), split, config).network
    >>> controls = control_networks(network, split, n_networks=2, config=config)
    >>> len(controls), controls.copies, controls.trained.weights[0].shape
    (2, True, (2, 8, 64))
    """
    check_integer("n_networks", n_networks, minimum=1)
    check_number("effort", effort, above=0, maximum=1)
    network = for_images_of(network, split)
    copied = architecture_of(network)
    architecture = DEFAULT_ARCHITECTURE if copied is None else copied
    start_rng, label_rng, order_rng = generator(seed).spawn(3)
    data = split.train
    dtype = "float32" if config is None else config.dtype
    starts = initial_population(
        architecture, data.image_shape, data.class_names, rngs=start_rng.spawn(n_networks), dtype=dtype
    )
    permuted = [permuted_labels(data.labels, rng=rng) for rng in label_rng.spawn(n_networks)]
    # Pairs beside each other, so that both of a pair are in one shard and see the same order.
    labels = np.stack([taught for labels in permuted for taught in (data.labels, labels)])
    start = starts.take(np.repeat(np.arange(n_networks), 2))
    order_seed = int(order_rng.integers(2**31))
    for attempt in [config] if config is not None else _attempts(architecture, len(data), effort):
        result = train_population(
            architecture,
            split,
            attempt,
            n_networks=2 * n_networks,
            labels=labels,
            start=start,
            seed=order_seed,
            shard_size=_shard_size(n_networks),
            progress=progress,
        )
        if result.interrupted:
            raise KeyboardInterrupt
        if not result.diverged:
            break
    else:
        raise DivergedError(
            f"networks of this shape diverge at learning_rate {attempt.learning_rate:g}, and at larger ones"
        )
    return Controls(
        untrained=starts,
        trained=result.population.take(slice(0, None, 2)),
        random_label=result.population.take(slice(1, None, 2)),
        test_accuracy=result.history.test_accuracy[::2, -1],
        memorized=result.history.train_accuracy[1::2, -1],
        config=attempt,
        copies=copied is not None,
    )


def _shard_size(n_pairs: int) -> int:
    """Return how many networks share an order: whole pairs, 32 networks at most, in an even number of shards.

    Larger shards lose less to Python between their products: two of 20 train in 0.75 of the time of four of 10.
    """
    n_shards = 2 * math.ceil(2 * n_pairs / 64)
    return 2 * math.ceil(n_pairs / n_shards)


def _attempts(architecture: MLP, n_samples: int, effort: float) -> list[TrainingConfig]:
    """Return how to train them, and how else where they diverge."""
    epochs = max(1, round(effort * enough_epochs(n_samples)))
    return [
        replace(DEFAULT_TRAINING, epochs=epochs, learning_rate=rate, evaluation="end")
        for rate in smaller_rates(learning_rate_for(architecture.activation, DEFAULT_TRAINING.learning_rate))
    ]


@checked
def architecture_of(network: Network) -> MLP | None:
    """Return the widths and the activation of a chain of dense layers; None where gradient descent has none to copy.

    Examples
    --------
    >>> kernel = np.eye(3, dtype=np.float32)
    >>> layers = Dense("hidden", kernel, kernel[0], "tanh"), Dense("output", kernel, kernel[0], "softmax")
    >>> architecture_of(Network(layers, input_shape=(3,))).hidden
    (3,)
    """
    hidden = network.dense_layers[:-1]
    only_dense = all(isinstance(layer, Dense) for layer in network.layers if layer.variables)
    kinds = {_activation_after(network, layer) for layer in hidden}
    if len(kinds) == 1 and kinds <= ACTIVATIONS.keys() - {"step"} and only_dense and network.is_chain:
        return MLP(hidden=[layer.n_units for layer in hidden], activation=kinds.pop())
    return None


def _activation_after(network: Network, dense: Dense) -> str:
    """Return the name of a dense layer's activation, which may be the layer after it; "" if it has settings."""
    after = network.layers[network.layers.index(dense) :]
    for index, layer in enumerate(after):
        if index and isinstance(layer, Dense):
            break
        if layer.activation.name != "linear":
            return "" if layer.activation.settings else layer.activation.name
    return "linear"


@checked
def reinitialized(network: Network, *, rng: np.random.Generator) -> Network:
    """Return `network` with weights as before training: what the same graph computes when it learned nothing.

    Kernels are drawn as Keras draws them by default (uniform within sqrt(6 / (fan_in + fan_out))), or from
    N(0, 2 / fan_in) where a rectifier follows; biases are zero, normalizations learn nothing. What is a setting of
    the data and not learned (rescaling, `Normalization`) stays.

    Parameters
    ----------
    network : Network
        Of any layers; one that is called twice keeps one set of weights.
    rng : numpy.random.Generator
        Draws the kernels.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.
    .. [2] K. He et al., "Delving Deep into Rectifiers", ICCV 2015.

    Examples
    --------
    >>> kernel = np.eye(3, dtype=np.float32)
    >>> network = Network((Dense("output", kernel, kernel[0]),), input_shape=(3,))
    >>> fresh = reinitialized(network, rng=np.random.default_rng(0)).layers[0]
    >>> fresh.bias, bool(np.abs(fresh.kernel).max() <= 1)
    (array([0., 0., 0.], dtype=float32), True)
    """
    check_rng(rng)
    drawn: dict[int, Array] = {}
    layers = []
    for layer in network.layers:
        fresh: dict[str, Any] = {}
        for name, values in layer.variables.items():
            initial = drawn.get(id(values))
            if initial is None:
                initial = drawn[id(values)] = frozen_copy(_unlearned(layer, name, values, rng))
            fresh[name] = initial
        fields = {name: values for name, values in fresh.items() if getattr(layer, name, None) is not None}
        layers.append(replace(layer, **fields) if fields else layer)  # type: ignore[type-var]
    return replace(network, layers=tuple(layers))


def _unlearned(layer: Layer, name: str, values: Array, rng: np.random.Generator) -> Array:
    """Return what a layer's variable is before training; itself where it is not learned."""
    if name in layer.initial_values:
        return np.full_like(values, layer.initial_values[name])
    if name not in layer.kernel_axes:
        return values
    fan_in, fan_out = layer.fans(name)
    if layer.activation.initialization == "he":
        return rng.normal(0, math.sqrt(2 / fan_in), values.shape).astype(values.dtype)
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, values.shape).astype(values.dtype)
