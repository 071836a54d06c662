"""ONNX files for tests, written field by field: small graphs, and what no writer would write.

Numbers of fields are those of onnx.proto, which https://github.com/onnx/onnx has.
"""

import struct

import numpy as np

TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(name: str, array: np.ndarray, *, more: bytes = b"") -> bytes:
    array = np.asarray(array)
    dims = b"".join(number(1, size) for size in array.shape)
    return dims + number(2, TYPES[array.dtype.name]) + block(8, name) + block(9, array.tobytes()) + more


def attribute(name: str, value: object) -> bytes:
    match value:
        case float():
            content = varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, 1)
        case int():
            content = number(3, value) + number(20, 2)
        case str():
            content = block(4, value) + number(20, 3)
        case np.ndarray():
            content = block(5, tensor("", value)) + number(20, 4)
        case [float(), *_]:
            content = block(7, struct.pack(f"<{len(value)}f", *value)) + number(20, 6)
        case [str(), *_]:
            content = b"".join(block(9, text) for text in value) + number(20, 8)
        case _:
            content = b"".join(number(8, one) for one in value) + number(20, 7)
    return block(1, name) + content


def node(
    op: str, inputs: list[str], outputs: list[str], name: str = "", domain: str = "", **attributes
) -> bytes:
    names = b"".join(block(1, one) for one in inputs) + b"".join(block(2, one) for one in outputs)
    kept = b"".join(block(5, attribute(key, value)) for key, value in attributes.items())
    return names + block(3, name) + block(4, op) + kept + block(7, domain)


def value(name: str, shape: tuple[int | str, ...] | None, kind: int = 1) -> bytes:
    dims = b"" if shape is None else b"".join(
        block(1, number(1, size) if isinstance(size, int) else block(2, size)) for size in shape
    )  # fmt: skip
    sizes = b"" if shape is None else block(2, dims)
    return block(1, name) + block(2, block(1, number(1, kind) + sizes))


def graph(
    nodes: list[bytes], inputs: list[bytes], outputs: list[bytes], arrays: dict[str, np.ndarray]
) -> bytes:
    return (
        b"".join(block(1, one) for one in nodes)
        + block(2, "graph")
        + b"".join(block(5, tensor(name, array)) for name, array in arrays.items())
        + b"".join(block(11, one) for one in inputs)
        + b"".join(block(12, one) for one in outputs)
    )


def model(
    content: bytes, opset: int = 17, metadata: dict[str, str] | None = None, more: bytes = b""
) -> bytes:
    properties = b"".join(block(14, block(1, key) + block(2, text)) for key, text in (metadata or {}).items())
    sets = block(8, block(1, "") + number(2, opset)) + block(8, block(1, "ai.onnx.ml") + number(2, 2))
    return number(1, 8) + block(2, "tests") + block(7, content) + sets + properties + more


def chain(
    nodes: list[bytes],
    shape: tuple[int | str, ...] = ("n", 3),
    arrays: dict[str, np.ndarray] | None = None,
    **settings,
) -> bytes:
    """Return a model that makes `y` of `x`."""
    return model(graph(nodes, [value("x", shape)], [value("y", None)], arrays or {}), **settings)
