"""A buffer of samples at a time: the order, and that training from a file is training in memory, to the bit."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

import probe
from probe._checks import InputError
from probe.datasets import load_dataset
from probe.layers import ActivationLayer, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Reshape
from probe.network import Network
from probe.recipes import RECIPES
from probe.training._order import shuffled


@pytest.mark.parametrize(
    ("n", "buffer", "size"), [(1000, 160, 10), (1003, 160, 10), (997, 333, 7), (64, 32, 2), (33, 32, 2)]
)
def test_a_buffered_order_has_every_sample_once_in_buffers_of_whole_minibatches(n, buffer, size):
    parts = list(shuffled(n, buffer, size, np.random.default_rng(0)))
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    assert all(len(part) % size == 0 for part in parts[:-1])
    assert all(len(part) <= buffer for part in parts)
    again = np.concatenate(list(shuffled(n, buffer, size, np.random.default_rng(0))))
    assert np.array_equal(again, np.concatenate(parts))
    rng = np.random.default_rng(0)
    epochs = [np.concatenate(list(shuffled(n, buffer, size, rng))) for _ in range(2)]
    assert not np.array_equal(*epochs)


@pytest.mark.parametrize("buffer", [None, 1000, 5000])
def test_all_samples_are_shuffled_together_where_the_buffer_holds_them(buffer):
    (order,) = shuffled(1000, buffer, 10, np.random.default_rng(3))
    assert np.array_equal(order, np.random.default_rng(3).permutation(1000))


def test_a_minibatch_comes_from_all_over_the_data():
    first = next(shuffled(100_000, 16_000, 100, np.random.default_rng(0)))
    blocks = np.unique(first[:100] // 1000)
    assert len(first) == 16_000
    assert len(blocks) >= 14
    assert np.ptp(blocks) > 50


def test_each_epoch_leaves_another_part_of_the_data_for_the_end():
    rng = np.random.default_rng(0)
    ends = [tuple(np.sort(list(shuffled(1003, 160, 10, rng))[-1][-3:])) for _ in range(20)]
    assert len(set(ends)) > 15


@pytest.mark.parametrize(("buffer", "batch"), [(159, 10), (0, 1), (-5, 10)])
def test_a_buffer_holds_sixteen_minibatches_at_least(buffer, batch):
    with pytest.raises(InputError, match=f"buffer must be an integer of at least {16 * batch}, got {buffer}"):
        probe.TrainingConfig(buffer=buffer, batch_size=batch)


def both(folder, dtype="uint8", n=900, shape=(8, 8)):
    """Return the same split in memory, and from a file where it stays."""
    digits = probe.load_dataset("digits").train
    pixels = np.resize(np.round(digits.images[:n] * 255), (n, *shape))
    with h5py.File(folder / "own.h5", "w") as file:
        file["images"] = pixels.astype("u1") if dtype == "uint8" else (pixels / 300).astype(dtype)
        file["labels"] = digits.labels[:n]
    return load_dataset(folder / "own.h5"), load_dataset(folder / "own.h5", images_in="file")


def assert_same(first, second):
    for one, other in zip(first.population.weights, second.population.weights, strict=True):
        assert np.array_equal(one, other)
    assert_same_histories(first.history, second.history)
    for one, other in zip(first.films, second.films, strict=True):
        assert np.array_equal(one.cost, other.cost)
        assert np.array_equal(one.test_accuracy, other.test_accuracy)


def assert_same_histories(first, second):
    for name, values in first.arrays().items():
        if name != "seconds":
            assert np.array_equal(values, second.arrays()[name]), name


@pytest.mark.parametrize("stored", ["uint8", "float32", "float64"])
@pytest.mark.parametrize(
    "config",
    [
        probe.TrainingConfig(epochs=3, batch_size=7),
        probe.TrainingConfig(epochs=3, batch_size=10, dtype="float64", weight_decay=0.01, optimizer="adam"),
    ],
    ids=["float32", "float64"],
)
def test_networks_are_the_same_in_memory_and_from_a_file(tmp_path, monkeypatch, stored, config):
    memory, file = both(tmp_path, stored)
    monkeypatch.setattr("probe._pixels._PIECE", 64 * 200)  # evaluations go through several pieces
    config = replace(config, buffer=200)
    settings = {"n_networks": 3, "shard_size": 2, "workers": 2, "frames": 6, "progress": None, "seed": 5}
    results = [
        probe.train_population(probe.MLP((9,), "tanh"), split, config, **settings) for split in (memory, file)
    ]
    assert_same(*results)
    unbuffered = probe.train_population(
        probe.MLP((9,), "tanh"), memory, replace(config, buffer=None), **settings
    )
    assert not np.array_equal(unbuffered.population.weights[0], results[0].population.weights[0])


def test_a_file_has_a_buffer_of_its_own_where_none_is_named(tmp_path, monkeypatch):
    memory, file = both(tmp_path)
    config = probe.TrainingConfig(epochs=2, batch_size=5)
    whole = [probe.train(probe.MLP((5,)), split, config, progress=None) for split in (memory, file)]
    assert np.array_equal(whole[0].network.layers[1].kernel, whole[1].network.layers[1].kernel)
    monkeypatch.setattr("probe.training._order._BUFFER_BYTES", 100 * 64)
    stated, own = (
        probe.train(probe.MLP((5,)), split, one, progress=None)
        for split, one in ((memory, replace(config, buffer=100)), (file, config))
    )
    assert np.array_equal(stated.network.layers[1].kernel, own.network.layers[1].kernel)
    assert not np.array_equal(stated.network.layers[1].kernel, whole[0].network.layers[1].kernel)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_of_any_layers_are_the_same_in_memory_and_from_a_file(tmp_path, monkeypatch, dtype):
    memory, file = both(tmp_path, n=500)
    monkeypatch.setattr("probe.training.graph._MEASURED_VALUES", 64 * 10)
    rng = np.random.default_rng(0)
    layers = (
        Reshape("reshape", (8, 8, 1)),
        Conv2D("conv", rng.normal(size=(3, 3, 1, 4)).astype(np.float32), np.zeros(4, np.float32)),
        BatchNormalization("bn", *(np.full(4, k, np.float32) for k in (1, 0, 0, 1))),
        ActivationLayer("relu", "relu"),
        Dropout("dropout", 0.2),
        Flatten("flatten"),
        Dense("output", rng.normal(size=(144, 10)).astype(np.float32), np.zeros(10, np.float32), "softmax"),
    )
    network = Network(layers, (8, 8), tuple("0123456789"))
    config = probe.TrainingConfig(
        epochs=2, batch_size=8, learning_rate=0.01, optimizer="adam", buffer=150, dtype=dtype
    )
    first, second = (probe.train(network, split, config, frames=4, progress=None) for split in (memory, file))
    assert first.network.fingerprint == second.network.fingerprint
    assert_same_histories(first.history, second.history)
    assert np.array_equal(first.film.cost, second.film.cost)
    assert np.array_equal(first.film.test_accuracy, second.film.test_accuracy)


def test_noise_and_control_networks_are_the_same_in_memory_and_from_a_file(tmp_path):
    memory, file = both(tmp_path)
    config = probe.TrainingConfig(epochs=5, batch_size=10, buffer=200)
    network = probe.train(probe.MLP((8,)), memory, config, progress=None).network
    recipe = replace(RECIPES["modern"], config=config, adapts=False)
    results = []
    for split in (memory, file):
        controls = probe.control_networks(network, split, n_networks=6, recipe=recipe, progress=None)
        results.append(probe.noise_confidence(network, split, controls=controls, n_images=300))
    first, second = (str(result.to_dict()) for result in results)
    assert first == second


def test_a_long_epoch_tells_how_far_it_is(tmp_path, monkeypatch):
    _, file = both(tmp_path)
    monkeypatch.setattr("probe.training.shard._TOLD_EVERY", 0)
    events = []
    probe.train(
        probe.MLP((5,)),
        file,
        probe.TrainingConfig(epochs=2, batch_size=10, buffer=200),
        progress=events.append,
    )
    notes = [event.note for event in events if "of an epoch" in event.note]
    assert notes[0] == "21% of an epoch"
    assert notes[len(notes) // 2 - 1] == "100% of an epoch"
    assert [event.done for event in events if event.note.startswith("cost")] == [1, 2]
