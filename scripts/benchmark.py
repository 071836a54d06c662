"""Compare training speed with PyTorch, scikit-learn and JAX on one core: python scripts/benchmark.py.

`--commands` times the commands of the documentation instead, and `--growth` draws how time grows with networks, units
and samples: see `benchmark_commands.py` and `benchmark_growth.py`.

The same work for everyone: 60,000 MNIST digits in memory, float32, the same layer sizes and batch, plain gradient
descent on softmax cross-entropy, a new order of the digits in every epoch, and after each epoch the mean cost and the
accuracy on all training and all test images. One core, one BLAS thread. The contestants take turns (A B C A B C ...)
after one untimed epoch each, and medians over the rounds are compared. Peers that are not installed are left out;
`pip install -e '.[bench]'` installs them. Writes reports/samples/benchmark/results.json.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

# Read once, when the libraries start: no peer may use a second core.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import benchmark_commands
import benchmark_growth
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

import probe

RESULTS = Path(__file__).resolve().parents[1] / "reports" / "samples" / "benchmark" / "results.json"
CORES = sorted(os.sched_getaffinity(0))
RATE = 0.1
EVALUATED = 1000
"""Images that peers evaluate at a time."""

N_NETWORKS = 32


@dataclass(frozen=True)
class Case:
    """Networks of one shape and how they are trained."""

    title: str
    hidden: tuple[int, ...]
    activation: str
    batch_size: int
    n_networks: int = 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of all layers."""
        return (784, *self.hidden, 10)

    def flops(self, n_train: int, n_test: int) -> int:
        """Return what one network's epoch costs, with its evaluation. The input needs no gradient."""
        first, *rest = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        return n_train * (4 * first + 6 * sum(rest)) + (n_train + n_test) * 2 * (first + sum(rest))


SMALL = Case("one 784-16-16-10", (16, 16), "sigmoid", 100)
POPULATION = Case(f"{N_NETWORKS} x 784-16-16-10", (16, 16), "sigmoid", 100, N_NETWORKS)
LARGE = Case("one 784-512-512-10", (512, 512), "relu", 128)


@dataclass(frozen=True)
class Row:
    """One line of the table. `ours` and `peer` are in seconds unless `unit` says otherwise."""

    case: str
    ours: float
    against: str
    peer: float
    ratio: float
    target: float
    reached: bool
    unit: str = "s"

    def markdown(self) -> str:
        """Return the line in Markdown."""
        ours, peer = (_quantity(value, self.unit) for value in (self.ours, self.peer))
        if self.against == "limit":
            cells = [self.case, ours, "", "", f"under {peer}"]
        elif self.unit == "GFLOP/s":
            cells = [self.case, ours, f"{self.against} {peer}", f"{self.ratio:.0%}", f"{self.target:.0%}"]
        else:
            cells = [self.case, ours, f"{self.against} {peer}", f"{self.ratio:.2f}x", f"{self.target}x"]
        return f"| {' | '.join(cells)} | {'yes' if self.reached else '**no**'} |"


def _quantity(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.1f} ms"
    return f"{value:.0f} {unit}"


# The contestants: each is prepared once and then called for the seconds of one network's epoch and its evaluation.


def ours(case: Case, split: probe.Split) -> Callable[[], float]:
    """Train through the public API; the second of two epochs counts, from one evaluation to the next."""
    architecture = probe.MLP(hidden=case.hidden, activation=case.activation)
    config = probe.TrainingConfig(
        epochs=2, batch_size=case.batch_size, learning_rate=RATE, optimizer="sgd", evaluation="epoch"
    )

    def epoch() -> float:
        ends: dict[int, float] = {}
        probe.train_population(
            architecture, split, config, n_networks=case.n_networks, shard_size=case.n_networks, workers=1,
            progress=lambda event: ends.setdefault(event.done, time.perf_counter()),
        )  # fmt: skip
        return (ends[2] - ends[1]) / case.n_networks

    return epoch


