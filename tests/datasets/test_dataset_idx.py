import gzip
import struct

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
