"""The full memorization study, into reports/memorization: python scripts/run_memorization.py.

Four parts, each a sweep that goes on where it was if it is started again: the standard study (784-128-10 ReLU,
5,000 digits, five shares of random labels, 20 replicates); Arpit et al.'s network of two layers of 16 units on
1,000 digits with loss-sensitivity and critical samples; capacities of small networks; and Feldman and Zhang's
memorization scores.
"""

from pathlib import Path

from probe import MLP, TrainingConfig, workflow
from probe.analyses.capacity import CapacityDesign
from probe.analyses.memorization import MemorizationDesign
from probe.analyses.scores import ScoresDesign

OUT = Path(__file__).resolve().parent.parent / "reports" / "memorization"
TWO = workflow.Backend(workers=2)

STANDARD = MemorizationDesign(
    architectures=(MLP(hidden=(128,), activation="relu"),),
    n_samples=(5000,),
    corruption=(0.0, 0.25, 0.5, 0.75, 1.0),
    replicates=20,
    config=TrainingConfig(epochs=150, batch_size=100, learning_rate=0.1, stop="fitted"),
)
SENSITIVITY = MemorizationDesign(
    architectures=(MLP(hidden=(16, 16), activation="relu"),),
    n_samples=(1000,),
    corruption=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    replicates=10,
    config=TrainingConfig(epochs=300, batch_size=50, learning_rate=0.1, stop="fitted"),
    dynamics="sensitivity",
)
CAPACITY = CapacityDesign(
    architectures=(
        *(MLP(hidden=(width,), activation="relu") for width in (4, 8, 16)),
        MLP(hidden=(16, 16), activation="sigmoid"),
    ),
    replicates=3,
    updates=3000,
)

SCORES = ScoresDesign(MLP(hidden=(128,), activation="relu"), corruption=0.2)

if __name__ == "__main__":
    studies = (
        workflow.memorize(STANDARD, out=OUT, backend=TWO),
        workflow.memorize(SENSITIVITY, out=OUT / "sensitivity", backend=TWO),
        workflow.memorize_capacity(CAPACITY, out=OUT / "capacity", backend=TWO),
        workflow.memorize_scores(SCORES, out=OUT / "scores", backend=TWO),
    )
    for written in studies:
        print(written.summary)
        print(f"wrote {written.files[0]}")
