"""The study of minima: its trials run and put together."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal

import numpy as np

from probe._bars import ShownProgress
from probe._progress import Progress, silent
from probe._signatures import checked
from probe.analyses.minima.connections import Connections, connections
from probe.analyses.minima.design import (
    MINIMA_CONFIG,
    MOST_SAMPLES,
    N_CONNECTED,
    Measured,
    MinimaDesign,
    MinimaKey,
)
from probe.analyses.minima.results import Minima, WidthMinima, intervals
from probe.analyses.minima.trial import MinimaTrial, run_minima_trial
from probe.analyses.minima.verdicts import EQUAL, verdicts_of
from probe.controls import architecture_of
from probe.costs import cost_values, label_positions
from probe.datasets import Split
from probe.network import Network
from probe.parameters import output_of
from probe.population import MLP, Population
from probe.stats import Estimate
from probe.study import DesignedStudy, run_study
from probe.training import DEFAULT_ARCHITECTURE, TrainingConfig, learning_rate_for, training_seconds

__all__ = ["MinimaStudy", "minima", "minima_of_kind", "primary_estimates"]

_AFFORDABLE = 60_000
"""Parameters up to which a few networks may have all images in `minima_of_kind`; larger ones get fewer."""

_FEWEST_SAMPLES = 200


@checked
def minima(
    architectures: MLP | Sequence[MLP],
    split: Split,
    config: TrainingConfig | None = None,
    *,
    n_networks: int = 200,
    n_samples: int | None = None,
    polish: int = 2000,
    curvature: Literal["extremes", "none"] = "extremes",
    margin: float = 0.02,
    n_connected: int | None = None,
    seed: int | np.random.Generator = 0,
    workers: int | None = None,
    progress: ShownProgress = "auto",
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
        `MINIMA_CONFIG` without: 150 epochs with weight decay; its learning rate, 1, is 0.1 where a network is not of
        sigmoid units.
    n_networks : int
        Networks of each architecture, at least 2. At least 36 are needed to call them equal. More can be added later.
    n_samples : int, optional
        Training images, drawn at random, the same for all networks. By default 2,000, or all if there are fewer.
    polish : int
        Most iterations of L-BFGS after training, in float64 on all training images at once; 0 for none.
    curvature : {"extremes", "none"}
        Whether to find the extreme eigenvalues of each Hessian.
    margin : float
        Range of the test accuracies' middle 90% up to which minima count as equal, in (0, 1). Declare it before anything
        is measured.
    n_connected : int, optional
        Networks of each architecture between which lines and curves are measured, each pair; 0 for none, otherwise from
        2 to 50. By default 8, or all if there are fewer.
    seed : int or numpy.random.Generator
        Everything random follows from it; from a generator a seed is drawn.
    workers : int, optional
        Trials that run at the same time, in processes where those pay; by default as many as there are cores, or one if
        all is quickly done. The result does not depend on it.
    progress : callable, "auto" or None
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
    assert callable(progress)
    study = MinimaStudy.of(
        architectures,
        split,
        config,
        n_networks=n_networks,
        n_samples=n_samples,
        polish=polish,
        curvature=curvature,
        margin=margin,
        n_connected=n_connected,
        seed=seed,
    )
    return run_study(study, split, workers=workers, progress=progress)


@checked
def minima_of_kind(
    network: Network,
    split: Split,
    *,
    n_networks: int = 8,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> Minima:
    """Return what `minima` says of a few networks like this one, in seconds: trained as there, not polished.

    Parameters
    ----------
    network : Network
        Its hidden layers, their activation and its outputs are those of the networks; 16-16 sigmoid where it is no chain of
        dense layers.
    split : Split
        Data. Networks of more than 60,000 parameters get fewer than 2,000 images.
    n_networks : int
        At least 2.
    seed, progress
        As in `minima`.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP((4,)), split, probe.TrainingConfig(epochs=1)).network
    >>> minima_of_kind(network, split, n_networks=2).widths[0].name
    '64-4-10 sigmoid'
    """
    copied = architecture_of(network)
    shape = DEFAULT_ARCHITECTURE if copied is None else replace(copied, output=output_of(network))
    n_parameters = shape.n_parameters(split.train.images[0].size, split.train.n_classes)
    n_samples = max(_FEWEST_SAMPLES, min(MOST_SAMPLES, MOST_SAMPLES * _AFFORDABLE // n_parameters))
    return minima(
        shape,
        split,
        n_networks=n_networks,
        n_samples=min(n_samples, len(split.train)),
        polish=0,
        curvature="none",
        n_connected=0,
        seed=seed,
        progress=progress,
    )


@checked
def primary_estimates(
    network: Network, split: Split, *, n_networks: int = 8, seed: int | np.random.Generator = 0
) -> dict[str, Estimate]:
    """Return what decides the claim of the video about networks like this one, by key: "minima", from `minima_of_kind`."""
    found = minima_of_kind(network, split, n_networks=n_networks, seed=seed)
    return {EQUAL.key: found.widths[0].within(found.margin)}


_WHOLE_TRIAL = 5
"""How many times as long as its training a trial takes, at least."""


@dataclass(frozen=True)
class MinimaStudy(DesignedStudy[MinimaKey, MinimaTrial, Minima]):
    """The networks of a design, a trial for every ten of them: a last one with fewer is run again where there are more."""

    design: MinimaDesign

    name: ClassVar[str] = "minima"
    stage: ClassVar[str] = "minima"
    trial: ClassVar[type[MinimaTrial]] = MinimaTrial
    counted: ClassVar[str] = "n_networks"
    default_architectures: ClassVar[tuple[MLP, ...]] = (MLP((16, 16)),)
    default_training: ClassVar[TrainingConfig] = MINIMA_CONFIG

    @classmethod
    def default_config(cls, architectures: Sequence[MLP]) -> TrainingConfig:
        """Return `MINIMA_CONFIG`, with a learning rate that suits all these networks."""
        rates = [learning_rate_for(shape.activation, MINIMA_CONFIG.learning_rate) for shape in architectures]
        return replace(MINIMA_CONFIG, learning_rate=min(rates, default=MINIMA_CONFIG.learning_rate))

    @staticmethod
    def _designed(
        split: Split, *, n_samples: int | None = None, n_connected: int | None = None, **options: Any
    ) -> MinimaDesign:
        n_samples = min(MOST_SAMPLES, len(split.train)) if n_samples is None else n_samples
        design = MinimaDesign(n_samples=n_samples, n_connected=0, **options)
        design.check_fits(split)
        n_connected = min(N_CONNECTED, design.n_networks) if n_connected is None else n_connected
        return replace(design, n_connected=n_connected)

    def seconds(self, keys: Sequence[MinimaKey], split: Split) -> float:
        """Return about how long one core takes: what follows training takes much longer."""
        design, n_in = self.design, math.prod(split.train.image_shape)
        n_samples = design.n_samples or len(split.train)
        sizes = [shape.n_parameters(n_in, split.train.n_classes) for shape in design.architectures]
        training = [
            training_seconds(key.count * sizes[key.architecture], n_samples, design.config) for key in keys
        ]
        return _WHOLE_TRIAL * sum(training)

    def run(self, key: MinimaKey, given: None, split: Split, stop: threading.Event) -> MinimaTrial | None:
        """Train and measure the networks of one trial."""
        return run_minima_trial(self.design, key, split, stop)

    def combine(self, done: Mapping[MinimaKey, MinimaTrial], split: Split, progress: Progress) -> Minima:
        """Put trials together, and measure what lies between networks, of which there must be two of each architecture."""
        design = self.design
        data = design.samples(split)
        widths = []
        for k, architecture in enumerate(design.architectures):
            mine = [done[key] for key in design.keys if key.architecture == k and key in done]
            if sum(len(trial.test_cost) for trial in mine) < 2:
                raise KeyboardInterrupt
            values: dict[str, Any] = {
                field.name: np.concatenate([getattr(trial, field.name) for trial in mine])
                for field in fields(Measured)
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
            interrupted=len(done) < len(design.keys),
        )

    def note(self, trials: Sequence[MinimaTrial]) -> str:
        """Return the number of networks."""
        return f"{sum(len(trial.test_cost) for trial in trials)} networks"


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
        tuple(np.concatenate([trial.weights[layer] for trial in kept])[alive] for layer in layers),
        tuple(np.concatenate([trial.biases[layer] for trial in kept])[alive] for layer in layers),
    )
    return connections(
        population,
        data,
        cost=design.config.cost,
        weight_decay=design.config.weight_decay,
        seed=np.random.default_rng([design.seed, 5]),
        progress=progress,
    )
