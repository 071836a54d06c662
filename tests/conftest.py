"""What many tests need: small data, one trained network, and derivatives by differences."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings

import probe

# No test depends on how fast the machine is.
settings.register_profile("probe", deadline=None)
settings.load_profile("probe")


@pytest.fixture(scope="session")
def digits() -> probe.Split:
    return probe.load_dataset("digits")


@pytest.fixture(scope="session")
def small_digits(digits: probe.Split) -> probe.Split:
    return probe.Split(digits.train.take(slice(0, 200)), digits.test.take(slice(0, 80)), "digits")


@pytest.fixture(scope="session")
def trained(digits: probe.Split) -> probe.Network:
    config = probe.TrainingConfig(epochs=25, batch_size=20)
    return probe.train(probe.MLP(hidden=(12, 9)), digits, config, seed=0).network


@pytest.fixture(scope="session")
def numeric_gradient() -> Callable[..., np.ndarray]:
    """Central differences of a function of one float64 array that returns a number."""

    def gradient(function, x, step=1e-6):
        x = x.astype(np.float64)
        slopes = np.empty_like(x)
        for place in np.ndindex(x.shape):
            high, low = x.copy(), x.copy()
            high[place] += step
            low[place] -= step
            slopes[place] = (function(high) - function(low)) / (2 * step)
        return slopes

    return gradient