def pytorch(case: Case, split: probe.Split) -> Callable[[], float]:
    """Train one network with tensors in memory and the fused optimizer."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    (x, labels), test = [
        tuple(torch.from_numpy(a.copy()) for a in _flat(data)) for data in (split.train, split.test)
    ]
    activation = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}[case.activation]
    layers = [part for n_in, n_out in pairwise(case.sizes) for part in (nn.Linear(n_in, n_out), activation())]
    model = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, fused=True)

    @torch.inference_mode()
    def evaluate(x: Any, labels: Any) -> tuple[float, float]:
        cost = right = torch.tensor(0.0)
        for images, classes in zip(x.split(EVALUATED), labels.split(EVALUATED), strict=True):
            logits = model(images)
            cost = cost + nn.functional.cross_entropy(logits, classes, reduction="sum")
            right = right + (logits.argmax(dim=1) == classes).sum()
        return float(cost) / len(x), float(right) / len(x)

    def epoch() -> float:
        began = time.perf_counter()
        for chosen in torch.randperm(len(x)).split(case.batch_size):
            logits = model(x.index_select(0, chosen))
            loss = nn.functional.cross_entropy(logits, labels.index_select(0, chosen))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        evaluate(x, labels)
        evaluate(*test)
        return time.perf_counter() - began

    return epoch


def scikit_learn(case: Case, split: probe.Split) -> Callable[[], float]:
    """Train one network; a call of `partial_fit` is one shuffled epoch."""
    from sklearn.neural_network import MLPClassifier

    (x, labels), test = _flat(split.train), _flat(split.test)
    model = MLPClassifier(
        hidden_layer_sizes=case.hidden,
        activation={"sigmoid": "logistic", "relu": "relu"}[case.activation],
        batch_size=case.batch_size,
        solver="sgd",
        learning_rate_init=RATE,
        momentum=0,
        alpha=0,
        random_state=0,
    )

    def epoch() -> float:
        began = time.perf_counter()
        model.partial_fit(x, labels, classes=np.arange(10))
        for images, classes in ((x, labels), test):
            chances = model.predict_proba(images)
            -np.log(chances[np.arange(len(classes)), classes]).mean()
            (chances.argmax(axis=1) == classes).mean()
        return time.perf_counter() - began

    return epoch


def jax(case: Case, split: probe.Split) -> Callable[[], float]:
    """Train in one compiled `lax.scan` over the minibatches, a population with `vmap`."""
    import jax
    import jax.numpy as jnp

    activation = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}[case.activation]
    rng = np.random.default_rng(0)
    stack = (case.n_networks,) if case.n_networks > 1 else ()
    parameters = [
        (jnp.asarray(rng.normal(0, n_in**-0.5, (*stack, n_in, n_out)), jnp.float32),
         jnp.zeros((*stack, n_out), jnp.float32))
        for n_in, n_out in pairwise(case.sizes)
    ]  # fmt: skip
    (x, labels), test = [tuple(map(jnp.asarray, _flat(data))) for data in (split.train, split.test)]

    def each(of_one: Callable[..., Any]) -> Callable[..., Any]:
        return jax.vmap(of_one, (0, None, None)) if stack else of_one

    def summed(parameters: Any, x: Any, labels: Any) -> Any:
        for w, b in parameters[:-1]:
            x = activation(x @ w + b)
        w, b = parameters[-1]
        logits = x @ w + b
        cost = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1).sum()
        return cost, (logits.argmax(axis=1) == labels).sum()

    @jax.jit
    def train(parameters: Any, x: Any, labels: Any, order: Any) -> Any:
        def step(parameters: Any, chosen: Any) -> Any:
            gradients, _ = each(jax.grad(summed, has_aux=True))(parameters, x[chosen], labels[chosen])
            rate = RATE / case.batch_size
            return jax.tree.map(lambda p, g: p - rate * g, parameters, gradients), None

        return jax.lax.scan(step, parameters, order.reshape(-1, case.batch_size))[0]

    @jax.jit
    def evaluate(parameters: Any, x: Any, labels: Any) -> Any:
        parts = x.reshape(-1, EVALUATED, x.shape[1]), labels.reshape(-1, EVALUATED)
        costs, right = jax.lax.map(lambda part: each(summed)(parameters, *part), parts)
        return costs.sum(axis=0) / len(x), right.sum(axis=0) / len(x)

    def epoch() -> float:
        nonlocal parameters
        began = time.perf_counter()
        order = jnp.asarray(rng.permutation(len(x)))
        parameters = train(parameters, x, labels, order)
        jax.block_until_ready((evaluate(parameters, x, labels), evaluate(parameters, *test)))
        return (time.perf_counter() - began) / case.n_networks

    return epoch


def sgemm_peak() -> Callable[[], float]:
    """Return the machine's float32 matrix product in seconds, for 2 * 2048³ operations."""
    a, b = np.random.default_rng(0).random((2, 2048, 2048), np.float32)

    def product() -> float:
        began = time.perf_counter()
        a @ b
        return time.perf_counter() - began

    return product


N_SHARDS = 16


