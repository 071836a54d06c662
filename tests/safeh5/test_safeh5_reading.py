"""Whatever h5py writes, in every version of the format, is read as h5py reads it."""

import ctypes
import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.safeh5 import open_file

VERSIONS = ["earliest", "latest", "v108", "v110", "v112", "v114"]
FILTERS = {
    "none": {},
    "deflate": {"compression": 4},
    "checksum": {"fletcher32": True},
    "all": {"shuffle": True, "compression": 1, "fletcher32": True},
}


def created(path, version, **options):
    bounds = ("earliest", "latest") if version == "earliest" else version
    return h5py.File(path, "w", libver=bounds, **options)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def compare(path):
    """Compare all that a file holds; return how many values were compared."""
    count = 0

    def walk(file, group, theirs):
        nonlocal count
        assert set(file.members(group)) == set(theirs)
        assert len(file.members(group)) == len(theirs)
        for name, value in theirs.attrs.items():
            if isinstance(value, str | bytes):
                assert file.text(group, name) == text(value)
            else:
                assert file.strings(group, name, at_most=1000) == tuple(text(item) for item in value)
            count += 1
        for name, member in theirs.items():
            if isinstance(member, h5py.Group):
                walk(file, file.group(group, name), member)
            elif member.dtype.kind in "OS":
                found = file.string_array(group, name, at_most=1000)
                assert found == tuple(text(item) for item in member[()])
            else:
                found = file.array(group, name, kinds="fiub")
                np.testing.assert_array_equal(found, member[()])
                assert found.dtype == member.dtype.newbyteorder("=")
                assert file.describe(group, name, kinds="fiub") == (member.shape, found.dtype.name)
                if member.ndim and member.shape[-1] > 2:
                    columns = slice(1, member.shape[-1] - 1)
                    part = file.array(group, name, kinds="fiub", columns=columns)
                    np.testing.assert_array_equal(part, member[..., columns])
            count += 1

    with open_file(path, limits=None) as file, h5py.File(path) as theirs:
        walk(file, file.root, theirs)
    return count


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("largest", ["same", "larger", "first", "last", "all"])
@pytest.mark.parametrize("filters", FILTERS)
def test_chunks_of_every_index(tmp_path, version, largest, filters):
    rng = np.random.default_rng(0)
    shapes = [(7,), (20, 13), (5, 6, 7), (400, 3), (3, 700)]
    with created(tmp_path / "a.h5", version) as file:
        for shape, parts in itertools.product(shapes, (1, 3, 7)):
            most = {
                "same": shape,
                "larger": tuple(2 * n + 1 for n in shape),
                "first": (None, *shape[1:]),
                "last": (*shape[:-1], None),
                "all": (None,) * len(shape),
            }[largest]
            dtype = ["<f4", ">f8", "<f2", "u1", "<i8", "?"][len(file) % 6]
            values = (50 * rng.normal(size=shape)).astype(dtype)
            chunk = tuple(-(-n // parts) for n in shape)
            file.create_dataset(f"a{len(file)}", data=values, chunks=chunk, maxshape=most, **FILTERS[filters])
    assert compare(tmp_path / "a.h5") == len(shapes) * 3


@pytest.mark.parametrize("version", VERSIONS)
def test_arrays_that_grew_and_shrank(tmp_path, version):
    # The versions between have the indexes of one of these two.
    n_longest = 120_000 if version in ("earliest", "latest") else 12_000
    with created(tmp_path / "a.h5", version) as file:
        # Enough chunks for blocks of blocks, and for pages, of every kind of index.
        for name, shape, most, chunk in (
            ("long", (30_000,), (None,), (10,)),
            ("longest", (n_longest,), (None,), (1,)),
            ("rows", (9000, 4), (None, 4), (2, 2)),
            ("columns", (4, 9000), (4, None), (2, 3)),
            ("fixed", (20_000,), (20_000,), (3,)),
            ("both", (900, 40), (None, None), (10, 7)),
        ):
            start = shape if most == shape else (1, *shape[1:])
            array = file.create_dataset(name, start, "f4", maxshape=most, chunks=chunk)
            if start != shape:
                array.resize(shape)
            array[...] = np.arange(np.prod(shape)).reshape(shape)
        file["both"].resize((55, 5))
        file["rows"].resize((4001, 4))
    assert compare(tmp_path / "a.h5") == 6


@pytest.mark.parametrize("version", VERSIONS)
def test_layouts_that_h5py_has_no_name_for(tmp_path, version):
    maps = Path("/proc/self/maps").read_text().splitlines()
    library = ctypes.CDLL(next(line.split()[-1] for line in maps if "libhdf5-" in line))
    library.H5Pset_chunk_opts.argtypes = [ctypes.c_int64, ctypes.c_uint]

    def early(creation):
        creation.set_chunk((3, 4))
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)

    def plain_edges(creation):
        creation.set_chunk((3, 4))
        creation.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (4,))
        library.H5Pset_chunk_opts(creation.id, 2)

    def inside(creation):
        creation.set_layout(h5py.h5d.COMPACT)

    with created(tmp_path / "a.h5", version) as file:
        for prepare, largest in itertools.product((early, plain_edges, inside), ((10, 11), (40, 30))):
            if prepare is inside and largest == (40, 30):
                continue
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            prepare(creation)
            space = h5py.h5s.create_simple((10, 11), largest)
            name = f"{prepare.__name__}{largest[0]}".encode()
            stored = h5py.Dataset(h5py.h5d.create(file.id, name, h5py.h5t.IEEE_F32LE, space, creation))
            stored[...] = np.random.default_rng(0).normal(size=(10, 11))
        file["type"] = np.dtype("f4")
        file.create_dataset("committed", data=np.arange(5.0), dtype=file["type"])
        del file["type"]
    assert compare(tmp_path / "a.h5") == 6


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("options", [{}, {"userblock_size": 1024}, {"track_order": True}])
def test_many_members_and_attributes(tmp_path, version, options):
    with created(tmp_path / "a.h5", version, **options) as file:
        for k in range(300):
            file[f"a{k}"] = np.arange(3.0)
            file.attrs[f"k{k}"] = "x" * k
        file.attrs["large"] = "y" * 60_000
        if version != "earliest":
            # Beyond 64 KiB an attribute lies by itself; fixed length puts it into the heap of attributes.
            file.attrs["huge"] = np.bytes_(b"z" * 150_000)
        group = file.create_group("deep/er", track_order=True)
        for k in range(100):
            group[f"é{k}"] = float(k)
        group.attrs["fixed"] = np.array(["a", "bcd"], "S")
        group.attrs["variable"] = ["q" * k for k in range(50)]
        file["names"] = np.array(["abc", "d"], "S")
        file["variable"] = ["x", "yy", ""]
    assert compare(tmp_path / "a.h5") > 700


