"""The study of minima: its trials run and put together."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from probe._checks import check_integer, kept_seed
from probe._parallel import gathered
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.analyses.minima.connections import Connections, connections
from probe.analyses.minima.design import MINIMA_CONFIG, MOST_SAMPLES, MinimaDesign, MinimaKey
from probe.analyses.minima.results import Minima, WidthMinima
from probe.analyses.minima.trial import MinimaTrial, run_minima_trial
from probe.analyses.minima.verdicts import intervals, verdicts_of
from probe.costs import cost_values, label_positions
from probe.datasets import Split
from probe.population import MLP, Population
from probe.training import TrainingConfig

__all__ = ["minima", "minima_of"]

_KEPT = ("weights", "biases")


@checked
def minima(
    architectures: MLP | Sequence[MLP],
    split: Split,
    config: TrainingConfig | None = None,
    *,
    n_networks: int = 200,
    n_samples: int | None = None,
    polish: int = 2000,
    curvature: str = "extremes",
    margin: float = 0.02,
    n_connected: int = 8,
    seed: int | np.random.Generator = 0,
    workers: int = 1,
    progress: Progress = silent,
) -> Minima:
    """Train many networks from different starts, and compare where they end.

    Each network is trained on the same images, brought down further by L-BFGS on all of them at once, and measured:
    costs, the length of the gradient, and the extreme eigenvalues of the Hessian by Lanczos on exact Hessian-vector
    products. Where the smallest is clearly negative the network is a low-loss point and no minimum [1]_. Between the
    first networks, the cost is followed on straight lines before and after their units are aligned, and on a curve.

    Parameters
    ----------
    architectures : MLP or sequence of MLP
        Shapes to compare, such as hidden layers of several widths.
    split : Split
        Data.
    config : TrainingConfig, optional
        `MINIMA_CONFIG` without: 150 epochs with weight decay.
    n_networks : int
        Networks of each architecture, at least 2; 40 are the fewest that can be called equal.
    n_samples : int, optional
        Training images, drawn at random; 2,000 without, or all where there are fewer.
    polish, curvature, margin, n_connected
        As in `MinimaDesign`.
    seed : int or numpy.random.Generator
        Everything random follows from it; from a generator a seed is drawn.
    workers : int
        Threads that compute trials of 10 networks. The result does not depend on it.
    progress : callable
        Called with a `ProgressEvent` after each trial.

    Raises
    ------
    InputError
        If an argument is outside its range.
    KeyboardInterrupt
        If Ctrl-C came before two networks of each architecture were done.

    References
    ----------
    .. [1] A. Choromanska et al., "The Loss Surfaces of Multilayer Networks", AISTATS 2015.

    Examples
    --------
    >>> import probe
    >>> found = minima(probe.MLP((4,)), probe.load_dataset("digits"), probe.TrainingConfig(epochs=5),
    ...     n_networks=4, n_samples=200, polish=20, n_connected=2)
    >>> found.widths[0].test_accuracy.shape, found.widths[0].connections.before.shape
    ((4,), (2, 2))
    """
    check_integer("n_networks", n_networks, minimum=1)
    check_integer("n_connected", n_connected, minimum=0)
    chosen = (architectures,) if isinstance(architectures, MLP) else tuple(architectures)
    design = MinimaDesign(
        chosen,
        n_networks,
        min(MOST_SAMPLES, len(split.train)) if n_samples is None else n_samples,
        MINIMA_CONFIG if config is None else config,
        polish,
        curvature,
        margin,
        min(n_connected, n_networks),
        kept_seed(seed),
    )
    design.check_fits(split)
    check_integer("workers", workers, minimum=1)
    keys = design.keys

    def report(done: dict[int, MinimaTrial]) -> None:
        progress(ProgressEvent("networks", sum(len(t.test_cost) for t in done.values()), _total(design)))

    def trial(key: MinimaKey, stop: threading.Event) -> MinimaTrial | None:
        return run_minima_trial(design, key, split, stop)

    trials = gathered(trial, keys, workers=workers, report=report)
    return minima_of(design, {keys[index]: done for index, done in trials.items()}, split, progress=progress)


def _total(design: MinimaDesign) -> int:
    return design.n_networks * len(design.architectures)


def minima_of(
    design: MinimaDesign,
    trials: Mapping[MinimaKey, MinimaTrial],
    split: Split,
    *,
    progress: Progress = silent,
) -> Minima:
    """Put trials together, and measure what lies between networks.

    Raises
    ------
    KeyboardInterrupt
        If there are fewer than two networks of an architecture.
    """
    data = design.samples(split)
    widths = []
    for k, architecture in enumerate(design.architectures):
        mine = [trials[key] for key in design.keys if key.architecture == k and key in trials]
        if sum(len(trial.test_cost) for trial in mine) < 2:
            raise KeyboardInterrupt
        values: dict[str, Any] = {
            field.name: np.concatenate([getattr(trial, field.name) for trial in mine])
            for field in fields(MinimaTrial)
            if field.name not in _KEPT
        }
        n_in = data.images[0].size
        guessing = _guessing(design, architecture, data.n_classes)
        widths.append(
            WidthMinima(
                name=architecture.named(n_in, data.n_classes),
                hidden=tuple(architecture.hidden),
                n_parameters=architecture.n_parameters(n_in, data.n_classes),
                **values,
                **dict[str, Any](intervals(values, data.n_classes, guessing)),
                connections=_connections(design, architecture, mine, split, progress),
            )
        )
    return Minima(
        widths=tuple(widths),
        margin=design.margin,
        n_train=len(data),
        n_test=len(split.test),
        weight_decay=design.config.weight_decay,
        polish=design.polish,
        verdicts=verdicts_of(widths, design.margin, guessing),
        interrupted=len(trials) < len(design.keys),
    )


def _guessing(design: MinimaDesign, architecture: MLP, n_classes: int) -> float:
    """Return the cost of a network whose logits are all zero."""
    logits = np.zeros((1, n_classes, 1))
    positions = label_positions(np.zeros((1, 1), np.int64), (1, n_classes, 1))
    return float(cost_values(design.config.cost, architecture.output, logits, positions)[0, 0])


def _connections(
    design: MinimaDesign,
    architecture: MLP,
    trials: Sequence[MinimaTrial],
    split: Split,
    progress: Progress,
) -> Connections | None:
    """Return what lies between the networks that were kept, those that failed left out."""
    kept = [trial for trial in trials if trial.weights]
    if not kept:
        return None
    alive = np.concatenate([~trial.is_diverged[: len(trial.weights[0])] for trial in kept])
    if alive.sum() < 2:
        return None
    data = design.samples(split)
    layers = range(len(kept[0].weights))
    population = Population(
        architecture,
        data.image_shape,
        data.class_names,
        tuple(np.concatenate([trial.weights[place] for trial in kept])[alive] for place in layers),
        tuple(np.concatenate([trial.biases[place] for trial in kept])[alive] for place in layers),
    )
    return connections(
        population,
        data,
        cost=design.config.cost,
        weight_decay=design.config.weight_decay,
        seed=np.random.default_rng([design.seed, 5]),
        progress=progress,
    )
