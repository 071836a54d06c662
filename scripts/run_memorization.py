"""The full memorization study, into reports/samples/memorization: python scripts/run_memorization.py.

Four parts, each a study that goes on where it was if it is started again: the standard study (784-128-10 ReLU,
5,000 digits, five shares of random labels, 20 replicates); Arpit et al.'s network of two layers of 16 units on
1,000 digits with loss-sensitivity and critical samples; capacities of small networks; and Feldman and Zhang's
memorization scores.
"""

from functools import partial
from pathlib import Path

from probe import MLP, workflow

OUT = Path(__file__).resolve().parent.parent / "reports" / "samples" / "memorization"
WIDE = (MLP((128,), "relu"),)
SMALL = (*(MLP((width,), "relu") for width in (4, 8, 16)), MLP((16, 16), "sigmoid"))

if __name__ == "__main__":
    run = partial(workflow.run_study, backend=workflow.Backend(workers=2), overwrite=True)
    studies = (
        run(
            "memorization",
            WIDE,
            training={"epochs": 150, "batch_size": 100},
            options={"n_samples": 5000, "corruption": (0.0, 0.25, 0.5, 0.75, 1.0), "replicates": 20},
            out=OUT,
        ),
        run(
            "memorization",
            (MLP((16, 16), "relu"),),
            options={
                "corruption": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
                "replicates": 10,
                "dynamics": "sensitivity",
            },
            out=OUT / "sensitivity",
        ),
        run("capacity", SMALL, options={"updates": 3000}, out=OUT / "capacity"),
        run("memorization_scores", WIDE, options={"corruption": 0.2}, out=OUT / "scores"),
    )
    for written in studies:
        print(written.summary)
        print(f"wrote {written.files[0]}")
