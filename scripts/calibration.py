"""False alarms and power of the tests of weight images: python scripts/calibration.py (some minutes).

96 networks of 16 units before training, for each way of drawing their weights and each size of image, and the same with
random combinations of training images added: calibrated tests at 5% reject about 5% of the units. How the weights were
drawn is not told: it is seen at pixels that never vary, or, in the middle 12 x 12 pixels where there are none, in all
weights of the layer. Writes reports/samples/calibration/results.json.
"""

import json
from pathlib import Path

import numpy as np

import probe
from probe.analyses.structure.measuring import Bench, Planted, measured
from probe.analyses.structure.meter import meter_of
from probe.analyses.structure.nulls import Draws, Start, p_values, scaled
from probe.analyses.structure.view import View
from probe.population import initial_population

OUT = Path(__file__).resolve().parents[1] / "reports" / "samples" / "calibration" / "results.json"
N_BLOCKS, N_NETWORKS, N_NULL, ALPHA = 16, 6, 499, 0.05
"""Networks of a block share their draws."""

SHARES = 0.3, 0.5, 0.7
"""Of the mean square that combinations of images are given."""

full, rng, rows = probe.load_dataset("mnist"), np.random.default_rng(0), {}
for size in (28, 12):
    low = (28 - size) // 2
    train = full.train.images[:20_000, low : low + size, low : low + size]
    active = (train != train[:1]).any(axis=0)
    meter = meter_of(active)
    for kind in ("glorot", "he", "normal"):
        rejected = {"start": [], "start and images": []}
        for _ in range(N_BLOCKS):
            draws = Draws(train[:5_000], meter, N_NULL, rng.spawn(1)[0])
            networks = initial_population(
                probe.MLP(initialization=kind),
                (size, size),
                full.train.class_names,
                rngs=rng.spawn(N_NETWORKS),
            )
            for network in networks.networks():
                images = View.of(network, "first").images(network)
                start = Start.of(images, active, "weights", draws.quiet)
                rejected["start"].append(p_values(meter(images), draws.measured(start, 0))[1] <= ALPHA)
                sums = rng.standard_normal((len(images), 10_000), np.float32) @ train[10_000:].reshape(
                    10_000, -1
                )
                share, level = rng.choice(SHARES), np.square(images[:, active]).mean()
                size_of_sums = np.full(len(images), np.sqrt(level * share / (1 - share)))
                images = images + scaled(sums.reshape(images.shape), size_of_sums, active)
                start, values = Start.of(images, active, "weights", draws.quiet), meter(images)
                for level in np.unique(start.levels):
                    units = start.levels == level
                    null = draws.measured(start, int(level))
                    rejected["start and images"].append(p_values(values[units], null)[1] <= ALPHA)
        found = {name: float(np.concatenate(each).mean()) for name, each in rejected.items()}
        rows[f"{kind}, {size} x {size}"] = found
        print(
            f"| {kind}, {size} x {size} | {found['start']:.1%} | {found['start and images']:.1%} |",
            flush=True,
        )

network = probe.load_network(OUT.parents[1] / "mnist" / "model.h5")
bench = Bench.of(View.of(network, "first"), full, 999, rng)
planted = Planted.of(measured(network, bench, ALPHA), bench, ALPHA, rng)
rows["found"] = {"random": planted.random_power, "edges": planted.edge_power}
print(
    f"of planted edges {planted.random_power:.0%} have structure, and {planted.edge_power:.0%} count as edges"
)
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(
    json.dumps({"n_units": N_BLOCKS * N_NETWORKS * 16, "n_null": N_NULL, "alpha": ALPHA} | rows, indent=2)
    + "\n"
)
