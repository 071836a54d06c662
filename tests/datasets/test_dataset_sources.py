import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from probe._checks import DataFileError, InputError
from probe.datasets import load_dataset


def test_an_unknown_name_lists_the_names_and_the_nearest():
    with pytest.raises(
        InputError, match=r"mnist, digits, openml:NAME, .* got 'mnits', and no such file exists"
    ):
        load_dataset("mnits")
    with pytest.raises(InputError, match="did you mean 'mnist'"):
        load_dataset("mnits")
    with pytest.raises(InputError, match=r"no such file exists$"):
        load_dataset("nowhere/data.h5")


@pytest.mark.parametrize("value", [None, 3, b"mnist"])
def test_what_is_no_name_and_no_path_is_refused(value):
    with pytest.raises(InputError, match="data must be a name or a path, got"):
        load_dataset(value)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_names_that_no_file_can_have_are_refused(name):
    with pytest.raises(InputError, match="cannot be looked up"):
        load_dataset(name)


def test_a_name_goes_before_a_file_and_a_path_goes_to_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Path("digits").open("wb") as file:
        np.savez(file, images=np.zeros((4, 2, 2), np.uint8), labels=np.array([0, 0, 1, 1]))
    assert load_dataset("digits").train.image_shape == (8, 8)
    assert load_dataset("./digits").train.image_shape == (2, 2)
    assert load_dataset(Path("digits")).train.image_shape == (2, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\); expected an HDF5 or NPZ file"),
        (b"a,b,c\n1,2,3\n", r"is neither HDF5 nor NPZ: it begins with b'a,b,c"),
        (
            b"\x89PNG\r\n\x1a\n",
            "is one picture; pass the folder that holds a folder of pictures for each class",
        ),
        (b"\x93NUMPY\x01\0", "is a single NPY array; store images and labels together with numpy.savez"),
        (gzip.compress(b"x", mtime=0), "is one gzip or IDX file; pass the folder"),
        (b"\0\0\x08\x03\0\0\0\0", "is one gzip or IDX file; pass the folder"),
    ],
)
def test_other_files_are_refused_by_what_they_are(tmp_path, content, message):
    path = tmp_path / "own.h5"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=message) as caught:
        load_dataset(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["train.csv", "TRAIN.CSV", "train.tsv"])
def test_a_table_is_refused_with_what_to_do(tmp_path, name):
    table = np.column_stack([np.arange(12) % 2, np.zeros((12, 9))])
    np.savetxt(tmp_path / name, table, delimiter=",", fmt="%d")
    with pytest.raises(DataFileError, match="is a table of text") as caught:
        load_dataset(tmp_path / name)
    message = str(caught.value)
    assert (
        "numpy.savez('data.npz', images=pixels.reshape(-1, 28, 28).astype('uint8'), labels=labels)" in message
    )
    assert "pass the folder that the table and the pictures are in" in message
    # What it says to do, done.
    pixels, labels = table[:, 1:], table[:, 0].astype(int)
    np.savez(tmp_path / "data.npz", images=pixels.reshape(-1, 3, 3).astype("uint8"), labels=labels)
    assert load_dataset(tmp_path / "data.npz").train.image_shape == (3, 3)


def test_devices_and_pipes_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(DataFileError, match="is neither a file nor a folder"):
            load_dataset(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = tmp_path / "own.h5"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(DataFileError, match="cannot be opened: Permission denied"):
        load_dataset(path)
