"""Files that crash libhdf5, make it loop, or make it read what it should not: each is refused, and says why."""

import io
import json
import os
import struct
import subprocess
import sys
import time
import zlib

import h5py
import numpy as np
import pytest

from probe.safeh5 import RefusedError, is_hdf5, open_bytes, open_file
from probe.safeh5._filters import has_fletcher32
from probe.safeh5._source import lookup3

KERNEL = np.random.default_rng(0).normal(size=(8, 6)).astype("f4")


def written(build, libver=None):
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=libver) as file:
        build(file)
    return bytearray(memory.getvalue())


def structures(content, signature):
    at = content.find(signature)
    while at >= 0:
        yield at
        at = content.find(signature, at + 1)


def refusal(content, read=None):
    with pytest.raises(RefusedError) as caught, open_bytes(bytes(content), "a.h5") as file:
        (read or (lambda file: file.array(file.root, "kernel")))(file)
    assert str(caught.value).startswith("a.h5") and len(str(caught.value)) < 500
    return str(caught.value)


def low_level(file, name, chunk, filters=(), shape=(8, 6), kind=h5py.h5t.IEEE_F32LE):
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk(chunk)
    for one in filters:
        creation.set_filter(*one)
    space = h5py.h5s.create_simple(shape)
    return h5py.Dataset(h5py.h5d.create(file.id, name.encode(), kind, space, creation))


DEFLATE, SHUFFLE, CHECKSUM = (1, 0, (6,)), (2, 0, ()), (3, 0, ())
WHOLE = KERNEL.tobytes()


@pytest.mark.parametrize(
    ("filters", "stored", "mask", "message"),
    [
        ([DEFLATE], zlib.compress(WHOLE[:8]), 0, "a chunk of 192 bytes holds 8"),
        ([DEFLATE], zlib.compress(b""), 0, "a chunk of 192 bytes holds 0"),
        ([DEFLATE], zlib.compress(bytes(1 << 26)), 0, "is stored in"),
        ([DEFLATE], zlib.compress(bytes(1 << 19)), 0, "a chunk inflates to more than its size"),
        ([DEFLATE], zlib.compress(WHOLE)[:-20], 0, "cut off"),
        ([DEFLATE], zlib.compress(WHOLE) + b"more", 0, "something behind it"),
        ([DEFLATE], b"no deflate stream", 0, "cannot be inflated"),
        ([DEFLATE], WHOLE[:10], 1, "a chunk of 192 bytes holds 10"),
        ([DEFLATE], WHOLE + WHOLE, 1, "a chunk of 192 bytes holds 384"),
        ([], WHOLE[:10], 0, "a chunk of 192 bytes holds 10"),
        ([CHECKSUM], WHOLE[:3], 0, "the checksum of a chunk is wrong"),
        ([CHECKSUM], WHOLE + bytes(4), 0, "the checksum of a chunk is wrong"),
    ],
)
def test_chunks_that_are_not_what_they_should_be_are_refused(filters, stored, mask, message):
    # The bytes that a chunk lacks would be other memory of the process.
    def build(file):
        low_level(file, "kernel", (8, 6), filters).id.write_direct_chunk((0, 0), stored, mask)

    assert message in refusal(written(build))


def test_arrays_that_were_partly_written_are_refused():
    def build(file):
        file.create_dataset("kernel", (80, 6), "f4", chunks=(10, 6), fillvalue=7)[:20] = 1
        file.create_dataset("never", (8, 6), "f4")
        file.create_dataset("none", (80, 6), "f4", chunks=(10, 6))

    content = written(build)
    assert "was not written to the end: 2 of 8 chunks are there; the file is incomplete" in refusal(content)
    for name in ("never", "none"):
        assert "was never written" in refusal(content, lambda file, name=name: file.array(file.root, name))
    with open_bytes(bytes(content), "a.h5") as file:
        assert file.describe(file.root, "kernel") == ((80, 6), "float32")


