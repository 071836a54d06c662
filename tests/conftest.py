"""What many tests need: small data, one trained network, and derivatives by differences."""

import gc
import io
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

import probe
from probe.layers import Dense
from probe.network import Network
from probe.pages._drawing import Drawn

# Keras reads this once, when it is first imported; whichever test comes first must find it.
os.environ["KERAS_BACKEND"] = "numpy"

# No test reads what a user's commands kept, or keeps anything there.
os.environ["PROBE_CACHE"] = "off"

# Some tests use what those of another folder have.
sys.path += [str(Path(__file__).parent / folder) for folder in ("figures", "sweep", "workflow")]

# Modules that tests of PyTorch share cannot be imported without it, and are looked at for examples.
collect_ignore = [] if find_spec("torch") else ["imports/torch_operations.py", "imports/torch_zoo.py"]

# No test depends on how fast the machine is.
settings.register_profile("probe", deadline=None)
settings.load_profile("probe")


LONGEST = (
    "pages/test_report.py",
    "test_packaging.py",
    "sweep/test_sweep_dask.py",
    "workflow/",
    "test_public.py",
    "analyses/",
    "figures/",
    "cli/",
    "pages/",
    "sweep/",
    "test_curvature.py",
    "kerasfile/test_kerasfile_fuzz.py",
    "safeh5/",
)
"""The files that take longest are begun first, so that no worker is left alone with one of them."""


def pytest_collection_modifyitems(items):
    folder = Path(__file__).parent

    def turn(item):
        name = item.path.relative_to(folder).as_posix() if item.path.is_relative_to(folder) else ""
        return next((k for k, start in enumerate(LONGEST) if name.startswith(start)), len(LONGEST))

    items.sort(key=turn)


def pytest_collection_finish():
    # Each picture ends with a garbage collection: it need not look at thousands of tests and what they imported.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def digits() -> probe.Split:
    return probe.load_dataset("digits")


@pytest.fixture(scope="session")
def small_digits(digits: probe.Split) -> probe.Split:
    return probe.Split(digits.train.take(slice(0, 200)), digits.test.take(slice(0, 80)), "digits")


@pytest.fixture(scope="session")
def trained(digits: probe.Split) -> Network:
    config = probe.TrainingConfig(epochs=25, batch_size=20)
    return probe.train(probe.MLP(hidden=(12, 9)), digits, config, seed=0).network


@pytest.fixture
def small_network() -> Network:
    rng = np.random.default_rng(0)
    hidden = Dense("hidden", rng.normal(size=(4, 5)).astype("f4"), rng.normal(size=5).astype("f4"), "relu")
    output = Dense("output", rng.normal(size=(5, 3)).astype("f4"), np.zeros(3, "f4"), "softmax")
    return Network((hidden, output), (4,), ("a", "b", "c"))


@pytest.fixture(scope="session", autouse=True)
def nobody_else_draws():
    """No further processes for pictures: the tests have all cores already, and some change how pictures are drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("probe.pages._drawing.available_workers", lambda: 1)
        yield


@pytest.fixture(scope="session", autouse=True)
def nobody_else_trains():
    """No further processes for training either, but where a test asks for them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_COLD_SECONDS", "_WARM_SECONDS"):
            patch.setattr(f"probe._processes.{name}", math.inf)
        yield


@pytest.fixture
def in_processes(monkeypatch):
    """All that can be done in other processes is, however short."""
    for name in ("_COLD_SECONDS", "_WARM_SECONDS"):
        monkeypatch.setattr(f"probe._processes.{name}", 0.0)
    monkeypatch.setattr("probe._processes.available_workers", lambda most=None: min(2, most or 2))


@pytest.fixture(autouse=True)
def no_browser(monkeypatch):
    """No test opens a page: what `probe --open` would show is listed."""
    shown = []
    monkeypatch.setattr("webbrowser.open", lambda address: shown.append(address) or True)
    return shown


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Pages have a black dot for each picture: for tests of all the rest, as drawing takes most of the time."""
    dot = io.BytesIO()
    Image.new("RGB", (1, 1)).save(dot, "png")
    drawn = Drawn(dot.getvalue(), b"<svg/>")
    monkeypatch.setattr(
        "probe.pages._drawing.Easel.drawn", lambda self, drawings, *progress: [drawn] * len(drawings)
    )


@pytest.fixture(scope="session")
def no_threads_in() -> Callable[..., AbstractContextManager[None]]:
    """A block in which no thread can be started, as in a browser."""

    @contextmanager
    def block(error: BaseException | None = None) -> Iterator[None]:
        def refuse(thread: threading.Thread) -> None:
            raise error or RuntimeError("can't start new thread")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            yield

    return block


@pytest.fixture
def no_threads(no_threads_in) -> Iterator[None]:
    """No thread can be started, as in a browser."""
    with no_threads_in():
        yield


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


@pytest.fixture(scope="session")
def gray_canvas() -> Callable[..., np.ndarray]:
    """What a grid of gray images shows, from 0 to 1 in 256 steps, NaN between the images; colors as they are."""

    def canvas(image):
        pixels = np.asarray(image.get_array())
        if pixels.shape[-1] == 3:
            return pixels / 255
        assert (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all()
        return np.where(pixels[..., 3] > 0, pixels[..., 0] / 255, np.nan)

    return canvas
