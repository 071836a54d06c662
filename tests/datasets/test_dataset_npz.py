import io
import struct
import time
import tracemalloc
import warnings
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
    assert "is a zip archive without arrays (.npy); unpack it, and pass the folder" in refusal(path)


def test_two_sets_of_names_are_refused(tmp_path):
    np.savez(
        tmp_path / "own.npz",
        images=PIXELS, labels=LABELS, x_train=PIXELS, y_train=LABELS, x_test=PIXELS, y_test=LABELS,
    )  # fmt: skip
    assert "both images and x_train are there" in refusal(tmp_path / "own.npz")


def test_an_npy_version_that_numbers_do_not_need_is_refused(tmp_path):
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }\n"
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x03\x00" + struct.pack("<I", len(text)) + text + bytes(4))
        archive.writestr("labels.npy", b"")
    assert "images must hold numbers, got an array of NPY version (3, 0)" in refusal(tmp_path / "own.npz")


def npy(header, content=bytes(36), version=(1, 0)):
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header.encode("latin-1") + content


def write(path, **members):
    labels = io.BytesIO()
    np.save(labels, LABELS)
    with zipfile.ZipFile(path, "w") as archive:
        for key, content in {"images": b"", "labels": labels.getvalue(), **members}.items():
            archive.writestr(f"{key}.npy", content)
    return path


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 3, 3), }\n",
        "{'shape': (4, 3, 3), 'fortran_order': False, 'descr': '|u1'}",
        '{"descr": "|u1", "fortran_order": False, "shape": (4,3,3)}  ',
        "{'descr': 'u1', 'fortran_order': False, 'shape': (4L, 3L, 3L), }",
    ],
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_headers_of_other_writers_are_read(tmp_path, header, version):
    content = bytes(range(36))
    split = load_dataset(write(tmp_path / "own.npz", images=npy(header, content, version)))
    assert (split.train.images[0] * 255).round().tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_of_either_byte_order_are_read(tmp_path, dtype, order):
    pixels = np.asarray(np.arange(36).reshape(4, 3, 3) / 64, dtype=dtype, order=order)
    np.savez(tmp_path / "own.npz", images=pixels, labels=LABELS.astype(dtype.replace("f", "i")))
    split = load_dataset(tmp_path / "own.npz")
    assert np.array_equal(split.train.images, pixels[[0, 2]])
    assert split.train.labels.tolist() == [0, 1]


