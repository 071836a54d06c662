"""Measure the memorization laboratory against PyTorch and against this machine: python scripts/benchmark_memorization.py.

The standard study: 5 corruption fractions, 784-128-10 ReLU, batch 100, 5,000 digits, to 100% or 150 epochs.
PyTorch trains the same networks one after another with the loop of `benchmark.py`, stopped and evaluated
(5,000 training and 2,000 test digits) as often as ours; one network of every fraction is timed. Ours runs
whole trials (one network of every fraction), on one core and on two. One BLAS thread everywhere. Writes
reports/samples/benchmark/memorization.json.
"""

from __future__ import annotations

import json
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import benchmark  # the other script in this folder: sets the threads before NumPy is loaded
import numpy as np
from threadpoolctl import threadpool_limits

import probe
from probe.analyses.memorization import MemorizationDesign, run_trial, sampled_test
from probe.datasets import permuted_labels
from probe.population import initial_population
from probe.training import PreparedData, Shard, ShardRun

RESULTS = benchmark.RESULTS.with_name("memorization.json")
CONFIG = probe.TrainingConfig(epochs=150, batch_size=100, learning_rate=0.1, stop="fitted")
DESIGN = MemorizationDesign(
    architectures=(probe.MLP(hidden=(128,), activation="relu"),),
    n_samples=(5000,),
    corruption=(0.0, 0.25, 0.5, 0.75, 1.0),
    replicates=4,
    config=CONFIG,
)
ROUNDS = 2


def ours(split: probe.Split, workers: int) -> Callable[[], float]:
    """Run as many trials as workers, each on a core of its own; return the seconds of one network."""

    def study() -> float:
        benchmark.on_cores(benchmark.CORES[-workers:])
        began = time.perf_counter()
        design = replace(DESIGN, replicates=workers)
        found = probe.memorization(
            design.architectures, split, CONFIG, n_samples=design.n_samples, corruption=design.corruption,
            replicates=workers, workers=workers,
        )  # fmt: skip
        assert not found.interrupted
        return reported(f"{workers} core", (time.perf_counter() - began) / (workers * len(design.conditions)))

    return study


def reported(name: str, seconds: float) -> float:
    """Print how far the benchmark is, which takes ten minutes; return `seconds`."""
    print(f"{name}: {seconds:.2f} s a network", flush=True)
    return seconds


