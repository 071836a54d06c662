"""The sentences of the lesson, over networks of its shape: by the recipe of the book that it follows, and by today's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization import MemorizationStudy
from probe.analyses.robustness import CLAIMS, primary_estimates
from probe.analyses.verification.bench import Bench, Experiment
from probe.analyses.verification.rows import Row
from probe.population import MLP
from probe.recipes import RECIPES
from probe.training import DEFAULT_ARCHITECTURE

__all__ = ["LESSON"]

Floats = npt.NDArray[np.float64]

_SHAPE = "784-16-16-10, sigmoid"
_MODERN = "By today's recipe: cross-entropy, softmax, 20 epochs at a rate that falls from 1."

_SENTENCES = {
    "random": "The weights of the first layer look almost random",
    "edges": "The first layer does not pick up on edges",
    "loops": "The second layer does not pick up on loops",
    "noise": "Given an image of noise, it confidently gives some nonsense answer",
    "drawing": "It has no idea how to draw a digit",
}
"""Of the claims about one network by their keys. Edges and loops are what one had hoped for, and did not find."""

_DIVIDED = {
    "random": "of so few networks all must agree; probe robustness asks more of them",
    "noise": "networks differ, and few are sure of most noise; probe robustness says on what it depends",
}
"""What is known where networks do not all say so."""

_HOPED = ("edges", "loops")


def _row(key: str, claim: str, **more: Any) -> Row:
    return Row(key=f"lesson-{key}", source="lesson", claim=claim, **({"where": "video"} | more))


def _measure_recipe(bench: Bench) -> Mapping[str, Floats]:
    recipe, train = RECIPES["video"], bench.split.train
    config = replace(recipe.training("sigmoid", len(train)), evaluation="end")
    trained = bench.trained(recipe.architecture(DEFAULT_ARCHITECTURE), bench.split, config)
    count = DEFAULT_ARCHITECTURE.n_parameters(math.prod(train.image_shape), train.n_classes)
    return {
        "lesson-parameters": np.array([float(count)]),
        "lesson-accuracy-book": trained.history.test_accuracy[:, -1],
    }


_RECIPE = Experiment(
    key="lesson-recipe",
    rows=(
        _row(
            "parameters",
            "The network has 13,002 weights and biases",
            setup=_SHAPE,
            low=13_002,
            high=13_002,
            known="digits",
            statistic="exact",
            unit="",
            digits=0,
            reason="counted",
        ),
        _row(
            "accuracy-book",
            "By the book's recipe it classifies about 96% of new images correctly",
            setup=f"{_SHAPE}, code after Nielsen's book; epochs and rate are not said",
            differs="By the book's recipe: 30 epochs of batches of 10 at its rate of 3.",
            low=0.96,
            high=0.96,
            rounding=0.005,
            spread=0.0029,
            remark="by today's recipe, the next row, it is within; epochs and rate of the video are not known",
            reason="about 96% is 95.5% to 96.5%",
            digits=1,
        ),
    ),
    measure=_measure_recipe,
)


def _measure_modern(bench: Bench) -> Mapping[str, Floats]:
    recipe = RECIPES["modern"]
    config = replace(recipe.training("sigmoid", len(bench.split.train)), evaluation="end")
    trained = bench.trained(recipe.architecture(DEFAULT_ARCHITECTURE), bench.split, config)
    found = {"lesson-accuracy": trained.history.test_accuracy[:, -1]}
    judged = [
        primary_estimates(network, bench.split, seed=bench.seed())
        for network in trained.population.networks()
    ]
    for key in _SENTENCES:
        asked = "refuted" if key in _HOPED else "supported"
        holds = [key in one and CLAIMS[key].decision(one[key]) == asked for one in judged]
        found[f"lesson-{key}"] = np.array(holds, np.float64)
    return found


_JUDGED = Experiment(
    key="lesson-modern",
    rows=(
        _row(
            "accuracy",
            "By today's recipe it classifies about 96% of new images correctly",
            setup=f"{_SHAPE}, code after Nielsen's book; epochs and rate are not said",
            differs=_MODERN,
            low=0.96,
            high=0.96,
            rounding=0.005,
            spread=0.0025,
            reason="about 96% is 95.5% to 96.5%",
            digits=1,
        ),
        *(
            _row(
                key,
                f"{claim}: it holds for most such networks",
                setup=f"{_SHAPE}, one network",
                differs=f"{_MODERN} Share of the networks for which the test of a report says so.",
                low=0.5,
                statistic="count",
                digits=0,
                carries=True,
                reason="most networks are more than half",
                remark=_DIVIDED.get(key, ""),
            )
            for key, claim in _SENTENCES.items()
        ),
    ),
    measure=_measure_modern,
)


def _measure_tweaked(bench: Bench) -> Mapping[str, Floats]:
    recipe = RECIPES["modern"]
    config = replace(recipe.training("relu", len(bench.split.train)), evaluation="end")
    trained = bench.trained(recipe.architecture(MLP((128,), "relu")), bench.split, config)
    return {"lesson-tweaks": trained.history.test_accuracy[:, -1]}


_TWEAKED = Experiment(
    key="lesson-tweaks",
    rows=(
        _row(
            "tweaks",
            "With another hidden layer and a couple of tweaks one can get this up to 98%",
            setup="which tweaks is not said",
            differs="784-128-10, rectifiers, 20 epochs at a rate that falls from 0.1.",
            low=0.98,
            high=0.98,
            rounding=0.005,
            spread=0.0004,
            remark="which tweaks are meant is not said; these are ours",
            reason="98% is 97.5% to 98.5%",
            digits=1,
        ),
    ),
    measure=_measure_tweaked,
)


def _measure_random_labels(bench: Bench) -> Mapping[str, Floats]:
    n = min(1000, len(bench.split.train))
    config = replace(MemorizationStudy.default_training, epochs=600)
    cell = bench.memorized(DEFAULT_ARCHITECTURE, config, n_samples=n)
    late, early = np.where(np.isnan(cell.updates[:, :, -1]), cell.limit, cell.updates[:, :, -1])[::-1]
    return {
        "lesson-random-labels": cell.final_accuracy["train"][-1],
        "lesson-slower": late / early,
    }


_RANDOM_LABELS = Experiment(
    key="lesson-random-labels",
    rows=(
        _row(
            "random-labels",
            "Shuffled labels are learned with the same training accuracy as true ones",
            setup="a deep convolutional network on ImageNet, as the lesson tells it",
            differs=f"{_SHAPE}, 1,000 images: the direction carries over, and not the size.",
            low=1.0,
            high=1.0,
            rounding=0.01,
            remark="at the rate of 0.1, one for rectifiers, sigmoid units hardly fit true labels in 12,000 updates; "
            "as a report trains them, 8 of 8 fit random ones (docs/findings.md)",
            reason="one label in a hundred",
            digits=1,
            carries=True,
        ),
        _row(
            "slower",
            "With shuffled labels accuracy goes up more slowly",
            setup="a figure of Arpit et al. 2017, as the lesson tells it",
            differs=f"{_SHAPE}, 1,000 images: updates until all are fitted, as a ratio.",
            low=1.0,
            unit="times",
            statistic="ratio",
            carries=True,
            reason="a direction: more updates",
        ),
    ),
    measure=_measure_random_labels,
)

LESSON = (_RECIPE, _JUDGED, _TWEAKED, _RANDOM_LABELS)
"""The experiments of the lesson."""
