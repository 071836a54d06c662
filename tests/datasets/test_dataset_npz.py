import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from probe._checks import DataFileError
from probe.datasets import load_dataset

LABELS = np.array([0, 0, 1, 1])
PIXELS = np.zeros((4, 3, 3), np.uint8)


def refusal(path):
    with pytest.raises(DataFileError) as caught:
        load_dataset(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@settings(deadline=None)
@given(
    levels=hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))),
    save=st.sampled_from([np.savez, np.savez_compressed]),
    order=st.sampled_from("CF"),
)
def test_the_names_of_keras_are_read(tmp_path_factory, levels, save, order):
    path = tmp_path_factory.mktemp("npz") / "mnist.npz"
    labels = np.arange(len(levels)) % 3
    images = np.asarray(levels, order=order)
    save(path, x_train=images, y_train=labels.astype(np.uint8), x_test=images[::-1], y_test=labels[::-1])
    split = load_dataset(str(path))
    assert np.array_equal(split.train.images, levels / np.float32(255))
    assert np.array_equal(split.test.images, levels[::-1] / np.float32(255))
    assert np.array_equal(split.test.labels, labels[::-1])


def test_class_names_are_read(tmp_path):
    for names in (["cat", "dög"], [b"cat", "dög".encode()]):
        np.savez(tmp_path / "own.npz", images=PIXELS, labels=LABELS, class_names=names)
        assert load_dataset(tmp_path / "own.npz").train.class_names == ("cat", "dög")
    np.savez(tmp_path / "own.npz", images=PIXELS, labels=LABELS, class_names=[1, 2])
    assert "class_names must be one row of fixed-length strings" in refusal(tmp_path / "own.npz")


def test_the_suffix_does_not_matter(tmp_path):
    np.savez(tmp_path / "own.npz", images=PIXELS, labels=LABELS)
    assert len(load_dataset((tmp_path / "own.npz").rename(tmp_path / "own.h5")).train) == 2


def test_pickles_are_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    trap = np.empty((4, 3, 3), object)
    trap[0, 0, 0] = Trap()
    for key in ("images", "labels", "class_names"):
        arrays = {"images": PIXELS, "labels": LABELS, key: trap}
        np.savez(tmp_path / "own.npz", **arrays)
        assert "got object" in refusal(tmp_path / "own.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_huge_promise_is_refused_before_memory_is_taken(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 28, 28)}
    )
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(100))
        archive.writestr("labels.npy", b"")
    assert "GiB of memory, more than the 4 GiB allowed" in refusal(tmp_path / "bomb.npz")


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "own.npz"
    np.savez_compressed(
        path, images=np.random.default_rng(0).integers(0, 255, (4, 9, 9), np.uint8), labels=LABELS
    )
    whole = path.read_bytes()
    for length in (4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "cannot be read" in refusal(path)
    flipped = bytearray(whole)
    flipped[150] ^= 0xFF
    path.write_bytes(flipped)
    assert "cannot be read" in refusal(path)


def test_other_members_are_refused_and_listed(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, arr_0=PIXELS, arr_1=LABELS)
    assert "expected images and labels" in refusal(path)
    assert "found 'arr_0', 'arr_1'" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    assert "found nothing" in refusal(path)


def test_an_npy_version_that_numbers_do_not_need_is_refused(tmp_path):
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }\n"
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x03\x00" + struct.pack("<I", len(text)) + text + bytes(4))
        archive.writestr("labels.npy", b"")
    assert "images must hold numbers, got an array of NPY version (3, 0)" in refusal(tmp_path / "own.npz")
