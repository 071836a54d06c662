"""Control networks of any layers: how many images there is time for, and their training, several at a time."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array, DivergedError, InputError, generator
from probe._parallel import available_workers, in_threads
from probe._progress import WORTH_SAYING, Progress, ProgressEvent, lasting
from probe.controls.few import FEWEST_RANDOM, few_of, n_memorizable
from probe.controls.groups import Controls, ControlsSummary, NetworkGroup
from probe.controls.kind import kind_of
from probe.datasets import Split
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.recipes import Recipe, described
from probe.training import (
    TrainingConfig,
    TrainingResult,
    layered_training,
    reinitialized,
    seconds_per_image,
    smaller_rates,
    train_network,
)

__all__ = ["Plan", "can_train", "layered_controls", "planned"]

_MOST_VALUES = 7.5e9
"""Values that all layers of a control network may make in training: what bounds its epochs. On MNIST a convolution to 32
channels, and what follows it, makes 3 epochs of them."""

_FITTING = (10, 50)
"""Fewest and most epochs of those trained on few images, which end when all of these are right."""

_SHARES = (1, 1 / 2, 1 / 4, 1 / 8)
"""Shares of the images that are tried until there is time enough."""

_LOOKING = 1 / 4
"""What it takes to classify an image, as a share of what it takes to train on it."""


def can_train(network: Network, split: Split) -> bool:
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


@dataclass(frozen=True, slots=True)
class Plan:
    """How control networks of any layers are trained, and how long it takes.

    Attributes
    ----------
    config, fitting : TrainingConfig
        The training on the data, and that on few images.
    share : float
        Of the images: 1, a half, a quarter, an eighth; 0 where there is no time for such networks.
    n_images, n_few : int
        Training images, and those that are learned by heart.
    seconds : float
        About how long it takes; for a share of 0 nothing is trained.
    note : str
        What a verdict must add; "" for all images.
    said : str
        What is said before the training; "" where it is short.
    """

    config: TrainingConfig
    fitting: TrainingConfig
    share: float
    n_images: int
    n_few: int
    seconds: float
    note: str = ""
    said: str = ""


def planned(network: Network, split: Split, recipe: Recipe, n_networks: int, minutes: float) -> Plan:
    """Return the training that there is time for: a minibatch is timed."""
    n_images, values = len(split.train), sum(map(math.prod, network.layer_shapes.values()))
    base = layered_training(n_images) if recipe.adapts else recipe.config
    config = replace(
        base, epochs=max(1, min(20, base.epochs, int(_MOST_VALUES / (values * n_images)))), evaluation="end"
    )
    each = seconds_per_image(network, split, config.batch_size) / available_workers(n_networks)

    def of_share(share: float) -> Plan:
        n, n_few = (
            min(n_images, max(FEWEST_RANDOM, round(share * whole)))
            for whole in (n_images, n_memorizable(network.n_parameters, n_images))
        )
        fewest, most = _FITTING
        fitting = replace(
            layered_training(n_few),
            epochs=max(fewest, min(most, int(_MOST_VALUES / (2 * values * n_few)))),
            evaluation="end",
        )
        looked = config.epochs * min(n, 5_000) + 3 * len(split.test) + 2 * fitting.epochs * n_few
        trained = config.epochs * n + 2 * fitting.epochs * n_few
        seconds = n_networks * each * (trained + _LOOKING * looked)
        return Plan(config, fitting, share, n, n_few, seconds)

    plans = [of_share(share) for share in _SHARES]
    whole, such = plans[0].seconds, "control networks like this one"
    enough = f"--minutes {math.ceil(whole / 60)}"
    for plan in plans:
        if plan.seconds > 60 * minutes:
            continue
        if plan.share == 1:
            told = f"{such}: {lasting(whole)}; --minutes 0 for none"
            return replace(plan, said=told if whole >= WORTH_SAYING else "")
        some = f"on {plan.n_images:,} of the {n_images:,} training images; {enough} for all"
        return replace(plan, note=f"trained {some}", said=f"{such}: {lasting(plan.seconds)} {some}")
    return replace(
        plans[-1],
        share=0,
        note=f"whose training would take {lasting(whole)} ({enough})",
        said=f"{such} are left out, which would take {lasting(whole)}; {enough} for them",
    )


def layered_controls(
    network: Network,
    split: Split,
    plan: Plan,
    n_networks: int,
    target: float,
    seed: int | np.random.Generator,
    progress: Progress,
) -> Controls:
    """Return controls with the layers of `network`, trained by a plan."""
    start_rng, train_rng, few_rng, some_rng = generator(seed).spawn(4)
    starts = [reinitialized(network, rng=rng) for rng in start_rng.spawn(n_networks)]
    few, labels = few_of(split, plan.n_few, n_networks, few_rng)
    if plan.share < 1:
        split = replace(split, train=split.train.sample(plan.n_images, rng=some_rng))
    rngs, done = train_rng.spawn(n_networks), 0
    until = target if np.isfinite(target) else 1.0

    def of_network(k: int, stop: threading.Event) -> list[TrainingResult]:
        def told(event: ProgressEvent) -> None:
            if stop.is_set():
                raise KeyboardInterrupt

        one, *two = rngs[k].spawn(3)
        found = [_settled(starts[k], split, plan.config, one, split.train.labels, until, told)]
        for taught, order in zip(labels[2 * k : 2 * k + 2], two, strict=True):
            found.append(_settled(starts[k], few, plan.fitting, order, taught, 1.0, told))
        return found

    found = dict[int, list[TrainingResult]]()
    progress(ProgressEvent("controls", 0, n_networks))
    stop = threading.Event()
    workers = available_workers(n_networks)
    with closing(in_threads(of_network, range(n_networks), workers=workers, stop=stop)) as results:
        for k, of_one in results:
            found[k], done = of_one, done + 1
            progress(ProgressEvent("controls", done, n_networks))
    if len(found) < n_networks:
        raise KeyboardInterrupt
    trained, own, random = zip(*(found[k] for k in range(n_networks)), strict=True)
    return Controls(
        untrained=NetworkGroup(tuple(starts)),
        trained=_networks(trained),
        few_labels=_networks(own),
        random_label=_networks(random),
        summary=ControlsSummary(
            test_accuracy=_last(trained, "test_accuracy"),
            train_accuracy=_last(trained, "train_accuracy"),
            memorized=_last(random, "train_accuracy"),
            n_random_labels=len(few.train),
            recipe=f"the layers of this network, drawn anew, with {described(plan.config)}",
            config=plan.config,
            kind=kind_of(network),
            copies=True,
            note=plan.note,
            target=target,
        ),
    )


def _settled(
    start: Network,
    split: Split,
    config: TrainingConfig,
    rng: np.random.Generator,
    labels: npt.NDArray[np.int64],
    until: float,
    progress: Progress,
) -> TrainingResult:
    """Train at a rate at which the network does not diverge."""
    for rate, order in zip(smaller_rates(config.learning_rate), rng.spawn(3), strict=True):
        slower = replace(config, learning_rate=rate)
        result = train_network(
            start, split, slower, rng=order, labels=labels, until=until, workers=1, progress=progress
        )
        if result.interrupted:
            raise KeyboardInterrupt
        if not result.diverged_epoch:
            return result
    raise DivergedError(f"networks of these layers diverge at learning_rate {rate:g}, and at larger ones")


def _networks(results: Sequence[TrainingResult]) -> NetworkGroup:
    return NetworkGroup(tuple(result.network for result in results))


def _last(results: Sequence[TrainingResult], name: str) -> Array:
    return np.array([getattr(result.history, name)[-1] for result in results])
