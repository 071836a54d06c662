"""Architecture search: what is planted is found, what is dropped is the worst, and nothing is chosen by test images."""

import math
from dataclasses import replace

import numpy as np
import pytest
from result_checks import check_result

import probe
from probe.analyses.search import ArchitectureSearch, search, trials
from probe.analyses.search.results import compared
from probe.storage import load_result, result_bytes, save_result

SMALL = {
    "widths": (4, 16),
    "depths": (1, 2),
    "activations": ("sigmoid", "relu"),
    "costs": ("cross-entropy",),
    "rates": (0.3, 1.0),
    "n_networks": 2,
    "first_epochs": 1,
    "epochs": 9,
    "batch_size": 20,
    "n_samples": 400,
}
TINY = SMALL | {"depths": (1,), "activations": ("relu",), "rates": (0.3,), "n_samples": 100, "epochs": 3}


@pytest.fixture(scope="module")
def found(digits):
    return search(digits, **SMALL)


def exclusive_or(n_samples=400):
    """Images of two pixels, of class 1 where exactly one of them is lit."""
    rng = np.random.default_rng(0)
    lit = rng.integers(2, size=(n_samples, 1, 2))
    images = (0.8 * lit + 0.2 * rng.random(lit.shape)).astype(np.float32)
    data = probe.Dataset(images, (lit.sum(axis=(1, 2)) == 1).astype(np.int64), ("same", "other"))
    return probe.Split(data.take(slice(0, 300)), data.take(slice(300, None)), "exclusive or")


def untimed(found):
    """Return a search without what a clock said."""
    candidates = tuple(replace(candidate, training_seconds=0.0) for candidate in found.candidates)
    return replace(found, candidates=candidates, by_seconds=found.by_parameters)


def watched(monkeypatch, change=lambda result, call: result):
    """Record the shards of each call of the trainer and what it returned, changed by `change`."""
    calls = []

    def train_shards(shards, config, **options):
        results = [change(result, len(calls)) for result in original(shards, config, **options)]
        calls.append((shards, results))
        return results

    original = trials.train_shards
    monkeypatch.setattr(trials, "train_shards", train_shards)
    return calls


def test_what_is_not_linear_is_left_to_networks_that_are_not():
    found = search(
        exclusive_or(),
        widths=(16,),
        depths=(0, 1),
        activations=("linear", "tanh"),
        costs=("cross-entropy",),
        rates=(1.0,),
        n_networks=3,
        first_epochs=5,
        epochs=45,
        batch_size=10,
    )
    assert found.chosen.label == "16 tanh"
    assert found.chosen.validation > 0.95
    linear = [c for c in found.candidates if c.label in ("no hidden layer", "16 linear")]
    assert len(linear) == 2
    assert max(c.validation_accuracy.max() for c in linear) < 0.8


def test_on_small_data_all_are_trained_longer_where_nobody_says_how_long(digits):
    one = {
        "widths": (4,),
        "depths": (1,),
        "activations": ("relu",),
        "costs": ("cross-entropy",),
        "rates": (0.3,),
    }
    default = search(digits, **one, n_networks=2, n_samples=400)
    assert [rung.n_epochs for rung in default.rungs] == [25, 75, 225]  # 100 minibatches of 100 of 400 images
    told = search(digits, **one, n_networks=2, n_samples=400, epochs=3)
    assert [rung.n_epochs for rung in told.rungs] == [1, 3]


