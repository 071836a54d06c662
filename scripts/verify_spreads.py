"""How much networks differ: the spreads that the tolerances of `probe verify` are declared from (8 minutes on 2 cores).

Pilot networks, of another seed than any table has by default. Only standard deviations are printed: nobody who declares a
tolerance by them sees what it will be held against.
"""

import numpy as np
from joblib import Parallel, delayed

import probe
from probe.analyses.verification import EXPERIMENTS
from probe.analyses.verification.bench import Bench

PILOT_SEED, N_NETWORKS = 1_000_003, 8
PILOTS = (
    "nielsen-30",
    "nielsen-entropy",
    "nielsen-decayed",
    "lesson-recipe",
    "lesson-tweaks",
    "nielsen-few",
    "nielsen-rates",
    "nielsen-starts",
)
"""Experiments with rows that are about a number of MNIST, at size small."""


def spreads(key: str) -> dict[str, float]:
    """Return the standard deviation between pilot networks of each row of an experiment."""
    rng = np.random.default_rng((PILOT_SEED, len(key)))
    values = EXPERIMENTS[key].measure(Bench(probe.load_dataset("mnist"), "small", N_NETWORKS, rng))
    return {row: float(of.std(ddof=1)) for row, of in values.items() if len(of) > 1}


if __name__ == "__main__":
    for found in Parallel(n_jobs=2, return_as="generator")(map(delayed(spreads), PILOTS)):
        for row, spread in found.items():
            print(f"{row}: {spread:.5f}", flush=True)