@pytest.mark.parametrize(("offset", "length"), [(4, 4), (4, 8), (8, 4), (2, 4)])
def test_addresses_of_other_lengths(tmp_path, offset, length):
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_sizes(offset, length)
    name = str(tmp_path / "a.h5").encode()
    with h5py.File(h5py.h5f.create(name, h5py.h5f.ACC_TRUNC, creation)) as file:
        for k in range(60):
            file[f"a{k}"] = np.arange(5.0)
            file.attrs[f"b{k}"] = "t" * k
        file.create_dataset("c", data=np.arange(40.0).reshape(8, 5), chunks=(3, 2), compression=1)
    assert compare(tmp_path / "a.h5") == 121


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_array(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "a.h5"
    shape = tuple(data.draw(st.lists(st.integers(1, 12), min_size=0, max_size=4)))
    options = {}
    if shape and data.draw(st.booleans()):
        options = dict(FILTERS[data.draw(st.sampled_from(sorted(FILTERS)))])
        options["chunks"] = tuple(data.draw(st.integers(1, n)) for n in shape)
        options["maxshape"] = tuple(data.draw(st.sampled_from([n, n + 5, None])) for n in shape)
    dtype = data.draw(st.sampled_from(["<f4", ">f4", "<f8", "<f2", "u1", "<u2", ">i4", "<i8", "?"]))
    values = np.random.default_rng(0).normal(size=shape) * 50
    with created(path, data.draw(st.sampled_from(VERSIONS))) as file:
        file.create_dataset("a", data=values.astype(dtype), **options)
    assert compare(path) == 1


def test_whether_an_array_holds_text_is_known_before_it_is_read(tmp_path):
    with h5py.File(tmp_path / "labels.h5", "w") as written:
        written["names"] = ["cat", "dog"]
        written["numbers"] = [1, 2]
    with open_file(tmp_path / "labels.h5") as file:
        assert file.is_text(file.root, "names") and not file.is_text(file.root, "numbers")
