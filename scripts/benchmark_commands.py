"""Time the commands of the documentation, each in a fresh process: python scripts/benchmark.py --commands.

Every command is run as the documentation writes it, first with an empty cache folder ("cold"), and where it keeps
something there a second time ("warm"). Wall time, processor time of all its processes, and peak memory are seen from
outside: what each process has for itself, and what they share, ten times a second. Where the time goes follows from
the progress events: the time between two of them counts for the stage of the later one. Writes
reports/samples/benchmark/commands.json.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "reports" / "samples" / "benchmark" / "commands.json"
MODEL, OTHER, CNN = "mnist/model.h5", "other/model.h5", "cnn.h5"
"""Files that are made once, in the folder where all commands run: by `probe train`, and by `train_cnn`."""

LONG = 300.0
"""Seconds of a run from which it is not repeated."""

STUDY = (
    "memorize --hidden 128 --activation relu --samples 5000 --corruption 0,0.25,0.5,0.75,1 --replicates 20"
    " --epochs 150 --batch-size 100 --learning-rate 0.1 --workers 2 --seed 0"
)


CONVERTED = "out.keras"
WITHOUT_OUT = ("inspect", "convert", "gallery")


@dataclass(frozen=True)
class Line:
    """A command of the documentation, without `probe` and `--out`."""

    name: str
    arguments: str
    uses_cache: bool = False
    limits: tuple[float | None, float | None] = (None, None)
    """Seconds to stay under, cold and warm."""


LINES = (
    Line("report", "report", uses_cache=True, limits=(30, 20)),
    Line("train", "train --hidden 128 --activation relu --learning-rate 0.5 --weight-decay 1e-4"),
    Line("inspect", f"inspect {MODEL}"),
    Line("weights", f"weights {MODEL} --layer hidden_1"),
    Line("maximize", f"maximize {MODEL} --data mnist"),
    Line("unit", f"unit {MODEL} hidden_1:4 --data mnist", uses_cache=True),
    Line("evaluate", f"evaluate {MODEL} --data mnist"),
    Line("features", f"features {MODEL} --data mnist", uses_cache=True, limits=(25, 12)),
    Line("drawing", f"drawing {MODEL} --data mnist", uses_cache=True, limits=(25, 12)),
    Line("noise", f"noise {MODEL} --data mnist"),
    Line("severity", f"severity {MODEL} --data mnist", uses_cache=True, limits=(25, 12)),
    Line("landscape", f"landscape {MODEL} --data mnist"),
    Line("landscape of a CNN", f"landscape {CNN} --data mnist", limits=(90, None)),
    Line("search", "search", limits=(35, None)),
    Line("memorize", STUDY, limits=(270, None)),
    Line("capacity", "capacity --data digits --hidden 4 --replicates 2"),
    Line("scores", "scores --data digits --samples 200 --networks 40 --corruption 0.2"),
    Line("minima", "minima --networks 200 --workers 2", limits=(240, None)),
    Line("lesson", "lesson --students 30", uses_cache=True),
    Line("compare", f"compare {MODEL} {OTHER} --data mnist"),
    Line("convert", f"convert {MODEL} {CONVERTED}"),
    Line("gallery", "gallery ."),
    Line("robustness", "robustness --workers 2", uses_cache=True),
    Line("verify", "verify --workers 2 --backend processes"),
)


@dataclass(frozen=True)
class Run:
    """What one run took. `stages` are seconds by stage."""

    wall: float
    cpu: float
    peak: int
    stages: dict[str, float]


def measured(arguments: Sequence[str], folder: Path, cache: Path) -> Run:
    """Run a command in a fresh process and return what it took; stop with what it said if it fails."""
    events = folder / "events.json"
    command = [sys.executable, __file__, str(events), *arguments]
    environment = os.environ | {"PROBE_CACHE": str(cache)}
    began = time.perf_counter()
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
        with sampled_memory(process.pid) as peak:
            _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"probe {' '.join(arguments)} failed:\n{(folder / 'said.txt').read_text()}")
    return Run(wall, usage.ru_utime + usage.ru_stime, peak[0], json.loads(events.read_text()))


@contextlib.contextmanager
def sampled_memory(pid: int) -> Iterator[list[int]]:
    """Follow the memory of a process and its descendants while the block runs: one number, the largest sum."""
    peak, ended = [0], threading.Event()

    def follow() -> None:
        while not ended.wait(0.1):
            peak[0] = max(peak[0], memory_of(family(pid)))

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def family(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def memory_of(pids: Iterable[int]) -> int:
    """Return the bytes of some processes: what each has for itself, and the most that one holds of files and what is shared.

    These are counters. To go through all pages for exact shares, as PSS does, takes a tenth of a report's time.
    """
    counted: dict[str, list[int]] = {"RssAnon:": [0], "RssFile:": [0], "RssShmem:": [0]}
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                key, _, rest = line.partition("\t")
                if key in counted:
                    counted[key].append(1024 * int(rest.split()[0]))
    own, of_files, shared = counted.values()
    return sum(own) + max(of_files) + max(shared)


def recorded(file: Path, arguments: Sequence[str]) -> None:
    """Run a command in this process and write its seconds by stage, of all that it tells its progress."""
    from probe.__main__ import main
    from probe.cli import _commands

    stages: dict[str, float] = {}
    last = time.perf_counter()

    def tell(event: Any) -> None:
        nonlocal last
        now = time.perf_counter()
        if event.total:
            stages[event.stage] = stages.get(event.stage, 0.0) + now - last
            last = now

    @contextlib.contextmanager
    def kept() -> Iterator[Any]:
        yield tell

    _commands.drawn_progress = kept
    try:
        sys.argv = ["probe", *arguments]
        main()
    finally:
        stages["the rest"] = time.perf_counter() - last
        file.write_text(json.dumps(stages))


def train_cnn(file: Path) -> None:
    """Train Keras' example for MNIST (two convolutions, 34,826 parameters) for an epoch, as its file."""
    import numpy as np

    import probe
    from probe.layers import Conv2D, Dense, Flatten, MaxPooling2D
    from probe.training import layered_training

    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> Any:
        return rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).astype(np.float32)

    layers = (
        Conv2D("conv2d", drawn(3, 3, 1, 32), np.zeros(32, np.float32), activation_name="relu"),
        MaxPooling2D("max_pooling2d", (2, 2)),
        Conv2D("conv2d_1", drawn(3, 3, 32, 64), np.zeros(64, np.float32), activation_name="relu"),
        MaxPooling2D("max_pooling2d_1", (2, 2)),
        Flatten("flatten"),
        Dense("dense", drawn(1600, 10), np.zeros(10, np.float32), activation_name="softmax"),
    )
    split = probe.load_dataset("mnist")
    network = probe.Network(layers, (28, 28, 1), split.train.class_names)
    config = layered_training(len(split.train))
    trained = probe.train(network, split, probe.TrainingConfig(
        epochs=1, batch_size=config.batch_size, learning_rate=config.learning_rate, optimizer=config.optimizer,
        evaluation="end",
    ))  # fmt: skip
    probe.save_network(trained.network, file)