def pytorch(split: probe.Split) -> Callable[[], float]:
    """Train the networks of the first trial one after another; return the mean seconds of one."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    trial = run_trial(
        replace(DESIGN, config=replace(CONFIG, epochs=1)), DESIGN.keys[0], DESIGN.conditions, split
    )
    assert trial is not None
    x = torch.from_numpy(split.train.images[trial.sample_indices].reshape(5000, -1).copy())
    test = sampled_test(DESIGN, split)
    x_test = torch.from_numpy(test.images.reshape(len(test), -1).copy())
    test_labels = torch.from_numpy(test.labels.copy())

    def one(labels: torch.Tensor) -> None:
        model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=CONFIG.learning_rate, fused=True)
        for _ in range(CONFIG.epochs):
            for chosen in torch.randperm(len(x)).split(CONFIG.batch_size):
                loss = nn.functional.cross_entropy(
                    model(x.index_select(0, chosen)), labels.index_select(0, chosen)
                )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                right = (model(x).argmax(1) == labels).float().mean().item()
                (model(x_test).argmax(1) == test_labels).float().mean().item()
            if right == 1.0:
                return

    def study() -> float:
        benchmark.on_cores(benchmark.CORES[-1:])
        torch.manual_seed(0)
        began = time.perf_counter()
        for labels in trial.labels:
            one(torch.from_numpy(labels.astype(np.int64)))
        return reported("PyTorch", (time.perf_counter() - began) / len(trial.labels))

    return study


def epochs(split: probe.Split, dynamics: str) -> Callable[[], float]:
    """Return the median seconds of an epoch of a trial, with or without the dynamics."""
    rng = np.random.default_rng(0)
    data = replace(
        split, train=split.train.take(rng.permutation(60_000)[:5000]), test=sampled_test(DESIGN, split)
    )
    config = replace(CONFIG, epochs=12, stop="never")
    one = initial_population(
        DESIGN.architectures[0], data.train.image_shape, data.train.class_names, rngs=rng.spawn(5)
    )
    labels = np.stack([permuted_labels(data.train.labels, rng=rng, fraction=f) for f in DESIGN.corruption])
    prepared = PreparedData.of(data, config)

    def run() -> float:
        shard = Shard(one, data, np.random.default_rng(0), labels=labels, dynamics=dynamics)  # type: ignore[arg-type]
        began = time.perf_counter()
        ShardRun(shard, prepared, config, threading.Event(), lambda cost: None).run()
        return time.perf_counter() - began

    return run


def thousand(split: probe.Split) -> tuple[float, float]:
    """Return the GFLOP/s of 1,000 networks over one epoch on two cores, and those of two sgemm at once.

    The products are those of training. The evaluation after it, on all training and test images, is in the time only.
    """
    benchmark.on_cores(benchmark.CORES[-2:])
    case = replace(benchmark.SMALL, n_networks=1000)
    architecture = probe.MLP(hidden=case.hidden, activation=case.activation)
    config = probe.TrainingConfig(epochs=1, batch_size=100, learning_rate=0.1, evaluation="end")
    n_evaluated = len(split.train) + len(split.test)
    flops = case.flops(len(split.train), len(split.test)) - forward_flops(case) * n_evaluated
    speeds, peaks = [], []
    for _ in range(ROUNDS):
        peaks.append(two_products())
        began = time.perf_counter()
        probe.train_population(architecture, split, config, n_networks=1000, shard_size=50, workers=2)
        seconds = time.perf_counter() - began
        print(f"1,000 networks, one epoch: {seconds:.1f} s", flush=True)
        speeds.append(1000 * flops / seconds / 1e9)
    return median(speeds), median(peaks)


def forward_flops(case: benchmark.Case) -> int:
    """Return what it costs to evaluate one network on one image."""
    return 2 * sum(n_in * n_out for n_in, n_out in pairwise(case.sizes))


def two_products() -> float:
    """Return the GFLOP/s of sgemm on two cores at the same time."""
    products = [benchmark.sgemm_peak() for _ in range(2)]
    seconds = [0.0, 0.0]

    def run(k: int) -> None:
        products[k]()
        seconds[k] = median(products[k]() for _ in range(5))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(2 * 2048**3 / s / 1e9 for s in seconds)


def main() -> None:
    """Measure everything, print a Markdown table, write the same as JSON."""
    about = benchmark.machine()
    print(json.dumps(about, indent=2))
    split = probe.load_dataset("mnist")
    with threadpool_limits(1):
        contestants = {"one": ours(split, 1), "two": ours(split, 2)}
        try:
            contestants["PyTorch"] = pytorch(split)
        except ImportError:
            print("PyTorch is not installed: left out (pip install -e '.[bench]')")
        seconds = benchmark.interleaved(contestants, ROUNDS)
        benchmark.on_cores(benchmark.CORES[-1:])
        plain = benchmark.interleaved(
            {"none": epochs(split, "none"), "examples": epochs(split, "examples")}, 5
        )
        speed, peak = thousand(split)
    one, two, share = seconds["one"], seconds["two"], speed / peak
    rows = []
    if "PyTorch" in seconds:
        ratio = seconds["PyTorch"] / one
        rows.append(
            benchmark.Row(
                "standard study, per network", one, "PyTorch", seconds["PyTorch"], ratio, 2.5, ratio >= 2.5
            )
        )
    rows += [
        benchmark.Row("standard study, 2 cores", two, "1 core", one, one / two, 1.8, one / two >= 1.8),
        benchmark.Row(
            "1,000 x 784-16-16-10, 2 cores", speed, "2 x sgemm", peak, share, 0.55, share >= 0.55, "GFLOP/s"
        ),
    ]
    print("\n| case | ours | against | ratio | target | reached |\n|---|---|---|---|---|---|")
    print("\n".join(row.markdown() for row in rows))
    overhead = plain["examples"] / plain["none"] - 1
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\nRecording the dynamics costs {overhead:.1%} more time. Peak memory of this process: {memory:.0f} MB."
    )
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    kept = {"machine": about, "rows": [asdict(row) for row in rows], "dynamics_overhead": overhead}
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n")
    print(f"wrote {Path(RESULTS)}")


if __name__ == "__main__":
    main()
