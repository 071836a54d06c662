"""Control networks trained: populations of dense layers here, networks of any layers in `probe.controls.layered`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._cache import Kept, cached, digest
from probe._checks import (
    Array,
    DivergedError,
    check_integer,
    check_number,
    generator,
)
from probe._progress import Progress, announcement
from probe._signatures import checked
from probe.controls.few import FEWEST_RANDOM, MEASURED, few_of, fewer_labels, gentle_rate, n_memorizable
from probe.controls.groups import Controls, ControlsSummary
from probe.controls.kind import architecture_of
from probe.controls.layered import can_train, layered_controls, planned
from probe.datasets import Split
from probe.fitting import for_images_of
from probe.layers import Dropout, Noise
from probe.network import Network
from probe.parameters import output_of
from probe.population import MLP, Population, initial_population
from probe.recipes import RECIPES, Recipe
from probe.training import (
    DEFAULT_ARCHITECTURE,
    Shard,
    TrainingConfig,
    learning_rate_for,
    smaller_rates,
    train_shards,
)

__all__ = ["MEMORIZING", "control_networks"]

MEMORIZING = TrainingConfig(epochs=600, batch_size=50, learning_rate=0.3, optimizer="nesterov", stop="fitted")
"""The video's network fits 1,000 random labels of MNIST in 86 to 149 of these epochs: in less than half of the updates
that plain gradient descent takes."""

_MEMORIZED = 0.9
"""Share of its random labels that a network must put out to show what memorizing does."""

_LOOKING = 100_000_000_000
"""Multiplications that measuring the training accuracy may take."""

_STAND_IN_VALUES, _STAND_IN_EPOCHS = 50_000_000, 20
"""Pixels of all images that networks which stand in for others see, about those of MNIST, and how often."""

_FEWEST_FOR_STAND_INS = 500
"""Images that these see at least."""

_SHARDS = 6, 6, 4
"""Control networks that share an order, whatever their number: the first, the second, and so many each from then on. So the
first ones are the same with more of them, and two cores have the same to do for 12 and for 20."""


@checked
def control_networks(
    network: Network,
    split: Split,
    *,
    n_networks: int = 20,
    recipe: Recipe | None = None,
    minutes: float = 4.0,
    seed: int | np.random.Generator = 0,
    progress: ShownProgress = "auto",
) -> Controls:
    """Train networks of the kind of `network`: on the data, on few images, on random labels; and keep their starts.

    Parameters
    ----------
    network : Network
        A network that was trained on such data. Its layers are copied, whatever they are. Where gradient descent cannot
        train them, or not within `minutes`, the control networks have the shape of the video's, and `Controls.copies` is
        False.
    split : Split
        What they are trained on.
    n_networks : int
        Control networks of each kind, at least 1; verdicts need 6.
    recipe : Recipe, optional
        How `network` was made and trained: of `probe.recipes.RECIPES`, or from `probe.recipes.recorded_recipe`. If nothing
        is known it is "modern", until the training accuracy of `network` is reached, if that is not near guessing.
        If networks diverge, a tenth of the rate is tried.
    minutes : float
        Time for networks of other layers than dense ones, about, at least 0. A minibatch is timed first: where all
        images would take longer, networks are trained on a half, a quarter or an eighth of them, and
        `ControlsSummary.note` says so.
    seed : int or numpy.random.Generator
        Starts, permutations and orders follow from it.
    progress : callable, "auto" or None
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
    assert callable(progress)
    check_integer("n_networks", n_networks, minimum=1)
    check_number("minutes", minutes, minimum=0)
    network = for_images_of(network, split)
    target = np.nan if recipe is not None else _target(network, split)
    known = replace(RECIPES["modern"], output=output_of(network)) if recipe is None else recipe
    architecture = None if _is_noisy(network) else architecture_of(network)
    note = ""
    if architecture is None:
        note = "which gradient descent cannot train here"
        if can_train(network, split):
            plan = planned(network, split, known, n_networks, minutes)
            progress(announcement(plan.said))
            if plan.share:
                return layered_controls(network, split, plan, n_networks, target, seed, progress)
            note = plan.note
    if architecture is not None:
        return _population_controls(architecture, split, known, n_networks, target, seed, progress)
    few, said = _for_stand_ins(split)
    found = _population_controls(
        DEFAULT_ARCHITECTURE, few, known, n_networks, target, seed, progress, stand_in=True
    )
    return replace(found, summary=replace(found.summary, copies=False, note=note + said))


