"""Memorization scores: against counting by hand, an exactly solvable learner, and a bootstrap over networks."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import probe
from probe._checks import DivergedError, InputError
from probe.analyses.scores import MemorizationScores, ScoresTrial, balanced_masks, memorization_scores
from probe.analyses.scores import study as module
from probe.training import TrainingConfig

RELU = probe.MLP((32,), "relu")


def answers_of(masks, is_right, is_diverged):
    return ScoresTrial(masks=masks, is_right=is_right, is_diverged=is_diverged)


def answers_by(rule):
    """Return a stand-in for training: `rule` maps a group's images, labels and one mask to the predictions."""

    def answers(group, stop, *, config):
        train = group.data.train
        predicted = [rule(train.images.reshape(len(train), -1), train.labels, mask) for mask in group.masks]
        is_right = np.array(predicted) == train.labels
        return answers_of(group.masks, is_right, np.zeros(len(is_right), bool))

    return answers


def nearest(images, labels, mask):
    """Return the label of the nearest image that is in the mask: memory and nothing else."""
    distances = ((images[:, None] - images[mask]) ** 2).sum(axis=2)
    return labels[mask][distances.argmin(axis=1)]


@pytest.fixture(scope="module")
def found(digits):
    return memorization_scores(RELU, digits, n_samples=150, n_networks=60, corruption=0.2, seed=1)


@given(
    n_networks=st.integers(1, 30),
    n_samples=st.integers(2, 40),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 99),
)
def test_masks_are_balanced_after_every_network(n_networks, n_samples, share, seed):
    masks = balanced_masks(n_networks, n_samples, share=share, rng=np.random.default_rng(seed))
    assert masks.shape == (n_networks, n_samples)
    assert (masks.sum(axis=1) == round(share * n_samples)).all()
    left_out = (~masks).cumsum(axis=0)
    assert (left_out.max(axis=1) - left_out.min(axis=1) <= 1).all()


def test_masks_are_drawn_at_random():
    masks = balanced_masks(4000, 10, share=0.7, rng=np.random.default_rng(0))
    together = (~masks).astype(float).T @ ~masks / 4000
    pairs = together[~np.eye(10, dtype=bool)]
    # Each pair is left out together about as often, a fifteenth of the time: no two are tied to each other.
    np.testing.assert_allclose(pairs, pairs.mean(), rtol=0.25)
    assert pairs.mean() == pytest.approx(3 * 2 / (10 * 9), rel=1e-9)


def test_wrongly_labeled_examples_are_memorized_and_others_hardly(found):
    wrong = found.is_corrupted
    assert 20 <= wrong.sum() <= 30
    assert found.scores[wrong].mean() > 0.85
    assert found.scores[~wrong].mean() < 0.4
    # Trained until fitted, so that the difference is all in the networks that have not seen the example.
    assert found.accuracy_in.mean() > 0.99
    assert found.accuracy_out[wrong].mean() < 0.1
    np.testing.assert_allclose(found.scores, found.accuracy_in - found.accuracy_out)


def test_every_example_is_left_out_of_the_same_number_of_networks(found):
    np.testing.assert_array_equal(found.n_in, 42)
    np.testing.assert_array_equal(found.n_out, 18)
    assert found.n_networks == 60


def test_what_was_taught_is_the_truth_but_for_the_corrupted_share(found, digits):
    np.testing.assert_array_equal(found.true_labels, digits.train.labels[found.sample_indices])
    assert (np.diff(found.sample_indices) > 0).all()
    np.testing.assert_array_equal(np.bincount(found.labels), np.bincount(found.true_labels))
    plain = memorization_scores(RELU, digits, n_samples=150, n_networks=20, seed=1)
    assert not plain.is_corrupted.any()
    np.testing.assert_array_equal(plain.sample_indices, found.sample_indices)


def test_labels_can_be_drawn_anew_instead(digits, monkeypatch):
    monkeypatch.setattr(module, "_trained_answers", answers_by(nearest))
    settings = {"n_samples": 100, "n_networks": 10, "corruption": 1.0}
    drawn = memorization_scores(RELU, digits, **settings, label_corruption="uniform")
    assert drawn.is_corrupted.mean() > 0.8
    assert not np.array_equal(np.bincount(drawn.labels), np.bincount(drawn.true_labels))


def test_the_most_memorized_are_kept_with_their_images(found, digits):
    assert found.images.shape == (16, 8, 8)
    chosen = found.sample_indices[found.most_memorized]
    np.testing.assert_array_equal(found.images, digits.train.images[chosen])
    shown = found.scores[found.most_memorized]
    assert (np.diff(shown) <= 0).all()
    assert shown[-1] >= np.sort(found.scores)[-16]


