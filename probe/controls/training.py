"""Control networks trained: populations of dense layers, and networks of any layers one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe._checks import (
    Array,
    DivergedError,
    InputError,
    check_integer,
    generator,
)
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.controls.groups import Controls, ControlsSummary, NetworkGroup
from probe.controls.kind import architecture_of, kind_of, reinitialized
from probe.datasets import Split, permuted_labels
from probe.fitting import for_images_of
from probe.layers import Dropout, Noise
from probe.network import Network
from probe.parameters import ParameterSpace, output_of
from probe.population import MLP, Population, initial_population
from probe.recipes import RECIPES, Recipe, described
from probe.training import (
    DEFAULT_ARCHITECTURE,
    PopulationResult,
    TrainingConfig,
    TrainingResult,
    learning_rate_for,
    smaller_rates,
    train_network,
    train_population,
)

__all__ = ["MEMORIZING", "control_networks", "n_memorizable"]

MEMORIZING = TrainingConfig(epochs=600, batch_size=50, learning_rate=0.3, optimizer="nesterov", stop="fitted")
"""The video's network fits 1,000 random labels of MNIST in 86 to 149 of these epochs: in less than half of the updates
that plain gradient descent takes."""

_MOST_RANDOM, _FEWEST_RANDOM = 1_000, 50
_PARAMETERS_PER_LABEL = 13
"""Random labels that networks are taught: one for each 13 parameters, as 1,000 are of the video's network."""

_MEMORIZED = 0.9
"""Share of its random labels that a network must put out to show what memorizing does."""

_SHARD = 6
"""Control networks that share an order, whatever their number: so the first ones are the same with more of them."""

_MOST_VALUES = 5e9
"""Values that all layers of a control network may make in training, where it is no dense chain: what bounds the time. On
MNIST a convolution to 32 channels makes 3 epochs of them."""


