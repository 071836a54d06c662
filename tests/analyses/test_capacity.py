"""The search for a capacity: its logic on made-up learners, and real networks end to end."""

import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

import probe
from probe._checks import InputError
from probe.analyses.capacity import CapacityDesign, CapacityKey, CapacityStudy, CapacityTrial, capacity
from probe.analyses.capacity import study as module
from probe.study import run_study
from probe.training import TrainingConfig

CONFIG = TrainingConfig(epochs=100, batch_size=20, optimizer="adam", schedule="cosine", stop="fitted")
SMALL = probe.MLP((4,), "relu")
DESIGN = CapacityDesign((SMALL,), CONFIG, rates=(0.01, 0.03), starts=2, replicates=2, updates=1, largest=200)


def search(monkeypatch, digits, true_capacity, **changes):
    """Return the search where all numbers up to `true_capacity` are fitted, without training anything."""

    def fits(design, place, split, n, stop):
        return np.array([0.0, 1.0 if n <= true_capacity else 0.49])

    monkeypatch.setattr(module, "_fitted_share", fits)
    design = replace(DESIGN, replicates=1, **changes).settled(digits)
    return run_study(CapacityStudy(design), digits).trials[0][0]


@pytest.mark.parametrize("true_capacity", [2, 3, 17, 20, 63, 100, 640, 1001])
def test_the_search_ends_within_its_tolerance(monkeypatch, digits, true_capacity):
    found = search(monkeypatch, digits, true_capacity, largest=1400, tolerance=0.05)
    assert found.capacity <= true_capacity
    assert true_capacity <= found.capacity * 1.05 + 1
    assert not found.is_censored
    assert len(found.tried) <= 14
    assert len(set(found.tried.tolist())) == len(found.tried)


def test_a_network_that_fits_everything_is_censored(monkeypatch, digits):
    found = search(monkeypatch, digits, 10**6, largest=500)
    assert (found.capacity, found.is_censored) == (500, True)


def test_a_search_never_goes_beyond_the_data_on_its_own(monkeypatch, digits):
    assert search(monkeypatch, digits, 10**6, largest=None).tried.max() == len(digits.train) < 10_000
    with pytest.raises(InputError, match="the number of training images, got 2000"):
        search(monkeypatch, digits, 10**6, largest=2000)


def test_a_search_that_never_failed_makes_the_mean_a_lower_bound():
    trials = tuple(
        tuple(
            CapacityTrial(tried=np.array([100, 200]), fitted_share=np.array([[1.0], [float(fits)]]))
            for fits in row
        )
        for row in ([0, 0, 1], [1, 1, 1], [0, 0, 0])
    )
    found = module.capacity_of(
        replace(DESIGN, architectures=(SMALL,) * 3, replicates=3),
        {CapacityKey(a, r): trial for a, row in enumerate(trials) for r, trial in enumerate(row)},
        probe.load_dataset("digits"),
    )
    assert found.censored.tolist() == [[False, False, True], [True] * 3, [False] * 3]
    assert found.is_lower_bound.tolist() == [True, True, False]
    mixed, all_censored, known = found.intervals
    assert (mixed.estimate, mixed.high) == (pytest.approx(400 / 3), np.inf)
    assert 0 <= mixed.low < mixed.estimate
    assert (all_censored.estimate, all_censored.low, all_censored.high) == (200, 200, np.inf)
    assert (known.low, known.high) == (100, 100)


def test_a_network_that_fits_nothing_has_capacity_zero(monkeypatch, digits):
    found = search(monkeypatch, digits, 0)
    assert (found.capacity, found.is_censored) == (0, False)


def test_networks_fit_what_the_search_says_and_fail_beyond(digits):
    found = capacity(
        SMALL, digits, CONFIG, rates=(0.01, 0.03), starts=2, replicates=2, updates=1, largest=200
    )
    assert found.architectures == ("64-4-10 relu",)
    assert found.n_parameters.tolist() == [65 * 4 + 5 * 10]
    assert found.capacities.shape == (1, 2)
    assert ((found.capacities >= 8) & (found.capacities < 200)).all()
    assert not found.censored.any()
    for trial in found.trials[0]:
        for n, shares in zip(trial.tried, trial.fitted_share, strict=True):
            assert set(shares) <= {0.0, 0.5, 1.0}
            assert (shares >= 0.5).any() == (n <= trial.capacity)
    interval = found.intervals[0]
    assert interval.low <= found.capacities.mean() == interval.estimate <= interval.high


