"""The design of a memorization study, its trials, and what they come to in memory."""

import re
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

import probe
from probe._checks import DivergedError, InputError
from probe.analyses.memorization import (
    THRESHOLDS,
    MemorizationDesign,
    TrialKey,
    run_trial,
    sampled_test,
)
from probe.analyses.memorization.combine import memorization_of
from probe.analyses.memorization.study import chosen_conditions
from probe.analyses.memorization.trial import MemorizationTrial
from probe.training import TrainingConfig

ARCHITECTURE = probe.MLP((24,), "relu")
CONFIG = TrainingConfig(epochs=150, batch_size=20, learning_rate=0.3, stop="fitted")
DESIGN = MemorizationDesign(
    (ARCHITECTURE,), (60,), (0.0, 0.5, 1.0), replicates=3, config=CONFIG, n_test=100, seed=0
)


def run(split, config=CONFIG, architecture=ARCHITECTURE, **more):
    arguments = {"n_samples": 60, "replicates": 3, "corruption": (0, 0.5, 1), "n_test": 100, "seed": 0} | more
    return probe.memorization(architecture, split, config, **arguments)


def trial(split, design=DESIGN, key=None, conditions=None):
    key = TrialKey(0, 0, 0) if key is None else key
    return run_trial(design, key, design.conditions if conditions is None else conditions, split)


@pytest.fixture(scope="module")
def found(digits):
    return run(digits)


@pytest.fixture(scope="module")
def cell(found):
    return found.cells[0]


def arrays(result):
    for cell in result.cells:
        for name in cell.__slots__:
            if isinstance(getattr(cell, name), np.ndarray):
                yield name, getattr(cell, name)


# What a study says was done.


def test_the_result_says_what_was_done(found, cell, digits):
    assert (cell.n_samples, cell.n_replicates, cell.updates_per_epoch, cell.limit) == (60, 3, 3, 450)
    assert cell.architecture == "64-24-10 relu"
    assert cell.n_parameters == 65 * 24 + 25 * 10
    assert found.design == DESIGN
    assert found.thresholds == THRESHOLDS
    assert found.n_test == 100
    # The test images are drawn, so the commonest class of the sample is near that of all of them.
    assert found.chance == pytest.approx(0.1, abs=0.08)
    assert [condition.corruption for condition in cell.conditions] == [0, 0.5, 1]
    assert cell.names == ("true labels", "50% random labels", "random labels")
    assert cell.test_accuracy.shape == cell.cost.shape == (3, 3, cell.cost.shape[2])
    assert cell.updates.shape == (3, 3, 4)
    assert not any(values.flags.writeable for _, values in arrays(found))


def test_all_labels_are_fitted_and_only_true_ones_generalize(cell):
    assert (cell.train_accuracy[:, :, -1] == 1).all()
    assert (cell.test_accuracy[0, :, -1] > 0.5).all()
    assert (cell.test_accuracy[2, :, -1] < 0.35).all()
    assert (cell.updates[2, :, -1] > cell.updates[0, :, -1]).all()


def test_accuracy_on_the_true_labels_is_between_what_is_taught_and_what_is_true(cell):
    np.testing.assert_array_equal(cell.true_accuracy[0], cell.train_accuracy[0])
    # Everything is fitted, so what is right by the true labels are the labels that are right.
    np.testing.assert_allclose(cell.true_accuracy[:, :, -1], cell.label_agreement)
    # Early, half of the labels being wrong, the network knows better than it was taught.
    assert (cell.true_accuracy[1].max(axis=1) > cell.label_agreement[1]).all()


@pytest.mark.parametrize("condition", [0, 1, 2])
def test_updates_are_where_the_curve_first_reaches_the_threshold(cell, condition):
    for curve, counts in zip(cell.train_accuracy[condition], cell.updates[condition], strict=True):
        for threshold, count in zip(THRESHOLDS, counts, strict=True):
            epoch = round(count / cell.updates_per_epoch)
            assert count == epoch * 3
            assert curve[epoch - 1] >= threshold
            assert (curve[: epoch - 1] < threshold).all()