@checked
def control_networks(
    network: Network,
    split: Split,
    *,
    n_networks: int = 20,
    recipe: Recipe | None = None,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> Controls:
    """Train networks of the kind of `network`: on the data, on few images, on random labels; and keep their starts.

    Parameters
    ----------
    network : Network
        A network that was trained on such data. Its layers are copied, whatever they are. Where gradient descent cannot
        train them, the control networks have the shape of the video's, and `Controls.copies` is False.
    split : Split
        What they are trained on.
    n_networks : int
        Control networks of each kind, at least 1; verdicts need 6.
    recipe : Recipe, optional
        How `network` was made and trained: of `probe.recipes.RECIPES`, or from `probe.recipes.recorded_recipe`. If nothing
        is known it is "modern", until the training accuracy of `network` is reached, if that is not near guessing.
        If networks diverge, a tenth of the rate is tried.
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
    >>> recipe = replace(RECIPES["modern"], config=TrainingConfig(epochs=3), adapts=False)
    >>> network = probe.train(MLP(hidden=(8,)), split, recipe.config).network
    >>> controls = control_networks(network, split, n_networks=2, recipe=recipe)
    >>> len(controls), controls.copies, controls.trained.weights[0].shape
    (2, True, (2, 8, 64))
    """
    check_integer("n_networks", n_networks, minimum=1)
    network = for_images_of(network, split)
    target = np.nan if recipe is not None else _target(network, split)
    known = replace(RECIPES["modern"], output=output_of(network)) if recipe is None else recipe
    architecture = None if _is_noisy(network) else architecture_of(network)
    if architecture is None and _can_train(network, split):
        return _graph_controls(network, split, known, n_networks, target, seed, progress)
    shape = DEFAULT_ARCHITECTURE if architecture is None else architecture
    found = _population_controls(shape, split, known, n_networks, target, seed, progress)
    return found if architecture is not None else replace(found, summary=replace(found.summary, copies=False))


def _target(network: Network, split: Split) -> float:
    """Return the training accuracy of a network; NaN if it is near guessing, which no training ends at."""
    seen = split.train.sample(min(10_000, len(split.train)), rng=np.random.default_rng(0))
    if network.n_classes != split.train.n_classes:
        return np.nan
    accuracy = float((network.predict(seen.images) == seen.labels).mean())
    commonest = float(np.bincount(seen.labels).max() / len(seen))
    return accuracy if accuracy > commonest + 0.5 * (1 - commonest) else np.nan


def _population_controls(
    like: MLP,
    split: Split,
    recipe: Recipe,
    n_networks: int,
    target: float,
    seed: int | np.random.Generator,
    progress: Progress,
) -> Controls:
    """Return controls that are chains of dense layers."""
    start_rng, order_rng, few_rng = generator(seed).spawn(3)
    architecture, data = recipe.architecture(like), split.train
    config = recipe.training(architecture.activation, len(data))
    if np.isfinite(target):
        config = replace(config, stop="fitted", until=target, evaluation="epoch")
    starts = initial_population(
        architecture, data.image_shape, data.class_names, rngs=start_rng.spawn(n_networks), dtype=config.dtype
    )
    result = _trained(architecture, split, config, starts, order_rng, progress)
    few, random, memorized, n_random = _memorizers(architecture, split, starts, few_rng, progress)
    return Controls(
        untrained=starts,
        trained=result.population,
        few_labels=few,
        random_label=random,
        summary=ControlsSummary(
            test_accuracy=result.history.test_accuracy[:, -1],
            train_accuracy=result.history.train_accuracy[:, -1],
            memorized=memorized,
            n_random_labels=n_random,
            recipe=recipe.sentence,
            config=config,
            kind=architecture.named(math.prod(data.image_shape), data.n_classes),
            copies=True,
            target=target,
        ),
    )


def _trained(
    architecture: MLP,
    split: Split,
    config: TrainingConfig,
    starts: Population,
    order_rng: np.random.Generator,
    progress: Progress,
    labels: npt.NDArray[np.int64] | None = None,
    shard_size: int = _SHARD,
) -> PopulationResult:
    """Train from `starts`, at a smaller rate where networks diverge."""
    order_seed, n_networks = int(order_rng.integers(2**31)), len(starts)
    for rate in smaller_rates(config.learning_rate):
        result = train_population(
            architecture,
            split,
            replace(config, learning_rate=rate),
            n_networks=n_networks,
            labels=labels,
            start=starts,
            seed=order_seed,
            shard_size=shard_size,
            progress=progress,
        )
        if result.interrupted:
            raise KeyboardInterrupt
        if not result.diverged:
            return result
    raise DivergedError(f"networks of this shape diverge at learning_rate {rate:g}, and at larger ones")


def _memorizers(
    architecture: MLP, split: Split, starts: Population, rng: np.random.Generator, progress: Progress
) -> tuple[Population, Population, Array, int]:
    """Return networks trained on few images, with their own labels and with permuted ones; what share the second put out.

    Half as many images are taken where most networks do not learn their random labels.
    """
    data = split.train
    n_parameters = architecture.n_parameters(math.prod(data.image_shape), data.n_classes)
    n = n_memorizable(n_parameters, len(data))
    config = replace(
        MEMORIZING, learning_rate=learning_rate_for(architecture.activation, MEMORIZING.learning_rate)
    )
    pairs = starts.take(np.repeat(np.arange(len(starts)), 2))
    while True:
        images_rng, order_rng = rng.spawn(2)
        few, labels = _few(split, n, len(starts), images_rng)
        result = _trained(architecture, few, config, pairs, order_rng, progress, labels, 2 * _SHARD)
        memorized = result.history.train_accuracy[1::2, -1]
        if np.median(memorized[:_SHARD]) >= _MEMORIZED or n // 2 < _FEWEST_RANDOM:
            break
        n //= 2
    population = result.population
    return population.take(slice(0, None, 2)), population.take(slice(1, None, 2)), memorized, n


@checked
def n_memorizable(n_parameters: int, n_samples: int) -> int:
    """Return how many random labels networks of so many parameters are taught, if there are as many images.

    Examples
    --------
    >>> n_memorizable(13_002, 60_000), n_memorizable(1_482, 1_437)
    (1000, 114)
    """
    check_integer("n_parameters", n_parameters, minimum=1)
    check_integer("n_samples", n_samples, minimum=1)
    return min(n_samples, max(_FEWEST_RANDOM, min(_MOST_RANDOM, n_parameters // _PARAMETERS_PER_LABEL)))


def _few(
    split: Split, n: int, n_networks: int, rng: np.random.Generator
) -> tuple[Split, npt.NDArray[np.int64]]:
    """Return some of the images, and for each network their own labels and these permuted: (2 * n_networks, n)."""
    few = replace(split, train=split.train.sample(n, rng=rng))
    own = few.train.labels
    permuted = [permuted_labels(own, rng=one) for one in rng.spawn(n_networks)]
    return few, np.stack([taught for labels in permuted for taught in (own, labels)])


def _is_noisy(network: Network) -> bool:
    """Return whether layers act in training alone, by chance."""
    return any(isinstance(layer, Dropout | Noise) and layer.rate for layer in network.layers)


def _can_train(network: Network, split: Split) -> bool:
    """Return whether gradient descent has a way to all that a network learned."""
    if any(layer.activation.name == "step" for layer in network.layers):
        return False
    try:
        ParameterSpace(network).gradient(split.train.images[:2].astype(network.dtype), split.train.labels[:2])
    except (
        InputError,
        NotImplementedError,
    ):  # why there is none makes no difference: others stand in, and say so
        return False
    return True


def _graph_controls(
    network: Network,
    split: Split,
    recipe: Recipe,
    n_networks: int,
    target: float,
    seed: int | np.random.Generator,
    progress: Progress,
) -> Controls:
    """Return controls with the layers of `network`, trained one by one with Adam: as many epochs as the budget holds."""
    start_rng, train_rng, few_rng = generator(seed).spawn(3)
    values = sum(math.prod(shape) for shape in network.layer_shapes.values())
    n_images = len(split.train)
    epochs = max(1, min(20, int(_MOST_VALUES / (values * n_images))))
    config = TrainingConfig(epochs=epochs, batch_size=32, learning_rate=1e-3, optimizer="adam")
    starts = [reinitialized(network, rng=rng) for rng in start_rng.spawn(n_networks)]
    few, labels = _few(split, n_memorizable(network.n_parameters, n_images), n_networks, few_rng)
    fitting = replace(config, epochs=max(10, min(100, int(_MOST_VALUES / (2 * values * len(few.train))))))
    trained, own, random = list[TrainingResult](), list[TrainingResult](), list[TrainingResult]()
    until = target if np.isfinite(target) else 1.0
    for k, (start, rng) in enumerate(zip(starts, train_rng.spawn(n_networks), strict=True)):
        one, *two = rng.spawn(3)
        trained.append(train_network(start, split, config, rng=one, until=until))
        for kept, taught, order in zip((own, random), labels[2 * k : 2 * k + 2], two, strict=True):
            kept.append(train_network(start, few, fitting, rng=order, labels=taught))
        if any(result.interrupted for result in (trained[-1], own[-1], random[-1])):
            raise KeyboardInterrupt
        progress(ProgressEvent("training controls", k + 1, n_networks))

    def last(results: list[TrainingResult], name: str) -> Array:
        return np.array([getattr(result.history, name)[-1] for result in results])

    return Controls(
        untrained=NetworkGroup(tuple(starts)),
        trained=NetworkGroup(tuple(result.network for result in trained)),
        few_labels=NetworkGroup(tuple(result.network for result in own)),
        random_label=NetworkGroup(tuple(result.network for result in random)),
        summary=ControlsSummary(
            test_accuracy=last(trained, "test_accuracy"),
            train_accuracy=last(trained, "train_accuracy"),
            memorized=last(random, "train_accuracy"),
            n_random_labels=len(few.train),
            recipe=f"the layers of this network, drawn anew, with {described(config)}",
            config=config,
            kind=kind_of(network),
            copies=True,
            target=target,
        ),
    )
