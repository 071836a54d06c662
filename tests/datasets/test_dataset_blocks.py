"""Images that stay in their HDF5 file: what is read of them, what is refused, and how little memory it takes."""

import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

import probe
from probe._checks import DataFileError, InputError
from probe.datasets import gaussian_noise, load_dataset, resized
from probe.datasets._blocks import StoredImages
from probe.workflow import analyze, train_model

N = 600


def arrays(dtype="uint8", n=N, shape=(6, 5)):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    labels = rng.integers(0, 3, n).astype(np.uint8)
    return levels if dtype == "uint8" else (levels / 255).astype(dtype), labels


def write(path, **content):
    with h5py.File(path, "w") as file:
        for key, array in content.items():
            file[key] = array
    return path


def both(path, **settings):
    """Return the split of a file in memory, and the one whose images stay there."""
    stored = load_dataset(path, images_in="file", **settings)
    assert isinstance(stored.train.images, StoredImages)
    return load_dataset(path, **settings), stored


@pytest.fixture
def path(tmp_path):
    images, labels = arrays()
    return write(tmp_path / "own.h5", images=images, labels=labels)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 3)])
def test_the_images_and_the_fingerprint_are_those_of_memory(tmp_path, dtype, shape):
    images, labels = arrays(dtype, shape=shape)
    test = {"test_images": images[:50], "test_labels": labels[:50]}
    for more in ({}, test):
        memory, stored = both(write(tmp_path / "own.h5", images=images, labels=labels, **more))
        assert stored.fingerprint == memory.fingerprint == stored.fingerprint
        for mine, theirs in ((stored.train, memory.train), (stored.test, memory.test)):
            assert mine.images.shape == theirs.images.shape
            assert mine.images.ndim == theirs.images.ndim
            read = mine.images[:]
            assert read.dtype == np.float32
            assert np.array_equal(read, theirs.images)
            assert np.array_equal(mine.labels, theirs.labels)


def test_float_pixels_are_scaled_from_their_range(tmp_path):
    images, labels = arrays("float32")
    memory, stored = both(
        write(tmp_path / "own.h5", images=images * 4 - 2, labels=labels), pixel_range=(-2, 2)
    )
    assert np.array_equal(stored.train.images[:], memory.train.images)
    assert stored.fingerprint == memory.fingerprint


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("part", ["whole file", "split off"])
def test_they_are_indexed_like_an_array(tmp_path, part, dtype):
    images, labels = arrays(dtype)
    more = {"test_images": images, "test_labels": labels} if part == "whole file" else {}
    memory, stored = both(write(tmp_path / "own.h5", images=images, labels=labels, **more))
    expected, found = memory.train.images, stored.train.images
    rng = np.random.default_rng(1)
    mask = rng.random(len(expected)) < 0.1
    for samples in (3, -1, slice(10, 20), slice(None, None, 7), slice(50, 10, -3), slice(5, 5), mask):
        assert np.array_equal(found[samples], expected[samples])
    for samples in (rng.integers(0, len(expected), 99), np.array([-1, 0, -2, 0, 5]), np.array([], int)):
        assert np.array_equal(found[samples], expected[samples])
        assert found[samples].dtype == np.float32
        assert np.array_equal(found.rows(samples)[:], expected[samples])
    for outside in (np.array([len(expected)]), np.array([-len(expected) - 1])):
        with pytest.raises(IndexError):
            found[outside]


def test_a_few_of_them_are_an_array_and_many_stay_in_the_file(path, monkeypatch):
    memory, stored = both(path)
    few = stored.train.sample(40, rng=np.random.default_rng(0))
    assert isinstance(few.images, np.ndarray)
    assert np.array_equal(few.images, memory.train.sample(40, rng=np.random.default_rng(0)).images)
    monkeypatch.setattr("probe.datasets._blocks._SMALL", 1000)
    many = stored.train.take(np.arange(100, 0, -1))
    assert isinstance(many.images, StoredImages)
    assert many.fingerprint == memory.train.take(np.arange(100, 0, -1)).fingerprint
    monkeypatch.setattr("probe.datasets._blocks._MOST", 1000)
    with pytest.raises(InputError, match="stay in"):
        many.images[:]


def test_what_other_code_asks_of_arrays_is_refused_with_what_to_do(path):
    images = load_dataset(path, images_in="file").test.images
    asked = [
        lambda: np.asarray(images),
        lambda: np.mean(images),
        lambda: images.mean(),
        lambda: images.reshape(len(images), -1),
        lambda: images.astype(np.float64),
        lambda: images == 0,
    ]
    for one in asked:
        with pytest.raises(InputError, match=r"stay in .*own\.h5.*Take some, such as split\.train\.sample"):
            one()
    assert not hasattr(images, "__array_interface__")


