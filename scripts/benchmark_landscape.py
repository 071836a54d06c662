"""Speed of landscapes, into reports/samples/benchmark/landscape.json: python scripts/benchmark_landscape.py (two minutes).

500 networks 100-50-10 on MNIST scaled down to 10 x 10, 20 epochs at batches of 100, with all that `probe minima` does
around it, in two processes, against sgemm on two cores; Hessian-vector products of a population against its gradient;
and a plane of 51 x 51 points over 10,000 digits. Unset OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE before.
"""

import json
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

import probe
from probe import workflow
from probe.curvature import PopulationCost, vectors_of
from probe.datasets import resized
from probe.parameters import ParameterSpace
from probe.planes import measure_plane
from probe.population import initial_population

OUT = Path(__file__).resolve().parents[1] / "reports" / "samples" / "benchmark" / "landscape.json"


def seconds(function, times):
    """Return the median time of some calls."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        function()
        found.append(time.perf_counter() - began)
    return median(found)


def population(folder):
    """Return the seconds of 500 networks, and the GFLOP/s of two cores multiplying matrices."""
    split = resized(probe.load_dataset("mnist"), (10, 10))
    arrays = {"x_train": split.train.images, "y_train": split.train.labels}
    np.savez(folder / "mnist10.npz", **arrays, x_test=split.test.images, y_test=split.test.labels)
    training = {"epochs": 20, "learning_rate": 0.1, "schedule": "constant", "weight_decay": 0.0}
    options = {"n_networks": 500, "n_samples": 60_000, "polish": 0, "curvature": "none", "n_connected": 0}
    settings = {"training": training, "options": options, "backend": workflow.Backend(2, "processes")}
    data = str(folder / "mnist10.npz")
    relu = (probe.MLP((50,), "relu"),)
    took = seconds(lambda: workflow.run_study("minima", relu, **settings, data=data, out=folder), 1)
    matrix = np.random.default_rng(0).random((2000, 2000), np.float32)
    with threadpool_limits(2):
        peak = 2 * 2000**3 / seconds(lambda: matrix @ matrix, 15) / 1e9
    return took, 500 * 20 * 60_000 * (4 * 100 * 50 + 6 * 50 * 10) / took / 1e9, peak


def products():
    """Return the seconds of a gradient, of a product after it, and of both from the start."""
    data = probe.load_dataset("mnist").test
    rngs = np.random.default_rng(0).spawn(32)
    networks = initial_population(probe.MLP(), (28, 28), data.class_names, rngs=rngs)
    function = PopulationCost(networks.architecture, data.images.reshape(len(data), -1), data.labels, 10)
    vectors = vectors_of(networks)
    at = function.at(vectors)
    with threadpool_limits(1):
        rounds = [
            (
                seconds(lambda: function.gradient(vectors), 1),
                seconds(lambda: at.product(vectors), 1),
                seconds(lambda: function.at(vectors).product(vectors), 1),
            )
            for _ in range(9)
        ]
    return [median(column) for column in zip(*rounds, strict=True)]


def plane():
    """Return the seconds of 51 x 51 points over 10,000 digits, on two threads."""
    split = probe.load_dataset("mnist")
    network = probe.train(probe.MLP(), split, probe.TrainingConfig(epochs=1, learning_rate=1.0)).network
    space = ParameterSpace(network)
    rng = np.random.default_rng(0)
    directions = [space.filter_normalized(rng.normal(size=space.n_parameters)) for _ in range(2)]
    axis = np.linspace(-1, 1, 51)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    test = split.test
    return seconds(
        lambda: measure_plane(space, test.images, test.labels, np.stack(directions), grid, workers=2), 5
    )


if __name__ == "__main__":
    kernels = {pool["internal_api"]: pool.get("architecture") for pool in threadpool_info()}
    print(kernels)
    gradient, product, both = products()
    found = {
        "hessian_product_over_gradient": product / gradient,
        "hessian_product_from_scratch_over_gradient": both / gradient,
        "gradient_seconds_32_networks_10000_digits": gradient,
        "plane_51x51_10000_digits_seconds": plane(),
    }
    with tempfile.TemporaryDirectory() as folder:
        took, speed, peak = population(Path(folder))
    found |= {"500_networks_100-50-10_seconds": took, "gflops": speed, "sgemm_2_cores_gflops": peak}
    for name, value in found.items():
        print(f"{name}: {value:.3g}")
    OUT.write_text(json.dumps(found | {"kernels": kernels}, indent=2) + "\n")
