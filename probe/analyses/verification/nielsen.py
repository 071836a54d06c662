"""Nielsen's book, chapters 1 and 2: a network, what it is compared with, and backpropagation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe.analyses.verification.bench import Bench, Experiment
from probe.analyses.verification.rows import Row
from probe.datasets import Split
from probe.parameters import ParameterSpace
from probe.population import MLP, initial_population
from probe.training import TrainingConfig

__all__ = ["FIRST_CHAPTERS", "SHARED", "STANDARD", "number", "row_of", "shape"]

Floats = npt.NDArray[np.float64]

# His quadratic cost has a factor 1/2 that ours lacks, so half his learning rate makes his steps.
_HALF = 0.5

SHARED = "Our networks share an order of the images."
_BEST = "The best of three runs there, and here the mean over all threes of our networks."
STANDARD = "batches of 10, weights and biases from N(0, 1), the first 50,000 images"


def row_of(key: str, where: str, claim: str, setup: str, **more: Any) -> Row:
    """Return a row of the book."""
    return Row(
        key=f"nielsen-{key}",
        source="nielsen",
        where=where,
        claim=claim,
        setup=setup,
        **({"differs": SHARED} | more),
    )


def number(value: float, rounding: float = 0.00005, **more: Any) -> dict[str, Any]:
    """Return what a row has that is about one printed number."""
    return {"low": value, "high": value, "rounding": rounding, "known": "digits"} | more


def shape(hidden: int, start: Any = "normal") -> MLP:
    """Return one of the book's networks."""
    return MLP((hidden,), output="sigmoid", initialization=start)


def _quadratic(rate: float, epochs: int) -> TrainingConfig:
    """Return the training of chapter 1."""
    return TrainingConfig(epochs=epochs, batch_size=10, learning_rate=rate * _HALF, cost="quadratic")


# Chapter 1


def _measure_30(bench: Bench) -> Mapping[str, Floats]:
    accuracy = bench.trained(shape(30), bench.five_sixths(), _quadratic(3.0, 30)).history.test_accuracy
    early = {f"nielsen-30-epoch-{k}": accuracy[:, k - 1] for k in (1, 2, 3)}
    return early | {"nielsen-30-peak": accuracy.max(axis=1), "nielsen-30-end": accuracy[:, -1]}


_STUCK = "single networks are some 10 or 20 points behind after the first epochs, and then catch up"

_SETUP_30 = f"784-30-10, quadratic cost, rate 3, {STANDARD}"

_THIRTY = Experiment(
    key="nielsen-30",
    rows=(
        *(
            row_of(
                f"30-epoch-{epoch}",
                "ch. 1, transcript",
                f"784-30-10 reads {value:.2%} of the test digits after epoch {epoch}",
                _SETUP_30,
                **number(value, spread=spread, remark=_STUCK),
            )
            for epoch, value, spread in ((1, 0.9129, 0.0047), (2, 0.9295, 0.0019), (3, 0.9348, 0.0027))
        ),
        row_of(
            "30-peak",
            "ch. 1, transcript",
            "784-30-10 reads 95.42% of the test digits after its best of 30 epochs",
            _SETUP_30,
            **number(0.9542, spread=0.0018, statistic="best of three", differs=f"{SHARED} {_BEST}"),
        ),
        row_of(
            "30-end",
            "ch. 1, transcript",
            "784-30-10 reads 95.34% of the test digits after 30 epochs",
            _SETUP_30,
            **number(0.9534, spread=0.0034, statistic="best of three", differs=f"{SHARED} {_BEST}"),
        ),
    ),
    measure=_measure_30,
)


def _measure_100(bench: Bench) -> Mapping[str, Floats]:
    trained = bench.trained(shape(100), bench.five_sixths(), _quadratic(3.0, 30))
    return {"nielsen-100-peak": trained.history.test_accuracy.max(axis=1)}


_HUNDRED = Experiment(
    key="nielsen-100",
    rows=(
        row_of(
            "100-peak",
            "ch. 1",
            "784-100-10 reads 96.59% of the test digits after its best of 30 epochs",
            f"784-100-10, quadratic cost, rate 3, {STANDARD}",
            **number(
                0.9659,
                spread=0.002,
                statistic="best of three",
                size="medium",
                differs=f"{SHARED} {_BEST}",
                reason="as of 784-30-10; runs that never say one digit are not allowed for",
                remark="from most starts the output of some digit stays near 0 for good: three runs may all be stuck",
            ),
        ),
    ),
    measure=_measure_100,
)


def _measure_rates(bench: Bench) -> Mapping[str, Floats]:
    split, epochs = bench.five_sixths(), bench.of_size(3, 30, 30)
    fast = bench.trained(shape(30), split, replace(_quadratic(100.0, epochs), evaluation="end"))
    slow = bench.trained(shape(100), split, _quadratic(0.001, epochs)).history.test_accuracy
    found = {"nielsen-fast": fast.history.test_accuracy[:, -1], "nielsen-slow-3": slow[:, 2]}
    return found | ({} if epochs < 30 else {"nielsen-slow-30": slow[:, -1]})


