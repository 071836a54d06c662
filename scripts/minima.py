"""Choromanska et al.'s study of local minima, into reports/samples/minima: python scripts/minima.py.

Ten minutes on 2 cores. One hidden layer of 25, 50, 100, 250 or 500 units on MNIST scaled down to 10 x 10 pixels, many
networks of each from different starts. A sweep: started again, it goes on where it was. It differs from the paper [1]
in this: 200 networks of each width and not 1,000; 20 epochs and not 200, at a rate that falls along half a cosine, the
largest of 0.1, 0.3 and 1, which gave the lowest training cost; starts after He et al. and not uniform in the unit
cube; each ten networks share the order of the images; and intervals over networks beside the paper's statements, which
are that the spread of the test loss and the correlation of training and test loss fall with the width. As there,
networks are where training left them: nothing says that these are minima.

[1] A. Choromanska, M. Henaff, M. Mathieu, G. Ben Arous, Y. LeCun, "The Loss Surfaces of Multilayer Networks",
AISTATS 2015.
"""

from pathlib import Path

import numpy as np

import probe
from probe import workflow
from probe.datasets import resized

OUT = Path(__file__).resolve().parents[1] / "reports" / "samples" / "minima"
DATA = OUT / "mnist-10x10.npz"
ARCHITECTURES = tuple(probe.MLP((width,), "relu") for width in (25, 50, 100, 250, 500))
TRAINING = {"epochs": 20, "learning_rate": 1.0, "weight_decay": 0.0}
OPTIONS = {"polish": 0, "curvature": "none", "n_connected": 0}

if __name__ == "__main__":
    split = resized(probe.load_dataset("mnist"), (10, 10))
    OUT.mkdir(parents=True, exist_ok=True)
    arrays = {"x_train": split.train.images, "y_train": split.train.labels}
    np.savez_compressed(DATA, **arrays, x_test=split.test.images, y_test=split.test.labels)
    written = workflow.run_study(
        "minima",
        ARCHITECTURES,
        training=TRAINING,
        options=OPTIONS | {"n_samples": len(split.train)},
        data=str(DATA),
        out=OUT,
        overwrite=True,
        backend=workflow.Backend(workers=2, backend="processes"),
    )
    print(written.summary)
    print(f"wrote {written.files[0]}")
