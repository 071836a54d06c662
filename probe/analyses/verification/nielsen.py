"""Nielsen's book: chapter 1 (a network, and what it is compared with), 2 (backpropagation), 3 (cost, regularization, start)."""

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
from probe.population import MLP, Population, initial_population
from probe.training import TrainingConfig

__all__ = ["NIELSEN"]

Floats = npt.NDArray[np.float64]

# His quadratic cost has a factor 1/2 that ours lacks, so half his learning rate makes his steps.
_HALF = 0.5

_SHARED = "Our networks share an order of the images."
_BEST = "The best of three runs there, and here the mean over all threes of our networks."
_STANDARD = "batches of 10, weights and biases from N(0, 1), the first 50,000 images"


def _row(key: str, where: str, claim: str, setup: str, **more: Any) -> Row:
    return Row(
        key=f"nielsen-{key}",
        source="nielsen",
        where=where,
        claim=claim,
        setup=setup,
        **({"differs": _SHARED} | more),
    )


def _number(value: float, rounding: float = 0.00005, **more: Any) -> dict[str, Any]:
    return {"low": value, "high": value, "rounding": rounding, "known": "digits"} | more


def _shape(hidden: int, start: Any = "normal") -> MLP:
    return MLP((hidden,), output="sigmoid", initialization=start)


def _quadratic(rate: float, epochs: int) -> TrainingConfig:
    return TrainingConfig(epochs=epochs, batch_size=10, learning_rate=rate * _HALF, cost="quadratic")


def _entropy(rate: float, epochs: int, decay: float = 0.0, n_images: int = 50_000) -> TrainingConfig:
    """Return his training with the cross-entropy; his parameter of the weight decay is divided by the images."""
    return TrainingConfig(epochs=epochs, batch_size=10, learning_rate=rate, weight_decay=decay / n_images)


# Chapter 1


def _measure_30(bench: Bench) -> Mapping[str, Floats]:
    accuracy = bench.trained(
        _shape(30), bench.five_sixths(), _quadratic(3.0, 30)
    ).history.test_accuracy
    early = {f"nielsen-30-epoch-{k}": accuracy[:, k - 1] for k in (1, 2, 3)}
    return early | {"nielsen-30-peak": accuracy.max(axis=1), "nielsen-30-end": accuracy[:, -1]}


_SETUP_30 = f"784-30-10, quadratic cost, rate 3, {_STANDARD}"

_THIRTY = Experiment(
    key="nielsen-30",
    rows=(
        *(
            _row(
                f"30-epoch-{epoch}",
                "ch. 1, transcript",
                f"784-30-10 reads {value:.2%} of the test digits after epoch {epoch}",
                _SETUP_30,
                **_number(value, spread=spread),
            )
            for epoch, value, spread in ((1, 0.9129, 0.0), (2, 0.9295, 0.0), (3, 0.9348, 0.0))
        ),
        _row(
            "30-peak",
            "ch. 1, transcript",
            "784-30-10 reads 95.42% of the test digits after its best of 30 epochs",
            _SETUP_30,
            **_number(0.9542, spread=0.0, statistic="best of three", differs=f"{_SHARED} {_BEST}"),
        ),
        _row(
            "30-end",
            "ch. 1, transcript",
            "784-30-10 reads 95.34% of the test digits after 30 epochs",
            _SETUP_30,
            **_number(0.9534, spread=0.0, statistic="best of three", differs=f"{_SHARED} {_BEST}"),
        ),
    ),
    measure=_measure_30,
)


def _measure_100(bench: Bench) -> Mapping[str, Floats]:
    trained = bench.trained(_shape(100), bench.five_sixths(), _quadratic(3.0, 30))
    return {"nielsen-100-peak": trained.history.test_accuracy.max(axis=1)}


_HUNDRED = Experiment(
    key="nielsen-100",
    rows=(
        _row(
            "100-peak",
            "ch. 1",
            "784-100-10 reads 96.59% of the test digits after its best of 30 epochs",
            f"784-100-10, quadratic cost, rate 3, {_STANDARD}",
            **_number(
                0.9659,
                spread=0.002,
                statistic="best of three",
                size="medium",
                differs=f"{_SHARED} {_BEST}",
                reason="as two networks of 30 units differ, doubled; runs that never say one digit are not allowed for",
            ),
        ),
    ),
    measure=_measure_100,
)