def test_a_threshold_never_reached_is_not_a_number(digits):
    short = run(digits, TrainingConfig(epochs=2, batch_size=20, learning_rate=1e-6))
    assert np.isnan(short.cells[0].updates[:, :, 1:]).all()
    assert short.slowdown() is None


def test_the_dynamics_add_up(cell):
    assert (cell.n_examples.sum(axis=2) == 60).all()
    np.testing.assert_array_equal(cell.n_examples[:, :, 0] / 60, cell.label_agreement)
    np.testing.assert_array_equal(cell.forgetting.sum(axis=3), cell.n_learned)
    assert (cell.n_learned == cell.n_examples).all()  # everything was fitted
    known = cell.n_learned > 0
    # Up to nine events a bin has one value, so the mean follows from the counts.
    exact = known & (cell.forgetting[..., -1] == 0)
    means = (cell.forgetting * np.arange(11)).sum(axis=3)[exact] / cell.n_learned[exact]
    np.testing.assert_allclose(cell.mean_forgetting[exact], means)
    assert np.isnan(cell.mean_forgetting[~known]).all()


def test_examples_learned_in_the_last_epoch_are_not_counted_as_never_forgotten(digits):
    found = trial(digits)
    conditions = {(0, 0): DESIGN.conditions}
    (cell,) = memorization_of(DESIGN, conditions, {TrialKey(0, 0, 0): found}, digits).cells
    true = digits.train.labels[found.sample_indices]
    for c in range(3):
        last = found.fitted_epoch[c]
        assert last > 0
        for side in (0, 1):
            early = (
                ((found.labels[c] != true) == bool(side))
                & (found.first_learned[c] < last)
                & (found.first_learned[c] > 0)
            )
            assert cell.n_exposed[c, 0, side] == early.sum()
            assert cell.n_never_forgotten[c, 0, side] == (found.forgetting[c][early] == 0).sum()
    one = run(digits, replace(CONFIG, epochs=1)).cells[0]
    assert (one.n_learned.sum(axis=2) > 0).all()
    assert not one.n_exposed.any()


def test_the_peak_is_the_best_epoch_and_the_drop_is_judged_on_the_other_half(cell):
    for c in range(3):
        for r in range(3):
            curve = cell.test_accuracy[c, r]
            assert curve[cell.peak_epoch[c, r] - 1] == curve.max()
            halves = cell.half_accuracy[c, r]
            peaks = [halves[halves[:, k].argmax(), 1 - k] for k in (0, 1)]
            assert cell.peak_accuracy[c, r] == pytest.approx(np.mean(peaks))
            assert cell.drop[c, r] == pytest.approx(np.mean(peaks) - halves[-1].mean())
    assert (cell.peak_accuracy <= cell.test_accuracy.max(axis=2) + 0.1).all()
    np.testing.assert_allclose(cell.half_accuracy.mean(axis=3), cell.test_accuracy)  # two halves of 50


def test_examples_are_ordered_from_hard_to_easy(found, digits):
    assert [examples.condition for examples in found.examples] == ["true labels", "50% random labels"]
    for examples in found.examples:
        n = examples.n_hardest
        assert n == 16
        assert len(set(examples.indices.tolist())) == len(examples.indices)
        np.testing.assert_array_equal(examples.images, digits.train.images[examples.indices])
        np.testing.assert_array_equal(examples.true_labels, digits.train.labels[examples.indices])
        assert (np.diff(examples.first_learned[:n]) <= 0).all()
        assert (np.diff(examples.first_learned[n:]) >= 0).all()
        assert examples.first_learned[:n].min() >= examples.first_learned[n:].max()


# Pairing.


