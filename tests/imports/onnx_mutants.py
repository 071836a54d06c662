"""A program of its own: mutate ONNX files, read each mutant, and say what became of them.

    python onnx_mutants.py FIRST_SEED N_SEEDS FILE...

Bytes are flipped and cut; fields of messages are left out, doubled, exchanged, and given other numbers, names and
lengths. A mutant must end in a network or a ModelFileError, in time; a network that is read must compute, or refuse
its input by an InputError. Prints the counts as JSON.
"""

import json
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from onnx_writing import block, number, varint

from probe import InputError, ModelFileError
from probe.imports.onnx import read_onnx

SECONDS = 5.0

SCHEMA = {
    "model": {7: "graph", 8: "set", 14: "entry"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor"},
    "value": {2: "type"},
    "type": {1: "sizes"},
    "sizes": {2: "shape"},
    "shape": {1: "dim"},
    "set": {}, "entry": {}, "tensor": {}, "dim": {},
}  # fmt: skip
"""Which fields hold messages of which kind."""

NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    9,
    10,
    11,
    16,
    64,
    1 << 16,
    1 << 31,
    1 << 40,
    (1 << 63) - 1,
    (1 << 64) - 1,
    (1 << 64) - 2,
)
TEXTS = (b"", b"x", b"y", b"Add", b"Relu", b"Conv", b"Reshape", b"Concat", b"Softmax", b"MatMul", b"Resize", b"Erf",
    b"Where",
         b"Shape", b"Expand", b"Slice", b"\xff", b"axis", b"pads", b"\x00", b"n" * 300)  # fmt: skip


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        value |= (data[place] & 127) << shift
        place, shift = place + 1, shift + 7
        if data[place - 1] < 128:
            return value, place


def parsed(data: bytes, kind: str = "model") -> list:
    """Return the fields of a message as [number, how it is stored, value], messages as such lists."""
    fields, place = [], 0
    while place < len(data):
        head, place = read_varint(data, place)
        field, stored = head >> 3, head & 7
        if stored == 0:
            value, place = read_varint(data, place)
        else:
            size, place = read_varint(data, place) if stored == 2 else ({5: 4, 1: 8}[stored], place)
            value, place = data[place : place + size], place + size
            if stored == 2 and field in SCHEMA[kind]:
                value = parsed(value, SCHEMA[kind][field])
        fields.append([field, stored, value])
    return fields


def written(fields: list) -> bytes:
    parts = []
    for field, stored, value in fields:
        if stored == 0:
            parts.append(number(field, value))
        elif stored == 2:
            parts.append(block(field, written(value) if isinstance(value, list) else value))
        else:
            parts.append(varint(field << 3 | stored) + value)
    return b"".join(parts)


def messages(fields: list) -> list:
    found = [fields]
    for _, _, value in fields:
        if isinstance(value, list):
            found += messages(value)
    return found


def restructured(data: bytes, rng: random.Random) -> bytes:
    tree = parsed(data)
    for _ in range(rng.randint(1, 3)):
        holder = rng.choice([one for one in messages(tree) if one] or [tree])
        if not holder:
            break
        index = rng.randrange(len(holder))
        field = holder[index]
        match rng.randrange(6):
            case 0:
                del holder[index]
            case 1:
                holder.insert(rng.randrange(len(holder) + 1), list(field))
            case 2:
                other = rng.randrange(len(holder))
                holder[index], holder[other] = holder[other], holder[index]
            case 3:
                field[0] = rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 20, 25])
            case 4:
                donor = rng.choice(messages(tree))
                if donor:
                    holder[index] = [field[0], *rng.choice(donor)[1:]]
                    # The same list in two places could make a loop.
                    tree = parsed(written(tree)) if depth(tree) < 40 else parsed(data)
            case _:
                if field[1] == 0:
                    field[2] = rng.choice(NUMBERS)
                elif field[1] == 2 and isinstance(field[2], bytes):
                    field[2] = rng.choice(
                        [*TEXTS, field[2][:-1], field[2] * 2, np.float32([np.nan, np.inf]).tobytes()]
                    )
    return written(tree)


def depth(fields: list, level: int = 0) -> int:
    if level > 40:
        return level
    return max((depth(value, level + 1) for _, _, value in fields if isinstance(value, list)), default=level)


def flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    begin, end = sorted(rng.randrange(len(data)) for _ in range(2))
    return rng.choice([data[:end], data[:begin] + data[end:], data[:end] + data[begin:]])


def mutant(data: bytes, rng: random.Random) -> bytes:
    try:
        return rng.choice([flipped, cut, restructured, restructured, restructured, restructured])(data, rng)
    except (IndexError, KeyError, RecursionError):
        return flipped(data, rng)


def outcome(path: Path) -> str:
    try:
        network = read_onnx(path)
    except ModelFileError as error:
        assert "\n" not in str(error) and str(error).isprintable(), error
        return "refused"
    sizes = [np.prod(shape) for shape in (*network.input_shapes, *network.layer_shapes.values())]
    if max(sizes) > 100_000:
        return "read, too large to run"
    inputs = tuple(np.full((1, *shape), 0.5, np.float32) for shape in network.input_shapes)
    try:
        network.all_outputs(inputs)
    except InputError:
        return "read, input refused"
    return "read"


def main(first_seed: int, n_seeds: int, files: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        path = Path(folder) / "mutant.onnx"
        for file in files:
            data = Path(file).read_bytes()
            for seed in range(first_seed, first_seed + n_seeds):
                path.write_bytes(mutant(data, random.Random(f"{Path(file).name} {seed}")))
                print(f"{file} {seed}", file=sys.stderr, flush=True)  # noqa: T201 - where it is, if it dies
                began = time.process_time()
                found = outcome(path)
                seconds = time.process_time() - began
                assert seconds < SECONDS, seconds
                counts[found] = counts.get(found, 0) + 1
    return counts


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))  # noqa: T201 - its answer
