"""Measure `probe.fit_many` against fitting one after the other: medians of five interleaved rounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris

import probe

RATES = np.geomspace(0.1, 2, 16)
ROUNDS = 5


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of `work`, by the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def compare(name: str, models: Sequence[probe.NetworkClassifier], x: np.ndarray, y: np.ndarray) -> None:
    """Print how long both take, and by how much `fit_many` is faster."""
    ys = y if y.ndim == 2 else [y] * len(models)
    pairs = [(clone(model), labels) for model, labels in zip(models, ys, strict=True)]
    rounds = [
        (
            seconds(lambda: [model.fit(x, labels) for model, labels in pairs]),
            seconds(lambda: probe.fit_many(models, x, y)),
        )
        for _ in range(ROUNDS)
    ]
    loop, many = np.median(rounds, axis=0)
    ratio = median(one[0] / other[0] for one, other in rounds)
    print(
        f"{name}: one by one {loop[0]:.2f} s, together {many[0]:.2f} s, {ratio:.1f} times as fast; of the processor "
        f"{loop[1]:.2f} s and {many[1]:.2f} s, {loop[1] / many[1]:.1f} times; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> None:
    """Run all cases."""
    model = probe.NetworkClassifier
    rng = np.random.default_rng(0)
    iris, species = load_iris(return_X_y=True)
    digits, labels = load_digits(return_X_y=True)
    digits = (digits / 16).astype(np.float32)
    mnist = probe.load_dataset("mnist").train.take(range(10_000))
    shuffled = np.stack([rng.permutation(labels) for _ in range(48)])
    species = np.stack([rng.permutation(species) for _ in range(100)])
    seeds = [model(learning_rate=rate, random_state=k, epochs=20) for rate in RATES[::4] for k in range(8)]
    pixels = mnist.images.reshape(len(mnist), -1)
    rates = [model(learning_rate=rate, random_state=0, epochs=5) for rate in RATES]
    compare("iris, 100 permutations", [model(random_state=0)] * 100, iris, species)
    compare("digits, 48 permutations", [model(random_state=0, epochs=20)] * 48, digits, shuffled)
    compare("digits, 4 rates x 8 seeds", seeds, digits, labels)
    compare("10,000 of MNIST, 16 rates", rates, pixels, mnist.labels)


if __name__ == "__main__":
    main()