def _measure_rates(bench: Bench) -> Mapping[str, Floats]:
    split, epochs = bench.five_sixths(), bench.of_size(3, 30, 30)
    fast = bench.trained(_shape(30), split, replace(_quadratic(100.0, epochs), evaluation="end"))
    slow = bench.trained(_shape(100), split, _quadratic(0.001, epochs)).history.test_accuracy
    found = {"nielsen-fast": fast.history.test_accuracy[:, -1], "nielsen-slow-3": slow[:, 2]}
    return found | ({} if epochs < 30 else {"nielsen-slow-30": slow[:, -1]})


_RATES = Experiment(
    key="nielsen-rates",
    rows=(
        _row(
            "fast",
            "ch. 1, transcript",
            "At a rate of 100, 784-30-10 does no better than guessing: 9.82% to 10.09%",
            f"784-30-10, quadratic cost, 30 epochs at rate 100, {_STANDARD}",
            low=0.0982,
            high=0.1009,
            rounding=0.0153,
            reason="who always says the same digit is right on 8.92% to 11.35%",
            known="digits",
            differs=f"{_SHARED} At size small 3 epochs.",
            carries=True,
        ),
        _row(
            "slow-3",
            "ch. 1, transcript",
            "At a rate of 0.001, 784-100-10 has learned next to nothing after 3 epochs: 11.35%",
            f"784-100-10, quadratic cost, rate 0.001, {_STANDARD}",
            **_number(0.1135, spread=0.0),
        ),
        _row(
            "slow-30",
            "ch. 1, transcript",
            "At a rate of 0.001, 784-100-10 reads 21.42% after 30 epochs",
            f"784-100-10, quadratic cost, rate 0.001, {_STANDARD}",
            **_number(0.2142, spread=0.04, size="medium", reason="as starts differ: their accuracy is carried on"),
        ),
    ),
    measure=_measure_rates,
)


def _by_darkness(split: Split) -> float:
    """Return the share of the test images whose class has the mean darkness that is nearest to theirs."""
    train, test = (data.images.reshape(len(data), -1).sum(axis=1, dtype=np.float64) for data in (split.train, split.test))
    means = np.array([train[split.train.labels == k].mean() for k in range(split.train.n_classes)])
    said = np.abs(test[:, None] - means).argmin(axis=1)
    return float((said == split.test.labels).mean())


