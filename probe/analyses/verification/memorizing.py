"""What was published on random labels: Zhang et al. 2017, Arpit et al. 2017, Toneva et al. 2019.

Most of it was found on CIFAR-10. Here the images are those at hand, and fewer: what is compared are directions, ratios and
shares that can be carried over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization import MemorizationCell, MemorizationStudy
from probe.analyses.verification.bench import Bench, Experiment
from probe.analyses.verification.rows import Row
from probe.datasets import resized
from probe.population import MLP

__all__ = ["ARPIT", "TONEVA", "ZHANG"]

Floats = npt.NDArray[np.float64]

_CONFIG = MemorizationStudy.default_training

_ON_CIFAR = "CIFAR-10, 50,000 images"


def _n_samples(bench: Bench) -> int:
    return min(bench.of_size(1000, 5000, 10_000), len(bench.split.train))


def _on_other_images(widths: str) -> str:
    return (
        f"{widths} on 1,000 of the images at hand, 5,000 at size medium and 10,000 at full, until fitted, for at most 300 "
        "epochs."
    )


def _updates(cell: MemorizationCell) -> Floats:
    """Return the updates until everything was fitted, (n_conditions, n_replicates), at most the limit."""
    return np.where(np.isnan(cell.updates[:, :, -1]), cell.limit, cell.updates[:, :, -1])


# Zhang et al.


def _zhang(key: str, where: str, claim: str, **more: Any) -> Row:
    fields: dict[str, Any] = {"carries": True, "known": "digits"} | more
    return Row(key=f"zhang-{key}", source="zhang", where=where, claim=claim, **fields)


def _measure_zhang(n_layers: int, bench: Bench) -> Mapping[str, Floats]:
    cell = bench.memorized(MLP((512,) * n_layers, "relu"), _CONFIG, n_samples=_n_samples(bench))
    labels = bench.split.test.labels
    guessing = float(np.bincount(labels).max() / len(labels))
    updates, final = _updates(cell), cell.final_accuracy
    return {
        f"zhang-fit-{n_layers}": final["train"][1],
        f"zhang-true-{n_layers}": final["train"][0],
        f"zhang-test-{n_layers}": final["test"][1] - guessing,
        f"zhang-slower-{n_layers}": updates[1] / updates[0],
    }


def _zhang_rows(n_layers: int, fit: float, test: float) -> tuple[Row, ...]:
    widths, setup = f"{n_layers} x 512", f"{n_layers} x 512 rectifiers, {_ON_CIFAR}"
    differs = _on_other_images(widths)
    return (
        _zhang(
            f"fit-{n_layers}",
            "table 1",
            f"A network of {widths} fits {fit:.2%} of random labels",
            setup=setup,
            differs=differs,
            low=fit,
            high=1.0,
            rounding=0.00005,
            reason="fewer images are no harder to fit",
        ),
        _zhang(
            f"true-{n_layers}",
            "table 1",
            f"A network of {widths} fits all true labels",
            setup=setup,
            differs=differs,
            low=1.0,
            high=1.0,
            rounding=0.00005,
        ),
        _zhang(
            f"test-{n_layers}",
            "table 1",
            f"What it learned of random labels is worth nothing: {test:.2%} of the test images, where guessing has 10%",
            setup=setup,
            differs=f"{differs} Points above the share of the commonest class.",
            low=test - 0.1,
            high=test - 0.1,
            rounding=0.02,
            remark="beside the commonest digit's 11.35%; who guesses evenly is right on 10%",
            reason="two points: twice the standard error of guessing on some 1,000 test images",
        ),
        _zhang(
            f"slower-{n_layers}",
            "figure 1",
            f"Random labels take a network of {widths} 1.5 to 3.5 times as many updates",
            setup=f"several networks, {_ON_CIFAR}",
            differs=f"{differs} Each at one rate; until all are fitted.",
            low=1.5,
            high=3.5,
            unit="times",
            known="account",
            statistic="ratio",
            remark="the range is of other networks on CIFAR-10, and told by accounts",
            reason="a range of several networks already",
        ),
    )


_ZHANG_ONE = Experiment(
    key="zhang-1", rows=_zhang_rows(1, 0.9934, 0.1061), measure=lambda bench: _measure_zhang(1, bench)
)
_ZHANG_THREE = Experiment(
    key="zhang-3", rows=_zhang_rows(3, 1.0, 0.1048), measure=lambda bench: _measure_zhang(3, bench)
)


def _measure_theorem(bench: Bench) -> Mapping[str, Floats]:
    """Return the share of random labels that the network of the proof fits, draw by draw."""
    n, shares = min(500, len(bench.split.train)), []
    for _ in range(bench.n_networks):
        chosen = bench.rng.choice(len(bench.split.train), n, replace=False)
        # The theorem is about different images.
        images = np.unique(bench.split.train.images[chosen].reshape(n, -1).astype(np.float64), axis=0)
        labels = bench.rng.integers(bench.split.train.n_classes, size=len(images)).astype(np.float64)
        said = _of_the_proof(images, labels, bench.rng)
        shares.append((np.abs(said - labels) < 0.5).mean())
    return {"zhang-theorem": np.array(shares)}


def _of_the_proof(images: Floats, labels: Floats, rng: np.random.Generator) -> Floats:
    """Return what the two-layer network of the proof says: one direction, n biases, n weights.

    Unit j is on for the images above its bias. So the units' values make a triangular matrix, and the last weights follow.
    """
    along = images @ rng.standard_normal(images.shape[1])
    order = np.argsort(along)
    ends = along[order]
    biases = np.concatenate([[ends[0] - 1], (ends[:-1] + ends[1:]) / 2])
    hidden = np.maximum(along[:, None] - biases, 0)
    weights = np.linalg.solve(hidden[order], labels[order])
    return np.asarray(hidden @ weights)


_THEOREM = Experiment(
    key="zhang-theorem",
    rows=(
        _zhang(
            "theorem",
            "theorem 1",
            "A network of two layers with 2n + d weights can put out any labels of n images of d pixels",
            setup="the network of the proof",
            differs="500 of the images at hand, random labels, in double precision.",
            low=1.0,
            high=1.0,
            known="sentence",
            reason="a theorem",
        ),
    ),
    measure=_measure_theorem,
)

ZHANG = (_ZHANG_ONE, _ZHANG_THREE, _THEOREM)
"""The experiments of Zhang et al."""


# Arpit et al.


def _measure_arpit(bench: Bench) -> Mapping[str, Floats]:
    n = min(1000, len(bench.split.train))
    size = min(14, bench.split.train.image_shape[0])
    small = replace(bench, split=resized(bench.split, (size, size)))
    cell = small.memorized(
        MLP((16, 16), "relu"), _CONFIG, n_samples=n, corruption=(0.0, 0.4, 1.0), dynamics="sensitivity"
    )
    random, true = cell.common_gini[-1]
    return {
        "arpit-gini": true - random,
        "arpit-critical": cell.critical_ratio[-1] - cell.critical_ratio[0],
        "arpit-critical-rises": cell.critical_ratio[1] - cell.critical_ratio[0],
        "arpit-slower": _updates(cell)[-1] / _updates(cell)[0],
    }


def _measure_peak(bench: Bench) -> Mapping[str, Floats]:
    width, n = bench.of_size(256, 512, 1024), bench.of_size(1000, 2000, 5000)
    config = replace(_CONFIG, epochs=bench.of_size(100, 150, 150))
    cell = bench.memorized(
        MLP((width, width), "relu"),
        config,
        n_samples=min(n, len(bench.split.train)),
        corruption=(0.0, 0.4, 0.8),
    )
    return {"arpit-peak-40": cell.drop[1], "arpit-peak-80": cell.drop[2]}


def _arpit(key: str, where: str, claim: str, **more: Any) -> Row:
    fields: dict[str, Any] = {
        "carries": True,
        "reason": "a direction: above zero",
        "unit": "",
        "low": 0.0,
    } | more
    return Row(key=f"arpit-{key}", source="arpit", where=where, claim=claim, **fields)


_SETUP_ARPIT = "two layers of 16 rectifiers, 1,000 MNIST digits of 14 x 14 pixels"
_DIFFERS_ARPIT = "Until fitted, for at most 300 epochs; compared over the same epochs."
_SETUP_PEAK = "two layers of 4,096 rectifiers, MNIST, gradient descent at 0.01"
_DIFFERS_PEAK = (
    "256 units a layer on 1,000 images, 512 on 2,000 at size medium, 1,024 on 5,000 at full: 4,096 would take days here. At "
    "a rate of 0.1. The peak is chosen on one half of the test images and measured on the other."
)

ARPIT = (
    Experiment(
        key="arpit-sensitivity",
        rows=(
            _arpit(
                "gini",
                "section 3.2",
                "Loss-sensitivity is concentrated on fewer examples of real than of random data: a higher Gini coefficient",
                setup=_SETUP_ARPIT,
                differs=f"{_DIFFERS_ARPIT} Random labels.",
            ),
            _arpit(
                "critical",
                "section 4",
                "The critical sample ratio is higher after random labels than after true ones",
                setup="a convolutional network on CIFAR-10, and two layers of 4,096 on MNIST",
                differs=f"{_SETUP_ARPIT}. {_DIFFERS_ARPIT}",
                unit="share",
                digits=1,
            ),
            _arpit(
                "critical-rises",
                "section 4",
                "With 40% random labels it is already higher",
                setup="a convolutional network on CIFAR-10, and two layers of 4,096 on MNIST",
                differs=f"{_SETUP_ARPIT}. {_DIFFERS_ARPIT}",
                unit="share",
                digits=1,
            ),
            _arpit(
                "slower",
                "section 3",
                "Random labels take longer to fit than true ones",
                setup="MNIST and CIFAR-10",
                differs=f"{_SETUP_ARPIT}. {_DIFFERS_ARPIT}",
                low=1.0,
                unit="times",
                statistic="ratio",
                reason="a direction: more updates",
            ),
        ),
        measure=_measure_arpit,
    ),
    Experiment(
        key="arpit-peak",
        rows=tuple(
            _arpit(
                f"peak-{share}",
                "section 4",
                f"With {share}% noise accuracy peaks before the noise is memorized, and then falls",
                setup=_SETUP_PEAK,
                differs=_DIFFERS_PEAK,
                low=0.005,
                unit="share",
                digits=1,
                reason="half a point: a standard error of an accuracy on 2,000 images",
            )
            for share in (40, 80)
        ),
        measure=_measure_peak,
    ),
)
"""The experiments of Arpit et al."""


# Toneva et al.


def _measure_toneva(bench: Bench) -> Mapping[str, Floats]:
    cell = bench.memorized(
        MLP((128,), "relu"),
        _CONFIG,
        n_samples=_n_samples(bench),
        corruption=(0.0, 0.2),
        label_corruption="uniform",
    )
    right, wrong = np.moveaxis(cell.mean_forgetting[1], -1, 0)
    never, exposed = cell.n_never_forgotten, cell.n_exposed
    return {
        "toneva-unforgettable": never[1, :, 1] / np.maximum(exposed[1, :, 1], 1),
        "toneva-more": wrong - right,
        "toneva-mnist": never[0, :, 0] / np.maximum(exposed[0, :, 0], 1),
    }


def _toneva(key: str, where: str, claim: str, **more: Any) -> Row:
    return Row(key=f"toneva-{key}", source="toneva", where=where, claim=claim, **({"carries": True} | more))


_NOISY = "a residual network on CIFAR-10, 20% of the labels changed, 200 epochs"

TONEVA = (
    Experiment(
        key="toneva",
        rows=(
            _toneva(
                "unforgettable",
                "on noisy labels",
                "No example with a changed label is unforgettable",
                setup=_NOISY,
                differs=f"{_on_other_images('784-128-10')} Of those learned before the last epoch.",
                high=0.0,
                rounding=0.01,
                digits=1,
                remark="training ends here once all is fitted: what is learned late has little time to be forgotten",
                reason="one example in a hundred, next to none",
            ),
            _toneva(
                "more",
                "on noisy labels",
                "Examples with changed labels are forgotten more often than others",
                setup=_NOISY,
                differs=_on_other_images("784-128-10"),
                low=0.0,
                unit="",
                reason="a direction: above zero",
            ),
            _toneva(
                "mnist",
                "on MNIST",
                "Most examples of MNIST are unforgettable: 91.7% of them",
                setup="a convolutional network, 60,000 digits, 200 epochs, in all of five runs",
                differs=f"{_on_other_images('784-128-10')} Of those learned before the last epoch. Most: more than half.",
                low=0.5,
                digits=1,
                known="account",
                reason="the share depends on how long is trained; most are more than half",
            ),
        ),
        measure=_measure_toneva,
    ),
)
"""The experiment of Toneva et al."""
