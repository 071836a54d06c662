import gzip
import os
import struct
import time
import tracemalloc

import numpy as np
import pytest

from probe._checks import DataFileError
from probe.datasets import load_dataset
from probe.datasets._idx import read_idx

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 5, 4), np.uint8)
LABELS = (np.arange(12) % 3).astype(np.uint8)


def idx(array, kind=0x08):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


def write_folder(folder, *, mark="-", end=""):
    pack = gzip.compress if end else bytes
    for part, rows in (("train", slice(None)), ("t10k", slice(4))):
        (folder / f"{part}-images{mark}idx3-ubyte{end}").write_bytes(pack(idx(IMAGES[rows])))
        (folder / f"{part}-labels{mark}idx1-ubyte{end}").write_bytes(pack(idx(LABELS[rows])))
    return folder


def refusal(path):
    with pytest.raises(DataFileError) as caught:
        load_dataset(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_what_is_wrong_is_called_as_its_file_is(tmp_path):
    folder = write_folder(tmp_path)
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros(7, np.uint8)))
    assert "t10k images must have shape" in refusal(folder)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros((2, 2), np.uint8)))
    assert "train labels must have shape" in refusal(folder)


@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_four_files_make_a_split(tmp_path, mark, end):
    split = load_dataset(write_folder(tmp_path, mark=mark, end=end))
    assert np.array_equal(split.train.images, IMAGES / np.float32(255))
    assert np.array_equal(split.train.labels, LABELS)
    assert np.array_equal(split.test.images, IMAGES[:4] / np.float32(255))
    assert split.name == tmp_path.name
    assert split.train.class_names == ("0", "1", "2")


def test_gzip_is_known_by_content_not_by_name(tmp_path):
    write_folder(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert len(load_dataset(tmp_path).train) == 12


def test_a_missing_file_is_named_and_what_is_there_is_listed(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    message = refusal(tmp_path)
    assert "holds no t10k-labels-idx1-ubyte (.gz or not)" in message
    assert "found 't10k-images-idx3-ubyte', 'train-images-idx3-ubyte', 'train-labels-idx1-ubyte'" in message


def test_an_empty_folder_is_refused(tmp_path):
    assert "found nothing" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no IDX file: it begins with b''"),
        (b"hello world, hello", "is no IDX file: it begins with b'hell'"),
        (idx(IMAGES)[:-1], "239 found"),
        (idx(IMAGES) + b"\0", "240 bytes are promised for (12, 5, 4), more found"),
        (idx(IMAGES)[:9], "cannot be read"),
        (idx(IMAGES, kind=0x0D), "must hold unsigned bytes (type 0x08), got type 0x0d"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-20], "cannot be read"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**10, 2**10), "more than the 4 GiB allowed"),
        (idx(IMAGES[:0]), "at least one image"),
        (idx(LABELS), "images must have shape"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, message):
    write_folder(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    assert message in refusal(tmp_path)


def test_labels_must_fit_the_images(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS))
    assert "test labels must have shape (4,), one for each image, got (12,)" in refusal(tmp_path)


def test_one_array_is_read_as_it_stands(tmp_path):
    (tmp_path / "x").write_bytes(idx(IMAGES))
    assert np.array_equal(read_idx(tmp_path / "x"), IMAGES)


def packed(*parts, **options):
    return b"".join(gzip.compress(part, mtime=0, **options) for part in parts)


def test_gzip_files_of_several_parts_are_read(tmp_path):
    write_folder(tmp_path)
    whole = idx(IMAGES)
    path = tmp_path / "train-images-idx3-ubyte"
    for content in (
        packed(whole[:20], whole[20:100], whole[100:], b""),
        packed(whole, b""),
        packed(whole, compresslevel=0),
    ):
        path.write_bytes(content)
        assert np.array_equal(read_idx(path), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed(idx(IMAGES) + b"\0"), "holds more than the 256 bytes"),
        (packed(idx(IMAGES), b"\0"), "holds more than the 256 bytes"),
        (packed(idx(IMAGES)[:-1]), "holds 255 of the 256 bytes"),
        (packed(idx(IMAGES)[:9]), "ends within its header"),
        (packed(idx(IMAGES))[:-4], "ends too early"),
        (packed(idx(IMAGES)) + b"garbage", "is damaged"),
        (packed(idx(IMAGES))[:-8] + bytes(8), "is damaged"),
        (packed(packed(idx(IMAGES))), "is no IDX file"),
        (packed(idx(IMAGES), *[b""] * 20), "is cut into more than 16 parts"),
        (packed(idx(IMAGES)) + bytes(2 << 20), "bytes for the 256 that it was declared to hold"),
        (packed(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**18, 2**6, 2**6)), "more than 500 times"),
        (packed(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**10, 2**10)), "more than the 4 GiB allowed"),
        (b"\x1f\x8b", "is no IDX file"),
    ],
)
def test_damaged_gzip_files_are_refused(tmp_path, content, message):
    write_folder(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    found = refusal(tmp_path)
    assert message in found
    assert found.isprintable()


def test_a_bomb_costs_neither_memory_nor_time(tmp_path):
    write_folder(tmp_path)
    with gzip.open(tmp_path / "train-images-idx3-ubyte", "wb") as file:
        file.write(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**16, 32, 32))
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    started = time.perf_counter()
    assert "would expand from" in refusal(tmp_path)
    assert time.perf_counter() - started < 0.5
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_a_file_that_hides_more_than_it_declares_is_read_no_further(tmp_path):
    write_folder(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    with gzip.open(path, "wb") as file:
        file.write(idx(IMAGES))
        for _ in range(64):
            file.write(bytes(1 << 20))
    started = time.perf_counter()
    assert "holds more than the 256 bytes that it was declared to hold" in refusal(tmp_path)
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_regular_file_is_not_read(tmp_path, make):
    write_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    make(tmp_path / "train-labels-idx1-ubyte")
    kind = "a folder" if make is os.mkdir else "not a regular file"
    assert f"train-labels-idx1-ubyte cannot be read: it is {kind}" in refusal(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path):
    write_folder(tmp_path)
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(IMAGES[:0]))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(LABELS[:0]))
    assert "labels must hold at least one label" in refusal(tmp_path)


