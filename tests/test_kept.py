"""What is derived from arrays is computed once, counted, and gone with them."""

import gc
import pickle
import threading
import time
import weakref

import numpy as np
import pytest

import probe
from probe import _kept
from probe._kept import frozen, kept, kept_bytes
from probe.training import PreparedData, TrainingConfig, shard


def array(n=4):
    return frozen(np.arange(n, dtype=np.float32))


def counted(value=None):
    """Return a function to compute, and the list of its calls."""
    calls = []
    return lambda: (calls.append(1), value)[1], calls


@pytest.fixture
def prepared(monkeypatch):
    """The calls of what prepares inputs."""
    calls = []

    def noted(values, columns, dtype):
        calls.append(len(values))
        return make(values, columns, dtype)

    make = shard.pixels_of
    monkeypatch.setattr(shard, "pixels_of", noted)
    return calls


def test_the_same_of_the_same_array_is_computed_once():
    ours = array()
    compute, calls = counted()
    for view in (ours, ours[:], ours.view()):
        kept((view,), "a", compute)
    assert len(calls) == 1
    kept((ours,), "b", compute)
    kept((ours[1:],), "a", compute)
    kept((array(),), "a", compute)
    assert len(calls) == 4


def test_nothing_is_kept_of_what_can_be_written_to():
    ours = np.arange(4.0)
    view = ours.view()
    view.flags.writeable = False
    compute, calls = counted()
    for _ in range(2):
        kept((view,), "a", compute)
    assert len(calls) == 2


def test_threads_that_ask_at_the_same_time_compute_once():
    ours, calls = array(), []
    barrier = threading.Barrier(4)

    def compute():
        calls.append(1)
        time.sleep(0.05)
        return 7

    def ask(found):
        barrier.wait()
        found.append(kept((ours,), "a", compute))

    found = []
    threads = [threading.Thread(target=ask, args=(found,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [7] * 4
    assert len(calls) == 1


def test_what_failed_is_tried_again():
    ours = array()
    with pytest.raises(ZeroDivisionError):
        kept((ours,), "a", lambda: 1 / 0)
    assert kept((ours,), "a", lambda: 3) == 3


def test_values_are_counted_and_go_with_their_array():
    before = kept_bytes()
    ours = array()
    kept((ours,), "a", lambda: np.zeros(1000, np.uint8))
    assert kept_bytes() == before + 1000
    del ours
    gc.collect()
    assert kept_bytes() == before


def test_the_first_go_where_there_is_no_room(monkeypatch):
    monkeypatch.setattr(_kept, "_ENTRIES", {})
    monkeypatch.setattr(_kept, "_MOST_BYTES", 2500)
    ours = array()
    compute, calls = counted(np.zeros(1000, np.uint8))
    for key in "abc":
        kept((ours,), key, compute)
    assert kept_bytes() == 2000
    kept((ours,), "c", compute)
    assert len(calls) == 3
    kept((ours,), "a", compute)
    assert len(calls) == 4


def test_what_is_too_large_is_not_kept_and_drives_nothing_out(monkeypatch):
    monkeypatch.setattr(_kept, "_ENTRIES", {})
    monkeypatch.setattr(_kept, "_MOST_BYTES", 2500)
    ours = array()
    kept((ours,), "small", lambda: np.zeros(1000, np.uint8))
    compute, calls = counted(np.zeros(3000, np.uint8))
    for _ in range(2):
        assert kept((ours,), "large", compute).nbytes == 3000
    assert len(calls) == 2 and kept_bytes() == 1000


def test_nothing_is_left_on_an_array_of_what_is_kept_no_more():
    ours, before = array(), len(weakref.finalize._registry)
    for _ in range(50):
        other = array()
        kept((ours, other), "pair", object)
        del other
        gc.collect()
    assert len(weakref.finalize._registry) == before


def test_training_prepares_the_data_once(digits, prepared):
    data = probe.Split(digits.train.take(np.arange(300)), digits.test.take(np.arange(100)), "digits, a part")
    config = TrainingConfig(epochs=1)
    first = probe.train(probe.MLP(), data, config)
    assert prepared == [300, 100]
    again = probe.train(probe.MLP(), data, config)
    shuffled = data.train.with_labels(data.train.labels[::-1].copy())
    probe.train(probe.MLP((4,)), probe.Split(shuffled, data.test, "other labels"), config)
    assert prepared == [300, 100]
    for ours, theirs in zip(first.network.dense_layers, again.network.dense_layers, strict=True):
        np.testing.assert_array_equal(ours.kernel, theirs.kernel)
    # What the inputs depend on beside the images.
    PreparedData.of(data, TrainingConfig(dtype="float64"))
    assert prepared == [300, 100, 300, 100]
    PreparedData.of(probe.Split(data.train, data.test.take([1, 2]), "other test"), config)
    assert prepared == [300, 100, 300, 100, 2]


def test_weight_decay_makes_pixels_count_that_are_dark(prepared):
    data = probe.load_dataset("digits")
    dark = np.count_nonzero(data.train.images.any(axis=0).reshape(-1) == 0)
    assert dark
    without, decaying = (PreparedData.of(data, TrainingConfig(weight_decay=w)) for w in (0, 0.1))
    assert len(decaying.lit) == len(without.lit) + dark
    assert len(prepared) == 3


def test_images_that_can_be_written_to_are_read_anew():
    images = np.zeros((20, 4, 4), np.float32)
    images[:10, :2] = 1
    data = probe.Dataset(images, np.repeat([0, 1], 10), ("a", "b"))
    before = data.fingerprint
    images[0] = 0.5
    assert data.fingerprint != before


def test_a_data_set_in_a_pickle_is_no_larger_and_is_kept_again(digits, prepared):
    part = probe.Split(digits.train.take(np.arange(50)), digits.test.take(np.arange(20)), "part")
    size = len(pickle.dumps(part))
    PreparedData.of(part, TrainingConfig())
    assert len(pickle.dumps(part)) == size
    other = pickle.loads(pickle.dumps(part))
    for _ in range(2):
        PreparedData.of(other, TrainingConfig())
    assert prepared == [50, 20, 50, 20]


def test_a_fingerprint_is_computed_once(digits, monkeypatch):
    from probe.datasets import _dataset

    calls = []
    digest = _dataset.pixel_digest
    monkeypatch.setattr(_dataset, "pixel_digest", lambda images: (calls.append(1), digest(images))[1])
    part = digits.train.take(np.arange(30))
    first = part.fingerprint
    assert first == part.fingerprint
    assert part.with_labels(part.labels[::-1].copy()).fingerprint != first
    assert len(calls) == 1
