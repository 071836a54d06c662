"""Count how often planted differences between two networks are found: python scripts/compare_planted.py [TRIALS].

A copy of a trained network gets its hidden units in another order, with other signs or scales where the activation
allows it, and one unit with new weights into it. Found is a trial in which order, signs and scales of all other units
are undone, and that unit and no other is said to have changed.
"""

import sys
import time
from dataclasses import replace
from typing import NamedTuple

import numpy as np

import probe
from probe._matching import HOMOGENEOUS, mirror
from probe._progress import silent
from probe.analyses.comparison import LayerPair
from probe.analyses.comparison.matching import layer_pairs
from probe.fitting import fitted
from probe.layers import Dense


class Planted(NamedTuple):
    """A copy of a network and what was done to it: by layer the order and the gains of its units; and the changed unit."""

    network: probe.Network
    orders: list[np.ndarray]
    gains: list[np.ndarray]
    layer: int
    unit: int


def planted(network: probe.Network, rng: np.random.Generator) -> Planted:
    """Return a copy of a chain of dense layers with everything planted at once; unit k is unit `order[k]` of the network."""
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    kernels = [layer.kernel.astype(np.float64) for layer in dense]
    biases = [layer.bias.astype(np.float64) for layer in dense]
    orders, gains = list[np.ndarray](), list[np.ndarray]()
    for k, layer in enumerate(dense[:-1]):
        constant, n = mirror(layer.activation), layer.n_units
        order, gain = rng.permutation(n), np.ones(n)
        if constant is not None:
            gain = rng.choice([-1.0, 1.0], n)
        elif layer.activation.name in HOMOGENEOUS:
            gain = np.exp(rng.uniform(-1, 1, n))
        kernels[k], biases[k] = kernels[k][:, order] * gain, biases[k][order] * gain
        above = kernels[k + 1][order]
        biases[k + 1] = biases[k + 1] + (constant or 0.0) * above[gain < 0].sum(axis=0)
        kernels[k + 1] = above / gain[:, None]
        orders.append(order)
        gains.append(gain)
    layer = int(rng.integers(len(orders)))
    unit = int(rng.integers(len(orders[layer])))
    kernels[layer][:, unit] = rng.permutation(kernels[layer][:, unit])
    changed = {
        old.name: replace(old, kernel=kernel.astype(np.float32), bias=bias.astype(np.float32))
        for old, kernel, bias in zip(dense, kernels, biases, strict=True)
    }
    layers = tuple(changed.get(each.name, each) for each in network.layers)
    return Planted(replace(network, layers=layers), orders, gains, layer, unit)


def is_found(pairs: tuple[LayerPair, ...], truth: Planted) -> bool:
    """Return whether order, signs, scales and the changed unit are found."""
    for k, (pair, order, gain) in enumerate(zip(pairs, truth.orders, truth.gains, strict=True)):
        first, second = pair.pairs.T
        kept = (k != truth.layer) | (second != truth.unit)
        if not (first == order[second]).all():
            return False
        if not np.allclose((pair.signs * pair.scales * gain[second])[kept], 1, atol=1e-3):
            return False
        if not (pair.is_same == kept).all() or not pair.is_matched[kept].all():
            return False
        if k == truth.layer and pair.changed[0] != np.flatnonzero(~kept)[0]:
            return False
    return True


def main() -> None:
    """Print how many trials are found for every network."""
    n_trials = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for data, activation, epochs in (
        ("digits", "sigmoid", 60),
        ("digits", "tanh", 30),
        ("digits", "relu", 30),
        ("mnist", "sigmoid", 3),
        ("mnist", "tanh", 3),
        ("mnist", "relu", 3),
    ):
        split = probe.load_dataset(data)
        rate = 0.1 if activation == "relu" else 0.5
        config = probe.TrainingConfig(epochs=epochs, batch_size=20, learning_rate=rate)
        network = fitted(probe.train(probe.MLP((16, 16), activation), split, config).network, split)
        accuracy = float((network.predict(split.test.images) == split.test.labels).mean())
        images = split.test.images[:1000]
        began, found = time.perf_counter(), 0
        for trial in range(n_trials):
            rng = np.random.default_rng(trial)
            truth = planted(network, rng)
            _, pairs, _, _ = layer_pairs((network, truth.network), images, 99, rng, silent)
            found += is_found(pairs, truth)
        seconds = time.perf_counter() - began
        print(
            f"{data}, 16-16 {activation}, {accuracy:.1%} right: {found} of {n_trials} found; {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
