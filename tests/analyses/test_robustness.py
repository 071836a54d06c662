"""What holds in general: settings trained and judged, put together, and worded."""

import threading
from dataclasses import replace

import numpy as np
import pytest

import probe
from probe.analyses.robustness import CLAIMS, RobustnessKey, RobustnessStudy, RobustnessTrial
from probe.analyses.robustness import study as module
from probe.stats import count_estimate

KEY = "noise"


def study(digits, **options):
    options = {"recipes": ("modern", "video"), "lengths": (0.5, 1.0), "datasets": ()} | options
    return RobustnessStudy.of((probe.MLP((8,)), probe.MLP((9,))), digits, **options)


def trial(decision, statistic=0.5):
    shape = len(CLAIMS), module.N_NETWORKS
    return RobustnessTrial(
        claims=tuple(CLAIMS),
        statistics=np.full(shape, statistic),
        decisions=np.full(shape, decision),
        test_accuracy=np.full(module.N_NETWORKS, 0.9),
    )


def combined(digits, decide, **options):
    """Return what comes of a study whose trials decide as `decide` says of their keys."""
    made = study(digits, **options)
    return made.combine({key: trial(decide(key)) for key in made.design.keys}, digits, lambda event: None)


def test_the_settings_are_all_combinations(digits):
    design = study(digits, datasets=("digits",), replicates=2).design
    assert len(design.settings) == 2 * 2 * 2 * 2
    assert len(design.keys) == 32
    assert len({key.name for key in design.keys}) == 32
    # What is done stays when replicates are added.
    assert design.keys[:16] == study(digits, datasets=("digits",)).design.keys


@pytest.mark.parametrize(("index", "decision"), [(0, "supported"), (1, "refuted")])
def test_what_holds_in_all_settings_holds_in_general(index, decision, digits):
    result = combined(digits, lambda key: index)
    assert {verdict.decision for verdict in result.verdicts} == {decision}
    assert {verdict.subject for verdict in result.verdicts} == {"general"}
    assert "all 8 settings" in result.verdicts[0].sentence
    assert not any(verdict.is_primary for verdict in result.verdicts)


def test_what_depends_on_the_recipe_says_so(digits):
    result = combined(digits, lambda key: key.recipe)
    (verdict,) = (one for one in result.verdicts if one.key == KEY)
    assert verdict.decision == "inconclusive"
    assert verdict.statistic == 0.5
    assert verdict.sentence.endswith(
        "It depends on the recipe (modern: 100%, video: 0%). Shares are of the settings in which it holds."
    )
    assert "length" not in verdict.sentence


def test_what_depends_on_two_things_names_both(digits):
    result = combined(digits, lambda key: 0 if key.length and key.architecture else 1)
    assert (
        "the length of training (x 0.5: 0%, x 1: 50%) and the width (8: 0%, 9: 50%)"
        in result.verdicts[0].sentence
    )


def test_a_setting_counts_only_when_more_than_half_of_its_networks_agree(digits):
    made = study(digits)
    decisions = np.zeros((len(CLAIMS), module.N_NETWORKS), np.int64)
    decisions[:, 3:] = 1
    split = replace(trial(0), decisions=decisions)
    result = made.combine(dict.fromkeys(made.design.keys, split), digits, lambda event: None)
    assert (result.shares == 0.5).all()
    assert result.verdicts[0].decision == "inconclusive"
    assert result.verdicts[0].statistic == 0


def test_settings_of_which_replicates_are_missing_are_left_out(digits):
    made = study(digits, replicates=2)
    done = {key: trial(0) for key in made.design.keys if key.replicate == 0 or key.recipe == 0}
    result = made.combine(done, digits, lambda event: None)
    assert result.n_settings == 4
    assert result.interrupted
    assert set(result.recipe) == {"modern"}
    with pytest.raises(KeyboardInterrupt):
        made.combine({}, digits, lambda event: None)


def test_a_trial_trains_by_its_recipe_and_judges_every_network(small_digits, monkeypatch):
    seen = []

    def judged(network, split, *, seed):
        seen.append((network, split.name, seed))
        return {KEY: count_estimate(10, 10)}

    monkeypatch.setattr(module, "primary_estimates", judged)
    made = study(small_digits, lengths=(0.01,))
    found = made.run(RobustnessKey(1, 0, 0, 1), None, small_digits, threading.Event())
    assert len(seen) == 6
    assert len({seed for _, _, seed in seen}) == 6
    network = seen[0][0]
    assert (network.dense_layers[0].n_units, network.layers[-1].activation.name) == (9, "sigmoid")
    # N(0, 1) shows on pixels that are never lit.
    dark = ~small_digits.train.images.any(axis=0).ravel()
    assert np.std(np.stack([one.dense_layers[0].kernel[dark] for one, _, _ in seen])) == pytest.approx(
        1, abs=0.15
    )
    row = found.claims.index(KEY)
    assert (found.decisions[row] == 0).all()
    assert (found.statistics[row] == 1).all()
    # Of claims that an analysis says nothing about.
    assert np.isnan(np.delete(found.statistics, row, axis=0)).all()
    assert (np.delete(found.decisions, row, axis=0) == 2).all()


def test_a_trial_that_is_stopped_is_none(small_digits):
    stop = threading.Event()
    stop.set()
    assert study(small_digits).run(RobustnessKey(0, 0, 0, 0), None, small_digits, stop) is None


def test_trials_follow_from_the_seed_and_the_setting(small_digits, monkeypatch):
    monkeypatch.setattr(module, "primary_estimates", lambda network, split, *, seed: {})
    made = study(small_digits, lengths=(0.01,))
    one, again, other = (
        made.run(RobustnessKey(0, 0, 0, 0, replicate), None, small_digits, threading.Event())
        for replicate in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.test_accuracy, again.test_accuracy)
    assert not np.array_equal(one.test_accuracy, other.test_accuracy)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"recipes": ("cake",)}, "recipes must be one of modern, video"),
        ({"recipes": ()}, "recipes must hold at least one value"),
        ({"lengths": (0.0,)}, "lengths must be"),
        ({"lengths": (1.0, 1.0)}, "lengths"),
        ({"datasets": ("no-such-data",)}, "no-such-data"),
        ({"replicates": 0}, "replicates must be"),
    ],
)
def test_a_range_that_cannot_be_is_refused(wrong, message, digits):
    with pytest.raises(probe.InputError, match=message):
        study(digits, **wrong)
