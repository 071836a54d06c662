"""Change model files at random, load every mutant, and say what came of it.

    python scripts/fuzz.py --mutants 100000 --seed 1 tests/kerasfile/fixtures/*/*

A mutant must end as a Network or as a ModelFileError, within SECONDS and MEBIBYTES, whatever was changed:

- bytes: any bytes of the file;
- structure: numbers behind the signatures of HDF5's structures;
- checksummed: the same, with the checksums put right again;
- json: the configuration of the model;
- zip: the headers of the archive (of an HDF5 file: its structure).

Mutants are loaded in child processes with limits on memory and time, so that one that kills its process ends a
batch and not the run. Prints the counts as JSON, and every mutant that was not handled with the seed that makes
it again; the exit status is 1 if there was one. HDF5 files are also tried as h5py rewrites them: newer, chunked,
compressed. It needs Linux.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import io
import json
import os
import random
import resource
import select
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py

from probe import ModelFileError, load_network

SECONDS, MEBIBYTES = 0.5, 100.0
HANGS_AFTER = 10
MEMORY = 3 << 30
BATCH = 50
FIXTURES = Path(__file__).parent.parent / "tests" / "kerasfile" / "fixtures"
LARGEST = 400_000

SIGNATURES = (
    *(
        b"TREE",
        b"SNOD",
        b"HEAP",
        b"GCOL",
        b"OHDR",
        b"OCHK",
        b"FRHP",
        b"FHDB",
        b"FHIB",
        b"BTHD",
        b"BTIN",
        b"BTLF",
    ),
    *(b"FAHD", b"FADB", b"EAHD", b"EAIB", b"EASB", b"EADB", b"FSHD", b"\x89HDF"),
)
WITHOUT_CHECKSUM = (b"TREE", b"SNOD", b"HEAP", b"GCOL")
ZIP_SIGNATURES = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06")
NUMBERS = (
    *range(9), 16, 127, 128, 255, 256, 4096, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63,
    2**64 - 1,
)  # fmt: skip
VALUES = (
    None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 10**30, 0.5, -0.5, 1e308, "", "x", "relu", "Lambda", "same",
    "valid", "channels_first", "float64", "\ud83d", "a\x1b[2J", [], [[]], {}, [1, 1], [0, 0], [1, 2, 3], [-1],
    [None, None], [None, 3], {"class_name": "Softmax", "config": {"axis": [1, 2]}}, {"class_name": "ReLU", "config": {}},
)  # fmt: skip


def found_at(content: bytes, signatures: tuple[bytes, ...], most: int = 400) -> list[tuple[int, bytes]]:
    """Return where the signatures are, and which."""
    places = []
    for signature in signatures:
        at = content.find(signature)
        while at >= 0 and len(places) < most:
            places.append((at, signature))
            at = content.find(signature, at + 1)
    return places


def change_number(content: bytearray, at: int, rng: random.Random) -> None:
    """Put another number of 1 to 8 bytes near `at`."""
    width = rng.choice([1, 1, 2, 2, 4, 8, 8])
    at = max(0, min(at, len(content) - width))
    old = int.from_bytes(content[at : at + width], "little")
    choices = (
        rng.choice(NUMBERS),
        rng.randrange(len(content)),
        rng.randrange(len(content)) // 8 * 8,
        old + rng.choice([-1, 1, 8, -8, 16]),
    )
    content[at : at + width] = (rng.choice(choices) % (1 << 8 * width)).to_bytes(width, "little")


def changed_bytes(content: bytearray, rng: random.Random) -> bytes:
    """Change up to eight bytes."""
    for _ in range(rng.choice([1, 1, 1, 2, 3, 5, 8])):
        at = rng.randrange(len(content))
        content[at] = rng.choice([rng.randrange(256), 255, 0, content[at] ^ (1 << rng.randrange(8))])
    return bytes(content)


def changed_structure(content: bytearray, rng: random.Random) -> bytes:
    """Change up to three numbers of structures."""
    places = found_at(content, SIGNATURES)
    for _ in range(rng.choice([1, 1, 2, 3])):
        change_number(content, rng.choice(places)[0] + rng.randrange(4, 120), rng)
    return bytes(content)


def _lookup3() -> Callable[[bytes], int]:
    """Return HDF5's own checksum, which is fast enough to look for structures by it."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    library = ctypes.CDLL(next(line.split()[-1] for line in maps if "libhdf5-" in line))
    function = library.H5_checksum_lookup3
    function.restype = ctypes.c_uint32
    function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32]
    return lambda block: int(function(block, len(block), 0))