def test_fewer_samples_than_images_kept_is_all_of_them(digits, monkeypatch):
    monkeypatch.setattr(module, "_trained_answers", answers_by(nearest))
    found = memorization_scores(RELU, digits, n_samples=9, n_networks=20, share=0.5)
    assert sorted(found.most_memorized) == list(range(9))


def test_leaving_each_out_of_a_deterministic_learner_gives_the_exact_scores(digits, monkeypatch):
    monkeypatch.setattr(module, "_trained_answers", answers_by(nearest))
    n = 30
    found = memorization_scores(
        RELU, digits, n_samples=n, n_networks=2 * n, share=1 - 1 / n, corruption=0.3, seed=2
    )
    np.testing.assert_array_equal(found.n_out, 2)
    images = digits.train.images[found.sample_indices].reshape(n, -1)
    exact = []
    for k in range(n):
        others = np.delete(np.arange(n), k)
        closest = others[((images[others] - images[k]) ** 2).sum(axis=1).argmin()]
        exact.append(1.0 - (found.labels[closest] == found.labels[k]))
    assert 0 < np.mean(exact) < 1
    np.testing.assert_array_equal(found.scores, exact)


def random_answers(n_networks=400, n_samples=12, seed=0):
    rng = np.random.default_rng(seed)
    masks = balanced_masks(n_networks, n_samples, share=0.7, rng=rng)
    chances = np.where(masks, rng.uniform(0.5, 0.95, n_samples), rng.uniform(0.1, 0.7, n_samples))
    return answers_of(masks, rng.random(masks.shape) < chances, np.zeros(n_networks, bool))


def test_proportions_are_counted_over_the_right_networks():
    answers = random_answers(11, 5)
    found = module._proportions(answers, 11, interrupted=False)
    for i in range(5):
        seen = [answers.is_right[k, i] for k in range(11) if answers.masks[k, i]]
        unseen = [answers.is_right[k, i] for k in range(11) if not answers.masks[k, i]]
        assert (found["n_in"][i], found["n_out"][i]) == (len(seen), len(unseen))
        assert found["accuracy_in"][i] == pytest.approx(np.mean(seen))
        assert found["accuracy_out"][i] == pytest.approx(np.mean(unseen))
        p, q = (sum(seen) + 1) / (len(seen) + 2), (sum(unseen) + 1) / (len(unseen) + 2)
        variance = p * (1 - p) / (len(seen) + 2) + q * (1 - q) / (len(unseen) + 2)
        assert found["standard_errors"][i] == pytest.approx(np.sqrt(variance))


def test_standard_errors_are_those_of_a_bootstrap_over_networks():
    answers = random_answers()
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(1500):
        rows = rng.integers(400, size=400)
        again = answers_of(answers.masks[rows], answers.is_right[rows], answers.is_diverged)
        drawn.append(module._proportions(again, 400, interrupted=False)["scores"])
    found = module._proportions(answers, 400, interrupted=False)["standard_errors"]
    np.testing.assert_allclose(found, np.std(drawn, axis=0), rtol=0.1)


def test_a_unanimous_score_still_has_a_standard_error():
    masks = balanced_masks(10, 5, share=0.6, rng=np.random.default_rng(0))
    found = module._proportions(answers_of(masks, masks, np.zeros(10, bool)), 10, interrupted=False)
    np.testing.assert_array_equal(found["scores"], 1)
    # 6 of 6 and 0 of 4, with one success and one failure more: 7/8 of 8 and 1/6 of 6.
    np.testing.assert_allclose(found["standard_errors"], np.sqrt(7 / 8 * 1 / 8 / 8 + 1 / 6 * 5 / 6 / 6))


def test_networks_that_diverged_do_not_count():
    answers = random_answers(40, 6)
    diverged = np.arange(40) % 4 == 0
    found = module._proportions(answers_of(answers.masks, answers.is_right, diverged), 40, interrupted=False)
    kept = answers_of(answers.masks[~diverged], answers.is_right[~diverged], diverged[~diverged])
    expected = module._proportions(kept, 30, interrupted=False)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert (found["n_in"] + found["n_out"] == 30).all()


def test_a_result_says_how_many_networks_diverged(digits, monkeypatch):
    def some_diverge(group, stop, *, config):
        answers = answers_by(nearest)(group, stop, config=config)
        return answers_of(answers.masks, answers.is_right, np.arange(len(answers.masks)) == 3)

    monkeypatch.setattr(module, "_trained_answers", some_diverge)
    found = memorization_scores(RELU, digits, n_samples=20, n_networks=40)
    assert found.n_diverged == 2
    assert found.n_networks == 38


