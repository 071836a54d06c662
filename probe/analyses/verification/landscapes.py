"""What was published on the landscape of the cost: Choromanska et al. 2015, Li et al. 2018, Garipov et al. 2018."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe.analyses.landscape.plane import principal
from probe.analyses.minima import WidthMinima, minima
from probe.analyses.verification.bench import Bench, Experiment
from probe.analyses.verification.rows import Row
from probe.datasets import resized
from probe.parameters import ParameterSpace
from probe.population import MLP, initial_population
from probe.training import DEFAULT_ARCHITECTURE, TrainingConfig

__all__ = ["CHOROMANSKA", "GARIPOV", "LI"]

Floats = npt.NDArray[np.float64]


# Choromanska et al.

_MINIMA = TrainingConfig(epochs=20, batch_size=100, learning_rate=1.0, schedule="cosine")


def _minima(bench: Bench, width: int, n_networks: int) -> WidthMinima:
    small = resized(bench.split, (min(10, bench.split.train.image_shape[0]),) * 2)
    result = minima(
        MLP((width,), "relu"),
        small,
        _MINIMA,
        n_networks=n_networks,
        n_samples=min(bench.of_size(5000, 20_000, 60_000), len(small.train)),
        polish=0,
        curvature="none",
        n_connected=0,
        seed=bench.seed(),
    )
    if result.interrupted:
        raise KeyboardInterrupt
    return result.widths[0]


def _measure_choromanska(bench: Bench) -> Mapping[str, Floats]:
    # Spreads and correlations need more networks than means.
    n_networks, wide = bench.n_networks * bench.of_size(5, 5, 25), bench.of_size(100, 250, 500)
    few, many = (_minima(bench, width, n_networks) for width in (25, wide))
    costs = [np.stack([each.train_cost, each.test_cost], axis=1) for each in (few, many)]
    return {
        "choromanska-spread": np.stack([few.test_cost, many.test_cost], axis=1),
        "choromanska-poor": few.test_cost / many.test_cost,
        "choromanska-falls": np.concatenate(costs, axis=1),
        "choromanska-correlation": costs[0],
    }


def _choromanska(key: str, where: str, claim: str, **more: Any) -> Row:
    fields: dict[str, Any] = {
        "setup": _SETUP_MINIMA,
        "differs": _DIFFERS_MINIMA,
        "unit": "times",
        "carries": True,
    } | more
    return Row(key=f"choromanska-{key}", source="choromanska", where=where, claim=claim, **fields)


_SETUP_MINIMA = "100-n-10, rectifiers, 10 x 10 MNIST, n of 25 to 500, 1,000 networks of each, 200 epochs"
_DIFFERS_MINIMA = (
    "25 beside 100 units, 5,000 images (size small); 250 and 20,000 (medium); 500 and 60,000 (full). 20 epochs at a rate "
    "that falls from 1, starts after He, five times as many networks as in other rows, 25 times at full."
)

CHOROMANSKA = (
    Experiment(
        key="choromanska",
        rows=(
            _choromanska(
                "spread",
                "experiments",
                "The spread of the test loss shrinks as the network grows",
                low=1.0,
                statistic="spread",
                reason="a direction: the smaller networks spread more, relative to their mean",
            ),
            _choromanska(
                "poor",
                "experiments",
                "Small networks end at a higher test loss",
                low=1.0,
                statistic="ratio",
                reason="a direction: a higher loss",
            ),
            _choromanska(
                "falls",
                "experiments, table",
                "The correlation of training and test loss falls as the network grows",
                low=0.0,
                unit="",
                statistic="correlations",
                remark="it needs more networks and images: of 200 on 60,000 it falls from 0.77 to 0.11 (docs/findings.md)",
                reason="a direction: the smaller networks correlate more",
            ),
            _choromanska(
                "correlation",
                "experiments, table",
                "Training and test loss of networks of 25 units correlate by 0.76",
                low=0.7616,
                high=0.7616,
                rounding=0.00005,
                spread=0.05,
                unit="",
                known="account",
                statistic="correlation",
                size="full",
                carries=False,
                reason="another recipe and fewer epochs move it more than 1,000 networks leave open",
            ),
        ),
        measure=_measure_choromanska,
    ),
)
"""The experiment of Choromanska et al."""


# Li et al.


def _measure_li(bench: Bench) -> Mapping[str, Floats]:
    epochs, train = bench.of_size(20, 60, 300), bench.split.train
    split = bench.first(min(bench.of_size(5000, 20_000, 60_000), len(train)))
    config = TrainingConfig(epochs=1, batch_size=128, learning_rate=0.1, evaluation="end")
    rngs = bench.rng.spawn(bench.n_networks)
    networks = initial_population(DEFAULT_ARCHITECTURE, train.image_shape, train.class_names, rngs=rngs)
    paths = [_vectors(networks)]
    for _ in range(epochs):
        networks = bench.trained(DEFAULT_ARCHITECTURE, split, config, start=networks).population
        paths.append(_vectors(networks))
    held, by_chance = [], []
    for path, rng in zip(np.stack(paths, axis=1), rngs, strict=True):
        held.append(principal(path)[2].sum())
        centered = path - path.mean(axis=0)
        plane = np.linalg.qr(rng.standard_normal((path.shape[1], 2)))[0]
        by_chance.append(((centered @ plane) ** 2).sum() / (centered**2).sum())
    return {"li-path": np.array(held), "li-random": np.array(by_chance)}


def _vectors(networks: Any) -> Floats:
    """Return all parameters of each network: (n_networks, n_parameters)."""
    return np.stack([ParameterSpace(network).vector.astype(np.float64) for network in networks.networks()])


def _li(key: str, claim: str, **more: Any) -> Row:
    fields: dict[str, Any] = {
        "where": "on optimization paths, p. 11",
        "setup": "VGG-9 on CIFAR-10, 300 epochs, weights after each",
        "differs": "784-16-16-10 by plain gradient descent at 0.1; 20 epochs of 5,000 images, 60 of 20,000 at size medium, "
        "300 of all at full.",
        "digits": 1,
        "carries": True,
    } | more
    return Row(key=f"li-{key}", source="li", claim=claim, **fields)


LI = (
    Experiment(
        key="li",
        rows=(
            _li(
                "path",
                "Between 40% and 90% of the variation of the path of training lies in two dimensions",
                low=0.4,
                high=0.9,
                remark="of still lower dimension, of a small network at a constant rate beside deep ones",
                reason="a range of several networks already",
            ),
            _li(
                "random",
                "Two random directions hold almost none of it",
                high=0.0,
                rounding=0.01,
                known="account",
                reason="one part in a hundred, next to none",
            ),
        ),
        measure=_measure_li,
    ),
)
"""The experiment of Li et al."""


# Garipov et al.


def _measure_garipov(bench: Bench) -> Mapping[str, Floats]:
    n, lines, curves = min(bench.of_size(1000, 2000, 10_000), len(bench.split.train)), [], []
    shape = MLP((bench.of_size(16, 32, 64),) * 2, "relu")
    config = replace(_MINIMA, epochs=100, learning_rate=0.1)
    for _ in range(bench.n_networks):
        result = minima(
            shape,
            bench.split,
            config,
            n_networks=2,
            n_samples=n,
            polish=0,
            curvature="none",
            n_connected=2,
            seed=bench.seed(),
        )
        if result.interrupted or result.widths[0].connections is None:
            raise KeyboardInterrupt
        between = result.widths[0].connections
        lines.append(between.before[0, 1])
        curves.append(between.curved[0, 1])
    straight, bent = np.array(lines), np.array(curves)
    return {"garipov-line": straight, "garipov-curve": bent / np.maximum(straight, 1e-9)}


def _garipov(key: str, claim: str, **more: Any) -> Row:
    fields: dict[str, Any] = {
        "setup": "residual networks and VGG-16 on CIFAR-10 and CIFAR-100, pairs of networks",
        "differs": "Two hidden layers of 16 rectifiers on 1,000 of the images at hand, 32 on 2,000 at size medium, 64 on "
        "10,000 at full; to the second network with its units in the order of the first.",
        "unit": "",
        "carries": True,
    } | more
    return Row(key=f"garipov-{key}", source="garipov", claim=claim, **fields)


GARIPOV = (
    Experiment(
        key="garipov",
        rows=(
            _garipov(
                "line",
                "The loss is high on the straight line between two networks",
                where="section 1",
                low=0.0,
                reason="a direction: it climbs above both ends",
            ),
            _garipov(
                "curve",
                "On a curve that was trained it is nearly constant",
                where="abstract",
                high=0.1,
                reason="nearly: it climbs by less than a tenth of what it climbs on the straight line",
            ),
        ),
        measure=_measure_garipov,
    ),
)
"""The experiment of Garipov et al."""