def test_few_images_get_more_epochs(digits):
    # 16 images are one minibatch: 5 epochs are 5 updates, which fit nothing.
    few = replace(CONFIG, epochs=5)
    arguments = {"rates": (0.03,), "starts": 2, "replicates": 1, "largest": 16}
    wide = probe.MLP((32,), "relu")
    assert capacity(wide, digits, few, updates=1, **arguments).capacities[0, 0] < 16
    assert capacity(wide, digits, few, updates=500, **arguments).capacities[0, 0] == 16


def test_a_wider_network_holds_more(digits):
    found = capacity(
        [SMALL, probe.MLP((16,), "relu")],
        digits,
        CONFIG,
        rates=(0.01,),
        starts=2,
        replicates=1,
        updates=1,
        largest=300,
    )
    assert found.capacities[1, 0] > 1.5 * found.capacities[0, 0]


def test_workers_do_not_matter_and_seeds_do(digits):
    arguments = {"rates": (0.03,), "starts": 1, "replicates": 2, "updates": 1, "largest": 100}
    one, two = (capacity(SMALL, digits, CONFIG, workers=workers, **arguments) for workers in (1, 2))
    np.testing.assert_array_equal(one.capacities, two.capacities)
    for mine, other in zip(one.trials[0], two.trials[0], strict=True):
        np.testing.assert_array_equal(mine.tried, other.tried)
        np.testing.assert_array_equal(mine.fitted_share, other.fitted_share)
    other = capacity(SMALL, digits, CONFIG, seed=3, **arguments)
    assert [t.tried.tolist() for t in other.trials[0]] != [t.tried.tolist() for t in one.trials[0]]


def test_searches_do_not_depend_on_how_many_there_are(digits):
    arguments = {"rates": (0.03,), "starts": 1, "updates": 1, "largest": 100}
    two, three = (capacity(SMALL, digits, CONFIG, replicates=n, **arguments) for n in (2, 3))
    for mine, other in zip(two.trials[0], three.trials[0], strict=False):
        np.testing.assert_array_equal(mine.tried, other.tried)
        np.testing.assert_array_equal(mine.fitted_share, other.fitted_share)


def test_what_is_found_is_kept_and_read_back(digits, tmp_path):
    found = capacity(SMALL, digits, CONFIG, rates=(0.03,), starts=1, replicates=2, updates=1, largest=40)
    again = probe.load_result(probe.save_result(found, tmp_path / "capacity.h5"), type(found))
    np.testing.assert_array_equal(again.capacities, found.capacities)
    assert again.design == found.design
    assert not again.capacities.flags.writeable


def test_ctrl_c_keeps_the_replicates_that_are_done(digits):
    def interrupt(event):
        if event.done == 54:
            signal.raise_signal(signal.SIGINT)

    found = capacity(
        SMALL,
        digits,
        CONFIG,
        rates=(0.03,),
        starts=1,
        replicates=15,
        updates=1,
        largest=60,
        progress=interrupt,
    )
    assert found.interrupted
    assert 1 <= found.capacities.shape[1] < 15


def test_a_set_stop_gives_a_search_up(digits):
    stop = threading.Event()
    stop.set()
    assert CapacityStudy(DESIGN).run(CapacityKey(0, 0, 16), None, digits, stop) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"largest": 10**6},
            "largest must be an integer from 2 to 1442, the number of training images, got 1000000",
        ),
        ({"rates": (0.1, 0.2, 0.1)}, "rates must hold each value once, got 0.1 twice"),
        ({"largest": 1}, "largest must be an integer of at least 2, got 1"),
        ({"rates": ()}, "architectures and rates must hold at least one value"),
        ({"rates": (-1,)}, "rates must be a finite number above 0, got -1"),
        ({"starts": 0}, "starts must be an integer of at least 1, got 0"),
        ({"updates": 0}, "updates must be an integer of at least 1, got 0"),
        ({"tolerance": 0}, "tolerance must be a finite number above 0, got 0"),
        ({"config": TrainingConfig()}, "config must have stop='fitted', got 'never'"),
        ({"workers": 0}, "workers must be an integer of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(digits, arguments, message):
    with pytest.raises(InputError, match=message):
        capacity(SMALL, digits, **({"config": CONFIG, "largest": 100} | arguments))
