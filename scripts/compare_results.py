"""Prove that a change of the code changes no number: run every command before and after, compare the values.

Usage::

    python scripts/compare_results.py record BEFORE     # in a checkout of the old code
    python scripts/compare_results.py record AFTER      # in a checkout of the new code
    python scripts/compare_results.py compare BEFORE AFTER

`record` runs the commands of `COMMANDS` on the digits of scikit-learn, two at a time, with the package beside
this script. It leaves in the folder, which must be new: `work/NAME/`, what each command wrote; `log/NAME.txt`,
what it printed; `values.json`, the numbers of each command and the digests of its pictures; `arrays/NAME.npz`,
its arrays. `compare` needs the last two only.

Files and fields may have other names before and after, so values are compared and not names. What each
command wrote before must also be there after:

- arrays of all HDF5 files: kind of number, shape and bytes;
- numbers of all HDF5 files: attributes (mostly JSON) and arrays of one element;
- numbers of results.json, which may also have moved to an attribute or an element of an array in HDF5;
- numbers of inspect.txt, likewise;
- pixels of every PNG and GIF.

Floats are compared to the last bit. What is new is only counted. `compare` exits with 1 if something is lost.
A command with another name or other options is changed in `COMMANDS`; its key there must stay.

Not compared: times (`seconds`, `created`) and what follows from them (`by_seconds`, the best candidates of a
search for their training time, and search.png, which draws it), versions, the layout of the HDF5 files
(`encoding-*`), NaN, true and false, and words with the numbers in them: sentences, index.html, what is printed.
"""

import argparse
import hashlib
import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image, ImageSequence

ROOT = Path(__file__).resolve().parents[1]
# A Keras file of 8 x 8 x 1 inputs with convolutions and batch normalization.
CONVOLUTIONAL = shlex.quote(str(next(ROOT.glob("tests/**/digits_cnn.h5"))))
SIGMOID, RELU, DEEP = "train/model.h5", "train-relu/model.h5", "train-deep/model.h5"
TINY = "--hidden 8 --samples 100 --replicates 2 --epochs 10"
NEIGHBORHOOD = "--networks 2 --directions 10 --updates 20 --resolution 5"
MINIMA = "--networks 4 --samples 200 --epochs 10 --polish 50 --connected 2"

# A name, which stays, and the arguments of probe; `--out NAME` is added where there is no {out}.
# Run first, in this order: others use their models.
NETWORKS = {
    "train": "train --data digits --hidden 8 --epochs 3",
    "train-relu": "train --data digits --hidden 8 --epochs 3 --activation relu --learning-rate 0.1",
    "train-deep": "train --data digits --hidden 8,6 --epochs 2 --activation tanh --optimizer adam "
    "--learning-rate 0.01 --cost quadratic --output sigmoid --schedule step --weight-decay 0.001",
    "train-glorot": "train --data digits --hidden 8 --epochs 2 --initialization glorot --activation gelu "
    "--optimizer momentum --learning-rate 0.1 --schedule constant --batch-size 50 --seed 3",
}
# The longest first.
COMMANDS = {
    "report-trained": "report --data digits",
    "report": f"report {SIGMOID} --data digits",
    "capacity": "capacity --data digits --hidden 1 --largest 12 --replicates 1 --epochs 5",
    "features": f"features {SIGMOID} --data digits --networks 2",
    "features-deep": f"features {DEEP} --data digits --networks 2",
    "features-convolutional": f"features {CONVOLUTIONAL} --data digits --networks 2",
    "drawing": f"drawing {SIGMOID} --data digits --networks 2 --restarts 2 --steps 20",
    "drawing-relu": f"drawing {RELU} --data digits --networks 2 --restarts 2 --steps 20",
    "ladder": f"severity {SIGMOID} --data digits --networks 2",
    "ladder-relu": f"severity {RELU} --data digits --networks 2",
    "noise": f"noise {SIGMOID} --data digits",
    "noise-convolutional": f"noise {CONVOLUTIONAL} --data digits --images 100",
    "landscape": f"landscape {SIGMOID} --data digits {NEIGHBORHOOD}",
    "landscape-relu": f"landscape {RELU} --data digits --cost quadratic {NEIGHBORHOOD}",
    "memorize": f"memorize --data digits --dynamics sensitivity {TINY}",
    "memorize-inputs": f"memorize --data digits --activation sigmoid --corruption 0,0.5,1 --workers 2 "
    f"--input-corruption none,pixel-permutation,gaussian --label-corruption uniform {TINY}",
    "memorize-tune": f"memorize --data digits --rates 0.1,0.3 --weight-decay 0,0.01 --optimizer adam {TINY}",
    "scores": "scores --networks 7 --data digits --hidden 8 --samples 200 --epochs 5",
    "minima": f"minima --data digits --hidden 4 --hidden 6 {MINIMA}",
    "minima-relu": f"minima --data digits --hidden 4 --activation relu {MINIMA}",
    "search": "search --data digits --widths 4 --depths 1,2 --activations sigmoid,relu --rates 0.3,1 "
    "--networks 2 --first-epochs 1 --epochs 3",
    "maximize": f"maximize {SIGMOID} --data digits --animation gif --restarts 2 --steps 20",
    "maximize-relu": f"maximize {RELU} --layer hidden_1 --parameterization fourier --restarts 2 --steps 20 "
    "--l2 0.1 --total-variation 0.1 --diversity 0.1 --shift 1",
    "maximize-objective": f"maximize {DEEP} --objective 'class:3 - class:8' --objective hidden_1:4 --ball 2 "
    "--parameterization blurred --restarts 2 --steps 20",
    "maximize-convolutional": f"maximize {CONVOLUTIONAL} --layer c1 --restarts 2 --steps 20",
    "weights": f"weights {SIGMOID}",
    "weights-relu": f"weights {RELU} --layer hidden_1 --units 2:6 --scale unit",
    "weights-convolutional": f"weights {CONVOLUTIONAL}",
    "inspect": f"inspect {SIGMOID}",
    "inspect-convolutional": f"inspect {CONVOLUTIONAL}",
    "convert": f"convert {RELU} {{out}}/network.h5",
    "convert-convolutional": f"convert {CONVOLUTIONAL} {{out}}/network.h5",
}
IGNORED = re.compile(r"(\w+_)?seconds(_\w+)?|created|versions|encoding-.*")  # and all that is inside
IGNORED_PICTURES = {"search.png"}  # one of its panels draws measured seconds
TEXT_NUMBER = re.compile(r"(?<![\w.:-])\d[\d,]*(?:\.\d+)?(?![\w.:-])")


def walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the `repr` as a float of every number in a JSON value."""
    if isinstance(value, dict):
        for name, item in value.items():
            if not IGNORED.fullmatch(name):
                yield from walk(item, f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, f"{path}[{index}]")
    elif isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value):
        yield path, repr(float(value))


def attribute_value(value: Any) -> Any:
    """Return an HDF5 attribute as a JSON value; None for words."""
    if not isinstance(value, str):
        return value.tolist()
    try:
        return json.loads(value)
    except ValueError:
        return None


class Values:
    """Everything that one command computed, each value with the path at which it stood first."""

    def __init__(self, folder: Path) -> None:
        self.numbers: dict[str, dict[str, str]] = {"HDF5": {}, "results.json": {}, "inspect.txt": {}}
        self.array_paths: dict[str, str] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.pictures: dict[str, str] = {}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.suffix == ".h5":
                self.read_hdf5(path, name)
            elif path.name == "results.json":
                self.add("results.json", walk(json.loads(path.read_text()), name))
            elif path.name == "inspect.txt":
                texts = TEXT_NUMBER.findall(path.read_text())
                self.add("inspect.txt", ((name, repr(float(text.replace(",", "")))) for text in texts))
            elif path.suffix in {".png", ".gif"} and path.name not in IGNORED_PICTURES:
                with Image.open(path) as image:
                    frames = [frame.convert("RGBA") for frame in ImageSequence.Iterator(image)]
                pixels = b"".join(str(frame.size).encode() + frame.tobytes() for frame in frames)
                self.pictures[name] = hashlib.sha256(pixels).hexdigest()

    def add(self, kind: str, numbers: Iterator[tuple[str, str]]) -> None:
        """Add numbers of a kind; of equal ones, the first path stays."""
        for path, number in numbers:
            self.numbers[kind].setdefault(number, path)

    def read_hdf5(self, path: Path, name: str) -> None:
        """Add the attributes and the arrays of an HDF5 file."""

        def visit(path_inside: str, item: h5py.Group | h5py.Dataset) -> None:
            if any(IGNORED.fullmatch(part) for part in path_inside.split("/")):
                return
            for key, value in item.attrs.items():
                self.add("HDF5", walk({key: attribute_value(value)}, f"{name}:{path_inside}"))
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf":
                self.add_array(np.asarray(item[()]), f"{name}:{path_inside}")

        with h5py.File(path) as file:
            visit("", file)
            file.visititems(visit)

    def add_array(self, array: np.ndarray, path: str) -> None:
        """Add an array, or its number where it has one element."""
        if array.size == 1:
            self.add("HDF5", walk(array.item(), path))
        elif array.size:
            content = f"{array.dtype.kind}{array.dtype.itemsize}{array.shape}".encode() + array.tobytes()
            digest = hashlib.sha256(content).hexdigest()
            self.array_paths.setdefault(digest, path)
            self.arrays[digest] = array


def run(name: str, arguments: str, folder: Path) -> None:
    """Run one command in the folder `work`; stop with its last words if it fails."""
    (folder / "work" / name).mkdir()
    arguments = arguments.format(out=name) if "{out}" in arguments else f"{arguments} --out {name}"
    command = [sys.executable, "-m", "probe", *shlex.split(arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder / "work", env=environment, capture_output=True, text=True)
    (folder / "log" / f"{name}.txt").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise SystemExit(f"{name} failed ({done.returncode}): {arguments}\n{done.stderr[-2000:]}")
    print(name, flush=True)


def record(folder: Path) -> None:
    """Run all commands and keep their values."""
    folder = folder.resolve()
    for part in ("work", "log", "arrays"):
        (folder / part).mkdir(parents=True)
    for name, arguments in NETWORKS.items():
        run(name, arguments, folder)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda item: run(*item, folder), COMMANDS.items()))
    describe(folder)


def describe(folder: Path) -> None:
    """Keep the values of what the commands wrote."""
    recording = {}
    for name in NETWORKS | COMMANDS:
        values = Values(folder / "work" / name)
        np.savez_compressed(folder / "arrays" / f"{name}.npz", **values.arrays)
        recording[name] = values.numbers | {"arrays": values.array_paths, "pictures": values.pictures}
    (folder / "values.json").write_text(json.dumps(recording, indent=1))


def losses(name: str, before: Path, after: Path, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield a line for every value of one command that is lost."""
    old_arrays, new_arrays = (np.load(folder / "arrays" / f"{name}.npz") for folder in (before, after))
    numbers = np.array([float(number) for number in new["HDF5"]])
    elements = np.unique(np.concatenate([numbers, *(new_arrays[key].ravel() for key in new_arrays)]))
    for digest in old["arrays"].keys() - new["arrays"].keys():
        array = old_arrays[digest]
        first = ", ".join(repr(value) for value in array.ravel()[:3].tolist())
        remaining = np.isin(array, elements).sum()
        yield (
            f"array {old['arrays'][digest]}, {array.dtype} {array.shape}: {first}, ...; "
            f"{remaining} of its {array.size} elements are still in HDF5"
        )
    for kind in ("HDF5", "results.json", "inspect.txt"):
        for number in old[kind].keys() - new[kind].keys():
            if not np.isin(float(number), elements):
                yield f"number of {kind}: {number} at {old[kind][number]}"
    for picture, digest in old["pictures"].items():
        if digest not in new["pictures"].values():
            names = {Path(path).name for path in new["pictures"]}
            same = Path(picture).name in names
            why = "a picture of the same name with other pixels" if same else "no picture with these pixels"
            yield f"picture {picture}: {why}"