def test_on_each_rung_the_best_third_go_on(found):
    ranked = [c for c in found.candidates if c.role != "reference"]
    assert len(ranked) == 16
    for place, rung in enumerate(found.rungs):
        assert (rung.n_epochs, rung.n_candidates) == (3**place, len(ranked))
        ranked.sort(key=lambda c: (-c.validation_accuracy[place].mean(), c.n_parameters))
        assert rung.best_validation == ranked[0].validation_accuracy[place].mean()
        if place + 1 < len(found.rungs):
            ranked = ranked[: math.ceil(len(ranked) / 3)]
    assert [rung.n_candidates for rung in found.rungs] == [16, 6, 2]
    assert {c for c in found.candidates if c.finalist} == set(ranked)
    assert found.chosen is ranked[0]
    for candidate in found.candidates:
        assert candidate.n_epochs == (1, 3, 9)[candidate.n_rungs - 1]
        if candidate.role == "candidate":
            assert (candidate.n_rungs == 3) == candidate.finalist
    assert [found.candidates[k].validation for k in found.last_rung] == sorted(
        (c.validation for c in found.candidates if c.n_rungs == 3), reverse=True
    )


def test_the_videos_network_is_trained_to_the_end_at_every_rate(found):
    videos = [c for c in found.candidates if c.role == "both"]
    assert {(c.label, c.cost) for c in videos} == {("16-16 sigmoid", "cross-entropy")}
    assert [c.learning_rate for c in videos] == [0.3, 1.0]
    assert {c.n_rungs for c in videos} == {3}
    assert found.videos.validation == max(c.validation for c in videos)


def test_the_videos_network_is_never_chosen_where_it_was_not_asked_for(digits):
    found = search(
        digits, widths=(1,), depths=(1,), activations=("relu",), costs=("cross-entropy",), rates=(2.0,),
        n_networks=6, first_epochs=6, epochs=6, batch_size=10,
    )  # fmt: skip
    assert [(c.label, c.role) for c in found.candidates] == [
        ("1 relu", "candidate"),
        ("16-16 sigmoid", "reference"),
    ]
    assert found.videos.validation > found.chosen.validation
    assert found.chosen.label == "1 relu"
    assert found.rungs[0].n_candidates == 1
    assert found.verdict.decision == "refuted"


def test_networks_go_on_from_where_they_were(digits, monkeypatch):
    calls = watched(monkeypatch)
    search(digits, **TINY)
    (_, before), (shards, _) = calls
    left = {result.population.weights[0].tobytes() for result in before}
    assert shards
    assert {shard.start.weights[0].tobytes() for shard in shards} <= left
    assert left.isdisjoint(shard.start.weights[0].tobytes() for shard in calls[0][0])


def test_each_network_has_a_start_and_an_order_of_its_own(digits, monkeypatch):
    calls = watched(monkeypatch)
    search(digits, **TINY)
    for shards, _ in calls:
        orders = {shard.order_rng.bit_generator.seed_seq.spawn_key for shard in shards}
        assert len(orders) == len(shards)
    starts = [w.tobytes() for shard in calls[0][0] for w in shard.start.weights[0]]
    assert len(set(starts)) == len(starts) == 2 * 3


def test_images_to_choose_by_are_not_trained_on_and_test_images_are_neither(found, digits, monkeypatch):
    assert len(found.training_samples) == 320
    assert len(found.validation_samples) == 80
    both = np.concatenate([found.training_samples, found.validation_samples])
    assert len(np.unique(both)) == 400
    assert both.max() > 1000  # random ones, not the first
    calls = watched(monkeypatch)
    again = search(digits, **TINY)
    for shard in (shard for shards, _ in calls for shard in shards):
        for part, samples in (("train", again.training_samples), ("test", again.validation_samples)):
            part = getattr(shard.split, part)
            np.testing.assert_array_equal(part.images, digits.train.images[samples])
            np.testing.assert_array_equal(part.labels, digits.train.labels[samples])


def test_nothing_is_chosen_by_test_labels(found, digits):
    labels = np.random.default_rng(0).permutation(digits.test.labels)
    other = search(probe.Split(digits.train, digits.test.with_labels(labels), digits.name), **SMALL)
    assert (other.best, other.reference) == (found.best, found.reference)
    assert [rung.to_dict() for rung in other.rungs] == [rung.to_dict() for rung in found.rungs]
    for one, two in zip(found.candidates, other.candidates, strict=True):
        np.testing.assert_array_equal(one.validation_accuracy, two.validation_accuracy)
    np.testing.assert_array_equal(found.by_parameters.all_rungs, other.by_parameters.all_rungs)
    assert found.chosen.test > 0.5
    assert other.chosen.test < 0.2


