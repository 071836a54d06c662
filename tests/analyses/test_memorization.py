import re
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

import probe
from probe._checks import InputError
from probe.analyses.memorization import THRESHOLDS, LabelArm, Memorization
from probe.training import TrainingConfig

ARCHITECTURE = probe.MLP((24,), "relu")
CONFIG = TrainingConfig(epochs=150, batch_size=20, learning_rate=0.3, stop="fitted")


def run(split, config=CONFIG, architecture=ARCHITECTURE, **more):
    arguments = {"n_samples": 60, "replicates": 3, "n_test": 100, "seed": 0} | more
    return probe.memorization(architecture, split, config, **arguments)


@pytest.fixture(scope="module")
def found(digits):
    return run(digits)


def arrays(result):
    for arm in result.arms:
        yield from (arm.cost, arm.train_accuracy, arm.test_accuracy, arm.updates)
    yield result.label_agreement


def test_the_result_says_what_was_done(found, digits):
    assert (found.n_samples, found.n_replicates, found.updates_per_epoch) == (60, 3, 3)
    assert found.architecture == "64-24-10 relu"
    assert found.config == CONFIG
    assert found.thresholds == THRESHOLDS
    assert found.n_test == 100
    # The test images are drawn, so the commonest class of the sample is near that of all of them.
    assert found.chance == pytest.approx(0.1, abs=0.08)
    assert (found.chance * 100) % 1 == pytest.approx(0)
    assert [arm.name for arm in found.arms] == ["true", "random"]
    for arm in found.arms:
        assert arm.cost.shape == arm.train_accuracy.shape == arm.test_accuracy.shape
        assert arm.updates.shape == (3, 4)


def test_both_arms_are_fitted_and_only_true_labels_generalise(found):
    assert (found.true.train_accuracy[:, -1] == 1).all()
    assert (found.random.train_accuracy[:, -1] == 1).all()
    assert (found.true.test_accuracy[:, -1] > 0.5).all()
    assert (found.random.test_accuracy[:, -1] < 0.35).all()
    assert (found.random.updates[:, -1] > found.true.updates[:, -1]).all()


@pytest.mark.parametrize("arm", [0, 1])
def test_updates_are_where_the_curve_first_reaches_the_threshold(found, arm):
    curves, updates = found.arms[arm].train_accuracy, found.arms[arm].updates
    for curve, counts in zip(curves, updates, strict=True):
        for threshold, count in zip(THRESHOLDS, counts, strict=True):
            epoch = round(count / found.updates_per_epoch)
            assert count == epoch * 3
            assert curve[epoch - 1] >= threshold
            assert (curve[: epoch - 1] < threshold).all()


def test_a_threshold_never_reached_is_not_a_number(digits):
    short = run(digits, TrainingConfig(epochs=2, batch_size=20, learning_rate=1e-6))
    assert np.isnan(short.random.updates[:, 1:]).all()
    assert short.slowdown() is None


def test_the_arms_share_their_start_and_their_order(digits):
    # With a vanishing rate both arms stay at their start: the same accuracy on the test images, but not the
    # same cost, because the labels differ.
    tiny = TrainingConfig(epochs=1, batch_size=60, learning_rate=1e-12)
    result = run(digits, tiny)
    np.testing.assert_array_equal(result.true.test_accuracy, result.random.test_accuracy)
    assert len({*result.true.test_accuracy[:, 0]}) > 1
    assert not np.allclose(result.true.cost, result.random.cost, rtol=1e-6)


def test_permuted_labels_keep_the_class_counts(digits):
    # Where all images are the same one, the cost of a full batch depends on the class counts alone.
    images = np.repeat(digits.train.images[:1], 60, axis=0)
    same = probe.Dataset(images, digits.train.labels[:60], digits.train.class_names)
    split = probe.Split(same, digits.test, "one image")
    config = TrainingConfig(epochs=3, batch_size=60, learning_rate=0.1)
    result = run(split, config, n_samples=60)
    np.testing.assert_allclose(result.true.cost, result.random.cost, rtol=1e-5)
    assert (result.label_agreement < 0.5).all()


def test_the_share_of_random_labels_that_are_right_is_about_a_tenth(digits):
    config = TrainingConfig(epochs=1, batch_size=500)
    agreement = run(digits, config, n_samples=500, replicates=6).label_agreement
    assert agreement.shape == (6,)
    # Each has a standard error of 0.013.
    assert (np.abs(agreement - 0.1) < 0.07).all()
    assert len(set(agreement)) > 1


