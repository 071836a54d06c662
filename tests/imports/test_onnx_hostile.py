"""ONNX files that are damaged, or made to take time, memory or other files: refused in one line, soon and small."""

import time
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from onnx_writing import attribute, block, chain, graph, model, node, number, tensor, value, varint

from probe import ModelFileError
from probe.imports.onnx import onnx_obstacles, read_onnx
from probe.safeh5 import Limits

GOOD = chain(
    [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])], arrays={"w": np.eye(3, dtype=np.float32)}
)


def with_array(content: bytes) -> bytes:
    """Return a model whose weights are an array of this content."""
    inner = graph([node("MatMul", ["x", "w"], ["y"])], [value("x", ("n", 3))], [value("y", None)], {})
    return model(inner + block(5, content))


def declared(dims: list[int], stored: bytes, kind: int = 1) -> bytes:
    return b"".join(number(1, size) for size in dims) + number(2, kind) + block(8, "w") + stored


def doubled(op: str, count: int) -> list[bytes]:
    """Return nodes that each join, or add, what the one before makes with itself."""
    names = ["x", *(f"v{k}" for k in range(count - 1)), "y"]
    settings = {"axis": 1} if op == "Concat" else {}
    return [node(op, [a, a], [b], **settings) for a, b in pairwise(names)]


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = block(6, content)
    return content


def relus(count: int, name: str = "") -> list[bytes]:
    names = ["x", *(f"v{k}" for k in range(count - 1)), "y"]
    return [node("Relu", [a], [b], name) for a, b in pairwise(names)]


