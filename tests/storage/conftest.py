"""Real Keras on its NumPy backend, and small networks to store."""

import os

# Keras reads this once, when it is first imported; whichever test comes first must find it.
os.environ["KERAS_BACKEND"] = "numpy"

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from probe.layers import Dense
from probe.network import Network

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def keras() -> ModuleType:
    import keras

    assert keras.backend.backend() == "numpy"
    return keras


@pytest.fixture
def small_network() -> Network:
    rng = np.random.default_rng(0)
    hidden = Dense("hidden", rng.normal(size=(4, 5)).astype("f4"), rng.normal(size=5).astype("f4"), "relu")
    output = Dense("output", rng.normal(size=(5, 3)).astype("f4"), np.zeros(3, "f4"), "softmax")
    return Network((hidden, output), (4,), ("a", "b", "c"))


@pytest.fixture(scope="session")
def hostile() -> Path:
    return HERE / "hostile"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    return HERE / "fixtures"
