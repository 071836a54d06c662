"""How much networks differ: the spreads that the tolerances of `probe verify` are declared from (10 minutes on 2 cores).

Pilot networks, of another seed than any table has by default. Only standard deviations are printed: nobody who declares a
tolerance by them sees what it will be held against.
"""

import sys

import numpy as np
from joblib import Parallel, delayed

import probe
from probe.analyses.verification import EXPERIMENTS
from probe.analyses.verification.bench import Bench

PILOT_SEED, N_NETWORKS = 1_000_003, 8
PILOTS = {
    "nielsen-30": "small",
    "nielsen-entropy": "small",
    "nielsen-decayed": "small",
    "lesson-recipe": "small",
    "lesson-tweaks": "small",
    "nielsen-few": "small",
    "nielsen-rates": "small",
    "nielsen-starts": "small",
    "nielsen-entropy-100": "medium",
    "nielsen-decayed-100": "medium",
    "hendrycks": "small",
}


def spreads(key: str, size: str) -> dict[str, float]:
    """Return the standard deviation between pilot networks of each row of an experiment."""
    bench = Bench(
        probe.load_dataset("mnist"), size, N_NETWORKS, np.random.default_rng((PILOT_SEED, len(key)))
    )
    return {
        row: float(values.std(ddof=1))
        for row, values in EXPERIMENTS[key].measure(bench).items()
        if values.ndim == 1 and len(values) > 1
    }


if __name__ == "__main__":
    pilots = {key: PILOTS[key] for key in sys.argv[1:] or PILOTS}
    for found in Parallel(n_jobs=2, return_as="generator")(
        delayed(spreads)(*pilot) for pilot in PILOTS.items()
    ):
        for row, spread in found.items():
            print(f"{row}: {spread:.5f}", flush=True)