@pytest.mark.parametrize("name", ["scaleoffset", "lzf", "plugin", "twice"])
def test_other_filters_are_refused(name):
    def build(file):
        if name == "scaleoffset":
            file.create_dataset("kernel", data=KERNEL, chunks=(8, 6), scaleoffset=2)
        elif name == "lzf":
            file.create_dataset("kernel", data=KERNEL, chunks=(8, 6), compression="lzf")
        else:
            filters = [DEFLATE, DEFLATE] if name == "twice" else [(32015, 1, (3,))]
            low_level(file, "kernel", (8, 6), filters).id.write_direct_chunk((0, 0), WHOLE)

    assert "uses the HDF5 filters" in refusal(written(build))


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (np.complex64, "holds compound values"),
        (h5py.enum_dtype({"a": 0, "b": 1}, "i4"), "holds enumerated values"),
        (np.dtype("V4"), "holds opaque values"),
        (h5py.vlen_dtype("f4"), "holds rows of variable length"),
        (h5py.ref_dtype, "holds references"),
        (np.dtype((np.float32, (2,))), "holds arrays"),
        (np.longdouble, "holds floats of an unusual format"),
        (h5py.string_dtype(), "holds strings"),
        (np.int32, "holds int32, expected float numbers"),
    ],
)
def test_values_of_other_types_are_refused(dtype, message):
    assert message in refusal(written(lambda file: file.create_dataset("kernel", (3,), dtype)))


def test_floats_whose_bits_are_arranged_in_another_way_are_refused():
    def build(file):
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_ebias(1)
        low_level(file, "kernel", (8, 6), kind=kind).id.write_direct_chunk((0, 0), WHOLE)

    assert "holds floats of an unusual format" in refusal(written(build))


def test_what_lies_in_other_files_is_not_opened(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(192))

    def build(file):
        layout = h5py.VirtualLayout((8, 6), "f4")
        layout[:] = h5py.VirtualSource(".", "/virtual", (8, 6))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("external", (8, 6), "f4", external=[(str(tmp_path / "secret"), 0, 192)])
        file["soft"] = h5py.SoftLink("/external")
        file["link"] = h5py.ExternalLink(str(tmp_path / "secret"), "/a")

    for libver in (None, "latest"):
        content = written(build, libver)
        for name, message in (
            ("virtual", "put together from other data sets"),
            ("external", "keeps its data in another file"),
            ("soft", "is a link to another place or file"),
            ("link", "is a link to another place or file"),
        ):
            assert message in refusal(content, lambda file, name=name: file.array(file.root, name))
        with open_bytes(bytes(content), "a.h5") as file:
            assert file.has(file.root, "link") and not file.is_group(file.root, "virtual")


def patched(content, signature, edit, checksum_at=None):
    """Change every structure with a signature; put the checksum right where it has one."""
    count = 0
    for at in list(structures(content, signature)):
        edit(content, at)
        if checksum_at is not None:
            struct.pack_into("<I", content, at + checksum_at, lookup3(bytes(content[at : at + checksum_at])))
        count += 1
    assert count
    return content


def number(offset, form, *values):
    return lambda content, at: struct.pack_into(form, content, at + offset, *values)


@pytest.mark.parametrize(
    ("signature", "edit", "message"),
    [
        (b"TREE", lambda c, at: (number(5, "B", 1)(c, at), number(32, "<Q", at)(c, at)), "below two others"),
        (b"TREE", number(5, "B", 255), "a tree has 255 levels"),
        (b"TREE", number(6, "<H", 65535), "it refers to"),
        (b"SNOD", number(6, "<H", 65535), "it refers to"),
        (b"SNOD", number(8, "<Q", 1 << 40), "a name lies outside of its heap"),
        (b"HEAP", number(8, "<Q", 1 << 62), "a heap of names takes"),
        (b"HEAP", number(24, "<Q", 1 << 62), "it refers to"),
        (b"HEAP", number(16, "<Q", 1 << 60), "form no list"),
    ],
)
def test_broken_groups_of_the_older_kind_are_refused(signature, edit, message):
    content = patched(written(lambda file: file.__setitem__("kernel", KERNEL)), signature, edit)
    assert message in refusal(content)


def test_a_list_of_free_blocks_that_has_no_end_is_refused():
    # libhdf5 takes memory for it until there is none, beyond the reach of Ctrl-C.
    def loop(content, at):
        free, data = struct.unpack_from("<QQ", content, at + 16)
        struct.pack_into("<Q", content, data + free, free)

    content = written(lambda file: file.__setitem__("kernel", KERNEL))
    assert "form no list" in refusal(patched(content, b"HEAP", loop))


def many(file):
    group = file.create_group("many")
    for k in range(60):
        group[f"a{k}"] = float(k)
        file.attrs[f"b{k}"] = "x" * 100
    file["kernel"] = KERNEL