def make_models(lines: Sequence[Line], folder: Path) -> None:
    """Make the models that some of these commands are about."""
    asked = " ".join(line.arguments for line in lines)
    for seed, name in enumerate((MODEL, OTHER)):
        if name in asked:
            out = str(Path(name).parent)
            measured(
                ["train", "--data", "mnist", "--seed", str(seed), "--out", out], folder, folder / "caches"
            )
    if CNN in asked:
        train_cnn(folder / CNN)


def row(line: Line, title: str, runs: Sequence[Run], limit: float | None) -> dict[str, Any]:
    """Return one line of the table: medians over the runs, the spread, and the three longest stages."""
    walls = [run.wall for run in runs]
    stages = {stage: median(run.stages.get(stage, 0.0) for run in runs) for stage in runs[0].stages}
    longest = dict(sorted(stages.items(), key=lambda item: -item[1])[:4])
    return {
        "name": title,
        "command": f"probe {line.arguments}",
        "wall": median(walls),
        "spread": [min(walls), max(walls)],
        "cpu": median(run.cpu for run in runs),
        "peak": max(run.peak for run in runs),
        "stages": {stage: seconds for stage, seconds in longest.items() if seconds >= 0.1},
        "limit": limit,
        "runs": [asdict(run) for run in runs],
    }


def commands(about: dict[str, Any], only: Sequence[str], rounds: int) -> None:
    """Run the chosen commands (all without), print the table, and write it as JSON beside those not chosen."""
    chosen = [line for line in LINES if not only or line.name in only]
    unknown = set(only) - {line.name for line in LINES}
    if unknown:
        sys.exit(f"no such command here: {', '.join(sorted(unknown))}")
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_models(chosen, folder)
        for line in chosen:
            cold, warm = [], []
            for k in range(rounds):
                # A command that can go on would find its work done in a folder that it has used.
                out = f"{line.name}-{k}".replace(" ", "-")
                arguments = [*line.arguments.split(), *([] if line.name in WITHOUT_OUT else ["--out", out])]
                cache = folder / "caches" / out
                (folder / CONVERTED).unlink(missing_ok=True)
                cold.append(measured(arguments, folder, cache))
                if line.uses_cache:
                    warm.append(measured([*arguments[:-1], f"{out}-warm"], folder, cache))
                if cold[0].wall > LONG:
                    break
            if warm:
                rows += [row(line, f"{line.name}, cold", cold, line.limits[0])]
                rows += [row(line, f"{line.name}, warm", warm, line.limits[1])]
            else:
                rows += [row(line, line.name, cold, line.limits[0])]
            for each in rows[-2 if warm else -1 :]:
                print(json.dumps({key: value for key, value in each.items() if key != "runs"}), flush=True)
    known = json.loads(RESULTS.read_text())["rows"] if only and RESULTS.exists() else []
    names = {each["name"] for each in rows}
    rows = [each for each in known if each["name"] not in names] + rows
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": about, "rows": rows}, indent=2) + "\n")
    print(f"wrote {RESULTS}")


if __name__ == "__main__":
    recorded(Path(sys.argv[1]), sys.argv[2:])