lookup3 = _lookup3()
_CHECKSUMMED: dict[bytes, list[tuple[int, int]]] = {}


def checksummed(content: bytes) -> list[tuple[int, int]]:
    """Return begin and end of all structures that have a checksum behind them."""
    if content not in _CHECKSUMMED:
        found = []
        for at, signature in found_at(content, SIGNATURES):
            if signature in WITHOUT_CHECKSUM:
                continue
            for length in range(8, min(2200, len(content) - at - 4)):
                (stored,) = struct.unpack_from("<I", content, at + length)
                if stored and stored == lookup3(content[at : at + length]):
                    found.append((at, at + length))
                    break
        _CHECKSUMMED[content] = found
    return _CHECKSUMMED[content]


def changed_checksummed(content: bytearray, rng: random.Random) -> bytes:
    """Change up to three numbers of structures, and put their checksums right again."""
    structures = checksummed(bytes(content))
    if not structures:
        return changed_structure(content, rng)
    for _ in range(rng.choice([1, 1, 2, 3])):
        begin, end = rng.choice(structures)
        change_number(content, rng.randrange(begin + 4, end), rng)
        struct.pack_into("<I", content, end, lookup3(bytes(content[begin:end])))
    return bytes(content)


def paths_in(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Yield the path of every value in a JSON tree."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        yield from paths_in(member, (*path, key))


def at_path(tree, path):
    """Return the value at a path."""
    for key in path:
        tree = tree[key]
    return tree


def changed_json(text: str, rng: random.Random) -> str:
    """Change, copy, move or leave out up to three values of a JSON text."""
    tree = json.loads(text)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        paths = [path for path in paths_in(tree) if path]
        if not paths:
            break
        *way, last = rng.choice(paths)
        holder, what = at_path(tree, way), rng.random()
        if what < 0.5:
            holder[last] = copy.deepcopy(rng.choice(VALUES))
        elif what < 0.65:
            del holder[last]
        elif what < 0.8:
            holder[last] = copy.deepcopy(at_path(tree, rng.choice(paths)))
        elif isinstance(holder, dict):
            holder[rng.choice(list(holder))] = holder[last]
        elif what < 0.9:
            holder.insert(last, copy.deepcopy(holder[last]))
        else:
            rng.shuffle(holder)
    return json.dumps(tree)


CHANGES = {"bytes": changed_bytes, "structure": changed_structure, "checksummed": changed_checksummed}
KINDS = (*CHANGES, "json", "zip")


def mutant(content: bytes, kind: str, seed: int) -> bytes:
    """Return a model file changed in one of the five ways."""
    rng = random.Random(seed)
    if content.startswith(b"PK"):
        return _changed_archive(content, kind, rng)
    if kind == "json":
        memory = io.BytesIO(content)
        with h5py.File(memory, "r+") as file:
            file.attrs["model_config"] = changed_json(file.attrs["model_config"], rng)
        return memory.getvalue()
    return CHANGES.get(kind, changed_structure)(bytearray(content), rng)


def _changed_archive(content: bytes, kind: str, rng: random.Random) -> bytes:
    if kind == "zip":
        changed = bytearray(content)
        places = found_at(content, ZIP_SIGNATURES)
        for _ in range(rng.choice([1, 2, 3])):
            change_number(changed, rng.choice(places)[0] + rng.randrange(4, 50), rng)
        return bytes(changed)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if kind == "json":
        members["config.json"] = changed_json(members["config.json"].decode(), rng).encode()
    else:
        members["model.weights.h5"] = CHANGES[kind](bytearray(members["model.weights.h5"]), rng)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return memory.getvalue()


def rewritten(path: Path, version: str | None, **options: object) -> bytes:
    """Return the content of an HDF5 file in other structures."""
    memory = io.BytesIO()
    with h5py.File(path) as source, h5py.File(memory, "w", libver=version) as target:

        def copy_object(name: str, member: h5py.Group | h5py.Dataset) -> None:
            if isinstance(member, h5py.Dataset):
                values = member[()]
                plain = member.ndim and values.dtype.kind == "f" and values.size
                target.create_dataset(name, data=values, **(options if plain else {}))
            else:
                target.require_group(name)
            for key, value in member.attrs.items():
                target[name].attrs[key] = value

        source.visititems(copy_object)
        for key, value in source.attrs.items():
            target.attrs[key] = value
    return memory.getvalue()


def originals(paths: list[Path]) -> dict[str, bytes]:
    """Return the files that hold a whole model that is read, and every third HDF5 file in other structures too."""
    found = {}
    for path in paths:
        if path.suffix not in (".h5", ".keras") or ".weights." in path.name or path.stat().st_size > LARGEST:
            continue
        try:
            load_network(path)
        except ModelFileError:
            continue
        found[str(path)] = path.read_bytes()
    hdf5 = [path for path in found if not found[path].startswith(b"PK")]
    compressed = {"chunks": True, "compression": 4, "fletcher32": True}
    for path in hdf5[::3]:
        found |= {
            f"{path} latest": rewritten(Path(path), "latest"),
            f"{path} chunked": rewritten(Path(path), None, chunks=True),
            f"{path} compressed": rewritten(Path(path), None, **compressed),
            f"{path} latest compressed": rewritten(Path(path), "latest", shuffle=True, **compressed),
        }
    return found


def load_all(jobs: list[tuple[str, str, int]], files: dict[str, bytes], pipe: int) -> None:
    """Load the mutants of a batch, and write to the pipe what begins and what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")

    def say(*words: object) -> None:
        os.write(pipe, (json.dumps(words) + "\n").encode())

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as file:
        for job in jobs:
            content = mutant(files[job[0]], *job[1:])
            Path(file.name).write_bytes(content)
            say("begins", *job)
            began, detail = time.process_time(), ""
            try:
                what = type(load_network(file.name)).__name__
            except BaseException as error:
                what = "ModelFileError" if isinstance(error, ModelFileError) else type(error).__name__
                detail = "" if what == "ModelFileError" else traceback.format_exc()[-700:]
            seconds, now = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            say("ends", what, round(seconds, 3), (now - peak) / 1024, detail)
            peak = now


def run_batch(
    jobs: list[tuple[str, str, int]], files: dict[str, bytes]
) -> Iterator[tuple[tuple[str, str, int], str, str]]:
    """Yield each job of a batch, what came of it, and details."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            load_all(jobs, files, writing)
        finally:
            os._exit(0)
    os.close(writing)
    current, buffer, hung = None, b"", False
    while True:
        if not select.select([reading], [], [], HANGS_AFTER)[0]:
            os.kill(child, signal.SIGKILL)
            hung = True
            break
        part = os.read(reading, 1 << 16)
        if not part:
            break
        *lines, buffer = (buffer + part).split(b"\n")
        for line in lines:
            event, *rest = json.loads(line)
            if event == "begins":
                current = tuple(rest)
                continue
            what, seconds, mebibytes, detail = rest
            if what in ("Network", "ModelFileError") and (seconds > SECONDS or mebibytes > MEBIBYTES):
                what, detail = "too much", f"{seconds} s, {mebibytes:.0f} MiB: {what}"
            yield current, what, detail
            current = None
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if hung or os.WIFSIGNALED(status):
        what = "hang" if hung else signal.Signals(os.WTERMSIG(status)).name
        yield current or ("?", "?", 0), what, ""


def main() -> int:
    """Run as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("files", nargs="*", type=Path, help="model files; those of the tests by default")
    parser.add_argument("--mutants", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--keep", type=Path, help="a folder for the mutants that were not handled")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    files = originals(given.files or sorted(FIXTURES.glob("*/*")))
    names, rng = sorted(files), random.Random(given.seed)
    jobs = [
        (rng.choice(names), rng.choice(given.kinds), given.seed * 10**9 + k) for k in range(given.mutants)
    ]
    counts: Counter[str] = Counter()
    for start in range(0, len(jobs), BATCH):
        for job, what, detail in run_batch(jobs[start : start + BATCH], files):
            counts[what] += 1
            if what not in ("Network", "ModelFileError"):
                print(what, *job, detail, file=sys.stderr, flush=True)
                if given.keep is not None and job[0] in files:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    suffix = ".keras" if files[job[0]].startswith(b"PK") else ".h5"
                    (given.keep / f"{job[1]}_{job[2]}{suffix}").write_bytes(mutant(files[job[0]], *job[1:]))
    print(json.dumps({"files": len(files), "mutants": sum(counts.values()), "counts": counts}))
    return int(set(counts) - {"Network", "ModelFileError"} != set())


if __name__ == "__main__":
    sys.exit(main())
