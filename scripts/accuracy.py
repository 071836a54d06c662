"""Test accuracy of the report's default network and of the README's wider one, over three seeds each."""

import json
from pathlib import Path

import numpy as np

from probe import MLP, TrainingConfig, load_dataset, train_population
from probe.training import DEFAULT_ARCHITECTURE, DEFAULT_TRAINING

OUT = Path(__file__).resolve().parent.parent / "reports" / "samples" / "accuracy"
WIDE = MLP(hidden=(128,), activation="relu")
WIDE_TRAINING = TrainingConfig(epochs=20, learning_rate=0.5, weight_decay=1e-4, schedule="cosine")

if __name__ == "__main__":
    split, found = load_dataset("mnist"), {}
    for name, architecture, config in (
        ("default", DEFAULT_ARCHITECTURE, DEFAULT_TRAINING),
        ("wide", WIDE, WIDE_TRAINING),
    ):
        runs = [train_population(architecture, split, config, n_networks=1, seed=seed) for seed in range(3)]
        accuracies = [float(run.history.test_accuracy[0, -1]) for run in runs]
        found[name] = {"test_accuracy": accuracies, "median": float(np.median(accuracies))}
        print(f"{name}: {', '.join(f'{a:.2%}' for a in accuracies)}; median {np.median(accuracies):.2%}")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "results.json").write_text(json.dumps(found, indent=2) + "\n")