SHAPES = np.int64([1 << 20, 1 << 20])
HOSTILE = {
    "empty": (b"", "names no set of operators"),
    "text": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS"),
    "web page": (b"<!DOCTYPE html>\n<html>", "a web page"),
    "cut off": (GOOD[:60], "bytes at"),
    "truncated varint": (b"\x08\xff\xff", "a number is cut off"),
    "endless varint": (b"\x08" + b"\xff" * 40, "longer than 64 bits"),
    "field zero": (b"\x00\x01", "a field of number 0"),
    "group": (b"\x0b\x0c", "the unknown kind 3"),
    "overlong length": (number(1, 8) + varint(7 << 3 | 2) + varint(1 << 62) + b"x", "it has 4611686018427387904 bytes"),
    "length behind its message": (model(varint(1 << 3 | 2) + varint(500) + b"x"), "says that it has 500 bytes"),
    "no graph": (number(1, 8) + block(8, number(2, 17)), "has no graph"),
    "two graphs": (GOOD + block(7, b""), "several graphs"),
    "number for a message": (number(1, 8) + number(7, 5) + block(8, number(2, 17)), "a number where a message must be"),
    "message for a number": (with_array(declared([], block(1, b"\x80"))), "a number is cut off"),
    "text that is no text": (chain([node("Relu", ["x"], ["y"]) + block(1, b"\xff\xfe")]), "no UTF-8 text"),
    "external data": (with_array(tensor("w", np.eye(3, dtype=np.float32)) + block(13, block(1, "location") + block(2,
        "/etc/passwd"))),
                      "keeps its values in another file, which is not opened"),
    "external by location": (with_array(declared([3, 3], number(14, 1))), "keeps its values in another file"),
    "huge array": (with_array(declared([1 << 40, 1 << 40], block(9, b"0123"))),
        "more than the 536870912 that are read"),
    "large array of no bytes": (with_array(declared([8000, 8000], b"")), "must have 256000000 bytes, but has 0"),
    "large array of integers": (with_array(declared([8000, 8000], block(7, b"\x01" * 8), 7)),
        "has fewer values than its shape"),
    "negative size": (with_array(declared([-3, 3], b"")), r"has the shape \(-3, 3\)"),
    "rank of 10,000": (with_array(declared([1] * 10_000, b"")), "has the shape"),
    "wrong size": (with_array(declared([3, 4], block(9, b"\x00" * 36))), "must have 48 bytes, but has 36"),
    "strings": (with_array(declared([1], block(6, "x"), 8)), "type 8 of ONNX"),
    "two arrays of one name": (with_array(tensor("w", np.eye(3, dtype=np.float32))) and model(
        graph([node("MatMul", ["x", "w"], ["y"])], [value("x", ("n", 3))], [value("y", None)],
              {"w": np.eye(3, dtype=np.float32)}) + block(5, tensor("w", np.eye(3, dtype=np.float32)))),
                  "two arrays of the name 'w'"),
    "two makers of one value": (chain([node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"])]),
        "puts out 'y', which another"),
    "value of the name of the input": (chain([node("Relu", ["x"], ["x"]), node("Relu", ["x"], ["y"])]), "puts out 'x'"),
    "loop": (chain([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])]),
        "the graph has a loop"),
    "loop of one": (chain([node("Add", ["x", "y"], ["y"])]), "the graph has a loop"),
    "nothing makes it": (chain([node("Relu", ["z"], ["y"])]), "depend on no input|reads 'z'"),
    "no outputs": (model(graph(relus(1), [value("x", ("n", 3))], [], {})), "no outputs of numbers"),
    "20,000 nodes": (chain(relus(20_000)), "20000 nodes, more than"),
    "9,000 nodes": (chain(relus(9_000)), "9000 nodes that depend on the image"),
    "100,000 fields": (model(nested(1) * 110_000), "fields that are read"),
    "deep nesting": (chain([node("Relu", ["x"], ["y"]) + block(5, block(1, "sub") + block(6, nested(5000)))]),
        "'sub', which is not read"),
    "a billion by joining": (chain(doubled("Concat", 40)), "more than the 67108864 values"),
    "a large constant": (chain([node("ConstantOfShape", ["s"], ["c"]), node("Add", ["x", "c"], ["y"])],
        arrays={"s": SHAPES}),
                         "makes a constant of shape"),
    "constants one after the other": (chain(
        [node("ConstantOfShape", ["s"], [f"c{k}"]) for k in range(500)] + [node("Sum", ["x",
            *(f"c{k}" for k in range(500))], ["y"])],
        ("n", 1 << 20), {"s": np.int64([1 << 20])}), "all together take more than"),
    "an outer sum": (chain([node("Add", ["a", "b"], ["c"]), node("Mul", ["x", "c"], ["y"])],
                           arrays={"a": np.ones((1 << 14, 1), np.float32), "b": np.ones((1, 1 << 14), np.float32)}),
                               "makes a constant"),
    "a tile": (chain([node("Tile", ["a", "t"], ["c"]), node("Mul", ["x", "c"], ["y"])],
                     arrays={"a": np.ones(4, np.float32), "t": np.int64([1 << 40])}), "makes a constant"),
    "a range": (chain([node("Range", ["a", "b", "c"], ["d"]), node("Mul", ["x", "d"], ["y"])],
                      arrays={"a": np.int64(0), "b": np.int64(1 << 60), "c": np.int64(1)}), "makes a constant"),
    "a large power": (chain([node("Pow", ["a", "b"], ["c"]), node("Reshape", ["x", "c"], ["y"])],
                            arrays={"a": np.int64([10]), "b": np.int64([1 << 62])}), "makes|mixes"),
    "a large product": (chain([node("MatMul", ["a", "a"], ["c"]), node("MatMul", ["x", "c"], ["y"])],
                              arrays={"a": np.ones((700, 700), np.float32)}), "too large to do it here"),
    "large padding": (chain([node("Pad", ["x", "p"], ["y"])], ("n", 3, 4, 4), {"p": np.int64([0, 0, 1 << 40, 0, 0, 0,
        0, 0])}),
                      "more than the 67108864 values"),
    "large padding of a convolution": (chain([node("Conv", ["x", "w"], ["y"], pads=[1 << 20, 0, 0, 1 << 20])], ("n",
        1, 4, 4),
                                             {"w": np.ones((1, 1, 1, 1), np.float32)}),
                                                 "more than the 67108864 values"),
    "large resizing": (chain([node("Resize", ["x", "", "", "s"], ["y"], mode="linear")], ("n", 3, 4, 4),
                             {"s": np.int64([1, 3, 1 << 30, 1 << 30])}), "makes|more than"),
    "resizing by no number": (chain([node("Resize", ["x", "", "s"], ["y"])], ("n", 3, 4, 4), {"s": np.float32([1, 1,
        np.nan, np.inf])}),
                              "makes"),
    "large strides of a transposed convolution": (chain(
        [node("ConvTranspose", ["x", "w"], ["y"], strides=[1 << 24, 1 << 24])], ("n", 1, 4, 4), {"w": np.ones((1, 1,
            1, 1), np.float32)}),
        "more than the 67108864 values"),
    "large dilation": (chain([node("Conv", ["x", "w"], ["y"], dilations=[1 << 62, 1])], ("n", 1, 4, 4),
                             {"w": np.ones((1, 1, 2, 1), np.float32)}), "has dilations="),
    "strides of zero": (chain([node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[0, 1])], ("n", 1, 4, 4)),
        "has strides="),
    "groups of zero": (chain([node("Conv", ["x", "w"], ["y"], group=0)], ("n", 1, 4, 4), {"w": np.ones((1, 1, 1, 1),
        np.float32)}),
                       "has group=0"),
    "an expansion": (chain([node("Expand", ["x", "s"], ["y"])], ("n", 1, 1), {"s": np.int64([1, 1 << 30, 1 << 30])}),
                     "more than the 67108864 values"),
    "an input without end": (chain([node("Relu", ["x"], ["y"])], ("n", 1 << 40)), "more than the 67108864 values"),
    "an unknown attribute": (chain([node("Relu", ["x"], ["y"], trick=1)]),
        "has the attribute 'trick', which is not read"),
    "an attribute twice": (chain([node("LeakyRelu", ["x"], ["y"], alpha=0.5) + block(5, attribute("alpha", 0.1))]),
        "'alpha' twice"),
    "functions": (GOOD + block(25, block(1, "mine")), r"has functions of its own \('mine'\)"),
    "escapes in names": (chain([node("Foo\x1b[2J\nbar", ["x"], ["y"])]), "is an operator that is not read"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line_soon_and_small(name, tmp_path):
    content, match = HOSTILE[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    began = time.process_time()
    with pytest.raises(ModelFileError, match=match) as caught:
        read_onnx(path)
    assert time.process_time() - began < 1.0
    message = str(caught.value)
    assert (
        message.startswith(str(path)) and "\n" not in message and message.isprintable() and len(message) < 600
    )
    if len(content) > 200_000:
        return  # it takes seconds to count the memory of so many objects
    tracemalloc.start()
    assert onnx_obstacles(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20, peak


def test_thousands_of_nodes_of_one_name_are_read_soon(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(chain(relus(2900, "same")))
    began = time.process_time()
    assert len(read_onnx(path).layers) == 2900
    assert time.process_time() - began < 3


@pytest.mark.parametrize("packed", [True, False])
def test_lists_may_be_packed_or_not(packed, tmp_path):
    window = block(8, varint(2) + varint(2)) if packed else number(8, 2) + number(8, 2)
    pool = node("MaxPool", ["x"], ["y"]) + block(5, block(1, "kernel_shape") + window)
    (tmp_path / "model.onnx").write_bytes(chain([pool], ("n", 1, 4, 4)))
    assert read_onnx(tmp_path / "model.onnx").layers[-1].pool_size == (2, 2)


@pytest.mark.parametrize("packed", [True, False])
def test_values_may_be_packed_or_not(packed, tmp_path):
    values = np.float32([1.5, -2, 3, 0, 1, 0, 7, 8, 9])
    single = b"".join(varint(4 << 3 | 5) + one.tobytes() for one in values)
    content = declared([3, 3], block(4, values.tobytes()) if packed else single)
    (tmp_path / "model.onnx").write_bytes(with_array(content))
    np.testing.assert_array_equal(read_onnx(tmp_path / "model.onnx").layers[0].kernel, values.reshape(3, 3))


def test_the_last_of_repeated_fields_counts(tmp_path):
    (tmp_path / "model.onnx").write_bytes(chain([node("Tanh", ["x"], ["y"]) + block(4, "Relu")]))
    assert read_onnx(tmp_path / "model.onnx").output_name == "relu"


def test_half_precision_may_be_stored_as_integers(tmp_path):
    values = np.float16([[0.5, -2.25, 1000], [1, 2, 3], [0, -0.0, 6e-8]])
    bits = b"".join(varint(int(one)) for one in values.view(np.uint16).ravel())
    (tmp_path / "model.onnx").write_bytes(with_array(declared([3, 3], block(5, bits), 10)))
    np.testing.assert_array_equal(
        read_onnx(tmp_path / "model.onnx").layers[0].kernel, values.astype(np.float32)
    )


def test_limits_are_the_callers(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(GOOD)
    for limits, match in (
        (Limits(file_bytes=50), "more than the 50 that are read"),
        (Limits(tensor_bytes=20), "takes 36 bytes, more than the 20"),
        (Limits(steps=30), "more than the 10 fields"),
    ):
        with pytest.raises(ModelFileError, match=match):
            read_onnx(path, limits=limits)
    assert read_onnx(path, limits=None).n_parameters == 9


def test_missing_files_and_folders_each_have_their_sentence(tmp_path):
    for path, match in (
        (tmp_path / "no.onnx", "does not exist"),
        (tmp_path, "is a folder"),
        ("/dev/zero", "not a regular file"),
    ):
        with pytest.raises(ModelFileError, match=match):
            read_onnx(path)