def test_if_all_networks_diverge_there_are_no_scores(digits):
    config = TrainingConfig(epochs=3, learning_rate=1e30)
    with pytest.raises(DivergedError, match="10 of 10 networks diverged, so that some examples"):
        memorization_scores(RELU, digits, config, n_samples=50, n_networks=10)


def test_the_number_of_workers_does_not_matter_and_the_seed_does(digits):
    settings = {"n_samples": 60, "n_networks": 50, "corruption": 0.5}
    one = memorization_scores(RELU, digits, **settings, workers=1)
    two = memorization_scores(RELU, digits, **settings, workers=2)
    other = memorization_scores(RELU, digits, **settings, seed=np.random.default_rng(0))
    for name in ("scores", "labels", "sample_indices", "most_memorized", "images"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert not np.array_equal(one.sample_indices, other.sample_indices)
    assert not np.array_equal(one.labels, other.labels)


def test_networks_of_a_group_and_groups_differ(digits, monkeypatch):
    groups = []
    original = module._trained_answers

    def kept(group, stop, *, config):
        groups.append(group)
        return original(group, stop, config=config)

    monkeypatch.setattr(module, "_trained_answers", kept)
    memorization_scores(RELU, digits, n_samples=40, n_networks=45, workers=1)
    assert [len(group.masks) for group in groups] == [20, 20, 5]
    masks = np.concatenate([group.masks for group in groups])
    assert len(np.unique(masks, axis=0)) == 45
    # The orders of the samples, drawn from what training has left of the streams.
    assert len({group.order_rng.integers(2**60) for group in groups}) == 3


def test_progress_counts_networks(digits, monkeypatch):
    monkeypatch.setattr(module, "_trained_answers", answers_by(nearest))
    events = []
    memorization_scores(RELU, digits, n_samples=20, n_networks=50, workers=1, progress=events.append)
    assert [(event.stage, event.done, event.total) for event in events] == [
        ("scores", 1, 3),
        ("scores", 2, 3),
        ("scores", 3, 3),
    ]
    assert [event.note for event in events] == ["20 networks", "40 networks", "50 networks"]


def test_ctrl_c_leaves_the_scores_of_the_networks_done(digits, monkeypatch):
    monkeypatch.setattr(module, "_trained_answers", answers_by(nearest))

    def interrupt(event):
        if event.done == 2:
            raise KeyboardInterrupt

    found = memorization_scores(
        RELU, digits, n_samples=20, n_networks=100, workers=1, progress=interrupt, corruption=0.5
    )
    assert found.interrupted
    assert found.n_networks == 40
    whole = memorization_scores(RELU, digits, n_samples=20, n_networks=40, corruption=0.5)
    assert not whole.interrupted
    np.testing.assert_array_equal(found.scores, whole.scores)


def test_ctrl_c_before_anything_is_done_is_raised(digits, monkeypatch):
    def interrupt(group, stop, *, config):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_trained_answers", interrupt)
    with pytest.raises(KeyboardInterrupt):
        memorization_scores(RELU, digits, n_samples=20, n_networks=40, workers=1)


def test_a_result_is_read_only_and_loaded_as_it_was_saved(found, tmp_path):
    loaded = probe.load_result(probe.save_result(found, tmp_path / "scores.h5"), MemorizationScores)
    for name in MemorizationScores.__slots__:
        value = getattr(found, name)
        np.testing.assert_array_equal(getattr(loaded, name), value)
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, name
            assert getattr(loaded, name).dtype == value.dtype, name
    assert found.architecture == "64-32-10 relu"
    assert (found.share, found.corruption) == (0.7, 0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 1}, "n_samples must be an integer of at least 2, got 1"),
        ({"n_samples": 1443}, "n_samples must be an integer from 2 to 1442, got 1443"),
        ({"n_networks": 0}, "n_networks must be an integer of at least 1, got 0"),
        (
            {"n_networks": 6},
            "n_networks must be at least 7 with a share of 0.7, so that every example is seen ",
        ),
        ({"n_networks": 19, "share": 0.1}, "n_networks must be at least 20 with a share of 0.1"),
        ({"share": 1}, "share must be a finite number above 0 and below 1, got 1"),
        (
            {"n_samples": 10, "share": 0.97},
            "share must be such that some of 10 samples are seen and some left",
        ),
        ({"corruption": 1.5}, "corruption must be a finite number at least 0 and at most 1, got 1.5"),
        ({"label_corruption": "flip"}, "label_corruption must be one of permute, uniform; got 'flip'"),
        ({"workers": 0}, "workers must be an integer of at least 1, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message, digits):
    with pytest.raises(InputError, match=re.escape(message)):
        memorization_scores(RELU, digits, **arguments)
