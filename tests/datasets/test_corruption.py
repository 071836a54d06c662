import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe._checks import InputError
from probe.datasets import Dataset, Split, corrupted_inputs, permuted_labels, redrawn_labels

LABELS = st.lists(st.integers(0, 9), min_size=0, max_size=80).map(lambda row: np.array(row, dtype=np.int64))


@settings(deadline=None)
@given(labels=LABELS, fraction=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_class_counts_are_kept_and_at_most_the_fraction_changes(labels, fraction, seed):
    before = labels.copy()
    permuted = permuted_labels(labels, rng=np.random.default_rng(seed), fraction=fraction)
    assert np.array_equal(np.bincount(permuted, minlength=10), np.bincount(labels, minlength=10))
    assert np.count_nonzero(permuted != labels) <= round(fraction * len(labels))
    assert np.array_equal(labels, before)


def test_the_same_seed_gives_the_same_labels():
    labels = np.arange(100) % 10
    first, second = (permuted_labels(labels, rng=np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, second)


def test_fraction_zero_changes_nothing_and_one_leaves_a_tenth_by_chance():
    labels = np.arange(20_000) % 10
    rng = np.random.default_rng(0)
    assert np.array_equal(permuted_labels(labels, rng=rng, fraction=0.0), labels)
    kept = np.mean(permuted_labels(labels, rng=rng) == labels)
    assert kept == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / 20_000))
    half_kept = np.mean(permuted_labels(labels, rng=rng, fraction=0.5) == labels)
    assert half_kept == pytest.approx(0.55, abs=0.02)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), "all"])
def test_a_fraction_outside_the_unit_interval_is_refused(fraction):
    with pytest.raises(InputError, match="fraction must be a finite number at least 0 and at most 1"):
        permuted_labels(np.zeros(3, np.int64), rng=np.random.default_rng(0), fraction=fraction)


def test_labels_and_rng_of_a_wrong_type_are_refused():
    with pytest.raises(InputError, match=r"labels must be integers of shape \(n_samples,\), got float64"):
        permuted_labels(np.zeros(3), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match=r"rng must be a numpy.random.Generator.* got 0"):
        permuted_labels(np.zeros(3, np.int64), rng=0)


# Drawn anew.


@settings(deadline=None)
@given(labels=LABELS, fraction=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_redrawn_labels_are_classes_and_at_most_the_fraction_changes(labels, fraction, seed):
    before = labels.copy()
    redrawn = redrawn_labels(labels, 10, rng=np.random.default_rng(seed), fraction=fraction)
    assert redrawn.dtype == np.int64
    assert ((redrawn >= 0) & (redrawn < 10)).all()
    assert np.count_nonzero(redrawn != labels) <= round(fraction * len(labels))
    assert np.array_equal(labels, before)


def test_redrawn_labels_are_uniform_whatever_the_labels_were():
    labels = np.zeros(20_000, np.int64)
    counts = np.bincount(redrawn_labels(labels, 4, rng=np.random.default_rng(0)), minlength=4)
    assert (np.abs(counts - 5000) < 5 * np.sqrt(20_000 * 0.25 * 0.75)).all()


def test_classes_outside_the_range_are_refused():
    with pytest.raises(InputError, match=r"labels must lie in \[0, 3\) for 3 classes, got 3"):
        redrawn_labels(np.array([0, 3]), 3, rng=np.random.default_rng(0))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), small=st.floats(0, 1), large=st.floats(0, 1))
def test_the_samples_of_a_smaller_share_are_among_those_of_a_larger(seed, small, large):
    small, large = sorted((small, large))
    # Labels that are all different, so that a sample that was moved shows.
    labels = np.arange(60)
    changed = [
        permuted_labels(labels, rng=np.random.default_rng(seed), fraction=f) != labels for f in (small, large)
    ]
    untouched = ~changed[1] & changed[0]
    # A sample of the larger part may be permuted onto itself, about one in all.
    assert np.count_nonzero(untouched) <= 8


# Inputs.


def small_split(shape=(4, 5)):
    rng = np.random.default_rng(0)
    names = ("a", "b")
    train = Dataset(rng.random((30, *shape), np.float32), rng.integers(0, 2, 30), names)
    test = Dataset(rng.random((6, *shape), np.float32), rng.integers(0, 2, 6), names)
    return Split(train, test, "small")


def corrupted(split, kind, seed=0):
    return corrupted_inputs(split, kind, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_a_permutation_moves_the_pixels_of_all_images_alike(shape):
    split = small_split(shape)
    moved = corrupted(split, "pixel-permutation")
    for before, after in ((split.train, moved.train), (split.test, moved.test)):
        pixels = before.images.reshape(len(before), 20, -1)
        result = after.images.reshape(len(after), 20, -1)
        # Where a pixel of the first image went, the same pixel of every image went.
        order = [int(np.flatnonzero((pixels[0] == value).all(axis=1))[0]) for value in result[0]]
        assert sorted(order) == list(range(20))
        np.testing.assert_array_equal(result, pixels[:, order])
        np.testing.assert_array_equal(after.labels, before.labels)
    assert not np.array_equal(moved.train.images, split.train.images)


def test_a_shuffle_moves_every_image_in_its_own_way_and_leaves_the_test_images():
    split = small_split()
    shuffled = corrupted(split, "pixel-shuffle")
    before, after = (s.train.images.reshape(30, -1) for s in (split, shuffled))
    np.testing.assert_array_equal(np.sort(before, axis=1), np.sort(after, axis=1))
    orders = {tuple(np.argsort(a)[np.argsort(np.argsort(b))]) for a, b in zip(after, before, strict=True)}
    assert len(orders) == 30
    assert shuffled.test is split.test


def test_gaussian_images_hold_nothing_of_the_images():
    split = small_split()
    noise = corrupted(split, "gaussian")
    assert noise.train.images.shape == split.train.images.shape
    together = np.corrcoef(noise.train.images.ravel(), split.train.images.ravel())[0, 1]
    assert abs(together) < 0.15
    np.testing.assert_array_equal(noise.train.labels, split.train.labels)
    assert noise.test is split.test


def test_no_corruption_is_the_same_data():
    split = small_split()
    assert corrupted(split, "none") is split


def test_an_unknown_input_corruption_is_refused():
    with pytest.raises(
        InputError, match="kind must be one of none, pixel-permutation, pixel-shuffle, gaussian; got 'blur'"
    ):
        corrupted(small_split(), "blur")
