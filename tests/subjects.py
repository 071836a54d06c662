"""Networks on MNIST of which one knows what must be said: untrained ones, planted ones, ones trained to be this or that.

Each is made once for all tests of a process. `KERAS_BACKEND=jax python tests/subjects.py` trains the one from Keras anew,
which its NumPy backend cannot.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import expit
from scipy.stats import ortho_group

import probe
from probe.analyses.concepts.pixels import has_loop
from probe.datasets import Dataset, permuted_labels
from probe.layers import BatchNormalization, Dense, Flatten
from probe.recipes import RECIPES
from probe.training import reinitialized, train_network, train_population

CLASSES = tuple("0123456789")
KERAS_CNN = Path(__file__).with_name("mnist_cnn.h5")


@cache
def mnist() -> probe.Split:
    return probe.load_dataset("mnist")


@cache
def part(n=10_000) -> probe.Split:
    """The first images, which train fast."""
    return replace(mnist(), train=mnist().train.take(slice(0, n)))


def network_of(*weights, activation="sigmoid") -> probe.Network:
    """Return a chain of dense layers of kernels (n_in, n_out) and biases."""
    names = [*(f"hidden_{k}" for k in range(1, len(weights))), "output"]
    layers = [
        Dense(
            name,
            kernel.astype(np.float32),
            bias.astype(np.float32),
            activation if name != "output" else "softmax",
        )
        for name, (kernel, bias) in zip(names, weights, strict=True)
    ]
    return probe.Network((Flatten("flatten"), *layers), (28, 28), CLASSES)


@cache
def trained() -> probe.Network:
    """The sample of the repository."""
    return probe.load_network(Path(__file__).parents[1] / "reports" / "samples" / "mnist" / "model.h5")


@cache
def untrained() -> probe.Network:
    return reinitialized(trained(), rng=np.random.default_rng(3))


@cache
def random_labels() -> probe.Network:
    """Fits 1,000 permuted labels."""
    few = part(1000)
    labels = permuted_labels(few.train.labels, rng=np.random.default_rng(0))[None]
    config = probe.TrainingConfig(
        epochs=600, batch_size=50, learning_rate=0.3, optimizer="nesterov", stop="fitted"
    )
    return train_population(probe.MLP(), few, config, n_networks=1, labels=labels, seed=2).population.network(
        0
    )


@cache
def linear() -> probe.Network:
    """A softmax without hidden layers."""
    return probe.train(
        probe.MLP(hidden=()), part(), probe.TrainingConfig(epochs=20, learning_rate=0.1), seed=0
    ).network


def with_first_layer(images: np.ndarray, *, sharpness=4.0, n_second=16) -> probe.Network:
    """Return a network whose first layer looks for `images` (n_units, 28, 28), and whose others were trained on that."""
    split = part()
    kernel = images.reshape(len(images), -1).T
    kernel = kernel * (sharpness / (split.train.images.reshape(len(split.train), -1) @ kernel).std(axis=0))
    bias = -(split.train.images.reshape(len(split.train), -1) @ kernel).mean(axis=0)

    def seen(data: Dataset) -> Dataset:
        return replace(
            data, images=expit(data.images.reshape(len(data), -1) @ kernel + bias).astype(np.float32)[:, None]
        )

    upper = probe.Split(seen(split.train), seen(split.test), "activations")
    config = probe.TrainingConfig(epochs=30, batch_size=50, learning_rate=1.0, schedule="cosine")
    above = probe.train(probe.MLP((n_second,)), upper, config, seed=0).network.dense_layers
    return network_of((kernel, bias), *((layer.kernel, layer.bias) for layer in above))


def gabors(n=16, noise=0.0) -> np.ndarray:
    """Return edges and bars of several places and directions, with so much noise for each unit of their own size."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:28, :28].astype(float)
    made = []
    for _ in range(n):
        row, column, angle = *rng.uniform(9, 19, 2), rng.uniform(0, np.pi)
        along = (x - column) * np.cos(angle) + (y - row) * np.sin(angle)
        across = -(x - column) * np.sin(angle) + (y - row) * np.cos(angle)
        phase = rng.choice([0, np.pi / 2])
        made.append(
            np.exp(-(along**2 + 0.4 * across**2) / (2 * 3.0**2)) * np.cos(2 * np.pi * along / 9 + phase)
        )
    images = np.stack(made)
    images /= images.std(axis=(1, 2), keepdims=True)
    return images + noise * rng.normal(size=images.shape)