_DARKNESS = Experiment(
    key="nielsen-darkness",
    rows=(
        _row(
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
        _row(
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
    """Return how far slopes by backpropagation lie from central differences, relative to these: the worst of 20 directions."""
    images, labels = bench.split.test.images[:50].astype(np.float64), bench.split.test.labels[:50]
    train, worst = bench.split.train, []
    rngs = bench.rng.spawn(bench.n_networks)
    starts = initial_population(
        _shape(30), train.image_shape, train.class_names, rngs=rngs, dtype="float64"
    )
    for network, rng in zip(starts.networks(), rngs, strict=True):
        space = ParameterSpace(network, "quadratic")
        _, gradient = space.gradient(images, labels)
        directions = rng.standard_normal((20, space.n_parameters))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        step = 1e-5
        rises = [
            (space.gradient(images, labels, space.vector + step * way)[0]
             - space.gradient(images, labels, space.vector - step * way)[0]) / (2 * step)
            for way in directions
        ]
        worst.append(np.abs(directions @ gradient - rises).max() / np.abs(rises).max())
    return {"nielsen-backprop": np.array(worst)}


_BACKPROP = Experiment(
    key="nielsen-backprop",
    rows=(
        _row(
            "backprop",
            "ch. 2, (BP1) to (BP4)",
            "Backpropagation gives the partial derivatives of the cost exactly",
            "any network; equations (BP1) to (BP4), which are proved there",
            high=1e-6,
            unit="",
            digits=9,
            carries=True,
            differs="Slopes along random directions beside central differences, at the start of 784-30-10.",
            reason="what central differences in double precision leave open",
        ),
    ),
    measure=_measure_backprop,
)


# Chapter 3


def _measure_entropy(bench: Bench) -> Mapping[str, Floats]:
    history = bench.trained(_shape(30), bench.five_sixths(), _entropy(0.5, 30)).history
    return {
        "nielsen-entropy-30": history.test_accuracy.max(axis=1),
        "nielsen-entropy-gap": history.train_accuracy[:, -1] - history.test_accuracy[:, -1],
    }


_ENTROPY = Experiment(
    key="nielsen-entropy",
    rows=(
        _row(
            "entropy-30",
            "ch. 3",
            "With the cross-entropy 784-30-10 reads 95.49% of the test digits",
            f"784-30-10, cross-entropy, 30 epochs at rate 0.5, {_STANDARD}",
            **_number(0.9549, spread=0.0),
        ),
        _row(
            "entropy-gap",
            "ch. 3",
            "Trained on 50,000 images it reads 2.53 points more of the training than of the test digits",
            f"784-30-10, cross-entropy, 30 epochs at rate 0.5, {_STANDARD}",
            **_number(0.0253, spread=0.0, known="account"),
        ),
    ),
    measure=_measure_entropy,
)


def _measure_entropy_100(bench: Bench) -> Mapping[str, Floats]:
    history = bench.trained(_shape(100), bench.five_sixths(), _entropy(0.5, 30)).history
    return {"nielsen-entropy-100": history.test_accuracy.max(axis=1)}


_ENTROPY_100 = Experiment(
    key="nielsen-entropy-100",
    rows=(
        _row(
            "entropy-100",
            "ch. 3",
            "With the cross-entropy 784-100-10 reads 96.82% of the test digits",
            f"784-100-10, cross-entropy, 30 epochs at rate 0.5, {_STANDARD}",
            **_number(0.9682, spread=0.001, size="medium", known="account", reason="as networks of 30 units differ"),
        ),
    ),
    measure=_measure_entropy_100,
)


def _measure_few(bench: Bench) -> Mapping[str, Floats]:
    n = min(1000, len(bench.split.train))
    split, epochs = bench.first(n), 400
    plain = bench.trained(_shape(30), split, _entropy(0.5, epochs)).history
    decayed = bench.trained(_shape(30), split, _entropy(0.5, epochs, 0.1, 1000)).history
    peak, peak_decayed = plain.test_accuracy.max(axis=1), decayed.test_accuracy.max(axis=1)
    return {
        "nielsen-few-train": plain.train_accuracy[:, -1],
        "nielsen-few-test": peak,
        "nielsen-few-decayed": peak_decayed,
        "nielsen-few-gain": peak_decayed - peak,
    }


_SETUP_FEW = "784-30-10, cross-entropy, 400 epochs at rate 0.5 in batches of 10, the first 1,000 images"

_FEW = Experiment(
    key="nielsen-few",
    rows=(
        _row(
            "few-train",
            "ch. 3",
            "Of 1,000 training images all are read in the end",
            _SETUP_FEW,
            low=1.0,
            high=1.0,
            rounding=0.0005,
            known="sentence",
            carries=True,
            reason="half an image of 1,000",
        ),
        _row(
            "few-test",
            "ch. 3",
            "Trained on 1,000 images it tops out at 82.27% of the test digits",
            _SETUP_FEW,
            **_number(0.8227, spread=0.0),
        ),
        _row(
            "few-decayed",
            "ch. 3",
            "With weight decay, 0.1 over 1,000, it peaks at 87.1%",
            _SETUP_FEW,
            **_number(0.871, 0.0005, spread=0.0),
        ),
        _row(
            "few-gain",
            "ch. 3",
            "Weight decay makes the accuracy considerably higher",
            _SETUP_FEW,
            low=0.0,
            carries=True,
            reason="a direction: above zero",
        ),
    ),
    measure=_measure_few,
)


def _measure_decayed(bench: Bench) -> Mapping[str, Floats]:
    history = bench.trained(_shape(30), bench.five_sixths(), _entropy(0.5, 30, 5.0)).history
    return {
        "nielsen-decayed-30": history.test_accuracy.max(axis=1),
        "nielsen-decayed-gap": history.train_accuracy[:, -1] - history.test_accuracy[:, -1],
    }


_DECAYED = Experiment(
    key="nielsen-decayed",
    rows=(
        _row(
            "decayed-30",
            "ch. 3",
            "With weight decay 784-30-10 reads 96.49% of the test digits",
            f"784-30-10, cross-entropy, 30 epochs at rate 0.5, weight decay 5 over 50,000, {_STANDARD}",
            **_number(0.9649, spread=0.0),
        ),
        _row(
            "decayed-gap",
            "ch. 3",
            "With weight decay the training digits are read better by under a percent",
            f"784-30-10, cross-entropy, 30 epochs at rate 0.5, weight decay 5 over 50,000, {_STANDARD}",
            high=0.01,
            spread=0.0,
        ),
    ),
    measure=_measure_decayed,
)


def _measure_decayed_100(bench: Bench) -> Mapping[str, Floats]:
    half = bench.trained(_shape(100), bench.validated(), _entropy(0.5, 30, 5.0)).history
    found = {"nielsen-decayed-100": half.test_accuracy[:, -1]}
    if bench.size == "full":
        tenth = bench.trained(_shape(100), bench.validated(), _entropy(0.1, 60, 5.0)).history
        found["nielsen-decayed-60"] = tenth.test_accuracy[:, -1]
    return found


_DECAYED_100 = Experiment(
    key="nielsen-decayed-100",
    rows=(
        _row(
            "decayed-100",
            "ch. 3",
            "784-100-10 with weight decay reads 97.92% of the validation digits",
            f"784-100-10, cross-entropy, 30 epochs at rate 0.5, weight decay 5 over 50,000, {_STANDARD}",
            **_number(0.9792, spread=0.001, size="medium", reason="as networks of 30 units differ"),
        ),
        _row(
            "decayed-60",
            "ch. 3",
            "Run for 60 epochs at rate 0.1 it reads 98.04% of them",
            f"784-100-10, cross-entropy, 60 epochs at rate 0.1, weight decay 5 over 50,000, {_STANDARD}",
            **_number(0.9804, spread=0.001, size="full", reason="as networks of 30 units differ"),
        ),
    ),
    measure=_measure_decayed_100,
)


def _measure_starts(bench: Bench) -> Mapping[str, Floats]:
    split, epochs = bench.validated(), bench.of_size(1, 30, 30)
    config = _entropy(0.1, epochs, 5.0)
    old = bench.trained(_shape(30), split, config).history.test_accuracy
    # As the book has it, biases are still from N(0, 1).
    train, rngs = split.train, bench.rng.spawn(bench.n_networks)
    small = initial_population(_shape(30, "scaled-normal"), train.image_shape, train.class_names, rngs=rngs)
    start = replace(small, biases=_normal_biases(small, rngs))
    new = bench.trained(small.architecture, split, config, start=start).history.test_accuracy
    found = {
        "nielsen-start-old": old[:, 0],
        "nielsen-start-new": new[:, 0],
        "nielsen-start-gain": new[:, 0] - old[:, 0],
    }
    return found | ({} if epochs < 30 else {"nielsen-start-end": new[:, -1]})


def _normal_biases(population: Population, rngs: list[np.random.Generator]) -> tuple[Any, ...]:
    return tuple(
        np.stack([rng.standard_normal(each.shape[1]) for rng in rngs]).astype(each.dtype)
        for each in population.biases
    )


_SETUP_STARTS = "784-30-10, cross-entropy, rate 0.1, batches of 10, weight decay 5 over 50,000, the first 50,000 images"

_STARTS = Experiment(
    key="nielsen-starts",
    rows=(
        _row(
            "start-old",
            "ch. 3",
            "From weights of N(0, 1) just under 87% of the validation digits are read after one epoch",
            _SETUP_STARTS,
            **_number(0.87, 0.005, spread=0.0, digits=1, known="account"),
        ),
        _row(
            "start-new",
            "ch. 3",
            "From weights of N(0, 1/n) almost 93% are read after one epoch",
            _SETUP_STARTS,
            **_number(0.93, 0.005, spread=0.0, digits=1, known="account"),
        ),
        _row(
            "start-gain",
            "ch. 3",
            "Smaller weights at the start bring the network there much faster",
            _SETUP_STARTS,
            low=0.0,
            reason="a direction: the accuracy after one epoch is higher",
        ),
        _row(
            "start-end",
            "ch. 3",
            "In the end somewhat over 96% are read",
            _SETUP_STARTS,
            low=0.96,
            high=0.97,
            spread=0.001,
            digits=1,
            size="medium",
            reason="as networks of 30 units differ",
        ),
    ),
    measure=_measure_starts,
)


def _measure_parameters(bench: Bench) -> Mapping[str, Floats]:
    train = bench.split.train
    n_in = math.prod(train.image_shape)
    return {"nielsen-parameters": np.array([float(_shape(30).n_parameters(n_in, train.n_classes))])}


_PARAMETERS = Experiment(
    key="nielsen-parameters",
    rows=(
        _row(
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

NIELSEN = (
    _THIRTY,
    _HUNDRED,
    _RATES,
    _DARKNESS,
    _MACHINE,
    _BACKPROP,
    _PARAMETERS,
    _ENTROPY,
    _ENTROPY_100,
    _FEW,
    _DECAYED,
    _DECAYED_100,
    _STARTS,
)
"""The experiments of the book."""
