"""Do the intervals cover? python scripts/coverage.py [--repeats 2000] (about five minutes).

For distributions of replicates that occur in this project: how often the 95% interval holds the truth, and how often a
claim about the true value is decided though nothing is there to decide. Writes reports/samples/coverage/results.json.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

import probe
from probe.stats import count_estimate, mean_estimate

OUT = Path(__file__).resolve().parents[1] / "reports" / "samples" / "coverage" / "results.json"
SIZES = (6, 10, 20, 40)
N_NETWORKS = 60

Draw = Callable[[np.random.Generator, int], np.ndarray]


def shares(mean: float, of: int, concentration: float) -> Draw:
    """Shares of `of` images or units, of networks that differ as a beta distribution does."""
    a, b = concentration * mean, concentration * (1 - mean)
    return lambda rng, n: rng.binomial(of, rng.beta(a, b, n)) / of


def real_shares() -> dict[str, np.ndarray]:
    """Return what 60 trained networks of the video's shape do."""
    split = probe.load_dataset("mnist")
    networks = probe.train_population(probe.MLP(), split, n_networks=N_NETWORKS, seed=0).population
    noise = np.random.default_rng(0).random((1000, 28, 28), np.float32)
    logits = networks.logits(noise)
    sure = 1 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
    test = networks.evaluate(split.test)
    return {
        "60 networks: noise named at .9": (sure >= 0.9).mean(axis=1),
        "60 networks: noise named at .99": (sure >= 0.99).mean(axis=1),
        "60 networks: test accuracy": np.asarray(test.accuracy),
    }


def main() -> None:
    """Draw, count, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cases: dict[str, tuple[str, Draw, float]] = {
        "normal": ("difference", lambda rng, n: rng.normal(size=n), 0.0),
        "exponential": ("difference", lambda rng, n: rng.exponential(size=n), 1.0),
        "exponential, as ratios": ("ratio", lambda rng, n: rng.exponential(size=n), np.exp(-np.euler_gamma)),
        "lognormal, as ratios": ("ratio", lambda rng, n: rng.lognormal(size=n), 1.0),
        "shares near 0": ("share", shares(0.02, 200, 4), 0.02),
        "shares at a quarter": ("share", shares(0.25, 16, 20), 0.25),
        "shares in two heaps": ("share", shares(0.3, 1000, 0.5), 0.3),
        "k of 4 concepts": ("share", shares(0.03, 4, 20), 0.03),
    }
    for name, values in real_shares().items():
        cases[name] = "share", lambda rng, n, values=values: rng.choice(values, n), float(values.mean())
    rng, rows = np.random.default_rng(options.seed), {}
    for name, (scale, draw, truth) in cases.items():
        for n in SIZES:
            found = [
                mean_estimate(draw(rng, n), scale=scale, seed=k)  # type: ignore[arg-type]
                for k in range(options.repeats)
            ]
            rows[f"{name}, n = {n}"] = judged(found, truth)
    for truth in (0.05, 0.5):
        for n in SIZES:
            found = [count_estimate(int(rng.binomial(n, truth)), n) for _ in range(options.repeats)]
            rows[f"count at {truth:.0%}, n = {n}"] = judged(found, truth)
    for name, row in rows.items():
        print(f"| {name} | {row['covers']:.3f} | {row['decides']:.3f} |")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(
        json.dumps({"repeats": options.repeats, "seed": options.seed, "rows": rows}, indent=2) + "\n"
    )


def judged(found: list[probe.stats.Estimate], truth: float) -> dict[str, float]:
    """Return how often intervals hold the truth, and how often the truth is rejected."""
    ends = np.array([(each.interval.low, each.interval.high) for each in found])
    slack = 1e-12
    known = np.isfinite(ends).all(axis=1)
    held = (ends[:, 0] <= truth + slack) & (truth - slack <= ends[:, 1])
    decided = np.array([each.decision(truth) != "inconclusive" for each in found])
    return {
        "covers": float(held[known].mean()) if known.any() else float("nan"),
        "decides": float(decided.mean()),
        "without_interval": float(1 - known.mean()),
    }


if __name__ == "__main__":
    main()