def test_accuracies_are_those_of_the_networks(digits, monkeypatch):
    calls = watched(monkeypatch)
    found = search(digits, **TINY)
    networks = [calls[-1][1][k].population.network(0) for k in range(2)]
    chosen = found.last_rung[0]
    candidate = found.candidates[chosen]
    assert candidate.finalist
    for samples, expected in (
        (digits.train.take(found.validation_samples), candidate.validation_accuracy[-1]),
        (digits.test, candidate.test_accuracy),
    ):
        by_hand = [(network.predict(samples.images) == samples.labels).mean() for network in networks]
        np.testing.assert_allclose(expected, by_hand)


def test_networks_that_fail_count_with_chance_and_stay(digits):
    found = search(digits, **TINY | {"rates": (0.3, 1e30)})
    # Sigmoid units saturate, and the cost stays finite.
    failed = [c for c in found.candidates if c.learning_rate == 1e30 and c.activation == "relu"]
    assert [c.label for c in failed] == ["4 relu", "16 relu"]
    for candidate in failed:
        assert candidate.failed.all()
        assert (candidate.validation_accuracy == 0.1).all()
        assert (candidate.test_accuracy == 0.1).all()
        assert candidate.validation_accuracy.shape[1] == 2
    assert found.chosen.learning_rate == 0.3
    assert not found.chosen.failed.any()


def test_a_network_that_failed_once_is_not_forgiven(digits, monkeypatch):
    """The first network of every candidate is said to have diverged on the first rung, though it goes on well."""

    def diverged(result, call):
        first = call == 0 and result.population.weights[0][0, 0, 0] in first_weights
        return replace(result, diverged_epoch=np.array([1])) if first else result

    first_weights = {w.weights[0][0, 0, 0] for w in _first_networks(digits, monkeypatch)}
    watched(monkeypatch, diverged)
    found = search(digits, **TINY)
    for candidate in found.candidates:
        np.testing.assert_array_equal(candidate.failed, [True, False])
        assert (candidate.validation_accuracy[:, 0] == 0.1).all()
        assert candidate.test_accuracy[0] == 0.1
    assert found.chosen.validation_accuracy[-1, 1] > 0.3


def _first_networks(digits, monkeypatch):
    """Return the first network of every candidate after the first rung."""
    with monkeypatch.context() as patch:
        calls = watched(patch)
        search(digits, **TINY)
    return [result.population for result in calls[0][1][::2]]


def test_interrupted_it_gives_up(digits, monkeypatch):
    calls = watched(monkeypatch, lambda result, call: replace(result, interrupted=True))
    with pytest.raises(KeyboardInterrupt):
        search(digits, **TINY)
    assert len(calls) == 1


def test_parameters_and_operations_are_counted_by_hand(found):
    (one,) = (c for c in found.candidates if c.label == "16-16 sigmoid" and c.learning_rate == 0.3)
    assert one.n_parameters == 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10
    assert one.training_flops == (4 * 64 * 16 + 6 * (16 * 16 + 16 * 10)) * 320 * 9


def test_seconds_are_those_of_the_populations_shared_among_their_networks(digits, monkeypatch):
    def timed(result, call):
        seconds = np.full_like(result.history.seconds, 6.0 * (call + 1))
        return replace(result, history=replace(result.history, seconds=seconds))

    calls = watched(monkeypatch, timed)
    found = search(digits, **TINY | {"rates": (0.3, 1.0)})
    # First all at both rates, 6 s for an epoch of 2 networks; then 2 epochs more of 12 s, of 1 or 2 networks.
    assert len(calls) == 2
    members = {shard.start.architecture: len(shard.start) for shard in calls[1][0]}
    for candidate in found.candidates:
        more = (
            2 * 12 / members[probe.MLP(candidate.hidden, candidate.activation)]
            if candidate.n_rungs == 2
            else 0
        )
        assert candidate.training_seconds == pytest.approx(6 / 2 + more)