PLAIN = "'fortran_order': False, 'shape': (4, 3, 3), }"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "{'descr': '|u1', 'fortran_order': False, 'shape': (-4, -3, 3), }",
            "must be a plain array of numbers",
        ),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (4 3, 3), }", "must be a plain array of numbers"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (36), }", "must be a plain array of numbers"),
        (
            "{'descr': '|u1', 'fortran_order': False, 'shape': [4, 3, 3], }",
            "must be a plain array of numbers",
        ),
        ("{'descr': '|u1', 'fortran_order': 0, 'shape': (4, 3, 3), }", "must be a plain array of numbers"),
        ("{'descr': '|u1', 'shape': (4, 3, 3), }", "must be a plain array of numbers"),
        ("{'descr': '|u1', 'descr': '|u1', " + PLAIN, "must be a plain array of numbers"),
        ("{'descr': '|u1', " + PLAIN + "}", "must be a plain array of numbers"),
        ("{'descr': '|u1', 'x': 1, " + PLAIN, "must be a plain array of numbers"),
        ("{'descr': [('a', '|u1')], " + PLAIN, "must be a plain array of numbers"),
        ("{'descr': __import__('os').abort(), " + PLAIN, "must be a plain array of numbers"),
        ("{'descr': 'u1,u1', " + PLAIN, "must be a plain array of numbers"),
        ("{'descr': '(9,)u1', " + PLAIN, "must be a plain array of numbers"),
        ("(" * 4000 + ")" * 4000, "must be a plain array of numbers"),
        ("", "must be a plain array of numbers"),
        ("{'descr': '|u1', " + PLAIN + " " * 10_000, "has a header of 10062 bytes, more than the 10000"),
        ("{'descr': '|i3', " + PLAIN, "got '|i3', which is no type of NumPy's"),
        ("{'descr': '|O', " + PLAIN, "images must hold numbers, got object"),
        ("{'descr': '|b1', " + PLAIN, "images must hold numbers, got bool"),
        ("{'descr': '<c8', " + PLAIN, "images must hold numbers, got complex64"),
        ("{'descr': '<M8[us]', " + PLAIN, "images must hold numbers, got datetime64"),
        ("{'descr': '|V1', " + PLAIN, "images must hold numbers, got |V1"),
        ("{'descr': '<f16', " + PLAIN, "images must hold numbers of at most 64 bits, got float128"),
        ("{'descr': '<u2', " + PLAIN, "images of shape (4, 3, 3) takes 72 bytes as uint16, but 36 are there"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (), }", "takes 1 bytes as uint8, but 36"),
        (
            "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 3, 3, " + "1, " * 62 + "), }",
            "images has 65 axes",
        ),
        (
            "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4611686018427387904), }",
            "GiB of memory, more",
        ),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 3, 3), }", "takes 0 bytes as uint8, but 36"),
    ],
)
def test_headers_that_describe_no_plain_numbers_are_refused(tmp_path, header, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = refusal(write(tmp_path / "own.npz", images=npy(header)))
    assert message in found
    assert found.isprintable()
    assert len(found) < 400


def test_arrays_that_are_cut_off_within_their_header_are_refused(tmp_path):
    whole = npy("{'descr': '|u1', " + PLAIN)
    for length, message in ((0, "is no NPY array"), (9, "is no NPY array"), (30, "its header has 20 of")):
        assert message in refusal(write(tmp_path / "own.npz", images=whole[:length]))


def test_members_that_are_there_twice_are_refused(tmp_path):
    image = npy("{'descr': '|u1', " + PLAIN)
    path = write(tmp_path / "own.npz", images=image, imagez=image)
    path.write_bytes(path.read_bytes().replace(b"imagez", b"images"))
    assert "'images.npy' is there twice" in refusal(path)


def test_a_bomb_costs_neither_memory_nor_time(tmp_path):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (65536, 32, 32), }"
    with zipfile.ZipFile(tmp_path / "own.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("images.npy", "w") as member:
            member.write(npy(header, b""))
            for _ in range(64):
                member.write(bytes(1 << 20))
        archive.writestr("labels.npy", b"")
    tracemalloc.start()
    started = time.perf_counter()
    assert "would expand from" in refusal(tmp_path / "own.npz")
    assert time.perf_counter() - started < 0.5
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_honest_images_with_a_wide_black_border_are_read(tmp_path):
    rng = np.random.default_rng(0)
    pixels = np.zeros((200, 256, 256), np.uint8)  # 13 MB
    pixels[:, 114:142, 114:142] = rng.integers(0, 256, (200, 28, 28)) * (rng.random((200, 28, 28)) < 0.1)
    np.savez_compressed(tmp_path / "own.npz", images=pixels, labels=np.arange(200) % 10)
    packed = (tmp_path / "own.npz").stat().st_size
    assert pixels.nbytes > 200 * packed
    split = load_dataset(tmp_path / "own.npz")
    assert np.array_equal(split.train.images[0], pixels[0] / np.float32(255))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (np.array(["a", "b\x1b[2J"]), "class 1, 'b\\x1b[2J', has characters that cannot be printed"),
        (np.array(["a", "b\u202e"]), "class 1, 'b\\u202e', has characters that cannot be printed"),
        (np.array(["a\u200b", "a"]), "class 0, 'a\\u200b', has characters that cannot be printed"),
        (np.array(["a\0b", "b"]), "class 0, 'a\\x00b', has characters that cannot be printed"),
        (np.array(["a", "a"]), "class_names must be distinct, but 'a' occurs 2 times"),
        (np.array(["a", ""]), "class 1, '', is empty"),
        (np.array(["a", "<b>b</b>"]), "has an HTML tag"),
        (np.array(["a", "b" * 300]), "has 300 characters, more than 256"),
        (np.array([0xD800, 0x61], "<u4").view("<U1"), "numbers that are no characters of Unicode"),
        (np.array([0x7FFFFFFF, 0x61], ">u4").view(">U1"), "numbers that are no characters of Unicode"),
        (np.array([b"\xe9", b"a"]), "class_names must be text in UTF-8: "),
        (np.array(["a"]), "labels must lie in [0, 1) for 1 classes, got 1"),
        (np.full(2**16 + 1, b"a"), "class_names must be at most 65536 strings, got 65537"),
        (np.array([["a", "b"]]), "class_names must be one row of fixed-length strings"),
        (np.array([b""], dtype="S1")[:0], "class_names must be a tuple of strings, one for each class, got none"),
    ],
)  # fmt: skip
def test_class_names_that_cannot_be_shown_are_refused(tmp_path, names, message):
    np.savez(tmp_path / "own.npz", images=PIXELS, labels=LABELS, class_names=names)
    assert message in refusal(tmp_path / "own.npz")


def test_class_names_of_either_byte_order_are_read(tmp_path):
    for order in "<>":
        names = np.array(["猫", "dög"], dtype=f"{order}U3")
        np.savez(tmp_path / "own.npz", images=PIXELS, labels=LABELS, class_names=names)
        assert load_dataset(tmp_path / "own.npz").train.class_names == ("猫", "dög")