def _for_stand_ins(split: Split) -> tuple[Split, str]:
    """Return `split`, of large images some, and what to say of that."""
    train = split.train
    n = max(_FEWEST_FOR_STAND_INS, _STAND_IN_VALUES // math.prod(train.image_shape))
    if n >= len(train):
        return split, ""
    some = train.sample(n, rng=np.random.default_rng(0))
    return replace(split, train=some), f"; they were trained on {n:,} of the {len(train):,} training images"


def _target(network: Network, split: Split) -> float:
    """Return the training accuracy of a network; NaN if it is near guessing, which no training ends at."""
    affordable = max(500, min(10_000, _LOOKING // network.n_multiplications))
    seen = split.train.sample(min(affordable, len(split.train)), rng=np.random.default_rng(0))
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
    *,
    stand_in: bool = False,
) -> Controls:
    """Return controls that are chains of dense layers."""
    start_rng, order_rng, few_rng = generator(seed).spawn(3)
    architecture, data = recipe.architecture(like), split.train
    config = recipe.training(architecture.activation, len(data))
    if recipe.adapts:
        config = replace(config, learning_rate=gentle_rate(config.learning_rate, data.images[:MEASURED]))
    if stand_in:
        most = _STAND_IN_EPOCHS * _STAND_IN_VALUES // data.images.size
        config = replace(config, epochs=max(1, min(config.epochs, most)))
    if np.isfinite(target):
        config = replace(config, stop="fitted", until=target, evaluation="epoch")
    elif config.stop == "never":
        config = replace(config, evaluation="end")  # nobody asks how they got there
    starts = initial_population(
        architecture, data.image_shape, data.class_names, rngs=start_rng.spawn(n_networks), dtype=config.dtype
    )
    result = _trained(split, config, starts, order_rng, progress)
    few, random, memorized, n_random = _memorizers(
        architecture, split, starts, few_rng, progress, stand_in=stand_in
    )
    return Controls(
        untrained=starts,
        trained=result.population,
        few_labels=few,
        random_label=random,
        summary=ControlsSummary(
            test_accuracy=result.test_accuracy,
            train_accuracy=result.train_accuracy,
            memorized=memorized,
            n_random_labels=n_random,
            recipe=recipe.sentence,
            config=config,
            kind=architecture.named(math.prod(data.image_shape), data.n_classes),
            copies=True,
            note="",
            target=target,
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Trained:
    """What came of one shard of control networks."""

    population: Population
    train_accuracy: Array
    test_accuracy: Array
    diverged: bool


def _trained(
    split: Split,
    config: TrainingConfig,
    starts: Population,
    order_rng: np.random.Generator,
    progress: Progress,
    labels: npt.NDArray[np.int64] | None = None,
    of_each: int = 1,
) -> _Trained:
    """Train from `starts`, `of_each` for every control network, at a smaller rate where networks diverge."""
    order_seed = int(order_rng.integers(2**31))
    parts = _shards(len(starts), of_each)
    for rate in smaller_rates(config.learning_rate):
        rngs = generator(order_seed).spawn(2)[1].spawn(len(parts))  # as `train_population` would
        shards = [
            Shard(starts.take(part), split, rng, None if labels is None else labels[part])
            for part, rng in zip(parts, rngs, strict=True)
        ]
        found = _of_shards(split, shards, replace(config, learning_rate=rate), progress)
        if not any(each.diverged for each in found):
            return _joined(found)
    raise DivergedError(f"networks of this shape diverge at learning_rate {rate:g}, and at larger ones")


def _shards(n_networks: int, of_each: int) -> list[slice]:
    """Return which networks share an order, where there are `of_each` for every control network."""
    parts, begin, sizes = list[slice](), 0, chain(_SHARDS, repeat(_SHARDS[-1]))
    while begin < n_networks:
        parts.append(slice(begin, min(n_networks, begin + of_each * next(sizes))))
        begin = parts[-1].stop
    return parts


def _of_shards(
    split: Split, shards: Sequence[Shard], config: TrainingConfig, progress: Progress
) -> list[_Trained]:
    """Return what comes of each shard; those that are kept from before are not trained again."""
    data = digest(split) if cached() else ""
    places = [
        Kept(_Trained, "controls", data, config, shard.start, shard.order_rng, shard.labels)
        for shard in shards
    ]
    found = [place.load() for place in places]
    missing = [k for k, each in enumerate(found) if each is None]
    results = train_shards([shards[k] for k in missing], config, progress=progress) if missing else []
    if any(result.interrupted for result in results):
        raise KeyboardInterrupt
    for k, result in zip(missing, results, strict=True):
        history = result.history
        trained = _Trained(
            result.population,
            history.train_accuracy[:, -1],
            history.test_accuracy[:, -1],
            bool(result.diverged),
        )
        found[k] = places[k].save(trained)
    return [each for each in found if each is not None]


def _joined(found: Sequence[_Trained]) -> _Trained:
    populations = [each.population for each in found]
    layers = range(len(populations[0].weights))
    return _Trained(
        replace(
            populations[0],
            weights=tuple(np.concatenate([one.weights[layer] for one in populations]) for layer in layers),
            biases=tuple(np.concatenate([one.biases[layer] for one in populations]) for layer in layers),
        ),
        np.concatenate([each.train_accuracy for each in found]),
        np.concatenate([each.test_accuracy for each in found]),
        diverged=False,
    )


def _memorizers(
    architecture: MLP,
    split: Split,
    starts: Population,
    rng: np.random.Generator,
    progress: Progress,
    *,
    stand_in: bool,
) -> tuple[Population, Population, Array, int]:
    """Return networks trained on few images, with their own labels and with permuted ones; what share the second put out.

    Half as many images are taken where most networks do not learn their random labels.
    """
    data = split.train
    n_pixels = math.prod(data.image_shape)
    n = n_memorizable(architecture.n_parameters(n_pixels, data.n_classes), len(data))
    n = fewer_labels(n, n_pixels) if stand_in else n
    rate = learning_rate_for(architecture.activation, MEMORIZING.learning_rate)
    config = replace(MEMORIZING, learning_rate=gentle_rate(rate, data.images[:MEASURED]))
    pairs = starts.take(np.repeat(np.arange(len(starts)), 2))
    while True:
        images_rng, order_rng = rng.spawn(2)
        few, labels = few_of(split, n, len(starts), images_rng)
        # Nobody asks what they make of test images: one is looked at.
        alone = replace(few, test=few.train.take([0]))
        result = _trained(alone, config, pairs, order_rng, progress, labels, of_each=2)
        memorized = result.train_accuracy[1::2]
        if np.median(memorized[: _SHARDS[0]]) >= _MEMORIZED or n // 2 < FEWEST_RANDOM:
            break
        n //= 2
    population = result.population
    return population.take(slice(0, None, 2)), population.take(slice(1, None, 2)), memorized, n


def _is_noisy(network: Network) -> bool:
    """Return whether layers act in training alone, by chance."""
    return any(isinstance(layer, Dropout | Noise) and layer.rate for layer in network.layers)