def test_all_conditions_share_their_start_and_their_order(digits):
    # With a vanishing rate all networks stay at their start: the same accuracy on the test images, but not
    # the same cost, because the labels differ.
    tiny = TrainingConfig(epochs=1, batch_size=60, learning_rate=1e-12)
    result = run(digits, tiny, weight_decay=(0.0, 1e-3))
    tests = result.cells[0].test_accuracy
    assert len(tests) == 6
    np.testing.assert_array_equal(tests, np.broadcast_to(tests[:1], tests.shape))
    assert len({*tests[0, :, 0]}) > 1
    assert not np.allclose(result.cells[0].cost[0], result.cells[0].cost[2], rtol=1e-6)


def test_groups_that_are_trained_apart_see_the_same_order(digits):
    # Two conditions in one shard, and the same two with another kind of images between them.
    alone = run(digits, corruption=(0, 1))
    mixed = run(digits, corruption=(0, 1), input_corruption=("none", "gaussian"))
    epochs = min(alone.cells[0].cost.shape[2], mixed.cells[0].cost.shape[2])
    for k in (0, 1):
        np.testing.assert_array_equal(alone.cells[0].cost[k, :, :epochs], mixed.cells[0].cost[k, :, :epochs])


def test_an_order_that_only_moves_the_pixels_makes_another_network_of_the_same_kind(digits):
    found = run(digits, corruption=(0,), input_corruption=("none", "pixel-permutation"), replicates=6)
    cell = found.cells[0]
    assert not np.array_equal(cell.cost[0], cell.cost[1])
    final = cell.test_accuracy[:, :, -1]
    # The test images are moved in the same way, so what was learned carries over.
    assert abs(final[0].mean() - final[1].mean()) < 0.1
    assert (final > 0.5).all()


@pytest.mark.parametrize("inputs", ["pixel-shuffle", "gaussian"])
def test_images_without_structure_are_memorized_and_do_not_carry_over(digits, inputs):
    cell = run(digits, corruption=(0,), input_corruption=("none", inputs)).cells[0]
    assert (cell.train_accuracy[1, :, -1] > 0.95).all()
    assert (cell.test_accuracy[1, :, -1] < cell.test_accuracy[0, :, -1] - 0.2).all()
    assert cell.names[1] in ("true labels on images with shuffled pixels", "true labels on Gaussian images")


def test_a_larger_sample_holds_the_smaller_one_and_a_larger_share_the_smaller_one(digits):
    design = replace(DESIGN, n_samples=(30, 60), corruption=(0.25, 0.75))
    small, large = (trial(digits, design, TrialKey(0, size, 0)) for size in (0, 1))
    assert set(small.sample_indices) < set(large.sample_indices)
    wrong = large.labels != digits.train.labels[large.sample_indices]
    # A sample that takes part may keep its label by chance, but the parts are nested.
    assert wrong[0].sum() < wrong[1].sum()
    assert (wrong[0] & wrong[1]).sum() >= 0.6 * wrong[0].sum()


def test_uniform_labels_do_not_keep_the_class_counts(digits):
    design = replace(DESIGN, corruption=(1.0,))
    permuted = trial(digits, design)
    drawn = trial(digits, replace(design, label_corruption="uniform"))
    true = np.bincount(digits.train.labels[permuted.sample_indices], minlength=10)
    np.testing.assert_array_equal(np.bincount(permuted.labels[0], minlength=10), true)
    assert not np.array_equal(np.bincount(drawn.labels[0], minlength=10), true)


def test_the_share_of_random_labels_that_are_right_is_about_a_tenth(digits):
    config = TrainingConfig(epochs=1, batch_size=500)
    for kind in ("permute", "uniform"):
        found = run(digits, config, n_samples=500, replicates=6, label_corruption=kind, corruption=(0.5, 1))
        agreement = found.cells[0].label_agreement
        assert agreement.shape == (2, 6)
        # Each has a standard error of 0.013.
        assert (np.abs(agreement[1] - 0.1) < 0.07).all()
        assert (np.abs(agreement[0] - 0.55) < 0.07).all()
        assert len(set(agreement[1])) > 1


