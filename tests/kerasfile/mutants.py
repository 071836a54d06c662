"""A program of its own: mutate model files, load each mutant, and say what became of them.

    python mutants.py FIRST_SEED N_SEEDS FILE...

Bytes are flipped and cut; the architecture is changed as JSON; arrays, groups, attributes and members of
archives are renamed, left out, retyped and reshaped. A mutant must end in a network or a ModelFileError, in
time; a network that is read must compute, or refuse its input by an InputError. Prints the counts as JSON.
"""

import io
import json
import random
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np

from probe import InputError, ModelFileError
from probe.storage import load_network

SECONDS = 5.0

VALUES = (
    None, True, False, 0, 1, -1, 2, 3, 7, 2**31, 2**63, 10**30, 1e308, 1e999, -0.5, "", "relu", "same", "valid",
    "a/b", "../x", "\x00", "channels_first", [], [1], [0, 0], [1, 1], [-1, 2], [[1, 2], [3, 4]], [None, 4], {},
    {"class_name": "ReLU", "config": {}}, {"class_name": "function", "config": "tanh"},
)  # fmt: skip


def flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    begin, end = sorted(rng.randrange(len(data)) for _ in range(2))
    return rng.choice([data[:end], data[:begin] + data[end:], data[:end] + data[begin:]])


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        yield from places(member, (*path, key))


def changed_json(text: str, rng: random.Random) -> str:
    tree = json.loads(text)
    for _ in range(rng.randint(1, 3)):
        paths = [path for path in places(tree) if path]
        if not paths:
            break
        *way, last = rng.choice(paths)
        holder = tree
        for key in way:
            holder = holder[key]
        match rng.randrange(4):
            case 0:
                holder[last] = rng.choice(VALUES)
            case 1:
                del holder[last]
            case 2 if isinstance(holder, list):
                holder.insert(rng.randrange(len(holder) + 1), holder[last])
            case _:
                *way, other = rng.choice([path for path in places(tree) if path])
                donor = tree
                for key in way:
                    donor = donor[key]
                # A copy: the same object in two places could make a loop.
                holder[last] = json.loads(json.dumps(donor[other]))
    return json.dumps(tree)


def changed_arrays(data: bytes, rng: random.Random) -> bytes:
    """Change one object or attribute of an HDF5 file."""
    memory = io.BytesIO(data)
    with h5py.File(memory, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = rng.choice(names)
        parent, last = file[name].parent, name.rsplit("/", 1)[-1]
        match rng.randrange(6):
            case 0:
                del parent[last]
            case 1:
                parent.move(last, f"{last}x")
            case 2:
                parent[f"{last}_more"] = rng.choice(
                    [parent[last], h5py.SoftLink("/"), h5py.ExternalLink("x.h5", "/")]
                )
            case 3:
                del parent[last]
                shape = rng.choice([(), (0,), (1,), (3, 3), (2, 2, 2, 2), (10**6, 10**7)])
                dtype = rng.choice(["f4", "f8", "f2", ">f4", "i4", "S3", "c8", "?", h5py.string_dtype()])
                parent.create_dataset(
                    last, shape, dtype, chunks=(1,) * len(shape) if shape and 0 not in shape else None
                )
            case 4 if (
                isinstance(file[name], h5py.Dataset) and file[name].dtype.kind == "f" and file[name].size
            ):
                file[name][...] = rng.choice([np.nan, np.inf, 3e38, 0.0, -1.0])
            case _:
                node = rng.choice([file, file[name], parent])
                key = rng.choice(
                    [*node.attrs, "layer_names", "weight_names", "model_config", "keras_version"]
                )
                node.attrs[key] = rng.choice(
                    [1.0, "x", ["a", "a"], np.zeros(3), np.array([b"dense", b"../x"])]
                )
    return memory.getvalue()


def changed_config(data: bytes, rng: random.Random) -> bytes:
    memory = io.BytesIO(data)
    with h5py.File(memory, "r+") as file:
        file.attrs["model_config"] = changed_json(file.attrs["model_config"], rng)
    return memory.getvalue()


def changed_archive(data: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = rng.choice(list(members))
    match rng.randrange(5):
        case 0 if name.endswith(".json"):
            members[name] = changed_json(members[name].decode(), rng).encode()
        case 1:
            members["config.json"] = changed_json(members["config.json"].decode(), rng).encode()
        case 2:
            members["model.weights.h5"] = changed_arrays(members["model.weights.h5"], rng)
        case 3:
            members[rng.choice(["../x", "/etc/x", "a\\..\\b", "model.weights.npz"])] = members.pop(name)
        case _:
            members[name] = flipped(members[name], rng)
    memory = io.BytesIO()
    with zipfile.ZipFile(
        memory, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    ) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return memory.getvalue()


def mutant(data: bytes, rng: random.Random) -> bytes:
    if data.startswith(b"PK"):
        kinds = [flipped, cut, changed_archive, changed_archive, changed_archive]
    else:
        with h5py.File(io.BytesIO(data)) as file:
            whole = "model_config" in file.attrs
        kinds = [flipped, cut, changed_arrays, *([changed_config] * 3 if whole else [changed_arrays])]
    return rng.choice(kinds)(data, rng)


def outcome(path: Path) -> str:
    try:
        network = load_network(path)
    except ModelFileError as error:
        assert "\n" not in str(error), error
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
        for file in files:
            data = Path(file).read_bytes()
            path = Path(folder) / ("mutant" + Path(file).suffix)
            for seed in range(first_seed, first_seed + n_seeds):
                path.write_bytes(mutant(data, random.Random(f"{Path(file).name} {seed}")))
                print(f"{file} {seed}", file=sys.stderr, flush=True)  # noqa: T201 - where it is, if it dies
                began = time.perf_counter()
                found = outcome(path)
                seconds = time.perf_counter() - began
                assert seconds < SECONDS, seconds
                counts[found] = counts.get(found, 0) + 1
    return counts


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))  # noqa: T201 - its answer