@pytest.mark.parametrize(
    ("signature", "checksum_at", "edit", "message"),
    [
        (b"BTHD", 34, number(12, "<H", 65535), "levels"),
        (b"BTHD", 34, number(24, "<HQ", 65535, 60), "has 65535 records"),
        (b"BTHD", 34, number(6, "<I", 0xFFFFFFF0), "a tree has"),
        (b"BTHD", 34, number(10, "<H", 0), "a tree has"),
        (b"BTHD", 34, lambda c, at: number(16, "<Q", at)(c, at), ""),
        (b"FRHP", 142, number(112, "<QQ", 1 << 31, 1 << 31), "a fractal heap has blocks of"),
        (b"FRHP", 142, number(110, "<H", 0), "no powers of two"),
        (b"FRHP", 142, number(110, "<H", 3), "no powers of two"),
        (b"FRHP", 142, lambda c, at: number(132, "<QH", at, 60)(c, at), ""),
        (b"FRHP", 142, number(22, "<Q", 64), "no tree of its large objects"),
        (b"FRHP", 142, number(7, "<H", 20), ""),
        (b"FRHP", 142, number(5, "<H", 3), "an identifier of another length"),
    ],
)
def test_broken_groups_of_the_newer_kind_are_refused(signature, checksum_at, edit, message):
    content = patched(written(many, "latest"), signature, edit, checksum_at)
    assert message in refusal(content, lambda file: len(file.members(file.group(file.root, "many"))))


def test_headers_that_continue_in_themselves_are_refused():
    def continued(file):
        for k in range(8):
            file.attrs[f"a{k}"] = "x" * 300
        file["kernel"] = KERNEL

    content = written(continued)
    root = struct.unpack_from("<Q", content, 64)[0]
    at = next(
        at for at in range(root + 16, root + 400, 8) if struct.unpack_from("<HH", content, at) == (0x10, 16)
    )
    struct.pack_into("<QQ", content, at + 8, root + 16, 400)
    assert "continued in itself" in refusal(content)


def test_a_wrong_checksum_is_found():
    content = written(many, "latest")
    at = content.find(b"OHDR")
    content[at + 30] ^= 1
    assert "a checksum is wrong" in refusal(content)


def test_strings_that_claim_more_than_there_is_are_refused():
    content = written(lambda file: file.attrs.__setitem__("text", "five!"))
    at = next(structures(content, struct.pack("<I", 5)))
    for length in (6, 2_000_000_000):
        struct.pack_into("<I", content, at, length)
        message = refusal(content, lambda file: file.text(file.root, "text"))
        assert "longer than" in message
    struct.pack_into("<IQ", content, at, 5, 8)
    assert "there are no strings at 8" in refusal(content, lambda file: file.text(file.root, "text"))


def test_an_array_of_too_many_chunks_is_refused_before_they_are_walked():
    def build(file):
        array = file.create_dataset("kernel", (512, 512), "f4", chunks=(1, 1))
        array.id.write_direct_chunk((0, 0), bytes(4))

    assert "too many to read" in refusal(written(build))


def test_structure_without_end_costs_a_bounded_time():
    def build(file):
        group = file.create_group("group")
        dataset = file.create_dataset("kernel", data=KERNEL)
        for k in range(70_000):
            group[f"n{k}"] = dataset

    content = written(build, "latest")
    assert "read" in refusal(content, lambda file: len(file.members(file.group(file.root, "group"))))


def test_one_array_under_many_names_is_refused():
    def build(file):
        file["kernel"] = KERNEL
        file["other"] = file["kernel"]
        file.create_dataset("large", data=np.zeros((1 << 11, 1 << 11), "f4"), compression=9)

    with open_bytes(bytes(written(build)), "a.h5") as file:
        file.check_claims([(file.root, "kernel")])
        with pytest.raises(RefusedError, match="/other is the same array as /kernel"):
            file.check_claims([(file.root, "kernel"), (file.root, "other")])
        with pytest.raises(
            RefusedError, match="the file has arrays that take 16777408 bytes, but itself only"
        ):
            file.check_claims([(file.root, "kernel"), (file.root, "large")])


