"""Parts of arrays: what is read of them, in how much memory, and what is refused before."""

import subprocess
import sys
import zlib
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe._checks import InputError
from probe.safeh5 import DEFAULT_LIMITS, RefusedError, _arrays, open_file

LAYOUTS = {
    "contiguous": {},
    "chunks of columns": {"chunks": (50, 3)},
    "chunks of rows": {"chunks": (7, 40), "compression": "gzip", "shuffle": True, "fletcher32": True},
    "chunks beyond the edge": {"chunks": (30, 11), "fletcher32": True},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2"])
@settings(max_examples=25, deadline=None)
@given(begin=st.integers(0, 39), length=st.integers(1, 40))
def test_columns_are_those_of_the_whole(tmp_path_factory, layout, dtype, begin, length):
    path = tmp_path_factory.getbasetemp() / f"{layout} {dtype[1:]}.h5"
    whole = np.random.default_rng(0).normal(size=(50, 40)).astype(dtype)
    if not path.exists():
        with h5py.File(path, "w") as file:
            file.create_dataset("kernel", data=whole, **LAYOUTS[layout])
    columns = slice(begin, min(begin + length, 40))
    with open_file(path) as file:
        found = file.array(file.root, "kernel", columns=columns)
        assert file.describe(file.root, "kernel") == ((50, 40), np.dtype(dtype[1:]).name)
    np.testing.assert_array_equal(found, whole[:, columns])
    assert found.dtype == np.dtype(dtype[1:])


@pytest.mark.parametrize("shape", [(40,), (5, 40), (3, 4, 2, 40), (1, 1, 40), (700, 40)])
@pytest.mark.parametrize("block", [1, 200, 700, 1 << 20])
def test_blocks_of_short_rows_are_put_together(tmp_path, monkeypatch, shape, block):
    monkeypatch.setattr(_arrays, "_BLOCK", block)
    whole = np.random.default_rng(0).normal(size=shape).astype("f4")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kernel"] = whole
        file["bfloat16"] = (whole.view("<u4") >> 16).astype("<u2").view("V2")
    with open_file(tmp_path / "a.h5") as file:
        columns = slice(3, 9)
        np.testing.assert_array_equal(file.array(file.root, "kernel", columns=columns), whole[..., columns])
        rounded = file.array(file.root, "bfloat16", columns=columns)
        np.testing.assert_allclose(rounded, whole[..., columns], rtol=0.01)
        assert rounded.dtype == np.float32


@pytest.mark.parametrize("columns", [slice(-1, 2), slice(2, 2), slice(0, 6), slice(0, 4, 2), slice(5, None)])
def test_columns_that_are_not_there_are_refused(tmp_path, columns):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kernel"] = np.ones((3, 5), "f4")
    with open_file(tmp_path / "a.h5") as file, pytest.raises(InputError, match="kernel has columns 0 to 5"):
        file.array(file.root, "kernel", columns=columns)


def test_of_a_huge_array_a_few_columns_are_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("kernel", (1000, 1 << 20), "f4", chunks=(1000, 4))
        dataset[:, :8] = 1.5
        file.create_dataset("other", (8, 1 << 20), "f4")[:] = 2.5
    limits = replace(DEFAULT_LIMITS, tensor_bytes=1 << 20, compression=1 << 20)
    with open_file(tmp_path / "a.h5", limits=limits) as file:
        for name in ("kernel", "other"):
            with pytest.raises(RefusedError, match=r"takes \d+ bytes, more than is read"):
                file.array(file.root, name)
        assert (file.array(file.root, "kernel", columns=slice(2, 8)) == 1.5).all()
        assert (file.array(file.root, "other", columns=slice(100, 108)) == 2.5).all()


def test_what_is_read_adds_up(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kernel"] = np.ones((100, 10), "f4")
    with open_file(tmp_path / "a.h5", limits=replace(DEFAULT_LIMITS, total_bytes=5000)) as file:
        file.array(file.root, "kernel", columns=slice(0, 2))
        file.array(file.root, "kernel")
        with pytest.raises(RefusedError, match="more than is read from one file"):
            file.array(file.root, "kernel", columns=slice(0, 2))


def inflating(path, content, **options):
    """Write an array of one chunk, 4 MiB, whose compressed bytes are `content`."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("kernel", (1024, 1024), "f4", chunks=(1024, 1024), **options)
        dataset.id.write_direct_chunk((0, 0), content)


def compressed(n_mebibytes):
    deflate = zlib.compressobj(9)
    return b"".join(deflate.compress(bytes(1 << 20)) for _ in range(n_mebibytes)) + deflate.flush()


def test_chunks_that_inflate_beyond_their_size_are_refused(tmp_path):
    # The array's size and its bytes on disk say nothing about it: 256 KiB for 4 MiB, that become 256 MiB.
    inflating(tmp_path / "a.h5", compressed(256), compression="gzip")
    with open_file(tmp_path / "a.h5") as file:
        for columns in (None, slice(0, 4)):
            with pytest.raises(RefusedError, match="chunk inflates to more than its size"):
                file.array(file.root, "kernel", columns=columns)


def test_chunks_that_are_larger_on_disk_than_in_memory_are_refused(tmp_path):
    inflating(tmp_path / "a.h5", bytes(5 << 20), compression="gzip")
    with open_file(tmp_path / "a.h5") as file, pytest.raises(RefusedError, match="is stored in 5242880"):
        file.array(file.root, "kernel")


def test_broken_chunks_are_refused(tmp_path):
    inflating(tmp_path / "a.h5", compressed(4)[:-9] + b"x" * 30000, compression="gzip")
    with open_file(tmp_path / "a.h5") as file, pytest.raises(RefusedError, match="chunk cannot be inflated"):
        file.array(file.root, "kernel")


def test_too_many_chunks_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("kernel", (100, 100), "f4", chunks=(1, 1))[:] = 1
    with open_file(tmp_path / "a.h5", limits=replace(DEFAULT_LIMITS, chunks=162)) as file:
        with pytest.raises(RefusedError, match=r"chunks of shape \(1, 1\), too many to read"):
            file.array(file.root, "kernel")
        assert file.array(file.root, "kernel", columns=slice(3, 5)).shape == (100, 2)


def test_limits_are_positive():
    with pytest.raises(InputError, match="limit tensor_bytes must be an integer of at least 1, got 0"):
        replace(DEFAULT_LIMITS, tensor_bytes=0)


BIG = """
import resource, sys, time
from probe.safeh5 import open_file

before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
with open_file(sys.argv[1]) as file:
    assert file.text(file.root, "note") == "a text behind everything"
    assert file.describe(file.root, "kernel")[0] == (8192, 1 << 17)
    described = time.perf_counter() - began
    assert (file.array(file.root, "kernel", columns=slice(64, 128)) == 0).all()
print(described, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_file_of_4_gigabytes_opens_at_once_and_gives_columns_in_little_memory(tmp_path):
    path = tmp_path / "big.h5"
    # Sparse: the array has its place in the file, but takes none on the disk.
    with h5py.File(path, "w") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((8192, 1 << 17))
        h5py.h5d.create(file.id, b"kernel", h5py.h5t.IEEE_F32LE, space, creation)
        file.attrs["note"] = "a text behind everything"
    assert path.stat().st_size > 4 << 30 and path.stat().st_blocks * 512 < 64 << 20
    run = subprocess.run(
        [sys.executable, "-c", BIG, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    seconds, mebibytes = map(float, run.stdout.split())
    assert seconds < 0.5 and mebibytes < 50, (seconds, mebibytes)


UNFINISHED = """
import sys
from probe.safeh5 import open_file
opened = open_file(sys.argv[1])
file = opened.__enter__()
kernel = file.array(file.root, "kernel")
"""


def test_a_file_that_is_open_when_python_ends_does_no_harm(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kernel"] = np.ones((3, 5), "f4")
    run = subprocess.run(
        [sys.executable, "-c", UNFINISHED, str(tmp_path / "a.h5")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