def shards(workers: int, split: probe.Split) -> Callable[[], float]:
    """Train 16 shards of 16 networks on so many cores; return seconds per network, from the call to the networks."""
    architecture = probe.MLP(hidden=SMALL.hidden, activation=SMALL.activation)
    config = probe.TrainingConfig(epochs=1, batch_size=SMALL.batch_size, learning_rate=RATE)

    def epoch() -> float:
        n_networks = 16 * N_SHARDS
        began = time.perf_counter()
        probe.train_population(
            architecture, split, config, n_networks=n_networks, shard_size=16, workers=workers, progress=None
        )
        return (time.perf_counter() - began) / n_networks

    return epoch


# Measuring.


def interleaved(contestants: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return each contestant's median over `rounds` turns; the first turn is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, contestant in contestants.items():
            seconds[name].append(contestant())
    return {name: median(values[1:]) for name, values in seconds.items()}


def on_cores(cores: list[int]) -> None:
    """Hold every thread of this process, and what they start, to `cores`."""
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # a thread that has just ended
            os.sched_setaffinity(int(task.name), cores)


def compare(
    case: Case, split: probe.Split, peers: dict[str, tuple[Callable[..., Any], float]], rounds: int,
    peak_target: float,
) -> list[Row]:  # fmt: skip
    """Time ours, the peers (each with the ratio to reach) and sgemm in turns; return the lines they make."""
    contestants = {"ours": ours(case, split), "sgemm": sgemm_peak()}
    for name, (prepare, _) in peers.items():
        try:
            contestants[name] = prepare(case, split)
        except ImportError:
            print(f"{name} is not installed: left out (pip install -e '.[bench]')")
    on_cores(CORES[-1:])  # again: the threads that the peers have started
    seconds = interleaved(contestants, rounds)
    rows = [
        Row(case.title, seconds["ours"], name, seconds[name], ratio := seconds[name] / seconds["ours"],
            target, ratio >= target)
        for name, (_, target) in peers.items() if name in seconds
    ]  # fmt: skip
    speed = case.flops(len(split.train), len(split.test)) / seconds["ours"] / 1e9
    peak = 2 * 2048**3 / seconds["sgemm"] / 1e9
    share = speed / peak
    if peak_target:
        return [
            *rows,
            Row(case.title, speed, "sgemm", peak, share, peak_target, share >= peak_target, "GFLOP/s"),
        ]
    print(f"{case.title}: {speed:.0f} of sgemm's {peak:.0f} GFLOP/s ({share:.0%})")
    return rows


def two_cores(split: probe.Split) -> list[Row]:
    """Compare shards on two cores with the same on one. Processes are started in the turn that is not counted."""
    seconds = interleaved({"one": shards(1, split), "two": shards(2, split)}, rounds=5)
    ratio = seconds["one"] / seconds["two"]
    title = f"{N_SHARDS} shards of small networks on 2 cores"
    return [Row(title, seconds["two"], "1 core", seconds["one"], ratio, 1.9, ratio >= 1.9)]


def convolution() -> list[Row]:
    """Compare one convolution with PyTorch's: 64 images of 32x32x32, 3x3, 32 to 64 channels, same padding."""
    from probe.layers import Conv2D

    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: convolution left out (pip install -e '.[bench]')")
        return []
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.random((64, 32, 32, 32), np.float32)
    layer = Conv2D("conv", rng.random((3, 3, 32, 64), np.float32), np.zeros(64, np.float32), padding="same")
    gradient = rng.random((64, 32, 32, 64), np.float32)
    peer = torch.nn.Conv2d(32, 64, 3, padding=1).requires_grad_(requires_grad=False)

    def ours(*, back: bool) -> Callable[[], float]:
        def run() -> float:
            began = time.perf_counter()
            _, pullback = layer.pre_activation(x)
            if back:
                pullback(gradient)
            return time.perf_counter() - began

        return run

    def theirs(memory_format: Any, *, back: bool) -> Callable[[], float]:
        images = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
        upstream = torch.from_numpy(gradient).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)

        def run() -> float:
            images.requires_grad_(requires_grad=back)
            images.grad = None
            began = time.perf_counter()
            y = peer(images)
            if back:
                y.backward(upstream)
            return time.perf_counter() - began

        return run

    rows = []
    for back, title, target in ((False, "forward", 0.8), (True, "forward and input gradient", 1.2)):
        seconds = interleaved(
            {
                "ours": ours(back=back),
                "PyTorch": theirs(torch.contiguous_format, back=back),
                "PyTorch, channels last": theirs(torch.channels_last, back=back),
            },
            rounds=21,
        )
        for name in ("PyTorch", "PyTorch, channels last"):
            ratio = seconds[name] / seconds["ours"]
            rows.append(
                Row(
                    f"convolution, {title}",
                    seconds["ours"],
                    name,
                    seconds[name],
                    ratio,
                    target,
                    ratio >= target,
                )
            )
    return rows