def test_arrays_that_lie_over_each_other_are_refused():
    def build(file):
        for name in ("kernel", "other", "third"):
            file[name] = KERNEL + len(name)

    content = written(build)
    addresses = [h5py.File(io.BytesIO(bytes(content)))[name].id.get_offset() for name in ("kernel", "other")]
    at = content.find(struct.pack("<QQ", addresses[1], KERNEL.nbytes))
    for address in (addresses[0], addresses[0] + 8):
        struct.pack_into("<Q", content, at, address)
        with open_bytes(bytes(content), "a.h5") as file:
            for _ in range(2):
                np.testing.assert_array_equal(file.array(file.root, "kernel"), KERNEL + 6)
                np.testing.assert_array_equal(
                    file.array(file.root, "kernel", columns=slice(1, 3)), KERNEL[:, 1:3] + 6
                )
            with pytest.raises(RefusedError, match=r"/other cannot be read.* lie over each other"):
                file.array(file.root, "other")
            file.array(file.root, "third")


def test_chunks_far_larger_than_their_array_are_refused():
    def build(file):
        file.create_dataset(
            "kernel", (2, 2), "f4", maxshape=(None, None), chunks=(2048, 2048), compression=1
        )[:] = 1
        file.create_dataset("usual", (2, 2), "f4", maxshape=(None, None), chunks=(512, 512), compression=1)[
            :
        ] = 1

    content = written(build)
    assert "has chunks of shape (2048, 2048), too large to read" in refusal(content)
    with open_bytes(bytes(content), "a.h5") as file:
        assert (file.array(file.root, "usual") == 1).all()
        with pytest.raises(RefusedError, match="has arrays that take"):
            file.check_claims([(file.root, "kernel"), (file.root, "usual")])


def test_a_few_bytes_that_declare_millions_of_chunks_cost_nothing():
    def build(file):
        array = file.create_dataset("kernel", (1 << 20, 64), "u1", chunks=(64, 4))
        array.id.write_direct_chunk((0, 0), bytes(256))

    began = time.process_time()
    message = refusal(written(build), lambda file: file.array(file.root, "kernel", kinds="u"))
    assert "1 of 262144 chunks are there" in message
    assert time.process_time() - began < 0.5


def test_two_messages_of_one_kind_are_refused():
    # libhdf5 takes the first one; a reader that took the last would show other values than h5py.
    content = written(lambda file: file.__setitem__("kernel", KERNEL))
    header = h5py.h5o.get_info(h5py.File(io.BytesIO(bytes(content)))["kernel"].id).addr
    count = struct.unpack_from("<H", content, header + 2)[0]
    at, kinds = header + 16, []
    for _ in range(count):
        kind, length = struct.unpack_from("<HH", content, at)
        kinds.append((kind, length, at))
        at += 8 + length
    unused = next(at for kind, length, at in kinds if kind in (0x00, 0x05, 0x12) and length >= 8)
    struct.pack_into("<H", content, unused, 0x01)
    assert "two messages of one kind" in refusal(content)


def test_strings_end_where_their_padding_says():
    def build(file):
        for name, padding in (
            ("term", h5py.h5t.STR_NULLTERM),
            ("pad", h5py.h5t.STR_NULLPAD),
            ("space", h5py.h5t.STR_SPACEPAD),
        ):
            kind = h5py.h5t.C_S1.copy()
            kind.set_size(6)
            kind.set_strpad(padding)
            space = h5py.h5s.create(h5py.h5s.SCALAR)
            attribute = h5py.h5a.create(file.id, name.encode(), kind, space)
            attribute.write(np.array(b"a\0b  ", "S6"), mtype=kind)

    with open_bytes(bytes(written(build)), "a.h5") as file:
        assert file.text(file.root, "term") == "a"
        assert file.text(file.root, "pad") == "a\0b  "
        assert file.text(file.root, "space").startswith("a\0b")


def test_an_open_file_can_be_read_for_ever():
    with open_bytes(bytes(written(lambda file: file.__setitem__("kernel", KERNEL))), "a.h5") as file:
        for _ in range(3):
            file.renew()
            file.array(file.root, "kernel")


