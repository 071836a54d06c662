"""Hendrycks and Gimpel 2017: how confident a network is of noise, and whether that tells noise from digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.analyses.verification.bench import Bench, Experiment
from probe.analyses.verification.rows import Row
from probe.costs import apply_output
from probe.population import MLP, Population
from probe.stats.auroc import aurocs
from probe.training import TrainingConfig

__all__ = ["HENDRYCKS"]

Floats = npt.NDArray[np.float64]

_PART = 1000
"""Images at a time."""

_SETUP = "784-256-256-256-10, GELU, 30 epochs by Adam at 0.001, from epoch 21 at 0.0001, batches of 128, decay 1e-5"
_DIFFERS = (
    "Starts after Glorot; decay of the last layer too. At size small 1 epoch, at medium 10, two thirds of them at the first "
    "rate."
)


def _row(key: str, where: str, claim: str, **more: Any) -> Row:
    fields: dict[str, Any] = {"setup": _SETUP, "differs": _DIFFERS, "digits": 0, "known": "digits"} | more
    return Row(key=f"hendrycks-{key}", source="hendrycks", where=where, claim=claim, **fields)


def _confidence(population: Population, images: Array) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the largest softmax and the class of each image: (n_networks, n_images) each."""
    confidence, said = [], []
    for begin in range(0, len(images), _PART):
        outputs = apply_output("softmax", population.logits(images[begin : begin + _PART].astype(np.float32)))
        confidence.append(outputs.max(axis=1))
        said.append(outputs.argmax(axis=1))
    return np.concatenate(confidence, axis=1).astype(np.float64), np.concatenate(said, axis=1)


def _auroc(higher: Floats, lower: Floats) -> float:
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([higher, lower]))[:, None]
    members = np.arange(len(ranks)) < len(higher)
    return float(aurocs(ranks, members[None])[0, 0])


def _measure(bench: Bench) -> Mapping[str, Floats]:
    epochs, test = bench.of_size(1, 10, 30), bench.split.test
    config = TrainingConfig(
        epochs=epochs,
        batch_size=128,
        learning_rate=1e-3,
        optimizer="adam",
        weight_decay=1e-5,
        schedule="step",
        step_epochs=max(1, round(epochs * 2 / 3)),
        evaluation="end",
    )
    population = bench.trained(MLP((256,) * 3, "gelu"), bench.split, config).population
    confidence, said = _confidence(population, test.images)
    right = said == test.labels
    found = dict[str, Floats]()
    if bench.size != "small":
        found["hendrycks-error"] = 1 - right.mean(axis=1)
        pairs = list(zip(confidence, right, strict=True))
        found["hendrycks-wrong"] = np.array([sure[~correct].mean() for sure, correct in pairs])
        found["hendrycks-errors-found"] = np.array(
            [_auroc(sure[correct], sure[~correct]) for sure, correct in pairs]
        )
    shape = test.images.shape
    noises = {"gaussian": bench.rng.standard_normal(shape), "uniform": bench.rng.random(shape)}
    for name, noise in noises.items():
        sure, _ = _confidence(population, noise)
        found[f"hendrycks-{name}"] = found[f"hendrycks-{name}-sure"] = sure.mean(axis=1)
        found[f"hendrycks-{name}-auroc"] = np.array(
            [_auroc(c[r], s) for c, r, s in zip(confidence, right, sure, strict=True)]
        )
        found[f"hendrycks-{name}-told"] = found[f"hendrycks-{name}-auroc"]
    return found


_EARLY = "at size small after one epoch of thirty; networks differ by 0.3 in mean confidence on noise"

_NOISES = {"gaussian": "Gaussian", "uniform": "uniform"}
_TWO_RUNS = "of the two runs that were published, the table and the notebook, which differ by up to"
"""Their difference over the square root of 2 is an estimate of the standard deviation between networks."""

_NETWORKS = Experiment(
    key="hendrycks",
    rows=(
        _row(
            "error",
            "table 1",
            "1.69% of the test digits are read wrongly",
            low=0.0169,
            high=0.0169,
            rounding=0.00005,
            spread=0.0015,
            digits=2,
            size="medium",
            reason=f"{_TWO_RUNS} 0.21 points",
        ),
        _row(
            "wrong",
            "table 1",
            "Confidence is 86% on average where it is wrong",
            low=0.86,
            high=0.86,
            rounding=0.005,
            spread=0.009,
            size="medium",
            reason=f"{_TWO_RUNS} 1 point",
        ),
        _row(
            "errors-found",
            "table 1",
            "Confidence tells right from wrong answers with an AUROC of 97%",
            low=0.97,
            high=0.97,
            rounding=0.005,
            spread=0.006,
            size="medium",
            reason=f"{_TWO_RUNS} 1 point",
        ),
        *(
            _row(
                name,
                "table 2",
                f"On {_NOISES[name]} noise its mean confidence is {value:.0%}",
                low=value,
                high=value,
                rounding=0.005,
                spread=0.036,
                size="medium",
                reason=f"{_TWO_RUNS} 5 points",
            )
            for name, value in (("gaussian", 0.91), ("uniform", 0.83))
        ),
        *(
            _row(
                f"{name}-auroc",
                "table 2",
                f"And yet confidence tells {_NOISES[name]} noise from digits, with an AUROC of {value:.0%}",
                low=value,
                high=value,
                rounding=0.005,
                spread=0.0062,
                size="medium",
                reason=f"{_TWO_RUNS} 1 point",
            )
            for name, value in (("gaussian", 0.90), ("uniform", 0.99))
        ),
        *(
            _row(
                f"{name}-sure",
                "section 3.1",
                f"Mean confidence on {_NOISES[name]} noise is above 75%",
                low=0.75,
                known="sentence",
                carries=True,
                reason="a bound: above it",
                remark=_EARLY,
            )
            for name in _NOISES
        ),
        *(
            _row(
                f"{name}-told",
                "section 3.1, table 2",
                f"Confidence tells {_NOISES[name]} noise from digits: no AUROC for MNIST is below 85%",
                low=0.85,
                carries=True,
                reason="a bound: the smallest AUROC of MNIST in the table",
                remark=_EARLY,
            )
            for name in _NOISES
        ),
    ),
    measure=_measure,
)

HENDRYCKS = (_NETWORKS,)
"""The experiment of the paper."""