def compare(before: Path, after: Path) -> int:
    """Print what is lost; return 1 if there is something."""
    old, new = (json.loads((folder / "values.json").read_text()) for folder in (before, after))
    n_lost = 0
    for name in old:
        if name not in new:
            lines, summary = ["the command was not recorded"], "all"
        else:
            lines = sorted(losses(name, before, after, old[name], new[name]))
            counts = [(kind, len(values), len(new[name][kind])) for kind, values in old[name].items()]
            summary = ", ".join(
                f"{kind} {n_old} -> {n_new}" for kind, n_old, n_new in counts if n_old or n_new
            )
        print(f"{name}: {len(lines)} lost ({summary})", *lines, sep="\n    ")
        n_lost += len(lines)
    print(f"{n_lost} values lost" if n_lost else "nothing is lost")
    return int(n_lost > 0)


def main() -> int:
    """Record or compare."""
    parser = argparse.ArgumentParser(description="Prove that a change of the code changes no number.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("record", help="run all commands").add_argument(
        "folder", type=Path, help="new folder"
    )
    comparison = commands.add_parser("compare", help="say what is lost from one recording to another")
    comparison.add_argument("before", type=Path)
    comparison.add_argument("after", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "compare":
        return compare(arguments.before, arguments.after)
    record(arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