def test_loss_sensitivity_is_followed_epoch_by_epoch(digits):
    cell = run(digits, dynamics="sensitivity", corruption=(0, 1)).cells[0]
    assert cell.sensitivity_curve.shape == cell.cost.shape
    assert (cell.n_trained == cell.updates[:, :, -1] / cell.updates_per_epoch).all()  # all were fitted
    epochs = np.arange(1, cell.cost.shape[2] + 1)
    np.testing.assert_array_equal(np.isfinite(cell.sensitivity_curve), epochs <= cell.n_trained[..., None])
    n = cell.common_epochs[1]
    assert n == cell.n_trained.min()
    np.testing.assert_allclose(cell.common_gini[1], cell.sensitivity_curve[[1, 0], :, :n].mean(axis=2))
    assert np.isfinite(cell.sensitivity_gini).all()
    assert np.isnan(run(digits, corruption=(0, 1), replicates=1).cells[0].sensitivity_curve).all()


def test_examples_are_kept_of_every_cell(digits):
    found = run(
        digits, architecture=[ARCHITECTURE, probe.MLP((8,), "tanh")], n_samples=[30, 60], replicates=1
    )
    assert [(e.cell, e.condition) for e in found.examples] == [
        (cell, name) for cell in range(4) for name in ("true labels", "50% random labels")
    ]
    first, last = found.examples[0], found.examples[-1]
    assert not np.array_equal(first.indices, last.indices)


def test_architectures_and_sizes_make_cells(digits):
    found = run(
        digits, architecture=[ARCHITECTURE, probe.MLP((8,), "tanh")], n_samples=[30, 60], replicates=2
    )
    names = [(cell.architecture, cell.n_samples) for cell in found.cells]
    assert names == [
        ("64-24-10 relu", 30),
        ("64-24-10 relu", 60),
        ("64-8-10 tanh", 30),
        ("64-8-10 tanh", 60),
    ]
    alone = run(digits, replicates=2)
    np.testing.assert_array_equal(found.cells[1].updates, alone.cells[0].updates)


# The same study again.


def test_replicates_differ_and_do_not_depend_on_how_many_there_are(found, digits):
    two = run(digits, replicates=2).cells[0]
    length = two.cost.shape[2]
    np.testing.assert_array_equal(two.cost, found.cells[0].cost[:, :2, :length])
    np.testing.assert_array_equal(two.updates, found.cells[0].updates[:, :2])
    assert not np.array_equal(two.cost[:, 0], two.cost[:, 1])