def test_they_travel_between_processes_by_their_path(path):
    stored = load_dataset(path, images_in="file")
    again = pickle.loads(pickle.dumps(stored))
    assert isinstance(again.train.images, StoredImages)
    assert again.fingerprint == stored.fingerprint


def test_images_beyond_the_limit_stay_in_the_file_by_themselves(path, monkeypatch):
    monkeypatch.setattr("probe.datasets._formats.MAX_BYTES", 4 * N * 30 - 1)
    assert isinstance(load_dataset(path).train.images, StoredImages)
    assert isinstance(load_dataset(path, images_in="memory").train.images, np.ndarray)
    monkeypatch.setattr("probe.datasets._formats.MAX_BYTES", 4 * N * 30)
    assert isinstance(load_dataset(path).train.images, np.ndarray)


def test_they_are_resized_part_by_part(path):
    memory, stored = both(path)
    assert np.array_equal(resized(stored, (3, 2)).train.images, resized(memory, (3, 2)).train.images)


def test_noise_like_them_is_the_same(path):
    first, second = (
        gaussian_noise(5, split.train.images, rng=np.random.default_rng(0)) for split in both(path)
    )
    assert np.array_equal(first, second)


def refusal(path, **settings):
    with pytest.raises(DataFileError) as caught:
        load_dataset(path, images_in="file", **settings)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("settings", [{"chunks": (10, 6, 5)}, {"compression": "gzip"}])
def test_chunks_are_refused_with_how_to_write_them_again(tmp_path, settings):
    images, labels = arrays()
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.create_dataset("images", data=images, **settings)
        file["labels"] = labels
    message = refusal(tmp_path / "old.h5")
    assert "images" in message
    assert "is chunked uint8, and only contiguous numbers can be read part by part" in message
    assert "new.create_dataset(name, old.shape, old.dtype), without chunks or compression" in message
    # What it says works.
    with h5py.File(tmp_path / "old.h5") as old, h5py.File(tmp_path / "new.h5", "w") as new:
        for name in ("images", "labels"):
            new.create_dataset(name, old[name].shape, old[name].dtype)
            for begin in range(0, N, 100):
                new[name][begin : begin + 100] = old[name][begin : begin + 100]
    rewritten = load_dataset(tmp_path / "new.h5", images_in="file")
    assert rewritten.fingerprint == load_dataset(tmp_path / "old.h5").fingerprint


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5, 1.5, 255.0])
def test_bad_pixels_are_refused_as_in_memory(tmp_path, bad):
    images, labels = arrays("float32")
    images[-1, -1, -1] = bad
    path = write(tmp_path / "own.h5", images=images, labels=labels)
    message = refusal(path)
    assert "images must be uint8, or float in [0, 1], got float32 from" in message
    with pytest.raises(DataFileError) as in_memory:
        load_dataset(path)
    assert message.split("; ")[1] == str(in_memory.value).split("; ")[1]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (arrays("uint8")[0].astype(np.int32), arrays()[1], "images must be uint8, or float in"),
        (arrays()[0], arrays()[1][:-1], r"labels must have shape \(600,\), one for each image"),
        (arrays()[0], np.where(np.arange(N) == 7, 9, arrays()[1]), "would have no image"),
        (arrays()[0], arrays()[1] / 2, "labels must be integers"),
        (arrays()[0].reshape(N, 30), arrays()[1], "images must have shape"),
        (arrays(shape=(1, 8, 9))[0], arrays()[1], "images must have their channels last"),
        (np.zeros((0, 6, 5), np.uint8), arrays()[1], "images"),
    ],
)
def test_what_is_no_data_is_refused(tmp_path, images, labels, message):
    with pytest.raises(DataFileError, match=message):
        load_dataset(write(tmp_path / "own.h5", images=images, labels=labels), images_in="file")


def test_a_file_that_is_cut_off_is_refused(path):
    os.truncate(path, path.stat().st_size - 100)
    assert "cut off" in refusal(path)


def test_an_array_that_claims_more_than_the_file_has_is_refused(tmp_path):
    images, labels = arrays()
    path = write(tmp_path / "own.h5", images=images, labels=labels)
    content = path.read_bytes()
    for claimed in (N, images.nbytes):  # the length, and the bytes of all
        assert claimed.to_bytes(8, "little") in content
        content = content.replace(claimed.to_bytes(8, "little"), (claimed << 10).to_bytes(8, "little"))
    path.write_bytes(content)
    assert "which it does not have" in refusal(path)


def test_an_array_that_was_never_written_is_refused(tmp_path):
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file.create_dataset("images", (N, 6, 5), np.uint8)
        file["labels"] = arrays()[1]
    assert "was never written; the file is incomplete" in refusal(tmp_path / "own.h5")