_RATES = Experiment(
    key="nielsen-rates",
    rows=(
        row_of(
            "fast",
            "ch. 1, transcript",
            "At a rate of 100, 784-30-10 does no better than guessing: 9.82% to 10.09%",
            f"784-30-10, quadratic cost, 30 epochs at rate 100, {STANDARD}",
            low=0.0982,
            high=0.1009,
            rounding=0.0153,
            reason="who always says the same digit is right on 8.92% to 11.35%",
            known="digits",
            remark="single networks come to 7% to 17% at this rate, and one digit alone to 9% to 11%",
            differs=f"{SHARED} At size small 3 epochs.",
            carries=True,
        ),
        row_of(
            "slow-3",
            "ch. 1, transcript",
            "At a rate of 0.001, 784-100-10 has learned next to nothing after 3 epochs: 11.35%",
            f"784-100-10, quadratic cost, rate 0.001, {STANDARD}",
            **number(0.1135, spread=0.032),
        ),
        row_of(
            "slow-30",
            "ch. 1, transcript",
            "At a rate of 0.001, 784-100-10 reads 21.42% after 30 epochs",
            f"784-100-10, quadratic cost, rate 0.001, {STANDARD}",
            **number(
                0.2142,
                spread=0.032,
                size="medium",
                reason="as after 3 epochs: what starts guess is carried on",
            ),
        ),
    ),
    measure=_measure_rates,
)


def _by_darkness(split: Split) -> float:
    """Return the share of the test images whose class has the mean darkness that is nearest to theirs."""
    train, test = (
        data.images.reshape(len(data), -1).sum(axis=1, dtype=np.float64) for data in (split.train, split.test)
    )
    means = np.array([train[split.train.labels == k].mean() for k in range(split.train.n_classes)])
    said = np.abs(test[:, None] - means).argmin(axis=1)
    return float((said == split.test.labels).mean())


_DARKNESS = Experiment(
    key="nielsen-darkness",
    rows=(
        row_of(
            "darkness",
            "ch. 1",
            "How dark an image is tells 22.25% of the test digits",
            "the nearest of the classes' mean darknesses, of the first 50,000 images",
            low=0.2225,
            high=0.2225,
            rounding=0.00005,
            known="digits",
            statistic="exact",
            differs="",
            reason="nothing is random",
        ),
    ),
    measure=lambda bench: {"nielsen-darkness": np.array([_by_darkness(bench.five_sixths())])},
)


def _measure_svm(bench: Bench) -> Mapping[str, Floats]:
    from sklearn.svm import SVC

    split = bench.five_sixths()
    train, test = (data.images.reshape(len(data), -1) for data in (split.train, split.test))
    machine = SVC(gamma="auto", cache_size=1000).fit(train, split.train.labels)
    return {"nielsen-svm": np.array([machine.score(test, split.test.labels)])}


_MACHINE = Experiment(
    key="nielsen-svm",
    rows=(
        row_of(
            "svm",
            "ch. 1",
            "scikit-learn's support vector machine reads 94.35% of the test digits with its default settings",
            "the defaults of that time: C = 1, a Gaussian kernel of gamma 1/784; the first 50,000 images",
            low=0.9435,
            high=0.9435,
            rounding=0.0005,
            known="digits",
            statistic="exact",
            size="medium",
            differs="",
            reason="the solver stops a little earlier or later in another version",
        ),
    ),
    measure=_measure_svm,
)


# Chapter 2


def _measure_backprop(bench: Bench) -> Mapping[str, Floats]:
    """Return how far slopes by backpropagation lie from central differences, relative to these: the worst of 20."""
    images, labels = bench.split.test.images[:50].astype(np.float64), bench.split.test.labels[:50]
    train, worst = bench.split.train, []
    rngs = bench.rng.spawn(bench.n_networks)
    starts = initial_population(shape(30), train.image_shape, train.class_names, rngs=rngs, dtype="float64")
    for network, rng in zip(starts.networks(), rngs, strict=True):
        space = ParameterSpace(network, "quadratic")
        _, gradient = space.gradient(images, labels)
        directions = rng.standard_normal((20, space.n_parameters))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        step = 1e-5
        rises = [
            (
                space.gradient(images, labels, space.vector + step * way)[0]
                - space.gradient(images, labels, space.vector - step * way)[0]
            )
            / (2 * step)
            for way in directions
        ]
        worst.append(np.abs(directions @ gradient - rises).max() / np.abs(rises).max())
    return {"nielsen-backprop": np.array(worst)}


_BACKPROP = Experiment(
    key="nielsen-backprop",
    rows=(
        row_of(
            "backprop",
            "ch. 2, (BP1) to (BP4)",
            "Backpropagation gives the partial derivatives of the cost exactly",
            "any network; equations (BP1) to (BP4), which are proved there",
            high=1e-6,
            unit="",
            carries=True,
            differs="Slopes along random directions beside central differences, at the start of 784-30-10.",
            reason="what central differences in double precision leave open",
        ),
    ),
    measure=_measure_backprop,
)


def _measure_parameters(bench: Bench) -> Mapping[str, Floats]:
    train = bench.split.train
    n_in = math.prod(train.image_shape)
    return {"nielsen-parameters": np.array([float(shape(30).n_parameters(n_in, train.n_classes))])}


_PARAMETERS = Experiment(
    key="nielsen-parameters",
    rows=(
        row_of(
            "parameters",
            "ch. 3",
            "784-30-10 has 23,860 weights and biases",
            "784-30-10",
            low=23_860,
            high=23_860,
            known="digits",
            statistic="exact",
            unit="",
            digits=0,
            differs="",
            reason="counted",
        ),
    ),
    measure=_measure_parameters,
)

FIRST_CHAPTERS = (_THIRTY, _HUNDRED, _RATES, _DARKNESS, _MACHINE, _BACKPROP, _PARAMETERS)
"""The experiments of chapters 1 and 2."""
