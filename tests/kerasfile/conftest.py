"""Real Keras on its NumPy backend."""

from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def keras() -> ModuleType:
    import keras

    assert keras.backend.backend() == "numpy"
    return keras


@pytest.fixture(scope="session")
def hostile() -> Path:
    return HERE / "hostile"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    return HERE / "fixtures"