def blobs(n=16) -> np.ndarray:
    """Return smooth round spots, which are no edges."""
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:28, :28].astype(float)
    places = rng.uniform(8, 20, (n, 2))
    return np.stack([np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 3.5**2)) for row, column in places])


def class_means() -> np.ndarray:
    """Return the mean image of each class without the mean of all: (10, 28, 28)."""
    train = part().train
    means = np.stack([train.images[train.labels == k].mean(axis=0) for k in range(10)])
    return means - means.mean(axis=0)


@cache
def gabor() -> probe.Network:
    return with_first_layer(gabors())


@cache
def blob() -> probe.Network:
    return with_first_layer(blobs())


@cache
def mean_reader() -> probe.Network:
    return with_first_layer(class_means())


@cache
def template() -> probe.Network:
    """Compares with the mean image of each class, without hidden layers: its favorite images are these."""
    train = part().train
    means = np.stack([train.images[train.labels == k].mean(axis=0) for k in range(10)])
    kernel = (means - 0.5).reshape(10, -1).T
    seen = train.images.reshape(len(train), -1) @ kernel
    return network_of((kernel, -seen.mean(axis=0)))


@cache
def loop_reader(n_features=400, n_images=8000):
    """Return random features of images, and the weights that read loops within classes off these."""
    train = part(n_images).train
    x = train.images.reshape(n_images, -1).astype(np.float64)
    kernel = 3 * np.random.default_rng(0).normal(size=(784, n_features)) / 28
    bias = -x.mean(axis=0) @ kernel
    features = np.maximum(x @ kernel + bias, 0)
    centered, loops = features.copy(), has_loop(train.images).astype(np.float64)
    for k in range(10):
        there = train.labels == k
        centered[there] -= centered[there].mean(axis=0)
        loops[there] -= loops[there].mean()
    weights = np.linalg.solve(centered.T @ centered + 50 * np.eye(n_features), centered.T @ loops)
    return kernel, bias, weights / (features @ weights).std(), features


@cache
def loop_unit(*, rotated=False, width=12, activation="linear") -> probe.Network:
    """Has a loop detector, unit 6 of the last hidden layer, among random units, and reads the classes off all of them.

    With linear units a rotated layer, and an output that turns back, compute the same.
    """
    kernel, bias, weights, features = loop_reader()
    second = np.random.default_rng(1).normal(size=(len(weights), width))
    second /= (features @ second).std(axis=0)
    second[:, 6] = weights
    hidden = features @ second
    hidden -= hidden.mean(axis=0)
    target = np.eye(10)[part(len(features)).train.labels] - 0.1
    output = 20 * np.linalg.solve(hidden.T @ hidden + 50 * np.eye(width), hidden.T @ target)
    if rotated:
        turn = ortho_group.rvs(width, random_state=0)
        second, output = second @ turn, turn.T @ output
    layers = (
        ("features", kernel, bias, "relu"),
        ("hidden", second, -features.mean(axis=0) @ second, activation),
    )
    dense = [
        Dense(name, of.astype(np.float32), shift.astype(np.float32), activation)
        for name, of, shift, activation in (*layers, ("output", output, np.zeros(10), "softmax"))
    ]
    return probe.Network((Flatten("flatten"), *dense), (28, 28), CLASSES)