# Maximizing: 42 units x 16 restarts x 200 steps, every contestant by the same rule.

RESTARTS, STEPS = 16, 200


def maximized(split: probe.Split) -> tuple[probe.Network, list[probe.Objective]]:
    """Return a trained 784-16-16-10 network and its ten logits and 32 hidden units."""
    network = probe.train(probe.MLP(), split, probe.TrainingConfig(epochs=2, evaluation="end")).network
    objectives = [probe.class_logit(k) for k in range(10)]
    objectives += [probe.unit(layer, k) for layer in ("hidden_1", "hidden_2") for k in range(16)]
    return network, objectives


def torch_climber(network: probe.Network) -> Callable[[Any, Any, Any], Any]:
    """Return the ascent in PyTorch: x (n, 784), depths (n,) from 0 to 2 and units (n,); the last images and scores.

    The rule for the steps is that of `maximize`, which beside takes images out of the batch that nothing moves.
    """
    import torch

    torch.set_num_threads(1)
    layers = [(torch.tensor(layer.kernel), torch.tensor(layer.bias)) for layer in network.dense_layers]

    def scored(x: Any, rows: list[Any], units: list[Any]) -> tuple[Any, Any]:
        x = x.detach().requires_grad_()
        score, y = torch.empty(len(x)), x
        for place, (kernel, bias) in enumerate(layers[: len(rows)]):
            z = torch.addmm(bias, y, kernel)
            if len(rows[place]):
                score[rows[place]] = z[rows[place], units[place]]
            y = torch.sigmoid(z)
        return score.detach(), torch.autograd.grad(score.sum(), x)[0]

    def largest(gradient: Any) -> Any:
        low, high = torch.aminmax(gradient, dim=1, keepdim=True)
        return torch.maximum(high, -low).clamp_(min=1e-30)

    def climb(x: Any, depths: Any, units: Any) -> Any:
        rows = [torch.nonzero(depths == place)[:, 0] for place in range(int(depths.max()) + 1)]
        chosen = [units[found] for found in rows]
        lengths = torch.full((len(x), 1), 0.1)
        score, direction = scored(x, rows, chosen)
        for _ in range(STEPS):
            candidate = torch.addcmul(x, direction, lengths / largest(direction)).clamp_(0, 1)
            found, gradient = scored(candidate, rows, chosen)
            risen = (found >= score)[:, None]
            lengths = (lengths * torch.where(risen, 1.5, 0.5)).clamp_(max=1e4)
            if risen.all():
                x, score, direction = candidate, found, gradient
            elif risen.any():
                x = torch.where(risen, candidate, x)
                score = torch.where(risen[:, 0], found, score)
                direction = torch.where(risen, gradient, direction)
        return x, score

    return climb


def ascents(split: probe.Split) -> list[Row]:
    """Compare `maximize` with the same ascent in PyTorch: unit by unit with its restarts in a batch, and all in one."""
    network, objectives = maximized(split)
    title = f"maximize, {len(objectives)} units x {RESTARTS} restarts x {STEPS} steps, one core"
    try:
        import torch

        climb = torch_climber(network)
    except ImportError:
        print("PyTorch is not installed: maximize left out (pip install -e '.[bench]')")
        return []
    places = {"hidden_1": 0, "hidden_2": 1, None: 2}
    depths = torch.tensor([places[objective.layer] for objective in objectives]).repeat_interleave(RESTARTS)
    units = torch.tensor([objective.index for objective in objectives]).repeat_interleave(RESTARTS)
    start = torch.rand(len(units), 784)

    def ours() -> float:
        began = time.perf_counter()
        probe.maximize(network, objectives, restarts=RESTARTS, steps=STEPS)
        return time.perf_counter() - began

    def batched() -> float:
        began = time.perf_counter()
        climb(start, depths, units)
        return time.perf_counter() - began

    def unit_by_unit() -> float:
        began = time.perf_counter()
        for rows in torch.arange(len(units)).split(RESTARTS):
            climb(start[rows], depths[rows], units[rows])
        return time.perf_counter() - began

    peers = {"PyTorch, unit by unit": (unit_by_unit, 8.0), "PyTorch, one batch": (batched, 1.5)}
    on_cores(CORES[-1:])  # again: the threads that PyTorch has started
    seconds = interleaved({"ours": ours} | {name: run for name, (run, _) in peers.items()}, rounds=5)
    return [
        Row(title, seconds["ours"], name, seconds[name], ratio := seconds[name] / seconds["ours"], target,
            ratio >= target)
        for name, (_, target) in peers.items()
    ]  # fmt: skip


