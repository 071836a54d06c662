"""False alarms and power of the structure test: python scripts/calibration.py (about a minute).

200 networks 784-16-16-10 before training, for each way of drawing their weights: a calibrated test at 5% rejects about
5% of their units. The null is always drawn as Keras draws by default (uniformly), as for a model file that does not
say how its weights were drawn. Writes reports/calibration/results.json.
"""

import json
from pathlib import Path

import numpy as np

import probe
from probe.analyses.structure.nulls import Meter, View, against, planted_units
from probe.population import initial_population

OUT = Path(__file__).resolve().parents[1] / "reports" / "calibration" / "results.json"
N_NETWORKS, BLOCK, N_NULL, ALPHA = 200, 10, 999, 0.05

split = probe.load_dataset("mnist")
active = (split.train.images != split.train.images[:1]).any(axis=0)
measure, rng, rows = Meter(active), np.random.default_rng(0), {}
for kind in ("glorot", "he", "normal"):
    architecture = probe.MLP(initialization=kind)
    networks = initial_population(architecture, (28, 28), split.train.class_names, rngs=rng.spawn(N_NETWORKS))
    view = View.of(networks.network(0), "first")
    units = measure(view.of_population(networks)).reshape(N_NETWORKS, -1, 5)
    planted = measure(planted_units(active, (28, 28), 400, rng))
    found = []
    for block in np.split(units, N_NETWORKS // BLOCK):  # each block of networks has a null of its own
        null = measure(view.untrained(networks.network(0), N_NULL, rng))
        found.append(against("initialization", null, block.reshape(-1, 5), planted, ALPHA))
    rejected = np.concatenate([f.p_values <= ALPHA for f in found]).reshape(N_NETWORKS, -1).mean(axis=1)
    interval = probe.stats.mean_interval(rejected)
    power = float(np.mean([f.power for f in found]))
    rows[kind] = {"rejected": interval.estimate, "interval": [interval.low, interval.high], "found": power}
    print(f"| {kind} | {interval.estimate:.1%} ({interval.low:.1%} to {interval.high:.1%}) | {power:.1%} |")
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(
    json.dumps({"n_networks": N_NETWORKS, "n_null": N_NULL, "alpha": ALPHA} | rows, indent=2) + "\n"
)