def test_the_number_of_workers_does_not_matter(found, digits):
    for workers in (1, 2):
        for (name, one), (_, other) in zip(arrays(found), arrays(run(digits, workers=workers)), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


def test_another_seed_is_another_experiment(found, digits):
    other = run(digits, seed=1).cells[0]
    assert not np.array_equal(other.cost[:, :, :3], found.cells[0].cost[:, :, :3])


def test_a_generator_stands_for_a_seed(digits):
    one, other = (run(digits, replicates=1, seed=np.random.default_rng(5)) for _ in range(2))
    assert one.design.seed == other.design.seed
    np.testing.assert_array_equal(one.cells[0].cost, other.cells[0].cost)


def test_progress_counts_trials_and_shows_medians(digits):
    events = []
    run(digits, progress=events.append)
    assert [(event.stage, event.done, event.total) for event in events] == [
        ("memorizing", k, 3) for k in (1, 2, 3)
    ]
    assert all(re.fullmatch(r"train/test 100%/\d+% … 100%/\d+%", event.note) for event in events)


def test_a_study_is_kept_and_read_back(found, tmp_path):
    path = probe.save_result(found, tmp_path / "results.h5")
    again = probe.load_result(path, type(found))
    assert again.design == found.design
    assert again.verdicts == found.verdicts
    for (name, one), (_, other) in zip(arrays(found), arrays(again), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


# Tuning.


def test_tuning_takes_the_rate_that_fits_soonest(digits):
    rates = (1e-4, 0.3)
    tuned = run(digits, rates=rates, corruption=(0, 1))
    assert [condition.learning_rate for condition in tuned.cells[0].conditions] == [0.3, 0.3]
    # The pilot has replicates of its own, so the study is the one at that rate.
    np.testing.assert_array_equal(tuned.cells[0].updates, run(digits, corruption=(0, 1)).cells[0].updates)


def made_trial(accuracy, diverged=None):
    """Return a trial of conditions with these training accuracies after each epoch."""
    accuracy = np.array(accuracy, float)
    n = len(accuracy)
    zeros = np.zeros_like(accuracy)
    samples = np.zeros((n, 2), np.int32)
    return MemorizationTrial(
        cost=zeros,
        train_accuracy=accuracy,
        true_accuracy=zeros,
        test_accuracy=zeros,
        half_accuracy=np.zeros((*accuracy.shape, 2)),
        fitted_epoch=np.zeros(n, np.int64),
        diverged_epoch=np.zeros(n, np.int64),
        sample_indices=np.arange(2),
        labels=samples.astype(np.int16),
        first_learned=samples,
        forgetting=samples,
        margin=samples.astype(np.float32),
        sensitivity=None,
        sensitivity_gini=None,
        critical_ratio=np.full(n, np.nan),
    )


def test_rates_that_never_fit_are_told_apart_by_their_accuracy_then_the_smallest_wins():
    design = replace(DESIGN, corruption=(0.0, 1.0), rates=(0.1, 0.2, 0.3), pilot_replicates=2)
    # Condition 0 fits after 2, 1, 1 epochs; condition 1 never, but best at the second rate.
    accuracies = [[0.5, 1.0], [1.0, 1.0], [1.0, 1.0], [0.2, 0.3], [0.2, 0.6], [np.nan, np.nan]]
    pilot = dict.fromkeys(design.pilot_keys, made_trial(accuracies))
    chosen = chosen_conditions(design, pilot)[0, 0]
    assert [condition.learning_rate for condition in chosen] == [0.2, 0.2]


# Trouble.


def test_networks_that_diverge_are_counted_and_their_claims_stay_open(digits, monkeypatch):
    rates = iter([0.3] * 3)
    design = replace(DESIGN, replicates=2)
    conditions = [replace(c, learning_rate=rate) for c, rate in zip(design.conditions, rates, strict=True)]
    conditions[2] = replace(conditions[2], learning_rate=1e30)
    with np.errstate(all="ignore"):
        trials = {key: trial(digits, design, key, conditions) for key in design.keys}
    assert all(found.diverged_epoch[2] > 0 for found in trials.values())
    # A condition of which all networks diverged leaves the others as they are.
    found = memorization_of(design, {(0, 0): tuple(conditions)}, trials, digits)
    assert found.cells[0].diverged.tolist() == [[False] * 2, [False] * 2, [True] * 2]
    decided = {
        verdict.title: verdict.decision for verdict in found.verdicts if "random labels" in verdict.title
    }
    assert {decision for claim, decision in decided.items() if " random" in claim and "50%" not in claim} == {
        "inconclusive"
    }
    assert np.isnan(found.cells[0].peak_accuracy[2]).all()
    # One of two diverged: kept, counted, and no claim is settled by the other one alone.
    trials[design.keys[0]] = trial(digits, design, design.keys[0])
    found = memorization_of(design, {(0, 0): design.conditions}, trials, digits)
    assert found.cells[0].diverged.tolist() == [[False, False], [False, False], [False, True]]
    open_ = [verdict for verdict in found.verdicts if "1 of 2 replicates have no value" in verdict.sentence]
    assert {verdict.decision for verdict in open_} == {"inconclusive"}
    assert len(open_) >= 3  # fits as well, takes longer, teaches nothing


def test_a_study_of_which_nothing_is_left_is_an_error(digits):
    config = replace(CONFIG, learning_rate=1e30)
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            DivergedError, match=r"all networks diverged at learning_rate 1e\+30; pass a smaller one"
        ),
    ):
        run(digits, config)