def limits(split: probe.Split) -> list[Row]:
    """Time what must stay under a limit: `maximize` on a trained network, importing, and `--help`."""
    network, objectives = maximized(split)

    def maximize() -> float:
        began = time.perf_counter()
        probe.maximize(network, objectives, restarts=RESTARTS, steps=STEPS)
        return time.perf_counter() - began

    def command(*arguments: str) -> Callable[[], float]:
        def run() -> float:
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            return time.perf_counter() - began

        return run

    measured = {
        "maximize, 42 units x 16 restarts x 200 steps": (maximize, 3.0),
        "import probe": (command("-c", "import probe"), 0.25),
        "probe --help": (command("-m", "probe", "--help"), 0.6),
    }
    rows = []
    for name, (run, limit) in measured.items():
        try:
            seconds = interleaved({name: run}, rounds=5)[name]
        except subprocess.CalledProcessError as error:
            print(f"{name} failed, left out: {error.stderr.decode().strip().splitlines()[-1]}")
            continue
        rows.append(Row(name, seconds, "limit", limit, limit / seconds, 1.0, seconds <= limit))
    return rows


def _flat(data: probe.Dataset) -> tuple[Any, Any]:
    return data.images.reshape(len(data), -1), data.labels


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    versions = {}
    for name in ("numpy", "torch", "jax", "scikit-learn"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    kernels = {
        Path(pool["filepath"])
        .parents[0]
        .name: f"{pool['internal_api']} {pool['version']} {pool['architecture']}"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": len(CORES),
        "python": platform.python_version(),
        "versions": versions,
        "blas": kernels,
    }


def main() -> None:
    """Measure what is asked for; without options the speed of training: a Markdown table, and the same as JSON."""
    import sklearn.neural_network  # noqa: F401  (so that its BLAS is listed)

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--commands", nargs="*", metavar="NAME", help="commands of the documentation; all without names"
    )
    kinds.add_argument("--cores", action="store_true", help="what the second core is worth")
    kinds.add_argument("--growth", action="store_true", help="time against networks, units and samples")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command (default: 5)")
    asked = parser.parse_args()
    about = machine()
    print(json.dumps(about, indent=2))
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        if name in os.environ:
            print(f"{name}={os.environ[name]} is set: unset it, these numbers are not the machine's own")
    if asked.commands is not None:
        benchmark_commands.commands(about, asked.commands, asked.rounds)
    elif asked.growth:
        benchmark_growth.growth(about)
    elif asked.cores:
        print("\n".join(row.markdown() for row in two_cores(probe.load_dataset("mnist"))))
    else:
        training(about)


def training(about: dict[str, Any]) -> None:
    """Compare with the peers, print a Markdown table, write the same as JSON."""
    split = probe.load_dataset("mnist")
    with threadpool_limits(1):
        on_cores(CORES[-1:])  # the last one: interrupts usually go to the first
        peers = {"PyTorch": (pytorch, 13.0), "scikit-learn": (scikit_learn, 5.0), "JAX": (jax, 1.3)}
        rows = compare(POPULATION, split, peers, rounds=5, peak_target=0.6)
        peers = {"PyTorch": (pytorch, 4.0), "scikit-learn": (scikit_learn, 1.7), "JAX": (jax, 0.8)}
        rows += compare(SMALL, split, peers, rounds=7, peak_target=0)
        rows += compare(LARGE, split, {"PyTorch": (pytorch, 1.35)}, rounds=3, peak_target=0)
        rows += convolution()
        rows += ascents(split)
        on_cores(CORES)
        if len(CORES) > 1:
            rows += two_cores(split)
    rows += limits(split)
    print("\n| case, per network and epoch | ours | against | ratio | target | reached |")
    print("|---|---|---|---|---|---|")
    print("\n".join(row.markdown() for row in rows))
    print("\nGFLOP/s count all 784 inputs; ours leaves out the pixels that no training image lights.")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": about, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    print(f"wrote {RESULTS}")


if __name__ == "__main__":
    main()
