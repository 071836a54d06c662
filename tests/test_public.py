import json
import subprocess
import sys

import numpy as np
import pytest

import probe

# The program of the issue; only the name of the data is a variable.
PROGRAM = """
import probe

split = probe.load_dataset("{data}")
architecture = probe.MLP(hidden=(16, 16), activation="sigmoid", output="softmax")
config = probe.TrainingConfig(epochs=10, batch_size=100, learning_rate=0.5, cost="cross-entropy", optimizer="sgd")
trained = probe.train(architecture, split, config, seed=0)
trained.network, trained.history.test_accuracy[-1]
many = probe.train_population(architecture, split, config, n_networks=32, seed=0)
many.population.network(3), many.history.test_accuracy          # (n_networks, n_epochs)

probe.save_network(trained.network, "digits.h5")
network = probe.load_network("digits.h5")
x = split.test.images[:100]                                      # (100, 28, 28)
network.logits(x), network.predict_proba(x), network.predict(x)  # (100, 10), (100, 10), (100,)
network.activations(x)                                           # {{layer name: array}}
network.input_gradient(x, probe.class_logit(3))                  # (100, 28, 28)

images = probe.weight_images(network)                            # images.images (16, 28, 28), images.scale
best = probe.maximize(network, [probe.class_logit(k) for k in range(10)], restarts=4, steps=200, seed=0)
noise = probe.noise_confidence(network, split, seed=0)
pair = probe.memorization(probe.MLP(hidden=(64,), activation="relu"), split, n_samples=1000, replicates=8, seed=0)
for result in (images, best, noise, pair):
    probe.plot(result)                                           # a matplotlib figure of each
"""

# What its comments promise.
CHECKS = """
import json
import numpy as np
from matplotlib.figure import Figure

assert np.array_equal(network.logits(x), trained.network.logits(x))
print(json.dumps({{
    "accuracy": trained.history.test_accuracy[-1],
    "many": many.history.test_accuracy.shape,
    "logits": network.logits(x).shape,
    "proba": network.predict_proba(x).shape,
    "predict": network.predict(x).shape,
    "activations": {{name: y.shape for name, y in network.activations(x).items()}},
    "gradient": network.input_gradient(x, probe.class_logit(3)).shape,
    "images": images.images.shape,
    "figures": [isinstance(probe.plot(result), Figure) for result in (images, best, noise, pair)],
}}))
"""


@pytest.mark.parametrize(("data", "side", "accuracy"), [("mnist", 28, 0.9), ("digits", 8, 0.3)])
def test_the_program_of_the_issue_runs_from_any_folder(data, side, accuracy, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", (PROGRAM + CHECKS).format(data=data)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found.pop("accuracy") > accuracy
    assert found == {
        "many": [32, 10],
        "logits": [100, 10],
        "proba": [100, 10],
        "predict": [100],
        "activations": {
            "flatten": [100, side**2],
            "hidden_1": [100, 16],
            "hidden_2": [100, 16],
            "output": [100, 10],
        },
        "gradient": [100, side, side],
        "images": [16, side, side],
        "figures": [True] * 4,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["digits.h5"]


def in_python(program, folder):
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_loads_nothing_heavy(tmp_path):
    program = "import json, sys; import probe; dir(probe); print(json.dumps(sorted(sys.modules)))"
    loaded = {name.partition(".")[0] for name in in_python(program, tmp_path)}
    assert not loaded & {
        "numpy",
        "scipy",
        "sklearn",
        "h5py",
        "matplotlib",
        "joblib",
        "rich",
        "typer",
        "jinja2",
    }


def test_training_loads_neither_files_nor_figures(tmp_path):
    program = """
import json, sys
import probe
probe.TrainingConfig, probe.MLP, probe.Network, probe.train, probe.maximize
print(json.dumps(sorted(sys.modules)))
"""
    loaded = {name.partition(".")[0] for name in in_python(program, tmp_path)}
    assert "numpy" in loaded
    assert not loaded & {"sklearn", "matplotlib", "rich", "typer", "jinja2"}


def test_every_public_name_can_be_used():
    assert sorted(probe.__all__) == sorted([*probe._MODULES, "__version__"])
    for name in probe.__all__:
        value = getattr(probe, name)
        assert name == "__version__" or value.__doc__
        assert name in dir(probe)


def test_every_public_name_lives_where_the_table_says():
    for name, module in probe._MODULES.items():
        assert name in sys.modules.get(module, __import__(module, fromlist=[name])).__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'probe' has no attribute 'trian'"):
        probe.trian  # noqa: B018


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert version("hidden-layer-probe") == probe.__version__
    assert np.lib.NumpyVersion(probe.__version__)