def test_a_network_that_fails_at_once_has_no_seconds_and_is_on_no_front_of_time(digits):
    found = search(digits, **TINY | {"rates": (0.3, 1e30)})
    for k, candidate in enumerate(found.candidates):
        assert math.isnan(candidate.training_seconds) == candidate.failed.all()
        assert candidate.training_seconds > 0 or k not in found.by_seconds.all_rungs


@pytest.mark.parametrize("front", ["by_parameters", "by_seconds"])
def test_on_a_front_are_those_that_none_as_cheap_or_cheaper_is_better_than(found, front):
    prices = [c.n_parameters if front == "by_parameters" else c.training_seconds for c in found.candidates]
    everyone = range(len(found.candidates))
    for members, places in (
        (getattr(found, front).last_rung, found.last_rung),
        (getattr(found, front).all_rungs, everyone),
    ):
        points = {(prices[k], found.candidates[k].validation) for k in places}
        best = {
            (price, accuracy)
            for price, accuracy in points
            if not any((p <= price and a > accuracy) or (p < price and a == accuracy) for p, a in points)
        }
        assert [(prices[k], found.candidates[k].validation) for k in members] == sorted(best)


def test_one_learning_rate_stands_for_a_shape_with_a_cost(found):
    keys = [(found.candidates[k].label, found.candidates[k].cost) for k in found.best_rates]
    assert len(keys) == len(set(keys)) == 8
    for k in found.best_rates:
        best = found.candidates[k]
        same = [c for c in found.candidates if (c.label, c.cost) == (best.label, best.cost)]
        assert (best.n_rungs, best.validation) == max((c.n_rungs, c.validation) for c in same)


def test_without_a_hidden_layer_there_is_one_shape(digits):
    found = search(digits, **TINY | {"depths": (0,), "activations": ("relu", "tanh"), "epochs": 1})
    asked = [c for c in found.candidates if c.role == "candidate"]
    assert [(c.hidden, c.activation, c.n_parameters) for c in asked] == [((), "linear", 650)]


def planted(found, apart, n=8, spread=0.002):
    """Return the choice and the video's network of a search, with test accuracies that are so far apart."""
    rng = np.random.default_rng(1)
    one, other = rng.normal(0.9, spread, (2, n))
    return replace(found.chosen, test_accuracy=one + apart), replace(found.videos, test_accuracy=other)


def test_the_verdict_is_over_test_images(found):
    chosen, videos = found.chosen.test_accuracy, found.videos.test_accuracy
    assert found.verdict.statistic == pytest.approx(chosen.mean() - videos.mean())
    assert f"puts {chosen.mean():.2%} of the test images" in found.verdict.sentence
    assert found.verdict.decision == "inconclusive"
    assert "Fewer than 6 networks decide nothing" in found.verdict.sentence


@pytest.mark.parametrize(
    ("apart", "decision"), [(0.02, "supported"), (-0.02, "refuted"), (0.0, "inconclusive")]
)
def test_planted_differences_are_found(found, apart, decision):
    verdict = compared(*planted(found, apart), 320)
    assert verdict.decision == decision
    assert verdict.interval.low < apart < verdict.interval.high
    assert not verdict.is_primary


def test_two_equal_kinds_are_told_apart_as_rarely_as_it_says(found):
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(100):
        one, other = rng.normal(0.9, 0.01, (2, 8))
        pair = replace(found.chosen, test_accuracy=one), replace(found.videos, test_accuracy=other)
        wrong += compared(*pair, 320).decision != "inconclusive"
    assert wrong <= 11  # of 100 at 5%, twelve or more have a chance of 0.4%