def test_labels_of_letters_are_refused_with_what_to_store(tmp_path):
    write_folder(tmp_path)
    for part in ("train", "t10k"):
        path = tmp_path / f"{part}-labels-idx1-ubyte"
        path.write_bytes(idx(read_idx(path) + np.uint8(1)))
    assert "labels are 1, 2, 3; without" in refusal(tmp_path)
    assert "Store labels - 1, for the test set too" in refusal(tmp_path)


def write_emnist(folder, *, name="emnist-letters", first=1):
    """Write images of EMNIST, which lie on their side, and the names of its classes."""
    for part, rows in (("train", slice(None)), ("test", slice(4))):
        lying = np.ascontiguousarray(IMAGES[rows].swapaxes(1, 2))
        (folder / f"{name}-{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(lying)))
        (folder / f"{name}-{part}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(idx(LABELS[rows] + np.uint8(first)))
        )
    (folder / f"{name}-mapping.txt").write_text(
        "".join(f"{k + first} {65 + k} {97 + k}\r\n" for k in range(3))
    )
    return folder


def test_emnist_stands_upright_and_has_the_names_of_its_mapping(tmp_path):
    split = load_dataset(write_emnist(tmp_path))
    assert np.array_equal(split.train.images, IMAGES / np.float32(255))
    assert split.train.images.flags.c_contiguous
    assert np.array_equal(split.test.images, IMAGES[:4] / np.float32(255))
    # The labels of its letters begin with 1.
    assert np.array_equal(split.train.labels, LABELS)
    assert split.train.class_names == ("Aa", "Bb", "Cc")
    assert split.name == "emnist-letters"


def test_of_several_sets_in_a_folder_one_file_says_which(tmp_path):
    write_emnist(write_emnist(tmp_path), name="emnist-digits", first=0)
    message = refusal(tmp_path)
    assert (
        "holds several sets, 'emnist-digits-', 'emnist-letters-'; pass one file of the set that you mean"
        in message
    )
    for part in ("train-images-idx3", "test-labels-idx1"):
        split = load_dataset(tmp_path / f"emnist-letters-{part}-ubyte.gz")
        assert (split.name, len(split.train), len(split.test)) == ("emnist-letters", 12, 4)
    write_folder(tmp_path)
    assert load_dataset(tmp_path / "train-labels-idx1-ubyte").name == "train-labels-idx1-ubyte"


def test_emnist_without_its_mapping_has_numbers(tmp_path):
    write_emnist(tmp_path, name="emnist-digits", first=0)
    (tmp_path / "emnist-digits-mapping.txt").unlink()
    assert load_dataset(tmp_path).train.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("", "emnist-letters-mapping.txt must have a line for each class: its label, and the codes of its characters"),
        ("1 65\n2\n3 67\n", "must have a line for each class"),
        ("1 65\n1 66\n", "must have a line for each class"),
        ("1 a\n", "must have a line for each class"),
        ("1 99999999\n", "must have a line for each class"),
        ("1 65\n" * 20_000, "must have a line for each class"),
        ("1 65\n2 66\n", "train labels must be labels that the mapping file lists, got 3"),
        ("1 65\n2 66\n3 7\n", "has characters that cannot be printed"),
        ("1 65\n2 66\n3 65\n", "class_names must be distinct, but 'A' occurs 2 times"),
    ],
)  # fmt: skip
def test_mappings_that_name_no_classes_are_refused(tmp_path, mapping, message):
    (write_emnist(tmp_path) / "emnist-letters-mapping.txt").write_text(mapping)
    assert message in refusal(tmp_path)
