import hashlib
import subprocess
import sys
from importlib import resources

import h5py
import numpy as np
import pytest

from probe.datasets import MNIST_SHA256, load_dataset


@pytest.fixture(scope="module")
def mnist():
    return load_dataset("mnist")


@pytest.fixture(scope="module")
def stored():
    with (
        resources.as_file(resources.files("probe.datasets") / "mnist.h5") as path,
        h5py.File(path, "r") as file,
    ):
        yield {key: file[key][()] for key in MNIST_SHA256} | {"attrs": dict(file.attrs)}


def test_mnist_decodes_to_the_recorded_checksums(stored):
    for key, recorded in MNIST_SHA256.items():
        assert stored[key].dtype == np.uint8
        assert hashlib.sha256(stored[key].tobytes()).hexdigest() == recorded


def test_mnist_carries_its_source_licence_and_class_names(stored):
    assert "CC BY-SA 3.0" in stored["attrs"]["licence"]
    assert "lecun" in stored["attrs"]["source"]
    licence = (resources.files("probe.datasets") / "MNIST-LICENSE.md").read_text()
    assert all(checksum in licence for checksum in MNIST_SHA256.values())


def test_mnist_pixels_are_exactly_the_stored_levels_over_255(mnist, stored):
    # h5py's own decompression is the oracle of the two-threaded one.
    for part, key in ((mnist.train, "images"), (mnist.test, "test_images")):
        assert np.array_equal(part.images, stored[key].astype(np.float32) / np.float32(255))
    assert np.array_equal(mnist.train.labels, stored["labels"])
    assert np.array_equal(mnist.test.labels, stored["test_labels"])


def test_mnist_is_what_it_is_known_to_be(mnist):
    assert (mnist.name, mnist.train.class_names) == ("mnist", tuple("0123456789"))
    assert mnist.train.images.shape == (60_000, 28, 28)
    assert mnist.test.images.shape == (10_000, 28, 28)
    assert np.count_nonzero(mnist.train.images.max(axis=0) == 0) == 67
    assert np.bincount(mnist.train.labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949
    ]  # fmt: skip
    assert float(mnist.train.images.mean(dtype=np.float64)) == pytest.approx(0.1306605, abs=1e-6)
    assert float(mnist.train.images.std(dtype=np.float64)) == pytest.approx(0.3081078, abs=1e-6)


def test_digits_are_split_the_same_way_each_time():
    split = load_dataset("digits")
    assert split.train.image_shape == (8, 8)
    assert len(split.train) + len(split.test) == 1797
    assert split.fingerprint == load_dataset("digits").fingerprint
    everywhere = np.bincount(split.train.labels) + np.bincount(split.test.labels)
    assert np.bincount(split.test.labels).tolist() == (everywhere // 5).tolist()
    assert split.train.images.max() == 1.0


def test_importing_loads_neither_scikit_learn_nor_h5py():
    code = "import sys, probe.datasets; print(sorted({'sklearn', 'h5py', 'scipy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