def test_a_set_stop_gives_a_trial_up(digits):
    stop = threading.Event()
    stop.set()
    assert run_trial(DESIGN, TrialKey(0, 0, 0), DESIGN.conditions, digits, stop) is None


def test_an_interrupted_study_keeps_the_replicates_that_are_done(digits):
    def interrupt(event):
        if event.done == 2:
            signal.raise_signal(signal.SIGINT)

    result = run(digits, replicates=4, progress=interrupt)
    assert result.interrupted
    assert 2 <= result.cells[0].n_replicates < 4
    whole = run(digits, replicates=result.cells[0].n_replicates)
    np.testing.assert_array_equal(result.cells[0].updates, whole.cells[0].updates)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 1}, "n_samples must be an integer of at least 2, got 1"),
        ({"n_samples": 10**6}, r"n_samples must be an integer from 2 to \d+, got 1000000"),
        ({"n_samples": []}, "n_samples must hold at least one value"),
        ({"n_samples": (40, 60, 40)}, "n_samples must hold each value once, got 40 twice"),
        ({"corruption": (0.5, 0.5)}, "corruption must hold each value once, got 0.5 twice"),
        ({"corruption": (0, 1, 0.0)}, "corruption must hold each value once, got 0 twice"),
        (
            {"input_corruption": ("none", "none")},
            "input_corruption must hold each value once, got none twice",
        ),
        ({"weight_decay": (0.0, 0.0)}, "weight_decay must hold each value once, got 0 twice"),
        ({"rates": (0.1, 0.1)}, "rates must hold each value once, got 0.1 twice"),
        ({"architecture": [ARCHITECTURE] * 2}, "architectures must hold each value once, got 24 relu twice"),
        ({"replicates": 0}, "replicates must be an integer of at least 1, got 0"),
        ({"corruption": (0, 1.5)}, "corruption must be a finite number at least 0 and at most 1, got 1.5"),
        ({"corruption": ()}, "corruption must hold at least one value"),
        ({"label_corruption": "swap"}, "label_corruption must be one of permute, uniform; got 'swap'"),
        ({"input_corruption": ("blur",)}, "input_corruption must be one of none, pixel-permutation"),
        ({"weight_decay": (-1,)}, "weight_decay must be a finite number at least 0, got -1"),
        ({"rates": (0.0,)}, "rates must be a finite number above 0, got 0"),
        ({"dynamics": "none"}, "dynamics must be one of examples, sensitivity; got 'none'"),
        ({"n_test": 1}, "n_test must be an integer of at least 2, got 1"),
        ({"workers": 0}, "workers must be an integer of at least 1, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"config": TrainingConfig(evaluation="end")}, "config must have evaluation='epoch'"),
    ],
)
def test_bad_arguments_are_refused(digits, arguments, message):
    with pytest.raises(InputError, match=message):
        run(digits, **arguments)


def test_an_unknown_threshold_is_refused(found):
    with pytest.raises(InputError, match=r"threshold must be one of 0.5, 0.9, 0.99, 1; got 0.8"):
        found.slowdown(0.8)


def test_without_true_labels_there_is_nothing_to_compare_with(digits):
    found = run(digits, corruption=(1.0,))
    assert found.slowdown() is None
    assert not any("true labels" in verdict.title for verdict in found.verdicts)


def test_test_images_are_drawn_once_for_a_study(digits):
    test = sampled_test(DESIGN, digits)
    assert len(test) == 100
    np.testing.assert_array_equal(test.images, sampled_test(replace(DESIGN, replicates=9), digits).images)
    everything = sampled_test(replace(DESIGN, n_test=10**6), digits)
    np.testing.assert_array_equal(everything.images, digits.test.images)