def test_replicates_differ_and_do_not_depend_on_how_many_there_are(found, digits):
    two = run(digits, replicates=2)
    length = two.true.cost.shape[1]
    for arm, fewer in zip(found.arms, two.arms, strict=True):
        # A shorter history ends when all of its networks are frozen.
        np.testing.assert_array_equal(fewer.cost, arm.cost[:2, :length])
        np.testing.assert_array_equal(fewer.updates, arm.updates[:2])
        assert not np.array_equal(arm.cost[0], arm.cost[1])


def test_the_number_of_workers_does_not_matter(found, digits):
    for workers in (1, 2):
        for one, other in zip(arrays(found), arrays(run(digits, workers=workers)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_another_seed_is_another_experiment(found, digits):
    assert not np.array_equal(run(digits, seed=1).true.cost[:, :3], found.true.cost[:, :3])


def test_progress_reaches_its_total(digits):
    events = []
    run(digits, progress=events.append)
    assert {event.stage for event in events} == {"memorising"}
    assert events[-1].done == events[-1].total == 3 * 150


def test_test_images_are_the_first_ones_at_most_all(digits):
    config = TrainingConfig(epochs=1)
    everything = run(digits, config, n_test=10**6)
    assert everything.chance == np.bincount(digits.test.labels).max() / len(digits.test)
    counts = everything.true.test_accuracy * len(digits.test)
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-6)


def by_updates(true, random):
    def arm(name, last):
        updates = np.column_stack([np.ones((len(last), 3)), last])
        return LabelArm(name, *(np.zeros((len(last), 2)) for _ in range(3)), updates)

    return Memorization(
        arm("true", true), arm("random", random), THRESHOLDS, 3, 60, 100, 0.1, np.zeros(len(true)), "", CONFIG
    )


def test_the_slowdown_is_the_geometric_mean_of_the_paired_ratios():
    result = by_updates([10.0, 20.0, 40.0], [40.0, 40.0, 640.0])
    found = result.slowdown()
    assert found.estimate == pytest.approx((4 * 2 * 16) ** (1 / 3))
    # t of 2 degrees of freedom at 97.5% is 4.3027; the logarithms to base 2 are 2, 1 and 4.
    half = 4.3026527 * np.std([2, 1, 4], ddof=1) / np.sqrt(3)
    assert found.low == pytest.approx(2 ** (7 / 3 - half), rel=1e-6)
    assert found.high == pytest.approx(2 ** (7 / 3 + half), rel=1e-6)
    assert found.n == 3
    assert result.slowdown(0.5).estimate == 1


def test_there_is_no_slowdown_where_one_network_did_not_get_there():
    assert by_updates([10.0, 20.0], [40.0, np.nan]).slowdown() is None


def test_the_slowdown_at_an_unknown_threshold_is_refused():
    with pytest.raises(InputError, match="threshold must be one of"):
        by_updates([10.0], [20.0]).slowdown(0.7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 1443}, "n_samples must be an integer from 2 to 1442, got 1443"),
        ({"n_samples": 1}, "n_samples must be an integer from 2 to 1442, got 1"),
        ({"replicates": 0}, "replicates must be an integer of at least 1, got 0"),
        ({"n_test": 0}, "n_test must be an integer of at least 1, got 0"),
        ({"workers": 0}, "workers must be an integer of at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(digits, arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        run(digits, **arguments)


def test_a_network_that_diverges_is_an_error(digits):
    wild = TrainingConfig(epochs=3, learning_rate=1e30, weight_decay=1.0, cost="quadratic")
    with pytest.raises(
        InputError, match="a network diverged at learning_rate 1e\\+30; pass a configuration with"
    ):
        run(digits, wild)


def test_curves_need_an_evaluation_after_every_epoch(digits):
    # Without, the updates to a threshold reached on the way would be wrong, or said not to be reached.
    with pytest.raises(InputError, match="evaluation"):
        run(digits, replace(CONFIG, stop="never", evaluation="end", epochs=2))


def test_ctrl_c_does_not_leave_a_result_that_looks_complete(digits):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop(event):
        if event.done == 20:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    endless = TrainingConfig(epochs=100_000, batch_size=20, learning_rate=1e-9)
    try:
        result = run(digits, endless, workers=1, progress=stop)
    except KeyboardInterrupt:
        pass
    else:
        assert result.interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_keeps_the_replicates_that_are_complete(digits):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    config = TrainingConfig(epochs=200, batch_size=20, learning_rate=0.1)

    def stop(event):
        if event.done == 450:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    try:
        result = run(digits, config, workers=1, progress=stop)
    finally:
        signal.signal(signal.SIGINT, before)
    complete = run(digits, config, replicates=2)
    assert result.interrupted
    assert not complete.interrupted
    assert result.n_replicates == 2
    for one, other in zip(arrays(result), arrays(complete), strict=True):
        np.testing.assert_array_equal(one, other)