def test_arrays_in_other_files_are_refused(tmp_path):
    images, labels = arrays()
    write(tmp_path / "other.h5", images=images)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["images"] = h5py.ExternalLink("other.h5", "/images")
        file["labels"] = labels
    assert "link" in refusal(tmp_path / "link.h5")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((N, 6, 5), np.uint8)
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "images", (N, 6, 5))
        file.create_virtual_dataset("images", layout)
        file["labels"] = labels
    assert "put together from other data sets" in refusal(tmp_path / "virtual.h5")
    (tmp_path / "raw").write_bytes(images.tobytes())
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("images", (N, 6, 5), np.uint8, external=[(tmp_path / "raw", 0, images.nbytes)])
        file["labels"] = labels
    assert "in another file" in refusal(tmp_path / "external.h5")


def _rewritten(path):
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(1, 1))


def _replaced(path):
    other = path.with_name("new.h5")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_rewritten, r"own\.h5 was changed since it was opened; load it again"),
        (_replaced, r"own\.h5 was changed since it was opened; load it again"),
        (lambda path: os.truncate(path, 5000), r"own\.h5 was changed since it was opened; load it again"),
        (Path.unlink, r"own\.h5 cannot be read any more: No such file"),
        (lambda path: (path.unlink(), path.mkdir()), r"own\.h5 cannot be read any more: it is a folder"),
    ],
)
def test_a_file_that_changes_while_it_is_used_is_refused(path, change, message):
    stored = load_dataset(path, images_in="file")
    change(path)
    with pytest.raises(DataFileError, match=message):
        stored.train.images[:10]


def test_a_file_that_is_cut_off_between_look_and_read_is_refused(path, monkeypatch):
    monkeypatch.setattr("probe.datasets._blocks._version", lambda status: (0,))
    stored = load_dataset(path, images_in="file")
    os.truncate(path, 5000)
    with pytest.raises(DataFileError, match=r"own\.h5 was cut off while it was read"):
        stored.train.images[:]


@pytest.mark.parametrize("data", ["digits", "own.npz", "pictures"])
def test_only_images_of_hdf5_files_can_stay_there(tmp_path, data):
    images, labels = arrays()
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match="images_in='file' needs an HDF5 file, and this is none"):
        load_dataset(data if data == "digits" else tmp_path / data, images_in="file")


def test_where_they_are_must_be_a_word_that_is_known(path):
    with pytest.raises(InputError, match="images_in must be one of auto, memory, file; got 'disk'"):
        load_dataset(path, images_in="disk")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says how much memory was used")
def test_training_and_noise_take_little_memory(tmp_path):
    """400,000 images, 1.2 GiB as float32: what is held at a time are a few buffers."""
    n = 400_000
    base = np.round(probe.load_dataset("mnist").test.images * 255).astype(np.uint8)
    labels = probe.load_dataset("mnist").test.labels.astype(np.uint8)
    with h5py.File(tmp_path / "large.h5", "w") as file:
        images = file.create_dataset("images", (n, 28, 28), np.uint8)
        for begin in range(0, n, len(base)):
            images[begin : begin + len(base)] = base
        file["labels"] = np.tile(labels, n // len(base))
    program = f"""
        import re, probe
        def peak():
            return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
        warm = probe.load_dataset("digits")
        probe.noise_confidence(probe.train(probe.MLP((4,)), warm, progress=None).network, warm, n_images=2000)
        before = peak()
        split = probe.load_dataset({str(tmp_path / "large.h5")!r}, images_in="file")
        config = probe.TrainingConfig(epochs=1, buffer=20_000)
        network = probe.train(probe.MLP((16, 16)), split, config, progress=None).network
        probe.noise_confidence(network, split, n_images=2000)
        print(peak() - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    # In memory it would be more than 1,200 MiB; the pieces that an evaluation goes through have 64 MiB.
    assert float(done.stdout) < 400


def test_commands_take_them_where_all_is_done_by_parts_and_say_so_elsewhere(tmp_path, monkeypatch):
    digits = probe.load_dataset("digits").train
    write(
        tmp_path / "large.h5",
        images=np.round(digits.images * 255).astype(np.uint8),
        labels=digits.labels,
    )
    for module in ("_formats", "_stored"):
        monkeypatch.setattr(f"probe.datasets.{module}.MAX_BYTES", 4 * 64 * 1000)
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_dataset("large.h5").train.images, StoredImages)
    written = train_model(
        {"hidden": (8,)}, {"epochs": 2, "batch_size": 10, "buffer": 320}, data="large.h5", out=Path("one")
    )
    assert "of the test images right" in written.summary
    facts = json.loads(Path("one/results.json").read_text())
    assert facts["config"]["buffer"] == 320
    assert facts["data"]["fingerprint"] == load_dataset("large.h5", images_in="file").fingerprint
    analyze("noise_confidence", Path("one/model.h5"), data="large.h5", options={"n_images": 50})
    for refused in ("classification", "drawing"):
        with pytest.raises(
            DataFileError, match=r"store a part of it\. Training and noise tests take all of it"
        ):
            analyze(refused, Path("one/model.h5"), data="large.h5")