def test_equal_accuracies_have_an_interval_of_no_width(found):
    same = replace(found.chosen, test_accuracy=np.full(8, 0.9))
    assert (same.test_interval().low, same.test_interval().high) == (0.9, 0.9)


def test_a_search_that_chooses_the_videos_network_has_not_found_a_better_one(digits):
    found = search(
        digits,
        **TINY | {"widths": (16,), "depths": (2,), "activations": ("sigmoid",), "epochs": 1},
    )
    assert found.chosen is found.videos
    assert found.verdict.decision == "refuted"
    assert (found.verdict.interval.low, found.verdict.interval.high) == (0, 0)
    assert "chose the video's network itself" in found.verdict.sentence


def test_the_videos_network_at_another_rate_is_no_better_one(found):
    one, other = (k for k in found.candidates if k.role == "both")
    verdict = compared(one, replace(other, test_accuracy=other.test_accuracy - 0.1), 320)
    assert verdict.decision == "refuted"
    assert "chose the video's network itself" in verdict.sentence


def test_one_seed_is_one_result_which_can_be_kept(digits, tmp_path):
    found = search(digits, **TINY, seed=3)
    assert result_bytes(untimed(search(digits, **TINY, seed=3))) == result_bytes(untimed(found))
    assert result_bytes(untimed(search(digits, **TINY, seed=4))) != result_bytes(untimed(found))
    again = load_result(save_result(found, tmp_path / "search.h5"), ArchitectureSearch)
    assert result_bytes(again) == result_bytes(found)
    assert again.chosen.label == found.chosen.label
    for values in (found.chosen.test_accuracy, found.by_seconds.last_rung, found.training_samples):
        assert not values.flags.writeable


def test_it_says_keeps_and_plots_itself(found):
    check_result(found)
    columns = found.columns()
    assert columns["shape"][found.best] == found.chosen.shape
    np.testing.assert_array_equal(columns["test"], [c.test_accuracy.mean() for c in found.candidates])


def test_progress_is_told_for_each_rung(digits):
    events = []
    search(digits, **TINY | {"costs": ("cross-entropy", "quadratic")}, progress=events.append)
    for stage in ("rung 1 of 2", "rung 2 of 2"):
        told = [(event.done, event.total) for event in events if event.stage == stage]
        assert [done for done, _ in told] == list(range(1, told[0][1] + 1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"widths": ()}, "widths must hold at least one value, got none"),
        ({"widths": (4, 4)}, "widths must hold each value once, got 4 twice"),
        ({"widths": (0,)}, "each of widths must be an integer of at least 1, got 0"),
        ({"widths": 4}, "widths must be a sequence of values, got 4"),
        ({"depths": (-1,)}, "each of depths must be an integer from 0 to 1000, got -1"),
        ({"activations": "relu"}, "activations must be a sequence of values, each a string, got 'relu'"),
        ({"activations": ("rely",)}, r"each of activations must be one of .* \(did you mean 'relu'\?\)"),
        ({"costs": ("squared",)}, "each of costs must be one of cross-entropy, quadratic; got 'squared'"),
        ({"rates": (0,)}, "each of rates must be a finite number above 0, got 0"),
        ({"n_networks": 1}, "n_networks must be an integer of at least 2, got 1"),
        ({"first_epochs": 0}, "first_epochs must be an integer of at least 1, got 0"),
        ({"first_epochs": 5}, "epochs must be an integer of at least 5, got 3"),
        ({"reduction": 1}, "reduction must be an integer of at least 2, got 1"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"n_samples": 10**6}, r"n_samples must be an integer from 2 to \d+, got 1000000"),
        ({"validation": 1}, "validation must be a finite number above 0 and below 1, got 1"),
        ({"validation": 0.001}, "validation must leave an image to train on .* got 0.001 of 100 images"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ],
)
def test_what_does_not_fit_is_refused(digits, wrong, message):
    with pytest.raises(probe.InputError, match=message):
        search(digits, **TINY | wrong)
