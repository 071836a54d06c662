"""What training tells its caller on the way, and what Ctrl-C leaves."""

import signal
import threading
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

import probe
from probe.training import TrainingConfig

CONFIG = TrainingConfig(epochs=6, batch_size=10)


def train(split, progress, *, n_networks=4, shard_size=2, config=CONFIG, **more):
    return probe.train_population(
        probe.MLP((4,)),
        split,
        config,
        n_networks=n_networks,
        shard_size=shard_size,
        progress=progress,
        **more,
    )


@pytest.fixture
def ctrl_c() -> Iterator:
    """Return a function that does what Ctrl-C does, from whatever thread."""
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_epoch_of_every_shard_is_reported(small_digits, workers):
    events = []
    result = train(small_digits, events.append, workers=workers)
    assert [event.done for event in events] == list(range(1, 13))
    assert {(event.stage, event.total) for event in events} == {("training", 12)}
    assert all(event.note.startswith("cost ") for event in events)
    if workers == 1:
        last = float(np.median(result.history.cost[2:, -1]))
        assert events[-1].note == f"cost {last:.4f}"


def test_epochs_that_are_not_needed_count_as_done(small_digits):
    few = probe.Split(small_digits.train.take(slice(0, 5)), small_digits.test, "few")
    events = []
    config = TrainingConfig(epochs=400, batch_size=5, learning_rate=1.0, stop="fitted")
    result = train(few, events.append, config=config)
    assert (result.fitted_epoch > 0).all()
    assert len(events) < 800
    assert (events[-1].done, events[-1].total) == (800, 800)
    assert all(one.done < other.done for one, other in pairwise(events))


def test_without_an_evaluation_there_is_no_cost_to_report(small_digits):
    events = []
    train(small_digits, events.append, config=TrainingConfig(epochs=2, evaluation="end"), workers=1)
    assert [event.note.split(" ")[0] for event in events] == ["", "cost", "", "cost"]


def test_an_error_in_a_shard_ends_the_others_and_is_raised(small_digits):
    def fail(event):
        if event.done == 3:
            raise RuntimeError("the screen is full")

    config = TrainingConfig(epochs=100_000, batch_size=10, evaluation="end")
    with pytest.raises(RuntimeError, match="the screen is full"):
        train(small_digits, fail, config=config, workers=2)


@pytest.mark.parametrize("evaluation", ["epoch", "end"])
def test_ctrl_c_keeps_the_epochs_done(small_digits, ctrl_c, evaluation):
    config = TrainingConfig(epochs=100_000, batch_size=10, evaluation=evaluation)
    events = []

    def stop(event):
        events.append(event)
        if event.done == 20:
            ctrl_c()

    result = train(small_digits, stop, config=config, n_networks=2)
    history, done = result.history, result.history.n_epochs
    assert result.interrupted
    assert 20 <= done == len(events) < 100_000
    assert {values.shape for values in history.arrays().values()} == {(2, done)}
    assert np.isfinite(history.gradient_norm).all()
    assert np.isfinite(history.cost).all() == (evaluation == "epoch")
    # The networks are those of the last epoch in the history, and what was done is as without Ctrl-C.
    again = train(
        small_digits, probe._progress.silent, n_networks=2, config=TrainingConfig(epochs=done, batch_size=10)
    )
    for one, other in zip(result.population.weights, again.population.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    if evaluation == "epoch":
        np.testing.assert_array_equal(history.cost, again.history.cost)


def test_ctrl_c_with_shards_at_different_epochs_keeps_each_as_far_as_it_is(small_digits, ctrl_c):
    config = TrainingConfig(epochs=100_000, batch_size=10)
    result = train(
        small_digits, lambda event: ctrl_c() if event.done == 20 else None, config=config, workers=1
    )
    assert result.interrupted
    reached = np.isfinite(result.history.cost).sum(axis=1)
    assert reached[0] == reached[1] == result.history.n_epochs
    assert reached[2] == reached[3] == 0
    assert np.isnan(result.history.cost[2:]).all()
    assert result.diverged == ()


def test_ctrl_c_of_one_network(small_digits, ctrl_c):
    config = TrainingConfig(epochs=100_000, batch_size=10)
    result = probe.train(
        probe.MLP((4,)), small_digits, config, progress=lambda event: ctrl_c() if event.done == 20 else None
    )
    assert result.interrupted
    assert 20 <= result.history.n_epochs < 100_000
    assert np.isfinite(result.history.cost).all()


def test_ctrl_c_before_the_first_epoch_is_ctrl_c(digits, ctrl_c):
    # An epoch of single samples takes seconds; the signal comes long before its end.
    repeated = probe.Split(digits.train.take(np.arange(100_000) % 1000), digits.test, "long")
    timer = threading.Timer(0.3, ctrl_c)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        probe.train(probe.MLP((64,)), repeated, TrainingConfig(epochs=1, batch_size=1))
    timer.join()


def test_afterward_no_thread_is_left(small_digits):
    before = threading.active_count()
    train(small_digits, probe._progress.silent, workers=2)
    assert threading.active_count() == before
