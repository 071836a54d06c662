import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from probe._checks import InputError
from probe.datasets import (
    Dataset,
    Split,
    corrupted_inputs,
    gaussian_noise,
    norm_matched_noise,
    permuted_labels,
    pixel_shuffled,
    redrawn_labels,
    uniform_noise,
)

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


SHAPES = st.one_of(
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)),
)
IMAGES = hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32))
SEEDS = st.integers(0, 2**32)


def norms(images):
    return np.linalg.norm(images.reshape(len(images), -1).astype(np.float64), axis=1)


def rng(seed=0):
    return np.random.default_rng(seed)


@settings(deadline=None)
@given(images=IMAGES, seed=SEEDS)
def test_all_noise_is_float32_in_the_unit_interval_and_repeatable(images, seed):
    makers = (
        lambda generator: uniform_noise(len(images), images.shape[1:], rng=generator),
        lambda generator: gaussian_noise(len(images), images, rng=generator),
        lambda generator: pixel_shuffled(images, rng=generator),
        lambda generator: norm_matched_noise(images, rng=generator),
    )
    before = images.copy()
    for make in makers:
        noise = make(rng(seed))
        assert noise.shape == images.shape
        assert noise.dtype == np.float32
        assert noise.min() >= 0
        assert noise.max() <= 1
        assert np.array_equal(noise, make(rng(seed)))
    assert np.array_equal(images, before)


@settings(deadline=None)
@given(images=IMAGES, seed=SEEDS)
def test_norms_match_whatever_the_brightness(images, seed):
    noise = norm_matched_noise(images, rng=rng(seed))
    assert norms(noise) == pytest.approx(norms(images), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.2, 0.57, 0.6, 0.9, 0.999, 1.0])
def test_norms_match_for_even_images(level):
    images = np.full((3, 28, 28), level, np.float32)
    noise = norm_matched_noise(images, rng=rng())
    assert norms(noise) == pytest.approx(norms(images), rel=1e-6)
    assert (noise.std() > 0) == (0 < level < 1)


def test_dark_images_get_plain_scaled_uniform_noise():
    noise = norm_matched_noise(np.full((1, 100, 100), 0.1), rng=rng())
    scaled = noise.ravel() / noise.max()
    assert stats.kstest(scaled, "uniform").pvalue > 0.01


def test_uniform_noise_is_uniform():
    assert stats.kstest(uniform_noise(10, (30, 30), rng=rng()).ravel(), "uniform").pvalue > 0.01


def test_gaussian_noise_has_the_moments_of_the_reference_before_clipping():
    reference = rng(1).normal(0.5, 0.05, (20, 10, 10))
    noise = gaussian_noise(500, reference, rng=rng())
    assert noise.mean() == pytest.approx(reference.mean(), abs=0.002)
    assert noise.std() == pytest.approx(reference.std(), abs=0.002)


def test_gaussian_noise_is_clipped_not_drawn_again():
    reference = np.zeros((2, 10, 10))
    reference[0] = 1.0  # mean 1/2, deviation 1/2: one in six falls below 0, one in six above 1
    noise = gaussian_noise(400, reference, rng=rng())
    assert np.mean(noise == 0) == pytest.approx(stats.norm.cdf(-1), abs=0.01)
    assert np.mean(noise == 1) == pytest.approx(stats.norm.cdf(-1), abs=0.01)


@settings(deadline=None)
@given(images=IMAGES, seed=SEEDS)
def test_shuffling_keeps_the_pixels_of_each_image(images, seed):
    def rows(array):
        pixels = array.reshape(len(array), array.shape[1] * array.shape[2], -1)
        return [sorted(map(tuple, image.tolist())) for image in pixels]

    assert rows(pixel_shuffled(images, rng=rng(seed))) == rows(images)


def test_every_image_is_shuffled_in_an_order_of_its_own():
    image = np.linspace(0, 1, 36).reshape(6, 6)
    shuffled = pixel_shuffled(np.stack([image, image]), rng=rng())
    assert not np.array_equal(shuffled[0], shuffled[1])
    assert not np.array_equal(shuffled[0], image.astype(np.float32))


@pytest.mark.parametrize(
    "make", [pixel_shuffled, norm_matched_noise, lambda x, rng: gaussian_noise(1, x, rng=rng)]
)
def test_references_that_are_no_images_are_refused(make):
    with pytest.raises(InputError, match=r"must have shape \(n, height, width\).* got \(3, 4\)"):
        make(np.zeros((3, 4)), rng=rng())
    with pytest.raises(InputError, match=r"must lie in \[0, 1\], got values from 2 to 2"):
        make(np.full((3, 4, 4), 2.0), rng=rng())
    with pytest.raises(InputError, match=r"rng must be a numpy.random.Generator"):
        make(np.zeros((3, 4, 4)), rng=None)


def test_sizes_that_are_no_sizes_are_refused():
    with pytest.raises(InputError, match="n_samples must be an integer of at least 1, got 0"):
        uniform_noise(0, (2, 2), rng=rng())
    with pytest.raises(InputError, match=r"each length in image_shape must be .* got -2"):
        uniform_noise(1, (2, -2), rng=rng())
    with pytest.raises(InputError, match=r"image_shape must be \(height, width\) or .* got \(4,\)"):
        uniform_noise(1, (4,), rng=rng())
    with pytest.raises(InputError, match=r"n_samples must be an integer of at least 1, got 1\.5"):
        gaussian_noise(1.5, np.zeros((1, 2, 2)), rng=rng())
