"""How time grows with networks, units and samples, ours and PyTorch's: python scripts/benchmark.py --growth.

One epoch of gradient descent on MNIST in minibatches of 100, nothing evaluated, on one core. Each point is the median
of three, ours and PyTorch's in turns. PyTorch trains many networks one after the other: the time of one, times their
number. Writes reports/samples/benchmark/growth.json and docs/growth.png.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "reports" / "samples" / "benchmark" / "growth.json"
PICTURE = ROOT / "docs" / "growth.png"
N_SAMPLES = 10_000
AXES = {
    "networks": (1, 4, 16, 64, 256, 1000),
    "units": (4, 16, 64, 256, 1024),
    "samples": (1000, 4000, 15_000, 60_000),
}
TITLES = {
    "networks": f"networks of 784-16-16-10, {N_SAMPLES:,} images",
    "units": f"units in each of two layers, {N_SAMPLES:,} images",
    "samples": "images, one 784-16-16-10",
}


def growth(about: dict[str, Any]) -> None:
    """Measure along each axis, write the numbers and draw them."""
    from threadpoolctl import threadpool_limits

    points = []
    with threadpool_limits(1):
        for axis, values in AXES.items():
            for value in values:
                points.append(point(axis, value))
                print(json.dumps(points[-1]), flush=True)
    RESULTS.write_text(json.dumps({"machine": about, "points": points}, indent=2) + "\n")
    drawn(points)
    print(f"wrote {RESULTS} and {PICTURE}")


def point(axis: str, value: int) -> dict[str, Any]:
    """Return the seconds of one epoch, ours and PyTorch's, where only `axis` differs from the usual."""
    import benchmark

    import probe

    usual = {"networks": 1, "units": 16, "samples": N_SAMPLES} | {axis: value}
    units = usual["units"]
    n_networks, shard_size = usual["networks"], 16
    case = benchmark.Case("", (units, units), "sigmoid", 100)
    whole = probe.load_dataset("mnist")
    split = probe.Split(whole.train.take(slice(usual["samples"])), whole.test, whole.name)
    architecture = probe.MLP((units, units))
    config = probe.TrainingConfig(
        epochs=2, batch_size=100, learning_rate=benchmark.RATE, evaluation="end", optimizer="sgd"
    )

    def ours() -> float:
        trained = probe.train_population(
            architecture, split, config, n_networks=n_networks, shard_size=shard_size, workers=1
        )
        # The networks of a shard are trained together. The last epoch is evaluated, the first is not.
        return float(trained.history.seconds[::shard_size, 0].sum())

    benchmark.on_cores(benchmark.CORES[-1:])
    alone = benchmark.pytorch(case, split)
    benchmark.on_cores(benchmark.CORES[-1:])
    seconds = benchmark.interleaved({"probe": ours, "PyTorch": alone}, rounds=3)
    return {"axis": axis, "value": value} | seconds | {"PyTorch": seconds["PyTorch"] * n_networks}


def drawn(points: list[dict[str, Any]]) -> None:
    """Draw the three axes side by side on one scale of seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axes, (axis, values) in zip(figure.subplots(1, 3, sharey=True), AXES.items(), strict=True):
        for name, color, marker in (("PyTorch", "#d55e00", "s"), ("probe", "#0072b2", "o")):
            seconds = [each[name] for each in points if each["axis"] == axis]
            axes.loglog(values, seconds, color=color, marker=marker, label=name)
        axes.set_xlabel(TITLES[axis])
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("seconds of one epoch, one core")
    figure.axes[0].legend(frameon=False)
    figure.savefig(PICTURE, dpi=150)