def with_noise_named(labels_of, *, n=2_000) -> probe.Network:
    """Return a network trained on digits and on noise, which is given the labels of `labels_of(rng, n)`."""
    split, rng = part(), np.random.default_rng(7)
    noise = rng.random((n, 28, 28), np.float32)
    images = np.concatenate([split.train.images, noise])
    labels = np.concatenate([split.train.labels, labels_of(rng, n)])
    train = replace(split.train, images=images, labels=labels.astype(np.int64))
    config = replace(RECIPES["modern"].config, epochs=20)
    return probe.train(probe.MLP(), replace(split, train=train), config, seed=0).network


@cache
def sure_of_noise() -> probe.Network:
    """Was taught that all noise is a 5."""
    return with_noise_named(lambda rng, n: np.full(n, 5))


@cache
def doubtful_of_noise() -> probe.Network:
    """Was taught that noise may be anything."""
    return with_noise_named(lambda rng, n: rng.integers(10, size=n))


@cache
def adversarial() -> probe.Network:
    """128 rectifiers trained on images moved against them: rounds of steps on the inputs and an epoch on these."""
    split, rng = part(4_000), np.random.default_rng(8)
    images = split.train.images
    config = probe.TrainingConfig(epochs=1, batch_size=50, learning_rate=1e-3, optimizer="adam")
    network = probe.train(probe.MLP((128,), "relu"), split, replace(config, epochs=4), seed=0).network
    for _ in range(6):
        moved = images.copy()
        for _ in range(2):
            _, pullback = network.logits_vjp(moved)
            slopes = network.predict_proba(moved)
            slopes[np.arange(len(slopes)), split.train.labels] -= 1
            gradient = pullback(slopes.astype(np.float32))
            length = np.sqrt((gradient**2).sum(axis=(1, 2), keepdims=True)) + 1e-12
            moved = moved + 0.7 * gradient / length
            away = moved - images
            size = np.sqrt((away**2).sum(axis=(1, 2), keepdims=True)) + 1e-12
            moved = np.clip(images + away * np.minimum(1, 1.5 / size), 0, 1).astype(np.float32)
        taught = replace(split, train=replace(split.train, images=moved))
        network = train_network(network, taught, config, rng=rng).network
    return network


def permuted_pixels(network: probe.Network, split: probe.Split, seed=0) -> tuple[probe.Network, probe.Split]:
    """Return a network and data with the pixels in another order: it computes the same."""
    order = np.random.default_rng(seed).permutation(784)

    def shuffled(data: Dataset) -> Dataset:
        return replace(data, images=data.images.reshape(len(data), -1)[:, order].reshape(-1, 28, 28))

    first = network.dense_layers[0]
    layers = tuple(
        replace(layer, kernel=layer.kernel[order]) if layer is first else layer for layer in network.layers
    )
    return replace(network, layers=layers), replace(
        split, train=shuffled(split.train), test=shuffled(split.test)
    )


@cache
def from_keras() -> probe.Network:
    """A small convolutional network that Keras trained and wrote."""
    return probe.load_network(KERAS_CNN)


def write_keras_cnn() -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    train = part(20_000).train
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(8, 5, activation="relu", name="conv_1"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, activation="relu", name="conv_2"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", name="output"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(train.images[..., None], train.labels, batch_size=64, epochs=4)
    model.save(KERAS_CNN, include_optimizer=False)


if __name__ == "__main__":
    write_keras_cnn()


def ablated(network: probe.Network, layer: str, unit: int, constant: float) -> probe.Network:
    """Return `network` with a layer more, which replaces a unit, or a channel everywhere in its map, by a constant."""
    axis, kept = 1 + network.channel_axis(layer), np.ones(network.n_units(layer), network.dtype)
    kept[unit] = 0
    zeros, shift = np.zeros_like(kept), (1 - kept) * network.dtype.type(constant)
    mask = BatchNormalization("ablated", kept, shift, zeros, np.ones_like(kept), axis=axis, epsilon=0.0)
    at = network.layer_names.index(layer) + 1
    wiring = [tuple("ablated" if source == layer else source for source in read) for read in network.wiring]
    return replace(
        network,
        layers=(*network.layers[:at], mask, *network.layers[at:]),
        wiring=(*wiring[:at], (layer,), *wiring[at:]),
    )