def test_unusual_superblocks_are_refused():
    content = written(lambda file: file.__setitem__("kernel", KERNEL))
    for at, value, message in (
        (8, 9, "its superblock has version 9"),
        (13, 255, "addresses have an unknown length"),
        (40 + 6, 1, "it was cut off"),
        (48, 0, "several files that belong together"),
    ):
        changed = bytearray(content)
        changed[at] = value
        assert message in refusal(changed)
    latest = written(lambda file: file.__setitem__("kernel", KERNEL), "latest")
    latest[11] |= 1
    struct.pack_into("<I", latest, 44, lookup3(bytes(latest[:44])))
    assert "was not closed by the program that wrote it" in refusal(latest)


@pytest.mark.parametrize("cut", [9, 60, 100, 700, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path, cut):
    path = tmp_path / "a.h5"
    path.write_bytes(written(lambda file: file.__setitem__("kernel", KERNEL))[:cut])
    with (
        pytest.raises(RefusedError, match=r"a\.h5 is a damaged HDF5 file: .*Save or copy it again"),
        open_file(path),
    ):
        pass


def test_what_is_no_file_of_hdf5_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("hello")
    for name, message in (
        ("pipe", "is not a regular file"),
        (".", "is a folder"),
        ("text", "is not an HDF5 file: it starts with b'hello'"),
        ("missing", "does not exist"),
        ("nul\0", "cannot be read"),
    ):
        with pytest.raises(RefusedError, match=message), open_file(tmp_path / name):
            pass
        assert not is_hdf5(tmp_path / name)


def test_paths_lead_nowhere_else():
    content = written(lambda file: file.__setitem__("group/kernel", KERNEL))
    with open_bytes(bytes(content), "a.h5") as file:
        for name in (
            "",
            "/group/kernel",
            "group/../group/kernel",
            "group/.",
            "group//kernel",
            "/".join("a" * 40),
        ):
            with pytest.raises(RefusedError, match="has the path"):
                file.array(file.root, name)
        with pytest.raises(RefusedError, match="is missing: / has 'group'"):
            file.array(file.root, "kernel")
        with pytest.raises(RefusedError, match="is a group, expected a dataset"):
            file.array(file.root, "group")
        with pytest.raises(RefusedError, match="lies inside something that is no group"):
            file.array(file.root, "group/kernel/more")


def test_fletchers_checksum_is_that_of_hdf5():
    rng = np.random.default_rng(0)
    for n_bytes in (1, 2, 7, 4096, 100_001):
        values = rng.integers(0, 256, n_bytes, np.uint8)
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            array = file.create_dataset("a", data=values, chunks=(n_bytes,), fletcher32=True)
            stored = array.id.read_direct_chunk((0,))[1]
        assert has_fletcher32(stored[:-4], int.from_bytes(stored[-4:], "little"))
        assert not has_fletcher32(stored[:-4], int.from_bytes(stored[-4:], "little") ^ 4)


FLIPS = """
import json, random, resource, sys, time
from probe.safeh5 import RefusedError, open_bytes
content = open(sys.argv[1], "rb").read()
counts, slowest = {}, 0.0
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for seed in range(int(sys.argv[2])):
    rng = random.Random(seed)
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
    began = time.process_time()
    try:
        with open_bytes(bytes(changed), "a.h5") as file:
            def walk(group, depth):
                for name in file.members(group)[:100]:
                    if depth < 4 and file.is_group(group, name):
                        walk(file.group(group, name), depth + 1)
                    else:
                        file.array(group, name, kinds="fiub")
            walk(file.root, 0)
        what = "read"
    except RefusedError:
        what = "refused"
    slowest = max(slowest, time.process_time() - began)
    counts[what] = counts.get(what, 0) + 1
print(json.dumps([counts, slowest, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024]))
"""


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_flipped_bytes_are_read_or_refused(tmp_path, libver):
    def build(file):
        many(file)
        file.create_dataset("chunks", data=KERNEL, chunks=(3, 2), maxshape=(None, 6), compression=1)
        file.create_dataset("both", data=KERNEL, chunks=(3, 2), maxshape=(None, None), fletcher32=True)
        file.create_dataset("fixed", data=KERNEL, chunks=(3, 2))

    (tmp_path / "a.h5").write_bytes(written(build, None if libver == "earliest" else libver))
    run = subprocess.run(
        [sys.executable, "-c", FLIPS, str(tmp_path / "a.h5"), "1500"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    counts, slowest, mebibytes = json.loads(run.stdout)
    assert counts["read"] > 50 and counts["refused"] > 300, counts
    assert slowest < 2 and mebibytes < 100, (slowest, mebibytes)
